//! What is found about tokens: rules, those of a policy's own, and waivers.

mod own_rules;
mod rules;
mod waivers;
