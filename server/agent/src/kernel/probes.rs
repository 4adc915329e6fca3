//! The node's end of probes: a network namespace that outlives the agent, wired as a pod is, and the sockets inside it and
//! on the host.

#![expect(
    clippy::disallowed_methods,
    reason = "a namespace is a file of the kernel, and its sockets are opened by a thread inside"
)]

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use portolan_sources::{ByteStream, Opening, PeerListener};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover, set_socket_linger,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::thread::UnshareFlags;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use super::netns::inside;
use super::sockets::Sockets;
use super::wiring::find;
use super::{AttachError, Attachment, KernelError, Netlink, PodNamespace, ProbeEnd, Wiring as _};
use crate::probes::net::{Datagrams, ProbeNet, Received, Sent, Side};

/// The interface inside, as pods mostly have it.
const INTERFACE: &str = "eth0";

/// Stack of a thread that makes a namespace, in bytes.
const SMALL_STACK: usize = 128 << 10;

impl Netlink {
    /// Makes a new namespace in the place of the one that is there, and wires it.
    pub(super) fn make_probe_end(&self, end: &ProbeEnd<'_>) -> Result<(), AttachError> {
        let talk = |source| KernelError::Talk {
            what: format!("the namespace of probes {}", self.probes.display()),
            source,
        };
        remove(&self.probes).map_err(talk)?;
        make(&self.probes).map_err(talk)?;
        self.attach(&Attachment {
            host_link: end.link,
            netns: &self.probes,
            ifname: INTERFACE,
            mac: end.how.mac,
            mtu: end.how.mtu,
            addresses: end.addresses,
            host_ports: &[],
            node: end.node,
        })
        .map(drop)
    }

    /// Removes the namespace, unless another link leads there by now.
    pub(super) fn remove_probe_namespace(&self, link: &str) -> Result<(), KernelError> {
        let Ok(namespace) = PodNamespace::open(&self.probes) else {
            return Ok(());
        };
        if let Ok(mut socket) = namespace.socket()
            && find(&mut socket, INTERFACE)?.is_some()
        {
            return Ok(());
        }
        remove(&self.probes).map_err(|source| KernelError::Talk {
            what: format!("the removal of the namespace of {link}"),
            source,
        })
    }

    /// The sockets of probes, on this host and in its end of probes.
    pub fn probe_net(&self) -> NamespaceProbes {
        NamespaceProbes {
            sockets: Arc::clone(&self.sockets),
            path: self.probes.clone(),
        }
    }
}

/// Makes a namespace that is kept by a file, as `ip netns add` does.
#[expect(
    deprecated,
    reason = "what is unsafe about it are other flags: a network namespace is nothing of the program's"
)]
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(path)?;
    let work = || -> io::Result<()> {
        rustix::thread::unshare(UnshareFlags::NEWNET)?;
        Ok(mount_bind("/proc/thread-self/ns/net", path)?)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("netns".into())
            .stack_size(SMALL_STACK)
            .spawn_scoped(scope, work)?;
        let ended = thread.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("the thread that makes a namespace panicked")))
    })
}

/// Takes the file away, and with it the namespace.
fn remove(path: &Path) -> io::Result<()> {
    // One that is no namespace any more, as after a reboot, is no mount either.
    let _ = unmount(path, UnmountFlags::DETACH);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The sockets of probes of one host.
pub struct NamespaceProbes {
    sockets: Arc<Sockets>,
    path: PathBuf,
}

impl NamespaceProbes {
    /// Does something where an end is.
    fn at<T: Send>(&self, side: Side, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        match side {
            Side::Host => self.sockets.home().run(work)?,
            Side::Pod => {
                let namespace = PodNamespace::open(&self.path).map_err(io::Error::other)?;
                inside(namespace.file(), work)?
            }
        }
    }
}

impl ProbeNet for NamespaceProbes {
    fn pod_end(&self) -> Option<u64> {
        PodNamespace::open(&self.path).ok().map(|namespace| namespace.inode())
    }

    fn datagrams(&self, side: Side, at: SocketAddr) -> io::Result<Arc<dyn Datagrams>> {
        let socket = self.at(side, || {
            let socket = std::net::UdpSocket::bind(at)?;
            socket.set_nonblocking(true)?;
            // Not to be cut on the way, and sent whatever the kernel has learned of the path: it is the packet that is
            // to prove something.
            match at {
                SocketAddr::V4(_) => set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?,
                SocketAddr::V6(_) => set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::PROBE)?,
            }
            Ok(socket)
        })?;
        Ok(Arc::new(UdpSocket::from_std(socket)?))
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        let listener = self.at(Side::Pod, || {
            let listener = std::net::TcpListener::bind(at)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })?;
        Ok(Box::new(TcpListener::from_std(listener)?))
    }

    fn connect(&self, from: IpAddr, to: Vec<SocketAddr>) -> io::Result<Vec<Opening<'static>>> {
        let made = self.at(Side::Pod, || {
            let one = || -> io::Result<std::net::TcpStream> {
                let family = match from {
                    IpAddr::V4(_) => AddressFamily::INET,
                    IpAddr::V6(_) => AddressFamily::INET6,
                };
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let socket = socket_with(family, SocketType::STREAM, flags, None)?;
                bind(&socket, &SocketAddr::new(from, 0))?;
                // It ends by a reset: sixteen a second that wait for late packets would be a thousand.
                set_socket_linger(&socket, Some(Duration::ZERO))?;
                Ok(socket.into())
            };
            to.iter().map(|_| one()).collect::<io::Result<Vec<_>>>()
        })?;
        let opening = |(socket, to)| -> Opening<'static> {
            let socket = TcpSocket::from_std_stream(socket);
            Box::pin(async move { Ok(Box::new(socket.connect(to).await?) as Box<dyn ByteStream>) })
        };
        Ok(made.into_iter().zip(to).map(opening).collect())
    }
}

impl Datagrams for UdpSocket {
    fn receive<'a>(&'a self, into: &'a mut [u8]) -> Received<'a> {
        Box::pin(self.recv_from(into))
    }

    fn send<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> Sent<'a> {
        Box::pin(async move { self.send_to(datagram, to).await.map(drop) })
    }
}
