//! From a commit to the kernel of a node, while ten thousand agents listen. Run in release, as root; the agents are a
//! process of their own on the same machine, and one more is the real one, in a network namespace.
//!
//! `cargo run --release -p portolan-control --example commit_to_kernel -- [AGENTS,…] [CHANGES]`
//!
//! A hundred times a second a block is leased to a node, or given back: a change for the streams of one cluster, which is
//! one in a hundred. One in four is in the cluster of the real agent, whose kernel gets, or loses, a route; timed by
//! `ip monitor` there. So a figure holds the decision, the durable commit, the stream, the agent's own durable copy, the
//! plan and the kernel, and what a hundred other streams of the cluster cost meanwhile.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod fleet;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use fleet::agent::{Disk, Identity, Stream, identities};
use fleet::clients::Clients;
use fleet::world::{World, find};
use fleet::{Outcome, now, quantile, until};
use parking_lot::Mutex;
use portolan_core::command::{Command, PodAllocation};
use portolan_core::model::{Block, HostPorts, Object, Pod};
use portolan_shared::addr::{from_bits, to_bits};
use portolan_shared::ids::{NodeId, PortId};
use portolan_shared::mac::MacAddress;
use portolan_wire::agent::to_agent::Message as In;
use rustix::mount::UnmountFlags;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Semaphore;

/// Where the control plane listens, and where the real agent is: both in the node range of every cluster.
const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The time from one change to the next.
const PACE: Duration = Duration::from_millis(10);

/// Every how many changes one is in the real agent's cluster.
const EVERY: usize = 4;

/// Nodes of a cluster that get a block and give it back, in turn: so no agent sees one come and go in one.
const MOVERS: usize = 10;

/// Clusters: each change is for one of them.
const CLUSTERS: usize = 100;

/// Handshakes the agents have under way at once.
const AT_ONCE: usize = 256;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("clients") => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(clients(Path::new(&args[1]), args[2].parse()?))
        }
        Some("inside") => inside(&args[1], args[2].parse()?),
        _ => {
            // Nothing of it is in the network of this machine, and nothing stays behind.
            let sizes = args.first().map_or("100,1000,10000", String::as_str);
            let changes = args.get(1).map_or("4000", String::as_str);
            let mut inside = Process::new("unshare");
            inside.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
            Err(inside
                .arg(std::env::current_exe()?)
                .args(["inside", sizes, changes])
                .exec()
                .into())
        }
    }
}

fn inside(sizes: &str, changes: usize) -> Outcome<()> {
    // Where `/proc` counts other processes than these, a number there leads into somebody else's network.
    if std::fs::read_link("/proc/self")? != Path::new(&std::process::id().to_string()) {
        return Err("this is started by the benchmark itself".into());
    }
    run(Process::new("ip").args(["link", "set", "lo", "up"]))?;
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "agents  | commit to kernel p50, p99, max ms  goal p99 | from the request p50, p99 | other streams p50, p99 | late changes"
    );
    for agents in sizes.split(',') {
        println!("{}", runtime.block_on(measure(agents.parse()?, changes))?);
    }
    Ok(())
}

// ---- the control plane's side ----

/// A change in the real agent's cluster.
struct Change {
    /// The route that it makes or takes away.
    route: Route,
    /// When it was asked for, and when that was answered.
    asked: u64,
    committed: u64,
}

/// A network, and whether its route goes.
type Route = (String, bool);

async fn measure(agents: usize, changes: usize) -> Outcome<String> {
    let folder = tempfile::tempdir()?;
    let clusters = CLUSTERS.min(agents / 2);
    let world = World::prepare(folder.path(), agents, clusters).await?;
    let host = Host::new()?;
    let serving = world.serve((CONTROL, 7443).into())?;
    let mut clients = Clients::start(folder.path(), serving.address)?;
    clients.next()?;
    until("all nodes are online", || world.online() == agents).await?;

    let cluster = world.clusters[0].0;
    let (token, secret) = serving.tokens.issue(cluster, None, world.control.now());
    let token = find(&world.write(token).await?.objects, |object| match object {
        Object::JoinToken(token) => Some(Arc::clone(token)),
        _ => None,
    })?;
    let (told, _agent) = (
        host.routes()?,
        host.agent(folder.path(), &serving.tokens.text(&token, &secret))?,
    );
    let movers = movers(&world).await?;
    // Every block that is leased so far has its route there, but for those of the agent itself.
    let leased = world.control.read(|view| view.blocks_of(cluster).count());
    until("the real agent has its routes", || told.lock().len() + 1 >= leased).await?;

    let (mut sent, mut asked) = (Vec::new(), Vec::new());
    let mut turns = vec![0_usize; clusters];
    let mut pace = tokio::time::interval(PACE);
    for at in 0..changes {
        pace.tick().await;
        let cluster = if at % EVERY == 0 {
            0
        } else {
            1 + at % (clusters - 1).max(1)
        };
        let cluster = cluster.min(clusters - 1);
        let (turn, of) = (turns[cluster], &movers[cluster]);
        turns[cluster] += 1;
        let (node, comes) = (of[turn % of.len()], (turn / of.len()) % 2 == 0);
        let begin = now();
        let (revision, block) = moved(&world, node, comes).await?;
        let committed = now();
        sent.push((revision, committed));
        if cluster == 0 {
            let route = (block.cidr.to_string(), !comes);
            asked.push(Change {
                route,
                asked: begin,
                committed,
            });
        }
    }
    until("every route has come or gone", || {
        let told = told.lock();
        asked.iter().all(|change| told.contains_key(&change.route))
    })
    .await?;
    let streams = clients.ask("arrivals")?;
    serving.end().await?;
    world.close().await;

    let told = told.lock();
    let since = |from: fn(&Change) -> u64| -> Vec<f64> {
        let late = |change: &Change| told[&change.route].saturating_sub(from(change)) as f64 / 1e3;
        asked.iter().map(late).collect()
    };
    let (mut committed, mut request) = (since(|change| change.committed), since(|change| change.asked));
    let over = committed.iter().filter(|late| **late > 20.0).count();
    let (p50, p99) = streams_late(folder.path(), &sent, &streams)?;
    Ok(format!(
        "{agents:6}  | {:6.1}, {:6.1}, {:6.1}                     20  | {:6.1}, {:6.1}           | {p50:6.1}, {p99:6.1}         | {over} of {}",
        quantile(&mut committed, 0.5),
        quantile(&mut committed, 0.99),
        quantile(&mut committed, 1.0),
        quantile(&mut request, 0.5),
        quantile(&mut request, 0.99),
        asked.len(),
    ))
}

/// The nodes of each cluster that get blocks: they have a pod, so that they may want one.
async fn movers(world: &World) -> Outcome<Vec<Vec<NodeId>>> {
    let mut all = Vec::new();
    for (cluster, _) in &world.clusters {
        let nodes: Vec<(NodeId, Block)> = world.control.read(|view| {
            let with_block = |block: &Arc<Block>| (block.node, (**block).clone());
            view.blocks_of(*cluster).map(with_block).take(MOVERS).collect()
        });
        for (at, (node, block)) in nodes.iter().enumerate() {
            let id = PortId::from(world.control.new_id());
            let allocation = PodAllocation {
                id,
                pod: Pod {
                    namespace: "shop".to_owned(),
                    name: "web".to_owned(),
                    container_id: id.to_string(),
                    seq: 1,
                    host_ports: HostPorts::default(),
                },
                addresses: vec![from_bits(block.cidr.family(), to_bits(block.cidr.first()) + 1)],
                mac: MacAddress::new([2, 0, 0, 0, 0, u8::try_from(at)?]),
            };
            let report = Command::ReportPods {
                node: *node,
                full: false,
                seq: 1,
                allocations: vec![allocation],
                releases: Vec::new(),
            };
            world.write(report).await?;
        }
        all.push(nodes.into_iter().map(|(node, _)| node).collect());
    }
    Ok(all)
}

/// Leases a node its second block, or takes that back.
async fn moved(world: &World, node: NodeId, comes: bool) -> Outcome<(u64, Block)> {
    let command = if comes {
        Command::LeaseBlock { node, have: 1 }
    } else {
        let newest = world
            .control
            .read(|view| view.of::<Block>(node).map(|block| block.id).max());
        Command::ReturnBlocks {
            node,
            blocks: newest.into_iter().collect(),
        }
    };
    let outcome = world.write(command).await?;
    let block = find(&outcome.objects, |object| match object {
        Object::Block(block) => Some((**block).clone()),
        _ => None,
    })?;
    Ok((outcome.revision, block))
}

/// How late changes came to the other streams, in milliseconds: median and 99th percentile.
fn streams_late(folder: &Path, sent: &[(u64, u64)], arrivals: &str) -> Outcome<(f64, f64)> {
    let mut late = Vec::new();
    for record in std::fs::read(folder.join(arrivals))?.chunks_exact(16) {
        let (revision, at) = record.split_at(8);
        let (revision, at) = (
            u64::from_be_bytes(revision.try_into()?),
            u64::from_be_bytes(at.try_into()?),
        );
        if let Ok(index) = sent.binary_search_by_key(&revision, |(revision, _)| *revision) {
            late.push(at.saturating_sub(sent[index].1) as f64 / 1e3);
        }
    }
    Ok((quantile(&mut late, 0.5), quantile(&mut late, 0.99)))
}

// ---- the real agent's side ----

/// A process that ends with what holds it.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The real agent, until it is dropped.
struct RealAgent {
    _process: Ends,
    /// Where it keeps its end of probes.
    probes: PathBuf,
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        // It outlives the agent, and would keep the folder from going.
        let _ = rustix::mount::unmount(&self.probes, UnmountFlags::DETACH);
    }
}

/// A network namespace with a link to this one. The link ends with the namespace.
struct Host {
    /// Lives in it, and so it stays.
    keeper: Ends,
}

impl Drop for Host {
    fn drop(&mut self) {
        // With the namespace alone it would go some time later.
        let _ = Process::new("ip").args(["link", "del", "wire"]).status();
    }
}

impl Host {
    fn new() -> Outcome<Self> {
        let keeper = Process::new("unshare").args(["--net", "sleep", "infinity"]).spawn()?;
        let host = Self { keeper: Ends(keeper) };
        let own = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(host.namespace())? == own {
            thread::yield_now();
        }
        let pid = host.keeper.0.id().to_string();
        run(Process::new("ip").args([
            "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ]))?;
        run(Process::new("ip").args(["addr", "add", &format!("{CONTROL}/16"), "dev", "wire"]))?;
        run(Process::new("ip").args(["link", "set", "wire", "up"]))?;
        run(host.within("ip").args(["link", "set", "lo", "up"]))?;
        run(host
            .within("ip")
            .args(["addr", "add", &format!("{HOST}/16"), "dev", "eth0"]))?;
        run(host.within("ip").args(["link", "set", "eth0", "up"]))?;
        Ok(host)
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.0.id())
    }

    /// A program there.
    fn within(&self, program: &str) -> Process {
        let mut command = Process::new("nsenter");
        command.arg(format!("--net={}", self.namespace())).arg(program);
        command
    }

    /// The agent, as it ships.
    fn agent(&self, folder: &Path, token: &str) -> Outcome<RealAgent> {
        let state = folder.join("host");
        std::fs::create_dir(&state)?;
        std::fs::write(state.join("token"), token)?;
        // Examples are built into a folder beside the programs.
        let example = std::env::current_exe()?;
        let agent = example.ancestors().nth(2).ok_or("no folder")?.join("portolan-agent");
        let mut command = self.within(&agent.to_string_lossy());
        command.args(["run", "--name", "host", "--state-dir"]).arg(&state);
        command.arg("--join-token-file").arg(state.join("token"));
        command.arg("--cni-socket").arg(state.join("cni.sock"));
        let probes = state.join("probes");
        command.arg("--probe-netns").arg(&probes);
        command.env("RUST_LOG", "error");
        Ok(RealAgent {
            _process: Ends(command.spawn()?),
            probes,
        })
    }

    /// What its kernel tells of routes of the agent's from now on, each with when it was told first.
    fn routes(&self) -> Outcome<Arc<Mutex<HashMap<Route, u64>>>> {
        let mut monitor = self.within("ip");
        monitor.args(["-tshort", "-4", "monitor", "route"]).env("TZ", "UTC");
        let mut monitor = monitor.stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(monitor.stdout.take().ok_or("no output")?).lines();
        let told = Arc::new(Mutex::new(HashMap::new()));
        let tell = Arc::clone(&told);
        thread::spawn(move || {
            let _monitor = Ends(monitor);
            for line in lines.map_while(Result::ok) {
                if let Some((at, route)) = parse(&line) {
                    tell.lock().entry(route).or_insert(at);
                }
            }
        });
        Ok(told)
    }
}

/// A line of `ip -tshort monitor route`: `[2026-11-30T15:08:33.843123] Deleted 10.64.1.0/26 via …`.
fn parse(line: &str) -> Option<(u64, Route)> {
    let (at, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let at = OffsetDateTime::parse(&format!("{at}Z"), &Rfc3339).ok()?;
    let at = u64::try_from(at.unix_timestamp_nanos() / 1_000).ok()?;
    let (rest, gone) = match rest.strip_prefix("Deleted ") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let network = rest.split(' ').next().filter(|network| network.contains('/'))?;
    Some((at, (network.to_owned(), gone)))
}

fn run(command: &mut Process) -> Outcome<()> {
    let status = command.status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed: root and iproute2 are needed").into()),
    }
}

// ---- the simulated agents' side ----

#[derive(Default)]
struct Heard {
    ready: AtomicUsize,
    arrivals: Mutex<Vec<(u64, u64)>>,
}

async fn clients(folder: &Path, address: SocketAddr) -> Outcome<()> {
    let heard = Arc::new(Heard::default());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let identities = identities(folder)?;
    let total = identities.len();
    for identity in identities {
        tokio::spawn(agent(identity, address, Arc::clone(&heard), Arc::clone(&room)));
    }
    until("all are connected", || heard.ready.load(SeqCst) == total).await?;
    println!("connected");
    for line in std::io::stdin().lines() {
        let file = line?;
        let bytes = heard
            .arrivals
            .lock()
            .iter()
            .flat_map(|(revision, at)| [*revision, *at])
            .collect::<Vec<u64>>();
        let bytes: Vec<u8> = bytes.into_iter().flat_map(u64::to_be_bytes).collect();
        std::fs::write(folder.join(&file), bytes)?;
        println!("{file}");
    }
    Ok(())
}

async fn agent(identity: Identity, address: SocketAddr, heard: Arc<Heard>, room: Arc<Semaphore>) -> Outcome<()> {
    let mut disk = Disk::default();
    let permit = room.acquire().await?;
    let mut stream = Stream::open(&identity, address).await?;
    stream.begin(&mut disk).await?;
    drop(permit);
    heard.ready.fetch_add(1, SeqCst);
    loop {
        if let In::Change(change) = stream.next().await? {
            heard.arrivals.lock().push((change.revision, now()));
        }
    }
}
