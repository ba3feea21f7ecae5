//! The rules: every fact of a built-in rule in one entry of one table.

use std::{fmt, str::FromStr, sync::Arc};

use super::{Action, LimitKey, Permission};

/// What a rule looks at, beside the scope and the expiry of the token: when that changed since a plan was made, the
/// plan's finding no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksAt {
    /// Nothing else of the token, which may be found without it.
    Token,
    /// The owner: it finds the same of all tokens of an owner.
    Owner,
    /// When the token was used.
    Use,
    /// When the tokens of an owner were used, whichever of them are too many.
    UseOfAll,
    /// What people wrote of it.
    Words,
    /// Anything.
    Anything,
}

impl LooksAt {
    /// Whether a later use of the token may undo the finding.
    #[must_use]
    pub fn includes_use(self) -> bool {
        match self {
            Self::Use | Self::UseOfAll | Self::Anything => true,
            Self::Token | Self::Owner | Self::Words => false,
        }
    }

    /// Whether other words may undo the finding.
    #[must_use]
    pub fn includes_words(self) -> bool {
        match self {
            Self::Words | Self::Anything => true,
            Self::Token | Self::Owner | Self::Use | Self::UseOfAll => false,
        }
    }

    /// Whether the finding is about the owner rather than about one of the tokens.
    #[must_use]
    pub fn is_of_owner(self) -> bool {
        match self {
            Self::Owner | Self::UseOfAll => true,
            Self::Token | Self::Use | Self::Words | Self::Anything => false,
        }
    }
}

/// The part of a policy without which a rule finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoesBy {
    /// It has no parameter.
    Nothing,
    /// A permission.
    Permission(Permission),
    /// A key of the limits.
    Limit(LimitKey),
    /// The policy's own rules.
    OwnRules,
}

/// What is known of a rule without looking at a token.
#[derive(Clone, Copy, Debug)]
pub struct RuleFacts {
    /// Its code in policies and reports.
    pub code: &'static str,
    /// What a finding of it says of a token, as words that follow "the token".
    pub finds: &'static str,
    /// What the owner of a token that breaks it can do, as a sentence without its full stop.
    pub advice: &'static str,
    /// The kinds of action that make sense on it, in the order of their weight.
    pub actions: &'static [&'static str],
    /// Whether something other than `report` happens on it only when the policy names it: what it finds
    /// may be a gap in what was seen or written, and no fault of the token.
    pub acts_only_when_named: bool,
    /// What it looks at.
    pub looks_at: LooksAt,
    /// What it goes by.
    pub goes_by: GoesBy,
    /// Whether a token that complies fails some day, although nothing but the time changes.
    pub fails_with_time: bool,
}

const NARROWS: &[&str] = &["report", "narrow", "expire", "revoke"];
const ENDS: &[&str] = &["report", "expire", "revoke"];

macro_rules! rules {
    ($($(#[$doc:meta])+ $name:ident { $($fact:ident: $value:expr),+ $(,)? })+) => {
        /// One way in which a token can fail to comply.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RuleCode { $($(#[$doc])+ $name),+ }

        impl RuleCode {
            /// All of them, in the order in which they are tried and shown.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];

            /// What is known of it.
            #[must_use]
            pub const fn facts(self) -> RuleFacts {
                match self { $(Self::$name => RuleFacts { $($fact: $value),+ }),+ }
            }
        }
    };
}

rules! {
    /// The directory says that the owner is not active.
    OwnerInactive {
        code: "owner-inactive",
        finds: "belongs to somebody whom the directory calls inactive",
        advice: "let somebody who is active make a token of their own for what still needs one",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Owner,
        goes_by: GoesBy::Nothing,
        fails_with_time: false,
    }
    /// The owner is not in the directory.
    OwnerUnknown {
        code: "owner-unknown",
        finds: "belongs to somebody who is not in the directory",
        advice: "find out whose token it is, and revoke it when it is nobody's",
        actions: ENDS,
        acts_only_when_named: true,
        looks_at: LooksAt::Owner,
        goes_by: GoesBy::Nothing,
        fails_with_time: false,
    }
    /// The owner is outside `permissions.use`.
    OwnerNotPermitted {
        code: "owner-not-permitted",
        finds: "belongs to somebody outside `permissions.use`",
        advice: "ask for a group that may use tokens, or stop using this one",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Owner,
        goes_by: GoesBy::Permission(Permission::Use),
        fails_with_time: false,
    }
    /// The scope is more than the limit.
    Scope {
        code: "scope",
        finds: "has a larger scope than its limit",
        advice: "use it for reading alone, or ask for a limit that lets it write",
        actions: NARROWS,
        acts_only_when_named: false,
        looks_at: LooksAt::Token,
        goes_by: GoesBy::Limit(LimitKey::MaxScope),
        fails_with_time: false,
    }
    /// The token is older than scopes and so counts as read-write.
    ScopeUnset {
        code: "scope-unset",
        finds: "is older than scopes, and counts as read-write",
        advice: "nothing, unless it is used for more than its new scope allows",
        actions: NARROWS,
        acts_only_when_named: false,
        looks_at: LooksAt::Token,
        goes_by: GoesBy::Nothing,
        fails_with_time: false,
    }
    /// It never expires, or lives longer than the limit.
    Lifetime {
        code: "lifetime",
        finds: "never expires, or lives longer than its limit",
        advice: "make a new token that ends within the limit, and put it where this one is used",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Token,
        goes_by: GoesBy::Limit(LimitKey::MaxLifetime),
        fails_with_time: false,
    }
    /// Its last use lies too long ago.
    Idle {
        code: "idle",
        finds: "was used last too long ago",
        advice: "revoke it if nothing needs it; otherwise put it to use",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Use,
        goes_by: GoesBy::Limit(LimitKey::MaxIdle),
        fails_with_time: true,
    }
    /// It was never used and is older than the limit.
    NeverUsed {
        code: "never-used",
        finds: "was never used, and is older than its limit",
        advice: "revoke it if nothing needs it; otherwise put it to use",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Use,
        goes_by: GoesBy::Limit(LimitKey::MaxUnused),
        fails_with_time: true,
    }
    /// Its owner has more tokens than the limit; the least recently used are too many.
    PerOwner {
        code: "per-owner",
        finds: "is one of too many of its owner, and among the least recently used",
        advice: "revoke the tokens that are not needed",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::UseOfAll,
        goes_by: GoesBy::Limit(LimitKey::MaxPerOwner),
        fails_with_time: false,
    }
    /// Its description does not match.
    Description {
        code: "description",
        finds: "has a description that does not match",
        advice: "make a new token whose description has the form that the policy asks for",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Words,
        goes_by: GoesBy::Limit(LimitKey::Description),
        fails_with_time: false,
    }
    /// Somebody made it for somebody else without being permitted to.
    CreatorNotPermitted {
        code: "creator-not-permitted",
        finds: "was made for somebody else by somebody outside `permissions.manage_others`",
        advice: "make a token of your own, and put it where this one is used",
        actions: ENDS,
        acts_only_when_named: false,
        looks_at: LooksAt::Token,
        goes_by: GoesBy::Permission(Permission::ManageOthers),
        fails_with_time: false,
    }
    /// It expired and is still listed.
    Expired {
        code: "expired",
        finds: "expired, and is still listed",
        advice: "nothing: it does not work any more and only clutters the list",
        actions: &["report", "revoke"],
        acts_only_when_named: false,
        looks_at: LooksAt::Token,
        goes_by: GoesBy::Nothing,
        fails_with_time: true,
    }
    /// The expression of an own rule failed on it.
    RuleError {
        code: "rule-error",
        finds: "could not be judged by an own rule, whose expression failed",
        advice: "have the expression of the rule put right in the policy",
        actions: ENDS,
        acts_only_when_named: true,
        looks_at: LooksAt::Anything,
        goes_by: GoesBy::OwnRules,
        fails_with_time: false,
    }
}

impl RuleCode {
    /// Its code in policies and reports.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.facts().code
    }
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A rule, built in or the policy's own. Built-in ones come first, in the order in which they are
/// tried, then own ones by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// One that the program has.
    BuiltIn(RuleCode),
    /// One of the policy, by its name.
    Own(Arc<str>),
}

impl Rule {
    /// Its code in policies and reports.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::BuiltIn(code) => code.code(),
            Self::Own(name) => name,
        }
    }

    /// The kinds of action that make sense on it, in the order of their weight.
    #[must_use]
    pub fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::BuiltIn(code) => code.facts().actions,
            Self::Own(_) => NARROWS,
        }
    }

    /// What it looks at; an own rule may look at anything.
    #[must_use]
    pub fn looks_at(&self) -> LooksAt {
        match self {
            Self::BuiltIn(code) => code.facts().looks_at,
            Self::Own(_) => LooksAt::Anything,
        }
    }

    /// Whether `action` makes sense on it.
    #[must_use]
    pub fn admits(&self, action: Action) -> bool {
        self.actions().contains(&action.word())
    }
}

impl From<RuleCode> for Rule {
    fn from(code: RuleCode) -> Self {
        Self::BuiltIn(code)
    }
}

impl PartialEq<RuleCode> for Rule {
    fn eq(&self, code: &RuleCode) -> bool {
        *self == Self::BuiltIn(*code)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is not a rule code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown rule `{0}`")]
pub struct UnknownRule(pub String);

impl FromStr for RuleCode {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|rule| rule.code() == text).ok_or_else(|| UnknownRule(text.to_owned()))
    }
}
