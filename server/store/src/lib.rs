//! Where everything is kept: one narrow interface over SQLite and PostgreSQL (and what speaks its
//! protocol).
//!
//! The store knows objects as rows (id, project, revision, body and a few extracted columns for
//! unique indexes), the change table, and the head: one row with the newest revision, which a writer
//! holds while it decides. It decides nothing itself. One mechanism for all kinds: see `rows`.
//! The writer's thread owns it, so calls block.

#![forbid(unsafe_code)]

mod audit;
mod parse;
mod postgres;
mod rows;
mod schema;
mod sqlite;
mod upgrade;

use portolan_core::change::Commit;
use portolan_core::history::{History, Incarnation};
use portolan_core::model::{Micros, Object, Revision};

use std::sync::Arc;

pub use audit::{Asked as AuditAsked, Audit, Changed as AuditChanged, Entry as AuditEntry, OBJECTS, Page as AuditPage};
pub use postgres::PostgresStore;
pub use rows::MAX_CHANGES;

pub use sqlite::{SqliteOptions, SqliteStore};

/// Why a store does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another transaction was in the way; nothing was written; asking again helps.
    #[error("another transaction was in the way: {0}")]
    Retry(String),
    /// The store went away before anything was written; connecting again may help.
    #[error("the store went away: {0}")]
    Lost(String),
    /// It failed and certainly nothing was written.
    #[error("{0}")]
    Failed(String),
    /// Its disk is full, and certainly nothing was written.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// It is not known whether the transaction was committed.
    #[error("it is not known whether the commit happened: {0}")]
    Unknown(String),
    /// A unique index fired, which the writer's decisions never let happen.
    #[error("a unique index fired, so memory and store differ: {0}")]
    Backstop(String),
    /// The changes after a revision are gone: load anew.
    #[error("changes after revision {0} are gone")]
    Compacted(Revision),
    /// What was read up to this revision is not what the store holds: it was put back from a copy, or a standby took over
    /// that lacked the newest commits. Load anew.
    #[error("the store has another history than the one known up to revision {0}")]
    OtherHistory(Revision),
    /// Another process has it open.
    #[error("{0} is in use by another process; stop that one first")]
    InUse(String),
    /// What is stored was not written by a version this one knows.
    #[error("the store has schema version {found}, this program knows up to {known}; use a newer program")]
    Newer {
        /// In the store.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// A row was written by a version that this one does not know.
    #[error(
        "a row of {table} was written by a newer Portolan (its body has version {found}, this one reads up to \
         {known}); start that one"
    )]
    NewerBody {
        /// Whose row.
        table: &'static str,
        /// In the row.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// A stored row cannot be read.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

/// What was loaded, besides the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Made with the store.
    pub store_id: [u8; 16],
    /// The head.
    pub revision: Revision,
    /// The runs that wrote it.
    pub history: History,
}

/// What may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// The feed keeps so many rows,
    pub keep: u64,
    /// and what is not older than this.
    pub before: Micros,
    /// Audited rows stay behind, until they are older than this.
    pub audit_before: Micros,
    /// Most rows looked after at once.
    pub step: u64,
}

/// A place where objects and changes are kept.
pub trait Store: Send {
    /// Hands every object to `each`, what is referred to first, as of one revision.
    ///
    /// # Errors
    /// If the store fails or a row cannot be read.
    fn load(&mut self, each: &mut dyn FnMut(Object)) -> Result<Loaded, StoreError>;

    /// The newest commits up to `head` with at most `limit` changes in all, oldest first.
    ///
    /// # Errors
    /// If the store fails or a row cannot be read.
    fn recent(&mut self, head: Revision, limit: usize) -> Result<Vec<Commit>, StoreError>;

    /// Begins a write: takes the head, and gives the commits after `known` that others made.
    ///
    /// # Errors
    /// If the store fails, or what was read up to `known` is of another history; nothing is held then.
    fn begin(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError>;

    /// Writes commits that go on from the head without gaps, and commits, durably. `begins` is the run of the writer,
    /// with the first it commits.
    ///
    /// # Errors
    /// If the store fails; the write is over then, see the error for whether it happened.
    fn commit(&mut self, commits: &[Arc<Commit>], begins: Option<Incarnation>) -> Result<(), StoreError>;

    /// Writes what is there already, durably: whether anything could be written now.
    ///
    /// # Errors
    /// Why it could not.
    fn probe(&mut self) -> Result<(), StoreError>;

    /// The runs that wrote what was last loaded, followed or committed.
    fn history(&self) -> &History;

    /// Ends a write without writing.
    fn rollback(&mut self);

    /// The commits after `known`, without holding anything.
    ///
    /// # Errors
    /// If the store fails, the changes are gone, or what was read up to `known` is of another history.
    fn follow(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError>;

    /// Whether other processes may write to it, so that it has to be followed.
    fn shared(&self) -> bool;

    /// Forgets the oldest changes, see [`Trim`]; a step at a time. Says how many it looked after: 0 when
    /// there is nothing left to do. The feed has nothing of the commits that it takes anything of.
    ///
    /// # Errors
    /// If the store fails.
    fn trim(&mut self, trim: Trim) -> Result<u64, StoreError>;

    /// A reader of the audit, with a connection of its own.
    fn audit(&self) -> Box<dyn Audit> {
        Box::new(audit::NoAudit)
    }

    /// Puts itself in order after an error: ends what is open, connects again.
    ///
    /// # Errors
    /// If the store still fails.
    fn recover(&mut self) -> Result<(), StoreError>;
}
