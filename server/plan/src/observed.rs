//! The kernel as it was found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use portolan_shared::addr::Family;

use crate::desired::NodeAddresses;
use crate::ports::PortSlot;
use crate::routes::{Route, RouteKey};

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
    /// Whether it is a pod's link of ours: a veth named as [`is_pod_link`](crate::is_pod_link) says.
    pub pod: bool,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it has [`POD_GATEWAY_V6`](crate::POD_GATEWAY_V6).
    pub gateway: bool,
}

/// A route that is not ours, where it may meet one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRoute {
    /// Its slot, in the main table.
    pub key: RouteKey,
    /// `rtm_protocol`: who made it, as far as that is told.
    pub protocol: u8,
    /// Where it leads, as `ip` would say it, such as "via 10.0.0.1" or "dev docker0".
    pub towards: String,
}

impl ForeignRoute {
    /// Who makes routes of its protocol number (`rtnetlink.h`, `rt_protos` of iproute2), in words.
    pub fn maker(&self) -> String {
        let name = match self.protocol {
            2 => "the kernel, for an address of the host",
            3 => "made by hand or by a script, proto boot",
            4 => "proto static",
            9 => "proto ra",
            11 => "zebra",
            12 => "bird",
            16 => "dhcp",
            186 => "bgp",
            188 => "ospf",
            other => return format!("proto {other}"),
        };
        name.to_owned()
    }
}

/// A chain of another program at a hook of the packet filter that drops what ought to pass there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppingChain {
    /// The family of its table as `nft` says it: `ip`, `ip6` or `inet`.
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
}

/// What others have in the kernel that concerns pods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Routes inside of the pod ranges.
    pub routes: Vec<ForeignRoute>,
    /// Chains at the forward hook that drop what pods send, or what is sent to them.
    pub drops: Vec<DroppingChain>,
}

/// The kernel as it is, filtered to what is ours (routes) or needed to decide (the rest).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Routes with our protocol number, in any table.
    pub routes: BTreeMap<RouteKey, Route>,
    /// All links by name.
    pub links: BTreeMap<String, Link>,
    /// Every address of the host, with the index of its link (one of them, if several have it).
    pub addresses: BTreeMap<IpAddr, u32>,
    /// Whether [`POD_GATEWAY_V4`](crate::POD_GATEWAY_V4) is on `lo` with scope link.
    pub gateway: bool,
    /// The families whose rules for host ports are there, all of them.
    pub port_rules: BTreeSet<Family>,
    /// Entries of host ports, each with where it leads.
    pub host_ports: BTreeMap<PortSlot, Option<SocketAddr>>,
    /// What the switches say; absent when the kernel does not have them.
    pub sysctls: BTreeMap<Sysctl, bool>,
}

impl Observed {
    /// Those of the node's addresses that are on this host. The kernel refuses another as a source.
    pub fn local(&self, node: &NodeAddresses) -> NodeAddresses {
        [Family::V4, Family::V6]
            .into_iter()
            .filter_map(|family| node.of(family))
            .filter(|address| self.addresses.contains_key(address))
            .collect()
    }

    /// The link that has an address of this host, with its name.
    pub fn link_of(&self, address: IpAddr) -> Option<(&str, &Link)> {
        let index = self.addresses.get(&address)?;
        let found = self.links.iter().find(|(_, link)| link.index == *index);
        found.map(|(name, link)| (name.as_str(), link))
    }

    /// The MTU of the link that carries the first of the node's addresses found on this host.
    pub fn underlay_mtu(&self, node: &NodeAddresses) -> Option<u32> {
        let families = [Family::V4, Family::V6].into_iter();
        let mut addresses = families.filter_map(|family| node.of(family));
        addresses
            .find_map(|address| self.link_of(address))
            .map(|(_, link)| link.mtu)
    }
}
