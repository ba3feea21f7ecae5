//! The command `test`: the result of every case of the policy tests on standard output. It needs no
//! network.

use std::{
    collections::BTreeSet,
    fs, io,
    num::NonZero,
    panic,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use clap::{Args, ValueEnum};

use crate::{
    config::TargetDeclaration,
    policy::Policy,
    policy_tests::{
        self, CaseResult, TestRun,
        file::{self, TestCase, TestFile},
    },
    report::{test_json::TestReportDocument, test_junit, test_text},
    run::{
        Ending, Failure, Listener,
        reading::read_regular,
        workspace::{Workspace, invalid},
    },
    yaml::{Code, Diagnostic, Diagnostics, Sources, Span, structure::quoted_list},
};

use super::{CommandResult, Global, files, output, run_files::RunFiles, terminal::Terminal};

/// The folder beside the config file in which policy tests are looked for.
pub(super) const FOLDER: &str = "tests";

/// Run the policy tests, without a network
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Files of policy tests, or folders of them; `tests` beside the config file by default
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Form of the report on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Text)]
    format: Format,
    /// The least share of rules and entries of the limits that the cases must exercise
    #[arg(long, value_name = "PERCENT", default_value_t = 0, hide_default_value = true,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    coverage_min: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document, described by the schema `test-report`
    Json,
    /// JUnit XML, for the test view of a CI server
    Junit,
}

/// There is nothing to run.
#[derive(Debug, thiserror::Error)]
#[error("no cases in {0}; write one as the schema `tests` describes")]
struct NoCase(String);

/// A folder of tests cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the files of `{}`", folder.display())]
struct CannotList {
    folder: PathBuf,
    source: io::Error,
}

impl Test {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        self.paths.iter().fold(RunFiles::of_config(global), |files, path| files.reading_tests(path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the policy or a file of tests is invalid, there is no case, or standard output cannot be
    /// written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let workspace = files::load_workspace(global)?;
        let targets = workspace.targets(&global.target)?;
        let paths = self.paths(global, &workspace)?;
        let named: Vec<&str> = workspace.config.targets.iter().map(|target| target.name.as_str()).collect();
        let (mut files, sources) = read(&paths, &named, global)?;
        files.retain(|file| targets.iter().any(|target| target.name == file.target.text));
        if files.is_empty() {
            let asked: Vec<_> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
            let asked = if asked.is_empty() { format!("the folder `{FOLDER}`") } else { asked.join(", ") };
            return Err(Failure::new(Ending::Invalid, NoCase(asked)));
        }
        let tested = |target: &&TargetDeclaration| files.iter().any(|file| file.target.text == target.name);
        let targets: Vec<_> = targets.into_iter().filter(tested).collect();
        let policies = workspace.load_policies(&targets)?;
        let run = run(&files, &sources, &targets, &policies, global)?;
        self.show(&run, global)?;
        if run.failed() > 0 {
            return Ok(Ending::Invalid);
        }
        if run.coverage.percent() < self.coverage_min {
            let (is, least) = (run.coverage.percent(), self.coverage_min);
            output::note(&format!("error: the cases exercise {is} %, and --coverage-min asks for {least} %"));
            return Ok(Ending::Invalid);
        }
        Ok(Ending::Done)
    }

    fn show(&self, run: &TestRun, global: &Global) -> Result<(), Failure> {
        let text = match self.format {
            Format::Text => {
                let paint = output::paint(global);
                let mut text = String::new();
                test_text::run(run, paint, &mut text)?;
                output::layout().fit(&text)
            }
            Format::Json => serde_json::to_string_pretty(&TestReportDocument::from(run))? + "\n",
            Format::Junit => test_junit::report(run)?,
        };
        Ok(output::write(&text)?)
    }

    /// The files to read: those that are named, and those in the folders that are.
    fn paths(&self, global: &Global, workspace: &Workspace) -> Result<Vec<TestPath>, Failure> {
        if self.paths.is_empty() {
            let folder = workspace.folder.join(FOLDER);
            let shown = global.config().parent().unwrap_or(Path::new("")).join(FOLDER);
            return if folder.is_dir() { listed(&folder, &shown) } else { Ok(Vec::new()) };
        }
        let mut paths = Vec::new();
        for shown in &self.paths {
            let path = global.resolve(shown);
            if path.is_dir() {
                paths.extend(listed(&path, shown)?);
            } else {
                paths.push(TestPath::new(path, shown));
            }
        }
        Ok(paths)
    }
}

/// A file of tests: where it is, and how people know it.
struct TestPath {
    path: PathBuf,
    shown: Arc<str>,
}

impl TestPath {
    fn new(path: PathBuf, shown: &Path) -> Self {
        Self { path, shown: shown.display().to_string().into() }
    }
}

/// The YAML files in `folder`, in the order of their names.
fn listed(folder: &Path, shown: &Path) -> Result<Vec<TestPath>, Failure> {
    let list = || -> io::Result<BTreeSet<PathBuf>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(PathBuf::from(entry?.file_name())));
        names.filter(|name| name.as_ref().map_or(true, |name| is_yaml(name))).collect()
    };
    let names = list().map_err(|source| CannotList { folder: shown.to_owned(), source })?;
    Ok(names.iter().map(|name| TestPath::new(folder.join(name), &shown.join(name))).collect())
}

pub(super) fn is_yaml(name: &Path) -> bool {
    name.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// The files at `paths`. Shows what is wrong with them on standard error.
fn read(paths: &[TestPath], targets: &[&str], global: &Global) -> Result<(Vec<TestFile>, Sources), Failure> {
    let (mut diagnostics, mut sources) = (Diagnostics::default(), Sources::new());
    let mut files = Vec::new();
    for TestPath { path, shown } in paths {
        match read_regular(path) {
            Ok(bytes) => {
                let reading = file::read(shown, &bytes);
                if let Some(file) = reading.file {
                    diagnostics.extend_some(unknown_target(&file, targets));
                    files.push(file);
                }
                diagnostics.append(reading.diagnostics);
                sources.extend(reading.sources);
            }
            Err(problem) => diagnostics.push(problem.at(&Span::of_file(shown), "", shown)),
        }
    }
    Terminal::new(global.color).mistakes(&diagnostics, &sources);
    if diagnostics.have_errors() { Err(invalid(&diagnostics, paths.len())) } else { Ok((files, sources)) }
}

fn unknown_target(file: &TestFile, targets: &[&str]) -> Option<Diagnostic> {
    let written = &file.target;
    if targets.contains(&written.text.as_str()) {
        return None;
    }
    let message = format!("unknown target `{}`", written.text);
    let diagnostic = Diagnostic::error(Code::UnknownTarget, &written.span, written.key.as_str(), message)
        .help(format!("the config file has {}", quoted_list(targets)))
        .suggest(&written.text, targets.iter().copied());
    Some(diagnostic)
}

/// Runs every case of `files` on the policy of its target, as many at once as there are processors.
fn run(
    files: &[TestFile],
    sources: &Sources,
    targets: &[&TargetDeclaration],
    policies: &[Policy],
    global: &Global,
) -> Result<TestRun, Failure> {
    let policy_of = |file: &TestFile| {
        let index = targets.iter().position(|target| target.name == file.target.text);
        index.and_then(|index| policies.get(index))
    };
    let tested: Vec<(&TestFile, &Policy)> =
        files.iter().filter_map(|file| Some((file, policy_of(file)?))).collect();
    check_words(&tested, sources, global)?;
    let cases: Vec<(&TestFile, &TestCase, &Policy)> = tested
        .iter()
        .flat_map(|&(file, policy)| file.cases.iter().map(move |case| (file, case, policy)))
        .collect();
    let results = in_parallel(&cases, |(file, case, policy)| policy_tests::run(file, case, policy));
    let mut run = TestRun { results, ..TestRun::default() };
    for (target, policy) in targets.iter().zip(policies) {
        let of_target = run.results.iter().filter(|result| result.target == target.name);
        run.coverage.add(&target.name, policy, of_target);
    }
    Ok(run)
}

/// That every rule and reason that is expected exists under the policy.
fn check_words(tested: &[(&TestFile, &Policy)], sources: &Sources, global: &Global) -> Result<(), Failure> {
    let mut diagnostics = Diagnostics::default();
    for (file, policy) in tested {
        diagnostics.append(policy_tests::check(file, policy));
    }
    Terminal::new(global.color).mistakes(&diagnostics, sources);
    if diagnostics.have_errors() { Err(invalid(&diagnostics, tested.len())) } else { Ok(()) }
}

/// What `work` makes of each of `cases`, in their order.
fn in_parallel<T: Sync>(cases: &[T], work: impl Fn(&T) -> CaseResult + Sync) -> Vec<CaseResult> {
    let next = AtomicUsize::new(0);
    let take = || -> Vec<(usize, CaseResult)> {
        std::iter::from_fn(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            cases.get(index).map(|case| (index, work(case)))
        })
        .collect()
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(cases.len());
    let mut results: Vec<(usize, CaseResult)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| match worker.join() {
            Ok(results) => results,
            Err(panicked) => panic::resume_unwind(panicked),
        };
        workers.into_iter().flat_map(join).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
