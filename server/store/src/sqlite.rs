//! SQLite: one file, WAL, `synchronous=FULL`, one writing connection on the writer's thread.
//!
//! Checkpoints run on threads and a connection of their own, `PASSIVE`, so that they never hold a
//! commit up; the log starts over when one has caught up. Should the log grow past a bound all the
//! same, the writer waits for one. A lock file keeps a second process out.

mod audit;
mod checkpoints;
mod history;
mod open;
mod trim;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use portolan_core::change::Commit;
use portolan_core::history::{History, Incarnation, Span};
use portolan_core::model::Value;
use portolan_core::model::{Object, ObjectKind, Revision};
use portolan_sources::{FileLock, Files, Threads};
use rusqlite::{Connection, params};

use super::rows::{self, Net, ObjectRow, ReadRow};
use super::schema::{self, Types};
use super::upgrade::BODY_VERSION;
use super::{Audit, Loaded, Store, StoreError, Trim, parse};
use checkpoints::{Checkpointer, checkpoint};
use open::{connect, lock, open};

/// How to open it.
#[derive(Clone)]
pub struct SqliteOptions {
    /// The file; made if it is not there. `:memory:` for tests that need no file.
    pub path: PathBuf,
    /// Name of an SQLite VFS; the system's if `None`. For tests that cut the power.
    pub vfs: Option<String>,
    /// `PRAGMA synchronous`: FULL. Another value only to show that a test notices.
    pub synchronous: &'static str,
    /// Pages in the log at which a checkpoint starts in the background.
    pub checkpoint_pages: i32,
    /// Identifies a new store.
    pub store_id: [u8; 16],
    /// The disk that the lock file is on.
    pub files: Arc<dyn Files>,
    /// For checkpoints, and for reading what is loaded.
    pub threads: Arc<dyn Threads>,
}

impl SqliteOptions {
    /// This file, durably.
    pub fn new(path: impl Into<PathBuf>, store_id: [u8; 16], files: Arc<dyn Files>, threads: Arc<dyn Threads>) -> Self {
        Self {
            path: path.into(),
            vfs: None,
            synchronous: "FULL",
            checkpoint_pages: 8192,
            store_id,
            files,
            threads,
        }
    }
}

/// The log may grow to this many times `checkpoint_pages` before the writer waits for a checkpoint.
const LOG_BOUND: i32 = 4;
/// Statements kept prepared.
const STATEMENTS: usize = 96;
const TYPES: Types = Types {
    bytes: "BLOB",
    int: "INTEGER",
    text: "TEXT",
};

/// The store.
pub struct SqliteStore {
    options: SqliteOptions,
    connection: Connection,
    /// Pages in the log after the last commit.
    log_pages: Arc<AtomicI32>,
    checkpointer: Option<Checkpointer>,
    writing: bool,
    history: History,
    /// Held as long as the store is open.
    _lock: Option<FileLock>,
}

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// If another process has it, it is newer than this program, or SQLite fails.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let in_memory = options.path == Path::new(":memory:");
        let lock = if in_memory { None } else { Some(lock(&options)?) };
        let log_pages = Arc::new(AtomicI32::new(0));
        let connection = connect(&options, &log_pages)?;
        let mut store = Self {
            options,
            connection,
            log_pages,
            checkpointer: None,
            writing: false,
            history: History::default(),
            _lock: lock,
        };
        store.migrate()?;
        if !in_memory {
            store.checkpointer = Some(Checkpointer::new(&store.options)?);
        }
        Ok(store)
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let version: i64 = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        let known = schema::VERSION as i64;
        if version > known {
            return Err(StoreError::Newer { found: version, known });
        }
        if version == known {
            return Ok(());
        }
        let write = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed)?;
        for version in usize::try_from(version).unwrap_or(0)..schema::VERSION {
            for statement in schema::statements(version, &TYPES) {
                write.execute_batch(&statement).map_err(failed)?;
            }
        }
        write
            .execute(
                "INSERT INTO head (one, revision, change_rows, store_id) VALUES (1, 0, 0, ?1) ON CONFLICT DO NOTHING",
                params![&self.options.store_id[..]],
            )
            .map_err(failed)?;
        write.pragma_update(None, "user_version", known).map_err(failed)?;
        write.commit().map_err(failed)
    }

    fn head(&self) -> Result<Revision, StoreError> {
        let mut head = self
            .connection
            .prepare_cached("SELECT revision FROM head WHERE one = 1")
            .map_err(failed)?;
        let revision: i64 = head.query_row([], |row| row.get(0)).map_err(failed)?;
        Ok(Revision::try_from(revision).unwrap_or(0))
    }

    fn changes_after(&self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        let head = self.head()?;
        if head == known {
            return Ok(Vec::new());
        }
        let mut read = self
            .connection
            .prepare_cached(&format!(
                "SELECT {} FROM changes WHERE position >= ?1 ORDER BY position",
                rows::READ
            ))
            .map_err(failed)?;
        let rows = read.query_map([rows::position(known + 1)], read_row).map_err(failed)?;
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        rows::without_gap(rows::commits_of(rows)?, known, head, self.floor()?)
    }

    /// The newest revision that the feed has no longer.
    fn floor(&self) -> Result<Revision, StoreError> {
        let floor: i64 = self
            .connection
            .prepare_cached("SELECT floor FROM head WHERE one = 1")
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .map_err(failed)?;
        Ok(Revision::try_from(floor).unwrap_or(0))
    }

    fn write(&self, net: &Net, begins: Option<Span>) -> rusqlite::Result<()> {
        let db = &self.connection;
        if let Some(span) = begins {
            history::begin(db, span)?;
        }
        for row in &net.address_deletes {
            db.prepare_cached("DELETE FROM port_addresses WHERE subnet = ?1 AND address = ?2")?
                .execute(params![row.subnet, row.address])?;
        }
        for (kind, rows) in &net.kinds {
            if !rows.deletes.is_empty() {
                let mut delete = db.prepare_cached(&format!("DELETE FROM {} WHERE id = ?1", kind.table()))?;
                for id in &rows.deletes {
                    delete.execute(params![id])?;
                }
            }
            if !rows.updates.is_empty() {
                let mut update = db.prepare_cached(&format!(
                    "UPDATE {} SET project = ?2, revision = ?3, body = ?4, body_version = {BODY_VERSION} WHERE id = ?1",
                    kind.table()
                ))?;
                for row in &rows.updates {
                    bind_object(&mut update, net, row, false)?;
                    update.raw_execute()?;
                }
            }
        }
        // All that is deleted goes before anything is inserted: unique values may change hands.
        for (kind, rows) in &net.kinds {
            if !rows.inserts.is_empty() {
                let mut insert = db.prepare_cached(&insert_sql(*kind))?;
                for row in &rows.inserts {
                    bind_object(&mut insert, net, row, true)?;
                    insert.raw_execute()?;
                }
            }
        }
        if !net.address_inserts.is_empty() {
            let mut insert =
                db.prepare_cached("INSERT INTO port_addresses (subnet, address, port) VALUES (?1, ?2, ?3)")?;
            for row in &net.address_inserts {
                insert.execute(params![row.subnet, row.address, row.port])?;
            }
        }
        let mut insert = db.prepare_cached(
            "INSERT INTO changes (position, at, kind, id, project, cluster, op, actor, body, body_version, \
             audited, made, through, by_provider, request) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?;
        for c in &net.changes {
            insert.execute(params![
                c.position,
                c.at,
                c.kind.table(),
                c.id,
                c.project,
                c.cluster,
                c.op,
                &c.actor[..],
                c.body,
                BODY_VERSION,
                c.audited,
                c.made,
                c.through,
                c.by_provider,
                c.request()
            ])?;
        }
        db.prepare_cached("UPDATE head SET revision = ?1, change_rows = change_rows + ?2 WHERE one = 1")?
            .execute(params![
                i64::try_from(net.revision).unwrap_or(i64::MAX),
                net.changes.len() as i64
            ])?;
        Ok(())
    }

    /// Lets checkpoints follow the log.
    fn after_commit(&mut self) {
        let Some(checkpointer) = &mut self.checkpointer else {
            return;
        };
        let pages = self.log_pages.load(Ordering::Relaxed);
        let bound = self.options.checkpoint_pages;
        let too_long = pages > bound.saturating_mul(LOG_BOUND);
        if too_long {
            // While one runs, another would do nothing.
            checkpointer.wait();
        }
        if too_long || checkpointer.finished() {
            // What the background has left is little: with it done the log starts over.
            if let Err(error) = checkpoint(&self.connection) {
                tracing::warn!(%error, "a checkpoint failed; the log goes on growing");
            }
        } else if pages > bound {
            checkpointer.ask();
        }
    }
}

impl Store for SqliteStore {
    fn load(&mut self, each: &mut dyn FnMut(Object)) -> Result<Loaded, StoreError> {
        parse::beside(&*self.options.threads, each, |parser| {
            for kind in ObjectKind::ALL {
                let sql = format!("SELECT body, body_version FROM {} ORDER BY rowid", kind.table());
                let mut read = self.connection.prepare(&sql).map_err(failed)?;
                let mut rows = read.query([]).map_err(failed)?;
                while let Some(row) = rows.next().map_err(failed)? {
                    let body = row.get_ref(0).and_then(|value| Ok(value.as_blob()?)).map_err(failed)?;
                    parser.push(*kind, row.get(1).map_err(failed)?, body)?;
                }
            }
            Ok(())
        })?;
        let store_id: Vec<u8> = self
            .connection
            .query_row("SELECT store_id FROM head WHERE one = 1", [], |row| row.get(0))
            .map_err(failed)?;
        let store_id = store_id
            .try_into()
            .map_err(|_| StoreError::Corrupt("the store's id".to_owned()))?;
        self.history = history::read(&self.connection).map_err(failed)?;
        Ok(Loaded {
            store_id,
            revision: self.head()?,
            history: self.history.clone(),
        })
    }

    fn recent(&mut self, head: Revision, limit: usize) -> Result<Vec<Commit>, StoreError> {
        let mut read = self
            .connection
            .prepare(&format!(
                "SELECT {} FROM changes WHERE position < ?1 ORDER BY position DESC LIMIT ?2",
                rows::READ
            ))
            .map_err(failed)?;
        let rows = read
            .query_map([rows::position(head + 1), limit as i64], read_row)
            .map_err(failed)?;
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let commits = rows::commits_of(rows::whole(rows, limit))?;
        Ok(rows::after_floor(commits, self.floor()?))
    }

    fn begin(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut s| s.execute([]))
            .map_err(failed)?;
        self.writing = true;
        self.changes_after(known).inspect_err(|_| {
            let _ = self.connection.execute_batch("ROLLBACK");
        })
    }

    fn commit(&mut self, commits: &[Arc<Commit>], begins: Option<Incarnation>) -> Result<(), StoreError> {
        self.writing = false;
        let begins = rows::begun(begins, commits);
        let net = match Net::of(commits) {
            Ok(net) => net,
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                return Err(error);
            }
        };
        if let Err(error) = self.write(&net, begins) {
            let _ = self.connection.execute_batch("ROLLBACK");
            return Err(failed(error));
        }
        match self.connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([])) {
            Ok(_) => {
                if let Some(span) = begins {
                    self.history.begin(span.incarnation, span.first);
                }
                self.after_commit();
                Ok(())
            }
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(match failed(error) {
                    // The log's end is short of the commit, which counts only whole.
                    full @ StoreError::Full(_) => full,
                    // The log may hold the commit even so: what failed may have been the sync after it.
                    other => StoreError::Unknown(other.to_string()),
                })
            }
        }
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let written = self
            .connection
            .prepare_cached("UPDATE head SET revision = revision WHERE one = 1")
            .and_then(|mut s| s.execute([]));
        written.map(drop).map_err(failed)
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn rollback(&mut self) {
        if self.writing {
            self.writing = false;
            if let Err(error) = self.connection.execute_batch("ROLLBACK") {
                tracing::warn!(%error, "a rollback failed");
            }
        }
    }

    fn follow(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        self.changes_after(known)
    }

    fn shared(&self) -> bool {
        false
    }

    fn trim(&mut self, trim: Trim) -> Result<u64, StoreError> {
        Ok(self.move_floor(&trim)? + self.forget(&trim)?)
    }

    fn audit(&self) -> Box<dyn Audit> {
        if self.checkpointer.is_none() {
            // In memory: no other connection sees it.
            return Box::new(super::audit::NoAudit);
        }
        Box::new(audit::SqliteAudit::new(&self.options))
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        self.writing = false;
        self.connection = connect(&self.options, &self.log_pages)?;
        Ok(())
    }
}

fn insert_sql(kind: ObjectKind) -> String {
    let extra = kind.columns();
    let names: String = extra.iter().map(|(name, _)| format!(", {name}")).collect();
    let marks: String = (0..extra.len()).map(|n| format!(", ?{}", n + 5)).collect();
    format!(
        "INSERT INTO {} (id, project, revision, body, body_version{names}) VALUES (?1, ?2, ?3, ?4, {BODY_VERSION}{marks})",
        kind.table()
    )
}

fn bind_object(
    statement: &mut rusqlite::CachedStatement<'_>,
    net: &Net,
    row: &ObjectRow,
    with_extra: bool,
) -> rusqlite::Result<()> {
    let change = &net.changes[row.change];
    statement.raw_bind_parameter(1, &change.id)?;
    statement.raw_bind_parameter(2, &change.project)?;
    statement.raw_bind_parameter(3, row.revision)?;
    statement.raw_bind_parameter(4, &change.body)?;
    if with_extra {
        for (n, value) in row.extra.iter().enumerate() {
            match value {
                Value::Bytes(bytes) => statement.raw_bind_parameter(n + 5, bytes)?,
                Value::Int(int) => statement.raw_bind_parameter(n + 5, int)?,
                Value::Text(text) => statement.raw_bind_parameter(n + 5, text)?,
            }
        }
    }
    Ok(())
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ReadRow> {
    Ok(ReadRow {
        position: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        project: row.get(3)?,
        cluster: row.get(4)?,
        op: row.get(5)?,
        actor: row.get(6)?,
        body: row.get(7)?,
        body_version: row.get(8)?,
        through: row.get(9)?,
        by_provider: row.get(10)?,
        request: row.get(11)?,
    })
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError::Backstop(error.to_string()),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            StoreError::Retry(error.to_string())
        }
        Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
        _ => StoreError::Failed(error.to_string()),
    }
}
