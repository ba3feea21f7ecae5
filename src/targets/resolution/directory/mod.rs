//! The directory of a product: who we are, the users, and the members of groups.

mod bitbucket;
mod confluence;
mod jira;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    error::Error,
};

use crate::{
    http::{HttpClient, HttpError, PagedList},
    inventory::Call,
    model::{GroupName, UserName, brief, mapping::Product},
    targets::{
        directory::Members,
        let_in::{NotLetIn, not_let_in},
    },
};

type Cause = Box<dyn Error + Send + Sync>;

/// A user of a product.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ProductUser {
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

/// All users, the inactive ones too, each once unless the server says different things of one.
pub(super) async fn people(client: &HttpClient, product: Product) -> Result<PagedList<ProductUser>, Cause> {
    let mut people = match product {
        Product::Bitbucket => bitbucket::people(client).await?,
        Product::Jira => jira::people(client).await?,
        Product::Confluence => confluence::people(client).await?,
    };
    // One who moves to the next page meanwhile is there again. With other words it is kept: nobody knows
    // which of them are true.
    let mut seen = HashSet::with_capacity(people.values.len());
    people.values.retain(|person| seen.insert(person.clone()));
    if let Some((one, other)) = with_one_key(&people.values) {
        people.belie(format!("`{}` and `{}` have one number or key", brief(one), brief(other)));
    }
    Ok(people)
}

/// Two of `people` whom the app could not tell apart.
fn with_one_key(people: &[ProductUser]) -> Option<(&UserName, &UserName)> {
    let mut names: HashMap<&str, &UserName> = HashMap::with_capacity(people.len());
    people.iter().find_map(|person| {
        let before = names.insert(&person.key, &person.name)?;
        (*before != person.name).then_some((before, &person.name))
    })
}

/// The members of `group`.
pub(super) async fn members(
    client: &HttpClient,
    product: Product,
    group: GroupName,
) -> Result<(GroupName, Members), HttpError> {
    let members = match product {
        Product::Bitbucket => return bitbucket::members(client, group).await,
        Product::Jira => jira::members(client, &group).await?,
        Product::Confluence => confluence::members(client, &group).await?,
    };
    Ok((group, members))
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
