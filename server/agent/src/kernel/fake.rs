//! A kernel in memory that can refuse, for tests and simulations.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use portolan_plan::testing::drop_link;
use portolan_plan::{Foreign, Link, News, NodeAddresses, Observed, PortSlot, RouteKey, Sysctl, Target, pod, pod_keys};
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::host_port::HostPort;
use tokio::sync::mpsc;

use super::{AttachError, Attachment, Kernel, KernelError, NamespaceError, ProbeEnd, RouteChange, Told, Watch, Wiring};

/// What the fake kernel holds: what is observed, and strangers' routes beside it.
#[derive(Debug, Default, Clone)]
pub struct State {
    /// What the agent observes.
    pub seen: Observed,
    /// Slots that hold routes which are not ours.
    pub strangers: BTreeMap<RouteKey, String>,
    /// How many changes were asked for.
    pub calls: usize,
    /// The pods' namespaces, with the kernel's number of each. A path that is not here leads to a
    /// namespace that is gone.
    pub namespaces: BTreeMap<PathBuf, u64>,
    /// Where pods' links end: namespace and interface, by the link's name.
    pub ends: BTreeMap<String, (PathBuf, String)>,
    /// Pods' links are not made.
    pub refuse_attach: bool,
    /// Pods' links are not removed.
    pub refuse_detach: bool,
    /// What others have.
    pub foreign: Foreign,
    /// Programs of the host, by the port that they have.
    pub programs: BTreeMap<u16, String>,
}

/// The number of the link of an end of probes.
const PROBES: u32 = 9_000;

/// A fake kernel.
#[derive(Default)]
pub struct FakeKernel {
    /// What it holds.
    pub state: Mutex<State>,
    /// The number of the call (from 0) that fails, if any.
    pub fail_at: Option<usize>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<News>>>,
}

impl FakeKernel {
    /// A kernel that holds this and refuses nothing.
    pub fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            fail_at: None,
            listeners: Mutex::default(),
        }
    }

    /// Tells all who listen.
    pub fn tell(&self, news: &News) {
        self.listeners
            .lock()
            .retain(|listener| listener.send(news.clone()).is_ok());
    }

    fn call(&self, what: &str, work: impl FnOnce(&mut State) -> Result<(), i32>) -> Result<(), KernelError> {
        let mut state = self.state.lock();
        let number = state.calls;
        state.calls += 1;
        let result = if self.fail_at == Some(number) {
            Err(libc::ENOBUFS)
        } else {
            work(&mut state)
        };
        result.map_err(|errno| KernelError::Refused {
            what: what.to_owned(),
            errno,
            message: None,
        })
    }
}

impl Kernel for FakeKernel {
    fn observe(&self) -> Result<Observed, KernelError> {
        Ok(self.state.lock().seen.clone())
    }

    fn foreign(&self, _: &[Cidr]) -> Result<Foreign, KernelError> {
        Ok(self.state.lock().foreign.clone())
    }

    fn watch(&self) -> Result<Box<dyn Watch>, KernelError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.lock().push(sender);
        Ok(Box::new(FakeWatch(receiver)))
    }

    fn change_routes(&self, changes: &[RouteChange]) -> Vec<Result<(), KernelError>> {
        let one = |change: &RouteChange| match change {
            RouteChange::Put { key, route, replace } => self.call(&key.to_string(), |state| {
                if state.strangers.contains_key(key) || (state.seen.routes.contains_key(key) && !replace) {
                    return Err(libc::EEXIST);
                }
                if let Some(source) = route.source
                    && !state.seen.addresses.contains_key(&source)
                {
                    return Err(libc::EINVAL);
                }
                if let Target::Link(name) = &route.target {
                    let up = state.seen.links.get(name).map(|link| link.up);
                    up.filter(|up| *up)
                        .ok_or(if up.is_some() { libc::ENETDOWN } else { libc::ENODEV })?;
                }
                state.seen.routes.insert(*key, route.clone());
                Ok(())
            }),
            RouteChange::Drop { key, .. } => self.call(&key.to_string(), |state| {
                state.seen.routes.remove(key);
                Ok(())
            }),
        };
        changes.iter().map(one).collect()
    }

    fn put_gateway(&self) -> Result<(), KernelError> {
        self.call("the gateway", |state| {
            state.seen.gateway = true;
            Ok(())
        })
    }

    fn turn_on(&self, sysctl: Sysctl) -> Result<(), KernelError> {
        self.call(sysctl.path(), |state| match state.seen.sysctls.get_mut(&sysctl) {
            Some(value) => {
                *value = true;
                Ok(())
            }
            None => Err(libc::ENOENT),
        })
    }

    fn mend_link(&self, name: &str, gateway: bool) -> Result<(), KernelError> {
        self.call(name, |state| {
            let link = state.seen.links.get_mut(name).ok_or(libc::ENODEV)?;
            link.up = true;
            link.gateway |= gateway;
            Ok(())
        })
    }

    fn put_probe_end(&self, end: &ProbeEnd<'_>) -> Result<(), KernelError> {
        self.call(end.link, |state| {
            let link = Link {
                index: PROBES,
                mtu: end.how.mtu,
                pod: false,
                up: true,
                gateway: end.addresses.iter().any(IpAddr::is_ipv6),
            };
            state.seen.links.insert(end.link.to_owned(), link);
            state
                .seen
                .routes
                .extend(pod(end.link, end.addresses, &[], &end.node).routes);
            Ok(())
        })
    }

    fn put_port_rules(&self, family: Family) -> Result<(), KernelError> {
        self.call("the rules for host ports", |state| {
            state.seen.port_rules.insert(family);
            Ok(())
        })
    }

    fn put_host_ports(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError> {
        self.call("host ports", |state| {
            state.seen.host_ports.extend(slots.iter().copied());
            Ok(())
        })
    }

    fn drop_host_ports(&self, slots: &[(PortSlot, Option<SocketAddr>)]) -> Result<(), KernelError> {
        self.call("host ports", |state| {
            for (slot, _) in slots {
                state.seen.host_ports.remove(slot);
            }
            Ok(())
        })
    }

    fn drop_link(&self, name: &str) -> Result<(), KernelError> {
        self.call(name, |state| {
            drop_link(&mut state.seen, name);
            Ok(())
        })
    }
}

/// What is told to a fake kernel's listeners.
struct FakeWatch(mpsc::UnboundedReceiver<News>);

impl Watch for FakeWatch {
    fn next(&mut self) -> Told<'_> {
        Box::pin(async {
            match self.0.recv().await {
                Some(news) => news,
                None => std::future::pending().await,
            }
        })
    }
}

fn refused(what: &str) -> KernelError {
    KernelError::Refused {
        what: what.to_owned(),
        errno: libc::ENOBUFS,
        message: None,
    }
}

impl Wiring for FakeKernel {
    /// Panics if another pod's link has one of the addresses: none may ever be given twice.
    fn attach(&self, attachment: &Attachment<'_>) -> Result<u64, AttachError> {
        let inode = self.namespace(attachment.netns)?;
        let mut state = self.state.lock();
        if state.refuse_attach {
            return Err(refused(attachment.host_link).into());
        }
        let Attachment {
            host_link,
            addresses,
            host_ports,
            node,
            ..
        } = attachment;
        let slots = pod(host_link, addresses, host_ports, node);
        let seen = &mut state.seen;
        for (slot, to) in slots.ports {
            seen.port_rules.insert(slot.family());
            seen.host_ports.insert(slot, to);
        }
        for (key, route) in slots.routes {
            let before = seen.routes.insert(key, route);
            let other = before.is_some_and(|before| match before.target {
                Target::Link(name) => name != attachment.host_link && seen.links.contains_key(&name),
                Target::Via(_) | Target::Unreachable | Target::Strange => false,
            });
            assert!(!other, "the address of {key} was given twice");
        }
        let index = seen.links.values().map(|link| link.index).max().unwrap_or(0) + 1;
        let link = Link {
            index,
            mtu: attachment.mtu,
            pod: true,
            up: true,
            gateway: attachment.addresses.iter().any(IpAddr::is_ipv6),
        };
        seen.links.insert(attachment.host_link.to_owned(), link);
        let end = (attachment.netns.to_owned(), attachment.ifname.to_owned());
        state.ends.insert(attachment.host_link.to_owned(), end);
        Ok(inode)
    }

    fn detach(&self, host_link: &str, addresses: &[IpAddr], host_ports: &[HostPort]) -> Result<(), KernelError> {
        let mut state = self.state.lock();
        if state.refuse_detach {
            return Err(refused(host_link));
        }
        for key in pod_keys(addresses) {
            state.seen.routes.remove(&key);
        }
        for (slot, _) in pod(host_link, addresses, host_ports, &NodeAddresses::default()).ports {
            state.seen.host_ports.remove(&slot);
        }
        drop_link(&mut state.seen, host_link);
        Ok(())
    }

    fn differences(&self, attachment: &Attachment<'_>) -> Result<Vec<String>, AttachError> {
        let there = self.state.lock().seen.links.contains_key(attachment.host_link);
        Ok(if there { vec![] } else { vec!["the link is gone".into()] })
    }

    fn port_user(&self, port: &HostPort, _: &str) -> Option<String> {
        self.state.lock().programs.get(&port.host_port.get()).cloned()
    }

    fn namespace(&self, netns: &Path) -> Result<u64, NamespaceError> {
        let found = self.state.lock().namespaces.get(netns).copied();
        found.ok_or_else(|| NamespaceError::Gone {
            path: netns.display().to_string(),
        })
    }

    fn host_end(&self, netns: &Path, ifname: &str) -> Result<Option<String>, AttachError> {
        self.namespace(netns)?;
        let state = self.state.lock();
        let here = |name: &&String| {
            state
                .ends
                .get(*name)
                .is_some_and(|(at, end)| at == netns && end == ifname)
        };
        Ok(state.seen.links.keys().find(here).cloned())
    }
}
