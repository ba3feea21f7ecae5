//! What a server would answer to a hypothetical request, and the settings that the answer rests on.
//! [`decide`] does the deciding.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{
    Credentials, Decision, DenialReason, GitRequest, Held, Operation, Request, TokenOwner, cells::origin,
    decide,
};
use crate::model::{
    ClientAddressSource, Permission, Question, Restriction, Scope, SettingKey, Settings, TokenId, TokenScope,
};

/// What a server would answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Why the request would not pass; `None` when it would.
    pub denied: Option<DenialReason>,
    /// The address of the client; `None` when it could not be found.
    pub client: Option<IpAddr>,
    /// The settings that it rests on: what refuses, or all that let it pass, in the order in which they are
    /// asked. None when the refusal lies in the request or in the directory.
    pub rests_on: Vec<SettingKey>,
}

/// What a server with `settings` would answer to `question` from `sender`, about a token for `owner`, when it is about one
/// for somebody else whom the directory knows. Projects and repositories have no password.
#[must_use]
pub fn answer(
    settings: &Settings,
    sender: &TokenOwner,
    owner: Option<&TokenOwner>,
    question: &Question,
) -> Answer {
    let (path, query) = question.path.split_once('?').unwrap_or((&question.path, ""));
    let request = Request {
        origin: origin(question.from, &question.headers, &settings.client_address),
        method: &question.method,
        path,
        credentials: credentials(sender, question.token),
        operation: match (question.creates, &question.creates_for) {
            (None, _) => entering(&question.method, path, query),
            (Some(scope), None) => Operation::CreateOwn { scope },
            (Some(scope), Some(_)) => Operation::CreateFor { owner: owner.cloned(), scope },
        },
        // The token never expires.
        at: Timestamp::MIN,
    };
    let denied = match decide(settings, &request) {
        Decision::Permit(_) => None,
        Decision::Denied(reason) => Some(reason),
    };
    Answer {
        denied,
        client: request.origin.client(&settings.client_address).ok(),
        rests_on: rests_on(question, denied, settings),
    }
}

/// What a request is that creates nothing: one of Git, or what its method says.
fn entering(method: &str, path: &str, query: &str) -> Operation {
    let segments: Vec<&str> = path.split('/').collect();
    let service = query.split('&').find_map(|pair| pair.strip_prefix("service="));
    let request = GitRequest::of(method, &segments, service);
    request.map_or(Operation::Enter, |request| Operation::Git { needs: request.needs() })
}

fn credentials(sender: &TokenOwner, token: Option<Scope>) -> Credentials {
    match (token, sender.person()) {
        (None, Some(person)) => Credentials::Password(person.clone()),
        (None, None) => Credentials::Invalid,
        (Some(scope), _) => Credentials::Token(Held {
            id: TokenId::new(""),
            owner: sender.clone(),
            scope: TokenScope::Set(scope),
            expires: None,
            restriction: Restriction::default(),
        }),
    }
}

fn rests_on(question: &Question, denied: Option<DenialReason>, settings: &Settings) -> Vec<SettingKey> {
    let is_found = settings.client_address != ClientAddressSource::Peer;
    let client = is_found.then_some(SettingKey::ClientAddress);
    match denied {
        Some(DenialReason::Network) => client.into_iter().chain([SettingKey::Networks]).collect(),
        Some(reason) => reason.settings().iter().take(1).copied().collect(),
        None => {
            let credential = match question.token {
                None => SettingKey::PasswordAuthentication,
                Some(_) => SettingKey::Permission(Permission::Use),
            };
            let creates = question.creates.map(|scope| {
                let may = match question.creates_for {
                    None => Permission::Create,
                    Some(_) => Permission::ManageOthers,
                };
                [Some(may), (scope == Scope::ReadWrite).then_some(Permission::CreateReadWrite)]
            });
            let creates = creates.into_iter().flatten().flatten().map(SettingKey::Permission);
            client.into_iter().chain([SettingKey::Networks, credential]).chain(creates).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Memberships, Person},
        model::{AllowedNetworks, GroupName, Holders, Owner, PasswordAuthentication},
    };

    fn question() -> Question {
        Question {
            sender: Owner::User("mary".into()),
            token: Some(Scope::ReadWrite),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            from: [192, 0, 2, 7].into(),
            headers: Vec::new(),
            creates: Some(Scope::ReadWrite),
            creates_for: None,
            groups: None,
        }
    }

    fn sender() -> TokenOwner {
        Person { name: "mary".into(), groups: Memberships::default(), active: true, administrator: false }
            .into()
    }

    #[test]
    fn a_project_has_no_password_and_is_let_in_by_its_token() {
        let settings = Settings::initial(GroupName::new("administrators"));
        let project = TokenOwner::Project("PLAT".to_owned());
        let denied = |token| {
            let question = Question { token, creates: None, ..question() };
            answer(&settings, &project, None, &question).denied
        };
        assert_eq!(denied(None), Some(DenialReason::InvalidCredentials));
        assert_eq!(denied(Some(Scope::ReadWrite)), None);
        assert_eq!(denied(Some(Scope::ReadOnly)), Some(DenialReason::Scope));
    }

    #[test]
    fn git_reads_and_writes_by_what_it_asks_for_and_not_by_its_method() {
        let settings = Settings::initial(GroupName::new("administrators"));
        let denied = |method: &str, path: &str| {
            let (method, path) = (method.to_owned(), format!("/scm/PLAT/app.git/{path}"));
            let question =
                Question { token: Some(Scope::ReadOnly), method, path, creates: None, ..question() };
            answer(&settings, &sender(), None, &question).denied
        };
        for (method, path) in [
            ("GET", "info/refs?service=git-upload-pack"),
            ("POST", "git-upload-pack"),
            ("GET", "info/lfs/locks"),
            ("GET", "HEAD"),
        ] {
            assert_eq!(denied(method, path), None, "{method} {path}");
        }
        for (method, path) in [
            ("GET", "info/refs?service=git-receive-pack"),
            ("GET", "info/refs?a=b&service=git-receive-pack"),
            ("POST", "git-receive-pack"),
            ("POST", "info/lfs/objects/batch"),
            ("POST", "info/lfs/locks/verify"),
            ("POST", "anything"),
        ] {
            assert_eq!(denied(method, path), Some(DenialReason::Scope), "{method} {path}");
        }
    }

    type Refusal<'a> = (SettingKey, &'a Question, fn(&mut Settings));

    #[test]
    fn every_setting_that_refuses_is_the_one_that_an_answer_rests_on() {
        let open = Settings::initial(GroupName::new("administrators"));
        let permission = SettingKey::Permission;
        let by_password = Question { token: None, ..question() };
        let refusals: [Refusal<'_>; 5] = [
            (SettingKey::Networks, &question(), |settings| {
                settings.networks =
                    AllowedNetworks::Only(["10.0.0.0/8".parse().unwrap()].into_iter().collect());
            }),
            (SettingKey::PasswordAuthentication, &by_password, |settings| {
                settings.password_authentication = PasswordAuthentication::disabled();
            }),
            (permission(Permission::Use), &question(), |settings| {
                settings.permissions.use_tokens = Holders::Nobody;
            }),
            (permission(Permission::Create), &question(), |settings| {
                settings.permissions.create = Holders::Nobody;
            }),
            (permission(Permission::CreateReadWrite), &question(), |settings| {
                settings.permissions.create_read_write = Holders::Nobody;
            }),
        ];
        for (key, question, close) in refusals {
            let before = answer(&open, &sender(), None, question);
            assert_eq!(before.denied, None, "{key:?}");
            assert!(before.rests_on.contains(&key), "{key:?} lets it pass");
            let mut closed = open.clone();
            close(&mut closed);
            let after = answer(&closed, &sender(), None, question);
            assert_eq!((after.denied.is_some(), after.rests_on), (true, vec![key]));
        }
    }
}
