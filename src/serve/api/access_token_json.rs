//! The JSON of Bitbucket's HTTP access tokens. What is allowed is decided elsewhere.
//!
//! Fields are those of Bitbucket's specifications 8.19 to 10.3 and of Atlassian's knowledge base article
//! 1044088271, which shows that an identifier is text of 12 digits and a date is a number.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{directory_json::User, links::Base};
use crate::{
    model::OwnerKind,
    serve::{
        problem::Problem,
        project_permissions::{BadPermissions, ProjectPermissions},
        store::{TokenRow, UserRow},
    },
};

/// Longest name, in characters, as Bitbucket's database has it.
const NAME_AT_MOST: usize = 255;
/// Longest lifetime that can be asked for, in days: a hundred years.
const DAYS_AT_MOST: i64 = 36_500;

/// What a client asks of a token.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub(super) struct AccessTokenRequest {
    /// What tells it from others; must be given for a new one.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    name: Option<String>,
    /// `PROJECT_` or `REPO_` with `READ`, `WRITE` or `ADMIN`; must be given for a new one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    permissions: Option<Vec<String>>,
    /// In how many days a new one expires; the latest expiry allowed when it is left out. Cannot be
    /// changed later.
    #[serde(default)]
    #[schemars(range(min = 1, max = 36_500))]
    pub(super) expiry_days: Option<i64>,
}

impl AccessTokenRequest {
    /// The name, where one is given.
    pub(super) fn name(&self) -> Result<Option<&str>, Problem> {
        let Some(name) = self.name.as_deref() else { return Ok(None) };
        if name.trim().is_empty() || name.chars().count() > NAME_AT_MOST {
            return Err(Problem::bad_request(format!(
                "The name of a token must have 1 to {NAME_AT_MOST} characters."
            )));
        }
        Ok(Some(name))
    }

    /// The name of a new token.
    pub(super) fn new_name(&self) -> Result<&str, Problem> {
        self.name()?.ok_or_else(|| Problem::bad_request("A token must have a name."))
    }

    /// The permissions, where they are given.
    pub(super) fn permissions(&self) -> Result<Option<ProjectPermissions>, Problem> {
        let given = self.permissions.as_deref().map(ProjectPermissions::parse).transpose();
        given.map_err(|error| Problem::bad_request(error.to_string()))
    }

    /// The permissions of a new token whose owner is of the kind `owner`.
    pub(super) fn new_permissions(&self, owner: OwnerKind) -> Result<ProjectPermissions, Problem> {
        let given = self.permissions()?.ok_or(BadPermissions::None);
        given
            .and_then(|given| given.for_owner(owner))
            .map_err(|error| Problem::bad_request(error.to_string()))
    }

    /// When a token made at `now` is to expire, as far as that is said.
    pub(super) fn expires(&self, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        let bad = || Problem::bad_request(format!("`expiryDays` takes a number from 1 to {DAYS_AT_MOST}."));
        let Some(days) = self.expiry_days else { return Ok(None) };
        if !(1..=DAYS_AT_MOST).contains(&days) {
            return Err(bad());
        }
        now.checked_add(SignedDuration::from_hours(days * 24)).map(Some).map_err(|_| bad())
    }
}

/// A token, as Bitbucket shows one. Dates are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessToken {
    /// 12 digits; the first ones may be zeros.
    #[schemars(regex(pattern = r"^[0-9]{12,}$"))]
    id: String,
    created_date: i64,
    /// The last use; left out when it was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_authenticated: Option<i64>,
    /// When it expires; left out when it never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry_date: Option<i64>,
    name: String,
    permissions: Vec<String>,
    /// Whose it is; left out for tokens of projects and repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User>,
}

impl AccessToken {
    /// What is shown of `token`; `user` is its owner, when that is a user.
    pub(super) fn new(token: TokenRow, user: Option<UserRow>, base: &Base) -> Self {
        let permissions = permissions_of(&token).names().into_iter().map(str::to_owned).collect();
        Self {
            id: id_text(token.id),
            created_date: token.created.as_millisecond(),
            last_authenticated: token.last_used.map(|used| used.at.as_millisecond()),
            expiry_date: token.expires.map(Timestamp::as_millisecond),
            name: token.description,
            permissions,
            user: user.map(|user| User::new(user, base)),
        }
    }
}

/// A token that was just made. The one time that its secret is shown.
#[derive(Serialize, JsonSchema)]
pub(super) struct CreatedAccessToken {
    #[serde(flatten)]
    pub(super) about: AccessToken,
    /// The secret.
    pub(super) token: String,
}

/// The permissions that `token` has now: what it was given, as far as its scope still goes. One that was
/// given none, made in the app's REST, can do whatever its scope allows.
pub(super) fn permissions_of(token: &TokenRow) -> ProjectPermissions {
    let scope = token.scope.effective();
    let given = token.permissions.as_ref();
    given.map_or_else(|| ProjectPermissions::of(scope, token.owner.kind()), |given| given.under(scope))
}

/// The identifier of the token with this number.
fn id_text(number: i64) -> String {
    format!("{number:012}")
}

/// The number in an identifier of this form; `None` for any other.
pub(super) fn id_number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|&number| id_text(number) == text)
}
