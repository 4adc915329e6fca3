//! How many probes are answered: a flood of them is worth no more than so many answers.

use std::time::Duration;

/// Answers a second that are given, and at most so many at once. A node in a calm cluster of any size is asked some 60
/// times a second.
const MOST: u32 = 1_000;

/// Counts answers.
#[derive(Debug, Clone)]
pub struct Allowance {
    left: u32,
    since: Duration,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: MOST,
            since: Duration::ZERO,
        }
    }
}

impl Allowance {
    /// Whether one more answer may be given at the time `now`, counted from any moment.
    pub fn take(&mut self, now: Duration) -> bool {
        let grown = now.saturating_sub(self.since).as_millis() * u128::from(MOST) / 1_000;
        if grown > 0 {
            let grown = u32::try_from(grown).unwrap_or(MOST);
            self.left = self.left.saturating_add(grown).min(MOST);
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_no_more_than_a_second_may_have() {
        let mut allowance = Allowance::default();
        let given = |allowance: &mut Allowance, now| (0..5_000).filter(|_| allowance.take(now)).count();
        assert_eq!(given(&mut allowance, Duration::ZERO), 1_000);
        assert_eq!(given(&mut allowance, Duration::from_millis(10)), 10);
        assert_eq!(
            given(&mut allowance, Duration::from_secs(100)),
            1_000,
            "no more is saved up"
        );
    }
}
