//! A saved plan: whatever is altered is found out, and what is shown of one can be saved and shown again.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use tokenwarden::{
    report::{Paint, Run, html, junit, markdown, metrics, text},
    saved::{self, SavedPlan, Seal, Shown, document::PlanDocument},
};

fuzz_target!(|bytes: &[u8]| {
    let _ = SavedPlan::read(bytes);
    let Ok(json) = str::from_utf8(bytes) else { return };
    // A seed has a digest, which is made anew.
    let body = json.split(",\n  \"digest\"").next().unwrap_or_default();
    let mut sealed = Seal::new(Vec::new());
    sealed.write_all(body.as_bytes()).expect("memory takes everything");
    let sealed =
        String::from_utf8(sealed.finish().expect("memory takes everything")).expect("text stays text");
    let Ok(plan) = SavedPlan::read(sealed.as_bytes()) else { return };
    assert_eq!(plan.text(), sealed);
    assert!(plan.check_digest(Some(&plan.digest)).is_ok());
    let mut altered = sealed.clone().into_bytes();
    let place = bytes.len().wrapping_mul(31) % body.len().max(1);
    altered[place] ^= 1;
    assert!(SavedPlan::read(&altered).is_err(), "an altered plan is read");

    let Ok(shown) = plan.shown() else { return };
    show(&shown);
    let (first, second) = (save(&shown), save(&read(&save(&shown))));
    assert_eq!(first, second, "a plan that was saved again says something else");
});

fn save(shown: &Shown) -> String {
    saved::write(&PlanDocument::of(&Run::of_shown(shown))).expect("a plan is JSON")
}

fn read(text: &str) -> Shown {
    let plan = SavedPlan::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    plan.shown().unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn show(shown: &Shown) {
    let run = Run::of_shown(shown);
    let mut told = html::report(&run) + &metrics::report(&run, "") + &markdown::report(&run, 4096);
    told += &junit::report(&run).expect("JUnit");
    for plan in &shown.plans {
        text::plan(plan, Paint { colour: false }, &mut told).expect("a text takes everything");
    }
    assert!(!told.contains('\u{1b}'), "what a plan says controls the terminal: {told:?}");
}
