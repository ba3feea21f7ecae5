//! Policy files: what they mean, and what is said of their mistakes.

mod advice;
mod documents;
mod hostile_input;
mod layers;
mod odd_addresses;
