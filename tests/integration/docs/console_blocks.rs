//! The console blocks of the README and of every page, run in their order in an empty folder: they print what
//! they show.
//!
//! In a block, `$ ` begins a command, `> ` goes on with it, and the lines behind it are what it prints. A line
//! `...` stands for any lines, `[..]` for any text in a line. Dates, times, digests and the names of runs are
//! compared by their form.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use regex::Regex;
use tempfile::TempDir;

use crate::docs::pages::{blocks, pages, repository, text, updates};

/// A command, and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    output: Vec<String>,
    /// The lines of the output in the document, from 0.
    lines: std::ops::Range<usize>,
}

/// The commands of the console blocks of a document.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut inside, mut goes_on) = (false, false);
    for (number, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
            goes_on = false;
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            let lines = number + 1..number + 1;
            steps.push(Step { command: command.to_owned(), output: Vec::new(), lines });
            goes_on = true;
        } else {
            let step = steps.last_mut().expect("a block begins with a command");
            step.lines.end = number + 1;
            if let Some(command) = line.strip_prefix("> ").filter(|_| goes_on) {
                step.command = format!("{}\n{command}", step.command);
                step.lines.start = number + 1;
            } else {
                step.output.push(line.to_owned());
                goes_on = false;
            }
        }
    }
    steps
}

/// What each command prints, run one after the other by one shell in an empty folder.
fn run(steps: &[Step]) -> Vec<Vec<String>> {
    const MARK: &str = "--- the end of a command of the document ---";
    let folder = TempDir::new().unwrap();
    let end = format!("printf '\\n%s\\n' '{MARK}'\n");
    let script: Vec<_> = steps.iter().flat_map(|step| [&step.command, "\n", &end]).collect();
    let outside = TempDir::new().unwrap();
    let script_path = outside.path().join("script");
    fs::write(&script_path, format!("exec 2>&1\n{}", script.concat())).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tokenwarden"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["--noprofile", "--norc"])
        .arg(&script_path)
        .current_dir(folder.path())
        .env_clear()
        .envs([("PATH", path.as_str()), ("LC_ALL", "C.UTF-8"), ("USER", "mary")])
        .env("HOME", outside.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let mark = format!("\n{MARK}\n");
    let outputs: Vec<_> = printed.split(&mark).collect();
    assert_eq!(outputs.len(), steps.len() + 1, "every command ran: {printed}");
    outputs[..steps.len()].iter().map(|output| output.lines().map(str::to_owned).collect()).collect()
}

/// The line without what differs from run to run.
fn form(line: &str) -> String {
    let forms = [
        (r"\b\d{8}T\d{6}Z-[0-9a-f]{8}\b", "RUN"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d( UTC)?", "TIME"),
        (r"\b\d{4}-\d\d-\d\d\b", "DAY"),
        // One fewer before the hour of the day at which it was.
        (r"\(\d+ days ago\)", "(SO LONG AGO)"),
    ];
    forms.iter().fold(line.trim_end().to_owned(), |line, (pattern, form)| {
        Regex::new(pattern).unwrap().replace_all(&line, *form).into_owned()
    })
}

/// Whether `printed` is what `shown` says.
fn agree(shown: &[String], printed: &[String]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        ([dots, rest @ ..], _) if dots == "..." => {
            agree(rest, printed) || printed.split_first().is_some_and(|(_, printed)| agree(shown, printed))
        }
        ([line, shown @ ..], [other, printed @ ..]) => {
            let pattern: Vec<_> = form(line).split("[..]").map(regex::escape).collect();
            let pattern = Regex::new(&format!("^{}$", pattern.join(".*"))).unwrap();
            pattern.is_match(&form(other)) && agree(shown, printed)
        }
        _ => false,
    }
}

/// The document with what its commands print in the place of what it shows, where the two differ.
fn updated(document: &str, steps: &[Step], outputs: &[Vec<String>]) -> String {
    let mut lines: Vec<_> = document.lines().map(str::to_owned).collect();
    for (step, printed) in steps.iter().zip(outputs).rev() {
        if !agree(&step.output, printed) {
            lines.splice(step.lines.clone(), printed.iter().map(|line| line.trim_end().to_owned()));
        }
    }
    lines.join("\n") + "\n"
}

fn check(path: &str, commands_at_least: usize) {
    let document = text(path);
    let steps = steps(&document);
    assert!(steps.len() >= commands_at_least, "{path} has {} commands", steps.len());
    let outputs = run(&steps);
    if updates() {
        fs::write(repository().join(path), updated(&document, &steps, &outputs)).unwrap();
        return;
    }
    for (step, printed) in steps.iter().zip(&outputs) {
        assert!(
            agree(&step.output, printed),
            "{path}: `{}` prints\n{}\n(UPDATE_DOCS=1 writes it into the document)",
            step.command,
            printed.join("\n")
        );
    }
}

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    check("README.md", 5);
}

#[test]
fn the_commands_of_the_tutorial_print_what_it_shows() {
    check("docs/tutorial.md", 20);
}

#[test]
fn the_commands_of_every_other_page_print_what_it_shows() {
    for page in pages().into_iter().filter(|page| page != "docs/tutorial.md") {
        for text in blocks(&page, "text") {
            assert!(
                !text.contains("$ tokenwarden"),
                "{page}: what is run stands in a `console` block\n{text}"
            );
        }
        if !blocks(&page, "console").is_empty() {
            check(&page, 2);
        }
    }
}

#[test]
fn an_output_that_is_another_one_is_found_and_can_be_written_into_the_document() {
    let document = "```console\n$ printf 'a\\nb 2026-11-23\\nc\\n'\na\n...\nc\n$ cd / \\\n>   && echo $((1+1)); pwd\n2\n/\n```\n\
                    ```sh\n$ not run\n```\n```console\n$ false; echo \"$? here\" >&2\n[..] here\n```\n";
    let found = steps(document);
    assert_eq!(found.len(), 3);
    let outputs = run(&found);
    assert!(found.iter().zip(&outputs).all(|(step, printed)| agree(&step.output, printed)), "{outputs:?}");
    assert_eq!(updated(document, &found, &outputs), document);

    let wrong = document.replace("a\n...\nc", "a\nb 2025-01-01\nd").replace("2\n/", "3");
    let found = steps(&wrong);
    let outputs = run(&found);
    assert!(!agree(&found[0].output, &outputs[0]));
    assert!(!agree(&found[1].output, &outputs[1]));
    let written = updated(&wrong, &found, &outputs);
    assert_eq!(written, document.replace("...", "b 2026-11-23"));
}
