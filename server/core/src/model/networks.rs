//! Networks and subnets, as stored.

use std::net::IpAddr;

use portolan_shared::addr::{Cidr, IpRange};
use portolan_shared::check::HostRoute;
use portolan_shared::ids::{ClusterId, NetworkId, PortId, ProjectId, SubnetId};
use portolan_shared::v1::{self, AuditKind};
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind, Type, Value, address_bytes};
use super::{Meta, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::Fields;
use crate::quotas::Counted;
use crate::tables::{Sorted, Table, Unique, indexes};

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: NetworkId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// Not unique; may be empty.
    pub name: String,
    /// Free text; may be empty.
    pub description: String,
    /// Set by clients; false shows it as `DOWN`, and agents are not told.
    pub admin_state_up: bool,
    /// In bytes. A pod's link gets this or the MTU of its node's link, whichever is less.
    pub mtu: u32,
    /// What its new ports have if their client says nothing.
    pub port_security_enabled: bool,
    /// A DNS name, or empty; recorded for clients that ask.
    pub dns_domain: String,
    /// The cluster it was made for: deleting the cluster deletes it too, unless others use it.
    pub owner: Option<ClusterId>,
    /// Whether its machines are to reach the internet: what the customer asked for.
    pub internet_access: bool,
    /// Whether it is the provider's way to the outside: everybody sees it, only administrators
    /// change anything in it.
    pub external: bool,
    /// The provider's hidden port, through which its machines reach the provider's services. Once there, it stays.
    pub shadow_port: Option<PortId>,
}

/// What a subnet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A customer's own.
    General,
    /// Addresses of this cluster's nodes.
    Nodes(ClusterId),
    /// Blocks of pod addresses of this cluster; nothing else allocates from it.
    Pods(ClusterId),
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: SubnetId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// The network it is in; never changes.
    pub network: NetworkId,
    /// Not unique; may be empty.
    pub name: String,
    /// Free text; may be empty.
    pub description: String,
    /// Its range of addresses; never changes.
    pub cidr: Cidr,
    /// Inside the range and in no pool; `None`: no gateway.
    pub gateway: Option<IpAddr>,
    /// Where ports get addresses from that name none: sorted, disjoint.
    pub pools: Vec<IpRange>,
    /// DNS servers for its hosts; recorded for clients that ask.
    pub dns: Vec<IpAddr>,
    /// Routes for its hosts; recorded for clients that ask.
    pub routes: Vec<HostRoute>,
    /// Recorded for clients that ask: Portolan serves no DHCP.
    pub enable_dhcp: bool,
    /// What it is for.
    pub purpose: Purpose,
    /// The address given last, from which allocation walks on. Written once a batch; changing it is
    /// no change of the subnet.
    pub cursor: Option<IpAddr>,
}

indexes! {
    /// Networks by project, and those that are the provider's way to the outside.
    NetworkIndexes of Network {
        by project: ProjectId = |o| Some(o.meta.project);
        and external: Sorted<NetworkId> = |o| o.external.then_some(o.id);
    }
}

impl Kind for Network {
    const WORD: &'static str = "Network";
    type Id = NetworkId;
    type Table = Table<Self, NetworkIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Network);
    const FOR_AGENTS: bool = true;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, clusters: &dyn Clusters) -> Option<ClusterId> {
        self.owner.or_else(|| clusters.of_network(self.id))
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        Some((self.meta.project, Counted::Networks))
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        self.description.len()
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.text("name", &self.name);
        fields.text("description", &self.description);
        fields.put("admin_state_up", self.admin_state_up);
        fields.put("mtu", self.mtu);
        fields.put("port_security_enabled", self.port_security_enabled);
        fields.text("dns_domain", &self.dns_domain);
        fields.put("internet_access", self.internet_access);
        fields.put("enable_shadow_port", self.shadow_port.is_some());
        fields.put("router:external", self.external);
        fields.may("cluster", self.owner);
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::Network, self.id).network(self.id))
    }
}

indexes! {
    /// Subnets by project and network, and by address.
    SubnetIndexes of Subnet {
        by project: ProjectId = |o| Some(o.meta.project);
        by network: NetworkId = |o| Some(o.network);
        /// By first address: subnets of a network are disjoint, so these find an overlap.
        and ranges: Unique<(NetworkId, IpAddr), SubnetId> = |o| Some(((o.network, o.cidr.first()), o.id));
    }
}

impl Kind for Subnet {
    const WORD: &'static str = "Subnet";
    type Id = SubnetId;
    type Table = Table<Self, SubnetIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "network",
            type_: Type::Bytes,
            value: |o| Value::Bytes(o.network.as_bytes().to_vec()),
        },
        Column {
            name: "first_address",
            type_: Type::Bytes,
            value: |o| Value::Bytes(address_bytes(o.cidr.first())),
        },
        Column {
            name: "last_address",
            type_: Type::Bytes,
            value: |o| Value::Bytes(address_bytes(o.cidr.last())),
        },
    ];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Subnet);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        match self.purpose {
            Purpose::General => None,
            Purpose::Nodes(id) | Purpose::Pods(id) => Some(id),
        }
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        Some((self.meta.project, Counted::Subnets))
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        (self.pools.len() + self.routes.len() + self.dns.len()) * 64
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.text("name", &self.name);
        fields.text("description", &self.description);
        fields.put("network_id", self.network);
        fields.put("cidr", self.cidr);
        fields.may("gateway_ip", self.gateway);
        let range = |pool: &IpRange| format!("{}-{}", pool.first(), pool.last());
        fields.list("allocation_pools", self.pools.iter().map(range));
        fields.list("dns_nameservers", &self.dns);
        let route = |route: &HostRoute| format!("{} via {}", route.destination, route.next_hop);
        fields.list("host_routes", self.routes.iter().map(route));
        fields.put("enable_dhcp", self.enable_dhcp);
        if let Purpose::Nodes(cluster) | Purpose::Pods(cluster) = self.purpose {
            fields.put("cluster", cluster);
        }
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(
            Event::new(v1::Kind::Subnet, self.id)
                .network(self.network)
                .subnets([self.id]),
        )
    }
}
