//! From what is stored to the rows of the console's screens.
//!
//! Each `…Facts` takes handles out of the view; making rows of them needs no lock.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_shared::addr::IpRange;
use portolan_shared::ids::{ClusterId, NetworkId, SubnetId};
use portolan_shared::status::{Cause, Reason, derive};
use portolan_shared::time::Time;
use portolan_shared::v1::{
    Attached, BlockRow, ClusterRow, ClusterState, FixedIp, NetworkRow, NodeRow, NodeState as NodeWord, PortKind,
    PortRow, Ref, SubnetPurpose, SubnetRef, SubnetRow,
};

use super::super::status::{NodeState, Nodes, reason};
use crate::model::{Block, Cluster, Micros, Network, Node, Port, Purpose, Subnet};
use crate::view::{PortScope, SubnetUse, View, port_kind};

/// A moment as rows have it.
pub fn moment(micros: Micros) -> String {
    Time(micros).to_string()
}

/// Addresses in pools, saturated.
fn capacity(pools: &[IpRange]) -> u64 {
    let total = pools.iter().fold(0_u128, |sum, pool| sum.saturating_add(pool.size()));
    u64::try_from(total).unwrap_or(u64::MAX)
}

fn subnet_ref(subnet: &Subnet) -> SubnetRef {
    SubnetRef {
        id: subnet.id,
        name: subnet.name.clone(),
        cidr: subnet.cidr,
    }
}

fn cluster_ref(cluster: &Cluster) -> Ref<ClusterId> {
    Ref {
        id: cluster.id,
        name: cluster.name.clone(),
    }
}

// ---- networks ----

/// What a network's row is made of.
pub struct NetworkFacts {
    network: Arc<Network>,
    subnets: Vec<(Arc<Subnet>, SubnetUse)>,
    cluster: Option<Arc<Cluster>>,
    ports: u64,
    /// Nodes of clusters in the network, each with its ports.
    nodes: Vec<(NodeState, u64)>,
    /// All ports, if they are few enough to be looked at one by one.
    each: Option<(Vec<Arc<Port>>, Nodes)>,
}

/// Networks with at most so many ports have them looked at one by one for their row.
const FEW: u64 = 2_000;

impl NetworkFacts {
    /// From the view.
    pub fn of(view: &View, network: &Arc<Network>) -> Self {
        let mut subnets: Vec<_> = view
            .subnets_of(network.id)
            .map(|subnet| (Arc::clone(subnet), view.subnet_use(subnet.id)))
            .collect();
        subnets.sort_by_key(|(subnet, _)| (subnet.cidr.family(), subnet.cidr));
        let clusters = || view.clusters_in(network.id);
        let scope = PortScope::Network(network.id);
        let ports = view.port_count(scope);
        let each = (ports <= FEW).then(|| {
            let ports: Vec<Arc<Port>> = view.ports(scope, None).cloned().collect();
            let nodes = Nodes::of(view, &ports);
            (ports, nodes)
        });
        let of_node = |node: &Arc<Node>| (NodeState::of(view, node), view.port_count(PortScope::Node(node.id)));
        Self {
            network: Arc::clone(network),
            subnets,
            cluster: network
                .owner
                .and_then(|id| view.cluster(id))
                .or_else(|| clusters().next())
                .cloned(),
            ports,
            nodes: clusters()
                .flat_map(|cluster| view.nodes_of(cluster.id))
                .map(of_node)
                .collect(),
            each,
        }
    }

    /// Ports that are not active and not merely reserved, whether one is in error, and why.
    fn trouble(&self) -> (u64, Option<Cause>) {
        let mut error = None;
        let mut count = 0;
        match &self.each {
            Some((ports, nodes)) => {
                for port in ports {
                    match nodes.status(port).1 {
                        None | Some(Cause::NotAttached) => {}
                        Some(cause) => {
                            count += 1;
                            if matches!(cause, Cause::KernelRefused(..)) {
                                error.get_or_insert(cause);
                            }
                        }
                    }
                }
            }
            // Too many to look at: whole nodes that are away, and what kernels refused.
            None => {
                for (node, ports) in &self.nodes {
                    let facts = node.facts();
                    if !facts.joined || !facts.online {
                        count += ports;
                    } else if let Some(status) = &node.status {
                        count += u64::try_from(status.exceptions.len()).unwrap_or(u64::MAX);
                        if let Some((words, attempts)) = node.first_exception() {
                            error.get_or_insert(Cause::KernelRefused(facts.name, words, attempts));
                        }
                    }
                }
            }
        }
        (count, error)
    }

    /// The row.
    pub fn row(&self) -> NetworkRow {
        let network = &*self.network;
        let (ports_not_active, error) = self.trouble();
        let cause = if network.admin_state_up {
            error
        } else {
            Some(Cause::Disabled)
        };
        let status = match &cause {
            None => portolan_shared::status::PortStatus::Active,
            Some(_) => portolan_shared::status::PortStatus::Down,
        };
        NetworkRow {
            id: network.id,
            name: network.name.clone(),
            description: network.description.clone(),
            status,
            reason: cause.as_ref().map(reason),
            subnets: self.subnets.iter().map(|(subnet, _)| subnet_ref(subnet)).collect(),
            used: self.subnets.iter().map(|(_, usage)| usage.used).sum(),
            capacity: self
                .subnets
                .iter()
                .fold(0, |sum, (subnet, _)| capacity(&subnet.pools).saturating_add(sum)),
            ports: self.ports,
            ports_not_active,
            cluster: self.cluster.as_deref().map(cluster_ref),
            cluster_owned: network.owner.is_some(),
            internet: false,
            shadow_port: false,
            external: false,
            mtu: network.mtu,
            created_at: moment(network.meta.created_at),
            revision_number: network.meta.revision_number,
        }
    }
}

// ---- subnets ----

/// What a subnet's row is made of.
pub struct SubnetFacts {
    subnet: Arc<Subnet>,
    network: Option<Arc<Network>>,
    cluster: Option<Arc<Cluster>>,
    usage: SubnetUse,
}

impl SubnetFacts {
    /// From the view.
    pub fn of(view: &View, subnet: &Arc<Subnet>) -> Self {
        let cluster = match subnet.purpose {
            Purpose::General => None,
            Purpose::Nodes(id) | Purpose::Pods(id) => view.cluster(id).cloned(),
        };
        Self {
            subnet: Arc::clone(subnet),
            network: view.network(subnet.network).cloned(),
            cluster,
            usage: view.subnet_use(subnet.id),
        }
    }

    /// The row.
    pub fn row(&self) -> SubnetRow {
        let subnet = &*self.subnet;
        let provider = self.usage.by_kind.iter().find(|(kind, _)| *kind == PortKind::Provider);
        SubnetRow {
            id: subnet.id,
            name: subnet.name.clone(),
            description: subnet.description.clone(),
            network: Ref {
                id: subnet.network,
                name: self
                    .network
                    .as_ref()
                    .map(|network| network.name.clone())
                    .unwrap_or_default(),
            },
            cidr: subnet.cidr,
            gateway: subnet.gateway,
            dhcp: subnet.enable_dhcp,
            dns: subnet.dns.clone(),
            pools: subnet.pools.iter().map(|pool| (pool.first(), pool.last())).collect(),
            routes: subnet.routes.clone(),
            used: self.usage.used,
            provider: provider.map_or(0, |(_, count)| *count),
            capacity: capacity(&subnet.pools),
            ports: self.usage.ports,
            used_by: self.usage.by_kind.clone(),
            purpose: match subnet.purpose {
                Purpose::General => SubnetPurpose::General,
                Purpose::Nodes(_) => SubnetPurpose::Nodes,
                Purpose::Pods(_) => SubnetPurpose::Pods,
            },
            cluster: self.cluster.as_deref().map(cluster_ref),
            created_at: moment(subnet.meta.created_at),
            revision_number: subnet.meta.revision_number,
        }
    }
}

// ---- ports ----

/// What the rows of some ports are made of, besides the ports.
#[derive(Default)]
pub struct PortFacts {
    /// What their status depends on.
    pub nodes: Nodes,
    networks: HashMap<NetworkId, Arc<Network>>,
    subnets: HashMap<SubnetId, Arc<Subnet>>,
    clusters: HashMap<ClusterId, Arc<Cluster>>,
}

impl PortFacts {
    /// From the view.
    pub fn of<'a>(view: &View, ports: impl IntoIterator<Item = &'a Arc<Port>> + Clone) -> Self {
        let mut facts = Self {
            nodes: Nodes::of(view, ports.clone()),
            ..Self::default()
        };
        for port in ports {
            if !facts.networks.contains_key(&port.network)
                && let Some(network) = view.network(port.network)
            {
                facts.networks.insert(network.id, Arc::clone(network));
            }
            for ip in &port.fixed_ips {
                if !facts.subnets.contains_key(&ip.subnet)
                    && let Some(subnet) = view.subnet(ip.subnet)
                {
                    facts.subnets.insert(subnet.id, Arc::clone(subnet));
                }
            }
            if let Some(node) = port.node.and_then(|id| facts.nodes.get(id))
                && !facts.clusters.contains_key(&node.node.cluster)
                && let Some(cluster) = view.cluster(node.node.cluster)
            {
                facts.clusters.insert(cluster.id, Arc::clone(cluster));
            }
        }
        facts
    }

    fn cluster(&self, port: &Port) -> Option<&Arc<Cluster>> {
        let node = port.node.and_then(|id| self.nodes.get(id))?;
        self.clusters.get(&node.node.cluster)
    }

    /// Why a port cannot be deleted by hand.
    fn locked(&self, port: &Port) -> Option<Reason> {
        let cluster = self
            .cluster(port)
            .map(|cluster| cluster.name.clone())
            .unwrap_or_default();
        let (code, sentence) = match port_kind(port) {
            PortKind::Pod => (
                "port.locked_pod",
                format!("It belongs to a pod of cluster {cluster} and goes with it."),
            ),
            PortKind::Node => (
                "port.locked_node",
                format!("It belongs to a node of cluster {cluster} and goes with it."),
            ),
            PortKind::ClusterAddress => ("port.locked_cluster", format!("It belongs to cluster {cluster}.")),
            PortKind::Provider => ("port.locked_provider", "It belongs to the provider.".to_owned()),
            PortKind::Gateway | PortKind::Reserved | PortKind::Device => return None,
        };
        Some(Reason {
            code: code.to_owned(),
            params: vec![("cluster".to_owned(), cluster)],
            sentence,
            since: None,
        })
    }

    /// The row of a port.
    pub fn row(&self, port: &Port) -> PortRow {
        let (status, cause) = self.nodes.status(port);
        let node = port.node.and_then(|id| self.nodes.get(id));
        let ours = node.is_some() || port.pod.is_some();
        let name = |id: SubnetId| {
            self.subnets
                .get(&id)
                .map(|subnet| subnet.name.clone())
                .unwrap_or_default()
        };
        PortRow {
            id: port.id,
            name: port.name.to_string(),
            description: port.description.to_string(),
            network: Ref {
                id: port.network,
                name: self
                    .networks
                    .get(&port.network)
                    .map(|network| network.name.clone())
                    .unwrap_or_default(),
            },
            kind: port_kind(port),
            status,
            reason: cause.as_ref().map(reason),
            fixed_ips: port
                .fixed_ips
                .iter()
                .map(|ip| FixedIp {
                    address: ip.address,
                    subnet: Ref {
                        id: ip.subnet,
                        name: name(ip.subnet),
                    },
                })
                .collect(),
            mac: port.mac,
            attached: Attached {
                cluster: self.cluster(port).map(|cluster| cluster_ref(cluster)),
                node: node.map(|node| Ref {
                    id: node.node.id,
                    name: node.node.name.clone(),
                }),
                pod: port.pod.as_ref().map(|pod| (pod.namespace.clone(), pod.name.clone())),
                device: (!ours && !port.device_id.is_empty()).then(|| port.device_id.to_string()),
            },
            enabled: port.admin_state_up,
            locked: self.locked(port),
            created_at: moment(port.meta.created_at),
            updated_at: moment(port.meta.updated_at),
            revision_number: port.meta.revision_number,
        }
    }
}

// ---- clusters and nodes ----

/// What a cluster's row is made of.
pub struct ClusterFacts {
    cluster: Arc<Cluster>,
    network: Option<Arc<Network>>,
    subnets: Option<(Arc<Subnet>, Arc<Subnet>)>,
    nodes: Vec<NodeState>,
    pods: u64,
    blocks: u64,
}

impl ClusterFacts {
    /// From the view.
    pub fn of(view: &View, cluster: &Arc<Cluster>) -> Self {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self {
            cluster: Arc::clone(cluster),
            network: view.network(cluster.network).cloned(),
            subnets: view
                .subnet(cluster.node_subnet)
                .cloned()
                .zip(view.subnet(cluster.pod_subnet).cloned()),
            nodes: view
                .nodes_of(cluster.id)
                .map(|node| NodeState::of(view, node))
                .collect(),
            pods: view.pod_count(PortScope::Cluster(cluster.id)),
            blocks: count(view.blocks_of(cluster.id).count()),
        }
    }

    /// The row; `None` if the cluster's subnets are gone, which the writer never lets happen.
    pub fn row(&self) -> Option<ClusterRow> {
        let cluster = &*self.cluster;
        let (node_subnet, pod_subnet) = self.subnets.as_ref()?;
        let ready = self
            .nodes
            .iter()
            .filter(|node| matches!(word(node).0, NodeWord::Ready | NodeWord::Behind))
            .count();
        let reporting = self.nodes.iter().filter(|node| node.facts().online).count();
        let state = match (self.nodes.len(), ready) {
            (0, _) => ClusterState::Empty,
            (all, ready) if ready == all => ClusterState::Ready,
            (_, 0) => ClusterState::Down,
            _ => ClusterState::Degraded,
        };
        let bits = u32::from(cluster.block_prefix.saturating_sub(pod_subnet.cidr.prefix()));
        Some(ClusterRow {
            id: cluster.id,
            name: cluster.name.clone(),
            state,
            network: Ref {
                id: cluster.network,
                name: self
                    .network
                    .as_ref()
                    .map(|network| network.name.clone())
                    .unwrap_or_default(),
            },
            private_network: cluster.private_network,
            node_subnet: subnet_ref(node_subnet),
            pod_subnet: subnet_ref(pod_subnet),
            service_range: cluster.service_range,
            path: cluster.path,
            external_ip: None,
            nodes_from: portolan_shared::v1::NodesFrom::Join,
            nodes_wanted: 0,
            stages: Vec::new(),
            mtu: self.network.as_ref().map_or(0, |network| network.mtu),
            nodes: u64::try_from(self.nodes.len()).unwrap_or(u64::MAX),
            nodes_ready: u64::try_from(reporting).unwrap_or(u64::MAX),
            pods: self.pods,
            blocks: self.blocks,
            blocks_total: 1_u64.checked_shl(bits).unwrap_or(u64::MAX),
            created_at: moment(cluster.meta.created_at),
            revision_number: cluster.meta.revision_number,
        })
    }
}

/// A node's state, and why when it is not ready.
fn word(node: &NodeState) -> (NodeWord, Option<Cause>) {
    let mut facts = node.facts();
    facts.exception = node.first_exception();
    let port = portolan_shared::status::PortFacts {
        enabled: true,
        has_address: true,
        node: Some(facts),
    };
    let (_, cause) = derive(&port);
    let word = match &cause {
        None => NodeWord::Ready,
        Some(Cause::NodeExpected(_)) => NodeWord::Expected,
        Some(Cause::NodeSilent(..)) => NodeWord::Silent,
        Some(Cause::KernelRefused(..)) => NodeWord::Error,
        Some(_) => NodeWord::Behind,
    };
    (word, cause)
}

/// What a node's row is made of.
pub struct NodeFacts {
    state: NodeState,
    blocks: Vec<(Arc<Block>, u64)>,
    pods: u64,
}

impl NodeFacts {
    /// From the view.
    pub fn of(view: &View, node: &Arc<Node>) -> Self {
        let state = NodeState::of(view, node);
        let used = |block: &Block| {
            let first = block.cidr.first();
            let at_first = u64::from(view.port_at(block.subnet, first).is_some());
            let after = view.ports_by_address(block.subnet, Some(first));
            let rest = after.take_while(|(address, _)| block.cidr.contains(*address)).count();
            at_first + u64::try_from(rest).unwrap_or(u64::MAX)
        };
        let blocks = state
            .blocks
            .iter()
            .map(|block| (Arc::clone(block), used(block)))
            .collect();
        Self {
            state,
            blocks,
            pods: view.pod_count(PortScope::Node(node.id)),
        }
    }

    /// The row.
    pub fn row(&self, now: Micros) -> NodeRow {
        let node = &*self.state.node;
        let facts = self.state.facts();
        let (word, cause) = word(&self.state);
        let mut blocks: Vec<BlockRow> = self
            .blocks
            .iter()
            .map(|(block, used)| BlockRow {
                id: block.id,
                cidr: block.cidr,
                used: *used,
            })
            .collect();
        blocks.sort_by_key(|block| block.cidr);
        let heard = if facts.online { now } else { facts.since };
        NodeRow {
            id: node.id,
            name: node.name.clone(),
            state: word,
            reason: cause.as_ref().map(reason),
            addresses: node.addresses.clone(),
            port: node.port,
            blocks,
            pods: self.pods,
            applied_revision: facts.applied_revision,
            wanted_revision: facts.wanted_revision,
            last_contact: facts.joined.then(|| moment(heard)),
            agent_version: self
                .state
                .status
                .as_ref()
                .map(|s| s.agent_version.clone())
                .unwrap_or_default(),
            created_at: moment(node.meta.created_at),
        }
    }
}
