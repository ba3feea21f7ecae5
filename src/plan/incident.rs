//! A plan that revokes the tokens of an incident. The policy need not ask for it, and no waiver prevents
//! it. The rails and the check on lockouts are those of every plan.
//!
//! Time matters: of the tokens of an owner, no others are read but those of the people who must keep a way
//! in. And what could not be seen is not said to be absent.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    compliance::{Findings, Statistics, believed_until, latest_moment},
    inventory::{Coverage, Inventory, InventoryReader, ReadError},
    model::{Owner, Token, TokenId},
};

use super::{
    Change, HeldBack, Incident, Plan, PlannedChange, Purpose, Reason, RefusedUse, Selection, Terms,
    TokenStep,
    lockout::{self, PeopleFold},
    settle::SettleFold,
    tokens::{disputed, untouchable},
};

/// Reads the target and plans to revoke what `incident` is about. Once `before` was applied, what it revoked
/// may be gone, and nothing else is looked for.
pub(super) async fn plan(
    incident: &Incident,
    before: Option<&Plan>,
    terms: &Terms<'_>,
    reader: &impl InventoryReader,
) -> Result<Plan, ReadError> {
    let mut inventory = Inventory::read(reader, &BTreeSet::new(), terms.now).await?;
    let mut people = PeopleFold::new(&inventory, &[], terms.lockout);
    let watched: Vec<Owner> = people.holders().cloned().map(Owner::User).collect();
    let mut findings = Findings::default();
    let mut statistics = Statistics::new(terms.now);
    let mut chosen = Vec::new();
    // A refusal is in nobody's way who has to be quick; what was interrupted may have been done.
    let mut settle = SettleFold::new(terms.history.open.iter().filter(|open| !open.refused));
    let believed_until = believed_until(terms.now);
    let mut observe = |token: Token| {
        people.observe(&token);
        settle.observe(&token);
        let is_chosen = incident.tokens.has(&token);
        if is_chosen || matches!(incident.tokens, Selection::Tokens(_)) {
            statistics.observe(&token);
            findings.seen += 1;
            findings.live += u64::from(!token.is_expired(terms.now));
            findings.latest = findings.latest.max(latest_moment(&token, believed_until));
        }
        if is_chosen {
            chosen.push(token);
        }
    };
    let seen = match owners(incident, before, &inventory, &watched) {
        Some(owners) => reader.tokens_of(&owners, &mut observe).await?,
        None => reader.tokens(&mut observe).await?,
    };
    let (named, gone) = (chosen.len(), revoked_by(before));
    let mut wanted: BTreeSet<TokenId> = chosen.iter().map(|token| token.id.clone()).collect();
    let roots = wanted.iter().chain(&gone).chain(incident.tokens.ids().into_iter().flatten());
    let mut made_with = BTreeMap::new();
    for (token, parent) in reader.offspring_of(&roots.cloned().collect()).await? {
        if wanted.insert(token.id.clone()) {
            made_with.insert(token.id.clone(), parent);
            chosen.push(token);
        }
    }
    // No rule was tried on any of them.
    findings.unjudged = findings.seen;

    let is_all_found = incident.tokens.ids().is_some_and(|ids| named == ids.len());
    // What else there is does not matter once everything was found.
    let seen = if is_all_found { Coverage::Complete } else { seen };
    inventory.coverage = inventory.coverage.and(&seen);
    if let Some(before) = before {
        inventory.coverage = inventory.coverage.and(&before.coverage);
    }
    let mut held_back = absent(incident, chosen.get(..named).unwrap_or_default(), &gone, &inventory);
    let mut changes = Vec::with_capacity(chosen.len());
    for token in chosen {
        // Who names a token means it: then it is the check on lockouts that protects us.
        let is_named = incident.tokens.ids().is_some_and(|ids| ids.contains(&token.id));
        let why = untouchable(&inventory.server, &token).or_else(|| disputed(&inventory.coverage, &token));
        let why = why.filter(|_| !is_named);
        if let Some(why) = why {
            held_back.push(held(format!("token {}", token.id), why.to_owned()));
        } else {
            let parent = made_with.get(&token.id);
            changes.push(revocation(token, parent, incident));
        }
    }
    let (settings, server) = (inventory.settings.clone(), inventory.server.clone());
    let made = (changes, held_back);
    let mut plan = Plan::assemble(terms, inventory, made, findings, statistics, RefusedUse::default());
    plan.purpose = Purpose::Revoke(incident.clone());
    plan.shut_out = lockout::caller_shut_out(&plan.changes, &settings, &server).into_iter().collect();
    plan.without_way_in = people.without_way_in();
    plan.without_lasting_way_in = people.without_lasting_way_in();
    plan.ways_in = people.ways_in();
    plan.shut_out.extend(people.finish(&plan.changes));
    // What else an earlier run had begun is settled by the next run that asks the policy; until then it counts.
    let settled = settle.finish(plan.changes.iter(), false);
    plan.spent = terms.history.spent_with(&settled, terms.now);
    Ok(plan)
}

fn revocation(token: Token, parent: Option<&TokenId>, incident: &Incident) -> PlannedChange {
    let made = parent.map_or(String::new(), |parent| format!("; it was made with token {parent}"));
    let text = format!("incident: {}{made}", incident.reason);
    PlannedChange::new(
        Change::of_token(token, TokenStep::Revoke),
        vec![Reason { rule: None, text, place: None }],
    )
}

/// The owners whose tokens are read; `None` when those of all are, since a token can be anybody's.
fn owners(
    incident: &Incident,
    before: Option<&Plan>,
    inventory: &Inventory,
    watched: &[Owner],
) -> Option<BTreeSet<Owner>> {
    match (&incident.tokens, before) {
        (Selection::Owner(owner), _) => {
            let written = owner.user().and_then(|user| inventory.people.written(user));
            let owner = written.map_or_else(|| owner.clone(), |user| Owner::User(user.clone()));
            Some(watched.iter().cloned().chain([owner]).collect())
        }
        (Selection::Tokens(_), Some(before)) => {
            Some(tokens(before).map(|token| token.owner.clone()).collect())
        }
        (Selection::Tokens(_), None) => None,
    }
}

fn tokens(plan: &Plan) -> impl Iterator<Item = &Token> {
    plan.changes.iter().filter_map(|planned| planned.change.token())
}

fn revoked_by(before: Option<&Plan>) -> BTreeSet<TokenId> {
    before.into_iter().flat_map(tokens).map(|token| token.id.clone()).collect()
}

/// What was chosen and is not there: probably a slip of the pen, and never passed over in silence.
fn absent(
    incident: &Incident,
    chosen: &[Token],
    gone: &BTreeSet<TokenId>,
    inventory: &Inventory,
) -> Vec<HeldBack> {
    match &incident.tokens {
        Selection::Tokens(ids) => {
            let there: BTreeSet<&TokenId> = chosen.iter().map(|token| &token.id).collect();
            let missing = ids.iter().filter(|id| !there.contains(id) && !gone.contains(id));
            let why = if inventory.coverage == Coverage::Complete {
                "there is no such token"
            } else {
                "there is no such token among those that were seen, and not all were"
            };
            missing.map(|id| held(format!("token {id}"), why.to_owned())).collect()
        }
        Selection::Owner(owner) => {
            let left_out = inventory.server.left_out.iter().find(|left_out| left_out.has(owner));
            let why = match left_out {
                Some(left_out) => {
                    Some(format!("the config file leaves it out: {left_out} are not looked at"))
                }
                None if chosen.is_empty() && gone.is_empty() && !is_known(owner, inventory) => {
                    let none = if inventory.coverage.unseen().next().is_none() {
                        "there is no token of this owner"
                    } else {
                        "no token of this owner could be seen"
                    };
                    Some(format!("{none}, and the directory does not know the name"))
                }
                None => None,
            };
            why.map(|why| held(format!("owner {owner}"), why)).into_iter().collect()
        }
    }
}

fn is_known(owner: &Owner, inventory: &Inventory) -> bool {
    owner.user().is_some_and(|user| inventory.people.written(user).is_some())
}

fn held(subject: String, reason: String) -> HeldBack {
    HeldBack { subject, place: None, reason, tokens: None, tolerated: false }
}
