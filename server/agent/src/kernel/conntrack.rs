//! Flows that the kernel keeps (`nf_conntrack`): those that a host port led to a pod end with it, and those that went
//! elsewhere before it came.
//!
//! A flow remembers where its first packet was led to, and a stream of datagrams would go on there for as long as it lasts.
//! Numbers and shapes: `linux/netfilter/nfnetlink_conntrack.h`.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use portolan_plan::PortSlot;
use portolan_shared::addr::Family;
use portolan_shared::host_port::Transport;

use super::filter::{attribute, unless_missing};
use super::nft::{self, Attributes};
use super::socket::Reply;
use super::{KernelError, Netlink};

/// `NFNL_SUBSYS_CTNETLINK`, in the upper half of a message's type: `IPCTNL_MSG_CT_GET`, `IPCTNL_MSG_CT_DELETE`.
const GET: u16 = (1 << 8) | 1;
const DELETE: u16 = (1 << 8) | 2;

const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const FILTER: u16 = 25;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
/// `CTA_FILTER_F_CTA_IP_SRC`, `_PROTO_NUM`, `_PROTO_DST_PORT`: what of a tuple is asked for.
const BY_SOURCE: u32 = 1 << 0;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_PORT: u32 = 1 << 5;

/// A flow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flow {
    protocol: u8,
    /// Where its first packet was sent to.
    to: SocketAddr,
    /// Who answers.
    by: SocketAddr,
    /// What the kernel knows it by.
    original: Vec<u8>,
    id: Vec<u8>,
}

/// `CTA_IP_V4_SRC`, `_DST`, `CTA_IP_V6_SRC`, `_DST`.
const fn address_kinds(family: Family) -> (u16, u16) {
    match family {
        Family::V4 => (1, 2),
        Family::V6 => (3, 4),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        16 => Some(IpAddr::from(*bytes.first_chunk::<16>()?)),
        _ => None,
    }
}

/// The protocol, the source and the destination of a tuple; protocols without ports have none.
fn tuple(family: Family, bytes: &[u8]) -> Option<(u8, SocketAddr, SocketAddr)> {
    let (source, destination) = address_kinds(family);
    let (ip, proto) = (attribute(bytes, TUPLE_IP)?, attribute(bytes, TUPLE_PROTO)?);
    let port = |kind| Some(u16::from_be_bytes(*attribute(&proto, kind)?.first_chunk()?));
    let end = |of, at| Some(SocketAddr::new(address(&attribute(&ip, of)?)?, port(at)?));
    Some((*attribute(&proto, 1)?.first()?, end(source, 2)?, end(destination, 3)?))
}

fn flow(family: Family, reply: &Reply) -> Option<Flow> {
    let attributes = reply.payload.get(4..)?;
    let original = attribute(attributes, ORIGINAL)?;
    let (protocol, _, to) = tuple(family, &original)?;
    let (_, by, _) = tuple(family, &attribute(attributes, REPLY)?)?;
    Some(Flow {
        protocol,
        to,
        by,
        original,
        id: attribute(attributes, ID)?,
    })
}

impl Netlink {
    /// Ends flows that were led to where these entries led.
    pub(super) fn forget_flows(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError> {
        let pods: BTreeSet<IpAddr> = slots.iter().filter_map(|(_, to)| Some(to.as_ref()?.ip())).collect();
        for pod in pods {
            let family = Family::of(pod);
            let (source, _) = address_kinds(family);
            let bytes = match pod {
                IpAddr::V4(pod) => pod.octets().to_vec(),
                IpAddr::V6(pod) => pod.octets().to_vec(),
            };
            let ip = Attributes::default().bytes(source, &bytes);
            let tuple = Attributes::default().nest(TUPLE_IP, &ip);
            let filter = Attributes::default().bytes(2, &BY_SOURCE.to_ne_bytes());
            let asked = Attributes::default().nest(REPLY, &tuple).nest(FILTER, &filter);
            let ends = |flow: &Flow| {
                let led = |(slot, to): &(PortSlot, Option<SocketAddr>)| match slot {
                    PortSlot::At(_, protocol, port) | PortSlot::All(_, protocol, port) => {
                        *to == Some(flow.by) && protocol.number() == flow.protocol && *port == flow.to.port()
                    }
                    PortSlot::Own(_) => false,
                };
                flow.by.ip() == pod && flow.to != flow.by && slots.iter().any(led)
            };
            self.end_flows(family, &asked, ends)?;
        }
        Ok(())
    }

    /// Ends flows of datagrams to ports of this host that these entries lead elsewhere by now.
    pub(super) fn forget_stale_flows(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError> {
        let mut own = None;
        for (slot, to) in slots {
            let (at, port) = match slot {
                PortSlot::At(address, Transport::Udp, port) => (Some(*address), *port),
                PortSlot::All(_, Transport::Udp, port) => (None, *port),
                _ => continue,
            };
            let own: &BTreeSet<IpAddr> = match &mut own {
                Some(own) => own,
                none => none.insert(self.addresses()?.into_iter().map(|raw| raw.address).collect()),
            };
            let proto = Attributes::default()
                .bytes(1, &[Transport::Udp.number()])
                .bytes(3, &port.to_be_bytes());
            let tuple = Attributes::default().nest(TUPLE_PROTO, &proto);
            let filter = Attributes::default().bytes(1, &(BY_PROTOCOL | BY_PORT).to_ne_bytes());
            let asked = Attributes::default().nest(ORIGINAL, &tuple).nest(FILTER, &filter);
            let ends = |flow: &Flow| {
                flow.protocol == Transport::Udp.number()
                    && flow.to.port() == port
                    && Some(flow.by) != *to
                    && at.map_or_else(|| own.contains(&flow.to.ip()), |at| at == flow.to.ip())
            };
            self.end_flows(slot.family(), &asked, ends)?;
        }
        Ok(())
    }

    /// Ends those flows of a family that are meant. `asked` makes the kernel tell fewer, where it can.
    fn end_flows(
        &self,
        family: Family,
        asked: &Attributes,
        is_meant: impl Fn(&Flow) -> bool,
    ) -> Result<(), KernelError> {
        let dump = nft::request(GET, family, asked, "the flows by host ports");
        // Where flows are not kept, none is led anywhere.
        let replies = unless_missing(self.filter.with(&self.sockets, |socket| socket.dump(&dump)))?.unwrap_or_default();
        for flow in replies.iter().filter_map(|reply| flow(family, reply)).filter(is_meant) {
            let known_by = Attributes::default()
                .nest(ORIGINAL, &Attributes(flow.original))
                .bytes(ID, &flow.id);
            let request = nft::request(DELETE, family, &known_by, "a flow by a host port");
            match self.filter.with(&self.sockets, |socket| socket.one(request)) {
                // It has ended by itself.
                Err(error) if !error.is_absent() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
