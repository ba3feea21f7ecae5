//! A reader over the lines of a snapshot, which answers what the target answered then. What is truncated,
//! out of order or miscounted is an error.

mod lines;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, Seek},
    mem,
    panic::resume_unwind,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread,
};

use jiff::Timestamp;

use crate::model::{GroupName, Token, TokenId, UserName};

use super::{
    super::{Call, Census, Coverage, InventoryReader, Missing, Overview, People, ReadError},
    names::Names,
    record::{BadRecord, Budget, FORMAT_VERSION, Header, Record, RecordCounts},
    token::OwnerRecord,
};

use lines::{Lines, Position};

/// How many tokens are handed on at once.
const BATCH: usize = 512;
/// How many batches are read ahead of what looks at them.
const BATCHES_AHEAD: usize = 4;

/// A snapshot, and a reader of it. It holds users and groups; tokens go by as they are read.
pub struct Snapshot<R> {
    shown: String,
    header: Header,
    overview: Overview,
    users: Vec<(UserName, bool)>,
    groups: BTreeMap<GroupName, Vec<UserName>>,
    tokens_at: Position,
    lines: Mutex<Lines<R>>,
    census: OnceLock<Option<Census>>,
}

/// Something is wrong with a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The system refuses it.
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    /// It does not begin like one.
    #[error("not an inventory: it does not begin with a header; create one with `tokenwarden inventory`")]
    NoHeader,
    /// It has another form.
    #[error("unsupported version `{0}` of the format, this program reads {FORMAT_VERSION}; create it again")]
    Version(String),
    /// It is of a server that this program cannot plan for.
    #[error("it is of a server of `kind: {0}`, which this program does not know")]
    Kind(String),
    /// A line is not a record.
    #[error("line {line} is not a record of an inventory")]
    NoRecord {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// A line says something that is invalid.
    #[error("line {line} is invalid")]
    BadRecord {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        cause: BadRecord,
    },
    /// A record stands where it does not belong.
    #[error("line {line} does not belong there: a header is followed by users, groups, tokens and a trailer")]
    OutOfOrder {
        /// The number of its line, from 1.
        line: u64,
    },
    /// It ends before its trailer.
    #[error("truncated after {lines} lines (no trailer); create it again")]
    CutOff {
        /// How many whole lines there are.
        lines: u64,
    },
    /// Its trailer counts other records than there are.
    #[error(
        "incomplete: its trailer counts {} users, {} groups and {} tokens, and there are {}, {} and {}",
        .told.users, .told.groups, .told.tokens, .found.users, .found.groups, .found.tokens
    )]
    Miscounted {
        /// What the trailer says.
        told: RecordCounts,
        /// What there is.
        found: RecordCounts,
    },
}

impl<R: BufRead + Seek> Snapshot<R> {
    /// Reads the header, the users and the groups from `input`, which people know as `shown`. `calls` says
    /// what a run calls on the server of a target, whose name and kind it is given; nothing for kinds that
    /// it does not know.
    ///
    /// # Errors
    ///
    /// When `input` does not begin as a snapshot of this version does.
    pub fn open(
        shown: impl Into<String>,
        input: R,
        calls: impl FnOnce(&str, &str) -> Option<Vec<Call>>,
    ) -> Result<Self, SnapshotError> {
        let mut lines = Lines { input, at: Position::default(), line: Vec::new() };
        let header = lines.header()?;
        let calls =
            calls(&header.target, &header.kind).ok_or_else(|| SnapshotError::Kind(header.kind.clone()))?;
        let overview = header.overview(calls).map_err(|cause| SnapshotError::BadRecord { line: 1, cause })?;
        let (mut users, mut groups, mut names) = (Vec::new(), BTreeMap::new(), Names::default());
        let tokens_at = loop {
            let before = lines.at;
            match lines.next()? {
                Record::User(user) if groups.is_empty() => users.push((names.user(&user.name), user.active)),
                Record::Group(group) => {
                    let members = group.members.iter().map(|member| names.user(member)).collect();
                    if groups.insert(GroupName::from(group.name), members).is_some() {
                        return Err(lines.out_of_order());
                    }
                }
                Record::Token(_) | Record::Trailer(_) => break before,
                Record::Header(_) | Record::User(_) => return Err(lines.out_of_order()),
            }
        };
        let shown = shown.into();
        Ok(Self {
            shown,
            header,
            overview,
            users,
            groups,
            tokens_at,
            lines: Mutex::new(lines),
            census: OnceLock::new(),
        })
    }

    /// The name of its target in the config file.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.header.target
    }

    /// The kind of its target, as the config file writes it.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.header.kind
    }

    /// The time that it shows, UTC.
    #[must_use]
    pub fn seen_at(&self) -> Timestamp {
        self.header.seen_at
    }

    /// What runs had done lately then; `None` when nobody kept a record of it.
    #[must_use]
    pub fn budget(&self) -> Option<&Budget> {
        self.header.budget.as_ref()
    }

    fn lines(&self) -> MutexGuard<'_, Lines<R>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The users whom it lists.
    fn names(&self) -> Names {
        self.users.iter().map(|(name, _)| name).collect()
    }

    /// Counts the tokens of each owner; `None` when something else is found than tokens and a trailer, which
    /// anyone who reads the tokens is told.
    fn count_tokens(&self) -> Option<Census> {
        let (mut lines, mut census) = (self.lines(), Census::default());
        lines.go_to(self.tokens_at).ok()?;
        while lines.read().ok()? {
            match OwnerRecord::read(&lines.line) {
                Some(token) => census.add(token.owner_mark()?),
                None => return matches!(lines.record(), Ok(Record::Trailer(_))).then_some(census),
            }
        }
        None
    }

    /// Hands every token to `each`, and checks that nothing is missing. The next tokens are read while `each`
    /// looks at those before them.
    fn read_tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, SnapshotError>
    where
        R: Send,
    {
        thread::scope(|scope| {
            let (batches, received) = mpsc::sync_channel(BATCHES_AHEAD);
            let reading = thread::Builder::new().spawn_scoped(scope, move || {
                // Nobody receives what is sent once `each` has panicked.
                let send = |batch: Vec<Token>| drop(batches.send(batch));
                let mut batch = Vec::new();
                let seen = self.parse_tokens(&mut |token| {
                    batch.push(token);
                    if batch.len() == BATCH {
                        send(mem::take(&mut batch));
                    }
                });
                send(batch);
                seen
            })?;
            received.into_iter().flatten().for_each(each);
            reading.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn parse_tokens(&self, each: &mut dyn FnMut(Token)) -> Result<Coverage, SnapshotError> {
        let (mut lines, mut names) = (self.lines(), self.names());
        lines.go_to(self.tokens_at)?;
        let mut found =
            RecordCounts { users: self.users.len() as u64, groups: self.groups.len() as u64, tokens: 0 };
        let told = loop {
            let line = lines.at.line + 1;
            match lines.next()? {
                Record::Token(token) => {
                    let token = token.token(&mut names);
                    each(token.map_err(|cause| SnapshotError::BadRecord { line, cause })?);
                    found.tokens += 1;
                }
                Record::Trailer(told) if told.counts == found => break told,
                Record::Trailer(told) => {
                    return Err(SnapshotError::Miscounted { told: told.counts, found });
                }
                Record::Header(_) | Record::User(_) | Record::Group(_) => return Err(lines.out_of_order()),
            }
        };
        if lines.read()? {
            return Err(lines.out_of_order());
        }
        let disputed: BTreeSet<_> = told.disputed.into_iter().map(TokenId::new).collect();
        let disputed = Some(disputed).filter(|tokens| !tokens.is_empty()).map(Missing::Disputed);
        let words = disputed.as_ref().map(ToString::to_string);
        let missing = told.missing.into_iter().filter(|told| Some(told) != words.as_ref());
        Ok(missing.map(Missing::Told).chain(disputed).collect())
    }
}

impl<R: BufRead + Seek + Send> InventoryReader for Snapshot<R> {
    async fn overview(&self) -> Result<Overview, ReadError> {
        Ok(self.overview.clone())
    }

    async fn people(&self, groups: &BTreeSet<GroupName>) -> Result<People, ReadError> {
        let mut people = People::default();
        for (name, active) in &self.users {
            people.add_user(name.clone(), *active);
        }
        if let Some(reason) = &self.header.coverage.missing_users {
            people.lack_users(reason.clone());
        }
        for group in groups {
            match self.groups.get(group) {
                Some(members) => people.add_group(group, members.iter().cloned()),
                // Whether it is not there or was not looked at, it is not an empty group.
                None => people.add_unknown_group(group.clone()),
            }
        }
        Ok(people)
    }

    async fn groups(&self) -> Result<Option<BTreeSet<GroupName>>, ReadError> {
        Ok(Some(self.groups.keys().cloned().collect()))
    }

    fn census(&self) -> Option<&Census> {
        self.census.get_or_init(|| self.count_tokens()).as_ref()
    }

    async fn tokens(&self, each: &mut (dyn FnMut(Token) + Send)) -> Result<Coverage, ReadError> {
        self.read_tokens(each).map_err(|error| ReadError {
            what: "tokens",
            server: self.shown.clone(),
            cause: Box::new(error),
        })
    }
}
