//! How several policy files become one policy.

use std::sync::Arc;

use proptest::prelude::*;
use tokenwarden::{
    model::{Action, Holders, Permission, RuleCode, SettingKey},
    policy::{self, Reading},
};

fn read(layers: &[(&str, &str)]) -> Reading {
    let files: Vec<_> =
        layers.iter().map(|(name, text)| (Arc::from(*name), text.as_bytes().to_vec())).collect();
    policy::read(&files)
}

#[test]
fn a_later_layer_overrides_key_by_key_and_every_value_keeps_its_place() {
    let base = "version: 1\npermissions:\n  use: everyone\n  create: [a]\ntokens:\n  enforcement: { scope: narrow, idle: revoke }\n";
    let prod = "version: 1\npermissions:\n  create: [b]\ntokens:\n  enforcement:\n    idle: report\n";
    let policy = read(&[("base.yaml", base), ("prod.yaml", prod)]).policy.expect("a valid policy");
    let permission = |permission| {
        let (holders, place) = policy.holders(permission).expect("managed");
        (holders.clone(), place.to_string())
    };
    assert_eq!(permission(Permission::Use), (Holders::Everyone, "base.yaml:3".to_owned()));
    assert_eq!(permission(Permission::Create), (Holders::of(["b".into()]), "prod.yaml:3".to_owned()));
    assert_eq!(policy.enforcement.action(&RuleCode::Scope.into()), Action::Narrow);
    assert_eq!(policy.enforcement.action(&RuleCode::Idle.into()), Action::Report);
    assert_eq!(
        policy.enforcement.place_of(&RuleCode::Idle.into()).map(ToString::to_string),
        Some("prod.yaml:6".to_owned())
    );
}

#[test]
fn a_list_is_replaced_whole() {
    let base = "version: 1\nnetwork: { allow: [10.0.0.0/8] }\ntokens: { limits: [{ max_idle: 1d }, { max_idle: 2d, groups: [a] }] }\n";
    let prod = "version: 1\nnetwork: { allow: [192.0.2.0/24] }\ntokens: { limits: [{ max_idle: 3d }] }\n";
    let policy = read(&[("base.yaml", base), ("prod.yaml", prod)]).policy.expect("a valid policy");
    assert_eq!(policy.wanted(SettingKey::Networks).expect("managed").value.to_string(), "192.0.2.0/24");
    assert_eq!(policy.limits.get().expect("managed").value.len(), 1);
}

#[test]
fn unmanaged_takes_a_key_of_an_earlier_layer_out() {
    let base = "version: 1\npermissions: { use: everyone, create: [a] }\nnetwork: { allow: anywhere }\ntokens: { enforcement: { idle: revoke } }\n";
    let prod = "version: 1\npermissions: { create: unmanaged }\nnetwork: unmanaged\ntokens: { enforcement: { idle: unmanaged } }\n";
    let policy = read(&[("base.yaml", base), ("prod.yaml", prod)]).policy.expect("a valid policy");
    assert_eq!(policy.settings.keys().collect::<Vec<_>>(), [&SettingKey::Permission(Permission::Use)]);
    assert_eq!(policy.enforcement.action(&RuleCode::Idle.into()), Action::Report);
    let again = "version: 1\nnetwork: { allow: [10.0.0.0/8] }\n";
    let layers = [("base.yaml", base), ("prod.yaml", prod), ("again.yaml", again)];
    let policy = read(&layers).policy.expect("a valid policy");
    assert_eq!(
        policy.wanted(SettingKey::Networks).map(|set| set.place.to_string()),
        Some("again.yaml:2".to_owned())
    );
}

#[test]
fn keys_that_belong_together_may_come_from_different_layers() {
    let base = "version: 1\nnetwork: { client_address: { header: X-Real-IP } }\n";
    let prod = "version: 1\nnetwork: { client_address: { trusted_proxies: [10.0.0.5] } }\n";
    let reading = read(&[("base.yaml", base), ("prod.yaml", prod)]);
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let source = reading.policy.expect("a valid policy").wanted(SettingKey::ClientAddress);
    assert_eq!(source.expect("managed").value.to_string(), "X-Real-IP from 10.0.0.5");
}

#[test]
fn a_mistake_in_a_value_that_a_later_layer_overrides_is_still_a_mistake() {
    let base = "version: 1\nnetwork: { allow: [10.0.0.1/8] }\n";
    let prod = "version: 1\nnetwork: { allow: anywhere }\n";
    let reading = read(&[("base.yaml", base), ("prod.yaml", prod)]);
    let places: Vec<_> = reading.diagnostics.iter().map(|found| found.span.place.to_string()).collect();
    assert_eq!(places, ["base.yaml:2"]);
}

#[test]
fn a_layer_that_cannot_be_read_leaves_the_mistakes_of_the_others_visible() {
    let reading = read(&[("base.yaml", "a: [\n"), ("prod.yaml", "version: 1\npermissions: { use: [] }\n")]);
    let codes: Vec<_> = reading.diagnostics.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["syntax", "empty-groups"]);
    assert_eq!(reading.policy, None);
}

fn holders() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("everyone".to_owned()),
        Just("nobody".to_owned()),
        "[a-c]{1,2}".prop_map(|group| format!("[{group}]"))
    ]
}

prop_compose! {
    /// A layer of some permissions and rules.
    fn layer()(
        permissions in proptest::collection::btree_map("use|create", holders(), 0..3),
        rules in proptest::collection::btree_map("idle|scope|lifetime", "report|revoke", 0..4),
    ) -> String {
        let lines = |keys: std::collections::BTreeMap<String, String>| {
            keys.into_iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
        };
        format!("version: 1\npermissions: {{{}}}\ntokens: {{ enforcement: {{{}}} }}\n", lines(permissions), lines(rules))
    }
}

proptest! {
    #[test]
    fn the_last_layer_that_says_something_counts(layers in proptest::collection::vec(layer(), 1..5)) {
        let named: Vec<_> = layers.iter().map(|text| ("layer.yaml", text.as_str())).collect();
        let merged = read(&named).policy.expect("a valid policy");
        let alone: Vec<_> = named.iter().map(|layer| read(&[*layer]).policy.expect("a valid policy")).collect();
        for permission in [Permission::Use, Permission::Create] {
            let last = alone.iter().rev().find_map(|policy| policy.holders(permission));
            prop_assert_eq!(merged.holders(permission).map(|(holders, _)| holders), last.map(|(holders, _)| holders));
        }
        for rule in [RuleCode::Idle, RuleCode::Scope, RuleCode::Lifetime] {
            let last = alone.iter().rev().find_map(|policy| policy.enforcement.rules.get(&rule.into()));
            prop_assert_eq!(merged.enforcement.rules.get(&rule.into()).map(|set| set.value), last.map(|set| set.value));
        }
    }

    #[test]
    fn a_layer_twice_is_the_layer_once(layer in layer()) {
        let once = read(&[("layer.yaml", &layer)]).policy;
        prop_assert_eq!(read(&[("layer.yaml", &layer), ("layer.yaml", &layer)]).policy, once);
    }
}
