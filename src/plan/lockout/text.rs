//! The words for a lockout: who, on which axis, and what to change. They hold no text from a server.

use std::fmt;

use crate::{access::DenialReason, model::SettingKey};

use super::{Axis, Loss, ShutOut, Who};

impl fmt::Display for ShutOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lockout: {}", self.who)?;
        self.losses.iter().try_for_each(|loss| write!(f, "\n    {loss}"))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller => f.write_str("the credential of this run would no longer get in as far as now"),
            Self::BreakGlass(user) => {
                write!(f, "`{user}` of `break_glass` would no longer get in as far as now")
            }
            Self::Administrators { before, after, least } => write!(
                f,
                "{after} of the {before} administrators who can apply a policy now would be left, \
                 `min_admins` is {least}"
            ),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.place.as_ref().map_or(String::new(), |place| format!(" at {place}"));
        let source_moved = self.setting == Some(SettingKey::ClientAddress);
        match (self.axis, self.address) {
            (Axis::Refused(DenialReason::Network), Some(address)) if source_moved => write!(
                f,
                "network: the server would see {address}, which `network.allow` does not have: add it there, or \
                 change `network.client_address`{at}"
            ),
            (Axis::Refused(DenialReason::Network), Some(address)) => {
                write!(f, "network: {address} would be refused: add {address} to `network.allow`{at}")
            }
            (Axis::Refused(DenialReason::Network), None) => {
                write!(f, "network: the address would be refused: add it to `network.allow`{at}")
            }
            (Axis::Refused(DenialReason::ClientAddress) | Axis::UnknownAddress, _) => write!(
                f,
                "client address: which one the server would see cannot be known beforehand: apply the change of \
                 `network.client_address`{at} by itself while `network.allow` is `anywhere`"
            ),
            (Axis::Refused(DenialReason::PasswordDisabled), _) => write!(
                f,
                "password: it would no longer be accepted: use a bearer credential, or add the user to `except_users` of \
                 `password_authentication`{at}"
            ),
            (Axis::Refused(DenialReason::Use), _) => write!(
                f,
                "permission: tokens would no longer be accepted: add a group of the user to `permissions.use`{at}"
            ),
            (Axis::Refused(DenialReason::Scope), _) => {
                write!(f, "scope: a token would be narrowed: make one that complies, or change the limit{at}")
            }
            (Axis::Ending, _) => f.write_str(
                "horizon: the ways in that are left end within `lockout.horizon`: make a token that lasts longer first",
            ),
            (Axis::Gone, _) => f.write_str(
                "changed meanwhile: a way in that there was when the plan was made is gone, such as a token, the \
                 membership in a group or an active user: see to it, and run again",
            ),
            (Axis::Unseen, _) => f.write_str(
                "unseen: not everybody whom this is about could be seen, as the list of users or of members of a group is not \
                 whole: mend that, or leave out what closes a way in, and run again",
            ),
            (Axis::Refused(reason), _) => write!(f, "{reason}: the request would be refused"),
            (Axis::Expired, _) => {
                write!(
                    f,
                    "expiry: a token would be made to expire: make one that complies first, or change the rule{at}"
                )
            }
            (Axis::Revoked, _) if self.place.is_none() => {
                f.write_str("revocation: a token would be revoked: rotate it, or make another one first")
            }
            (Axis::Revoked, _) => {
                write!(
                    f,
                    "revocation: a token would be revoked: make one that complies first, or change the rule{at}"
                )
            }
        }
    }
}
