//! The paths that probes go: what the hosts' kernels lead to, and which of them somebody has cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_agent::kernel::fake::{FakeKernel, State};
use portolan_agent::probes::net::{Datagrams, ProbeNet, Side};
use portolan_agent::probes::testing::Wires;
use portolan_plan::{Sysctl, Target, is_probe_link};
use portolan_sources::{Opening, PeerListener};

use crate::network::Network;

/// A host, as packets find it.
#[derive(Clone)]
struct Hop {
    address: IpAddr,
    kernel: Arc<FakeKernel>,
}

/// The paths between all hosts. Clones are the same ones.
#[derive(Clone)]
pub struct Paths {
    wires: Wires,
    /// How many more sockets of each host cannot be opened.
    failing: Arc<Mutex<BTreeMap<usize, usize>>>,
    hops: Arc<Mutex<Vec<Hop>>>,
    cut: Arc<Mutex<BTreeSet<(usize, usize)>>>,
}

impl Paths {
    /// Paths over this network, without hosts.
    pub fn new(network: Network) -> Self {
        let paths = Self {
            wires: Wires::default(),
            failing: Arc::default(),
            hops: Arc::default(),
            cut: Arc::default(),
        };
        let (hops, cut) = (Arc::clone(&paths.hops), Arc::clone(&paths.cut));
        paths.wires.lead(move |near, _, to, _| {
            let far = next(&hops.lock(), &network, near, to)?;
            let pair = (near.min(far), near.max(far));
            (!cut.lock().contains(&pair)).then_some(far)
        });
        paths
    }

    /// Adds the next host; the sockets of its probes.
    pub fn add(&self, address: IpAddr, kernel: &Arc<FakeKernel>) -> Arc<dyn ProbeNet> {
        let mut hops = self.hops.lock();
        let number = hops.len();
        let wires = self.wires.of_host(number);
        hops.push(Hop {
            address,
            kernel: Arc::clone(kernel),
        });
        Arc::new(HostProbes {
            number,
            failing: Arc::clone(&self.failing),
            wires,
            kernel: Arc::clone(kernel),
        })
    }

    /// A host has another address.
    pub fn moved(&self, host: usize, address: IpAddr) {
        if let Some(hop) = self.hops.lock().get_mut(host) {
            hop.address = address;
        }
    }

    /// The next so many sockets of a host's probes cannot be opened.
    pub fn fail_sockets(&self, host: usize, times: usize) {
        self.failing.lock().insert(host, times);
    }

    /// Nothing arrives any more between two hosts, or everything does again.
    pub fn set_cut(&self, one: usize, other: usize, cut: bool) {
        let pair = (one.min(other), one.max(other));
        let mut all = self.cut.lock();
        if cut {
            all.insert(pair);
        } else {
            all.remove(&pair);
        }
    }
}

/// Where a packet from a host to an address arrives.
fn next(hops: &[Hop], network: &Network, near: usize, to: IpAddr) -> Option<usize> {
    let begin = hops.get(near)?;
    let at = |address: IpAddr| hops.iter().position(|hop| hop.address == address);
    let far = match at(to) {
        Some(host) => host,
        None => match leads(&begin.kernel.state.lock(), to)? {
            Target::Via(via) => at(via)?,
            Target::Link(_) | Target::Unreachable | Target::Strange => return None,
        },
    };
    let end = &hops[far];
    let reached = far != near && network.is_reachable(begin.address) && network.is_reachable(end.address);
    let arrives = reached && (end.address == to || (forwards(begin) && forwards(end) && is_pod_end(end, to)));
    arrives.then_some(far)
}

fn forwards(hop: &Hop) -> bool {
    hop.kernel.state.lock().seen.sysctls.get(&Sysctl::ForwardV4) == Some(&true)
}

fn is_pod_end(hop: &Hop, address: IpAddr) -> bool {
    matches!(leads(&hop.kernel.state.lock(), address), Some(Target::Link(link)) if is_probe_link(&link))
}

/// Where a kernel sends packets to an address.
pub fn leads(kernel: &State, address: IpAddr) -> Option<Target> {
    let routes = kernel
        .seen
        .routes
        .iter()
        .filter(|(key, _)| key.prefix.contains(address));
    let most = routes.max_by_key(|(key, _)| key.prefix.prefix())?;
    Some(most.1.target.clone())
}

/// The sockets of probes of one host.
struct HostProbes {
    number: usize,
    failing: Arc<Mutex<BTreeMap<usize, usize>>>,
    wires: Wires,
    kernel: Arc<FakeKernel>,
}

impl HostProbes {
    /// Whether an end is there to open a socket at.
    fn check(&self, side: Side, at: IpAddr) -> io::Result<()> {
        if let Some(times) = self.failing.lock().get_mut(&self.number).filter(|times| **times > 0) {
            *times -= 1;
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let there = match side {
            Side::Host => self.kernel.state.lock().seen.addresses.contains_key(&at),
            Side::Pod => self.pod_end().is_some(),
        };
        if there {
            Ok(())
        } else {
            Err(io::ErrorKind::AddrNotAvailable.into())
        }
    }
}

impl ProbeNet for HostProbes {
    fn pod_end(&self) -> Option<u64> {
        let state = self.kernel.state.lock();
        let link = state.seen.links.keys().find(|name| is_probe_link(name))?;
        // The name says what it was made with.
        u64::from_str_radix(link.get(4..)?, 16).ok()
    }

    fn datagrams(&self, side: Side, at: SocketAddr) -> io::Result<Arc<dyn Datagrams>> {
        self.check(side, at.ip())?;
        self.wires.datagrams(side, at)
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        self.check(Side::Pod, at.ip())?;
        self.wires.listen(at)
    }

    fn connect(&self, from: IpAddr, to: Vec<SocketAddr>) -> io::Result<Vec<Opening<'static>>> {
        self.check(Side::Pod, from)?;
        self.wires.connect(from, to)
    }
}
