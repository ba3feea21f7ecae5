//! Is a new policy stricter or looser than an old one, and by what exactly?
//!
//! From two policies to every difference in what they permit, each with whom it is for and with an example. What is said
//! of requests is proved: every cell of all requests there can be is asked about, with the function that decides on real
//! ones. Servers, files and the time (which is an argument) are not known here.

mod conditions;
mod limits;
mod policies;
mod region;
mod requests;
mod today;
mod tokens;

pub use conditions::{TokenExample, finds_all};
pub use limits::{LimitChange, OwnerExample, project_examples};
pub use policies::{Comparison, Difference, DifferenceSubject, compare};
pub use region::{PeopleSet, Region, With, question};
pub use requests::{Cube, Everybody, RequestChange};
pub use today::{Hits, Today, today};
pub use tokens::{ActionChange, OwnRuleChange, WaiverChange};
