//! `tokens`: the list of tokens, in every form, and what narrows it.

use serde_json::Value;

use crate::support::program::{NOW, Quickstart};

/// The identifiers in a list as CSV.
fn ids(csv: &str) -> Vec<&str> {
    csv.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect()
}

#[test]
fn every_form_lists_the_same_tokens() {
    let quickstart = Quickstart::new();
    let list = |more: &[&str]| {
        let run = quickstart.run(&[&["tokens", "--now", NOW], more].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let (csv, json) = (list(&["--format", "csv"]), list(&["--format", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let entries = json["tokens"].as_array().unwrap();
    let listed: Vec<_> = entries.iter().map(|entry| entry["token"]["id"].as_str().unwrap()).collect();
    assert!(listed.len() == 37 && ids(&csv) == listed, "{csv}");
    assert!(csv.starts_with("target,id,owner,description,scope,state,"), "{csv}");
    insta::assert_snapshot!(list(&["--owner", "ci-nightly", "--owner", "MARY"]), @r#"
    token  owner       scope       last used   ends        what
    3      ci-nightly  read-write  2026-11-23  2027-09-19  "OPS-140 nightly build"
    5      mary        read-only   2026-11-21  2027-03-03  "DEV-7 release notes"
    6      mary        read-only   2026-11-18  2027-02-21  "DEV-19 dashboard"
    13     mary        read-write  2026-11-19  2027-03-03  "DEV-60 pull request bot": scope
    17     ci-nightly  unset       2026-10-24  2026-12-23  "OPS-9 legacy build": scope-unset
    19     ci-nightly  read-write  2026-11-21  2028-10-23  "OPS-89 test reports": lifetime (waived)
    25     mary        read-only   never       2027-01-22  "DEV-90 just in case": never-used
    36     mary        read-only   2026-06-26  2026-08-15  "DEV-2 hackathon": expired

    8 tokens.
    "#);
    let old = entries.iter().find(|entry| entry["token"]["id"] == "17").unwrap();
    assert_eq!(
        (&old["state"], &old["findings"][0]["rule"]),
        (&"ending".into(), &"scope-unset".into()),
        "{old}"
    );
}

#[test]
fn a_list_is_narrowed_by_owner_rule_state_use_and_end() {
    let quickstart = Quickstart::new();
    let list = |more: &[&str]| {
        let run = quickstart.run(&[&["tokens", "--now", NOW, "--format", "csv"], more].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    let all = list(&[]);
    let (ending, endless, expired) =
        (list(&["--state", "ending"]), list(&["--state", "endless"]), list(&["--state", "expired"]));
    assert_eq!(ids(&all).len(), ids(&ending).len() + ids(&endless).len() + ids(&expired).len());
    assert!(
        endless.lines().skip(1).all(|line| line.contains(",endless,")) && ids(&endless).len() > 2,
        "{endless}"
    );
    assert_eq!(
        ids(&list(&["--state", "endless", "--state", "expired"])).len(),
        ids(&endless).len() + ids(&expired).len()
    );
    let unused = list(&["--never-used"]);
    assert!(
        unused.lines().skip(1).all(|line| line.split(',').nth(8) == Some("")) && !ids(&unused).is_empty(),
        "{unused}"
    );
    let soon = list(&["--ends-before", "61d", "--owner", "ines"]);
    assert!(ids(&soon).contains(&"8"), "{soon}");
    assert_eq!(soon, list(&["--ends-before", "2027-01-23", "--owner", "ines"]));
    let lifetime = list(&["--rule", "lifetime"]);
    assert!(
        ids(&lifetime).len() > 2 && lifetime.lines().skip(1).all(|line| line.contains("lifetime")),
        "{lifetime}"
    );
    assert!(ids(&list(&["--rule", "no-such-rule"])).is_empty());
}

#[test]
fn a_snapshot_is_listed_as_the_target_is_without_reading_it() {
    let quickstart = Quickstart::new();
    let taken = quickstart.run(&["inventory", "--out", "taken.jsonl", "--now", NOW]);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let list = |more: &[&str]| quickstart.run(&[&["tokens", "--format", "csv"], more].concat());
    let live = list(&["--now", NOW]);
    std::fs::remove_file(quickstart.store()).unwrap();
    let offline = list(&["--inventory", "taken.jsonl"]);
    assert_eq!((offline.code, &offline.stdout), (Some(0), &live.stdout), "{}", offline.stderr);
    assert!(!quickstart.store().exists(), "the server is not started");
    let some = list(&["--inventory", "taken.jsonl", "--owner", "ines", "--rule", "lifetime"]);
    assert!(ids(&some.stdout).len() < ids(&live.stdout).len(), "{}", some.stdout);
    let other = list(&["--inventory", "taken.jsonl", "--target", "nobody"]);
    assert_ne!(other.code, Some(0), "{}", other.stdout);
    assert!(other.stderr.contains("nobody"), "{}", other.stderr);
}
