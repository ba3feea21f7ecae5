//! How many findings the differences of two policies make, and take away.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    compliance::{Finding, Findings, TokenFindings},
    model::{GoesBy, Owner, Rule, RuleCode, TokenId},
};

use super::{
    super::{Comparison, DifferenceSubject},
    Counted, Hits, is_of_late,
};

/// The findings on one token, before and after.
type Both<'a> = (Option<&'a TokenFindings>, Option<&'a TokenFindings>);

/// Adds to `all`, of which there is one for each difference of `comparison`, what was found `before` and `after`.
pub(super) fn count(
    comparison: &Comparison,
    before: &Findings,
    after: &Findings,
    all: &mut [Counted],
    now: Timestamp,
) {
    let mut tokens: BTreeMap<&TokenId, Both<'_>> = BTreeMap::new();
    for found in &before.tokens {
        tokens.entry(&found.token.id).or_default().0 = Some(found);
    }
    for found in &after.tokens {
        tokens.entry(&found.token.id).or_default().1 = Some(found);
    }
    for (difference, (hits, owners)) in comparison.differences.iter().zip(all) {
        let Some(hits) = hits else { continue };
        let mut counting = Counting { hits, owners, now };
        match &difference.subject {
            DifferenceSubject::Limit(change) => counting.of_limit(&tokens, GoesBy::Limit(change.key)),
            DifferenceSubject::OwnRule(change) => {
                let rule = Rule::Own(change.name.clone());
                counting.of_own_rule(&tokens, &rule);
                counting.hits.unsure = undecided(before, &rule).max(undecided(after, &rule));
            }
            DifferenceSubject::Action(change) => {
                counting.of_tokens(&tokens, |both| {
                    [both.0, both.1].into_iter().flatten().any(|found| has(found, &change.rule).is_some())
                });
                counting.hits.unsure = undecided(after, &change.rule);
            }
            DifferenceSubject::Waiver(change) => counting.of_tokens(&tokens, |both| {
                change.rules.iter().any(|rule| {
                    let waived = |found: Option<&TokenFindings>| {
                        let waiver = found.and_then(|found| has(found, rule)?.waiver.clone());
                        waiver.is_some_and(|waiver| waiver.subject == change.subject)
                    };
                    waived(both.0) != waived(both.1)
                })
            }),
            DifferenceSubject::Requests(_)
            | DifferenceSubject::Unmanaged { .. }
            | DifferenceSubject::TooMuch(_) => {}
        }
    }
}

fn has<'f>(found: &'f TokenFindings, rule: &Rule) -> Option<&'f Finding> {
    found.findings.iter().find(|finding| finding.rule == *rule)
}

/// How many tokens `rule` could not be decided on.
fn undecided(findings: &Findings, rule: &Rule) -> u64 {
    findings.undecided.iter().filter(|((of, _), _)| of == rule).map(|(_, tokens)| tokens).sum()
}

struct Counting<'a> {
    hits: &'a mut Hits,
    owners: &'a mut BTreeSet<Owner>,
    now: Timestamp,
}

impl Counting<'_> {
    /// The findings of the rules that go by a key of the limits, on tokens of the owners whom it is about.
    fn of_limit(&mut self, tokens: &BTreeMap<&TokenId, Both<'_>>, key: GoesBy) {
        let rules = RuleCode::ALL.into_iter().filter(|code| code.facts().goes_by == key);
        let rules: Vec<Rule> = rules.map(Rule::from).collect();
        let theirs = tokens.values().filter(|both| {
            [both.0, both.1].into_iter().flatten().any(|found| self.owners.contains(&found.token.owner))
        });
        self.hits.findings = Some(
            theirs.fold((0, 0), |counted, both| rules.iter().fold(counted, |c, rule| more(c, both, rule))),
        );
    }

    /// The findings of an own rule, and the tokens that have another one.
    fn of_own_rule(&mut self, tokens: &BTreeMap<&TokenId, Both<'_>>, rule: &Rule) {
        self.of_tokens(tokens, |both| more((0, 0), both, rule) != (0, 0));
        self.hits.findings = Some(tokens.values().fold((0, 0), |counted, both| more(counted, both, rule)));
    }

    /// The tokens that `is_one` is true of, and their owners.
    fn of_tokens(&mut self, tokens: &BTreeMap<&TokenId, Both<'_>>, is_one: impl Fn(&Both<'_>) -> bool) {
        for both in tokens.values().filter(|both| is_one(both)) {
            let Some(found) = both.0.or(both.1) else { continue };
            self.hits.tokens += 1;
            let last = found.token.last_used;
            self.hits.used += u64::from(last.is_some_and(|last| is_of_late(last.at, self.now)));
            self.owners.insert(found.token.owner.clone());
        }
        self.hits.owners = self.owners.len() as u64;
    }
}

/// `counted`, and whether there is a finding of `rule` that was not, or no longer one.
fn more((more, fewer): (u64, u64), both: &Both<'_>, rule: &Rule) -> (u64, u64) {
    let found = |found: Option<&TokenFindings>| found.is_some_and(|found| has(found, rule).is_some());
    match (found(both.0), found(both.1)) {
        (false, true) => (more + 1, fewer),
        (true, false) => (more, fewer + 1),
        _ => (more, fewer),
    }
}
