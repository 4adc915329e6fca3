//! What the control plane wants of a node, and what the node itself knows of its pods.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portolan_shared::addr::{Cidr, Family};
use portolan_shared::host_port::HostPort;
use portolan_shared::ids::{BlockId, PortId};
use portolan_shared::mac::MacAddress;

use crate::step::Object;

/// The addresses of a node on the links between nodes, at most one a family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeAddresses {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
}

impl NodeAddresses {
    /// The address of `family`, if the node has one.
    pub fn of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

impl FromIterator<IpAddr> for NodeAddresses {
    /// The first address of each family counts.
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut node = Self::default();
        for address in addresses {
            match address {
                IpAddr::V4(a) => node.v4 = node.v4.or(Some(a)),
                IpAddr::V6(a) => node.v6 = node.v6.or(Some(a)),
            }
        }
        node
    }
}

/// A block of pod addresses leased to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnBlock {
    /// The lease.
    pub id: BlockId,
    /// Its addresses.
    pub prefix: Cidr,
}

/// A block of pod addresses leased to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteBlock {
    /// The lease.
    pub id: BlockId,
    /// Its addresses.
    pub prefix: Cidr,
    /// The node that has it.
    pub via: NodeAddresses,
}

/// What the control plane wants of this node. Made from the wire's snapshot and changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// False until everything of a revision is known: until then nothing is dropped.
    pub complete: bool,
    /// This node's own addresses; they become the source of what the host sends to pods.
    pub node: NodeAddresses,
    /// Of the links between nodes, in bytes; 0 when unknown. Pods get the smaller of this and the
    /// link's own.
    pub mtu: u32,
    /// The cluster's pod ranges: a pod gets one address of every family named here.
    pub pod_ranges: Vec<Cidr>,
    /// Blocks leased to this node, in the order in which they are used.
    pub own_blocks: Vec<OwnBlock>,
    /// Blocks leased to other nodes.
    pub remote_blocks: Vec<RemoteBlock>,
}

/// A pod of this node as far as routes are concerned; from the durable allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRoute {
    /// The allocation, which is the pod's port. Absent for a pod that runs and whose record is lost: what is said of it
    /// is said of the host.
    pub id: Option<PortId>,
    /// The host's end of the pod's link.
    pub link: String,
    /// The pod's addresses.
    pub addresses: Vec<IpAddr>,
    /// Its host ports.
    pub host_ports: Vec<HostPort>,
    /// Whether its link was made before the kernel was observed. If not, its slots are left alone:
    /// whoever makes the link fills them.
    pub settled: bool,
    /// Of the node's end of probes, which is wired as a pod is: how a round makes its link. Absent for a pod, whose link an
    /// ADD makes.
    pub probes: Option<ProbeLink>,
}

/// How the link of a node's end of probes is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLink {
    /// Hardware address inside.
    pub mac: MacAddress,
    /// In bytes: that of pods' links.
    pub mtu: u32,
}

impl PodRoute {
    /// Whom its steps and failures are told of.
    pub(crate) fn object(&self) -> Object {
        self.id.map_or(Object::Host, Object::Pod)
    }
}
