//! One entry of `cases`, read as a case, or every mistake in it. Which rules and reasons there are is
//! checked later.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::{
    model::{LastUse, Owner, Question, Scope, Token, TokenId, TokenScope, UserName},
    yaml::{
        Code, Diagnostic, Diagnostics,
        node::{At, Value},
        values,
    },
};

use super::{
    CaseSubject, TestCase, TokenAction, WrittenWord,
    common::{Common, written},
    moment::{self, MomentForm, TestMoment},
};

/// The case at `at`; `None` when it has a mistake.
pub(super) fn read(at: &At<'_>, common: &Common<'_>, out: &mut Diagnostics) -> Option<TestCase> {
    let name = at.get("name").and_then(|at| values::said(&at, out));
    let now = match at.get("now") {
        Some(at) => moment::read(&at, MomentForm::Absolute, common.now, out).and_then(TestMoment::at),
        None => Some(common.now),
    };
    let reader = Reader { common, now: now.unwrap_or(common.now) };
    let subject = reader.subject(at, out);
    Some(TestCase { name: name?, place: at.key.place.clone(), now: now?, subject: subject? })
}

struct Reader<'a> {
    common: &'a Common<'a>,
    now: Timestamp,
}

impl Reader<'_> {
    fn subject(&self, at: &At<'_>, out: &mut Diagnostics) -> Option<CaseSubject> {
        let expect = at.get("expect");
        let expected = |key: &str| expect.as_ref().and_then(|at| at.get(key));
        let mut misplaced = |keys: &[Option<At<'_>>], with: &str| {
            for at in keys.iter().flatten() {
                let message = format!("this works only with `{with}`");
                out.push(
                    Diagnostic::error(Code::ConflictingKeys, at.key, at.path.as_str(), message)
                        .help("remove it"),
                );
            }
        };
        match (at.get("token"), at.get("request")) {
            (Some(token), None) => {
                misplaced(&[expected("decision")], "request");
                self.token_subject(&token, at, expect.as_ref(), out)
            }
            (None, Some(request)) => {
                let for_tokens = ["findings", "waived", "actions"].map(expected);
                misplaced(&for_tokens, "token");
                misplaced(&[at.get("others")], "token");
                let decision = expected("decision");
                if decision.is_none()
                    && let Some(expect) = &expect
                {
                    let message = "the key `decision` is missing";
                    out.push(
                        Diagnostic::error(Code::MissingKey, expect.key, expect.path.as_str(), message).help(
                            "add `decision: permit`, or the reason why not, such as `decision: network`",
                        ),
                    );
                }
                let request = self.request(&request, out);
                Some(CaseSubject::Request { request: Box::new(request?), decision: written(&decision?)? })
            }
            (Some(_), Some(_)) => {
                let message = "`token` and `request` cannot be used together";
                out.push(
                    Diagnostic::error(Code::ConflictingKeys, at.key, at.path.as_str(), message)
                        .help("split it into two cases"),
                );
                None
            }
            (None, None) => {
                let message = "a case needs `token` or `request`";
                out.push(
                    Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message)
                        .help("add `token:` to judge a token, or `request:` to decide on a request"),
                );
                None
            }
        }
    }

    fn token_subject(
        &self,
        token: &At<'_>,
        case: &At<'_>,
        expect: Option<&At<'_>>,
        out: &mut Diagnostics,
    ) -> Option<CaseSubject> {
        let expected = |key: &str| expect.and_then(|at| at.get(key));
        let rules = |key: &str, out: &mut Diagnostics| -> Vec<WrittenWord> {
            let Some(at) = expected(key) else { return Vec::new() };
            values::names(&at, Code::DuplicateEntry, str::to_owned, out);
            at.items().filter_map(|item| written(&item)).collect()
        };
        let judged = self.token(token, 1, out);
        let mut others = Vec::new();
        case.get("others").into_iter().for_each(|at| values::refuse_empty(&at, "others", out));
        for (index, at) in
            case.get("others").iter().flat_map(At::items).collect::<Vec<_>>().iter().enumerate()
        {
            others.push(self.token(at, index + 2, out));
        }
        let (findings, waived) = (rules("findings", out), rules("waived", out));
        let actions = expected("actions").map(|at| self.actions(&at, out)).unwrap_or_default();
        let others: Vec<Token> = others.into_iter().collect::<Option<_>>()?;
        let token = judged?;
        if let Some(same) = others.iter().find(|other| other.id == token.id) {
            let message = format!("duplicate token identifier `{}` in this case", same.id);
            out.push(
                Diagnostic::error(Code::DuplicateEntry, case.key, case.path.as_str(), message)
                    .help("give one of them another `id`"),
            );
        }
        Some(CaseSubject::Token { token: Box::new(token), others, findings, waived, actions })
    }

    /// The token at `at`, with what the file says of all tokens where it says nothing itself.
    fn token(&self, at: &At<'_>, number: usize, out: &mut Diagnostics) -> Option<Token> {
        let optional = |key: &str| at.get(key).or_else(|| self.common.token.as_ref()?.get(key));
        let required = |key: &str, out: &mut Diagnostics| {
            let found = optional(key);
            if found.is_none() && at.is_map() {
                let message = format!("the key `{key}` is missing");
                out.push(Diagnostic::error(Code::MissingKey, at.key, at.path.as_str(), message).help(
                    format!("add `{key}:` here, or for all tokens of the file under its own `token:`"),
                ));
            }
            found
        };
        let moment = |key: &str, form, out: &mut Diagnostics| {
            required(key, out).and_then(|at| moment::read(&at, form, self.now, out))
        };
        let id = match optional("id") {
            Some(at) => values::token_id(&at, out),
            None => Some(TokenId::new(number.to_string())),
        };
        let owner = required("owner", out).and_then(|at| self.owner(&at, out));
        let scope = required("scope", out).and_then(|at| match at.text()? {
            "unset" => Some(TokenScope::Unset),
            "unknown" => Some(TokenScope::Unknown),
            word => word.parse().ok().map(TokenScope::Set),
        });
        let created = moment("created", MomentForm::Relative, out);
        let expires = moment("expires", MomentForm::OrNever, out);
        let last_used = moment("last_used", MomentForm::OrNever, out);
        let from = optional("last_used_from").map(|at| address(&at, out));
        let owner = owner?;
        let created_by = optional("created_by").and_then(|at| at.text().map(UserName::from));
        Some(Token {
            id: id?,
            description: optional("description")
                .and_then(|at| at.text().map(str::to_owned))
                .unwrap_or_default(),
            scope: scope?,
            created: created?.at()?,
            created_by: created_by.or_else(|| owner.user().cloned()),
            last_used: last_used?.at().map(|at| LastUse { at, from: from.flatten() }),
            expires: expires?.at(),
            mark: None,
            owner,
        })
    }

    fn owner(&self, at: &At<'_>, out: &mut Diagnostics) -> Option<Owner> {
        let name = at.text()?;
        let owner = self.common.owner(name);
        if owner.is_none() {
            let message = format!("`{name}` is not an owner");
            out.push(
                Diagnostic::error(Code::BlankName, at.span(), at.path.as_str(), message).help(Owner::FORMS),
            );
        }
        owner
    }

    fn actions(&self, at: &At<'_>, out: &mut Diagnostics) -> Vec<TokenAction> {
        at.texts().filter_map(|(text, item)| self.action(text, &item, out)).collect()
    }

    fn action(&self, text: &str, at: &At<'_>, out: &mut Diagnostics) -> Option<TokenAction> {
        const WORDS: [&str; 5] = ["narrow", "expire", "revoke", "pending", "held-back"];
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let dated = moment::absolute(rest, self.now);
        let action = match (word, rest, dated) {
            ("narrow", "", _) => Some(TokenAction::Narrow),
            ("revoke", "", _) => Some(TokenAction::Revoke),
            ("held-back", "", _) => Some(TokenAction::HeldBack),
            ("expire", _, Some(at)) => Some(TokenAction::Expire(at)),
            ("pending", _, Some(until)) => Some(TokenAction::Pending(until)),
            _ => None,
        };
        if action.is_none() {
            let message = format!("unknown action `{text}`");
            let diagnostic = Diagnostic::error(Code::UnknownAction, at.span(), at.path.as_str(), message)
                .help("write `narrow`, `expire 2026-12-15`, `revoke`, `pending 2026-12-15` or `held-back`");
            let misspelt = !WORDS.contains(&word) && rest.is_empty();
            out.push(if misspelt { diagnostic.suggest(word, WORDS) } else { diagnostic });
        }
        action
    }

    fn request(&self, at: &At<'_>, out: &mut Diagnostics) -> Option<Question> {
        let text = |key: &str| at.get(key).and_then(|at| at.text().map(str::to_owned));
        let scope = |key: &str| text(key).and_then(|word| word.parse::<Scope>().ok());
        let by_password = at.get("password").is_some_and(|at| matches!(at.node.value, Value::Bool(true)));
        if let Some(scope) = at.get("scope").filter(|_| by_password) {
            let message = "`scope` works only with a token: a password has none";
            out.push(
                Diagnostic::error(Code::ConflictingKeys, scope.key, scope.path.as_str(), message)
                    .help("remove it"),
            );
        }
        let sender = at.get("owner").and_then(|at| self.sender(&at, out));
        let from = at.get("from").and_then(|at| address(&at, out));
        let headers = at.get("headers").map(|at| headers(&at, out)).unwrap_or_default();
        Some(Question {
            sender: sender?,
            token: (!by_password).then(|| scope("scope").unwrap_or(Scope::ReadWrite)),
            method: text("method").unwrap_or("GET".to_owned()).to_uppercase(),
            path: text("path").unwrap_or("/".to_owned()),
            from: from?,
            headers,
            creates: scope("creates"),
            creates_for: None,
            groups: None,
        })
    }

    /// Who sends a request: a user whom the directory of the file knows, a project or a repository.
    fn sender(&self, at: &At<'_>, out: &mut Diagnostics) -> Option<Owner> {
        let name = at.text()?;
        let owner = self.common.owner(name);
        if owner
            .as_ref()
            .is_some_and(|owner| owner.user().is_none_or(|user| self.common.users.contains_key(user)))
        {
            return owner;
        }
        let message = format!("unknown user `{name}`: not in `owners`");
        out.push(
            Diagnostic::error(Code::UnknownName, at.span(), at.path.as_str(), message)
                .help("add the user to `owners`: requests come from users in the directory")
                .suggest(name, self.common.names_near(name)),
        );
        None
    }
}

fn headers(at: &At<'_>, out: &mut Diagnostics) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    values::refuse_empty(at, "headers", out);
    for (line, item) in at.texts() {
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            let message = format!("`{line}` is not a header line");
            out.push(
                Diagnostic::error(Code::BadHeader, item.span(), item.path.as_str(), message)
                    .help("write name and value, such as `X-Forwarded-For: 192.0.2.7`"),
            );
        }
    }
    headers
}

fn address(at: &At<'_>, out: &mut Diagnostics) -> Option<IpAddr> {
    let help = "write one address, such as `192.0.2.7` or `2001:db8::7`";
    values::address(at, Code::BadAddress, help, out)
}
