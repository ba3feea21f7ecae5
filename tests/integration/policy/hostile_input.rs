//! Files that are no policy: nothing makes the reader panic, hang or grow without bound.

use std::{fmt::Write as _, iter, sync::Arc};

use proptest::prelude::*;
use tokenwarden::{
    config, policy,
    policy_tests::file,
    report,
    yaml::{Diagnostic, Diagnostics, Sources, Span},
};

/// What some editors put before the text of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// The codes found in a file of these bytes.
fn found(bytes: &[u8]) -> Vec<&'static str> {
    let reading = policy::read(&[(Arc::from("policy.yaml"), bytes.to_vec())]);
    // Whatever was found can be shown.
    let _ = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
    reading.diagnostics.iter().map(|found| found.code.as_str()).collect()
}

#[test]
fn what_cannot_be_read_as_one_document_has_a_code_of_its_own() {
    for (bytes, code) in [
        (b"".as_slice(), "empty-file"),
        (b"# nothing but a comment\n", "empty-file"),
        (b"version: 1\n---\nversion: 1\n", "several-documents"),
        (b"- a\n- b\n", "no-mapping"),
        (b"just text", "no-mapping"),
        (b"version: 1\nx: \xff\n", "not-utf8"),
        (b"\xff\xfev\0e\0r\0", "not-utf8"),
        (b"version: 1\nx: \"a\0b\"\n", "nul-character"),
        (b"version: 1\npermissions:\n\tuse: everyone\n", "tab-indentation"),
        (b"version: 1\npermissions: {use: [a\n", "syntax"),
        (b"version: 1\nx: *nowhere\n", "syntax"),
        (b"version: 1\n? [a, b]\n: 1\n", "syntax"),
        (b"version: 1\nnull: 1\n", "syntax"),
        (b"version: 1\nx: &a [*a]\n", "document-too-large"),
    ] {
        assert_eq!(found(bytes), [code], "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_mistake_of_encoding_is_shown_at_its_line_and_column() {
    let place = |bytes: &[u8]| {
        let reading = policy::read(&[(Arc::from("policy.yaml"), bytes.to_vec())]);
        reading
            .diagnostics
            .iter()
            .map(|found| (found.span.place.line, found.span.place.column))
            .collect::<Vec<_>>()
    };
    assert_eq!(place("a: 1\nä: \0\n".as_bytes()), [(2, 4)]);
    assert_eq!(place(b"a: 1\nb: \xff\n"), [(2, 4)]);
    assert_eq!(place(b"a:\n  b: 1\n\tc: 1\n"), [(3, 1)]);
    assert_eq!(place(b"a:\r  b: 1\r\tc: 1\r"), [(3, 1)]);
    assert_eq!(place("\u{feff}ä\u{346}\0\n".as_bytes()), [(1, 3)]);
    assert_eq!(place(b"\xef\xbb\xbfa: \xff\n"), [(1, 4)]);
}

#[test]
fn a_byte_order_mark_moves_no_place_of_a_mistake() {
    let shown = |bytes: &[u8]| {
        let reading = policy::read(&[(Arc::from("policy.yaml"), bytes.to_vec())]);
        report::diagnostics::text(&reading.diagnostics, &reading.sources, false)
    };
    for text in ["version: 1\nö: \0\n", "version: 1\nö: [\n", "version: 1\nö: 1\n", "\u{346}\0"] {
        assert_eq!(shown(&[MARK, text.as_bytes()].concat()), shown(text.as_bytes()));
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_understood() {
    assert_eq!(found(b"\xef\xbb\xbfversion: 1\r\npermissions:\r\n  use: everyone\r\n"), [""; 0]);
}

#[test]
fn a_file_over_a_mebibyte_is_refused() {
    let mut text = "version: 1\n".to_owned();
    text.push_str(&"# filler\n".repeat(120_000));
    assert_eq!(found(text.as_bytes()), ["file-too-large"]);
}

#[test]
fn a_line_of_a_mebibyte_full_of_mistakes_is_read_and_shown_at_once() {
    let all = |text: String| (found(text.as_bytes()).len(), text.len() <= 1 << 20);
    assert_eq!(all(format!("version: 1\nx: [{}]\n", "[],".repeat(190_000))), (1, true));
    assert_eq!(
        all(format!("version: 1\npermissions: {{use: [{}]}}\n", "1,".repeat(100_000))),
        (100_000, true)
    );
    let long = "k".repeat(100_000);
    assert_eq!(all(format!("version: 1\n? {long}\n: [{}]\n", "' a',".repeat(100_000))), (100_001, true));
}

#[test]
fn a_mistake_is_explained_in_a_few_lines_however_many_names_there_are() {
    let mut text = "version: 1\ntokens:\n  rules:\n".to_owned();
    for number in 0..200 {
        let _ = writeln!(text, "    - {{ name: {}-{number}, when: 'false', message: x }}", "long".repeat(15));
    }
    let names: Vec<_> = (0..50_000).map(|number| format!("u{number:05}")).collect();
    let until = "reason: x, until: 2027-01-31";
    let _ = writeln!(text, "waivers: [{{ token: 1, rules: [{}], {until} }}]", names.join(","));
    let reading = policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]);
    let helps: Vec<_> = reading.diagnostics.iter().filter_map(|found| found.help.as_deref()).collect();
    assert_eq!(helps.len(), 50_000);
    let longest = helps.iter().max_by_key(|help| help.len()).expect("a help");
    assert!(longest.len() < 3_000 && longest.ends_with(" more"), "{longest}");

    let head = "version: 1\nnow: 2026-12-01\ntarget: prod\nowners:\n";
    let mut owners = String::new();
    for name in names.iter().take(20_000) {
        let _ = writeln!(owners, "  {name}: {{}}");
    }
    let case = |name: &str| {
        format!(
            "  - {{ name: {name}, request: {{ owner: {name}x, from: 192.0.2.7 }}, expect: {{ decision: permit }} }}\n"
        )
    };
    let cases: String = names.iter().take(7_000).map(|name| case(name)).collect();
    let text = format!("{head}{owners}cases:\n{cases}");
    let reading = file::read(&Arc::from("tests.yaml"), text.as_bytes());
    let unknown: Vec<_> = reading.diagnostics.iter().collect();
    assert_eq!(unknown.len(), 7_000);
    for (found, name) in unknown.iter().zip(&names) {
        assert_eq!(found.replacement.as_ref(), Some(name), "{found:?}");
    }
}

#[test]
fn deep_nesting_is_refused_in_every_style() {
    assert_eq!(found(format!("version: 1\nx: {}", "[".repeat(100_000)).as_bytes()), ["nested-too-deeply"]);
    assert_eq!(found(format!("version: 1\nx: {}", "{a: ".repeat(100_000)).as_bytes()), ["nested-too-deeply"]);
    assert_eq!(found(format!("version: 1\nx: {}", "- ".repeat(1_000)).as_bytes()).len(), 1);
    let mut block = "version: 1\n".to_owned();
    for depth in 0..1_000 {
        let _ = writeln!(block, "{}x:", " ".repeat(depth));
    }
    assert_eq!(found(block.as_bytes()), ["nested-too-deeply"]);
}

#[test]
fn an_alias_bomb_is_refused_before_it_grows() {
    let mut bomb = "version: 1\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (previous, name) in ('a'..'p').zip('b'..='p') {
        let _ = writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{previous}"); 9].join(","));
    }
    assert_eq!(found(bomb.as_bytes()), ["document-too-large"]);
}

#[test]
fn keys_and_values_that_yaml_could_mistake_stay_what_was_written() {
    assert_eq!(found(b"version: 1\npermissions: { create: [no, on, 'off', 0123, 1_000] }\n"), [""; 0]);
    assert_eq!(found(b"version: 1\npermissions: { create: [true] }\n"), ["wrong-type"]);
    assert_eq!(found(b"version: 1\npermissions: { create: [.nan, 1e999] }\n"), [""; 0]);
}

const COMPLETE: &str = include_str!("../fixtures/policy/complete.yaml");
const SETTINGS: &str = include_str!("../fixtures/config/complete.yaml");

/// What turns a document into another one with few characters.
const WORDS: &[&str] = &[
    "unmanaged",
    "null",
    "~",
    "[]",
    "{}",
    "-1",
    "1e99",
    "<<: *a",
    "&a",
    "*a",
    "---",
    "everyone",
    "? ",
    "!!int",
    "\u{feff}",
    "\0",
    "ä\u{346}",
    "\r",
    "\u{85}",
    "\u{2028}",
];

/// `text` with a stretch of less than `longest` bytes replaced by something else.
fn mutated(text: &'static str, longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        any::<Vec<u8>>(),
        "[\\[\\]{}:,&*!|>'\"%@`#?\\- \\t\\n]{0,8}".prop_map(String::into_bytes),
        proptest::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
    ];
    (0..text.len(), 0..longest, pieces).prop_map(move |(start, length, piece)| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.splice(start..(start + length).min(text.len()), piece);
        bytes
    })
}

/// Reads `bytes` as a policy and as a config file, with a byte order mark and without, and shows what was found.
fn read_as_everything(bytes: &[u8]) -> Result<(), TestCaseError> {
    let file = Arc::from("file.yaml");
    for bytes in [bytes.to_vec(), [MARK, bytes].concat()] {
        let reading = policy::read(&[(Arc::clone(&file), bytes.clone())]);
        prop_assert_eq!(reading.policy.is_some(), !reading.diagnostics.have_errors());
        let _ = report::diagnostics::text(&reading.diagnostics, &reading.sources, true);
        // What is masked has as many bytes, and more characters.
        let written = String::from_utf8_lossy(bytes.strip_prefix(MARK).unwrap_or(&bytes)).into_owned();
        for (span, text) in spans(&reading.diagnostics, &reading.sources) {
            prop_assert!(text.get(span.start..span.end).is_some(), "{span:?} of {text:?}");
            let place = (span.place.line as usize, span.place.column as usize);
            prop_assert_eq!(place, line_and_column(&written, span.start), "{:?} of {:?}", span, text);
        }
        let reading = config::read(&file, &bytes);
        prop_assert_eq!(reading.config.is_some(), !reading.diagnostics.have_errors());
        let _ = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
        for (span, text) in spans(&reading.diagnostics, &reading.sources) {
            prop_assert!(text.get(span.start..span.end).is_some(), "{span:?} of {text:?}");
        }
    }
    Ok(())
}

/// Each part of a text that `diagnostics` mark, and the text.
fn spans<'a>(
    diagnostics: &'a Diagnostics,
    sources: &'a Sources,
) -> impl Iterator<Item = (&'a Span, &'a str)> {
    let marked = |it: &'a Diagnostic| iter::once(&it.span).chain(it.related.iter().map(|it| &it.span));
    let text = |span: &'a Span| Some((span, &**sources.get(&span.place.file)?));
    diagnostics.iter().flat_map(marked).filter_map(text)
}

/// The line and column, from 1, of byte `at` of `text`.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text[..at].replace("\r\n", "\n").replace('\r', "\n");
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// A config file with the secret `hunter2` in every wrong place.
const SECRETS: &str = "\
version: 1
targets:
  prod:
    kind: gateway
    url: https://me:hunter2@example.com
    auth: { user: me, password: hunter2, password: 'hunter2' }
    policy: [policy.yaml]
  other:
    kind: gateway
    url: https://example.com
    auth:
      token: |
        hunter2
      bearer_env: hunter2 hunter2
    policy: [policy.yaml]
    secret: !hunter2
  spaced:
    kind: gateway
    url: ' https://me:hunter2@example.com'
    auth: { user: me, password: 'hunter2 ' }
    policy: [policy.yaml]
    secret: \"\\thunter2\"
";

proptest! {
    // Something is put in and nothing taken out, so that every secret stays under its key.
    #[test]
    fn no_secret_comes_out_of_a_config_file_however_broken(
        mut bytes in mutated(SECRETS, 1),
        end in proptest::sample::select(b"\r\n".as_slice()),
    ) {
        bytes.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = end);
        let reading = config::read(&Arc::from("tokenwarden.yaml"), &bytes);
        let text = report::diagnostics::text(&reading.diagnostics, &reading.sources, false);
        prop_assert!(reading.diagnostics.have_errors());
        prop_assert!(!text.contains("hunter2"), "{}", text);
        let document = serde_json::to_string(&report::diagnostics::document(&reading.diagnostics, 1));
        prop_assert!(!document.expect("JSON").contains("hunter2"));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
        read_as_everything(&bytes)?;
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        read_as_everything(text.as_bytes())?;
    }

    #[test]
    fn no_change_to_a_valid_policy_makes_the_reader_panic(bytes in mutated(COMPLETE, 40)) {
        read_as_everything(&bytes)?;
    }

    #[test]
    fn no_change_to_a_valid_config_file_makes_the_reader_panic(bytes in mutated(SETTINGS, 40)) {
        read_as_everything(&bytes)?;
    }
}
