//! Users and groups of Bitbucket, Jira and Confluence.

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokenwarden::{
    apply::one_line,
    http::HttpCredential,
    inventory::{InventoryReader, Membership, Presence},
    model::{GroupName, UserName, mapping::Product, permission::Groups},
    targets::resolution::ResolutionOptions,
};

use super::{
    NOW, actions, missing, plan,
    stub::{Contents, PASSWORD, Stub},
};
use crate::support::world::policy;

/// What the product answers at `path`; every product at its own paths.
pub(super) fn answer(contents: &Contents, path: &str, query: &[(String, String)]) -> Option<Response> {
    let given = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let start = |name: &str| given(name).map_or(0, |start| start.parse::<usize>().unwrap());
    let in_group = |name: Option<&str>| contents.groups.get(name?);
    let members = |name: Option<&str>| {
        let names = in_group(name)?;
        Some(contents.users.iter().filter(|user| names.contains(&user.0)).copied().collect::<Vec<_>>())
    };
    let groups_of = |user: &str| {
        let has = |(_, members): &(&&str, &Vec<&str>)| members.contains(&user);
        let groups = contents.groups.iter().filter(has);
        groups.map(|(name, _)| json!({"name": name})).collect::<Vec<Value>>()
    };
    let body = match path {
        "/rest/api/1.0/users" => json!({"values": [], "isLastPage": true}),
        "/rest/api/latest/application-properties" => json!({"version": "9.4.2"}),
        "/rest/api/latest/admin/users" => bitbucket(&contents.users, start("start")),
        "/rest/api/latest/admin/groups/more-members" => {
            bitbucket(&members(given("context")).unwrap_or_default(), start("start"))
        }
        "/rest/api/latest/admin/groups" => {
            let known = contents.groups.contains_key(given("filter")?);
            let values = if known { vec![json!({"name": given("filter")})] } else { Vec::new() };
            bitbucket_page(&values, 0, true)
        }
        "/rest/api/latest/admin/users/more-members" => bitbucket_page(&groups_of(given("context")?), 0, true),
        "/rest/api/2/myself" => json!({"name": "warden", "key": "1", "active": true}),
        "/rest/api/2/serverInfo" => json!({"version": "10.3.2"}),
        "/rest/api/2/user/list" => jira_stream(contents, start("cursor")),
        "/rest/api/2/user/search" => json!(contents.users.iter().take(100).map(jira).collect::<Vec<_>>()),
        "/rest/api/2/group/member" => {
            let members = members(given("groupname"))?;
            let shown: Vec<_> = members.iter().skip(start("startAt")).take(1).map(jira).collect();
            let is_last = start("startAt") + 1 >= members.len();
            json!({"values": shown, "isLast": is_last, "maxResults": 1, "startAt": start("startAt")})
        }
        "/rest/api/2/user" => {
            json!({"name": given("username"), "groups": {"items": groups_of(given("username")?)}})
        }
        "/rest/api/user/current" => json!({"type": "known", "username": "warden", "userKey": "1"}),
        "/rest/api/user/memberof" => {
            let groups = groups_of(given("username")?);
            json!({"results": groups, "start": 0, "limit": 200, "size": groups.len(), "_links": {}})
        }
        "/rest/api/user/list" => {
            confluence(&contents.users, start("start"), given("expand").filter(|_| !contents.hides_activity))
        }
        path => {
            let group = path.strip_prefix("/rest/api/group/")?.strip_suffix("/member")?;
            confluence(
                &members(Some(group))?,
                start("start"),
                given("expand").filter(|_| !contents.hides_activity),
            )
        }
    };
    let mut body = body;
    contents.rewrite_answer(path, &mut body);
    Some(axum::Json(body).into_response())
}

type User = (&'static str, &'static str, bool);

fn bitbucket(users: &[User], start: usize) -> Value {
    let user = |&(name, key, active): &User| json!({"name": name, "slug": name, "id": key.parse::<u64>().unwrap(), "active": active, "type": "NORMAL"});
    let shown: Vec<_> = users.iter().skip(start).take(2).map(user).collect();
    let is_last = start + 2 >= users.len();
    bitbucket_page(&shown, start, is_last)
}

fn bitbucket_page(values: &[Value], start: usize, is_last: bool) -> Value {
    json!({"values": values, "size": values.len(), "limit": 25, "start": start, "isLastPage": is_last,
           "nextPageStart": (!is_last).then_some(start + 2)})
}

fn jira(&(name, key, active): &User) -> Value {
    json!({"name": name, "key": key, "active": active, "displayName": name})
}

fn jira_stream(contents: &Contents, cursor: usize) -> Value {
    let shown: Vec<_> = contents.users.iter().skip(cursor).take(2).map(jira).collect();
    let is_last = cursor + 2 >= contents.users.len();
    json!({"values": shown, "isLast": is_last, "nextCursor": (!is_last).then(|| (cursor + 2).to_string())})
}

fn confluence(users: &[User], start: usize, expand: Option<&str>) -> Value {
    let user = |&(name, key, active): &User| {
        let status = expand.map(|_| if active { "Active" } else { "Deactivated" });
        json!({"type": "known", "username": name, "userKey": key, "status": status})
    };
    let shown: Vec<_> = users.iter().skip(start).take(2).map(user).collect();
    let links = if start + 2 < users.len() { json!({"next": "/rest/api/.."}) } else { json!({}) };
    json!({"results": shown, "start": start, "limit": 2, "size": shown.len(), "_links": links})
}

const PRODUCTS: [Product; 3] = [Product::Bitbucket, Product::Jira, Product::Confluence];

#[tokio::test]
async fn every_product_tells_users_with_their_activity_and_members_and_unknown_groups() {
    let stub = Stub::start().await;
    for product in PRODUCTS {
        let target = stub.target_in(product);
        let groups = ["devs", "ci-bots", "ghosts"].map(GroupName::from);
        let people = target.people(&BTreeSet::from(groups)).await.unwrap();
        let presence = ["mary", "gone", "nobody"].map(|name| people.presence(&name.into()));
        assert_eq!(presence, [Presence::Active, Presence::Inactive, Presence::Unknown], "{product:?}");
        let unknown: Vec<_> = people.unknown_groups().map(ToString::to_string).collect();
        assert_eq!(unknown, ["ghosts"], "{product:?}");
        let devs = Groups::new(["devs".into()]).unwrap();
        for (name, expected) in
            [("mary", Membership::Member), ("warden", Membership::Member), ("gone", Membership::NotMember)]
        {
            assert_eq!(people.membership(&name.into(), &devs), expected, "{product:?} {name}");
        }
    }
}

#[tokio::test]
async fn every_product_tells_who_we_are_and_a_credential_of_nobody_is_an_error() {
    let stub = Stub::start().await;
    for product in PRODUCTS {
        let overview = stub.target_in(product).overview().await.unwrap();
        assert_eq!(overview.server.caller.user, Some(UserName::new("warden")), "{product:?}");
        let options = ResolutionOptions { product, ..ResolutionOptions::default() };
        let nobody = stub.target_as(HttpCredential::Bearer("revoked".into()), options);
        let error = one_line(&nobody.overview().await.unwrap_err());
        assert!(
            error.contains("is the credential still valid") || error.contains("is it still valid"),
            "{product:?}: {error}"
        );
        assert!(!error.contains("revoked"), "{product:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_passwords_is_told_apart_from_one_that_refuses_us() {
    let stub = Stub::start().await;
    stub.contents().passwords_off = true;
    for product in PRODUCTS {
        let error = one_line(&stub.target_in(product).overview().await.unwrap_err());
        assert!(
            error.contains("use a bearer credential") && !error.contains(PASSWORD),
            "{product:?}: {error}"
        );
        let bearer = stub.target_as(
            HttpCredential::Bearer("secret".into()),
            ResolutionOptions { product, ..ResolutionOptions::default() },
        );
        assert!(bearer.overview().await.is_ok(), "{product:?}");
    }
}

#[tokio::test]
async fn an_older_jira_is_searched_and_a_list_that_is_cut_off_is_no_list_of_all_users() {
    let stub = Stub::start().await;
    stub.contents().unknown = vec!["/rest/api/2/user/list"];
    let none = BTreeSet::new();
    let people = stub.target_in(Product::Jira).people(&none).await.unwrap();
    assert_eq!(people.presence(&"gone".into()), Presence::Inactive);
    let many: Vec<User> = (0..150).map(|_| ("somebody", "9", true)).collect();
    stub.contents().users.extend(many);
    let error = stub.target_in(Product::Jira).people(&none).await.unwrap_err();
    assert!(one_line(&error).contains("shows no more than 100 users"), "{}", one_line(&error));
}

#[tokio::test]
async fn users_whose_activity_is_not_told_are_said_and_never_found_inactive() {
    let stub = Stub::filled().await;
    let policy = policy("version: 1\ntokens: {enforcement: {owner-inactive: revoke}}\n");
    assert_eq!(actions(&plan(&stub.target_in(Product::Confluence), &policy, NOW).await), ["revoke 3"]);
    stub.contents().hides_activity = true;
    let unclear = plan(&stub.target_in(Product::Confluence), &policy, NOW).await;
    assert_eq!(actions(&unclear), Vec::<String>::new());
    assert_eq!(
        missing(&unclear),
        ["the server does not say whether 3 users, such as gone, are active: they are taken to be"]
    );
}
