//! How long to wait before trying again: short at first, then longer, at random so that agents do not come all at once.

use std::time::Duration;

/// The first wait: a control plane that restarts is back in a moment.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure. It doubles each time; `chance` (any number) picks a time between half of it and
    /// all of it.
    pub fn next(&mut self, chance: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let share = 0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX);
        whole.mul_f64(share)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(u32::MAX).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!((0..1000).map(|_| backoff.next(0)).max(), Some(LONGEST / 2));
        backoff.reset();
        assert_eq!(backoff.next(0), FIRST / 2);
    }
}
