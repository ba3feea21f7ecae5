//! `rule-error`: the expression of an own rule failed on the token.

use tokenwarden::model::Token;

use super::{NOTHING, found, held_by_a_waiver, judge, token};

/// Comparing null fails; validation does not find it, since no sample has this description.
const FAILS: &str = "tokens: {rules: [{name: own-rule, message: m, \
                     when: 'token.description == \"OPS-1 nightly\" && token.expires < now'}]}";

fn endless() -> Token {
    Token { expires: None, ..token() }
}

#[test]
fn rule_error_fires_where_an_expression_fails_and_names_the_rule_and_no_value() {
    let message = "1 rule-error: the rule `own-rule` fails: `<` cannot take null and a timestamp";
    assert_eq!(found(FAILS, &[endless()]), [message]);
    assert_eq!(judge(FAILS, &[endless()]).complying(), 0);
}

#[test]
fn rule_error_does_not_fire_where_the_expression_answers() {
    assert_eq!(found(FAILS, &[token()]), NOTHING);
    assert_eq!(found(FAILS, &[Token { description: "other".to_owned(), ..endless() }]), NOTHING);
}

#[test]
fn rule_error_acts_only_when_it_is_named() {
    let policy = format!("{}, enforcement: {{default: revoke}}}}", FAILS.strip_suffix('}').unwrap());
    assert_eq!(judge(&policy, &[endless()]).tokens[0].findings[0].action.word(), "report");
}

#[test]
fn a_waiver_holds_a_token_that_no_rule_can_judge() {
    held_by_a_waiver("rule-error", FAILS, &[endless()]);
}
