//! Which tokens fail to comply, and why.
//!
//! From a [`Policy`], the people of a target, the time and every token one by one to findings, each with
//! its rule, its reason and the line of the policy that says so. It is a fold and never holds all tokens.
//! What is done about a finding is decided elsewhere.

mod explain;
mod findings;
mod foresight;
mod owner;
mod per_owner;
pub mod rules;
mod statistics;
mod waivers;

pub use explain::{Explanation, Trial};
pub use findings::{Finding, Findings, TokenFindings};
pub use owner::{LimitChoice, OwnerBook, OwnerNumber, OwnerSet, OwnerStanding};
pub use statistics::{Statistics, TokenState, Whose};
pub use waivers::{WaiverStanding, WaiverWarning};

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    inventory::{Capabilities, Expiry, InventoryReader, People},
    model::{Action, Period, Rule, RuleCode, Token, TokenId, expression::NeededFacts, mark},
    policy::{Policy, Waiver},
    yaml::Place,
};

use per_owner::PerOwner;
use rules::{Doubt, NotTried, RuleVerdict, Subject};
use waivers::WaiverBook;

/// What lies further in the future than this is an odd record, and no witness of a clock that was wrong.
const NO_WITNESS: Period = Period::months(120);

/// The latest moment, UTC, that may be believed of a token when it is `now`.
pub(crate) fn believed_until(now: Timestamp) -> Timestamp {
    NO_WITNESS.after(now)
}

/// The latest moment at which `token` was made or used, UTC; of those until `believed_until`.
pub(crate) fn latest_moment(token: &Token, believed_until: Timestamp) -> Option<Timestamp> {
    let moments = [Some(token.created), token.last_used.map(|last| last.at)];
    moments.into_iter().flatten().filter(|moment| *moment <= believed_until).max()
}

/// The fold over all tokens of a target.
pub struct Compliance<'a> {
    policy: &'a Policy,
    now: Timestamp,
    believed_until: Timestamp,
    owners: OwnerBook<'a>,
    asked: Arc<NeededFacts>,
    per_owner: HashMap<OwnerNumber, PerOwner>,
    waivers: WaiverBook<'a>,
    found: BTreeMap<TokenId, TokenFindings>,
    undecided: BTreeMap<(Rule, Doubt), u64>,
    seen: u64,
    live: u64,
    unjudged: u64,
    /// Those of them that may still turn out to be one too many of their owner.
    unjudged_but_counted: HashSet<TokenId>,
    latest: Option<Timestamp>,
    /// The token to be explained.
    watched: Option<TokenId>,
    explanation: Option<Explanation>,
    /// Tokens with a mark of which every rule was decided.
    marked: BTreeMap<TokenId, Token>,
    /// What the target can do to tokens; where that is not said, nothing is foreseen.
    capabilities: Option<Capabilities>,
}

impl<'a> Compliance<'a> {
    /// Begins a fold for `policy` over the tokens of `people`, at the moment `now`.
    #[must_use]
    pub fn new(policy: &'a Policy, people: &'a People, now: Timestamp) -> Self {
        Self {
            policy,
            now,
            believed_until: believed_until(now),
            owners: OwnerBook::new(policy, people),
            asked: Arc::new(NeededFacts::by(policy.rules.iter().map(|rule| &rule.when))),
            per_owner: HashMap::new(),
            waivers: WaiverBook::new(&policy.waivers, people, now),
            found: BTreeMap::new(),
            undecided: BTreeMap::new(),
            seen: 0,
            live: 0,
            unjudged: 0,
            unjudged_but_counted: HashSet::new(),
            latest: None,
            watched: None,
            explanation: None,
            marked: BTreeMap::new(),
            capabilities: None,
        }
    }

    /// The same fold, which also explains the token `watched`.
    #[must_use]
    pub fn watching(self, watched: Option<TokenId>) -> Self {
        Self { watched, ..self }
    }

    /// The same fold, for a target that has `capabilities`: what it will find once a plan has acted on a token
    /// counts as well.
    #[must_use]
    pub fn on(self, capabilities: Capabilities) -> Self {
        Self { capabilities: Some(capabilities), ..self }
    }

    /// The same fold, over the tokens that `reader` shows. When that can count them beforehand, no tokens are
    /// kept of owners who cannot have too many.
    #[must_use]
    pub fn over(self, reader: &'a impl InventoryReader) -> Self {
        let census = if self.policy.limits_per_owner() { reader.census() } else { None };
        Self { owners: self.owners.counted(census), ..self }
    }

    /// Looks at one token, and returns which owner it is of. A token is kept only when something is wrong with it, or
    /// while it is among the most recently used ones of an owner who may have more than the limit admits.
    pub fn observe(&mut self, token: &Token) -> OwnerNumber {
        self.seen += 1;
        self.latest = self.latest.max(latest_moment(token, self.believed_until));
        self.live += u64::from(!token.is_expired(self.now));
        let (owner, subject) = self.subject(token);
        let mut findings = Vec::new();
        let mut judged = true;
        let mut explanation = self.begin_explanation(&subject);
        for (rule, mut verdict) in rules::check_all(&subject) {
            if matches!(verdict, RuleVerdict::Fails { .. }) && self.may_be_waived(&rule, &subject) {
                verdict = rules::words_not_known();
            }
            if let Some(explanation) = &mut explanation {
                explanation.trials.push(self.trial(&rule, &verdict, &subject));
            }
            match verdict {
                RuleVerdict::NotTried(_) | RuleVerdict::Complies { .. } => {}
                RuleVerdict::Fails { message, place } => {
                    findings.push(self.finding(rule, token, message, place));
                }
                RuleVerdict::Undecided { reason } => {
                    *self.undecided.entry((rule, reason)).or_default() += 1;
                    judged = false;
                }
            }
        }
        if !judged && findings.is_empty() {
            self.unjudged += 1;
            if subject.limit().is_some_and(|entry| entry.limit.max_per_owner.is_some()) {
                self.unjudged_but_counted.insert(token.id.clone());
            }
        }
        self.explanation = explanation.or(self.explanation.take());
        if judged && token.mark.is_some() && !token.is_expired(self.now) {
            self.marked.insert(token.id.clone(), token.clone());
        }
        self.foresee(&subject, &mut findings);
        let at_most = subject.limit().and_then(|entry| entry.limit.max_per_owner);
        let at_most = at_most.filter(|_| !token.is_expired(self.now));
        let goes_now = at_most.is_some() && self.goes_now(token, &findings);
        if goes_now {
            let verdict = RuleVerdict::NotTried(NotTried::Revoked);
            self.explain_as(&token.id, &RuleCode::PerOwner.into(), &verdict);
        }
        let counted = at_most.filter(|_| !goes_now && subject.owner.may_exceed);
        let counted = counted.map(|at_most| (at_most, self.ends_in_time(token, &findings)));
        self.add(&subject, findings);
        if let Some((at_most, ending)) = counted {
            self.count(token, owner, ending, at_most);
        }
        owner
    }

    /// Counts a token about which nothing can be decided, whatever the policy says. Returns which owner it is of.
    pub fn leave(&mut self, token: &Token) -> OwnerNumber {
        self.seen += 1;
        self.unjudged += 1;
        self.latest = self.latest.max(latest_moment(token, self.believed_until));
        self.live += u64::from(!token.is_expired(self.now));
        let (owner, subject) = self.subject(token);
        let mut explanation = self.begin_explanation(&subject);
        let verdict =
            RuleVerdict::Undecided { reason: Doubt::Unseen("it was made or used in the future".to_owned()) };
        for (rule, _) in rules::check_all(&subject) {
            // A waiver for it holds something, though nobody knows what.
            self.waivers.mark_used(&rule, token);
            if let Some(explanation) = &mut explanation {
                let trial = self.trial(&rule, &verdict, &subject);
                explanation.trials.push(Trial { fails_from: None, ..trial });
            }
        }
        self.explanation = explanation.or(self.explanation.take());
        owner
    }

    /// Whether a waiver could hold a finding of `rule` by words that were cut.
    fn may_be_waived(&self, rule: &Rule, subject: &Subject<'_>) -> bool {
        subject.is_cut
            && self.waivers.find(rule, subject.token).is_none()
            && self.waivers.could_describe(rule, subject.token)
    }

    fn subject<'t>(&mut self, token: &'t Token) -> (OwnerNumber, Subject<'t>)
    where
        'a: 't,
    {
        let room = match self.capabilities.map(|target| target.expiry) {
            Some(Expiry::Mark { room }) => Some(room),
            _ => None,
        };
        let (number, owner) = self.owners.entry(&token.owner);
        let subject = Subject {
            token,
            owner,
            policy: self.policy,
            people: self.owners.people(),
            now: self.now,
            is_cut: room.is_some_and(|room| mark::is_cut(token, room)),
            asked: Arc::clone(&self.asked),
        };
        (number, subject)
    }

    /// Ends the fold.
    #[must_use]
    pub fn finish(self) -> Findings {
        self.finish_explaining().0
    }

    /// Ends the fold. The token that was watched comes with every rule that was tried on it; nothing
    /// when it was not among the tokens.
    #[must_use]
    pub fn finish_explaining(self) -> (Findings, Option<Explanation>) {
        let is_to_end = |token: &Token| {
            let findings = self.found.get(&token.id).into_iter().flat_map(|found| &found.findings);
            findings.filter(|finding| finding.waiver.is_none()).any(|finding| finding.action.ends_the_token())
        };
        let findings = Findings {
            needlessly_marked: self.marked.into_values().filter(|token| !is_to_end(token)).collect(),
            tokens: self.found.into_values().collect(),
            seen: self.seen,
            live: self.live,
            unjudged: self.unjudged,
            latest: self.latest,
            undecided: self.undecided,
            waiver_warnings: self.waivers.warnings(),
        };
        (findings, self.explanation)
    }

    /// Counts a token of an owner who may have `at_most`, which is `ending` anyway or not; the one that is then
    /// too many, if any, has a finding.
    fn count(&mut self, token: &Token, owner: OwnerNumber, ending: bool, at_most: u32) {
        let counted = self.per_owner.entry(owner).or_insert_with(|| PerOwner::new(at_most));
        if let Some(surplus) = counted.add(token.clone(), ending) {
            let (rule, (_, subject)) = (Rule::from(RuleCode::PerOwner), self.subject(&surplus));
            if self.may_be_waived(&rule, &subject) {
                self.leave_per_owner_undecided(&rule, &surplus);
                return;
            }
            let place = self.owners.limit_place(&surplus.owner, "max_per_owner");
            let message = format!("more tokens than the limit of {at_most}, this one used least recently");
            let verdict = RuleVerdict::Fails { message: message.clone(), place: place.clone() };
            self.explain_as(&surplus.id, &rule, &verdict);
            // It has a finding after all.
            self.unjudged -= u64::from(self.unjudged_but_counted.remove(&surplus.id));
            let mut findings = self.found.remove(&surplus.id).map_or_else(Vec::new, |found| found.findings);
            findings.push(self.finding(rule, &surplus, message, place));
            self.foresee(&subject, &mut findings);
            self.add(&subject, findings);
        }
    }

    fn leave_per_owner_undecided(&mut self, rule: &Rule, surplus: &Token) {
        let verdict = rules::words_not_known();
        self.explain_as(&surplus.id, rule, &verdict);
        self.marked.remove(&surplus.id);
        if let RuleVerdict::Undecided { reason } = verdict {
            *self.undecided.entry((rule.clone(), reason)).or_default() += 1;
        }
        let is_judged =
            self.found.contains_key(&surplus.id) || self.unjudged_but_counted.contains(&surplus.id);
        self.unjudged += u64::from(!is_judged);
    }

    /// Whether `findings` revoke `token` at once, or by its mark, which is due.
    fn goes_now(&self, token: &Token, findings: &[Finding]) -> bool {
        findings.iter().any(|finding| {
            finding.leads_to(Action::Revoke) || finding.ends(token, self.now).is_some_and(|at| at <= self.now)
        })
    }

    /// Whether `token` ends, or is brought to its end by `findings`, no later than `per-owner` would
    /// make it. Such a token is the first to be too many: the choice is the same before, during and
    /// after a run that acts on it, whatever is used meanwhile. Whether a waiver would hold the choice
    /// does not matter to it: one token's waiver costs no other token its place. A mark counts while it stays:
    /// not when a waiver holds the choice and nothing else asks for the end of the token.
    fn ends_in_time(&self, token: &Token, findings: &[Finding]) -> bool {
        let acting = || findings.iter().filter(|finding| finding.waiver.is_none());
        let rule = RuleCode::PerOwner.into();
        let waiver = self.waivers.find(&rule, token);
        let is_held = waiver.is_some_and(|waiver| waiver.holds(self.now));
        let mark = token
            .mark
            .map(|mark| mark.until)
            .filter(|until| !is_held && Some(*until) >= self.marks_from(waiver));
        let made_to_end = acting().filter_map(|finding| finding.ends(token, self.now));
        let ends = made_to_end.chain(token.expires).chain(mark).min();
        let in_time = self.action(&rule, token, waiver).deadline(self.now);
        ends.zip(in_time).is_some_and(|(ends, in_time)| ends <= in_time)
    }

    /// What happens on a finding of `rule` on `token` that falls under `waiver`, unless that holds it. Nothing
    /// ends at once because a waiver ended, or because its owner may have another name by now.
    fn action(&self, rule: &Rule, token: &Token, waiver: Option<&Arc<Waiver>>) -> Action {
        let action = self.policy.enforcement.action(rule);
        match waiver {
            Some(ended) if !ended.holds(self.now) => ended.soften(rule, action, self.now),
            Some(_) => action,
            None => self.stray(rule, token).map_or(action, |stray| stray.soften(rule, action, self.now)),
        }
    }

    /// The waiver that may have been meant for `token`, when it makes the end that `rule` asks for a later one.
    fn stray(&self, rule: &Rule, token: &Token) -> Option<&'a Arc<Waiver>> {
        let action = self.policy.enforcement.action(rule);
        let is_softer = |waiver: &&Arc<Waiver>| waiver.soften(rule, action, self.now) != action;
        self.waivers.stray(rule, token).filter(|_| action.ends_the_token()).filter(is_softer)
    }

    /// The moment before which no mark is due for a finding that falls under `waiver`: a mark from before its
    /// end, or one that was put back, takes nothing of the days that an ended one leaves.
    fn marks_from(&self, waiver: Option<&Arc<Waiver>>) -> Option<Timestamp> {
        waiver.filter(|waiver| !waiver.holds(self.now)).map(|ended| ended.narrows_from())
    }

    /// The line of the policy that a verdict of `rule` rests on: that of its parameter, otherwise that
    /// which says what happens.
    fn place(&self, rule: &Rule, parameter: Option<Place>) -> Option<Place> {
        parameter.or_else(|| self.policy.enforcement.place_of(rule).cloned())
    }

    fn finding(&mut self, rule: Rule, token: &Token, message: String, place: Option<Place>) -> Finding {
        let place = self.place(&rule, place);
        let waiver = self.waivers.find(&rule, token);
        self.waivers.mark_used(&rule, token);
        let action = self.action(&rule, token, waiver);
        let marks_from = self.marks_from(waiver);
        let (mut message, waiver) = match waiver {
            Some(ended) if !ended.holds(self.now) => {
                (format!("{message}; its waiver ended on {}", ended.until), None)
            }
            Some(waiver) => (message, Some(Arc::clone(waiver))),
            None => match self.stray(&rule, token) {
                Some(stray) => {
                    (format!("{message}; the waiver for {} may be meant for it", stray.subject), None)
                }
                None => (message, None),
            },
        };
        message.shrink_to_fit();
        Finding { rule, message, place, action, waiver, marks_from }
    }

    fn add(&mut self, subject: &Subject<'_>, mut findings: Vec<Finding>) {
        if findings.is_empty() {
            return;
        }
        findings.sort_by(|a, b| a.rule.cmp(&b.rule));
        // There may be very many that have one finding each.
        findings.shrink_to_fit();
        let (token, narrow_to) = (Arc::new(subject.token.clone()), subject.narrow_to());
        self.found.insert(token.id.clone(), TokenFindings { token, findings, narrow_to });
    }
}
