//! What one pod needs of its host.

use std::net::{IpAddr, SocketAddr};

use portolan_shared::host_port::HostPort;

use crate::desired::NodeAddresses;
use crate::ports::{self, PortSlot};
use crate::routes::{Route, RouteKey, Target};

/// The slots of a host's kernel that a pod takes, and what has to be in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSlots {
    /// A route to each of the pod's addresses, in the order of the addresses.
    pub routes: Vec<(RouteKey, Route)>,
    /// The entries of its host ports, each with where it leads.
    pub ports: Vec<(PortSlot, Option<SocketAddr>)>,
}

/// What a pod with these addresses and host ports needs on the host, once the host's end of its link is named
/// `link`. `node` is the node's addresses that are on this host: the source of what the host itself
/// sends to the pod.
///
/// The pod's ADD makes exactly this, and every round compares the kernel with it.
pub fn pod(link: &str, addresses: &[IpAddr], host_ports: &[HostPort], node: &NodeAddresses) -> PodSlots {
    let route = |key: RouteKey| {
        let route = Route {
            target: Target::Link(link.to_owned()),
            source: node.of(key.prefix.family()),
        };
        (key, route)
    };
    PodSlots {
        routes: pod_keys(addresses).map(route).collect(),
        ports: ports::slots(addresses, host_ports),
    }
}

/// The slots of a pod's routes, whatever its link is called.
pub fn pod_keys(addresses: &[IpAddr]) -> impl Iterator<Item = RouteKey> {
    addresses.iter().filter_map(|address| RouteKey::ours_to(*address))
}
