//! The section `permissions`: who holds each permission, and the mistakes in it.

use crate::{
    model::{GroupName, Holders, Permission, SettingValue, permission::Groups},
    yaml::{
        Code, Diagnostic, Diagnostics,
        node::At,
        values::{empty_list, names, without_case},
    },
};

use super::{super::Sourced, sourced};

/// The holders of each permission, where they are managed.
pub(super) fn holders(root: &At<'_>, out: &mut Diagnostics) -> [Option<Sourced<SettingValue>>; 4] {
    let section = root.get("permissions");
    Permission::ALL.map(|permission| {
        let at = section.as_ref()?.get(permission.key())?;
        let holders = holders_of(permission, &at, out)?;
        Some(sourced(&at, SettingValue::Holders(permission, holders)))
    })
}

fn holders_of(permission: Permission, at: &At<'_>, out: &mut Diagnostics) -> Option<Holders> {
    match at.text() {
        Some("everyone") if permission == Permission::ManageOthers => {
            let message = "`everyone` cannot manage the tokens of others";
            out.push(
                Diagnostic::error(Code::EveryoneManages, at.span(), at.path.as_str(), message)
                    .help("list groups, or write `nobody`"),
            );
            None
        }
        Some("everyone") => Some(Holders::Everyone),
        Some("nobody") => Some(Holders::Nobody),
        Some(_) => None,
        None if at.is_empty_list() => {
            let help = match permission {
                Permission::ManageOthers => "write `nobody`, or list at least one group",
                _ => "write `nobody` or `everyone`, or list at least one group",
            };
            let mistake = empty_list(at, Code::EmptyGroups, "groups", help);
            out.push(mistake.replace_by("nobody"));
            None
        }
        None => groups(at, out).map(Holders::Groups),
    }
}

/// The groups of a list; `None` when none of its entries can be read.
pub(super) fn groups(at: &At<'_>, out: &mut Diagnostics) -> Option<Groups> {
    Groups::new(names(at, Code::DuplicateGroup, without_case, out).into_iter().map(GroupName::new))
}
