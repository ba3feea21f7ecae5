//! The query of a listing of tokens: which tokens are asked for, and which page of them.

use std::collections::BTreeSet;

use super::{endpoint::Parameter, query::Parameters};
use crate::{
    model::{Owner, OwnerKind, TokenScope},
    serve::{
        problem::Problem,
        store::{Between, TokenFilter, TokenPage},
    },
};

const LIMIT_BY_DEFAULT: i64 = 50;
const LIMIT_AT_MOST: i64 = 1_000;
/// The most users that can be asked for at a time: each is a parameter of the query.
const OWNERS_AT_MOST: usize = 1_000;

/// The parameters that say which page is asked for.
pub(super) const PAGING: &[Parameter] = &[
    Parameter::number("page", "Number of the page, from 0", 0),
    Parameter::number("limit", "The most items a page has; 50 by default, 1000 at most", 1),
    Parameter::number("afterId", "Page by id: only ids greater than this. No total is counted then", 0),
    Parameter::number("untilId", "Page by id: only ids up to this one", 0),
];

/// The parameters that say which tokens are listed. Moments are milliseconds since 1970-01-01T00:00:00Z.
pub(super) const FILTER: &[Parameter] = &[
    Parameter::text("userFilter", "Only tokens of this user; may be repeated").repeated(),
    Parameter::text(
        "ownerKind",
        "Only of owners of this kind: `user`, `project` or `repository`; may be repeated; users when it is left out",
    )
    .words(&["user", "project", "repository"])
    .repeated(),
    Parameter::text("descriptionFilter", "Only with this in the description"),
    Parameter::moment("notValidAfter", "Only those that are not valid after this moment"),
    Parameter::text("tokenScope", "Only of this scope: 0 unset, 1 read-only, 2 read-write")
        .words(&["0", "1", "2"]),
    Parameter::moment("fromCreated", "Only created from this moment on"),
    Parameter::moment("untilCreated", "Only created until this moment"),
    Parameter::moment("fromLastUsed", "Only used last from this moment on"),
    Parameter::moment("untilLastUsed", "Only used last until this moment"),
    Parameter::moment("fromExpiresDuring", "Only expiring from this moment on"),
    Parameter::moment("untilExpiresDuring", "Only expiring until this moment"),
];

/// Which tokens are asked for.
pub(super) fn filter(parameters: &Parameters) -> Result<TokenFilter, Problem> {
    let owners: Vec<Owner> = parameters.all("userFilter").map(|user| Owner::User(user.into())).collect();
    if owners.len() > OWNERS_AT_MOST {
        return Err(Problem::bad_request(format!(
            "`userFilter` can be repeated {OWNERS_AT_MOST} times at most."
        )));
    }
    let between = |from, until| {
        Ok::<_, Problem>(Between { from: parameters.moment(from)?, until: parameters.moment(until)? })
    };
    Ok(TokenFilter {
        owners,
        owner_kinds: owner_kinds(parameters)?,
        description: parameters.one("descriptionFilter")?.map(str::to_owned),
        not_valid_after: parameters.moment("notValidAfter")?,
        scope: parameters.one("tokenScope")?.map(scope).transpose()?,
        created: between("fromCreated", "untilCreated")?,
        last_used: between("fromLastUsed", "untilLastUsed")?,
        expires: between("fromExpiresDuring", "untilExpiresDuring")?,
    })
}

/// Users alone, unless others are asked for: the app has no other owners, and its scripts expect none.
fn owner_kinds(parameters: &Parameters) -> Result<BTreeSet<OwnerKind>, Problem> {
    let asked: BTreeSet<OwnerKind> =
        parameters.all("ownerKind").map(owner_kind).collect::<Result<_, Problem>>()?;
    Ok(if asked.is_empty() { BTreeSet::from([OwnerKind::User]) } else { asked })
}

fn owner_kind(word: &str) -> Result<OwnerKind, Problem> {
    OwnerKind::ALL
        .into_iter()
        .find(|kind| kind.word() == word)
        .ok_or_else(|| Problem::bad_request("`ownerKind` takes `user`, `project` or `repository`."))
}

fn scope(text: &str) -> Result<TokenScope, Problem> {
    text.parse()
        .ok()
        .and_then(TokenScope::from_number)
        .ok_or_else(|| Problem::bad_request("`tokenScope` takes 0 (unset), 1 (read-only) or 2 (read-write)."))
}

/// A page of a listing, as it is asked for.
pub(super) struct TokenQuery {
    pub(super) page: TokenPage,
    /// Its number when pages are counted.
    pub(super) number: Option<i64>,
    pub(super) limit: i64,
}

/// Which page is asked for.
pub(super) fn page(parameters: &Parameters) -> Result<TokenQuery, Problem> {
    let limit = parameters.number("limit", 1)?.unwrap_or(LIMIT_BY_DEFAULT).min(LIMIT_AT_MOST);
    let number = parameters.number("page", 0)?;
    let (after, until) = (parameters.number("afterId", 0)?, parameters.number("untilId", 0)?);
    if after.is_none() && until.is_none() {
        let number = number.unwrap_or(0);
        let page = TokenPage::Offset { skip: number.saturating_mul(limit), limit };
        return Ok(TokenQuery { page, number: Some(number), limit });
    }
    if number.is_some() {
        return Err(Problem::bad_request("`page` cannot be combined with `afterId` and `untilId`."));
    }
    let page = TokenPage::After { after: after.unwrap_or(0), until: until.unwrap_or(i64::MAX), limit };
    Ok(TokenQuery { page, number: None, limit })
}
