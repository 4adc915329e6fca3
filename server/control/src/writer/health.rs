//! Whether the store takes what is written, for those who ask without writing; and how often a failing one is said to be.

use std::time::Duration;

use parking_lot::Mutex;
use portolan_core::model::Micros;
use portolan_shared::refusal::Refusal;

/// How often it is logged that the store fails: once a minute, in microseconds.
const SAID_EVERY: Micros = 60_000_000;

/// How often a failing store is tried, if nobody else does.
pub(super) const PROBED_EVERY: Duration = Duration::from_secs(1);

/// How the store is.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why it takes nothing, as who writes is told.
    why: Option<Refusal>,
    said_at: Option<Micros>,
    /// Failures since then.
    unsaid: u64,
}

impl Health {
    /// Why nothing can be written now; `None` if what was written last was taken.
    pub(crate) fn why_not(&self) -> Option<Refusal> {
        self.0.lock().why.clone()
    }

    /// It does not take anything.
    pub(super) fn fails(&self, why: Refusal) {
        self.0.lock().why = Some(why);
    }

    /// It takes what is written. Whether it did not before.
    pub(super) fn works(&self) -> bool {
        self.0.lock().why.take().is_some()
    }

    /// Whether a failure is to be logged, and how many were not since the last that was.
    pub(super) fn says(&self, now: Micros) -> Option<u64> {
        let mut state = self.0.lock();
        // A clock that was set back must not keep it quiet.
        let lately = |at: Micros| (0..SAID_EVERY).contains(&(now - at));
        if state.said_at.is_some_and(lately) {
            state.unsaid += 1;
            return None;
        }
        state.said_at = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_once_a_minute_and_counted_meanwhile() {
        let health = Health::default();
        assert_eq!(health.says(100), Some(0));
        assert_eq!(health.says(101), None);
        assert_eq!(health.says(99 + SAID_EVERY), None);
        assert_eq!(health.says(100 + SAID_EVERY), Some(2));
        assert_eq!(health.says(50), Some(0), "the clock was set back");
        assert!(!health.works());
        health.fails(Refusal::StoreFull {});
        assert_eq!(health.why_not(), Some(Refusal::StoreFull {}));
        assert!(health.works());
        assert_eq!(health.why_not(), None);
    }
}
