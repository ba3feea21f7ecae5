//! A policy that asks for exactly the settings of a server.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::model::{
    AddressSet, AllowedNetworks, ClientAddressSource, GroupName, Limit, LimitText, SettingKey, SettingValue,
    Settings, limit::LimitDocument,
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
    let mut sections = SettingKey::ALL.map(Section::of).to_vec();
    sections.dedup();
    for section in sections {
        let keys = SettingKey::ALL.into_iter().filter(|key| Section::of(*key) == section);
        let manageable = keys.filter(|key| drafted.manageable.contains(key));
        let mut inner: Vec<String> = manageable.flat_map(|key| drafted.key(key)).collect();
        if section == Section::of(SettingKey::Limits) {
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

/// The section of a policy that a setting stands in; `None` for the root.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Section(Option<&'static str>);

impl Section {
    fn of(key: SettingKey) -> Self {
        Self(key.path().split_once('.').map(|(section, _)| section))
    }

    /// `inner` below the key of the section, with an empty line before. The key is a comment when all of
    /// `inner` is.
    fn around(self, inner: &[String]) -> Vec<String> {
        if inner.is_empty() {
            return Vec::new();
        }
        let Some(key) = self.0 else {
            return [String::new()].into_iter().chain(inner.iter().cloned()).collect();
        };
        let hidden = if inner.iter().all(|line| line.starts_with('#')) { "# " } else { "" };
        let inner = inner.iter().map(|line| format!("  {line}"));
        [String::new(), format!("{hidden}{key}:")].into_iter().chain(inner).collect()
    }
}

/// The lines of `key` without the section around it; none for limits that are not there.
fn value(settings: &Settings, key: SettingKey) -> Vec<String> {
    let name = key.path().rsplit('.').next().unwrap_or_default();
    match settings.value(key) {
        SettingValue::Networks(AllowedNetworks::Only(addresses)) => block(name, &networks(&addresses)),
        SettingValue::ClientAddress(ClientAddressSource::Header { name: header, trusted_proxies }) => {
            let proxies = list("trusted_proxies", &networks(&trusted_proxies));
            let inner = [format!("header: {}", scalar(header.as_str()))].into_iter().chain(proxies);
            below(name, inner)
        }
        SettingValue::Limits(limits) if limits.is_empty() => Vec::new(),
        SettingValue::Limits(limits) => {
            let head = "limits:                           # the first entry that matches the owner counts";
            [head.to_owned()].into_iter().chain(limits.iter().flat_map(limit)).collect()
        }
        value => written(name, &value.to_json()),
    }
}

/// `key` with the words of `value`.
fn written(key: &str, value: &Value) -> Vec<String> {
    match value {
        Value::String(word) => vec![format!("{key}: {}", scalar(word))],
        Value::Array(items) => list(key, &scalars(items.iter().filter_map(Value::as_str))),
        Value::Object(members) => below(key, members.iter().flat_map(|(key, value)| written(key, value))),
        other => vec![format!("{key}: {other}")],
    }
}

/// `key:` with `inner` below it.
fn below(key: &str, inner: impl IntoIterator<Item = String>) -> Vec<String> {
    let inner = inner.into_iter().map(|line| format!("  {line}"));
    [format!("{key}:")].into_iter().chain(inner).collect()
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

fn networks(addresses: &AddressSet) -> Vec<String> {
    addresses.pieces().iter().map(|piece| network(&piece.to_string())).collect()
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
