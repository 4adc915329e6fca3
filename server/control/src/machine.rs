//! What the control plane runs on: everything it does not decide itself. A test or a simulation gives
//! it another machine.

use std::sync::Arc;

use portolan_sources::{
    Clock, Files, Net, Random, Stopwatch, SystemClock, SystemFiles, SystemNet, SystemRandom, SystemStopwatch,
    SystemThreads, Threads, Workers,
};

/// Where time, randomness, files, connections, threads and blocking work come from.
#[derive(Clone)]
pub struct Sources {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Measures how long answers take.
    pub stopwatch: Arc<dyn Stopwatch>,
    /// For secrets and ids.
    pub random: Arc<dyn Random>,
    /// The disk that the CA of the agents is on, and the lock of the database.
    pub files: Arc<dyn Files>,
    /// Where clients and agents come from.
    pub net: Arc<dyn Net>,
    /// Threads for what blocks.
    pub workers: Workers,
    /// Threads that have one work: the writer's, and those of the store.
    pub threads: Arc<dyn Threads>,
    /// How many threads run at once.
    pub cores: usize,
}

impl Sources {
    /// The machine's own.
    #[expect(
        clippy::disallowed_methods,
        reason = "here the machine is asked how many cores it has"
    )]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            stopwatch: Arc::new(SystemStopwatch::default()),
            random: Arc::new(SystemRandom::default()),
            files: Arc::new(SystemFiles),
            net: Arc::new(SystemNet),
            workers: Workers::default(),
            threads: Arc::new(SystemThreads),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
