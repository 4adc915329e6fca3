//! The worst day of a control plane: its store is put back to a copy older than all pods, and its agents come back. Run in
//! release; the agents are a process of their own on the same machine.
//!
//! `cargo run --release -p portolan-control --example restore -- [AGENTS:PODS,…]`
//!
//! Agents in clusters of a hundred hold a block each; the store is copied. Then pods come, and each node needs a second
//! block. The copy is put back, and all agents connect at once, show the other history, claim their leases and report
//! their pods: timed from the open endpoint until every pod has its port and every node is answered. Then all come once
//! more with nothing on their disks but their certificates, and are sent the state of their cluster. The projects of a tenth
//! of the clusters are chosen to go first.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod fleet;

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::agent::{Disk, Identity, Stream, identities};
use fleet::clients::Clients;
use fleet::world::{World, agents_of};
use fleet::{Outcome, memory, processor, quantile, until};
use portolan_core::kinds::epochs::Epoch;
use portolan_core::model::Project;
use portolan_core::quotas::Counted;
use portolan_core::view::View;
use portolan_wire::agent::{Block, BlockRequest, PodAllocation, PodReport, from_agent, to_agent::Message as In};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::sleep;

/// Agents and pods, if not said otherwise.
const SIZES: &str = "100:6000,1000:66000,3000:200000";

/// The largest cluster.
const CLUSTER: usize = 100;

/// Handshakes the agents have under way at once. All come from one address, which the endpoint does not let have more
/// than 2,048 silent connections.
const AT_ONCE: usize = 512;

/// How long an agent waits that was refused.
const AGAIN: Duration = Duration::from_millis(200);

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    if args.first().is_some_and(|arg| arg == "clients") {
        return runtime.block_on(clients(Path::new(&args[1]), args[2].parse()?));
    }
    println!(
        "agents   pods     | claimed s, chosen  goal | node p50, p99 s | again |  empty s, chosen  goal | node p50, p99 s | MiB, and agents"
    );
    for size in args.first().map_or(SIZES, String::as_str).split(',') {
        let (agents, pods) = size.split_once(':').ok_or("a size is AGENTS:PODS")?;
        let row = runtime.block_on(measure(agents.parse()?, pods.parse()?))?;
        println!("{row}");
    }
    Ok(())
}

// ---- the control plane's side ----

async fn measure(agents: usize, pods: usize) -> Outcome<String> {
    let folder = tempfile::tempdir()?;
    let world = World::prepare(folder.path(), agents, agents.div_ceil(CLUSTER)).await?;
    let database = world.close().await;
    let copy = std::fs::read(&database)?;

    let world = World::open(folder.path())?;
    let serving = world.serve(([127, 0, 0, 1], 0).into())?;
    let address = serving.address;
    let mut clients = Clients::start(folder.path(), address)?;
    clients.ask("connect")?;
    clients.ask(&format!("hold {pods}"))?;
    if ports(&world) != pods {
        return Err("not every pod has a port".into());
    }
    serving.end().await?;
    world.close().await;
    clients.ask("leave")?;

    for beside in ["-wal", "-shm"] {
        let mut path = database.clone().into_os_string();
        path.push(beside);
        drop(std::fs::remove_file(path));
    }
    std::fs::write(&database, copy)?;
    let world = World::open(folder.path())?;
    let serving = world.serve(address)?;
    let before = processor()?;
    let claimed = Answered::from_str(&clients.ask("claim")?)?;
    let (busy, held) = (processor()? - before, ports(&world));
    let epochs: Vec<Arc<Epoch>> = world.control.read(|view| view.all::<Epoch>().cloned().collect());
    let [epoch] = &epochs[..] else {
        return Err(format!("{} epochs have begun", epochs.len()).into());
    };
    let whole = held == pods && epoch.blocks_found == agents as u64 && epoch.disputes.is_empty();
    if !whole {
        return Err(format!("{held} of {pods} pods have a port, and the epoch is {epoch:?}").into());
    }
    until("all nodes are online", || world.online() == agents).await?;

    serving.end().await?;
    clients.ask("leave")?;
    let serving = world.serve(address)?;
    let empty = Answered::from_str(&clients.ask("empty")?)?;
    let agents_memory = clients.ask("memory")?;
    serving.end().await?;
    world.close().await;
    Ok(format!(
        "{agents:6} {pods:8}  | {:9.2}, {:6.2}    30 | {:6.2}, {:6.2}  | {:5} | {:7.2}, {:6.2}    20 | {:6.2}, {:6.2}  | {}, {agents_memory}; claim took {busy:.1} s of processor",
        claimed.all,
        claimed.first,
        claimed.p50,
        claimed.p99,
        claimed.again,
        empty.all,
        empty.first,
        empty.p50,
        empty.p99,
        memory("VmHWM")? >> 10,
    ))
}

/// How many pods have a port.
fn ports(world: &World) -> usize {
    let projects = |view: &View| {
        view.all::<Project>()
            .map(|project| view.counted(project.id, Counted::Pods))
            .sum::<u64>()
    };
    world.control.read(projects) as usize
}

// ---- the agents' side ----

/// When agents were answered, in seconds from the order on.
struct Answered {
    all: f64,
    /// The last of a tenth of the clusters, which go first.
    first: f64,
    p50: f64,
    p99: f64,
    /// How often one had to come again.
    again: usize,
}

impl FromStr for Answered {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or("too few words");
        Ok(Self {
            all: next()?.parse()?,
            first: next()?.parse()?,
            p50: next()?.parse()?,
            p99: next()?.parse()?,
            again: next()?.parse()?,
        })
    }
}

/// What all agents are told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Wait,
    /// Connect, with what is on the disk.
    Connect,
    /// Get pods, of all agents as many as this together, and a second block for them.
    Hold(usize),
    /// Leave.
    Leave,
    /// Connect, claim what the control plane lacks, and report all pods.
    Claim,
    /// Connect with an empty disk.
    Empty,
}

async fn clients(folder: &Path, address: SocketAddr) -> Outcome<()> {
    let (orders, order) = watch::channel(Order::Wait);
    let (done, mut all_done) = mpsc::unbounded_channel::<Done>();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let identities = identities(folder)?;
    let agents = identities.len();
    for (number, identity) in identities.into_iter().enumerate() {
        let agent = Agent {
            number,
            agents,
            identity,
            address,
            room: Arc::clone(&room),
            disk: Disk::default(),
            stream: None,
            pods: Vec::new(),
        };
        tokio::spawn(agent.obey(order.clone(), done.clone()));
    }
    for line in std::io::stdin().lines() {
        let line = line?;
        let (word, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let order = match word {
            "connect" => Order::Connect,
            "hold" => Order::Hold(number.parse()?),
            "leave" => Order::Leave,
            "claim" => Order::Claim,
            "empty" => Order::Empty,
            _ => {
                println!("{}", memory("VmHWM")? >> 10);
                continue;
            }
        };
        let began = Instant::now();
        orders.send(order)?;
        let (mut times, mut first, mut again) = (Vec::new(), 0.0, 0);
        while times.len() < agents {
            let (number, failures) = all_done.recv().await.ok_or("the agents have ended")?;
            let time = began.elapsed().as_secs_f64();
            times.push(time);
            again += failures?;
            if is_chosen(number, agents) {
                first = time;
            }
        }
        let all = times.last().copied().unwrap_or_default();
        println!(
            "{all} {first} {} {} {again}",
            quantile(&mut times, 0.5),
            quantile(&mut times, 0.99)
        );
    }
    Ok(())
}

/// Which agent has done what it was told, and how often it had to come again.
type Done = (usize, Result<usize, String>);

/// Whether an agent is in one of the clusters that go first.
fn is_chosen(agent: usize, agents: usize) -> bool {
    let clusters = agents.div_ceil(CLUSTER);
    let chosen: usize = (0..clusters.div_ceil(10))
        .map(|cluster| agents_of(cluster, agents, clusters))
        .sum();
    agent < chosen
}

struct Agent {
    number: usize,
    /// How many there are.
    agents: usize,
    identity: Identity,
    address: SocketAddr,
    room: Arc<Semaphore>,
    disk: Disk,
    stream: Option<Stream>,
    pods: Vec<PodAllocation>,
}

impl Agent {
    /// Does what it is told; says after each order how often it had to come again. Between orders it listens.
    async fn obey(mut self, mut orders: watch::Receiver<Order>, done: mpsc::UnboundedSender<Done>) {
        loop {
            tokio::select! {
                biased;
                told = orders.changed() => {
                    if told.is_err() {
                        return;
                    }
                    let order = *orders.borrow_and_update();
                    let did = self.does(order).await.map_err(|error| error.to_string());
                    if done.send((self.number, did)).is_err() {
                        return;
                    }
                }
                () = self.listen() => self.stream = None,
            }
        }
    }

    /// Takes what comes, until the stream ends.
    async fn listen(&mut self) {
        let Some(stream) = &mut self.stream else {
            return std::future::pending().await;
        };
        while let Ok(message) = stream.next().await {
            if let In::Change(change) = message
                && self.disk.state.change(change).is_err()
            {
                return;
            }
        }
    }

    async fn does(&mut self, order: Order) -> Outcome<usize> {
        let mut failures = 0;
        if order == Order::Empty {
            self.disk.state = fleet::agent::State::default();
        }
        loop {
            let did = match order {
                Order::Wait => Ok(()),
                Order::Leave => {
                    self.stream = None;
                    Ok(())
                }
                Order::Connect | Order::Empty => self.connect().await,
                // Nothing fails here but for a reason.
                Order::Hold(pods) => return self.hold(agents_of(self.number, pods, self.agents)).await.map(|()| 0),
                Order::Claim => self.claim().await,
            };
            match did {
                Ok(()) => return Ok(failures),
                Err(error) if failures == 100 => return Err(error),
                Err(error) => {
                    // One says it for all.
                    if failures == 0 && self.number.is_multiple_of(100) {
                        eprintln!("agent {} comes again: {error}", self.number);
                    }
                    failures += 1;
                    self.stream = None;
                    sleep(AGAIN).await;
                }
            }
        }
    }

    async fn connect(&mut self) -> Outcome<()> {
        let permit = self.room.acquire().await?;
        let mut stream = Stream::open(&self.identity, self.address).await?;
        drop(permit);
        stream.begin(&mut self.disk).await?;
        self.stream = Some(stream);
        Ok(())
    }

    async fn claim(&mut self) -> Outcome<()> {
        self.connect().await?;
        let pods = self.pods.clone();
        self.report(pods, true).await
    }

    /// Gives addresses of its first block to half of the pods and then, as the block gets full, of a second one to the rest.
    async fn hold(&mut self, pods: usize) -> Outcome<()> {
        let first = self.blocks().pop().ok_or("no block was leased at the join")?;
        self.give(&first, pods / 2).await?;
        let stream = self.stream.as_mut().ok_or("no stream")?;
        stream
            .send(from_agent::Message::Blocks(BlockRequest { have: 1 }))
            .await?;
        while self.blocks().len() < 2 {
            let stream = self.stream.as_mut().ok_or("no stream")?;
            if let In::Change(change) = stream.next().await? {
                self.disk.state.change(change)?;
            }
        }
        let second = self.blocks().into_iter().find(|block| block.id != first.id);
        self.give(&second.ok_or("it is the first")?, pods - pods / 2).await
    }

    fn blocks(&self) -> Vec<Block> {
        self.disk.state.blocks_of(&self.identity.node)
    }

    /// Gives addresses of a block to pods, and reports them.
    async fn give(&mut self, block: &Block, pods: usize) -> Outcome<()> {
        let prefix = block.prefix.as_ref().ok_or("a block without a prefix")?;
        let base = u32::from_be_bytes(prefix.address.as_slice().try_into()?);
        let new: Vec<PodAllocation> = (0..pods)
            .map(|at| self.pod(base + 1 + at as u32, self.pods.len() + at))
            .collect();
        self.pods.extend_from_slice(&new);
        self.report(new, false).await
    }

    /// A pod of a node that gets one a minute, as all others do: so do ids come, which are UUIDs of version 7.
    fn pod(&self, address: u32, at: usize) -> PodAllocation {
        let drawn_at = 1_780_000_000_000 + 60_000 * at as u64 + self.number as u64;
        let mut id = [0; 16];
        id[..6].copy_from_slice(&drawn_at.to_be_bytes()[2..]);
        id[6..8].copy_from_slice(&[0x70, 0]);
        id[8..].copy_from_slice(&(0x8000_0000_0000_0000 | self.number as u64).to_be_bytes());
        let [_, _, high, low] = (self.number as u32).to_be_bytes();
        PodAllocation {
            id: id.to_vec(),
            seq: at as u64 + 1,
            container_id: format!("{:064x}", drawn_at),
            interface: "eth0".to_owned(),
            pod_namespace: "shop".to_owned(),
            pod_name: format!("web-{:010x}-{at:05}", self.number),
            pod_uid: String::new(),
            addresses: vec![address.to_be_bytes().to_vec()],
            mac: vec![2, high, low, 0, (at >> 8) as u8, at as u8],
            ..PodAllocation::default()
        }
    }

    /// Reports pods, and waits for the answer.
    async fn report(&mut self, allocations: Vec<PodAllocation>, full: bool) -> Outcome<()> {
        let stream = self.stream.as_mut().ok_or("no stream")?;
        let seq = self.pods.len() as u64;
        let report = PodReport {
            full,
            seq,
            allocations,
            ..PodReport::default()
        };
        stream.send(from_agent::Message::Pods(report)).await?;
        loop {
            match stream.next().await? {
                In::PodAck(ack) if ack.refused.is_empty() => return Ok(()),
                In::PodAck(ack) => return Err(ack.refused[0].reason.clone().into()),
                In::Change(change) => self.disk.state.change(change)?,
                _ => {}
            }
        }
    }
}
