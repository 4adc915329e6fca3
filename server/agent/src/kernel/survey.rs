//! What a host is asked once, before it joins: nothing here changes it.

#![expect(
    clippy::disallowed_methods,
    reason = "a namespace is a file of the kernel, made by a thread of its own"
)]

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::thread;

use portolan_plan::DroppingChain;
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::mac::MacAddress;
use rustix::thread::UnshareFlags;

use super::decode::{self, PolicyRule};
use super::messages::{self, Veth};
use super::socket::Socket;
use super::{KernelError, Netlink};

/// Stack of a thread that makes a namespace, in bytes.
const SMALL_STACK: usize = 128 << 10;

/// `RTN_THROW`: a table says that it knows nothing of these.
const THROW: u8 = 9;

impl Netlink {
    /// The addresses of the host, each with the length of its subnet and its link's name.
    pub fn subnets(&self) -> Result<Vec<(IpAddr, u8, String)>, KernelError> {
        let links = self.links()?;
        let named = |index| links.iter().find(|(_, link)| link.index == index);
        let addresses = self.addresses()?.into_iter();
        Ok(addresses
            .filter_map(|raw| Some((raw.address, raw.prefix, named(raw.index)?.0.clone())))
            .collect())
    }

    /// Chains at the input hook that drop what is sent to a UDP port of this host.
    pub fn closed(&self, port: u16) -> Result<Vec<DroppingChain>, KernelError> {
        self.filter.closed(&self.sockets, port)
    }

    /// The rules that say which table a packet is looked up in, first those that count first.
    pub fn policy_rules(&self, family: Family) -> Result<Vec<PolicyRule>, KernelError> {
        let replies = self.sockets.with(|socket| socket.dump(&messages::dump_rules(family)))?;
        let mut rules: Vec<PolicyRule> = replies
            .iter()
            .filter_map(|reply| decode::policy_rule(&reply.payload))
            .collect();
        rules.sort_by_key(|rule| rule.priority);
        Ok(rules)
    }

    /// What a table knows a way to, or refuses.
    pub fn destinations(&self, family: Family, table: u32) -> Result<Vec<Cidr>, KernelError> {
        let routes = self.table(family, table)?.into_iter();
        Ok(routes.filter(|raw| raw.kind != THROW).map(|raw| raw.prefix).collect())
    }
}

/// Tries in a namespace of its own, which is gone when this returns, whether this kernel and this user can make what a pod
/// needs: a namespace, and a pair of virtual links.
///
/// # Errors
/// What cannot be made, with the reason.
#[expect(
    deprecated,
    reason = "what is unsafe about it are other flags: a network namespace is nothing of the program's"
)]
pub fn try_pods_network() -> Result<(), (&'static str, io::Error)> {
    let (namespace, pair) = ("a network namespace", "a pair of virtual links (veth)");
    let work = || {
        rustix::thread::unshare(UnshareFlags::NEWNET).map_err(|error| (namespace, error.into()))?;
        let own = File::open("/proc/thread-self/ns/net").map_err(|error| (namespace, error))?;
        let mut socket = Socket::open().map_err(|error| (pair, error))?;
        let veth = Veth {
            name: "here",
            mac: MacAddress::new([2, 0, 0, 0, 0, 1]),
            peer: "there",
            peer_mac: MacAddress::new([2, 0, 0, 0, 0, 2]),
            namespace: own.as_fd(),
            mtu: 1280,
        };
        let made = socket.one(messages::new_veth(&veth));
        made.map(drop).map_err(|error| {
            let errno = error.errno().map(io::Error::from_raw_os_error);
            (pair, errno.unwrap_or_else(|| io::Error::other(error)))
        })
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("netns".into())
            .stack_size(SMALL_STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| (namespace, error))?;
        let panicked = |_| Err((namespace, io::Error::other("the thread that makes it panicked")));
        thread.join().unwrap_or_else(panicked)
    })
}
