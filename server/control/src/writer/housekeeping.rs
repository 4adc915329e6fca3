//! Forgets, now and then, what has expired and old changes.

use portolan_core::command::{Command, Request};
use portolan_core::model::Micros;
use portolan_store::Trim;

use super::Writer;

/// How often sessions, records and old changes are looked through, in microseconds.
const HOUSEKEEPING: Micros = 60 * 1_000_000;
/// Changes forgotten in one step; each is a transaction of its own.
const TRIM_STEP: u64 = 2_000;

/// What the change table keeps, at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rows.
    pub rows: u64,
    /// Microseconds.
    pub age: Micros,
    /// How long the audit's changes stay, in microseconds.
    pub audit: Micros,
}

impl Default for Retention {
    /// An hour and a million rows; 13 months of the audit.
    fn default() -> Self {
        Self {
            rows: 1_000_000,
            age: 3600 * 1_000_000,
            audit: 396 * 24 * 3600 * 1_000_000,
        }
    }
}

impl Writer {
    /// If it is time, forgets what has expired and old changes, in small transactions. It stops when `wanted` says that
    /// clients wait for the writer.
    pub fn housekeeping(&mut self, wanted: &dyn Fn() -> bool) {
        let now = self.clock.now();
        // A clock that was set back must not put this off.
        if (0..HOUSEKEEPING).contains(&now.saturating_sub(self.cleaned_at)) {
            return;
        }
        self.cleaned_at = now;
        self.expire(now, wanted);
        loop {
            let trim = Trim {
                keep: self.retention.rows,
                before: now.saturating_sub(self.retention.age),
                audit_before: now.saturating_sub(self.retention.audit),
                step: TRIM_STEP,
            };
            match self.store.trim(trim) {
                Ok(0) => break,
                // More can wait: what clients ask for comes first.
                Ok(_) if wanted() => {
                    self.cleaned_at = now - HOUSEKEEPING;
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "old changes could not be forgotten");
                    break;
                }
            }
        }
    }

    /// Forgets what has expired, a piece a commit, until nothing is left or clients wait.
    fn expire(&mut self, now: Micros, wanted: &dyn Fn() -> bool) {
        let first = |writer: &Self| writer.view.read().expired(now, 1).first().copied();
        let mut oldest = first(self);
        while let Some(key) = oldest {
            // Errors are in the log; no client waits for this.
            let _ = self.step(&[Request::system(Command::Expire)], &mut || {});
            oldest = first(self);
            if oldest == Some(key) {
                // The store does not take it; the next round tries again.
                break;
            }
            if wanted() {
                self.cleaned_at = now - HOUSEKEEPING;
                break;
            }
        }
    }
}
