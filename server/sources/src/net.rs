//! Connections as streams of bytes.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place where the machine is asked for connections"
)]

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, FromRawFd as _, RawFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;

use rustix::net::sockopt::{set_tcp_user_timeout, socket_acceptconn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};

/// Connections that may wait to be accepted: after a restart all agents come back at once.
const BACKLOG: i32 = 4096;

/// How long an accepted connection may leave data unacknowledged before the peer counts as gone, in
/// milliseconds.
const UNACKNOWLEDGED: u32 = 60_000;

/// One connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A connection that is about to be there.
pub type Opening<'a, T = Box<dyn ByteStream>> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A network.
pub trait Net: Send + Sync + 'static {
    /// Connects to `HOST:PORT`.
    fn connect<'a>(&'a self, endpoint: &'a str) -> Opening<'a>;

    /// Listens on a local socket at `path` that only its owner may use, in the place of one that
    /// nobody listens to any more.
    ///
    /// # Errors
    /// If somebody listens there, or the socket cannot be made.
    fn listen_local(&self, path: &Path) -> io::Result<Box<dyn Listener>>;

    /// Listens for connections from elsewhere; port 0 is any that is free.
    ///
    /// # Errors
    /// If the address is taken or none of this machine's.
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn PeerListener>>;

    /// Listens on a TCP socket that whoever started this process has opened, by its number. The
    /// socket is taken: ask once.
    ///
    /// # Errors
    /// If it is no socket that listens.
    fn listen_inherited(&self, fd: RawFd) -> io::Result<Box<dyn PeerListener>>;
}

/// Takes connections of this machine.
pub trait Listener: Send + Sync + 'static {
    /// The next connection. Dropping the future loses none.
    fn accept(&self) -> Opening<'_>;
}

/// Takes connections of peers that have an address.
pub trait PeerListener: Send + Sync + 'static {
    /// The next connection, and whose it is. Dropping the future loses none.
    fn accept(&self) -> Opening<'_, (Box<dyn ByteStream>, SocketAddr)>;

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system does not say.
    fn address(&self) -> io::Result<SocketAddr>;
}

/// The machine's network: TCP and unix sockets. To be used within a runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNet;

impl Net for SystemNet {
    fn connect<'a>(&'a self, endpoint: &'a str) -> Opening<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect(endpoint).await?;
            // Messages are small and wait for nobody; that a socket refuses this harms nobody.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn listen_local(&self, path: &Path) -> io::Result<Box<dyn Listener>> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                let says = format!("somebody listens on {} already", path.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, says));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Box::new(listener))
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        listening(std::net::TcpListener::bind(address)?)
    }

    #[expect(
        unsafe_code,
        reason = "a descriptor's number is all that a parent process can hand over"
    )]
    fn listen_inherited(&self, fd: RawFd) -> io::Result<Box<dyn PeerListener>> {
        // SAFETY: only looked at here, and not kept. `borrow_raw` asks that it is open; if it is not,
        // the call fails with EBADF and nothing else happens.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        if !socket_acceptconn(borrowed)? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the socket does not listen",
            ));
        }
        // SAFETY: it is open (it just answered), and the operator has named it for this and nothing else.
        listening(unsafe { std::net::TcpListener::from_raw_fd(fd) })
    }
}

fn listening(listener: std::net::TcpListener) -> io::Result<Box<dyn PeerListener>> {
    // Asked again, `listen` only sets the backlog.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(Box::new(TcpListener::from_std(listener)?))
}

impl PeerListener for TcpListener {
    fn accept(&self) -> Opening<'_, (Box<dyn ByteStream>, SocketAddr)> {
        Box::pin(async move {
            let (stream, peer) = Self::accept(self).await?;
            // Messages are small and wait for nobody; a connection that cannot be tuned still works.
            let _ = stream.set_nodelay(true);
            let _ = set_tcp_user_timeout(&stream, UNACKNOWLEDGED);
            Ok((Box::new(stream) as Box<dyn ByteStream>, peer))
        })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Listener for UnixListener {
    fn accept(&self) -> Opening<'_> {
        Box::pin(async move {
            let (stream, _) = Self::accept(self).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, IntoRawFd as _};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn within_a_runtime(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.unwrap().block_on(test);
    }

    #[test]
    fn a_handed_over_socket_is_listened_on() {
        within_a_runtime(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let listener = SystemNet.listen_inherited(listener.into_raw_fd()).unwrap();
            assert_eq!(listener.address().unwrap(), address);
            let mut client = SystemNet.connect(&address.to_string()).await.unwrap();
            let (mut accepted, peer) = listener.accept().await.unwrap();
            assert!(peer.ip().is_loopback());
            client.write_all(b"hello").await.unwrap();
            let mut heard = [0; 5];
            accepted.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"hello");
        });
    }

    #[test]
    fn what_is_no_listening_socket_is_refused() {
        within_a_runtime(async {
            let file = tempfile::tempfile().unwrap();
            assert!(SystemNet.listen_inherited(file.as_raw_fd()).is_err());
            assert!(SystemNet.listen_inherited(9999).is_err());
        });
    }
}
