//! What a node's probes cost it, by the size of its cluster:
//!
//! `cargo run --release -p portolan-sim --example probes [ROUNDS] [PEERS,…]`
//!
//! The prober is the agent's own, on a network in memory in which everybody answers at once; the answers are made in this
//! process too, so they count. Time stands still while there is work, so a second of probes takes as long as it works.

#![expect(clippy::disallowed_methods, reason = "a benchmark asks the kernel what it has used")]

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portolan_agent::desired::State;
use portolan_agent::kernel::fake::FakeKernel;
use portolan_agent::pods::{PodNetwork, Pods};
use portolan_agent::probes::Prober;
use portolan_agent::probes::testing::Wires;
use portolan_plan::OwnBlock;
use portolan_plan::probes::{ProbeKey, ProbeSeal};
use portolan_shared::addr::{Cidr, Family, from_bits};
use portolan_shared::ids::{BlockId, NodeId};
use portolan_sources::testing::{MemoryFiles, OnTheSpot, SeededRandom, SetClock};
use portolan_sources::{Files as _, Ids, Workers};
use portolan_wire::agent::{Block, Cluster, Node, Snapshot};
use portolan_wire::field::{address_bytes, prefix_message};
use portolan_wire::item::Body as _;
use tokio::sync::watch;
use tokio::time::sleep;

type Failure = Box<dyn std::error::Error>;

const KEY: [u8; 32] = [5; 32];
const OWN: u32 = 1;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let rounds: u32 = arguments.next().map_or(Ok(300), |text| text.parse())?;
    let sizes = arguments.next().unwrap_or_else(|| "10,16,100,1000".into());
    let mut out = io::stdout();
    for size in sizes.split(',') {
        let peers: u32 = size.parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let used = runtime.block_on(measure(peers, rounds))?;
        let each = used.as_secs_f64() * 1e6 / f64::from(rounds);
        writeln!(
            out,
            "{peers:6} peers  {each:8.1} µs a second, {:.3} % of a core",
            each / 1e4
        )?;
    }
    Ok(())
}

async fn measure(peers: u32, rounds: u32) -> Result<Duration, Failure> {
    let wires = Wires::default();
    wires.everybody_answers(ProbeSeal::new(&ProbeKey::new(KEY)));
    let pods = Arc::new(pods()?);
    let random = Arc::new(SeededRandom::new(1));
    let prober = Prober::new(node(OWN), Arc::new(wires), pods, random, Workers::new(OnTheSpot));
    let mut told = prober.told();
    let (_state, desired) = watch::channel(Arc::new(state(peers + 1)?));
    let work = tokio::spawn(prober.run(desired));
    told.wait_for(|told| told.as_ref().is_some_and(|told| told.proven == peers))
        .await?;
    let before = processor()?;
    sleep(Duration::from_secs(rounds.into())).await;
    let used = processor()?.saturating_sub(before);
    work.abort();
    Ok(used)
}

/// What this process has used of processors.
fn processor() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("the kernel counts nothing")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn node(n: u32) -> NodeId {
    NodeId::from_bytes((u128::from(n) << 64 | 7).to_be_bytes())
}

fn host(n: u32) -> IpAddr {
    from_bits(Family::V4, (10 << 24) + u128::from(n))
}

fn block(n: u32) -> Result<Cidr, Failure> {
    let first = from_bits(Family::V4, (10 << 24) + (128 << 16) + 64 * u128::from(n));
    Ok(Cidr::containing(first, 26).ok_or("no such block")?)
}

fn range() -> Result<Cidr, Failure> {
    Ok("10.128.0.0/9".parse()?)
}

fn pods() -> Result<Pods, Failure> {
    let disk = MemoryFiles::default();
    disk.make_folder(Path::new("/state"))?;
    let ids = Ids::new(Arc::new(SetClock::at(0)), Arc::new(SeededRandom::new(2)));
    let (path, kernel) = (Path::new("/state/pods.log"), Arc::new(FakeKernel::default()));
    let pods = Pods::open(&disk, path, kernel, ids, Arc::new(OnTheSpot))?;
    let own = OwnBlock {
        id: BlockId::from_bytes([1; 16]),
        prefix: block(OWN)?,
    };
    pods.configure(PodNetwork {
        mtu: 1500,
        ranges: vec![range()?],
        blocks: vec![own],
        ..PodNetwork::default()
    });
    Ok(pods)
}

fn state(nodes: u32) -> Result<State, Failure> {
    let cluster = Cluster {
        id: vec![9; 16],
        pod_ranges: vec![prefix_message(range()?)],
        probe_key: KEY.to_vec(),
        ..Cluster::default()
    };
    let mut items = vec![cluster.item()];
    for n in 1..=nodes {
        let id = node(n).as_bytes().to_vec();
        let of_node = Block {
            id: id.clone(),
            node_id: id.clone(),
            prefix: Some(prefix_message(block(n)?)),
            ..Block::default()
        };
        let node = Node {
            id,
            addresses: vec![address_bytes(host(n))],
            ..Node::default()
        };
        items.extend([node.item(), of_node.item()]);
    }
    let snapshot = Snapshot {
        revision: 1,
        items,
        ..Snapshot::default()
    };
    Ok(State::of_snapshot([7; 16], Vec::new(), snapshot)?)
}
