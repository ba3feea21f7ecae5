//! What a target cannot do is held back, and the config file says whether that makes a run fail.

use std::collections::{BTreeMap, BTreeSet};

use tokenwarden::{
    inventory::{Capabilities, Expiry},
    model::{Scope, SettingKey, Token, TokenScope, rails::Unsupported},
    plan::{Plan, Terms},
    policy::Policy,
    report::{Paint, text},
};

use crate::support::world::{NOW, State, World, policy, terms, time, token};

/// A target that can do little, with one token.
fn world(capabilities: Capabilities) -> World {
    let token = Token {
        description: "script".to_owned(),
        scope: TokenScope::Set(Scope::ReadWrite),
        created: time("2025-01-01T00:00:00Z"),
        last_used: None,
        expires: None,
        ..token("7", "mary")
    };
    World::new(State {
        users: BTreeMap::from([("mary".into(), true)]),
        tokens: BTreeMap::from([(token.id.clone(), token)]),
        capabilities,
        manageable: BTreeSet::from([SettingKey::PasswordAuthentication]),
        ..State::default()
    })
}

fn plan(world: &World, policy: &Policy, unsupported: Unsupported) -> Plan {
    world.plan_on(&Terms { unsupported, ..terms(policy, time(NOW)) })
}

fn shown(plan: &Plan) -> String {
    let mut shown = String::new();
    text::plan(plan, Paint { colour: false }, &mut shown).unwrap();
    shown
}

#[test]
fn what_a_target_cannot_hold_is_held_back_and_tolerated_only_where_the_config_file_says_so() {
    let world = world(Capabilities { narrows: false, ..Capabilities::everything() });
    let policy = policy(
        "version: 1\npermissions: {use: everyone}\nnetwork: {allow: [10.0.0.0/8]}\n\
         tokens: {limits: [{max_scope: read-only}], enforcement: {scope: narrow}}\n",
    );
    let strict = plan(&world, &policy, Unsupported::Error);
    assert!(!strict.is_whole() && strict.changes.is_empty());
    let lenient = plan(&world, &policy, Unsupported::Warn);
    assert!(lenient.is_converged());
    insta::assert_snapshot!(shown(&lenient), @r#"
    No changes. world (memory) is as the policy says.

    Report only:

      ! token 7 "script" of mary                                         policy.yaml:4
          scope: read-write, limit read-only

    Held back:

      ? permissions.use                                                  policy.yaml:2
          this kind of target has no such setting
      ? network.allow                                                    policy.yaml:3
          this kind of target has no such setting
      ? rule scope                                                       policy.yaml:4
          this kind of target cannot lower the scope of a token (1 token)

    0 of 1 token complies.
    "#);
}

#[test]
fn limits_are_kept_on_the_tokens_where_the_target_has_no_such_setting() {
    let world = world(Capabilities::everything());
    let policy =
        policy("version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: narrow}}\n");
    let plan = plan(&world, &policy, Unsupported::Error);
    assert!(plan.is_whole());
    assert_eq!(
        plan.changes.iter().map(|planned| planned.change.verb().word()).collect::<Vec<_>>(),
        ["narrow"]
    );
}

#[test]
fn without_a_key_for_marks_expiries_are_held_back_and_say_what_to_write() {
    let world = world(Capabilities { expiry: Expiry::WithoutKey, ..Capabilities::everything() });
    let policy =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: expire}}\n");
    let plan = plan(&world, &policy, Unsupported::Warn);
    assert!(!plan.is_whole(), "a key can be made: nothing is tolerated");
    insta::assert_snapshot!(shown(&plan), @r#"
    Nothing can be changed on world (memory), but not everything could be judged.

    Report only:

      ! token 7 "script" of mary                                         policy.yaml:2
          lifetime: no expiry, limit 90d

    Held back:

      ? rule lifetime                                                    policy.yaml:2
          this kind of target cannot set an expiry, and there is no key to mark tokens with: write `mark_key_env: NAME` into the config file, the environment variable NAME with the key (1 token)

    0 of 1 token complies.
    "#);
}
