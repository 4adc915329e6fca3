//! One seed, from its beginning to its end.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::check;
use crate::dice::Dice;
use crate::paths::Paths;
use crate::script::Script;
use crate::world::{Size, World};

/// Two control planes and five hosts.
pub const SMALL: Size = Size {
    servers: 2,
    hosts: 5,
    steps: 60,
    node_range: "10.0.0.0/22",
    pod_ranges: ["10.1.0.0/21", "10.1.0.0/22", "10.1.0.0/23"],
};

/// How long it may take until all is calm once nothing goes wrong any more.
const CALM_AFTER: Duration = Duration::from_secs(15 * 60);

/// How long it may take until a host has room for a pod, where others have blocks that they do not need.
const POD_AFTER: Duration = Duration::from_secs(3 * 60);

/// How long it may take before room is made.
const ROOM_AFTER: Duration = Duration::from_secs(60);

/// How long it may take until it is said of a path that nothing passes, or that all does again.
const SAID_AFTER: Duration = Duration::from_secs(10);

/// How often the administrator looks.
const LOOK: Duration = Duration::from_secs(5);

/// Three control planes and three hundred hosts.
pub const LARGE: Size = Size {
    servers: 3,
    hosts: 300,
    steps: 200,
    node_range: "10.0.0.0/22",
    pod_ranges: ["10.16.0.0/15", "10.16.0.0/16", "10.16.0.0/17"],
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
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    // Who waits for the same is woken in an order that tokio draws: see `.cargo/config.toml`.
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = runtime.build().map_err(|error| Broken {
        what: format!("no runtime: {error}"),
        story: Vec::new(),
    })?;
    runtime.block_on(async {
        let dice = Dice::new(seed);
        let mut script = Script::new(&dice);
        played(size, seed, dice, &mut script).await.map_err(|what| Broken {
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

async fn played(size: Size, seed: u64, dice: Dice, script: &mut Script) -> Result<Done, String> {
    let begun = Instant::now();
    BEGUN.set(Some(begun));
    let mut world = World::new(seed, dice, size).await?;
    script.play(&mut world, size.steps).await?;
    script.end(&mut world).await;
    let calm = Instant::now();
    be_calm(&mut world).await?;
    let calm_after = calm.elapsed();
    everybody_gets_a_pod(&mut world).await?;
    if let Some(paths) = world.paths.clone() {
        lose_a_path(&mut world, &paths).await?;
    }
    Ok(Done {
        pods: world.pods.added(),
        head: world.cloud.database.head(),
        lasted: begun.elapsed(),
        calm_after,
    })
}

/// The administrator looks after all until all is calm. Where a host cannot join the range may be full: room is made.
async fn be_calm(world: &mut World) -> Result<(), String> {
    let (begun, mut has_room) = (Instant::now(), false);
    loop {
        let all_are_nodes = world.hosts.iter().all(|host| host.node().is_some());
        if !has_room && !all_are_nodes && begun.elapsed() > ROOM_AFTER {
            has_room = true;
            make_room(world);
        }
        world.look_after().await;
        sleep(LOOK).await;
        check::at_once(world).await?;
        match check::calm(world) {
            Ok(()) => return Ok(()),
            Err(why) if begun.elapsed() > CALM_AFTER => return Err(format!("not calm after {CALM_AFTER:?}: {why}")),
            Err(_) => {}
        }
    }
}

/// A pod is started on every host, as often as it takes. Where that is not enough the range may be full: room is made.
async fn everybody_gets_a_pod(world: &mut World) -> Result<(), String> {
    let begun = Instant::now();
    let running = |world: &World, host| world.pods.live().iter().filter(|(pod, _)| pod.0 == host).count();
    let all = |world: &World| -> Vec<usize> { (0..world.hosts.len()).map(|host| running(world, host)).collect() };
    let (mut before, mut has_room) = (all(world), false);
    loop {
        if !has_room && begun.elapsed() > ROOM_AFTER {
            has_room = true;
            make_room(world);
            sleep(LOOK).await;
            before = all(world);
        }
        let without: Vec<usize> = (0..before.len())
            .filter(|host| running(world, *host) == before[*host])
            .collect();
        if without.is_empty() {
            return be_calm(world).await;
        }
        if begun.elapsed() > POD_AFTER {
            return Err(format!("hosts {without:?} get no pod to run after {POD_AFTER:?}"));
        }
        without.iter().for_each(|host| world.hosts[*host].add_pod());
        sleep(LOOK).await;
    }
}

/// All pods end but one a host.
fn make_room(world: &World) {
    let mut kept = BTreeSet::new();
    for (pod, _) in world.pods.live() {
        if !kept.insert(pod.0) {
            world.hosts[pod.0].end_pod(pod);
        }
    }
}

/// Nothing passes any more between two hosts: it is said, of nobody else, and no longer than it is so.
async fn lose_a_path(world: &mut World, paths: &Paths) -> Result<(), String> {
    let mut hosts = check::probing(world);
    let one = hosts.swap_remove(world.dice.below(hosts.len()));
    let other = *world.dice.pick(&hosts).ok_or("one host alone probes")?;
    paths.set_cut(one, other, true);
    sleep(SAID_AFTER).await;
    check::only_a_pair_is_said(world, [one, other])?;
    paths.set_cut(one, other, false);
    sleep(SAID_AFTER).await;
    check::calm(world)
}
