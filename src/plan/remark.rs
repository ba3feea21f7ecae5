//! Remarks: what a person should know beside the changes of a plan, and that holds nothing up.

use std::fmt;

use crate::{
    inventory::{Administrators, Credential, Expiry, LeftOut, Missing, Pace, RateLimit, Server},
    model::{OwnerKind, SettingKey, TokenId, UserName, Verb, brief},
};

use super::{History, Object, Pending, Phase, PlannedChange};

/// Something to know about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Nobody keeps a record of marks.
    MarksAreNotRecorded,
    /// The words of an owner are too long for the mark behind them.
    WordsAreCut(TokenId),
    /// Something is not looked at, as the config file says.
    LeftOut(LeftOut),
    /// Something that is told only in words, such as by a saved plan.
    Told(String),
    /// The server does not tell who administers it.
    AdministratorsUnknown,
    /// Our credential is not an administrator's.
    CannotAdminister(Lack),
    /// The server lets us make fewer calls than the reading takes.
    SlowedDown(Pace),
    /// Nobody is shown the tokens of users whom the directory has deleted.
    DeletedUsers,
    /// Passwords are disabled on a server that takes tokens for passwords.
    TokensSentAsPasswords,
}

/// Why our credential cannot change what belongs to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is a token, and those of the server administer nothing.
    Token,
    /// The user behind it is none of the administrators.
    User(UserName),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MarksAreNotRecorded => f.write_str(
                "no journal is kept: a token whose owner takes the mark off is marked anew, and wins that time",
            ),
            Self::WordsAreCut(id) => {
                write!(f, "the description of token {} is cut, so that its mark has room", brief(id))
            }
            Self::Told(words) => f.write_str(words),
            Self::LeftOut(left_out) => Missing::LeftOut(left_out.clone()).fmt(f),
            Self::AdministratorsUnknown => f.write_str(
                "the server does not tell who administers it, so that `min_admins` is not kept: name those who must \
                 keep a way in as `break_glass`",
            ),
            Self::CannotAdminister(Lack::Token) => f.write_str(
                "the credential is a token, and those of this server administer nothing: it will refuse what concerns \
                 others; use the password of an administrator, or a bearer credential of OAuth 2.0",
            ),
            Self::CannotAdminister(Lack::User(user)) => {
                let user = brief(user);
                write!(f, "`{user}` does not administer the server: it will refuse what concerns others")
            }
            Self::SlowedDown(pace) => {
                let Pace { owners, limit: RateLimit { at_once, per_second }, user } = pace;
                let us = user.as_ref().map_or_else(|| "the user of this run".to_owned(), |user| format!("`{}`", brief(user)));
                write!(
                    f,
                    "reading asks {owners} users, projects and repositories for their tokens, and the server answers \
                     {at_once} calls at once and {per_second} a second: that takes at least {} s unless {us} is exempt \
                     from rate limiting there; see to that, or look at fewer `areas` and `projects`",
                    pace.seconds()
                )
            }
            Self::DeletedUsers => f.write_str(
                "tokens of users whom the server has deleted cannot be seen, and may still work",
            ),
            Self::TokensSentAsPasswords => f.write_str(
                "with passwords disabled, Git and scripts that send a token as a password are refused as well: \
                 they must send it as `Authorization: Bearer`",
            ),
        }
    }
}

/// What to know about a plan with `changes` on `server`, whose marked tokens are among them or `pending`.
pub(super) fn surroundings(
    changes: &[PlannedChange],
    pending: &[Pending],
    server: &Server,
    history: &History,
) -> Vec<Remark> {
    let mut remarks: Vec<_> = server.left_out.iter().cloned().map(Remark::LeftOut).collect();
    let looks_at_users = !server.left_out.contains(&LeftOut::TokensOf(OwnerKind::User));
    if server.capabilities.hides_tokens_of_deleted_users && looks_at_users {
        remarks.push(Remark::DeletedUsers);
    }
    let is_marked = |pending: &Pending| pending.token.mark.is_some_and(|mark| mark.until == pending.until);
    let marks =
        changes.iter().any(|planned| planned.change.verb() == Verb::Mark) || pending.iter().any(is_marked);
    let can_mark = matches!(server.capabilities.expiry, Expiry::Mark { .. });
    if can_mark && marks && history.spent.is_none() {
        remarks.push(Remark::MarksAreNotRecorded);
    }
    if !changes.is_empty() {
        remarks.extend(server.administrators.is_none().then_some(Remark::AdministratorsUnknown));
        remarks.extend(lack(server).map(Remark::CannotAdminister));
    }
    let closes = |planned: &PlannedChange| {
        planned.change.object() == Object::Setting(SettingKey::PasswordAuthentication)
            && planned.change.phase() == Phase::Contract
    };
    if server.capabilities.tokens_sent_as_passwords_are_passwords && changes.iter().any(closes) {
        remarks.push(Remark::TokensSentAsPasswords);
    }
    remarks
}

/// Why our credential cannot administer `server`, as far as that is known before it is tried.
fn lack(server: &Server) -> Option<Lack> {
    let is_token =
        matches!(server.caller.credential, Credential::Token { .. } | Credential::TokenAsPassword { .. });
    match (&server.administrators, &server.caller.user) {
        // Of a gateway, which is administered in its own way.
        _ if server.caller.behind.is_some() => None,
        _ if is_token && !server.capabilities.tokens_administer => Some(Lack::Token),
        (Some(Administrators::Users(users)), Some(user)) if !users.contains(user) => {
            Some(Lack::User(user.clone()))
        }
        _ => None,
    }
}
