//! Networks and subnets, as stored.

use std::net::IpAddr;

use portolan_shared::addr::{Cidr, IpRange};
use portolan_shared::check::HostRoute;
use portolan_shared::ids::{ClusterId, NetworkId, PortId, ProjectId, SubnetId};
use serde::{Deserialize, Serialize};

use super::kind::{Clusters, Column, Kind, Type, Value, address_bytes};
use super::{Meta, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::draft::Counted;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: NetworkId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Switched on.
    pub admin_state_up: bool,
    /// Bytes.
    pub mtu: u32,
    /// Default for its ports.
    pub port_security_enabled: bool,
    /// Zone of its ports' names; may be empty.
    pub dns_domain: String,
    /// The cluster it was made for and goes with.
    pub owner: Option<ClusterId>,
    /// Whether its machines are to reach the internet: what the customer asked for.
    pub internet_access: bool,
    /// Whether it is the provider's way to the outside: everybody sees it, only administrators
    /// change anything in it.
    pub external: bool,
    /// The hidden port of the provider's, if it was switched on: then for good.
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
    /// Where it is.
    pub network: NetworkId,
    /// May be empty.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Its addresses.
    pub cidr: Cidr,
    /// In no pool.
    pub gateway: Option<IpAddr>,
    /// Sorted, disjoint.
    pub pools: Vec<IpRange>,
    /// DNS servers told to hosts.
    pub dns: Vec<IpAddr>,
    /// Routes told to hosts.
    pub routes: Vec<HostRoute>,
    /// Recorded only.
    pub enable_dhcp: bool,
    /// What it is for.
    pub purpose: Purpose,
    /// The address given last, from which allocation walks on. Written once a batch; changing it is
    /// no change of the subnet.
    pub cursor: Option<IpAddr>,
}

impl Kind for Network {
    const WORD: &'static str = "Network";
    const COLUMNS: &'static [Column<Self>] = &[];
    const FOR_AGENTS: bool = true;

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
}

impl Kind for Subnet {
    const WORD: &'static str = "Subnet";
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
    const FOR_AGENTS: bool = false;

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
}
