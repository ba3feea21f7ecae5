//! In: findings. Out: the changes of tokens that they lead to, those that are held back, and those
//! whose remedy is already in place. It refuses to know why a rule failed.

use jiff::Timestamp;

use crate::{
    compliance::{Finding, TokenFindings},
    inventory::Caller,
    model::{Action, Scope, TokenScope},
};

use super::{Change, HeldBack, Pending, PlannedChange, Reason};

/// What findings on tokens lead to.
#[derive(Default)]
pub(super) struct TokenPlan {
    pub(super) changes: Vec<PlannedChange>,
    pub(super) held_back: Vec<HeldBack>,
    pub(super) pending: Vec<Pending>,
    pub(super) reported: Vec<TokenFindings>,
    pub(super) waived: Vec<TokenFindings>,
}

impl TokenPlan {
    /// Decides what happens to one token. Revoking absorbs everything else; narrowing and expiring
    /// are both done, with the earliest deadline; what only reports, and what a waiver holds, changes
    /// nothing.
    pub(super) fn add(&mut self, found: &TokenFindings, caller: &Caller, now: Timestamp) {
        let TokenFindings { token, findings, narrow_to } = found;
        let with = |wanted: fn(Action) -> bool| -> Vec<&Finding> {
            let acting = findings.iter().filter(|finding| finding.waiver.is_none());
            acting.filter(|finding| wanted(finding.action)).collect()
        };
        let only = |findings: Vec<&Finding>| TokenFindings {
            token: token.clone(),
            findings: findings.into_iter().cloned().collect(),
            narrow_to: *narrow_to,
        };
        let waived: Vec<&Finding> = findings.iter().filter(|finding| finding.waiver.is_some()).collect();
        let revoking = with(|action| action == Action::Revoke);
        let narrowing = with(|action| action == Action::Narrow);
        let expiring = with(|action| matches!(action, Action::Expire { .. }));
        let mut reporting = with(|action| action == Action::Report);

        if caller.token() == Some(&token.id) && findings.len() > reporting.len() + waived.len() {
            self.held_back.push(HeldBack {
                subject: format!("token {}", token.id),
                place: with(|action| action != Action::Report)
                    .into_iter()
                    .find_map(|finding| finding.place.clone()),
                reason: "it is the credential of this run: rotate it".to_owned(),
                tokens: Some(1),
            });
        } else if !revoking.is_empty() {
            // A token that goes is shown with every reason that there is against it.
            let reasons = revoking.into_iter().chain(narrowing).chain(expiring).map(reason).collect();
            self.changes.push(PlannedChange::new(Change::Revoke { token: Box::new(token.clone()) }, reasons));
        } else {
            match *narrow_to {
                Some(to) if !narrowing.is_empty() && lowers(token.scope, to) => {
                    self.changes.push(PlannedChange::new(
                        Change::Narrow { token: Box::new(token.clone()), to },
                        narrowing.into_iter().map(reason).collect(),
                    ));
                }
                None if !narrowing.is_empty() => self.held_back.push(HeldBack {
                    subject: format!("token {}", token.id),
                    place: narrowing.iter().find_map(|finding| finding.place.clone()),
                    reason: "how far to narrow it depends on a group that is not known to the server"
                        .to_owned(),
                    tokens: Some(1),
                }),
                // What is narrow enough already has no remedy left: it is still wrong, and is said to be.
                Some(_) | None => reporting.extend(narrowing),
            }
            let at = expiring.iter().filter_map(|finding| finding.action.deadline(now)).min();
            if let Some(at) = at {
                let reasons = expiring.iter().copied().map(reason).collect();
                match token.expires {
                    Some(until) if until <= at => {
                        self.pending.push(Pending { token: token.clone(), until, reasons });
                    }
                    Some(_) | None => self.changes.push(PlannedChange::new(
                        Change::Expire { token: Box::new(token.clone()), at },
                        reasons,
                    )),
                }
            }
        }
        if !reporting.is_empty() {
            self.reported.push(only(reporting));
        }
        if !waived.is_empty() {
            self.waived.push(only(waived));
        }
    }
}

/// Whether giving a token of `scope` the scope `to` takes something away, or at least says for the
/// first time how far it reaches.
fn lowers(scope: TokenScope, to: Scope) -> bool {
    match scope {
        TokenScope::Unset => true,
        TokenScope::Set(scope) => scope > to,
    }
}

fn reason(finding: &Finding) -> Reason {
    Reason { rule: Some(finding.rule.clone()), text: finding.message.clone(), place: finding.place.clone() }
}
