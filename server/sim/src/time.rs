//! The machines' clocks: they go with the runtime's paused time, and each can be wrong by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portolan_sources::{Clock, Stopwatch};
use tokio::time::Instant;

/// When a run begins, in microseconds since the epoch: 2026-01-01.
const BEGIN: i64 = 1_767_225_600_000_000;

/// One machine's clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct MachineClock {
    begun: Instant,
    /// By how much it is ahead, in microseconds.
    ahead: Arc<AtomicI64>,
}

impl MachineClock {
    /// A clock that is right. `begun` is when the run began.
    pub fn right(begun: Instant) -> Self {
        Self {
            begun,
            ahead: Arc::default(),
        }
    }

    /// Leaps ahead by so many seconds; back, if negative.
    pub fn leap(&self, seconds: i64) {
        self.ahead.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    fn since(&self) -> Duration {
        Instant::now().duration_since(self.begun)
    }
}

impl Clock for MachineClock {
    fn now(&self) -> i64 {
        let since = i64::try_from(self.since().as_micros()).unwrap_or(i64::MAX);
        BEGIN + since + self.ahead.load(Ordering::SeqCst)
    }
}

impl Stopwatch for MachineClock {
    fn elapsed(&self) -> Duration {
        self.since()
    }
}
