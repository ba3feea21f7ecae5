//! What a journal keeps of each change of a plan, and what it counts against the rails of later runs; no
//! names and no descriptions.

use crate::model::{
    Permission, SettingKey,
    rails::RailClass,
    run::{ChangeNote, RailCounts},
    settings::Step,
};

use super::{
    Change, PlanView, TokenStep,
    rails::{rail_of, withdrawn_holders, withdrawn_ranges},
};

impl PlanView {
    /// What a journal keeps of the changes, in their order.
    pub fn notes(&self) -> impl Iterator<Item = ChangeNote> {
        let mut callers = self.refused_use.owners;
        self.changes.iter().map(move |planned| {
            let mut counts = self.counts_of(&planned.change);
            // Whichever comes first refuses them all; counting them with each would count them twice.
            if refuses_callers(&planned.change) && callers > 0 {
                counts.insert(RailClass::RefusedCallers, std::mem::take(&mut callers));
            }
            let step = planned.change.token_step().map(|(_, step)| step);
            let scope = step.and_then(|step| match step {
                TokenStep::Narrow { to } => Some(to),
                TokenStep::Expire { .. } | TokenStep::Mark { .. } | TokenStep::Unmark | TokenStep::Revoke => {
                    None
                }
            });
            ChangeNote {
                address: planned.change.object().address(),
                action: planned.change.verb().to_string(),
                counts,
                deadline: step.and_then(TokenStep::deadline),
                scope,
                with_token: None,
            }
        })
    }

    /// What `change` counts by itself.
    fn counts_of(&self, change: &Change) -> RailCounts {
        let counted = match rail_of(change, self.made_for) {
            Some(RailClass::WithdrawnGroups) => Some((RailClass::WithdrawnGroups, withdrawn_holders(change))),
            Some(RailClass::RefusedCallers | RailClass::WithdrawnNetworks) => {
                let ranges = withdrawn_ranges(change).0;
                (!self.refused_use.addresses_tell && ranges > 0)
                    .then_some((RailClass::WithdrawnNetworks, ranges))
            }
            Some(RailClass::Cleanups) => Some((RailClass::Cleanups, 1)),
            Some(class) => {
                // What has expired is refused anyway: ending or narrowing it is not a loss.
                let live = change.token().is_some_and(|token| !token.is_expired(self.made_for));
                live.then_some((class, 1))
            }
            None => None,
        };
        counted.into_iter().collect()
    }
}

/// Whether it is one of the changes for which callers are refused.
fn refuses_callers(change: &Change) -> bool {
    let Change::Setting { before, after } = change else { return false };
    before.rail_to(after) == Some(RailClass::RefusedCallers)
        || before.key() == SettingKey::Permission(Permission::Use) && before.step_to(after) == Step::Close
}
