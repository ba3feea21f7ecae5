//! Diagnostics: mistakes that the stages of reading find, each with its place, a stable code and, where
//! there is one, the literal text to write; sorted and without duplicates.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Place, scalar::scalar};

/// A stretch of a file: its place for people, its bytes for showing it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Where it begins.
    pub place: Place,
    /// First byte in the text of the file, from 0.
    pub start: usize,
    /// The byte behind the last one; never less than `start`.
    pub end: usize,
}

impl Span {
    /// The very beginning of `file`: for what concerns the file as a whole.
    #[must_use]
    pub fn of_file(file: &Arc<str>) -> Self {
        Self { place: Place { file: Arc::clone(file), line: 1, column: 1 }, start: 0, end: 0 }
    }
}

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, but probably does not say what was meant.
    Warning,
}

impl Severity {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What kind of mistake it is. The text of a code is an interface: it stays as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its stable text, kebab-case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

codes! {
    /// The file cannot be read.
    UnreadableFile = "unreadable-file",
    /// The path of a layer leaves the folder of the config file.
    PathOutside = "path-outside",
    /// A path names something that is not a regular file.
    NoRegularFile = "no-regular-file",
    /// The file is over a mebibyte.
    FileTooLarge = "file-too-large",
    /// The file is not UTF-8.
    NotUtf8 = "not-utf8",
    /// The file holds a NUL character.
    NulCharacter = "nul-character",
    /// There is nothing in the file.
    EmptyFile = "empty-file",
    /// There is more than one YAML document in the file.
    SeveralDocuments = "several-documents",
    /// The file is not a mapping.
    NoMapping = "no-mapping",
    /// The file is no YAML.
    Syntax = "syntax",
    /// A tab where YAML wants spaces.
    TabIndentation = "tab-indentation",
    /// Lists and mappings are nested too deeply.
    NestedTooDeeply = "nested-too-deeply",
    /// The document grows too large, by aliases or by itself.
    DocumentTooLarge = "document-too-large",
    /// A key stands twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// A key that the format does not have.
    UnknownKey = "unknown-key",
    /// A key that must be there is not.
    MissingKey = "missing-key",
    /// A key without a value.
    NullValue = "null-value",
    /// A value of another type than can be there.
    WrongType = "wrong-type",
    /// A word that cannot be there.
    UnknownWord = "unknown-word",
    /// A number that is too small or too large.
    OutOfRange = "out-of-range",
    /// A version of the format that this program does not know.
    UnknownVersion = "unknown-version",
    /// A list of groups without a group.
    EmptyGroups = "empty-groups",
    /// A list of networks without a network.
    EmptyNetworks = "empty-networks",
    /// Another list without an entry.
    EmptyList = "empty-list",
    /// A mapping without a key where at least one is needed.
    EmptyMapping = "empty-mapping",
    /// A name, or another text, without a character.
    BlankName = "blank-name",
    /// A text with white space around it.
    SurroundingSpace = "surrounding-space",
    /// A group that stands twice in one list.
    DuplicateGroup = "duplicate-group",
    /// Another entry that stands twice in one list.
    DuplicateEntry = "duplicate-entry",
    /// `everyone` for managing the tokens of others.
    EveryoneManages = "everyone-manages",
    /// Text that is not an address, network or range.
    BadNetwork = "bad-network",
    /// A network with bits set behind its length.
    HostBits = "host-bits",
    /// A range that ends before it begins.
    ReversedRange = "reversed-range",
    /// Two entries of a list of networks hold the same addresses.
    OverlappingNetworks = "overlapping-networks",
    /// Text that is not a header name.
    BadHeader = "bad-header",
    /// The header `Forwarded`.
    ForwardedHeader = "forwarded-header",
    /// `header` without `trusted_proxies`.
    HeaderWithoutProxies = "header-without-proxies",
    /// `trusted_proxies` without `header`.
    ProxiesWithoutHeader = "proxies-without-header",
    /// `trusted_proxies` that hold all addresses of IPv4 or of IPv6.
    UnboundedProxies = "unbounded-proxies",
    /// `except_users` or `except_paths` without `state: disabled`.
    ExceptionsWithoutState = "exceptions-without-state",
    /// A path that no request can have.
    BadPath = "bad-path",
    /// Text that is not a length of time.
    BadDuration = "bad-duration",
    /// Text that is not a regular expression.
    BadPattern = "bad-pattern",
    /// An entry of `limits` that can never match.
    UnreachableLimit = "unreachable-limit",
    /// `projects` on an entry of `limits` that is only for users.
    ProjectsIgnored = "projects-ignored",
    /// A group may create read-write tokens, and no limit lets it.
    ReadWriteNeverAllowed = "read-write-never-allowed",
    /// A rule that there is not.
    UnknownRule = "unknown-rule",
    /// An action that there is not.
    UnknownAction = "unknown-action",
    /// An action that its rule cannot have.
    ActionNotForRule = "action-not-for-rule",
    /// `grace` on another action than `expire`.
    GraceWithoutExpire = "grace-without-expire",
    /// Text that cannot name a rule.
    BadRuleName = "bad-rule-name",
    /// Text that is not an expression, or names something that there is not.
    BadExpression = "bad-expression",
    /// Text that is not a day of the calendar.
    BadDate = "bad-date",
    /// Text that is not an address.
    BadAddress = "bad-address",
    /// A target that the config file does not have.
    UnknownTarget = "unknown-target",
    /// A name that the file does not declare.
    UnknownName = "unknown-name",
    /// A waiver whose last day is over.
    WaiverEnded = "waiver-ended",
    /// A waiver whose last day is near.
    WaiverEndsSoon = "waiver-ends-soon",
    /// A secret in the config file itself.
    LiteralSecret = "literal-secret",
    /// Text that is not a name of an environment variable.
    BadVariableName = "bad-variable-name",
    /// Text that is no URL of a server.
    BadUrl = "bad-url",
    /// A credential would go over the network in the clear.
    UnencryptedUrl = "unencrypted-url",
    /// A key that does not go with the kind of the target.
    KeyNotForKind = "key-not-for-kind",
    /// Keys that exclude each other.
    ConflictingKeys = "conflicting-keys",
    /// Text that cannot name a target.
    BadTargetName = "bad-target-name",
    /// Two targets are one and the same server.
    SameServer = "same-server",
    /// Text that is no JSON pointer.
    BadPointer = "bad-pointer",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Another place that belongs to a mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Related {
    /// Where it is.
    pub span: Span,
    /// What is there.
    pub message: String,
}

/// One mistake. Ordered by place, errors before warnings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where it is.
    pub span: Span,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake it is.
    pub code: Code,
    /// Path of the key it is about, such as `tokens.limits[0].max_scope`; empty for the file as a whole.
    pub path: String,
    /// What is wrong: lower case, no full stop, what was written in backticks.
    pub message: String,
    /// What to do about it, in words.
    pub help: Option<String>,
    /// The literal text to write in place of the marked one.
    pub replacement: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// An error at `span`, on the key with the given path.
    #[must_use]
    pub fn error(code: Code, span: &Span, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            severity: Severity::Error,
            code,
            path: path.into(),
            message: message.into(),
            help: None,
            replacement: None,
            related: Vec::new(),
        }
    }

    /// A warning at `span`, on the key with the given path.
    #[must_use]
    pub fn warning(code: Code, span: &Span, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, path, message) }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with what to write in place of the marked text, as YAML; also the help when there is none yet.
    #[must_use]
    pub fn replace_by(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.help.get_or_insert_with(|| format!("write `{text}`"));
        self.replacement = Some(text);
        self
    }

    /// The same, with "did you mean" when one of `known` is close to `written`.
    #[must_use]
    pub fn suggest<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.suggest_new(written, known, |_| false)
    }

    /// The same, where what was meant may not be there twice, and perhaps `is_there` already.
    #[must_use]
    pub fn suggest_new<'a>(
        self,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
        is_there: impl Fn(&str) -> bool,
    ) -> Self {
        match closest(written, known) {
            Some(meant) if is_there(meant) => {
                self.help(format!("did you mean `{meant}`? It is there already: keep one of the two"))
            }
            Some(meant) => {
                let otherwise = self.help.as_ref().map(|help| format!(" ({help})"));
                let meant = scalar(meant);
                let help = format!("did you mean `{meant}`?{}", otherwise.unwrap_or_default());
                self.help(help).replace_by(meant)
            }
            None => self,
        }
    }

    /// The same, with another place that belongs to it.
    #[must_use]
    pub fn relate(mut self, span: &Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span: span.clone(), message: message.into() });
        self
    }
}

/// The one of `known` that `written` most probably means.
fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const CLOSE_ENOUGH: f64 = 0.75;
    /// Longer words are nobody's misspelling, and comparing them takes time.
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written, word), word))
        .filter(|(similarity, _)| *similarity >= CLOSE_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// Everything found wrong in one run, in the order of the places, each thing once however many
/// layers and targets lead to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(std::collections::BTreeSet<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.insert(diagnostic);
    }

    /// Adds one, if there is one.
    pub fn extend_some(&mut self, diagnostic: Option<Diagnostic>) {
        self.0.extend(diagnostic);
    }

    /// Adds all of `others`.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Has every text that they say, and the path, written anew by `rewrite`.
    pub(crate) fn rewrite(&mut self, mut rewrite: impl FnMut(&mut String)) {
        let rewritten = std::mem::take(&mut self.0).into_iter().map(|mut diagnostic| {
            let Diagnostic { path, message, help, replacement, related, .. } = &mut diagnostic;
            let related = related.iter_mut().map(|related| &mut related.message);
            [path, message].into_iter().chain(help).chain(replacement).chain(related).for_each(&mut rewrite);
            diagnostic
        });
        self.0 = rewritten.collect();
    }

    /// Each, in the order of the places.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of `severity` there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Whether something makes the documents unusable.
    #[must_use]
    pub fn have_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// The texts that diagnostics point into, by the path of the file. Literal secrets are masked.
pub type Sources = BTreeMap<Arc<str>, Arc<str>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_each_is_another_one() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{text}");
            assert!(seen.insert(text), "{text} twice");
        }
    }

    #[test]
    fn a_word_is_suggested_when_it_is_close_and_only_then() {
        let known = ["lifetime", "idle", "scope-unset"];
        for (written, meant) in [
            ("lifetim", Some("lifetime")),
            ("LIFETIME", Some("lifetime")),
            ("scope_unset", Some("scope-unset")),
            ("idel", Some("idle")),
            ("revoke", None),
            ("", None),
        ] {
            assert_eq!(closest(written, known), meant, "{written}");
        }
    }
}
