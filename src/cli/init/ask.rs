//! The questions that `init` asks at a terminal about a server that its flags leave open.

use std::io::{self, BufRead, IsTerminal as _};

use clap::ValueEnum as _;

use super::repository::Kind;
use crate::cli::base_url::base_url;

/// Nobody answered.
#[derive(Debug, thiserror::Error)]
#[error("no answer; name the server with `--target` and `--url`")]
pub(super) struct NoAnswer(#[source] Option<io::Error>);

/// Whether there is somebody to ask.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What is not given yet, of the kind and the address of the server, as the lines of `answers` say; `None` for a server
/// inside the program. Each question goes to `say`.
///
/// # Errors
///
/// When the answers end before every question has a valid one.
pub(super) fn server(
    kind: Option<Kind>,
    url: Option<String>,
    mut answers: impl BufRead,
    say: impl Fn(&str),
) -> Result<Option<(Kind, String)>, NoAnswer> {
    let may_be_trial = kind.is_none() && url.is_none();
    let kind = if kind.is_some() {
        kind
    } else {
        let trial =
            if may_be_trial { "\n(or Enter, to try things on a server inside the program)" } else { "" };
        let question = format!("Which server: gateway, bitbucket or resolution{trial}: ");
        ask(&question, &mut answers, &say, |answer| match Kind::from_str(answer, false) {
            Ok(kind) => Ok(Some(kind)),
            Err(_) if answer.is_empty() && may_be_trial => Ok(None),
            Err(_) => Err(format!("`{answer}` is none of these")),
        })?
    };
    let Some(kind) = kind else { return Ok(None) };
    let url = match url {
        Some(url) => url,
        None => ask("Its address, e.g. https://bitbucket.example.com: ", &mut answers, &say, base_url)?,
    };
    Ok(Some((kind, url)))
}

/// Asks `question` until there is an answer that can be read.
fn ask<T>(
    question: &str,
    answers: &mut impl BufRead,
    say: &impl Fn(&str),
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, NoAnswer> {
    loop {
        say(question);
        let mut line = String::new();
        if answers.read_line(&mut line).map_err(|error| NoAnswer(Some(error)))? == 0 {
            return Err(NoAnswer(None));
        }
        match read(line.trim()) {
            Ok(answer) => return Ok(answer),
            Err(problem) => say(&format!("{problem}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{Kind, server};

    /// What becomes of `answers`, and what was said.
    fn asked(
        kind: Option<Kind>,
        url: Option<&str>,
        answers: &str,
    ) -> (Result<Option<(Kind, String)>, String>, String) {
        let said = RefCell::new(String::new());
        let say = |text: &str| said.borrow_mut().push_str(text);
        let found = server(kind, url.map(str::to_owned), answers.as_bytes(), say);
        (found.map_err(|error| error.to_string()), said.into_inner())
    }

    #[test]
    fn only_what_is_missing_is_asked_and_a_wrong_answer_is_asked_again() {
        let url = "https://x.example.com";
        let (found, said) = asked(None, None, "gitea\nbitbucket\nx.example.com\nhttps://x.example.com/\n");
        assert_eq!(found, Ok(Some((Kind::Bitbucket, url.to_owned()))));
        assert_eq!(said.matches("Which server").count(), 2, "{said}");
        assert_eq!(said.matches("Its address").count(), 2, "{said}");
        assert!(
            said.contains("`gitea` is none of these\n") && said.contains("write e.g. https://"),
            "{said}"
        );
        let (found, said) = asked(Some(Kind::Gateway), None, "https://x.example.com\n");
        assert_eq!(found, Ok(Some((Kind::Gateway, url.to_owned()))));
        assert!(!said.contains("Which server"), "{said}");
        let (found, said) = asked(None, Some(url), "\nresolution\n");
        assert_eq!(found, Ok(Some((Kind::Resolution, url.to_owned()))));
        assert!(!said.contains("Its address") && !said.contains("Enter"), "{said}");
    }

    #[test]
    fn enter_stands_for_the_trial_and_the_end_of_the_answers_for_no_answer() {
        assert_eq!(asked(None, None, "\n").0, Ok(None));
        for (answers, knows_kind) in [("", false), ("gateway\n", true)] {
            let (found, said) = asked(None, None, answers);
            assert!(found.is_err_and(|error| error.contains("`--target` and `--url`")), "{said}");
            assert_eq!(said.contains("Its address"), knows_kind, "{said}");
        }
    }
}
