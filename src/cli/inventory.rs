//! The command `inventory`: a snapshot of a target, in a file or on standard output, for planning elsewhere
//! without network and credentials, and for keeping. It changes nothing.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use tracing::Level;

use crate::{
    config::TargetDeclaration,
    inventory::{
        InventoryReader,
        snapshot::{self, About, Budget, GroupSelection, SnapshotNotWritten, Taken},
    },
    model::rails::RailClass,
    plan::Spent,
    policy::Policy,
    run::{
        Ending, Failure, redact,
        session::{self, TargetSession},
        workspace::Workspace,
    },
    targets::Target,
};

use super::{
    CommandResult, Global,
    atomic::{AtomicFile, CannotWrite},
    auth_command::AuthCommandFlag,
    files, log, output,
    run_files::RunFiles,
    runtime,
};

/// Write a snapshot of a target: settings, users, groups and tokens, without secrets
#[derive(Debug, Args)]
pub(super) struct InventoryCommand {
    /// The file to write, JSON lines described by the schema `inventory`; `-` is standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

impl InventoryCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        RunFiles::of_config(global).writing(&format!("--out {}", self.out.display()), &self.out, None)
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the target cannot be read, or the file cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        let workspace = files::load_workspace(global)?;
        let declaration = workspace.target(&global.target)?;
        session::refuse_other_clock("inventory", &[declaration], global.now)?;
        let session = session::connect(&workspace, declaration, self.auth_command.said(), global.now).await?;
        session.say_clock();
        let written = self.write(&workspace, declaration, &session, global).await;
        session.close().await;
        written
    }

    async fn write(
        &self,
        workspace: &Workspace,
        declaration: &TargetDeclaration,
        session @ TargetSession { target: reader, records, .. }: &TargetSession,
        global: &Global,
    ) -> CommandResult {
        let seen_at = session.now();
        let history = records.history(reader, seen_at).await?;
        let about = &About {
            target: &declaration.name,
            kind: declaration.connection.kind(),
            seen_at,
            budget: history.spent.as_ref().map(budget),
        };
        let asked = asked(workspace, declaration, reader).await?;
        if self.out == Path::new("-") {
            let mut out = redact::Lines::new(BufWriter::new(io::stdout()));
            let written = snapshot::write(about, &asked, reader, &mut out).await;
            return match written.and_then(|taken| Ok(out.flush().map(|()| taken)?)) {
                // A reader that went away, such as `head`, is not an error.
                Err(SnapshotNotWritten::Line(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    Ok(Ending::Done)
                }
                taken => Ok(standing(&declaration.name, &taken?)),
            };
        }
        let path = global.resolve(&self.out);
        let cannot_write = |source| CannotWrite { path: self.out.clone(), source };
        let mut file = redact::Lines::new(AtomicFile::create(&path).map_err(cannot_write)?);
        let taken = snapshot::write(about, &asked, reader, &mut file).await?;
        file.finish().and_then(AtomicFile::finish).map_err(cannot_write)?;
        output::note(&format!(
            "{}: wrote {} users, {} groups and {} tokens to {}",
            declaration.name,
            taken.counts.users,
            taken.counts.groups,
            taken.counts.tokens,
            self.out.display()
        ));
        Ok(standing(&declaration.name, &taken))
    }
}

/// How the program ends for what was seen of `target`; says on standard error what was not.
fn standing(target: &str, taken: &Taken) -> Ending {
    for missing in &taken.unseen {
        output::note(&format!("{target}: not seen: {missing}"));
    }
    if taken.unseen.is_empty() { Ending::Done } else { Ending::Error }
}

/// The groups to look at: all that there are, or where the server does not list them those that the policy
/// names.
async fn asked(
    workspace: &Workspace,
    declaration: &TargetDeclaration,
    reader: &Target,
) -> Result<GroupSelection, Failure> {
    if let Some(all) = reader.groups().await? {
        return Ok(GroupSelection::All(all));
    }
    let policies = workspace.load_policies(&[declaration])?;
    Ok(GroupSelection::Named(policies.iter().flat_map(Policy::groups).collect()))
}

fn budget(spent: &Spent) -> Budget {
    let counts = RailClass::ALL.map(|class| (class, spent.of(class)));
    Budget { window: spent.window(), spent: counts.into_iter().filter(|(_, count)| *count > 0).collect() }
}
