//! Hosts as network namespaces on one bridge, with the agent's own modules in each; taken away when
//! dropped.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portolan_agent::cni;
use portolan_agent::converge::{Exception, Rounds, Standing, Subject};
use portolan_agent::desired::State;
use portolan_agent::desired::disk::DesiredFile;
use portolan_agent::host::Host;
use portolan_agent::kernel::{Netlink, PodNamespace};
use portolan_agent::machine::Sources;
use portolan_agent::pause::PauseFile;
use portolan_agent::pods::Pods;
use portolan_plan::{Desired, Loss, NodeAddresses, OwnBlock, RemoteBlock};
use portolan_shared::addr::Family;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_shared::losses::LossKind;
use portolan_sources::SystemStopwatch;
use portolan_wire::agent as wire;
use portolan_wire::field::{address_bytes, prefix_message};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::namespaces::{Namespace, PATIENCE, ip, path_of, soon};

/// A host with its agent.
pub(crate) struct Node {
    pub(crate) number: u8,
    pub(crate) kernel: Arc<Netlink>,
    pub(crate) pods: Arc<Pods>,
    pub(crate) host: Arc<Host>,
    pub(crate) namespace: Namespace,
    /// Its end of probes, which the agent makes.
    pub(crate) probes: Namespace,
    folder: tempfile::TempDir,
    runtime: Option<tokio::runtime::Runtime>,
}

/// Pods' namespaces are named apart from each other.
static COUNTER: AtomicUsize = AtomicUsize::new(0);

/// A cluster of hosts; with IPv6 or without.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    prefix: String,
    dual: bool,
    _fabric: Namespace,
}

/// The first block of a host.
fn blocks(number: u8, dual: bool) -> Vec<OwnBlock> {
    let v4 = format!("10.77.{number}.0/26");
    let v6 = format!("fd77:10:0:{number}::/122");
    let texts: &[&str] = if dual { &[&v4, &v6] } else { &[&v4] };
    let id = |family: usize| BlockId::from_bytes([number * 2 + family as u8; 16]);
    texts
        .iter()
        .enumerate()
        .map(|(n, text)| OwnBlock {
            id: id(n),
            prefix: text.parse().unwrap(),
        })
        .collect()
}

pub(crate) fn node_v4(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, 77, number).into()
}

pub(crate) fn node_v6(number: u8) -> IpAddr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::from(number)).into()
}

fn addresses(number: u8, dual: bool) -> NodeAddresses {
    [node_v4(number)]
        .into_iter()
        .chain(dual.then(|| node_v6(number)))
        .collect()
}

impl Cluster {
    /// `hosts` hosts, numbered from 1, on one link, each with a block; agents run and have converged.
    pub(crate) fn new(hosts: u8, dual: bool) -> Self {
        let prefix = format!(
            "ptlk-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let fabric = Namespace::new(format!("{prefix}-f"));
        ip(&format!("-n {} link add br0 type bridge", fabric.0));
        ip(&format!("-n {} link set br0 up", fabric.0));
        let mut cluster = Self {
            nodes: Vec::new(),
            prefix,
            dual,
            _fabric: fabric,
        };
        for number in 1..=hosts {
            let node = cluster.boot(number);
            cluster.nodes.push(node);
        }
        for node in &cluster.nodes {
            let outcome = node.host.converge(&cluster.desired(node.number)).unwrap();
            assert_eq!(outcome.exceptions, []);
        }
        cluster
    }

    fn boot(&self, number: u8) -> Node {
        let namespace = Namespace::new(format!("{}-h{number}", self.prefix));
        let (fabric, host) = (&self._fabric.0, &namespace.0);
        ip(&format!(
            "-n {fabric} link add h{number} type veth peer name eth0 netns {host}"
        ));
        ip(&format!("-n {fabric} link set h{number} master br0 up"));
        ip(&format!("-n {host} link set lo up"));
        ip(&format!("-n {host} addr add {}/24 dev eth0", node_v4(number)));
        ip(&format!("-n {host} addr add {}/64 dev eth0 nodad", node_v6(number)));
        ip(&format!("-n {host} link set eth0 up"));
        let probes = Namespace(format!("{}-probes", namespace.0));
        Node::start(number, namespace, probes, tempfile::tempdir().unwrap())
    }

    /// What the control plane would want of a host.
    pub(crate) fn desired(&self, number: u8) -> Desired {
        let others = self
            .nodes
            .iter()
            .map(|node| node.number)
            .filter(|other| *other != number);
        let remote = others.flat_map(|other| {
            let via = addresses(other, self.dual);
            blocks(other, self.dual).into_iter().map(move |b| RemoteBlock {
                id: b.id,
                prefix: b.prefix,
                via,
            })
        });
        let ranges = ["10.77.0.0/16", "fd77:10::/48"];
        Desired {
            complete: true,
            node: addresses(number, self.dual),
            mtu: 1500,
            pod_ranges: ranges[..if self.dual { 2 } else { 1 }]
                .iter()
                .map(|r| r.parse().unwrap())
                .collect(),
            own_blocks: blocks(number, self.dual),
            remote_blocks: remote.collect(),
        }
    }

    /// The same as it comes from the control plane.
    pub(crate) fn state(&self, number: u8) -> State {
        let desired = self.desired(number);
        let block = |id: BlockId, prefix, node: u8| wire::Block {
            id: id.as_bytes().to_vec(),
            node_id: node_id(node).as_bytes().to_vec(),
            prefix: Some(prefix_message(prefix)),
            ..wire::Block::default()
        };
        let of_node = |node: &Node| {
            let all = blocks(node.number, self.dual).into_iter();
            all.map(|b| block(b.id, b.prefix, node.number)).collect::<Vec<_>>()
        };
        let node = |node: &Node| wire::Node {
            id: node_id(node.number).as_bytes().to_vec(),
            name: format!("node-{}", node.number),
            addresses: [Family::V4, Family::V6]
                .into_iter()
                .filter_map(|family| addresses(node.number, self.dual).of(family))
                .map(address_bytes)
                .collect(),
            ..wire::Node::default()
        };
        let snapshot = wire::Snapshot {
            revision: 1,
            cluster: Some(wire::Cluster {
                id: vec![9; 16],
                mtu: desired.mtu,
                probe_key: vec![5; 32],
                pod_ranges: desired.pod_ranges.iter().copied().map(prefix_message).collect(),
                ..wire::Cluster::default()
            }),
            nodes: self.nodes.iter().map(node).collect(),
            blocks: self.nodes.iter().flat_map(of_node).collect(),
            ..wire::Snapshot::default()
        };
        State::of_snapshot([7; 16], Vec::new(), snapshot).unwrap()
    }

    /// The agent of a host goes on by itself, as it does in a cluster.
    pub(crate) fn keep(&self, number: u8) -> Kept {
        let (node, state) = (self.node(number), self.state(number));
        assert_eq!(state.desired(node_id(number)), self.desired(number));
        let sources = Sources::system().unwrap();
        let file = DesiredFile::new(Arc::clone(&sources.files), node.folder.path());
        let pause = PauseFile::new(Arc::clone(&sources.files), node.folder.path());
        let (workers, clock) = (sources.workers, sources.clock);
        let rounds = Rounds::new(node.host.clone(), node_id(number), file, pause, None, workers, clock);
        let standing = rounds.standing();
        let (desired, receiver) = watch::channel(Arc::new(state));
        node.runtime().spawn(rounds.run(receiver));
        let kept = Kept {
            standing,
            _desired: desired,
        };
        kept.until("the first round", |standing| standing.revision == 1);
        kept
    }

    /// A pod's namespace on a host, without a network.
    pub(crate) fn sandbox(&self, number: u8) -> Sandbox {
        let name = format!("{}-p{number}-{}", self.prefix, COUNTER.fetch_add(1, Ordering::Relaxed));
        Sandbox {
            namespace: Namespace::new(name),
            result: Value::Null,
        }
    }

    /// A pod on a host, by a real CNI call.
    pub(crate) fn pod(&self, number: u8) -> Sandbox {
        let mut sandbox = self.sandbox(number);
        sandbox.result = self.node(number).cni("ADD", &sandbox, |_| ()).unwrap();
        sandbox
    }

    pub(crate) fn node(&self, number: u8) -> &Node {
        &self.nodes[usize::from(number) - 1]
    }
}

/// An agent that goes on by itself.
pub(crate) struct Kept {
    standing: watch::Receiver<Standing>,
    _desired: watch::Sender<Arc<State>>,
}

impl Kept {
    /// What it says of its host.
    pub(crate) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Waits until it says something.
    pub(crate) fn until(&self, what: &str, says: impl Fn(&Standing) -> bool) -> Standing {
        let mut standing = self.standing();
        soon(what, || {
            standing = self.standing();
            says(&standing)
        });
        standing
    }

    /// Waits until it says that a loss of this kind is over.
    pub(crate) fn until_healed(&self, kind: LossKind, nth: u32) -> Loss {
        let healed = |loss: &&Loss| loss.kind == kind && loss.today == nth && loss.back_after_ms.is_some();
        let standing = self.until(&format!("loss {nth} of {kind:?} is over"), |standing| {
            standing.losses.iter().any(|loss| healed(&loss))
        });
        standing.losses.iter().find(healed).unwrap().clone()
    }

    /// Waits until it says this of somebody.
    pub(crate) fn until_said(&self, subject: Subject, words: &str) -> Standing {
        self.until(&format!("{words:?} of {subject:?}"), |standing| {
            let said = |e: &Exception| e.subject == subject && e.reason.contains(words);
            standing.exceptions.iter().any(said)
        })
    }

    /// Waits until it says that all is well.
    pub(crate) fn until_well(&self) {
        self.until("all is well", |standing| standing.exceptions.is_empty());
    }
}

/// The id of a node.
pub(crate) fn node_id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

/// A pod's namespace, and what its ADD was answered.
pub(crate) struct Sandbox {
    pub(crate) namespace: Namespace,
    pub(crate) result: Value,
}

impl Sandbox {
    pub(crate) fn name(&self) -> &str {
        &self.namespace.0
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let ips = self.result["ips"].as_array().unwrap();
        let address = |ip: &Value| {
            ip["address"]
                .as_str()
                .unwrap()
                .split('/')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        };
        ips.iter().map(address).collect()
    }

    /// The host's end of the link.
    pub(crate) fn link(&self) -> &str {
        self.result["interfaces"][0]["name"].as_str().unwrap()
    }
}

impl Node {
    /// Where its agent keeps its state.
    pub(crate) fn state_dir(&self) -> &Path {
        self.folder.path()
    }

    fn start(number: u8, namespace: Namespace, probes: Namespace, folder: tempfile::TempDir) -> Self {
        let host = PodNamespace::open(&path_of(&namespace.0)).unwrap();
        let kernel = Netlink::open_at(host, Arc::new(SystemStopwatch::default()));
        let kernel = Arc::new(kernel.with_probes_at(&path_of(&probes.0)));
        let sources = Sources::system().unwrap();
        let log = folder.path().join("pods.log");
        let pods = Pods::open(
            &*sources.files,
            &log,
            kernel.clone(),
            sources.ids(),
            sources.sync_thread.clone(),
        )
        .unwrap();
        let pods = Arc::new(pods);
        let host = Arc::new(Host::new(kernel.clone(), pods.clone()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(async { sources.net.listen_local(&folder.path().join("cni.sock")) })
            .unwrap();
        runtime.spawn(cni::serve(
            listener,
            pods.clone(),
            sources.workers,
            std::future::pending(),
        ));
        Self {
            number,
            kernel,
            pods,
            host,
            namespace,
            probes,
            folder,
            runtime: Some(runtime),
        }
    }

    /// Where its agent's tasks run.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// The agent dies, as by kill -9, and another starts with what it finds on disk.
    pub(crate) fn restart(self) -> Self {
        self.restart_with(|_| ())
    }

    /// The same, but the log of pod addresses is changed meanwhile.
    pub(crate) fn restart_with(self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let Self {
            number,
            namespace,
            probes,
            folder,
            runtime,
            host,
            pods,
            kernel,
        } = self;
        // Until it is over, as that of a process is: its listener would be taken for another agent's.
        runtime
            .into_iter()
            .for_each(|runtime| runtime.shutdown_timeout(PATIENCE));
        drop((host, pods, kernel));
        let path = folder.path().join("pods.log");
        let mut log = std::fs::read(&path).unwrap();
        change(&mut log);
        std::fs::write(&path, log).unwrap();
        Self::start(number, namespace, probes, folder)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("cni.sock")
    }

    /// Executes the plugin as a runtime does: its result, or its error object.
    pub(crate) fn cni(&self, command: &str, sandbox: &Sandbox, edit: impl FnOnce(&mut Value)) -> Result<Value, Value> {
        let netns = path_of(sandbox.name());
        self.cni_at(command, sandbox.name(), netns.to_str().unwrap(), edit)
    }

    pub(crate) fn cni_at(
        &self,
        command: &str,
        container: &str,
        netns: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Value, Value> {
        let mut config =
            json!({"cniVersion": "1.0.0", "name": "portolan", "type": "portolan-cni", "socket": self.socket()});
        edit(&mut config);
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={container};K8S_POD_UID=u-{container}");
        let mut plugin = Command::new(plugin())
            .env_clear()
            .envs([
                ("CNI_COMMAND", command),
                ("CNI_CONTAINERID", container),
                ("CNI_NETNS", netns),
                ("CNI_IFNAME", "eth0"),
            ])
            .envs([("CNI_PATH", "/opt/cni/bin"), ("CNI_ARGS", &args)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        plugin
            .stdin
            .take()
            .unwrap()
            .write_all(config.to_string().as_bytes())
            .unwrap();
        let output = plugin.wait_with_output().unwrap();
        let answer = match output.stdout.as_slice() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap(),
        };
        if output.status.success() {
            Ok(answer)
        } else {
            Err(answer)
        }
    }

    /// Routes of ours in the host, as `ip` sees them.
    pub(crate) fn our_routes(&self) -> Vec<String> {
        let list = |family| {
            ip(&format!(
                "-n {} {family} route show table all proto 157",
                self.namespace.0
            ))
        };
        list("-4")
            .lines()
            .chain(list("-6").lines())
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

/// The plugin beside the tests' own binaries; built if it is not there or older than its source.
fn plugin() -> PathBuf {
    static PLUGIN: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let find = || {
        if let Some(folder) = std::env::var_os("PORTOLAN_BIN_DIR") {
            return Path::new(&folder).join("portolan-cni");
        }
        // target/PROFILE/deps/netns-HASH, or target/PROFILE/examples/NAME
        let own = std::env::current_exe().unwrap();
        let built = own.ancestors().nth(2).unwrap().join("portolan-cni");
        let time = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
        let sources = ["cni/src", "cni-protocol/src"].into_iter().flat_map(|folder| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
        });
        let newest = sources.filter_map(|source| time(&source)).max();
        if time(&built).is_none() || time(&built) < newest {
            let release = own.ancestors().nth(2).is_some_and(|folder| folder.ends_with("release"));
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--package", "portolan-cni"]);
            build.args(release.then_some("--release"));
            assert!(build.status().unwrap().success(), "portolan-cni does not build");
        }
        built
    };
    PLUGIN.get_or_init(find).clone()
}
