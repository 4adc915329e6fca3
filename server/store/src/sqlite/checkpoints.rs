//! Checkpoints off the writer's path.

use std::sync::mpsc;

use rusqlite::Connection;

use super::{SqliteOptions, failed, open};
use crate::StoreError;

/// Copies what it can of the log into the file, without waiting for anybody.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Copies the log into the file on a thread of its own.
pub(super) struct Checkpointer {
    ask: Option<mpsc::SyncSender<()>>,
    done: mpsc::Receiver<()>,
    asked: bool,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(options: &SqliteOptions) -> Result<Self, StoreError> {
        let connection = open(options)?;
        connection
            .busy_timeout(std::time::Duration::from_secs(5))
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", options.synchronous)
            .map_err(failed)?;
        let (ask, asked) = mpsc::sync_channel::<()>(1);
        let (tell, done) = mpsc::sync_channel::<()>(1);
        let run = move || {
            while asked.recv().is_ok() {
                if let Err(error) = checkpoint(&connection) {
                    tracing::warn!(%error, "a checkpoint failed; the log goes on growing");
                }
                let _ = tell.try_send(());
            }
        };
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(run)
            .map_err(|e| StoreError::Failed(e.to_string()))?;
        Ok(Self {
            ask: Some(ask),
            done,
            asked: false,
            thread: Some(thread),
        })
    }

    /// Starts one, unless one runs.
    pub(super) fn ask(&mut self) {
        if !self.asked
            && let Some(ask) = &self.ask
        {
            self.asked = ask.try_send(()).is_ok();
        }
    }

    /// Waits for the end of the one that runs, if one does.
    pub(super) fn wait(&mut self) {
        if std::mem::take(&mut self.asked) {
            // The thread that would say so ends only with this.
            let _ = self.done.recv();
        }
    }

    /// Whether one has ended since it was asked for.
    pub(super) fn finished(&mut self) -> bool {
        let finished = self.asked && self.done.try_recv().is_ok();
        self.asked &= !finished;
        finished
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
