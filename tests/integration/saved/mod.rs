//! What is written to be read again.

mod earlier_formats;
mod saved_plan;
