//! `test`: what policy tests say, and what must hold for all requests and tokens.

mod cases;
mod holding;
