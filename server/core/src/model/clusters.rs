//! Clusters, their nodes and blocks, as stored.

use std::net::IpAddr;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use portolan_shared::v1::{self, AuditKind, NodesFrom, PathKind};
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind, Type, Value, address_bytes};
use super::{Meta, Micros, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::{Fields, moment};
use crate::quotas::Counted;
use crate::tables::{Table, Unique, indexes};

/// An address of a cluster that is reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalIp {
    /// The provider's port that holds it.
    pub port: PortId,
    /// The address, in an external network.
    pub address: IpAddr,
}

/// A Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: ClusterId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// A label, unique in the project.
    pub name: String,
    /// Its network.
    pub network: NetworkId,
    /// Whether the network was made for the cluster and is deleted with it.
    pub private_network: bool,
    /// Where its nodes' addresses are from.
    pub node_subnet: SubnetId,
    /// Where its blocks are from.
    pub pod_subnet: SubnetId,
    /// Addresses of services: reserved, in no subnet.
    pub service_range: Cidr,
    /// How pods of two nodes reach each other.
    #[serde(with = "super::words::path")]
    pub path: PathKind,
    /// Prefix length of a block: 26, or 122 for IPv6.
    pub block_prefix: u8,
    /// The last commit that changed what its agents are sent: the cluster, its nodes, its blocks.
    /// Changing it is no change of the cluster.
    pub feed_revision: Revision,
    /// Its address for the outside; `None`: none was asked for.
    pub external_ip: Option<ExternalIp>,
    /// Where its nodes come from.
    #[serde(with = "super::words::nodes_from")]
    pub nodes_from: NodesFrom,
    /// How many nodes are wanted; 0: nobody said.
    pub nodes_wanted: u32,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: NodeId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// Its cluster.
    pub cluster: ClusterId,
    /// A label, unique in the cluster.
    pub name: String,
    /// Addresses in the node subnet, those of its port.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: PortId,
    /// When its agent joined; `None`: expected.
    pub joined_at: Option<Micros>,
    /// SHA-256 of the public key its certificates are for.
    pub key_hash: Option<[u8; 32]>,
    /// SHA-256 of the public key of the machine that was this node in a history that was lost. It is not let in before
    /// an administrator admits it.
    pub found: Option<[u8; 32]>,
}

impl Node {
    /// The machine that holds its blocks.
    pub fn machine(&self) -> Option<[u8; 32]> {
        self.key_hash.or(self.found)
    }
}

/// A block of pod addresses leased to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: BlockId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// The cluster.
    pub cluster: ClusterId,
    /// Who leases it.
    pub node: NodeId,
    /// The pod subnet.
    pub subnet: SubnetId,
    /// Its addresses.
    pub cidr: Cidr,
}

indexes! {
    /// Clusters by project and network.
    ClusterIndexes of Cluster {
        by project: ProjectId = |o| Some(o.meta.project);
        by network: NetworkId = |o| Some(o.network);
    }
}

impl Kind for Cluster {
    const WORD: &'static str = "Cluster";
    type Id = ClusterId;
    type Table = Table<Self, ClusterIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Cluster);
    const FOR_AGENTS: bool = true;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.id)
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        Some((self.meta.project, Counted::Clusters))
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("name", &self.name);
        fields.put("network", self.network);
        fields.put("private_network", self.private_network);
        fields.put("node_subnet", self.node_subnet);
        fields.put("pod_subnet", self.pod_subnet);
        fields.put("service_range", self.service_range);
        fields.word("path", self.path);
        fields.may("external_ip", self.external_ip.map(|ip| ip.address));
        fields.word("nodes_from", self.nodes_from);
        fields.may("nodes", Some(self.nodes_wanted).filter(|wanted| *wanted > 0));
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::Cluster, self.id).network(self.network))
    }
}

indexes! {
    /// Nodes by cluster.
    NodeIndexes of Node {
        by cluster: ClusterId = |o| Some(o.cluster);
    }
}

impl Kind for Node {
    const WORD: &'static str = "Node";
    type Id = NodeId;
    type Table = Table<Self, NodeIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Node);
    const FOR_AGENTS: bool = true;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.cluster)
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("name", &self.name);
        fields.put("cluster", self.cluster);
        fields.list("addresses", &self.addresses);
        fields.may("joined_at", self.joined_at.map(moment));
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::Node, self.id))
    }
}

indexes! {
    /// Blocks by cluster and node, and by address.
    BlockIndexes of Block {
        by cluster: ClusterId = |o| Some(o.cluster);
        by node: NodeId = |o| Some(o.node);
        /// By first address.
        and starts: Unique<(SubnetId, IpAddr), BlockId> = |o| Some(((o.subnet, o.cidr.first()), o.id));
    }
}

impl Kind for Block {
    const WORD: &'static str = "Block";
    type Id = BlockId;
    type Table = Table<Self, BlockIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            name: "subnet",
            type_: Type::Bytes,
            value: |o| Value::Bytes(o.subnet.as_bytes().to_vec()),
        },
        Column {
            name: "first_address",
            type_: Type::Bytes,
            value: |o| Value::Bytes(address_bytes(o.cidr.first())),
        },
    ];
    const AUDIT: Option<AuditKind> = None;
    const FOR_AGENTS: bool = true;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.cluster)
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        false
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        String::new()
    }

    fn fields(&self, _: Audience) -> Fields {
        Fields::default()
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::Block, self.id).subnets([self.subnet]))
    }
}
