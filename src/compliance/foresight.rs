//! What the rules will say of a token once a plan has acted on it: whatever the next run would want as well
//! belongs to this plan already.

use crate::{
    inventory::Expiry,
    model::{Action, RuleCode, Token, TokenScope},
};

use super::{
    Compliance, Finding,
    rules::{self, RuleVerdict, Subject},
};

impl Compliance<'_> {
    /// Adds to `findings` on the token of `subject` those that ask for something as soon as the others are
    /// acted on, until nothing more results from it. Where tokens are marked, what is gone once the token is
    /// narrowed asks for nothing more: the mark would go again in the next run.
    pub(super) fn foresee(&mut self, subject: &Subject<'_>, findings: &mut Vec<Finding>) {
        if findings.is_empty() {
            return;
        }
        let mut verdicts = Vec::new();
        // INVARIANT: each round but the last adds the finding of another rule, so that there is a last one.
        while let Some(then) = self.afterwards(subject, findings) {
            let later = Subject { token: &then, ..subject.clone() };
            verdicts = rules::check_all(&later).collect();
            let known = findings.len();
            for (rule, verdict) in &verdicts {
                let RuleVerdict::Fails { message, place } = verdict else { continue };
                let is_known = findings.iter().any(|finding| finding.rule == *rule);
                if is_known || self.may_be_waived(rule, subject) {
                    continue;
                }
                let message = format!("{message}, once the rest of the plan is done");
                let finding = self.finding(rule.clone(), subject.token, message.clone(), place.clone());
                if finding.waiver.is_none() && finding.action != Action::Report {
                    let verdict = RuleVerdict::Fails { message, place: place.clone() };
                    self.explain_as(&subject.token.id, rule, &verdict);
                    findings.push(finding);
                }
            }
            if findings.len() == known {
                break;
            }
        }
        let marks = self.capabilities.is_some_and(|target| matches!(target.expiry, Expiry::Mark { .. }));
        if marks {
            let passed = |verdict: &RuleVerdict| {
                matches!(verdict, RuleVerdict::Complies { .. } | RuleVerdict::NotTried(_))
            };
            let gone = |finding: &Finding| {
                // How many tokens there are does not change by narrowing one.
                finding.rule != RuleCode::PerOwner
                    && verdicts.iter().any(|(rule, verdict)| *rule == finding.rule && passed(verdict))
            };
            for finding in findings.iter_mut().filter(|finding| finding.waiver.is_none() && gone(finding)) {
                if matches!(finding.action, Action::Expire { .. }) {
                    finding.action = Action::Narrow;
                }
            }
        }
    }

    /// The token of `subject` as it will be once `findings` are acted on; `None` when it will be as it is, or
    /// gone.
    fn afterwards(&self, subject: &Subject<'_>, findings: &[Finding]) -> Option<Token> {
        let target = self.capabilities?;
        let token = subject.token;
        let leads_to = |action| findings.iter().any(|finding| finding.leads_to(action));
        if leads_to(Action::Revoke) {
            return None;
        }
        let mut then = token.clone();
        if let Some(to) = subject.narrow_to()
            && target.narrows
            && token.scope.is_lowered_by(to)
            && leads_to(Action::Narrow)
        {
            then.scope = TokenScope::Set(to);
        }
        if target.expiry == Expiry::Set {
            let end = findings.iter().filter_map(|finding| finding.ends(token, self.now));
            then.expires = end.chain(token.expires).min();
        }
        (then != *token).then_some(then)
    }
}
