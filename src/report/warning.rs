//! Warnings about waivers: the message for people, and the stable code.

use crate::compliance::{WaiverStanding, WaiverWarning};

use super::escape::escape_whole;

/// What people read, on one line.
#[must_use]
pub(super) fn message(warning: &WaiverWarning) -> String {
    let waiver = &warning.waiver;
    let subject = escape_whole(&waiver.subject.to_string());
    match warning.standing {
        WaiverStanding::Ended => format!("the waiver for {subject} ended on {}", waiver.until),
        WaiverStanding::EndsSoon => format!("the waiver for {subject} ends on {}", waiver.until),
        WaiverStanding::HoldsNothing => {
            format!("the waiver for {subject} holds nothing: no token that it is for breaks one of its rules")
        }
    }
}

/// The warning as one line for a terminal, with the line of the policy.
#[must_use]
pub fn line(warning: &WaiverWarning) -> String {
    let place = escape_whole(&warning.waiver.place.to_string());
    format!("warning[{}]: {} ({place})", warning.standing.code(), message(warning))
}
