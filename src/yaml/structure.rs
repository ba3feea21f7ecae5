//! The check of a tree against the JSON schema of its document: every place where it does not have the
//! shape of the document, in our words.

use std::{collections::HashSet, sync::OnceLock};

use jsonschema::{
    ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind as Kind},
    paths::{Location, LocationSegment},
};
use serde_json::Value as Json;

use super::{
    Code, Diagnostic, Diagnostics, Span,
    node::{At, Node, Value},
    shape::Shape,
    surrounding_space,
};

/// A document type's schema, and the document's own words. The schema is set up for finding mistakes when a tree is the
/// first that does not certainly fit.
pub(crate) struct Structure {
    text: &'static str,
    shape: OnceLock<Shape<'static>>,
    schema: fn() -> Json,
    compiled: OnceLock<Compiled>,
    own_words: OwnWords,
}

/// A schema that is ready to find mistakes.
struct Compiled {
    schema: Json,
    validator: Validator,
}

/// What one document says in words of its own.
pub(crate) struct OwnWords {
    /// What to say of a key that is not in the schema, where there is more to say than that.
    pub(crate) unknown_key: fn(parent: &At<'_>, key: &str, span: &Span) -> Option<Diagnostic>,
    /// Whether the check of meaning says more of a wrong word or number here.
    pub(crate) has_meaning: fn(&At<'_>) -> bool,
    /// Whether a wrong value here may be a secret, and is not to be shown.
    pub(crate) is_secret: fn(&At<'_>) -> bool,
    /// Whether blanks around the text here have a meaning.
    pub(crate) has_blanks: fn(&At<'_>) -> bool,
}

impl Structure {
    /// The structure of the document with this `schema`, which comes from a document type; `text` is the same as a file
    /// in `schema/` has it.
    pub(crate) const fn new(text: &'static str, schema: fn() -> Json, own_words: OwnWords) -> Self {
        Self { text, shape: OnceLock::new(), schema, compiled: OnceLock::new(), own_words }
    }

    /// Adds everything about `root` that does not have the shape of the document, and the texts in it with white
    /// space around them.
    pub(crate) fn check(&self, root: &Node, out: &mut Diagnostics) {
        let root_at = At::root(root);
        surrounding_space::report(&root_at, self.own_words.has_blanks, self.own_words.is_secret, out);
        if self.shape().certainly_fits(root) {
            return;
        }
        for error in self.compiled().validator.iter_errors(&root.to_json()) {
            for error in leaves(&error) {
                if let Some(at) = locate(&root_at, error.instance_path()) {
                    self.explain(&at, error, out);
                }
            }
        }
    }

    /// The keys that the document may have anywhere.
    pub(crate) fn keys(&self) -> HashSet<String> {
        let mut keys = HashSet::new();
        self.shape().collect_keys(&mut keys);
        keys
    }

    #[expect(clippy::expect_used, reason = "the schemas come from our own types, and every test uses them")]
    fn shape(&self) -> &Shape<'static> {
        self.shape.get_or_init(|| Shape::new(self.text).expect("a schema with the keywords that are known"))
    }

    #[expect(clippy::expect_used, reason = "the schemas come from our own types, and tests use all of them")]
    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let schema = (self.schema)();
            let validator = jsonschema::draft202012::new(&schema).expect("a generated schema is valid");
            Compiled { schema, validator }
        })
    }

    /// Says in our words what `error` says of `at`.
    fn explain(&self, at: &At<'_>, error: &ValidationError<'_>, out: &mut Diagnostics) {
        if at.path == "version" {
            out.push(unknown_version(at));
            return;
        }
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                for key in unexpected {
                    out.push(self.unknown(at, key, error));
                }
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let message = format!("the key `{key}` is missing");
                let help = if key == "version" {
                    "begin with `version: 1`".to_owned()
                } else {
                    format!("add `{key}:` with {}", self.wanted(error, key))
                };
                out.push(Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message).help(help));
            }
            // Matters of meaning: only that can name what to write instead.
            Kind::MinItems { .. } | Kind::Pattern { .. } => {}
            Kind::MaxItems { limit } => {
                let message = format!("the list has more than {limit} entries");
                out.push(Diagnostic::error(Code::OutOfRange, at.key, at.path.as_str(), message));
            }
            Kind::MinProperties { .. } => {
                let message = "this section is empty";
                out.push(Diagnostic::error(Code::EmptyMapping, at.key, at.path.as_str(), message));
            }
            Kind::Minimum { limit } => out.push(out_of_range(at, "less", limit)),
            Kind::Maximum { limit } => out.push(out_of_range(at, "more", limit)),
            _ => out.extend_some(self.wrong_value(at, error)),
        }
    }

    /// A value of another type, or another word, than can be at `at`.
    fn wrong_value(&self, at: &At<'_>, error: &ValidationError<'_>) -> Option<Diagnostic> {
        let mut words = Vec::new();
        collect_words(error, &mut words);
        let expected = self.expected(error, &words);
        let diagnostic = match &at.node.value {
            Value::Null => {
                let message = "the key has no value".to_owned();
                let way_out = if self.is_required(error, at) { "" } else { "leave the key out, or " };
                let help = format!("{way_out}give it a value: {expected}");
                Diagnostic::error(Code::NullValue, at.key, at.path.as_str(), message).help(help)
            }
            _ if (self.own_words.is_secret)(at) => {
                let message = format!("expected {expected}, found something else");
                Diagnostic::error(Code::WrongType, at.span(), at.path.as_str(), message)
            }
            Value::Text(_) | Value::Number { .. } if (self.own_words.has_meaning)(at) => return None,
            Value::Text(text) if !words.is_empty() => {
                let message = format!("`{text}` is not allowed here");
                Diagnostic::error(Code::UnknownWord, at.span(), at.path.as_str(), message)
                    .help(format!("write {expected}"))
                    .suggest(text, words.iter().copied())
            }
            Value::Number { written, .. } if wants_text(error) && words.is_empty() => {
                let message = format!("expected text, found {}", at.node.describe());
                let written = written.trim_matches(['"', '\'']);
                Diagnostic::error(Code::WrongType, at.span(), at.path.as_str(), message)
                    .replace_by(format!("\"{written}\""))
            }
            Value::Bool(written) if wants_text(error) && words.is_empty() => {
                let message = format!("expected text, found `{written}`");
                Diagnostic::error(Code::WrongType, at.span(), at.path.as_str(), message)
                    .replace_by(format!("\"{written}\""))
            }
            _ => {
                let message = format!("expected {expected}, found {}", at.node.describe());
                Diagnostic::error(Code::WrongType, at.span(), at.path.as_str(), message)
            }
        };
        Some(diagnostic)
    }

    /// What `key`, which `error` misses, takes, in words.
    fn wanted(&self, error: &ValidationError<'_>, key: &str) -> String {
        let object = error.schema_path().as_str().rsplit_once('/').map_or("", |(object, _keyword)| object);
        let schema = &self.compiled().schema;
        let value = schema.pointer(object).and_then(|object| object.get("properties")?.get(key));
        let resolved = value.and_then(|value| {
            let reference = value.get("$ref").and_then(Json::as_str).and_then(|it| it.strip_prefix('#'));
            reference.map_or(Some(value), |pointer| schema.pointer(pointer))
        });
        match resolved.and_then(|value| value.get("type")).and_then(Json::as_str) {
            Some("object") => "its keys below it".to_owned(),
            Some("array") => "a list".to_owned(),
            Some("string") => "a text".to_owned(),
            _ => "a value".to_owned(),
        }
    }

    /// Whether the value at `at`, which `error` is about, cannot be left out.
    fn is_required(&self, error: &ValidationError<'_>, at: &At<'_>) -> bool {
        let Some(key) = at.path.keys().pop() else { return false };
        let object =
            error.schema_path().as_str().rsplit_once("/properties/").map_or("", |(object, _)| object);
        let required = self.compiled().schema.pointer(object).and_then(|object| object.get("required"));
        required.and_then(Json::as_array).is_some_and(|keys| keys.iter().any(|it| it.as_str() == Some(key)))
    }

    /// What can stand where `error` was found, in words.
    fn expected(&self, error: &ValidationError<'_>, words: &[&str]) -> String {
        let from_type = || match error.kind() {
            Kind::Type { kind } => Some(type_words(kind)),
            _ => None,
        };
        let from_words = || {
            let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            quoted.join(" or ")
        };
        self.described(error).or_else(from_type).unwrap_or_else(from_words)
    }

    /// The description of the type that can be written in several ways.
    fn described(&self, error: &ValidationError<'_>) -> Option<String> {
        if !matches!(error.kind(), Kind::AnyOf { .. } | Kind::OneOfNotValid { .. }) {
            return None;
        }
        let pointer = error.schema_path().as_str();
        let (parent, _keyword) = pointer.rsplit_once('/')?;
        let description = self.compiled().schema.pointer(parent)?.get("description")?.as_str()?;
        // INVARIANT: a description that lists what may be written begins with one of these ways,
        // in lower case; any other one is a sentence about the value.
        let lists_ways = description.starts_with(|c: char| c.is_lowercase() || c == '`');
        lists_ways.then(|| description.to_owned())
    }

    fn unknown(&self, parent: &At<'_>, key: &str, error: &ValidationError<'_>) -> Diagnostic {
        let child = parent.get(key);
        let span = child.as_ref().map_or(parent.key, |at| at.key);
        if let Some(own) = (self.own_words.unknown_key)(parent, key, span) {
            return own;
        }
        let path = child.map_or_else(|| parent.path.clone(), |at| at.path);
        let known = self.properties(error);
        let diagnostic = Diagnostic::error(Code::UnknownKey, span, path, format!("unknown key `{key}`"));
        let diagnostic = match known.as_slice() {
            [] => diagnostic,
            known => diagnostic.help(format!("the keys here are {}", quoted_list(known))),
        };
        diagnostic.suggest_new(key, known.iter().copied(), |meant| parent.get(meant).is_some())
    }

    /// The keys that the schema has where `error` found another one.
    fn properties(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let pointer = error.schema_path().as_str();
        pointer
            .rsplit_once('/')
            .and_then(|(parent, _keyword)| self.compiled().schema.pointer(parent))
            .and_then(|schema| schema.get("properties"))
            .and_then(Json::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }
}

fn unknown_version(at: &At<'_>) -> Diagnostic {
    let message = format!("only version `1` of the format is supported, found {}", at.node.describe());
    match at.node.value {
        Value::Null | Value::List(_) | Value::Map(_) => {
            Diagnostic::error(Code::UnknownVersion, at.key, "version", message).help("write `version: 1`")
        }
        _ => Diagnostic::error(Code::UnknownVersion, at.span(), "version", message).replace_by("1"),
    }
}

fn out_of_range(at: &At<'_>, relation: &str, limit: &Json) -> Diagnostic {
    let message = format!("{} is {relation} than {limit}", at.node.describe());
    Diagnostic::error(Code::OutOfRange, at.span(), at.path.as_str(), message)
        .help(format!("write `{limit}` or {}", if relation == "less" { "more" } else { "less" }))
}

/// `words` in backticks, with commas; of very many the first ones: a help is for reading, and each mistake has one.
pub(crate) fn quoted_list(words: &[&str]) -> String {
    const LISTED_AT_MOST: usize = 30;
    let quoted: Vec<String> = words.iter().take(LISTED_AT_MOST).map(|word| format!("`{word}`")).collect();
    match words.len().saturating_sub(LISTED_AT_MOST) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// The errors that matter among the ways in which a value may be written: those of the one way
/// whose shape the value has, or the whole error when it has the shape of none.
fn leaves<'e, 'i>(error: &'e ValidationError<'i>) -> Vec<&'e ValidationError<'i>>
where
    'static: 'i,
{
    let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = error.kind() else {
        return vec![error];
    };
    let mut fitting = context.iter().filter(|branch| has_shape(branch, error.instance_path()));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => only.iter().flat_map(leaves).collect(),
        _ => vec![error],
    }
}

/// Whether the value at `path` has the shape of the way that gave the errors of `branch`.
fn has_shape(branch: &[ValidationError<'_>], path: &Location) -> bool {
    branch.iter().all(|error| error.instance_path() != path || !denies_shape(error))
}

fn denies_shape(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. } => true,
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            !context.iter().any(|branch| has_shape(branch, error.instance_path()))
        }
        _ => false,
    }
}

/// The words that could stand where `error` was found.
fn collect_words<'e>(error: &'e ValidationError<'_>, words: &mut Vec<&'e str>) {
    match error.kind() {
        Kind::Enum { options } => {
            words.extend(options.as_array().into_iter().flatten().filter_map(Json::as_str));
        }
        Kind::Constant { expected_value } => words.extend(expected_value.as_str()),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let here = |inner: &&ValidationError<'_>| inner.instance_path() == error.instance_path();
            for inner in context.iter().flatten().filter(here) {
                collect_words(inner, words);
            }
        }
        _ => {}
    }
}

fn wants_text(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        Kind::Type { kind } => type_words(kind) == "text",
        Kind::AnyOf { context } => context.iter().flatten().any(wants_text),
        _ => false,
    }
}

fn type_words(kind: &TypeKind) -> String {
    let word = |name: &str| {
        match name {
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "object" => "a mapping",
            "array" => "a list",
            "boolean" => "`true` or `false`",
            other => other,
        }
        .to_owned()
    };
    match kind {
        TypeKind::Single(single) => word(&single.to_string()),
        TypeKind::Multiple(set) => {
            let words: Vec<String> = set.iter().map(|single| word(&single.to_string())).collect();
            words.join(" or ")
        }
    }
}

/// The value at the end of a JSON pointer.
fn locate<'a>(root: &At<'a>, pointer: &Location) -> Option<At<'a>> {
    pointer.segments().try_fold(root.clone(), |at, segment| match segment {
        LocationSegment::Property(key) => at.get(&key),
        LocationSegment::Index(index) => at.item(index),
    })
}
