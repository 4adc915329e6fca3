//! How addresses, prefixes and ids are written in messages, and read back with care.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use portolan_shared::addr::Cidr;
use portolan_shared::host_port::{HostPort, Transport};

use crate::agent;

/// A field that is not what the protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// An id that has not 16 bytes.
    #[error("'{0}' must be an id of 16 bytes")]
    Id(&'static str),
    /// An address that has neither 4 nor 16 bytes.
    #[error("'{0}' must be an address of 4 or 16 bytes")]
    Address(&'static str),
    /// A prefix with bits set beyond its length, or with a length its family does not have.
    #[error("'{0}' must be a prefix without bits beyond its length")]
    Prefix(&'static str),
    /// A message that must be there and is not.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// Any other field.
    #[error("'{0}' is not as the protocol says")]
    Other(&'static str),
}

/// The 16 bytes of an id.
///
/// # Errors
/// If there are fewer or more.
pub fn id(name: &'static str, bytes: &[u8]) -> Result<[u8; 16], BadField> {
    bytes.try_into().map_err(|_| BadField::Id(name))
}

/// An address as its 4 or 16 bytes.
pub fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// An address from its 4 or 16 bytes.
///
/// # Errors
/// If there is another number of bytes.
pub fn address(name: &'static str, bytes: &[u8]) -> Result<IpAddr, BadField> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(bytes).map_err(|_| BadField::Address(name))?;
    Ok(Ipv6Addr::from(octets).into())
}

/// Addresses from their bytes.
///
/// # Errors
/// If one of them is none.
pub fn addresses(name: &'static str, all: &[Vec<u8>]) -> Result<Vec<IpAddr>, BadField> {
    all.iter().map(|bytes| address(name, bytes)).collect()
}

/// A host port as a message.
pub fn host_port_message(port: &HostPort) -> agent::HostPort {
    agent::HostPort {
        protocol: port.protocol.number().into(),
        host_ip: port.host_ip.map(address_bytes).unwrap_or_default(),
        host_port: port.host_port.get().into(),
        container_port: port.container_port.get().into(),
    }
}

/// A host port from its message.
///
/// # Errors
/// If its protocol has no ports, its address is none, or a number is no port.
pub fn host_port(name: &'static str, message: &agent::HostPort) -> Result<HostPort, BadField> {
    let port = |number| u16::try_from(number).ok().and_then(NonZeroU16::new);
    let host_ip = match message.host_ip.as_slice() {
        [] => None,
        bytes => Some(address(name, bytes)?),
    };
    let mut protocols = Transport::ALL.into_iter();
    let protocol = protocols.find(|protocol| u32::from(protocol.number()) == message.protocol);
    match (protocol, port(message.host_port), port(message.container_port)) {
        (Some(protocol), Some(host_port), Some(container_port)) => Ok(HostPort {
            protocol,
            host_ip,
            host_port,
            container_port,
        }),
        _ => Err(BadField::Other(name)),
    }
}

/// A prefix as a message.
pub fn prefix_message(prefix: Cidr) -> agent::Prefix {
    agent::Prefix {
        address: address_bytes(prefix.first()),
        length: prefix.prefix().into(),
    }
}

/// A prefix from its message.
///
/// # Errors
/// If it is not one: bits beyond its length, or a length that its family does not have.
pub fn prefix(name: &'static str, message: &agent::Prefix) -> Result<Cidr, BadField> {
    let first = address(name, &message.address)?;
    let length = u8::try_from(message.length).map_err(|_| BadField::Prefix(name))?;
    match Cidr::containing(first, length) {
        Some(cidr) if cidr.first() == first => Ok(cidr),
        _ => Err(BadField::Prefix(name)),
    }
}

/// Prefixes from their messages.
///
/// # Errors
/// If one of them is none.
pub fn prefixes(name: &'static str, all: &[agent::Prefix]) -> Result<Vec<Cidr>, BadField> {
    all.iter().map(|message| prefix(name, message)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_come_back(address in any::<IpAddr>()) {
            prop_assert_eq!(super::address("a", &address_bytes(address)), Ok(address));
        }

        #[test]
        fn prefixes_come_back(address in any::<IpAddr>(), length in 0_u8..=32) {
            let cidr = Cidr::containing(address, length).unwrap();
            prop_assert_eq!(prefix("p", &prefix_message(cidr)), Ok(cidr));
        }

        #[test]
        fn host_ports_come_back(
            protocol in prop::sample::select(Transport::ALL.to_vec()), host_ip in any::<Option<IpAddr>>(),
            host_port in any::<NonZeroU16>(), container_port in any::<NonZeroU16>(),
        ) {
            let port = HostPort { protocol, host_ip, host_port, container_port };
            prop_assert_eq!(super::host_port("p", &host_port_message(&port)), Ok(port));
            let other = agent::HostPort { host_port: 65_536, ..host_port_message(&port) };
            prop_assert_eq!(super::host_port("p", &other), Err(BadField::Other("p")));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..20), length in any::<u32>()) {
            let read = prefix("p", &agent::Prefix { address: bytes.clone(), length });
            if let Ok(cidr) = read {
                prop_assert_eq!(address_bytes(cidr.first()), bytes);
            }
        }
    }

    #[test]
    fn host_bits_and_lengths_beyond_the_family_are_refused() {
        let message = |address: &[u8], length| agent::Prefix {
            address: address.to_vec(),
            length,
        };
        assert_eq!(prefix("p", &message(&[10, 0, 0, 1], 24)), Err(BadField::Prefix("p")));
        assert_eq!(prefix("p", &message(&[10, 0, 0, 0], 33)), Err(BadField::Prefix("p")));
        assert_eq!(prefix("p", &message(&[10, 0, 0], 8)), Err(BadField::Address("p")));
        assert_eq!(id("i", &[0; 15]), Err(BadField::Id("i")));
    }
}
