//! A host for benchmarks: a network namespace of its own that goes with the process, with pods whose
//! namespaces are removed at the end.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use portolan_agent::desired::State;
use portolan_agent::kernel::Netlink;
use portolan_agent::machine::Sources;
use portolan_agent::pods::{AddPod, Pods};
use portolan_shared::addr::{Cidr, Family, from_bits, to_bits};
use portolan_shared::ids::NodeId;
use portolan_sources::SystemStopwatch;
use portolan_wire::agent::{Block, Cluster, Node, Snapshot};
use portolan_wire::field::{address_bytes, prefix_message};
use rustix::mount::UnmountFlags;
use rustix::thread::UnshareFlags;

pub(crate) type Failure = Box<dyn std::error::Error>;

/// The node that the host is.
pub(crate) const OWN: NodeId = NodeId::from_bytes([1; 16]);

/// The node with this number, from 1 on, which is [`OWN`]; its address is 192.168.77.NUMBER.
pub(crate) fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

/// Leaves the network namespace for one with a link to a neighbour. To be called before anything else runs.
#[expect(
    unsafe_code,
    reason = "the program has one thread, which may leave the network namespace"
)]
pub(crate) fn leave() -> Result<(), Failure> {
    // SAFETY: nothing else runs yet; every thread made later is in the new namespace.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    for line in [
        "link set lo up",
        "link add eth0 type veth peer name wire",
        "link set wire up",
        "link set eth0 up",
        "addr add 192.168.77.1/24 dev eth0",
        "addr add fd77::1/64 dev eth0 nodad",
    ] {
        ip(line)?;
    }
    Ok(())
}

pub(crate) fn ip(line: &str) -> Result<(), Failure> {
    let status = Command::new("ip").args(line.split_whitespace()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ip {line} failed: root and iproute2 are needed").into())
    }
}

/// Blocks of 64 addresses from 10.128.0.0 on, by turns at as many peers; pods with IPv6 or without.
pub(crate) fn state(routes: u32, dual: bool, peers: u8) -> Result<State, Failure> {
    let first = to_bits("10.128.0.0".parse()?);
    let block = |n: u32, at: NodeId, prefix: Cidr| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Block {
            id: id.to_vec(),
            node_id: at.as_bytes().to_vec(),
            prefix: Some(prefix_message(prefix)),
            ..Block::default()
        }
    };
    let remote = |n: u32| {
        let prefix = Cidr::containing(from_bits(Family::V4, first + u128::from(n) * 64), 26)?;
        let peer = 2 + u8::try_from(n % u32::from(peers)).ok()?;
        Some(block(n, node(peer), prefix))
    };
    let families = if dual { 2 } else { 1 };
    let mut blocks: Vec<Block> = (0..routes).filter_map(remote).collect();
    for (n, prefix) in (u32::MAX - 2..).zip(["10.1.0.0/20", "fd78:1::/116"]).take(families) {
        blocks.push(block(n, OWN, prefix.parse()?));
    }
    let mut ranges = Vec::new();
    for range in ["10.0.0.0/8", "fd78::/32"].into_iter().take(families) {
        ranges.push(prefix_message(range.parse()?));
    }
    let described = |number: u8| Node {
        id: node(number).as_bytes().to_vec(),
        name: format!("node-{number}"),
        addresses: [
            IpAddr::from([192, 168, 77, number]),
            IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, u16::from(number)]),
        ]
        .into_iter()
        .take(families)
        .map(address_bytes)
        .collect(),
        ..Node::default()
    };
    let snapshot = Snapshot {
        revision: 1,
        cluster: Some(Cluster {
            id: vec![9; 16],
            mtu: 1500,
            pod_ranges: ranges,
            probe_key: vec![5; 32],
            ..Cluster::default()
        }),
        nodes: (1..=1 + peers).map(described).collect(),
        blocks,
        ..Snapshot::default()
    };
    Ok(State::of_snapshot([7; 16], Vec::new(), snapshot)?)
}

/// The host's kernel and its pods, as an agent that starts opens them.
pub(crate) fn open(log: &Path) -> Result<(Arc<Netlink>, Arc<Pods>), Failure> {
    let sources = Sources::system()?;
    let kernel = Netlink::open(Arc::new(SystemStopwatch::default()))?;
    let kernel = Arc::new(kernel.with_probes_at(&log.with_file_name(PROBES)));
    let pods = Pods::open(
        &*sources.files,
        log,
        kernel.clone(),
        sources.ids(),
        sources.sync_thread.clone(),
    )?;
    Ok((kernel, Arc::new(pods)))
}

/// The namespace of the end of probes, in a scratch folder.
const PROBES: &str = "probes";

/// A folder and pods' namespaces, which are removed when it is dropped.
pub(crate) struct Scratch {
    pub(crate) folder: PathBuf,
    names: Vec<String>,
}

impl Scratch {
    /// Room for so many pods.
    pub(crate) fn new(what: &str, pods: usize) -> Result<Self, Failure> {
        let folder = PathBuf::from(format!("{what}-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let name = |n| format!("ptlk-{what}-{}-{n}", std::process::id());
        Ok(Self {
            folder,
            names: (0..pods).map(name).collect(),
        })
    }

    /// Where the pods' log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("pods.log")
    }

    /// Makes the pods.
    pub(crate) fn fill(&self, pods: &Pods) -> Result<(), Failure> {
        for name in &self.names {
            ip(&format!("netns add {name}"))?;
            pods.add(&AddPod {
                network: "portolan".into(),
                container: name.clone(),
                ifname: "eth0".into(),
                netns: Path::new("/run/netns").join(name),
                pod_namespace: String::new(),
                pod_name: name.clone(),
                pod_uid: String::new(),
                host_ports: Vec::new(),
            })?;
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for name in &self.names {
            // What was not made cannot be removed.
            let _gone = Command::new("ip")
                .args(["netns", "del", name])
                .stderr(Stdio::null())
                .status();
        }
        let _gone = rustix::mount::unmount(self.folder.join(PROBES), UnmountFlags::DETACH);
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
