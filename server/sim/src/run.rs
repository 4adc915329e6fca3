//! One seed, from its beginning to its end.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::check;
use crate::script::Script;
use crate::world::{Size, World};

/// Two control planes and five hosts.
pub const SMALL: Size = Size {
    servers: 2,
    hosts: 5,
    steps: 60,
};

/// How long it may take until all is calm once nothing goes wrong any more.
const CALM_AFTER: Duration = Duration::from_secs(15 * 60);

/// How often the administrator looks.
const LOOK: Duration = Duration::from_secs(5);

/// Three control planes and three hundred hosts.
pub const LARGE: Size = Size {
    servers: 3,
    hosts: 300,
    steps: 200,
};

/// What a seed that held did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// How many pods were added.
    pub pods: u32,
    /// The newest revision.
    pub head: u64,
    /// How long it went on, in its own time.
    pub lasted: Duration,
    /// How long it took to be calm, in its own time.
    pub calm_after: Duration,
}

/// What did not hold, and what had happened.
#[derive(Debug, Clone)]
pub struct Broken {
    /// What did not hold.
    pub what: String,
    /// What had happened.
    pub story: Vec<String>,
}

/// Plays seeds, so many at once, and hands over what came of each; false stops.
pub fn seeds(
    numbers: Range<u64>,
    size: Size,
    threads: usize,
    each: &(dyn Fn(u64, Result<Done, Broken>) -> bool + Sync),
) {
    let (next, stopped) = (AtomicU64::new(numbers.start), AtomicBool::new(false));
    #[expect(clippy::disallowed_methods, reason = "seeds know nothing of each other")]
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stopped.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= numbers.end {
                        return;
                    }
                    if !each(number, seed(number, size)) {
                        stopped.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
}

/// Plays a seed, in a runtime of its own.
///
/// # Errors
/// What did not hold.
pub fn seed(seed: u64, size: Size) -> Result<Done, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.map_err(|error| Broken {
        what: format!("no runtime: {error}"),
        story: Vec::new(),
    })?;
    runtime.block_on(async {
        let mut script = Script::new();
        played(seed, size, &mut script).await.map_err(|what| Broken {
            what,
            story: std::mem::take(&mut script.story),
        })
    })
}

thread_local! {
    /// When the run of this thread began.
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How long the run of this thread goes on, in its own time.
pub fn elapsed() -> Duration {
    BEGUN.get().map(|begun| begun.elapsed()).unwrap_or_default()
}

async fn played(seed: u64, size: Size, script: &mut Script) -> Result<Done, String> {
    let begun = Instant::now();
    BEGUN.set(Some(begun));
    let ranges = ["10.1.0.0/21", "10.1.0.0/22", "10.1.0.0/23"];
    let range = usize::try_from(seed % 3).unwrap_or(0);
    let mut world = World::new(seed, size, ranges[range]).await?;
    script.play(&mut world, size.steps).await?;
    script.end(&mut world).await;
    let calm = Instant::now();
    loop {
        world.look_after().await;
        sleep(LOOK).await;
        check::at_once(&mut world).await?;
        match check::calm(&world) {
            Ok(()) => break,
            Err(why) if calm.elapsed() > CALM_AFTER => return Err(format!("not calm after {CALM_AFTER:?}: {why}")),
            Err(_) => {}
        }
    }
    Ok(Done {
        pods: world.pods.added(),
        head: world.cloud.database.head(),
        lasted: begun.elapsed(),
        calm_after: calm.elapsed(),
    })
}
