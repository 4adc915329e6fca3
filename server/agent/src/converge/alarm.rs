//! News that call for a round, and when.

use std::time::Duration;

use portolan_plan::{Desired, Event, News, Signals};
use tokio::time::Instant;

/// What comes in a burst, such as two thousand routes that are flushed, is looked at once it is over:
/// when nothing came for this long ...
const QUIET: Duration = Duration::from_millis(20);
/// ... or the first of it is this old.
const LONGEST_BURST: Duration = Duration::from_millis(200);

/// What was announced since the last round.
#[derive(Default)]
pub(super) struct Alarm {
    signals: Signals,
    /// When the first and the last news came that call for a round.
    called: Option<(Instant, Instant)>,
}

impl Alarm {
    /// Takes news in. `desired` is what the last round was made by; while it has failed in something,
    /// a link that comes up may be what was missing.
    pub(super) fn note(&mut self, news: News, desired: &Desired, failing: bool) {
        let mends = failing && matches!(news.event, Event::Link { up: true, .. });
        if self.signals.note(news, desired) || mends {
            let now = Instant::now();
            let first = self.called.map_or(now, |(first, _)| first);
            self.called = Some((first, now));
        }
    }

    /// When the round is due that news call for, not before `rested`.
    pub(super) fn due(&self, rested: Instant) -> Option<Instant> {
        let (first, last) = self.called?;
        Some((last + QUIET).min(first + LONGEST_BURST).max(rested))
    }

    /// What was announced, and when the first of it came that calls for a round.
    pub(super) fn take(&mut self) -> (Signals, Option<Instant>) {
        let Self { signals, called } = std::mem::take(self);
        (signals, called.map(|(first, _)| first))
    }
}
