//! Laws that several targets hold, and a server that answers a reader with the bytes of the fuzzer.

mod diagnostics;
mod pages;

pub use diagnostics::hold as diagnostics_hold;
pub use pages::{Answer, Pages, answer_of_bitbucket, one_page, tokens_are_whole};
