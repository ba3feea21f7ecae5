//! `description`: the description does not match.

use tokenwarden::model::Token;

use super::{NOTHING, found, held_by_a_waiver, limits, token};

#[test]
fn description_fires_when_the_pattern_does_not_match() {
    let yaml = limits("description: '^[A-Z]+-[0-9]+ '");
    let other = Token { description: "laptop".to_owned(), ..token() };
    assert_eq!(found(&yaml, &[other]), ["1 description: the description does not match `^[A-Z]+-[0-9]+ `"]);
    assert_eq!(found(&yaml, &[token()]), NOTHING);
}

#[test]
fn a_waiver_holds_a_token_whose_description_says_nothing() {
    held_by_a_waiver("description", &limits("description: DEV"), &[token()]);
}
