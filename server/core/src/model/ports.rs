//! Ports, as stored, and what follows from whose they are.

use std::net::IpAddr;

use portolan_shared::host_port::HostPort;
use portolan_shared::ids::{ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::{self, AuditKind, PortKind};
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind, Type, Value};
use super::{Meta, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::Fields;
use crate::quotas::Counted;
use crate::tables::Ports;

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
    /// Kubernetes name.
    pub name: String,
    /// Id of the sandbox container.
    pub container_id: String,
    /// The agent's sequence number of the allocation.
    pub seq: u64,
    /// Ports of the node that lead to it.
    #[serde(default, skip_serializing_if = "HostPorts::is_empty")]
    pub host_ports: HostPorts,
}

/// Ports of a node that lead to a pod, as its agent has told them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPorts {
    /// The first ones.
    pub told: Box<[HostPort]>,
    /// How many there are besides these.
    pub more: u32,
}

impl HostPorts {
    fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

/// A port. There may be a million: keep it small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// UUIDv7, drawn by the writer; a pod's by its agent, which counts pods before the writer hears of them. Never changes.
    pub id: PortId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// The network it is in; never changes.
    pub network: NetworkId,
    /// Not unique; may be empty. A pod's port is made with the pod's name.
    pub name: Box<str>,
    /// Free text; may be empty.
    pub description: Box<str>,
    /// Unique in its network.
    pub mac: MacAddress,
    /// Its addresses, in the order asked for.
    pub fixed_ips: Box<[FixedIp]>,
    /// Set by clients; false shows it as `DISABLED`, and agents are not told. Never false of a pod or node.
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
    /// Recorded for clients that ask; agents are not told.
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

impl Port {
    /// Whether it has an address of a subnet.
    pub fn is_in(&self, subnet: SubnetId) -> bool {
        self.fixed_ips.iter().any(|ip| ip.subnet == subnet)
    }
}

impl Kind for Port {
    const WORD: &'static str = "Port";
    type Id = PortId;
    type Table = Ports;

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
    const AUDIT: Option<AuditKind> = Some(AuditKind::Port);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

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

    fn label(&self) -> String {
        self.name.to_string()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.text("name", &self.name);
        fields.text("description", &self.description);
        fields.put("network_id", self.network);
        fields.put("mac_address", self.mac);
        fields.list("fixed_ips", self.fixed_ips.iter().map(|ip| ip.address));
        fields.put("admin_state_up", self.admin_state_up);
        fields.text("device_owner", &self.device_owner);
        fields.text("device_id", &self.device_id);
        fields.may("node", self.node);
        fields.text("binding:host_id", &self.host);
        fields.put("port_security_enabled", self.port_security_enabled);
        fields
    }

    fn event(&self, op: Op, before: Option<&Self>) -> Option<Event> {
        let event = Event::new(v1::Kind::Port, self.id);
        Some(match places(self, op, before) {
            Some(subnets) => event.network(self.network).subnets(subnets),
            None => event,
        })
    }
}

/// Subnets that a port has addresses in and had: it has left those it has none in any more, and their pages show it until
/// they hear so. `None` where it is not known what it was (a commit read back after a restart): a change that names no
/// place concerns all.
fn places(port: &Port, op: Op, before: Option<&Port>) -> Option<Vec<SubnetId>> {
    if before.is_none() && op != Op::Delete && port.meta.revision_number > 0 {
        return None;
    }
    let ips = port
        .fixed_ips
        .iter()
        .chain(before.iter().flat_map(|port| &port.fixed_ips));
    let mut subnets: Vec<SubnetId> = Vec::new();
    for ip in ips {
        if !subnets.contains(&ip.subnet) {
            subnets.push(ip.subnet);
        }
    }
    Some(subnets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SubnetId = SubnetId::from_bytes([1; 16]);
    const TWO: SubnetId = SubnetId::from_bytes([2; 16]);

    fn port(subnet: SubnetId, revision_number: u64) -> Port {
        Port {
            id: PortId::from_bytes([3; 16]),
            meta: Meta {
                project: ProjectId::from_bytes([4; 16]),
                revision: 1,
                revision_number,
                created_at: 0,
                updated_at: 0,
            },
            network: NetworkId::from_bytes([5; 16]),
            name: "".into(),
            description: "".into(),
            mac: MacAddress::new([2; 6]),
            fixed_ips: Box::new([FixedIp {
                subnet,
                address: [10, 0, 0, 2].into(),
            }]),
            admin_state_up: true,
            device_owner: "".into(),
            device_id: "".into(),
            node: None,
            host: "".into(),
            pod: None,
            port_security_enabled: true,
        }
    }

    #[test]
    fn a_port_is_told_where_it_is_and_was_or_nowhere() {
        let told = |op, port: Port, before: Option<Port>| {
            let event = port.event(op, before.as_ref()).unwrap();
            (event.network.is_some(), event.subnets)
        };
        assert_eq!(told(Op::Put, port(ONE, 0), None), (true, vec![ONE]), "made");
        assert_eq!(
            told(Op::Put, port(TWO, 1), Some(port(ONE, 0))),
            (true, vec![TWO, ONE]),
            "moved"
        );
        assert_eq!(told(Op::Delete, port(TWO, 1), None), (true, vec![TWO]), "gone");
        let unknown = told(Op::Put, port(TWO, 1), None);
        assert_eq!(
            unknown,
            (false, vec![]),
            "read back after a restart: it may have been anywhere"
        );
    }
}
