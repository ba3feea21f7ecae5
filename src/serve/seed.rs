//! The import of a seed file: tokens and settings for a demonstration, in a new store only. The secrets of
//! the tokens are random and thrown away.

use std::{net::IpAddr, str::FromStr};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    model::{
        BadOwner, GroupName, LastUse, Owner, Period, Scope, Settings, TokenScope, TokenSecret, UserName,
        lifetime::BadPeriod,
        settings::{BadSettings, SettingsDocument},
    },
    yaml::plain,
};

use super::{
    live_settings::settings_text,
    random::{NoRandomness, random_bytes},
    store::{NewToken, Store, StoreError},
};

/// The keys of a seed file, and the word that is quoted beside them.
const KEYS: [&str; 12] = [
    "tokens",
    "settings",
    "owner",
    "description",
    "scope",
    "created",
    "expires",
    "last_used",
    "created_by",
    "ago",
    "from",
    "never",
];

/// The seed file, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `tokens`")]
struct SeedDocument {
    #[serde(default)]
    tokens: Vec<TokenDocument>,
    /// A settings document, whole or in part: the rest is as in a new store.
    settings: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a token: a mapping with `owner`")]
struct TokenDocument {
    /// `mary`, `project PLAT` or `repository PLAT/app`.
    owner: String,
    #[serde(default)]
    description: String,
    scope: ScopeWord,
    /// How long ago, such as `200d`.
    created: Period,
    /// `never`, `in 30d` or `10d ago`.
    expires: ExpiryText,
    last_used: LastUsedDocument,
    /// The user who owns it, when it is left out.
    created_by: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScopeWord {
    ReadOnly,
    ReadWrite,
    Unset,
}

impl From<ScopeWord> for TokenScope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::ReadOnly => Self::Set(Scope::ReadOnly),
            ScopeWord::ReadWrite => Self::Set(Scope::ReadWrite),
            ScopeWord::Unset => Self::Unset,
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
enum ExpiryText {
    Never,
    In(Period),
    Ago(Period),
}

impl TryFrom<String> for ExpiryText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let period = |text: &str| Period::from_str(text).map_err(|error: BadPeriod| error.to_string());
        if text == "never" {
            Ok(Self::Never)
        } else if let Some(rest) = text.strip_prefix("in ") {
            period(rest).map(Self::In)
        } else if let Some(rest) = text.strip_suffix(" ago") {
            period(rest).map(Self::Ago)
        } else {
            Err(format!("`{text}` is not an expiry; write `never`, `in 30d` or `10d ago`"))
        }
    }
}

impl ExpiryText {
    fn at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::In(period) => Some(period.after(now)),
            Self::Ago(period) => Some(period.before(now)),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`last_used` takes `never`, or a mapping with `ago` and `from`")]
enum LastUsedDocument {
    Word(NeverWord),
    Use(UseDocument),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NeverWord {
    Never,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct UseDocument {
    ago: Period,
    from: Option<IpAddr>,
}

/// A seed file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It is not written as a seed file is.
    #[error("the seed file cannot be read: {0}")]
    Form(String),
    /// A token in it belongs to nobody.
    #[error("the seed file has a token without a valid owner")]
    Owner(#[from] BadOwner),
    /// Its settings are not a part of a settings document.
    #[error("the settings in the seed file are not a settings document")]
    Document(#[from] serde_json::Error),
    /// Its settings say what cannot be enforced.
    #[error("the settings in the seed file cannot be enforced")]
    Settings(#[from] BadSettings),
    /// There are no random bytes for secrets.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The store failed; then nothing was seeded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts the tokens and the settings of the seed file `text` into `store`, in one step, when it has no
/// token and was never seeded; returns whether it did. Times in the file count from `now`. The settings
/// of a new store with these `administrators` hold where the file says nothing.
///
/// # Errors
///
/// When the file has a mistake or the store fails; then nothing was seeded.
pub async fn plant(
    store: &Store,
    text: &str,
    administrators: GroupName,
    now: Timestamp,
) -> Result<bool, SeedError> {
    let document: SeedDocument = plain::read(text, &KEYS).map_err(SeedError::Form)?;
    let initial = Settings::initial(administrators);
    store.begin_settings(&settings_text(&initial)?).await?;
    let settings = document.settings.map(|part| settings(&initial, part)).transpose()?;
    let tokens: Vec<NewToken> =
        document.tokens.into_iter().map(|written| token(written, now)).collect::<Result<_, _>>()?;
    Ok(store.seed(&tokens, settings.as_deref(), now).await?)
}

fn token(written: TokenDocument, now: Timestamp) -> Result<NewToken, SeedError> {
    let owner: Owner = written.owner.parse()?;
    let last_used = match written.last_used {
        LastUsedDocument::Word(NeverWord::Never) => None,
        LastUsedDocument::Use(used) => Some(LastUse { at: used.ago.before(now), from: used.from }),
    };
    Ok(NewToken {
        description: written.description,
        scope: written.scope.into(),
        created: written.created.before(now),
        created_by: written.created_by.map(UserName::new).or_else(|| owner.user().cloned()),
        owner,
        parent: None,
        last_used,
        expires: written.expires.at(now),
        secret_hash: TokenSecret::from_random(random_bytes()?).hash(),
        permissions: None,
    })
}

/// The text of the settings that are `initial` but for what `part` says.
fn settings(initial: &Settings, part: Value) -> Result<String, SeedError> {
    let mut whole = serde_json::to_value(SettingsDocument::from(initial))?;
    merge(&mut whole, part);
    let document: SettingsDocument = serde_json::from_value(whole)?;
    Ok(settings_text(&Settings::try_from(&document)?)?)
}

/// Lays `part` over `whole`: mappings key by key, everything else as a whole.
fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}
