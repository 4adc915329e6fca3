//! Join tokens: what lets a host into a cluster, once.

use std::sync::Arc;

use portolan_core::command::Command;
use portolan_core::model::{JoinToken, Micros};
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_sources::Random;
use portolan_wire::agent::Role;
use portolan_wire::token::JoinToken as Text;
pub use portolan_wire::token::Secret;

/// How long a join token works: 1 h, in microseconds.
pub const LIFETIME: Micros = 3_600_000_000;

/// Makes join tokens for one agent endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    endpoint: Arc<str>,
    ca_sha256: [u8; 32],
    random: Arc<dyn Random>,
}

impl Tokens {
    /// Tokens that lead to `endpoint` (`HOST:PORT`) and trust the CA with this hash of its key.
    pub fn new(endpoint: &str, ca_sha256: [u8; 32], random: Arc<dyn Random>) -> Self {
        Self {
            endpoint: endpoint.into(),
            ca_sha256,
            random,
        }
    }

    /// A new token for one node, or for any host of the cluster: the command that records it, and
    /// the secret, which only [`Self::text`] needs.
    pub fn issue(&self, cluster: ClusterId, node: Option<NodeId>, now: Micros) -> (Command, Secret) {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        let secret = Secret::new(bytes);
        let command = Command::CreateJoinToken {
            cluster,
            node,
            secret_hash: secret.hash(),
            expires_at: now + LIFETIME,
        };
        (command, secret)
    }

    /// The text to show once, of the token that the command has made.
    pub fn text(&self, token: &JoinToken, secret: &Secret) -> String {
        let text = Text {
            endpoint: self.endpoint.to_string(),
            ca_sha256: self.ca_sha256,
            cluster: token.cluster,
            role: Role::Node,
            expires_at: token.expires_at,
            id: token.id,
            secret: secret.clone(),
        };
        text.text()
    }
}
