//! Opening the file, and keeping other processes out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use portolan_sources::FileLock;
use rusqlite::{Connection, OpenFlags};

use super::{STATEMENTS, SqliteOptions, failed};
use crate::StoreError;

/// Opens a connection that writes.
pub(super) fn connect(options: &SqliteOptions, log_pages: &Arc<AtomicI32>) -> Result<Connection, StoreError> {
    let mut connection = open(options)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let set = |name: &str, value: &str| {
        connection.pragma_update(None, name, value).or_else(|e| match e {
            rusqlite::Error::ExecuteReturnedResults => Ok(()),
            other => Err(other),
        })
    };
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .map_err(failed)?;
    if options.path != Path::new(":memory:") {
        set("journal_mode", "WAL").map_err(failed)?;
    }
    set("synchronous", options.synchronous).map_err(failed)?;
    // KiB, negative: what is written stays in memory for the next batch.
    set("cache_size", "-65536").map_err(failed)?;
    set("temp_store", "MEMORY").map_err(failed)?;
    set("wal_autocheckpoint", "0").map_err(failed)?;
    let pages = Arc::clone(log_pages);
    connection
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, in_log| {
            pages.store(in_log, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(failed)?;
    Ok(connection)
}

/// Opens a connection as the system gives it.
pub(super) fn open(options: &SqliteOptions) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match &options.vfs {
        None => Connection::open_with_flags(&options.path, flags),
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str()),
    }
    .map_err(|e| StoreError::Failed(format!("{}: {e}", options.path.display())))
}

/// Keeps other processes out as long as the file is held.
pub(super) fn lock(options: &SqliteOptions) -> Result<FileLock, StoreError> {
    let path = &options.path;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let lock = options.files.lock(&name);
    let lock = lock.map_err(|error| StoreError::Failed(format!("{}: {error}", name.display())))?;
    lock.ok_or_else(|| StoreError::InUse(path.display().to_string()))
}
