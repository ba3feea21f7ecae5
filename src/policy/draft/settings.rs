//! A policy that asks for exactly the settings of a server.

use std::{collections::BTreeSet, sync::Arc};

use crate::model::{
    AllowedNetworks, ClientAddressSource, GroupName, Holders, Limit, LimitText, PasswordAuthentication,
    SettingKey, Settings, UserName, limit::LimitDocument, network::AddressRange,
};

use super::{
    super::{Policy, read},
    yaml::{block, is_seen, list, network, quoted, scalar},
};

/// What a new policy does about tokens.
const REPORT: [&str; 2] =
    ["enforcement:", "  default: report                 # findings are reported, nothing is changed"];

/// What a policy is drafted from.
#[derive(Clone, Copy, Debug)]
pub struct Drafted<'a> {
    /// What it is about, in one line.
    pub heading: &'a str,
    /// The settings as they are.
    pub settings: &'a Settings,
    /// The settings that the server can hold.
    pub manageable: &'a BTreeSet<SettingKey>,
    /// Groups that the settings name and the server does not know: a policy that names them is held back.
    pub unknown: &'a BTreeSet<GroupName>,
}

/// The text of a policy that asks for what the server has, and only reports what it finds on tokens.
///
/// A key that cannot be asked for is in a comment, with the reason.
#[must_use]
pub fn settings(drafted: &Drafted<'_>) -> String {
    let mut lines = vec![format!("# {}", one_line(drafted.heading)), "version: 1".to_owned()];
    for section in [Section::Permissions, Section::Network, Section::Root, Section::Tokens] {
        let keys = SettingKey::ALL.into_iter().filter(|key| Section::of(*key) == section);
        let manageable = keys.filter(|key| drafted.manageable.contains(key));
        let mut inner: Vec<String> = manageable.flat_map(|key| drafted.key(key)).collect();
        if section == Section::Tokens {
            inner.extend(REPORT.map(str::to_owned));
        }
        lines.extend(section.around(&inner));
    }
    lines.join("\n") + "\n"
}

impl Drafted<'_> {
    /// The lines of `key`; as comments when a policy cannot ask for it.
    fn key(&self, key: SettingKey) -> Vec<String> {
        let lines = value(self.settings, key);
        if lines.is_empty() {
            return vec!["# The server has no limits on new tokens.".to_owned()];
        }
        let unknown = self.settings.groups_of(key).find(|group| self.unknown.contains(*group));
        let obstacle = match unknown {
            Some(group) => format!("The server does not know the group {}:", quoted(group.as_str())),
            None if !reads_back(self.settings, key, &lines) => "A policy cannot express this:".to_owned(),
            None => return lines,
        };
        [obstacle].into_iter().chain(lines).map(|line| format!("# {line}")).collect()
    }
}

/// Where in a policy a setting stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Permissions,
    Network,
    Root,
    Tokens,
}

impl Section {
    fn of(key: SettingKey) -> Self {
        match key {
            SettingKey::Permission(_) => Self::Permissions,
            SettingKey::Networks | SettingKey::ClientAddress => Self::Network,
            SettingKey::PasswordAuthentication => Self::Root,
            SettingKey::Limits => Self::Tokens,
        }
    }

    /// `inner` below the key of the section, with an empty line before. The key is a comment when all of
    /// `inner` is.
    fn around(self, inner: &[String]) -> Vec<String> {
        let key = match self {
            _ if inner.is_empty() => return Vec::new(),
            Self::Root => return [String::new()].into_iter().chain(inner.iter().cloned()).collect(),
            Self::Permissions => "permissions:",
            Self::Network => "network:",
            Self::Tokens => "tokens:",
        };
        let hidden = if inner.iter().all(|line| line.starts_with('#')) { "# " } else { "" };
        let inner = inner.iter().map(|line| format!("  {line}"));
        [String::new(), format!("{hidden}{key}")].into_iter().chain(inner).collect()
    }
}

/// The lines of `key` without the section around it; none for limits that are not there.
fn value(settings: &Settings, key: SettingKey) -> Vec<String> {
    match key {
        SettingKey::Permission(permission) => holders(permission.key(), settings.permissions.of(permission)),
        SettingKey::Networks => match &settings.networks {
            AllowedNetworks::Anywhere => vec!["allow: anywhere".to_owned()],
            AllowedNetworks::Only(addresses) => block("allow", &networks(&addresses.pieces())),
        },
        SettingKey::ClientAddress => match &settings.client_address {
            ClientAddressSource::Peer => vec!["client_address: peer".to_owned()],
            ClientAddressSource::Header { name, trusted_proxies } => {
                let mut lines =
                    vec!["client_address:".to_owned(), format!("  header: {}", scalar(name.as_str()))];
                let proxies = list("trusted_proxies", &networks(&trusted_proxies.pieces()));
                lines.extend(proxies.iter().map(|line| format!("  {line}")));
                lines
            }
        },
        SettingKey::PasswordAuthentication => passwords(&settings.password_authentication),
        SettingKey::Limits if settings.limits.is_empty() => Vec::new(),
        SettingKey::Limits => {
            let head = "limits:                           # the first entry that matches the owner counts";
            [head.to_owned()].into_iter().chain(settings.limits.iter().flat_map(limit)).collect()
        }
    }
}

fn holders(key: &str, holders: &Holders) -> Vec<String> {
    match holders {
        Holders::Everyone | Holders::Nobody => vec![format!("{key}: {holders}")],
        Holders::Groups(groups) => list(key, &scalars(groups.iter().map(GroupName::as_str))),
    }
}

fn passwords(passwords: &PasswordAuthentication) -> Vec<String> {
    let key = "password_authentication:";
    let except = match passwords {
        PasswordAuthentication::Allowed => return vec![format!("{key} allowed")],
        PasswordAuthentication::Disabled(except) => except,
    };
    let users = scalars(except.users.iter().map(UserName::as_str));
    let paths = scalars(except.paths.iter().map(String::as_str));
    let mut lines = vec![key.to_owned(), "  state: disabled".to_owned()];
    for (key, items) in [("except_users", users), ("except_paths", paths)] {
        if !items.is_empty() {
            lines.extend(list(key, &items).iter().map(|line| format!("  {line}")));
        }
    }
    if lines.len() == 2 { vec![format!("{key} disabled")] } else { lines }
}

/// One entry of the limits, as an item of a list.
fn limit(limit: &Limit) -> Vec<String> {
    let LimitDocument { groups, owner_kind, projects, .. } = LimitDocument::from(limit);
    let texts = |key: &str, texts: Option<&Vec<String>>| {
        texts.map_or_else(Vec::new, |texts| list(key, &scalars(texts.iter().map(String::as_str))))
    };
    let kinds = owner_kind.map(|kinds| kinds.iter().map(|kind| kind.word().to_owned()).collect());
    let mut keys = texts("groups", groups.as_ref());
    keys.extend(texts("owner_kind", kinds.as_ref()));
    keys.extend(texts("projects", projects.as_ref()));
    keys.extend(limit.texts().map(|(key, text)| match text {
        LimitText::Plain(text) => format!("{key}: {text}"),
        LimitText::Written(text) => format!("{key}: {}", scalar(&text)),
    }));
    if keys.is_empty() {
        keys.push("{}".to_owned());
    }
    let lead = |index| if index == 0 { "  - " } else { "    " };
    keys.iter().enumerate().map(|(index, line)| format!("{}{line}", lead(index))).collect()
}

fn scalars<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    texts.map(scalar).collect()
}

fn networks(pieces: &[AddressRange]) -> Vec<String> {
    pieces.iter().map(|piece| network(&piece.to_string())).collect()
}

/// Whether `lines` are read as asking for what `settings` have for `key`.
fn reads_back(settings: &Settings, key: SettingKey, lines: &[String]) -> bool {
    let text =
        ["version: 1".to_owned()].into_iter().chain(Section::of(key).around(lines)).collect::<Vec<_>>();
    let policy = read(&[(Arc::from("draft"), text.join("\n").into_bytes())]).policy;
    policy.is_some_and(|policy| asks_for(&policy, settings, key))
}

fn asks_for(policy: &Policy, settings: &Settings, key: SettingKey) -> bool {
    policy.wanted(key).is_some_and(|wanted| wanted.value == settings.value(key))
}

/// `text` without line ends and other characters that a comment should not have.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_seen(c) { c } else { ' ' }).collect()
}
