//! The form in which a server keeps a setting, and whether a value that a policy asks for fits into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    ClientAddressSource, Holders, Limit, OwnerKind, PasswordAuthentication, Period, SettingValue,
    lifetime::Unit, settings::password::PasswordExceptions,
};

/// The form in which a server keeps a setting, where that cannot hold everything that a policy can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Yes or no: everyone or nobody, allowed or disabled.
    Switch,
    /// Groups, and no way to say everyone.
    Groups,
    /// A header with one trusted proxy: an address or a network.
    OneProxy,
    /// One longest lifetime for everybody.
    LongestLifetime {
        /// What it is counted in.
        unit: Unit,
        /// Whether it can be said that there is none.
        or_none: bool,
    },
}

impl Form {
    /// What the server can hold of `wanted`. Of limits that is the largest `max_lifetime`, rounded up to its unit,
    /// or no entry when some user's tokens never expire; the rules on tokens keep the rest. Of anything else
    /// it is all of it.
    ///
    /// # Errors
    ///
    /// Why it does not fit.
    pub fn held(self, wanted: SettingValue) -> Result<SettingValue, &'static str> {
        match (self, &wanted) {
            (Self::Switch, SettingValue::Holders(_, Holders::Groups(_))) => {
                Err("the server knows everyone and nobody here, and no groups: the rules on tokens keep it")
            }
            (Self::Groups, SettingValue::Holders(_, Holders::Everyone)) => Err(
                "the field of the server holds groups; say with `everyone` where it keeps that everyone may",
            ),
            (
                Self::OneProxy,
                SettingValue::ClientAddress(ClientAddressSource::Header { trusted_proxies, .. }),
            ) if trusted_proxies.networks().len() > 1 => Err("the server has room for one trusted proxy"),
            (
                Self::Switch,
                SettingValue::PasswordAuthentication(PasswordAuthentication::Disabled(except)),
            ) if *except != PasswordExceptions::default() => Err("the server knows no exceptions here"),
            (Self::LongestLifetime { unit, or_none }, SettingValue::Limits(limits)) => {
                match longest(limits).map(|period| unit.round_up(period)) {
                    Some(period) => Ok(SettingValue::Limits(vec![Limit {
                        max_lifetime: Some(period),
                        ..Limit::default()
                    }])),
                    None if or_none => Ok(SettingValue::Limits(Vec::new())),
                    None => Err(
                        "the field of the server holds a lifetime; say with `never` what stands there when there \
                         is no limit",
                    ),
                }
            }
            _ => Ok(wanted),
        }
    }
}

/// The longest lifetime that any user's token may have; `None` when some need not expire.
fn longest(limits: &[Limit]) -> Option<Period> {
    let mut longest = None;
    for limit in limits.iter().filter(|limit| limit.kinds().contains(&OwnerKind::User)) {
        longest = longest.max(Some(limit.max_lifetime?));
        if limit.groups.is_none() {
            return longest;
        }
    }
    // Whom no entry matches nothing limits.
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::permission::Groups;

    fn limit(group: Option<&str>, lifetime: Option<&str>) -> Limit {
        Limit {
            groups: group.and_then(|group| Groups::new([group.into()])),
            max_lifetime: lifetime.map(|text| text.parse().unwrap()),
            ..Limit::default()
        }
    }

    fn held(unit: Unit, limits: &[Limit]) -> Option<String> {
        let form = Form::LongestLifetime { unit, or_none: true };
        let Ok(SettingValue::Limits(held)) = form.held(SettingValue::Limits(limits.to_vec())) else {
            panic!()
        };
        held.first().and_then(|limit| limit.max_lifetime).map(|period| period.to_string())
    }

    #[test]
    fn one_maximum_for_all_is_the_largest_or_none_when_somebody_has_none() {
        let (bots, rest) = (limit(Some("ci-bots"), Some("1y")), limit(None, Some("90d")));
        assert_eq!(held(Unit::Months, &[bots.clone(), rest.clone()]), Some("1y".to_owned()));
        assert_eq!(held(Unit::Months, std::slice::from_ref(&rest)), Some("3mo".to_owned()));
        assert_eq!(held(Unit::Days, std::slice::from_ref(&rest)), Some("90d".to_owned()));
        assert_eq!(held(Unit::Days, std::slice::from_ref(&bots)), None, "the others have no limit");
        assert_eq!(held(Unit::Days, &[limit(Some("ci-bots"), None), rest.clone()]), None);
        let projects = Limit { owner_kinds: [OwnerKind::Project].into(), ..Limit::default() };
        assert_eq!(held(Unit::Days, &[projects, rest]), Some("90d".to_owned()));
        let form = Form::LongestLifetime { unit: Unit::Days, or_none: false };
        assert!(form.held(SettingValue::Limits(vec![bots])).is_err());
    }
}
