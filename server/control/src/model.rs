//! What is stored: one struct per kind of object, and [`Object`] over all of them.
//!
//! These shapes are the store's and the change table's bodies (JSON); they never go on a wire: API
//! answers are made from them. New fields carry `#[serde(default)]`, so that an older row still
//! reads. Times are microseconds since the epoch, UTC.

mod requests;

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::addr::{Cidr, IpRange};
use portolan_shared::check::HostRoute;
use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, MessageId, NetworkId, NodeId, PortId, ProjectId, RoleId, ShadowRequestId,
    SubnetId, UserId,
};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::{NodesFrom, PathKind};
use serde::{Deserialize, Serialize};

pub use requests::{Decided, Person, RequestMessage, ShadowRequest, grant_among};

/// Microseconds since the epoch, UTC.
pub type Micros = i64;

/// Numbers commits of the store, from 1, without gaps.
pub type Revision = u64;

/// What every object of a customer's carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Whose it is.
    pub project: ProjectId,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Counts changes of this object by its users, from 0 (Neutron's `revision_number`).
    pub revision_number: u64,
    /// When it was made.
    pub created_at: Micros,
    /// When it last changed.
    pub updated_at: Micros,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
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
    #[serde(default)]
    pub internet_access: bool,
    /// Whether it is the provider's way to the outside: everybody sees it, only administrators
    /// change anything in it.
    #[serde(default)]
    pub external: bool,
    /// The hidden port of the provider's, if it was switched on: then for good.
    #[serde(default)]
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
    /// Its id.
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
    #[serde(default)]
    pub cursor: Option<IpAddr>,
}

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
    /// Its id.
    pub id: PortId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// Where it is.
    pub network: NetworkId,
    /// May be empty.
    pub name: Box<str>,
    /// May be empty.
    #[serde(default)]
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
    #[serde(default)]
    pub device_id: Box<str>,
    /// The node it is bound to.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// `binding:host_id` as a client set it, when it names no node of ours.
    #[serde(default)]
    pub host: Box<str>,
    /// The pod behind it.
    #[serde(default)]
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
    /// Its id.
    pub id: ClusterId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// A label, unique in the project.
    pub name: String,
    /// Its network.
    pub network: NetworkId,
    /// Whether the network was made for it and goes with it.
    pub private_network: bool,
    /// Where its nodes' addresses are from.
    pub node_subnet: SubnetId,
    /// Where its blocks are from.
    pub pod_subnet: SubnetId,
    /// Addresses of services: reserved, in no subnet.
    pub service_range: Cidr,
    /// How pods of two nodes reach each other.
    pub path: PathKind,
    /// Prefix length of a block: 26, or 122 for IPv6.
    pub block_prefix: u8,
    /// The last commit that changed what its agents are sent: the cluster, its nodes, its blocks.
    /// Changing it is no change of the cluster.
    #[serde(default)]
    pub feed_revision: Revision,
    /// Its address for the outside; `None`: none was asked for.
    #[serde(default)]
    pub external_ip: Option<ExternalIp>,
    /// Where its nodes come from.
    #[serde(default)]
    pub nodes_from: NodesFrom,
    /// How many nodes are wanted; 0: nobody said.
    #[serde(default)]
    pub nodes_wanted: u32,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
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
    #[serde(default)]
    pub key_hash: Option<[u8; 32]>,
}

/// A block of pod addresses leased to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its id.
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

/// What a node's kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// `port`, `block` or `node`.
    pub kind: String,
    /// Id of that.
    pub id: [u8; 16],
    /// The kernel's words.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// How a node is doing: written together for many nodes, never bumps anything of the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its project.
    pub project: ProjectId,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Whether its agent is connected.
    pub online: bool,
    /// Since when `online` has its value.
    pub since: Micros,
    /// The newest revision in its kernel.
    pub applied_revision: Revision,
    /// What its kernel refused.
    pub exceptions: Vec<Exception>,
    /// Version of its agent.
    pub agent_version: String,
    /// Newest pod sequence number stored for it.
    pub pod_seq: u64,
    /// Which of several replicas of the control plane holds its agent's stream, or held it last.
    #[serde(default)]
    pub held_by: Option<[u8; 16]>,
    /// When that replica last said that it lives: it says so of one of its nodes.
    #[serde(default)]
    pub beat: Micros,
}

/// A join token; its secret is stored hashed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Its id.
    pub id: JoinTokenId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The cluster it lets in to.
    pub cluster: ClusterId,
    /// The one node it is for, if it is for one.
    pub node: Option<NodeId>,
    /// When it stops working.
    pub expires_at: Micros,
    /// When it was used.
    pub spent_at: Option<Micros>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Unique in the domain.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Disabled projects refuse log-ins.
    pub enabled: bool,
    /// The first free MAC address of the project's walk, as a number; drawn ones would cost four times the writes.
    pub mac_cursor: u64,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Unique in the domain.
    pub name: String,
    /// argon2id, PHC string.
    pub password_hash: String,
    /// Disabled users cannot log in, and their sessions end.
    pub enabled: bool,
    /// Where a log-in without a project goes.
    pub default_project: Option<ProjectId>,
    /// The console's language, one of [`portolan_shared::v1::LANGUAGES`].
    #[serde(default)]
    pub language: Option<String>,
}

/// A role that a user holds in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assignment {
    /// Who.
    pub user: UserId,
    /// Where.
    pub project: ProjectId,
    /// What.
    pub role: Role,
}

/// Roles there are: a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May everything, everywhere.
    Admin,
    /// Sees any project read-only, decides shadowport requests.
    Support,
    /// Changes what is in its project.
    Member,
    /// Sees what is in its project.
    Reader,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Support, Self::Member, Self::Reader];

    /// Its name in the Identity API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Support => "support",
            Self::Member => "member",
            Self::Reader => "reader",
        }
    }

    /// Its id in the Identity API: fixed, since roles are.
    pub const fn id(self) -> RoleId {
        let mut bytes = [0_u8; 16];
        bytes[15] = match self {
            Self::Admin => 1,
            Self::Support => 2,
            Self::Member => 3,
            Self::Reader => 4,
        };
        RoleId::from_bytes(bytes)
    }
}

/// A session of the console or a token of the Identity API: who it lets in, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the secret; the secret itself is with its holder only.
    pub hash: [u8; 32],
    /// Who.
    pub user: UserId,
    /// Scope of a token; `None` for the console's session (every project of the user's) and for
    /// unscoped tokens.
    pub project: Option<ProjectId>,
    /// The CSRF secret, for the console's sessions only.
    pub csrf: Option<String>,
    /// When it began.
    pub issued_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
}

/// The outcome of a create with an idempotency key, kept for 24 h.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Project, user and key, hashed together: what the row is found by.
    pub hash: [u8; 32],
    /// SHA-256 of the request's body.
    pub digest: [u8; 32],
    /// The objects that were made.
    pub made: Vec<Key>,
    /// When it may be forgotten.
    pub expires_at: Micros,
    /// In whose quota of keys it counts; `None`: recorded by a version that counted none.
    #[serde(default)]
    pub project: Option<ProjectId>,
    /// What was answered; `None`: nobody was answered yet, or it is too long to be kept.
    #[serde(default)]
    pub answer: Option<KeptAnswer>,
}

/// An answer that is given again as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Box<str>,
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident($type:ty, $key:ty, $table:literal, $id:expr);)*) => {
        /// Any stored object.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Object {
            $($(#[$doc])* $name(Arc<$type>),)*
        }

        /// Which object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Key {
            $($(#[$doc])* $name($key),)*
        }

        /// Which kind of object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ObjectKind {
            $($(#[$doc])* $name,)*
        }

        impl ObjectKind {
            /// All kinds, in the order they are loaded (what is referred to comes first).
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Name of its table, and of the kind in the change table.
            pub const fn table(self) -> &'static str {
                match self { $(Self::$name => $table,)* }
            }

            /// The kind with this table name.
            pub fn of_table(table: &str) -> Option<Self> {
                match table { $($table => Some(Self::$name),)* _ => None }
            }
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> ObjectKind {
                match self { $(Self::$name(_) => ObjectKind::$name,)* }
            }

            /// Its key.
            pub fn key(&self) -> Key {
                match self { $(Self::$name(object) => Key::$name($id(object)),)* }
            }

            /// Its body, as store and change table hold it (JSON).
            ///
            /// # Errors
            /// Never for shapes of this module; the signature is serde's.
            pub fn body(&self) -> serde_json::Result<Vec<u8>> {
                match self { $(Self::$name(object) => serde_json::to_vec(&**object),)* }
            }

            /// From a stored body.
            ///
            /// # Errors
            /// If the body is not this kind's.
            pub fn from_body(kind: ObjectKind, body: &[u8]) -> serde_json::Result<Self> {
                Ok(match kind { $(ObjectKind::$name => Self::$name(Arc::new(serde_json::from_slice(body)?)),)* })
            }
        }

        impl Key {
            /// Its kind.
            pub fn kind(&self) -> ObjectKind {
                match self { $(Self::$name(_) => ObjectKind::$name,)* }
            }
        }

        $(impl From<$type> for Object {
            fn from(object: $type) -> Self {
                Self::$name(Arc::new(object))
            }
        })*
    };
}

objects! {
    /// A project.
    Project(Project, ProjectId, "projects", |o: &Project| o.id);
    /// A user.
    User(User, UserId, "users", |o: &User| o.id);
    /// A role of a user in a project.
    Assignment(Assignment, Assignment, "assignments", |o: &Assignment| *o);
    /// A session or token.
    Session(Session, [u8; 32], "sessions", |o: &Session| o.hash);
    /// An idempotency record.
    Idempotency(Idempotency, [u8; 32], "idempotency", |o: &Idempotency| o.hash);
    /// A network.
    Network(Network, NetworkId, "networks", |o: &Network| o.id);
    /// A subnet.
    Subnet(Subnet, SubnetId, "subnets", |o: &Subnet| o.id);
    /// A cluster.
    Cluster(Cluster, ClusterId, "clusters", |o: &Cluster| o.id);
    /// A node.
    Node(Node, NodeId, "nodes", |o: &Node| o.id);
    /// A block.
    Block(Block, BlockId, "blocks", |o: &Block| o.id);
    /// A port.
    Port(Port, PortId, "ports", |o: &Port| o.id);
    /// How a node is doing.
    NodeStatus(NodeStatus, NodeId, "node_statuses", |o: &NodeStatus| o.node);
    /// A join token.
    JoinToken(JoinToken, JoinTokenId, "join_tokens", |o: &JoinToken| o.id);
    /// A shadowport request.
    ShadowRequest(ShadowRequest, ShadowRequestId, "shadow_requests", |o: &ShadowRequest| o.id);
    /// A message of a request's thread.
    RequestMessage(RequestMessage, MessageId, "request_messages", |o: &RequestMessage| o.id);
}
