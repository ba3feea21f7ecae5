//! The app's settings, where the operator says that they are.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokenwarden::{
    apply::one_line,
    inventory::InventoryReader,
    model::{
        Permission, SettingKey, TokenId,
        lifetime::Unit,
        mapping::{Entries, Field, SettingsMapping},
    },
    targets::{
        Sight, calls_of,
        resolution::{Resolution, ResolutionOptions},
    },
};

use super::{
    NOW, actions, apply, held_back, plan,
    stub::{SETTINGS, Stub},
};
use crate::{plan::calls::lists, support::world::policy};

fn mapping() -> SettingsMapping {
    let text = str::to_owned;
    let permission = SettingKey::Permission;
    let objects = || Entries::Objects { member: text("name") };
    let fields = [
        (
            permission(Permission::Use),
            Field::Groups {
                pointer: text("/use/groups"),
                entries: objects(),
                everyone: Some(text("/use/all")),
            },
        ),
        (
            permission(Permission::Create),
            Field::Groups { pointer: text("/create"), entries: Entries::List, everyone: None },
        ),
        (
            permission(Permission::CreateReadWrite),
            Field::Flag { pointer: text("/readOnlyTokens"), inverted: true },
        ),
        (SettingKey::Networks, Field::Networks { pointer: text("/ips"), entries: Entries::CommaSeparated }),
        (
            SettingKey::ClientAddress,
            Field::ClientAddress {
                pointer: text("/proxy/ip"),
                entries: Entries::Text,
                header: text("/proxy/header"),
            },
        ),
        (SettingKey::PasswordAuthentication, Field::Flag { pointer: text("/passwordsOff"), inverted: true }),
        (
            SettingKey::Limits,
            Field::Lifetime { pointer: text("/months"), unit: Unit::Months, never: Some(0) },
        ),
    ];
    SettingsMapping {
        path: text(SETTINGS),
        read: text("GET"),
        write: text("PUT"),
        fields: BTreeMap::from(fields),
    }
}

fn settings() -> Value {
    json!({
        "use": {"all": true, "groups": [{"name": "devs", "id": 11}, {"name": "ci-bots", "id": 12}]},
        "create": ["devs"], "readOnlyTokens": false, "ips": "", "proxy": {"ip": "", "header": "", "hops": 1},
        "passwordsOff": false, "months": 0, "pgp": {"keys": ["A", null]}, "auditSuccess": true,
    })
}

async fn stub() -> Stub {
    let stub = Stub::start().await;
    stub.contents().settings = settings();
    stub
}

/// The target, reached with the token 4 from an address of the office.
fn target(stub: &Stub) -> Resolution {
    let (token_id, address) = (Some(TokenId::new("4")), "10.1.2.3".parse().ok());
    stub.target_with(ResolutionOptions {
        settings: Some(mapping()),
        token_id,
        address,
        ..ResolutionOptions::default()
    })
}

const POLICY: &str = "version: 1
permissions: {use: [devs], create: [devs, ci-bots], create_read_write: nobody}
network: {allow: [10.0.0.0/8]}
password_authentication: disabled
tokens:
  limits:
    - {groups: [ci-bots], max_lifetime: 1y}
    - {max_lifetime: 180d}
";
const PROXY: &str =
    "version: 1\nnetwork: {client_address: {header: X-Forwarded-For, trusted_proxies: [10.0.0.5]}}\n";

#[tokio::test]
async fn settings_become_what_the_policy_says_and_everything_that_is_not_mapped_stays() {
    let stub = stub().await;
    for yaml in [PROXY, POLICY] {
        let (before, outcome, after) = apply(&target(&stub), &policy(yaml), NOW).await;
        assert_eq!(held_back(&before), Vec::<String>::new());
        assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}\n{:?}", actions(&after));
    }
    assert_eq!(
        stub.contents().settings,
        json!({
            "use": {"all": false, "groups": [{"name": "devs", "id": 11}]},
            "create": ["devs", "ci-bots"], "readOnlyTokens": true, "ips": "10.0.0.0/8",
            "proxy": {"ip": "10.0.0.5", "header": "X-Forwarded-For", "hops": 1},
            "passwordsOff": true, "months": 12, "pgp": {"keys": ["A", null]}, "auditSuccess": true,
        })
    );
}

#[tokio::test]
async fn what_the_app_cannot_hold_is_held_back_and_left_to_the_rules() {
    let stub = stub().await;
    let wanted = policy(
        "version: 1\npermissions: {create: everyone, create_read_write: [ci-bots], manage_others: [devs]}\n\
         network: {client_address: {header: X-Real-IP, trusted_proxies: [10.0.0.5, 10.0.0.9]}}\n\
         password_authentication: {state: disabled, except_users: [warden]}\n\
         tokens: {limits: [{groups: [ci-bots], max_lifetime: 1y}]}\n",
    );
    let plan = plan(&target(&stub), &wanted, NOW).await;
    assert_eq!(actions(&plan), Vec::<String>::new(), "no limit for those in no group is none for all");
    insta::assert_snapshot!(held_back(&plan).join("\n"), @r"
    permissions.create: the field of the server holds groups; say with `everyone` where it keeps that everyone may
    permissions.create_read_write: the server knows everyone and nobody here, and no groups: the rules on tokens keep it
    permissions.manage_others: this kind of target has no such setting
    network.client_address: the server has room for one trusted proxy
    password_authentication: the server knows no exceptions here
    ");
}

#[tokio::test]
async fn without_a_mapping_every_setting_but_the_limits_is_held_back() {
    let stub = stub().await;
    let plan = plan(&stub.target(), &policy(POLICY), NOW).await;
    assert_eq!(plan.changes, []);
    let held = held_back(&plan);
    assert_eq!(held.len(), 5, "{held:#?}");
    assert!(held.iter().all(|held| held.ends_with("this kind of target has no such setting")), "{held:#?}");
}

#[tokio::test]
async fn a_page_to_log_in_on_is_an_error_and_a_refusal_holds_the_settings_back() {
    let stub = stub().await;
    stub.contents().refused = vec!["GET /rest/app"];
    let plan = plan(&target(&stub), &policy(POLICY), NOW).await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(held_back(&plan)[0], "permissions.use: it could not be read: 403 Forbidden");
    stub.contents().refused.clear();
    stub.contents().unknown = vec!["/rest/app"];
    let astray = super::plan(&target(&stub), &policy(POLICY), NOW).await;
    insta::assert_snapshot!(held_back(&astray)[0], @"permissions.use: it could not be read: the server has no `GET /rest/app/1/configuration`, which `settings` names: 404 Not Found");
    stub.contents().unknown.clear();
    stub.contents().login_page = true;
    let error = one_line(&target(&stub).overview().await.unwrap_err());
    assert!(error.contains("answered `text/html` where JSON was expected"), "{error}");
}

#[tokio::test]
async fn a_field_that_is_not_there_or_is_something_else_is_held_back_and_never_made() {
    let stub = stub().await;
    stub.contents().settings = json!({"use": {"all": true}, "create": "devs", "readOnlyTokens": "no", "ips": "10.*",
                                      "proxy": null, "passwordsOff": null, "months": "soon"});
    let plan = plan(&target(&stub), &policy(POLICY), NOW).await;
    assert_eq!(plan.changes, []);
    insta::assert_snapshot!(held_back(&plan).join("\n"), @r"
    permissions.use: it could not be read: the settings of the server have nothing at `/use/groups`
    permissions.create: it could not be read: `/create` holds no list of texts
    permissions.create_read_write: it could not be read: `/readOnlyTokens` is neither `true` nor `false`
    network.allow: it could not be read: `/ips`: `10.*` is not an address, network (`10.0.0.0/8`) or range (`10.0.0.1-10.0.0.9`)
    password_authentication: it could not be read: `/passwordsOff` is neither `true` nor `false`
    tokens.limits: it could not be read: `/months` holds no whole number
    ");
}

#[tokio::test]
async fn every_call_of_a_run_is_one_that_is_looked_at() {
    let stub = Stub::filled().await;
    stub.contents().settings = settings();
    let revoking = "  enforcement: {lifetime: {action: expire, grace: 7d}, owner-inactive: revoke}\n";
    let (_, outcome, _) = apply(&target(&stub), &policy(&format!("{POLICY}{revoking}")), NOW).await;
    assert!(outcome.changes.len() > 3, "{outcome:?}");
    let mapping = mapping();
    let calls = calls_of("resolution", Sight { settings: Some(&mapping), ..Sight::default() }).unwrap();
    for made in &stub.contents().calls {
        let (method, path) = made.split_once(' ').unwrap();
        assert!(lists(&calls, method, path), "{made}");
    }
}

#[tokio::test]
async fn networks_of_the_app_that_can_be_read_in_two_ways_are_held_back() {
    let stub = stub().await;
    for (written, words) in [
        ("010.0.0.0/8", "write `10.0.0.0/8` (read as decimal) or `8.0.0.0/8` (read as octal)"),
        ("10.0.0.0/08", "write `10.0.0.0/8`"),
        ("10.0.0.5/8", "has host bits set"),
    ] {
        stub.contents().settings["ips"] = json!(written);
        let plan = plan(&target(&stub), &policy("version: 1\nnetwork: {allow: [10.0.0.0/8]}\n"), NOW).await;
        assert_eq!(plan.changes, []);
        assert!(held_back(&plan)[0].contains(words), "{:?}", held_back(&plan));
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_keeps_nothing_is_found_out() {
    let stub = stub().await;
    stub.contents().forgets_settings = true;
    let passwords = policy("version: 1\npassword_authentication: disabled\n");
    let (_, outcome, after) = apply(&target(&stub), &passwords, NOW).await;
    assert!(!outcome.is_whole());
    assert!(format!("{outcome:?}").contains("kept what was there"), "{outcome:?}");
    assert_eq!((actions(&after), stub.contents().writes.len()), (vec!["set settings".to_owned()], 1));
}

#[tokio::test]
async fn what_somebody_else_saves_meanwhile_stays_where_the_server_tells_versions_apart() {
    let passwords = policy("version: 1\npassword_authentication: disabled\n");
    let stub = stub().await;
    stub.contents().saved_elsewhere = Some(2);
    let (_, outcome, after) = apply(&target(&stub), &passwords, NOW).await;
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    {
        let contents = stub.contents();
        assert_eq!(
            (&contents.settings["saves"], &contents.settings["passwordsOff"]),
            (&json!(2), &json!(true))
        );
        assert_eq!(contents.writes.len(), 1, "what was refused did not take effect");
    }
    stub.contents().settings["passwordsOff"] = json!(false);
    stub.contents().weak_versions = true;
    let (_, outcome, _) = apply(&target(&stub), &passwords, NOW).await;
    assert!(outcome.is_whole(), "a weak version never matches, and is not sent: {outcome:?}");
    stub.contents().weak_versions = false;
    stub.contents().settings["passwordsOff"] = json!(false);
    stub.contents().saved_elsewhere = Some(u32::MAX);
    let (_, outcome, _) = apply(&target(&stub), &passwords, NOW).await;
    assert!(format!("{outcome:?}").contains("written by others 5 times in a row"), "{outcome:?}");
    assert_eq!(stub.contents().writes.len(), 2);
}

#[tokio::test]
async fn lost_answers_are_read_back_before_anything_is_written_again() {
    let stub = stub().await;
    stub.contents().lost_answers = 3;
    let (before, outcome, after) = apply(&target(&stub), &policy(POLICY), NOW).await;
    assert!(outcome.is_whole() && after.is_converged(), "{outcome:?}");
    assert_eq!(stub.contents().writes.len(), before.changes.len());
}

#[tokio::test]
async fn a_permission_that_we_would_lose_is_refused() {
    let stub = stub().await;
    let shut = policy("version: 1\npermissions: {use: [ci-bots]}\n");
    assert_eq!(plan(&target(&stub), &shut, NOW).await.shut_out.len(), 1);
    let own = policy("version: 1\npermissions: {use: [devs]}\n");
    assert_eq!(plan(&target(&stub), &own, NOW).await.shut_out, []);
    // What is not shown to us counts against us.
    stub.contents().refused = vec!["GET /rest/api/latest/admin/users/more-members"];
    assert_eq!(plan(&target(&stub), &own, NOW).await.shut_out.len(), 1);
}
