//! `owner-unknown`: the owner is not in the directory.

use tokenwarden::model::{Owner, Token};

use super::{NOTHING, found, held_by_a_waiver, judge, of, token};

#[test]
fn owner_unknown_fires_for_users_who_are_not_listed_and_is_never_taken_for_inactive() {
    assert_eq!(found("", &[of("stranger")]), ["1 owner-unknown: stranger is not in the directory"]);
    let findings = judge("tokens: {enforcement: {default: revoke}}", &[of("stranger")]);
    assert_eq!(findings.tokens[0].findings[0].action.word(), "report");
}

#[test]
fn owner_unknown_does_not_fire_for_inactive_users_and_for_projects() {
    assert_eq!(found("", &[token()]), NOTHING);
    assert_eq!(found("", &[of("gone")]), ["1 owner-inactive: gone is not active"]);
    let of_project = Token { owner: Owner::Project("STRANGE".into()), ..token() };
    assert_eq!(found("", &[of_project]), NOTHING);
}

#[test]
fn a_waiver_holds_the_token_of_a_stranger() {
    held_by_a_waiver("owner-unknown", "", &[of("stranger")]);
}
