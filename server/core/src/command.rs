//! What can be asked of the writer: one value per request, checked in itself, decided in order.
//!
//! A command holds everything its decision needs besides the view: ids and times are drawn by the
//! writer from its own sources, so the same commands on the same view give the same outcome.

mod claim;
mod request;

use std::net::IpAddr;

use portolan_shared::addr::IpRange;
use portolan_shared::check::{HostRoute, SubnetSpec};
use portolan_shared::cluster::ClusterSpec;
use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::Side;

use crate::kinds::KindCommand;
use crate::model::{
    Assignment, Exception, KeptAnswer, Loss, Micros, Paths, Paused, Pod, Revision, Session, Tickets, User,
};

pub use claim::{Claim, ClaimedBlock, ClaimedNode};
pub use request::{Actor, Outcome, Repetition, Request, Via};

/// A new network.
#[derive(Debug, Clone)]
pub struct NewNetwork {
    /// Whose it will be (an administrator may name another project).
    pub project: ProjectId,
    /// At most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed; not unique, may be empty.
    pub name: String,
    /// Free text, at most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed.
    pub description: String,
    /// False shows it as `DOWN`; agents are not told.
    pub admin_state_up: bool,
    /// In bytes, [`MTU_MIN`](portolan_shared::check::MTU_MIN)..=[`MTU_MAX`](portolan_shared::check::MTU_MAX).
    pub mtu: u32,
    /// What its new ports have where [`NewPort::port_security_enabled`] is `None`.
    pub port_security_enabled: bool,
    /// A DNS name, or empty: recorded for clients that ask.
    pub dns_domain: String,
    /// Whether its machines are to reach the internet.
    pub internet_access: bool,
    /// The provider's way to the outside; administrators only.
    pub external: bool,
    /// With a way to the provider's services; of granted projects only.
    pub shadow_port: bool,
}

/// What of a network changes; `None` leaves a field alone.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "fields as in NewNetwork")]
pub struct NetworkChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub admin_state_up: Option<bool>,
    pub mtu: Option<u32>,
    pub port_security_enabled: Option<bool>,
    pub dns_domain: Option<String>,
    pub internet_access: Option<bool>,
    pub external: Option<bool>,
    pub shadow_port: Option<bool>,
}

/// A new subnet.
#[derive(Debug, Clone)]
pub struct NewSubnet {
    /// The project it will be in, for good.
    pub project: ProjectId,
    /// The network it will be in, for good.
    pub network: NetworkId,
    /// Checked by itself; whether it fits beside others is decided here.
    pub spec: SubnetSpec,
}

/// What of a subnet changes; `None` leaves a field alone.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "fields as in the model")]
pub struct SubnetChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enable_dhcp: Option<bool>,
    pub gateway: Option<Option<IpAddr>>,
    pub pools: Option<Vec<IpRange>>,
    pub dns: Option<Vec<IpAddr>>,
    pub routes: Option<Vec<HostRoute>>,
}

/// A fixed IP as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedIpRequest {
    /// Any address of this subnet.
    Subnet(SubnetId),
    /// This address, in whichever subnet of the network holds it.
    Address(IpAddr),
    /// This address of this subnet.
    Both(SubnetId, IpAddr),
}

/// A new port.
#[derive(Debug, Clone)]
pub struct NewPort {
    /// The project it will be in, for good.
    pub project: ProjectId,
    /// The network it will be in, for good.
    pub network: NetworkId,
    /// As a network's: at most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed; not unique, may be
    /// empty.
    pub name: Box<str>,
    /// Free text, at most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed.
    pub description: Box<str>,
    /// `None`: the next of the project's walk.
    pub mac: Option<MacAddress>,
    /// `None`: one address of each family, from the subnets with room; empty: none.
    pub fixed_ips: Option<Vec<FixedIpRequest>>,
    /// False shows it as `DISABLED` (`DOWN` in the Networking API); agents are not told.
    pub admin_state_up: bool,
    /// Not one of Portolan's own ([`crate::model::owner`]).
    pub device_owner: Box<str>,
    /// What uses it, in the client's words; at most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed.
    pub device_id: Box<str>,
    /// `binding:host_id`, which administrators alone may set; empty otherwise.
    pub host: Box<str>,
    /// `None`: as the network says.
    pub port_security_enabled: Option<bool>,
}

/// What of a port changes; `None` leaves a field alone.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "fields as in NewPort")]
pub struct PortChange {
    pub name: Option<Box<str>>,
    pub description: Option<Box<str>>,
    pub mac: Option<MacAddress>,
    pub fixed_ips: Option<Vec<FixedIpRequest>>,
    pub admin_state_up: Option<bool>,
    pub device_owner: Option<Box<str>>,
    pub device_id: Option<Box<str>>,
    pub host: Option<Box<str>>,
    pub port_security_enabled: Option<bool>,
}

/// A new cluster.
#[derive(Debug, Clone)]
pub struct NewCluster {
    /// The project it will be in, for good.
    pub project: ProjectId,
    /// Checked by itself; whether it fits beside others is decided here.
    pub spec: ClusterSpec,
}

/// What of a user changes; `None` leaves a field alone.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "fields as in the model")]
pub struct UserChange {
    pub name: Option<String>,
    pub enabled: Option<bool>,
    pub default_project: Option<Option<ProjectId>>,
    pub password: Option<NewPassword>,
}

/// A password that takes another's place.
#[derive(Clone)]
pub struct NewPassword {
    /// argon2id, PHC string.
    pub hash: String,
    /// The hash that the old password was checked against: if the password has changed meanwhile, the
    /// change is refused. `None`: an administrator sets it.
    pub replaces: Option<String>,
}

impl std::fmt::Debug for UserChange {
    /// Without the hashes: commands are logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserChange")
            .field("name", &self.name)
            .field("enabled", &self.enabled)
            .field("default_project", &self.default_project)
            .finish_non_exhaustive()
    }
}

/// By what a session or token is begun; it must still hold when the session is written.
#[derive(Clone)]
pub enum Proof {
    /// A password, by the hash it was checked against.
    Password(String),
    /// Another session or token, by the hash of its secret.
    Session([u8; 32]),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Session(_) => "Session",
        })
    }
}

/// A pod address that an agent gave out.
#[derive(Debug, Clone)]
pub struct PodAllocation {
    /// Drawn by the agent; becomes the id of the pod's port.
    pub id: PortId,
    /// The pod, with the allocation's sequence number.
    pub pod: Pod,
    /// Inside the node's blocks.
    pub addresses: Vec<IpAddr>,
    /// Hardware address of the pod's interface.
    pub mac: MacAddress,
}

/// How one node is doing, as far as it changed.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// The node that is reported on.
    pub node: NodeId,
    /// Whether its agent is connected, and since when.
    pub online: Option<(bool, Micros)>,
    /// The newest revision in its kernel and what it refused, all of it.
    pub applied: Option<(Revision, Vec<Exception>)>,
    /// What others took away from its kernel, all of it.
    pub losses: Option<Vec<Loss>>,
    /// Who has paused healing there; `Some(None)`: nobody has.
    pub paused: Option<Option<Paused>>,
    /// What its probes say; `Some(None)`: its stream has ended, and nothing is known of them.
    pub paths: Option<Option<Paths>>,
    /// Version of its agent.
    pub agent_version: Option<String>,
    /// Which of several replicas of the control plane says so.
    pub by: Option<[u8; 16]>,
    /// That this replica lives, and when it said so.
    pub beat: Option<Micros>,
    /// The tickets of a machine, which may not be the node any more by then.
    pub tickets: Option<([u8; 32], Tickets)>,
    /// That a copy of its machine has shown itself, and when.
    pub copied: Option<Micros>,
}

impl NodeReport {
    /// On this node, that nothing has changed.
    pub const fn of(node: NodeId) -> Self {
        Self {
            node,
            online: None,
            applied: None,
            losses: None,
            paused: None,
            paths: None,
            agent_version: None,
            by: None,
            beat: None,
            tickets: None,
            copied: None,
        }
    }
}

/// A new shadowport request; texts are checked.
#[derive(Debug, Clone)]
pub struct NewShadowRequest {
    /// The project that asks.
    pub project: ProjectId,
    /// What the shadow port is for, in the customer's words.
    pub purpose: String,
    /// How many nodes the customer expects: 1..=[`NODES_MAX`](portolan_shared::v1::NODES_MAX).
    pub nodes: u32,
    /// The network it is for.
    pub network: Option<NetworkId>,
    /// An earlier request of the project's that it answers.
    pub quotes: Option<ShadowRequestId>,
}

/// What is done to a shadowport request; texts are checked.
#[derive(Debug, Clone)]
pub enum Step {
    /// Adds to the thread.
    Say {
        /// 1..=[`TEXT_MAX`](portolan_shared::v1::TEXT_MAX) characters.
        text: String,
        /// A note that customers never get.
        internal: bool,
    },
    /// Takes the request back; support's routes have no such step.
    Withdraw,
    /// Takes it, also from a colleague.
    Take,
    /// Asks the customer something; the request waits for the answer.
    Ask {
        /// The question, as long as a message.
        text: String,
    },
    /// Lets the project make networks with a shadow port.
    Grant {
        /// Until when; `None`: until it is revoked.
        until: Option<Micros>,
        /// What the customer is told, if anything.
        message: Option<String>,
    },
    /// Declines the request; the project may file another.
    Decline {
        /// Why not: the customer is told.
        message: String,
    },
    /// Ends the grant; what was made by it stays.
    Revoke {
        /// Why: the customer is told.
        message: String,
    },
}

/// What can be deleted that takes other things along, or that others may hold: each has a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delete {
    /// A network with its subnets, unless ports are left in it.
    Network(NetworkId),
    /// A subnet, unless ports have addresses from it.
    Subnet(SubnetId),
    /// A port, unless something else owns it.
    Port(PortId),
    /// A cluster with its nodes, blocks, their ports, its pod subnet and external IP; its private network
    /// too, unless others use that: then it becomes the project's own.
    Cluster(ClusterId),
    /// A node with its blocks and ports; its agent is refused from then on.
    Node(NodeId),
}

impl From<Delete> for Command {
    fn from(what: Delete) -> Self {
        Self::Delete(what)
    }
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes networks: all of them or none.
    CreateNetworks(Vec<NewNetwork>),
    /// Changes a network.
    UpdateNetwork(NetworkId, NetworkChange),
    /// Makes subnets: all of them or none.
    CreateSubnets(Vec<NewSubnet>),
    /// Changes a subnet.
    UpdateSubnet(SubnetId, SubnetChange),
    /// Makes ports: all of them or none.
    CreatePorts(Vec<NewPort>),
    /// Changes a port.
    UpdatePort(PortId, PortChange),

    /// Deletes an object with everything that belongs to it, or nothing.
    Delete(Delete),

    /// A command of a kind that brings its own.
    Kind(KindCommand),

    /// Makes a cluster with its pod subnet and external IP, and with a private network where it is
    /// in none of the project's.
    CreateCluster(NewCluster),
    /// Makes a node that is expected to join, and its port in the node subnet. With an address: that
    /// one (a host that joins by itself), else the next free.
    CreateNode {
        /// The cluster it will be a node of.
        cluster: ClusterId,
        /// A DNS label, unique in the cluster.
        name: String,
        /// The address the host has already.
        address: Option<IpAddr>,
    },
    /// Makes a join token; for one node, or for any host of the cluster.
    CreateJoinToken {
        /// The cluster that a host joins by it.
        cluster: ClusterId,
        /// The one node it is for; `None`: any host with an address of the node subnet.
        node: Option<NodeId>,
        /// SHA-256 of the secret.
        secret_hash: [u8; 32],
        /// When it stops working.
        expires_at: Micros,
    },
    /// Spends a token: the node it is for, or a new one of that name and address, has joined; leases
    /// it its first block.
    Join {
        /// The token that the host showed.
        token: JoinTokenId,
        /// SHA-256 of the secret that was shown.
        secret_hash: [u8; 32],
        /// The name the host wants.
        name: String,
        /// The address the host has.
        address: IpAddr,
        /// SHA-256 of the public key its certificate will be for.
        key_hash: [u8; 32],
    },
    /// Takes back what an agent holds of a history that was lost; begins an epoch if none has begun for it.
    Claim(Claim),
    /// A node has another address now.
    RelocateNode {
        /// The node.
        node: NodeId,
        /// The address, in the cluster's node subnet.
        address: IpAddr,
    },
    /// Lets the machine in that was found to be a node in a history that was lost.
    AdmitNode(NodeId),
    /// A machine has let go of blocks: no pod of its has an address of them, and none will be given one. Others it keeps.
    LetGo {
        /// The node's cluster.
        cluster: ClusterId,
        /// The node that the machine is or was.
        node: NodeId,
        /// SHA-256 of its public key.
        machine: [u8; 32],
        /// The blocks.
        blocks: Vec<BlockId>,
        /// Those it keeps, by leases that were proven.
        kept: Vec<ClaimedBlock>,
    },
    /// A node gives blocks back that none of its pods has an address of. Those that a pod has one of stay.
    ReturnBlocks {
        /// The node.
        node: NodeId,
        /// The blocks.
        blocks: Vec<BlockId>,
    },
    /// A person states that the machine is off that holds a block in quarantine.
    ReleaseBlock(BlockId),
    /// Leases one more block to a node that says it has `have` of them; does nothing if it has more.
    LeaseBlock {
        /// The node that asks.
        node: NodeId,
        /// How many blocks its agent knows of.
        have: u32,
    },
    /// Makes and deletes pods' ports as the agent reports. Idempotent. Refused allocations (outside
    /// of the node's blocks) do not stop the others: they are left out of the outcome.
    ReportPods {
        /// The node that reports.
        node: NodeId,
        /// True: the node's other pods are gone.
        full: bool,
        /// Newest sequence number covered.
        seq: u64,
        /// Pods that were given addresses.
        allocations: Vec<PodAllocation>,
        /// Taken back: port and the sequence number of its allocation.
        releases: Vec<(PortId, u64)>,
    },
    /// Records how nodes are doing; one commit for many.
    ReportNodes(Vec<NodeReport>),
    /// Records at a start of the control plane that these nodes, which are stored as online, are waited for, each with
    /// when it was last heard.
    AwaitNodes(Vec<(NodeId, Micros)>),

    /// Asks support for networks with a shadow port; one open request a project.
    FileRequest(NewShadowRequest),
    /// Goes on with a request.
    OnRequest {
        /// The request; whether its state allows the step is decided here.
        request: ShadowRequestId,
        /// On whose side: support finds every project's.
        side: Side,
        /// What is done to it.
        step: Step,
    },

    /// Makes a project.
    CreateProject {
        /// Unique among projects, at most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed.
        name: String,
        /// Free text, at most [`NAME_MAX`](portolan_shared::check::NAME_MAX) characters, trimmed.
        description: String,
    },
    /// Deletes a project that holds nothing.
    DeleteProject(ProjectId),
    /// Makes a user.
    CreateUser(User),
    /// Changes a user. A new password, or being disabled, ends its sessions and tokens.
    ChangeUser(UserId, UserChange),
    /// Keeps a user's choice of the console's language.
    SetLanguage {
        /// The user whose choice it is.
        user: UserId,
        /// `None`: as the browser has it.
        language: Option<String>,
    },
    /// Deletes a user with its roles and sessions.
    DeleteUser(UserId),
    /// Gives a role.
    Assign(Assignment),
    /// Takes a role.
    Unassign(Assignment),
    /// Begins a session or token.
    BeginSession(Session, Proof),
    /// Ends a session or token, found by the hash of its secret.
    DeleteSession([u8; 32]),
    /// Keeps what was answered to a create with an idempotency key, by the record's hash; the first
    /// answer stays. The outcome is the record, if it is there.
    KeepAnswer([u8; 32], KeptAnswer),
    /// Forgets sessions, tokens and idempotency records that have expired.
    Expire,
}
