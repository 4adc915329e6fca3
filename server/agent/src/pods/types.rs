//! What pods are given, asked and refused.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use portolan_plan::{NodeAddresses, OwnBlock};
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::host_port::HostPort;

use super::pool::Room;
use super::record::Allocation;
use crate::kernel::AttachError;

/// What pods of this node are given; set by every round of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodNetwork {
    /// The node's addresses that are on this host.
    pub node: NodeAddresses,
    /// Of pods' links, in bytes.
    pub mtu: u32,
    /// The cluster's pod ranges; a pod gets one address of each family.
    pub ranges: Vec<Cidr>,
    /// Leased blocks, in the order of their use.
    pub blocks: Vec<OwnBlock>,
}

impl PodNetwork {
    /// The families pods have.
    pub(super) fn families(&self) -> BTreeSet<Family> {
        self.ranges.iter().map(Cidr::family).collect()
    }
}

/// A pod that wants a network, as the runtime names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddPod {
    /// The name of the network configuration it is made by.
    pub network: String,
    /// The runtime's id of the sandbox.
    pub container: String,
    /// The interface to make in the pod.
    pub ifname: String,
    /// The pod's network namespace.
    pub netns: PathBuf,
    /// Kubernetes namespace, or empty.
    pub pod_namespace: String,
    /// Kubernetes name, or empty.
    pub pod_name: String,
    /// Kubernetes UID, or empty.
    pub pod_uid: String,
    /// Ports of the host that shall lead to it.
    pub host_ports: Vec<HostPort>,
}

/// A pod that has its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wired {
    /// What it was given.
    pub allocation: Arc<Allocation>,
    /// Of its link, in bytes.
    pub mtu: u32,
    /// Whether it was given just now, so that nobody knows of it yet.
    pub new: bool,
}

/// Why a pod got no network.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The node was removed from its cluster.
    #[error("this node was removed from its cluster")]
    Removed,
    /// The agent has not heard yet what the cluster's pods are given.
    #[error("this node does not know its cluster's pod network yet")]
    NotReady,
    /// No block of a family is leased yet.
    #[error("this node has no block of IPv{} pod addresses yet", .0.number())]
    NoBlock(Family),
    /// All addresses of the blocks are given.
    #[error("all {} IPv{} pod addresses of this node's blocks are given", .1.capacity, .0.number())]
    Exhausted(Family, Room),
    /// A host port is another pod's, or a program's.
    #[error("host port {port} of this node is taken by {by}")]
    PortTaken {
        /// The port.
        port: HostPort,
        /// Who has it, as a name for people.
        by: String,
    },
    /// A host port is of an address whose family the pod does not have.
    #[error("host port {0} is of an IP version that the cluster's pods do not have")]
    NoSuchFamily(HostPort),
    /// The allocation could not be written down.
    #[error("the allocation could not be written to the agent's log")]
    Log(#[source] io::Error),
    /// The link could not be made; nothing was kept.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

impl AddError {
    /// Whether the same ADD may succeed as soon as pods of this node are given something else, such
    /// as another block.
    pub fn waits_for_block(&self) -> bool {
        match self {
            Self::NotReady | Self::NoBlock(_) | Self::Exhausted(..) => true,
            Self::Removed | Self::PortTaken { .. } | Self::NoSuchFamily(_) | Self::Log(_) | Self::Attach(_) => false,
        }
    }
}

/// Why a pod's network could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The node knows of no such sandbox.
    #[error("the sandbox {container} has no interface {ifname} of Portolan's")]
    Unknown {
        /// The runtime's id.
        container: String,
        /// The interface.
        ifname: String,
    },
    /// It could not be read.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// How full the node's blocks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The node was removed from its cluster: nothing is given.
    pub removed: bool,
    /// Leased blocks of both families.
    pub blocks: usize,
    /// IPv4; absent when the cluster's pods have none.
    pub v4: Option<Room>,
    /// IPv6; absent when the cluster's pods have none.
    pub v6: Option<Room>,
}

impl Usage {
    /// How many more pods find addresses.
    pub fn free(&self) -> u64 {
        self.v4
            .into_iter()
            .chain(self.v6)
            .map(|room| room.free())
            .min()
            .unwrap_or(0)
    }
}
