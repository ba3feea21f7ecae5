//! The mirror of a Bitbucket, and what it tells of the tokens in requests.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokenwarden::{
    access::{Held, TokenOwner},
    model::{
        GroupName, Holders, LastChange, LastUse, Owner, Restriction, Scope, Settings, TokenId, TokenScope,
        audit::{AuditAction, AuditFilter},
    },
    serve::{
        front::{
            judge::Confirms,
            mirror::{Mirror, MirrorOptions, TokenQuestion, Unanswered, UnknownTokens},
        },
        store::{PageRequest, Restricted, Right, Store, StoreUrl, Use},
    },
    targets::bitbucket::BitbucketOptions,
};

use crate::targets::bitbucket::stub::{Stub, token};

const NIGHTLY: &str = "075905477751";
const MARY: &str = "users/mary_example.com";

fn at(seconds: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    begin + SignedDuration::from_secs(seconds)
}

fn settings() -> Settings {
    let mut settings = Settings::initial(GroupName::new("administrators"));
    settings.permissions.manage_others = Holders::Nobody;
    settings
}

struct Fixture {
    stub: Stub,
    mirror: Mirror,
    store: Store,
    _folder: TempDir,
}

impl Fixture {
    async fn new(unknown_tokens: UnknownTokens) -> Self {
        let stub = Stub::start().await;
        stub.contents().bearer = "mary@example.com";
        stub.add(MARY, token(NIGHTLY, "nightly", "2025-01-01T00:00:00Z", &["REPO_ADMIN"]));
        stub.add("projects/PLAT", token("000000000002", "deploy", "2025-01-01T00:00:00Z", &["REPO_READ"]));
        let folder = TempDir::new().unwrap();
        let url = StoreUrl { file: folder.path().join("store.db") };
        let store = Store::open_or_create(&url).await.unwrap();
        let source = MirrorOptions {
            bitbucket: stub.target_with(BitbucketOptions::default()),
            refresh: Duration::from_mins(5),
            max_age: Duration::from_mins(15),
            unknown_tokens,
        };
        let mirror = Mirror::new(source, store.clone(), at(0));
        Self { stub, mirror, store, _folder: folder }
    }

    async fn filled() -> Self {
        let fixture = Self::new(UnknownTokens::Ask).await;
        fixture.refresh(0).await.unwrap();
        fixture.stub.contents().calls.clear();
        fixture
    }

    async fn refresh(&self, seconds: i64) -> Result<(), String> {
        let clock = move || at(seconds);
        self.mirror.refresh(&BTreeSet::new(), &clock).await.map_err(|error| error.to_string())
    }

    async fn ask(&self, id: &str, secret: &str, seconds: i64) -> Result<Option<Held>, Unanswered> {
        let authorization = format!("Bearer {secret}");
        let asked = TokenQuestion {
            token: &TokenId::new(id),
            authorization: &authorization,
            client: [192, 0, 2, 7].into(),
        };
        self.mirror.token(&settings(), asked, at(seconds)).await
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.stub.contents().calls)
    }
}

#[tokio::test]
async fn a_token_that_was_read_is_known_without_a_question_with_its_owner_scope_and_restriction() {
    let fixture = Fixture::filled().await;
    let held = fixture.ask(NIGHTLY, "x", 1).await.unwrap().unwrap();
    assert_eq!(
        (held.id.as_str(), held.scope, held.expires),
        (NIGHTLY, TokenScope::Set(Scope::ReadWrite), None)
    );
    let TokenOwner::User(mary) = &held.owner else { panic!("{held:?}") };
    assert!(mary.active && mary.name == "mary@example.com".into());
    let deploy = fixture.ask("2", "x", 1).await.unwrap().unwrap();
    assert_eq!(deploy.owner.name(), Owner::Project("PLAT".to_owned()));
    assert_eq!(fixture.calls(), [""; 0]);

    let change = LastChange { by: "warden".to_owned(), at: at(1) };
    let wanted = Restriction { not_after: Some(at(60)), max_scope: Some(Scope::ReadOnly) };
    let number: i64 = NIGHTLY.parse().unwrap();
    let done = fixture.store.restrict(&Right::Host, (number, None), wanted, &change, None).await.unwrap();
    assert!(matches!(done, Restricted::Now(Some(_))));
    let held = fixture.ask(NIGHTLY, "x", 2).await.unwrap().unwrap();
    assert_eq!(held.restriction, wanted, "felt by the next request");
}

#[tokio::test]
async fn an_unknown_token_is_asked_for_with_the_credential_of_the_client_and_once() {
    let fixture = Fixture::filled().await;
    fixture.stub.add(MARY, token("000000000077", "new", "2026-11-23T12:00:00Z", &["REPO_READ"]));
    let asked = (0..8).map(|_| fixture.ask("000000000077", "x", 5));
    for held in futures_util::future::join_all(asked).await {
        assert_eq!(held.unwrap().unwrap().scope, TokenScope::Set(Scope::ReadOnly));
    }
    let calls = fixture.calls();
    assert_eq!(
        calls,
        ["GET /rest/api/1.0/users", "GET /rest/access-tokens/latest/users/mary_example.com/000000000077"]
    );
}

#[tokio::test]
async fn a_credential_that_is_refused_is_not_asked_about_again_for_some_seconds() {
    let fixture = Fixture::filled().await;
    for (seconds, calls) in [(1, 1), (2, 0), (10, 0), (12, 1)] {
        assert_eq!(fixture.ask("000000000099", "revoked", seconds).await.unwrap(), None);
        assert_eq!(fixture.calls().len(), calls, "after {seconds} s");
    }
    // Another credential for the same token is another question.
    fixture.stub.add(MARY, token("000000000099", "new", "2026-11-23T12:00:00Z", &["REPO_READ"]));
    assert!(fixture.ask("000000000099", "right", 13).await.unwrap().is_some());
}

#[tokio::test]
async fn many_refused_credentials_from_one_network_are_not_passed_on_for_ever() {
    let fixture = Fixture::filled().await;
    let mut busy = 0;
    for number in 0..100 {
        match fixture.ask(&format!("{number:012}"), &format!("revoked {number}"), 1).await {
            Ok(told) => assert_eq!(told.filter(|held| held.id.as_str() != "000000000002"), None),
            Err(Unanswered::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(busy >= 30 && fixture.calls().len() <= 60, "{busy}");
    assert_eq!(fixture.ask("999", "revoked", 120).await.unwrap(), None, "a minute later it is asked again");
}

#[tokio::test]
async fn while_the_server_behind_is_away_what_was_read_counts_for_a_while_and_then_nobody_can_tell() {
    let fixture = Fixture::filled().await;
    fixture.stub.contents().failing.insert("/rest", 500);
    assert!(fixture.refresh(300).await.is_err());
    assert!(fixture.ask(NIGHTLY, "x", 899).await.unwrap().is_some());
    assert!(!fixture.mirror.is_stale(at(899)));
    assert!(matches!(fixture.ask(NIGHTLY, "x", 902).await, Err(Unanswered::Stale(_))));
    assert!(fixture.mirror.is_stale(at(902)));
    assert!(
        matches!(fixture.ask("000000000055", "x", 10).await, Err(Unanswered::Stale(_))),
        "never a false no"
    );
    fixture.stub.contents().failing.clear();
    fixture.refresh(1000).await.unwrap();
    assert_eq!(fixture.mirror.age(at(1010)), Some(Duration::from_secs(10)));
    assert!(fixture.ask(NIGHTLY, "x", 1001).await.unwrap().is_some());
}

#[tokio::test]
async fn a_token_that_was_revoked_and_forgotten_is_refused_at_once_and_a_reading_under_way_does_not_bring_it_back()
 {
    let fixture = Fixture::filled().await;
    assert!(fixture.mirror.forget(&TokenId::new(NIGHTLY)));
    assert!(
        fixture.ask(NIGHTLY, "x", 1).await.unwrap().is_some(),
        "it is there as long as Bitbucket says so"
    );
    fixture.stub.contents().tokens.remove(MARY);
    assert!(fixture.mirror.forget(&TokenId::new("75905477751")), "known by its number");
    assert_eq!(fixture.ask(NIGHTLY, "revoked", 2).await.unwrap(), None);
    assert!(!fixture.mirror.forget(&TokenId::new("x")));
}

#[tokio::test]
async fn what_a_reading_could_not_see_stays_and_what_it_saw_to_be_gone_goes() {
    let fixture = Fixture::filled().await;
    fixture.stub.contents().refused = vec!["/rest/access-tokens/latest/users/mary_example.com"];
    fixture.refresh(300).await.unwrap();
    assert!(!fixture.mirror.status().is_whole);
    assert!(fixture.ask(NIGHTLY, "x", 301).await.unwrap().is_some());
    fixture.stub.contents().refused.clear();
    fixture.stub.contents().tokens.remove(MARY);
    fixture.refresh(600).await.unwrap();
    let status = fixture.mirror.status();
    assert_eq!((status.tokens, status.is_whole), (1, true));
    assert_eq!(fixture.ask(NIGHTLY, "revoked", 601).await.unwrap(), None);
}

const DAY: i64 = 24 * 60 * 60;

impl Fixture {
    /// Restricts a token, and notes a use of it, at the beginning.
    async fn keep(&self, number: i64) {
        let change = LastChange { by: "warden".to_owned(), at: at(0) };
        let wanted = Restriction { not_after: Some(at(60)), max_scope: None };
        self.store.restrict(&Right::Host, (number, None), wanted, &change, None).await.unwrap();
        let used = Use { token: number, last_use: LastUse { at: at(0), from: None } };
        self.store.record_upstream_uses(&[used]).await.unwrap();
    }

    /// The tokens of which a restriction is kept, and those of which a use is.
    async fn kept(&self) -> (Vec<i64>, Vec<i64>) {
        let page = PageRequest { start: 0, limit: 10 };
        let restrictions = self.store.restrictions(page).await.unwrap();
        let uses = self.store.upstream_uses(page).await.unwrap();
        (restrictions.iter().map(|row| row.token).collect(), uses.iter().map(|used| used.token).collect())
    }
}

#[tokio::test]
async fn what_is_kept_of_a_token_that_is_gone_goes_a_month_later_and_never_by_a_reading_that_saw_less() {
    let fixture = Fixture::filled().await;
    let (nightly, deploy): (i64, i64) = (NIGHTLY.parse().unwrap(), 2);
    fixture.keep(nightly).await;
    fixture.keep(deploy).await;
    let both = (vec![deploy, nightly], vec![deploy, nightly]);
    fixture.stub.contents().refused = vec!["/rest/access-tokens/latest/users/mary_example.com"];
    for day in [1, 40] {
        fixture.refresh(day * DAY).await.unwrap();
        assert_eq!(fixture.kept().await, both, "it was not seen, and nobody knows that it is gone");
    }
    fixture.stub.contents().refused.clear();
    let tokens = fixture.stub.contents().tokens.remove(MARY).unwrap();
    for day in [41, 70] {
        fixture.refresh(day * DAY).await.unwrap();
        assert_eq!(fixture.kept().await, both, "a user whom a directory loses may come back");
    }
    fixture.stub.contents().tokens.insert(MARY.to_owned(), tokens);
    fixture.refresh(72 * DAY).await.unwrap();
    fixture.stub.contents().tokens.remove(MARY);
    for (day, kept) in [(73, &both), (100, &both), (104, &(vec![deploy], vec![deploy]))] {
        fixture.refresh(day * DAY).await.unwrap();
        assert_eq!(&fixture.kept().await, kept, "after {day} days");
    }
    let filter = AuditFilter { action: Some(AuditAction::RestrictionRemove), ..AuditFilter::default() };
    let told = fixture.store.audit(&filter, PageRequest { start: 0, limit: 10 }).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn a_restriction_that_came_while_a_reading_was_under_way_stays() {
    let fixture = Fixture::filled().await;
    fixture.keep(7).await;
    fixture.store.upstream_gone(&[7], at(1), at(-1)).await.unwrap();
    assert_eq!(fixture.store.upstream_gone(&[7], at(0), at(2)).await.unwrap(), 0, "as new as the reading");
    assert_eq!(fixture.kept().await, (vec![7], vec![7]));
    assert_eq!(fixture.store.upstream_gone(&[7], at(3), at(2)).await.unwrap(), 1);
    assert_eq!(fixture.kept().await, (vec![], vec![]));
}

#[tokio::test]
async fn a_group_that_the_settings_name_since_a_moment_ago_is_read_at_once() {
    let fixture = Fixture::filled().await;
    let mut settings = settings();
    settings.permissions.use_tokens = Holders::of([GroupName::new("ci-bots")]);
    let gone = fixture.mirror.person(&settings, &"gone".into(), at(1)).await.unwrap().unwrap();
    assert!(gone.groups.contains(&GroupName::new("CI-Bots")) && !gone.active);
    let calls = fixture.calls();
    assert!(calls.iter().any(|call| call.ends_with("/admin/groups/more-members")), "{calls:?}");
    fixture.mirror.person(&settings, &"warden".into(), at(2)).await.unwrap();
    assert_eq!(fixture.calls(), [""; 0]);
    assert_eq!(fixture.mirror.person(&settings, &"nobody".into(), at(2)).await.unwrap(), None);
}

#[tokio::test]
async fn a_token_that_no_user_has_is_waited_for_until_a_reading_shows_it_or_does_not() {
    let fixture = Fixture::filled().await;
    let ask = |seconds| fixture.ask("000000000088", "x", seconds);
    assert!(matches!(ask(1).await, Err(Unanswered::Stale(_))));
    fixture.stub.add("projects/DOCS", token("000000000088", "new", "2026-11-23T12:00:00Z", &["REPO_READ"]));
    fixture.refresh(30).await.unwrap();
    assert_eq!(ask(31).await.unwrap().unwrap().owner.name(), Owner::Project("DOCS".to_owned()));
    assert!(matches!(fixture.ask("000000000089", "x", 31).await, Err(Unanswered::Stale(_))));
    fixture.refresh(60).await.unwrap();
    assert_eq!(fixture.ask("000000000089", "x", 61).await.unwrap(), None);
}

#[tokio::test]
async fn where_unknown_tokens_are_refused_nobody_is_asked() {
    let fixture = Fixture::new(UnknownTokens::Refuse).await;
    assert!(matches!(fixture.ask(NIGHTLY, "x", 0).await, Err(Unanswered::Stale(_))), "nothing was read yet");
    fixture.refresh(0).await.unwrap();
    fixture.calls();
    assert_eq!(fixture.ask("000000000099", "x", 1).await.unwrap(), None);
    assert_eq!(fixture.calls(), [""; 0]);
}

#[tokio::test]
async fn only_uses_that_the_server_behind_confirmed_are_kept() {
    let fixture = Fixture::filled().await;
    let (id, mary) = (TokenId::new(NIGHTLY), Owner::User("mary@example.com".into()));
    let confirm = async |status: u16, name: Option<&str>, owner: &Owner| {
        let mut headers = axum::http::HeaderMap::new();
        if let Some(name) = name {
            headers.insert("x-ausername", name.parse().unwrap());
        }
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let confirms = Confirms { token: id.clone(), owner: owner.clone() };
        fixture.mirror.confirm((status, &headers), &confirms, Some([192, 0, 2, 7].into()), at(7)).await
    };
    for (status, name, confirmed) in [
        (200, Some("mary%40example.com"), true),
        (403, Some("mary@example.com"), true),
        (401, Some("mary%40example.com"), false),
        (200, Some("warden"), false),
        (200, None, false),
    ] {
        assert_eq!(confirm(status, name, &mary).await, confirmed, "{status} {name:?}");
    }
    let project = Owner::Project("PLAT".to_owned());
    assert!(confirm(200, Some("access-token-user%2F1"), &project).await);
    assert!(!confirm(200, None, &project).await);
    let page = PageRequest { start: 0, limit: 10 };
    assert_eq!(
        fixture.store.upstream_uses(page).await.unwrap().len(),
        0,
        "a request does not wait for the disk"
    );
}
