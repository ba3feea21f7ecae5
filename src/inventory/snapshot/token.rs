//! The record of a token in a snapshot. It is read without copies: nearly all lines of a snapshot are tokens.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{LastUse, Mark, Owner, OwnerKind, OwnerMark, Scope, Token, TokenId, TokenScope};

use super::{names::Names, record::BadRecord};

/// A token; never its secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct TokenRecord<'a> {
    /// Its kind, when that was not looked at before.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    record: Option<TokenKind>,
    /// Its identifier.
    #[serde(borrow)]
    #[schemars(with = "String")]
    id: Text<'a>,
    /// Whose it is: the name of a user, otherwise as plans show owners: `project PLAT`, `repository PLAT/app`.
    #[serde(borrow)]
    #[schemars(with = "String")]
    owner: Text<'a>,
    /// The kind of owner.
    owner_kind: OwnerKind,
    /// What people wrote to tell it from others.
    #[serde(borrow)]
    #[schemars(with = "String")]
    description: Text<'a>,
    /// How far it reaches.
    scope: ScopeRecord,
    /// When it was made, UTC, RFC 3339.
    #[schemars(with = "String")]
    created: Timestamp,
    /// Who made it, where the server tells.
    #[serde(borrow)]
    #[schemars(with = "Option<String>")]
    created_by: Option<Text<'a>>,
    /// When it was used last, UTC, RFC 3339; null when never.
    #[schemars(with = "Option<String>")]
    last_used: Option<Timestamp>,
    /// From which address, where the server tells.
    #[schemars(with = "Option<String>")]
    last_used_from: Option<IpAddr>,
    /// Its expiry, UTC, RFC 3339; null when it never expires.
    #[schemars(with = "Option<String>")]
    expires: Option<Timestamp>,
    /// The deadline that an earlier run marked it with.
    mark: Option<MarkRecord>,
}

/// The deadline of a token on a server that cannot set an expiry.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct MarkRecord {
    /// From when on a run revokes it, UTC, RFC 3339.
    #[schemars(with = "String")]
    until: Timestamp,
    /// The day written in the description, UTC, RFC 3339; null when somebody took it off.
    #[schemars(with = "Option<String>")]
    shown: Option<Timestamp>,
}

/// The scope of a token.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeRecord {
    /// The token is older than scopes.
    Unset,
    /// It reads.
    ReadOnly,
    /// It writes.
    ReadWrite,
    /// The server does not say it.
    Unknown,
}

/// The kind of the records of tokens.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TokenKind {
    Token,
}

/// A text that is read without a copy where it has no escapes.
#[derive(Debug, Serialize, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl From<TokenScope> for ScopeRecord {
    fn from(scope: TokenScope) -> Self {
        match scope {
            TokenScope::Unset => Self::Unset,
            TokenScope::Set(Scope::ReadOnly) => Self::ReadOnly,
            TokenScope::Set(Scope::ReadWrite) => Self::ReadWrite,
            TokenScope::Unknown => Self::Unknown,
        }
    }
}

impl From<ScopeRecord> for TokenScope {
    fn from(record: ScopeRecord) -> Self {
        match record {
            ScopeRecord::Unset => Self::Unset,
            ScopeRecord::ReadOnly => Self::Set(Scope::ReadOnly),
            ScopeRecord::ReadWrite => Self::Set(Scope::ReadWrite),
            ScopeRecord::Unknown => Self::Unknown,
        }
    }
}

impl<'a> From<&'a Token> for TokenRecord<'a> {
    fn from(token: &'a Token) -> Self {
        let text = |text: &'a str| Text(Cow::Borrowed(text));
        Self {
            record: None,
            id: text(token.id.as_str()),
            owner: Text(token.owner.recorded()),
            owner_kind: token.owner.kind(),
            description: text(&token.description),
            scope: token.scope.into(),
            created: token.created,
            created_by: token.created_by.as_ref().map(|user| text(user.as_str())),
            last_used: token.last_used.map(|last| last.at),
            last_used_from: token.last_used.and_then(|last| last.from),
            expires: token.expires,
            mark: token.mark.map(|mark| MarkRecord { until: mark.until, shown: mark.shown }),
        }
    }
}

impl TokenRecord<'_> {
    /// Whether it was looked at that it is the record of a token.
    pub(super) fn says_its_kind(&self) -> bool {
        self.record.is_some()
    }

    /// The token, with the names of users from `names`.
    pub(super) fn token(self, names: &mut Names) -> Result<Token, BadRecord> {
        let owner = match self.owner_kind {
            OwnerKind::User => Some(Owner::User(names.user(&self.owner.0))),
            kind => Owner::of_record(kind, &self.owner.0),
        };
        Ok(Token {
            id: TokenId::new(self.id.0),
            owner: owner.ok_or_else(|| BadRecord::Owner(self.owner.0.into_owned(), self.owner_kind))?,
            description: self.description.0.into_owned(),
            scope: self.scope.into(),
            created: self.created,
            created_by: self.created_by.map(|Text(user)| names.user(&user)),
            last_used: self.last_used.map(|at| LastUse { at, from: self.last_used_from }),
            expires: self.expires,
            mark: self.mark.map(|mark| Mark { until: mark.until, shown: mark.shown }),
        })
    }
}

/// Whose a token is, of all that its record says.
#[derive(Deserialize)]
pub(super) struct OwnerRecord<'a> {
    #[serde(rename = "record")]
    _record: TokenKind,
    #[serde(borrow)]
    owner: Text<'a>,
    owner_kind: OwnerKind,
}

impl<'a> OwnerRecord<'a> {
    /// Whose token the record in `line` is of; `None` when it is not a record of a token.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        Self::of_beginning(line).or_else(|| serde_json::from_slice(line).ok())
    }

    /// What the beginning of `line` says when it is written as this program writes one. A full read of the rest
    /// finds no other owner there: a line with a duplicate key is not a record.
    fn of_beginning(line: &'a [u8]) -> Option<Self> {
        let (_, rest) = plain_text(line.strip_prefix(br#"{"record":"token","id":""#)?)?;
        let (owner, rest) = plain_text(rest.strip_prefix(br#","owner":""#)?)?;
        rest.strip_prefix(br#","owner_kind":"user","#)?;
        let owner = Text(Cow::Borrowed(str::from_utf8(owner).ok()?));
        Some(Self { _record: TokenKind::Token, owner, owner_kind: OwnerKind::User })
    }

    /// The mark of the owner; `None` when it is none of its kind.
    pub(super) fn owner_mark(&self) -> Option<OwnerMark> {
        match self.owner_kind {
            OwnerKind::User => Some(OwnerMark::of_user(&self.owner.0)),
            kind => Owner::of_record(kind, &self.owner.0).map(|owner| owner.mark()),
        }
    }
}

/// The text before the next quotation mark, and what comes after that; `None` when it has escapes.
fn plain_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let (text, rest) = bytes.split_at(end);
    Some((text, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::OwnerRecord;

    #[test]
    fn the_beginning_of_a_line_tells_the_owner_whom_the_whole_line_tells() {
        let beginning = r#"{"record":"token","id":"#;
        let ends = [
            r#""1","owner":"mary","owner_kind":"user","description":"x"}"#,
            r#""1","owner":"m\u0061ry","owner_kind":"user","description":"x"}"#,
            r#""\"","owner":"\"mary","owner_kind":"user","description":"\"owner\":\"sam\""}"#,
            r#""","owner":"","owner_kind":"user","description":""}"#,
            r#""1","owner":"project PLAT","owner_kind":"project","description":"x"}"#,
            r#""1" , "owner":"mary","owner_kind":"user"}"#,
            r#""1","owner_kind":"user","owner":"mary"}"#,
            r#""1","owner":"Ülrich 💡","owner_kind":"user","created_by":"sam"}"#,
            r#""1","owner":"mary"}"#,
            r#""1","owner":7,"owner_kind":"user"}"#,
        ];
        for end in ends {
            let line = format!("{beginning}{end}");
            let told = |record: Option<OwnerRecord<'_>>| {
                record.map(|record| (record.owner.0.into_owned(), record.owner_kind))
            };
            let whole = told(serde_json::from_str(&line).ok());
            assert_eq!(told(OwnerRecord::read(line.as_bytes())), whole, "{line}");
        }
    }

    #[test]
    fn the_beginning_of_a_line_is_enough_as_this_program_writes_it() {
        let line =
            br#"{"record":"token","id":"000000000007","owner":"mary","owner_kind":"user","description":"x"}"#;
        assert!(OwnerRecord::of_beginning(line).is_some());
    }
}
