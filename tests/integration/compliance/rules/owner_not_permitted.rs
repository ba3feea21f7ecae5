//! `owner-not-permitted`: the owner is outside `permissions.use`.

use super::{NOTHING, found, held_by_a_waiver, of, token};

#[test]
fn owner_not_permitted_fires_outside_the_groups_of_use() {
    let yaml = "permissions: {use: [developers]}";
    assert_eq!(found(yaml, &[of("bot")]), ["1 owner-not-permitted: bot is outside `permissions.use`"]);
    assert_eq!(found(yaml, &[token()]), NOTHING);
    assert_eq!(found("permissions: {use: everyone}", &[token()]), NOTHING);
}

#[test]
fn a_waiver_holds_the_token_of_somebody_outside() {
    held_by_a_waiver("owner-not-permitted", "permissions: {use: [developers]}", &[of("bot")]);
}
