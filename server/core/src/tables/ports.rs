//! All ports: a slab of `Arc<Port>` with indexes of u32, so that a million of them stay small.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use portolan_shared::addr::{Family, from_bits, to_bits};
use portolan_shared::ids::{ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::PortKind;

use super::Keep;
use crate::model::{Port, hidden, port_kind};

/// Which ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortScope {
    /// All there are.
    All,
    /// A project's.
    Project(ProjectId),
    /// In a network.
    Network(NetworkId),
    /// With an address in a subnet.
    Subnet(SubnetId),
    /// Bound to a node (its own and its pods').
    Node(NodeId),
    /// Bound to nodes of a cluster.
    Cluster(ClusterId),
}

/// Addresses of a subnet in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubnetUse {
    /// Addresses in use, in pools and outside.
    pub used: u64,
    /// Ports with at least one address in it.
    pub ports: u64,
    /// Addresses by kind of holder; only kinds there are.
    pub by_kind: Vec<(PortKind, u64)>,
}

const KINDS: [PortKind; 8] = [
    PortKind::Node,
    PortKind::Pod,
    PortKind::Gateway,
    PortKind::ClusterAddress,
    PortKind::Reserved,
    PortKind::Device,
    PortKind::Provider,
    PortKind::Shadow,
];

/// Ports of one project, network or node.
#[derive(Default)]
struct Group {
    by_id: BTreeMap<PortId, u32>,
    pods: u64,
    hidden: u64,
}

impl Group {
    fn after(&self, after: Option<PortId>) -> impl Iterator<Item = (PortId, u32)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id
            .range((from, Bound::Unbounded))
            .map(|(id, slot)| (*id, *slot))
    }
}

#[derive(Default)]
struct InNetwork {
    group: Group,
    by_mac: HashMap<MacAddress, u32>,
}

struct InSubnet {
    family: Family,
    network: NetworkId,
    by_address: BTreeMap<u128, u32>,
    ports: u64,
    hidden: u64,
    by_kind: [u64; KINDS.len()],
}

/// All ports, and every way to find them.
#[derive(Default)]
pub struct Ports {
    slab: Vec<Option<Arc<Port>>>,
    free: Vec<u32>,
    all: Group,
    projects: HashMap<ProjectId, Group>,
    networks: HashMap<NetworkId, InNetwork>,
    nodes: HashMap<NodeId, Group>,
    subnets: HashMap<SubnetId, InSubnet>,
}

impl Ports {
    fn slot(&self, slot: u32) -> Option<&Arc<Port>> {
        self.slab.get(slot as usize)?.as_ref()
    }

    pub(crate) fn at(&self, subnet: SubnetId, address: IpAddr) -> Option<&Arc<Port>> {
        let subnet = self.subnets.get(&subnet)?;
        if subnet.family != Family::of(address) {
            return None;
        }
        self.slot(*subnet.by_address.get(&to_bits(address))?)
    }

    pub(crate) fn with_mac(&self, network: NetworkId, mac: MacAddress) -> Option<&Arc<Port>> {
        self.slot(*self.networks.get(&network)?.by_mac.get(&mac)?)
    }

    pub(crate) fn by_address(
        &self,
        subnet: SubnetId,
        after: Option<IpAddr>,
    ) -> impl Iterator<Item = (IpAddr, &Arc<Port>)> {
        let from = after.map_or(Bound::Unbounded, |a| Bound::Excluded(to_bits(a)));
        self.subnets.get(&subnet).into_iter().flat_map(move |subnet| {
            subnet
                .by_address
                .range((from, Bound::Unbounded))
                .filter_map(|(bits, slot)| Some((from_bits(subnet.family, *bits), self.slot(*slot)?)))
        })
    }

    /// Ports in a scope, in id order; `nodes` are those of a cluster, where the scope is one.
    pub(crate) fn list(
        &self,
        scope: PortScope,
        nodes: &[NodeId],
        after: Option<PortId>,
    ) -> Box<dyn Iterator<Item = &Arc<Port>> + '_> {
        match scope {
            PortScope::All => self.of_group(Some(&self.all), after),
            PortScope::Project(id) => self.of_group(self.projects.get(&id), after),
            PortScope::Network(id) => self.of_group(self.networks.get(&id).map(|n| &n.group), after),
            PortScope::Node(id) => self.of_group(self.nodes.get(&id), after),
            PortScope::Subnet(id) => self.of_subnet(id, after),
            PortScope::Cluster(_) => self.of_nodes(nodes, after),
        }
    }

    fn of_group<'a>(
        &'a self,
        group: Option<&'a Group>,
        after: Option<PortId>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Port>> + 'a> {
        match group {
            None => Box::new(std::iter::empty()),
            Some(group) => Box::new(group.after(after).filter_map(|(_, slot)| self.slot(slot))),
        }
    }

    /// There is no index of a subnet's ports by id: a subnet that holds much of its network is
    /// filtered out of that, a small one is sorted.
    fn of_subnet(&self, id: SubnetId, after: Option<PortId>) -> Box<dyn Iterator<Item = &Arc<Port>> + '_> {
        /// A subnet with more than 1/16 of the network's addresses is filtered.
        const SHARE: usize = 16;
        let Some(subnet) = self.subnets.get(&id) else {
            return Box::new(std::iter::empty());
        };
        let network = self.networks.get(&subnet.network).map(|n| &n.group);
        if subnet.by_address.len() * SHARE > network.map_or(0, |n| n.by_id.len()) {
            let of_network = self.of_group(network, after);
            return Box::new(of_network.filter(move |port| port.is_in(id)));
        }
        let mut found: Vec<&Arc<Port>> = subnet.by_address.values().filter_map(|slot| self.slot(*slot)).collect();
        found.retain(|port| after.is_none_or(|after| port.id > after));
        found.sort_unstable_by_key(|port| port.id);
        found.dedup_by_key(|port| port.id);
        Box::new(found.into_iter())
    }

    /// Merges the nodes' lists.
    fn of_nodes(&self, nodes: &[NodeId], after: Option<PortId>) -> Box<dyn Iterator<Item = &Arc<Port>> + '_> {
        let mut lists: Vec<_> = nodes
            .iter()
            .filter_map(|node| self.nodes.get(node))
            .map(|group| group.after(after))
            .collect();
        let mut heads: BinaryHeap<Reverse<(PortId, u32, usize)>> = lists
            .iter_mut()
            .enumerate()
            .filter_map(|(n, list)| list.next().map(|(id, slot)| Reverse((id, slot, n))))
            .collect();
        Box::new(std::iter::from_fn(move || {
            let Reverse((_, slot, n)) = heads.pop()?;
            if let Some((id, slot)) = lists[n].next() {
                heads.push(Reverse((id, slot, n)));
            }
            self.slot(slot)
        }))
    }

    pub(crate) fn count(&self, scope: PortScope, nodes: &[NodeId]) -> u64 {
        match scope {
            PortScope::Subnet(id) => self.subnets.get(&id).map_or(0, |s| s.ports),
            PortScope::Cluster(_) => self.over_nodes(nodes, |group| group.by_id.len() as u64),
            _ => self.group(scope).map_or(0, |group| group.by_id.len() as u64),
        }
    }

    pub(crate) fn pods(&self, scope: PortScope, nodes: &[NodeId]) -> u64 {
        match scope {
            PortScope::Subnet(id) => self
                .subnet_use(id)
                .by_kind
                .iter()
                .find_map(|(kind, n)| (*kind == PortKind::Pod).then_some(*n))
                .unwrap_or(0),
            PortScope::Cluster(_) => self.over_nodes(nodes, |group| group.pods),
            _ => self.group(scope).map_or(0, |group| group.pods),
        }
    }

    pub(crate) fn hidden(&self, scope: PortScope, nodes: &[NodeId]) -> u64 {
        match scope {
            PortScope::Subnet(id) => self.subnets.get(&id).map_or(0, |subnet| subnet.hidden),
            PortScope::Cluster(_) => self.over_nodes(nodes, |group| group.hidden),
            _ => self.group(scope).map_or(0, |group| group.hidden),
        }
    }

    fn group(&self, scope: PortScope) -> Option<&Group> {
        match scope {
            PortScope::All => Some(&self.all),
            PortScope::Project(id) => self.projects.get(&id),
            PortScope::Network(id) => self.networks.get(&id).map(|n| &n.group),
            PortScope::Node(id) => self.nodes.get(&id),
            PortScope::Subnet(_) | PortScope::Cluster(_) => None,
        }
    }

    fn over_nodes(&self, nodes: &[NodeId], of: impl Fn(&Group) -> u64) -> u64 {
        nodes.iter().filter_map(|node| self.nodes.get(node)).map(of).sum()
    }

    pub(crate) fn subnet_use(&self, id: SubnetId) -> SubnetUse {
        let Some(subnet) = self.subnets.get(&id) else {
            return SubnetUse::default();
        };
        SubnetUse {
            used: subnet.by_address.len() as u64,
            ports: subnet.ports,
            by_kind: KINDS.into_iter().zip(subnet.by_kind).filter(|(_, n)| *n > 0).collect(),
        }
    }
}

impl Keep<Port> for Ports {
    fn get(&self, id: PortId) -> Option<&Arc<Port>> {
        self.slot(*self.all.by_id.get(&id)?)
    }

    fn all<'a>(&'a self) -> impl Iterator<Item = &'a Arc<Port>>
    where
        Port: 'a,
    {
        self.of_group(Some(&self.all), None)
    }

    fn put(&mut self, port: Arc<Port>) -> Option<Arc<Port>> {
        let old = self.take(port.id);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slab.push(None);
                u32::try_from(self.slab.len() - 1).expect("a view holds fewer than 4 billion ports")
            }
        };
        let (pod, unseen) = shares(&port);
        let mut groups = vec![&mut self.all, self.projects.entry(port.meta.project).or_default()];
        let network = self.networks.entry(port.network).or_default();
        network.by_mac.insert(port.mac, slot);
        groups.push(&mut network.group);
        if let Some(node) = port.node {
            groups.push(self.nodes.entry(node).or_default());
        }
        for group in groups {
            group.by_id.insert(port.id, slot);
            group.pods += pod;
            group.hidden += unseen;
        }
        for (n, ip) in port.fixed_ips.iter().enumerate() {
            let subnet = self.subnets.entry(ip.subnet).or_insert_with(|| InSubnet {
                family: Family::of(ip.address),
                network: port.network,
                by_address: BTreeMap::new(),
                ports: 0,
                hidden: 0,
                by_kind: [0; KINDS.len()],
            });
            subnet.by_address.insert(to_bits(ip.address), slot);
            let first = u64::from(first_in_subnet(&port, n));
            subnet.ports += first;
            subnet.hidden += first * unseen;
            subnet.by_kind[kind_index(&port)] += 1;
        }
        self.slab[slot as usize] = Some(port);
        old
    }

    fn take(&mut self, id: PortId) -> Option<Arc<Port>> {
        let slot = self.all.by_id.get(&id).copied()?;
        let port = self.slab[slot as usize].take()?;
        self.free.push(slot);
        let gone = shares(&port);
        leave(&mut self.all, id, gone);
        if let Some(group) = self.projects.get_mut(&port.meta.project)
            && leave(group, id, gone)
        {
            self.projects.remove(&port.meta.project);
        }
        if let Some(network) = self.networks.get_mut(&port.network) {
            network.by_mac.remove(&port.mac);
            if leave(&mut network.group, id, gone) {
                self.networks.remove(&port.network);
            }
        }
        if let Some(node) = port.node
            && let Some(group) = self.nodes.get_mut(&node)
            && leave(group, id, gone)
        {
            self.nodes.remove(&node);
        }
        for (n, ip) in port.fixed_ips.iter().enumerate() {
            if let Some(subnet) = self.subnets.get_mut(&ip.subnet) {
                subnet.by_address.remove(&to_bits(ip.address));
                let first = u64::from(first_in_subnet(&port, n));
                subnet.ports -= first;
                subnet.hidden -= first * gone.1;
                subnet.by_kind[kind_index(&port)] -= 1;
                if subnet.by_address.is_empty() {
                    self.subnets.remove(&ip.subnet);
                }
            }
        }
        Some(port)
    }
}

/// Takes a port out of a group; true if the group is empty now.
fn leave(group: &mut Group, id: PortId, (pods, hidden): (u64, u64)) -> bool {
    group.by_id.remove(&id);
    group.pods -= pods;
    group.hidden -= hidden;
    group.by_id.is_empty()
}

/// What a port adds to the counts of pods and of hidden ports.
fn shares(port: &Port) -> (u64, u64) {
    (u64::from(port_kind(port) == PortKind::Pod), u64::from(hidden(port)))
}

/// Whether the n-th fixed IP is the port's first one in its subnet: ports are counted once a subnet.
fn first_in_subnet(port: &Port, n: usize) -> bool {
    port.fixed_ips[..n]
        .iter()
        .all(|before| before.subnet != port.fixed_ips[n].subnet)
}

fn kind_index(port: &Port) -> usize {
    let kind = port_kind(port);
    KINDS.iter().position(|k| *k == kind).unwrap_or(0)
}
