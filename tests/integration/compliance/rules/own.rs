//! Own rules of a policy: their expression holds on a token.

use tokenwarden::model::{Owner, Token};

use super::{NOTHING, found, held_by_a_waiver, judge, token};
use crate::support::world::time;

fn own(when: &str) -> String {
    format!("tokens: {{rules: [{{name: own-rule, when: '{when}', message: it is so}}]}}")
}

#[test]
fn an_own_rule_fires_where_its_expression_holds_and_says_its_message() {
    assert_eq!(found(&own(r#"token.description.contains("nightly")"#), &[token()]), ["1 own-rule: it is so"]);
    assert_eq!(found(&own(r#"token.description.contains("daily")"#), &[token()]), NOTHING);
}

#[test]
fn an_expired_token_breaks_no_own_rule() {
    let expired = Token { expires: Some(time("2026-11-20T00:00:00Z")), ..token() };
    assert_eq!(found(&own("true"), &[expired]), NOTHING);
}

#[test]
fn a_group_that_the_server_does_not_know_leaves_an_own_rule_undecided() {
    let rule = own(r#""ghosts" in owner.groups"#);
    let undecided = |token| {
        let findings = judge(&rule, &[token]);
        let reasons = findings.undecided.iter();
        reasons.map(|((rule, reason), count)| format!("{rule}: {reason}: {count}")).collect::<Vec<_>>()
    };
    assert_eq!(undecided(token()), ["own-rule: group `ghosts` is not known to the server: 1"]);
    let of_project = Token { owner: Owner::Project("X".to_owned()), ..token() };
    assert_eq!(undecided(of_project), NOTHING);
}

#[test]
fn a_waiver_holds_a_token_that_breaks_an_own_rule() {
    held_by_a_waiver("own-rule", &own(r#"token.description.contains("nightly")"#), &[token()]);
}
