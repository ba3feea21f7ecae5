//! The tree of one file, in which every key and value is marked with file, line, column and bytes, or the
//! one reason why it cannot be read; duplicate keys are reported beside the tree. Nothing makes it panic,
//! hang or grow without bound: size, depth, nodes and aliases are limited.

use std::sync::Arc;

use serde_yaml::{
    DuplicateKeyPolicy, Error, Location, NonFiniteFloatPolicy, Options, Spanned, budget::BudgetBreach,
};

use super::{
    Code, Diagnostic, Diagnostics, Place, Span,
    node::{Entry, Map, Node, Value},
    part,
    path::Trail,
    raw::Raw,
};

/// The largest file that is read, in bytes.
pub const FILE_BYTES_AT_MOST: usize = 1 << 20;
/// Lists and mappings inside each other, at most.
const DEPTH_AT_MOST: usize = 32;
/// Keys and values of one document with its aliases written out, at most.
const NODES_AT_MOST: usize = 400_000;
/// Keys and values that aliases stand for, at most.
const ALIASED_AT_MOST: usize = 50_000;

/// One file as it was read.
pub(crate) struct ParsedFile {
    /// The text, for showing lines of it; `None` when there is too much of it.
    pub(crate) text: Option<String>,
    /// The tree; `None` when the file cannot be read as one.
    pub(crate) root: Option<Node>,
    /// What is wrong with the file as YAML.
    pub(crate) diagnostics: Diagnostics,
}

/// Reads `bytes`, the content of `file`.
pub(crate) fn parse(file: &Arc<str>, bytes: &[u8]) -> ParsedFile {
    let mut diagnostics = Diagnostics::default();
    let text = match decode(file, bytes) {
        Ok(text) => text,
        Err(problem) => {
            let shown = problem.code != Code::FileTooLarge;
            diagnostics.push(*problem);
            let text = shown.then(|| String::from_utf8_lossy(without_mark(bytes)).into_owned());
            return ParsedFile { text, root: None, diagnostics };
        }
    };
    let root = match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => {
            let mut reader = SpanReader { file, text, diagnostics: &mut diagnostics };
            let root = reader.node(raw, Trail::Root, false);
            reader.mapping(root)
        }
        Err(error) => {
            diagnostics.push(refusal(file, text, error.without_snippet()));
            None
        }
    };
    ParsedFile { text: Some(text.to_owned()), root, diagnostics }
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: DEPTH_AT_MOST,
            max_nodes: NODES_AT_MOST,
            max_events: 2 * NODES_AT_MOST,
            flow_nesting_limit: DEPTH_AT_MOST,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: ALIASED_AT_MOST,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// The text of a file: UTF-8, not too long, without NUL; a byte order mark is left out.
fn decode<'a>(file: &Arc<str>, bytes: &'a [u8]) -> Result<&'a str, Box<Diagnostic>> {
    let whole = Span::of_file(file);
    let refuse = |code, span: &Span, message: String, help: &str| {
        Err(Box::new(Diagnostic::error(code, span, "", message).help(help)))
    };
    if bytes.len() > FILE_BYTES_AT_MOST {
        return refuse(
            Code::FileTooLarge,
            &whole,
            "the file is larger than 1 MiB".to_owned(),
            "split it into layers",
        );
    }
    let content = without_mark(bytes);
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let valid = content.get(..error.valid_up_to()).unwrap_or_default();
            let span = span_at(file, &String::from_utf8_lossy(valid), valid.len());
            let byte = bytes.len() - content.len() + valid.len() + 1;
            return refuse(
                Code::NotUtf8,
                &span,
                format!("the file is not UTF-8: byte {byte} cannot be read"),
                "save it as UTF-8",
            );
        }
    };
    if let Some(at) = text.find('\0') {
        let message = "the file holds a NUL character".to_owned();
        return refuse(Code::NulCharacter, &span_at(file, text, at), message, "remove the character");
    }
    Ok(text)
}

/// `bytes` behind the byte order mark, from which on every place in a file is counted.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// The span of the character that begins at byte `at` of `text`.
fn span_at(file: &Arc<str>, text: &str, at: usize) -> Span {
    let width = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    Span { place: place_at(file, text, at), start: at, end: at + width }
}

/// The line and column of byte `at` of `text`.
fn place_at(file: &Arc<str>, text: &str, at: usize) -> Place {
    let (mut line, mut line_start) = (0, 0);
    for start in line_starts(text).take_while(|start| *start <= at) {
        (line, line_start) = (line + 1, start);
    }
    let column = text.get(line_start..at).unwrap_or_default().chars().count() + 1;
    Place { file: Arc::clone(file), line: number(line), column: number(column) }
}

/// The bytes at which the lines of `text` begin. They end as YAML's do: with a line feed, a carriage return,
/// or both (YAML 1.2.2, 5.4).
pub(crate) fn line_starts(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let ends = move |(at, byte): &(usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    std::iter::once(0).chain(bytes.iter().enumerate().filter(ends).map(|(at, _)| at + 1))
}

/// The first line of `text`, without its end.
pub(crate) fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).next().unwrap_or_default()
}

pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Why `text` cannot be read, in our words.
fn refusal(file: &Arc<str>, text: &str, error: &Error) -> Diagnostic {
    let error = innermost(error);
    let span = error.location().map_or_else(|| Span::of_file(file), |at| span_of(file, text, at));
    let refuse = |code, message: &str| Diagnostic::error(code, &span, "", message);
    match error {
        Error::Eof { .. } => refuse(Code::EmptyFile, "the file is empty").help("begin with `version: 1`"),
        Error::MultipleDocuments { .. } => {
            refuse(Code::SeveralDocuments, "the file holds more than one YAML document")
                .help("remove the line `---` or `...` between them, or make it two files")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_deep(&span),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => refuse(
            Code::DocumentTooLarge,
            "the document has too many values, or its aliases multiply into too many",
        )
        .help("write the values out instead of using anchors and aliases"),
        // Keys alone are read as text; every value is read as what it is.
        Error::NullIntoString { .. }
        | Error::Unexpected { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::UnexpectedContainerEndWhileReadingKeyNode { .. } => {
            refuse(Code::Syntax, "a key must be text").help("write a plain word before the colon")
        }
        // What follows the `!` is not shown: it may be the beginning of a secret without quotes.
        Error::UnsupportedTag { .. } => refuse(Code::Syntax, "a tag (`!`) has no meaning here")
            .help("remove the tag, or put the text into quotes"),
        other => syntax(file, text, &span, &parser_words(other)),
    }
}

/// What the parser says of a text that is no YAML.
fn syntax(file: &Arc<str>, text: &str, span: &Span, message: &str) -> Diagnostic {
    if message.contains("recursion limit") || message.contains("nesting") {
        too_deep(span)
    } else if let Some(tab) = message.contains("tab").then(|| indenting_tab(text, span)).flatten() {
        Diagnostic::error(Code::TabIndentation, &span_at(file, text, tab), "", "a tab cannot indent a line")
            .help("indent with spaces")
    } else {
        Diagnostic::error(Code::Syntax, span, "", format!("invalid YAML: {message}"))
    }
}

fn too_deep(span: &Span) -> Diagnostic {
    let message = format!("lists and mappings are nested more than {DEPTH_AT_MOST} deep");
    Diagnostic::error(Code::NestedTooDeeply, span, "", message).help(
        "no key of this format is nested that \
                                                                      deep",
    )
}

/// The error at the root of one that happened behind an alias.
pub(super) fn innermost(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => innermost(error),
        other => other,
    }
}

/// The first line of what the parser says, without the place, which is shown anyway.
fn parser_words(error: &Error) -> String {
    let text = match error {
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    line.trim_end_matches('.').to_owned()
}

/// Where, from the line of `span` on, the first tab is in the white space that begins a line.
fn indenting_tab(text: &str, span: &Span) -> Option<usize> {
    let first = line_starts(text).take_while(|start| *start <= span.start).last()?;
    line_starts(text).skip_while(|start| *start < first).find_map(|start| {
        let line = first_line(text.get(start..)?);
        let indent = line.len() - line.trim_start().len();
        line.get(..indent)?.find('\t').map(|tab| start + tab)
    })
}

fn span_of(file: &Arc<str>, text: &str, at: Location) -> Span {
    let byte = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    let coordinate = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
    let (line, column) = (coordinate(at.line()), coordinate(at.column()));
    let Some(start) = byte(at.span().byte_offset()) else {
        // The places of syntax errors come without bytes, and some are behind the end of their line.
        let start = byte_at(text, line, column);
        return Span { place: place_at(file, text, start), start, end: start };
    };
    let start = start.min(text.len());
    let end = start.saturating_add(byte(at.span().byte_len()).unwrap_or(0)).min(text.len());
    Span { place: Place { file: Arc::clone(file), line, column }, start, end }
}

/// The byte at which the character at this line and column begins, or else the line ends.
fn byte_at(text: &str, line: u32, column: u32) -> usize {
    let index = |number: u32| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let start = line_starts(text).nth(index(line)).unwrap_or(text.len());
    let line = first_line(text.get(start..).unwrap_or_default());
    start + line.char_indices().nth(index(column)).map_or(line.trim_end().len(), |(at, _)| at)
}

/// Turns what the parser gives into nodes, and reports keys that stand twice.
struct SpanReader<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    diagnostics: &'a mut Diagnostics,
}

impl SpanReader<'_> {
    /// What is at `raw`, which is `inside` of what an alias or a merge stands for.
    fn node(&mut self, raw: Spanned<Raw>, path: Trail<'_>, inside: bool) -> Node {
        let mut span = span_of(self.file, self.text, raw.defined);
        let used = span_of(self.file, self.text, raw.referenced);
        let written = self.text.get(span.start..span.end).unwrap_or_default();
        let is_alias = !inside
            && used.start != span.start
            && self.text.get(used.start..).is_some_and(|text| text.starts_with('*'));
        let inside = inside || is_alias;
        let mut unlike = None;
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(number) => {
                self.include_tag(&mut span);
                let written = if written.is_empty() { number.to_string() } else { written.to_owned() };
                Value::Number { number, written }
            }
            Raw::Text(text) => {
                unlike = part::unlike(if is_alias { "" } else { written }, &text);
                Value::Text(text)
            }
            Raw::List(items) => {
                if items.is_empty() {
                    self.widen(&mut span);
                }
                let item = |(index, item)| self.node(item, Trail::Item(&path, index), inside);
                Value::List(items.into_iter().enumerate().map(item).collect())
            }
            Raw::Map(entries) => {
                let map = self.map(entries, path, inside);
                match map.iter().next() {
                    None => self.widen(&mut span),
                    // A mapping without braces is marked by its first key.
                    Some(first) if first.span.start == span.start => span.end = first.span.end,
                    Some(_) => {}
                }
                Value::Map(map)
            }
        };
        Node { value, span: if is_alias { used } else { span }, written: unlike }
    }

    fn map(&mut self, entries: Vec<(Spanned<String>, Spanned<Raw>)>, path: Trail<'_>, inside: bool) -> Map {
        let mut map = Map::default();
        for (key, value) in entries {
            let span = span_of(self.file, self.text, key.defined);
            // What a merge takes over keeps its place.
            let inside = inside || key.referenced != key.defined;
            let node = self.node(value, Trail::Key(&path, &key.value), inside);
            let entry = Entry { key: key.value, span, node };
            if let Some((first, again)) = map.insert(entry) {
                let message = format!("duplicate key `{}`", again.key);
                let path = Trail::Key(&path, &again.key).written();
                self.diagnostics.push(
                    Diagnostic::error(Code::DuplicateKey, &again.span, path, message)
                        .help("keep one of the two")
                        .relate(&first.span, "first given here"),
                );
            }
        }
        map
    }

    /// Lets the span of a number begin with its tag, such as `!!int`, which is there for nothing but the number.
    fn include_tag(&self, span: &mut Span) {
        const LONGEST: usize = 64;
        let before = self.text.get(..span.start).unwrap_or_default();
        let before = before.get(before.floor_char_boundary(before.len().saturating_sub(LONGEST))..);
        let before = before.unwrap_or_default();
        let Some(tag) = before.trim_end_matches(' ').rsplit([' ', '[', ',', '{', '\n', '\r']).next() else {
            return;
        };
        if tag.starts_with('!') && tag.is_ascii() && before.ends_with(' ') {
            let start = before.rfind(tag).unwrap_or(before.len());
            let moved = before.len() - start;
            span.start -= moved;
            span.place.column = span.place.column.saturating_sub(number(moved)).max(1);
        }
    }

    /// Lets the span of an empty list or mapping reach to its closing bracket, where nothing but white space is
    /// between: the parser spans only the opening one.
    fn widen(&self, span: &mut Span) {
        let rest = self.text.get(span.start..).unwrap_or_default();
        let inside = rest.get(1..).unwrap_or_default().trim_start();
        if rest.starts_with('[') && inside.starts_with(']')
            || rest.starts_with('{') && inside.starts_with('}')
        {
            span.end = span.start + (rest.len() - inside.len()) + 1;
        }
    }

    /// `root`, when it is a mapping.
    fn mapping(&mut self, root: Node) -> Option<Node> {
        let refuse = |code, message: String| {
            Diagnostic::error(code, &Span::of_file(self.file), "", message).help("begin with `version: 1`")
        };
        match root.value {
            Value::Map(_) => Some(root),
            Value::Null => {
                self.diagnostics.push(refuse(Code::EmptyFile, "the file is empty".to_owned()));
                None
            }
            _ => {
                let message = "the file is not a mapping of keys to values".to_owned();
                self.diagnostics.push(refuse(Code::NoMapping, message));
                None
            }
        }
    }
}
