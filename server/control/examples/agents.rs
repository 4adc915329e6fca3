//! How many agents a control plane carries: streams, memory, changes delivered, everybody back after
//! a restart. Run in release; the clients are a process of their own on the same machine.
//!
//! `cargo run --release -p portolan-control --example agents -- [AGENTS] [CLUSTERS] [COMMITS]`
//!
//! Prints one line of JSON: times in milliseconds, memory in bytes a stream (of the control plane's
//! process). Agents have a state; the first connection brings a snapshot, the one after the restart
//! must not.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod fleet;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use fleet::agent::{Disk, Identity, Stream, identities};
use fleet::clients::Clients;
use fleet::world::{World, agents_of};
use fleet::{Outcome, memory, now, quantile, until};
use parking_lot::Mutex;
use portolan_core::command::{Command, NetworkChange};
use portolan_wire::agent::to_agent::Message as In;
use tokio::sync::Semaphore;

/// Commits while everybody listens, each of which concerns one cluster, if not said otherwise.
const COMMITS: usize = 500;

/// The time from one of these commits to the next.
const PACE: Duration = Duration::from_millis(2);

/// Handshakes the clients have under way at once.
const AT_ONCE: usize = 256;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    if args.first().is_some_and(|arg| arg == "clients") {
        return runtime.block_on(clients(Path::new(&args[1]), args[2].parse()?));
    }
    let number = |at: usize, default: usize| args.get(at).map_or(Ok(default), |text| text.parse());
    let agents = number(0, 1000)?;
    runtime.block_on(measure(agents, number(1, agents.div_ceil(100))?, number(2, COMMITS)?))
}

// ---- the control plane's side ----

async fn measure(agents: usize, clusters: usize, commits: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let world = World::prepare(folder.path(), agents, clusters).await?;
    let serving = world.serve(([127, 0, 0, 1], 0).into())?;
    let endpoint = serving.address;
    let before = memory("VmRSS")?;
    let mut clients = Clients::start(folder.path(), endpoint)?;
    let connected = clients.next()?;
    until("all nodes are online", || world.online() == agents).await?;
    let stream = (memory("VmRSS")?.saturating_sub(before) << 10) / agents;

    let started = Instant::now();
    let mut sent = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    let mut expected = 0;
    for at in 0..commits {
        pace.tick().await;
        expected += agents_of(at % clusters, agents, clusters);
        // Another than the one before, or it were no change.
        let (network, mtu) = (
            world.clusters[at % clusters].1,
            1300 + u32::try_from(at / clusters)? % 150,
        );
        let change = NetworkChange {
            mtu: Some(mtu),
            ..NetworkChange::default()
        };
        let revision = world.write(Command::UpdateNetwork(network, change)).await?.revision;
        sent.push((revision, now()));
    }
    let delivered = clients.ask(&format!("expect {expected}"))?;
    let spent = started.elapsed();
    let late = lateness(folder.path(), &sent)?;

    serving.end().await?;
    // They count anew before anybody can be back.
    clients.ask("restart")?;
    let began = Instant::now();
    let _serving = world.serve(endpoint)?;
    let back = clients.next()?;
    let away = began.elapsed();
    println!(
        "{{\"agents\":{agents},\"clusters\":{clusters},\"connect\":{connected},\"bytes_a_stream\":{stream},\
         \"delivered\":{delivered},\"delivering_ms\":{},\"late_ms_p50\":{:.1},\"late_ms_p99\":{:.1},\
         \"back\":{back},\"back_ms\":{}}}",
        spent.as_millis(),
        late.0,
        late.1,
        away.as_millis()
    );
    Ok(())
}

/// Median and 99th percentile of the time from the answer to a write to the arrival of its change,
/// in milliseconds. A change that came before the answer counts as 0.
fn lateness(folder: &Path, sent: &[(u64, u64)]) -> Outcome<(f64, f64)> {
    let mut late: Vec<f64> = Vec::new();
    for record in std::fs::read(folder.join("arrivals"))?.chunks_exact(16) {
        let (revision, at) = (
            u64::from_be_bytes(record[..8].try_into()?),
            u64::from_be_bytes(record[8..].try_into()?),
        );
        if let Ok(index) = sent.binary_search_by_key(&revision, |(revision, _)| *revision) {
            late.push(at.saturating_sub(sent[index].1) as f64 / 1e3);
        }
    }
    Ok((quantile(&mut late, 0.5), quantile(&mut late, 0.99)))
}

// ---- the agents' side ----

#[derive(Default)]
struct Counts {
    ready: AtomicUsize,
    snapshots: AtomicUsize,
    tickets: AtomicUsize,
    changes: AtomicUsize,
    arrivals: Mutex<Vec<(u64, u64)>>,
}

async fn clients(folder: &Path, address: SocketAddr) -> Outcome<()> {
    let identities = identities(folder)?;
    let counts = Arc::new(Counts::default());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let total = identities.len();
    let began = Instant::now();
    for identity in identities {
        tokio::spawn(agent(identity, address, Arc::clone(&counts), Arc::clone(&room)));
    }
    let report = |counts: &Counts, began: Instant| {
        let (snapshots, tickets) = (counts.snapshots.swap(0, SeqCst), counts.tickets.swap(0, SeqCst));
        println!(
            "{{\"ms\":{},\"snapshots\":{snapshots},\"tickets\":{tickets}}}",
            began.elapsed().as_millis()
        );
    };
    until("all are connected", || counts.ready.load(SeqCst) == total).await?;
    report(&counts, began);
    let lines = std::io::stdin().lines();
    for line in lines {
        let line = line?;
        if let Some(expected) = line.strip_prefix("expect ") {
            let expected = expected.parse()?;
            until("all changes are there", || counts.changes.load(SeqCst) >= expected).await?;
            let arrivals = std::mem::take(&mut *counts.arrivals.lock());
            let bytes = arrivals
                .iter()
                .flat_map(|(revision, at)| [revision.to_be_bytes(), at.to_be_bytes()].concat());
            std::fs::write(folder.join("arrivals"), bytes.collect::<Vec<u8>>())?;
            println!("{expected}");
        } else {
            // All streams have ended by now.
            let began = Instant::now();
            counts.ready.store(0, SeqCst);
            room.add_permits(AT_ONCE);
            println!("counting anew");
            until("all are back", || counts.ready.load(SeqCst) == total).await?;
            report(&counts, began);
        }
    }
    Ok(())
}

/// One agent: connects again for ever, with the state it has.
async fn agent(identity: Identity, address: SocketAddr, counts: Arc<Counts>, room: Arc<Semaphore>) {
    let mut disk = Disk::default();
    loop {
        // It ends with the endpoint.
        let Err(_) = stream(&identity, address, &mut disk, &counts, &room).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn stream(
    identity: &Identity,
    address: SocketAddr,
    disk: &mut Disk,
    counts: &Counts,
    room: &Semaphore,
) -> Outcome<std::convert::Infallible> {
    let permit = room.acquire().await?;
    let mut stream = Stream::open(identity, address).await?;
    counts.tickets.fetch_add(usize::from(stream.resumed), SeqCst);
    let begun = stream.begin(disk).await?;
    counts.snapshots.fetch_add(usize::from(begun.snapshot), SeqCst);
    counts.ready.fetch_add(1, SeqCst);
    drop(permit);
    loop {
        if let In::Change(change) = stream.next().await? {
            counts.changes.fetch_add(1, SeqCst);
            counts.arrivals.lock().push((change.revision, now()));
            disk.state.change(change)?;
        }
    }
}
