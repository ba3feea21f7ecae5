//! Pages of tokens of Bitbucket Data Center.
#![no_main]

use std::sync::LazyLock;

use fuzz::{Answer, Pages};
use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    model::{MarkKey, OwnerKind},
    targets::bitbucket::{Bitbucket, BitbucketOptions},
};

static TARGET: LazyLock<(Pages, Bitbucket)> = LazyLock::new(|| {
    let pages =
        Pages::start(answer, r#"{"size": 0, "limit": 2, "isLastPage": true, "values": [], "start": 0}"#);
    let key = MarkKey::new("a key for the marks of the fuzzer").expect("a key");
    let options = BitbucketOptions {
        areas: vec![OwnerKind::User],
        marker: Some(Bitbucket::marker(key, "prod")),
        password: true,
        ..BitbucketOptions::default()
    };
    let bitbucket = Bitbucket::new(pages.client(), "bitbucket", options);
    (pages, bitbucket)
});

fuzz_target!(|bytes: &[u8]| {
    let (pages, bitbucket) = &*TARGET;
    fuzz::tokens_are_whole(pages, "bitbucket", bitbucket, bytes);
});

fn answer(path: &str) -> Answer {
    match path.split_once('?').unwrap_or((path, "")).0 {
        path if path.starts_with("/rest/access-tokens/latest/users/") => Answer::Tokens,
        path => fuzz::answer_of_bitbucket(path),
    }
}
