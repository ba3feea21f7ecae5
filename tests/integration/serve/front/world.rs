//! The people, tokens and settings of the table of requests.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use tokenwarden::{
    access::{Held, Person, TokenOwner},
    model::{
        GroupName, Owner, Restriction, Scope, Settings, TokenId, TokenScope, UserName,
        settings::SettingsDocument,
    },
};

use super::secret::secret;
use crate::support::lay_over;

/// When everything is judged. What has expired is years past, and what has not, years ahead, so that a server on the
/// system's clock judges alike.
pub(crate) const AT: &str = "2026-11-27T12:00:00Z";
const SOON: &str = "2026-11-27T12:00:01Z";
const PAST: &str = "2021-01-01T00:00:00Z";
const FUTURE: &str = "2099-01-01T00:00:00Z";

/// Name, groups, whether active; the password of everybody is `pw-` and the name.
pub(crate) const USERS: [(&str, &[&str], bool); 6] = [
    ("root", &["administrators"], true),
    ("sam", &["developers", "token-admins"], true),
    ("mary", &["developers"], true),
    ("bob", &["contractors"], true),
    ("gone", &["developers"], false),
    ("bot", &["ci-bots"], true),
];

/// A token of the server behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRow {
    /// By which the rows of the table call it.
    pub(crate) name: &'static str,
    /// Its identifier.
    pub(crate) id: &'static str,
    /// Its owner, as plans write one.
    pub(crate) owner: &'static str,
    /// 1 reads, 2 writes, 0 is not told by the server behind.
    pub(crate) scope: u8,
    /// When it expires.
    pub(crate) expires: Option<&'static str>,
    /// When the gateway ends it.
    pub(crate) not_after: Option<&'static str>,
    /// Whether the gateway lets it only read.
    pub(crate) narrowed: bool,
}

const fn token(name: &'static str, id: &'static str, owner: &'static str, scope: u8) -> TokenRow {
    TokenRow { name, id, owner, scope, expires: None, not_after: None, narrowed: false }
}

pub(crate) const TOKENS: [TokenRow; 15] = [
    token("mary-ro", "100000000001", "mary", 1),
    token("mary-rw", "100000000002", "mary", 2),
    TokenRow { expires: Some(PAST), ..token("expired", "100000000003", "mary", 2) },
    TokenRow { not_after: Some(PAST), ..token("ended", "100000000004", "mary", 2) },
    TokenRow { narrowed: true, ..token("narrowed", "100000000005", "mary", 2) },
    TokenRow {
        expires: Some(FUTURE),
        not_after: Some(FUTURE),
        ..token("lasting", "100000000006", "mary", 2)
    },
    token("untold", "100000000007", "mary", 0),
    token("sam-rw", "100000000008", "sam", 2),
    token("root-rw", "100000000009", "root", 2),
    token("bob-ro", "100000000010", "bob", 1),
    token("gone-rw", "100000000011", "gone", 2),
    token("bot-rw", "000000000012", "bot", 2),
    token("project-rw", "100000000013", "project PLAT", 2),
    token("repository-ro", "100000000014", "repository PLAT/app", 1),
    TokenRow { expires: Some(PAST), narrowed: true, ..token("gone-expired", "100000000015", "gone", 1) },
];

/// What can change of a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    scope: u8,
    expires: Option<&'static str>,
    not_after: Option<&'static str>,
    narrowed: bool,
}

/// Any state: each end is none, long past, this very moment, the one after, or far away.
pub(crate) fn any_state() -> impl Strategy<Value = State> {
    let end = || proptest::sample::select(&[None, Some(PAST), Some(AT), Some(SOON), Some(FUTURE)][..]);
    (0..3u8, end(), end(), any::<bool>()).prop_map(|(scope, expires, not_after, narrowed)| State {
        scope,
        expires,
        not_after,
        narrowed,
    })
}

/// A token that there is not.
pub(crate) const NO_TOKEN: &str = "199999999999";

impl TokenRow {
    pub(crate) fn named(name: &str) -> &'static Self {
        TOKENS.iter().find(|token| token.name == name).unwrap_or_else(|| panic!("no token {name}"))
    }

    /// The same in another state: as far as it reaches, its end, and how it is restricted.
    pub(crate) fn in_state(self, State { scope, expires, not_after, narrowed }: State) -> Self {
        Self { scope, expires, not_after, narrowed, ..self }
    }

    pub(crate) fn secret(&self) -> String {
        secret(self.id, [self.id.as_bytes()[11]; 20])
    }

    /// What the mirror has of it.
    pub(crate) fn held(&self) -> Held {
        let time = |text: Option<&str>| text.map(|text| text.parse::<Timestamp>().unwrap());
        Held {
            id: TokenId::new(self.id),
            owner: owner(&self.owner.parse().unwrap()).unwrap(),
            scope: match self.scope {
                1 => TokenScope::Set(Scope::ReadOnly),
                2 => TokenScope::Set(Scope::ReadWrite),
                // What the server behind does not say is for that server to judge.
                _ => TokenScope::Unset,
            },
            expires: time(self.expires),
            restriction: Restriction {
                not_after: time(self.not_after),
                max_scope: self.narrowed.then_some(Scope::ReadOnly),
            },
        }
    }
}

/// The user `name`, as the mirror knows that one.
pub(crate) fn person(name: &str) -> Option<Person> {
    let (name, groups, active) = USERS.iter().find(|(user, ..)| user.eq_ignore_ascii_case(name))?;
    Some(Person {
        name: UserName::new(*name),
        groups: groups.iter().map(|group| GroupName::new(*group)).collect(),
        active: *active,
        administrator: groups.contains(&"administrators"),
    })
}

pub(crate) fn owner(name: &Owner) -> Option<TokenOwner> {
    TokenOwner::of(name, |user| person(user.as_str()).ok_or(())).ok()
}

/// The settings of a new server with `part` laid over, both as documents.
pub(crate) fn settings(part: &str) -> Settings {
    let initial = Settings::initial(GroupName::new("administrators"));
    let mut document = serde_json::to_value(SettingsDocument::from(&initial)).unwrap();
    lay_over(
        &mut document,
        serde_json::from_str::<Value>(part).unwrap_or_else(|error| panic!("{part}: {error}")),
    );
    let read: SettingsDocument =
        serde_json::from_value(document).unwrap_or_else(|error| panic!("{part}: {error}"));
    Settings::try_from(&read).unwrap_or_else(|error| panic!("{part}: {error}"))
}
