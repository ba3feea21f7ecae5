//! One entry of `never` or `always`, read as a statement about all requests of a kind, or every mistake in it.

use jiff::Timestamp;

use crate::{
    model::{AddressSet, Holders, Scope},
    yaml::{Code, Diagnostic, Diagnostics, node::At, values},
};

use super::{CaseSubject, Statement, TestCase};

/// The statement at `at`, that its requests `always` pass or never do; `None` when it has a mistake.
pub(super) fn read(at: &At<'_>, always: bool, now: Timestamp, out: &mut Diagnostics) -> Option<TestCase> {
    let name = at.get("name").and_then(|at| values::said(&at, out));
    let text = |key: &str| at.get(key).and_then(|at| at.text().map(str::to_owned));
    let scope = |key: &str| text(key).and_then(|word| word.parse::<Scope>().ok());
    let mut groups = |key: &str| {
        let at = at.get(key)?;
        values::refuse_empty(&at, key, out);
        let names = values::names(&at, Code::DuplicateGroup, values::without_case, out);
        Some(Holders::of(names.into_iter().map(Into::into)))
    };
    let (in_groups, not_in_groups) = (groups("in_groups"), groups("not_in_groups"));
    let with = text("with");
    if let Some(scope) = at.get("scope").filter(|_| with.as_deref() == Some("password")) {
        let message = "`scope` works only with a token: a password has none";
        out.push(
            Diagnostic::error(Code::ConflictingKeys, scope.key, scope.path.as_str(), message)
                .help("remove it"),
        );
    }
    let holds = scope("holds");
    if let Some(held) = at.get("holds") {
        let others = ["from", "with", "method", "scope", "creates"].into_iter().filter_map(|key| at.get(key));
        for other in others.collect::<Vec<_>>() {
            let message = "`holds` is about tokens that exist, and this is about requests";
            out.push(
                Diagnostic::error(Code::ConflictingKeys, other.key, other.path.as_str(), message)
                    .help("remove one of them"),
            );
        }
        if always {
            let message = "`holds` works only in `never`";
            out.push(
                Diagnostic::error(Code::ConflictingKeys, held.key, held.path.as_str(), message)
                    .help("move the statement to `never`"),
            );
        }
    }
    let clients = at.get("from").map_or_else(AddressSet::everything, |at| clients(&at, out));
    let statement = Statement {
        always,
        clients,
        in_groups: in_groups.unwrap_or(Holders::Everyone),
        not_in_groups: not_in_groups.unwrap_or(Holders::Nobody),
        // Nobody is to get by with a password what no token gets.
        with_token: with.as_deref() != Some("password"),
        with_password: with.map_or(!always, |with| with == "password"),
        writes: text("method").map(|method| method == "write"),
        scope: scope("scope").unwrap_or(Scope::ReadWrite),
        creates: scope("creates"),
        holds,
    };
    let subject = CaseSubject::Statement(Box::new(statement));
    Some(TestCase { name: name?, place: at.key.place.clone(), now, subject })
}

/// The addresses that `from` means.
fn clients(at: &At<'_>, out: &mut Diagnostics) -> AddressSet {
    match (at.get("inside"), at.get("outside")) {
        (Some(inside), None) => addresses(&inside, "inside", out),
        (None, Some(outside)) => AddressSet::everything().difference(&addresses(&outside, "outside", out)),
        (Some(_), Some(_)) => {
            let message = "`inside` and `outside` cannot be used together";
            out.push(
                Diagnostic::error(Code::ConflictingKeys, at.key, at.path.as_str(), message)
                    .help("remove one of them"),
            );
            AddressSet::default()
        }
        (None, None) => AddressSet::everything(),
    }
}

fn addresses(at: &At<'_>, key: &str, out: &mut Diagnostics) -> AddressSet {
    values::refuse_empty(at, key, out);
    values::networks(at, None, out)
}
