//! Planning from a snapshot of a target, without network and credentials.

use std::{error::Error, fs::File, io::BufReader, path::Path};

use jiff::Timestamp;

use crate::{
    compare::{self, Comparison, Today},
    config::{Connection, TargetDeclaration},
    inventory::{Call, snapshot::Snapshot},
    plan::{History, Spent},
    policy::Policy,
    run::{
        plan::{Manner, Planned, plan_one, terms},
        workspace::Workspace,
    },
    targets::Sight,
    world::regular_file,
};

use super::{Base, Failure, clock::ClockStanding};

/// A snapshot in a file.
type FileSnapshot = Snapshot<BufReader<File>>;

/// How many bytes of a snapshot are read at once.
const READ_AT_ONCE: usize = 256 << 10;

/// A snapshot cannot be planned from.
#[derive(Debug, thiserror::Error)]
#[error("the inventory `{path}` cannot be used")]
struct UnusableInventory {
    path: String,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}

/// A snapshot of a target of the config file.
pub(crate) struct OpenedSnapshot<'a> {
    /// Its place among the chosen targets.
    index: usize,
    pub(crate) declaration: &'a TargetDeclaration,
    pub(crate) snapshot: FileSnapshot,
}

/// Plans what `purpose` asks for from the snapshot in `file`, without network and credentials, for the
/// moment that it shows unless `--now` says another one. There is no session and so no way to apply it.
///
/// # Errors
///
/// When the file is not a snapshot of a target of the config file, or the policy is invalid.
pub(crate) async fn plan<'a>(
    workspace: &'a Workspace,
    base: &Base,
    file: &Path,
    manner: Manner,
    chosen_names: &[String],
    fixed: Option<Timestamp>,
) -> Result<Planned<'a, FileSnapshot>, Failure> {
    let OpenedSnapshot { index, declaration, snapshot } = open(workspace, base, file, chosen_names)?;
    let policy = workspace.load_policies(&[declaration])?.pop().unwrap_or_default();
    let now = fixed.unwrap_or(snapshot.seen_at());
    let spent = snapshot.budget().map(|budget| {
        let mut spent = Spent::nothing(budget.window);
        spent.add(&budget.spent, snapshot.seen_at(), now);
        spent
    });
    let history = History { spent, ..History::default() };
    let terms = terms(declaration, &policy, &history, now);
    let baseline = manner.baseline(index, &policy, manner.since);
    let plan = plan_one(&manner.purpose, baseline.as_ref(), None, &terms, &snapshot).await;
    let plan = plan.map_err(Failure::from).map(|(plan, _)| (snapshot, plan));
    Ok(Planned { declaration, policy, history, plan, clock: ClockStanding::Given, reviewed: Vec::new() })
}

/// Opens the snapshot in `file`.
///
/// # Errors
///
/// When the file is not a snapshot of a chosen target of the config file.
pub(crate) fn open<'a>(
    workspace: &'a Workspace,
    base: &Base,
    file: &Path,
    chosen_names: &[String],
) -> Result<OpenedSnapshot<'a>, Failure> {
    let chosen = workspace.targets(chosen_names)?;
    let named = |name: &str| chosen.iter().copied().enumerate().find(|(_, target)| target.name == name);
    let calls = |target: &str, kind: &str| {
        let sight = match named(target).map(|(_, target)| &target.connection) {
            Some(Connection::Resolution { product, settings, .. }) => {
                Sight { product: *product, settings: settings.as_ref(), ..Sight::default() }
            }
            Some(Connection::Bitbucket { areas, projects, gateway, .. }) => {
                Sight { areas, projects, has_gateway: gateway.is_some(), ..Sight::default() }
            }
            // They matter to no other kind, and of a target that is not found nothing is planned.
            _ => Sight::default(),
        };
        crate::targets::calls_of(kind, sight)
    };
    let snapshot = read(base, file, calls)?;
    let (index, declaration) = named(snapshot.target())
        .ok_or_else(|| unusable(file, other_target(snapshot.target(), chosen_names).into()))?;
    let kind = declaration.connection.kind();
    if kind != snapshot.kind() {
        let message = format!(
            "it is from a server of `kind: {}`, but `{}` is now of `kind: {kind}`",
            snapshot.kind(),
            declaration.name
        );
        return Err(unusable(file, message.into()));
    }
    Ok(OpenedSnapshot { index, declaration, snapshot })
}

/// The snapshot in `file`; what a run calls on the server of a target is what `calls` says.
fn read(
    base: &Base,
    file: &Path,
    calls: impl FnOnce(&str, &str) -> Option<Vec<Call>>,
) -> Result<FileSnapshot, Failure> {
    let input =
        regular_file::open(&base.directory.join(file)).map_err(|error| unusable(file, error.into()))?;
    let input = BufReader::with_capacity(READ_AT_ONCE, input);
    Snapshot::open(file.display().to_string(), input, calls).map_err(|error| unusable(file, error.into()))
}

fn unusable(file: &Path, cause: Box<dyn Error + Send + Sync>) -> Failure {
    UnusableInventory { path: file.display().to_string(), cause }.into()
}

/// A snapshot in which to count whom the differences of policies affect.
pub(crate) struct CountedSnapshot {
    snapshot: FileSnapshot,
    /// The number of its target among those that were chosen.
    pub(crate) target: usize,
    fixed: Option<Timestamp>,
}

impl CountedSnapshot {
    /// Opens the snapshot in `file`: of a target of `workspace` with one of these names, or of any server where there is no
    /// workspace. It is looked at as of the moment that it shows unless `fixed` is another one.
    ///
    /// # Errors
    ///
    /// When the file is not a snapshot of such a target.
    pub(crate) fn open(
        workspace: Option<(&Workspace, &[String])>,
        base: &Base,
        file: &Path,
        fixed: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        let (target, snapshot) = match workspace {
            Some((workspace, names)) => {
                let opened = open(workspace, base, file, names)?;
                (opened.index, opened.snapshot)
            }
            None => (0, read(base, file, |_, kind| crate::targets::calls_of(kind, Sight::default()))?),
        };
        Ok(Self { snapshot, target, fixed })
    }

    /// The moment that it is looked at for, UTC.
    pub(crate) fn now(&self) -> Timestamp {
        self.fixed.unwrap_or(self.snapshot.seen_at())
    }

    /// Counts whom `comparison`, that of `after` with `before`, is about.
    ///
    /// # Errors
    ///
    /// When the file is truncated or miscounted.
    pub(crate) async fn today(
        &self,
        comparison: &Comparison,
        before: &Policy,
        after: &Policy,
    ) -> Result<Today, Failure> {
        Ok(compare::today(comparison, (before, after), &self.snapshot, self.now()).await?)
    }
}

fn other_target(target: &str, chosen_names: &[String]) -> String {
    if chosen_names.is_empty() {
        format!("it is from the target `{target}`, which the config file does not have")
    } else {
        format!("it is from the target `{target}`, which `--target` does not name")
    }
}
