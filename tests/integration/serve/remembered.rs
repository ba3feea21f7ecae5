//! What a store has answered is not asked anew, until somebody commits something that it rests on.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokenwarden::{
    model::{LastChange, LastUse, Restriction, Scope, TokenScope, TokenSecret, UserName},
    serve::{
        Clock, directory, random_bytes,
        store::{
            Children, Grounds, KnownOwner, Narrowing, NewToken, OwnedToken, Right, Sender, Store, StoreUrl,
            Use, Whence,
        },
    },
};

use crate::support::{NOW, new_token};

const DIRECTORY: &str = "users: [{name: mary}, {name: sam}]\ngroups: {developers: [mary]}\n";

/// One store as two processes have it open.
struct Two {
    _folder: TempDir,
    /// Answers.
    one: Store,
    /// Changes.
    other: Store,
}

impl Two {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let url = StoreUrl { file: folder.path().join("store.db") };
        let one = Store::open_or_create(&url).await.unwrap();
        directory::import(&one, DIRECTORY, |_| None).await.unwrap();
        one.begin_settings("{}").await.unwrap();
        Self { _folder: folder, one, other: Store::open(&url).await.unwrap() }
    }

    async fn new_token(&self) -> (i64, TokenSecret) {
        let secret = TokenSecret::from_random(random_bytes().unwrap());
        let new = new_token("mary", &secret);
        (self.other.create_token(&Right::Host, &new, None).await.unwrap().unwrap(), secret)
    }

    async fn token(&self, secret: &TokenSecret) -> Option<Arc<OwnedToken>> {
        self.one.token_by_hash(&secret.hash()).await.unwrap()
    }
}

fn change() -> LastChange {
    LastChange { by: "root".to_owned(), at: NOW.parse().unwrap() }
}

#[tokio::test]
async fn what_another_process_commits_is_known_to_the_next_question() {
    let store = Two::open().await;
    let (id, secret) = store.new_token().await;
    assert!(store.token(&secret).await.is_some());
    let narrowing = Narrowing { scope: Some(Scope::ReadOnly), ..Narrowing::default() };
    store.other.narrow_token(&Right::Host, id, &narrowing, None).await.unwrap().unwrap();
    let narrowed = store.token(&secret).await.unwrap();
    assert_eq!(narrowed.token.scope, TokenScope::Set(Scope::ReadOnly));
    let left = "users: [{name: mary, active: false}, {name: sam}]";
    directory::import(&store.other, left, |_| None).await.unwrap();
    let owner = &store.token(&secret).await.unwrap().owner;
    let Some(KnownOwner::User(account)) = owner else { panic!("mary is a user") };
    assert!(!account.active && account.groups.is_empty());
    let mary = UserName::new("mary");
    assert_eq!(store.other.revoke_all_for(&Right::Host, &mary, Children::Revoke).await.unwrap(), 1);
    assert!(store.token(&secret).await.is_none());

    let known = store.one.settings(None).await.unwrap().unwrap();
    let text = known.document.unwrap();
    assert_eq!(store.one.settings(Some((known.revision, &text))).await.unwrap().unwrap().document, None);
    store.other.force_settings("{\"changed\": true}", &change()).await.unwrap();
    let now = store.one.settings(Some((known.revision, &text))).await.unwrap().unwrap();
    assert_eq!((now.revision, now.document.as_deref()), (2, Some("{\"changed\": true}")));

    let restriction = Restriction { max_scope: Some(Scope::ReadOnly), not_after: None };
    for wanted in [restriction, Restriction::default(), restriction] {
        let before = store.one.restriction(7).await.unwrap();
        let expected = before.map(|row| row.number);
        store.other.restrict(&Right::Host, (7, expected), wanted, &change(), None).await.unwrap();
        let now = store.one.restriction(7).await.unwrap();
        assert_eq!(now.map(|row| row.restriction).unwrap_or_default(), wanted);
    }
}

#[tokio::test]
async fn uses_that_are_kept_and_the_clock_make_nobody_ask_anew() {
    let store = Two::open().await;
    let (id, secret) = store.new_token().await;
    let first = store.token(&secret).await.unwrap();
    assert!(Arc::ptr_eq(&first, &store.token(&secret).await.unwrap()));
    let used = Use { token: id, last_use: LastUse { at: NOW.parse().unwrap(), from: None } };
    store.other.record_uses(&[used]).await.unwrap();
    store.one.probe(NOW.parse().unwrap()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &store.token(&secret).await.unwrap()));
    store.new_token().await;
    assert!(!Arc::ptr_eq(&first, &store.token(&secret).await.unwrap()), "the state is another one");
}

#[tokio::test]
async fn a_right_that_is_remembered_ends_with_its_token_and_with_what_another_process_commits() {
    let store = Two::open().await;
    let secret = TokenSecret::from_random(random_bytes().unwrap());
    let end: Timestamp = "2026-09-01T00:00:00Z".parse().unwrap();
    let new = NewToken { expires: Some(end), ..new_token("mary", &secret) };
    let id = store.other.create_token(&Right::Host, &new, None).await.unwrap().unwrap();
    let sender = Sender::Token(store.token(&secret).await.unwrap());
    let right = |at: Timestamp, settings| {
        let (sender, clock) = (sender.clone(), Clock::Fixed(at).into());
        let grounds = Grounds { settings, sender, owner: None, clock, whence: Whence::default() };
        Right::Request(Box::new(grounds))
    };
    let before = end - SignedDuration::from_secs(1);
    let holds = async |right: Right| store.one.holds(&right).await.unwrap();
    assert!(holds(right(before, 1)).await);
    assert!(!holds(right(end, 1)).await, "it has expired");
    assert!(!holds(right(before, 2)).await, "other settings permitted it");
    store.other.revoke_token(&Right::Host, id, Children::Revoke, None).await.unwrap();
    assert!(!holds(right(before, 1)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_who_asks_after_a_revocation_finds_the_token_however_many_ask_meanwhile() {
    let store = Arc::new(Two::open().await);
    for _ in 0..40 {
        let (id, secret) = store.new_token().await;
        let secret = Arc::new(secret);
        let asking = (0..4).map(|_| {
            let (store, secret) = (Arc::clone(&store), Arc::clone(&secret));
            // Ends only when the token is seen to be gone, and then it stays gone.
            tokio::spawn(async move {
                while store.token(&secret).await.is_some() {
                    tokio::task::yield_now().await;
                }
                assert!(store.token(&secret).await.is_none());
            })
        });
        let asking: Vec<_> = asking.collect();
        assert!(store.other.revoke_token(&Right::Host, id, Children::Revoke, None).await.unwrap());
        assert!(store.token(&secret).await.is_none(), "it was acknowledged");
        for one in asking {
            one.await.unwrap();
        }
        assert!(store.token(&secret).await.is_none());
    }
}
