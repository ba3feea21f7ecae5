//! The target `bitbucket`: Bitbucket Data Center's own HTTP access tokens of users, projects and
//! repositories, and its switch for passwords.
//!
//! From a client of the server and the config file to a reader, and against an approved plan to a writer.
//! Tokens are never created, and no expiry is changed, which the server refuses too: tokens are marked
//! instead.
//!
//! The server has no list of all tokens: users, projects and repositories are walked, and each is asked
//! for its own. Personal projects have tokens only in their repositories.

pub(in crate::targets) mod directory;
pub(in crate::targets) mod passwords;
mod questions;
mod rate_limit;
mod reader;
mod walk;
pub(in crate::targets) mod wire;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use secrecy::ExposeSecret;

use crate::{
    http::{self, CallStatistics, ClockOffset, HttpClient, PagedList},
    inventory::{Call, Coverage, Credential, LeftOut, Missing, Pace, left_out},
    model::{MarkKey, Marker, Owner, OwnerKind, TokenId, TokenScope, UserName, leak::bitbucket_id},
    plan::ApprovedPlan,
    targets::{atlassian::BadSegment, directory::Named},
};

use wire::User;

pub use questions::{Found, confirms};
pub use writer::BitbucketWriter;

/// What the config file says of a server beside its address.
#[derive(Default)]
pub struct BitbucketOptions {
    /// Whose tokens are looked at; all when empty.
    pub areas: Vec<OwnerKind>,
    /// Keys of the projects that are looked at, `*` is any text; all when empty.
    pub projects: Vec<String>,
    /// Makes and reads marks; without one no token is made to end.
    pub marker: Option<Marker>,
    /// Whether our credential is a password, and so no token.
    pub password: bool,
    /// The token that our credential is, when its secret does not say so.
    pub token_id: Option<TokenId>,
    /// The address that the server sees for us, when it is known.
    pub address: Option<IpAddr>,
}

/// What a run calls on Bitbucket that looks at tokens of owners of `areas`, of all when there is none, in
/// projects whose keys fit `projects`, in all when there is none.
#[must_use]
pub fn calls(areas: &[OwnerKind], projects: &[String]) -> Vec<Call> {
    wire::calls(areas, projects)
}

/// Bitbucket Data Center.
pub struct Bitbucket {
    client: Arc<HttpClient>,
    /// For questions that must not wait for a walk; `None` for the client of the walk.
    questions: Option<Box<HttpClient>>,
    shown: String,
    options: BitbucketOptions,
    slugs: Arc<Slugs>,
    named: Named,
    /// The users, between the reading of people and that of their tokens, so that they are asked for once.
    users: Mutex<Option<PagedList<User>>>,
    /// How far the server slows us down, as of the last walk.
    pace: Mutex<Option<Pace>>,
    /// Whether our credential is an administrator's, who sees every project, once that was looked for.
    administers: Mutex<Option<bool>>,
}

impl Bitbucket {
    /// The server that `client` speaks to; people know it as `shown`.
    #[must_use]
    pub fn new(client: HttpClient, shown: impl Into<String>, options: BitbucketOptions) -> Self {
        Self {
            client: Arc::new(client),
            questions: None,
            shown: shown.into(),
            options,
            slugs: Arc::default(),
            named: Named::default(),
            users: Mutex::default(),
            pace: Mutex::default(),
            administers: Mutex::default(),
        }
    }

    /// The same, whose questions about one token or user go through `questions`, and so wait for no walk.
    #[must_use]
    pub fn with_questions(self, questions: HttpClient) -> Self {
        Self { questions: Some(Box::new(questions)), ..self }
    }

    pub(in crate::targets) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// How people know the server: its address.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What makes and reads the marks of the server known as `server` with `key`.
    #[must_use]
    pub fn marker(key: MarkKey, server: &str) -> Marker {
        Marker::new(key, server, wire::NAME)
    }

    /// A writer, for doing what `approved` says: without an approved plan there is none.
    #[must_use]
    pub fn writer(&self, approved: &ApprovedPlan) -> BitbucketWriter {
        let (client, slugs) = (Arc::clone(&self.client), Arc::clone(&self.slugs));
        BitbucketWriter::new(client, slugs, self.options.marker.clone(), approved.plan())
    }

    /// What the calls to it came to so far, those of its writers included.
    #[must_use]
    pub fn calls(&self) -> CallStatistics {
        self.client.statistics()
    }

    /// How far the clock of the server is ahead of ours, as its answers so far show; `None` when none had a
    /// date.
    #[must_use]
    pub fn clock(&self) -> Option<ClockOffset> {
        self.client.clock()
    }

    /// What we prove to be somebody with, as far as it says so itself, and the user that goes with it.
    fn credential(&self) -> (Credential, Option<UserName>) {
        let (user, secret) = match self.client.credential() {
            http::HttpCredential::Basic { user, secret } => (Some(user), secret),
            http::HttpCredential::Bearer(secret) => (None, secret),
        };
        let id = bitbucket_id(secret.expose_secret()).or_else(|| self.options.token_id.clone());
        let credential = match (user, id) {
            (Some(_), None) if self.options.password => Credential::Password,
            (Some(_), id) => Credential::TokenAsPassword { id },
            // How far it reaches is not told; nothing that is planned here turns on it.
            (None, Some(id)) => Credential::Token { id, scope: TokenScope::Unset, expires: None },
            (None, None) => Credential::Unidentified,
        };
        (credential, user.map(|user| UserName::new(user.as_str())))
    }

    /// Whether the tokens of owners of this kind are looked at.
    fn looks_at(&self, kind: OwnerKind) -> bool {
        self.options.areas.is_empty() || self.options.areas.contains(&kind)
    }

    /// Whether the tokens of the project with this key, and of its repositories, are looked at.
    fn looks_into(&self, project: &str) -> bool {
        let patterns = &self.options.projects;
        patterns.is_empty() || left_out::fits(project, patterns)
    }

    /// What is not looked at.
    fn left_out(&self) -> Vec<LeftOut> {
        let areas = OwnerKind::ALL.into_iter().filter(|kind| !self.looks_at(*kind)).map(LeftOut::TokensOf);
        let keys = &self.options.projects;
        areas.chain((!keys.is_empty()).then(|| LeftOut::ProjectsOtherThan(keys.clone()))).collect()
    }
}

/// The slugs of users: paths have the slug, and everything else the name.
#[derive(Default)]
struct Slugs(Mutex<Learned>);

/// What the list of users says of slugs.
#[derive(Default)]
struct Learned {
    /// Those that are not the name.
    by_name: HashMap<UserName, String>,
    /// The users of each, in lower case, that several have.
    shared: BTreeMap<String, BTreeSet<UserName>>,
}

impl Slugs {
    fn learn(&self, users: &[User]) {
        let differs = |user: &&User| user.slug.as_deref().is_some_and(|slug| slug != user.name.as_str());
        let slugs =
            users.iter().filter(differs).filter_map(|user| Some((user.name.clone(), user.slug.clone()?)));
        let mut shared: BTreeMap<String, BTreeSet<UserName>> = BTreeMap::new();
        for user in users {
            let slug = user.slug.as_deref().unwrap_or(user.name.as_str()).to_lowercase();
            shared.entry(slug).or_default().insert(user.name.clone());
        }
        shared.retain(|_, users| users.len() > 1);
        *self.learned() = Learned { by_name: slugs.collect(), shared };
    }

    /// Adds what is known of one user to what the last list said.
    fn learn_one(&self, user: &User) {
        if let Some(slug) = user.slug.clone().filter(|slug| slug != user.name.as_str()) {
            self.learned().by_name.insert(user.name.clone(), slug);
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of `user`, which is the name when nothing else was learned.
    fn of(&self, user: &UserName) -> String {
        self.learned().by_name.get(user).map_or_else(|| user.as_str().to_owned(), Clone::clone)
    }

    /// Whether the slug of `user` is that of somebody else, too: the server answers for one of them.
    fn is_shared(&self, user: &UserName) -> bool {
        self.learned().shared.values().any(|users| users.contains(user))
    }

    /// What cannot be seen since several users have one slug.
    fn shared(&self) -> Coverage {
        let shared = self.learned().shared.clone();
        shared.into_iter().map(|(slug, users)| Missing::SharedSlug { slug, users }).collect()
    }

    /// The path of the tokens of `owner`.
    fn tokens_path(&self, owner: &Owner) -> Result<String, BadSegment> {
        let slug = owner.user().map(|user| self.of(user));
        wire::tokens_path(owner, slug.as_deref())
    }
}
