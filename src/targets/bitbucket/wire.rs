//! The JSON of Bitbucket's REST. Knows shapes and paths; the reader and writer decide which calls to make.
//! Tolerant in reading: numbers may come as text, what is absent may be null. Strict in writing.
//!
//! Paths and fields are those of the REST specifications 8.19 to 10.3 and of Atlassian's knowledge base
//! article 1044088271, which shows what a list of tokens really holds.

mod token;

use serde::Deserialize;

use crate::{
    http::{HttpClient, HttpError},
    inventory::Call,
    model::{GroupName, Owner, OwnerKind, TokenId, UserName},
    targets::{
        atlassian::{BadSegment, Number, or_none, segment},
        odd::{visible, visible_or_none},
        ours,
    },
};

pub(super) use token::{TokenItem, TokenUpdate, read_only};

/// Refuses the anonymous, other than much of the REST, which answers a revoked token too.
pub(in crate::targets) const PROBE: &str = "/rest/api/1.0/users";
pub(in crate::targets) const PROPERTIES: &str = "/rest/api/latest/application-properties";
pub(in crate::targets) const USERS: &str = "/rest/api/latest/admin/users";
/// Users who fit a filter, shown to anyone who is signed in.
pub(super) const FILTERED_USERS: &str = "/rest/api/latest/users";
pub(in crate::targets) const GROUPS: &str = "/rest/api/latest/admin/groups";
pub(in crate::targets) const MEMBERS: &str = "/rest/api/latest/admin/groups/more-members";
/// The groups of a user, which the specifications show as users by mistake.
pub(in crate::targets) const GROUPS_OF: &str = "/rest/api/latest/admin/users/more-members";
pub(super) const PROJECTS: &str = "/rest/api/latest/projects";
pub(super) const REPOSITORIES: &str = "/rest/api/latest/repos";
pub(super) const PASSWORDS: &str = "/rest/basicauth/latest/config";
const TOKENS: &str = "/rest/access-tokens/latest";

/// What a run calls that looks at tokens of owners of `areas`, of all when there is none, in projects whose
/// keys fit `projects`, in all when there is none. It does without knowing administrators and the limits of
/// the rate.
pub(super) fn calls(areas: &[OwnerKind], projects: &[String]) -> Vec<Call> {
    let gets = [PROBE, PROPERTIES, USERS, GROUPS, MEMBERS, PASSWORDS];
    let mut calls: Vec<_> = gets.into_iter().map(|path| Call::new("GET", path)).collect();
    calls.push(Call::new("PUT", PASSWORDS));
    let lists = [(OwnerKind::Project, PROJECTS), (OwnerKind::Repository, REPOSITORIES)];
    let is_looked_at = |kind| areas.is_empty() || areas.contains(&kind);
    calls.extend(
        lists.iter().filter(|(kind, _)| is_looked_at(*kind)).map(|(_, list)| Call::new("GET", *list)),
    );
    for owner in
        OwnerKind::ALL.into_iter().filter(|kind| is_looked_at(*kind)).flat_map(|kind| owners(kind, projects))
    {
        // INVARIANT: none of these names is empty or leads to another folder.
        let Ok(tokens) = tokens_path(&owner, None) else { continue };
        let Ok(token) = token_path(&tokens, &TokenId::new(Call::ANY)) else { continue };
        calls.push(Call::new("GET", tokens));
        calls.extend(["GET", "POST", "DELETE"].map(|method| Call::new(method, token.clone())));
    }
    calls
}

/// An owner of `kind` for each of the patterns in `projects` that its project may fit, with names that stand
/// for any.
fn owners(kind: OwnerKind, projects: &[String]) -> Vec<Owner> {
    let any = || Call::ANY.to_owned();
    let keys: Vec<_> = match projects {
        [] => vec![any()],
        patterns => patterns.iter().map(|pattern| pattern.replace('*', Call::ANY)).collect(),
    };
    match kind {
        OwnerKind::User => vec![Owner::User(UserName::new(any()))],
        OwnerKind::Project => keys.into_iter().map(Owner::Project).collect(),
        OwnerKind::Repository => {
            keys.into_iter().map(|project| Owner::Repository { project, slug: any() }).collect()
        }
    }
}

/// How long the name of a token can be: the column in the database has 255 characters.
pub(super) const NAME: usize = 255;

/// Version and name of the server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    version: Option<Number>,
    #[serde(default, deserialize_with = "or_none")]
    display_name: Option<String>,
}

/// The version of the server, where it says so. Takes note whether it is our own, which speaks this dialect as well.
pub(in crate::targets) async fn version(client: &HttpClient) -> Result<Option<String>, HttpError> {
    let told = client.get::<Properties>(PROPERTIES, &[]).await?.body;
    if told.display_name.as_deref() == Some(ours::NAME) {
        client.note_ours();
    }
    Ok(told.version.map(Number::text))
}

/// A user. The slug is in paths, and is another text than the name.
#[derive(Clone, Deserialize, Hash)]
pub(in crate::targets) struct User {
    #[serde(deserialize_with = "visible")]
    pub(in crate::targets) name: UserName,
    #[serde(default, deserialize_with = "visible_or_none")]
    pub(super) slug: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::targets) active: Option<bool>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::targets) id: Option<Number>,
}

/// A user of whom the name is enough.
#[derive(Debug, Deserialize, Hash)]
pub(in crate::targets) struct Named {
    #[serde(deserialize_with = "visible")]
    pub(in crate::targets) name: UserName,
}

/// A group.
#[derive(Deserialize, Hash)]
pub(in crate::targets) struct Group {
    #[serde(deserialize_with = "visible")]
    pub(in crate::targets) name: GroupName,
}

/// A project.
#[derive(Deserialize, Hash)]
pub(super) struct Project {
    #[serde(deserialize_with = "visible")]
    pub(super) key: String,
}

/// A repository.
#[derive(Deserialize, Hash)]
pub(super) struct Repository {
    #[serde(deserialize_with = "visible")]
    pub(super) slug: String,
    pub(super) project: Project,
}

/// The path of the tokens of `owner`; `slug` is that of a user.
pub(super) fn tokens_path(owner: &Owner, slug: Option<&str>) -> Result<String, BadSegment> {
    Ok(match owner {
        Owner::User(name) => format!("{TOKENS}/users/{}", segment(slug.unwrap_or(name.as_str()))?),
        Owner::Project(key) => format!("{TOKENS}/projects/{}", segment(key)?),
        Owner::Repository { project, slug } => {
            format!("{TOKENS}/projects/{}/repos/{}", segment(project)?, segment(slug)?)
        }
    })
}

/// The path of the token `id` among those at `tokens`.
pub(super) fn token_path(tokens: &str, id: &TokenId) -> Result<String, BadSegment> {
    Ok(format!("{tokens}/{}", segment(id.as_str())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_out_of_their_place_in_a_path() {
        let path =
            |slug| tokens_path(&Owner::User("mary".into()), Some(slug)).map_err(|error| error.to_string());
        assert_eq!(path("~mary.x").unwrap(), "/rest/access-tokens/latest/users/~mary.x");
        assert_eq!(path("a/../b?c#d%").unwrap(), "/rest/access-tokens/latest/users/a%2F..%2Fb%3Fc%23d%25");
        assert!(path("..").is_err() && path("").is_err());
    }
}
