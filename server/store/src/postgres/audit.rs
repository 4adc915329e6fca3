//! The audit's reader: a connection of its own, made when it is first asked and again when it broke.

use portolan_core::model::Value;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{connect, failed};
use crate::StoreError;
use crate::audit::{Asked, Audit, AuditRow, Engine, Head, Page, page};

/// See [`Audit`].
pub(super) struct PostgresAudit {
    url: String,
    session: Option<Reading>,
}

struct Reading {
    /// There until it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    client: Client,
}

impl Drop for Reading {
    fn drop(&mut self) {
        // The thread that drops it may belong to another runtime: to wait there for the end of this one panics.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl PostgresAudit {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            session: None,
        }
    }

    fn session(&mut self) -> Result<&mut Reading, StoreError> {
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|e| StoreError::Failed(e.to_string()))?;
            let client = runtime.block_on(connect(&self.url))?;
            self.session = Some(Reading {
                runtime: Some(runtime),
                client,
            });
        }
        self.session
            .as_mut()
            .ok_or_else(|| StoreError::Failed("the audit's connection is gone".to_owned()))
    }

    fn read(&mut self, asked: &Asked) -> Result<Page, StoreError> {
        let session = self.session()?;
        // One snapshot for the whole page.
        session.run("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let found = page(session, asked);
        let ended = session.run("COMMIT");
        if found.is_err() || ended.is_err() {
            self.session = None;
        }
        found.and_then(|found| ended.map(|()| found))
    }
}

impl Audit for PostgresAudit {
    fn page(&mut self, asked: &Asked) -> Result<Page, StoreError> {
        let used_before = self.session.is_some();
        match self.read(asked) {
            // Nobody looks at the connection between two pages: it may have broken long ago.
            Err(StoreError::Unknown(_)) if used_before => {
                self.session = None;
                self.read(asked)
            }
            read => read,
        }
    }
}

impl Reading {
    fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        self.wait(self.client.batch_execute(sql))
    }

    fn wait<T>(&self, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(asked).map_err(failed),
            None => Err(StoreError::Failed("the audit's connection is gone".to_owned())),
        }
    }

    fn all(&mut self, sql: &str, params: &[Value]) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let params: Vec<&(dyn ToSql + Sync)> = params
            .iter()
            .map(|value| match value {
                Value::Bytes(bytes) => bytes as &(dyn ToSql + Sync),
                Value::Int(int) => int,
                Value::Text(text) => text,
            })
            .collect();
        self.wait(self.client.query(sql, &params))
    }
}

impl Engine for Reading {
    const MARK: char = '$';

    fn by_index(_: &str, alias: &str) -> String {
        format!("changes AS {alias}")
    }

    fn heads(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Head>, StoreError> {
        let rows = self.all(sql, params)?;
        rows.iter().map(head).collect::<Result<_, _>>().map_err(failed)
    }

    fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<AuditRow>, StoreError> {
        let read = |row: &tokio_postgres::Row| {
            Ok(AuditRow {
                head: head(row)?,
                at: row.try_get(8)?,
                request: row.try_get(9)?,
                body: row.try_get(10)?,
                body_version: row.try_get(11)?,
                before: row.try_get(12)?,
                before_version: row.try_get(13)?,
            })
        };
        let rows = self.all(sql, params)?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
    }

    fn count(&mut self, sql: &str, params: &[Value]) -> Result<i64, StoreError> {
        let rows = self.all(sql, params)?;
        let count = rows.first().map(|row| row.try_get(0)).transpose().map_err(failed)?;
        Ok(count.unwrap_or(0))
    }
}

fn head(row: &tokio_postgres::Row) -> Result<Head, tokio_postgres::Error> {
    Ok(Head {
        position: row.try_get(0)?,
        kind: row.try_get(1)?,
        project: row.try_get(2)?,
        op: row.try_get(3)?,
        made: row.try_get(4)?,
        actor: row.try_get(5)?,
        through: row.try_get(6)?,
        by_provider: row.try_get(7)?,
    })
}
