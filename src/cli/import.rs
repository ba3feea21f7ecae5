//! The command `import`: a policy on standard output that describes the live state of a target, or waivers
//! for the current findings of a policy. It changes nothing.

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use tracing::Level;

use crate::{
    config::TargetDeclaration,
    inventory::{Inventory, InventoryReader},
    model::Period,
    plan::{suggest, waive_existing},
    policy::draft::{self, Drafted},
    run::{Ending, Failure, session, workspace::Workspace},
    targets::Target,
};

use super::{
    CommandResult, Global, auth_command::AuthCommandFlag, files, log, output, run_files::RunFiles, runtime,
};

/// Write a policy that describes the live state of a target: planned against that state, it changes nothing
#[derive(Debug, Args)]
pub(super) struct ImportCommand {
    /// Also waive all current findings for PERIOD, e.g. 90d
    #[arg(long, value_name = "PERIOD")]
    waive_existing: Option<Period>,
    /// Write only the waivers, for the findings of the policy in the config file: a layer to add after it
    #[arg(long, requires = "waive_existing")]
    only_waivers: bool,
    /// Also propose limits, as comments: what each would touch of the tokens that are there
    #[arg(long, conflicts_with = "only_waivers")]
    suggest: bool,
    #[command(flatten)]
    auth_command: AuthCommandFlag,
}

impl ImportCommand {
    /// What it reads and writes.
    pub(super) fn files<'a>(&self, global: &'a Global) -> RunFiles<'a> {
        // Where no layer is read, one may be what is written.
        if self.only_waivers { RunFiles::of_config(global) } else { RunFiles::beside_layers(global) }
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the target cannot be read, or standard output cannot be written.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        log::start(global, Level::WARN);
        runtime::block_on(self.work(global))
    }

    async fn work(&self, global: &Global) -> CommandResult {
        // A policy that is still to be written is not an obstacle.
        let workspace =
            if self.only_waivers { files::load_workspace(global)? } else { files::load_targets(global)? };
        let declaration = workspace.target(&global.target)?;
        session::refuse_other_clock("import", &[declaration], global.now)?;
        if self.only_waivers {
            workspace.load_policies(&[declaration])?;
        }
        let session = session::connect(&workspace, declaration, self.auth_command.said(), global.now).await?;
        session.say_clock();
        let text = self.text(&workspace, declaration, &session.target, session.now()).await;
        session.close().await;
        output::write(&text?)?;
        Ok(Ending::Done)
    }

    async fn text(
        &self,
        workspace: &Workspace,
        declaration: &TargetDeclaration,
        reader: &Target,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let (base, own) = if self.only_waivers {
            let heading =
                format!("# What the policy found on `{}` on {}.\nversion: 1\n", declaration.name, day(now));
            (workspace.layers_of(declaration), heading)
        } else {
            (Vec::new(), described(declaration, reader, now).await?)
        };
        let text = match self.waive_existing {
            None => own,
            Some(period) => {
                let until = period.after(now).to_zoned_datetime(TimeZone::UTC).date();
                waive_existing(&base, &own, until, now, reader).await?
            }
        };
        if !self.suggest {
            return Ok(text);
        }
        Ok(format!("{text}\n{}", suggest(now, reader).await?.comments()))
    }
}

/// The settings of the target as a policy.
async fn described(
    declaration: &TargetDeclaration,
    reader: &Target,
    now: Timestamp,
) -> Result<String, Failure> {
    let named = reader.overview().await?.settings.groups().cloned().collect();
    let Inventory { server, settings, people, .. } = Inventory::read(reader, &named, now).await?;
    let heading = format!("What `{}` ({}) had on {}, as a policy.", declaration.name, server.url, day(now));
    let unknown = people.unknown_groups().cloned().collect();
    Ok(draft::settings(&Drafted {
        heading: &heading,
        settings: &settings,
        manageable: &server.manageable,
        unknown: &unknown,
    }))
}

fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}
