//! Edits of a policy, and of what it rests on, that have hurt people elsewhere: each is played on a
//! server that has converged, and is refused or held back with nothing written.

use std::fs;

use crate::support::program::{NOW, Quickstart, Run, dump};

/// The quickstart after a clean run.
fn converged() -> Quickstart {
    let quickstart = Quickstart::new();
    converge(&quickstart);
    quickstart
}

fn converge(quickstart: &Quickstart) {
    let run = apply(quickstart);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

fn apply(quickstart: &Quickstart) -> Run {
    quickstart.run(&["apply", "--auto-approve", "--now", NOW])
}

/// Applies, and asserts that it ends with `code`, says `words` and writes no setting and no token.
fn nothing_happens(quickstart: &Quickstart, code: i32, words: &[&str]) {
    let before = dump(&quickstart.store());
    let run = apply(quickstart);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
    assert_eq!(dump(&quickstart.store()), before);
}

#[test]
fn a_misspelt_group_takes_the_permission_from_nobody() {
    let quickstart = converged();
    quickstart.edit("policy/platform.yaml", "use: [developers,", "use: [develpers,");
    nothing_happens(&quickstart, 1, &["group `develpers` is not known to the server"]);
}

#[test]
fn a_misspelt_group_of_the_limits_narrows_and_ends_no_token() {
    let quickstart = converged();
    quickstart.edit("policy/base.yaml", "- groups: [ci-bots]", "- groups: [ci-bot]");
    nothing_happens(&quickstart, 1, &["group `ci-bot` is not known to the server"]);
}

#[test]
fn a_directory_file_that_was_cut_off_is_refused_as_a_whole() {
    let quickstart = converged();
    let whole = fs::read_to_string(quickstart.path("directory.yaml")).unwrap();
    let at = whole.find("active: false").unwrap();
    fs::write(quickstart.path("directory.yaml"), &whole[..at]).unwrap();
    nothing_happens(&quickstart, 3, &["directory.yaml"]);
}

#[test]
fn a_directory_without_most_of_its_people_revokes_nothing() {
    let quickstart = converged();
    let whole = fs::read_to_string(quickstart.path("directory.yaml")).unwrap();
    let gone = ["mary", "sam", "ines", "jonas", "priya"];
    let listed = |line: &&str| !gone.iter().any(|name| line.contains(&format!("{{ name: {name},")));
    let fewer: Vec<_> = whole.lines().filter(listed).collect();
    let fewer = fewer.join("\n").replace("mary, sam, ines, jonas, priya, olga", "olga");
    fs::write(quickstart.path("directory.yaml"), fewer).unwrap();
    nothing_happens(
        &quickstart,
        4,
        &["owner-inactive: mary is not active", "revocations: ", "nothing was changed"],
    );
}

#[test]
fn a_group_that_the_directory_lost_is_not_an_empty_one() {
    let quickstart = converged();
    quickstart.edit("directory.yaml", "  ci-bots: [ci-deploy, ci-nightly, renovate]\n", "");
    nothing_happens(&quickstart, 1, &["group `ci-bots` is not known to the server"]);
}

#[test]
fn an_emptied_list_is_a_mistake_and_never_means_nobody() {
    for (file, list, emptied, help) in [
        ("policy/platform.yaml", "use: [developers, ci-bots, token-admins]", "use: []", "write `nobody`"),
        (
            "policy/base.yaml",
            "  allow:\n    - 10.0.0.0/8\n    - 192.0.2.10-192.0.2.20         # the build farm\n    - name: vpn\n      \
             ranges: [198.51.100.0/25, 2001:db8:5f::/48]\n",
            "  allow: []\n",
            "write `anywhere`",
        ),
        ("policy/platform.yaml", "    rules: [lifetime]\n", "    rules: []\n", "empty"),
    ] {
        let quickstart = converged();
        quickstart.edit(file, list, emptied);
        nothing_happens(&quickstart, 3, &[help]);
    }
}

/// The quickstart with a rule that revokes every token, and a layer of waivers that holds them all.
fn waived(until: &str) -> Quickstart {
    let quickstart = Quickstart::new();
    let rule = "version: 1\ntokens:\n  rules: [{ name: everything, when: 'true', message: it is a token }]\n  \
                enforcement: { everything: revoke }\n";
    fs::write(quickstart.path("policy/everything.yaml"), rule).unwrap();
    let owners = [
        "mary",
        "sam",
        "ines",
        "jonas",
        "priya",
        "olga",
        "carl",
        "warden",
        "ci-deploy",
        "ci-nightly",
        "renovate",
        "former-bot",
    ];
    let waivers = owners.map(|owner| {
        format!(
            "  - {{ owner: {owner}, rules: [everything], reason: they move next year, until: {until} }}\n"
        )
    });
    let layer = format!("version: 1\nwaivers:\n{}", waivers.concat());
    fs::write(quickstart.path("policy/waivers.yaml"), layer).unwrap();
    let last = "- policy/platform.yaml ";
    quickstart.edit(
        "tokenwarden.yaml",
        last,
        &format!("- policy/everything.yaml\n      - policy/waivers.yaml\n      {last}"),
    );
    converge(&quickstart);
    quickstart
}

#[test]
fn a_layer_that_drops_the_waivers_revokes_nothing() {
    let quickstart = waived("2099-12-31");
    let path = quickstart.path("policy/platform.yaml");
    let platform = fs::read_to_string(&path).unwrap();
    let (others, _) = platform.split_once("waivers:\n").unwrap();
    fs::write(path, format!("{others}waivers: unmanaged\n")).unwrap();
    nothing_happens(&quickstart, 4, &["everything: it is a token", "revocations: ", "nothing was changed"]);
}

#[test]
fn waivers_that_all_ended_last_night_end_nothing() {
    let quickstart = waived("2099-12-31");
    let path = quickstart.path("policy/waivers.yaml");
    let ended = fs::read_to_string(&path).unwrap().replace("2099-12-31", "2026-11-22");
    fs::write(path, ended).unwrap();
    let words =
        ["warning[waiver-ended]", "its waiver ended on 2026-11-22", "expiries: ", "nothing was changed"];
    nothing_happens(&quickstart, 4, &words);
    assert_eq!(quickstart.run(&["validate", "--now", NOW]).code, Some(3));
}

#[test]
fn a_waiver_that_ended_last_night_leaves_two_weeks_where_the_rule_revokes_at_once() {
    let quickstart = waived("2099-12-31");
    let path = quickstart.path("policy/waivers.yaml");
    let one = "owner: renovate, rules: [everything], reason: they move next year, until: ";
    let waivers = fs::read_to_string(&path).unwrap();
    fs::write(path, waivers.replace(&format!("{one}2099-12-31"), &format!("{one}2026-11-22"))).unwrap();
    let before = dump(&quickstart.store());
    let run = apply(&quickstart);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let warning = "warning[waiver-ended]: the waiver for renovate ended on 2026-11-22";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    let after = dump(&quickstart.store());
    assert_eq!(before.len(), after.len(), "nothing is revoked");
    let deadline = "2026-12-08T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond().to_string();
    for (before, after) in before.iter().zip(&after).filter(|(before, after)| before != after) {
        assert!(before.contains(" renovate|") && after.ends_with(&format!("|{deadline}")), "{after}");
    }
    assert_ne!(before, after);
}
