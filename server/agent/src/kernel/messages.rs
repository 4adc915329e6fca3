//! Requests as the kernel wants them, one function an operation.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InetDevConf, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use portolan_plan::{MAIN_TABLE, ROUTE_PROTOCOL, Route, RouteKey, Target};
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::mac::MacAddress;

use super::socket::{Body, Request};

/// `RTM_NEWLINK`.
pub(super) const NEW_LINK: u16 = 16;
/// `RTM_DELLINK`.
pub(super) const DEL_LINK: u16 = 17;
/// `RTM_NEWADDR`.
pub(super) const NEW_ADDRESS: u16 = 20;
/// `RTM_DELADDR`.
pub(super) const DEL_ADDRESS: u16 = 21;
/// `RTM_NEWROUTE`.
pub(super) const NEW_ROUTE: u16 = 24;
/// `RTM_DELROUTE`.
pub(super) const DEL_ROUTE: u16 = 25;
/// `RTM_NEWNETCONF`: a switch such as forwarding was turned.
pub(super) const NEW_NETCONF: u16 = 80;
/// `RTNLGRP_LINK`: links that come, change and go.
pub(super) const LINK_GROUP: u32 = 1;
/// All that a host's network depends on: `RTNLGRP_LINK`, and of both families `_IFADDR`, `_ROUTE` and
/// `_NETCONF`.
pub(super) const ALL_GROUPS: [u32; 7] = [LINK_GROUP, 5, 9, 7, 11, 24, 25];

fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn link(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

/// Both ends of a pod's link.
pub(super) struct Veth<'a> {
    /// The host's end.
    pub(super) name: &'a str,
    /// Its hardware address.
    pub(super) mac: MacAddress,
    /// The pod's end, made directly in the pod's namespace: moving it there is slow.
    pub(super) peer: &'a str,
    /// Its hardware address.
    pub(super) peer_mac: MacAddress,
    /// The pod's namespace.
    pub(super) namespace: BorrowedFd<'a>,
    /// Of both, in bytes.
    pub(super) mtu: u32,
}

/// A new veth; refused when either name is taken.
pub(super) fn new_veth(veth: &Veth<'_>) -> Request {
    let peer = link(
        0,
        vec![
            LinkAttribute::IfName(veth.peer.to_owned()),
            LinkAttribute::Address(veth.peer_mac.octets().to_vec()),
            LinkAttribute::Mtu(veth.mtu),
            LinkAttribute::NetNsFd(veth.namespace.as_raw_fd()),
        ],
    );
    let message = link(
        0,
        vec![
            LinkAttribute::IfName(veth.name.to_owned()),
            LinkAttribute::Address(veth.mac.octets().to_vec()),
            LinkAttribute::Mtu(veth.mtu),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ],
    );
    let what = format!("the link {} with its peer {} in the pod", veth.name, veth.peer);
    Request::new(RouteNetlinkMessage::NewLink(message), what).flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// A link by its name.
pub(super) fn get_link(name: &str) -> Request {
    let message = link(
        0,
        vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]),
        ],
    );
    Request::new(RouteNetlinkMessage::GetLink(message), format!("the link {name}"))
}

/// All links, without counters.
pub(super) fn dump_links() -> Request {
    let message = link(0, vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])]);
    Request::new(RouteNetlinkMessage::GetLink(message), "the links")
}

/// The host's end of a pod's link, while it is down: strict reverse path filtering (a pod sends from
/// its own addresses only), with IPv6 no address but those we give it, and with host ports the way back to 127.0.0.1.
pub(super) fn prepare_host_end(index: u32, name: &str, with_v6: bool, with_ports: bool) -> Request {
    let mut conf = InetDevConf::default();
    conf.rp_filter = 1;
    conf.route_localnet = with_ports.into();
    let mut families = vec![AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(conf)])];
    if with_v6 {
        families.push(AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
            In6AddrGenMode::None,
        )]));
    }
    let message = link(index, vec![LinkAttribute::AfSpecUnspec(families)]);
    Request::new(
        RouteNetlinkMessage::SetLink(message),
        format!("the switches of the link {name}"),
    )
}

/// Sets a link up.
pub(super) fn link_up(index: u32, name: &str) -> Request {
    let mut message = link(index, Vec::new());
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    Request::new(
        RouteNetlinkMessage::SetLink(message),
        format!("setting the link {name} up"),
    )
}

/// Removes a link, and with a veth its peer. The caller sleeps some 20 ms in the kernel.
pub(super) fn del_link(index: u32, name: &str) -> Request {
    Request::new(
        RouteNetlinkMessage::DelLink(link(index, Vec::new())),
        format!("the removal of the link {name}"),
    )
}

/// An address for a link. IPv6 addresses are usable at once: nobody else on the link can have them.
pub(super) fn new_address(index: u32, address: IpAddr, prefix: u8, scope: AddressScope, on: &str) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = family(Family::of(address));
    message.header.prefix_len = prefix;
    message.header.scope = scope;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    if address.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    let what = format!("the address {address}/{prefix} on {on}");
    Request::new(RouteNetlinkMessage::NewAddress(message), what).flags(NLM_F_CREATE | NLM_F_REPLACE)
}

/// All addresses, of both families.
pub(super) fn dump_addresses() -> Request {
    Request::new(
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        "the addresses",
    )
}

/// A route's next hop as a request has it.
pub(super) struct NextHop {
    /// `RTA_GATEWAY`.
    pub(super) via: Option<IpAddr>,
    /// `RTA_OIF`.
    pub(super) link: Option<u32>,
    /// `RTA_PREFSRC`.
    pub(super) source: Option<IpAddr>,
    /// `RTN_UNREACHABLE` instead of `RTN_UNICAST`.
    pub(super) unreachable: bool,
}

impl NextHop {
    /// Where a route leads; `link` is the kernel's number of the link that it names, if it names one.
    /// `None` for a route of a shape that we never make.
    pub(super) fn of(route: &Route, link: Option<u32>) -> Option<Self> {
        let hop = Self {
            via: None,
            link,
            source: route.source,
            unreachable: false,
        };
        match &route.target {
            Target::Via(via) => Some(Self { via: Some(*via), ..hop }),
            Target::Unreachable => Some(Self {
                unreachable: true,
                ..hop
            }),
            Target::Link(_) => link.map(|_| hop),
            Target::Strange => None,
        }
    }

    /// Out of a link, with no gateway.
    pub(super) fn link(index: u32) -> Self {
        Self {
            via: None,
            link: Some(index),
            source: None,
            unreachable: false,
        }
    }

    /// By way of `via`.
    pub(super) fn via(via: IpAddr) -> Self {
        Self {
            via: Some(via),
            link: None,
            source: None,
            unreachable: false,
        }
    }
}

fn route(key: &RouteKey, protocol: u8, scope: RouteScope, kind: RouteType) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(key.prefix.family()),
        destination_prefix_length: key.prefix.prefix(),
        tos: key.tos,
        table: u8::try_from(key.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        protocol: RouteProtocol::from(protocol),
        scope,
        kind,
        ..RouteHeader::default()
    };
    if key.prefix.prefix() > 0 {
        message
            .attributes
            .push(RouteAttribute::Destination(RouteAddress::from(key.prefix.first())));
    }
    if key.table > 255 {
        message.attributes.push(RouteAttribute::Table(key.table));
    }
    if key.metric > 0 {
        message.attributes.push(RouteAttribute::Priority(key.metric));
    }
    message
}

/// A route. Without `replace` it is refused when its slot is taken, by us or by others.
pub(super) fn new_route(key: &RouteKey, protocol: u8, hop: &NextHop, replace: bool) -> Request {
    // A route out of a link reaches the link; IPv6 knows no scopes (rtnetlink(7)).
    let direct = hop.link.is_some() && hop.via.is_none() && !hop.unreachable;
    let scope = match (key.prefix.family(), direct) {
        (Family::V4, true) => RouteScope::Link,
        _ => RouteScope::Universe,
    };
    let kind = if hop.unreachable {
        RouteType::Unreachable
    } else {
        RouteType::Unicast
    };
    let mut message = route(key, protocol, scope, kind);
    message
        .attributes
        .extend(hop.via.map(|via| RouteAttribute::Gateway(via.into())));
    message.attributes.extend(hop.link.map(RouteAttribute::Oif));
    message
        .attributes
        .extend(hop.source.map(|source| RouteAttribute::PrefSource(source.into())));
    let flags = NLM_F_CREATE | if replace { NLM_F_REPLACE } else { NLM_F_EXCL };
    Request::new(RouteNetlinkMessage::NewRoute(message), key.to_string()).flags(flags)
}

/// The removal of a route of ours: it must have our protocol number to match.
pub(super) fn del_route(key: &RouteKey) -> Request {
    // Scope "nowhere" matches any scope, type 0 any type (net/ipv4/fib_trie.c, fib_table_delete).
    let message = route(key, ROUTE_PROTOCOL, RouteScope::NoWhere, RouteType::Unspec);
    Request::new(RouteNetlinkMessage::DelRoute(message), format!("the removal of {key}"))
}

/// The same, but only if the route still leads where it was seen to lead: another may have taken its slot.
pub(super) fn del_seen_route(key: &RouteKey, hop: &NextHop) -> Request {
    let kind = if hop.unreachable {
        RouteType::Unreachable
    } else {
        RouteType::Unspec
    };
    let mut message = route(key, ROUTE_PROTOCOL, RouteScope::NoWhere, kind);
    message
        .attributes
        .extend(hop.via.map(|via| RouteAttribute::Gateway(via.into())));
    message.attributes.extend(hop.link.map(RouteAttribute::Oif));
    Request::new(RouteNetlinkMessage::DelRoute(message), format!("the removal of {key}"))
}

/// Routes of one family; with a protocol number, only those that carry it (the kernel filters).
pub(super) fn dump_routes(of: Family, protocol: u8) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family(of);
    message.header.protocol = RouteProtocol::from(protocol);
    Request::new(
        RouteNetlinkMessage::GetRoute(message),
        format!("the IPv{} routes", of.number()),
    )
}

/// All routes of a table.
pub(super) fn dump_table(of: Family, table: u32) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family(of);
    message.attributes.push(RouteAttribute::Table(table));
    Request::new(
        RouteNetlinkMessage::GetRoute(message),
        format!("the IPv{} routes of the table {table}", of.number()),
    )
}

/// `RTM_GETRULE`.
const GET_RULE: u16 = 34;

/// Bytes of a `struct fib_rule_hdr`.
const RULE_HEADER: usize = 12;

/// The rules that say which table a packet is looked up in.
pub(super) fn dump_rules(of: Family) -> Request {
    let mut header = vec![0; RULE_HEADER];
    header[0] = u8::from(family(of));
    Request::of(
        Body::Raw(GET_RULE, header),
        format!("the IPv{} rules of routing", of.number()),
    )
}

/// A key in the main table for a route that is not of the agent's protocol, such as inside a pod.
pub(super) fn pod_route_key(prefix: Cidr) -> RouteKey {
    RouteKey {
        table: MAIN_TABLE,
        ..RouteKey::ours(prefix)
    }
}
