//! The comparison of two policies for people and programs: one line that says it all, then each difference with whom it
//! is for, why, and a command that shows it.

pub mod json;
pub mod markdown;
pub mod text;
mod words;

use std::slice;

use crate::{
    compare::{Comparison, Difference, DifferenceSubject, Hits, Today},
    model::{PolicyVerdict, Question, Requirement, Shift},
    report::escape::counted,
    yaml::Place,
};

/// The comparison of the policy of one target.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The target; `None` for two policy files.
    pub target: Option<String>,
    /// What it is compared with, as the user named it.
    pub with: String,
    /// What came of it; or why it could not be made.
    pub comparison: Result<Comparison, String>,
    /// Whom its differences are about, where there is an inventory to count in.
    pub today: Option<Today>,
}

impl Compared {
    /// What the differences come to; not proved when there is no comparison.
    #[must_use]
    pub fn shift(&self) -> Shift {
        self.comparison.as_ref().map_or(Shift::UNPROVED, Comparison::shift)
    }

    /// What it comes to, on one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let of = self.target.as_ref().map_or(String::new(), |target| format!("{target}: "));
        format!("{of}{}", verdict_line(&verdict(&self.with, slice::from_ref(self), None)))
    }

    /// What there is to say of the comparison as a whole, below its headline.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let today = self.today.as_ref().map(words::of_today);
        let own_rules = self.comparison.as_ref().ok().and_then(words::of_own_rules);
        today.into_iter().chain(own_rules).collect()
    }
}

/// What `all` that was compared with `baseline` comes to; a difference that several targets have is counted once.
#[must_use]
pub fn verdict(baseline: &str, all: &[Compared], required: Option<Requirement>) -> PolicyVerdict {
    let mut differences: Vec<&Difference> = Vec::new();
    for difference in all.iter().flat_map(|one| &one.comparison).flat_map(|one| &one.differences) {
        if !differences.contains(&difference) {
            differences.push(difference);
        }
    }
    let shifts: Vec<Shift> = differences.iter().map(|difference| difference.shift).collect();
    let error = all.iter().find_map(|one| one.comparison.as_ref().err().cloned());
    PolicyVerdict::of(baseline, &shifts, error, required)
}

/// What a comparison comes to, on one line, without a full stop.
#[must_use]
pub fn verdict_line(verdict: &PolicyVerdict) -> String {
    let (shift, count) = (verdict.shift(), |count, what| counted(count, what));
    let permit = |differences: usize, what: &str| {
        let verb = if differences == 1 { "permits" } else { "permit" };
        (differences > 0).then(|| format!("{} {verb} {what}", count(differences, "difference")))
    };
    let unproved = verdict.not_proved;
    let parts = [
        (shift == Shift::SAME).then(|| "it permits exactly the same".to_owned()),
        verdict.error.clone(),
        permit(verdict.permit_more, "more"),
        permit(verdict.permit_less, "less"),
        (unproved > 0).then(|| format!("{} not proved", count(unproved, "difference"))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let missed =
        verdict.missed().map_or(String::new(), |required| format!("; `{required}` is required, and not met"));
    format!("compared with {}: {}: {}{missed}", verdict.baseline, shift.word(), parts.join(", "))
}

/// One difference in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// `+` for what permits more, `-` for less, `~` for both, `?` for what is not proved.
    pub(super) sign: char,
    /// Its kind, for programs.
    pub(super) kind: &'static str,
    /// The setting, the limit, the rule or the waiver.
    pub(super) subject: String,
    /// Whom it is for and what it permits, a line each.
    pub(super) lines: Vec<String>,
    /// What was decided, and what is.
    pub(super) before: Option<String>,
    /// What is decided now.
    pub(super) after: Option<String>,
    /// A request that shows it.
    pub(super) example: Option<Question>,
    /// A token that shows it, as one line of YAML in the words of policy tests.
    pub(super) token: Option<String>,
    /// Whom it is about today.
    pub(super) today: Option<Hits>,
    /// The line of the policy.
    pub(super) place: Option<Place>,
}

impl Told {
    /// `difference` of `comparison` in words.
    pub(super) fn of(difference: &Difference, comparison: &Comparison) -> Self {
        let Difference { shift, subject, place } = difference;
        let sign = match (shift.looser, shift.stricter) {
            (true, true) => '~',
            (true, false) => '+',
            (false, true) => '-',
            (false, false) => '?',
        };
        let told = |kind, subject: String, lines: Vec<String>| Self {
            sign,
            kind,
            subject,
            lines,
            before: None,
            after: None,
            example: None,
            token: None,
            today: None,
            place: place.clone(),
        };
        match subject {
            DifferenceSubject::Requests(change) => {
                let subject = change.key.map_or(change.reason.code(), |key| key.path());
                let denied = format!("denied, {}", change.reason);
                let permitted = "permitted".to_owned();
                let (before, after) = if shift.looser { (denied, permitted) } else { (permitted, denied) };
                Self {
                    before: Some(before),
                    after: Some(after),
                    example: change.question(),
                    ..told("requests", subject.to_owned(), words::of_requests(change, &comparison.people))
                }
            }
            DifferenceSubject::Limit(change) => Self {
                before: Some(words::of_limit(change.before.as_ref())),
                after: Some(words::of_limit(change.after.as_ref())),
                ..told(
                    "limit",
                    format!("tokens.limits, {}", change.key.key()),
                    vec![format!("for {}", words::of_owners(&change.owners))],
                )
            },
            DifferenceSubject::Action(change) => Self {
                before: Some(words::of_action(change.before)),
                after: Some(words::of_action(change.after)),
                ..told("action", format!("tokens.enforcement, {}", change.rule), Vec::new())
            },
            DifferenceSubject::OwnRule(change) => Self {
                before: Some(change.before.clone().unwrap_or_else(|| "no such rule".to_owned())),
                after: Some(change.after.clone().unwrap_or_else(|| "no such rule".to_owned())),
                token: change.example.as_deref().map(words::of_token),
                ..told("own-rule", format!("tokens.rules, {}", change.name), Vec::new())
            },
            DifferenceSubject::Waiver(change) => {
                let rules: Vec<String> = change.rules.iter().map(ToString::to_string).collect();
                let line = format!("{} for {} until {}", rules.join(", "), change.subject, change.until);
                let (yes, no) = ("waived".to_owned(), "not waived".to_owned());
                let (before, after) = match (shift.looser, shift.stricter) {
                    (true, _) => (Some(no), Some(yes)),
                    (_, true) => (Some(yes), Some(no)),
                    _ => (None, None),
                };
                Self { before, after, ..told("waiver", "waivers".to_owned(), vec![line]) }
            }
            DifferenceSubject::Unmanaged { key, now } => {
                let word = |managed: bool| Some(if managed { "managed" } else { "not managed" }.to_owned());
                Self {
                    before: word(*now),
                    after: word(!now),
                    ..told(
                        "unmanaged",
                        key.path().to_owned(),
                        vec!["what the server has is not known".to_owned()],
                    )
                }
            }
            DifferenceSubject::TooMuch(key) => told(
                "too-much",
                key.path().to_owned(),
                vec!["there are too many patterns to compare".to_owned()],
            ),
        }
    }
}

/// Every difference in words; what permits more comes first.
pub(super) fn told(compared: &Compared) -> Vec<Told> {
    let Ok(comparison) = &compared.comparison else { return Vec::new() };
    let mut hits = compared.today.iter().flat_map(|today| today.hits.iter().cloned());
    let differences = comparison.differences.iter();
    let mut told: Vec<Told> = differences
        .map(|difference| Told { today: hits.next().flatten(), ..Told::of(difference, comparison) })
        .collect();
    let order = |sign: char| ['+', '~', '-', '?'].iter().position(|known| *known == sign);
    told.sort_by_key(|one| order(one.sign));
    told
}
