//! The JSON of the app's token REST. Knows shapes and paths; the reader and writer decide which calls to
//! make. What the server does not say is never guessed. Tolerant in reading: what older and newer versions
//! write differently is read alike.
//!
//! Paths and fields are those of the vendor's documentation from 1.0 to 2.7 and of answers of live servers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    http::{Claims, ListEntry, PageClaim, told},
    inventory::{Call, TokenPart},
    model::{LastUse, Marker, Owner, Token, TokenId, TokenScope, UserName},
    targets::{
        atlassian::{Number, or_none},
        millis::Millis,
        odd::{visible_if_told, visible_or_none},
    },
};

pub(in crate::targets) const TOKEN: &str = "/rest/de.resolution.apitokenauth/latest/user/token";
pub(in crate::targets) const TOKENS: &str = "/rest/de.resolution.apitokenauth/latest/user/tokensByFilter";

/// What a run calls of the app.
pub(super) fn calls() -> [Call; 3] {
    let token = |method| Call::new(method, format!("{TOKEN}/{}", Call::ANY));
    [Call::new("GET", TOKENS), token("PATCH"), token("DELETE")]
}

/// How long the description of a token may be. The vendor does not say; this is what its database columns
/// of that kind usually have.
pub(super) const DESCRIPTION: usize = 255;

/// A page of tokens: until 1.2 a bare list, later an object with `content`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum TokenPage {
    Bare(Vec<ListEntry<TokenItem>>),
    Wrapped(Box<Envelope>),
}

/// What an object says beside the tokens. Its fields are those of the library that such objects come from, where
/// `size` is the room on a page, and those of our own server, `page` and `limit`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    content: Vec<ListEntry<TokenItem>>,
    #[serde(default, deserialize_with = "told")]
    number: PageClaim,
    #[serde(default, deserialize_with = "told")]
    page: PageClaim,
    #[serde(default, deserialize_with = "told")]
    number_of_elements: PageClaim,
    #[serde(default, deserialize_with = "told")]
    size: PageClaim,
    #[serde(default, deserialize_with = "told")]
    limit: PageClaim,
    #[serde(default, deserialize_with = "told")]
    total_elements: PageClaim,
    #[serde(default, deserialize_with = "told")]
    total_pages: PageClaim,
    #[serde(default, deserialize_with = "told")]
    first: PageClaim,
    #[serde(default, deserialize_with = "told")]
    last: PageClaim,
    #[serde(default, deserialize_with = "told")]
    empty: PageClaim,
    errors: PageClaim,
    error_message: PageClaim,
}

impl TokenPage {
    /// Its tokens, what it says of itself, and whether it says that it is the last one.
    pub(super) fn open(self) -> (Vec<ListEntry<TokenItem>>, Claims, PageClaim) {
        match self {
            Self::Bare(items) => (items, Claims::default(), None),
            Self::Wrapped(page) => {
                let claims = Claims {
                    start: page.number.or(page.page),
                    size: page.number_of_elements,
                    limit: page.size.or(page.limit),
                    totals: [page.total_elements, None],
                    pages: page.total_pages,
                    first: page.first,
                    empty: page.empty,
                    errors: [page.errors, page.error_message],
                };
                (page.content, claims, page.last)
            }
        }
    }
}

/// A token in a list. A list item is known to call its words `description`, an answer to a creation
/// `tokenDescription`.
#[derive(Deserialize, Hash)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenItem {
    id: Number,
    #[serde(default, deserialize_with = "visible_if_told")]
    user_key: Option<String>,
    #[serde(default, deserialize_with = "visible_if_told")]
    user_name: Option<UserName>,
    description: Option<String>,
    token_description: Option<String>,
    token_scope: Option<Value>,
    #[serde(default)]
    created: Millis,
    #[serde(default, deserialize_with = "visible_or_none")]
    created_by: Option<UserName>,
    #[serde(default)]
    last_accessed: Millis,
    #[serde(default, deserialize_with = "or_none")]
    last_accessed_address: Option<String>,
    #[serde(default)]
    valid_until: Millis,
}

/// What no token has, in the field of this name.
#[derive(Debug, thiserror::Error)]
#[error("token {id}: invalid value of `{field}`")]
pub(super) struct BadItem {
    id: TokenId,
    pub(super) field: &'static str,
}

/// Why an item cannot be read as a token.
pub(super) enum NoToken {
    /// The server does not say this of it.
    Lacks(TokenPart),
    /// It says nonsense.
    Bad(BadItem),
}

impl From<BadItem> for NoToken {
    fn from(bad: BadItem) -> Self {
        Self::Bad(bad)
    }
}

impl TokenItem {
    pub(super) fn id(&self) -> TokenId {
        TokenId::new(match &self.id {
            Number::Number(number) => number.to_string(),
            Number::Text(text) => text.clone(),
        })
    }

    /// Whether the item itself says whose it is.
    pub(super) fn names_its_owner(&self) -> bool {
        self.user_name.is_some() || self.user_key.is_some()
    }

    /// Whether the item itself says how far it reaches.
    pub(super) fn has_scope(&self) -> bool {
        self.token_scope.is_some()
    }

    /// The scope that the item itself tells; `None` where it means nothing.
    fn scope(&self) -> Option<TokenScope> {
        let number: Number = serde_json::from_value(self.token_scope.clone()?).ok()?;
        number.value().and_then(TokenScope::from_number)
    }

    /// Whether the item, which is listed for `filter`, says that it is another's, or of another scope.
    pub(super) fn belies(&self, filter: &Filter) -> bool {
        match filter {
            Filter::User(key) => self.user_key.as_ref().is_some_and(|told| told != key),
            Filter::Scope(scope) => self.scope().is_some_and(|told| told != *scope),
        }
    }

    /// The key of the owner, when the item does not name them otherwise.
    pub(super) fn key_alone(&self) -> Option<&str> {
        self.user_key.as_deref().filter(|_| self.user_name.is_none())
    }

    /// The owner that the item itself names; `name_of` finds the user with a key.
    pub(super) fn owner(&self, name_of: impl Fn(&str) -> Option<UserName>) -> Option<UserName> {
        let by_key = || self.user_key.as_deref().and_then(name_of);
        self.user_name.clone().or_else(by_key)
    }

    /// The words with what a mark may be behind them.
    pub(super) fn words(&self) -> &str {
        self.token_description.as_deref().or(self.description.as_deref()).unwrap_or_default()
    }

    /// The token. What the item does not say itself was found otherwise, as `owner` and `scope`.
    pub(super) fn token(
        self,
        owner: Option<UserName>,
        scope: Option<TokenScope>,
        marker: Option<&Marker>,
    ) -> Result<Token, NoToken> {
        let id = self.id();
        let bad = |field| BadItem { id: id.clone(), field };
        if token_path(&id).is_none() {
            return Err(bad("id").into());
        }
        let said =
            |told: Millis, part| if told == Millis::Missing { Err(NoToken::Lacks(part)) } else { Ok(told) };
        let owner = owner.ok_or(NoToken::Lacks(TokenPart::Owner))?;
        let expires = said(self.valid_until, TokenPart::Expiry)?.end().map_err(|_| bad("validUntil"))?;
        let last_used =
            said(self.last_accessed, TokenPart::LastUse)?.past().map_err(|_| bad("lastAccessed"))?;
        let created = self.created.past().ok().flatten().ok_or_else(|| bad("created"))?;
        let from = self.last_accessed_address.as_deref().and_then(|from| from.parse().ok());
        let scope = if self.has_scope() { self.scope() } else { scope };
        let (words, mark) = match marker {
            Some(marker) => marker.read(self.words(), &id),
            None => (self.words(), None),
        };
        Ok(Token {
            owner: Owner::User(owner),
            description: words.to_owned(),
            scope: scope.unwrap_or(TokenScope::Unknown),
            created,
            last_used: last_used.map(|at| LastUse { at, from }),
            expires,
            mark,
            created_by: self.created_by,
            id,
        })
    }
}

/// Which tokens a list is asked for.
pub(super) enum Filter {
    /// Those of the user with this key.
    User(String),
    /// Those with this scope.
    Scope(TokenScope),
}

impl Filter {
    /// The parameter that asks for it, and its value.
    pub(super) fn parameter(&self) -> (&'static str, String) {
        match self {
            Self::User(key) => ("userFilter", key.clone()),
            Self::Scope(scope) => ("tokenScope", scope.number().to_string()),
        }
    }
}

/// What is changed of a token: its words are all that can be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenPatch {
    pub(super) token_description: String,
}

/// The path of the token `id`; `None` when that is not a number and would lead elsewhere.
pub(super) fn token_path(id: &TokenId) -> Option<String> {
    let digits = !id.as_str().is_empty() && id.as_str().bytes().all(|c| c.is_ascii_digit());
    digits.then(|| format!("{TOKEN}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;
    use serde_json::json;

    fn only(page: Value) -> TokenItem {
        let (mut entries, ..) = serde_json::from_value::<TokenPage>(page).unwrap().open();
        let Some(ListEntry::Read(item)) = entries.pop() else { panic!("an entry that can be read") };
        item
    }

    #[test]
    fn both_shapes_of_lists_and_both_names_of_descriptions_are_read() {
        let old = json!([{"created": 1_573_814_077_364_i64, "description": "Automation token", "id": 4,
                          "lastAccessed": 1_573_814_464_012_i64, "validUntil": 0}]);
        let token = only(old).token(Some("mary".into()), None, None).ok().unwrap();
        assert_eq!((token.id.as_str(), token.description.as_str()), ("4", "Automation token"));
        assert_eq!((token.scope, token.expires), (TokenScope::Unknown, None));
        assert_eq!(token.last_used.unwrap().at.to_string(), "2019-11-15T10:41:04.012Z");
        let new = json!({"content": [{"id": "7", "created": "1573814077364", "lastAccessed": 0, "tokenScope": 1,
                                      "validUntil": 1_603_096_140_000_i64, "tokenDescription": "new",
                                      "description": null, "restrictions": [{"header": "X"}]}], "last": true});
        let token = only(new).token(Some("mary".into()), None, None).ok().unwrap();
        assert_eq!((token.description.as_str(), token.last_used), ("new", None));
        assert_eq!(token.scope, TokenScope::Set(Scope::ReadOnly));
        assert_eq!(token.expires.unwrap().to_string(), "2020-10-19T08:29:00Z");
    }

    #[test]
    fn what_is_not_said_is_not_taken_for_never() {
        let lacks = |item: Value, owner: Option<&str>| match only(json!([item])).token(
            owner.map(UserName::new),
            None,
            None,
        ) {
            Err(NoToken::Lacks(part)) => Some(part),
            _ => None,
        };
        let whole =
            json!({"id": 1, "created": 1_573_814_077_364_i64, "lastAccessed": null, "validUntil": null});
        assert_eq!(lacks(whole.clone(), Some("mary")), None);
        assert_eq!(lacks(whole, None), Some(TokenPart::Owner));
        assert_eq!(
            lacks(json!({"id": 1, "created": 1_573_814_077_364_i64, "lastAccessed": 0}), Some("m")),
            Some(TokenPart::Expiry)
        );
        assert_eq!(
            lacks(json!({"id": 1, "created": 1_573_814_077_364_i64, "validUntil": 0}), Some("m")),
            Some(TokenPart::LastUse)
        );
    }

    #[test]
    fn identifiers_never_lead_to_another_place() {
        assert_eq!(token_path(&TokenId::new("4711")).unwrap(), format!("{TOKEN}/4711"));
        for id in ["", "../x", "deleteAllFor/mary", "4 7"] {
            assert_eq!(token_path(&TokenId::new(id)), None);
        }
    }
}
