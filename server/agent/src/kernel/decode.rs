//! The few attributes that are read out of links, addresses and routes.
//!
//! Taken from the bytes by hand rather than through the typed messages: those parse every
//! attribute there is, and one that a newer kernel writes otherwise would fail a whole dump.

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::mac::MacAddress;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_ENCAP: u16 = 22;
const RTA_NH_ID: u16 = 30;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
/// `FIB_RULE_INVERT`.
const INVERTED: u32 = 2;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
/// `NETCONFA_IFINDEX_ALL`: the switch of all links.
const IFINDEX_ALL: i32 = -1;

/// A link (`struct ifinfomsg` and attributes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RawLink {
    pub(super) index: u32,
    pub(super) up: bool,
    pub(super) name: String,
    pub(super) mtu: u32,
    /// `IFLA_LINK`: for a veth, the index of its peer, in the peer's namespace.
    pub(super) peer: Option<u32>,
    pub(super) mac: Option<MacAddress>,
    /// Such as `veth`; absent for physical devices.
    pub(super) kind: Option<String>,
}

/// An address (`struct ifaddrmsg`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawAddress {
    pub(super) index: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    pub(super) scope: u8,
}

/// A route (`struct rtmsg`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawRoute {
    pub(super) prefix: Cidr,
    pub(super) tos: u8,
    pub(super) table: u32,
    pub(super) protocol: u8,
    pub(super) kind: u8,
    pub(super) gateway: Option<IpAddr>,
    pub(super) link: Option<u32>,
    pub(super) source: Option<IpAddr>,
    pub(super) metric: u32,
    /// Several next hops, a next hop object, an encapsulation or another family's gateway.
    pub(super) strange: bool,
}

/// What a rule of routing does with the packets that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// Looks them up in a table; what the table knows only by routes of prefixes this long or shorter counts as unknown.
    Lookup {
        /// The table's number.
        table: u32,
        /// `suppress_prefixlength`.
        suppress: Option<u8>,
    },
    /// Refuses them.
    Refuse,
    /// Nothing, or goes on elsewhere among the rules.
    Other,
}

/// A rule of routing (`struct fib_rule_hdr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    /// Lower ones count first.
    pub priority: u32,
    /// Where packets come from; `None`: from anywhere.
    pub from: Option<Cidr>,
    /// Where they are sent; `None`: anywhere.
    pub to: Option<Cidr>,
    /// Whether it asks more than that: a mark, a link, a user, a port.
    pub narrowed: bool,
    /// What is done with them.
    pub action: RuleAction,
}

/// A rule of routing from the bytes after the netlink header; `None` for families that are not ours.
pub(super) fn policy_rule(payload: &[u8]) -> Option<PolicyRule> {
    let header = payload.first_chunk::<12>()?;
    family(header[0])?;
    let flags = number(&header[8..])?;
    let (mut table, mut suppress) = (u32::from(header[4]), None);
    let mut rule = PolicyRule {
        priority: 0,
        from: None,
        to: None,
        narrowed: header[3] != 0 || flags & INVERTED != 0,
        action: RuleAction::Other,
    };
    for attribute in NlasIterator::new(&payload[12..]).flatten() {
        let value = attribute.value();
        match attribute.kind() {
            FRA_DST => rule.to = Cidr::containing(ip(value)?, header[1]),
            FRA_SRC => rule.from = Cidr::containing(ip(value)?, header[2]),
            FRA_PRIORITY => rule.priority = number(value)?,
            FRA_TABLE => table = number(value)?,
            FRA_SUPPRESS_PREFIXLEN => suppress = number(value).and_then(|length| u8::try_from(length).ok()),
            // Who made it.
            FRA_PROTOCOL => {}
            _ => rule.narrowed = true,
        }
    }
    rule.action = match header[7] {
        1 => RuleAction::Lookup { table, suppress },
        6..=8 => RuleAction::Refuse,
        _ => RuleAction::Other,
    };
    Some(rule)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn family(number: u8) -> Option<Family> {
    match i32::from(number) {
        libc::AF_INET => Some(Family::V4),
        libc::AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

/// A link from the bytes after the netlink header; `None` when they do not hold together.
pub(super) fn link(payload: &[u8]) -> Option<RawLink> {
    let index = number(payload.get(4..8)?)?;
    let flags = number(payload.get(8..12)?)?;
    let mut link = RawLink {
        index,
        up: flags & libc::IFF_UP as u32 != 0,
        ..RawLink::default()
    };
    for attribute in NlasIterator::new(payload.get(16..)?).flatten() {
        let value = attribute.value();
        match attribute.kind() {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = number(value)?,
            IFLA_LINK => link.peer = number(value),
            IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(value).ok().map(MacAddress::new),
            IFLA_LINKINFO => {
                let kind = NlasIterator::new(value).flatten().find(|a| a.kind() == IFLA_INFO_KIND);
                link.kind = kind.map(|a| text(a.value()));
            }
            _ => {}
        }
    }
    Some(link)
}

/// An address from the bytes after the netlink header; `None` for families that are not ours.
pub(super) fn address(payload: &[u8]) -> Option<RawAddress> {
    family(*payload.first()?)?;
    let (prefix, scope) = (*payload.get(1)?, *payload.get(3)?);
    let index = number(payload.get(4..8)?)?;
    let mut found = None;
    for attribute in NlasIterator::new(payload.get(8..)?).flatten() {
        match attribute.kind() {
            // The local address; IFA_ADDRESS is the peer's on a point-to-point link.
            IFA_LOCAL => found = ip(attribute.value()),
            IFA_ADDRESS => found = found.or_else(|| ip(attribute.value())),
            _ => {}
        }
    }
    Some(RawAddress {
        index,
        address: found?,
        prefix,
        scope,
    })
}

/// A route from the bytes after the netlink header; `None` for families that are not ours.
pub(super) fn route(payload: &[u8]) -> Option<RawRoute> {
    let header = payload.first_chunk::<12>()?;
    let family = family(header[0])?;
    let any = portolan_shared::addr::from_bits(family, 0);
    let mut route = RawRoute {
        prefix: Cidr::containing(any, 0)?,
        tos: header[3],
        table: u32::from(header[4]),
        protocol: header[5],
        kind: header[7],
        gateway: None,
        link: None,
        source: None,
        metric: 0,
        strange: false,
    };
    let mut destination = any;
    for attribute in NlasIterator::new(&payload[12..]).flatten() {
        let value = attribute.value();
        match attribute.kind() {
            RTA_DST => destination = ip(value)?,
            RTA_GATEWAY => route.gateway = ip(value),
            RTA_PREFSRC => route.source = ip(value),
            RTA_OIF => route.link = number(value),
            RTA_PRIORITY => route.metric = number(value)?,
            RTA_TABLE => route.table = number(value)?,
            RTA_MULTIPATH | RTA_VIA | RTA_ENCAP | RTA_NH_ID => route.strange = true,
            _ => {}
        }
    }
    route.prefix = Cidr::containing(destination, header[1])?;
    Some(route)
}

/// Whether forwarding is on for all links, from the bytes of a `struct netconfmsg` after the netlink
/// header; `None` for other switches, and those of one link.
pub(super) fn forwarding(payload: &[u8]) -> Option<bool> {
    let (mut all, mut on) = (false, None);
    for attribute in NlasIterator::new(payload.get(4..)?).flatten() {
        let value = attribute.value().first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
        match attribute.kind() {
            NETCONFA_IFINDEX => all = value == Some(IFINDEX_ALL),
            NETCONFA_FORWARDING => on = value.map(|value| value != 0),
            _ => {}
        }
    }
    on.filter(|_| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_route_by_its_attributes() {
        let mut bytes = vec![2, 26, 0, 0, 254, 157, 0, 1, 0, 0, 0, 0];
        bytes.extend(attribute(RTA_TABLE, &254u32.to_ne_bytes()));
        bytes.extend(attribute(RTA_DST, &[10, 1, 0, 64]));
        bytes.extend(attribute(RTA_GATEWAY, &[192, 168, 0, 2]));
        bytes.extend(attribute(250, &[1])); // what a newer kernel might add
        let route = route(&bytes).unwrap();
        assert_eq!(route.prefix.to_string(), "10.1.0.64/26");
        assert_eq!(route.gateway, Some("192.168.0.2".parse().unwrap()));
        assert_eq!(
            (route.protocol, route.table, route.metric, route.strange),
            (157, 254, 0, false)
        );
    }

    #[test]
    fn forwarding_counts_where_it_is_of_all_links() {
        let message = |index: i32, kind: u16, value: i32| {
            let mut bytes = vec![2, 0, 0, 0];
            bytes.extend(attribute(NETCONFA_IFINDEX, &index.to_ne_bytes()));
            bytes.extend(attribute(kind, &value.to_ne_bytes()));
            forwarding(&bytes)
        };
        assert_eq!(message(-1, NETCONFA_FORWARDING, 0), Some(false));
        assert_eq!(message(-1, NETCONFA_FORWARDING, 1), Some(true));
        assert_eq!(message(-2, NETCONFA_FORWARDING, 0), None, "of links made later");
        assert_eq!(message(4, NETCONFA_FORWARDING, 0), None);
        assert_eq!(message(-1, 3, 0), None, "reverse path filtering");
    }

    #[test]
    fn a_rule_of_routing_by_what_it_asks() {
        let rule = |action: u8, flags: u32, attributes: &[(u16, &[u8])]| {
            let mut bytes = vec![2, 0, 16, 0, 0, 0, 0, action];
            bytes.extend(flags.to_ne_bytes());
            bytes.extend(attributes.iter().flat_map(|(kind, value)| attribute(*kind, value)));
            policy_rule(&bytes).unwrap()
        };
        let (priority, table) = (100u32.to_ne_bytes(), 1000u32.to_ne_bytes());
        let (none, any) = ((-1i32).to_ne_bytes(), [3]);
        let of_all = [
            (FRA_PRIORITY, &priority[..]),
            (FRA_TABLE, &table),
            (FRA_SUPPRESS_PREFIXLEN, &none),
            (FRA_PROTOCOL, &any),
        ];
        let lookup = |suppress| RuleAction::Lookup { table: 1000, suppress };
        let expected = PolicyRule {
            priority: 100,
            from: None,
            to: None,
            narrowed: false,
            action: lookup(None),
        };
        assert_eq!(rule(1, 0, &of_all), expected);
        assert!(rule(1, INVERTED, &of_all).narrowed);
        let and = |more: (u16, &'static [u8])| [&of_all[..], &[more]].concat();
        let from = rule(1, 0, &and((FRA_SRC, &[10, 1, 0, 0]))).from;
        assert_eq!(from.unwrap().to_string(), "10.1.0.0/16");
        let short = rule(1, 0, &and((FRA_SUPPRESS_PREFIXLEN, &[0, 0, 0, 0])));
        assert_eq!((short.action, short.narrowed), (lookup(Some(0)), false));
        assert!(rule(1, 0, &and((10, &[1, 0, 0, 0]))).narrowed, "a mark");
        assert_eq!(rule(7, 0, &of_all).action, RuleAction::Refuse);
        assert_eq!(rule(2, 0, &of_all).action, RuleAction::Other, "goes to another rule");
    }

    #[test]
    fn nonsense_is_nothing() {
        for bytes in [&[][..], &[2], &[2, 33, 0, 0, 254, 157, 0, 1, 0, 0, 0, 0], &[7; 11]] {
            assert_eq!(route(bytes), None, "{bytes:?}");
        }
        assert_eq!(link(&[0; 15]), None);
        assert_eq!(address(&[2, 24, 0, 0, 1, 0, 0, 0]), None);
        assert_eq!(forwarding(&[2]), None);
    }
}
