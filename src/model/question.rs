//! A hypothetical request, as one value.

use std::{collections::BTreeSet, net::IpAddr};

use super::{GroupName, Owner, Scope};

/// A request that nobody sent, for asking what a server would answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who would send it: a user, or a project or repository by its token.
    pub sender: Owner,
    /// The scope of the token that would be sent along; `None` for a password.
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

impl Question {
    /// The words of the command that asks it.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let mut words = vec!["tokenwarden".to_owned(), "explain".to_owned()];
        let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        option("owner", self.sender.to_string());
        for group in self.groups.iter().flatten() {
            option("group", group.to_string());
        }
        if let Some(scope) = self.token {
            option("scope", scope.to_string());
        }
        option("method", self.method.clone());
        if self.path != "/" {
            option("path", self.path.clone());
        }
        option("from", self.from.to_string());
        for (name, value) in &self.headers {
            option("header", format!("{name}: {value}"));
        }
        if let Some(scope) = self.creates {
            option("creates", scope.to_string());
        }
        if let Some(owner) = &self.creates_for {
            option("for", owner.to_string());
        }
        if self.groups.as_ref().is_some_and(BTreeSet::is_empty) {
            words.push("--no-group".to_owned());
        }
        if self.token.is_none() {
            words.push("--password".to_owned());
        }
        words
    }

    /// The command that asks it, as it is typed into a shell.
    #[must_use]
    pub fn command_line(&self) -> String {
        shell(&self.command())
    }
}

/// A command as it is typed into a shell.
fn shell(words: &[String]) -> String {
    let is_plain = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:,@=+".contains(c))
    };
    let quoted = |word: &String| {
        if is_plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
