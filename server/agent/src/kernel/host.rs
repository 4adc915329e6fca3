//! The host's own kernel: what a plan is read from and applied to.

#![expect(clippy::disallowed_methods, reason = "what is under /proc/sys is the kernel itself")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netlink_packet_route::address::AddressScope;
use parking_lot::Mutex;
use portolan_plan::{
    Foreign, Link, Observed, POD_GATEWAY_V4, POD_GATEWAY_V6, PortSlot, ROUTE_PROTOCOL, Route, RouteKey, Sysctl, Target,
    is_pod_link, is_probe_link,
};
use portolan_shared::addr::{Cidr, Family};
use portolan_sources::Stopwatch;
use portolan_wire::error_chain;

use super::decode::{self, RawAddress, RawRoute};
use super::filter::Filter;
use super::host_ports::Seen;
use super::messages::NextHop;
use super::netns::Home;
use super::reaper::Reaper;
use super::socket::Request;
use super::sockets::Sockets;
use super::watch::{NetlinkWatch, Watch};
use super::{AttachError, Kernel, KernelError, PodNamespace, ProbeEnd, RouteChange, messages};

/// The kernel's number of `lo` in every namespace.
const LOOPBACK: u32 = 1;
/// `RT_SCOPE_LINK`.
const SCOPE_LINK: u8 = 253;
/// `RTN_UNICAST`.
const UNICAST: u8 = 1;
/// `RTN_UNREACHABLE`.
const UNREACHABLE: u8 = 7;

/// Where the namespace of a host's end of probes is, unless another path is given.
pub const PROBE_NAMESPACE: &str = "/run/netns/portolan-probes";

/// The kernel of one host, by netlink and `/proc/sys`.
pub struct Netlink {
    pub(super) sockets: Arc<Sockets>,
    pub(super) reaper: Reaper,
    pub(super) filter: Filter,
    /// What was seen of host ports, and the generation of the packet filter then.
    pub(super) host_ports: Mutex<Option<(Option<u32>, Seen)>>,
    /// Where the namespace of the end of probes is.
    pub(super) probes: PathBuf,
}

impl Netlink {
    /// The host is the network namespace that this process was started in.
    pub fn open(stopwatch: Arc<dyn Stopwatch>) -> Result<Self, KernelError> {
        let home = Home::here().map_err(|source| KernelError::Talk {
            what: "its own namespace".into(),
            source,
        })?;
        Ok(Self::of(home, stopwatch))
    }

    /// The host is another namespace: for tests and benchmarks that run several in one process.
    pub fn open_at(namespace: PodNamespace, stopwatch: Arc<dyn Stopwatch>) -> Self {
        Self::of(Home::at(namespace), stopwatch)
    }

    fn of(home: Home, stopwatch: Arc<dyn Stopwatch>) -> Self {
        let sockets = Arc::new(Sockets::new(home));
        Self {
            reaper: Reaper::new(Arc::clone(&sockets), stopwatch),
            sockets,
            filter: Filter::default(),
            host_ports: Mutex::default(),
            probes: PathBuf::from(PROBE_NAMESPACE),
        }
    }

    /// The same kernel, with the namespace of the end of probes at another path than [`PROBE_NAMESPACE`].
    #[must_use]
    pub fn with_probes_at(self, namespace: &Path) -> Self {
        Self {
            probes: namespace.to_owned(),
            ..self
        }
    }

    /// A link of the host by name; `None` when there is none.
    pub(super) fn find_link(&self, name: &str) -> Result<Option<decode::RawLink>, KernelError> {
        match self.sockets.with(|socket| socket.one(messages::get_link(name))) {
            Ok(replies) => Ok(replies.iter().find_map(|reply| decode::link(&reply.payload))),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn links(&self) -> Result<BTreeMap<String, Link>, KernelError> {
        let replies = self.sockets.with(|socket| socket.dump(&messages::dump_links()))?;
        let links = replies
            .iter()
            .filter_map(|reply| decode::link(&reply.payload))
            .map(|raw| {
                let pod = raw.kind.as_deref() == Some("veth") && is_pod_link(&raw.name);
                (
                    raw.name,
                    Link {
                        index: raw.index,
                        mtu: raw.mtu,
                        pod,
                        up: raw.up,
                        gateway: false,
                    },
                )
            });
        Ok(links.collect())
    }

    /// Every address of every link.
    pub(super) fn addresses(&self) -> Result<Vec<RawAddress>, KernelError> {
        let replies = self.sockets.with(|socket| socket.dump(&messages::dump_addresses()))?;
        Ok(replies
            .iter()
            .filter_map(|reply| decode::address(&reply.payload))
            .collect())
    }

    fn our_routes(&self, links: &BTreeMap<String, Link>) -> Result<BTreeMap<RouteKey, Route>, KernelError> {
        let names: BTreeMap<u32, &str> = links.iter().map(|(name, link)| (link.index, name.as_str())).collect();
        let mut routes = BTreeMap::new();
        for family in [Family::V4, Family::V6] {
            let dump = self
                .sockets
                .with(|socket| socket.dump(&messages::dump_routes(family, ROUTE_PROTOCOL)));
            let replies = match dump {
                Ok(replies) => replies,
                // A kernel without IPv6 has no IPv6 routes.
                Err(error) if family == Family::V6 && no_such_family(&error) => continue,
                Err(error) => return Err(error),
            };
            // The kernel filters by protocol. Filtered again, because routes in this list may be deleted.
            let ours = replies
                .iter()
                .filter_map(|r| decode::route(&r.payload))
                .filter(|r| r.protocol == ROUTE_PROTOCOL);
            routes.extend(ours.map(|raw| observed_route(&raw, &names)));
        }
        Ok(routes)
    }

    fn read_sysctl(&self, sysctl: Sysctl) -> Option<bool> {
        let path = format!("/proc/sys/{}", sysctl.path());
        let value = self.sockets.home().run(|| std::fs::read_to_string(path)).ok()?.ok()?;
        Some(value.trim() != "0")
    }
}

pub(super) fn no_such_family(error: &KernelError) -> bool {
    matches!(
        error.errno(),
        Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::EINVAL)
    )
}

/// A route of ours as the plan compares it.
fn observed_route(raw: &RawRoute, names: &BTreeMap<u32, &str>) -> (RouteKey, Route) {
    let link = raw.link.and_then(|index| names.get(&index));
    let target = match (raw.strange, raw.kind, raw.gateway, link) {
        (true, ..) => Target::Strange,
        (_, UNREACHABLE, ..) => Target::Unreachable,
        (_, UNICAST, Some(gateway), _) => Target::Via(gateway),
        (_, UNICAST, None, Some(name)) => Target::Link((*name).to_owned()),
        _ => Target::Strange,
    };
    let key = RouteKey {
        table: raw.table,
        prefix: raw.prefix,
        metric: raw.metric,
        tos: raw.tos,
    };
    (
        key,
        Route {
            target,
            source: raw.source,
        },
    )
}

impl Kernel for Netlink {
    fn observe(&self) -> Result<Observed, KernelError> {
        let mut links = self.links()?;
        let addresses = self.addresses()?;
        let on_loopback =
            |a: &RawAddress| a.index == LOOPBACK && a.address == IpAddr::V4(POD_GATEWAY_V4) && a.scope == SCOPE_LINK;
        let gateway = addresses.iter().any(on_loopback);
        let with_gateway: BTreeSet<u32> = addresses
            .iter()
            .filter(|a| a.address == IpAddr::V6(POD_GATEWAY_V6))
            .map(|a| a.index)
            .collect();
        for link in links.values_mut() {
            link.gateway = with_gateway.contains(&link.index);
        }
        let addresses = addresses.iter().map(|a| (a.address, a.index)).collect();
        let routes = self.our_routes(&links)?;
        let sysctls = Sysctl::ALL
            .into_iter()
            .filter_map(|s| Some((s, self.read_sysctl(s)?)))
            .collect();
        let Seen {
            rules: port_rules,
            entries: host_ports,
        } = self.see_host_ports()?;
        Ok(Observed {
            port_rules,
            host_ports,
            routes,
            links,
            addresses,
            gateway,
            sysctls,
        })
    }

    fn change_routes(&self, changes: &[RouteChange]) -> Vec<Result<(), KernelError>> {
        let mut results: Vec<Result<(), KernelError>> = Vec::with_capacity(changes.len());
        let mut requests = Vec::with_capacity(changes.len());
        let mut indexes = BTreeMap::new();
        let mut sent = Vec::with_capacity(changes.len());
        for change in changes {
            match self.route_request(change, &mut indexes) {
                Ok(Some(request)) => {
                    sent.push(true);
                    requests.push(request);
                    results.push(Ok(()));
                }
                Ok(None) => {
                    sent.push(false);
                    results.push(Ok(()));
                }
                Err(error) => {
                    sent.push(false);
                    results.push(Err(error));
                }
            }
        }
        let mut answers = match self.sockets.each(&requests) {
            Ok(answers) => answers.into_iter(),
            Err(error) => {
                // No socket at all: each change failed for the same reason.
                let reason = error_chain(&error);
                let failed = |_: &RouteChange| {
                    Err(KernelError::Talk {
                        what: "the routes".into(),
                        source: io::Error::other(reason.clone()),
                    })
                };
                return changes.iter().map(failed).collect();
            }
        };
        for ((result, change), _) in results.iter_mut().zip(changes).zip(sent).filter(|(_, sent)| *sent) {
            *result = match answers.next() {
                Some(Err(error)) if matches!(change, RouteChange::Drop { .. }) && error.is_absent() => Ok(()),
                Some(answer) => answer.map(drop),
                None => Err(KernelError::Malformed {
                    what: "the routes".into(),
                }),
            };
        }
        results
    }

    fn put_gateway(&self) -> Result<(), KernelError> {
        self.sockets.all(&[
            messages::link_up(LOOPBACK, "lo"),
            messages::new_address(LOOPBACK, IpAddr::V4(POD_GATEWAY_V4), 32, AddressScope::Link, "lo"),
        ])
    }

    fn turn_on(&self, sysctl: Sysctl) -> Result<(), KernelError> {
        let path = format!("/proc/sys/{}", sysctl.path());
        let written = self
            .sockets
            .home()
            .run(|| std::fs::write(path, "1"))
            .and_then(|result| result);
        written.map_err(|error| {
            let what = format!("turning on {}", sysctl.path());
            match error.raw_os_error() {
                Some(errno) => KernelError::Refused {
                    what,
                    errno,
                    message: None,
                },
                None => KernelError::Talk { what, source: error },
            }
        })
    }

    fn mend_link(&self, name: &str, gateway: bool) -> Result<(), KernelError> {
        let link = self.find_link(name)?.ok_or_else(|| KernelError::Refused {
            what: format!("the link {name}"),
            errno: libc::ENODEV,
            message: None,
        })?;
        let mut requests = vec![messages::link_up(link.index, name)];
        if gateway {
            let address = IpAddr::V6(POD_GATEWAY_V6);
            requests.push(messages::new_address(link.index, address, 64, AddressScope::Link, name));
        }
        self.sockets.all(&requests)
    }

    fn foreign(&self, ranges: &[Cidr]) -> Result<Foreign, KernelError> {
        self.read_foreign(ranges)
    }

    fn watch(&self) -> Result<Box<dyn Watch>, KernelError> {
        Ok(Box::new(NetlinkWatch::open(&self.sockets)?))
    }

    fn put_probe_end(&self, end: &ProbeEnd<'_>) -> Result<(), KernelError> {
        let put = self.make_probe_end(end);
        put.map_err(|error| match error {
            AttachError::Kernel(error) => error,
            error => KernelError::Talk {
                what: format!("the namespace of probes {}", self.probes.display()),
                source: io::Error::other(error),
            },
        })
    }

    fn put_port_rules(&self, family: Family) -> Result<(), KernelError> {
        self.make_port_rules(family)
    }

    fn put_host_ports(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError> {
        self.make_host_ports(slots)
    }

    fn drop_host_ports(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError> {
        self.remove_host_ports(slots)
    }

    fn drop_link(&self, name: &str) -> Result<(), KernelError> {
        if let Some(link) = self.find_link(name)? {
            match self.reaper.remove(link.index, name) {
                Err(error) if !error.is_absent() => return Err(error),
                _ => {}
            }
        }
        if is_probe_link(name) {
            self.remove_probe_namespace(name)?;
        }
        Ok(())
    }
}

impl Netlink {
    /// The request for a change; `None` if there is nothing to do: the kernel removes a link's routes with it.
    fn route_request(
        &self,
        change: &RouteChange,
        indexes: &mut BTreeMap<String, Option<u32>>,
    ) -> Result<Option<Request>, KernelError> {
        let (RouteChange::Put { key, route, .. } | RouteChange::Drop { key, route }) = change;
        let link = match &route.target {
            Target::Link(name) => match (self.index_of(name, indexes)?, change) {
                (Some(index), _) => Some(index),
                (None, RouteChange::Drop { .. }) => return Ok(None),
                (None, RouteChange::Put { .. }) => {
                    return Err(KernelError::Refused {
                        what: key.to_string(),
                        errno: libc::ENODEV,
                        message: None,
                    });
                }
            },
            Target::Via(_) | Target::Unreachable | Target::Strange => None,
        };
        let Some(hop) = NextHop::of(route, link) else {
            // It has our protocol but a shape that we never make: only its slot is known.
            return match change {
                RouteChange::Drop { .. } => Ok(Some(messages::del_route(key))),
                RouteChange::Put { .. } => Err(KernelError::Malformed { what: key.to_string() }),
            };
        };
        Ok(Some(match change {
            RouteChange::Put { replace, .. } => messages::new_route(key, ROUTE_PROTOCOL, &hop, *replace),
            RouteChange::Drop { .. } => messages::del_seen_route(key, &hop),
        }))
    }

    /// The kernel's number of a link, asked once for each name.
    fn index_of(&self, name: &str, indexes: &mut BTreeMap<String, Option<u32>>) -> Result<Option<u32>, KernelError> {
        if let Some(index) = indexes.get(name) {
            return Ok(*index);
        }
        let index = self.find_link(name)?.map(|link| link.index);
        indexes.insert(name.to_owned(), index);
        Ok(index)
    }
}
