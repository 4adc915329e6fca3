//! The agent endpoint: everything between the control plane and the nodes' agents.
//!
//! [`Endpoint::open`] reads or makes the CA and opens the listener; [`Endpoint::tokens`] makes join
//! tokens for the API; [`Endpoint::serve`] answers agents until told to end. Inside: [`pki`] (the CA
//! and certificates), `join` (a host becomes a node), `stream` (desired state out, reports in),
//! `state` (what a cluster's agents are sent, encoded once), `liveness` (who is online, pure),
//! `report` (what nodes say, written together).
//!
//! Never here: a decision about an object (the writer's), and a private key of an agent's.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

mod tokens;

pub use tokens::{Secret, Tokens};

use crate::control::Control;

/// Where agents are listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address.
    Address(SocketAddr),
    /// A listening TCP socket that whoever started this process has opened, by its number.
    Fd(RawFd),
}

impl FromStr for Listen {
    type Err = String;

    /// `ADDRESS:PORT` or `fd:N`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_prefix("fd:") {
            return match number.parse() {
                Ok(fd) if fd > 2 => Ok(Self::Fd(fd)),
                _ => Err(format!("'{number}' is not a file descriptor above 2")),
            };
        }
        text.parse().map(Self::Address).map_err(|_| format!("'{text}' is neither ADDRESS:PORT nor fd:N"))
    }
}

/// What the agent endpoint needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: Listen,
    /// `HOST:PORT` that hosts reach it at: it goes into join tokens and into its certificate.
    pub advertise: String,
    /// The CA's key: made there at the first start, mode 0600. The certificate is beside it.
    pub ca_key: PathBuf,
}

/// Why the agent endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is taken, or the descriptor is no listening socket.
    #[error("cannot listen for agents on {listen:?}")]
    Listen {
        /// Where.
        listen: Listen,
        /// Why.
        source: std::io::Error,
    },
}

/// The agent endpoint, ready to serve.
pub struct Endpoint {
    control: Arc<Control>,
    tokens: Tokens,
}

impl Endpoint {
    /// Reads or makes the CA, makes the server's certificate, opens the listener.
    ///
    /// # Errors
    /// If the CA's files cannot be read or made, or the listener cannot be opened.
    pub fn open(control: Arc<Control>, options: &Options) -> Result<Self, EndpointError> {
        let _ = (control, options);
        unreachable!("being written")
    }

    /// Makes join tokens that lead here.
    pub fn tokens(&self) -> Tokens {
        self.tokens.clone()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        unreachable!("being written")
    }

    /// Answers agents until `shutdown` is done. Streams are then closed; nodes are not marked
    /// silent, since they come back to whoever serves next.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let _ = &self.control;
        shutdown.await;
    }
}
