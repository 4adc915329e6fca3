//! A pod's link: made, checked and taken away.
//!
//! Host: `PODIP/32 dev VETH scope link src NODEIP`, `fe80::1/64` on the link where the pod has IPv6.
//! Pod: its addresses on its interface, `169.254.1.1 dev eth0 scope link` and the default route by
//! it; for IPv6 the default route by `fe80::1`. Four conversations with the kernel in all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::Path;

use netlink_packet_route::address::AddressScope;
use portolan_plan::{
    NodeAddresses, POD_GATEWAY_V4, POD_GATEWAY_V6, PodSlots, ROUTE_PROTOCOL, RouteKey, is_pod_link, pod, pod_keys,
};
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::host_port::HostPort;
use portolan_shared::mac::MacAddress;
use portolan_wire::error_chain;

use super::decode::{self, RawAddress, RawLink};
use super::messages::{self, NextHop, Veth};
use super::socket::Request;
use super::{KernelError, NamespaceError, Netlink, PodNamespace, Socket};

/// The hardware address of every pod link's host end: the same everywhere, so that what a pod has
/// learned stays true when its link is made again.
const HOST_END_MAC: MacAddress = MacAddress::new([0xee; 6]);

/// `RTPROT_BOOT`: what `ip route add` uses; routes inside a pod are the pod's.
const POD_ROUTE_PROTOCOL: u8 = 3;

/// A pod's link as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The host's end.
    pub host_link: &'a str,
    /// The pod's network namespace.
    pub netns: &'a Path,
    /// The name inside the pod.
    pub ifname: &'a str,
    /// Hardware address inside the pod.
    pub mac: MacAddress,
    /// In bytes.
    pub mtu: u32,
    /// The pod's addresses, at most one a family.
    pub addresses: &'a [IpAddr],
    /// Its host ports.
    pub host_ports: &'a [HostPort],
    /// The node's addresses, the source of what the host sends to the pod.
    pub node: NodeAddresses,
}

/// Why a pod has no link.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The namespace cannot be used.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The pod has an interface of that name that is not ours.
    #[error("the pod already has an interface {ifname}")]
    InterfaceExists {
        /// The interface's name in the pod, as the runtime asked for it.
        ifname: String,
    },
    /// The kernel refused a step; what had been made was taken away.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// What became of a pod's namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// It is there; the kernel's number for it.
    Alive(u64),
    /// There is no pod's namespace at the path.
    Gone,
    /// It cannot be found out now.
    Unknown,
}

/// Making and removing pods' links.
pub trait Wiring: Send + Sync {
    /// Makes the link and both sides' routes; leaves nothing behind when it fails. Returns the
    /// number of the pod's namespace.
    fn attach(&self, attachment: &Attachment<'_>) -> Result<u64, AttachError>;

    /// Removes the host ports, the host's routes to the addresses, then the link. What is not there is no error.
    fn detach(&self, host_link: &str, addresses: &[IpAddr], host_ports: &[HostPort]) -> Result<(), KernelError>;

    /// The program of the host, as a name for people, that has a port already; one that was started for `container` does
    /// not count.
    fn port_user(&self, port: &HostPort, container: &str) -> Option<String>;

    /// What differs from the attachment, a sentence each; empty when all is as it should be.
    fn differences(&self, attachment: &Attachment<'_>) -> Result<Vec<String>, AttachError>;

    /// The kernel's number of the pod's namespace, if it is one that a pod can have.
    fn namespace(&self, netns: &Path) -> Result<u64, NamespaceError>;

    /// The name of the host's end of a pod's link, by the interface in the pod; `None` where that is none of ours.
    fn host_end(&self, netns: &Path, ifname: &str) -> Result<Option<String>, AttachError>;

    /// Whether the pod's namespace is still there.
    fn sandbox(&self, netns: &Path) -> Sandbox {
        match self.namespace(netns) {
            Ok(inode) => Sandbox::Alive(inode),
            // A path such as /proc/PID/ns/net leads to the host's own when the number is a host
            // process's by now, as after a reboot: no pod was ever given that.
            Err(NamespaceError::Gone { .. } | NamespaceError::NotANamespace { .. } | NamespaceError::IsHost { .. }) => {
                Sandbox::Gone
            }
            Err(NamespaceError::Unusable { .. }) => Sandbox::Unknown,
        }
    }
}

impl Wiring for Netlink {
    fn attach(&self, attachment: &Attachment<'_>) -> Result<u64, AttachError> {
        let namespace = self.pod_namespace(attachment.netns)?;
        let mut pod = namespace.socket()?;
        let (host_end, pod_end) = self.make_veth(attachment, &namespace, &mut pod)?;
        let wired = all(&mut pod, &pod_side(attachment, pod_end)).and_then(|()| self.wire_host(attachment, host_end));
        match wired {
            Ok(()) => Ok(namespace.inode()),
            Err(error) => {
                if let Err(second) = self.detach(attachment.host_link, attachment.addresses, attachment.host_ports) {
                    tracing::warn!(link = attachment.host_link, error = %error_chain(&second), "a half-made pod link stays");
                }
                Err(error.into())
            }
        }
    }

    fn detach(&self, host_link: &str, addresses: &[IpAddr], host_ports: &[HostPort]) -> Result<(), KernelError> {
        self.remove_host_ports(&pod(host_link, addresses, host_ports, &NodeAddresses::default()).ports)?;
        // Packets stop at once; the link itself takes the kernel longer.
        let mut requests: Vec<Request> = pod_keys(addresses).map(|key| messages::del_route(&key)).collect();
        requests.push(messages::get_link(host_link));
        let mut results = self.sockets.each(&requests)?;
        let link = results
            .pop()
            .unwrap_or_else(|| Err(KernelError::Malformed { what: host_link.into() }));
        let routes = results
            .into_iter()
            .map(|r| r.map(drop))
            .find(|r| r.as_ref().is_err_and(|e| !e.is_absent()));
        let link = match link {
            Ok(replies) => replies.iter().find_map(|r| decode::link(&r.payload)),
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(error),
        };
        if let Some(link) = link {
            match self.reaper.remove(link.index, host_link) {
                Err(error) if !error.is_absent() => return Err(error),
                _ => {}
            }
        }
        routes.unwrap_or(Ok(()))
    }

    fn differences(&self, attachment: &Attachment<'_>) -> Result<Vec<String>, AttachError> {
        let namespace = self.pod_namespace(attachment.netns)?;
        let mut pod = namespace.socket()?;
        let mut found = Vec::new();
        match find(&mut pod, attachment.ifname)? {
            None => found.push(format!("the pod has no interface {}", attachment.ifname)),
            Some(link) => inside_differences(attachment, &link, &mut pod, &mut found)?,
        }
        match self.find_link(attachment.host_link)? {
            None => found.push(format!("the host's end {} is gone", attachment.host_link)),
            Some(link) => self.host_differences(attachment, &link, &mut found)?,
        }
        Ok(found)
    }

    fn port_user(&self, port: &HostPort, container: &str) -> Option<String> {
        self.user_of_port(port, container)
    }

    fn namespace(&self, netns: &Path) -> Result<u64, NamespaceError> {
        self.pod_namespace(netns).map(|namespace| namespace.inode())
    }

    fn host_end(&self, netns: &Path, ifname: &str) -> Result<Option<String>, AttachError> {
        let mut pod = self.pod_namespace(netns)?.socket()?;
        let Some(pod_end) = find(&mut pod, ifname)? else {
            return Ok(None);
        };
        // Each end names the number of the other.
        let replies = self.sockets.with(|socket| socket.dump(&messages::dump_links()))?;
        let links = replies.iter().filter_map(|reply| decode::link(&reply.payload));
        let mut ends = links.filter(|link| pod_end.peer == Some(link.index) && link.peer == Some(pod_end.index));
        Ok(ends.find(|link| is_pod_link(&link.name)).map(|link| link.name))
    }
}

impl Netlink {
    fn pod_namespace(&self, path: &Path) -> Result<PodNamespace, NamespaceError> {
        let namespace = PodNamespace::open(path)?;
        if namespace.inode() == self.sockets.home().inode() {
            return Err(NamespaceError::IsHost {
                path: namespace.path().to_owned(),
            });
        }
        Ok(namespace)
    }

    /// Makes the link; returns the numbers of both ends. A link that already has the name is left from an interrupted
    /// attempt and is removed first.
    fn make_veth(
        &self,
        attachment: &Attachment<'_>,
        namespace: &PodNamespace,
        pod: &mut Socket,
    ) -> Result<(u32, u32), AttachError> {
        let veth = Veth {
            name: attachment.host_link,
            mac: HOST_END_MAC,
            peer: attachment.ifname,
            peer_mac: attachment.mac,
            namespace: namespace.file().as_fd(),
            mtu: attachment.mtu,
        };
        for attempt in 0..2 {
            let requests = [messages::new_veth(&veth), messages::get_link(attachment.host_link)];
            let mut results = self.sockets.each(&requests)?.into_iter();
            let made = results.next().unwrap_or_else(|| Err(malformed(attachment.host_link)));
            let seen = results.next().unwrap_or_else(|| Err(malformed(attachment.host_link)));
            match made {
                Ok(_) => {
                    let link = seen?.iter().find_map(|r| decode::link(&r.payload));
                    let link = link.ok_or_else(|| malformed(attachment.host_link))?;
                    let peer = link.peer.ok_or_else(|| malformed(attachment.host_link))?;
                    return Ok((link.index, peer));
                }
                Err(error) if error.errno() == Some(libc::EEXIST) => {
                    if attempt == 0 && seen.is_ok() {
                        self.detach(attachment.host_link, &[], &[])?;
                    } else if find(pod, attachment.ifname)?.is_some() {
                        return Err(AttachError::InterfaceExists {
                            ifname: attachment.ifname.to_owned(),
                        });
                    } else {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(malformed(attachment.host_link).into())
    }

    fn wire_host(&self, attachment: &Attachment<'_>, index: u32) -> Result<(), KernelError> {
        let name = attachment.host_link;
        let has_v6 = attachment.addresses.iter().any(IpAddr::is_ipv6);
        let mut requests = vec![
            messages::prepare_host_end(index, name, has_v6, !attachment.host_ports.is_empty()),
            messages::link_up(index, name),
        ];
        if has_v6 {
            let gateway = IpAddr::V6(POD_GATEWAY_V6);
            requests.push(messages::new_address(index, gateway, 64, AddressScope::Link, name));
        }
        let steps = requests.len();
        let PodSlots { routes, ports } = slots(attachment);
        let routes: Vec<(RouteKey, NextHop)> = routes
            .iter()
            .filter_map(|(key, route)| Some((*key, NextHop::of(route, Some(index))?)))
            .collect();
        requests.extend(
            routes
                .iter()
                .map(|(key, hop)| messages::new_route(key, ROUTE_PROTOCOL, hop, false)),
        );
        let results = self.sockets.each(&requests)?;
        for (step, result) in results.into_iter().enumerate() {
            let route = step.checked_sub(steps).and_then(|at| routes.get(at));
            match (result, route) {
                (Ok(_), _) => {}
                (Err(error), Some((key, hop))) if error.errno() == Some(libc::EEXIST) => {
                    self.take_slot(key, hop, error)?
                }
                (Err(error), _) => return Err(error),
            }
        }
        self.make_host_ports(&ports)
    }

    /// A route to the pod's address is there already. One of ours is a leftover and is replaced in place; a foreign one
    /// stays.
    fn take_slot(&self, key: &RouteKey, hop: &NextHop, refusal: KernelError) -> Result<(), KernelError> {
        let dump = messages::dump_routes(key.prefix.family(), ROUTE_PROTOCOL);
        let replies = self.sockets.with(|socket| socket.dump(&dump))?;
        let ours = replies.iter().filter_map(|r| decode::route(&r.payload)).any(|r| {
            r.protocol == ROUTE_PROTOCOL
                && (r.table, r.prefix, r.metric, r.tos) == (key.table, key.prefix, key.metric, key.tos)
        });
        if !ours {
            return Err(refusal);
        }
        self.sockets.all(&[messages::new_route(key, ROUTE_PROTOCOL, hop, true)])
    }

    fn host_differences(
        &self,
        attachment: &Attachment<'_>,
        link: &RawLink,
        found: &mut Vec<String>,
    ) -> Result<(), KernelError> {
        if !link.up {
            found.push(format!("the host's end {} is down", attachment.host_link));
        }
        let has_v6 = attachment.addresses.iter().any(IpAddr::is_ipv6);
        let gateway = |a: &RawAddress| a.index == link.index && a.address == IpAddr::V6(POD_GATEWAY_V6);
        if has_v6 && !self.addresses()?.iter().any(gateway) {
            found.push(format!(
                "the host's end {} has lost the gateway {POD_GATEWAY_V6}",
                attachment.host_link
            ));
        }
        for family in families(attachment.addresses) {
            let dump = messages::dump_routes(family, ROUTE_PROTOCOL);
            let replies = self.sockets.with(|socket| socket.dump(&dump))?;
            let routes: Vec<_> = replies.iter().filter_map(|r| decode::route(&r.payload)).collect();
            for key in pod_keys(attachment.addresses) {
                if key.prefix.family() == family
                    && !routes
                        .iter()
                        .any(|r| r.prefix == key.prefix && r.link == Some(link.index))
                {
                    found.push(format!("the host has lost {key}"));
                }
            }
        }
        if !attachment.host_ports.is_empty() {
            let seen = self.see_host_ports()?;
            let slots = slots(attachment).ports.into_iter();
            let lost =
                slots.filter(|(slot, to)| seen.entries.get(slot) != Some(to) || !seen.rules.contains(&slot.family()));
            found.extend(lost.map(|(slot, _)| format!("the host has lost {slot}")));
        }
        Ok(())
    }
}

/// What the pod needs on the host.
fn slots(attachment: &Attachment<'_>) -> PodSlots {
    let Attachment {
        host_link,
        addresses,
        host_ports,
        node,
        ..
    } = attachment;
    pod(host_link, addresses, host_ports, node)
}

fn malformed(what: &str) -> KernelError {
    KernelError::Malformed {
        what: format!("the link {what}"),
    }
}

fn families(addresses: &[IpAddr]) -> impl Iterator<Item = Family> {
    let has = |family| addresses.iter().any(|a| Family::of(*a) == family);
    [(Family::V4, has(Family::V4)), (Family::V6, has(Family::V6))]
        .into_iter()
        .filter(|(_, has)| *has)
        .map(|(f, _)| f)
}

fn all(socket: &mut Socket, requests: &[Request]) -> Result<(), KernelError> {
    socket
        .exchange(requests)
        .into_iter()
        .try_for_each(|result| result.map(drop))
}

pub(super) fn find(socket: &mut Socket, name: &str) -> Result<Option<RawLink>, KernelError> {
    match socket.one(messages::get_link(name)) {
        Ok(replies) => Ok(replies.iter().find_map(|reply| decode::link(&reply.payload))),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The default network of a family.
fn default_route(family: Family) -> Option<Cidr> {
    let any = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Cidr::containing(any, 0)
}

/// The pods' gateway of a family.
const fn gateway(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(POD_GATEWAY_V4),
        Family::V6 => IpAddr::V6(POD_GATEWAY_V6),
    }
}

/// Everything inside the pod, in the order in which the kernel wants it.
fn pod_side(attachment: &Attachment<'_>, index: u32) -> Vec<Request> {
    let name = attachment.ifname;
    let mut requests = vec![messages::link_up(1, "lo")];
    for address in attachment.addresses {
        let prefix = Family::of(*address).bits();
        requests.push(messages::new_address(
            index,
            *address,
            prefix,
            AddressScope::Universe,
            name,
        ));
    }
    requests.push(messages::link_up(index, name));
    for family in families(attachment.addresses) {
        if family == Family::V4
            && let Some(prefix) = Cidr::containing(gateway(family), 32)
        {
            let key = messages::pod_route_key(prefix);
            requests.push(messages::new_route(
                &key,
                POD_ROUTE_PROTOCOL,
                &NextHop::link(index),
                false,
            ));
        }
        if let Some(prefix) = default_route(family) {
            let hop = NextHop {
                link: Some(index),
                ..NextHop::via(gateway(family))
            };
            requests.push(messages::new_route(
                &messages::pod_route_key(prefix),
                POD_ROUTE_PROTOCOL,
                &hop,
                false,
            ));
        }
    }
    requests
}

fn inside_differences(
    attachment: &Attachment<'_>,
    link: &RawLink,
    pod: &mut Socket,
    found: &mut Vec<String>,
) -> Result<(), KernelError> {
    let name = attachment.ifname;
    if !link.up {
        found.push(format!("the pod's interface {name} is down"));
    }
    if link.mac != Some(attachment.mac) {
        let actual = link.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
        found.push(format!(
            "the pod's interface {name} has the hardware address {actual}, not {}",
            attachment.mac
        ));
    }
    let replies = pod.dump(&messages::dump_addresses())?;
    let there: Vec<_> = replies.iter().filter_map(|r| decode::address(&r.payload)).collect();
    for address in attachment.addresses {
        let full = Family::of(*address).bits();
        if !there
            .iter()
            .any(|a| a.index == link.index && a.address == *address && a.prefix == full)
        {
            found.push(format!("the pod's interface {name} has lost the address {address}"));
        }
    }
    for family in families(attachment.addresses) {
        let replies = pod.dump(&messages::dump_routes(family, 0))?;
        let default = replies
            .iter()
            .filter_map(|r| decode::route(&r.payload))
            .any(|r| r.prefix.prefix() == 0 && r.gateway == Some(gateway(family)) && r.link == Some(link.index));
        if !default {
            found.push(format!(
                "the pod has lost its IPv{} default route by {}",
                family.number(),
                gateway(family)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portolan_sources::SystemStopwatch;

    use super::*;

    #[test]
    fn a_path_that_leads_to_the_host_by_now_is_a_sandbox_gone() {
        let kernel = Netlink::open(Arc::new(SystemStopwatch::default())).unwrap();
        assert_eq!(kernel.sandbox(Path::new("/proc/thread-self/ns/net")), Sandbox::Gone);
        assert_eq!(kernel.sandbox(Path::new("/nowhere/at/all")), Sandbox::Gone);
    }
}
