//! Everything that is stored, in memory, with the indexes that reads and decisions go by.
//!
//! One [`View`] a process, behind a read-write lock: readers clone `Arc`s out of it and serialise
//! outside; the writer applies whole commits. It never holds what is not committed.
//!
//! Start with [`View::apply`] (the only way in) and [`PortScope`] (ways to list ports).

mod apply;
mod index;
mod ports;
mod requests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::check::UsedRange;
use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, MessageId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use portolan_shared::mac::MacAddress;

use crate::model::{
    Assignment, Block, Cluster, Idempotency, JoinToken, Key, Network, Node, NodeStatus, Object, Port, Project,
    RequestMessage, Revision, Role, Session, ShadowRequest, Subnet, User, display_name,
};

use index::Children;
use ports::Ports;
pub use ports::{PortScope, SubnetUse};

/// What is stored, at one revision.
#[derive(Default)]
pub struct View {
    head: Revision,
    projects: BTreeMap<ProjectId, Arc<Project>>,
    project_names: HashMap<String, ProjectId>,
    users: BTreeMap<UserId, Arc<User>>,
    user_names: HashMap<String, UserId>,
    assignments: BTreeSet<Assignment>,
    assigned: BTreeSet<(ProjectId, UserId, Role)>,
    sessions: HashMap<[u8; 32], Arc<Session>>,
    user_sessions: BTreeSet<(UserId, [u8; 32])>,
    session_ends: BTreeSet<(i64, [u8; 32])>,
    idempotency: HashMap<[u8; 32], Arc<Idempotency>>,
    idempotency_ends: BTreeSet<(i64, [u8; 32])>,
    project_keys: HashMap<ProjectId, u64>,
    networks: BTreeMap<NetworkId, Arc<Network>>,
    project_networks: Children<ProjectId, NetworkId>,
    external: BTreeSet<NetworkId>,
    subnets: BTreeMap<SubnetId, Arc<Subnet>>,
    project_subnets: Children<ProjectId, SubnetId>,
    network_subnets: Children<NetworkId, SubnetId>,
    /// Subnets of a network are disjoint, so their first addresses find an overlap.
    network_ranges: BTreeMap<(NetworkId, IpAddr), SubnetId>,
    clusters: BTreeMap<ClusterId, Arc<Cluster>>,
    project_clusters: Children<ProjectId, ClusterId>,
    network_clusters: Children<NetworkId, ClusterId>,
    cluster_revisions: HashMap<ClusterId, Revision>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    cluster_nodes: Children<ClusterId, NodeId>,
    node_statuses: HashMap<NodeId, Arc<NodeStatus>>,
    blocks: BTreeMap<BlockId, Arc<Block>>,
    cluster_blocks: Children<ClusterId, BlockId>,
    node_blocks: Children<NodeId, BlockId>,
    block_starts: BTreeMap<(SubnetId, IpAddr), BlockId>,
    join_tokens: BTreeMap<JoinTokenId, Arc<JoinToken>>,
    token_hashes: HashMap<[u8; 32], JoinTokenId>,
    cluster_tokens: Children<ClusterId, JoinTokenId>,
    ports: Ports,
    requests: BTreeMap<ShadowRequestId, Arc<ShadowRequest>>,
    project_requests: Children<ProjectId, ShadowRequestId>,
    messages: BTreeMap<MessageId, Arc<RequestMessage>>,
    request_messages: Children<ShadowRequestId, MessageId>,
}

impl View {
    /// The revision it is at.
    pub fn head(&self) -> Revision {
        self.head
    }

    // ---- identity ----

    /// A project.
    pub fn project(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(&id)
    }

    /// The project of this name.
    pub fn project_by_name(&self, name: &str) -> Option<&Arc<Project>> {
        self.projects.get(self.project_names.get(name)?)
    }

    /// All projects, in id order.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.values()
    }

    /// A user.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// The user of this name.
    pub fn user_by_name(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(self.user_names.get(name)?)
    }

    /// All users, in id order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// All assignments, by user, project and role.
    pub fn assignments(&self) -> impl Iterator<Item = Assignment> {
        self.assignments.iter().copied()
    }

    /// A user's assignments, by project and role.
    pub fn assignments_of(&self, user: UserId) -> impl Iterator<Item = Assignment> {
        let first = Assignment {
            user,
            project: ProjectId::from_bytes([0; 16]),
            role: Role::Admin,
        };
        let last = Assignment {
            user,
            project: ProjectId::from_bytes([0xff; 16]),
            role: Role::Reader,
        };
        self.assignments.range(first..=last).copied()
    }

    /// Assignments in a project, by user and role.
    pub fn assignments_in(&self, project: ProjectId) -> impl Iterator<Item = Assignment> {
        let first = (project, UserId::from_bytes([0; 16]), Role::Admin);
        let last = (project, UserId::from_bytes([0xff; 16]), Role::Reader);
        self.assigned
            .range(first..=last)
            .map(|&(project, user, role)| Assignment { user, project, role })
    }

    /// Roles of a user in a project, the mightiest first.
    pub fn roles(&self, user: UserId, project: ProjectId) -> Vec<Role> {
        let first = Assignment {
            user,
            project,
            role: Role::Admin,
        };
        let last = Assignment {
            user,
            project,
            role: Role::Reader,
        };
        self.assignments.range(first..=last).map(|a| a.role).collect()
    }

    /// Projects in which a user has a role, in id order, each with the roles.
    pub fn projects_of(&self, user: UserId) -> Vec<(Arc<Project>, Vec<Role>)> {
        let mut found: Vec<(Arc<Project>, Vec<Role>)> = Vec::new();
        for assignment in self.assignments_of(user) {
            match found.last_mut() {
                Some((project, roles)) if project.id == assignment.project => roles.push(assignment.role),
                _ => {
                    if let Some(project) = self.project(assignment.project) {
                        found.push((Arc::clone(project), vec![assignment.role]));
                    }
                }
            }
        }
        found
    }

    /// The session or token with this hash; whether it has expired is the caller's question.
    pub fn session(&self, hash: &[u8; 32]) -> Option<&Arc<Session>> {
        self.sessions.get(hash)
    }

    /// Sessions and tokens of a user.
    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = &Arc<Session>> {
        self.user_sessions
            .range((user, [0; 32])..=(user, [0xff; 32]))
            .filter_map(|(_, hash)| self.sessions.get(hash))
    }

    /// All sessions and tokens, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    /// What a client-made key made.
    pub fn idempotency(&self, hash: &[u8; 32]) -> Option<&Arc<Idempotency>> {
        self.idempotency.get(hash)
    }

    /// How many idempotency keys of a project are remembered.
    pub fn key_count(&self, project: ProjectId) -> u64 {
        self.project_keys.get(&project).copied().unwrap_or(0)
    }

    /// Sessions and idempotency records that ended before `now`, at most `limit` of each.
    pub fn expired(&self, now: i64, limit: usize) -> Vec<Key> {
        let ended = |ends: &BTreeSet<(i64, [u8; 32])>| -> Vec<[u8; 32]> {
            ends.range(..(now, [0; 32]))
                .take(limit)
                .map(|(_, hash)| *hash)
                .collect()
        };
        let sessions = ended(&self.session_ends).into_iter().map(Key::Session);
        sessions
            .chain(ended(&self.idempotency_ends).into_iter().map(Key::Idempotency))
            .collect()
    }

    /// How many sessions and tokens a user has. Cost grows with them.
    pub fn session_count(&self, user: UserId) -> usize {
        self.user_sessions.range((user, [0; 32])..=(user, [0xff; 32])).count()
    }

    // ---- networks and subnets ----

    /// A network.
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(&id)
    }

    /// Networks of a project, or all, in id order (which is that of creation).
    pub fn networks(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<Network>> + '_> {
        match project {
            None => Box::new(self.networks.values()),
            Some(project) => Box::new(
                self.project_networks
                    .of(project)
                    .filter_map(|id| self.networks.get(&id)),
            ),
        }
    }

    /// External networks, in id order.
    pub fn external_networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.external.iter().filter_map(|id| self.networks.get(id))
    }

    /// How many networks a project has.
    pub fn network_count(&self, project: ProjectId) -> u64 {
        self.project_networks.count(project)
    }

    /// A subnet.
    pub fn subnet(&self, id: SubnetId) -> Option<&Arc<Subnet>> {
        self.subnets.get(&id)
    }

    /// Subnets of a project, or all, in id order.
    pub fn subnets(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<Subnet>> + '_> {
        match project {
            None => Box::new(self.subnets.values()),
            Some(project) => Box::new(self.project_subnets.of(project).filter_map(|id| self.subnets.get(&id))),
        }
    }

    /// How many subnets a project has.
    pub fn subnet_count(&self, project: ProjectId) -> u64 {
        self.project_subnets.count(project)
    }

    /// Subnets of a network, in id order (which is that of creation).
    pub fn subnets_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Subnet>> {
        self.network_subnets.of(network).filter_map(|id| self.subnets.get(&id))
    }

    /// Subnets of a network that share an address with `cidr`, the last first. Costs O(log n).
    pub fn overlapping(&self, network: NetworkId, cidr: Cidr) -> impl Iterator<Item = &Arc<Subnet>> {
        self.network_ranges
            .range((network, IpAddr::V4(Ipv4Addr::UNSPECIFIED))..=(network, cidr.last()))
            .rev()
            .filter_map(|(_, id)| self.subnets.get(id))
            .take_while(move |subnet| subnet.cidr.overlaps(&cidr))
    }

    /// Subnets and service ranges of a project, with the names to say so.
    pub fn used_ranges(&self, project: ProjectId) -> Vec<UsedRange> {
        let named = |id: NetworkId| {
            self.network(id)
                .map_or_else(|| id.to_string(), |n| display_name(&n.name, id))
        };
        let mut ranges: Vec<UsedRange> = self
            .subnets(Some(project))
            .map(|subnet| UsedRange {
                cidr: subnet.cidr,
                name: display_name(&subnet.name, subnet.id),
                network_id: subnet.network,
                network: named(subnet.network),
                subnet_id: Some(subnet.id),
            })
            .collect();
        ranges.extend(self.clusters(Some(project)).map(|cluster| UsedRange {
            cidr: cluster.service_range,
            name: format!("services of {}", cluster.name),
            network_id: cluster.network,
            network: named(cluster.network),
            subnet_id: None,
        }));
        ranges
    }

    // ---- ports ----

    /// A port.
    pub fn port(&self, id: PortId) -> Option<&Arc<Port>> {
        self.ports.get(id)
    }

    /// Ports in id order, those after the id `after`. Take as many as are wanted.
    pub fn ports(&self, scope: PortScope, after: Option<PortId>) -> Box<dyn Iterator<Item = &Arc<Port>> + '_> {
        self.ports.list(scope, after)
    }

    /// How many ports there are in a scope.
    pub fn port_count(&self, scope: PortScope) -> u64 {
        self.ports.count(scope)
    }

    /// How many of them are pods'; for the scopes all, project, network, node and cluster.
    pub fn pod_count(&self, scope: PortScope) -> u64 {
        self.ports.pods(scope)
    }

    /// How many of them customers never meet ([`crate::model::hidden`]).
    pub fn hidden_count(&self, scope: PortScope) -> u64 {
        self.ports.hidden(scope)
    }

    /// Ports with an address in a subnet, by address, those after the address `after`. A port with
    /// several addresses there comes several times.
    pub fn ports_by_address(
        &self,
        subnet: SubnetId,
        after: Option<IpAddr>,
    ) -> impl Iterator<Item = (IpAddr, &Arc<Port>)> {
        self.ports.by_address(subnet, after)
    }

    /// Who has this address.
    pub fn port_at(&self, subnet: SubnetId, address: IpAddr) -> Option<&Arc<Port>> {
        self.ports.at(subnet, address)
    }

    /// Who has this MAC address in a network.
    pub fn port_with_mac(&self, network: NetworkId, mac: MacAddress) -> Option<&Arc<Port>> {
        self.ports.with_mac(network, mac)
    }

    /// Addresses of a subnet in use, and by what.
    pub fn subnet_use(&self, subnet: SubnetId) -> SubnetUse {
        self.ports.subnet_use(subnet)
    }

    // ---- clusters ----

    /// A cluster.
    pub fn cluster(&self, id: ClusterId) -> Option<&Arc<Cluster>> {
        self.clusters.get(&id)
    }

    /// Clusters of a project, or all, in id order.
    pub fn clusters(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<Cluster>> + '_> {
        match project {
            None => Box::new(self.clusters.values()),
            Some(project) => Box::new(
                self.project_clusters
                    .of(project)
                    .filter_map(|id| self.clusters.get(&id)),
            ),
        }
    }

    /// How many clusters a project has.
    pub fn cluster_count(&self, project: ProjectId) -> u64 {
        self.project_clusters.count(project)
    }

    /// Clusters in a network, in id order.
    pub fn clusters_in(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Cluster>> {
        self.network_clusters
            .of(network)
            .filter_map(|id| self.clusters.get(&id))
    }

    /// The last commit that changed what a cluster's agents are sent: the cluster, its nodes or its
    /// blocks (also by taking one away).
    pub fn cluster_revision(&self, id: ClusterId) -> Revision {
        self.cluster_revisions.get(&id).copied().unwrap_or(0)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// Nodes of a cluster, in id order.
    pub fn nodes_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Node>> {
        self.cluster_nodes.of(cluster).filter_map(|id| self.nodes.get(&id))
    }

    /// All nodes, in id order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// How a node is doing; `None` if it never reported.
    pub fn node_status(&self, id: NodeId) -> Option<&Arc<NodeStatus>> {
        self.node_statuses.get(&id)
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> Option<&Arc<Block>> {
        self.blocks.get(&id)
    }

    /// Blocks of a cluster, in id order.
    pub fn blocks_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Block>> {
        self.cluster_blocks.of(cluster).filter_map(|id| self.blocks.get(&id))
    }

    /// Blocks that a node leases, in id order (the first leased first).
    pub fn blocks_of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Block>> {
        self.node_blocks.of(node).filter_map(|id| self.blocks.get(&id))
    }

    /// The block of a subnet that holds an address.
    pub fn block_at(&self, subnet: SubnetId, address: IpAddr) -> Option<&Arc<Block>> {
        let (_, id) = self.block_starts.range(..=(subnet, address)).next_back()?;
        self.blocks
            .get(id)
            .filter(|block| block.subnet == subnet && block.cidr.contains(address))
    }

    /// A join token.
    pub fn join_token(&self, id: JoinTokenId) -> Option<&Arc<JoinToken>> {
        self.join_tokens.get(&id)
    }

    /// The join token whose secret has this hash.
    pub fn join_token_by_hash(&self, hash: &[u8; 32]) -> Option<&Arc<JoinToken>> {
        self.join_tokens.get(self.token_hashes.get(hash)?)
    }

    /// Join tokens of a cluster, spent and expired ones too.
    pub fn join_tokens_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<JoinToken>> {
        self.cluster_tokens
            .of(cluster)
            .filter_map(|id| self.join_tokens.get(&id))
    }

    /// Any object.
    pub fn object(&self, key: &Key) -> Option<Object> {
        Some(match key {
            Key::Project(id) => Object::Project(Arc::clone(self.projects.get(id)?)),
            Key::User(id) => Object::User(Arc::clone(self.users.get(id)?)),
            Key::Assignment(a) => Object::Assignment(Arc::new(*self.assignments.get(a)?)),
            Key::Session(hash) => Object::Session(Arc::clone(self.sessions.get(hash)?)),
            Key::Idempotency(hash) => Object::Idempotency(Arc::clone(self.idempotency.get(hash)?)),
            Key::Network(id) => Object::Network(Arc::clone(self.networks.get(id)?)),
            Key::Subnet(id) => Object::Subnet(Arc::clone(self.subnets.get(id)?)),
            Key::Cluster(id) => Object::Cluster(Arc::clone(self.clusters.get(id)?)),
            Key::Node(id) => Object::Node(Arc::clone(self.nodes.get(id)?)),
            Key::Block(id) => Object::Block(Arc::clone(self.blocks.get(id)?)),
            Key::Port(id) => Object::Port(Arc::clone(self.ports.get(*id)?)),
            Key::NodeStatus(id) => Object::NodeStatus(Arc::clone(self.node_statuses.get(id)?)),
            Key::JoinToken(id) => Object::JoinToken(Arc::clone(self.join_tokens.get(id)?)),
            Key::ShadowRequest(id) => Object::ShadowRequest(Arc::clone(self.requests.get(id)?)),
            Key::RequestMessage(id) => Object::RequestMessage(Arc::clone(self.messages.get(id)?)),
        })
    }
}
