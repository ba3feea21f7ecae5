//! The command `scan-rules`: rules by which scanners for secrets know the secrets of tokens.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{CommandResult, output};
use crate::{
    model::{leak::BITBUCKET_PREFIX, secret::PREFIX},
    report::capitalised,
    run::Ending,
};

/// Print the rules by which a secret scanner finds the tokens of tokenwarden (`tw_..`) and of Bitbucket (`BBDC-..`)
#[derive(Debug, Args)]
pub(super) struct ScanRules {
    /// Which scanner
    #[arg(value_enum, value_name = "SCANNER")]
    scanner: Scanner,
}

/// A scanner, by the form of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scanner {
    /// A config file in TOML, for `gitleaks --config`
    Gitleaks,
    /// A config file in YAML, for `trufflehog --config`
    Trufflehog,
    /// A plugin in Python, for `detect-secrets scan --plugin`
    DetectSecrets,
    /// A `.secretlintrc.json`
    Secretlint,
    /// The rules of Bitbucket's own secret scanning, as JSON for `POST /rest/api/latest/secret-scanning/rules`, one at a time
    Bitbucket,
}

/// What is known of the secrets of one kind of token.
struct Kind {
    name: &'static str,
    title: &'static str,
    /// What every one begins with.
    begins: &'static str,
    /// A regular expression that every scanner reads alike.
    pattern: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "tokenwarden-token",
        title: "API token of tokenwarden",
        begins: PREFIX,
        pattern: r"\btw_[0-9A-Za-z]{49}\b",
    },
    Kind {
        name: "bitbucket-http-access-token",
        title: "HTTP access token of Bitbucket Data Center",
        begins: BITBUCKET_PREFIX,
        pattern: r"\bBBDC-[0-9A-Za-z+/@_-]{40,50}",
    },
];

impl ScanRules {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn run(&self) -> CommandResult {
        output::write(&self.scanner.rules()?)?;
        Ok(Ending::Done)
    }
}

impl Scanner {
    fn rules(self) -> Result<String, serde_json::Error> {
        let each = |one: fn(&Kind) -> String| KINDS.iter().map(one).collect::<String>();
        Ok(match self {
            Self::Gitleaks => format!("[extend]\nuseDefault = true\n{}", each(gitleaks)),
            Self::Trufflehog => format!("detectors:\n{}", each(trufflehog)),
            Self::DetectSecrets => format!(
                "import re\n\nfrom detect_secrets.plugins.base import RegexBasedDetector\n{}",
                each(detect_secrets)
            ),
            Self::Secretlint => {
                let pattern = |kind: &Kind| json!({"name": kind.title, "patterns": [format!("/{}/", kind.pattern.replace('/', "\\/"))]});
                let patterns: Vec<_> = KINDS.iter().map(pattern).collect();
                document(&json!({"rules": [
                    {"id": "@secretlint/secretlint-rule-pattern", "options": {"patterns": patterns}},
                ]}))?
            }
            Self::Bitbucket => {
                let rule = |kind: &Kind| json!({"name": kind.title, "lineRegex": kind.pattern});
                document(&KINDS.iter().map(rule).collect())?
            }
        })
    }
}

fn document(json: &serde_json::Value) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(json).map(|text| text + "\n")
}

fn gitleaks(kind: &Kind) -> String {
    let Kind { name, title, begins, pattern } = kind;
    format!(
        "\n[[rules]]\nid = \"{name}\"\ndescription = \"{title}\"\nregex = '''{pattern}'''\nkeywords = [\"{begins}\"]\n"
    )
}

fn trufflehog(kind: &Kind) -> String {
    let Kind { name, begins, pattern, .. } = kind;
    format!("  - name: {name}\n    keywords: ['{begins}']\n    regex:\n      token: '{pattern}'\n")
}

fn detect_secrets(kind: &Kind) -> String {
    let Kind { name, title, pattern, .. } = kind;
    let class: String = name.split('-').map(capitalised).collect();
    format!(
        "\n\nclass {class}Detector(RegexBasedDetector):\n    secret_type = \"{title}\"\n    denylist = [re.compile(r\"{pattern}\")]\n"
    )
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use regex::Regex;

    use super::*;
    use crate::model::TokenSecret;

    #[test]
    fn every_secret_is_known_by_one_rule_and_hardly_anything_else_is() {
        let [ours, bitbucket] = KINDS.map(|kind| Regex::new(kind.pattern).unwrap());
        for random in 0..=255 {
            let secret = TokenSecret::from_random([random; 32]);
            let line = format!("token={}&x", secret.expose());
            assert_eq!(ours.find(&line).map(|found| found.as_str()), Some(secret.expose()));
        }
        let secret = "BBDC-MjUyOTczNTE1MDY5On2rDbID2EgYpH8AVOECHv0saruQ";
        assert_eq!(bitbucket.find(&format!("x {secret}\"")).map(|found| found.as_str()), Some(secret));
        for other in ["tw_", "tw_abc", "BBDC-x", "the flag tw_verbose_output_of_the_program_is_not_a_secret"]
        {
            assert!(!ours.is_match(other) && !bitbucket.is_match(other), "{other}");
        }
    }

    #[test]
    fn every_scanner_gets_every_rule() {
        for scanner in Scanner::value_variants() {
            let rules = scanner.rules().unwrap();
            for kind in KINDS {
                assert!(rules.contains(kind.begins), "{scanner:?}: {rules}");
            }
        }
    }
}
