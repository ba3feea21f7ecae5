//! The settings in the document of a foreign server, and the document with one of them changed. Nothing
//! else of the document is touched, no place is made that is not there, and the meaning of a value is never
//! guessed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    inventory::Form,
    model::{
        AddressSet, AllowedNetworks, ClientAddressSource, GroupName, HeaderName, Holders, Limit,
        PasswordAuthentication, SettingKey, Settings,
        mapping::{Entries, Field},
        network::{AddressRange, network_text},
    },
};

use super::place::{flag, number, place, put, put_texts, texts};

type Fields = BTreeMap<SettingKey, Field>;

/// The settings in `document`, and why some of `fields` could not be read. Those that could not, and those
/// without a field, are as a server has them that restricts nothing.
pub(super) fn read(fields: &Fields, document: &Value) -> (Settings, BTreeMap<SettingKey, String>) {
    let mut settings = Settings::unrestricted();
    let mut unreadable = BTreeMap::new();
    for (key, field) in fields {
        if let Err(problem) = read_one(*key, field, document, &mut settings) {
            unreadable.insert(*key, problem);
        }
    }
    (settings, unreadable)
}

/// The forms of those of `fields` that cannot hold everything.
pub(super) fn forms(fields: &Fields) -> BTreeMap<SettingKey, Form> {
    let form = |field: &Field| match field {
        Field::Flag { .. } => Some(Form::Switch),
        Field::Groups { everyone: None, .. } => Some(Form::Groups),
        Field::ClientAddress { entries: Entries::Text, .. } => Some(Form::OneProxy),
        Field::Lifetime { unit, never, .. } => {
            Some(Form::LongestLifetime { unit: *unit, or_none: never.is_some() })
        }
        Field::Groups { .. } | Field::Networks { .. } | Field::ClientAddress { .. } => None,
    };
    fields.iter().filter_map(|(key, field)| Some((*key, form(field)?))).collect()
}

fn read_one(key: SettingKey, field: &Field, document: &Value, into: &mut Settings) -> Result<(), String> {
    match (key, field) {
        (SettingKey::Permission(permission), Field::Flag { pointer, inverted }) => {
            let everyone = flag(document, pointer)? != *inverted;
            *into.permissions.of_mut(permission) = if everyone { Holders::Everyone } else { Holders::Nobody };
        }
        (SettingKey::Permission(permission), Field::Groups { pointer, entries, everyone }) => {
            let groups = Holders::of(texts(document, pointer, entries)?.into_iter().map(GroupName::new));
            let everyone = everyone.as_ref().map(|pointer| flag(document, pointer)).transpose()?;
            *into.permissions.of_mut(permission) =
                if everyone == Some(true) { Holders::Everyone } else { groups };
        }
        (SettingKey::Networks, Field::Networks { pointer, entries }) => {
            into.networks = AllowedNetworks::only(addresses(document, pointer, entries)?)
                .unwrap_or(AllowedNetworks::Anywhere);
        }
        (SettingKey::ClientAddress, Field::ClientAddress { pointer, entries, header }) => {
            let trusted_proxies = addresses(document, pointer, entries)?;
            let name = texts(document, header, &Entries::Text)?.pop();
            into.client_address = match name.filter(|_| !trusted_proxies.is_empty()) {
                Some(name) => {
                    let name = HeaderName::new(name).map_err(|error| format!("`{header}`: {error}"))?;
                    ClientAddressSource::Header { name, trusted_proxies }
                }
                None => ClientAddressSource::Peer,
            };
        }
        (SettingKey::PasswordAuthentication, Field::Flag { pointer, inverted }) => {
            into.password_authentication = if flag(document, pointer)? == *inverted {
                PasswordAuthentication::disabled()
            } else {
                PasswordAuthentication::Allowed
            };
        }
        (SettingKey::Limits, Field::Lifetime { pointer, unit, never }) => {
            let count = number(document, pointer)?;
            let none = |count: &u32| Some(*count) == *never;
            let longest = count.filter(|count| !none(count)).map(|count| {
                let count = u16::try_from(count).ok().filter(|count| *count > 0);
                count.map(|count| unit.times(count)).ok_or_else(|| {
                    format!("`{pointer}` holds no length of time; does `never` say what stands for none?")
                })
            });
            let limit = |period| Limit { max_lifetime: Some(period), ..Limit::default() };
            into.limits = longest.transpose()?.map(limit).into_iter().collect();
        }
        // INVARIANT: each field has the variant of its key.
        _ => return Err(WRONG_FIELD.to_owned()),
    }
    Ok(())
}

const WRONG_FIELD: &str = "the mapping has another kind of field for it";

/// Puts the setting `key` of `settings` into `document`, and touches nothing else of it.
///
/// # Errors
///
/// When it does not fit there.
pub(super) fn write(
    key: SettingKey,
    field: &Field,
    settings: &Settings,
    document: &mut Value,
) -> Result<(), String> {
    match (key, field) {
        (SettingKey::Permission(permission), Field::Flag { pointer, inverted }) => {
            let everyone = match settings.permissions.of(permission) {
                Holders::Everyone => true,
                Holders::Nobody => false,
                Holders::Groups(_) => return Err(format!("`{pointer}` has no room for groups")),
            };
            put(document, pointer, json!(everyone != *inverted))
        }
        (SettingKey::Permission(permission), Field::Groups { pointer, entries, everyone }) => {
            let holders = settings.permissions.of(permission);
            match everyone {
                Some(everyone) => put(document, everyone, json!(*holders == Holders::Everyone))?,
                None if *holders == Holders::Everyone => {
                    return Err(format!("`{pointer}` has no room for everyone"));
                }
                None => {}
            }
            if *holders == Holders::Everyone {
                // The groups mean nothing then, and stay.
                return Ok(());
            }
            let names = holders.groups().map(|group| group.as_str().to_owned()).collect();
            put_texts(document, pointer, entries, names)
        }
        (SettingKey::Networks, Field::Networks { pointer, entries }) => {
            let networks = match &settings.networks {
                AllowedNetworks::Anywhere => Vec::new(),
                AllowedNetworks::Only(addresses) => network_texts(addresses),
            };
            put_texts(document, pointer, entries, networks)
        }
        (SettingKey::ClientAddress, Field::ClientAddress { pointer, entries, header }) => {
            match &settings.client_address {
                // Without a proxy the header is not looked at, and stays.
                ClientAddressSource::Peer => put_texts(document, pointer, entries, Vec::new()),
                ClientAddressSource::Header { name, trusted_proxies } => {
                    put(document, header, json!(name.as_str()))?;
                    put_texts(document, pointer, entries, network_texts(trusted_proxies))
                }
            }
        }
        (SettingKey::PasswordAuthentication, Field::Flag { pointer, inverted }) => {
            let allowed = match &settings.password_authentication {
                PasswordAuthentication::Allowed => true,
                disabled if *disabled == PasswordAuthentication::disabled() => false,
                PasswordAuthentication::Disabled(_) => {
                    return Err(format!("`{pointer}` has no room for exceptions"));
                }
            };
            put(document, pointer, json!(allowed != *inverted))
        }
        (SettingKey::Limits, Field::Lifetime { pointer, unit, never }) => {
            let longest = settings.limits.first().and_then(|limit| limit.max_lifetime);
            let count = longest.map(|period| u32::from(period.count(*unit)));
            if count.is_some() && count == *never {
                return Err(format!("the number for it stands for no limit at `{pointer}`"));
            }
            let count = count.or(*never);
            let count =
                count.ok_or_else(|| format!("nothing says what stands at `{pointer}` for no limit"))?;
            let is_text = place(document, pointer)?.is_string();
            put(document, pointer, if is_text { json!(count.to_string()) } else { json!(count) })
        }
        // INVARIANT: each field has the variant of its key.
        _ => Err(WRONG_FIELD.to_owned()),
    }
}

fn network_texts(addresses: &AddressSet) -> Vec<String> {
    addresses.networks().into_iter().map(network_text).collect()
}

fn addresses(document: &Value, pointer: &str, entries: &Entries) -> Result<AddressSet, String> {
    let texts = texts(document, pointer, entries)?;
    let range = |text: String| text.parse::<AddressRange>().map_err(|error| format!("`{pointer}`: {error}"));
    texts.into_iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Permission, lifetime::Unit};
    use proptest::prelude::*;

    /// Any document, in which the forms that settings have are common.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = "[a-c]{0,3}|10\\.0\\.0\\.[0-9]|X-[A-Z]{1,3}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (0u8..20).prop_map(Value::from),
            text.prop_map(Value::from),
            prop::collection::vec(text, 0..4).prop_map(Value::from),
            prop::collection::vec(text.prop_map(|name| json!({"name": name, "id": 7})), 0..3)
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-c/~]{1,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The places of everything in `value`, but the whole.
    fn places(value: &Value, at: &str, into: &mut Vec<String>) {
        let members: Vec<(String, &Value)> = match value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
            }
            Value::Object(members) => {
                let escaped = |key: &String| key.replace('~', "~0").replace('/', "~1");
                members.iter().map(|(key, member)| (escaped(key), member)).collect()
            }
            _ => Vec::new(),
        };
        for (key, member) in members {
            let place = format!("{at}/{key}");
            places(member, &place, into);
            into.push(place);
        }
    }

    fn any_entries() -> impl Strategy<Value = Entries> {
        prop_oneof![
            Just(Entries::List),
            Just(Entries::Objects { member: "name".to_owned() }),
            Just(Entries::CommaSeparated),
            Just(Entries::Text),
        ]
    }

    /// A setting with a field for it at two places.
    fn any_field(first: String, second: String) -> impl Strategy<Value = (SettingKey, Field)> {
        (any_entries(), any::<bool>(), 0usize..6, prop::option::of(0u32..20)).prop_map(
            move |(entries, yes, which, never)| {
                let (pointer, other) = (first.clone(), second.clone());
                let unit = if yes { Unit::Days } else { Unit::Months };
                let create = SettingKey::Permission(Permission::Create);
                match which {
                    0 => (create, Field::Flag { pointer, inverted: yes }),
                    1 => (create, Field::Groups { pointer, entries, everyone: yes.then_some(other) }),
                    2 => (SettingKey::Networks, Field::Networks { pointer, entries }),
                    3 => {
                        (SettingKey::ClientAddress, Field::ClientAddress { pointer, entries, header: other })
                    }
                    4 => (SettingKey::PasswordAuthentication, Field::Flag { pointer, inverted: yes }),
                    _ => (SettingKey::Limits, Field::Lifetime { pointer, unit, never }),
                }
            },
        )
    }

    fn any_settings() -> impl Strategy<Value = Settings> {
        let groups = prop::collection::vec("[a-d]{1,2}", 0..3);
        let addresses = prop::collection::vec("10\\.0\\.0\\.[0-9]", 0..3);
        (any::<bool>(), groups, addresses, prop::option::of(1u16..30), any::<bool>()).prop_map(
            |(everyone, groups, addresses, months, passwords)| {
                let addresses: AddressSet =
                    addresses.iter().map(|text| text.parse::<AddressRange>().unwrap()).collect();
                let mut settings = Settings::unrestricted();
                settings.permissions.create = if everyone {
                    Holders::Everyone
                } else {
                    Holders::of(groups.into_iter().map(GroupName::new))
                };
                if !addresses.is_empty() {
                    let name = HeaderName::new("X-Forwarded-For").unwrap();
                    settings.client_address =
                        ClientAddressSource::Header { name, trusted_proxies: addresses.clone() };
                }
                settings.networks = AllowedNetworks::only(addresses).unwrap_or(AllowedNetworks::Anywhere);
                if !passwords {
                    settings.password_authentication = PasswordAuthentication::disabled();
                }
                let limit =
                    |months| Limit { max_lifetime: Some(Unit::Months.times(months)), ..Limit::default() };
                settings.limits = months.map(limit).into_iter().collect();
                settings
            },
        )
    }

    fn any_case() -> impl Strategy<Value = (Value, SettingKey, Field, Settings)> {
        let with_places = any_json().prop_filter_map("a document with two places", |document| {
            let mut found = Vec::new();
            places(&document, "", &mut found);
            (found.len() > 1).then_some((document, found))
        });
        with_places.prop_flat_map(|(document, found)| {
            let two = prop::sample::subsequence(found, 2);
            let field = two.prop_flat_map(|two| any_field(two[0].clone(), two[1].clone()));
            (Just(document), field, any_settings())
                .prop_map(|(document, (key, field), settings)| (document, key, field, settings))
        })
    }

    fn without(document: &Value, field: &Field) -> Value {
        let mut rest = document.clone();
        for pointer in field.pointers() {
            if let Some(place) = rest.pointer_mut(pointer) {
                *place = Value::Null;
            }
        }
        rest
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_written_everything_that_is_not_mapped_stays((before, key, field, settings) in any_case()) {
            let inside = |(a, b): (&str, &str)| a.starts_with(&format!("{b}/")) || b.starts_with(&format!("{a}/"));
            let pointers: Vec<&str> = field.pointers().collect();
            prop_assume!(pointers.len() < 2 || !inside((pointers[0], pointers[1])));
            let mut after = before.clone();
            prop_assume!(write(key, &field, &settings, &mut after).is_ok());
            prop_assert_eq!(without(&after, &field), without(&before, &field));
        }

        #[test]
        fn what_is_written_where_it_fits_is_what_is_read((before, key, field, settings) in any_case()) {
            let pointers: Vec<&str> = field.pointers().collect();
            let inside = |(a, b): (&str, &str)| a.starts_with(&format!("{b}/")) || b.starts_with(&format!("{a}/"));
            prop_assume!(pointers.len() < 2 || !inside((pointers[0], pointers[1])));
            let fields = BTreeMap::from([(key, field.clone())]);
            // Only what was understood before is ever written.
            prop_assume!(read(&fields, &before).1.is_empty());
            let mut after = before;
            if write(key, &field, &settings, &mut after).is_ok() {
                let (read, unreadable) = read(&fields, &after);
                prop_assert_eq!(unreadable, BTreeMap::new());
                match (key, &field) {
                    (SettingKey::Permission(_), _) => prop_assert_eq!(read.permissions.create, settings.permissions.create),
                    (SettingKey::Networks, _) => prop_assert_eq!(read.networks, settings.networks),
                    (SettingKey::ClientAddress, _) => prop_assert_eq!(read.client_address, settings.client_address),
                    (SettingKey::Limits, Field::Lifetime { unit: Unit::Months, .. }) => {
                        prop_assert_eq!(read.limits, settings.limits);
                    }
                    (SettingKey::Limits, _) => {}
                    (SettingKey::PasswordAuthentication, _) => {
                        prop_assert_eq!(read.password_authentication, settings.password_authentication);
                    }
                }
            }
        }
    }

    #[test]
    fn objects_that_stay_keep_whatever_else_they_hold() {
        let field = Field::Groups {
            pointer: "/use/groups".to_owned(),
            entries: Entries::Objects { member: "name".to_owned() },
            everyone: Some("/use/everyone".to_owned()),
        };
        let key = SettingKey::Permission(Permission::Use);
        let mut document = json!({"use": {"everyone": true, "groups": [{"name": "Devs", "id": 4}, {"name": "old"}]}, "v": 3});
        let mut settings = Settings::unrestricted();
        settings.permissions.use_tokens = Holders::of(["ci-bots", "devs"].map(GroupName::from));
        write(key, &field, &settings, &mut document).unwrap();
        let groups = json!([{"name": "Devs", "id": 4}, {"name": "ci-bots"}]);
        assert_eq!(document, json!({"use": {"everyone": false, "groups": groups}, "v": 3}));
    }

    #[test]
    fn what_is_not_understood_is_said_and_never_written_over() {
        let field = Field::Networks { pointer: "/allowed".to_owned(), entries: Entries::List };
        let fields = BTreeMap::from([(SettingKey::Networks, field.clone())]);
        for (document, words) in [
            (json!({}), "have nothing at `/allowed`"),
            (json!({"allowed": "10.0.0.1"}), "holds no list of texts"),
            (json!({"allowed": ["10.*"]}), "`10.*`"),
        ] {
            let (settings, unreadable) = read(&fields, &document);
            let problem = &unreadable[&SettingKey::Networks];
            assert!(problem.contains(words), "{problem}");
            assert_eq!(settings, Settings::unrestricted());
        }
        let mut document = json!({"allowed": {"10.0.0.1": true}});
        assert!(write(SettingKey::Networks, &field, &Settings::unrestricted(), &mut document).is_err());
        assert_eq!(document, json!({"allowed": {"10.0.0.1": true}}));
    }
}
