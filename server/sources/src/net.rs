//! Connections as streams of bytes.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixListener};

/// One connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A connection that is about to be there.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

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
}

/// Takes connections.
pub trait Listener: Send + Sync + 'static {
    /// The next connection. Dropping the future loses none.
    fn accept(&self) -> Opening<'_>;
}

/// The machine's network: TCP and unix sockets.
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
}

impl Listener for UnixListener {
    fn accept(&self) -> Opening<'_> {
        Box::pin(async move {
            let (stream, _) = Self::accept(self).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}
