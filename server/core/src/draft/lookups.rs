//! Reading a draft: the view, with what the batch has decided on top.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use portolan_shared::mac::MacAddress;

use super::Draft;
use crate::change::Op;
use crate::model::{
    Block, Cluster, Idempotency, JoinToken, Key, Network, Node, NodeStatus, Object, ObjectKind, Port, Project,
    ShadowRequest, Stored, Subnet, User,
};
use crate::quotas::Counted;
use crate::tables::Parent;
use crate::view::{PortScope, View};

impl<'a> Draft<'a> {
    /// The view without the batch: for what is only named in sentences.
    pub fn view(&self) -> &'a View {
        self.view
    }

    /// Any object.
    pub fn object(&self, key: &Key) -> Option<Object> {
        match self.objects.get(key) {
            Some(entry) => entry.clone(),
            None => self.view.object(key),
        }
    }

    /// How many a project has.
    pub fn count(&self, project: ProjectId, counted: Counted) -> u64 {
        self.view
            .counted(project, counted)
            .saturating_add_signed(self.counts.get(&(project, counted)).copied().unwrap_or(0))
    }

    /// Who has an address.
    pub fn port_at(&self, subnet: SubnetId, address: IpAddr) -> Option<Arc<Port>> {
        match self.addresses.get(&(subnet, address)) {
            Some(holder) => holder.and_then(|id| self.port(id)),
            None => self.view.port_at(subnet, address).cloned(),
        }
    }

    /// Who has a MAC address.
    pub fn port_with_mac(&self, network: NetworkId, mac: MacAddress) -> Option<Arc<Port>> {
        match self.macs.get(&(network, mac)) {
            Some(holder) => holder.and_then(|id| self.port(id)),
            None => self.view.port_with_mac(network, mac).cloned(),
        }
    }

    /// Ports in a scope, in id order; all of them, so only for what deletes them.
    pub fn ports(&self, scope: PortScope) -> Vec<Arc<Port>> {
        let stored = self.view.ports(scope, None).map(|port| Key::Port(port.id));
        self.merged(stored, ObjectKind::Port, |object| match object {
            Object::Port(port) if self.inside(scope, &port) => Some(port),
            _ => None,
        })
    }

    /// How many ports there are in a scope. Cost grows with the batch, not with the ports.
    pub fn port_count(&self, scope: PortScope) -> u64 {
        let (mut were, mut are) = (0, 0);
        for id in self.touched_ports() {
            let of_stored = |node| self.view.node(node).map(|node| node.cluster);
            let was = self.view.port(id).is_some_and(|port| holds(scope, port, of_stored));
            let is = self.port(id).is_some_and(|port| self.inside(scope, &port));
            were += u64::from(was);
            are += u64::from(is);
        }
        (self.view.port_count(scope) + are).saturating_sub(were)
    }

    /// Up to `most` ports in a scope that are wanted, the first by id (of a subnet, by address), in id order.
    /// Cost grows with `most`, with those that are passed over and with the batch, not with the ports.
    pub fn first_ports(&self, scope: PortScope, most: usize, wanted: impl Fn(&Port) -> bool) -> Vec<Arc<Port>> {
        let touched = self.touched_ports();
        let mut ports: Vec<Arc<Port>> = touched.iter().filter_map(|id| self.port(*id)).collect();
        ports.retain(|port| self.inside(scope, port) && wanted(port));
        let same = |port: &&Arc<Port>| touched.binary_search(&port.id).is_err() && wanted(port);
        match scope {
            PortScope::Subnet(id) => {
                let by_address = self.view.ports_by_address(id, None).map(|(_, port)| port);
                ports.extend(by_address.filter(same).take(most).cloned());
            }
            _ => ports.extend(self.view.ports(scope, None).filter(same).take(most).cloned()),
        }
        ports.sort_unstable_by_key(|port| port.id);
        ports.dedup_by_key(|port| port.id);
        ports.truncate(most);
        ports
    }

    /// Ports that this batch put or deleted, in id order.
    fn touched_ports(&self) -> Vec<PortId> {
        let mut touched: Vec<PortId> = Vec::new();
        for key in self.touched.get(&ObjectKind::Port).into_iter().flatten() {
            if let Key::Port(id) = key {
                touched.push(*id);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Whether a port is in a scope, with the nodes as they are now.
    fn inside(&self, scope: PortScope, port: &Port) -> bool {
        holds(scope, port, |node| self.node(node).map(|node| node.cluster))
    }

    /// An object.
    pub fn get<K: Stored>(&self, id: K::Id) -> Option<Arc<K>> {
        K::of(self.object(&K::key(id))?)
    }

    /// Objects in another, in id order: `of::<Subnet>(network)`.
    pub fn of<K: Stored>(&self, parent: impl Parent<K>) -> Vec<Arc<K>> {
        let stored = self.view.of::<K>(parent).map(|object| K::key(object.id()));
        self.merged(stored, K::KIND, |object| {
            K::of(object).filter(|object| Parent::of(&**object) == Some(parent))
        })
    }

    /// All objects of a kind, in id order.
    pub fn all<K: Stored>(&self) -> Vec<Arc<K>> {
        let stored = self.view.all::<K>().map(|object| K::key(object.id()));
        self.merged(stored, K::KIND, K::of)
    }

    /// External networks, in id order.
    pub fn external_networks(&self) -> Vec<Arc<Network>> {
        let stored = self.view.external_networks().map(|network| Key::Network(network.id));
        self.merged(stored, ObjectKind::Network, |object| match object {
            Object::Network(network) if network.external => Some(network),
            _ => None,
        })
    }

    /// The stored keys and those this batch put, as they are now, in key order.
    pub fn merged<T>(
        &self,
        stored: impl Iterator<Item = Key>,
        kind: ObjectKind,
        wanted: impl Fn(Object) -> Option<Arc<T>>,
    ) -> Vec<Arc<T>> {
        let mut keys: Vec<Key> = stored.collect();
        if let Some(touched) = self.touched.get(&kind) {
            keys.extend(touched);
            keys.sort_unstable();
            keys.dedup();
        }
        keys.iter().filter_map(|key| wanted(self.object(key)?)).collect()
    }

    /// The project of a name.
    pub fn project_by_name(&self, name: &str) -> Option<ProjectId> {
        match self.names.get(&(ObjectKind::Project, name.to_owned())) {
            Some(Some(Key::Project(id))) => Some(*id),
            Some(_) => None,
            None => self.view.project_by_name(name).map(|p| p.id),
        }
    }

    /// The user of a name.
    pub fn user_by_name(&self, name: &str) -> Option<UserId> {
        match self.names.get(&(ObjectKind::User, name.to_owned())) {
            Some(Some(Key::User(id))) => Some(*id),
            Some(_) => None,
            None => self.view.user_by_name(name).map(|u| u.id),
        }
    }

    /// The block of a pod subnet that holds an address.
    pub fn block_at(&self, subnet: SubnetId, address: IpAddr) -> Option<Arc<Block>> {
        let holds = |block: &Block| block.subnet == subnet && block.cidr.contains(address);
        let stored = self
            .view
            .block_at(subnet, address)
            .and_then(|block| self.block(block.id));
        stored.filter(|block| holds(block)).or_else(|| {
            let touched = self.touched.get(&ObjectKind::Block)?;
            touched.iter().find_map(|key| match self.object(key) {
                Some(Object::Block(block)) if holds(&block) => Some(block),
                _ => None,
            })
        })
    }

    /// A subnet of a network that shares an address with `cidr`.
    pub fn overlapping(&self, network: NetworkId, cidr: Cidr) -> Option<Arc<Subnet>> {
        let stands = |subnet: &Arc<Subnet>| self.subnet(subnet.id).is_some();
        if let Some(stored) = self.view.overlapping(network, cidr).find(|s| stands(s)) {
            return Some(Arc::clone(stored));
        }
        self.touched
            .get(&ObjectKind::Subnet)?
            .iter()
            .find_map(|key| match self.object(key) {
                Some(Object::Subnet(s)) if s.network == network && s.cidr.overlaps(&cidr) => Some(s),
                _ => None,
            })
    }

    /// Clusters whose agents are sent something because of the command being decided.
    pub fn clusters_concerned(&self) -> Vec<ClusterId> {
        let mut concerned = Vec::new();
        for (key, before) in &self.command.undo {
            let kinds = [
                ObjectKind::Cluster,
                ObjectKind::Node,
                ObjectKind::Block,
                ObjectKind::Network,
            ];
            if !kinds.contains(&key.kind()) || self.command.quiet.contains(key) {
                continue;
            }
            let before = before.clone().unwrap_or_else(|| self.view.object(key));
            if let Some(object) = self.object(key).or(before) {
                concerned.extend(self.change(Op::Put, object, None).cluster);
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        concerned
    }
}

/// Whether a port is in a scope; `cluster` says in which cluster a node is.
fn holds(scope: PortScope, port: &Port, cluster: impl Fn(NodeId) -> Option<ClusterId>) -> bool {
    match scope {
        PortScope::All => true,
        PortScope::Project(id) => port.meta.project == id,
        PortScope::Network(id) => port.network == id,
        PortScope::Subnet(id) => port.is_in(id),
        PortScope::Node(id) => port.node == Some(id),
        PortScope::Cluster(id) => port.node.and_then(cluster) == Some(id),
    }
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident($id:ty) -> $kind:ident;)*) => {
        /// Shorter names of what decisions ask often.
        impl Draft<'_> {
            $($(#[$doc])*
            pub fn $name(&self, id: $id) -> Option<Arc<$kind>> {
                self.get::<$kind>(id)
            })*
        }
    };
}

named! {
    /// A project.
    project(ProjectId) -> Project;
    /// A user.
    user(UserId) -> User;
    /// What a client-made key made.
    idempotency([u8; 32]) -> Idempotency;
    /// A network.
    network(NetworkId) -> Network;
    /// A subnet.
    subnet(SubnetId) -> Subnet;
    /// A cluster.
    cluster(ClusterId) -> Cluster;
    /// A node.
    node(NodeId) -> Node;
    /// A block.
    block(BlockId) -> Block;
    /// A port.
    port(PortId) -> Port;
    /// How a node is doing.
    node_status(NodeId) -> NodeStatus;
    /// A join token.
    join_token(JoinTokenId) -> JoinToken;
    /// A shadowport request.
    shadow_request(ShadowRequestId) -> ShadowRequest;
}
