//! What a plan consists of.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use portolan_shared::addr::Family;
use portolan_shared::ids::{BlockId, PortId};

use crate::desired::{NodeAddresses, ProbeLink};
use crate::observed::Sysctl;
use crate::ports::PortSlot;
use crate::routes::{Route, RouteKey};

/// Whom a step, a loss and a failure are told of.
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

/// One thing in a kernel that is kept as wanted; what is healed is counted by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// An address of the node itself. It is never written, only missed.
    NodeAddress(IpAddr),
    /// The link that has this address of the node. It is never written, only missed.
    Uplink(IpAddr),
    /// A switch.
    Switch(Sysctl),
    /// The pods' gateway on `lo`.
    Gateway,
    /// The host's end of a pod's link, by name.
    PodLink(String),
    /// What is in the slot of a route.
    Route(RouteKey),
    /// A pod's link that belongs to nobody, by name.
    StrayLink(String),
    /// The rules for host ports of a family.
    PortRules(Family),
    /// An entry of a host port.
    HostPort(PortSlot),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeAddress(address) => write!(f, "the node's address {address}"),
            Self::Uplink(address) => write!(f, "the link with the node's address {address}"),
            Self::Switch(sysctl) => f.write_str(sysctl.path()),
            Self::Gateway => f.write_str("the pods' gateway on lo"),
            Self::PodLink(name) | Self::StrayLink(name) => write!(f, "the link {name}"),
            Self::Route(key) => key.fmt(f),
            Self::PortRules(family) => write!(f, "the rules for host ports of IPv{}", family.number()),
            Self::HostPort(slot) => slot.fmt(f),
        }
    }
}

/// What an item is wanted to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// There, or on.
    Present,
    /// This route.
    Route(Route),
}

/// A change of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Turn a switch on.
    TurnOn(Sysctl),
    /// Put the pods' gateway on `lo`.
    PutGateway,
    /// Set the host's end of a pod's link up, and give it the pods' IPv6 gateway where its pod has IPv6.
    MendLink {
        /// The link's name.
        name: String,
        /// Whether it needs the pods' IPv6 gateway.
        gateway: bool,
    },
    /// Make the node's end of probes anew: a namespace, its link, and the routes of both, as a pod has them.
    PutProbeEnd {
        /// The host's end of the link.
        link: String,
        /// Its addresses.
        addresses: Vec<IpAddr>,
        /// How the link is made.
        how: ProbeLink,
        /// The node's addresses that are on this host.
        node: NodeAddresses,
    },
    /// Put a route.
    PutRoute {
        /// Its slot.
        key: RouteKey,
        /// The route.
        route: Route,
        /// The route of ours that is in the slot and is replaced in place. Absent: the slot is not
        /// ours, and if a stranger's route is in it, that stays and this one fails.
        found: Option<Route>,
    },
    /// Remove a route of ours that nobody wants.
    DropRoute {
        /// Its slot.
        key: RouteKey,
        /// What was seen in it.
        route: Route,
    },
    /// Remove a pod's link of ours that belongs to no pod, or the link of an end of probes that is not wanted, which takes
    /// the end's namespace with it.
    DropLink(String),
    /// Put the rules for host ports of a family; entries that are there stay.
    PutPortRules(Family),
    /// Put the entry of a host port, in the place of one that leads elsewhere.
    PutHostPort {
        /// Its slot.
        slot: PortSlot,
        /// Where it leads.
        to: Option<SocketAddr>,
    },
    /// Remove the entry of a host port that no pod has, and what goes by it.
    DropHostPort {
        /// Its slot.
        slot: PortSlot,
        /// Where it was seen to lead.
        to: Option<SocketAddr>,
    },
}

impl Change {
    /// What it changes.
    pub fn item(&self) -> Item {
        match self {
            Self::TurnOn(sysctl) => Item::Switch(*sysctl),
            Self::PutGateway => Item::Gateway,
            Self::MendLink { name, .. } | Self::PutProbeEnd { link: name, .. } => Item::PodLink(name.clone()),
            Self::PutRoute { key, .. } | Self::DropRoute { key, .. } => Item::Route(*key),
            Self::DropLink(name) => Item::StrayLink(name.clone()),
            Self::PutPortRules(family) => Item::PortRules(*family),
            Self::PutHostPort { slot, .. } | Self::DropHostPort { slot, .. } => Item::HostPort(*slot),
        }
    }

    /// Whether it takes something of ours away that nobody wants.
    pub fn removes(&self) -> bool {
        matches!(
            self,
            Self::DropRoute { .. } | Self::DropLink(_) | Self::DropHostPort { .. }
        )
    }
}

/// A change, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it serves.
    pub object: Object,
    /// What to change.
    pub change: Change,
}

/// What a host is to be, and the steps there. No steps: there is nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are made.
    pub steps: Vec<Step>,
    /// Everything that is wanted, whether it is there or not.
    pub wanted: BTreeMap<Item, Want>,
    /// What is wanted, is not so, and cannot be made so now: no step is for it.
    pub missing: Vec<Item>,
    /// Why something wanted is not so, as a sentence. Not a step: the kernel is not asked.
    pub unmet: Vec<(Object, String)>,
}

impl Plan {
    /// Whether nothing is to be done (what is unmet may be so all the same).
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds a step.
    pub(crate) fn step(&mut self, object: Object, change: Change) {
        self.steps.push(Step { object, change });
    }
}
