//! A plan that revokes the tokens of an incident. The policy need not ask for it, and no waiver prevents
//! it. The rails and the check on lockouts are those of every plan.
//!
//! Time matters: of the tokens of an owner, no others are read but those of the people who must keep a way
//! in. And what could not be seen is not said to be absent.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    compliance::{Findings, Statistics, believed_until, latest_moment},
    inventory::{Coverage, Inventory, InventoryReader, ReadError},
    model::{Owner, Token, TokenId, secret::SecretHash},
};

use super::{
    Change, ChangeReason, Criteria, HeldBack, Incident, Plan, PlannedChange, Purpose, RefusedUse, Selection,
    Terms, TokenStep,
    lockout::{self, PeopleFold},
    purpose::is_same,
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
    let (incident, unknown) = &traced(incident, reader).await?;
    let mut people = PeopleFold::new(&inventory, &[], terms.lockout);
    let watched: Vec<Owner> = people.holders().cloned().map(Owner::User).collect();
    let mut findings = Findings::default();
    let mut statistics = Statistics::new(terms.now);
    let (mut chosen, mut undecided, mut owned) = (Vec::new(), 0, BTreeSet::new());
    // A refusal is in nobody's way who has to be quick; what was interrupted may have been done.
    let mut settle = SettleFold::new(terms.history.open.iter().filter(|open| !open.refused));
    let believed_until = believed_until(terms.now);
    let mut observe = |token: Token| {
        people.observe(&token);
        settle.observe(&token);
        let is_chosen = incident.tokens.has(&token, terms.now);
        if is_chosen != Some(false) || incident.tokens.is_of_anybody() {
            statistics.observe(&token);
            findings.seen += 1;
            findings.live += u64::from(!token.is_expired(terms.now));
            findings.latest = findings.latest.max(latest_moment(&token, believed_until));
        }
        undecided += usize::from(is_chosen.is_none());
        if let Selection::Fitting(criteria) = &incident.tokens {
            owned.extend(criteria.owners.iter().position(|owner| is_same(owner, &token.owner)));
        }
        if is_chosen == Some(true) {
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
    let mut held_back = match &incident.tokens {
        Selection::Tokens(ids) => absent(ids, chosen.get(..named).unwrap_or_default(), &gone, &inventory),
        Selection::Fitting(criteria) => {
            owned.extend(before.into_iter().flat_map(|before| owned_in(criteria, before)));
            unseen(criteria, &owned, undecided, &inventory)
        }
    };
    held_back.extend(unknown.iter().cloned());
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
        vec![ChangeReason { rule: None, text, place: None }],
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
        (Selection::Fitting(criteria), _) if criteria.owners.is_empty() => None,
        (Selection::Fitting(criteria), _) => {
            let owners = criteria.owners.iter().map(|owner| {
                let written = owner.user().and_then(|user| inventory.people.written(user));
                written.map_or_else(|| owner.clone(), |user| Owner::User(user.clone()))
            });
            Some(watched.iter().cloned().chain(owners).collect())
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

/// The incident with the tokens that the server knows by what leaked, and what nobody knows of the rest.
async fn traced(
    incident: &Incident,
    reader: &impl InventoryReader,
) -> Result<(Incident, Vec<HeldBack>), ReadError> {
    let hashes: Vec<SecretHash> = incident.leaks.iter().filter_map(|leak| leak.hash).collect();
    let told = if hashes.is_empty() { Some(Vec::new()) } else { reader.tokens_by_hash(&hashes).await? };
    let is_told = told.is_some();
    let mut told = told.into_iter().flatten();
    let (mut found, mut leaks, mut unknown) = (BTreeSet::new(), Vec::new(), Vec::new());
    for leak in &incident.leaks {
        let id = leak.hash.and_then(|_| told.next()).flatten();
        let why = match (id, leak.hash) {
            (Some(id), _) => {
                found.insert(id);
                continue;
            }
            (None, None) => "the secret is hidden, cut or mistyped: nobody can tell which token it is of",
            (None, Some(_)) if is_told => "no token of this server has this secret",
            (None, Some(_)) => "this server cannot tell which token has this secret",
        };
        unknown.push(held(leak.place.clone(), why.to_owned()));
        leaks.push(leak.clone());
    }
    let tokens = match &incident.tokens {
        Selection::Tokens(ids) => Selection::Tokens(ids.iter().cloned().chain(found).collect()),
        fitting @ Selection::Fitting(_) => fitting.clone(),
    };
    Ok((Incident { tokens, leaks, reason: incident.reason.clone() }, unknown))
}

/// The tokens of `ids` that are not there: probably a slip of the pen, and never passed over in silence.
fn absent(
    ids: &BTreeSet<TokenId>,
    chosen: &[Token],
    gone: &BTreeSet<TokenId>,
    inventory: &Inventory,
) -> Vec<HeldBack> {
    let there: BTreeSet<&TokenId> = chosen.iter().map(|token| &token.id).collect();
    let missing = ids.iter().filter(|id| !there.contains(id) && !gone.contains(id));
    let why = if inventory.coverage == Coverage::Complete {
        "there is no such token"
    } else {
        "there is no such token among those that were seen, and not all were"
    };
    missing.map(|id| held(format!("token {id}"), why.to_owned())).collect()
}

/// What keeps `criteria` from being judged on all tokens: owners who are not there or not looked at, and
/// `undecided` tokens. Of the owners, those at `owned` have tokens.
fn unseen(
    criteria: &Criteria,
    owned: &BTreeSet<usize>,
    undecided: usize,
    inventory: &Inventory,
) -> Vec<HeldBack> {
    let left_out = &inventory.server.left_out;
    let mut unseen = Vec::new();
    for (at, owner) in criteria.owners.iter().enumerate() {
        let why = if let Some(left_out) = left_out.iter().find(|left_out| left_out.has(owner)) {
            format!("the config file leaves it out: {left_out} are not looked at")
        } else if owned.contains(&at) || is_known(owner, inventory) {
            continue;
        } else {
            let none = if inventory.coverage.unseen().next().is_none() {
                "there is no token of this owner"
            } else {
                "no token of this owner could be seen"
            };
            format!("{none}, and the directory does not know the name")
        };
        unseen.push(held(format!("owner {owner}"), why));
    }
    if criteria.owners.is_empty() {
        let not_looked_at = "the config file leaves them out: they are not looked at";
        unseen.extend(left_out.iter().map(|left_out| held(left_out.to_string(), not_looked_at.to_owned())));
    }
    if undecided > 0 {
        let why =
            "the server does not tell where they were last used from: revoke them without that condition";
        unseen.push(held(format!("{undecided} other tokens"), why.to_owned()));
    }
    unseen
}

/// The places of the owners of `criteria` who had tokens in `before`.
fn owned_in(criteria: &Criteria, before: &Plan) -> BTreeSet<usize> {
    let place = |token: &Token| criteria.owners.iter().position(|owner| is_same(owner, &token.owner));
    tokens(before).filter_map(place).collect()
}

fn is_known(owner: &Owner, inventory: &Inventory) -> bool {
    owner.user().is_some_and(|user| inventory.people.written(user).is_some())
}

fn held(subject: String, reason: String) -> HeldBack {
    HeldBack { subject, place: None, reason, tokens: None, tolerated: false }
}
