//! From what is stored to the rows of the console's screens.
//!
//! Each `…Facts` takes handles out of the view; making rows of them needs no lock.

mod clusters;

use std::collections::HashMap;
use std::sync::Arc;

use portolan_core::fields::moment;
use portolan_core::model::{Block, Cluster, Network, Node, Port, Purpose, Subnet, owner};
use portolan_core::model::{customers_kind, hidden, port_kind};
use portolan_core::view::{PortScope, SubnetUse, View};
use portolan_shared::addr::IpRange;
use portolan_shared::ids::{ClusterId, NetworkId, SubnetId};
use portolan_shared::status::{Cause, NoBlock, PortStatus, Reason};
use portolan_shared::v1::{
    Attached, FixedIp, NetworkRow, NodeState as NodeWord, PortKind, PortRow, Ref, SubnetPurpose, SubnetRef, SubnetRow,
};

pub use clusters::{ClusterFacts, NodeFacts, lost};

use crate::api::paths::Standings;
use crate::api::status::{NodeState, Nodes, NotReached, no_block, reason};
use crate::identity::rights::Rights;

/// Addresses of a block that pods have.
fn used_of(view: &View, block: &Block) -> u64 {
    let first = block.cidr.first();
    let at_first = u64::from(view.port_at(block.subnet, first).is_some());
    let after = view.ports_by_address(block.subnet, Some(first));
    let rest = after.take_while(|(address, _)| block.cidr.contains(*address)).count();
    at_first + u64::try_from(rest).unwrap_or(u64::MAX)
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
    /// Else: pods in blocks that other nodes have no route to.
    not_reached: u64,
    /// Whether the reader may know how much of it is used: not of a network of the provider's.
    counted: bool,
}

/// Networks with at most so many ports have them looked at one by one for their row.
const FEW: u64 = 2_000;

impl NetworkFacts {
    /// From the view, for a reader with these rights.
    pub fn of(view: &View, network: &Arc<Network>, rights: Rights) -> Self {
        let everything = rights.sees_everything();
        let mut subnets: Vec<_> = view
            .subnets_of(network.id)
            .map(|subnet| (Arc::clone(subnet), view.subnet_use(subnet.id)))
            .collect();
        subnets.sort_by_key(|(subnet, _)| (subnet.cidr.family(), subnet.cidr));
        let clusters = || view.clusters_in(network.id);
        let scope = PortScope::Network(network.id);
        let counted = everything || !network.external;
        let ports = match (everything, counted) {
            (true, _) => view.port_count(scope),
            (false, true) => view.port_count(scope) - view.hidden_count(scope),
            (false, false) => 0,
        };
        let each = (ports <= FEW).then(|| {
            let all = view.ports(scope, None).filter(|port| everything || !hidden(port));
            let ports: Vec<Arc<Port>> = all.filter(|_| counted).cloned().collect();
            let nodes = Nodes::of(view, &ports);
            (ports, nodes)
        });
        let not_reached = match each {
            Some(_) => 0,
            None => {
                let mut blocks = NotReached::default();
                clusters().for_each(|cluster| blocks.add(view, cluster.id));
                let blocks = blocks.blocks().filter_map(|block| view.block(block));
                blocks.map(|block| used_of(view, block)).sum()
            }
        };
        let mut standings = Standings::default();
        clusters().for_each(|cluster| standings.add(view, cluster.id));
        let of_node = |node: &Arc<Node>| {
            let state = NodeState::of(view, node, &standings);
            (state, view.port_count(PortScope::Node(node.id)))
        };
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
            not_reached,
            counted,
        }
    }

    /// Ports that are not active and not merely reserved, and why the first that is in error is.
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
                            if matches!(
                                cause,
                                Cause::KernelRefused(..)
                                    | Cause::HealingPaused(..)
                                    | Cause::NotReached(_)
                                    | Cause::PathFails(_)
                            ) {
                                error.get_or_insert(cause);
                            }
                        }
                    }
                }
            }
            // Too many ports to look at one by one: count all ports of nodes that do not do their work, pods in trouble, and
            // those that others do not reach.
            None => {
                count += self.not_reached;
                for (node, ports) in &self.nodes {
                    let (word, cause) = node.word(None);
                    count += match (word, &cause) {
                        (NodeWord::Expected | NodeWord::Found | NodeWord::Silent | NodeWord::Error, _) => *ports,
                        // Its own port is not a pod's.
                        (NodeWord::NoPath, _) => ports.saturating_sub(1),
                        (_, Some(Cause::PodsInTrouble(pods, _))) => *pods,
                        _ => 0,
                    };
                    if let Some(
                        cause @ (Cause::KernelRefused(..)
                        | Cause::HealingPaused(..)
                        | Cause::PodsInTrouble(..)
                        | Cause::NoRoute(_)
                        | Cause::PathFails(_)),
                    ) = cause
                    {
                        error.get_or_insert(cause);
                    }
                }
            }
        }
        (count, error)
    }

    fn counted(&self) -> impl Iterator<Item = &(Arc<Subnet>, SubnetUse)> {
        self.subnets.iter().filter(|_| self.counted)
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
        // What single ports have trouble with does not take the network down.
        let status = match network.admin_state_up {
            true => PortStatus::Active,
            false => PortStatus::Down,
        };
        NetworkRow {
            id: network.id,
            name: network.name.clone(),
            description: network.description.clone(),
            status,
            reason: cause.as_ref().map(reason),
            subnets: self.subnets.iter().map(|(subnet, _)| subnet_ref(subnet)).collect(),
            used: self.counted().map(|(_, usage)| usage.used).sum(),
            capacity: self
                .counted()
                .fold(0, |sum, (subnet, _)| capacity(&subnet.pools).saturating_add(sum)),
            ports: self.ports,
            ports_not_active,
            cluster: self.cluster.as_deref().map(cluster_ref),
            cluster_owned: network.owner.is_some(),
            internet: network.internet_access,
            shadow_port: network.shadow_port.is_some(),
            external: network.external,
            mtu: network.mtu,
            created_at: moment(network.meta.created_at),
            revision_number: network.meta.revision_number,
        }
    }
}

// ---- subnets ----

/// Addresses of a subnet in use, as a reader with these rights may know it.
fn usage(view: &View, subnet: SubnetId, rights: Rights) -> SubnetUse {
    let mut usage = view.subnet_use(subnet);
    if !rights.sees_everything() {
        usage.ports -= view.hidden_count(PortScope::Subnet(subnet));
        for (kind, _) in &mut usage.by_kind {
            *kind = customers_kind(*kind);
        }
    }
    usage
}

/// What a subnet's row is made of.
pub struct SubnetFacts {
    subnet: Arc<Subnet>,
    network: Option<Arc<Network>>,
    cluster: Option<Arc<Cluster>>,
    no_block: Option<NoBlock>,
    usage: SubnetUse,
}

impl SubnetFacts {
    /// From the view, for a reader with these rights.
    pub fn of(view: &View, subnet: &Arc<Subnet>, rights: Rights) -> Self {
        let cluster = match subnet.purpose {
            Purpose::General => None,
            Purpose::Nodes(id) | Purpose::Pods(id) => view.cluster(id).cloned(),
        };
        let no_block = match subnet.purpose {
            Purpose::General | Purpose::Nodes(_) => None,
            Purpose::Pods(id) => no_block(view, view.nodes_of(id)),
        };
        Self {
            subnet: Arc::clone(subnet),
            network: view.network(subnet.network).cloned(),
            cluster,
            no_block,
            usage: usage(view, subnet.id, rights),
        }
    }

    /// The row.
    pub fn row(&self) -> SubnetRow {
        let subnet = &*self.subnet;
        let provider = |kind: &PortKind| matches!(kind, PortKind::Provider | PortKind::Shadow);
        let provider = self.usage.by_kind.iter().find(|(kind, _)| provider(kind));
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
            reason: self.no_block.as_ref().map(NoBlock::reason),
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
            if let Some(id) = facts.cluster_id(port)
                && !facts.clusters.contains_key(&id)
                && let Some(cluster) = view.cluster(id)
            {
                facts.clusters.insert(cluster.id, Arc::clone(cluster));
            }
        }
        facts
    }

    /// The cluster of a port's node, or the one whose external IP it holds.
    fn cluster_id(&self, port: &Port) -> Option<ClusterId> {
        match &*port.device_owner {
            owner::EXTERNAL => port.device_id.parse().ok(),
            _ => Some(self.nodes.get(port.node?)?.node.cluster),
        }
    }

    fn cluster(&self, port: &Port) -> Option<&Arc<Cluster>> {
        self.clusters.get(&self.cluster_id(port)?)
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
            PortKind::Provider | PortKind::Shadow => ("port.locked_provider", "It belongs to the provider.".to_owned()),
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
        let host_ports = port.pod.as_ref().map(|pod| &pod.host_ports);
        let ours = node.is_some() || port.pod.is_some() || owner::ours(&port.device_owner);
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
                host_ports: host_ports.map_or_else(Vec::new, |ports| ports.told.to_vec()),
                more_host_ports: host_ports.map_or(0, |ports| ports.more),
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
