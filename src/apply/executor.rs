//! The execution of an approved plan, phase by phase: what opens, then a check that the run still gets in
//! and will afterwards, then what closes. No phase begins after a failure, and nothing is repeated.

use std::{collections::HashMap, error::Error};

use futures_util::{StreamExt, stream};

use crate::{
    inventory::InventoryReader,
    model::{SettingKey, TokenId, Verb, Why},
    plan::{ApprovedPlan, Change, Object, Phase, Plan, Standing, TokenStep},
};

use super::{ChangeOutcome, ChangeResult, Outcome, TargetWriter, WriteError, writer::TOKENS_AT_ONCE};

/// Makes the changes of `approved`. `done` is called after each one, in whatever order they end.
///
/// Settings are changed one after the other, tokens several at once, or many in one call. A failed change does not keep
/// the others of its phase from being tried; it keeps the next phases from beginning.
pub async fn execute(
    approved: &ApprovedPlan,
    reader: &impl InventoryReader,
    writer: &impl TargetWriter,
    done: &(dyn Fn(&Change) + Sync),
) -> Outcome {
    let mut outcome = Outcome::nothing_tried(approved, &Why::own("nothing was begun"));
    for now in Phase::ALL {
        if let Some(obstacle) = obstacle(&outcome, now) {
            leave(&mut outcome, now, &obstacle);
            return outcome;
        }
        make_settings(&mut outcome, now, writer, done).await;
        make_tokens(approved.plan(), &mut outcome, now, (reader, writer), done).await;
        if must_verify(&outcome, now) {
            outcome.verification = verify(approved.plan(), &outcome, now, reader).await.err();
        }
    }
    outcome
}

/// Why `next` must not begin, when it must not.
fn obstacle(outcome: &Outcome, next: Phase) -> Option<Why> {
    if let Some(verification) = &outcome.verification {
        return Some(verification.clone());
    }
    let failed = outcome.changes.iter().find(|change| matches!(change.result, ChangeResult::Failed(_)))?;
    let before = failed.planned.change.phase();
    (before < next).then(|| Why::own(format!("a change of the {} phase failed", before.word())))
}

/// Whether some change of `of` was not done.
fn leftover(outcome: &Outcome, of: Phase) -> bool {
    outcome
        .changes
        .iter()
        .any(|change| change.planned.change.phase() == of && !matches!(change.result, ChangeResult::Done(_)))
}

fn leave(outcome: &mut Outcome, from: Phase, reason: &Why) {
    for change in &mut outcome.changes {
        if change.planned.change.phase() >= from {
            change.result = ChangeResult::NotTried(reason.clone());
        }
    }
}

async fn make_settings(
    outcome: &mut Outcome,
    now: Phase,
    writer: &impl TargetWriter,
    done: &(dyn Fn(&Change) + Sync),
) {
    for change in &mut outcome.changes {
        let planned = &change.planned.change;
        if planned.phase() == now && matches!(planned.object(), Object::Setting(_)) {
            change.result = result(writer.make(planned).await);
            done(planned);
        }
    }
}

/// Tokens are changed verb by verb, several at once. The expiry of a token comes before its scope,
/// and the scope only once the expiry is set: the finding that asks for both may be gone with the
/// first, and the next run must still see what is left. Revocations begin when all else has ended, and
/// the people for whom they are were looked at once more.
async fn make_tokens(
    plan: &Plan,
    outcome: &mut Outcome,
    now: Phase,
    (reader, writer): (&impl InventoryReader, &impl TargetWriter),
    done: &(dyn Fn(&Change) + Sync),
) {
    let mut kept = HashMap::new();
    for verb in TokenStep::VERBS {
        if (now, verb) == (Phase::Contract, Verb::Revoke) {
            kept.extend(plan.doubtful_revocations(reader).await);
        }
        let of_verb = outcome
            .changes
            .iter_mut()
            .filter(|change| change.planned.change.phase() == now && change.planned.change.verb() == verb);
        let mut free = Vec::new();
        for change in of_verb {
            match token_of(change).and_then(|id| kept.get(id)) {
                Some(why) => change.result = ChangeResult::NotTried(why.clone()),
                None => free.push(change),
            }
        }
        make_free(free, writer, done).await;
        let failed = outcome.changes.iter().filter(|change| matches!(change.result, ChangeResult::Failed(_)));
        let why = Why::own("another change of the token failed");
        kept.extend(failed.filter_map(token_of).map(|id| (id.clone(), why.clone())));
    }
}

/// Makes changes of tokens that nothing stands in the way of.
async fn make_free(
    mut free: Vec<&mut ChangeOutcome>,
    writer: &impl TargetWriter,
    done: &(dyn Fn(&Change) + Sync),
) {
    let most = writer.at_most();
    if most <= 1 {
        return stream::iter(free)
            .for_each_concurrent(TOKENS_AT_ONCE, async |change| {
                change.result = result(writer.make(&change.planned.change).await);
                done(&change.planned.change);
            })
            .await;
    }
    for some in free.chunks_mut(most) {
        let changes: Vec<&Change> = some.iter().map(|change| &change.planned.change).collect();
        let made = writer.make_all(&changes).await;
        for (change, made) in some.iter_mut().zip(made) {
            change.result = result(made);
            done(&change.planned.change);
        }
    }
}

fn token_of(change: &ChangeOutcome) -> Option<&TokenId> {
    change.planned.change.token().map(|token| &token.id)
}

/// Whether the server is looked at after the phase `now`: when it changed a setting, and always before
/// anything closes, since much time may have gone by since the plan was made.
fn must_verify(outcome: &Outcome, now: Phase) -> bool {
    let closes = || outcome.changes.iter().any(|change| change.planned.change.phase() == Phase::Contract);
    !leftover(outcome, now)
        && match now {
            Phase::Expand => settings_changed_in(outcome, now).next().is_some(),
            Phase::Verify => settings_changed_in(outcome, now).next().is_some() || closes(),
            Phase::Contract => false,
        }
}

fn settings_changed_in(outcome: &Outcome, of: Phase) -> impl Iterator<Item = (SettingKey, &Change)> {
    outcome.changes.iter().map(|change| &change.planned.change).filter_map(move |change| {
        match change.object() {
            Object::Setting(key) if change.phase() == of => Some((key, change)),
            Object::Setting(_) | Object::Token(_) => None,
        }
    })
}

/// Looks at the server after a phase: that alone shows that we still get in. Every setting that was
/// changed must be as it was left, we must be taken for the same, and what is still to come must not
/// shut us out. Before anything closes, the people who must keep a way in are looked at again too.
async fn verify(
    plan: &Plan,
    outcome: &Outcome,
    after: Phase,
    reader: &impl InventoryReader,
) -> Result<(), Why> {
    let overview = reader.overview().await.map_err(|error| {
        Why::of(&error).behind(&format!("cannot get in after the {} phase", after.word()))
    })?;
    let mut changed = settings_changed_in(outcome, after);
    if let Some((key, _)) =
        changed.find(|(_, change)| change.standing_in(&overview.settings) != Standing::After)
    {
        return Err(Why::own(format!("`{key}` is not as it was left")));
    }
    if !overview.server.caller.is_same_as(&plan.server.caller) {
        return Err(Why::own("the server takes us for somebody else than when the plan was made"));
    }
    let mut shut_out: Vec<_> = plan.caller_shut_out(&overview).into_iter().collect();
    // The last look before anything closes.
    if after == Phase::Verify {
        let people = plan.people_shut_out(overview, reader).await;
        shut_out.extend(
            people.map_err(|error| Why::of(&error).behind("cannot see whether everybody keeps a way in"))?,
        );
    }
    if shut_out.is_empty() {
        return Ok(());
    }
    let lines = shut_out.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Err(Why::own(lines.lines().map(str::trim).collect::<Vec<_>>().join("; ")))
}

fn result(made: Result<super::Effect, WriteError>) -> ChangeResult {
    match made {
        Ok(effect) => ChangeResult::Done(effect),
        Err(error @ WriteError::NotBegun) => ChangeResult::NotTried(Why::of(&error)),
        Err(error) => ChangeResult::Failed(Why::of(&error)),
    }
}

/// An error with its causes in one line.
#[must_use]
pub fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
