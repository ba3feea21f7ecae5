//! In: the tokens that an incident is about, and a target. Out: a plan that revokes them. It refuses to
//! know the policy: neither does it have to ask for this, nor does a waiver protect from it. The rails
//! and the check on lockouts are those of every plan.

use std::collections::BTreeSet;

use crate::{
    compliance::{Findings, Statistics},
    inventory::{Inventory, InventoryReader, People, Presence, ReadError},
    model::{Owner, Token, TokenId},
};

use super::{
    Change, HeldBack, Incident, Plan, PlannedChange, Purpose, Reason, RefusedUse, Selection, Terms,
    lockout::{self, PeopleFold},
};

/// Reads the target and plans to revoke what `incident` is about. It is no obstacle that tokens of `gone`
/// are not there.
pub(super) async fn plan(
    incident: &Incident,
    gone: &BTreeSet<TokenId>,
    terms: &Terms<'_>,
    reader: &impl InventoryReader,
) -> Result<Plan, ReadError> {
    let inventory = Inventory::read(reader, &BTreeSet::new(), terms.now).await?;
    let mut people = PeopleFold::new(&inventory, &[], terms.lockout);
    let mut findings = Findings::default();
    let mut statistics = Statistics::new(terms.now);
    let mut chosen = Vec::new();
    let mut observe = |token: Token| {
        people.observe(&token);
        statistics.observe(&token);
        findings.seen += 1;
        findings.live += u64::from(!token.is_expired(terms.now));
        findings.latest = findings.latest.max(Some(token.created)).max(token.last_used.map(|last| last.at));
        if incident.tokens.has(&token) {
            chosen.push(token);
        }
    };
    reader.tokens(&mut observe).await?;
    // No rule was tried on any of them.
    findings.unjudged = findings.seen;

    let mut held_back = absent(incident, &chosen, gone, &inventory.people);
    let mut changes = Vec::with_capacity(chosen.len());
    for token in chosen {
        let is_own = inventory.server.caller.token() == Some(&token.id);
        if is_own && matches!(incident.tokens, Selection::Owner(_)) {
            held_back.push(held(
                format!("token {}", token.id),
                "it is the credential of this run: rotate it".to_owned(),
            ));
        } else {
            changes.push(revocation(token, incident));
        }
    }
    let (settings, server) = (inventory.settings.clone(), inventory.server.clone());
    let made = (changes, held_back);
    let mut plan = Plan::assemble(terms, inventory, made, findings, statistics, RefusedUse::default());
    plan.purpose = Purpose::Revoke(incident.clone());
    plan.shut_out = lockout::caller_shut_out(&plan.changes, &settings, &server).into_iter().collect();
    plan.without_way_in = people.without_way_in();
    plan.shut_out.extend(people.finish(&plan.changes));
    // What an interrupted run had begun is settled by the next run that asks the policy; until then it counts.
    plan.spent = terms.history.spent_with(&terms.history.unsettled(), terms.now);
    Ok(plan)
}

fn revocation(token: Token, incident: &Incident) -> PlannedChange {
    let text = format!("incident: {}", incident.reason);
    PlannedChange::new(
        Change::Revoke { token: Box::new(token) },
        vec![Reason { rule: None, text, place: None }],
    )
}

/// What was chosen and is not there: probably a slip of the pen, and never passed over in silence.
fn absent(incident: &Incident, chosen: &[Token], gone: &BTreeSet<TokenId>, people: &People) -> Vec<HeldBack> {
    match &incident.tokens {
        Selection::Tokens(ids) => {
            let there: BTreeSet<&TokenId> = chosen.iter().map(|token| &token.id).collect();
            let missing = ids.iter().filter(|id| !there.contains(id) && !gone.contains(id));
            missing.map(|id| held(format!("token {id}"), "there is no such token".to_owned())).collect()
        }
        Selection::Owner(owner) if chosen.is_empty() && gone.is_empty() && !is_known(owner, people) => {
            let reason = "there is no token of this owner, and the directory does not know the name";
            vec![held(format!("owner {owner}"), reason.to_owned())]
        }
        Selection::Owner(_) => Vec::new(),
    }
}

fn is_known(owner: &Owner, people: &People) -> bool {
    owner.user().is_some_and(|user| people.presence(user) != Presence::Unknown)
}

fn held(subject: String, reason: String) -> HeldBack {
    HeldBack { subject, place: None, reason, tokens: None, tolerated: false }
}
