//! What a token to be made may be under the limits of a server, or which limit it breaks. Who asks was
//! decided before.

use jiff::Timestamp;

use super::TokenOwner;
use crate::model::{Limit, Period, Scope};

/// What is asked of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedToken<'a> {
    /// How far it is to reach.
    pub scope: Scope,
    /// When it is to expire, UTC; `None` when that was left open.
    pub expires: Option<Timestamp>,
    /// What tells it from others.
    pub description: &'a str,
}

/// What a token that is made with another token inherits from it at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// How far the other one reaches.
    pub scope: Scope,
    /// When the other one expires, UTC; `None` when it never does.
    pub expires: Option<Timestamp>,
}

/// What a new token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// How far it reaches.
    pub scope: Scope,
    /// When it expires, UTC; `None` when it never does.
    pub expires: Option<Timestamp>,
    /// The most tokens that its owner may have, with it, that have not expired.
    pub max_per_owner: Option<u32>,
}

/// The limit that a new token would break. The words are those that the client is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitBroken {
    /// It would expire in the past.
    #[error("The expiration you've provided lies in the past.")]
    Past,
    /// It would live too long.
    #[error(
        "The custom expiration you've provided is greater than the maximum defined by your administrator. \
         You need to provide a date within the next {0}."
    )]
    Lifetime(PeriodInWords),
    /// It would never expire.
    #[error("You need to provide an expiration, with a date within the next {0}.")]
    Endless(PeriodInWords),
    /// It would outlive the token that it is made with.
    #[error(
        "A token made with another token cannot expire later than that one. You need to provide a date until {0}."
    )]
    ParentLifetime(Timestamp),
    /// It would reach too far.
    #[error(
        "The scope you've asked for is wider than the maximum defined by your administrator, which is {0}."
    )]
    Scope(Scope),
    /// It would reach farther than the token that it is made with.
    #[error("A token made with another token cannot reach farther than that one, which is {0}.")]
    ParentScope(Scope),
    /// Its description has another form than asked for.
    #[error("The description must match the pattern defined by your administrator: {0}")]
    Description(String),
    /// Its owner has as many tokens as allowed.
    #[error("The owner already has {0} tokens, the maximum defined by your administrator.")]
    PerOwner(u32),
}

/// A period in the words of the app's messages: `12 months`, `90 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodInWords(pub Period);

impl std::fmt::Display for PeriodInWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        match (number.parse::<u32>().unwrap_or(0), unit) {
            (years, "y") => write!(f, "{} months", years.saturating_mul(12)),
            (1, "mo") => f.write_str("month"),
            (months, "mo") => write!(f, "{months} months"),
            (1, "d") => f.write_str("day"),
            (days, "d") => write!(f, "{days} days"),
            (1, _) => f.write_str("hour"),
            (hours, _) => write!(f, "{hours} hours"),
        }
    }
}

/// The entry of `limits` that the tokens of `owner` are under: the first that matches.
#[must_use]
pub fn limit_for<'a>(limits: &'a [Limit], owner: &TokenOwner) -> Option<&'a Limit> {
    let (name, person) = (owner.name(), owner.person());
    limits.iter().find(|limit| {
        limit.selects(&name)
            && limit
                .groups
                .as_ref()
                .is_none_or(|groups| person.is_some_and(|person| groups.have_one_of(&person.groups)))
    })
}

/// What a token for `owner` gets at `now`, made with the token `parent` or with a password.
///
/// Who leaves the expiry open gets the latest one that is allowed. How many tokens the owner has
/// is for the store to count, in the same transaction in which it makes the token.
///
/// # Errors
///
/// The limit that what was asked for breaks.
pub fn grant(
    limits: &[Limit],
    owner: &TokenOwner,
    asked: RequestedToken<'_>,
    parent: Option<Parent>,
    now: Timestamp,
) -> Result<Granted, LimitBroken> {
    let limit = limit_for(limits, owner);
    rescope(limits, owner, asked.scope)?;
    if let Some(parent) = parent.filter(|parent| asked.scope > parent.scope) {
        return Err(LimitBroken::ParentScope(parent.scope));
    }
    match_description(limit, asked.description)?;
    let max_lifetime = limit.and_then(|limit| limit.max_lifetime);
    let parent_expires = parent.and_then(|parent| parent.expires);
    Ok(Granted {
        scope: asked.scope,
        expires: expiry(asked.expires, max_lifetime, parent_expires, now)?,
        max_per_owner: limit.and_then(|limit| limit.max_per_owner),
    })
}

/// What is granted by a server that makes at `now` what is `asked` for, and nothing else.
///
/// # Errors
///
/// The limit that it would break.
pub fn keeps(
    limits: &[Limit],
    owner: &TokenOwner,
    asked: RequestedToken<'_>,
    now: Timestamp,
) -> Result<Granted, LimitBroken> {
    let granted = grant(limits, owner, asked, None, now)?;
    match limit_for(limits, owner).and_then(|limit| limit.max_lifetime) {
        Some(period) if asked.expires.is_none() => Err(LimitBroken::Endless(PeriodInWords(period))),
        _ => Ok(granted),
    }
}

/// Whether an owner who has `tokens` that have not expired may have another one, where `most` are allowed.
///
/// # Errors
///
/// [`LimitBroken::PerOwner`].
pub fn another(most: u32, tokens: u64) -> Result<(), LimitBroken> {
    if tokens < most.into() { Ok(()) } else { Err(LimitBroken::PerOwner(most)) }
}

/// Whether a token of `owner` may have `scope` from now on.
///
/// # Errors
///
/// [`LimitBroken::Scope`].
pub fn rescope(limits: &[Limit], owner: &TokenOwner, scope: Scope) -> Result<(), LimitBroken> {
    let max = limit_for(limits, owner).and_then(|limit| limit.max_scope);
    max.filter(|max| scope > *max).map_or(Ok(()), |max| Err(LimitBroken::Scope(max)))
}

/// Whether a token of `owner` may have `description` from now on.
///
/// # Errors
///
/// [`LimitBroken::Description`].
pub fn rename(limits: &[Limit], owner: &TokenOwner, description: &str) -> Result<(), LimitBroken> {
    match_description(limit_for(limits, owner), description)
}

fn match_description(limit: Option<&Limit>, description: &str) -> Result<(), LimitBroken> {
    match limit.and_then(|limit| limit.description.as_ref()) {
        Some(pattern) if !pattern.matches(description) => Err(LimitBroken::Description(pattern.to_string())),
        _ => Ok(()),
    }
}

fn expiry(
    asked: Option<Timestamp>,
    max_lifetime: Option<Period>,
    parent_expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, LimitBroken> {
    let latest = max_lifetime.map(|period| period.after(now));
    let Some(asked) = asked else {
        return Ok([latest, parent_expires].into_iter().flatten().min());
    };
    if asked <= now {
        return Err(LimitBroken::Past);
    }
    if let Some(period) = max_lifetime.filter(|period| asked > period.after(now)) {
        return Err(LimitBroken::Lifetime(PeriodInWords(period)));
    }
    if let Some(parent) = parent_expires.filter(|&parent| asked > parent) {
        return Err(LimitBroken::ParentLifetime(parent));
    }
    Ok(Some(asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Memberships, Person},
        model::{GroupName, Pattern, UserName, permission::Groups},
    };

    fn bot() -> Person {
        Person {
            name: UserName::new("bot"),
            groups: [GroupName::new("CI-Bots")].into_iter().collect(),
            active: true,
            administrator: false,
        }
    }

    fn now() -> Timestamp {
        "2026-01-31T00:00:00Z".parse().unwrap()
    }

    fn asked(scope: Scope, expires: Option<&str>) -> RequestedToken<'static> {
        RequestedToken {
            scope,
            expires: expires.map(|text| text.parse().unwrap()),
            description: "OPS-1 backup",
        }
    }

    fn granted(limit: Limit, asked: RequestedToken<'_>, parent: Option<Parent>) -> Result<Granted, String> {
        grant(&[limit], &bot().into(), asked, parent, now()).map_err(|broken| broken.to_string())
    }

    #[test]
    fn the_first_entry_that_matches_the_owner_counts() {
        let of = |group: Option<&str>, max_per_owner| Limit {
            groups: group.and_then(|name| Groups::new([GroupName::new(name)])),
            max_per_owner: Some(max_per_owner),
            ..Limit::default()
        };
        let for_projects = Limit { projects: ["*".to_owned()].into(), ..Limit::default() };
        let limits = [for_projects, of(Some("developers"), 1), of(Some("ci-bots"), 2), of(None, 3)];
        assert_eq!(limit_for(&limits, &bot().into()), limits.get(2));
        let somebody = Person { groups: Memberships::default(), ..bot() }.into();
        assert_eq!(limit_for(&limits, &somebody), limits.get(3));
        assert_eq!(limit_for(&limits[..3], &somebody), None);
        let project = TokenOwner::Project("PLAT".to_owned());
        assert_eq!(limit_for(&limits, &project), limits.first());
        assert_eq!(limit_for(&limits[1..], &project), None, "an entry without groups is for users");
    }

    #[test]
    fn who_leaves_the_expiry_open_gets_the_latest_that_is_allowed() {
        let limit = Limit { max_lifetime: Some("1mo".parse().unwrap()), ..Limit::default() };
        let open = asked(Scope::ReadOnly, None);
        let expires = |parent| {
            let granted = granted(limit.clone(), open, parent).unwrap();
            granted.expires.map(|expires| expires.to_string())
        };
        assert_eq!(expires(None).as_deref(), Some("2026-02-28T00:00:00Z"));
        let parent = |text: &str| Parent { scope: Scope::ReadWrite, expires: text.parse().ok() };
        assert_eq!(expires(Some(parent("2026-02-10T00:00:00Z"))).as_deref(), Some("2026-02-10T00:00:00Z"));
        assert_eq!(expires(Some(parent("2027-01-01T00:00:00Z"))).as_deref(), Some("2026-02-28T00:00:00Z"));
        assert_eq!(granted(Limit::default(), open, None).unwrap().expires, None);
    }

    #[test]
    fn what_breaks_a_limit_is_told_in_the_words_of_the_app() {
        let lifetime = |text: &str| Limit { max_lifetime: text.parse().ok(), ..Limit::default() };
        let far = asked(Scope::ReadOnly, Some("2036-01-01T00:00:00Z"));
        let parent =
            Parent { scope: Scope::ReadOnly, expires: Some("2026-03-01T00:00:00Z".parse().unwrap()) };
        let read_only = Limit { max_scope: Some(Scope::ReadOnly), ..Limit::default() };
        let described = Limit { description: Pattern::new("^X").ok(), ..Limit::default() };
        let told: Vec<String> = [
            granted(lifetime("1y"), far, None),
            granted(lifetime("90d"), far, None),
            granted(lifetime("1h"), far, None),
            granted(Limit::default(), far, Some(parent)),
            granted(Limit::default(), asked(Scope::ReadWrite, None), Some(parent)),
            granted(Limit::default(), asked(Scope::ReadOnly, Some("2026-01-31T00:00:00Z")), None),
            granted(read_only, asked(Scope::ReadWrite, None), None),
            granted(described, asked(Scope::ReadOnly, None), None),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        The custom expiration you've provided is greater than the maximum defined by your administrator. You need to provide a date within the next 12 months.
        The custom expiration you've provided is greater than the maximum defined by your administrator. You need to provide a date within the next 90 days.
        The custom expiration you've provided is greater than the maximum defined by your administrator. You need to provide a date within the next hour.
        A token made with another token cannot expire later than that one. You need to provide a date until 2026-03-01T00:00:00Z.
        A token made with another token cannot reach farther than that one, which is read-only.
        The expiration you've provided lies in the past.
        The scope you've asked for is wider than the maximum defined by your administrator, which is read-only.
        The description must match the pattern defined by your administrator: ^X
        ");
    }

    #[test]
    fn an_expiry_at_the_very_limit_is_granted() {
        let limit = Limit { max_lifetime: Some("1y".parse().unwrap()), ..Limit::default() };
        assert!(granted(limit.clone(), asked(Scope::ReadWrite, Some("2027-01-31T00:00:00Z")), None).is_ok());
        assert!(granted(limit, asked(Scope::ReadWrite, Some("2027-01-31T00:00:00.001Z")), None).is_err());
    }
}
