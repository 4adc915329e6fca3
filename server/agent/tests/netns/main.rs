//! The agent's modules and the real plugin on real kernels: hosts are network namespaces.

#![expect(
    clippy::disallowed_methods,
    reason = "a test runs in real time and reads its environment"
)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod check;
mod filter;
mod healing;
mod host_ports;
mod lost;
mod namespaces;
mod plugin;
mod probes;
mod rounds;
mod traffic;
mod world;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use namespaces::{PATIENCE, inside};

/// A listener in a namespace.
pub(crate) fn listen(namespace: &str, address: IpAddr) -> TcpListener {
    inside(namespace, || TcpListener::bind((address, 8080)).unwrap())
}

/// Connects from a namespace and says who the listener saw.
pub(crate) fn seen_from(namespace: &str, listener: &TcpListener) -> IpAddr {
    seen_by(namespace, listener.local_addr().unwrap(), listener)
}

/// The same, by another address that leads there.
pub(crate) fn seen_by(namespace: &str, to: SocketAddr, listener: &TcpListener) -> IpAddr {
    let mut stream = connect(namespace, to).unwrap();
    let (mut accepted, peer) = listener.accept().unwrap();
    stream.write_all(b"ahoy").unwrap();
    let mut heard = [0; 4];
    accepted.read_exact(&mut heard).unwrap();
    accepted.write_all(&heard).unwrap();
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ahoy");
    peer.ip()
}

pub(crate) fn connect(namespace: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    inside(namespace, move || TcpStream::connect_timeout(&to, PATIENCE))
}
