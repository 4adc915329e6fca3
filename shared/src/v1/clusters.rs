//! Clusters, their nodes, and how hosts join.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Ref, SubnetRef};
use crate::addr::Cidr;
use crate::ids::{BlockId, ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use crate::status::{Reason, StepState};

/// How pods of two nodes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Routes where nodes share a link; where they do not, VXLAN once that is carried.
    #[default]
    Auto,
    /// Plain routes.
    Routes,
    /// VXLAN: not carried yet. No new cluster is made with it; one that was has routes.
    Vxlan,
}

impl PathKind {
    /// Whether agents make it real; what they do not is not chosen for a new cluster.
    pub const fn carried(self) -> bool {
        !matches!(self, Self::Vxlan)
    }
}

/// Where a cluster's nodes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NodesFrom {
    /// Hosts that run the join command.
    #[default]
    Join,
    /// Namespaces of the lab that runs on this machine; only where one runs.
    Lab,
}

/// Body of `POST …/clusters`: a cluster in a network of the project's, or with a private network made
/// for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateCluster {
    /// 1..63, a label.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63), regex(pattern = crate::schema::LABEL), example = &"shop"))]
    pub name: String,
    /// A network of the project's; absent: a private one is made, and goes with the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// The subnet of `network` that nodes get addresses from. Required with `network`, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_subnet: Option<SubnetId>,
    /// Range of the node subnet of a private network; absent: the next free /24 of 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Cidr>"))]
    pub node_range: Option<String>,
    /// Absent: the next free /16 of 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Cidr>"))]
    pub pod_range: Option<String>,
    /// Absent: the next free /20 of 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Cidr>"))]
    pub service_range: Option<String>,
    /// An address for its API that is reached from outside. Absent: `true` with a private network,
    /// else whether the network has internet access. A private network gets internet access with it,
    /// and a shadow port without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ip: Option<bool>,
    /// Absent: auto. `vxlan` is refused until it is carried.
    #[serde(default)]
    pub path: PathKind,
    /// Absent: by join command.
    #[serde(default)]
    pub nodes_from: NodesFrom,
    /// How many nodes are expected, 0..5000; the lab makes that many (1..=16). Absent: 0, or 3 from
    /// the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 5_000)))]
    pub nodes: Option<u32>,
}

/// An address of a cluster that is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExternalIp {
    /// Of the provider's external network.
    pub address: IpAddr,
    /// Whether something carries its packets.
    pub carried: bool,
    /// Why not (`cluster.no_gateway`).
    pub reason: Option<Reason>,
}

/// A stage of a cluster's creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Its network and subnets are there.
    Network,
    /// Its external IP is allocated; only of clusters that have one.
    ExternalIp,
    /// Its network has a way to the provider's services; only of clusters without external IP.
    Services,
    /// The nodes that are expected have joined.
    Joined,
    /// All nodes that joined are ready.
    Ready,
}

/// How far a stage is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stage {
    /// Which stage it is; a cluster has `external_ip` or `services`, never both.
    pub stage: StageKind,
    /// How far it is.
    pub state: StepState,
    /// When it was reached.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::time::Time>"))]
    pub at: Option<String>,
    /// What it waits for.
    pub reason: Option<Reason>,
}

/// State of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// No node yet, and none on the way.
    Empty,
    /// Nodes that the lab is to make have not all joined yet.
    Creating,
    /// All nodes are ready.
    Ready,
    /// Some nodes are not.
    Degraded,
    /// None is.
    Down,
}

/// A cluster in the list and at the top of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterRow {
    /// Drawn by the server; never changes.
    pub id: ClusterId,
    /// A DNS label, unique in the project; never changes.
    pub name: String,
    /// Follows from the states of its nodes.
    pub state: ClusterState,
    /// Why, when degraded or down.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Its network.
    pub network: Ref<NetworkId>,
    /// Whether the network is its own and goes with it.
    pub private_network: bool,
    /// Its node subnet.
    pub node_subnet: SubnetRef,
    /// Its pod subnet.
    pub pod_subnet: SubnetRef,
    /// Addresses of services: reserved, in no subnet.
    pub service_range: Cidr,
    /// How pods of two nodes reach each other, as asked for.
    pub path: PathKind,
    /// Its address for the outside; absent: none was asked for.
    #[serde(default)]
    pub external_ip: Option<ExternalIp>,
    /// Where its nodes come from.
    #[serde(default)]
    pub nodes_from: NodesFrom,
    /// How many nodes are expected in all; 0: nobody said.
    #[serde(default)]
    pub nodes_wanted: u32,
    /// Its creation, stage by stage.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// MTU of its network, in bytes.
    pub mtu: u32,
    /// Nodes in all.
    pub nodes: u64,
    /// Nodes that report and whose kernel has refused nothing of the node itself; one that is still applying the newest
    /// changes counts, and one that is waited for after a start of the control plane.
    pub nodes_ready: u64,
    /// Pods with an address.
    pub pods: u64,
    /// Blocks leased to nodes.
    pub blocks: u64,
    /// Blocks there are in the pod range.
    pub blocks_total: u64,
    /// When it was made.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
    /// The revision at which it last changed.
    pub revision_number: u64,
}

/// A cluster with the project it is in, in the list of all projects' clusters (`GET
/// /portolan/v1/clusters`, administrators only).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectCluster {
    /// Its project.
    pub project: ProjectId,
    /// The cluster.
    #[serde(flatten)]
    pub cluster: ClusterRow,
}

/// State of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its port is there, no agent has joined.
    Expected,
    /// Its agent reports and has applied what it should; single pods may have trouble.
    Ready,
    /// It was online when the control plane was started, and is waited for, 10 s at the most.
    Awaited,
    /// Its agent reports and is behind.
    Behind,
    /// Its agent reports, and its kernel refused something of the node itself or of its own blocks.
    Error,
    /// It does its work, asks for a further block of pod addresses, and gets none: soon it takes no more pods.
    NoBlock,
    /// Its agent reports, and packets between its pods and most other nodes' do not arrive.
    NoPath,
    /// Its agent does not report.
    Silent,
    /// The control plane was put back to an older state that does not have it. Its pods run on; it waits to be admitted or
    /// removed.
    Found,
    /// It does its work, and two machines have shown its identity: it gets no further block before that is settled.
    Copied,
}

impl NodeState {
    /// Whether it does its work, for its cluster's word and number of nodes that are ready. While it is behind or waited for,
    /// nothing is known to be wrong with that; nor is it because there is a copy of it.
    pub const fn counts_as_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Behind | Self::Awaited | Self::Copied)
    }
}

/// A block of pod addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockRow {
    /// Drawn by the server; never changes.
    pub id: BlockId,
    /// Its 64 addresses: a /26 of the pod range, or a /122 for IPv6.
    pub cidr: Cidr,
    /// Of these, held by pods.
    pub used: u64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeRow {
    /// Drawn by the server; never changes.
    pub id: NodeId,
    /// A DNS label, unique in the cluster; never changes.
    pub name: String,
    /// Its state.
    pub state: NodeState,
    /// Why, when not ready; of a ready one, what has trouble beside it (`node.no_route`,
    /// `node.pair_fails`, `node.pods_in_trouble`), that somebody has paused healing there (`node.paused`), or that no packet
    /// proves its paths (`node.no_other_node`, `node.cannot_probe`).
    pub reason: Option<Reason>,
    /// Addresses in the node subnet.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: PortId,
    /// Blocks it leases, by address.
    pub blocks: Vec<BlockRow>,
    /// Pods on it.
    pub pods: u64,
    /// Newest revision in its kernel.
    pub applied_revision: u64,
    /// The revision it should have.
    pub wanted_revision: u64,
    /// Last time its agent was heard, RFC 3339; now, while connected.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::time::Time>"))]
    pub last_contact: Option<String>,
    /// Version of its agent.
    pub agent_version: String,
    /// What others took away from its host, the newest of each kind ([`NodeRow::LOSS_CODES`]).
    pub losses: Vec<Reason>,
    /// What its probes say; absent while its agent has said nothing of them.
    pub probes: Option<Probes>,
    /// When it was made.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
}

impl NodeRow {
    /// The codes of losses: one that was put back, one that was not yet, and one of what is taken again and again.
    pub const LOSS_CODES: [&str; 3] = ["node.lost", "node.lost_open", "node.contested"];
}

/// What a node's probes say: it sends packets to the other nodes of its cluster, and from a stand-in for its pods to theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Probes {
    /// Other nodes that it probes.
    pub peers: u32,
    /// Of these, to how many everything arrived.
    pub proven: u32,
    /// Of these, to how many something did not; also those whose agents are too old to answer.
    pub failing: u32,
    /// Some of them, with the reason (`node.pair_fails`).
    pub pairs: Vec<Reason>,
}

/// Body of `POST …/clusters/{id}/nodes`: a port for a node that will join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateNode {
    /// 1..63, a label.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63), regex(pattern = crate::schema::LABEL), example = &"shop"))]
    pub name: String,
}

/// Body of `PUT …/clusters/{id}/nodes/{node}`: what of a node changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeNode {
    /// The address that its host has now, of the cluster's node subnet; in place of the one of that family.
    #[cfg_attr(feature = "schema", schemars(example = &"10.0.0.55"))]
    pub address: IpAddr,
}

/// Answer to `POST …/clusters/{id}/nodes` and `POST …/clusters/{id}/join-tokens`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JoinToken {
    /// The secret: shown once, works once. Carries endpoint, CA pin, cluster, role and expiry.
    pub token: String,
    /// When it stops working.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub expires_at: String,
    /// The node whose port is waiting, when the token is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeRow>,
    /// Prefix length of the node subnet, to configure the host's link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 128)))]
    pub prefix: Option<u8>,
    /// MTU of the cluster's network in bytes, to configure the host's link.
    pub mtu: u32,
}
