//! `/portolan/v1` on the wire: the read models of the console's screens, and what OpenStack has no
//! word for.
//!
//! Every read model carries the revision of the view it was made from. Times are RFC 3339, UTC.
//! Counts of addresses are saturated at `u64::MAX`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::addr::Cidr;
use crate::check::{HostRoute, UsedRange};
use crate::ids::{BlockId, ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId, UserId};
use crate::mac::MacAddress;
use crate::status::{PortStatus, Reason, Step, StepState};

// ---- errors ----

/// An error body (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`: the code below is the type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The English sentence: what, why, what now.
    pub detail: String,
    /// Stable code, see [`crate::refusal::Refusal::code`].
    pub code: String,
    /// What a translated sentence needs.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Which field of the request is wrong, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// For support: the id of this request in the log.
    #[serde(default)]
    pub request_id: String,
}

// ---- session ----

/// Log-in of the console (`POST /portolan/v1/session`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The user's name in the domain `Default`.
    pub user: String,
    /// Never logged.
    pub password: String,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogIn")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Who is logged in (`GET /portolan/v1/session`, and the answer to a log-in).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The user.
    pub user: UserRef,
    /// Projects in which the user has a role, by name.
    pub projects: Vec<ProjectRef>,
    /// To be sent back as `X-CSRF-Token` with everything that writes.
    pub csrf: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub name: String,
}

/// A project and what the user may do in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRef {
    /// Its id: the only kind of project id there is.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Names of the roles, such as `member`, `reader`, `admin`.
    pub roles: Vec<String>,
}

// ---- lists ----

/// A list, or a page of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// The view's revision.
    pub revision: u64,
    /// How many match in all.
    pub total: u64,
    /// Those of this page.
    pub items: Vec<T>,
    /// Id to give as `marker` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One thing with the revision it was read at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct One<T> {
    /// The view's revision.
    pub revision: u64,
    /// The thing.
    pub item: T,
}

/// A named thing to link to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ref<Id> {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
}

// ---- networks ----

/// A network in the list and at the top of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRow {
    /// Its id.
    pub id: NetworkId,
    /// Its name; may be empty.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `ACTIVE`, or `DOWN` when switched off or a port in it is in error.
    pub status: PortStatus,
    /// Why, when not active.
    pub reason: Option<Reason>,
    /// All subnets, by address.
    pub subnets: Vec<SubnetRef>,
    /// Addresses used in all subnets' pools.
    pub used: u64,
    /// Addresses in all subnets' pools.
    pub capacity: u64,
    /// Ports the reader may see.
    pub ports: u64,
    /// Ports that are not active (and not merely reserved).
    pub ports_not_active: u64,
    /// The cluster that uses it.
    pub cluster: Option<Ref<ClusterId>>,
    /// Whether it is made and taken away by that cluster.
    pub cluster_owned: bool,
    /// Whether it has a way to the internet.
    pub internet: bool,
    /// Bytes.
    pub mtu: u32,
    /// When it was made.
    pub created_at: String,
    /// For `If-Match`.
    pub revision_number: u64,
}

/// A subnet, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRef {
    /// Its id.
    pub id: SubnetId,
    /// Its name.
    pub name: String,
    /// Its network.
    pub cidr: Cidr,
}

// ---- subnets ----

/// What a subnet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubnetPurpose {
    /// Made by the customer.
    General,
    /// Addresses of a cluster's nodes.
    Nodes,
    /// Blocks of pod addresses; nothing else gets addresses from it.
    Pods,
}

/// A subnet in the list and on its card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRow {
    /// Its id.
    pub id: SubnetId,
    /// Its name; may be empty.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The network it is in.
    pub network: Ref<NetworkId>,
    /// Its addresses.
    pub cidr: Cidr,
    /// `None`: no gateway.
    pub gateway: Option<IpAddr>,
    /// Recorded only; Portolan serves no DHCP.
    pub dhcp: bool,
    /// Addresses of DNS servers.
    pub dns: Vec<IpAddr>,
    /// First and last address of each pool.
    pub pools: Vec<(IpAddr, IpAddr)>,
    /// Routes that hosts are told.
    pub routes: Vec<HostRoute>,
    /// Addresses used, in pools and outside.
    pub used: u64,
    /// Of these, held by the provider (seen by nobody else).
    pub provider: u64,
    /// Addresses the pools hold in all.
    pub capacity: u64,
    /// Ports the reader may see.
    pub ports: u64,
    /// Used addresses by kind of holder.
    pub used_by: Vec<(PortKind, u64)>,
    /// What it is for.
    pub purpose: SubnetPurpose,
    /// The cluster it serves, unless general.
    pub cluster: Option<Ref<ClusterId>>,
    /// When it was made.
    pub created_at: String,
    /// For `If-Match`.
    pub revision_number: u64,
}

// ---- ports ----

/// What holds a port, in a word of the console's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
}

/// A fixed IP of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// The address.
    pub address: IpAddr,
    /// Its subnet.
    pub subnet: Ref<SubnetId>,
}

/// What a port is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Attached {
    /// The cluster.
    pub cluster: Option<Ref<ClusterId>>,
    /// The node.
    pub node: Option<Ref<NodeId>>,
    /// Namespace and name of the pod.
    pub pod: Option<(String, String)>,
    /// `device_id`, when it is none of the above.
    pub device: Option<String>,
}

/// A port in the list and on its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRow {
    /// Its id.
    pub id: PortId,
    /// Its name; may be empty.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The network it is in.
    pub network: Ref<NetworkId>,
    /// What holds it.
    pub kind: PortKind,
    /// Derived when read.
    pub status: PortStatus,
    /// Why, when not active.
    pub reason: Option<Reason>,
    /// Its addresses.
    pub fixed_ips: Vec<FixedIp>,
    /// Its hardware address.
    pub mac: MacAddress,
    /// What it is attached to.
    pub attached: Attached,
    /// `admin_state_up`.
    pub enabled: bool,
    /// Why it cannot be deleted here ("belongs to cluster shop"), if so.
    pub locked: Option<Reason>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// For `If-Match`.
    pub revision_number: u64,
}

/// One step of *Why?* (`GET …/ports/{id}/why`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyStep {
    /// Which step.
    pub step: Step,
    /// How it stands.
    pub state: StepState,
    /// Why it does not hold.
    pub reason: Option<Reason>,
}

// ---- addresses in use ----

/// Everything that uses addresses in a project, to check overlap while typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpace {
    /// The view's revision.
    pub revision: u64,
    /// Subnets (pod ranges are subnets) and service ranges.
    pub ranges: Vec<UsedRange>,
}

// ---- clusters and nodes ----

/// How pods of two nodes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Routes where nodes share a link, VXLAN where they do not.
    #[default]
    Auto,
    /// Plain routes.
    Routes,
    /// VXLAN.
    Vxlan,
}

/// Body of `POST …/clusters`: a cluster with a private network of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCluster {
    /// 1..63, a label.
    pub name: String,
    /// Absent: the next free /24 of 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_range: Option<String>,
    /// Absent: the next free /16 of 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_range: Option<String>,
    /// Absent: the next free /20 of 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_range: Option<String>,
    /// Absent: auto.
    #[serde(default)]
    pub path: PathKind,
}

/// State of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// No node yet.
    Empty,
    /// All nodes are ready.
    Ready,
    /// Some nodes are not.
    Degraded,
    /// None is.
    Down,
}

/// A cluster in the list and at the top of its page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRow {
    /// Its id.
    pub id: ClusterId,
    /// Its name.
    pub name: String,
    /// From its nodes' states.
    pub state: ClusterState,
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
    /// As asked for.
    pub path: PathKind,
    /// Bytes.
    pub mtu: u32,
    /// Nodes in all.
    pub nodes: u64,
    /// Nodes whose agent reports.
    pub nodes_ready: u64,
    /// Pods with an address.
    pub pods: u64,
    /// Blocks leased to nodes.
    pub blocks: u64,
    /// Blocks there are in the pod range.
    pub blocks_total: u64,
    /// When it was made.
    pub created_at: String,
    /// The revision at which it last changed.
    pub revision_number: u64,
}

/// State of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its port is there, no agent has joined.
    Expected,
    /// Its agent reports and has applied what it should.
    Ready,
    /// Its agent reports and is behind.
    Behind,
    /// Its agent reports, and its kernel refused something.
    Error,
    /// Its agent does not report.
    Silent,
}

/// A block of pod addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRow {
    /// Its id.
    pub id: BlockId,
    /// Its addresses.
    pub cidr: Cidr,
    /// Of these, held by pods.
    pub used: u64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: NodeState,
    /// Why, when not ready.
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
    pub last_contact: Option<String>,
    /// Version of its agent.
    pub agent_version: String,
    /// When it was made.
    pub created_at: String,
}

/// Body of `POST …/clusters/{id}/nodes`: a port for a node that will join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateNode {
    /// 1..63, a label.
    pub name: String,
}

/// Answer to `POST …/clusters/{id}/nodes` and `POST …/clusters/{id}/join-tokens`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// The secret: shown once, works once. Carries endpoint, CA pin, cluster, role and expiry.
    pub token: String,
    /// When it stops working.
    pub expires_at: String,
    /// The node whose port is waiting, when the token is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeRow>,
    /// Prefix length of the node subnet, to configure the host's link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<u8>,
    /// Bytes.
    pub mtu: u32,
}

// ---- events ----

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Made or changed.
    Put,
    /// Gone, or gone from the reader's sight.
    Delete,
}

/// What kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A network.
    Network,
    /// A subnet.
    Subnet,
    /// A port.
    Port,
    /// A cluster.
    Cluster,
    /// A node, or how it is doing.
    Node,
    /// A block of pod addresses.
    Block,
}

/// One thing that changed, with what it concerns, so that a page knows whether to look again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What kind of thing.
    pub kind: Kind,
    /// What happened.
    pub op: Op,
    /// Its id.
    pub id: String,
    /// The network it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// The subnets it has addresses in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<SubnetId>,
    /// The cluster it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    /// Who did it, where the reader may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// Data of an event `change`: everything of one commit that the reader may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// The commit's revision; the event's id.
    pub revision: u64,
    /// What changed.
    pub changes: Vec<Changed>,
}

/// Data of the events `progress` (every 5 s) and `reset` (what was missed is gone: load anew).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressEvent {
    /// The head.
    pub revision: u64,
}
