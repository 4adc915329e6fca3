//! Everything that is stored, in memory, with the indexes that reads and decisions go by.
//!
//! One [`View`] a process, behind a read-write lock: readers clone `Arc`s out of it and serialise
//! outside; the writer applies whole commits. It never holds what is not committed.
//!
//! Start with [`View::apply`] (the only way in) and [`PortScope`] (ways to list ports).

mod apply;
mod requests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::check::UsedRange;
use portolan_shared::ids::{BlockId, ClusterId, JoinTokenId, NetworkId, NodeId, PortId, ProjectId, SubnetId, UserId};
use portolan_shared::mac::MacAddress;

use crate::history::{History, Point};
use crate::kinds::quarantined_blocks::QuarantinedBlock;
use crate::model::{
    Assignment, Block, Cluster, Idempotency, JoinToken, Key, Network, Node, NodeStatus, Object, Port, Project, Purpose,
    Revision, Role, SKEW, Session, Stored, Subnet, Tables, User, display_name,
};
use crate::quotas::Counted;
use crate::tables::{Keep, Parent, Ports, Sorted, Table};
pub use crate::tables::{PortScope, SubnetUse};

/// What is stored, at one revision.
#[derive(Default)]
pub struct View {
    head: Revision,
    tables: Tables,
    /// How many of each a project has, for its quotas.
    counts: HashMap<(ProjectId, Counted), u64>,
    cluster_revisions: HashMap<ClusterId, Revision>,
    history: History,
}

impl View {
    /// The revision it is at.
    pub fn head(&self) -> Revision {
        self.head
    }

    /// The runs that wrote what it holds.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// A revision, of this history.
    pub fn point(&self, revision: Revision) -> Point {
        Point {
            incarnation: self.history.at(revision),
            revision,
        }
    }

    /// Whether this view went through a point.
    pub fn holds(&self, point: Point) -> bool {
        self.history.holds(point, self.head)
    }

    // ---- any kind ----

    /// An object.
    pub fn get<K: Stored>(&self, id: K::Id) -> Option<&Arc<K>> {
        K::table(&self.tables).get(id)
    }

    /// All objects of a kind, in id order.
    pub fn all<K: Stored>(&self) -> impl Iterator<Item = &Arc<K>> {
        K::table(&self.tables).all()
    }

    /// Objects in another, in id order: `of::<Subnet>(network)`.
    pub fn of<K: Stored>(&self, parent: impl Parent<K>) -> impl DoubleEndedIterator<Item = &Arc<K>> {
        let table = K::table(&self.tables);
        Parent::children(table).of(parent).filter_map(|id| table.get(id))
    }

    /// How many objects are in another.
    pub fn count_of<K: Stored>(&self, parent: impl Parent<K>) -> u64 {
        Parent::children(K::table(&self.tables)).count(parent)
    }

    /// Objects of a project, or all, in id order (which is that of creation).
    pub fn list<K: Stored>(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<K>> + '_>
    where
        ProjectId: Parent<K>,
    {
        match project {
            None => Box::new(self.all()),
            Some(project) => Box::new(self.of(project)),
        }
    }

    /// How many a project has of what a quota counts.
    pub fn counted(&self, project: ProjectId, counted: Counted) -> u64 {
        self.counts.get(&(project, counted)).copied().unwrap_or(0)
    }

    /// A kind's table, for its own indexes.
    pub(crate) fn table<K: Stored<Table = Table<K, I>>, I>(&self) -> &Table<K, I> {
        K::table(&self.tables)
    }

    /// Any object.
    pub fn object(&self, key: &Key) -> Option<Object> {
        self.tables.get(key)
    }

    // ---- identity ----

    /// A project.
    pub fn project(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.get::<Project>(id)
    }

    /// The project of this name.
    pub fn project_by_name(&self, name: &str) -> Option<&Arc<Project>> {
        self.get::<Project>(*self.table::<Project, _>().indexes.names.0.get(name)?)
    }

    /// All projects, in id order.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.all::<Project>()
    }

    /// A user.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.get::<User>(id)
    }

    /// The user of this name.
    pub fn user_by_name(&self, name: &str) -> Option<&Arc<User>> {
        self.get::<User>(*self.table::<User, _>().indexes.names.0.get(name)?)
    }

    /// All users, in id order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.all::<User>()
    }

    /// All assignments, by user, project and role.
    pub fn assignments(&self) -> impl Iterator<Item = Assignment> {
        self.all::<Assignment>().map(|a| **a)
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
        self.table::<Assignment, _>().range(first, last).map(|a| **a)
    }

    /// Assignments in a project, by user and role.
    pub fn assignments_in(&self, project: ProjectId) -> impl Iterator<Item = Assignment> {
        let first = (project, UserId::from_bytes([0; 16]), Role::Admin);
        let last = (project, UserId::from_bytes([0xff; 16]), Role::Reader);
        let by_project = &self.table::<Assignment, _>().indexes.by_project.0;
        by_project
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
        self.table::<Assignment, _>()
            .range(first, last)
            .map(|a| a.role)
            .collect()
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
        self.get::<Session>(*hash)
    }

    /// Sessions and tokens of a user.
    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = &Arc<Session>> {
        self.of::<Session>(user)
    }

    /// All sessions and tokens.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.all::<Session>()
    }

    /// What a client-made key made.
    pub fn idempotency(&self, hash: &[u8; 32]) -> Option<&Arc<Idempotency>> {
        self.get::<Idempotency>(*hash)
    }

    /// How many idempotency keys of a project are remembered.
    pub fn key_count(&self, project: ProjectId) -> u64 {
        self.counted(project, Counted::Keys)
    }

    /// Sessions, idempotency records and records of removed nodes that ended before `now`, at most `limit` of each; and
    /// those of a time when the clock was ahead.
    pub fn expired(&self, now: i64, limit: usize) -> Vec<Key> {
        let sessions = ended(&self.table::<Session, _>().indexes.ends, Session::LIFETIME, now);
        let keys = ended(&self.table::<Idempotency, _>().indexes.ends, Idempotency::LIFETIME, now);
        let sessions = sessions.take(limit).map(Key::Session);
        let keys = keys.take(limit).map(Key::Idempotency);
        sessions.chain(keys).chain(self.outlived_removals(now, limit)).collect()
    }

    /// How many sessions and tokens a user has.
    pub fn session_count(&self, user: UserId) -> u64 {
        self.count_of::<Session>(user)
    }

    // ---- networks and subnets ----

    /// A network.
    pub fn network(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.get::<Network>(id)
    }

    /// Networks of a project, or all, in id order (which is that of creation).
    pub fn networks(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<Network>> + '_> {
        self.list::<Network>(project)
    }

    /// External networks, in id order.
    pub fn external_networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        let external = &self.table::<Network, _>().indexes.external.0;
        external.iter().filter_map(|id| self.get::<Network>(*id))
    }

    /// How many networks a project has.
    pub fn network_count(&self, project: ProjectId) -> u64 {
        self.count_of::<Network>(project)
    }

    /// A subnet.
    pub fn subnet(&self, id: SubnetId) -> Option<&Arc<Subnet>> {
        self.get::<Subnet>(id)
    }

    /// Subnets of a project, or all, in id order.
    pub fn subnets(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<Subnet>> + '_> {
        self.list::<Subnet>(project)
    }

    /// How many subnets a project has.
    pub fn subnet_count(&self, project: ProjectId) -> u64 {
        self.count_of::<Subnet>(project)
    }

    /// Subnets of a network, in id order (which is that of creation).
    pub fn subnets_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Subnet>> {
        self.of::<Subnet>(network)
    }

    /// Subnets of a network that share an address with `cidr`, the last first. Costs O(log n).
    pub fn overlapping(&self, network: NetworkId, cidr: Cidr) -> impl Iterator<Item = &Arc<Subnet>> {
        let ranges = &self.table::<Subnet, _>().indexes.ranges.0;
        ranges
            .range((network, IpAddr::V4(Ipv4Addr::UNSPECIFIED))..=(network, cidr.last()))
            .rev()
            .filter_map(|(_, id)| self.get::<Subnet>(*id))
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
            name: cluster.name.clone(),
            network_id: cluster.network,
            network: named(cluster.network),
            subnet_id: None,
        }));
        ranges
    }

    // ---- ports ----

    fn port_table(&self) -> &Ports {
        Port::table(&self.tables)
    }

    /// Nodes of a cluster, where the scope is one.
    fn nodes_in(&self, scope: PortScope) -> Vec<NodeId> {
        match scope {
            PortScope::Cluster(id) => self.of::<Node>(id).map(|node| node.id).collect(),
            _ => Vec::new(),
        }
    }

    /// A port.
    pub fn port(&self, id: PortId) -> Option<&Arc<Port>> {
        self.get::<Port>(id)
    }

    /// Ports in id order, those after the id `after`. Take as many as are wanted.
    pub fn ports(&self, scope: PortScope, after: Option<PortId>) -> Box<dyn Iterator<Item = &Arc<Port>> + '_> {
        self.port_table().list(scope, &self.nodes_in(scope), after)
    }

    /// How many ports there are in a scope.
    pub fn port_count(&self, scope: PortScope) -> u64 {
        self.port_table().count(scope, &self.nodes_in(scope))
    }

    /// How many of them are pods'; for the scopes all, project, network, node and cluster.
    pub fn pod_count(&self, scope: PortScope) -> u64 {
        self.port_table().pods(scope, &self.nodes_in(scope))
    }

    /// How many of them customers never meet ([`crate::model::hidden`]).
    pub fn hidden_count(&self, scope: PortScope) -> u64 {
        self.port_table().hidden(scope, &self.nodes_in(scope))
    }

    /// Ports with an address in a subnet, by address, those after the address `after`. A port with
    /// several addresses there comes several times.
    pub fn ports_by_address(
        &self,
        subnet: SubnetId,
        after: Option<IpAddr>,
    ) -> impl Iterator<Item = (IpAddr, &Arc<Port>)> {
        self.port_table().by_address(subnet, after)
    }

    /// Who has this address.
    pub fn port_at(&self, subnet: SubnetId, address: IpAddr) -> Option<&Arc<Port>> {
        self.port_table().at(subnet, address)
    }

    /// Who has this MAC address in a network.
    pub fn port_with_mac(&self, network: NetworkId, mac: MacAddress) -> Option<&Arc<Port>> {
        self.port_table().with_mac(network, mac)
    }

    /// What a subnet's pool must not give: the addresses of ports, or the first addresses of leased blocks; sorted.
    pub fn taken(&self, subnet: &Subnet) -> Vec<IpAddr> {
        match subnet.purpose {
            Purpose::Pods(cluster) => {
                let leased = self.blocks_of(cluster).map(|block| block.cidr.first());
                let quarantined = self.of::<QuarantinedBlock>(subnet.id).map(|block| block.cidr.first());
                let mut taken: Vec<_> = leased.chain(quarantined).collect();
                taken.sort_unstable();
                taken
            }
            Purpose::General | Purpose::Nodes(_) => self
                .ports_by_address(subnet.id, None)
                .map(|(address, _)| address)
                .collect(),
        }
    }

    /// Addresses of a subnet in use, and by what.
    pub fn subnet_use(&self, subnet: SubnetId) -> SubnetUse {
        self.port_table().subnet_use(subnet)
    }

    // ---- clusters ----

    /// A cluster.
    pub fn cluster(&self, id: ClusterId) -> Option<&Arc<Cluster>> {
        self.get::<Cluster>(id)
    }

    /// Clusters of a project, or all, in id order.
    pub fn clusters(&self, project: Option<ProjectId>) -> Box<dyn Iterator<Item = &Arc<Cluster>> + '_> {
        self.list::<Cluster>(project)
    }

    /// How many clusters a project has.
    pub fn cluster_count(&self, project: ProjectId) -> u64 {
        self.count_of::<Cluster>(project)
    }

    /// Clusters in a network, in id order.
    pub fn clusters_in(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Cluster>> {
        self.of::<Cluster>(network)
    }

    /// The last commit that changed what a cluster's agents are sent: the cluster, its nodes or its
    /// blocks (also by taking one away).
    pub fn cluster_revision(&self, id: ClusterId) -> Revision {
        self.cluster_revisions.get(&id).copied().unwrap_or(0)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.get::<Node>(id)
    }

    /// Nodes of a cluster, in id order.
    pub fn nodes_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Node>> {
        self.of::<Node>(cluster)
    }

    /// All nodes, in id order.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.all::<Node>()
    }

    /// How a node is doing; `None` if it never reported.
    pub fn node_status(&self, id: NodeId) -> Option<&Arc<NodeStatus>> {
        self.get::<NodeStatus>(id)
    }

    /// A block.
    pub fn block(&self, id: BlockId) -> Option<&Arc<Block>> {
        self.get::<Block>(id)
    }

    /// Blocks of a cluster, in id order.
    pub fn blocks_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<Block>> {
        self.of::<Block>(cluster)
    }

    /// Blocks that a node leases, in id order (the first leased first).
    pub fn blocks_of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Block>> {
        self.of::<Block>(node)
    }

    /// The block of a subnet that holds an address.
    pub fn block_at(&self, subnet: SubnetId, address: IpAddr) -> Option<&Arc<Block>> {
        let starts = &self.table::<Block, _>().indexes.starts.0;
        let (_, id) = starts.range(..=(subnet, address)).next_back()?;
        self.get::<Block>(*id)
            .filter(|block| block.subnet == subnet && block.cidr.contains(address))
    }

    /// A join token.
    pub fn join_token(&self, id: JoinTokenId) -> Option<&Arc<JoinToken>> {
        self.get::<JoinToken>(id)
    }

    /// The join token whose secret has this hash.
    pub fn join_token_by_hash(&self, hash: &[u8; 32]) -> Option<&Arc<JoinToken>> {
        self.get::<JoinToken>(*self.table::<JoinToken, _>().indexes.hashes.0.get(hash)?)
    }

    /// Join tokens of a cluster, spent and expired ones too.
    pub fn join_tokens_of(&self, cluster: ClusterId) -> impl Iterator<Item = &Arc<JoinToken>> {
        self.of::<JoinToken>(cluster)
    }
}

/// Of what ends at times: what has ended by `now`, and what has longer to go than anything that begins now.
fn ended(ends: &Sorted<(i64, [u8; 32])>, lifetime: i64, now: i64) -> impl Iterator<Item = [u8; 32]> + '_ {
    let over = ends.0.range(..(now, [0; 32]));
    let ahead = ends.0.range((now.saturating_add(lifetime + SKEW + 1), [0; 32])..);
    over.chain(ahead).map(|(_, hash)| *hash)
}
