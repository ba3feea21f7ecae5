//! A target in memory, for laws that are tried on thousands of states: it does what the traits
//! promise and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock, Mutex},
};

use jiff::Timestamp;
use proptest::test_runner::Config as ProptestConfig;
use tokenwarden::{
    access::{
        Credentials, Decision, Held, Operation, Person, Request, RequestOrigin, client_address, decide,
    },
    apply::{Effect, Outcome, TargetWriter, WriteError, execute},
    inventory::{
        Administrators, Call, Caller, Capabilities, Coverage, Expiry, InventoryReader, Overview, People,
        ReadError, Server,
    },
    model::{
        AddressSet, AllowedNetworks, GroupName, LastUse, MarkKey, Marker, Owner, Restriction, Scope,
        SettingKey, Settings, Token, TokenId, TokenScope, UserName,
        rails::{Lockout, RailClass, Rails, Unsupported},
    },
    plan::{Change, History, Plan, Standing, Terms, TokenStep, WaysIn},
    policy::Policy,
};

/// What a run calls on it.
pub(crate) fn calls() -> Vec<Call> {
    ["GET", "PUT"].map(|method| Call::new(method, "/settings")).into()
}

/// What the target has.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) users: BTreeMap<UserName, bool>,
    pub(crate) groups: BTreeMap<GroupName, BTreeSet<UserName>>,
    /// Those of which not all members are shown.
    pub(crate) partial_groups: BTreeSet<GroupName>,
    /// Whether not all users are shown.
    pub(crate) lacks_users: bool,
    pub(crate) tokens: BTreeMap<TokenId, Token>,
    /// Whom the target takes us for.
    pub(crate) caller: Caller,
    /// How we reach the target, unless we run it: the peer that it sees, and the lines of whatever
    /// header it declares.
    pub(crate) connection: Option<(IpAddr, Vec<String>)>,
    /// What the target can do. Where tokens are marked, descriptions are the whole texts, with their marks.
    pub(crate) capabilities: Capabilities,
    /// The settings that it can hold.
    pub(crate) manageable: BTreeSet<SettingKey>,
}

/// How many UTF-16 code units a description of the target may have.
pub(crate) const ROOM: usize = 255;

/// What makes and reads the marks of the target.
pub(crate) fn marker() -> Marker {
    Marker::new(MarkKey::new("a key for the marks of the tests").unwrap(), "world", ROOM)
}

impl State {
    /// A target that can set no expiry, so that tokens are marked, and that holds no limits.
    pub(crate) fn with_marks(self) -> Self {
        let expiry = Expiry::Mark { room: ROOM };
        Self {
            capabilities: Capabilities { expiry, ..self.capabilities },
            manageable: self.manageable.into_iter().filter(|key| *key != SettingKey::Limits).collect(),
            ..self
        }
    }

    /// The same without the tokens that a run would revoke until `moment` for their marks.
    pub(crate) fn without_marked_until(&self, moment: Timestamp) -> Self {
        let mut left = self.clone();
        let is_due = |token: &Token| {
            let (_, mark) = marker().read(&token.description, &token.id);
            mark.is_some_and(|mark| mark.until <= moment)
        };
        left.tokens.retain(|_, token| !self.marks() || !is_due(token));
        left
    }

    fn marks(&self) -> bool {
        matches!(self.capabilities.expiry, Expiry::Mark { .. })
    }

    /// Whether the target would let us in with a request of `method`, if it had `settings`.
    pub(crate) fn lets_us_in(&self, settings: &Settings, method: &str, now: Timestamp) -> bool {
        let Some((peer, header_lines)) = self.connection.clone() else { return true };
        let user = self.caller.user.as_ref().unwrap();
        let person = Person { active: true, ..self.person(user) };
        let credentials = match self.caller.token().map(|id| self.tokens.get(id)) {
            None => Credentials::Password(person),
            Some(Some(token)) if !token.is_expired(now) => token_of(token, person),
            Some(_) => Credentials::Invalid,
        };
        permits(settings, credentials, RequestOrigin::Connection { peer, header_lines }, method)
    }

    /// Whether `user` has a way in: the password that everybody is taken to have, or a token, from
    /// where it was last used. Somebody who is seen at an address may be seen `elsewhere` instead, and must
    /// be let in there too.
    pub(crate) fn lets_in(
        &self,
        user: &UserName,
        method: &str,
        elsewhere: &dyn Fn(Option<IpAddr>) -> AddressSet,
        now: Timestamp,
    ) -> bool {
        let person = self.person(user);
        let anywhere = Settings { networks: AllowedNetworks::Anywhere, ..self.settings.clone() };
        let somewhere = RequestOrigin::Client(Ipv4Addr::UNSPECIFIED.into());
        let let_in = |from| elsewhere(from).difference(&self.settings.networks.addresses()).is_empty();
        (let_in(None) && permits(&anywhere, Credentials::Password(person.clone()), somewhere.clone(), method))
            || self.tokens.values().any(|token| {
                let from = token.last_used.and_then(|last| last.from);
                let (settings, origin) = match from {
                    Some(from) => (&self.settings, RequestOrigin::Client(from)),
                    None => (&anywhere, somewhere.clone()),
                };
                token.owner.user() == Some(user)
                    && !token.is_expired(now)
                    && let_in(from)
                    && permits(settings, token_of(token, person.clone()), origin, method)
            })
    }

    fn person(&self, user: &UserName) -> Person {
        let groups = self.groups.iter().filter(|(_, members)| members.contains(user));
        Person {
            name: user.clone(),
            groups: groups.map(|(group, _)| group.clone()).collect(),
            active: self.users.get(user).copied().unwrap_or(false),
            administrator: self
                .groups
                .get(&"administrators".into())
                .is_some_and(|members| members.contains(user)),
        }
    }

    /// Whom the target takes us for, and where it sees us.
    fn caller(&self) -> Caller {
        let mut caller = self.caller.clone();
        if let Some((peer, lines)) = &self.connection {
            caller.address = client_address(&self.settings.client_address, *peer, lines).ok();
            caller.peer = Some(*peer);
        }
        caller
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            settings: Settings::initial("administrators".into()),
            users: BTreeMap::new(),
            groups: BTreeMap::from([("administrators".into(), BTreeSet::new())]),
            partial_groups: BTreeSet::new(),
            lacks_users: false,
            tokens: BTreeMap::new(),
            caller: Caller::operator(),
            connection: None,
            capabilities: Capabilities::everything(),
            manageable: SettingKey::ALL.into(),
        }
    }
}

fn token_of(token: &Token, owner: Person) -> Credentials {
    Credentials::Token(Held {
        id: token.id.clone(),
        owner: owner.into(),
        scope: token.scope,
        expires: token.expires,
        restriction: Restriction::default(),
    })
}

fn permits(settings: &Settings, credentials: Credentials, origin: RequestOrigin, method: &str) -> bool {
    let request = Request {
        origin,
        method,
        path: "/settings",
        credentials,
        operation: Operation::Enter,
        at: Timestamp::MIN,
    };
    matches!(decide(settings, &request), Decision::Permit(_))
}

/// The target, and every settings state that it went through.
pub(crate) struct World {
    state: Mutex<State>,
    /// How many changes are made before every further one fails.
    writes_left: Mutex<usize>,
    pub(crate) settings_seen: Mutex<Vec<Settings>>,
}

impl World {
    pub(crate) fn new(state: State) -> Self {
        Self {
            settings_seen: Mutex::new(vec![state.settings.clone()]),
            state: Mutex::new(state),
            writes_left: Mutex::new(usize::MAX),
        }
    }

    /// Lets every change after the next `writes` fail.
    pub(crate) fn fail_after(&self, writes: usize) {
        *self.writes_left.lock().unwrap() = writes;
    }

    /// Changes what the target has without a plan.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    pub(crate) fn plan(&self, policy: &Policy, now: Timestamp) -> Plan {
        self.plan_with(policy, &Lockout::default(), now)
    }

    pub(crate) fn plan_with(&self, policy: &Policy, lockout: &Lockout, now: Timestamp) -> Plan {
        self.plan_on(&Terms { lockout, ..terms(policy, now) })
    }

    pub(crate) fn plan_on(&self, terms: &Terms<'_>) -> Plan {
        block_on(Plan::make(terms, self)).unwrap()
    }

    /// Plans and applies, whatever the rails and the check on lockouts would say.
    pub(crate) fn apply(&self, policy: &Policy, now: Timestamp) -> (Plan, Outcome) {
        self.apply_on(&terms(policy, now))
    }

    /// As [`Self::apply`], on more terms.
    pub(crate) fn apply_on(&self, terms: &Terms<'_>) -> (Plan, Outcome) {
        let plan = self.plan_on(terms);
        let approved = approve(plan.clone());
        let outcome = block_on(execute(&approved, self, self, &|_| {}));
        (plan, outcome)
    }
}

static NO_HISTORY: History = History { open: Vec::new(), deadlines: BTreeMap::new(), spent: None };
static NO_LOCKOUT: LazyLock<Lockout> = LazyLock::new(Lockout::default);

/// What a plan for `policy` at the moment `now` is made from, when nothing else matters.
pub(crate) fn terms(policy: &Policy, now: Timestamp) -> Terms<'_> {
    Terms {
        target: "world",
        policy,
        lockout: &NO_LOCKOUT,
        unsupported: Unsupported::Error,
        history: &NO_HISTORY,
        now,
    }
}

/// The plan as one that may be applied, whatever the rails and the check on lockouts would say.
pub(crate) fn approve(mut plan: Plan) -> tokenwarden::plan::ApprovedPlan {
    plan.shut_out.clear();
    plan.ways_in = WaysIn::default();
    let allowed = RailClass::ALL.map(|class| (class, u64::MAX)).into();
    plan.approve(&Rails::default(), &allowed).expect("every rail is lifted")
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The configuration of a law that is tried with so many cases, unless `PROPTEST_CASES` says otherwise.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(cases),
    }
}

/// The policy that `yaml` is; panics with its mistakes.
pub(crate) fn policy(yaml: &str) -> Policy {
    let reading = tokenwarden::policy::read(&[(Arc::from("policy.yaml"), yaml.as_bytes().to_vec())]);
    reading.policy.unwrap_or_else(|| panic!("{:#?}\n{yaml}", reading.diagnostics))
}

/// The present moment, where it may be any, and where several tests must agree on it.
pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

/// The token `id` of `owner`, that only reads, was used the day before [`NOW`] and ends a month after.
pub(crate) fn token(id: &str, owner: &str) -> Token {
    Token {
        id: TokenId::new(id),
        owner: Owner::User(owner.into()),
        description: "OPS-1 nightly".to_owned(),
        scope: TokenScope::Set(Scope::ReadOnly),
        created: time("2026-11-01T00:00:00Z"),
        created_by: None,
        last_used: Some(LastUse { at: time("2026-11-22T00:00:00Z"), from: None }),
        expires: Some(time("2026-12-24T00:00:00Z")),
        mark: None,
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl InventoryReader for World {
    async fn overview(&self) -> Result<Overview, ReadError> {
        let state = self.state();
        Ok(Overview {
            server: Server {
                url: "memory".to_owned(),
                version: None,
                caller: state.caller(),
                administrators: Some(Administrators::Group("administrators".into())),
                calls: calls(),
                manageable: state.manageable.clone(),
                unreadable: BTreeMap::new(),
                forms: BTreeMap::new(),
                capabilities: state.capabilities,
                left_out: Vec::new(),
                settings_changed: None,
            },
            settings: state.settings,
        })
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let state = self.state();
        let mut people = People::default();
        for (user, active) in state.users {
            people.add_user(user, active);
        }
        if state.lacks_users {
            people.lack_users("the rest is missing".to_owned());
        }
        for group in groups {
            match state.groups.get(group) {
                Some(members) if state.partial_groups.contains(group) => {
                    let reason = "the rest is missing".to_owned();
                    people.add_partial_group(group.clone(), members.iter().cloned(), reason);
                }
                Some(members) => people.add_group(group, members.iter().cloned()),
                None => people.add_unknown_group(group.clone()),
            }
        }
        Ok(people)
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        Ok(Some(self.state().groups.into_keys().collect()))
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        let state = self.state();
        let marks = state.marks();
        for token in state.tokens.into_values() {
            if marks {
                let (words, mark) = marker().read(&token.description, &token.id);
                each(Token { description: words.to_owned(), mark, ..token });
            } else {
                each(token);
            }
        }
        Ok(Coverage::Complete)
    }
}

impl TargetWriter for &World {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        <World as TargetWriter>::make(self, change).await
    }
}

impl TargetWriter for World {
    async fn make(&self, change: &Change) -> Result<Effect, WriteError> {
        {
            let mut left = self.writes_left.lock().unwrap();
            *left = left.checked_sub(1).ok_or_else(|| WriteError::Failed("the connection broke".into()))?;
        }
        let mut state = self.state.lock().unwrap();
        let (token, step) = match change {
            Change::Setting { .. } => {
                return match change.standing_in(&state.settings) {
                    Standing::Before => {
                        change.write_into(&mut state.settings);
                        self.settings_seen.lock().unwrap().push(state.settings.clone());
                        Ok(Effect::Made)
                    }
                    Standing::After => Ok(Effect::AlreadySo),
                    Standing::Moved => Err(WriteError::Moved),
                };
            }
            Change::Token { token, step } => (token, *step),
        };
        if step == TokenStep::Revoke {
            return Ok(state.tokens.remove(&token.id).map_or(Effect::AlreadySo, |_| Effect::Made));
        }
        let live = state.tokens.get_mut(&token.id).expect("a token that is changed is there");
        match step {
            TokenStep::Narrow { to } => {
                assert!(to <= live.scope.effective(), "narrowing never widens");
                live.scope = TokenScope::Set(to);
            }
            TokenStep::Expire { at } => {
                assert!(live.expires.is_none_or(|expires| at < expires), "an expiry only comes nearer");
                live.expires = Some(at);
            }
            TokenStep::Mark { until } => {
                let marked = marker().marked(&live.description, token, until).expect("its words are known");
                live.description = marked.expect("it has no such mark yet");
            }
            TokenStep::Unmark => {
                let (words, mark) = marker().read(&live.description, &live.id);
                assert!(mark.is_some(), "a mark is there to be taken off");
                live.description = Marker::unmarked(words).to_owned();
            }
            TokenStep::Revoke => unreachable!("it is gone"),
        }
        Ok(Effect::Made)
    }
}
