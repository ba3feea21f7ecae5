//! The writing of a snapshot, record by record as the reader shows them.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use jiff::Timestamp;

use crate::model::{GroupName, Settings, Token};

use super::{
    super::{Administrators, Coverage, InventoryReader, Missing, Overview, People, ReadError, Server},
    record::{
        Budget, CoverageRecord, FORMAT_VERSION, GroupCoverage, GroupRecord, Header, Record, RecordCounts,
        Trailer, UserRecord, WITH_MISSING_USERS,
    },
};

/// What a snapshot is of.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Name of the target in the config file.
    pub target: &'a str,
    /// Its kind, as the config file writes it.
    pub kind: &'a str,
    /// The moment of the reading, UTC.
    pub seen_at: Timestamp,
    /// What runs did lately; `None` when nobody keeps a record of it.
    pub budget: Option<Budget>,
}

/// The groups whose members are asked for.
#[derive(Clone, Debug)]
pub enum GroupSelection {
    /// All that the server has.
    All(BTreeSet<GroupName>),
    /// Those that are named somewhere, of a server that does not list its groups.
    Named(BTreeSet<GroupName>),
}

/// What a snapshot came to hold.
#[derive(Clone, Debug)]
pub struct Taken {
    /// How many records there are of each sort.
    pub counts: RecordCounts,
    /// What could not be seen although it was looked for: the snapshot says so itself.
    pub unseen: Vec<String>,
}

/// A snapshot could not be written to its end.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotNotWritten {
    /// A part of the target could not be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// A line could not be written.
    #[error("a line could not be written")]
    Line(#[from] io::Error),
}

/// Writes what `reader` shows, with the members of the groups of `asked` and of those that the settings
/// name.
///
/// # Errors
///
/// When something cannot be read or written. What was written until then is not a whole snapshot, and is
/// known for that.
pub async fn write(
    about: &About<'_>,
    asked: &GroupSelection,
    reader: &impl InventoryReader,
    out: &mut (impl Write + Send),
) -> Result<Taken, SnapshotNotWritten> {
    let overview = reader.overview().await?;
    let (GroupSelection::All(groups) | GroupSelection::Named(groups)) = asked;
    let mut groups = groups.clone();
    groups.extend(named_by(&overview));
    let mut people = reader.people(&groups).await?;
    people.account_for(&groups);
    let mut lines = Lines { out, counts: RecordCounts::default() };
    lines.write(&Record::Header(Box::new(header(about, asked, &overview, &people))))?;
    lines.people(&people)?;
    let of_people = people.missing().filter(|missing| !matches!(missing, Missing::Group(_)));
    let seen = lines.tokens(reader).await?.and(&of_people.collect());
    let (counts, missing) = (lines.counts, seen.missing().map(ToString::to_string).collect());
    let disputed = seen.disputed().map(ToString::to_string).collect();
    lines.write(&Record::Trailer(Trailer { counts, missing, disputed }))?;
    Ok(Taken { counts, unseen: unseen(&overview.server, &people, &seen) })
}

fn unseen(server: &Server, people: &People, tokens: &Coverage) -> Vec<String> {
    let settings = server.unreadable.iter().map(|(key, why)| format!("`{key}` could not be read: {why}"));
    let groups = people.missing().filter(|missing| matches!(missing, Missing::Group(_)));
    let missing = groups.chain(tokens.unseen().cloned());
    settings.chain(missing.map(|missing| missing.to_string())).collect()
}

fn header(about: &About<'_>, asked: &GroupSelection, overview: &Overview, people: &People) -> Header {
    let Overview { server, settings } = overview;
    Header {
        format_version: match people.users_lacking() {
            None => FORMAT_VERSION.to_owned(),
            Some(_) => WITH_MISSING_USERS.to_owned(),
        },
        target: about.target.to_owned(),
        kind: about.kind.to_owned(),
        seen_at: about.seen_at,
        budget: about.budget.clone(),
        coverage: CoverageRecord {
            groups: match asked {
                GroupSelection::All(_) => GroupCoverage::All,
                GroupSelection::Named(_) => GroupCoverage::Named,
            },
            missing_groups: people.unknown_groups().cloned().map(String::from).collect(),
            missing_users: people.users_lacking().map(str::to_owned),
        },
        server: server.into(),
        caller: (&server.caller).into(),
        settings: settings.into(),
    }
}

/// The groups that the server itself names.
fn named_by(overview: &Overview) -> impl Iterator<Item = GroupName> {
    let Overview { server: Server { administrators, .. }, settings } = overview;
    let administrators = administrators.as_ref().and_then(Administrators::group);
    administrators.into_iter().chain(Settings::groups(settings)).cloned()
}

struct Lines<'a, W> {
    out: &'a mut W,
    counts: RecordCounts,
}

impl<W: Write + Send> Lines<'_, W> {
    fn write(&mut self, record: &Record<'_>) -> Result<(), SnapshotNotWritten> {
        serde_json::to_writer(&mut *self.out, record).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }

    fn people(&mut self, people: &People) -> Result<(), SnapshotNotWritten> {
        for (name, active) in people.users() {
            self.counts.users += 1;
            self.write(&Record::User(UserRecord { name: name.as_str().to_owned(), active }))?;
        }
        for (group, members) in people.groups() {
            self.counts.groups += 1;
            let members = members.into_iter().map(|member| member.as_str().to_owned()).collect();
            self.write(&Record::Group(GroupRecord { name: group.as_str().to_owned(), members }))?;
        }
        Ok(())
    }

    /// Writes each token as it comes. After a line that could not be written none is tried any more.
    async fn tokens(&mut self, reader: &impl InventoryReader) -> Result<Coverage, SnapshotNotWritten> {
        let mut written = Ok(());
        let mut each = |token: Token| {
            if written.is_ok() {
                self.counts.tokens += 1;
                written = self.write(&Record::Token(Box::new((&token).into())));
            }
        };
        let seen = reader.tokens(&mut each).await?;
        written.map(|()| seen)
    }
}
