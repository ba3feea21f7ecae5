//! The variables `token`, `owner` and `now` of expressions. Names of users and groups are in lower case
//! here, as expressions are read: names are not case-sensitive.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, IdedExpr, Value};
use chrono::DateTime;
use jiff::Timestamp;

use crate::model::{GroupName, LastUse, Owner, Scope, Token, TokenId, TokenScope};

use super::{Expression, kinds::Kinds};

/// The variables of expressions for one token.
pub struct Facts<'t> {
    asked: Cow<'t, NeededFacts>,
    token: &'t Token,
    active: Option<bool>,
    groups: Vec<&'t GroupName>,
    now: Timestamp,
    /// The same as CEL has it, once an expression needs that.
    context: OnceCell<Context<'static, 'static>>,
}

impl<'t> Facts<'t> {
    /// The facts on `token` at the moment `now`. `active` is what the directory says of its owner:
    /// nothing for an owner whom it does not know, and for projects and repositories. `groups` are
    /// those of the owner's groups that expressions ask for.
    #[must_use]
    pub fn new(
        token: &'t Token,
        active: Option<bool>,
        groups: impl Iterator<Item = &'t GroupName>,
        now: Timestamp,
    ) -> Self {
        Self::of(Cow::Owned(NeededFacts::everything()), token, active, groups, now)
    }

    /// The same, without the members that are not `asked` for.
    #[must_use]
    pub fn asked_for(
        asked: &'t NeededFacts,
        token: &'t Token,
        active: Option<bool>,
        groups: impl Iterator<Item = &'t GroupName>,
        now: Timestamp,
    ) -> Self {
        Self::of(Cow::Borrowed(asked), token, active, groups, now)
    }

    fn of(
        asked: Cow<'t, NeededFacts>,
        token: &'t Token,
        active: Option<bool>,
        groups: impl Iterator<Item = &'t GroupName>,
        now: Timestamp,
    ) -> Self {
        let has_groups = asked.of_owner.iter().any(|(_, fact)| *fact == Fact::Groups);
        let groups = if has_groups { groups.collect() } else { Vec::new() };
        Self { asked, token, active, groups, now, context: OnceCell::new() }
    }

    /// The variables as CEL has them.
    pub(super) fn context(&self) -> &Context<'static, 'static> {
        self.context.get_or_init(|| {
            let value = |fact| match fact {
                Fact::Groups => {
                    let groups = self.groups.iter().map(|group| Value::from(group.folded()));
                    Value::from(groups.collect::<Vec<_>>())
                }
                fact => self.seen(fact).into(),
            };
            let members = |asked: &[(&'static str, Fact)]| -> HashMap<&'static str, Value> {
                asked.iter().map(|(member, fact)| (*member, value(*fact))).collect()
            };
            let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
            context.add_variable_from_value("token", members(&self.asked.of_token));
            context.add_variable_from_value("owner", members(&self.asked.of_owner));
            context.add_variable_from_value("now", Value::from(self.now()));
            context
        })
    }

    /// What the token and its owner have at a member; nothing is seen of a list.
    pub(super) fn seen(&self, fact: Fact) -> Seen<'t> {
        let (token, owner) = (self.token, &self.token.owner);
        let lower_case = |text: &str| Seen::Text(text.to_lowercase().into());
        match fact {
            Fact::Id => Seen::text(token.id.as_str()),
            Fact::Description => Seen::text(&token.description),
            Fact::Scope => Seen::text(token.scope.word()),
            Fact::Created => Seen::time(token.created),
            Fact::CreatedBy => or_null(token.created_by.as_ref(), |user| Seen::text(user.folded())),
            Fact::LastUsed => or_null(token.last_used, |last| Seen::time(last.at)),
            Fact::LastUsedFrom => or_null(token.last_used.and_then(|last| last.from), |from| {
                Seen::Text(from.to_canonical().to_string().into())
            }),
            Fact::Expires => or_null(token.expires, Seen::time),
            Fact::Name => match owner {
                Owner::User(user) => Seen::text(user.folded()),
                Owner::Project(name) | Owner::Repository { slug: name, .. } => lower_case(name),
            },
            Fact::Kind => Seen::text(owner.kind().word()),
            Fact::Active => or_null(self.active, Seen::Truth),
            Fact::Project => or_null(owner.project(), lower_case),
            Fact::Repository => match owner {
                Owner::Repository { slug, .. } => lower_case(slug),
                Owner::User(_) | Owner::Project(_) => Seen::Null,
            },
            Fact::Groups => Seen::Null,
        }
    }

    /// The moment of the check.
    pub(super) fn now(&self) -> Seen<'t> {
        Seen::time(self.now)
    }

    /// Whether the owner is in the group that is `folded` so.
    pub(super) fn is_member(&self, folded: &str) -> bool {
        self.groups.iter().any(|group| group.folded() == folded)
    }
}

/// The value of a member, or what is made of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen<'t> {
    Null,
    Truth(bool),
    Text(Cow<'t, str>),
    /// A moment, in nanoseconds since 1970, UTC.
    Time(i128),
    /// A duration, in nanoseconds.
    Span(i128),
}

impl<'t> Seen<'t> {
    fn text(text: &'t str) -> Self {
        Self::Text(text.into())
    }

    /// A moment as CEL has it: of the years 1 to 9999.
    fn time(moment: Timestamp) -> Self {
        const FIRST: i64 = -62_135_596_800;
        let seconds = moment.as_second().max(FIRST);
        Self::Time(i128::from(seconds) * NANOSECONDS + i128::from(moment.subsec_nanosecond().max(0)))
    }

    /// The same of what CEL has; `None` for what is not looked at here.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let nanoseconds = |seconds: i64, rest: i128| i128::from(seconds) * NANOSECONDS + rest;
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Truth(*truth),
            Value::String(text) => Self::Text(text.to_string().into()),
            // A leap second is one of its own for CEL.
            Value::Timestamp(at) if at.timestamp_subsec_nanos() < 1_000_000_000 => {
                Self::Time(nanoseconds(at.timestamp(), at.timestamp_subsec_nanos().into()))
            }
            Value::Duration(of) => Self::Span(nanoseconds(of.num_seconds(), of.subsec_nanos().into())),
            _ => return None,
        })
    }
}

impl From<Seen<'_>> for Value {
    fn from(seen: Seen<'_>) -> Self {
        let parts = |nanoseconds: i128| {
            let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS)).ok()?;
            DateTime::from_timestamp(seconds, u32::try_from(nanoseconds.rem_euclid(NANOSECONDS)).ok()?)
        };
        match seen {
            Seen::Null => Self::Null,
            Seen::Truth(truth) => Self::Bool(truth),
            Seen::Text(text) => Self::from(&*text),
            Seen::Time(at) => parts(at).map_or(Self::Null, |moment| Self::Timestamp(moment.fixed_offset())),
            Seen::Span(of) => {
                i64::try_from(of).map_or(Self::Null, |of| Self::Duration(chrono::Duration::nanoseconds(of)))
            }
        }
    }
}

const NANOSECONDS: i128 = 1_000_000_000;

/// The members that expressions ask for.
#[derive(Clone, Debug)]
pub struct NeededFacts {
    of_token: Vec<(&'static str, Fact)>,
    of_owner: Vec<(&'static str, Fact)>,
}

impl NeededFacts {
    /// What `expressions` may ask for.
    #[must_use]
    pub fn by<'e>(expressions: impl IntoIterator<Item = &'e Expression>) -> Self {
        let expressions: Vec<_> = expressions.into_iter().collect();
        let mut asked = Self::everything();
        let is_asked =
            |(member, _): &(&'static str, _)| expressions.iter().any(|one| one.may_ask_for(member));
        asked.of_token.retain(is_asked);
        asked.of_owner.retain(is_asked);
        asked
    }

    fn everything() -> Self {
        let of = |variable| members_of(variable).iter().map(|(name, _, fact)| (*name, *fact)).collect();
        Self { of_token: of("token"), of_owner: of("owner") }
    }
}

/// What can be asked of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Id,
    Description,
    Scope,
    Created,
    CreatedBy,
    LastUsed,
    LastUsedFrom,
    Expires,
    Name,
    Kind,
    Groups,
    Active,
    Project,
    Repository,
}

/// The members of a variable, each with the kinds of its values.
type Members = &'static [(&'static str, Kinds, Fact)];

const TOKEN: Members = &[
    ("id", Kinds::TEXT, Fact::Id),
    ("description", Kinds::TEXT, Fact::Description),
    ("scope", Kinds::TEXT, Fact::Scope),
    ("created", Kinds::TIME, Fact::Created),
    ("created_by", Kinds::TEXT.or_null(), Fact::CreatedBy),
    ("last_used", Kinds::TIME.or_null(), Fact::LastUsed),
    ("last_used_from", Kinds::TEXT.or_null(), Fact::LastUsedFrom),
    ("expires", Kinds::TIME.or_null(), Fact::Expires),
];

const OWNER: Members = &[
    ("name", Kinds::TEXT, Fact::Name),
    ("kind", Kinds::TEXT, Fact::Kind),
    ("groups", Kinds::LIST, Fact::Groups),
    ("active", Kinds::TRUTH.or_null(), Fact::Active),
    ("project", Kinds::TEXT.or_null(), Fact::Project),
    ("repository", Kinds::TEXT.or_null(), Fact::Repository),
];

fn members_of(variable: &str) -> Members {
    match variable {
        "token" => TOKEN,
        "owner" => OWNER,
        _ => &[],
    }
}

/// The names of the members of `variable`; none where it has none.
pub(super) fn members(variable: &str) -> Vec<&'static str> {
    members_of(variable).iter().map(|(name, ..)| *name).collect()
}

/// The kinds of the values that `member` of `variable` has.
pub(super) fn kinds(variable: &str, member: &str) -> Option<Kinds> {
    members_of(variable).iter().find(|(name, ..)| *name == member).map(|(_, kinds, _)| *kinds)
}

/// What `member` of `variable` is.
pub(super) fn fact(variable: &str, member: &str) -> Option<Fact> {
    members_of(variable).iter().find(|(name, ..)| *name == member).map(|(_, _, fact)| *fact)
}

fn or_null<'t, T>(value: Option<T>, known: impl FnOnce(T) -> Seen<'t>) -> Seen<'t> {
    value.map_or(Seen::Null, known)
}

/// The functions and operators of CEL without its macros, which would be loops.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::default().with_stdlib()));

/// The value of `part`, in which nothing is asked of a token; `None` when it has none.
pub(super) fn constant(part: &IdedExpr) -> Option<Value> {
    Value::resolve(part, &Context::with_env(Arc::clone(&ENVIRONMENT))).ok()
}

pub(super) fn environment() -> &'static Env {
    &ENVIRONMENT
}

/// A token as it may be, for trying expressions on.
struct Sample {
    token: Token,
    active: Option<bool>,
    is_member: bool,
    /// Words for it.
    whose: String,
}

/// Tokens in every state in which something can be absent. Made once: a policy may have many expressions.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let repository = Owner::Repository { project: "PLAT".to_owned(), slug: "app".to_owned() };
    let owners = [
        (Owner::User("mary".into()), Some(true), true, "an active user"),
        (Owner::User("stranger".into()), None, false, "a user who is not in the directory"),
        (Owner::Project("PLAT".to_owned()), None, false, "a project"),
        (repository, None, false, "a repository"),
    ];
    let scopes = [TokenScope::Set(Scope::ReadOnly), TokenScope::Set(Scope::ReadWrite), TokenScope::Unset];
    let uses = [Some(Some([192, 0, 2, 1].into())), Some(None), None];
    let mut samples = Vec::new();
    for (owner, active, is_member, whose) in owners {
        for scope in scopes {
            for (used, expires) in uses.iter().flat_map(|used| [(*used, Some(day(90))), (*used, None)]) {
                let token = Token {
                    id: TokenId::new("1"),
                    owner: owner.clone(),
                    description: "OPS-1 nightly build".to_owned(),
                    scope,
                    created: day(-30),
                    created_by: expires.map(|_| "mary".into()),
                    last_used: used.map(|from| LastUse { at: day(-1), from }),
                    expires,
                    mark: None,
                };
                let whose = describe(&token, whose);
                samples.push(Sample { token, active, is_member, whose });
            }
        }
    }
    samples
});

/// The moment that lies `days` behind that at which expressions are tried on samples.
fn day(days: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + days * 86_400).unwrap_or_default()
}

/// The facts that are `asked` for on tokens in every state in which something can be absent, each with words for it.
/// Owners who are users are in all of `groups`, or in none.
pub(super) fn samples<'e>(
    asked: &'e NeededFacts,
    groups: &'e BTreeSet<GroupName>,
) -> impl Iterator<Item = (Facts<'e>, &'static str)> {
    SAMPLES.iter().map(move |sample| {
        let groups = groups.iter().filter(|_| sample.is_member);
        let facts = Facts::asked_for(asked, &sample.token, sample.active, groups, day(0));
        (facts, sample.whose.as_str())
    })
}

fn describe(token: &Token, whose: &str) -> String {
    let used = if token.last_used.is_some() { "" } else { " that was never used" };
    let expires = if token.expires.is_some() { "" } else { " without an expiry" };
    let and = if used.is_empty() || expires.is_empty() { "" } else { " and is" };
    format!("a token of {whose}{used}{and}{expires}")
}
