//! PostgreSQL, and engines that speak its protocol: what several replicas share.
//!
//! The head's row, taken `FOR UPDATE`, lets one replica write at a time and makes revisions follow
//! commits without gaps. Only SQL that PostgreSQL and CockroachDB share: no sequences, no advisory
//! locks, no LISTEN. Rows go as arrays (`UNNEST`), and all statements of a batch, its COMMIT
//! included, are sent in one go: should one fail, the server turns the COMMIT into a rollback.

mod audit;
mod history;
mod statements;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{TryStreamExt, pin_mut};
use portolan_core::change::Commit;
use portolan_core::history::{History, Incarnation};
use portolan_core::model::{Object, ObjectKind, Revision};
use portolan_sources::Threads;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

use super::rows::{self, Cut, Net, ReadRow};
use super::schema::{self, Types};
use super::{Audit, Loaded, Store, StoreError, Trim, parse};
use statements::{Session, prepare, statements};

const TYPES: Types = Types {
    bytes: "BYTEA",
    int: "BIGINT",
    text: "TEXT",
};
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may leave what was sent unacknowledged.
const SILENCE: Duration = Duration::from_secs(10);
/// How often migrations are tried, when several replicas start on a new database at once.
const MIGRATE_ATTEMPTS: usize = 10;

/// The store.
pub struct PostgresStore {
    url: String,
    /// The store's, once it is loaded; until then what identifies a new one.
    store_id: [u8; 16],
    threads: Arc<dyn Threads>,
    runtime: tokio::runtime::Runtime,
    session: Session,
    writing: bool,
    history: History,
}

impl PostgresStore {
    /// Connects, and makes the tables if they are not there; `store_id` identifies a new store. What is
    /// loaded is read on `threads`.
    ///
    /// # Errors
    /// If the server does not answer, or the store is newer than this program.
    pub fn open(url: &str, store_id: [u8; 16], threads: Arc<dyn Threads>) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| StoreError::Failed(e.to_string()))?;
        let session = runtime.block_on(async {
            let client = connect(url).await?;
            migrate(&client, store_id).await?;
            prepare(client).await
        })?;
        Ok(Self {
            url: url.to_owned(),
            store_id,
            threads,
            runtime,
            session,
            writing: false,
            history: History::default(),
        })
    }

    async fn changes_after(client: &Client, known: Revision, head: Revision) -> Result<Vec<Commit>, StoreError> {
        if head == known {
            return Ok(Vec::new());
        }
        let rows = client
            .query(
                &format!(
                    "SELECT {} FROM changes WHERE position >= $1 AND position < $2 ORDER BY position",
                    rows::READ
                ),
                &[&rows::position(known + 1), &rows::position(head + 1)],
            )
            .await
            .map_err(failed)?;
        let rows = rows
            .iter()
            .map(read_row)
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        rows::without_gap(rows::commits_of(rows)?, known, head, floor(client).await?)
    }
}

async fn connect(url: &str) -> Result<Client, StoreError> {
    let mut config: tokio_postgres::Config = url.parse().map_err(|e| StoreError::Failed(format!("{e}")))?;
    config.connect_timeout(CONNECT);
    config.tcp_user_timeout(SILENCE);
    // Of several servers, the one that is no standby: after a failover it is another.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("portolan");
    }
    let (client, connection) = config
        .connect(NoTls)
        .await
        .map_err(|e| StoreError::Failed(with_cause(&e)))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection to the store ended");
        }
    });
    Ok(client)
}

/// Several replicas may do this at once: the loser tries again and finds it done.
async fn migrate(client: &Client, store_id: [u8; 16]) -> Result<(), StoreError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match try_migrate(client, store_id).await {
            Err(StoreError::Failed(_) | StoreError::Retry(_) | StoreError::Backstop(_))
                if attempts < MIGRATE_ATTEMPTS =>
            {
                let _ = client.batch_execute("ROLLBACK").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => return other,
        }
    }
}

async fn try_migrate(client: &Client, store_id: [u8; 16]) -> Result<(), StoreError> {
    while try_one(client, store_id).await? {}
    Ok(())
}

/// Brings the store to the next version; false if it is at the newest.
async fn try_one(client: &Client, store_id: [u8; 16]) -> Result<bool, StoreError> {
    client.batch_execute("BEGIN").await.map_err(failed)?;
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_version (one BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)",
        )
        .await
        .map_err(failed)?;
    let found = client
        .query_opt("SELECT version FROM schema_version WHERE one = 1", &[])
        .await
        .map_err(failed)?;
    let version: i64 = found.map_or(0, |row| row.get(0));
    let known = schema::VERSION as i64;
    if version > known {
        client.batch_execute("ROLLBACK").await.map_err(failed)?;
        return Err(StoreError::Newer { found: version, known });
    }
    if version == known {
        client.batch_execute("COMMIT").await.map_err(failed)?;
        return Ok(false);
    }
    for statement in schema::statements(usize::try_from(version).unwrap_or(0), &TYPES) {
        client.batch_execute(&statement).await.map_err(failed)?;
    }
    if version == 0 {
        client
            .execute(
                "INSERT INTO head (one, revision, change_rows, store_id) VALUES (1, 0, 0, $1)",
                &[&&store_id[..]],
            )
            .await
            .map_err(failed)?;
    }
    client
        .execute(
            "INSERT INTO schema_version (one, version) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET version = $1",
            &[&(version + 1)],
        )
        .await
        .map_err(failed)?;
    client.batch_execute("COMMIT").await.map_err(failed)?;
    Ok(true)
}

impl Store for PostgresStore {
    fn load(&mut self, each: &mut dyn FnMut(Object)) -> Result<Loaded, StoreError> {
        let client = &self.session.client;
        let read = async |parser: &mut parse::Parser<'_>| {
            // One snapshot for all tables.
            let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
            client.batch_execute(begin).await.map_err(failed)?;
            let sql = "SELECT revision, store_id FROM head WHERE one = 1";
            let head = client.query_one(sql, &[]).await.map_err(failed)?;
            let store_id: Vec<u8> = head.get(1);
            let store_id = store_id
                .try_into()
                .map_err(|_| StoreError::Corrupt("the store's id".to_owned()))?;
            let revision = Revision::try_from(head.get::<_, i64>(0)).unwrap_or(0);
            for kind in ObjectKind::ALL {
                let sql = format!("SELECT body, body_version FROM {} ORDER BY id", kind.table());
                let rows = client
                    .query_raw(&sql, std::iter::empty::<i64>())
                    .await
                    .map_err(failed)?;
                pin_mut!(rows);
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    let version = row.try_get(1).map_err(failed)?;
                    parser.push(*kind, version, row.try_get(0).map_err(failed)?)?;
                }
            }
            let history = history::read(client).await?;
            client.batch_execute("COMMIT").await.map_err(failed)?;
            Ok(Loaded {
                store_id,
                revision,
                history,
            })
        };
        let loaded = parse::beside(&*self.threads, each, |parser| self.runtime.block_on(read(parser)))?;
        self.history.clone_from(&loaded.history);
        self.store_id = loaded.store_id;
        Ok(loaded)
    }

    fn recent(&mut self, head: Revision, limit: usize) -> Result<Vec<Commit>, StoreError> {
        let client = &self.session.client;
        self.runtime.block_on(async {
            let rows = client
                .query(
                    &format!(
                        "SELECT {} FROM changes WHERE position < $1 ORDER BY position DESC LIMIT $2",
                        rows::READ
                    ),
                    &[&rows::position(head + 1), &(limit as i64)],
                )
                .await
                .map_err(failed)?;
            let rows = rows
                .iter()
                .map(read_row)
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            let commits = rows::commits_of(rows::whole(rows, limit))?;
            Ok(rows::after_floor(commits, floor(client).await?))
        })
    }

    fn begin(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        let Session { client, take_head, .. } = &self.session;
        let history = &mut self.history;
        let begun = self.runtime.block_on(async {
            let (begun, head) =
                futures_util::future::join(client.batch_execute("BEGIN"), client.query_one(take_head, &[])).await;
            begun.map_err(failed)?;
            let head = history::follow(client, &head.map_err(failed)?, known, history).await?;
            Self::changes_after(client, known, head).await
        });
        self.writing = true;
        begun.map_err(lost).inspect_err(|_| self.rollback())
    }

    fn commit(&mut self, commits: &[Arc<Commit>], begins: Option<Incarnation>) -> Result<(), StoreError> {
        let begins = rows::begun(begins, commits);
        let net = Net::of(commits).inspect_err(|_| self.rollback())?;
        self.writing = false;
        let session = &self.session;
        let statements = statements(session, &net);
        let committed = self.runtime.block_on(async {
            let client = &session.client;
            if let Some(span) = begins {
                let begun = history::begin(client, span).await;
                if let Err(error) = begun {
                    let _ = client.batch_execute("ROLLBACK").await;
                    return Err(lost(failed(error)));
                }
            }
            let writes = join_all(statements.iter().map(|(statement, params)| async move {
                client
                    .execute_raw(*statement, params.iter().map(|p| &**p as &(dyn ToSql + Sync)))
                    .await
            }));
            // Polled in order, so sent in order: the commit comes last.
            let (written, committed) = futures_util::future::join(writes, client.batch_execute("COMMIT")).await;
            let mut first = None;
            for error in written.into_iter().filter_map(Result::err) {
                let error = failed(error);
                // What follows a failed statement only says that the transaction is aborted.
                first.get_or_insert(error);
            }
            match (first, committed) {
                (None, Ok(())) => Ok(()),
                // The server has answered a statement with an error: it has not committed.
                (Some(StoreError::Unknown(cause)), _) => Err(StoreError::Unknown(cause)),
                (Some(error), _) => Err(error),
                (None, Err(error)) => Err(match failed(error) {
                    StoreError::Failed(cause) | StoreError::Full(cause) => StoreError::Unknown(cause),
                    other => other,
                }),
            }
        });
        if let Some(span) = begins.filter(|_| committed.is_ok()) {
            self.history.begin(span.incarnation, span.first);
        }
        committed
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let probe = "UPDATE head SET revision = revision WHERE one = 1";
        let written = self.runtime.block_on(self.session.client.execute(probe, &[]));
        // That nothing changes is known whatever became of it.
        written.map(drop).map_err(|error| lost(failed(error)))
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn rollback(&mut self) {
        if self.writing {
            self.writing = false;
            let done = self.runtime.block_on(self.session.client.batch_execute("ROLLBACK"));
            if let Err(error) = done {
                tracing::warn!(%error, "a rollback failed");
            }
        }
    }

    fn follow(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        let client = &self.session.client;
        let history = &mut self.history;
        let followed = self.runtime.block_on(async {
            let sql = format!("SELECT {} FROM head WHERE one = 1", history::HEAD);
            let head = client.query_one(&sql, &[]).await.map_err(failed)?;
            let head = history::follow(client, &head, known, history).await?;
            Self::changes_after(client, known, head).await
        });
        followed.map_err(lost)
    }

    fn shared(&self) -> bool {
        true
    }

    fn trim(&mut self, trim: Trim) -> Result<u64, StoreError> {
        let client = &self.session.client;
        self.runtime
            .block_on(async { Ok(move_floor(client, &trim).await? + forget(client, &trim).await?) })
    }

    fn audit(&self) -> Box<dyn Audit> {
        Box::new(audit::PostgresAudit::new(&self.url))
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        self.writing = false;
        let Self {
            runtime, url, store_id, ..
        } = self;
        self.session = runtime.block_on(async {
            let client = connect(url).await?;
            is_store(&client, *store_id).await?;
            migrate(&client, *store_id).await?;
            prepare(client).await
        })?;
        Ok(())
    }
}

/// Whether the database holds the store that was loaded: whoever reconnects while a dump is being put back finds none yet,
/// and must not make one.
async fn is_store(client: &Client, store_id: [u8; 16]) -> Result<(), StoreError> {
    let found = client.query_opt("SELECT store_id FROM head WHERE one = 1", &[]).await;
    let found: Option<Vec<u8>> = match found {
        Ok(row) => row.map(|row| row.get(0)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
        Err(error) => return Err(failed(error)),
    };
    if found.as_deref() == Some(&store_id) {
        return Ok(());
    }
    let holds = found.map_or("no store", |_| "another store");
    Err(StoreError::Failed(format!(
        "the database holds {holds} now: put back the one that this process serves, or start it anew"
    )))
}

/// The newest revision that the feed has no longer.
async fn floor(client: &Client) -> Result<Revision, StoreError> {
    let row = client
        .query_one("SELECT floor FROM head WHERE one = 1", &[])
        .await
        .map_err(failed)?;
    Ok(Revision::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// Moves the feed's floor, and leaves of what is before it the audited rows. Another replica that does
/// the same at once is in the way: then nothing is done.
async fn move_floor(client: &Client, trim: &Trim) -> Result<u64, StoreError> {
    let head = client
        .query_one("SELECT change_rows, floor FROM head WHERE one = 1", &[])
        .await
        .map_err(failed)?;
    let rows = u64::try_from(head.get::<_, i64>(0)).unwrap_or(0);
    let old: i64 = head.get(1);
    let floor = Revision::try_from(old).unwrap_or(0);
    let sql = "SELECT position, at FROM changes WHERE position >= $1 ORDER BY position LIMIT 1 OFFSET $2";
    let mut found = None;
    for reach in rows::reaches(rows, trim) {
        let last = client
            .query_opt(sql, &[&rows::position(floor + 1), &(reach - 1)])
            .await
            .map_err(failed)?;
        found = last
            .filter(|row| row.get::<_, i64>(1) < trim.before)
            .and_then(|row| Cut::of(row.get(0), floor));
        if found.is_some() {
            break;
        }
    }
    let Some(cut) = found else { return Ok(0) };
    client.batch_execute("BEGIN").await.map_err(failed)?;
    let trimmed = async {
        let sql = "SELECT count(*) FROM changes WHERE position >= $1 AND position < $2";
        let gone: i64 = client.query_one(sql, &[&cut.from, &cut.to]).await?.get(0);
        let sql = "DELETE FROM changes WHERE position >= $1 AND position < $2 AND audited = 0";
        client.execute(sql, &[&cut.from, &cut.to]).await?;
        let sql = "UPDATE head SET change_rows = change_rows - $1, floor = $2 WHERE one = 1 AND floor = $3";
        let new = i64::try_from(cut.floor).unwrap_or(i64::MAX);
        let moved = client.execute(sql, &[&gone, &new, &old]).await?;
        if moved == 0 {
            client.batch_execute("ROLLBACK").await?;
            return Ok(0);
        }
        client.batch_execute("COMMIT").await?;
        Ok(u64::try_from(gone).unwrap_or(0))
    };
    match trimmed.await {
        Ok(gone) => Ok(gone),
        Err(error) => {
            let _ = client.batch_execute("ROLLBACK").await;
            Err(failed(error))
        }
    }
}

/// Forgets the oldest audited rows behind the floor.
async fn forget(client: &Client, trim: &Trim) -> Result<u64, StoreError> {
    let end = rows::position(floor(client).await? + 1);
    let sql = "SELECT position, at FROM changes WHERE position < $1 ORDER BY position LIMIT $2";
    let oldest = client.query(sql, &[&end, &(trim.step as i64)]).await.map_err(failed)?;
    let oldest: Vec<(i64, i64)> = oldest.iter().map(|row| (row.get(0), row.get(1))).collect();
    let Some((end, count)) = rows::outdated(&oldest, trim.audit_before) else {
        return Ok(0);
    };
    client
        .execute("DELETE FROM changes WHERE position < $1", &[&end])
        .await
        .map_err(failed)?;
    Ok(count)
}

fn read_row(row: &tokio_postgres::Row) -> Result<ReadRow, tokio_postgres::Error> {
    Ok(ReadRow {
        position: row.try_get(0)?,
        at: row.try_get(1)?,
        kind: row.try_get(2)?,
        project: row.try_get(3)?,
        cluster: row.try_get(4)?,
        op: row.try_get(5)?,
        actor: row.try_get(6)?,
        body: row.try_get(7)?,
        body_version: row.try_get(8)?,
        through: row.try_get(9)?,
        by_provider: row.try_get(10)?,
        request: row.try_get(11)?,
    })
}

/// An error of the server's says that nothing was committed; without one, the connection broke.
fn failed(error: tokio_postgres::Error) -> StoreError {
    let cause = with_cause(&error);
    match error.code() {
        Some(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            StoreError::Retry(cause)
        }
        Some(code) if *code == SqlState::UNIQUE_VIOLATION => StoreError::Backstop(cause),
        Some(code) if *code == SqlState::ADMIN_SHUTDOWN || *code == SqlState::CRASH_SHUTDOWN => {
            StoreError::Unknown(cause)
        }
        Some(code) if *code == SqlState::DISK_FULL => StoreError::Full(cause),
        Some(_) => StoreError::Failed(cause),
        None => StoreError::Unknown(cause),
    }
}

/// Where nothing was to be written, nothing is unknown.
fn lost(error: StoreError) -> StoreError {
    match error {
        StoreError::Unknown(cause) => StoreError::Lost(cause),
        other => other,
    }
}

fn with_cause(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}
