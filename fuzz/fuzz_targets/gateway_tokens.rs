//! Pages of tokens of our own server.
#![no_main]

use std::sync::LazyLock;

use fuzz::{Answer, Pages};
use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    model::{GroupName, Settings, settings::SettingsDocument},
    targets::gateway::Gateway,
};

static TARGET: LazyLock<(Pages, Gateway)> = LazyLock::new(|| {
    let pages = Pages::start(answer, r#"{"content": [], "lastId": 0}"#);
    let gateway = Gateway::new(pages.client(), "gateway");
    (pages, gateway)
});

fuzz_target!(|bytes: &[u8]| {
    let (pages, gateway) = &*TARGET;
    fuzz::tokens_are_whole(pages, "gateway", gateway, bytes);
});

fn answer(path: &str) -> Answer {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    Answer::Json(match path {
        "/rest/de.resolution.apitokenauth/latest/user/tokensByFilter" => return Answer::Tokens,
        "/rest/tokenwarden/1/settings" => {
            let settings = Settings::initial(GroupName::new("administrators"));
            serde_json::to_string(&SettingsDocument::from(&settings)).expect("settings are JSON")
        }
        "/rest/tokenwarden/1/whoami" => r#"{"user": "warden", "groups": ["administrators"],
            "administrator": true, "administrators": "administrators", "credential": "password"}"#
            .to_owned(),
        "/rest/api/latest/application-properties" => r#"{"version": "1.0"}"#.to_owned(),
        "/rest/api/latest/admin/users" => fuzz::one_page(r#"{"name": "mary", "active": true}"#),
        "/rest/api/latest/admin/groups/more-members" => fuzz::one_page(""),
        _ => return Answer::Absent,
    })
}
