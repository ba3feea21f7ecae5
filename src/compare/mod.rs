//! Is a new policy stricter or looser than an old one, and by what exactly?
//!
//! From two policies to every difference in what they permit, each with whom it is for and with an example. What is said
//! of requests is proved: every cell of all requests there can be is asked about, with the function that decides on real
//! ones. Servers, files and the time (which is an argument) are not known here.

mod limits;
mod policies;
mod region;
mod requests;
mod tokens;

pub use limits::{LimitChange, OwnerExample};
pub use policies::{Comparison, Difference, Subject, compare};
pub use region::{PeopleSet, Region, With, question};
pub use requests::{Cube, Everybody, RequestChange};
pub use tokens::{ActionChange, OwnRuleChange, WaiverChange};
