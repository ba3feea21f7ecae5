//! The variables `token`, `owner` and `now` of expressions. Names of users and groups are in lower case
//! here, as expressions are read: names are not case-sensitive.

use std::{
    collections::{BTreeSet, HashMap},
    iter,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, IdedExpr, Value};
use chrono::DateTime;
use jiff::Timestamp;

use crate::model::{GroupName, LastUse, Owner, Scope, Token, TokenId, TokenScope};

use super::{Expression, kinds::Kinds};

/// The variables of expressions for one token.
pub struct Facts(Context<'static, 'static>);

impl Facts {
    /// The facts on `token` at the moment `now`. `active` is what the directory says of its owner:
    /// nothing for an owner whom it does not know, and for projects and repositories. `groups` are
    /// those of the owner's groups that expressions ask for.
    #[must_use]
    pub fn new<'g>(
        token: &Token,
        active: Option<bool>,
        groups: impl Iterator<Item = &'g GroupName>,
        now: Timestamp,
    ) -> Self {
        Self::asked_for(&NeededFacts::everything(), token, active, groups, now)
    }

    /// The same, without the members that are not `asked` for.
    #[must_use]
    pub fn asked_for<'g>(
        asked: &NeededFacts,
        token: &Token,
        active: Option<bool>,
        groups: impl Iterator<Item = &'g GroupName>,
        now: Timestamp,
    ) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        let last_used = token.last_used;
        let fact = |member: &str| match member {
            "id" => text(token.id.as_str()),
            "description" => text(&token.description),
            "scope" => text(&token.scope.to_string()),
            "created" => time(token.created),
            "created_by" => or_null(token.created_by.as_ref(), |user| text(user.folded())),
            "last_used" => or_null(last_used, |last| time(last.at)),
            "last_used_from" => {
                or_null(last_used.and_then(|last| last.from), |from| text(&from.to_canonical().to_string()))
            }
            "expires" => or_null(token.expires, time),
            _ => Value::Null,
        };
        let members: HashMap<_, _> = asked.of_token.iter().map(|member| (*member, fact(member))).collect();
        context.add_variable_from_value("token", members);
        context.add_variable_from_value("owner", owner(asked, &token.owner, active, groups));
        context.add_variable_from_value("now", time(now));
        Self(context)
    }

    pub(super) fn context(&self) -> &Context<'static, 'static> {
        &self.0
    }
}

/// The members that expressions ask for.
#[derive(Clone, Debug)]
pub struct NeededFacts {
    of_token: Vec<&'static str>,
    of_owner: Vec<&'static str>,
}

impl NeededFacts {
    /// What `expressions` may ask for.
    #[must_use]
    pub fn by<'e>(expressions: impl IntoIterator<Item = &'e Expression>) -> Self {
        let expressions: Vec<_> = expressions.into_iter().collect();
        let mut asked = Self::everything();
        let is_asked = |member: &&'static str| expressions.iter().any(|one| one.may_ask_for(member));
        asked.of_token.retain(is_asked);
        asked.of_owner.retain(is_asked);
        asked
    }

    fn everything() -> Self {
        Self { of_token: members("token"), of_owner: members("owner") }
    }
}

/// The members of a variable, each with the kinds of its values.
type Members = &'static [(&'static str, Kinds)];

const TOKEN: Members = &[
    ("id", Kinds::TEXT),
    ("description", Kinds::TEXT),
    ("scope", Kinds::TEXT),
    ("created", Kinds::TIME),
    ("created_by", Kinds::TEXT.or_null()),
    ("last_used", Kinds::TIME.or_null()),
    ("last_used_from", Kinds::TEXT.or_null()),
    ("expires", Kinds::TIME.or_null()),
];

const OWNER: Members = &[
    ("name", Kinds::TEXT),
    ("kind", Kinds::TEXT),
    ("groups", Kinds::LIST),
    ("active", Kinds::TRUTH.or_null()),
    ("project", Kinds::TEXT.or_null()),
    ("repository", Kinds::TEXT.or_null()),
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
    members_of(variable).iter().map(|(name, _)| *name).collect()
}

/// The kinds of the values that `member` of `variable` has.
pub(super) fn kinds(variable: &str, member: &str) -> Option<Kinds> {
    members_of(variable).iter().find(|(name, _)| *name == member).map(|(_, kinds)| *kinds)
}

fn owner<'g>(
    asked: &NeededFacts,
    owner: &Owner,
    active: Option<bool>,
    mut groups: impl Iterator<Item = &'g GroupName>,
) -> HashMap<&'static str, Value> {
    let mut fact = |member: &str| match (member, owner) {
        ("name", Owner::User(user)) => text(user.folded()),
        ("name", Owner::Project(name) | Owner::Repository { slug: name, .. }) => text(&name.to_lowercase()),
        ("kind", _) => text(owner.kind().word()),
        ("groups", _) => Value::from(groups.by_ref().map(|group| text(group.folded())).collect::<Vec<_>>()),
        ("active", _) => or_null(active, Value::Bool),
        ("project", _) => or_null(owner.project(), |project| text(&project.to_lowercase())),
        ("repository", Owner::Repository { slug, .. }) => text(&slug.to_lowercase()),
        _ => Value::Null,
    };
    asked.of_owner.iter().map(|member| (*member, fact(member))).collect()
}

fn or_null<T>(value: Option<T>, known: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, known)
}

fn text(text: &str) -> Value {
    Value::from(text)
}

/// A moment as CEL has it: of the years 1 to 9999.
fn time(moment: Timestamp) -> Value {
    const FIRST: i64 = -62_135_596_800;
    let seconds = moment.as_second().max(FIRST);
    let nanoseconds = u32::try_from(moment.subsec_nanosecond()).unwrap_or(0);
    DateTime::from_timestamp(seconds, nanoseconds)
        .map_or(Value::Null, |moment| Value::Timestamp(moment.fixed_offset()))
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
    facts: Facts,
    owner: Owner,
    active: Option<bool>,
    is_member: bool,
    /// Words for it.
    whose: String,
}

/// Tokens in every state in which something can be absent. Made once: a policy may have many expressions.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let day = |days: i64| Timestamp::from_second(1_800_000_000 + days * 86_400).unwrap_or_default();
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
                let facts = Facts::new(&token, active, iter::empty(), day(0));
                let whose = describe(&token, whose);
                samples.push(Sample { facts, owner: owner.clone(), active, is_member, whose });
            }
        }
    }
    samples
});

/// Facts on tokens in every state in which something can be absent, each with words for it. Owners who
/// are users are in all of `groups`, or in none.
pub(super) fn samples(groups: &BTreeSet<GroupName>) -> impl Iterator<Item = (Facts, &'static str)> {
    SAMPLES.iter().map(move |sample| {
        let mut facts = sample.facts.0.new_inner_scope();
        if sample.is_member && !groups.is_empty() {
            let of_member = owner(&NeededFacts::everything(), &sample.owner, sample.active, groups.iter());
            facts.add_variable_from_value("owner", of_member);
        }
        (Facts(facts), sample.whose.as_str())
    })
}

fn describe(token: &Token, whose: &str) -> String {
    let used = if token.last_used.is_some() { "" } else { " that was never used" };
    let expires = if token.expires.is_some() { "" } else { " without an expiry" };
    let and = if used.is_empty() || expires.is_empty() { "" } else { " and is" };
    format!("a token of {whose}{used}{and}{expires}")
}
