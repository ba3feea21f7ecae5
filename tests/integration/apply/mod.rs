//! Apply: what is done, what is not, and what a run leaves that is ended half way.

mod batches;
mod crash;
mod fault_proxy;
mod lost_answers;
mod second_look;
pub(crate) mod signals;
