//! The reader of the app and its product. Silence is not taken for an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::{Arc, PoisonError},
};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use reqwest::Method;
use serde_json::Value;

use crate::{
    http::{self, HttpClient, HttpError, PagedList, RefusalKind, Versioned},
    inventory::{
        Caller, Capabilities, Coverage, Credential, Expiry, InventoryReader, Overview, People, ReadError,
        Server,
    },
    model::{GroupName, SettingKey, Settings, Token, TokenScope, UserName, mapping::SettingsMapping},
    targets::directory::{Members, Role, people},
};

use super::{
    Resolution,
    directory::{self, ProductUser},
    mapping,
    wire::DESCRIPTION,
};

/// Groups that are read at once.
const GROUPS_AT_ONCE: usize = 4;

type Cause = Box<dyn Error + Send + Sync>;

impl InventoryReader for Resolution {
    async fn overview(&self) -> Result<Overview, ReadError> {
        self.read_overview().await.map_err(self.cannot_read("settings"))
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let users = async { self.read_people().await.map_err(self.cannot_read("users")) };
        let members = async { self.read_members(groups).await.map_err(self.cannot_read("groups")) };
        let (mut users, members) = future::try_join(users, members).await?;
        let people = people(&mut users, |person| (&person.name, person.active), &self.named, members);
        self.keep_people(users);
        Ok(people)
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.read_tokens(each).await.map_err(self.cannot_read("tokens"))
    }
}

/// The settings, as far as they are mapped and shown to us.
struct Known {
    settings: Settings,
    unreadable: BTreeMap<SettingKey, String>,
}

impl Resolution {
    fn cannot_read<E: Into<Cause>>(&self, what: &'static str) -> impl FnOnce(E) -> ReadError {
        let server = self.shown.clone();
        move |cause| ReadError { what, server, cause: cause.into() }
    }

    /// Asks whether we are let in. The answer shows the clock of the server as well.
    pub(in crate::targets) async fn greet(&self) -> Result<(), ReadError> {
        directory::whoami(&self.client, self.options.product)
            .await
            .map(|_| ())
            .map_err(self.cannot_read("settings"))
    }

    async fn read_overview(&self) -> Result<Overview, Cause> {
        let product = self.options.product;
        // Whether we are let in at all comes first: the other answers say less clearly why not.
        let told = directory::whoami(&self.client, product).await?;
        let version = async { Ok::<_, Cause>(directory::version(&self.client, product).await?) };
        let (version, Known { settings, unreadable }) =
            future::try_join(version, self.read_settings()).await?;
        let (credential, user) = self.credential();
        let user = told.or(user);
        self.named.note(Role::Caller, user.clone());
        let groups = self.groups_of_ours(user.as_ref()).await?;
        let fields = self.options.settings.as_ref().map(|mapping| &mapping.fields);
        Ok(Overview {
            server: Server {
                url: self.shown.clone(),
                version,
                caller: Caller {
                    user,
                    groups,
                    administrator: false,
                    credential,
                    address: self.options.address,
                    peer: None,
                    behind: None,
                },
                administrators: None,
                calls: super::calls(product, self.options.settings.as_ref()),
                manageable: fields.into_iter().flat_map(BTreeMap::keys).copied().collect(),
                unreadable,
                forms: fields.map(mapping::forms).unwrap_or_default(),
                capabilities: Capabilities {
                    expiry: match self.options.marker {
                        Some(_) => Expiry::Mark { room: DESCRIPTION },
                        None => Expiry::WithoutKey,
                    },
                    narrows: false,
                    tokens_sent_as_passwords_are_passwords: false,
                    tokens_administer: true,
                    hides_tokens_of_deleted_users: false,
                },
                left_out: Vec::new(),
                settings_changed: None,
            },
            settings,
        })
    }

    /// What we prove to be somebody with, as far as it is known, and the user that goes with it.
    fn credential(&self) -> (Credential, Option<UserName>) {
        let user = match self.client.credential() {
            http::HttpCredential::Basic { user, .. } => Some(UserName::new(user.as_str())),
            http::HttpCredential::Bearer(_) => None,
        };
        let credential = match &self.options.token_id {
            // A token is one for the app also when it is sent as a password. How far it reaches is not
            // told; nothing that is planned here turns on it.
            Some(id) => Credential::Token { id: id.clone(), scope: TokenScope::Unset, expires: None },
            None if self.options.password => Credential::Password,
            None => Credential::Unidentified,
        };
        (credential, user)
    }

    /// The groups of `user`, which matter where permissions are managed. Where they are not shown, it is as
    /// if there were none: what could shut us out is refused then.
    async fn groups_of_ours(&self, user: Option<&UserName>) -> Result<BTreeSet<GroupName>, HttpError> {
        let fields = self.options.settings.iter().flat_map(|mapping| mapping.fields.keys());
        let manages = fields.copied().any(|key| matches!(key, SettingKey::Permission(_)));
        let Some(user) = user.filter(|_| manages) else { return Ok(BTreeSet::new()) };
        match directory::groups_of(&self.client, self.options.product, user).await {
            Err(error) if error.refusal().is_some() => Ok(BTreeSet::new()),
            groups => groups,
        }
    }

    async fn read_settings(&self) -> Result<Known, Cause> {
        let Some(mapping) = &self.options.settings else {
            return Ok(Known { settings: Settings::unrestricted(), unreadable: BTreeMap::new() });
        };
        match document(&self.client, mapping).await {
            Ok(document) => {
                let (settings, unreadable) = mapping::read(&mapping.fields, &document.body);
                Ok(Known { settings, unreadable })
            }
            Err(cause) => {
                let reason = cause.downcast_ref().and_then(|error| why_unreadable(error, mapping));
                let Some(reason) = reason else { return Err(cause) };
                let unreadable = mapping.fields.keys().map(|key| (*key, reason.clone())).collect();
                Ok(Known { settings: Settings::unrestricted(), unreadable })
            }
        }
    }

    /// The users, read again.
    pub(super) async fn read_people(&self) -> Result<PagedList<ProductUser>, Cause> {
        directory::people(&self.client, self.options.product).await
    }

    /// Keeps `people`, by whose keys tokens are found.
    pub(super) fn keep_people(&self, people: PagedList<ProductUser>) -> Arc<PagedList<ProductUser>> {
        let people = Arc::new(people);
        *self.people.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&people));
        people
    }

    async fn read_members(
        &self,
        groups: &BTreeSet<GroupName>,
    ) -> Result<Vec<(GroupName, Members)>, HttpError> {
        let groups = groups.iter().cloned().collect::<Vec<_>>();
        let product = self.options.product;
        stream::iter(groups.into_iter().map(|group| directory::members(&self.client, product, group)))
            .buffer_unordered(GROUPS_AT_ONCE)
            .try_collect()
            .await
    }
}

/// Why the document of the settings is not shown to us, in words; `None` when `error` says more than that.
fn why_unreadable(error: &HttpError, mapping: &SettingsMapping) -> Option<String> {
    let said = error.status()?;
    match error.refusal()? {
        RefusalKind::NotAccepted | RefusalKind::NotPermitted => Some(said.to_string()),
        RefusalKind::NotFound | RefusalKind::NotSupported => {
            let SettingsMapping { path, read, .. } = mapping;
            Some(format!("the server has no `{read} {path}`, which `settings` names: {said}"))
        }
        RefusalKind::TooMany | RefusalKind::NotEncrypted | RefusalKind::Other => None,
    }
}

/// The document of the settings, whole, with its version where the server tells one.
pub(super) async fn document(
    client: &HttpClient,
    mapping: &SettingsMapping,
) -> Result<Versioned<Value>, Cause> {
    let method: Method = mapping.read.parse()?;
    Ok(client.read::<Value>(method, &mapping.path, &[]).await?)
}
