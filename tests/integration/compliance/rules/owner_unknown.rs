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
fn what_rests_on_the_groups_of_somebody_who_is_not_in_the_directory_is_undecided() {
    let yaml = r#"
permissions: {use: [developers], manage_others: [ci-bots]}
tokens:
  limits: [{groups: [ci-bots]}, {max_lifetime: 7d, max_scope: read-only, max_per_owner: 1}]
  rules: [{name: own-rule, when: '!("ci-bots" in owner.groups)', message: m}]
"#;
    let by_a_stranger = Token { created_by: Some("stranger".into()), ..token() };
    let groups = "the groups of somebody who is not in the directory are not known";
    for (token, rules) in
        [(of("stranger"), &["lifetime", "own-rule"][..]), (by_a_stranger, &["creator-not-permitted"][..])]
    {
        let findings = judge(yaml, &[token]);
        let mut undecided: Vec<_> =
            findings.undecided.keys().map(|(rule, reason)| format!("{rule}: {reason}")).collect();
        let mut expected: Vec<_> = rules.iter().map(|rule| format!("{rule}: {groups}")).collect();
        undecided.sort();
        expected.sort();
        assert_eq!(undecided, expected);
    }
    // An entry before all that are for groups counts for everybody.
    let first = "tokens: {limits: [{max_lifetime: 7d}, {groups: [ci-bots], max_lifetime: 1y}]}";
    assert_eq!(found(first, &[of("stranger")]).len(), 2, "owner-unknown and lifetime");
}

#[test]
fn a_waiver_holds_the_token_of_a_stranger() {
    held_by_a_waiver("owner-unknown", "", &[of("stranger")]);
}
