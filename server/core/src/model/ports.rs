//! Ports, as stored, and what follows from whose they are.

use std::net::IpAddr;

use portolan_shared::ids::{ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::PortKind;
use serde::{Deserialize, Serialize};

use super::kind::{Clusters, Column, Kind, Type, Value};
use super::{Meta, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::draft::Counted;

/// An address of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FixedIp {
    /// The subnet it is from.
    pub subnet: SubnetId,
    /// The address.
    pub address: IpAddr,
}

/// The pod behind a pod's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Id of the sandbox container.
    pub container_id: String,
    /// The agent's sequence number of the allocation.
    pub seq: u64,
}

/// A port. There may be a million: keep it small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// UUIDv7, drawn by the writer; a pod's by its agent, which counts pods before the writer hears of them. Never changes.
    pub id: PortId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// Where it is.
    pub network: NetworkId,
    /// May be empty.
    pub name: Box<str>,
    /// May be empty.
    pub description: Box<str>,
    /// Unique in its network.
    pub mac: MacAddress,
    /// Its addresses, in the order asked for.
    pub fixed_ips: Box<[FixedIp]>,
    /// Switched on.
    pub admin_state_up: bool,
    /// Who uses it, as OpenStack writes it; see [`owner`]. Empty for a reservation.
    pub device_owner: Box<str>,
    /// What uses it; free text of the owner's.
    pub device_id: Box<str>,
    /// The node it is bound to.
    pub node: Option<NodeId>,
    /// `binding:host_id` as a client set it, when it names no node of ours.
    pub host: Box<str>,
    /// The pod behind it.
    pub pod: Option<Box<Pod>>,
    /// Whether filters apply.
    pub port_security_enabled: bool,
}

/// Values of `device_owner` that Portolan sets itself; customers may not.
pub mod owner {
    /// A pod.
    pub const POD: &str = "portolan:pod";
    /// A node.
    pub const NODE: &str = "portolan:node";
    /// A network's hidden way to the provider's services.
    pub const SHADOW: &str = "network:shadow_port";
    /// An external IP, as Neutron names it.
    pub const EXTERNAL: &str = "network:floatingip";
    /// Everything of Portolan's begins so.
    pub const PREFIX: &str = "portolan:";

    /// What Portolan sets besides.
    pub const OWN: [&str; 2] = [SHADOW, EXTERNAL];

    /// Whether only Portolan sets it.
    pub fn ours(owner: &str) -> bool {
        owner.starts_with(PREFIX) || OWN.contains(&owner)
    }
}

/// What holds a port, in a word of the console's.
pub fn port_kind(port: &Port) -> PortKind {
    match &*port.device_owner {
        "" => PortKind::Reserved,
        owner::POD => PortKind::Pod,
        owner::NODE => PortKind::Node,
        owner::SHADOW => PortKind::Shadow,
        owner::EXTERNAL => PortKind::ClusterAddress,
        other if other.starts_with("network:") => PortKind::Gateway,
        other if other.starts_with(owner::PREFIX) => PortKind::ClusterAddress,
        _ => PortKind::Device,
    }
}

/// Whether customers never meet a port, not in their own project either: only support and
/// administrators do. To customers its address is the provider's.
pub fn hidden(port: &Port) -> bool {
    owner::OWN.contains(&&*port.device_owner)
}

/// A kind as customers read it.
pub const fn customers_kind(kind: PortKind) -> PortKind {
    match kind {
        PortKind::Shadow => PortKind::Provider,
        other => other,
    }
}

impl Kind for Port {
    const WORD: &'static str = "Port";
    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "network",
            type_: Type::Bytes,
            value: |o| Value::Bytes(o.network.as_bytes().to_vec()),
        },
        Column {
            name: "mac",
            type_: Type::Int,
            value: |o| Value::Int(i64::try_from(o.mac.to_u64()).unwrap_or(i64::MAX)),
        },
    ];
    const FOR_AGENTS: bool = false;

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, clusters: &dyn Clusters) -> Option<ClusterId> {
        self.node.and_then(|node| clusters.of_node(node))
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        match hidden(self) {
            true => Audience::Provider,
            false => Audience::Everyone,
        }
    }

    fn audited(&self) -> bool {
        port_kind(self) != PortKind::Pod
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        match port_kind(self) {
            PortKind::Pod => Some((self.meta.project, Counted::Pods)),
            _ if hidden(self) => None,
            _ => Some((self.meta.project, Counted::Ports)),
        }
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.description.len() + self.device_id.len() + self.host.len()
    }
}
