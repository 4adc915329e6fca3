//! Hosts and desired states for property tests, and a kernel as a pure function: see [`carry_out`].
//!
//! The worlds are small on purpose, so that what is wanted and what is found meet often.

#![expect(clippy::unwrap_used, reason = "for tests")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use portolan_shared::addr::{Cidr, Family};
use portolan_shared::host_port::{HostPort, Transport};
use portolan_shared::ids::{BlockId, PortId};
use portolan_shared::mac::MacAddress;
use proptest::prelude::*;

use crate::{
    Change, Desired, Link, Observed, OwnBlock, Plan, PodRoute, PortSlot, ProbeLink, RemoteBlock, Route, RouteKey,
    Sysctl, Target, pod, probe_link_name,
};

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A prefix.
pub fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// A lease, by number.
pub fn block_id(n: u8) -> BlockId {
    BlockId::from_bytes([n; 16])
}

/// A pod's port, by number.
pub fn port_id(n: u8) -> PortId {
    PortId::from_bytes([n; 16])
}

/// A name of a pod's link, by number.
pub fn link_name(n: u8) -> String {
    format!("ptl{n:011x}")
}

/// The host's end of a pod's link, as it should be.
pub fn pod_link(index: u32) -> Link {
    Link {
        index,
        mtu: 1500,
        pod: true,
        up: true,
        gateway: true,
    }
}

/// A host with both families on one link and nothing of Portolan's.
pub fn host() -> Observed {
    let link = |index| Link {
        pod: false,
        gateway: false,
        ..pod_link(index)
    };
    Observed {
        links: BTreeMap::from([("lo".into(), link(1)), ("eth0".into(), link(2))]),
        addresses: BTreeMap::from([(ip("192.168.0.1"), 2), (ip("fd00::1"), 2)]),
        sysctls: Sysctl::ALL.into_iter().map(|s| (s, false)).collect(),
        ..Observed::default()
    }
}

/// A node with a block of its own and two of others.
pub fn desired() -> Desired {
    Desired {
        complete: true,
        node: [ip("192.168.0.1"), ip("fd00::1")].into_iter().collect(),
        mtu: 1500,
        pod_ranges: vec![cidr("10.1.0.0/16"), cidr("fd01::/64")],
        own_blocks: vec![OwnBlock {
            id: block_id(1),
            prefix: cidr("10.1.0.0/26"),
        }],
        remote_blocks: vec![
            RemoteBlock {
                id: block_id(2),
                prefix: cidr("10.1.0.64/26"),
                via: [ip("192.168.0.2")].into_iter().collect(),
            },
            RemoteBlock {
                id: block_id(3),
                prefix: cidr("fd01::40/122"),
                via: [ip("fd00::2")].into_iter().collect(),
            },
        ],
    }
}

/// What a host is like once a kernel that refuses nothing has carried a plan out.
pub fn carry_out(plan: &Plan, host: &mut Observed) {
    for step in &plan.steps {
        match &step.change {
            Change::TurnOn(sysctl) => {
                host.sysctls.insert(*sysctl, true);
            }
            Change::PutGateway => host.gateway = true,
            Change::MendLink { name, gateway } => {
                let link = host.links.get_mut(name).unwrap();
                link.up = true;
                link.gateway |= *gateway;
            }
            Change::PutProbeEnd {
                link,
                addresses,
                how,
                node,
            } => {
                let index = host.links.values().map(|link| link.index).max().unwrap_or(0) + 1;
                let end = Link {
                    mtu: how.mtu,
                    pod: false,
                    ..pod_link(index)
                };
                host.links.insert(link.clone(), end);
                host.routes.extend(pod(link, addresses, &[], node).routes);
            }
            Change::PutRoute { key, route, .. } => {
                host.routes.insert(*key, route.clone());
            }
            Change::DropRoute { key, .. } => {
                host.routes.remove(key);
            }
            Change::DropLink(name) => drop_link(host, name),
            Change::PutPortRules(family) => {
                host.port_rules.insert(*family);
            }
            Change::PutHostPort { slot, to } => {
                host.host_ports.insert(*slot, *to);
            }
            Change::DropHostPort { slot, .. } => {
                host.host_ports.remove(slot);
            }
        }
    }
}

/// Removes a link as a kernel does: its addresses and the routes out of it go with it.
pub fn drop_link(host: &mut Observed, name: &str) {
    if let Some(link) = host.links.remove(name) {
        host.addresses.retain(|_, index| *index != link.index);
        host.routes
            .retain(|_, route| route.target != Target::Link(name.to_owned()));
    }
}

/// Any route, also one that Portolan never makes.
pub fn arbitrary_route() -> impl Strategy<Value = Route> {
    let target = prop_oneof![
        Just(Target::Unreachable),
        Just(Target::Strange),
        (2u8..6).prop_map(|n| Target::Via(IpAddr::from([192, 168, 0, n]))),
        (0u8..4).prop_map(|n| Target::Link(link_name(n))),
    ];
    (target, prop::option::of(Just(ip("192.168.0.1")))).prop_map(|(target, source)| Route { target, source })
}

/// The slot of a host port.
pub fn arbitrary_slot() -> impl Strategy<Value = PortSlot> {
    prop_oneof![
        (80u16..83).prop_map(|port| PortSlot::All(Family::V4, Transport::Tcp, port)),
        (80u16..83).prop_map(|port| PortSlot::At(ip("192.168.0.1"), Transport::Udp, port)),
        (0u8..4).prop_map(|n| PortSlot::Own(IpAddr::from([10, 1, 0, n]))),
    ]
}

/// A host port that no other number has.
fn host_port(n: u8, at: bool) -> HostPort {
    HostPort {
        protocol: if at { Transport::Udp } else { Transport::Tcp },
        host_ip: at.then(|| ip("192.168.0.1")),
        host_port: NonZeroU16::new(80 + u16::from(n)).unwrap(),
        container_port: NonZeroU16::new(8080).unwrap(),
    }
}

/// Prefixes from a small world, so that wanted and found meet often.
pub fn arbitrary_prefix() -> impl Strategy<Value = Cidr> {
    prop_oneof![
        (0u8..4).prop_map(|n| Cidr::containing(IpAddr::from([10, 1, 0, n * 64]), 26).unwrap()),
        (0u8..4).prop_map(|n| Cidr::containing(IpAddr::from([10, 1, 0, n]), 32).unwrap()),
        (0u16..4).prop_map(|n| Cidr::containing(IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, n * 64]), 122).unwrap()),
    ]
}

prop_compose! {
    /// A host that may have some of what is wanted, and something else in its place.
    pub fn arbitrary_observed()(
        routes in prop::collection::btree_map(arbitrary_prefix(), arbitrary_route(), 0..6),
        other_table in any::<bool>(),
        links in prop::collection::btree_map(0u8..4, any::<[bool; 2]>(), 0..4),
        gateway in any::<bool>(),
        forward in any::<[bool; 2]>(),
        addressed in any::<bool>(),
        uplink in prop::bool::weighted(0.8),
        port_rules in any::<bool>(),
        host_ports in prop::collection::btree_map(arbitrary_slot(), 0u8..4, 0..4),
    ) -> Observed {
        let mut observed = host();
        for (n, [up, gateway]) in links {
            observed.links.insert(link_name(n), Link { up, gateway, ..pod_link(10 + u32::from(n)) });
        }
        for (at, (prefix, route)) in routes.into_iter().enumerate() {
            let mut key = RouteKey::ours(prefix);
            if other_table && at == 0 { key.table = 100; }
            observed.routes.insert(key, route);
        }
        observed.gateway = gateway;
        observed.sysctls = Sysctl::ALL.into_iter().zip(forward).collect();
        if port_rules {
            observed.port_rules.insert(Family::V4);
            let to = |slot: &PortSlot, n| match slot {
                PortSlot::Own(_) => None,
                _ => Some(SocketAddr::from(([10, 1, 0, n], 8080))),
            };
            observed.host_ports = host_ports.into_iter().map(|(slot, n)| (slot, to(&slot, n))).collect();
        }
        if !addressed { observed.addresses.clear(); }
        if let Some(eth0) = observed.links.get_mut("eth0") { eth0.up = uplink; }
        observed
    }
}

prop_compose! {
    /// A desired state, complete or not, and pods, settled or not.
    pub fn arbitrary_desired()(
        owners in prop::collection::vec(0u8..6, 4),
        owners6 in prop::collection::vec(0u8..6, 4),
        pods in prop::collection::btree_map(0u8..4, (0u8..4, prop::bool::weighted(0.8), prop::option::of(any::<bool>())), 0..4),
        probes in prop::option::of(0u8..3),
        complete in prop::bool::weighted(0.8),
    ) -> (Desired, Vec<PodRoute>) {
        let mut wanted = Desired { complete, own_blocks: vec![], remote_blocks: vec![], ..desired() };
        let v4 = owners.into_iter().enumerate().map(|(n, o)| (n, o, Cidr::containing(IpAddr::from([10, 1, 0, n as u8 * 64]), 26)));
        let v6 = owners6.into_iter().enumerate()
            .map(|(n, o)| (10 + n, o, Cidr::containing(IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, n as u16 * 64]), 122)));
        for (n, owner, prefix) in v4.chain(v6) {
            let (id, prefix) = (block_id(n as u8), prefix.unwrap());
            match owner {
                0 => {}
                1 => wanted.own_blocks.push(OwnBlock { id, prefix }),
                _ => {
                    let via = [IpAddr::from([192, 168, 0, owner]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(owner)])];
                    wanted.remote_blocks.push(RemoteBlock { id, prefix, via: via.into_iter().collect() });
                }
            }
        }
        let pods = pods.into_iter().map(|(n, (link, settled, port))| PodRoute {
            id: Some(port_id(n)), link: link_name(link), addresses: vec![IpAddr::from([10, 1, 0, n])],
            host_ports: port.map(|at| host_port(n, at)).into_iter().collect(), settled, probes: None,
        });
        let end = probes.map(|n| {
            let (addresses, mtu) = (vec![IpAddr::from([10, 1, 0, 60 + n])], 1500);
            let how = ProbeLink { mac: MacAddress::new([2, 0, 0, 0, 0, n]), mtu };
            PodRoute { id: None, link: probe_link_name(&addresses, mtu), addresses, host_ports: vec![], settled: true, probes: Some(how) }
        });
        (wanted, pods.chain(end).collect())
    }
}
