//! A WebSocket to the agent endpoint.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use portolan_sources::{ByteStream, Net};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

/// How long all handshakes together may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes read at once, and gathered before they go to TLS unless flushed.
const BUFFER: usize = 8 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint is not `HOST:PORT`.
    #[error("'{0}' is not HOST:PORT")]
    Endpoint(String),
    /// TCP.
    #[error("cannot connect")]
    Tcp(#[source] io::Error),
    /// TLS failed: the host does not trust the peer, or the peer does not trust the host.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Setup(#[from] rustls::Error),
    /// The endpoint refused the WebSocket request, such as for want of a certificate that it accepts.
    #[error("the control plane answered {0} to the WebSocket request")]
    Status(StatusCode),
    /// WebSocket.
    #[error("the WebSocket handshake failed")]
    WebSocket(#[source] Box<tungstenite::Error>),
    /// It took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Slow,
}

impl ConnectError {
    /// Whether trying again may help. It does not if the peer is not the control plane that the host trusts.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Endpoint(_) | Self::Setup(_) => false,
            Self::Tls(error) => !is_certificate(error),
            Self::Tcp(_) | Self::Status(_) | Self::WebSocket(_) | Self::Slow => true,
        }
    }
}

fn is_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// A connection to the agent endpoint.
pub type Socket = WebSocketStream<TlsStream<Box<dyn ByteStream>>>;

/// Connects to `path` at `endpoint` (`HOST:PORT`). Frames of more than `most` bytes end it.
///
/// # Errors
/// If there is no connection within 10 s.
pub async fn connect(
    net: &dyn Net,
    endpoint: &str,
    path: &str,
    tls: Arc<ClientConfig>,
    most: usize,
) -> Result<Socket, ConnectError> {
    let bad = || ConnectError::Endpoint(endpoint.to_owned());
    let (host, _) = endpoint.rsplit_once(':').ok_or_else(bad)?;
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    let handshakes = async {
        let stream = net.connect(endpoint).await.map_err(ConnectError::Tcp)?;
        let tls = TlsConnector::from(tls)
            .connect(name, stream)
            .await
            .map_err(ConnectError::Tls)?;
        let url = format!("wss://{endpoint}{path}");
        match client_async_with_config(url, tls, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(ConnectError::Status(response.status())),
            Err(error) => Err(ConnectError::WebSocket(Box::new(error))),
        }
    };
    timeout(PATIENCE, handshakes).await.map_err(|_| ConnectError::Slow)?
}
