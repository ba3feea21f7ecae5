//! A hypothetical request, as one value.

use std::{collections::BTreeSet, net::IpAddr};

use super::{GroupName, Owner, Scope};

/// A request that nobody sent, for asking what a server would answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who would send it: a user, or a project or repository by its token.
    pub sender: Owner,
    /// The scope of the token that would be sent along; nothing for a password.
    pub token: Option<Scope>,
    /// The HTTP method, upper case.
    pub method: String,
    /// The path; behind a `?` the query, which Git asks with.
    pub path: String,
    /// The address that it would come from: the other end of the connection.
    pub from: IpAddr,
    /// Name and value of each header line, in order.
    pub headers: Vec<(String, String)>,
    /// The scope of the token that it would create, when it would create one.
    pub creates: Option<Scope>,
    /// Whose that token would be, when it is not the sender's.
    pub creates_for: Option<Owner>,
    /// The groups that the sender is taken to be in, and to be active and no administrator, whatever the directory says;
    /// `None` for what it says.
    pub groups: Option<BTreeSet<GroupName>>,
}
