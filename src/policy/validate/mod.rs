//! The meaning of one layer or of all layers merged, as a [`Policy`], and every mistake of meaning. A value
//! of the wrong type was reported before and is skipped here, so that it hides no mistake elsewhere.

mod enforcement;
mod limits;
mod network;
mod passwords;
mod permissions;
mod rules;
pub(crate) mod waivers;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    model::SettingValue,
    yaml::{
        Diagnostics,
        node::{At, Node},
    },
};

use super::{Managed, OwnRule, Policy, Sourced};

/// How much of the policy the tree holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One layer of several: keys that belong together may be in another one.
    Layer,
    /// All of it.
    Whole,
}

/// What the tree means. The answer counts only when no error was found in it. `read` are rules that were read before:
/// the expression of one is not read again.
pub(crate) fn policy(root: &Node, extent: Extent, read: &[&Arc<OwnRule>], out: &mut Diagnostics) -> Policy {
    let root_at = At::root(root);
    let network = root_at.get("network");
    let tokens = root_at.get("tokens");
    let (networks, network_names) = network::allowed(network.as_ref(), out);
    let (rules, known) = rules::entries(tokens.as_ref(), read, out);
    let policy = Policy {
        settings: permissions::holders(&root_at, out)
            .into_iter()
            .chain([
                networks.into_setting(SettingValue::Networks),
                network::client_address(network.as_ref(), extent, out)
                    .into_setting(SettingValue::ClientAddress),
                passwords::authentication(&root_at, extent, out)
                    .into_setting(SettingValue::PasswordAuthentication),
            ])
            .flatten()
            .map(|set| (set.value.key(), set))
            .collect(),
        network_names,
        limits: limits::entries(tokens.as_ref(), out),
        enforcement: enforcement::actions(tokens.as_ref(), &known, extent, out),
        waivers: waivers::entries(&root_at, &known, extent, out),
        rules,
        canonical: if extent == Extent::Whole { root.canonical() } else { String::new() },
    };
    if extent == Extent::Whole {
        limits::warn_of_useless_grants(&policy, &root_at, out);
    }
    policy
}

/// `value` with the place of the key that it belongs to.
fn sourced<T>(at: &At<'_>, value: T) -> Sourced<T> {
    Sourced { value, place: at.key.place.clone() }
}

/// The value of a managed key, when it could be read.
fn managed<T>(at: &At<'_>, value: Option<T>) -> Managed<T> {
    value.map_or(Managed::Unmanaged, |value| Managed::Set(sourced(at, value)))
}

/// The entries of a list that grows with every layer, each with the path that it has in its own file.
fn items_in_their_files<'a>(at: &At<'a>) -> Vec<At<'a>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let own_path = |item: At<'a>| {
        let count = counts.entry(&item.node.span.place.file).or_default();
        let path = at.path.item(*count);
        *count += 1;
        At { path, ..item }
    };
    at.items().map(own_path).filter(At::is_map).collect()
}
