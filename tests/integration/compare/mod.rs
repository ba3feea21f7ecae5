//! `compare`: verdicts, whom a change hits today, and rules of a policy's own.

mod own_rules;
mod today;
mod verdicts;
