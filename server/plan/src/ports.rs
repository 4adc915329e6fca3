//! Host ports as the packet filter keys them: see `nft(8)`, maps.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use portolan_shared::addr::Family;
use portolan_shared::host_port::{HostPort, Transport};

/// An entry's key: two host ports that differ in another way are the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortSlot {
    /// A port of one address of the host.
    At(IpAddr, Transport, u16),
    /// A port of all addresses of the host of a family.
    All(Family, Transport, u16),
    /// That a pod with this address has host ports: when it sends to one of its own, the answer has to come back by the
    /// host, or it comes from an address that was not asked.
    Own(IpAddr),
}

impl PortSlot {
    /// Of which addresses it is.
    pub fn family(&self) -> Family {
        match self {
            Self::At(address, ..) | Self::Own(address) => Family::of(*address),
            Self::All(family, ..) => *family,
        }
    }
}

impl fmt::Display for PortSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address, protocol, port) => {
                write!(
                    f,
                    "the host port {}/{}",
                    SocketAddr::new(*address, *port),
                    protocol.word()
                )
            }
            Self::All(family, protocol, port) => {
                write!(f, "the host port {port}/{} of IPv{}", protocol.word(), family.number())
            }
            Self::Own(address) => write!(f, "the way of {address} to its own host ports"),
        }
    }
}

/// The entries that a pod with these addresses needs for its host ports, each with where it leads. Of a port that is of
/// neither of the pod's families there is none.
pub(crate) fn slots(addresses: &[IpAddr], ports: &[HostPort]) -> Vec<(PortSlot, Option<SocketAddr>)> {
    let mut slots = Vec::new();
    for address in addresses {
        let family = Family::of(*address);
        let taken = ports.iter().filter(|port| port.takes(family));
        let before = slots.len();
        slots.extend(taken.map(|port| {
            let (protocol, number) = (port.protocol, port.host_port.get());
            let slot = match port.address() {
                Some(at) => PortSlot::At(at, protocol, number),
                None => PortSlot::All(family, protocol, number),
            };
            (slot, Some(SocketAddr::new(*address, port.container_port.get())))
        }));
        if slots.len() > before {
            slots.push((PortSlot::Own(*address), None));
        }
    }
    slots
}
