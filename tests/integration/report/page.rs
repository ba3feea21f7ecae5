//! The page as Chromium shows it on a screen, on a phone and on paper.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{NOW, Quickstart};

/// The page of the example with a long reason in it, and the same plan as JSON.
fn page() -> (Quickstart, Value) {
    let quickstart = Quickstart::new();
    let reason = format!("a bot used it from {} which is outside the build farm", "some-address-".repeat(20));
    quickstart.edit("policy/base.yaml", "a bot used it from outside the build farm", &reason);
    let run = quickstart.run(&["plan", "--now", NOW, "--report", "html=p.html", "--report", "json=p.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let json = fs::read_to_string(quickstart.path("p.json")).unwrap();
    (quickstart, serde_json::from_str(&json).unwrap())
}

/// What Chromium writes to standard output when it is started with `arguments` on a file of `quickstart`.
fn browser(quickstart: &Quickstart, arguments: &[&str], file: &str) -> String {
    let installed = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let chromium = ["chromium", "google-chrome"].into_iter().find(installed).expect("Chromium is installed");
    let profile = TempDir::new().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"])
        .args(["--window-size=1200,2000", &format!("--user-data-dir={}", profile.path().display())])
        .args(arguments)
        .arg(format!("file://{}", quickstart.path(file).display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!log.contains("CONSOLE"), "the browser complains about the page: {log}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `script`, an expression over the `page` in a frame of `width` pixels, comes to.
fn measured(quickstart: &Quickstart, width: u32, script: &str) -> Value {
    let page = fs::read_to_string(quickstart.path("p.html")).unwrap();
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let around = format!(
        "<!doctype html><iframe style='width:{width}px;height:30000px;border:0' srcdoc=\"{page}\"></iframe><pre></pre>
        <script>onload = () => {{
            const page = document.querySelector('iframe').contentDocument;
            document.querySelector('pre').textContent = JSON.stringify({script});
        }}</script>"
    );
    fs::write(quickstart.path("around.html"), around).unwrap();
    let shown = browser(quickstart, &["--dump-dom"], "around.html");
    let (_, value) = shown.rsplit_once("<pre>").unwrap();
    serde_json::from_str(&value.split_once("</pre>").unwrap().0.replace("&gt;", ">")).expect(&shown)
}

/// Every reason that is told of a token, as it is on the page.
fn reasons(plan: &Value) -> BTreeSet<String> {
    let of = |list: &str, member: &str| -> Vec<Value> {
        let entries = plan[list].as_array().unwrap().iter();
        entries.flat_map(|entry| entry[member].as_array().cloned().unwrap_or_default()).collect()
    };
    [
        of("resource_changes", "reasons"),
        of("pending", "reasons"),
        of("reported", "findings"),
        of("waived", "findings"),
    ]
    .concat()
    .iter()
    .filter_map(|reason| Some(format!("{}: {}", reason["rule"].as_str()?, reason["message"].as_str()?)))
    .collect()
}

#[test]
#[ignore = "needs Chromium"]
fn a_browser_shows_the_figures_of_the_page_and_runs_into_nothing() {
    let (quickstart, json) = page();
    let picture = quickstart.path("p.png");
    let shown = browser(&quickstart, &["--dump-dom"], "p.html");
    browser(&quickstart, &[&format!("--screenshot={}", picture.display())], "p.html");
    assert!(fs::metadata(picture).unwrap().len() > 20_000, "there is something on the picture");

    let tile = |name: &str| {
        let (_, rest) =
            shown.split_once(&format!("<dt>{name}</dt><dd>")).unwrap_or_else(|| panic!("{name}: {shown}"));
        rest.split_once('<').unwrap().0.to_owned()
    };
    assert_eq!(tile("tokens"), json["targets"][0]["tokens_seen"].to_string());
    let statistics = &json["targets"][0]["statistics"];
    assert_eq!(tile("end within 30 days"), statistics["ending_in_30_days"].to_string());
    for age in statistics["ages"].as_array().unwrap() {
        let drawn = format!("days: {}</title>", age["count"]);
        let last = format!("more: {}</title>", age["count"]);
        assert!(shown.contains(&drawn) || shown.contains(&last), "{drawn} in {shown}");
    }
    assert_eq!(shown.matches("<svg").count(), 4);
    assert_eq!(shown.matches("role=\"img\"").count(), 4);
}

#[test]
#[ignore = "needs Chromium and pdftotext"]
fn every_reason_is_whole_on_paper() {
    let (quickstart, plan) = page();
    let pdf = quickstart.path("p.pdf").display().to_string();
    browser(&quickstart, &["--no-pdf-header-footer", &format!("--print-to-pdf={pdf}")], "p.html");
    let text = |form: &str| {
        let output = Command::new("pdftotext").args([form, &pdf, "-"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A line may be broken anywhere.
    let joined = |text: &str| text.split_whitespace().collect::<String>();
    let printed = joined(&text("-raw"));
    let reasons = reasons(&plan);
    assert!(reasons.len() > 20 && reasons.iter().any(|reason| reason.len() > 300), "{reasons:?}");
    for reason in reasons {
        assert!(printed.contains(&joined(&reason)), "{reason} in {printed}");
    }
    // What is cut off is in the file all the same, beside the page or in its margin of a centimetre.
    let (margin, mut right) = (72.0 / 2.54, 0.0);
    for line in text("-bbox").lines() {
        let number = |name: &str| -> Option<f64> {
            line.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse().ok()
        };
        right = number("width").unwrap_or(right);
        if let Some(end) = number("xMax") {
            assert!(end <= right - margin + 1.0, "{line} on a page of {right} points");
        }
    }
    assert!(right > 500.0);
}

#[test]
#[ignore = "needs Chromium"]
fn a_phone_scrolls_nothing_sideways_but_the_figures() {
    let (quickstart, _) = page();
    let script = "[page.documentElement.scrollWidth, page.querySelectorAll('td').length,
        [...page.querySelectorAll('body *')].filter(one => !one.closest('.figure')
            && (one.getBoundingClientRect().right > 390 || one.scrollWidth > one.clientWidth && one.clientWidth > 0)
        ).map(one => one.outerHTML.slice(0, 100))]";
    let seen = measured(&quickstart, 390, script);
    assert_eq!(seen[0], 390);
    assert!(seen[1].as_u64().unwrap() > 100, "{seen}");
    assert_eq!(seen[2], serde_json::json!([]));
}

#[test]
#[ignore = "needs Chromium"]
fn the_findings_of_one_rule_are_shown_alone_without_a_script_of_the_page() {
    let (quickstart, plan) = page();
    let script = "(() => {
        const seen = of => [...page.querySelectorAll(of)].filter(one => one.checkVisibility()).length;
        const all = seen('tr.found');
        const chosen = [...page.querySelectorAll('label.rule')].find(one => one.textContent.startsWith('idle '));
        chosen.click();
        return [all, seen('tr.found'), seen('.findings section'), chosen.textContent];
    })()";
    let shown = measured(&quickstart, 1000, script);
    let of_idle = |rules: &Value| rules.as_array().unwrap().iter().any(|rule| rule == "idle");
    let idle =
        plan["resource_changes"].as_array().unwrap().iter().filter(|one| of_idle(&one["rules"])).count();
    assert!(idle > 0 && shown[0].as_u64().unwrap() > 20, "{shown}");
    assert_eq!((&shown[1], &shown[2]), (&idle.into(), &2.into()), "the rules and one list: {shown}");
    let explained = shown[3].as_str().unwrap();
    assert!(explained.contains("a token that was used last too long ago."), "{explained}");
    assert!(explained.contains("What its owner can do:"), "{explained}");
}
