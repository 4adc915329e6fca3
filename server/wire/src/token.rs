//! The text of a join token: everything a host needs to join, and nothing it may show to anybody.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portolan_shared::ids::{ClusterId, JoinTokenId};
use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::agent;
use crate::agent::Role;

/// How the text of this version begins.
pub const PREFIX: &str = "ptl1_";

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 2048;

/// The secret of a token. The control plane keeps its hash only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// From 32 random bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the request to join.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A join token as its text carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// `HOST:PORT` of the agent endpoint.
    pub endpoint: String,
    /// SHA-256 of the CA's public key (`SubjectPublicKeyInfo`, DER).
    pub ca_sha256: [u8; 32],
    /// The cluster it lets in to.
    pub cluster: ClusterId,
    /// What the host will be there.
    pub role: Role,
    /// When it stops working; microseconds, UTC.
    pub expires_at: i64,
    /// The control plane's row.
    pub id: JoinTokenId,
    /// What proves it.
    pub secret: Secret,
}

/// A text that is no join token of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It begins otherwise.
    #[error("a join token begins with {PREFIX}; this text does not, or is of a newer version")]
    Version,
    /// Cut off or mistyped.
    #[error("the join token is damaged; copy it again, in one piece")]
    Damaged,
}

impl JoinToken {
    /// The text: letters, digits, `-` and `_`, some 250 of them.
    pub fn text(&self) -> String {
        let message = agent::JoinToken {
            endpoint: self.endpoint.clone(),
            ca_sha256: self.ca_sha256.to_vec(),
            cluster_id: self.cluster.as_bytes().to_vec(),
            role: self.role.into(),
            expires_at: self.expires_at,
            token_id: self.id.as_bytes().to_vec(),
            secret: self.secret.0.to_vec(),
        };
        let body = message.encode_to_vec();
        // A checksum, so that a character lost in copying is told as that and not as "unknown".
        let check = &Sha256::digest(&body)[..4];
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&body, check].concat()))
    }

    /// Reads a text; white space around it does not matter.
    ///
    /// # Errors
    /// If it is no join token, or one of a version this build does not know.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(BadToken::Version)?;
        if body.len() > LONGEST {
            return Err(BadToken::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadToken::Damaged)?;
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(BadToken::Damaged)?;
        if Sha256::digest(body)[..4] != check[..] {
            return Err(BadToken::Damaged);
        }
        let message = agent::JoinToken::decode(body).map_err(|_| BadToken::Damaged)?;
        let id = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map_err(|_| BadToken::Damaged);
        let hash = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| BadToken::Damaged);
        Ok(Self {
            ca_sha256: hash(&message.ca_sha256)?,
            cluster: ClusterId::from_bytes(id(&message.cluster_id)?),
            role: message.role(),
            expires_at: message.expires_at,
            id: JoinTokenId::from_bytes(id(&message.token_id)?),
            secret: Secret(hash(&message.secret)?),
            endpoint: message.endpoint,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            endpoint: "198.18.0.1:7443".into(),
            ca_sha256: [7; 32],
            cluster: ClusterId::from_bytes([1; 16]),
            role: Role::Node,
            expires_at: 1_790_000_000_000_000,
            id: JoinTokenId::from_bytes([2; 16]),
            secret: Secret::new([3; 32]),
        }
    }

    #[test]
    fn a_token_comes_back_from_its_text() {
        let text = token().text();
        assert_eq!(JoinToken::parse(&format!(" {text}\n")), Ok(token()));
        assert!(
            text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
            "{text}"
        );
    }

    #[test]
    fn another_version_is_told_from_damage() {
        assert_eq!(JoinToken::parse("ptl2_AAAA"), Err(BadToken::Version));
        assert_eq!(JoinToken::parse(""), Err(BadToken::Version));
        let text = token().text();
        assert_eq!(JoinToken::parse(&text[..text.len() - 1]), Err(BadToken::Damaged));
        assert_eq!(
            JoinToken::parse(&format!("{PREFIX}{}", "A".repeat(3000))),
            Err(BadToken::Damaged)
        );
    }

    #[test]
    fn the_secret_is_in_no_log() {
        assert!(!format!("{:?}", token()).contains("[3, 3"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(ptl1_)?[A-Za-z0-9_-]{0,80}") {
            prop_assert!(JoinToken::parse(&text).is_err());
        }

        #[test]
        fn a_changed_character_is_damage(at in PREFIX.len()..180, with in "[A-Za-z0-9_-]") {
            let text = token().text();
            prop_assume!(at < text.len() && &text[at..=at] != with.as_str());
            let changed = format!("{}{with}{}", &text[..at], &text[at + 1..]);
            // The last character has bits that carry nothing; a decoder refuses or ignores them.
            prop_assert!(JoinToken::parse(&changed).is_err() || at + 1 == text.len());
        }
    }
}
