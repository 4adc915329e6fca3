//! Where time, randomness, ids, files, the network and threads come from: parameters, so that a test
//! or a simulation decides them.
//!
//! Each source is a trait with the machine's own implementation beside it, named `System…`.

#![deny(unsafe_code)]

#[cfg(feature = "async")]
mod blocking;
mod files;
#[cfg(feature = "async")]
mod net;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod threads;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(feature = "async")]
pub use blocking::{Blocking, OwnThread, SystemBlocking, WorkPanicked, Workers};
pub use files::{AppendLog, Barrier, FileLock, Files, SystemFiles};
#[cfg(feature = "async")]
pub use net::{ByteStream, Listener, Net, Opening, PeerListener, SystemNet};
pub use threads::{SystemThreads, Threads};

use parking_lot::Mutex;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since the epoch, UTC.
    fn now(&self) -> i64;
}

/// Measures spans of time. What it says only grows, also when somebody sets the machine's clock.
pub trait Stopwatch: Send + Sync + 'static {
    /// How long it has run, since a moment that does not change.
    fn elapsed(&self) -> Duration;
}

/// Whether a program keeps the machine's clock right, by the kernel's word (`STA_UNSYNC`).
///
/// # Errors
/// If the kernel does not say it.
#[expect(unsafe_code, reason = "no crate of ours asks the kernel this")]
pub fn clock_is_held() -> std::io::Result<bool> {
    // SAFETY: all bytes zero are a `timex` that changes nothing (`modes` is 0) ...
    let mut asked: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: ... which the kernel writes into, and keeps no pointer to.
    match unsafe { libc::adjtimex(&raw mut asked) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(asked.status & libc::STA_UNSYNC == 0),
    }
}

/// Gives random bytes that nobody can guess.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// The machine's monotonic clock, from when this was made.
#[derive(Debug, Clone, Copy)]
pub struct SystemStopwatch(Instant);

impl Default for SystemStopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's monotonic clock is read"
    )]
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Stopwatch for SystemStopwatch {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The operating system's randomness, fetched a page at a time.
#[derive(Default)]
pub struct SystemRandom(Mutex<Vec<u8>>);

/// Bytes fetched from the operating system at once.
const FETCH: usize = 4096;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's randomness is drawn"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        let mut page = self.0.lock();
        if page.len() < bytes.len() {
            page.resize(FETCH.max(bytes.len()), 0);
            getrandom::fill(&mut page).expect("the operating system has randomness once it is up");
        }
        let rest = page.len() - bytes.len();
        bytes.copy_from_slice(&page[rest..]);
        page.truncate(rest);
    }
}

/// Makes UUIDs of version 7 (RFC 9562, 6.2 method 1: a counter after the milliseconds) that only
/// ever grow, also when the clock steps back.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    last: Arc<Mutex<(u64, u32)>>,
}

/// Bits of the counter: the 12 of `rand_a` and 12 of `rand_b`.
const COUNTER_BITS: u32 = 24;

impl Ids {
    /// From these sources.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            clock,
            random,
            last: Arc::default(),
        }
    }

    /// The next id.
    pub fn next(&self) -> Uuid {
        let mut noise = [0_u8; 8];
        self.random.fill(&mut noise);
        let noise = u64::from_be_bytes(noise);
        let now = u64::try_from(self.clock.now() / 1000).unwrap_or(0);
        let (millis, counter) = {
            let mut last = self.last.lock();
            if now > last.0 {
                // A start in the lower half leaves room for 8 million ids in a millisecond.
                *last = (now, (noise >> 40) as u32 & ((1 << (COUNTER_BITS - 1)) - 1));
            } else if last.1 + 1 < 1 << COUNTER_BITS {
                last.1 += 1;
            } else {
                *last = (last.0 + 1, 0);
            }
            *last
        };
        let (high, low) = (u128::from(counter >> 12), u128::from(counter & 0xfff));
        let bits = u128::from(millis) << 80
            | 0x7 << 76
            | high << 64
            | 0b10 << 62
            | low << 50
            | u128::from(noise & ((1 << 50) - 1));
        Uuid::from_u128(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stepping(Mutex<Vec<i64>>);
    impl Clock for Stepping {
        fn now(&self) -> i64 {
            self.0.lock().pop().unwrap_or(1_000)
        }
    }

    #[test]
    fn ids_grow_also_when_the_clock_steps_back() {
        let clock = Stepping(Mutex::new(vec![5_000, 1_000, 9_000, 7_000, 7_000]));
        let ids = Ids::new(Arc::new(clock), Arc::new(SystemRandom::default()));
        let made: Vec<Uuid> = (0..5000).map(|_| ids.next()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            made.iter()
                .all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
        );
    }
}
