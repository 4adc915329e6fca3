//! Routes as the kernel keys them: two routes that differ in another way are the same slot.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portolan_shared::addr::{Cidr, Family};

/// The routing table everything of ours is in (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// What the kernel uses when an IPv6 route names no metric (`IP6_RT_PRIO_USER`); ours name it.
pub const V6_METRIC: u32 = 1024;

/// The pods' gateway (link-local, RFC 3927): on `lo` of every host with scope link, so that ARP for
/// it is answered on every link and it is never chosen as a source.
pub const POD_GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The pods' IPv6 gateway: an address of the host's end of every pod link.
pub const POD_GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

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
