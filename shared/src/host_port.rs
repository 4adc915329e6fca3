//! Host ports: ports of a node that lead to a pod.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::addr::Family;

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 9260.
    Sctp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// In lower case, as Kubernetes' network plugins and `/etc/services` write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// In the header of IP (IANA's protocol numbers).
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl FromStr for Transport {
    type Err = ();

    /// By its word, in any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|transport| transport.word().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// A port of a node that leads to a port of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostPort {
    /// Of both ports.
    pub protocol: Transport,
    /// The node's address that it is a port of; absent: of all. `0.0.0.0` and `::` are all of one family.
    pub host_ip: Option<IpAddr>,
    /// The node's.
    pub host_port: NonZeroU16,
    /// The pod's.
    pub container_port: NonZeroU16,
}

impl HostPort {
    /// Whether it takes what is sent to the node's addresses of this family.
    pub fn takes(&self, family: Family) -> bool {
        self.host_ip.is_none_or(|address| Family::of(address) == family)
    }

    /// The one address that it is a port of; `None`: it is one of all of its families'.
    pub fn address(&self) -> Option<IpAddr> {
        self.host_ip.filter(|address| !address.is_unspecified())
    }

    /// Whether something that is sent to the node may be for both.
    pub fn meets(&self, other: &Self) -> bool {
        let family = |family| self.takes(family) && other.takes(family);
        let addresses = match (self.address(), other.address()) {
            (Some(one), Some(other)) => one == other,
            _ => family(Family::V4) || family(Family::V6),
        };
        (self.protocol, self.host_port) == (other.protocol, other.host_port) && addresses
    }
}

impl fmt::Display for HostPort {
    /// The node's side, such as `80/tcp`, `192.0.2.1:80/tcp` or `[2001:db8::1]:53/udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        write!(f, "{}/{}", self.host_port, self.protocol.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_ip: &str, protocol: Transport, number: u16) -> HostPort {
        HostPort {
            protocol,
            host_ip: host_ip.parse().ok(),
            host_port: NonZeroU16::new(number).unwrap(),
            container_port: NonZeroU16::new(8080).unwrap(),
        }
    }

    #[test]
    fn two_meet_where_one_packet_may_be_for_both() {
        use Transport::{Tcp, Udp};
        let meet = |one: HostPort, other: HostPort| {
            assert_eq!(one.meets(&other), other.meets(&one));
            one.meets(&other)
        };
        let all = port("", Tcp, 80);
        assert!(meet(all, all) && meet(all, port("192.0.2.1", Tcp, 80)) && meet(all, port("::", Tcp, 80)));
        assert!(meet(port("0.0.0.0", Tcp, 80), port("192.0.2.1", Tcp, 80)));
        assert!(!meet(all, port("", Tcp, 81)) && !meet(all, port("", Udp, 80)));
        assert!(!meet(port("192.0.2.1", Tcp, 80), port("192.0.2.2", Tcp, 80)));
        assert!(!meet(port("0.0.0.0", Tcp, 80), port("2001:db8::1", Tcp, 80)));
        assert!(!meet(port("0.0.0.0", Tcp, 80), port("::", Tcp, 80)));
    }

    #[test]
    fn is_written_with_its_protocol() {
        let written = |host_ip, protocol| port(host_ip, protocol, 53).to_string();
        assert_eq!(written("", Transport::Udp), "53/udp");
        assert_eq!(written("192.0.2.1", Transport::Tcp), "192.0.2.1:53/tcp");
        assert_eq!(written("2001:db8::1", Transport::Sctp), "[2001:db8::1]:53/sctp");
    }
}
