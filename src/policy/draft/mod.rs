//! A policy drafted from what is there.
//!
//! The text of a policy, as a person would write it, from the settings of a server or the waivers to
//! declare. A key that could not be read back as the same is written as a comment.

mod settings;
mod waivers;
mod yaml;

pub use settings::{Drafted, settings};
pub use waivers::{WaiverDraft, waivers};
