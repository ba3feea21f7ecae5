//! Lists that contradict themselves, and records that cannot be read: what was not seen is not absent.

use serde_json::{Value, json};
use tokenwarden::{
    inventory::{Coverage, InventoryReader},
    model::mapping::Product,
};

use super::{
    NOW, actions, missing, plan,
    stub::{Contents, Stub, token},
};
use crate::support::world::policy;

/// Members of the group keep their tokens, all others lose theirs.
const FOR_THE_REST: &str = "version: 1\ntokens: {limits: [{groups: [devs]}, {max_lifetime: 90d}], \
                            enforcement: {lifetime: revoke, owner-unknown: revoke}}\n";

async fn with_keys(change: impl Fn(&mut Contents)) -> Stub {
    let stub = Stub::filled().await;
    {
        let mut contents = stub.contents();
        contents.listing.silent_on = Vec::new();
        contents.listing.page = 3;
        contents.groups.insert("devs", vec!["mary", "warden", "gone"]);
        change(&mut contents);
    }
    stub
}

fn set(changes: Value) -> impl Fn(&mut Value) + Send + 'static {
    move |page| page.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone())
}

#[tokio::test]
async fn a_key_that_two_users_have_is_the_name_of_neither() {
    let stub = with_keys(|contents| {
        contents.users = vec![("warden", "1", true), ("mary", "2", true), ("gone", "2", false)];
    })
    .await;
    let revoking =
        policy("version: 1\ntokens: {enforcement: {owner-inactive: revoke, owner-unknown: revoke}}\n");
    let plan = plan(&stub.target(), &revoking, NOW).await;
    assert!(
        actions(&plan).iter().all(|action| !["revoke 1", "revoke 2", "revoke 5"].contains(&action.as_str()))
    );
    assert!(!plan.is_whole(), "{:?}", missing(&plan));
}

#[tokio::test]
async fn members_that_a_page_may_have_left_out_lose_nothing_in_any_product() {
    const JIRA: &str = "/rest/api/2/group/member";
    const CONFLUENCE: &str = "/rest/api/group/devs/member";
    const BITBUCKET: &str = "/rest/api/latest/admin/groups/more-members";
    let first = json!({"isLast": true, "startAt": 0, "maxResults": 50, "values": [{"name": "warden", "key": "1", "active": true}]});
    let lying = |changes: Value| {
        let mut page = first.clone();
        page.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        page
    };
    for (product, path, page) in [
        (Product::Jira, JIRA, lying(json!({"total": 3}))),
        (Product::Jira, JIRA, lying(json!({"total": 0}))),
        (Product::Jira, JIRA, lying(json!({"total": "1"}))),
        (Product::Jira, JIRA, lying(json!({"total": null}))),
        (Product::Jira, JIRA, lying(json!({"totalCount": 3}))),
        (Product::Jira, JIRA, lying(json!({"startAt": null}))),
        (Product::Jira, JIRA, lying(json!({"startAt": "0"}))),
        (Product::Jira, JIRA, lying(json!({"maxResults": null}))),
        (Product::Jira, JIRA, lying(json!({"isLast": null}))),
        (Product::Jira, JIRA, lying(json!({"isLast": "true"}))),
        (Product::Jira, JIRA, json!({"values": first["values"], "isLast": true, "maxResults": 50})),
        (Product::Jira, JIRA, json!({"values": first["values"], "isLast": true, "startAt": 0})),
        (Product::Jira, JIRA, json!({"values": first["values"], "startAt": 0, "maxResults": 50})),
        (Product::Jira, JIRA, lying(json!({"errors": {}, "errorMessages": ["x"]}))),
        (Product::Jira, JIRA, lying(json!({"startAt": 4}))),
        (Product::Jira, JIRA, lying(json!({"nextPage": "https://x/rest?startAt=1"}))),
        (Product::Jira, JIRA, lying(json!({"maxResults": 0}))),
        (Product::Jira, JIRA, lying(json!({"errorMessages": ["x"]}))),
        (Product::Jira, JIRA, json!({"isLast": false, "values": []})),
        (Product::Jira, JIRA, json!({"isLast": true, "values": [{"name": null}]})),
        (Product::Jira, JIRA, json!([{"name": "warden"}])),
        (Product::Confluence, CONFLUENCE, json!({"results": [], "_links": {"next": "/x"}})),
        (Product::Confluence, CONFLUENCE, json!({"results": [], "_links": {}, "totalSize": 3})),
        (Product::Confluence, CONFLUENCE, json!({"results": [], "_links": {}, "size": 2})),
        (Product::Confluence, CONFLUENCE, json!({"results": [{"username": 4}], "_links": {}})),
        (Product::Confluence, CONFLUENCE, json!({"results": [], "_links": {}, "start": 0, "limit": 200})),
        (Product::Confluence, CONFLUENCE, json!({"results": [], "_links": {}, "start": 0, "size": 0})),
        (Product::Confluence, CONFLUENCE, json!({"results": [], "_links": {}, "limit": 200, "size": 0})),
        (
            Product::Confluence,
            CONFLUENCE,
            json!({"results": [], "_links": {}, "start": "0", "limit": 200, "size": 0}),
        ),
        (Product::Bitbucket, BITBUCKET, json!({"values": [], "isLastPage": true, "size": 0, "limit": 25})),
        (Product::Bitbucket, BITBUCKET, json!({"values": [], "isLastPage": true, "nextPageStart": 2})),
    ] {
        let stub = with_keys(|_| {}).await;
        let said = page.to_string();
        stub.rewrite(path, move |answer| *answer = page.clone());
        let plan = plan(&stub.target_in(product), &policy(FOR_THE_REST), NOW).await;
        assert_eq!(actions(&plan), Vec::<String>::new(), "{product:?} {said}");
        assert!(missing(&plan)[0].contains("members of group `devs` is not whole"), "{:?}", missing(&plan));
    }
}

#[tokio::test]
async fn an_owner_whom_a_list_of_users_may_have_left_out_is_neither_unknown_nor_in_no_group() {
    for (product, path, page) in [
        (
            Product::Jira,
            "/rest/api/2/user/list",
            json!({"isLast": false, "values": [{"name": "warden", "key": "1"}]}),
        ),
        (
            Product::Jira,
            "/rest/api/2/user/list",
            json!({"isLast": true, "values": [{"name": "warden", "key": "1"}, {"name": null, "key": "2"}]}),
        ),
        (
            Product::Confluence,
            "/rest/api/user/list",
            json!({"results": [{"username": "warden", "userKey": "1", "status": "active"}], "totalSize": 3, "_links": {}}),
        ),
        (
            Product::Bitbucket,
            "/rest/api/latest/admin/users",
            json!({"values": [{"name": "warden", "id": 1, "active": true}], "isLastPage": true, "size": 3}),
        ),
    ] {
        let stub = with_keys(|_| {}).await;
        stub.rewrite(path, move |answer| *answer = page.clone());
        let rest = "version: 1\ntokens: {limits: [{groups: [admins]}, {max_lifetime: 90d}], \
                    enforcement: {owner-unknown: revoke, owner-inactive: revoke, lifetime: revoke}}\n";
        stub.contents().groups.insert("admins", vec![]);
        let plan = plan(&stub.target_in(product), &policy(rest), NOW).await;
        assert_eq!(actions(&plan), ["revoke 4"], "the others are not seen in {product:?}");
        assert!(missing(&plan).iter().any(|said| said.contains("the list of users is not whole")));
    }
}

#[tokio::test]
async fn a_list_of_tokens_that_contradicts_itself_is_not_taken_for_whole() {
    let alone = |changes: Value| move |page: &mut Value| set(changes.clone())(page);
    for lie in [
        json!({"totalElements": 9}),
        json!({"totalElements": 1}),
        json!({"number": 4}),
        json!({"numberOfElements": 9}),
        json!({"size": 0}),
        json!({"errorMessage": "half of it"}),
        json!({"errors": ["x"]}),
        json!({"last": false}),
        json!({"last": true}),
        json!({"number": "one"}),
        json!({"number": "0"}),
        json!({"page": 4}),
        json!({"size": null}),
        json!({"limit": "500"}),
        json!({"numberOfElements": null}),
        json!({"totalElements": "5"}),
        json!({"totalPages": 9}),
        json!({"totalPages": 1}),
        json!({"first": true}),
        json!({"first": false}),
        json!({"first": "yes"}),
        json!({"empty": true}),
        json!({"empty": "no"}),
        json!({"last": "no"}),
    ] {
        let stub = with_keys(|_| {}).await;
        stub.rewrite("tokensByFilter", alone(lie.clone()));
        let (target, mut seen) = (stub.target(), 0);
        let coverage = target.tokens(&mut |_| seen += 1).await.unwrap();
        let said: Vec<_> = coverage.missing().map(ToString::to_string).collect();
        assert!(said.join("\n").contains("the list of tokens is not whole"), "{lie}: {said:?}");
        assert!(seen > 0, "{lie}");
    }
    let stub = with_keys(|contents| contents.listing.page = 100).await;
    let whole = json!({"totalElements": 5, "totalPages": 1, "number": 0, "numberOfElements": 5, "size": 500,
                       "first": true, "last": true, "empty": false});
    stub.rewrite("tokensByFilter", move |page| {
        if page["content"] != json!([]) {
            set(whole.clone())(page);
        }
    });
    assert_eq!(stub.target().tokens(&mut |_| {}).await.unwrap(), Coverage::Complete);
}

#[tokio::test]
async fn a_filter_that_only_some_lists_take_notice_of_says_nothing_of_the_tokens_in_them() {
    // One user is in the directory: the list of that one, unfiltered, would be everybody's tokens.
    let stub = Stub::filled().await;
    stub.contents().users.truncate(1);
    stub.contents().listing.filters = false;
    let strict =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    let plan = plan(&stub.target(), &strict, NOW).await;
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(
        missing(&plan),
        ["the server does not say the owner of 5 tokens, such as 1: they are not looked at"]
    );
}

#[tokio::test]
async fn an_odd_token_costs_itself_alone_and_is_named() {
    let revoking = policy(
        "version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke, expired: revoke}}\n",
    );
    for (field, value) in [
        ("created", Value::Null),
        ("created", json!("yesterday")),
        ("created", json!(-1)),
        ("created", json!(253_402_300_799_999_i64)),
        ("lastAccessed", json!(-1)),
        ("lastAccessed", json!(253_402_300_799_999_i64)),
        ("validUntil", json!(-1)),
        ("validUntil", json!("2026-01-01")),
        ("description", json!({"a": 1})),
        ("userKey", json!(2)),
        ("id", json!(-5)),
        ("id", json!("x/y")),
        ("id", Value::Null),
    ] {
        let stub = with_keys(|contents| contents.tokens.push(token(9, "2", 1, "odd"))).await;
        let odd = value.clone();
        stub.rewrite("tokensByFilter", move |page| {
            let items = page["content"].as_array_mut().unwrap();
            items.iter_mut().filter(|item| item["id"] == 9).for_each(|item| item[field] = odd.clone());
        });
        let plan = plan(&stub.target(), &revoking, NOW).await;
        assert_eq!(
            actions(&plan),
            ["revoke 1", "revoke 2", "revoke 3", "revoke 4", "revoke 5"],
            "{field} {value}"
        );
        let said = missing(&plan).join("\n");
        assert!(said.contains("cannot be read: it is not looked at"), "{field} {value}: {said}");
        assert!(field == "id" || said.contains("token 9"), "{field} {value}: {said}");
    }
}

#[tokio::test]
async fn an_end_behind_the_calendar_is_late_and_an_unknown_scope_is_not_known() {
    let stub = with_keys(|contents| contents.tokens = vec![token(9, "2", 7, "odd")]).await;
    stub.contents().tokens[0]["validUntil"] = json!(253_402_300_799_999_i64);
    let limited = "version: 1\ntokens: {limits: [{max_lifetime: 90d, max_scope: read-only}], \
                   enforcement: {lifetime: expire, scope: revoke, scope-unset: revoke}}\n";
    let plan = plan(&stub.target(), &policy(limited), NOW).await;
    assert_eq!(actions(&plan), ["mark 9"]);
    assert_eq!(missing(&plan), Vec::<String>::new());
}
