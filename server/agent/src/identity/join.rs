//! Joining: the host shows a token once and gets a certificate for the key it made itself.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_wire::agent::{JoinReply, JoinRequest, Refused, join_reply::Outcome};
use portolan_wire::token::JoinToken;
use portolan_wire::{JOIN_PATH, MAX_JOIN_FRAME, PROTOCOL};
use prost::Message as _;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{Identity, IdentityError, Key, tls};
use crate::stream::connect::{ConnectError, connect};

/// How long the control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a host has not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The control plane was not reached, or is not the one that the token names.
    #[error("cannot reach the agent endpoint {endpoint}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why not.
        source: ConnectError,
    },
    /// The control plane says no.
    #[error("the control plane refuses: {} ({})", .0.sentence, .0.code)]
    Refused(Refused),
    /// It went away without an answer, or said something else.
    #[error("the control plane did not answer")]
    NoAnswer,
    /// Key or certificate cannot be made or kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl JoinError {
    /// Whether trying again may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.may_pass(),
            Self::Refused(refused) => refused.retry,
            Self::NoAnswer => true,
            Self::Identity(_) => false,
        }
    }
}

/// Asks once. The key is on disk before it is shown, so asking again asks for the same.
///
/// # Errors
/// If the control plane is not reached, is another than the token's, or refuses.
pub async fn join(
    state_dir: &Path,
    token: &JoinToken,
    name: &str,
    addresses: &[IpAddr],
    now: u64,
) -> Result<Identity, JoinError> {
    let key = Key::load_or_make(state_dir)?;
    let request = JoinRequest {
        protocol: PROTOCOL,
        token_id: token.id.as_bytes().to_vec(),
        secret: token.secret.bytes().to_vec(),
        csr: key.request()?,
        node_name: name.to_owned(),
        addresses: addresses
            .iter()
            .map(|address| portolan_wire::field::address_bytes(*address))
            .collect(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let failed = |source| JoinError::Connect {
        endpoint: token.endpoint.clone(),
        source,
    };
    let config = tls::of_join(token.ca_sha256).map_err(|error| failed(error.into()))?;
    let socket = connect(&token.endpoint, JOIN_PATH, Arc::new(config), MAX_JOIN_FRAME).await;
    let mut socket = socket.map_err(failed)?;
    let exchange = async {
        socket
            .send(Message::Binary(request.encode_to_vec().into()))
            .await
            .ok()?;
        loop {
            match socket.next().await?.ok()? {
                Message::Binary(frame) => break JoinReply::decode(frame).ok()?.outcome,
                Message::Close(_) => break None,
                _ => {}
            }
        }
    };
    match timeout(PATIENCE, exchange).await.unwrap_or_default() {
        Some(Outcome::Joined(joined)) => Ok(Identity::keep(state_dir, key, token.endpoint.clone(), joined, now)?),
        Some(Outcome::Refused(refused)) => Err(JoinError::Refused(refused)),
        None => Err(JoinError::NoAnswer),
    }
}
