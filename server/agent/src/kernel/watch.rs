//! What the kernel announces of others' doing.
//!
//! It announces more than is commonly thought: also the switches (`RTNLGRP_*_NETCONF`). What it does not
//! announce goes together with something that it does: an IPv4 route that goes with its link (the
//! link), an IPv6 route that loses its source (the address). The packet filter alone is asked, for the
//! number of its generation: its announcements cost more than they tell.

#![expect(clippy::disallowed_methods, reason = "what is under /proc is the kernel itself")]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use portolan_plan::{Event, News};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::decode::{self, RawLink};
use super::filter::Filter;
use super::own::Own;
use super::socket::{Reply, Socket};
use super::sockets::Sockets;
use super::{KernelError, messages};

/// Of the receive buffer, in bytes: room for some 10,000 announcements.
const RECEIVE_BUFFER: usize = 8 << 20;

/// More announcements than the buffer can hold.
const MOST_HELD: u32 = 1 << 17;

/// How often the packet filter is asked whether it has changed.
const FILTER_EVERY: Duration = Duration::from_secs(1);

/// The next news, on its way.
pub type Told<'a> = Pin<Box<dyn Future<Output = News> + Send + 'a>>;

/// Listens to a kernel.
pub trait Watch: Send {
    /// Waits for the next news that are not our own doing. Nothing is lost when the future is dropped.
    fn next(&mut self) -> Told<'_>;
}

/// What of a link calls for news.
#[derive(PartialEq, Eq)]
struct SeenLink {
    name: String,
    up: bool,
    mtu: u32,
}

impl From<RawLink> for SeenLink {
    fn from(raw: RawLink) -> Self {
        let RawLink { name, up, mtu, .. } = raw;
        Self { name, up, mtu }
    }
}

/// Listens by a routing socket.
pub(super) struct NetlinkWatch {
    socket: AsyncFd<Socket>,
    sockets: Arc<Sockets>,
    told: Teller,
    filter: Filter,
    /// The filter's generation; `None` where there is no filter.
    generation: Option<u32>,
    ask_filter: Interval,
}

impl NetlinkWatch {
    pub(super) fn open(sockets: &Arc<Sockets>) -> Result<Self, KernelError> {
        let talk = |source: io::Error| KernelError::Talk {
            what: "its announcements".into(),
            source,
        };
        let mut socket = sockets.open().map_err(talk)?;
        socket.hold(RECEIVE_BUFFER).map_err(talk)?;
        for group in messages::ALL_GROUPS {
            socket.listen(group).map_err(talk)?;
        }
        // After it listens: a link that changes meanwhile is in both.
        let links = read_links(sockets)?;
        let filter = Filter::default();
        // It is asked again soon.
        let generation = filter.generation(sockets).unwrap_or(None);
        let mut ask_filter = interval(FILTER_EVERY);
        ask_filter.set_missed_tick_behavior(MissedTickBehavior::Delay);
        #[expect(
            deprecated,
            reason = "what follows it is unsafe to call; a `Socket` keeps its descriptor open, which is all that is asked"
        )]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE).map_err(talk)?;
        Ok(Self {
            socket,
            sockets: Arc::clone(sockets),
            told: Teller {
                own: sockets.own().clone(),
                links,
                programs: Programs::default(),
                pending: VecDeque::new(),
            },
            filter,
            generation,
            ask_filter,
        })
    }

    async fn next_news(&mut self) -> News {
        loop {
            if let Some(news) = self.told.pending.pop_front() {
                return news;
            }
            let heard = tokio::select! {
                ready = self.socket.readable_mut() => match ready {
                    Ok(mut ready) => {
                        let heard = ready.get_inner_mut().notifications_now();
                        if heard.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                            ready.clear_ready();
                            continue;
                        }
                        heard
                    }
                    // The runtime ends.
                    Err(_) => std::future::pending().await,
                },
                _ = self.ask_filter.tick() => {
                    self.look_at_filter();
                    continue;
                }
            };
            match heard {
                Ok(replies) => replies.iter().for_each(|reply| self.told.hear(reply)),
                Err(_) => self.overrun(),
            }
        }
    }

    /// More happened than the buffer holds (`ENOBUFS`), or the socket said something else. The kernel
    /// says so once and then drops what comes until the buffer is empty (`NETLINK_S_CONGESTED`): it
    /// is emptied first.
    fn overrun(&mut self) {
        for _ in 0..MOST_HELD {
            match self.socket.get_mut().notifications_now() {
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => break,
                _ => {}
            }
        }
        match read_links(&self.sockets) {
            Ok(links) => self.told.links = links,
            Err(error) => tracing::warn!(%error, "cannot read the links after news were lost"),
        }
        self.told.pending.push_back(Event::Overrun.into());
    }

    fn look_at_filter(&mut self) {
        match self.filter.generation(&self.sockets) {
            Ok(generation) if generation != self.generation => {
                self.generation = generation;
                self.told.pending.push_back(Event::Filter.into());
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot ask the packet filter"),
        }
    }
}

impl Watch for NetlinkWatch {
    fn next(&mut self) -> Told<'_> {
        Box::pin(self.next_news())
    }
}

fn read_links(sockets: &Sockets) -> Result<BTreeMap<u32, SeenLink>, KernelError> {
    let replies = sockets.with(|socket| socket.dump(&messages::dump_links()))?;
    let links = replies.iter().filter_map(|reply| decode::link(&reply.payload));
    Ok(links.map(|raw| (raw.index, raw.into())).collect())
}

/// Makes news of announcements.
struct Teller {
    own: Own,
    links: BTreeMap<u32, SeenLink>,
    programs: Programs,
    pending: VecDeque<News>,
}

impl Teller {
    fn hear(&mut self, reply: &Reply) {
        let payload = reply.payload.as_slice();
        let event = match reply.kind {
            messages::NEW_LINK | messages::DEL_LINK => self.hear_link(payload, reply.kind == messages::DEL_LINK),
            messages::NEW_ADDRESS | messages::DEL_ADDRESS => decode::address(payload)
                .filter(|raw| !self.own.removes(raw.index))
                .map(|raw| Event::Address {
                    address: raw.address,
                    gone: reply.kind == messages::DEL_ADDRESS,
                }),
            messages::NEW_ROUTE | messages::DEL_ROUTE => decode::route(payload).map(|raw| Event::Route {
                table: raw.table,
                prefix: raw.prefix,
                protocol: raw.protocol,
            }),
            messages::NEW_NETCONF if decode::forwarding(payload) == Some(false) => Some(Event::ForwardingOff),
            _ => None,
        };
        let Some(event) = event.filter(|_| !self.own.has_port(reply.port)) else {
            return;
        };
        let by = self.programs.name(reply.port);
        self.pending.push_back(News { event, by });
    }

    /// Links are announced for many reasons, such as counters of a bridge's port.
    fn hear_link(&mut self, payload: &[u8], gone: bool) -> Option<Event> {
        // Another family's view of the link, such as a bridge's.
        if payload.first() != Some(&0) {
            return None;
        }
        let raw = decode::link(payload)?;
        let index = raw.index;
        if gone {
            self.links.remove(&index);
        }
        if self.own.removes(index) {
            return None;
        }
        if gone {
            let name = raw.name;
            return Some(Event::Link { name, up: false });
        }
        let seen = SeenLink::from(raw);
        let event = Event::Link {
            name: seen.name.clone(),
            up: seen.up,
        };
        match self.links.get(&index) {
            Some(before) if *before == seen => return None,
            // A new link that is down takes nothing away.
            None if !seen.up => {
                self.links.insert(index, seen);
                return None;
            }
            _ => {}
        }
        self.links.insert(index, seen);
        Some(event)
    }
}

/// Names of programs by the ports of their sockets.
#[derive(Default)]
struct Programs {
    /// The last one that was asked for: announcements come in runs.
    last: Option<(u32, Option<String>)>,
}

impl Programs {
    /// The program whose socket has this port, if it still runs. The kernel gives the first socket of a
    /// process its number as port (`netlink_autobind`); other ports tell nothing.
    fn name(&mut self, port: u32) -> Option<String> {
        match &self.last {
            Some((last, name)) if *last == port => name.clone(),
            _ => {
                let name = named(port);
                self.last = Some((port, name.clone()));
                name
            }
        }
    }
}

/// The process of that number, if it holds the socket of that port: in a container the number is another process's.
fn named(port: u32) -> Option<String> {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").ok()?;
    let socket = format!("socket:[{}]", inode(&sockets, port)?);
    let mut held = std::fs::read_dir(format!("/proc/{port}/fd")).ok()?.flatten();
    held.find(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))?;
    let name = std::fs::read_to_string(format!("/proc/{port}/comm")).ok()?;
    Some(format!("{}, process {port}", name.trim_end()))
}

/// The inode of the socket for routes that has this port, of the kernel's list: `sk Eth Pid Groups … Inode`.
fn inode(sockets: &str, port: u32) -> Option<&str> {
    let lines = sockets.lines().skip(1);
    let mut rows = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1) == Some(&"0") && row.get(2).is_some_and(|pid| pid.parse() == Ok(port)))?;
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use portolan_shared::addr::Cidr;

    use super::*;

    fn teller() -> Teller {
        Teller {
            own: Own::default(),
            links: BTreeMap::new(),
            programs: Programs::default(),
            pending: VecDeque::new(),
        }
    }

    fn link(kind: u16, family: u8, up: bool) -> Reply {
        let mut payload = vec![family, 0, 0, 0];
        payload.extend(7u32.to_ne_bytes());
        payload.extend(u32::from(up).to_ne_bytes());
        payload.extend([0; 4]);
        payload.extend([9, 0, 3, 0]);
        payload.extend(b"eth0\0\0\0\0");
        Reply { kind, port: 0, payload }
    }

    #[test]
    fn of_a_link_only_what_changes_is_news() {
        let mut teller = teller();
        let news = |teller: &mut Teller, reply: &Reply| {
            teller.hear(reply);
            teller.pending.pop_front().map(|news| news.event)
        };
        let told = |up| {
            Some(Event::Link {
                name: "eth0".into(),
                up,
            })
        };
        assert_eq!(
            news(&mut teller, &link(messages::NEW_LINK, 0, false)),
            None,
            "new and down"
        );
        assert_eq!(news(&mut teller, &link(messages::NEW_LINK, 0, true)), told(true));
        assert_eq!(news(&mut teller, &link(messages::NEW_LINK, 0, true)), None);
        assert_eq!(
            news(&mut teller, &link(messages::NEW_LINK, 7, false)),
            None,
            "a bridge's view"
        );
        assert_eq!(news(&mut teller, &link(messages::NEW_LINK, 0, false)), told(false));
        assert_eq!(news(&mut teller, &link(messages::DEL_LINK, 0, false)), told(false));
    }

    #[test]
    fn a_program_is_named_only_if_it_holds_the_socket() {
        let open = || {
            let mut socket = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
            let port = socket.bind_auto().unwrap().port_number();
            (socket, port)
        };
        // The first one of a process has the process's number, any other a number that no process has.
        let sockets = [open(), open()];
        for (_, port) in &sockets {
            let named = named(*port);
            assert_eq!(named.is_some(), *port == std::process::id(), "{named:?}");
        }
        assert_eq!(named(1 << 30), None, "nobody has that port");
        let list = "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n\
                    0 16 25 0 0 0 0 2 0 51\n0 0 25 0 0 0 0 2 0 52\n";
        assert_eq!((inode(list, 25), inode(list, 1)), (Some("52"), None));
    }

    #[test]
    fn what_we_did_ourselves_is_no_news() {
        let mut teller = teller();
        let port = 77;
        let known = teller.own.port(port);
        let mut payload = vec![2, 32, 0, 0, 254, 157, 0, 1, 0, 0, 0, 0];
        payload.extend([8, 0, 1, 0, 10, 1, 0, 5]);
        let removed = |port| Reply {
            kind: messages::DEL_ROUTE,
            port,
            payload: payload.clone(),
        };
        teller.hear(&removed(port));
        assert_eq!(teller.pending.pop_front().map(|news| news.event), None);
        let news = Event::Route {
            table: 254,
            prefix: "10.1.0.5/32".parse::<Cidr>().unwrap(),
            protocol: 157,
        };
        teller.hear(&removed(0));
        assert_eq!(teller.pending.pop_front().map(|news| news.event), Some(news.clone()));
        drop(known);
        teller.hear(&removed(port));
        assert_eq!(
            teller.pending.pop_front().map(|news| news.event),
            Some(news),
            "the port is another's by now"
        );
        // A link that we remove is set down first, by nobody's request.
        teller.hear(&link(messages::NEW_LINK, 0, true));
        teller.pending.clear();
        teller.own.removing(7);
        teller.hear(&link(messages::NEW_LINK, 0, false));
        teller.hear(&link(messages::DEL_LINK, 0, false));
        assert_eq!(teller.pending.pop_front().map(|news| news.event), None);
    }
}
