//! Files with secrets that leaked: the reports of scanners, and plain text. Only what tells which tokens the secrets are
//! of leaves this module.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    model::{
        TokenId,
        leak::{Trace, hints, traces},
    },
    plan::Leak,
    run::{Ending, Failure},
    world::regular_file,
};

use super::Global;

/// The most that a file can have: reports of a large scan have some megabytes.
const BYTES_AT_MOST: u64 = 256 << 20;

/// What leaked, as far as anybody can tell.
#[derive(Default)]
pub(super) struct Leaks {
    /// Tokens whose secrets have the identifier in them.
    pub(super) ids: BTreeSet<TokenId>,
    /// The rest: secrets that only a server knows, and what nobody can read.
    pub(super) others: Vec<Leak>,
    /// How many findings have nothing to do with tokens.
    pub(super) unrelated: usize,
}

/// What a file is expected to have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A secret of a token in each line.
    Secrets,
    /// Whatever a scanner, or a log, has.
    Findings,
}

impl Leaks {
    /// Adds what is in the file at `path`; `-` is standard input.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(super) fn read(&mut self, path: &Path, content: Content, global: &Global) -> Result<(), Failure> {
        let text = text(path, global)?;
        let shown =
            if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        self.add(&text, content, &shown);
        Ok(())
    }

    fn add(&mut self, text: &str, content: Content, file: &str) {
        let (unit, findings) = match content {
            Content::Secrets => ("line", lines(text)),
            Content::Findings => findings(text),
        };
        for (number, finding) in findings {
            if finding.trim().is_empty() {
                continue;
            }
            let place = format!("{unit} {number} of {file}");
            let found = traces(&finding);
            if found.is_empty() {
                if content == Content::Secrets || hints(&finding) {
                    self.others.push(Leak { place, hash: None });
                } else {
                    self.unrelated += 1;
                }
                continue;
            }
            for trace in found {
                match trace {
                    Trace::Id(id) => {
                        self.ids.insert(id);
                    }
                    Trace::Hash(hash) if self.others.iter().any(|other| other.hash == Some(hash)) => {}
                    Trace::Hash(hash) => self.others.push(Leak { place: place.clone(), hash: Some(hash) }),
                }
            }
        }
    }

    /// Whether nothing in it can be of a token.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.others.is_empty()
    }
}

fn text(path: &Path, global: &Global) -> Result<String, Failure> {
    let (what, read) = if path == Path::new("-") {
        (PathBuf::from("standard input"), regular_file::read(io::stdin().lock(), BYTES_AT_MOST))
    } else {
        let opened = regular_file::open(&global.resolve(path));
        (path.to_owned(), opened.and_then(|file| regular_file::read(file, BYTES_AT_MOST)))
    };
    let failed =
        |why: String| Failure::new(Ending::Usage, format!("cannot read `{}`: {why}", what.display()));
    let bytes = read.map_err(|error| failed(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| failed(format!("it has more than {} MiB", BYTES_AT_MOST >> 20)))?;
    // Windows tools write UTF-16.
    let units = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().copied().map(unit).collect();
        String::from_utf16_lossy(&units)
    };
    Ok(match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => units(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    })
}

/// The findings in `text`, numbered, and what they are called: those of a JSON array (gitleaks), of JSON lines
/// (trufflehog), the results of SARIF, or the lines of anything else.
fn findings(text: &str) -> (&'static str, Vec<(usize, String)>) {
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let findings: Vec<Value> = match documents {
        Ok(documents) if documents.iter().any(|one| one.is_object() || one.is_array()) => {
            documents.into_iter().flat_map(findings_of).collect()
        }
        // A log may have JSON among other lines.
        _ => return ("line", lines(text)),
    };
    let strings = findings.iter().map(|finding| {
        let mut all = String::new();
        strings(finding, &mut all);
        all
    });
    ("finding", strings.enumerate().map(|(at, all)| (at + 1, all)).collect())
}

/// The findings of a JSON document.
fn findings_of(document: Value) -> Vec<Value> {
    match document {
        Value::Array(findings) => findings,
        Value::Object(ref sarif) => {
            let runs = sarif.get("runs").and_then(Value::as_array);
            match runs {
                Some(runs) => {
                    let results = runs.iter().filter_map(|run| run.get("results")?.as_array());
                    results.flatten().cloned().collect()
                }
                None => vec![document],
            }
        }
        other => vec![other],
    }
}

/// Every text in `value`, a line each: scanners put secrets into different fields.
fn strings(value: &Value, all: &mut String) {
    match value {
        Value::String(text) => {
            all.push_str(text);
            all.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn lines(text: &str) -> Vec<(usize, String)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenSecret;

    const BITBUCKET: &str = "BBDC-MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";

    fn read(content: Content, text: &str) -> Leaks {
        let mut leaks = Leaks::default();
        leaks.add(text, content, "leaks.json");
        leaks
    }

    fn places(leaks: &Leaks) -> Vec<(&str, bool)> {
        leaks.others.iter().map(|other| (other.place.as_str(), other.hash.is_some())).collect()
    }

    #[test]
    fn every_form_of_a_report_says_the_same() {
        let ours = TokenSecret::from_random([7; 32]);
        let ours = ours.expose();
        let gitleaks = format!(
            r#"[{{"RuleID": "a", "StartLine": 3, "Match": "t = {ours}", "Secret": "{ours}", "File": "x.py", "Tags": []}},
                {{"RuleID": "b", "Match": "{BITBUCKET}", "Secret": "{BITBUCKET}"}},
                {{"RuleID": "aws", "Match": "AKIA", "Secret": "AKIA"}}]"#
        );
        let trufflehog = format!(
            "{{\"SourceMetadata\":{{\"Data\":{{\"Git\":{{\"file\":\"x\"}}}}}},\"Raw\":\"{ours}\",\"RawV2\":\"\"}}\n\
             {{\"DetectorName\":\"BitbucketDataCenter\",\"Raw\":\"{BITBUCKET}\",\"Redacted\":\"\"}}\n\
             {{\"DetectorName\":\"AWS\",\"Raw\":\"AKIA\"}}\n"
        );
        let sarif = format!(
            r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "tw_ and BBDC- rules"}}}}, "results": [
                {{"locations": [{{"physicalLocation": {{"region": {{"snippet": {{"text": "{ours}"}}}}}}}}]}},
                {{"message": {{"text": "found {BITBUCKET}"}}}}, {{"message": {{"text": "AKIA"}}}}]}}]}}"#
        );
        let plain = format!("token = {ours}\n{BITBUCKET}\nAKIA\n");
        for (text, place) in [
            (gitleaks, "finding 1 of leaks.json"),
            (trufflehog, "finding 1 of leaks.json"),
            (sarif, "finding 1 of leaks.json"),
            (plain.clone(), "line 1 of leaks.json"),
        ] {
            let leaks = read(Content::Findings, &text);
            assert_eq!(leaks.ids, BTreeSet::from([TokenId::new("252973515069")]), "{text}");
            assert_eq!(places(&leaks), [(place, true)], "{text}");
            assert_eq!(leaks.unrelated, 1, "{text}");
        }
        // In a file of secrets every line is to be one.
        let secrets = read(Content::Secrets, &plain);
        assert_eq!(places(&secrets), [("line 1 of leaks.json", true), ("line 3 of leaks.json", false)]);
    }

    #[test]
    fn what_a_scanner_hides_is_not_taken_for_absent() {
        for text in [
            r#"[{"RuleID": "tw", "Match": "t = REDACTED", "Secret": "REDACTED"}]"#,
            r#"[{"RuleID": "bb", "Secret": "BBDC-MjUy..."}]"#,
            "log: BBDC-****",
        ] {
            let leaks = read(Content::Findings, text);
            assert!(matches!(places(&leaks).as_slice(), [(_, false)]), "{text}");
        }
        for text in ["", "[]", "\n\n", "{\"runs\": []}", "nothing here"] {
            assert!(read(Content::Findings, text).is_empty(), "{text}");
        }
    }
}
