//! Plans: what is in them, what the rails hold back, and laws that hold for every one.

pub(crate) mod calls;
mod capabilities;
mod clocks;
mod faked_clocks;
mod hurtful_edits;
pub(crate) mod laws;
mod lockout;
mod lockout_laws;
mod marks;
mod only;
mod origin;
mod rails;
mod random_worlds;
