//! A WebSocket over TLS as the endpoint uses it: whole frames, limits and deadlines.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_sources::ByteStream;
use portolan_wire::{JOIN_PATH, MAX_AGENT_FRAME, MAX_JOIN_FRAME, RENEW_PATH, STREAM_PATH};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::pki::{self, Identity};

/// How long a connection may send nothing. Meanwhile it does not count as a handshake.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(3);

/// How long the handshakes of TLS and WebSocket may take together.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a peer may take to say what it has come for.
const FIRST_FRAME: Duration = Duration::from_secs(10);

/// How long a write may take before the peer is given up.
pub(super) const WRITE: Duration = Duration::from_secs(15);

/// How long a closing frame may take.
const CLOSE: Duration = Duration::from_secs(1);

/// Bytes read at once. An agent says little; ten thousand of them should cost little.
const READ_BUFFER: usize = 4 << 10;

/// Bytes gathered before they go to TLS, unless flushed.
const WRITE_BUFFER: usize = 8 << 10;

/// Why a socket cannot be used, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    /// The handshake took too long, or a write did.
    #[error("the peer took too long ({0})")]
    Slow(&'static str),
    /// TLS failed: no certificate of the CA's, a version or suite that is not spoken.
    #[error("TLS handshake failed")]
    Tls(#[source] std::io::Error),
    /// WebSocket failed, or the limits were broken.
    #[error("WebSocket failed")]
    WebSocket(#[from] Box<tungstenite::Error>),
    /// The peer closed, or went away.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer sent a text.
    #[error("the peer sent something else than a binary frame")]
    NotBinary,
}

/// What a peer has come for.
pub(super) enum Asked {
    /// To join.
    Join,
    /// To hold the stream of the node its certificate names.
    Stream(Identity),
    /// For another certificate in the place of the one it shows.
    Renewal(Identity),
}

/// What a socket brings.
pub(super) enum Incoming {
    /// A frame.
    Frame(Bytes),
    /// A sign of life.
    Alive,
}

/// A connection that has begun to talk.
pub(super) struct Talking(BufReader<Box<dyn ByteStream>>);

impl Talking {
    /// Waits for the peer's first byte.
    pub(super) async fn heard(stream: Box<dyn ByteStream>) -> Result<Self, SocketError> {
        // The buffer holds one byte only; larger reads go past it.
        let mut stream = BufReader::with_capacity(1, stream);
        match timeout(FIRST_WORD, stream.fill_buf()).await {
            Ok(Ok([_, ..])) => Ok(Self(stream)),
            _ => Err(SocketError::Slow("first word")),
        }
    }
}

/// An accepted WebSocket.
pub(super) struct Socket(WebSocketStream<TlsStream<BufReader<Box<dyn ByteStream>>>>);

impl Socket {
    /// Both handshakes. A peer without a certificate can only join.
    pub(super) async fn accept(acceptor: &TlsAcceptor, stream: Talking) -> Result<(Self, Asked), SocketError> {
        let handshakes = async {
            let tls = acceptor.accept(stream.0).await.map_err(SocketError::Tls)?;
            let certificates = tls.get_ref().1.peer_certificates();
            let mut identity = certificates
                .and_then(<[CertificateDer<'_>]>::first)
                .and_then(pki::identity);
            let most = if identity.is_some() {
                MAX_AGENT_FRAME
            } else {
                MAX_JOIN_FRAME
            };
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .write_buffer_size(WRITE_BUFFER)
                .max_message_size(Some(most))
                .max_frame_size(Some(most));
            let mut asked = None;
            #[expect(clippy::result_large_err, reason = "the shape of tungstenite's callback")]
            let route = |request: &Request, response: Response| {
                asked = match (request.uri().path(), identity.take()) {
                    (JOIN_PATH, _) => Some(Asked::Join),
                    (STREAM_PATH, Some(identity)) => Some(Asked::Stream(identity)),
                    (RENEW_PATH, Some(identity)) => Some(Asked::Renewal(identity)),
                    (STREAM_PATH | RENEW_PATH, None) => return Err(refusal(StatusCode::UNAUTHORIZED)),
                    _ => return Err(refusal(StatusCode::NOT_FOUND)),
                };
                Ok(response)
            };
            let socket = accept_hdr_async_with_config(tls, route, Some(config))
                .await
                .map_err(Box::new)?;
            let asked = asked.ok_or(SocketError::Closed)?;
            Ok((Self(socket), asked))
        };
        timeout(HANDSHAKE, handshakes)
            .await
            .map_err(|_| SocketError::Slow("handshake"))?
    }

    /// The first frame, which comes soon or never.
    pub(super) async fn first(&mut self) -> Result<Bytes, SocketError> {
        let first = async {
            loop {
                if let Incoming::Frame(frame) = self.next().await? {
                    return Ok::<_, SocketError>(frame);
                }
            }
        };
        timeout(FIRST_FRAME, first)
            .await
            .map_err(|_| SocketError::Slow("first frame"))?
    }

    /// What comes next. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<Incoming, SocketError> {
        match self.0.next().await {
            None | Some(Ok(Message::Close(_))) => Err(SocketError::Closed),
            Some(Ok(Message::Binary(frame))) => Ok(Incoming::Frame(frame)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Incoming::Alive),
            Some(Ok(Message::Text(_) | Message::Frame(_))) => Err(SocketError::NotBinary),
            Some(Err(error)) => Err(Box::new(error).into()),
        }
    }

    /// Hands frames over and flushes once.
    pub(super) async fn send(&mut self, frames: impl IntoIterator<Item = Message>) -> Result<(), SocketError> {
        for frame in frames {
            let fed = timeout(WRITE, self.0.feed(frame))
                .await
                .map_err(|_| SocketError::Slow("write"))?;
            fed.map_err(Box::new)?;
        }
        let flushed = timeout(WRITE, self.0.flush())
            .await
            .map_err(|_| SocketError::Slow("write"))?;
        Ok(flushed.map_err(Box::new)?)
    }

    /// A last frame, if there is one, and goodbye. Errors are ignored: the connection ends anyway.
    pub(super) async fn close(mut self, last: Option<Bytes>) {
        let goodbye = async {
            if let Some(last) = last {
                self.0.feed(Message::Binary(last)).await?;
            }
            self.0.close(None).await
        };
        let _ = timeout(CLOSE, goodbye).await;
    }
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}
