//! What a seed decides.

use std::time::Duration;

use portolan_sources::Random as _;
use portolan_sources::testing::SeededRandom;

/// Dice of a seed. Clones roll on in turn.
#[derive(Debug, Clone)]
pub struct Dice(SeededRandom);

impl Dice {
    /// The dice of this seed.
    pub fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// From 0 up to and without `end`; 0 if that is 0.
    pub fn below(&self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.bits() % end).unwrap_or(0)
    }

    /// True once in `times` on average.
    pub fn once_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A span up to `most`.
    pub fn span(&self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.bits() % micros)
    }

    /// One of them.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// Randomness for a machine of its own.
    pub fn randomness(&self) -> SeededRandom {
        SeededRandom::new(self.bits())
    }
}
