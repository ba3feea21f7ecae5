//! The policy's own rules: a verdict for each. Where an expression fails, the finding is `rule-error`,
//! which names the rule: that is never a crash, and never "complies". What a group that the server does not
//! know would say is never guessed.

use crate::{
    inventory::{People, Presence, Unsure},
    model::{Rule, RuleCode, TokenScope, UserName, expression::Facts},
    policy::OwnRule,
};

use super::{NotTried, RuleVerdict, Subject, scope_not_known, undecided, words_not_known};

/// Tries every own rule on `subject`, in their order.
pub(super) fn check_all(subject: &Subject<'_>) -> Vec<(Rule, RuleVerdict)> {
    // Most policies have none, and then no facts are gathered.
    if subject.policy.rules.is_empty() {
        return Vec::new();
    }
    if subject.token.is_expired(subject.now) {
        let expired = RuleVerdict::NotTried(NotTried::Expired);
        return subject.policy.rules.iter().map(|rule| (rule.rule(), expired.clone())).collect();
    }
    let facts = facts(subject);
    subject.policy.rules.iter().map(|rule| check(rule, subject, &facts)).collect()
}

fn check(own: &OwnRule, subject: &Subject<'_>, facts: &Facts<'_>) -> (Rule, RuleVerdict) {
    if let Some(unsure) = subject.token.owner.user().and_then(|user| unsure(own, subject.people, user)) {
        return (own.rule(), undecided(&unsure));
    }
    if subject.owner.presence == Some(Presence::NotSeen) && own.when.may_ask_for("active") {
        return (own.rule(), undecided(&Unsure::Users));
    }
    if subject.token.scope == TokenScope::Unknown && own.when.may_ask_for("scope") {
        return (own.rule(), scope_not_known());
    }
    if subject.is_cut && own.when.may_ask_for("description") {
        return (own.rule(), words_not_known());
    }
    let place = Some(own.place.clone());
    match own.when.holds(facts) {
        Ok(false) => (own.rule(), RuleVerdict::Complies { place }),
        Ok(true) => (own.rule(), RuleVerdict::Fails { message: own.message.clone(), place }),
        Err(error) => {
            let message = format!("the rule `{}` fails: {error}", own.name);
            (RuleCode::RuleError.into(), RuleVerdict::Fails { message, place })
        }
    }
}

/// Why it cannot be told which of the groups that `own` asks for `user` is in, when it cannot.
fn unsure(own: &OwnRule, people: &People, user: &UserName) -> Option<Unsure> {
    let groups = own.when.groups();
    if groups.is_empty() {
        return None;
    }
    let unknown = || groups.iter().find(|group| people.is_unknown(group));
    people.unsure_of(user).or_else(|| unknown().map(|group| people.unsure_about(group)))
}

fn facts<'s>(subject: &'s Subject<'_>) -> Facts<'s> {
    let active = match subject.owner.presence {
        Some(Presence::Active) => Some(true),
        Some(Presence::Inactive) => Some(false),
        Some(Presence::Unknown | Presence::NotSeen) | None => None,
    };
    let user = subject.token.owner.user();
    let groups = user.into_iter().flat_map(|user| subject.people.groups_of(user));
    Facts::asked_for(&subject.asked, subject.token, active, groups, subject.now)
}
