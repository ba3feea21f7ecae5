//! The JSON of the app "API Token Authentication", so that scripts written for it work. What is allowed is
//! decided elsewhere.

use jiff::{Span, Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    access::{Held, Principal},
    model::{Owner, Scope, UserName},
    serve::{
        problem::Problem,
        store::{Narrowing, TokenRow},
    },
};

/// The name of `caller` wherever a user is named. For anyone who is not a user it is one that no user can
/// have:
/// `(operator)` for the process that runs the server for itself, `(project PLAT)` for a token of a project.
pub(super) fn name_of(caller: &Principal) -> UserName {
    match caller {
        Principal::Password(person) => person.name.clone(),
        Principal::Token(held) => match held.owner.name() {
            Owner::User(name) => name,
            place => UserName::new(format!("({place})")),
        },
        Principal::Operator => UserName::new("(operator)"),
        Principal::Anybody | Principal::Passed(_) => UserName::new("(anybody)"),
    }
}

/// Longest description, in characters.
const DESCRIPTION_AT_MOST: usize = 1_000;
/// Longest lifetime that can be asked for, in months: a hundred years.
const MONTHS_AT_MOST: i64 = 1_200;

/// A token to be made. A field that is not known is refused: it may say whose the token is to be, or what it
/// is to be limited to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct CreateToken {
    /// What tells it from others.
    #[serde(default, rename = "tokenDescription")]
    #[schemars(length(max = 1_000))]
    description: Option<String>,
    /// 1 read-only, 2 read-write; read-only when it is left out.
    #[serde(default, rename = "tokenScope")]
    #[schemars(range(min = 1, max = 2))]
    scope: Option<i64>,
    /// Whose it is to be; the caller's own when it is left out.
    #[serde(default, rename = "tokenForUserKey")]
    pub(super) for_user: Option<String>,
    /// When it is to expire, ISO 8601 with an offset; wins over the two others. The latest expiry
    /// allowed when all three are left out.
    #[serde(default, rename = "tokenExpirationDateTime")]
    expires: Option<String>,
    /// When it is to expire, in milliseconds since 1970-01-01T00:00:00Z; wins over months.
    #[serde(default, rename = "tokenExpirationDateTimeMillis")]
    #[schemars(range(min = 1))]
    expires_millis: Option<i64>,
    /// In how many calendar months it is to expire.
    #[serde(default, rename = "tokenValidityTimeInMonths")]
    #[schemars(range(min = 1, max = 1_200))]
    pub(super) months: Option<i64>,
}

impl CreateToken {
    pub(super) fn description(&self) -> Result<&str, Problem> {
        description(self.description.as_deref().unwrap_or_default())
    }

    pub(super) fn scope(&self) -> Result<Scope, Problem> {
        self.scope.map_or(Ok(Scope::ReadOnly), scope)
    }

    /// When it is to expire, as far as that is said.
    pub(super) fn expires(&self, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
        match expiry(self.expires.as_deref(), self.expires_millis)? {
            Some(expires) => Ok(Some(expires)),
            None => self.months.map(|months| in_months(months, now)).transpose(),
        }
    }
}

/// The expiry that a date or milliseconds ask for; the date wins.
fn expiry(date: Option<&str>, millis: Option<i64>) -> Result<Option<Timestamp>, Problem> {
    if let Some(date) = date {
        let bad = |_| {
            let example = "2026-12-01T00:00:00.000+01:00";
            Problem::bad_request(format!("`tokenExpirationDateTime` takes a time such as {example}."))
        };
        // The store keeps whole milliseconds.
        let asked: Timestamp = date.parse().map_err(bad)?;
        return moment(asked.as_millisecond(), "tokenExpirationDateTime").map(Some);
    }
    millis.map(|millis| moment(millis, "tokenExpirationDateTimeMillis")).transpose()
}

fn in_months(months: i64, now: Timestamp) -> Result<Timestamp, Problem> {
    let bad = || {
        let field = "tokenValidityTimeInMonths";
        Problem::bad_request(format!("`{field}` takes a number from 1 to {MONTHS_AT_MOST}."))
    };
    if !(1..=MONTHS_AT_MOST).contains(&months) {
        return Err(bad());
    }
    let then = now.to_zoned_datetime(TimeZone::UTC).checked_add(Span::new().months(months));
    Ok(then.map_err(|_| bad())?.timestamp())
}

/// What is to change on a token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct PatchToken {
    /// What tells it from others from now on.
    #[serde(default, rename = "tokenDescription")]
    #[schemars(length(max = 1_000))]
    description: Option<String>,
    /// A lower scope: 1 read-only.
    #[serde(default, rename = "tokenScope")]
    #[schemars(range(min = 1, max = 2))]
    scope: Option<i64>,
    /// A nearer expiry, ISO 8601 with an offset; wins over the other one.
    #[serde(default, rename = "tokenExpirationDateTime")]
    expires: Option<String>,
    /// A nearer expiry, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default, rename = "tokenExpirationDateTimeMillis")]
    #[schemars(range(min = 1))]
    expires_millis: Option<i64>,
    /// Refused: it does not say from when on the months count.
    #[serde(default, rename = "tokenValidityTimeInMonths")]
    #[schemars(skip)]
    months: Option<i64>,
}

impl PatchToken {
    pub(super) fn narrowing(&self) -> Result<Narrowing, Problem> {
        if self.months.is_some() {
            return Err(Problem::bad_request(
                "`tokenValidityTimeInMonths` is for new tokens only; give `tokenExpirationDateTime`.",
            ));
        }
        Ok(Narrowing {
            description: self.description.as_deref().map(description).transpose()?.map(str::to_owned),
            scope: self.scope.map(scope).transpose()?,
            expires: expiry(self.expires.as_deref(), self.expires_millis)?,
            permissions: None,
        })
    }
}

fn description(text: &str) -> Result<&str, Problem> {
    if text.chars().count() > DESCRIPTION_AT_MOST {
        let message = format!("`tokenDescription` takes {DESCRIPTION_AT_MOST} characters at most.");
        return Err(Problem::bad_request(message));
    }
    Ok(text)
}

fn scope(number: i64) -> Result<Scope, Problem> {
    Scope::from_number(number)
        .ok_or_else(|| Problem::bad_request("`tokenScope` takes 1 (read-only) or 2 (read-write)."))
}

/// A moment that an expiry can be; 0, which means never in answers, cannot be asked for.
fn moment(millis: i64, field: &str) -> Result<Timestamp, Problem> {
    let bad = || Problem::bad_request(format!("`{field}` takes a moment after 1970-01-01T00:00:00Z."));
    if millis <= 0 {
        return Err(bad());
    }
    Timestamp::from_millisecond(millis).map_err(|_| bad())
}

/// A token that was just made. The one time that its secret is shown.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatedToken {
    pub(super) id: i64,
    /// The secret.
    pub(super) plain_text_token: String,
    pub(super) token_description: String,
    /// 1 read-only, 2 read-write.
    pub(super) token_scope: u8,
    pub(super) user_key: String,
    pub(super) user_name: String,
    /// As it was asked for; 0 when it was not.
    pub(super) token_validity_time_in_months: i64,
    /// When it expires, ISO 8601; absent when it never does.
    pub(super) token_expiration_date_time: Option<String>,
    /// The same in milliseconds since 1970-01-01T00:00:00Z; 0 when it never does.
    pub(super) token_expiration_date_time_millis: i64,
}

/// A moment as the app writes it: `2020-10-19T08:29:00.000+00:00`.
pub(super) fn date_time(moment: Timestamp) -> String {
    let text = moment.to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00");
    text.to_string()
}

/// A token in a list. Moments are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenItem {
    pub(super) id: i64,
    /// Whose it is; left out for tokens of projects and repositories, like `userName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_name: Option<String>,
    /// The project that it is of, or in which its repository lies; left out for tokens of users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project_key: Option<String>,
    /// The repository that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository_slug: Option<String>,
    pub(super) token_description: String,
    /// The same as `tokenDescription`, under the name that the app's first versions had.
    pub(super) description: String,
    /// 0 unset, 1 read-only, 2 read-write.
    pub(super) token_scope: u8,
    pub(super) created: i64,
    /// Who made it, where that is known.
    pub(super) created_by: Option<String>,
    /// The last use; 0 when it was never used.
    pub(super) last_accessed: i64,
    /// Where it was used last from.
    pub(super) last_accessed_address: Option<String>,
    /// When it expires; 0 when it never does.
    pub(super) valid_until: i64,
    /// The id of the token that it was made with, which may be gone; left out when it was made with none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<i64>,
}

impl From<TokenRow> for TokenItem {
    fn from(token: TokenRow) -> Self {
        let user = token.owner.user().map(ToString::to_string);
        let (project, repository) = match token.owner {
            Owner::User(_) => (None, None),
            Owner::Project(key) => (Some(key), None),
            Owner::Repository { project, slug } => (Some(project), Some(slug)),
        };
        Self {
            id: token.id,
            user_key: user.clone(),
            user_name: user,
            project_key: project,
            repository_slug: repository,
            token_description: token.description.clone(),
            description: token.description,
            token_scope: token.scope.number(),
            created: token.created.as_millisecond(),
            created_by: token.created_by.map(String::from),
            last_accessed: token.last_used.map_or(0, |used| used.at.as_millisecond()),
            last_accessed_address: token
                .last_used
                .and_then(|used| used.from)
                .map(|address| address.to_string()),
            valid_until: token.expires.map_or(0, Timestamp::as_millisecond),
            parent: token.parent,
        }
    }
}

/// A page of tokens, in the order of their ids.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenList {
    pub(super) content: Vec<TokenItem>,
    /// The number of the page, from 0; left out when paging by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<i64>,
    /// The most items that a page of this list has.
    pub(super) limit: i64,
    /// How many tokens match; left out when paging by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_elements: Option<i64>,
    /// The highest id of a token on the server; 0 when there is none.
    pub(super) last_id: i64,
    /// On the first page by id: tokens that are gone while something that resulted from them may be there,
    /// each with the token that it was made with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ancestors: Vec<(i64, i64)>,
}

/// The number of a token in the store.
pub(super) fn number_of(held: &Held) -> Option<i64> {
    held.id.as_str().parse().ok()
}
