//! What turns the kernel as it is into the kernel as it is wanted: one pure function, [`plan`].
//!
//! Reads nothing, writes nothing, and so cannot fail. Keys are the kernel's own (table, prefix,
//! metric, type of service): two routes that differ in another way are the same slot. What is
//! observed is ours only: the reader filters by [`ROUTE_PROTOCOL`](crate::kernel::ROUTE_PROTOCOL)
//! and by the exact shape of our link names, so no plan can name a stranger's object.
//!
//! Invariants, each with a property test: planning again after applying a plan gives an empty
//! plan; nothing is dropped before a complete desired state; a plan that was half applied leads to
//! the same end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portolan_shared::addr::{Cidr, Family};
use portolan_shared::ids::{BlockId, PortId};

/// The routing table everything of ours is in (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// What the kernel uses when an IPv6 route names no metric (`IP6_RT_PRIO_USER`); ours name it.
pub const V6_METRIC: u32 = 1024;

/// The pods' gateway (link-local, RFC 3927): on `lo` of every host with scope link, so that ARP for
/// it is answered on every link and it is never chosen as a source.
pub const POD_GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The pods' IPv6 gateway: an address of the host's end of every pod link.
pub const POD_GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The addresses of a node on the links between nodes, at most one a family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeAddresses {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
}

impl NodeAddresses {
    /// The address of `family`, if the node has one.
    pub fn of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

impl FromIterator<IpAddr> for NodeAddresses {
    /// The first address of each family counts.
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut node = Self::default();
        for address in addresses {
            match address {
                IpAddr::V4(a) => node.v4 = node.v4.or(Some(a)),
                IpAddr::V6(a) => node.v6 = node.v6.or(Some(a)),
            }
        }
        node
    }
}

/// A block of pod addresses leased to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnBlock {
    /// The lease.
    pub id: BlockId,
    /// Its addresses.
    pub prefix: Cidr,
}

/// A block of pod addresses leased to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteBlock {
    /// The lease.
    pub id: BlockId,
    /// Its addresses.
    pub prefix: Cidr,
    /// The node that has it.
    pub via: NodeAddresses,
}

/// What the control plane wants of this node. Made from the wire's snapshot and changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// False until everything of a revision is known: until then nothing is dropped.
    pub complete: bool,
    /// This node's own addresses; they become the source of what the host sends to pods.
    pub node: NodeAddresses,
    /// Of the links between nodes, in bytes; 0 when unknown. Pods get the smaller of this and the
    /// link's own.
    pub mtu: u32,
    /// The cluster's pod ranges: a pod gets one address of every family named here.
    pub pod_ranges: Vec<Cidr>,
    /// Blocks leased to this node, in the order in which they are used.
    pub own_blocks: Vec<OwnBlock>,
    /// Blocks leased to other nodes.
    pub remote_blocks: Vec<RemoteBlock>,
}

/// A pod of this node as far as routes are concerned; from the durable allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRoute {
    /// The allocation, which is the pod's port.
    pub id: PortId,
    /// The host's end of the pod's link.
    pub link: String,
    /// The pod's addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether its link was made before the kernel was observed. If not, its slots are left alone:
    /// whoever makes the link fills them.
    pub settled: bool,
}

/// What an entry of a plan, and a failure, is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// The host itself: forwarding, the pods' gateway.
    Host,
    /// A leased block.
    Block(BlockId),
    /// A pod.
    Pod(PortId),
    /// Something of ours that nobody wants any more.
    Leftover,
}

/// The kernel's key of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// Routing table.
    pub table: u32,
    /// Destination.
    pub prefix: Cidr,
    /// `RTA_PRIORITY`: 0 for IPv4, [`V6_METRIC`] for IPv6.
    pub metric: u32,
    /// Type of service; ours have none.
    pub tos: u8,
}

impl RouteKey {
    /// The slot that a route of ours to `prefix` takes.
    pub fn ours(prefix: Cidr) -> Self {
        let metric = match prefix.family() {
            Family::V4 => 0,
            Family::V6 => V6_METRIC,
        };
        Self {
            table: MAIN_TABLE,
            prefix,
            metric,
            tos: 0,
        }
    }

    /// The slot of a route of ours to one address.
    pub fn ours_to(address: IpAddr) -> Option<Self> {
        Cidr::containing(address, Family::of(address).bits()).map(Self::ours)
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the route {}", self.prefix)
    }
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By way of another node on a shared link.
    Via(IpAddr),
    /// Out of a link of ours, by name.
    Link(String),
    /// Nowhere, and the sender is told (`RTN_UNREACHABLE`).
    Unreachable,
    /// Some shape that Portolan never makes, as found in the kernel; equal to nothing wanted.
    Strange,
}

/// A route without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub target: Target,
    /// The source address of what the host itself sends along it (`RTA_PREFSRC`).
    pub source: Option<IpAddr>,
}

/// A kernel switch of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sysctl {
    /// IPv4 forwarding.
    ForwardV4,
    /// IPv6 forwarding.
    ForwardV6,
}

impl Sysctl {
    /// Below `/proc/sys`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ForwardV4 => "net/ipv4/ip_forward",
            Self::ForwardV6 => "net/ipv6/conf/all/forwarding",
        }
    }

    /// All that the agent reads.
    pub const ALL: [Self; 2] = [Self::ForwardV4, Self::ForwardV6];
}

/// A link of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// In bytes.
    pub mtu: u32,
    /// Whether it is a pod's link of ours: a veth named as [`crate::kernel::is_pod_link`] says.
    pub pod: bool,
}

/// The kernel as it is, filtered to what is ours (routes) or needed to decide (the rest).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Routes with our protocol number, in any table.
    pub routes: BTreeMap<RouteKey, Route>,
    /// All links by name.
    pub links: BTreeMap<String, Link>,
    /// Every address of the host, with the index of its link.
    pub addresses: BTreeMap<IpAddr, u32>,
    /// Whether [`POD_GATEWAY_V4`] is on `lo` with scope link.
    pub gateway: bool,
    /// What the switches say; absent when the kernel does not have them.
    pub sysctls: BTreeMap<Sysctl, bool>,
}

impl Observed {
    /// The MTU of the link that carries the first of the node's addresses found on this host.
    pub fn underlay_mtu(&self, node: &NodeAddresses) -> Option<u32> {
        let index = [Family::V4, Family::V6]
            .into_iter()
            .find_map(|f| self.addresses.get(&node.of(f)?))?;
        self.links
            .values()
            .find(|link| link.index == *index)
            .map(|link| link.mtu)
    }
}

/// A route to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRoute {
    /// Its slot.
    pub key: RouteKey,
    /// The route.
    pub route: Route,
    /// True: a route of ours is in the slot and is replaced in place. False: the slot is not ours,
    /// and if a stranger's route is in it, that stays and this one fails.
    pub replace: bool,
    /// What it serves.
    pub object: Object,
}

/// Steps from observed to desired. Empty when there is nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Switches to turn on.
    pub sysctls: Vec<Sysctl>,
    /// Put the pods' gateway on `lo`.
    pub gateway: bool,
    /// Routes to add or replace.
    pub put: Vec<PutRoute>,
    /// Routes of ours that nobody wants.
    pub drop: Vec<(RouteKey, Route)>,
    /// Pod links of ours that belong to no allocation.
    pub drop_links: Vec<String>,
    /// What is wanted and cannot be, with the reason as a sentence. Not a step: the kernel is not
    /// asked.
    pub unmet: Vec<(Object, String)>,
}

impl Plan {
    /// Whether the kernel is as wanted (but for what is unmet).
    pub fn is_empty(&self) -> bool {
        self.sysctls.is_empty()
            && !self.gateway
            && self.put.is_empty()
            && self.drop.is_empty()
            && self.drop_links.is_empty()
    }
}

/// What turns `observed` into `desired` plus `pods`. Cost: linear, times the logarithm of a map.
///
/// `observed` must have been read *before* `pods` was, and after it was asked which are settled: a pod
/// made in between is then in `pods` and kept, one ended in between costs a deletion that finds
/// nothing.
pub fn plan(desired: &Desired, pods: &[PodRoute], observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    want_host(desired, observed, &mut plan);
    let (wanted, kept) = wanted_routes(desired, pods, observed, &mut plan);
    for (key, (route, object)) in &wanted {
        let actual = observed.routes.get(key);
        if actual != Some(route) {
            plan.put.push(PutRoute {
                key: *key,
                route: route.clone(),
                replace: actual.is_some(),
                object: *object,
            });
        }
    }
    if desired.complete {
        let unwanted = observed
            .routes
            .iter()
            .filter(|(key, _)| !wanted.contains_key(*key) && !kept.contains(*key));
        plan.drop = unwanted.map(|(key, route)| (*key, route.clone())).collect();
        let links: BTreeSet<&str> = pods.iter().map(|pod| pod.link.as_str()).collect();
        let strays = observed
            .links
            .iter()
            .filter(|(name, link)| link.pod && !links.contains(name.as_str()));
        plan.drop_links = strays.map(|(name, _)| name.clone()).collect();
    }
    plan
}

/// Forwarding for the families that pods have, and the gateway once there are IPv4 pods.
fn want_host(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (family, sysctl) in [(Family::V4, Sysctl::ForwardV4), (Family::V6, Sysctl::ForwardV6)] {
        if !desired.pod_ranges.iter().any(|range| range.family() == family) {
            continue;
        }
        match observed.sysctls.get(&sysctl) {
            Some(true) => {}
            Some(false) => plan.sysctls.push(sysctl),
            None => plan.unmet.push((
                Object::Host,
                format!(
                    "this kernel has no {}: IPv{} is disabled, so its pods have no network",
                    sysctl.path(),
                    family.number()
                ),
            )),
        }
        if family == Family::V4 && !observed.gateway {
            plan.gateway = true;
        }
    }
}

type Wanted = BTreeMap<RouteKey, (Route, Object)>;

/// Wanted routes, and slots that cannot be filled now but must not be emptied either.
fn wanted_routes(
    desired: &Desired,
    pods: &[PodRoute],
    observed: &Observed,
    plan: &mut Plan,
) -> (Wanted, BTreeSet<RouteKey>) {
    let mut wanted = Wanted::new();
    let mut kept = BTreeSet::new();
    // The source is named only while it is an address of this host: the kernel refuses another.
    let source = |family| {
        desired
            .node
            .of(family)
            .filter(|address| observed.addresses.contains_key(address))
    };
    for block in &desired.own_blocks {
        // Addresses of ours that no pod has must not leave by the default route and come back.
        let route = Route {
            target: Target::Unreachable,
            source: None,
        };
        wanted.insert(RouteKey::ours(block.prefix), (route, Object::Block(block.id)));
    }
    for block in &desired.remote_blocks {
        let (key, object, family) = (
            RouteKey::ours(block.prefix),
            Object::Block(block.id),
            block.prefix.family(),
        );
        match block.via.of(family) {
            Some(via) if observed.addresses.contains_key(&via) => {
                kept.insert(key);
                let sentence = format!(
                    "the block {} leads to {via}, which is an address of this host",
                    block.prefix
                );
                plan.unmet.push((object, sentence));
            }
            Some(via) => {
                let route = Route {
                    target: Target::Via(via),
                    source: source(family),
                };
                wanted.insert(key, (route, object));
            }
            None => {
                kept.insert(key);
                let sentence = format!(
                    "the node of the block {} has no IPv{} address to route it to",
                    block.prefix,
                    family.number()
                );
                plan.unmet.push((object, sentence));
            }
        }
    }
    for pod in pods {
        for key in pod.addresses.iter().filter_map(|address| RouteKey::ours_to(*address)) {
            if !pod.settled {
                kept.insert(key);
            } else if observed.links.contains_key(&pod.link) {
                let route = Route {
                    target: Target::Link(pod.link.clone()),
                    source: source(key.prefix.family()),
                };
                wanted.insert(key, (route, Object::Pod(pod.id)));
            } else {
                kept.insert(key);
                let sentence = format!(
                    "the link {} of the pod is gone; its sandbox was probably removed",
                    pod.link
                );
                plan.unmet.push((Object::Pod(pod.id), sentence));
            }
        }
    }
    (wanted, kept)
}

#[cfg(test)]
mod tests;
