//! The audit's reader: a connection that only reads, opened when it is first asked.

use portolan_core::model::Value;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OpenFlags};

use super::{SqliteOptions, failed};
use crate::StoreError;
use crate::audit::{Asked, Audit, AuditRow, Engine, Head, Page, page};

/// See [`Audit`].
pub(super) struct SqliteAudit {
    options: SqliteOptions,
    connection: Option<Connection>,
}

impl SqliteAudit {
    pub(super) fn new(options: &SqliteOptions) -> Self {
        Self {
            options: options.clone(),
            connection: None,
        }
    }
}

impl Audit for SqliteAudit {
    fn page(&mut self, asked: &Asked) -> Result<Page, StoreError> {
        if self.connection.is_none() {
            self.connection = Some(connect(&self.options)?);
        }
        let connection = self.connection.as_mut().ok_or_else(gone)?;
        // One snapshot for the whole page; it ends with the transaction.
        let mut snapshot = Reading(connection.transaction().map_err(failed)?);
        page(&mut snapshot, asked)
    }
}

fn gone() -> StoreError {
    StoreError::Failed("the audit's connection is gone".to_owned())
}

fn connect(options: &SqliteOptions) -> Result<Connection, StoreError> {
    // What reads in WAL writes the index of the log, so that the file cannot be opened read-only.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match &options.vfs {
        None => Connection::open_with_flags(&options.path, flags),
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str()),
    };
    let connection = connection.map_err(|e| StoreError::Failed(format!("{}: {e}", options.path.display())))?;
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    Ok(connection)
}

struct Reading<'c>(rusqlite::Transaction<'c>);

impl Reading<'_> {
    fn all<T>(
        &self,
        sql: &str,
        params: &[Value],
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let params: Vec<&dyn ToSql> = params
            .iter()
            .map(|value| match value {
                Value::Bytes(bytes) => bytes as &dyn ToSql,
                Value::Int(int) => int,
                Value::Text(text) => text,
            })
            .collect();
        let mut statement = self.0.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(&params[..], read).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }
}

impl Engine for Reading<'_> {
    const MARK: char = '?';

    fn by_index(index: &str, alias: &str) -> String {
        format!("changes AS {alias} INDEXED BY {index}")
    }

    fn heads(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Head>, StoreError> {
        self.all(sql, params, head)
    }

    fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<AuditRow>, StoreError> {
        self.all(sql, params, |row| {
            Ok(AuditRow {
                head: head(row)?,
                at: row.get(8)?,
                request: row.get(9)?,
                body: row.get(10)?,
                body_version: row.get(11)?,
                before: row.get(12)?,
                before_version: row.get(13)?,
            })
        })
    }

    fn count(&mut self, sql: &str, params: &[Value]) -> Result<i64, StoreError> {
        let found = self.all(sql, params, |row| row.get(0))?;
        Ok(found.first().copied().unwrap_or(0))
    }
}

fn head(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        position: row.get(0)?,
        kind: row.get(1)?,
        project: row.get(2)?,
        op: row.get(3)?,
        made: row.get(4)?,
        actor: row.get(5)?,
        through: row.get(6)?,
        by_provider: row.get(7)?,
    })
}
