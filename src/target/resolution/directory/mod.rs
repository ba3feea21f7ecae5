//! In: a product and a client of it. Out: who we are, the users, and the members of groups. It refuses to
//! know tokens.

mod bitbucket;
mod confluence;
mod jira;

use std::{
    collections::{BTreeSet, HashSet},
    error::Error,
    hash::Hash,
};

use serde::de::DeserializeOwned;

use crate::{
    inventory::Call,
    model::{GroupName, UserName, mapping::Product},
    target::{
        http::{HttpClient, HttpError, Progress},
        let_in::{NotLetIn, not_let_in},
    },
};

type Cause = Box<dyn Error + Send + Sync>;

/// A user of a product.
pub(super) struct Person {
    /// The name, as in groups and policies.
    pub(super) name: UserName,
    /// What the app knows the user by.
    pub(super) key: String,
    /// Whether the user is active, where the product says so.
    pub(super) active: Option<bool>,
}

/// The list of users is cut off.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server shows no more than {0} users, and there may be others; Jira shows all by \
     `/rest/api/2/user/list`, which it has since 11.0 and in newer releases of 10.3"
)]
pub(super) struct UsersCutOff(usize);

/// The user that the server takes us for. A credential that it does not know is an error.
pub(super) async fn whoami(client: &HttpClient, product: Product) -> Result<Option<UserName>, Cause> {
    match product {
        Product::Bitbucket => bitbucket::whoami(client).await.map_err(not_let_in),
        Product::Jira => jira::whoami(client).await.map(Some).map_err(not_let_in),
        Product::Confluence => match confluence::whoami(client).await.map_err(not_let_in)? {
            None => Err(NotLetIn::Nobody.into()),
            name => Ok(name),
        },
    }
}

/// The version of the product, where it says so.
pub(super) async fn version(client: &HttpClient, product: Product) -> Result<Option<String>, HttpError> {
    match product {
        Product::Bitbucket => bitbucket::version(client).await,
        Product::Jira => jira::version(client).await,
        Product::Confluence => confluence::version(client).await,
    }
}

/// All users, the inactive ones too, each once.
pub(super) async fn people(client: &HttpClient, product: Product) -> Result<Vec<Person>, Cause> {
    let mut people = match product {
        Product::Bitbucket => bitbucket::people(client).await?,
        Product::Jira => jira::people(client).await?,
        Product::Confluence => confluence::people(client).await?,
    };
    // One who moves to the next page meanwhile stands there again.
    let mut seen = HashSet::with_capacity(people.len());
    people.retain(|person| seen.insert(person.name.clone()));
    Ok(people)
}

/// A group with its members; without them when the server does not know it.
pub(super) type Members = (GroupName, Option<Vec<UserName>>);

/// The members of `group`.
pub(super) async fn members(
    client: &HttpClient,
    product: Product,
    group: GroupName,
) -> Result<Members, HttpError> {
    match product {
        Product::Bitbucket => bitbucket::members(client, group).await,
        Product::Jira => jira::members(client, group).await,
        Product::Confluence => confluence::members(client, group).await,
    }
}

/// The groups that `user` is in.
pub(super) async fn groups_of(
    client: &HttpClient,
    product: Product,
    user: &UserName,
) -> Result<BTreeSet<GroupName>, HttpError> {
    let groups = match product {
        Product::Bitbucket => bitbucket::groups_of(client, user).await?,
        Product::Jira => jira::groups_of(client, user).await?,
        Product::Confluence => confluence::groups_of(client, user).await?,
    };
    Ok(groups.into_iter().collect())
}

/// What a run calls of a product.
pub(super) fn calls(product: Product) -> Vec<Call> {
    let (paths, of_group) = match product {
        Product::Bitbucket => (bitbucket::READ, None),
        Product::Jira => (jira::READ, None),
        Product::Confluence => (confluence::READ, Some(confluence::members_path(Call::ANY))),
    };
    let paths = paths.iter().map(|path| Call::new("GET", *path));
    paths.chain(of_group.map(|path| Call::new("GET", path))).collect()
}

/// A page that begins at a number of items.
trait Page<T> {
    /// What it holds, and whether it is the last one.
    fn open(self) -> (Vec<T>, bool);
}

/// All items of the list at `path`, whose pages are asked for with the parameters `names` for the first item
/// and for the number of items, `limit`. A server may give fewer.
async fn pages<P: Page<T> + DeserializeOwned, T: Hash>(
    client: &HttpClient,
    path: &str,
    query: &[(&str, &str)],
    names: (&str, &str),
    limit: &str,
) -> Result<Vec<T>, HttpError> {
    Ok(list::<P, T>(client, path, query, names, limit).await?.0)
}

/// As [`pages`], for a list where it matters who is not in it: one that has several pages is read twice, as
/// by [`HttpClient::pages_twice`].
async fn pages_twice<P: Page<T> + DeserializeOwned, T: Hash>(
    client: &HttpClient,
    path: &str,
    query: &[(&str, &str)],
    names: (&str, &str),
    limit: &str,
) -> Result<Vec<T>, HttpError> {
    let (mut items, progress) = list::<P, T>(client, path, query, names, limit).await?;
    if progress.has_several() {
        items.extend(list::<P, T>(client, path, query, names, limit).await?.0);
    }
    Ok(items)
}

async fn list<P: Page<T> + DeserializeOwned, T: Hash>(
    client: &HttpClient,
    path: &str,
    query: &[(&str, &str)],
    names: (&str, &str),
    limit: &str,
) -> Result<(Vec<T>, Progress), HttpError> {
    let (mut items, mut progress) = (Vec::new(), client.progress());
    loop {
        let start = items.len().to_string();
        let paged = [query, &[(names.0, start.as_str()), (names.1, limit)]].concat();
        let (page, is_last) = client.get::<P>(path, &paged).await?.body.open();
        progress.note(&page).map_err(|fault| client.paging(path, items.len() as u64, fault))?;
        let is_end = is_last || page.is_empty();
        items.extend(page);
        if is_end {
            return Ok((items, progress));
        }
    }
}
