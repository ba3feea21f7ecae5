//! The command `compare`: whether a policy is stricter or looser than another one, by what, and whom it hits. It changes
//! nothing.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueEnum};
use tracing::Level;

use crate::{
    compare::compare,
    model::Shift,
    policy::{Layer, Policy, read_layers},
    report::{
        Paint,
        compare::{Compared, json::ComparisonDocument, markdown, text},
    },
    run::{
        Ending, Failure, Listener,
        offline::CountedSnapshot,
        reading::read_regular,
        session,
        workspace::{Workspace, invalid},
    },
    yaml::{Diagnostics, Sources, Span},
};

use super::{
    CommandResult, Global, baseline::BaselineArgs, files, log, output, require::RequireArgs,
    run_files::RunFiles, runtime, terminal::Terminal,
};

/// Prove whether the policy permits more or less than an earlier one, with an example for each difference
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("earlier").args(["files", "baseline", "baseline_dir"]).required(true)))]
pub(super) struct CompareCommand {
    /// Two policy files, the earlier one first; they need no config file
    #[arg(value_name = "FILE", num_args = 2)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    require: RequireArgs,
    /// Form of the comparison on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    format: Form,
    /// Count whom each difference is about in a snapshot of `inventory`, as of the time of the snapshot
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// One JSON document, described by the schema `comparison`
    Json,
    /// For a comment on a pull request
    Markdown,
}

impl CompareCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        let files = if self.files.is_empty() {
            self.baseline.files(RunFiles::of_config(global), global)
        } else {
            let files = RunFiles::new(global);
            self.files.iter().fold(files, |files, path| files.reading("the policy", path))
        };
        self.inventory.iter().fold(files, |files, path| files.reading("the inventory", path))
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a policy is invalid, the inventory is none of the target, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let compared = match self.files.as_slice() {
            [before, after] => vec![self.of_files(before, after, global).await?],
            _ => self.of_targets(global).await?,
        };
        output::write(&self.shown(&compared, global)?)?;
        let shift: Shift = compared.iter().map(Compared::shift).collect();
        let is_met = self.require.said().is_none_or(|required| required.is_met_by(shift));
        Ok(if is_met { Ending::Done } else { Ending::Pending })
    }

    fn shown(&self, compared: &[Compared], global: &Global) -> Result<String, Failure> {
        Ok(match self.format {
            Form::Json => serde_json::to_string_pretty(&ComparisonDocument::of(compared))? + "\n",
            Form::Markdown => markdown::report(compared),
            Form::Text => {
                let paint = Paint { colour: output::colour(global.color, &std::io::stdout()) };
                let mut shown = String::new();
                for one in compared {
                    if !shown.is_empty() {
                        shown.push('\n');
                    }
                    text::comparison(one, output::layout(), paint, &mut shown)?;
                }
                shown
            }
        })
    }

    /// The policy of each target, compared with what it was.
    async fn of_targets(&self, global: &Global) -> Result<Vec<Compared>, Failure> {
        let workspace = files::load_workspace(global)?;
        let chosen = workspace.targets(&global.target)?;
        let policies = workspace.load_policies(&chosen)?;
        let Some(earlier) = self.baseline.earlier(&chosen, global)? else { return Ok(Vec::new()) };
        let census = self.census(Some(&workspace), global)?;
        let mut all = Vec::new();
        for (index, (target, policy)) in chosen.iter().zip(&policies).enumerate() {
            let census = census.as_ref().filter(|census| census.target == index);
            let now = census.map_or_else(|| session::present(global.now), CountedSnapshot::now);
            let compared = earlier.compared(&target.name, policy, now);
            all.push(match (census, earlier.policy_of(&target.name)) {
                (Some(census), Some(before)) => with_today(compared, census, before, policy).await?,
                _ => compared,
            });
        }
        Ok(all)
    }

    /// Two policy files, compared.
    async fn of_files(&self, before: &Path, after: &Path, global: &Global) -> Result<Compared, Failure> {
        let policies = [before, after].map(|path| policy_of(path, global));
        let [earlier, later] = policies;
        let (earlier, later) = (earlier?, later?);
        let census = self.census(None, global)?;
        let now = census.as_ref().map_or_else(|| session::present(global.now), CountedSnapshot::now);
        let comparison = Ok(compare(&earlier, &later, None, now));
        let compared = Compared { target: None, with: before.display().to_string(), comparison, today: None };
        match &census {
            Some(census) => with_today(compared, census, &earlier, &later).await,
            None => Ok(compared),
        }
    }

    /// The inventory to count in, of one of the targets of `workspace`; of any server without one.
    fn census(
        &self,
        workspace: Option<&Workspace>,
        global: &Global,
    ) -> Result<Option<CountedSnapshot>, Failure> {
        let workspace = workspace.map(|workspace| (workspace, global.target.as_slice()));
        let open = |file: &PathBuf| CountedSnapshot::open(workspace, &global.base(), file, global.now);
        self.inventory.as_ref().map(open).transpose()
    }
}

/// `compared`, the comparison of `after` with `before`, and whom its differences are about.
async fn with_today(
    compared: Compared,
    census: &CountedSnapshot,
    before: &Policy,
    after: &Policy,
) -> Result<Compared, Failure> {
    let today = match &compared.comparison {
        Ok(comparison) => Some(census.today(comparison, before, after).await?),
        Err(_) => None,
    };
    Ok(Compared { today, ..compared })
}

/// The policy that the file at `path` alone makes. Standard error says what is wrong with it.
fn policy_of(path: &Path, global: &Global) -> Result<Policy, Failure> {
    let shown = path.display().to_string();
    let (mut diagnostics, mut sources) = (Diagnostics::default(), Sources::new());
    let mut policy = None;
    match read_regular(&global.resolve(path)) {
        Ok(bytes) => {
            let reading = read_layers(&[&Layer::read(shown.as_str().into(), &bytes)]);
            diagnostics.append(reading.diagnostics);
            sources.extend(reading.sources);
            policy = reading.policy;
        }
        Err(problem) => diagnostics.push(problem.at(&Span::of_file(&shown.as_str().into()), "", &shown)),
    }
    Terminal::new(global.color).mistakes(&diagnostics, &sources);
    policy.ok_or_else(|| invalid(&diagnostics, 1))
}
