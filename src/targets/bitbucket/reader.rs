//! The reader of Bitbucket. Silence is not taken for an answer: what the server does not show us is
//! missing, and an empty group is looked for by its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::PoisonError,
};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use reqwest::StatusCode;
use serde::de::IgnoredAny;

use crate::{
    http::{HttpError, PagedList},
    inventory::{
        Administrators, Caller, Capabilities, Coverage, Credential, Expiry, InventoryReader, Overview, Pace,
        People, ReadError, Server,
    },
    model::{GroupName, Owner, PasswordAuthentication, SettingKey, Token, UserName},
    targets::{
        directory::{Members, Role, people},
        let_in::not_let_in,
    },
};

use super::{
    Bitbucket, directory,
    passwords::{self, PasswordConfiguration},
    wire::{NAME, PASSWORDS, PROBE, User, version},
};

/// Groups that are read at once.
const GROUPS_AT_ONCE: usize = 4;

pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// What is known of the switch for passwords.
enum Passwords {
    Known(PasswordAuthentication),
    /// The server has no such switch.
    None,
    /// The server does not show it to us; what it said.
    Unreadable(String),
}

impl InventoryReader for Bitbucket {
    async fn overview(&self) -> Result<Overview, ReadError> {
        self.read_overview().await.map_err(self.cannot_read("settings"))
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let users = async { self.read_users().await.map_err(self.cannot_read("users")) };
        let members = async { self.read_members(groups).await.map_err(self.cannot_read("groups")) };
        let (mut users, members) = future::try_join(users, members).await?;
        let people = people(&mut users, |user| (&user.name, user.active), &self.named, members);
        *self.users.lock().unwrap_or_else(PoisonError::into_inner) = Some(users);
        Ok(people)
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.walk(each).await.map_err(self.cannot_read("tokens"))
    }

    async fn tokens_of(
        &self,
        owners: &BTreeSet<Owner>,
        each: &mut (dyn FnMut(Token) + Send),
    ) -> Result<Coverage, ReadError> {
        let left_out = self.left_out();
        let mut owners: Vec<_> = owners.iter().cloned().collect();
        owners.retain(|owner| !left_out.iter().any(|left_out| left_out.has(owner)));
        self.walk_of(owners.into_iter(), each).await.map_err(self.cannot_read("tokens"))
    }

    fn pace(&self) -> Option<Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Bitbucket {
    pub(super) fn cannot_read<E: Into<Cause>>(&self, what: &'static str) -> impl FnOnce(E) -> ReadError {
        let server = self.shown.clone();
        move |cause| ReadError { what, server, cause: cause.into() }
    }

    /// Asks whether we are let in. The answer shows the clock of the server as well.
    pub(in crate::targets) async fn greet(&self) -> Result<(), ReadError> {
        self.probe().await.map(|_| ()).map_err(self.cannot_read("settings"))
    }

    async fn read_overview(&self) -> Result<Overview, Cause> {
        // Whether we are let in at all comes first: the other answers say less clearly why not.
        let told = self.probe().await?;
        let (version, passwords, administrators) = future::try_join3(
            version(&self.client),
            self.read_passwords(),
            directory::administrators(&self.client),
        )
        .await?;
        let (credential, user) = self.credential();
        let user = told.or(user);
        // Anyone who may read the switch for passwords administers the server, which no token does, whosever
        // it is.
        let reads_switch = matches!(passwords, Passwords::Known(_));
        let credential = match credential {
            Credential::Unidentified if reads_switch => Credential::NoToken,
            credential => credential,
        };
        self.named.note(Role::Caller, user.clone());
        self.named.note(Role::Administrator, administrators.iter().flatten().cloned());
        let is_token = matches!(credential, Credential::Token { .. } | Credential::TokenAsPassword { .. });
        let is_listed =
            user.as_ref().zip(administrators.as_ref()).is_some_and(|(user, users)| users.contains(user));
        let administers = reads_switch || (is_listed && !is_token);
        *self.administers.lock().unwrap_or_else(PoisonError::into_inner) = Some(administers);
        let key = SettingKey::PasswordAuthentication;
        let (known, manageable, unreadable) = match passwords {
            Passwords::Known(known) => (known, BTreeSet::from([key]), BTreeMap::new()),
            Passwords::None => (PasswordAuthentication::Allowed, BTreeSet::new(), BTreeMap::new()),
            Passwords::Unreadable(reason) => {
                (PasswordAuthentication::Allowed, BTreeSet::from([key]), BTreeMap::from([(key, reason)]))
            }
        };
        Ok(Overview {
            server: Server {
                url: self.shown.clone(),
                version,
                caller: Caller {
                    user,
                    groups: BTreeSet::new(),
                    administrator: false,
                    credential,
                    address: self.options.address,
                    peer: None,
                    behind: None,
                },
                administrators: administrators
                    .map(|users| Administrators::Users(users.into_iter().collect())),
                calls: super::calls(&self.options.areas, &self.options.projects),
                manageable,
                unreadable,
                forms: BTreeMap::new(),
                capabilities: Capabilities {
                    expiry: match self.options.marker {
                        Some(_) => Expiry::Mark { room: NAME },
                        None => Expiry::WithoutKey,
                    },
                    narrows: true,
                    tokens_sent_as_passwords_are_passwords: true,
                    // Its tokens have permissions only on projects and repositories.
                    tokens_administer: false,
                    // Tokens are listed by user, and only of users who are listed.
                    hides_tokens_of_deleted_users: true,
                },
                left_out: self.left_out(),
                settings_changed: None,
            },
            settings: passwords::settings(known),
        })
    }

    /// Finds out whether we are let in, and whom the server takes us for, when it says so.
    async fn probe(&self) -> Result<Option<UserName>, Cause> {
        Ok(self.client.get::<IgnoredAny>(PROBE, &[("limit", "1")]).await.map_err(not_let_in)?.user)
    }

    async fn read_passwords(&self) -> Result<Passwords, HttpError> {
        match self.client.get::<PasswordConfiguration>(PASSWORDS, &[]).await {
            Ok(read) => Ok(Passwords::Known(read.body.read())),
            Err(error) => match error.status() {
                Some(StatusCode::NOT_FOUND) => Ok(Passwords::None),
                Some(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                    Ok(Passwords::Unreadable(status.to_string()))
                }
                _ => Err(error),
            },
        }
    }

    pub(super) async fn read_users(&self) -> Result<PagedList<User>, HttpError> {
        let users = directory::users(&self.client).await?;
        self.slugs.learn(&users.values);
        Ok(users)
    }

    /// The users, when they were read with the people just before.
    pub(super) fn take_users(&self) -> Option<PagedList<User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn read_members(
        &self,
        groups: &BTreeSet<GroupName>,
    ) -> Result<Vec<(GroupName, Members)>, HttpError> {
        let groups = groups.iter().cloned().collect::<Vec<_>>();
        stream::iter(groups.into_iter().map(|group| directory::members(&self.client, group)))
            .buffer_unordered(GROUPS_AT_ONCE)
            .try_collect()
            .await
    }
}
