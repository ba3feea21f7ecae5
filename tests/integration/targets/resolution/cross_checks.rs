//! Answers of which each can be true, and not all together: a list of users without somebody whom the product names
//! elsewhere, and a token that is listed in two ways.

use serde_json::{Value, json};
use tokenwarden::model::mapping::Product;

use super::{
    NOW, actions, missing, plan,
    stub::{Stub, token},
};
use crate::support::world::policy;

/// Acts on everybody who seems to be gone, or in none of the groups.
const HARSH: &str = "version: 1\ntokens: {limits: [{groups: [devs]}, {max_lifetime: 90d}], enforcement: {owner-unknown: revoke}}\n";

const LISTS: [(Product, &str, &str, &str); 3] = [
    (Product::Bitbucket, "/rest/api/latest/admin/users", "values", "name"),
    (Product::Jira, "/rest/api/2/user/list", "values", "name"),
    (Product::Confluence, "/rest/api/user/list", "results", "username"),
];

/// A product whose list of users is one without `hidden` that does not contradict itself, and with a token of
/// somebody who is on no list.
async fn hiding(
    hidden: &'static str,
    (path, entries, name): (&'static str, &'static str, &'static str),
) -> Stub {
    let stub = Stub::filled().await;
    stub.contents().listing.silent_on = Vec::new();
    stub.contents().users.insert(2, ("sam", "4", true));
    let mut lost = token(6, "lost", 1, "left over");
    lost["userName"] = json!("lost");
    stub.contents().tokens.push(lost);
    stub.rewrite(path, move |page| {
        let listed = page[entries].as_array_mut().unwrap();
        listed.retain(|user| user[name] != hidden);
        let size = listed.len();
        if page.get("size").is_some() {
            page["size"] = json!(size);
        }
    });
    stub
}

#[tokio::test]
async fn a_list_of_users_without_ourselves_or_a_member_makes_nobody_unknown_in_any_product() {
    for (product, path, entries, name) in LISTS {
        for (hidden, said) in [
            (
                "warden",
                "it lacks `warden`, whom the server takes this run for; and `warden`, whom groups have as members",
            ),
            ("mary", "it lacks `mary`, whom groups have as members"),
        ] {
            let stub = hiding(hidden, (path, entries, name)).await;
            let plan = plan(&stub.target_in(product), &policy(HARSH), NOW).await;
            assert_eq!(actions(&plan), Vec::<String>::new(), "{product:?} without {hidden}");
            let said = format!("the list of users is not whole: {said}");
            assert!(missing(&plan).contains(&said), "{product:?} without {hidden}: {:?}", missing(&plan));
        }
        let whole = hiding("nobody", (path, entries, name)).await;
        let plan = plan(&whole.target_in(product), &policy(HARSH), NOW).await;
        assert_eq!((actions(&plan), missing(&plan)), (vec!["revoke 6".to_owned()], vec![]), "{product:?}");
    }
}

#[tokio::test]
async fn where_users_cannot_be_told_apart_by_their_numbers_nobody_is_unknown() {
    for (id, said) in [
        (Value::Null, "the `id` of `mary` cannot be read"),
        (json!(0), "the `id` of `mary` cannot be read"),
        (json!(-3), "the `id` of `mary` cannot be read"),
        (json!(3.5), "the `id` of `mary` cannot be read"),
        (json!({}), "the `id` of `mary` cannot be read"),
        (json!(1), "have one number or key"),
    ] {
        let stub = hiding("nobody", (LISTS[0].1, LISTS[0].2, LISTS[0].3)).await;
        let odd = id.clone();
        stub.rewrite(LISTS[0].1, move |page| {
            for user in page["values"].as_array_mut().unwrap() {
                if user["name"] == "mary" {
                    user["id"] = odd.clone();
                }
            }
        });
        let plan = plan(&stub.target_in(Product::Bitbucket), &policy(HARSH), NOW).await;
        assert_eq!(actions(&plan), Vec::<String>::new(), "{id}");
        let missing = missing(&plan);
        assert!(missing.iter().any(|missing| missing.contains(said)), "{id}: {missing:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_listed_in_two_ways_is_named_and_left_alone_whichever_comes_first() {
    let strict =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    let (harmful, mut harmless) = (token(7, "2", 1, "x"), token(7, "2", 1, "x"));
    harmless["validUntil"] = json!(1_709_712_640_001_i64);
    let other = |id| token(id, "2", 1, "other");
    let odd: Value =
        json!({"id": 7, "userKey": "2", "words": {}, "created": 1, "lastAccessed": 0, "validUntil": 0});
    for versions in [
        vec![harmless.clone(), other(8), other(9), harmful.clone()],
        vec![harmful.clone(), other(8), other(9), harmless.clone()],
        vec![harmful.clone(), harmless, other(8), other(9)],
        vec![harmful.clone(), other(8), other(9), odd],
    ] {
        let stub = Stub::filled().await;
        stub.contents().listing.silent_on = vec![];
        stub.contents().tokens = versions.clone();
        let plan = plan(&stub.target(), &strict, NOW).await;
        assert_eq!(actions(&plan), ["revoke 8", "revoke 9"], "{versions:?}");
        let disputed =
            "the server lists token 7 more than once, with different content: nothing is done about it";
        assert!(missing(&plan).contains(&disputed.to_owned()), "{versions:?}: {:?}", missing(&plan));
    }
    // A token that moved on to a page of its own is no second one.
    let stub = Stub::filled().await;
    stub.contents().listing.silent_on = vec![];
    stub.contents().tokens = vec![harmful.clone(), other(8), harmful];
    let plan = plan(&stub.target(), &strict, NOW).await;
    assert_eq!(
        (actions(&plan), missing(&plan)),
        (vec!["revoke 7".to_owned(), "revoke 8".to_owned()], vec![])
    );
}

#[tokio::test]
async fn an_owner_without_a_name_is_an_odd_record_that_is_named_by_its_token() {
    let strict =
        policy("version: 1\ntokens: {limits: [{max_lifetime: 90d}], enforcement: {lifetime: revoke}}\n");
    for (field, value) in [("userName", ""), ("userName", " "), ("userKey", "")] {
        let stub = Stub::filled().await;
        stub.contents().listing.silent_on = vec![];
        stub.contents().tokens = vec![token(7, "2", 1, "x"), token(8, "2", 1, "y")];
        stub.contents().tokens[0][field] = json!(value);
        let plan = plan(&stub.target(), &strict, NOW).await;
        assert_eq!(actions(&plan), ["revoke 8"], "{field}");
        assert_eq!(missing(&plan), ["the entry of token 7 cannot be read: it is not looked at"], "{field}");
    }
}
