//! A policy drafted from what is there.
//!
//! In: the settings of a server, or what waivers are to hold. Out: the text of a policy, as a person would
//! write it. It refuses to write what it could not read back as the same: such a key stands in a comment.

mod settings;
mod waivers;
mod yaml;

pub use settings::{Drafted, settings};
pub use waivers::{WaiverDraft, waivers};
