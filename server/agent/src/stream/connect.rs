//! A WebSocket to the agent endpoint.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use portolan_sources::{ByteStream, Net};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig};
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
    /// By this host's clock the peer's certificate is not valid yet.
    #[error(
        "this host's clock is {}behind the control plane's certificate: set the clock (such as by NTP); the agent tries \
         again by itself",
        span(.0)
    )]
    Behind(Option<Duration>),
    /// By this host's clock the peer's certificate is not valid any more.
    #[error(
        "this host's clock is {}past the end of the control plane's certificate: set the clock if it is ahead, else restart \
         the control plane, which then makes a new certificate; the agent tries again by itself",
        span(.0)
    )]
    Past(Option<Duration>),
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
    /// Why a TLS handshake failed.
    fn of_tls(error: io::Error) -> Self {
        let between =
            |from: UnixTime, to: UnixTime| Some(Duration::from_secs(to.as_secs().saturating_sub(from.as_secs())));
        match certificate_error(&error) {
            Some(CertificateError::NotValidYet) => Self::Behind(None),
            Some(CertificateError::NotValidYetContext { time, not_before }) => {
                Self::Behind(between(*time, *not_before))
            }
            Some(CertificateError::Expired) => Self::Past(None),
            Some(CertificateError::ExpiredContext { time, not_after }) => Self::Past(between(*not_after, *time)),
            _ => Self::Tls(error),
        }
    }

    /// Whether trying again may help. It does not if the peer is not the control plane that the host trusts; it may if only
    /// a time is wrong, on this host or there.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Endpoint(_) | Self::Setup(_) => false,
            Self::Tls(error) => certificate_error(error).is_none(),
            Self::Tcp(_) | Self::Behind(_) | Self::Past(_) | Self::Status(_) | Self::WebSocket(_) | Self::Slow => true,
        }
    }
}

/// What is wrong with the peer's certificate, if a handshake failed for that.
fn certificate_error(error: &io::Error) -> Option<&CertificateError> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}

/// A span of time in the largest unit that it has two of, with a blank behind it; nothing if it is not known.
fn span(span: &Option<Duration>) -> String {
    let Some(seconds) = span.map(|span| span.as_secs()) else {
        return String::new();
    };
    let units = [(24 * 60 * 60, "days"), (60 * 60, "hours"), (60, "minutes")];
    let rounded = units.map(|(unit, name)| ((seconds + unit / 2) / unit, name));
    match rounded.into_iter().find(|(count, _)| *count >= 2) {
        Some((count, name)) => format!("{count} {name} "),
        None => format!("{seconds} s "),
    }
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
            .map_err(ConnectError::of_tls)?;
        let url = format!("wss://{endpoint}{path}");
        match client_async_with_config(url, tls, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(ConnectError::Status(response.status())),
            Err(error) => Err(ConnectError::WebSocket(Box::new(error))),
        }
    };
    timeout(PATIENCE, handshakes).await.map_err(|_| ConnectError::Slow)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_time_makes_a_bad_certificate_pass() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let of = |error: CertificateError| {
            let error = rustls::Error::InvalidCertificate(error);
            ConnectError::of_tls(io::Error::new(io::ErrorKind::InvalidData, error))
        };
        let (time, not_before) = (at(1_795_713_841), at(1_795_713_841 + 169_200));
        let behind = of(CertificateError::NotValidYetContext { time, not_before });
        let said = behind.to_string();
        assert!(
            said.starts_with("this host's clock is 2 days behind the control plane's certificate: set"),
            "{said}"
        );
        let (time, not_after) = (at(10_000), at(10_000 - 5400));
        let past = of(CertificateError::ExpiredContext { time, not_after });
        let said = past.to_string();
        assert!(
            said.starts_with("this host's clock is 2 hours past the end of"),
            "{said}"
        );
        let said = of(CertificateError::NotValidYet).to_string();
        assert!(said.starts_with("this host's clock is behind"), "{said}");
        let may_pass = [of(CertificateError::Expired), behind, past]
            .iter()
            .all(ConnectError::may_pass);
        assert!(may_pass);
        assert!(!of(CertificateError::UnknownIssuer).may_pass());
        assert!(!of(CertificateError::Revoked).may_pass());
        assert!(ConnectError::of_tls(io::ErrorKind::ConnectionReset.into()).may_pass());
        assert_eq!(span(&Some(Duration::from_secs(89))), "89 s ");
        assert_eq!(span(&Some(Duration::from_secs(91))), "2 minutes ");
    }
}
