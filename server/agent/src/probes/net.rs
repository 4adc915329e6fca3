//! What probes are sent by: a parameter, as everything else of the machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use portolan_sources::{Opening, PeerListener};

/// Where an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// On the host itself.
    Host,
    /// Where a pod would be.
    Pod,
}

/// A datagram that is about to come: its length, and who has sent it.
pub type Received<'a> = Pin<Box<dyn Future<Output = io::Result<(usize, SocketAddr)>> + Send + 'a>>;

/// A datagram that is on its way to the kernel.
pub type Sent<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// A UDP socket.
pub trait Datagrams: Send + Sync + 'static {
    /// The next datagram. Dropping the future loses none.
    fn receive<'a>(&'a self, into: &'a mut [u8]) -> Received<'a>;

    /// Sends one whole, or not at all.
    fn send<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> Sent<'a>;
}

/// The sockets of probes of one host.
pub trait ProbeNet: Send + Sync + 'static {
    /// What tells the pod end that is there from one that is made in its place; `None`: there is none.
    fn pod_end(&self) -> Option<u64>;

    /// A UDP socket at an end, at this address; port 0 is any. Takes as long as a thread takes to begin.
    ///
    /// # Errors
    /// If the end is not there, or has not the address, or the port is taken.
    fn datagrams(&self, side: Side, at: SocketAddr) -> io::Result<Arc<dyn Datagrams>>;

    /// Listens at the pod end.
    ///
    /// # Errors
    /// As [`Self::datagrams`].
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn PeerListener>>;

    /// Connections from the pod end, one to each address.
    ///
    /// # Errors
    /// As [`Self::datagrams`].
    fn connect(&self, from: IpAddr, to: Vec<SocketAddr>) -> io::Result<Vec<Opening<'static>>>;
}
