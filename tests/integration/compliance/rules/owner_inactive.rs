//! `owner-inactive`: the directory says that the owner is not active.

use tokenwarden::model::{Owner, Token};

use super::{NOTHING, found, held_by_a_waiver, of, token};

#[test]
fn owner_inactive_fires_for_users_whom_the_directory_calls_inactive() {
    assert_eq!(found("", &[of("Gone")]), ["1 owner-inactive: Gone is not active"]);
    assert_eq!(found("", &[token()]), NOTHING);
    let of_project = Token { owner: Owner::Project("gone".into()), ..token() };
    assert_eq!(found("", &[of_project]), NOTHING);
}

#[test]
fn a_waiver_holds_the_token_of_somebody_who_left() {
    held_by_a_waiver("owner-inactive", "", &[of("gone")]);
}
