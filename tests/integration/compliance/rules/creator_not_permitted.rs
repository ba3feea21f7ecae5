//! `creator-not-permitted`: somebody made the token for somebody else without being permitted to.

use tokenwarden::model::Token;

use super::{NOTHING, found, held_by_a_waiver, token};

#[test]
fn creator_not_permitted_fires_on_tokens_made_for_others_without_the_permission() {
    let yaml = "permissions: {manage_others: [ci-bots]}";
    let by_sam = Token { created_by: Some("sam".into()), ..token() };
    assert_eq!(
        found(yaml, std::slice::from_ref(&by_sam)),
        ["1 creator-not-permitted: made by sam, who is outside `permissions.manage_others`"]
    );
    assert_eq!(found("", &[by_sam]), NOTHING, "without a parameter the rule does not run");
    for created_by in [Some("bot".into()), Some("MARY".into()), None] {
        assert_eq!(found(yaml, &[Token { created_by, ..token() }]), NOTHING);
    }
}

#[test]
fn a_waiver_holds_a_token_that_was_made_for_somebody_else() {
    let by_sam = Token { created_by: Some("sam".into()), ..token() };
    held_by_a_waiver("creator-not-permitted", "permissions: {manage_others: [ci-bots]}", &[by_sam]);
}
