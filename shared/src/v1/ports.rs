//! Ports.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Ref;
use crate::host_port::HostPort;
use crate::ids::{ClusterId, NetworkId, NodeId, PortId, SubnetId};
use crate::mac::MacAddress;
use crate::status::{PortStatus, Reason, Step, StepState};

/// What holds a port, in a word of the console's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// A node of a cluster.
    Node,
    /// A pod.
    Pod,
    /// A gateway: a router's interface or a subnet's gateway address.
    Gateway,
    /// An address of a cluster (its API).
    ClusterAddress,
    /// Reserved by hand.
    Reserved,
    /// Something of the customer's, with its own `device_owner`.
    Device,
    /// The provider's.
    Provider,
    /// A network's shadow port; to customers it is the provider's.
    Shadow,
}

/// A fixed IP of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FixedIp {
    /// The address.
    pub address: IpAddr,
    /// Its subnet.
    pub subnet: Ref<SubnetId>,
}

/// What a port is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attached {
    /// The cluster of that node, or the one whose external IP it holds.
    pub cluster: Option<Ref<ClusterId>>,
    /// The node it is bound to: its own port, or a port of a pod on it.
    pub node: Option<Ref<NodeId>>,
    /// Namespace and name of the pod.
    pub pod: Option<(String, String)>,
    /// Ports of the node that lead to the pod, the first ones.
    pub host_ports: Vec<HostPort>,
    /// How many there are besides these.
    pub more_host_ports: u32,
    /// `device_id`, when it is none of the above.
    pub device: Option<String>,
}

/// A port in the list and on its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortRow {
    /// Drawn by the server, a pod's by its node's agent; never changes.
    pub id: PortId,
    /// At most 255 characters, not unique; a pod's port is made with the pod's name. Empty if none was given.
    pub name: String,
    /// Free text, at most 255 characters.
    pub description: String,
    /// The network it is in.
    pub network: Ref<NetworkId>,
    /// What holds it.
    pub kind: PortKind,
    /// Derived when read. `DEGRADED` (`ERROR` at `/v2.0`): it works on its node, and another node has no route to it.
    pub status: PortStatus,
    /// Why, when not active.
    pub reason: Option<Reason>,
    /// In the order asked for, at most 16.
    pub fixed_ips: Vec<FixedIp>,
    /// Its hardware address, unique in the network.
    pub mac: MacAddress,
    /// What it is attached to.
    pub attached: Attached,
    /// `admin_state_up` of the Networking API: false makes the status `DISABLED`.
    pub enabled: bool,
    /// Why it cannot be deleted here ("belongs to cluster shop"), if so.
    pub locked: Option<Reason>,
    /// When it was made.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
    /// When it last changed.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub updated_at: String,
    /// Counts changes, from 0. Sent as `If-Match: revision_number=N`, it makes a write fail if another was first.
    pub revision_number: u64,
}

/// One step of *Why?* (`GET …/ports/{id}/why`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WhyStep {
    /// What must hold.
    pub step: Step,
    /// Whether it holds.
    pub state: StepState,
    /// Why it does not hold.
    pub reason: Option<Reason>,
}
