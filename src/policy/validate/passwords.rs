//! The section `password_authentication`: whether passwords still work, and the mistakes in it.

use crate::{
    model::{PasswordAuthentication, UserName, settings::password::PasswordExceptions},
    yaml::{
        Code, Diagnostic, Diagnostics,
        node::At,
        scalar::scalar,
        values::{names, refuse_empty, without_case},
    },
};

use super::{super::Managed, Extent, managed};

/// Whether passwords still work.
pub(super) fn authentication(
    root: &At<'_>,
    extent: Extent,
    out: &mut Diagnostics,
) -> Managed<PasswordAuthentication> {
    let Some(at) = root.get("password_authentication") else {
        return Managed::Unmanaged;
    };
    if at.is_map() {
        let value = with_exceptions(&at, extent, out);
        return managed(&at, value);
    }
    let value = match at.text() {
        Some("allowed") => Some(PasswordAuthentication::Allowed),
        Some("disabled") => Some(PasswordAuthentication::disabled()),
        _ => None,
    };
    managed(&at, value)
}

fn with_exceptions(at: &At<'_>, extent: Extent, out: &mut Diagnostics) -> Option<PasswordAuthentication> {
    let users = exceptions(at, "except_users", without_case, out);
    let paths = exceptions(at, "except_paths", str::to_owned, out);
    if let Some(list) = at.get("except_paths") {
        report_odd_paths(&list, out);
    }
    let state = at.get("state");
    let exception = ["except_users", "except_paths"].iter().find_map(|key| at.get(key));
    match (state.as_ref().map(At::text), exception) {
        (Some(Some("disabled")), _) => Some(PasswordAuthentication::Disabled(PasswordExceptions {
            users: users.into_iter().map(UserName::new).collect(),
            paths: paths.into_iter().map(str::to_owned).collect(),
        })),
        (Some(Some("allowed")), None) => Some(PasswordAuthentication::Allowed),
        (Some(Some("allowed")), Some(exception)) => {
            out.push(without_disabled(&exception));
            None
        }
        (None, Some(exception)) if extent == Extent::Whole => {
            out.push(without_disabled(&exception));
            None
        }
        (None, None) if extent == Extent::Whole => {
            let message = "the key `state` is missing";
            out.push(
                Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message)
                    .help("write `allowed` or `disabled`"),
            );
            None
        }
        _ => None,
    }
}

fn without_disabled(exception: &At<'_>) -> Diagnostic {
    let message = "exceptions work only with `state: disabled`";
    Diagnostic::error(Code::ExceptionsWithoutState, exception.key, exception.path.as_str(), message)
        .help("write `state: disabled` beside it, or remove the exceptions")
}

fn exceptions<'a>(at: &At<'a>, key: &str, same: fn(&str) -> String, out: &mut Diagnostics) -> Vec<&'a str> {
    let Some(list) = at.get(key) else {
        return Vec::new();
    };
    refuse_empty(&list, key, out);
    names(&list, Code::DuplicateEntry, same, out)
}

/// Reports paths that no request can have.
fn report_odd_paths(list: &At<'_>, out: &mut Diagnostics) {
    for (path, at) in
        list.texts().filter(|(path, _)| !path.trim().is_empty() && !path.starts_with(['/', '*']))
    {
        let message = format!("no request path can start like `{path}`");
        out.push(
            Diagnostic::error(Code::BadPath, at.span(), at.path.as_str(), message)
                .replace_by(scalar(&format!("/{path}"))),
        );
    }
}
