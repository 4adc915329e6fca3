//! The agent endpoint: everything between the control plane and the nodes' agents.
//!
//! [`Endpoint::open`] reads or makes the CA and opens the listener; [`Endpoint::tokens`] makes join
//! tokens for the API; [`Endpoint::serve`] answers agents until told to end. Inside: [`pki`] (the CA
//! and certificates), `join` (a host becomes a node), `renew` (its certificate goes on), `stream` (desired state out, reports in),
//! `state` (what a cluster's agents are sent, encoded once), `liveness` (who is online, pure),
//! `report` (what nodes say, written together), `losses` (what others took away from them), `turns` (who goes first when all come), `hub` (what all streams share).
//!
//! Never here: decisions about objects, which are the writer's, and private keys of agents, which stay on their hosts.

mod claims;
mod ended;
mod hello;
mod hub;
mod join;
mod listen;
mod liveness;
mod losses;
mod pending;
pub mod pki;
mod renew;
mod report;
mod reports_in;
mod seal;
mod socket;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod turns;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portolan_shared::ids::ProjectId;
use portolan_sources::{ByteStream, PeerListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

pub use listen::Listen;
pub use tls::TlsError;
pub use tokens::{LIFETIME as TOKEN_LIFETIME, Secret, Tokens};

use crate::control::Control;
use crate::machine::Sources;
use crate::places::Places;
use hub::Hub;
use pki::{Ca, PkiError};
use socket::{Asked, Socket, SocketError, Talking};
use tls::TlsMaker;
use turns::Turns;

/// Handshakes under way at once: what strangers can make the endpoint hold.
const HANDSHAKES: usize = 2048;

/// Connections that have said nothing yet, or wait for a handshake.
const WAITING: usize = 8192;

/// Connections from one address that have said nothing yet; more are closed at once. An agent sends its first byte at
/// once and is then no longer counted.
const SILENT_FROM_ONE: usize = WAITING / 4;

/// How long streams may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the agent endpoint needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: Listen,
    /// `HOST:PORT` that hosts reach it at (an IPv6 address in brackets): it goes into join tokens,
    /// and the host into the endpoint's certificate.
    pub advertise: String,
    /// The CA's key: made there at the first start, mode 0600. The certificate is beside it.
    pub ca_key: PathBuf,
    /// Projects whose nodes go first when many come at once.
    pub first: Vec<ProjectId>,
}

/// Why the agent endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is taken, or the descriptor is no listening socket.
    #[error("cannot listen for agents on {listen}")]
    Listen {
        /// The address or descriptor, as given.
        listen: Listen,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Not `HOST:PORT`.
    #[error("'{0}' is not HOST:PORT, such as 198.18.0.1:7443 (--agent-advertise)")]
    Advertise(String),
    /// The CA.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The agent endpoint, ready to serve.
pub struct Endpoint {
    hub: Arc<Hub>,
    tokens: Tokens,
    listener: Box<dyn PeerListener>,
    address: SocketAddr,
    tls: TlsMaker,
}

impl Endpoint {
    /// Reads or makes the CA, makes the server's certificate, opens the listener. Nodes that are
    /// stored as online have 10 s from now to come back.
    ///
    /// # Errors
    /// If the CA's files cannot be read or made, or the listener cannot be opened.
    pub fn open(control: Control, options: &Options, sources: &Sources) -> Result<Self, EndpointError> {
        let host = host_of(&options.advertise).ok_or_else(|| EndpointError::Advertise(options.advertise.clone()))?;
        let random = || Arc::clone(&sources.random);
        let ca = Ca::open(&*sources.files, &options.ca_key, control.now(), random())?;
        let ca = Arc::new(ca);
        let tls = TlsMaker::new(Arc::clone(&ca), host, Arc::clone(&sources.clock))?;
        let failed = |source| EndpointError::Listen {
            listen: options.listen.clone(),
            source,
        };
        let listener = options.listen.open(&*sources.net).map_err(failed)?;
        let address = listener.address().map_err(failed)?;
        let tokens = Tokens::new(&options.advertise, ca.key_sha256(), random());
        Ok(Self {
            hub: Arc::new(Hub::new(control, ca, Turns::new(options.first.iter().copied()))),
            tokens,
            listener,
            address,
            tls,
        })
    }

    /// Makes join tokens that lead here.
    pub fn tokens(&self) -> Tokens {
        self.tokens.clone()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers agents until `shutdown` is done. Streams are then closed; nodes are not marked
    /// silent, since they come back to whoever serves next.
    ///
    /// # Errors
    /// If TLS cannot be used at all.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), EndpointError> {
        let Self {
            hub, listener, mut tls, ..
        } = self;
        tls.acceptor()?;
        let (end, ended) = watch::channel(false);
        let (waiting, room) = (Arc::new(Semaphore::new(WAITING)), Arc::new(Semaphore::new(HANDSHAKES)));
        let peers = Places::default();
        let mut streams = JoinSet::new();
        let background = {
            let hub = Arc::clone(&hub);
            async move { tokio::join!(hub.reports.run(&hub.control), hub.losses.run(&hub.control), hub.watch()) }
        };
        tokio::pin!(background, shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = &mut background => {}
                Some(_) = streams.join_next(), if !streams.is_empty() => {}
                accepted = accept(&*listener, &waiting) => {
                    let (stream, peer, waits) = accepted;
                    let Ok(place) = peers.take([(peer.ip(), SILENT_FROM_ONE)]) else { continue };
                    let acceptor = match tls.acceptor() {
                        Ok(acceptor) => acceptor,
                        Err(error) => {
                            tracing::error!(%error, "cannot make the agent endpoint's certificate again");
                            continue;
                        }
                    };
                    let (hub, ended) = (Arc::clone(&hub), ended.clone());
                    let room = Arc::clone(&room);
                    streams.spawn(async move {
                        let stream = match Talking::heard(stream).await {
                            Ok(stream) => stream,
                            Err(error) => return log_failed(&error),
                        };
                        drop(place);
                        let Ok(permit) = room.acquire().await else { return };
                        drop(waits);
                        let socket = Socket::accept(&acceptor, stream).await;
                        drop((permit, acceptor));
                        match socket {
                            Err(error) => log_failed(&error),
                            Ok((socket, Asked::Stream(identity))) => stream::run(&hub, socket, identity, ended).await,
                            Ok((socket, Asked::Join)) => {
                                if let Err(error) = join::run(&hub, socket).await {
                                    log_failed(&error);
                                }
                            }
                            Ok((socket, Asked::Renewal(identity))) => {
                                if let Err(error) = renew::run(&hub, socket, identity).await {
                                    log_failed(&error);
                                }
                            }
                        }
                    });
                }
            }
        }
        drop(listener);
        end.send_replace(true);
        let by = Instant::now() + GOODBYE;
        while let Ok(Some(_)) = timeout_at(by, streams.join_next()).await {}
        Ok(())
    }
}

/// The next connection, once there is room for it. Safe to cancel.
async fn accept(
    listener: &dyn PeerListener,
    room: &Arc<Semaphore>,
) -> (Box<dyn ByteStream>, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let permit = Arc::clone(room)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                // Out of file descriptors, mostly: wait for one.
                tracing::warn!(%error, "cannot accept an agent's connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Strangers knock on every port, so their failures are logged at debug level.
fn log_failed(error: &SocketError) {
    let source = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::debug!(%error, source, "a connection to the agent endpoint has failed");
}

/// The host of `HOST:PORT`.
fn host_of(advertise: &str) -> Option<String> {
    let (host, port) = advertise.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    (!host.is_empty()).then(|| host.to_owned())
}
