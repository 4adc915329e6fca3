//! Reading a draft: the view, with what the batch has decided on top.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use portolan_shared::mac::MacAddress;

use super::{Counted, Draft};
use crate::change::Op;
use crate::model::{
    Block, Cluster, Idempotency, JoinToken, Key, Network, Node, NodeStatus, Object, ObjectKind, Port, Project,
    RequestMessage, ShadowRequest, Subnet, User,
};
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
        let pods = || self.view.pod_count(PortScope::Project(project));
        let stored = match counted {
            Counted::Networks => self.view.network_count(project),
            Counted::Subnets => self.view.subnet_count(project),
            Counted::Ports => {
                let scope = PortScope::Project(project);
                self.view.port_count(scope) - pods() - self.view.hidden_count(scope)
            }
            Counted::Pods => pods(),
            Counted::Clusters => self.view.cluster_count(project),
            Counted::Keys => self.view.key_count(project),
        };
        stored.saturating_add_signed(self.counts.get(&(project, counted)).copied().unwrap_or(0))
    }

    /// How many ports have addresses from a subnet.
    pub fn ports_in_subnet(&self, id: SubnetId) -> u64 {
        let delta = self.subnet_ports.get(&id).copied().unwrap_or(0);
        self.view.port_count(PortScope::Subnet(id)).saturating_add_signed(delta)
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

    /// Ports in a scope, in id order; all of them, so only for what deletes or names them.
    pub fn ports(&self, scope: PortScope) -> Vec<Arc<Port>> {
        let inside = |port: &Port| match scope {
            PortScope::All => true,
            PortScope::Project(id) => port.meta.project == id,
            PortScope::Network(id) => port.network == id,
            PortScope::Subnet(id) => port.fixed_ips.iter().any(|ip| ip.subnet == id),
            PortScope::Node(id) => port.node == Some(id),
            PortScope::Cluster(id) => port
                .node
                .and_then(|node| self.node(node))
                .is_some_and(|node| node.cluster == id),
        };
        let stored = self.view.ports(scope, None).map(|port| Key::Port(port.id));
        self.merged(stored, ObjectKind::Port, |object| match object {
            Object::Port(port) if inside(&port) => Some(port),
            _ => None,
        })
    }

    /// Up to `most` ports of a network or subnet, the first by id (of a subnet, by address), in id order;
    /// and how many there are in all. Cost grows with `most` and the batch, not with the ports.
    pub fn first_ports(&self, scope: PortScope, most: usize) -> (Vec<Arc<Port>>, u64) {
        let inside = |port: &Port| match scope {
            PortScope::Subnet(id) => port.fixed_ips.iter().any(|ip| ip.subnet == id),
            PortScope::Network(id) => port.network == id,
            _ => false,
        };
        let mut touched: Vec<PortId> = Vec::new();
        for key in self.touched.get(&ObjectKind::Port).into_iter().flatten() {
            if let Key::Port(id) = key {
                touched.push(*id);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let were = touched
            .iter()
            .filter(|id| self.view.port(**id).is_some_and(|port| inside(port)));
        let stored = self.view.port_count(scope).saturating_sub(were.count() as u64);
        let mut ports: Vec<Arc<Port>> = touched.iter().filter_map(|id| self.port(*id)).collect();
        ports.retain(|port| inside(port));
        let all = stored + ports.len() as u64;
        let same = |port: &&Arc<Port>| touched.binary_search(&port.id).is_err();
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
        (ports, all)
    }

    /// Subnets of a network, in id order.
    pub fn subnets_of(&self, network: NetworkId) -> Vec<Arc<Subnet>> {
        let stored = self.view.subnets_of(network).map(|subnet| Key::Subnet(subnet.id));
        self.merged(stored, ObjectKind::Subnet, |object| match object {
            Object::Subnet(subnet) if subnet.network == network => Some(subnet),
            _ => None,
        })
    }

    /// External networks, in id order.
    pub fn external_networks(&self) -> Vec<Arc<Network>> {
        let stored = self.view.external_networks().map(|network| Key::Network(network.id));
        self.merged(stored, ObjectKind::Network, |object| match object {
            Object::Network(network) if network.external => Some(network),
            _ => None,
        })
    }

    /// Clusters of a project, in id order.
    pub fn clusters_of(&self, project: ProjectId) -> Vec<Arc<Cluster>> {
        let stored = self
            .view
            .clusters(Some(project))
            .map(|cluster| Key::Cluster(cluster.id));
        self.merged(stored, ObjectKind::Cluster, |object| match object {
            Object::Cluster(cluster) if cluster.meta.project == project => Some(cluster),
            _ => None,
        })
    }

    /// Clusters in a network, in id order.
    pub fn clusters_in(&self, network: NetworkId) -> Vec<Arc<Cluster>> {
        let stored = self.view.clusters_in(network).map(|cluster| Key::Cluster(cluster.id));
        self.merged(stored, ObjectKind::Cluster, |object| match object {
            Object::Cluster(cluster) if cluster.network == network => Some(cluster),
            _ => None,
        })
    }

    /// Subnets of a project, in id order.
    pub fn subnets_in_project(&self, project: ProjectId) -> Vec<Arc<Subnet>> {
        let stored = self.view.subnets(Some(project)).map(|subnet| Key::Subnet(subnet.id));
        self.merged(stored, ObjectKind::Subnet, |object| match object {
            Object::Subnet(subnet) if subnet.meta.project == project => Some(subnet),
            _ => None,
        })
    }

    /// Nodes of a cluster, in id order.
    pub fn nodes_of(&self, cluster: ClusterId) -> Vec<Arc<Node>> {
        let stored = self.view.nodes_of(cluster).map(|node| Key::Node(node.id));
        self.merged(stored, ObjectKind::Node, |object| match object {
            Object::Node(node) if node.cluster == cluster => Some(node),
            _ => None,
        })
    }

    /// Blocks of a node, in id order.
    pub fn blocks_of_node(&self, node: NodeId) -> Vec<Arc<Block>> {
        let stored = self.view.blocks_of_node(node).map(|block| Key::Block(block.id));
        self.merged(stored, ObjectKind::Block, |object| match object {
            Object::Block(block) if block.node == node => Some(block),
            _ => None,
        })
    }

    /// Blocks of a cluster, in id order.
    pub fn blocks_of(&self, cluster: ClusterId) -> Vec<Arc<Block>> {
        let stored = self.view.blocks_of(cluster).map(|block| Key::Block(block.id));
        self.merged(stored, ObjectKind::Block, |object| match object {
            Object::Block(block) if block.cluster == cluster => Some(block),
            _ => None,
        })
    }

    /// Join tokens of a cluster, in id order.
    pub fn join_tokens_of(&self, cluster: ClusterId) -> Vec<Arc<JoinToken>> {
        let stored = self.view.join_tokens_of(cluster).map(|token| Key::JoinToken(token.id));
        self.merged(stored, ObjectKind::JoinToken, |object| match object {
            Object::JoinToken(token) if token.cluster == cluster => Some(token),
            _ => None,
        })
    }

    /// Shadowport requests of a project, the oldest first.
    pub fn requests_of(&self, project: ProjectId) -> Vec<Arc<ShadowRequest>> {
        let stored = self
            .view
            .requests_of(project)
            .map(|request| Key::ShadowRequest(request.id));
        self.merged(stored, ObjectKind::ShadowRequest, |object| match object {
            Object::ShadowRequest(request) if request.meta.project == project => Some(request),
            _ => None,
        })
    }

    /// Messages of a request's thread, internal notes too, in id order.
    pub fn messages_of(&self, request: ShadowRequestId) -> Vec<Arc<RequestMessage>> {
        let stored = self
            .view
            .messages_of(request)
            .map(|message| Key::RequestMessage(message.id));
        self.merged(stored, ObjectKind::RequestMessage, |object| match object {
            Object::RequestMessage(message) if message.request == request => Some(message),
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

macro_rules! getters {
    ($($(#[$doc:meta])* $get:ident($id:ty) -> $kind:ident;)*) => {
        impl Draft<'_> {
            $($(#[$doc])*
            pub fn $get(&self, id: $id) -> Option<Arc<$kind>> {
                match self.object(&Key::$kind(id)) {
                    Some(Object::$kind(object)) => Some(object),
                    _ => None,
                }
            })*
        }
    };
}

getters! {
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
