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

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use portolan_control::control::{Control, OpenOptions};
use portolan_control::machine::Sources;
use portolan_control::nodes::pki::{Ca, Requested};
use portolan_control::nodes::{Endpoint, EndpointError, Listen, Options};
use portolan_core::command::{Command, NetworkChange, NewCluster, NewNetwork, NewSubnet, Request};
use portolan_core::model::Object;
use portolan_core::quotas::Quotas;
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::ids::{ClusterId, NetworkId, NodeId};
use portolan_shared::v1::CreateCluster;
use portolan_sources::{Clock as _, SystemClock};
use portolan_wire::agent::{FromAgent, Hello, Item, Snapshot, ToAgent, from_agent, to_agent::Message as In};
use portolan_wire::item::{ItemId, Items, read};
use portolan_wire::{PROTOCOL, STREAM_PATH, agent::Role};
use prost::Message as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
type Serving = tokio::task::JoinHandle<Result<(), EndpointError>>;

/// Commits while everybody listens, each of which concerns one cluster, if not said otherwise.
const COMMITS: usize = 500;

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(600);

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
    let (endpoint, stop, served) = world.serve(([127, 0, 0, 1], 0).into())?;
    let before = resident()?;
    let mut clients = Clients::start(folder.path(), endpoint)?;
    let connected = clients.next()?;
    until("all nodes are online", || world.online() == agents).await?;
    let stream = resident()?.saturating_sub(before) / agents;

    let started = Instant::now();
    let mut sent = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    let mut expected = 0;
    for at in 0..commits {
        pace.tick().await;
        expected += agents_of(at % clusters, agents, clusters);
        // Another than the one before, or it were no change.
        let (network, mtu) = (
            world.networks[at % clusters],
            1300 + u32::try_from(at / clusters)? % 150,
        );
        let change = NetworkChange {
            mtu: Some(mtu),
            ..NetworkChange::default()
        };
        let revision = world.write(Command::UpdateNetwork(network, change)).await?.revision;
        sent.push((revision, now()));
    }
    clients.say(&format!("expect {expected}"))?;
    let delivered = clients.next()?;
    let spent = started.elapsed();
    let late = lateness(folder.path(), &sent)?;

    stop.send(()).map_err(|()| "the endpoint has ended by itself")?;
    served.await??;
    clients.say("restart")?;
    // They count anew before anybody can be back.
    clients.next()?;
    let began = Instant::now();
    let (_, stop, _) = world.serve(endpoint)?;
    let back = clients.next()?;
    let away = began.elapsed();
    drop(stop);
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

/// How many agents are in a cluster.
fn agents_of(cluster: usize, agents: usize, clusters: usize) -> usize {
    agents / clusters + usize::from(cluster < agents % clusters)
}

struct World {
    control: Control,
    sources: Sources,
    options: Options,
    networks: Vec<NetworkId>,
}

impl World {
    /// A database with clusters and joined nodes, and the nodes' certificates and keys: by its key a node is known.
    async fn prepare(folder: &Path, agents: usize, clusters: usize) -> Outcome<Self> {
        let sources = Sources::system();
        let database = format!("sqlite:{}", folder.join("portolan.db").display());
        let mut open = OpenOptions::new(database, sources.clone());
        open.quotas = Quotas {
            clusters: u64::MAX,
            networks: u64::MAX,
            subnets: u64::MAX,
            ports: u64::MAX,
            ..open.quotas
        };
        let control = Control::open(open)?;
        let ca_key = folder.join("portolan.db.ca.key");
        let options = Options {
            listen: Listen::Fd(0),
            advertise: "127.0.0.1:7443".to_owned(),
            ca_key: ca_key.clone(),
        };
        let mut world = Self {
            control,
            sources,
            options,
            networks: Vec::new(),
        };
        let sources = &world.sources;
        let ca = Ca::open(
            &*sources.files,
            &ca_key,
            world.control.now(),
            Arc::clone(&sources.random),
        )?;
        let mut identities = Vec::new();
        world.internet(clusters).await?;
        for at in 0..clusters {
            let cluster = world.cluster(at).await?;
            for host in 0..agents_of(at, agents, clusters) {
                let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
                let requested = Requested::parse(CertificateParams::default().serialize_request(&key)?.der())?;
                let node = world.node(cluster, host, requested.key_hash()).await?;
                let certificate = ca.sign_agent(&requested, node, cluster, Role::Node, world.control.now())?;
                for part in [&certificate[..], &key.serialize_der()] {
                    identities.extend(u32::try_from(part.len())?.to_be_bytes());
                    identities.extend_from_slice(part);
                }
            }
        }
        std::fs::write(folder.join("identities"), identities)?;
        std::fs::write(folder.join("ca"), ca.certificate())?;
        Ok(world)
    }

    /// The provider's external network, with an address for each cluster.
    async fn internet(&self, clusters: usize) -> Outcome<()> {
        let project = Command::CreateProject {
            name: "admin".to_owned(),
            description: String::new(),
        };
        let project = find(&self.write(project).await?.objects, |object| match object {
            Object::Project(project) => Some(project.id),
            _ => None,
        })?;
        let network = NewNetwork {
            project,
            name: "internet".to_owned(),
            description: String::new(),
            admin_state_up: true,
            mtu: 1500,
            port_security_enabled: false,
            dns_domain: String::new(),
            internet_access: false,
            external: true,
            shadow_port: false,
        };
        let network = find(
            &self.write(Command::CreateNetworks(vec![network])).await?.objects,
            |object| match object {
                Object::Network(network) => Some(network.id),
                _ => None,
            },
        )?;
        let bits = usize::BITS - (clusters + 4).leading_zeros();
        let input = SubnetInput {
            cidr: format!("100.64.0.0/{}", 32 - bits),
            ..SubnetInput::default()
        };
        let spec = check::subnet(&input).map_err(|wrong| format!("{wrong:?}"))?;
        let subnet = NewSubnet { project, network, spec };
        self.write(Command::CreateSubnets(vec![subnet])).await?;
        Ok(())
    }

    async fn cluster(&mut self, at: usize) -> Outcome<ClusterId> {
        let project = Command::CreateProject {
            name: format!("p{at}"),
            description: String::new(),
        };
        let project = find(&self.write(project).await?.objects, |object| match object {
            Object::Project(project) => Some(project.id),
            _ => None,
        })?;
        let asked = CreateCluster {
            name: "shop".to_owned(),
            node_range: Some("10.0.0.0/16".to_owned()),
            pod_range: Some("10.64.0.0/10".to_owned()),
            ..CreateCluster::default()
        };
        let spec = portolan_shared::cluster::check(&asked).map_err(|wrong| format!("{wrong:?}"))?;
        let cluster = NewCluster { project, spec };
        let made = self.write(Command::CreateCluster(cluster)).await?.objects;
        let cluster = find(&made, |object| match object {
            Object::Cluster(cluster) => Some(Arc::clone(cluster)),
            _ => None,
        })?;
        self.networks.push(cluster.network);
        Ok(cluster.id)
    }

    async fn node(&self, cluster: ClusterId, host: usize, key_hash: [u8; 32]) -> Outcome<NodeId> {
        let mut secret_hash = [0; 32];
        self.control.random(&mut secret_hash);
        let expires_at = self.control.now() + 3_600_000_000;
        let token = Command::CreateJoinToken {
            cluster,
            node: None,
            secret_hash,
            expires_at,
        };
        let token = find(&self.write(token).await?.objects, |object| match object {
            Object::JoinToken(token) => Some(token.id),
            _ => None,
        })?;
        let address = std::net::Ipv4Addr::from(0x0a00_0100 + u32::try_from(host)?).into();
        let join = Command::Join {
            token,
            secret_hash,
            name: format!("n{host}"),
            address,
            key_hash,
        };
        find(&self.write(join).await?.objects, |object| match object {
            Object::Node(node) => Some(node.id),
            _ => None,
        })
    }

    async fn write(&self, command: Command) -> Outcome<portolan_core::command::Outcome> {
        Ok(self.control.write(Request::system(command)).await?)
    }

    /// How many nodes are online, as far as is written down.
    fn online(&self) -> usize {
        self.control.read(|view| {
            let statuses = view.nodes().filter_map(|node| view.node_status(node.id));
            statuses.filter(|status| status.online).count()
        })
    }

    fn serve(&self, address: SocketAddr) -> Outcome<(SocketAddr, oneshot::Sender<()>, Serving)> {
        let options = Options {
            listen: Listen::Address(address),
            ..self.options.clone()
        };
        let endpoint = Endpoint::open(self.control.clone(), &options, &self.sources)?;
        let address = endpoint.local_addr();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(endpoint.serve(async { drop(stopped.await) }));
        Ok((address, stop, served))
    }
}

fn find<T>(objects: &[Object], pick: impl Fn(&Object) -> Option<T>) -> Outcome<T> {
    objects
        .iter()
        .find_map(pick)
        .ok_or_else(|| "the object was not made".into())
}

/// Resident memory of this process, in bytes.
fn resident() -> Outcome<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kilobytes: usize = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kilobytes << 10)
}

/// Microseconds of a clock that all processes of the machine share.
fn now() -> u64 {
    u64::try_from(SystemClock.now()).unwrap_or(0)
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
    late.sort_by(f64::total_cmp);
    let at = |share: f64| {
        late.get(((late.len() as f64 - 1.0) * share) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    Ok((at(0.5), at(0.99)))
}

/// The clients' process.
struct Clients {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Clients {
    fn start(folder: &Path, address: SocketAddr) -> Outcome<Self> {
        let mut child = Process::new(std::env::current_exe()?)
            .args(["clients".as_ref(), folder.as_os_str()])
            .arg(address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (
            child.stdin.take().ok_or("no input")?,
            child.stdout.take().ok_or("no output")?,
        );
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn say(&mut self, line: &str) -> Outcome<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn next(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("the clients have ended; their stderr says why".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let parts = parts(&folder.join("identities"))?;
    let ca = std::fs::read(folder.join("ca"))?;
    let counts = Arc::new(Counts::default());
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let total = parts.len() / 2;
    let began = Instant::now();
    for identity in parts.chunks_exact(2) {
        let config = Arc::new(config(&ca, identity[0].clone(), &identity[1])?);
        tokio::spawn(agent(config, address, Arc::clone(&counts), Arc::clone(&room)));
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

async fn until(what: &str, holds: impl Fn() -> bool) -> Outcome<()> {
    let by = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() >= by {
            return Err(format!("it never is so that {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// What is in a file piece by piece, each behind its length.
fn parts(path: &Path) -> Outcome<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let (mut rest, mut all) = (&bytes[..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (part, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        all.push(part.to_vec());
        rest = after;
    }
    Ok(all)
}

fn config(ca: &[u8], certificate: Vec<u8>, key: &[u8]) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.to_vec()))?;
    let provider = Arc::new(rustls::crypto::CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::SECP256R1],
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key.to_vec()).into())?;
    config.resumption = rustls::client::Resumption::in_memory_sessions(2);
    Ok(config)
}

/// One agent: connects again for ever, with the state it has.
async fn agent(config: Arc<ClientConfig>, address: SocketAddr, counts: Arc<Counts>, room: Arc<Semaphore>) {
    let (mut store, mut state) = (Vec::new(), Snapshot::default());
    loop {
        let Err(_) = stream(&config, address, &mut store, &mut state, &counts, &room).await else {
            return;
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn items(items: &[Item]) -> Outcome<Items> {
    let read = items.iter().cloned().map(read);
    Ok(read.collect::<Result<_, _>>()?)
}

async fn stream(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    store: &mut Vec<u8>,
    state: &mut Snapshot,
    counts: &Counts,
    room: &Semaphore,
) -> Outcome<()> {
    let permit = room.acquire().await?;
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let tls = TlsConnector::from(Arc::clone(config))
        .connect(ServerName::try_from("127.0.0.1")?, tcp)
        .await?;
    let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    counts.tickets.fetch_add(usize::from(resumed), SeqCst);
    let (mut socket, _) = client_async(format!("wss://127.0.0.1{STREAM_PATH}"), tls).await?;
    let hello = Hello {
        protocol: PROTOCOL,
        agent_version: "bench".to_owned(),
        store_id: store.clone(),
        desired_revision: state.revision,
        digest: items(&state.items)?.digest().to_vec(),
        position: state.position.clone(),
        ..Hello::default()
    };
    let first = FromAgent {
        message: Some(from_agent::Message::Hello(hello)),
    };
    socket.send(Message::Binary(first.encode_to_vec().into())).await?;
    let mut permit = Some(permit);
    while let Some(message) = socket.next().await {
        let Message::Binary(frame) = message? else { continue };
        match ToAgent::decode(frame)?.message {
            Some(In::Welcome(welcome)) => *store = welcome.store_id,
            Some(In::Snapshot(snapshot)) => {
                counts.snapshots.fetch_add(1, SeqCst);
                *state = snapshot;
            }
            Some(In::Change(change)) => {
                counts.changes.fetch_add(1, SeqCst);
                counts.arrivals.lock().push((change.revision, now()));
                let mut now = items(&state.items)?;
                for item in change.put {
                    let (id, body) = read(item)?;
                    now.put(id, body);
                }
                for key in &change.drop {
                    now.drop(ItemId::of_key(key)?);
                }
                state.items = now.iter().collect();
                (state.revision, state.position) = (change.revision, change.position);
            }
            Some(In::Progress(_)) if permit.take().is_some() => drop(counts.ready.fetch_add(1, SeqCst)),
            _ => {}
        }
    }
    Err("the stream has ended".into())
}
