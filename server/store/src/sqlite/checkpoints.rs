//! Checkpoints off the writer's path.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use portolan_sources::Threads;
use rusqlite::Connection;

use super::{SqliteOptions, failed, open};
use crate::StoreError;

/// Copies what it can of the log into the file, without waiting for anybody.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Copies the log into the file, each time on a thread of its own.
pub(super) struct Checkpointer {
    threads: Arc<dyn Threads>,
    connection: Arc<Mutex<Connection>>,
    /// Told when the one that runs has ended.
    running: Option<Receiver<()>>,
}

impl Checkpointer {
    pub(super) fn new(options: &SqliteOptions) -> Result<Self, StoreError> {
        let connection = open(options)?;
        connection
            .busy_timeout(std::time::Duration::from_secs(5))
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", options.synchronous)
            .map_err(failed)?;
        Ok(Self {
            threads: Arc::clone(&options.threads),
            connection: Arc::new(Mutex::new(connection)),
            running: None,
        })
    }

    /// Starts one, unless one runs.
    pub(super) fn ask(&mut self) {
        if self.running.is_some() {
            return;
        }
        let (done, running) = sync_channel(1);
        let connection = Arc::clone(&self.connection);
        let run = move || {
            let held = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = checkpoint(&held) {
                tracing::warn!(%error, "a checkpoint failed; the log goes on growing");
            }
            drop(held);
            // Whoever waits for the end may close the file at once.
            drop(connection);
            // Nobody may wait.
            let _ = done.send(());
        };
        match self.threads.start("checkpoint", Box::new(run)) {
            Ok(()) => self.running = Some(running),
            Err(error) => tracing::warn!(%error, "a checkpoint did not start; the log goes on growing"),
        }
    }

    /// Waits for the end of the one that runs, if one does.
    pub(super) fn wait(&mut self) {
        if let Some(running) = self.running.take() {
            // An error says that it has ended without a word, which is an end.
            let _ = running.recv();
        }
    }

    /// Whether one has ended since it was asked for.
    pub(super) fn finished(&mut self) -> bool {
        let ended = |running: &Receiver<()>| !matches!(running.try_recv(), Err(TryRecvError::Empty));
        self.running.take_if(|running| ended(running)).is_some()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wait();
    }
}
