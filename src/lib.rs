//! Policy as code for API tokens on Bitbucket.
//!
//! A YAML policy in Git says who may use and create tokens, how far a token may reach and how long it
//! may live, from which networks it is accepted, how the client's address is found behind a proxy, and
//! whether passwords still work. `tokenwarden` compares that with what a server really has, shows the
//! difference as a plan, applies it, and narrows, expires or revokes the tokens that do not comply.
//!
//! ```text
//! policy files ──> Policy ─┐
//!                          ├─> findings ─> Plan ─> ApprovedPlan ─> Outcome ─> report
//! target ─> Inventory ─────┘                 ^rails    │apply (expand, verify, contract)
//! ```
//!
//! The modules below are in the order of the data. The pure ones know no clock, no file, no socket and no
//! environment: [`model`], [`yaml`], [`policy`], [`config`], [`inventory`], [`access`], [`compliance`], [`compare`], [`plan`],
//! [`policy_tests`], [`apply`], [`saved`], [`report`], [`protocol`]. The others: [`world`] (clock, environment, files of others),
//! [`journal`] (what runs did, on disk), [`http`] (one client), [`targets`] (we call out), [`review`] (we publish),
//! [`serve`] (they call us), [`run`] (from files to outcomes), [`cli`] (a person calls us). Who may use whom is held
//! by `tests/architecture`; what matters most is that nothing that plans has a type in reach with which it could
//! write, and that a target hands out its writer only against an [`ApprovedPlan`](plan::ApprovedPlan).
//!
//! # Words
//!
//! | word | means |
//! |---|---|
//! | policy | what should be; only a valid one can be held in a [`Policy`](policy::Policy) |
//! | layer | one policy file; later layers override earlier ones |
//! | target | one server that policy is applied to |
//! | inventory | what was seen on a target, and when |
//! | snapshot | an inventory kept in a file, without secrets |
//! | coverage | whether everything was seen; nothing is removed just because it was not seen |
//! | rule | one way in which a token can fail to comply; a kebab-case code |
//! | finding | one token breaking one rule, with the policy line that says so |
//! | waiver | a declared exception with a reason and an end date; findings under it are not acted on |
//! | mark | a suffix of a token's description with the day on which a run revokes it, where no expiry can be set |
//! | change | one thing to do, complete in itself, with before and after |
//! | plan | ordered changes, and what was held back and why; data, never closures |
//! | rail | a limit on what one run may do |
//! | lockout | somebody who must keep a way in would lose it; a plan that does that is refused |
//! | policy test | a token or a request on paper, with what is expected of it under a policy |
//! | journal | an append-only record of what runs did; the ledger is that of our own server |
//! | audit | who did what on our own server: an entry in the transaction of every effect |
//! | caller | whom a server takes us for: what it says of the credential that we sent |
//! | principal | who is behind a request that passes on our own server |
//! | lease | the right to be the only run on a server; a lock where the server has none |
//! | identity | what a server is known by, whatever targets are called: its address in one form, and its store |
//! | outcome | per change: done, failed and why, not tried and why |
//! | gateway | the server that enforces |
//! | scope | `read-only` or `read-write` of an API token |
//! | permission | who may use, create and manage tokens, given to groups |

pub mod model;

pub mod yaml;

pub mod policy;

pub mod config;

pub mod inventory;

pub mod access;

pub mod compliance;

pub mod compare;

pub mod plan;

pub mod policy_tests;

pub mod apply;

pub mod world;

pub mod journal;

pub mod saved;

pub mod report;

pub mod protocol;

pub mod http;

pub mod targets;

pub mod review;

pub mod serve;

pub mod run;

pub mod cli;
