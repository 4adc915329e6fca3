//! Programs of the host that have a port already: what is sent to it would not reach them any more.

#![expect(clippy::disallowed_methods, reason = "what is under /proc is the kernel itself")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portolan_shared::addr::Family;
use portolan_shared::host_port::{HostPort, Transport};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::Netlink;

/// `TCP_LISTEN`, as `/proc/net/tcp` writes it.
const LISTENS: &str = "0A";

impl Netlink {
    /// The program that has a host port already, as a name for people. One that was started for `container` does not count:
    /// runtimes keep the port of a container from others by a socket that nobody answers.
    pub(super) fn user_of_port(&self, port: &HostPort, container: &str) -> Option<String> {
        let look = || {
            let taken = [Family::V4, Family::V6]
                .into_iter()
                .filter(|family| port.takes(*family));
            let mut taken = taken.filter(|family| is_taken(port, *family)).peekable();
            taken.peek()?;
            let sockets: BTreeSet<String> = taken.flat_map(|family| inodes(port, family)).collect();
            Some(owner(&sockets))
        };
        let owner = self.sockets.home().run(look).ok()??;
        match owner {
            Some(owner) if owner.command.contains(container) => None,
            Some(owner) => Some(format!("{} (process {})", owner.name, owner.process)),
            None => Some("another program".to_owned()),
        }
    }
}

/// Whether the kernel refuses the port to us, as somebody has it.
fn is_taken(port: &HostPort, family: Family) -> bool {
    let any = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let of = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let kind = match port.protocol {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
        // Its sockets cannot be asked without its module.
        Transport::Sctp => return false,
    };
    let address = SocketAddr::new(port.address().unwrap_or(any), port.host_port.get());
    let try_it = || {
        let socket = socket_with(of, kind, SocketFlags::CLOEXEC, None)?;
        if family == Family::V6 {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        if port.protocol == Transport::Tcp {
            // A connection that has ended a moment ago is nobody.
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        bind(&socket, &address)
    };
    try_it() == Err(Errno::ADDRINUSE)
}

/// The numbers of sockets that have a port.
fn inodes(port: &HostPort, family: Family) -> Vec<String> {
    let version = match family {
        Family::V4 => "",
        Family::V6 => "6",
    };
    let table = format!("/proc/thread-self/net/{}{version}", port.protocol.word());
    let table = fs::read_to_string(table).unwrap_or_default();
    let listening = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, number) = fields.get(1)?.rsplit_once(':')?;
        let here = u16::from_str_radix(number, 16).ok()? == port.host_port.get();
        let state = *fields.get(3)?;
        (here && (state == LISTENS || port.protocol == Transport::Udp))
            .then_some(*fields.get(9)?)
            .map(str::to_owned)
    };
    table.lines().skip(1).filter_map(listening).collect()
}

/// A process.
struct Owner {
    process: u32,
    name: String,
    /// With its arguments.
    command: String,
}

/// A process that has one of these sockets.
fn owner(sockets: &BTreeSet<String>) -> Option<Owner> {
    let links: BTreeSet<String> = sockets.iter().map(|socket| format!("socket:[{socket}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let process = processes.find(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| link.to_str().is_some_and(|link| links.contains(link)))
    })?;
    let read = |file: &str| fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
    Some(Owner {
        process,
        name: String::from_utf8_lossy(&read("comm")).trim().to_owned(),
        command: String::from_utf8_lossy(&read("cmdline")).into_owned(),
    })
}
