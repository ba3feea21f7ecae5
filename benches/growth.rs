//! How the work of a plan grows, in instructions, which are the same on a busy machine and an idle one: a step that
//! looks at every token for every token, or copies something for each, shows at once.
//!
//! `cargo bench --bench growth` needs Valgrind and ends with 1 when something grew. What is recorded here is what it
//! told of `main`; a change that is meant to cost more, or saves much, records anew what it tells.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking and prints its result"
)]

use std::{
    env,
    fmt::Write,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
};

#[expect(dead_code, reason = "it is a program of its own too")]
#[path = "compare.rs"]
mod compare;
#[expect(dead_code, reason = "it is a program of its own too")]
#[path = "instance.rs"]
mod instance;

use jiff::Timestamp;
use tokenwarden::{
    access::{self, Credentials, Held, Operation, Person, Request, RequestOrigin},
    compliance::Compliance,
    inventory::People,
    model::{
        AllowedNetworks, GroupName, Holders, LastUse, Owner, Restriction, Scope, Settings, Token, TokenId,
        TokenScope, UserName, network::AddressRange,
    },
    policy,
};

/// A plan of so many tokens, of which ten in a hundred have a finding, and of four times as many.
const TOKENS: [usize; 2] = [10_000, 40_000];
/// How much more the larger plan may take.
const GROWTH_AT_MOST: f64 = 4.3;
/// How much more a plan may take when the policy has three own rules.
const RULES_AT_MOST: f64 = 1.25;
/// How far a part may be from what is recorded.
const TOLERANCE: f64 = 0.1;
/// The same where a copy of the token that is looked at would be less than that.
const STRICT: f64 = 0.04;

/// A part of the work, how many times it is done, the instructions that one time took when that was recorded, and how
/// far it may be from that.
struct Part {
    name: &'static str,
    times: [usize; 2],
    recorded: f64,
    tolerance: f64,
}

const PARTS: [Part; 6] = [
    Part { name: JUDGE, times: [1_000, 5_000], recorded: 4_665.0, tolerance: STRICT },
    Part { name: "decide, 1 group", times: [1_000, 5_000], recorded: 620.0, tolerance: TOLERANCE },
    Part { name: "decide, 5 groups", times: [1_000, 5_000], recorded: 655.0, tolerance: TOLERANCE },
    Part { name: "decide, 50 groups", times: [1_000, 5_000], recorded: 688.0, tolerance: TOLERANCE },
    Part { name: "parse", times: [200, 1_000], recorded: 107_618.0, tolerance: TOLERANCE },
    Part { name: "compare", times: [100, 1_000], recorded: 27_100.0, tolerance: TOLERANCE },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [part, times] = arguments.as_slice() {
        let times = times.parse().unwrap();
        match part.as_str() {
            "decide, 1 group" => decide(times, 1),
            "decide, 5 groups" => decide(times, 5),
            "decide, 50 groups" => decide(times, 50),
            JUDGE => judge(times),
            "compare" => compare::differences(&compare::policies(times)),
            _ => parse(times),
        }
        return ExitCode::SUCCESS;
    }
    let mut held = true;
    let [base, larger] = TOKENS.map(|tokens| plan(tokens, ""));
    let growth = larger / base;
    held &= growth <= GROWTH_AT_MOST;
    println!("plan, 4 times the tokens   x{growth:.2}, at most x{GROWTH_AT_MOST}");
    let each = (larger - base) / difference(TOKENS);
    held &= is_as_recorded("plan, a token", each, PLAN_OF_A_TOKEN, TOLERANCE);
    let [few, _] = TOKENS;
    let with_rules = plan(few, instance::RULES) / base;
    held &= with_rules <= RULES_AT_MOST;
    println!("plan, with own rules       x{with_rules:.2}, at most x{RULES_AT_MOST}");
    let own = env::current_exe().unwrap();
    for part in PARTS {
        let [base, larger] =
            part.times.map(|times| instructions(Command::new(&own).arg(part.name).arg(times.to_string())));
        let each = (larger - base) / difference(part.times);
        held &= is_as_recorded(part.name, each, part.recorded, part.tolerance);
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The instructions that a token more in a plan took when that was recorded.
const PLAN_OF_A_TOKEN: f64 = 20_700.0;

#[expect(clippy::cast_precision_loss, reason = "they are small")]
fn difference([few, many]: [usize; 2]) -> f64 {
    (many - few) as f64
}

fn is_as_recorded(name: &str, found: f64, recorded: f64, tolerance: f64) -> bool {
    println!("{name:<26} {found:.0} instructions, recorded {recorded:.0}");
    (found - recorded).abs() <= recorded * tolerance
}

/// The instructions that the plan of an instance with so many tokens takes, under a policy with these own `rules`.
fn plan(tokens: usize, rules: &str) -> f64 {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("growth-{tokens}"));
    instance::write(&folder, tokens, 10, rules).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwarden"));
    instructions(command.arg("-C").arg(&folder).args(["plan", "--inventory", "snapshot.jsonl"]))
}

/// The instructions that `command` takes, in all of its threads.
fn instructions(command: &Command) -> f64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let ran = valgrind.arg(command.get_program()).args(command.get_args()).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    let count = told.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.unwrap_or_else(|| panic!("Valgrind counted nothing: {told}"));
    count.trim().parse().unwrap()
}

const JUDGE: &str = "judge, a token";

/// Judges so many tokens without a finding, as a plan does once they are read.
fn judge(times: usize) {
    let text = instance::policy("").replace("      max_per_owner: 1000\n", "");
    let policy = policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]).policy.unwrap();
    let (mut people, owner) = (People::default(), UserName::new("mary"));
    people.add_user(owner.clone(), true);
    for group in 1..30 {
        let members = (group > 23).then(|| owner.clone());
        people.add_group(&GroupName::new(format!("group-{group}")), members);
    }
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let token = Token {
        id: TokenId::new("1"),
        owner: Owner::User(owner.clone()),
        description: "OPS-1 the nightly build of the platform".to_owned(),
        scope: TokenScope::Set(Scope::ReadOnly),
        created: at("2026-09-01T08:15:00Z"),
        created_by: Some(owner),
        last_used: Some(LastUse { at: at("2026-11-20T10:00:00Z"), from: Some("10.0.3.7".parse().unwrap()) }),
        expires: Some(at("2027-03-01T00:00:00Z")),
        mark: None,
    };
    let mut compliance = Compliance::new(&policy, &people, at("2026-11-23T12:00:00Z"));
    for _ in 0..times {
        compliance.observe(black_box(&token));
    }
    assert_eq!(compliance.finish().tokens.len(), 0);
}

/// Decides so many times on a request that is permitted, under a policy of 1,000 networks that lets so many groups use
/// tokens, of somebody in as many, one of which is the last of those.
fn decide(times: usize, groups: usize) {
    let names = |from: usize| (from..from + groups).map(|group| GroupName::new(format!("group-{group:02}")));
    let mut settings = Settings::initial(GroupName::new("administrators"));
    let networks = (0..1_000).map(|network| {
        format!("10.{}.{}.0/24", network / 250, network % 250).parse::<AddressRange>().unwrap()
    });
    settings.networks = AllowedNetworks::only(networks.collect()).unwrap();
    settings.permissions.use_tokens = Holders::of(names(0));
    let owner = Person {
        name: UserName::new("mary"),
        groups: names(groups - 1).collect(),
        active: true,
        administrator: false,
    };
    let held = Held {
        id: TokenId::new("1"),
        owner: owner.into(),
        scope: TokenScope::Set(Scope::ReadOnly),
        expires: None,
        restriction: Restriction::default(),
    };
    let request = Request {
        origin: RequestOrigin::Client("10.3.7.9".parse().unwrap()),
        method: "GET",
        path: "/rest/api/1.0/projects",
        credentials: Credentials::Token(held),
        operation: Operation::Enter,
        at: "2026-11-23T12:00:00Z".parse().unwrap(),
    };
    for _ in 0..times {
        let decision = access::decide(&settings, black_box(&request));
        assert!(matches!(black_box(decision), access::Decision::Permit(_)));
    }
}

/// Reads a policy with so many networks and waivers.
fn parse(times: usize) {
    let mut text = "version: 1\nnetwork:\n  allow:\n".to_owned();
    for network in 0..times {
        writeln!(text, "    - 10.{}.{}.0/24", network / 250, network % 250).unwrap();
    }
    text.push_str("waivers:\n");
    for token in 0..times {
        let waiver = "rules: [idle], reason: it waits for the yearly audit, until: 2027-06-30";
        writeln!(text, "  - {{token: \"{token}\", {waiver}}}").unwrap();
    }
    let reading = policy::read(&[(Arc::from("policy.yaml"), text.into_bytes())]);
    assert!(reading.policy.is_some(), "{:?}", reading.diagnostics);
}
