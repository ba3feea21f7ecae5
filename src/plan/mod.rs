//! What would be done to make a target comply.
//!
//! From a [`Policy`], what an [`InventoryReader`] shows, and the time to a [`Plan`]: ordered changes, what
//! was held back and why. A plan has only a reader, and becomes something that can be applied only by
//! passing the rails and shutting nobody out.

mod change;
mod existing;
mod explain;
mod incident;
mod judged;
mod listing;
mod lockout;
mod notes;
mod odd_dates;
mod order;
mod origin;
mod outlook;
mod planned;
mod planner;
mod purpose;
mod rails;
mod refused_use;
mod remark;
mod review;
mod settings;
mod settle;
mod suggest;
mod terms;
mod together;
mod tokens;
mod view;

pub use change::{Change, Object, Standing, TokenStep, setting_state, token_state};
pub use existing::{NotWaived, waive_existing};
pub use explain::{ExplainedToken, TokenEvent, Upcoming};
pub use judged::Judged;
pub use listing::{ListedToken, Listing, list};
pub use lockout::{Axis, Loss, ShutOut, WaysIn, Who};
pub use odd_dates::OddDates;
pub use order::Phase;
pub use origin::{Baseline, Origin};
pub use outlook::{Basis, Forecast, Outlook, UnknownUser};
pub use planned::{ChangeReason, HeldBack, Pending, PlannedChange};
pub use purpose::{Criteria, Incident, Leak, Part, Purpose, Selection};
pub use rails::{Allowed, Earlier, RailRefusal, RefusedPlan};
pub use refused_use::RefusedUse;
pub use remark::{Lack, Remark};
pub use review::{Review, ReviewedChange};
pub use suggest::{Suggestions, suggest};
pub use terms::{History, OpenChange, Spent, Terms};
pub use together::{Together, count_together};
pub use view::{PlanView, TokenCounts};

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Deref, DerefMut},
};

use jiff::Timestamp;

use crate::{
    compliance::{Findings, Statistics, rules::Doubt},
    inventory::{Inventory, InventoryReader, Overview, ReadError, Server},
    model::{Holders, Permission, Settings, Token, TokenId, UserName, digest::sha256, rails::Unsupported},
    policy::Policy,
};

use planner::Planner;
use tokens::TokenPlan;

/// Ordered changes for one target, with everything that decides whether and how they are made. The same
/// policy, state and time make the same plan to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What people are shown of it.
    pub view: PlanView,
    /// The server that was read.
    pub server: Server,
    /// The latest moment at which a token was made or used, UTC.
    pub latest_use: Option<Timestamp>,
    /// Those that were made or used in the future by the clock of the server, where it tells the time.
    pub odd_dates: OddDates,
    /// How many groups hold a permission now, "everyone" counted as one, each permission for itself.
    pub holders: u64,
    /// Tokens without a mark that a record has a deadline of, and of which nothing asks for the end any more.
    pub released: BTreeSet<TokenId>,
    /// Who would no longer get in: we, then others. Nothing lifts this but another policy.
    pub shut_out: Vec<ShutOut>,
    /// Those of `break_glass` who have no way in even now, so that none can be kept open.
    pub without_way_in: Vec<UserName>,
    /// Those of `break_glass` whose every way in ends within `lockout.horizon`, whatever the plan does.
    pub without_lasting_way_in: Vec<UserName>,
    /// Who has which way in, so that it can be looked at again before anything closes.
    pub ways_in: WaysIn,
    /// How those stood whose tokens are revoked, so that they can be looked at again right before that.
    pub judged: Judged,
    /// What the targets of this run on the same server change together; `None` when there is no other one.
    pub together: Option<Together>,
}

impl Deref for Plan {
    type Target = PlanView;

    fn deref(&self) -> &PlanView {
        &self.view
    }
}

impl DerefMut for Plan {
    fn deref_mut(&mut self) -> &mut PlanView {
        &mut self.view
    }
}

impl Plan {
    /// Reads a target and plans what would make it comply with the policy, and whom of those who must
    /// keep a way in that would shut out.
    ///
    /// Tokens are looked at as they come and are not kept.
    ///
    /// # Errors
    ///
    /// When a part of the target could not be read at all. What is merely unknown, such as a group
    /// that does not exist, is not an error: what rests on it is held back.
    pub async fn make(terms: &Terms<'_>, reader: &impl InventoryReader) -> Result<Self, ReadError> {
        Self::make_for(&Purpose::Comply, terms, reader).await
    }

    /// As [`Self::make`], and explains what the plan does with `token`; `None` when the target has no
    /// such token.
    ///
    /// # Errors
    ///
    /// As for [`Self::make`].
    pub async fn explain(
        terms: &Terms<'_>,
        reader: &impl InventoryReader,
        token: &TokenId,
    ) -> Result<Option<ExplainedToken>, ReadError> {
        let inventory = Inventory::read(reader, &terms.policy.groups(), terms.now).await?;
        let mut planner = Planner::new(&Purpose::Comply, terms, &inventory).over(reader).watching(token);
        let seen = reader.tokens(&mut |token| planner.observe(&token, reader.latest_date())).await?;
        let (plan, explanation) = planner.finish_explaining(&seen);
        Ok(explanation.map(|explanation| ExplainedToken::new(&plan, explanation)))
    }

    /// Reads a target and plans what `purpose` asks for. [`Self::make`] is this for compliance.
    ///
    /// # Errors
    ///
    /// As for [`Self::make`].
    pub async fn make_for(
        purpose: &Purpose,
        terms: &Terms<'_>,
        reader: &impl InventoryReader,
    ) -> Result<Self, ReadError> {
        if let Purpose::Revoke(incident) = purpose {
            return Ok(incident::plan(incident, None, terms, reader).await?.paced(reader));
        }
        let inventory = Inventory::read(reader, &terms.policy.groups(), terms.now).await?;
        let mut planner = Planner::new(purpose, terms, &inventory).over(reader);
        let seen = reader.tokens(&mut |token| planner.observe(&token, reader.latest_date())).await?;
        Ok(planner.finish(&seen).paced(reader))
    }

    /// Reads the target again once this plan was applied, and plans what is left of its purpose.
    ///
    /// # Errors
    ///
    /// As for [`Self::make`].
    pub async fn left(&self, terms: &Terms<'_>, reader: &impl InventoryReader) -> Result<Self, ReadError> {
        let Purpose::Revoke(incident) = &self.purpose else {
            return Self::make_for(&self.purpose, terms, reader).await;
        };
        incident::plan(incident, Some(self), terms, reader).await
    }

    /// The same, for compliance, and every change says where it comes from. The target is read once.
    ///
    /// # Errors
    ///
    /// As for [`Self::make`].
    pub async fn make_against(
        baseline: &Baseline<'_>,
        purpose: &Purpose,
        terms: &Terms<'_>,
        reader: &impl InventoryReader,
    ) -> Result<Self, ReadError> {
        let before = Terms { policy: baseline.policy, ..*terms };
        let earlier = baseline.since.map(|since| Terms { now: since, ..before });
        let groups = |terms: &Terms<'_>| terms.policy.groups();
        let all_groups = groups(terms).union(&groups(&before)).cloned().collect();
        let seen = Inventory::read(reader, &all_groups, terms.now).await?;
        let of = |terms: &Terms<'_>| seen.seen_for(&groups(terms), terms.now);
        let inventories = (of(terms), of(&before), earlier.as_ref().map(of));
        let mut planner = Planner::new(purpose, terms, &inventories.0).over(reader);
        let mut before = Planner::new(&Purpose::Comply, &before, &inventories.1).over(reader);
        let mut earlier = earlier
            .as_ref()
            .zip(inventories.2.as_ref())
            .map(|(terms, inventory)| Planner::new(&Purpose::Comply, terms, inventory).over(reader));
        let mut observe = |token: Token| {
            let latest = reader.latest_date();
            planner.observe(&token, latest);
            before.observe(&token, latest);
            if let Some(earlier) = &mut earlier {
                earlier.observe(&token, latest);
            }
        };
        let seen = reader.tokens(&mut observe).await?;
        let mut plan = planner.finish(&seen).paced(reader);
        let earlier = earlier.map(|earlier| earlier.finish(&seen));
        origin::label(&mut plan, &before.finish(&seen), earlier.as_ref());
        Ok(plan)
    }

    /// The same, which says how far the server slowed `reader` down.
    fn paced(mut self, reader: &impl InventoryReader) -> Self {
        self.remarks.extend(reader.pace().map(Remark::SlowedDown));
        self
    }

    fn assemble(
        terms: &Terms<'_>,
        inventory: Inventory,
        (mut changes, mut held_back): (Vec<PlannedChange>, Vec<HeldBack>),
        findings: Findings,
        statistics: Statistics,
        refused_use: RefusedUse,
    ) -> Self {
        let policy = terms.policy;
        let tokens = TokenCounts {
            seen: findings.seen,
            live: findings.live,
            complying: findings.complying(),
            unjudged: findings.unjudged,
            waived: findings.waived(),
        };
        held_back.extend(findings.undecided.into_iter().map(|((rule, reason), count)| HeldBack {
            subject: format!("rule {rule}"),
            place: policy.enforcement.place_of(&rule).cloned(),
            tolerated: reason == Doubt::Stranger,
            reason: reason.to_string(),
            tokens: Some(count),
        }));
        let mut token_plan = TokenPlan::new(policy, &inventory);
        findings.tokens.into_iter().for_each(|found| token_plan.add(found));
        let (shown, recorded): (Vec<_>, Vec<_>) = findings
            .needlessly_marked
            .into_iter()
            .filter(|token| tokens::disputed(&inventory.coverage, token).is_none())
            .partition(|token| token.mark.is_some_and(|mark| mark.shown.is_some()));
        for token in shown {
            token_plan.unmark(token, "nothing asks for its end any more");
        }
        let token_plan = token_plan.finish(terms.unsupported == Unsupported::Warn);
        changes.extend(token_plan.changes);
        held_back.extend(token_plan.held_back);
        order::sort(&mut changes);
        let remarks = remark::surroundings(&changes, &token_plan.pending, &inventory.server, terms.history);
        let server = inventory.server;
        let view = PlanView {
            purpose: Purpose::Comply,
            target: terms.target.to_owned(),
            url: server.url.clone(),
            version: server.version.clone(),
            settings_changed: server.settings_changed.clone(),
            made_for: inventory.seen_at,
            policy_fingerprint: fingerprint(policy),
            changes,
            left_out: Vec::new(),
            held_back,
            pending: token_plan.pending,
            reported: token_plan.reported,
            waived: token_plan.waived,
            waiver_warnings: findings.waiver_warnings,
            tokens,
            statistics,
            refused_use,
            network_names: policy.network_names.clone(),
            coverage: inventory.coverage,
            spent: None,
            settled: Vec::new(),
            remarks: remarks.into_iter().chain(token_plan.remarks).collect(),
        };
        Self {
            view,
            server,
            latest_use: findings.latest,
            odd_dates: OddDates::default(),
            holders: holders(&inventory.settings),
            released: recorded.into_iter().map(|token| token.id).collect(),
            shut_out: Vec::new(),
            without_way_in: Vec::new(),
            without_lasting_way_in: Vec::new(),
            ways_in: WaysIn::default(),
            judged: Judged::default(),
            together: None,
        }
    }

    /// What of our own way in the rest of the plan would take, seen from `overview`, which was read half
    /// way through it.
    #[must_use]
    pub fn caller_shut_out(&self, overview: &Overview) -> Option<ShutOut> {
        lockout::caller_shut_out(&self.changes, &overview.settings, &overview.server)
    }

    /// The deadlines of `history` that still count when this plan is applied, and those of marks that were
    /// found, for the record of the run. A token of which nothing asks for the end any more gets its whole
    /// grace when something does again.
    #[must_use]
    pub fn deadlines_left(&self, history: &History) -> BTreeMap<TokenId, Timestamp> {
        let left = history.deadlines.iter().filter(|(id, _)| !self.released.contains(id));
        let left = left.map(|(id, at)| (id.clone(), *at));
        let by_mark = |pending: &&Pending| pending.token.mark.is_some_and(|mark| mark.until == pending.until);
        let found = self.pending.iter().filter(by_mark);
        left.chain(found.map(|pending| (pending.token.id.clone(), pending.until))).collect()
    }

    /// The deadlines that the record has once this plan was applied, when it had `history` before.
    #[must_use]
    pub fn deadlines_afterwards(&self, history: &History) -> BTreeMap<TokenId, Timestamp> {
        let mut deadlines = self.deadlines_left(history);
        for planned in &self.changes {
            match planned.change.token_step() {
                Some((token, TokenStep::Mark { until })) => deadlines.insert(token.id.clone(), until),
                Some((token, TokenStep::Unmark)) => deadlines.remove(&token.id),
                Some((_, TokenStep::Expire { .. } | TokenStep::Narrow { .. } | TokenStep::Revoke)) | None => {
                    None
                }
            };
        }
        deadlines
    }
}

/// A plan that passed the rails and shuts nobody out. Without one no target hands out its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedPlan(Plan);

impl ApprovedPlan {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// How many groups hold a permission, "everyone" counted as one, each permission for itself.
fn holders(settings: &Settings) -> u64 {
    let count = |permission| match settings.permissions.of(permission) {
        Holders::Everyone => 1,
        holders => holders.groups().count() as u64,
    };
    Permission::ALL.into_iter().map(count).sum()
}

fn fingerprint(policy: &Policy) -> String {
    sha256(policy.canonical.as_bytes())
}
