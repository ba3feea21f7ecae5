//! What a run comes to, for readers who know neither the program nor the policy.

use maud::{Markup, html};

use crate::{
    plan::{PlanView, TokenCounts},
    report::{
        Run, TargetRun,
        escape::{counted, thousands},
        summary::{ChangeCounts, Tense},
        unseen::unseen,
    },
};

/// A paragraph of it.
pub(super) fn lead(run: &Run<'_>) -> Markup {
    html! { p.lead { (sentences(run).join(" ")) } }
}

fn sentences(run: &Run<'_>) -> Vec<String> {
    let latest = || run.targets.iter().filter_map(TargetRun::latest);
    let tokens = latest().map(|plan| plan.tokens).fold(TokenCounts::default(), |sum, more| sum + more);
    let changes: ChangeCounts =
        run.targets.iter().map(|target| ChangeCounts::of(&target.effective_changes())).sum();
    let refused = run.targets.iter().filter(|target| !target.refusals.is_empty()).count();
    let failed = run.targets.iter().filter_map(|target| target.applied);
    let failed: usize = failed.map(|applied| applied.outcome.failed() + applied.outcome.not_tried()).sum();
    let unread = run.unread().count();
    let is_partial = |plan: &PlanView| !plan.held_back.is_empty() || unseen(plan).next().is_some();

    let mut said = Vec::new();
    if latest().next().is_some() {
        said.push(standing(tokens));
        said.push(doing(run, changes));
    }
    if refused > 0 {
        said.push(format!("As it is, the plan is refused on {}; see below.", counted(refused, "target")));
    }
    if failed > 0 {
        said.push(format!("Not done: {}; see below.", counted(failed, "change")));
    }
    if latest().any(is_partial) {
        said.push("Not everything could be judged; what could not is listed as held back.".to_owned());
    }
    if unread > 0 {
        said.push(format!("Not counted: {} that could not be read.", counted(unread, "target")));
    }
    said
}

/// How many tokens there are and how they stand.
fn standing(tokens: TokenCounts) -> String {
    let not_complying = tokens.seen.saturating_sub(tokens.complying + tokens.waived + tokens.unjudged);
    let (comply, not) = (
        if tokens.complying == 1 { "complies" } else { "comply" },
        if not_complying == 1 { "does not" } else { "do not" },
    );
    let (complying, not_complying) = (thousands(tokens.complying.into()), thousands(not_complying.into()));
    let mut parts = vec![format!("{complying} {comply} with the policy"), format!("{not_complying} {not}")];
    for (count, what) in [(tokens.waived, "exempt for now"), (tokens.unjudged, "undecided")] {
        let are = if count == 1 { "is" } else { "are" };
        parts.extend((count > 0).then(|| format!("{} {are} {what}", thousands(count.into()))));
    }
    let seen = usize::try_from(tokens.seen).unwrap_or(usize::MAX);
    format!("Of {}, {}.", counted(seen, "API token"), parts.join(", "))
}

fn doing(run: &Run<'_>, changes: ChangeCounts) -> String {
    match (run.was_applied(), changes.is_empty()) {
        (true, true) => "This run changed nothing.".to_owned(),
        (true, false) => format!("This run {}.", changes.plainly(Tense::Past)),
        (false, true) => "There is nothing to change.".to_owned(),
        (false, false) => format!(
            "Applying this plan would {}; until then nothing changes.",
            changes.plainly(Tense::Future)
        ),
    }
}
