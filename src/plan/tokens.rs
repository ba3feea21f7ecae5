//! The changes of tokens that findings lead to, those that are held back, and those whose remedy is already
//! in place.

use std::{collections::BTreeMap, mem::take, sync::Arc};

use jiff::Timestamp;

use crate::{
    compliance::{Finding, TokenFindings},
    inventory::{Coverage, Expiry, Inventory, Server},
    model::{Action, Rule, Scope, Token, mark},
    policy::Policy,
    yaml::Place,
};

use super::{Change, ChangeReason, HeldBack, Pending, PlannedChange, Remark, TokenStep};

/// What findings on tokens lead to.
pub(super) struct TokenPlan<'a> {
    policy: &'a Policy,
    server: &'a Server,
    coverage: &'a Coverage,
    now: Timestamp,
    /// Remedies that the server does not have, by rule, with the tokens that they were for.
    lacking: BTreeMap<(Rule, MissingAbility), (Option<Place>, u64)>,
    lists: Lists,
}

/// What a plan says of tokens.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) changes: Vec<PlannedChange>,
    pub(super) held_back: Vec<HeldBack>,
    pub(super) pending: Vec<Pending>,
    pub(super) reported: Vec<TokenFindings>,
    pub(super) waived: Vec<TokenFindings>,
    pub(super) remarks: Vec<Remark>,
}

/// Something that a server cannot do to a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum MissingAbility {
    Narrowing,
    KeyForMarks,
}

impl MissingAbility {
    fn reason(self) -> &'static str {
        match self {
            Self::Narrowing => "this kind of target cannot lower the scope of a token",
            Self::KeyForMarks => {
                "this kind of target cannot set an expiry, and there is no key to mark tokens with: write \
                 `mark_key_env: NAME` into the config file, the environment variable NAME with the key"
            }
        }
    }
}

/// The findings on one token that no waiver holds, by what they lead to.
#[derive(Default)]
struct Acting {
    revoking: Vec<Finding>,
    narrowing: Vec<Finding>,
    expiring: Vec<Finding>,
    reporting: Vec<Finding>,
}

impl Acting {
    fn add(&mut self, finding: Finding) {
        let alike = match finding.action {
            Action::Revoke => &mut self.revoking,
            Action::Narrow => &mut self.narrowing,
            Action::Expire { .. } => &mut self.expiring,
            Action::Report => &mut self.reporting,
        };
        alike.push(finding);
    }

    /// All that change something, the weightiest first.
    fn changing(&self) -> impl Iterator<Item = &Finding> {
        self.revoking.iter().chain(&self.narrowing).chain(&self.expiring)
    }

    fn take_changing(&mut self) -> impl Iterator<Item = Finding> + use<> {
        [take(&mut self.revoking), take(&mut self.narrowing), take(&mut self.expiring)].into_iter().flatten()
    }
}

impl<'a> TokenPlan<'a> {
    /// What findings under `policy` lead to on what `inventory` shows.
    pub(super) fn new(policy: &'a Policy, inventory: &'a Inventory) -> Self {
        let Inventory { server, coverage, seen_at: now, .. } = inventory;
        Self { policy, server, coverage, now: *now, lacking: BTreeMap::new(), lists: Lists::default() }
    }

    /// Decides what happens to one token. Revoking absorbs everything else; narrowing and expiring
    /// are both done, with the earliest deadline; what only reports, and what a waiver holds, changes
    /// nothing.
    pub(super) fn add(&mut self, found: TokenFindings) {
        let TokenFindings { token, findings, narrow_to } = found;
        let (mut acting, mut waived) = (Acting::default(), Vec::new());
        for finding in findings {
            if finding.waiver.is_some() { waived.push(finding) } else { acting.add(finding) }
        }
        let token = &token;
        let is_due = |finding: &Finding| finding.ends(token, self.now).is_some_and(|at| at <= self.now);
        let over = token.mark.map(|mark| mark.until).filter(|_| acting.expiring.iter().any(is_due));
        if let Some(reason) = untouchable(self.server, token).or_else(|| disputed(self.coverage, token))
            && acting.changing().next().is_some()
        {
            let place = acting.changing().find_map(|finding| finding.place.clone());
            self.hold_back(token, place, reason);
        } else if !acting.revoking.is_empty() {
            self.revoke(token, reasons(acting.take_changing().map(reason)));
        } else if let Some(over) = over {
            let ended = |finding| ended(finding, over);
            self.revoke(token, reasons(acting.expiring.into_iter().chain(acting.narrowing).map(ended)));
        } else {
            acting.reporting.extend(self.narrow(token, narrow_to, acting.narrowing));
            acting.reporting.extend(self.expire(token, acting.expiring));
        }
        let only = |mut findings: Vec<Finding>| {
            findings.shrink_to_fit();
            TokenFindings { token: Arc::clone(token), findings, narrow_to }
        };
        if !acting.reporting.is_empty() {
            self.lists.reported.push(only(acting.reporting));
        }
        if !waived.is_empty() {
            self.lists.waived.push(only(waived));
        }
    }

    /// Takes the mark off a token, for the reason `why`.
    pub(super) fn unmark(&mut self, token: impl Into<Arc<Token>>, why: &str) {
        let reasons = vec![ChangeReason { rule: None, text: why.to_owned(), place: None }];
        self.lists.changes.push(PlannedChange::new(Change::of_token(token, TokenStep::Unmark), reasons));
    }

    /// What everything leads to. What the server cannot do at all is `tolerated` or not.
    pub(super) fn finish(mut self, tolerated: bool) -> Lists {
        for ((rule, lack), (place, count)) in self.lacking {
            self.lists.held_back.push(HeldBack {
                subject: format!("rule {rule}"),
                place,
                reason: lack.reason().to_owned(),
                tokens: Some(count),
                tolerated: tolerated && lack == MissingAbility::Narrowing,
            });
        }
        self.lists
    }

    fn hold_back(&mut self, token: &Token, place: Option<Place>, reason: &str) {
        self.lists.held_back.push(HeldBack {
            subject: format!("token {}", token.id),
            place,
            reason: reason.to_owned(),
            tokens: Some(1),
            tolerated: false,
        });
    }

    fn revoke(&mut self, token: &Arc<Token>, reasons: Vec<ChangeReason>) {
        self.lists
            .changes
            .push(PlannedChange::new(Change::of_token(Arc::clone(token), TokenStep::Revoke), reasons));
    }

    /// Lowers the scope, and returns the findings for which there is no remedy left.
    fn narrow(&mut self, token: &Arc<Token>, to: Option<Scope>, narrowing: Vec<Finding>) -> Vec<Finding> {
        match to {
            _ if narrowing.is_empty() => return Vec::new(),
            Some(to) if token.scope.is_lowered_by(to) && self.server.capabilities.narrows => {
                self.lists.changes.push(PlannedChange::new(
                    Change::of_token(Arc::clone(token), TokenStep::Narrow { to }),
                    reasons(narrowing.into_iter().map(reason)),
                ));
                return Vec::new();
            }
            Some(to) if token.scope.is_lowered_by(to) => self.lack(MissingAbility::Narrowing, &narrowing),
            // What is narrow enough already has no remedy left: it is still wrong, and is said to be.
            Some(_) => {}
            None => {
                let place = narrowing.iter().find_map(|finding| finding.place.clone());
                let reason = "how far to narrow it depends on groups that could not be seen";
                self.hold_back(token, place, reason);
                return Vec::new();
            }
        }
        narrowing
    }

    /// Makes the token end at the earliest deadline, and returns the findings for which there is no
    /// remedy. A deadline that is set never moves later.
    fn expire(&mut self, token: &Arc<Token>, expiring: Vec<Finding>) -> Vec<Finding> {
        let Some(at) = expiring.iter().filter_map(|finding| finding.ends(token, self.now)).min() else {
            return expiring;
        };
        let marks = matches!(self.server.capabilities.expiry, Expiry::Mark { .. });
        let stands = marks && token.mark.is_some_and(|mark| mark.stands() && mark.until == at);
        let ends = token.expires.filter(|expires| *expires <= at).or(stands.then_some(at));
        // What was promised before is not promised again.
        let promised_now = expiring.iter().filter(|finding| finding.action.deadline(self.now) == Some(at));
        let grace = promised_now.filter_map(|finding| finding.action.grace()).min();
        let step = match (ends, self.server.capabilities.expiry) {
            (Some(until), expiry) => {
                self.pend(token, until, expiring);
                if expiry == Expiry::Set && token.mark.is_some() {
                    self.unmark(Arc::clone(token), "its end is set, and needs no mark any more");
                }
                return Vec::new();
            }
            (None, Expiry::Set) => TokenStep::Expire { at },
            (None, Expiry::Mark { room }) => {
                if mark::fitting(&token.description, room) != token.description {
                    if let Some(reader) = self.policy.reader_of_descriptions(&token.owner) {
                        self.mark_without_room(token, at, expiring, &reader);
                        return Vec::new();
                    }
                    self.lists.remarks.push(Remark::WordsAreCut(token.id.clone()));
                }
                TokenStep::Mark { until: at }
            }
            (None, Expiry::WithoutKey) => {
                self.lack(MissingAbility::KeyForMarks, &expiring);
                return expiring;
            }
        };
        let reasons = reasons(expiring.into_iter().map(reason));
        let change = Change::of_token(Arc::clone(token), step);
        self.lists.changes.push(PlannedChange { grace, ..PlannedChange::new(change, reasons) });
        Vec::new()
    }

    /// Leaves a token as it is whose words a mark would cut, although `reader` looks at them: cut words could
    /// break a rule, or fall under no waiver any more. A deadline that is on record counts without a mark.
    fn mark_without_room(&mut self, token: &Arc<Token>, at: Timestamp, expiring: Vec<Finding>, reader: &str) {
        if token.mark.is_some_and(|mark| mark.until == at) {
            self.pend(token, at, expiring);
        } else {
            let place = expiring.iter().find_map(|finding| finding.place.clone());
            let reason = format!(
                "its description is too long for a mark behind it, and {reader} looks at descriptions: shorten it, \
                 or revoke the token by hand"
            );
            self.hold_back(token, place, &reason);
        }
    }

    /// Leaves a token as it is that ends at `until` for `expiring`.
    fn pend(&mut self, token: &Arc<Token>, until: Timestamp, expiring: Vec<Finding>) {
        let reasons = reasons(expiring.into_iter().map(reason));
        self.lists.pending.push(Pending { token: Arc::clone(token), until, reasons });
    }

    fn lack(&mut self, lack: MissingAbility, findings: &[Finding]) {
        for finding in findings {
            let (_, count) = self
                .lacking
                .entry((finding.rule.clone(), lack))
                .or_insert_with(|| (finding.place.clone(), 0));
            *count += 1;
        }
    }
}

/// Why nothing may be done to `token` of `server`, when nothing may.
pub(super) fn untouchable(server: &Server, token: &Token) -> Option<&'static str> {
    match server.caller.is_using(token) {
        Some(false) => None,
        Some(true) => Some("it is the credential of this run: rotate it"),
        None => Some(
            "it may be the credential of this run: say which token that is with `self: { token_id: .. }` in the \
             config file",
        ),
    }
}

/// Why nothing is done about `token` as it was seen, when the server lists it in another way too.
pub(super) fn disputed(coverage: &Coverage, token: &Token) -> Option<&'static str> {
    coverage.is_disputed(&token.id).then_some("the server lists it more than once, with different content")
}

/// `reasons` with no more room than they take: there may be very many lists of one.
fn reasons(reasons: impl Iterator<Item = ChangeReason>) -> Vec<ChangeReason> {
    let mut reasons: Vec<_> = reasons.collect();
    reasons.shrink_to_fit();
    reasons
}

fn reason(finding: Finding) -> ChangeReason {
    ChangeReason { rule: Some(finding.rule), text: finding.message, place: finding.place }
}

/// The reason to revoke a token whose mark was due at `over`.
fn ended(finding: Finding, over: Timestamp) -> ChangeReason {
    let day = over.strftime("%Y-%m-%d");
    ChangeReason { text: format!("{}; it was marked to end on {day}", finding.message), ..reason(finding) }
}
