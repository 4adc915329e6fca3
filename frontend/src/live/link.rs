//! How the event stream is, and what follows from it. Pure: times are parameters.

/// Longest silence of a healthy stream: the server says something every 5 s (milliseconds).
const SILENCE: i64 = 16_000;

/// Failed tries after which the mark turns from amber to red.
const PATIENCE: u32 = 4;

/// How the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No project is on screen.
    Idle,
    /// First try; nothing is known yet.
    Connecting,
    /// What is on screen is true; when something was last heard.
    Live(i64),
    /// Broken; since when, and how often tried since.
    Broken {
        /// When something was last heard, or when it first failed.
        since: i64,
        /// Failed tries, from 1.
        attempts: u32,
    },
}

/// What the mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing to say yet.
    Connecting,
    /// Green.
    Live,
    /// Amber: data from then.
    Reconnecting(i64),
    /// Red: not live since then.
    Down(i64),
}

impl Link {
    /// Something came at `now`. `None` where the mark stays as it is and the time is near enough.
    pub fn heard(&mut self, now: i64) -> bool {
        let shown = self.mark();
        *self = Link::Live(now);
        shown != self.mark()
    }

    /// The stream ended, or could not be opened.
    pub fn lost(self, now: i64) -> Link {
        match self {
            Link::Idle => Link::Idle,
            Link::Connecting => Link::Broken {
                since: now,
                attempts: 1,
            },
            Link::Live(heard) => Link::Broken {
                since: heard,
                attempts: 1,
            },
            Link::Broken { since, attempts } => Link::Broken {
                since,
                attempts: attempts.saturating_add(1),
            },
        }
    }

    /// Failed tries in a row.
    pub fn attempts(self) -> u32 {
        match self {
            Link::Broken { attempts, .. } => attempts,
            _ => 0,
        }
    }

    /// Whether a stream that claims to be open has said nothing for too long.
    pub fn silent(self, now: i64) -> bool {
        matches!(self, Link::Live(heard) if now - heard > SILENCE)
    }

    /// What the mark says.
    pub fn mark(self) -> Mark {
        match self {
            Link::Idle | Link::Connecting => Mark::Connecting,
            Link::Live(_) => Mark::Live,
            Link::Broken { since, attempts } if attempts < PATIENCE => Mark::Reconnecting(since),
            Link::Broken { since, .. } => Mark::Down(since),
        }
    }
}

/// How long to wait before try number `failures` + 1: doubling from 1 s to 30 s (milliseconds).
///
/// `random`, from 0 up to 1, takes up to a quarter away, so that many browsers do not come at once.
pub fn pause(failures: u32, random: f64) -> i32 {
    let full = (1_000_i32 << failures.saturating_sub(1).min(5)).min(30_000);
    full - (f64::from(full) / 4.0 * random) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        assert_eq!(
            [0, 1, 2, 3, 5, 6, 99].map(|n| pause(n, 0.0)),
            [1_000, 1_000, 2_000, 4_000, 16_000, 30_000, 30_000]
        );
        assert_eq!(pause(1, 0.999), 751);
    }

    #[test]
    fn the_mark_names_when_data_was_last_true() {
        let mut link = Link::Connecting;
        assert_eq!(link.mark(), Mark::Connecting);
        assert!(link.heard(5_000));
        assert!(!link.heard(9_000), "live stays live");
        let link = link.lost(12_000);
        assert_eq!(link.mark(), Mark::Reconnecting(9_000));
        let mut link = link.lost(13_000).lost(14_000).lost(15_000);
        assert_eq!(link.mark(), Mark::Down(9_000));
        assert!(link.heard(20_000));
        assert_eq!(link.mark(), Mark::Live);
    }

    #[test]
    fn silence_is_a_broken_stream() {
        assert!(!Link::Live(0).silent(SILENCE));
        assert!(Link::Live(0).silent(SILENCE + 1));
        assert!(!Link::Connecting.silent(SILENCE + 1));
    }

    #[test]
    fn the_first_failure_counts_from_itself() {
        assert_eq!(Link::Connecting.lost(7).mark(), Mark::Reconnecting(7));
        assert_eq!(Link::Idle.lost(7), Link::Idle);
    }
}
