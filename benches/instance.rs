//! A generator of instances: a config file, a policy and a snapshot of as many tokens as are asked for, the
//! same for the same arguments. Needs nothing but the standard library, so that no build of the program is
//! needed to make one:
//!
//! `rustc -O --edition 2024 -o target/instance benches/instance.rs && target/instance FOLDER TOKENS PERCENT`
//!
//! PERCENT of the tokens have a finding. There are 20 tokens for each owner, a group for every 500 tokens, six groups
//! for each owner, 22 entries of the limits and 50 networks. `rules` as a fourth argument gives the policy three own
//! rules, which find nothing.

#![expect(clippy::print_stderr, reason = "it tells how to call it")]

use std::{
    env,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

const USAGE: &str = "usage: instance FOLDER TOKENS PERCENT [rules]";
const TOKENS_OF_AN_OWNER: usize = 20;
const TOKENS_OF_A_GROUP: usize = 500;
const GROUPS_OF_AN_OWNER: usize = 6;
const LIMITS: usize = 22;
const NETWORKS: usize = 50;

const SETTINGS: &str = "version: 1\ntargets:\n  bench:\n    kind: gateway\n    url: https://tokens.example.com\n    \
                        auth: { user: warden, token_env: TOKEN }\n    policy: [policy.yaml]\n";

const HEADER: &str = concat!(
    r#"{"record":"header","format_version":"2.0","target":"bench","kind":"gateway","#,
    r#""seen_at":"2026-11-23T12:00:00Z","budget":null,"coverage":{"groups":"all","missing_groups":[]},"#,
    r#""server":{"url":"https://tokens.example.com","version":"0.1.0","administrators":"group-0","#,
    r#""manageable":["permissions.use","network.allow","tokens.limits"],"unreadable":{},"forms":{},"#,
    r#""capabilities":{"expiry":"set","narrows":true,"tokens_sent_as_passwords_are_passwords":false,"#,
    r#""tokens_administer":true},"left_out":[]},"#,
    r#""caller":{"user":null,"groups":[],"administrator":true,"credential":{"kind":"operator"},"#,
    r#""address":"127.0.0.1","peer":"127.0.0.1"},"#,
    r#""settings":{"permissions":{"use":"everyone","create":"everyone","create_read_write":"everyone","#,
    r#""manage_others":["group-0"]},"network":{"allow":"anywhere","client_address":"peer"},"#,
    r#""password_authentication":"allowed","limits":[]}}"#,
);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let numbers = || Some((arguments.get(1)?.parse().ok()?, arguments.get(2)?.parse().ok()?));
    let (Some(folder), Some((tokens, percent))) = (arguments.first(), numbers()) else {
        eprintln!("{USAGE}");
        return Ok(());
    };
    let rules = arguments.get(3).is_some_and(|word| word == "rules");
    write(Path::new(folder), tokens, percent, if rules { RULES } else { "" })
}

/// Three own rules that find nothing.
pub(crate) const RULES: &str = r#"  rules:
    - name: administrators-read-only
      when: token.scope == "read-write" && "group-1" in owner.groups && !token.description.startsWith("OPS-")
      message: administrators have read-only tokens
    - name: forgotten
      when: token.last_used != null && now - token.last_used > duration("2400h")
      message: it was not used for a hundred days
    - name: long-lived
      when: token.expires != null && token.expires - token.created > duration("8760h") && owner.kind == "user"
      message: it lives for more than a year
"#;

/// Writes the instance into `folder`; `rules` are those of the policy itself.
pub(crate) fn write(folder: &Path, tokens: usize, percent: usize, rules: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("tokenwarden.yaml"), SETTINGS)?;
    fs::write(folder.join("policy.yaml"), policy(rules))?;
    let mut snapshot = BufWriter::new(File::create(folder.join("snapshot.jsonl"))?);
    write_snapshot(tokens, percent, &mut snapshot)?;
    snapshot.flush()
}

/// The policy of an instance, with these own `rules`.
pub(crate) fn policy(rules: &str) -> String {
    let networks: Vec<_> = (0..NETWORKS).map(|network| format!("10.{network}.0.0/16")).collect();
    let limits: Vec<_> = (1..LIMITS)
        .map(|group| {
            format!(
                "    - {{groups: [group-{group}], max_scope: read-only, max_lifetime: 1y, max_idle: 90d}}"
            )
        })
        .collect();
    format!(
        "version: 1\nnetwork:\n  allow: [{}]\ntokens:\n  limits:\n{}\n    - max_scope: read-only\n      \
         max_lifetime: 1y\n      max_idle: 90d\n      max_unused: 60d\n      max_per_owner: 1000\n      \
         description: '^[A-Z]+-[0-9]+ '\n{rules}  enforcement:\n    scope: narrow\n    lifetime: {{action: expire, grace: 14d}}\n",
        networks.join(", "),
        limits.join("\n"),
    )
}

fn write_snapshot(tokens: usize, percent: usize, out: &mut impl Write) -> io::Result<()> {
    let owners = tokens.div_ceil(TOKENS_OF_AN_OWNER);
    let groups = tokens.div_ceil(TOKENS_OF_A_GROUP);
    writeln!(out, "{HEADER}")?;
    for owner in 0..owners {
        writeln!(out, r#"{{"record":"user","name":"Firstname.Lastname-{owner}","active":true}}"#)?;
    }
    for group in 0..groups {
        let members: Vec<_> = (0..owners)
            .filter(|owner| (0..GROUPS_OF_AN_OWNER).any(|step| (owner * 7 + step * 331) % groups == group))
            .map(|owner| format!(r#""Firstname.Lastname-{owner}""#))
            .collect();
        let members = members.join(",");
        writeln!(out, r#"{{"record":"group","name":"group-{group}","members":[{members}]}}"#)?;
    }
    for token in 0..tokens {
        let owner = format!("Firstname.Lastname-{}", token % owners);
        // Spread over all tokens, whatever the percentage.
        let reaches_too_far = token * 37 % 100 < percent;
        let scope = if reaches_too_far { "read-write" } else { "read-only" };
        let (month, day, network) = (token % 12 + 1, token % 28 + 1, token % NETWORKS);
        writeln!(
            out,
            r#"{{"record":"token","id":"{token:012}","owner":"{owner}","owner_kind":"user","description":"OPS-{token} the nightly build of the platform","scope":"{scope}","created":"2026-09-{day:02}T08:15:00Z","created_by":"{owner}","last_used":"2026-11-{use_day:02}T10:00:00Z","last_used_from":"10.{network}.3.7","expires":"2027-{expiry:02}-{day:02}T00:00:00Z","mark":null}}"#,
            use_day = token % 22 + 1,
            expiry = month.min(8),
        )?;
    }
    writeln!(
        out,
        r#"{{"record":"trailer","users":{owners},"groups":{groups},"tokens":{tokens},"missing":[]}}"#
    )
}
