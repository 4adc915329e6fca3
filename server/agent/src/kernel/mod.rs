//! The only door to the kernel: a small synchronous netlink layer, one method per operation.
//!
//! [`Socket`] frames requests and checks every reply; [`Netlink`] is the host's own kernel and
//! implements [`Kernel`] (routes, gateway, switches: what a plan needs) and [`Wiring`] (pods'
//! links); [`Watch`] is what the kernel announces of others' doing. Flags are explicit at every call. A dump that the kernel marks as torn
//! (`NLM_F_DUMP_INTR`) is read again. Nothing here decides what should be: that is
//! [`portolan_plan`].

mod batch;
mod conntrack;
mod decode;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod filter;
mod foreign;
mod host;
mod host_ports;
mod listeners;
mod messages;
mod netns;
mod nft;
mod own;
mod probes;
mod reaper;
mod socket;
mod sockets;
mod survey;
mod watch;
mod wiring;

pub use decode::{PolicyRule, RuleAction};
pub use error::KernelError;
pub use host::{Netlink, PROBE_NAMESPACE};
pub use netns::{NamespaceError, PodNamespace};
pub use probes::NamespaceProbes;
pub use socket::{Reply, Socket};
pub use survey::try_pods_network;
pub use watch::{Told, Watch};
pub use wiring::{AttachError, Attachment, Sandbox, Wiring};

use std::net::{IpAddr, SocketAddr};

use portolan_plan::{Foreign, NodeAddresses, Observed, PortSlot, ProbeLink, Route, RouteKey, Sysctl};
use portolan_shared::addr::{Cidr, Family};

/// One change of the routing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    /// Add; with `replace`, take the place of the route of ours in that slot.
    Put {
        /// The slot.
        key: RouteKey,
        /// The route.
        route: Route,
        /// Replace in place (`NLM_F_REPLACE`) instead of refusing when the slot is taken.
        replace: bool,
    },
    /// Remove a route of ours (`rtm_protocol` is part of the match).
    Drop {
        /// The slot.
        key: RouteKey,
        /// What was seen in it.
        route: Route,
    },
}

/// A node's end of probes, as it is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeEnd<'a> {
    /// The host's end of its link.
    pub link: &'a str,
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// How the link is made.
    pub how: ProbeLink,
    /// The node's addresses, the source of what the host sends there.
    pub node: NodeAddresses,
}

/// What a plan is read from and applied to.
pub trait Kernel: Send + Sync {
    /// Everything a plan needs to know, each table read whole and untorn.
    fn observe(&self) -> Result<Observed, KernelError>;

    /// What others have that concerns pods of these ranges. Costs a reading of the main table.
    fn foreign(&self, ranges: &[Cidr]) -> Result<Foreign, KernelError>;

    /// Listens to what becomes of the kernel from now on. To be called within an asynchronous runtime.
    fn watch(&self) -> Result<Box<dyn Watch>, KernelError>;

    /// Makes the changes in order and goes on after a failure; one result for each, in order.
    fn change_routes(&self, changes: &[RouteChange]) -> Vec<Result<(), KernelError>>;

    /// Puts the pods' gateway on `lo`, scope link.
    fn put_gateway(&self) -> Result<(), KernelError>;

    /// Turns a switch on.
    fn turn_on(&self, sysctl: Sysctl) -> Result<(), KernelError>;

    /// Sets the host's end of a pod's link up; with `gateway`, puts the pods' IPv6 gateway on it.
    fn mend_link(&self, name: &str, gateway: bool) -> Result<(), KernelError>;

    /// Makes the node's end of probes anew, in a namespace of its own that outlives this process.
    fn put_probe_end(&self, end: &ProbeEnd<'_>) -> Result<(), KernelError>;

    /// Puts the rules for host ports of a family; entries that are there stay.
    fn put_port_rules(&self, family: Family) -> Result<(), KernelError>;

    /// Puts entries of host ports, in the place of those that lead elsewhere.
    fn put_host_ports(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError>;

    /// Removes entries of host ports, and what went by them to where they led. One that is not there is no error.
    fn drop_host_ports(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError>;

    /// Removes a link by name; that of an end of probes with its namespace. A link that is not there is no error.
    fn drop_link(&self, name: &str) -> Result<(), KernelError>;
}

/// A whole kernel: hosts and pods' links.
pub trait HostKernel: Kernel + Wiring {}

impl<T: Kernel + Wiring> HostKernel for T {}
