//! Joining: the host shows a token once and gets a certificate for the key it made itself. And how anything is asked of
//! the control plane that takes one question and one answer.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_wire::agent::{JoinReply, JoinRequest, Refused, join_reply::Outcome};
use portolan_wire::token::JoinToken;
use portolan_wire::{JOIN_PATH, MAX_JOIN_FRAME, PROTOCOL};
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{Identity, IdentityError, Key, tls};
use crate::machine::Sources;
use crate::stream::connect::{ConnectError, connect};

/// How long the control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The codes of refusals that mean the token itself: it is not known, was used, is too old, or was for a node that is gone.
const OF_THE_TOKEN: [&str; 4] = ["token.unknown", "token.spent", "token.expired", "node.removed"];

/// Why a host has not joined, or has no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The control plane was not reached, or is not the one that this host trusts.
    #[error("cannot reach the agent endpoint {endpoint}")]
    Connect {
        /// `HOST:PORT`, as the token named it.
        endpoint: String,
        /// Why the connection failed.
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

    /// Whether the control plane refuses this very token: it will never let the host in.
    pub fn needs_another_token(&self) -> bool {
        match self {
            Self::Refused(refused) => OF_THE_TOKEN.contains(&refused.code.as_str()),
            Self::Connect { .. } | Self::NoAnswer | Self::Identity(_) => false,
        }
    }
}

/// Asks once. The key is on disk before it is shown, so asking again asks for the same.
///
/// # Errors
/// If the control plane is not reached, is another than the token's, or refuses.
pub async fn join(
    sources: &Sources,
    state_dir: &Path,
    token: &JoinToken,
    name: &str,
    addresses: &[IpAddr],
) -> Result<Identity, JoinError> {
    let (files, clock) = (&sources.files, &sources.clock);
    let key = Key::load_or_make(files, state_dir)?;
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
    let endpoint = &token.endpoint;
    let config = tls::of_join(token.ca_sha256, clock);
    let reply: JoinReply = ask(sources, endpoint, JOIN_PATH, config, &request).await?;
    match reply.outcome.ok_or(JoinError::NoAnswer)? {
        Outcome::Joined(joined) => {
            let endpoint = endpoint.clone();
            Ok(Identity::keep(files, state_dir, key, endpoint, joined, clock.now())?)
        }
        Outcome::Refused(refused) => Err(JoinError::Refused(refused)),
    }
}

/// One frame there, and one back.
///
/// # Errors
/// If there is no answer to be had.
pub(super) async fn ask<R: prost::Message + Default>(
    sources: &Sources,
    endpoint: &str,
    path: &str,
    config: Result<ClientConfig, rustls::Error>,
    question: &impl prost::Message,
) -> Result<R, JoinError> {
    let failed = |source| JoinError::Connect {
        endpoint: endpoint.to_owned(),
        source,
    };
    let config = Arc::new(config.map_err(|error| failed(error.into()))?);
    let socket = connect(&*sources.net, endpoint, path, config, MAX_JOIN_FRAME).await;
    let mut socket = socket.map_err(failed)?;
    let exchange = async {
        socket
            .send(Message::Binary(question.encode_to_vec().into()))
            .await
            .ok()?;
        loop {
            match socket.next().await?.ok()? {
                Message::Binary(frame) => break R::decode(frame).ok(),
                Message::Close(_) => break None,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, exchange)
        .await
        .unwrap_or_default()
        .ok_or(JoinError::NoAnswer)
}

#[cfg(test)]
mod tests {
    use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId};
    use portolan_wire::agent::Role;
    use portolan_wire::token::Secret;
    use prost::Message as _;

    use super::*;
    use crate::identity::testing::Authority;

    const NODE: NodeId = NodeId::from_bytes([1; 16]);

    fn token(authority: &Authority, ca_sha256: [u8; 32]) -> JoinToken {
        JoinToken {
            endpoint: authority.address.to_string(),
            ca_sha256,
            cluster: ClusterId::from_bytes([2; 16]),
            role: Role::Node,
            expires_at: 0,
            id: JoinTokenId::from_bytes([3; 16]),
            secret: Secret::new([4; 32]),
        }
    }

    /// Answers one request to join, or hangs up.
    async fn answer(authority: &Authority, answer: impl FnOnce(&JoinRequest) -> Option<Outcome>) -> JoinRequest {
        let mut peer = authority.accept().await;
        let frame = peer.next().await.unwrap().unwrap();
        let request = JoinRequest::decode(frame.into_data()).unwrap();
        if let Some(outcome) = answer(&request) {
            let reply = JoinReply { outcome: Some(outcome) };
            peer.send(Message::Binary(reply.encode_to_vec().into())).await.unwrap();
        }
        request
    }

    #[tokio::test]
    async fn a_host_that_is_let_in_keeps_its_identity_and_a_lost_answer_is_asked_for_again() {
        let (authority, home) = (Authority::listen().await, tempfile::tempdir().unwrap());
        let sources = Sources::system().unwrap();
        let token = token(&authority, authority.key_sha256());
        let addresses = ["10.0.0.11".parse().unwrap()];
        let ask = || join(&sources, home.path(), &token, "node-1", &addresses);
        let (lost, first) = tokio::join!(ask(), answer(&authority, |_| None));
        assert!(lost.err().unwrap().may_pass());
        assert!(Identity::load(&sources.files, home.path()).unwrap().is_none());
        let let_in = |request: &JoinRequest| Some(Outcome::Joined(authority.joined(&request.csr, NODE)));
        let (joined, second) = tokio::join!(ask(), answer(&authority, let_in));
        assert_eq!(joined.unwrap().node(), NODE);
        assert_eq!(
            Identity::load(&sources.files, home.path()).unwrap().unwrap().endpoint(),
            token.endpoint
        );
        assert_eq!(
            (second.node_name.as_str(), &second.secret[..]),
            ("node-1", &[4; 32][..])
        );
        assert_eq!(second.addresses, [vec![10, 0, 0, 11]]);
        // Signatures differ, the key does not. It is what a request holds after 3 bytes that tell the
        // length of the whole.
        assert_eq!(first.csr[3..100], second.csr[3..100]);
    }

    #[tokio::test]
    async fn another_ca_than_the_pinned_one_is_told_nothing() {
        let (authority, home) = (Authority::listen().await, tempfile::tempdir().unwrap());
        let sources = Sources::system().unwrap();
        let wrong = token(&authority, [9; 32]);
        let error = tokio::select! {
            joined = join(&sources, home.path(), &wrong, "node-1", &[]) => joined.err().unwrap(),
            _ = authority.accept() => panic!("the handshake must fail"),
        };
        assert!(
            matches!(
                error,
                JoinError::Connect {
                    source: ConnectError::Tls(_),
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!error.may_pass(), "nobody else will answer there");
    }

    #[tokio::test]
    async fn a_refusal_is_final_unless_it_says_otherwise() {
        let (authority, home) = (Authority::listen().await, tempfile::tempdir().unwrap());
        let sources = Sources::system().unwrap();
        let token = token(&authority, authority.key_sha256());
        for retry in [false, true] {
            let refused = Refused {
                code: "token.spent".into(),
                sentence: "Used.".into(),
                retry,
            };
            let (joined, _) = tokio::join!(
                join(&sources, home.path(), &token, "node-1", &[]),
                answer(&authority, |_| Some(Outcome::Refused(refused)))
            );
            let error = joined.err().unwrap();
            assert_eq!(error.may_pass(), retry);
            assert_eq!(error.to_string(), "the control plane refuses: Used. (token.spent)");
        }
    }
}
