//! The reference of the rules says what the program does: every rule is in it, every example is a valid
//! policy that finds what the text says, and its waiver holds.

use std::{fs, path::Path, sync::Arc};

use tokenwarden::{
    model::{LastUse, Owner, Rule, RuleCode, Scope, Token, TokenId, TokenScope},
    plan::Plan,
    policy::{self, Policy},
};

use crate::support::world::{State, World, time, token};

const NOW: &str = "2026-12-01T12:00:00Z";

/// One rule as the reference has it.
struct Section {
    heading: String,
    text: String,
}

impl Section {
    /// The code blocks in `language`, in their order.
    fn blocks(&self, language: &str) -> Vec<&str> {
        let opened = format!("```{language}\n");
        self.text.split(&opened).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
    }

    /// The example, its waiver and what the finding says.
    fn example(&self) -> (&str, &str, &str) {
        match (&self.blocks("yaml")[..], &self.blocks("text")[..]) {
            ([policy, waiver], [finding]) => (policy, waiver, finding.trim_end()),
            _ => panic!("{}: a policy, a finding and a waiver are shown", self.heading),
        }
    }

    /// The actions in the line about them, up to the first full stop or semicolon.
    fn actions(&self) -> Vec<&str> {
        let line = self.text.lines().find_map(|line| line.strip_prefix("- Actions: ")).unwrap();
        let list = line.split(['.', ';']).next().unwrap();
        list.split('`').skip(1).step_by(2).collect()
    }
}

fn sections() -> Vec<Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let text = fs::read_to_string(path).unwrap();
    let sections = text.split("\n## ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').unwrap();
        Section { heading: heading.trim_matches('`').to_owned(), text: text.to_owned() }
    });
    sections.collect()
}

fn policy(layers: &[&str]) -> Policy {
    let layers = layers.iter().zip(["example.yaml", "waiver.yaml"]);
    let files = layers.map(|(text, name)| (Arc::from(name), format!("version: 1\n{text}").into_bytes()));
    let reading = policy::read(&files.collect::<Vec<_>>()).judged_at(time(NOW));
    let found: Vec<_> =
        reading.diagnostics.iter().map(|found| format!("{}: {}", found.code, found.message)).collect();
    // A waiver that ends within two weeks is warned of; nothing else is.
    let mistakes: Vec<_> = found.into_iter().filter(|found| !found.starts_with("waiver-ends-soon")).collect();
    assert_eq!(mistakes, [""; 0]);
    reading.policy.unwrap()
}

/// The token of the examples, as it breaks the rule `code` and no other one of its example.
fn tokens(code: &str) -> Vec<Token> {
    let token = Token {
        description: "nightly build".to_owned(),
        created: time("2026-10-01T00:00:00Z"),
        created_by: Some("mary".into()),
        last_used: Some(LastUse { at: time("2026-11-30T00:00:00Z"), from: None }),
        expires: Some(time("2027-03-01T00:00:00Z")),
        ..token("4711", "mary")
    };
    let of = |user: &str| Token {
        owner: Owner::User(user.into()),
        created_by: Some(user.into()),
        ..token.clone()
    };
    let broken = match code {
        "owner-inactive" => of("olga"),
        "owner-unknown" => of("former-bot"),
        "owner-not-permitted" => of("carl"),
        "scope" => Token { scope: TokenScope::Set(Scope::ReadWrite), ..token },
        "scope-unset" => Token { scope: TokenScope::Unset, ..token },
        "lifetime" => Token { expires: None, ..token },
        "idle" => {
            Token { last_used: Some(LastUse { at: time("2026-07-01T00:00:00Z"), from: None }), ..token }
        }
        "never-used" => Token { last_used: None, ..token },
        "per-owner" => {
            let newer = Token { id: TokenId::new("1"), ..token.clone() };
            let at = time("2026-11-01T00:00:00Z");
            let older = Token {
                last_used: Some(LastUse { at, from: None }),
                description: "pipeline 3".to_owned(),
                ..token
            };
            return vec![older, newer];
        }
        "description" => token,
        "creator-not-permitted" => Token { created_by: Some("sam".into()), ..token },
        "expired" => Token {
            created: time("2026-01-01T00:00:00Z"),
            expires: Some(time("2026-07-01T00:00:00Z")),
            ..token
        },
        "rule-error" => Token { created_by: None, ..token },
        "Own rules" => Token { scope: TokenScope::Set(Scope::ReadWrite), ..of("root") },
        other => panic!("there is no token that breaks {other}"),
    };
    vec![broken]
}

fn plan(policy: &Policy, tokens: Vec<Token>) -> Plan {
    let users = [("mary", true), ("sam", true), ("carl", true), ("root", true), ("olga", false)];
    let users = users.map(|(user, active)| (user.into(), active)).into();
    let mut state = State { users, ..State::default() };
    for (group, members) in [
        ("developers", &["mary", "sam", "root", "olga"][..]),
        ("ci-bots", &[]),
        ("token-admins", &[]),
        ("administrators", &["root"]),
    ] {
        state.groups.insert(group.into(), members.iter().map(|member| (*member).into()).collect());
    }
    state.tokens = tokens.into_iter().map(|token| (token.id.clone(), token)).collect();
    World::new(state).plan(policy, time(NOW))
}

#[test]
fn every_rule_has_its_heading_in_the_order_in_which_rules_are_tried() {
    let headings: Vec<_> = sections().into_iter().map(|section| section.heading).collect();
    let codes = RuleCode::ALL.map(RuleCode::code).into_iter().chain(["Own rules"]);
    assert_eq!(headings, codes.collect::<Vec<_>>());
}

#[test]
fn every_section_lists_the_actions_that_make_sense() {
    for section in sections() {
        let rule = match section.heading.parse::<RuleCode>() {
            Ok(code) => Rule::BuiltIn(code),
            Err(_) => Rule::Own("any".into()),
        };
        assert_eq!(section.actions(), rule.actions(), "{}", section.heading);
    }
}

#[test]
fn every_example_finds_what_its_text_says() {
    for section in sections() {
        let (example, _, finding) = section.example();
        let plan = plan(&policy(&[example]), tokens(&section.heading));
        let changed = plan.changes.iter().flat_map(|planned| &planned.reasons);
        let changed =
            changed.filter_map(|reason| Some(format!("{}: {}", reason.rule.as_ref()?, reason.text)));
        let reported = plan.reported.iter().flat_map(|found| &found.findings);
        let reported = reported.map(|finding| format!("{}: {}", finding.rule, finding.message));
        assert_eq!(changed.chain(reported).collect::<Vec<_>>(), [finding], "{}", section.heading);
    }
}

#[test]
fn every_waiver_holds_the_token_of_its_example() {
    for section in sections() {
        let (example, waiver, finding) = section.example();
        let plan = plan(&policy(&[example, waiver]), tokens(&section.heading));
        let held = plan.waived.iter().flat_map(|found| &found.findings);
        let held: Vec<_> = held.map(|finding| format!("{}: {}", finding.rule, finding.message)).collect();
        assert_eq!(held, [finding], "{}", section.heading);
    }
}
