//! The policy's own rules. In: their expressions. Out: a verdict for each; where an expression fails,
//! the finding `rule-error`, which names the rule: that is never a crash, and never "complies". It
//! refuses to guess what a group that the server does not know would say.

use super::{NotTried, Subject, Verdict, scope_not_known, undecided, words_not_known};
use crate::{
    inventory::Presence,
    model::{Owner, Rule, RuleCode, TokenScope, expression::Facts},
    policy::OwnRule,
};

/// Tries every own rule on `subject`, in their order.
pub(super) fn check_all(subject: &Subject<'_>) -> Vec<(Rule, Verdict)> {
    // Most policies have none, and then no facts are gathered.
    if subject.policy.rules.is_empty() {
        return Vec::new();
    }
    if subject.token.is_expired(subject.now) {
        let expired = Verdict::NotTried(NotTried::Expired);
        return subject.policy.rules.iter().map(|rule| (rule.rule(), expired.clone())).collect();
    }
    let facts = facts(subject);
    subject.policy.rules.iter().map(|rule| check(rule, subject, &facts)).collect()
}

fn check(own: &OwnRule, subject: &Subject<'_>, facts: &Facts) -> (Rule, Verdict) {
    let is_user = matches!(subject.token.owner, Owner::User(_));
    let unknown = own.when.groups().iter().find(|group| is_user && subject.people.is_unknown(group));
    if let Some(group) = unknown {
        return (own.rule(), undecided(group));
    }
    if subject.token.scope == TokenScope::Unknown && own.when.may_ask_for("scope") {
        return (own.rule(), scope_not_known());
    }
    if subject.is_cut && own.when.may_ask_for("description") {
        return (own.rule(), words_not_known());
    }
    let place = Some(own.place.clone());
    match own.when.holds(facts) {
        Ok(false) => (own.rule(), Verdict::Complies { place }),
        Ok(true) => (own.rule(), Verdict::Fails { message: own.message.clone(), place }),
        Err(error) => {
            let message = format!("the rule `{}` fails: {error}", own.name);
            (RuleCode::RuleError.into(), Verdict::Fails { message, place })
        }
    }
}

fn facts(subject: &Subject<'_>) -> Facts {
    let active = match subject.owner.presence {
        Some(Presence::Active) => Some(true),
        Some(Presence::Inactive) => Some(false),
        Some(Presence::Unknown) | None => None,
    };
    let user = subject.token.owner.user();
    let groups = user.into_iter().flat_map(|user| subject.people.groups_of(user));
    Facts::new(subject.token, active, groups, subject.now)
}
