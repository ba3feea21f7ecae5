//! That the cells are all there are, and that the requests of a cell are decided on alike.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use jiff::{Timestamp, ToSpan};
use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    access::{Credentials, Held, Operation, Passed, PassedKind, Person, TokenOwner, TokenOwnership},
    model::{
        AddressSet, AllowedNetworks, ClientAddressSource, GroupName, HeaderName, Restriction, Scope, TokenId,
        TokenScope, UserName,
        network::AddressRange,
        settings::{Permissions, password::PasswordExceptions},
    },
};

const GROUPS: [&str; 6] = ["a", "b", "c", "d", "e", "administrators"];
const NAMES: [&str; 8] = ["root", "ROOT", "svc-deploy", "svc-x", "x-deploy", "mary", "sv", "deploy"];
const NAME_PATTERNS: [&str; 6] = ["root", "svc-*", "*-deploy", "s*d*", "*", "mary"];
const PATHS: [&str; 7] =
    ["/", "/rest/api", "/rest/", "/scm/a/b.git/info/refs", "/health", "/rest/api/x", "/x"];
const PATH_PATTERNS: [&str; 6] = ["/rest/*", "/health", "*refs", "/rest/api*", "*", "/scm/*/info/*"];
const HEADERS: [&str; 2] = ["X-Forwarded-For", "X-Real-IP"];
const RANGES: [&str; 9] = [
    "10.0.0.0/30",
    "10.0.0.2-10.0.0.9",
    "10.0.0.8/29",
    "192.0.2.0/24",
    "0.0.0.0/1",
    "2001:db8::/126",
    "2001:db8::2-2001:db8::9",
    "fd00::/8",
    "10.0.0.5",
];
/// The ends of the ranges, and what lies beside them.
const ADDRESSES: [&str; 22] = [
    "9.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.9",
    "10.0.0.10",
    "10.0.0.15",
    "10.0.0.16",
    "192.0.2.0",
    "192.0.2.255",
    "192.0.3.0",
    "127.255.255.255",
    "128.0.0.0",
    "2001:db8::1",
    "2001:db8::4",
    "2001:db8::9",
    "2001:db8::a",
    "fd00::1",
    "::ffff:10.0.0.1",
];

fn address() -> impl Strategy<Value = IpAddr> {
    select(&ADDRESSES[..]).prop_map(|text| text.parse().unwrap())
}

fn addresses() -> impl Strategy<Value = AddressSet> {
    proptest::collection::vec(select(&RANGES[..]), 1..4)
        .prop_map(|texts| texts.iter().map(|text| text.parse::<AddressRange>().unwrap()).collect())
}

fn groups() -> impl Strategy<Value = BTreeSet<GroupName>> {
    proptest::collection::btree_set(select(&GROUPS[..]).prop_map(GroupName::new), 0..4)
}

fn holders() -> impl Strategy<Value = Holders> {
    prop_oneof![1 => Just(Holders::Everyone), 1 => Just(Holders::Nobody), 4 => groups().prop_map(Holders::of)]
}

fn settings() -> impl Strategy<Value = Settings> {
    let permissions = (holders(), holders(), holders(), holders()).prop_map(
        |(use_tokens, create, create_read_write, manage_others)| Permissions {
            use_tokens,
            create,
            create_read_write,
            manage_others,
        },
    );
    let networks = prop_oneof![
        1 => Just(AllowedNetworks::Anywhere),
        3 => addresses().prop_map(|set| AllowedNetworks::only(set).unwrap()),
    ];
    let header = (select(&HEADERS[..]), addresses()).prop_map(|(name, trusted_proxies)| {
        ClientAddressSource::Header { name: HeaderName::new(name).unwrap(), trusted_proxies }
    });
    let client_address = prop_oneof![Just(ClientAddressSource::Peer), header];
    let patterns = |of: &'static [&'static str]| proptest::collection::btree_set(select(of), 0..3);
    let exceptions = (patterns(&NAME_PATTERNS), patterns(&PATH_PATTERNS)).prop_map(|(users, paths)| {
        PasswordAuthentication::Disabled(PasswordExceptions {
            users: users.into_iter().map(UserName::new).collect(),
            paths: paths.into_iter().map(str::to_owned).collect(),
        })
    });
    let passwords = prop_oneof![1 => Just(PasswordAuthentication::Allowed), 3 => exceptions];
    (permissions, networks, client_address, passwords).prop_map(
        |(permissions, networks, client_address, password_authentication)| Settings {
            permissions,
            networks,
            client_address,
            password_authentication,
            limits: Vec::new(),
        },
    )
}

/// Two settings that differ in everything, or only in some.
fn pairs() -> impl Strategy<Value = (Settings, Settings)> {
    (settings(), settings(), proptest::collection::vec(any::<bool>(), 4)).prop_map(|(one, other, keep)| {
        let mut near = other;
        let parts: [fn(&mut Settings, &Settings); 4] = [
            |near, one| near.permissions = one.permissions.clone(),
            |near, one| near.networks = one.networks.clone(),
            |near, one| near.client_address = one.client_address.clone(),
            |near, one| near.password_authentication = one.password_authentication.clone(),
        ];
        for (part, keep) in parts.iter().zip(keep) {
            if keep {
                part(&mut near, &one);
            }
        }
        (one, near)
    })
}

fn person() -> impl Strategy<Value = Person> {
    (select(&NAMES[..]), groups(), proptest::bool::weighted(0.9), any::<bool>()).prop_map(
        |(name, groups, active, administrator)| Person {
            name: UserName::new(name),
            groups: groups.into(),
            active,
            administrator,
        },
    )
}

fn owner() -> impl Strategy<Value = TokenOwner> {
    prop_oneof![
        4 => person().prop_map(TokenOwner::User),
        1 => Just(TokenOwner::Project("PLAT".to_owned())),
        1 => Just(TokenOwner::Repository { project: "PLAT".to_owned(), slug: "app".to_owned() }),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    select(&[Scope::ReadOnly, Scope::ReadWrite][..])
}

fn end() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::weighted(0.4, (-1_i64..5).prop_map(|days| Timestamp::UNIX_EPOCH + (24 * days).hours()))
}

fn credentials() -> impl Strategy<Value = Credentials> {
    let token_scope =
        prop_oneof![Just(TokenScope::Unset), Just(TokenScope::Unknown), scope().prop_map(TokenScope::Set)];
    let token = (owner(), token_scope, end(), end(), proptest::option::of(scope())).prop_map(
        |(owner, scope, expires, not_after, max_scope)| {
            let restriction = Restriction { not_after, max_scope };
            Credentials::Token(Held { id: TokenId::new("7"), owner, scope, expires, restriction })
        },
    );
    let user = || select(&NAMES[..]).prop_map(UserName::new);
    let kind = prop_oneof![
        2 => user().prop_map(|user| PassedKind::Password { user }),
        1 => Just(PassedKind::Bearer),
        1 => any::<bool>().prop_map(|anywhere| PassedKind::Browser { anywhere }),
    ];
    let passed = (kind, proptest::option::of(person()))
        .prop_map(|(kind, person)| Credentials::Passed(Passed { kind, person }));
    prop_oneof![
        1 => Just(Credentials::None),
        1 => Just(Credentials::Invalid),
        1 => Just(Credentials::Operator),
        1 => user().prop_map(|user| Credentials::UnverifiedPassword { user }),
        4 => person().prop_map(Credentials::Password),
        8 => token,
        4 => passed,
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let target = || {
        prop_oneof![
            Just(TokenOwnership::Own),
            any::<bool>()
                .prop_map(|owner_is_administrator| TokenOwnership::Others { owner_is_administrator })
        ]
    };
    let to_own = || proptest::option::weighted(0.8, owner());
    prop_oneof![
        1 => Just(Operation::ReadOpen),
        3 => Just(Operation::Enter),
        2 => scope().prop_map(|needs| Operation::Git { needs }),
        1 => Just(Operation::WhoAmI),
        1 => Just(Operation::ReadDirectory),
        1 => Just(Operation::ListOwn),
        1 => Just(Operation::ListAll),
        2 => scope().prop_map(|scope| Operation::CreateOwn { scope }),
        3 => (to_own(), scope()).prop_map(|(owner, scope)| Operation::CreateFor { owner, scope }),
        2 => target().prop_map(Operation::Narrow),
        3 => (target(), to_own(), scope())
            .prop_map(|(target, owner, scope)| Operation::Rescope { target, owner, scope }),
        2 => target().prop_map(Operation::Revoke),
        1 => Just(Operation::RevokeAllFor),
        1 => Just(Operation::ReadSettings),
        1 => Just(Operation::WriteSettings),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let entry = prop_oneof![6 => select(&ADDRESSES[..]), 1 => Just("unknown")];
    let value = proptest::collection::vec(entry, 1..5).prop_map(|entries| entries.join(", "));
    let name = select(&["X-Forwarded-For", "x-forwarded-for", "X-Real-IP", "Other"][..]);
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..3)
}

/// What requests are put together from.
#[derive(Clone, Debug)]
struct Parts {
    origins: Vec<(IpAddr, Vec<(String, String)>)>,
    credentials: Vec<Credentials>,
    operations: Vec<Operation>,
    seed: u64,
}

fn parts() -> impl Strategy<Value = Parts> {
    let origins = proptest::collection::vec((address(), headers()), 40);
    let credentials = proptest::collection::vec(credentials(), 60);
    let operations = proptest::collection::vec(operation(), 30);
    (origins, credentials, operations, any::<u64>())
        .prop_map(|(origins, credentials, operations, seed)| Parts { origins, credentials, operations, seed })
}

impl Parts {
    /// As many requests, each with its parts drawn again.
    fn asks(&self, count: usize) -> impl Iterator<Item = Ask> {
        const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "BREW"];
        let mut state = self.seed | 1;
        let mut draw = move |below: usize| {
            // Marsaglia's xorshift: any sequence will do that is spread well.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % 1_000_003).unwrap() % below
        };
        (0..count).map(move |_| {
            let (peer, headers) = self.origins[draw(self.origins.len())].clone();
            let day = i64::try_from(draw(3)).unwrap();
            Ask {
                peer,
                headers,
                method: METHODS[draw(METHODS.len())].to_owned(),
                path: PATHS[draw(PATHS.len())].to_owned(),
                credentials: self.credentials[draw(self.credentials.len())].clone(),
                operation: self.operations[draw(self.operations.len())].clone(),
                at: Timestamp::UNIX_EPOCH + (24 * day).hours(),
            }
        })
    }
}

/// That each of `count` requests of `parts` is in a cell, and decided on as the request of the cell.
fn are_in_cells(views: &[&Settings], parts: &Parts, count: usize) -> Result<(), TestCaseError> {
    let cells: HashMap<Key, Ask> = Cells::of(views).unwrap().iter().collect();
    for (key, one) in &cells {
        prop_assert_eq!(&Key::of(views, one), key);
    }
    for ask in parts.asks(count) {
        let key = Key::of(views, &ask);
        let Some(one) = cells.get(&key) else {
            return Err(TestCaseError::fail(format!("no cell for {key:?}\n{ask:?}")));
        };
        prop_assert_eq!(decisions(views, &ask), decisions(views, one), "{:?}\n{:?}\n{:?}", key, ask, one);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_decided_on_as_the_one_that_stands_for_its_cell(
        (one, other) in pairs(),
        parts in parts(),
    ) {
        // A million in all: it is the proof that a comparison of policies rests on.
        are_in_cells(&[&one, &other], &parts, 4_000)?;
    }

    #[test]
    fn one_set_of_settings_has_its_cells_too(one in settings(), parts in parts()) {
        are_in_cells(&[&one], &parts, 200)?;
    }
}
