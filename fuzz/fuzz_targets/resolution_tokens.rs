//! Pages of tokens of the app "API Token Authentication".
#![no_main]

use std::sync::LazyLock;

use fuzz::{Answer, Pages};
use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    model::MarkKey,
    targets::resolution::{Resolution, ResolutionOptions},
};

static TARGET: LazyLock<(Pages, Resolution)> = LazyLock::new(|| {
    let pages = Pages::start(answer, "[]");
    let key = MarkKey::new("a key for the marks of the fuzzer").expect("a key");
    let options = ResolutionOptions {
        marker: Some(Resolution::marker(key, "prod")),
        password: true,
        ..ResolutionOptions::default()
    };
    let resolution = Resolution::new(pages.client(), "resolution", options);
    (pages, resolution)
});

fuzz_target!(|bytes: &[u8]| {
    let (pages, resolution) = &*TARGET;
    fuzz::tokens_are_whole(pages, "resolution", resolution, bytes);
});

fn answer(path: &str) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match path {
        // The lists of one user or scope alone say nothing of what all others have.
        "/rest/de.resolution.apitokenauth/latest/user/tokensByFilter" if query.split('&').count() > 2 => {
            Answer::Json("[]".to_owned())
        }
        "/rest/de.resolution.apitokenauth/latest/user/tokensByFilter" => Answer::Tokens,
        path => fuzz::answer_of_bitbucket(path),
    }
}
