//! When the control plane issues certificates and join tokens: not while its clock is behind what it has written itself.
//!
//! A clock that was lost (a battery, a virtual machine that was put back) makes certificates that end too early and spent
//! time come again. But one that was *ahead* once has left a commit of the future, which must not keep every node out until
//! then: whoever stays behind it for an hour of running is right, and the commit was wrong.

use std::time::Duration;

use portolan_core::model::Micros;

/// By how much the clock may be behind the newest commit: a minute.
const BEHIND: Micros = 60_000_000;

/// How long the clock has to stay behind until the commit is taken to be wrong.
const BELIEVED_AFTER: Duration = Duration::from_secs(60 * 60);

/// Since when the clock is behind, by a stopwatch.
#[derive(Debug, Default)]
pub(crate) struct Issuing {
    behind_since: Option<Duration>,
}

/// What may be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything.
    Issue,
    /// Nothing: the clock is behind.
    Wait,
    /// Everything: the commit was wrong.
    CommitWasWrong,
}

impl Issuing {
    /// By a clock that says `now` when the newest commit is of `latest`; `elapsed` is the stopwatch's.
    pub(crate) fn look(&mut self, now: Micros, latest: Micros, elapsed: Duration) -> Verdict {
        if latest - now <= BEHIND {
            self.behind_since = None;
            return Verdict::Issue;
        }
        let since = *self.behind_since.get_or_insert(elapsed);
        if elapsed.saturating_sub(since) < BELIEVED_AFTER {
            return Verdict::Wait;
        }
        self.behind_since = None;
        Verdict::CommitWasWrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;

    #[test]
    fn a_clock_that_is_behind_waits_for_an_hour_at_most() {
        let mut issuing = Issuing::default();
        let at = Duration::from_secs;
        assert_eq!(issuing.look(100 * HOUR, 100 * HOUR, at(0)), Verdict::Issue);
        assert_eq!(issuing.look(100 * HOUR - BEHIND, 100 * HOUR, at(1)), Verdict::Issue);
        assert_eq!(issuing.look(100 * HOUR - BEHIND - 1, 100 * HOUR, at(2)), Verdict::Wait);
        assert_eq!(
            issuing.look(101 * HOUR, 100 * HOUR, at(3)),
            Verdict::Issue,
            "it was set right"
        );
        // It is counted anew, and not by the clock.
        assert_eq!(issuing.look(HOUR, 100 * HOUR, at(4000)), Verdict::Wait);
        assert_eq!(issuing.look(90 * HOUR, 100 * HOUR, at(7599)), Verdict::Wait);
        assert_eq!(issuing.look(2 * HOUR, 100 * HOUR, at(7600)), Verdict::CommitWasWrong);
    }
}
