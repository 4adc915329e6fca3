//! Who this host is: its key, its certificate, and the CA it trusts.
//!
//! The key is made here and never leaves; the control plane signs it at the join and again on the
//! stream. Files, all in `identity/` of the state directory: `key.pem` (mode 0600), `cert.pem`,
//! `ca.pem`, and `node.json`, which is written last: without it the host has not joined.

mod join;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_wire::agent::Joined;
use portolan_wire::field;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::files;

pub use join::{JoinError, join};

/// How long a certificate lasts, in seconds: 7 days.
pub const CERTIFICATE_LIFE: u64 = 7 * 24 * 60 * 60;

/// Why the identity cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is there and is not what it should be.
    #[error("{} is damaged; remove the folder and join again", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// The key or the request for a certificate cannot be made.
    #[error("cannot make a key")]
    Make(#[from] rcgen::Error),
    /// What the control plane has answered cannot be used.
    #[error("the control plane's answer cannot be used")]
    Answer(#[from] field::BadField),
}

/// What `node.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    node: NodeId,
    cluster: ClusterId,
    /// `HOST:PORT` of the agent endpoint.
    endpoint: String,
    /// When the certificate was received, by this host's clock; seconds since the epoch.
    certified_at: u64,
    /// The node was removed from its cluster: this identity is of no use any more.
    #[serde(default)]
    removed: bool,
}

/// The identity of a host that has joined.
#[derive(Clone)]
pub struct Identity {
    folder: PathBuf,
    facts: Facts,
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    key: Key,
}

impl Identity {
    /// The identity in the state directory, if the host has joined.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn load(state_dir: &Path) -> Result<Option<Self>, IdentityError> {
        let folder = folder(state_dir);
        let Some(facts) = read(&folder.join("node.json"))? else {
            return Ok(None);
        };
        let facts = serde_json::from_slice(&facts).map_err(|_| damaged(&folder.join("node.json")))?;
        let key = Key::load(&folder)?.ok_or_else(|| damaged(&folder.join("key.pem")))?;
        let (certificate, ca) = (
            certificate(&folder.join("cert.pem"))?,
            certificate(&folder.join("ca.pem"))?,
        );
        Ok(Some(Self {
            folder,
            facts,
            certificate,
            ca,
            key,
        }))
    }

    /// Keeps what the join gave, for the key it was asked with.
    ///
    /// # Errors
    /// If the answer cannot be used, or the disk does not take it.
    pub(crate) fn keep(
        state_dir: &Path,
        key: Key,
        endpoint: String,
        joined: Joined,
        now: u64,
    ) -> Result<Self, IdentityError> {
        let folder = folder(state_dir);
        let facts = Facts {
            node: NodeId::from_bytes(field::id("node_id", &joined.node_id)?),
            cluster: ClusterId::from_bytes(field::id("cluster_id", &joined.cluster_id)?),
            endpoint,
            certified_at: now,
            removed: false,
        };
        let identity = Self {
            folder,
            facts,
            certificate: joined.certificate.into(),
            ca: joined.ca_certificate.into(),
            key,
        };
        write(&identity.folder.join("ca.pem"), pem(&identity.ca).as_bytes(), 0o644)?;
        write(
            &identity.folder.join("cert.pem"),
            pem(&identity.certificate).as_bytes(),
            0o644,
        )?;
        identity.write_facts()?;
        Ok(identity)
    }

    /// Keeps a renewed certificate.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn renewed(&mut self, certificate: Vec<u8>, now: u64) -> Result<(), IdentityError> {
        let certificate = CertificateDer::from(certificate);
        write(&self.folder.join("cert.pem"), pem(&certificate).as_bytes(), 0o644)?;
        self.certificate = certificate;
        self.facts.certified_at = now;
        self.write_facts()
    }

    /// Notes that the node was removed from its cluster.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn note_removed(&mut self) -> Result<(), IdentityError> {
        self.facts.removed = true;
        self.write_facts()
    }

    /// Whether the node was removed from its cluster; a new token lets the host join anew.
    pub fn is_removed(&self) -> bool {
        self.facts.removed
    }

    /// The node this host is.
    pub fn node(&self) -> NodeId {
        self.facts.node
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> ClusterId {
        self.facts.cluster
    }

    /// `HOST:PORT` of the agent endpoint.
    pub fn endpoint(&self) -> &str {
        &self.facts.endpoint
    }

    /// When the certificate was received; another certificate, another time.
    pub fn certified_at(&self) -> u64 {
        self.facts.certified_at
    }

    /// How old the certificate is, in seconds; all of time if the clock was set back.
    pub fn certificate_age(&self, now: u64) -> u64 {
        now.checked_sub(self.facts.certified_at).unwrap_or(u64::MAX)
    }

    /// Whether the certificate's life is over: the control plane takes it no more, and only a join
    /// brings another.
    pub fn has_expired(&self, now: u64) -> bool {
        self.facts.certified_at.saturating_add(CERTIFICATE_LIFE) <= now
    }

    /// A request to sign the key again.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn request(&self) -> Result<Vec<u8>, IdentityError> {
        self.key.request()
    }

    fn write_facts(&self) -> Result<(), IdentityError> {
        let facts = serde_json::to_vec(&self.facts).expect("ids, texts and numbers are JSON");
        write(&self.folder.join("node.json"), &facts, 0o644)
    }
}

/// The host's own key.
#[derive(Clone)]
pub(crate) struct Key(std::sync::Arc<KeyPair>);

impl Key {
    /// The key on disk; made now if there is none. It is kept before it is used, so that a join whose
    /// answer was lost can be asked for again with the same key.
    pub(crate) fn load_or_make(state_dir: &Path) -> Result<Self, IdentityError> {
        let folder = folder(state_dir);
        let made = |source| IdentityError::File {
            attempt: "make",
            path: folder.clone(),
            source,
        };
        files::folder(&folder).map_err(made)?;
        if let Some(key) = Self::load(&folder)? {
            return Ok(key);
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        write(&folder.join("key.pem"), key.serialize_pem().as_bytes(), 0o600)?;
        Ok(Self(key.into()))
    }

    fn load(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let path = folder.join("key.pem");
        let Some(pem) = read(&path)? else { return Ok(None) };
        let pem = String::from_utf8(pem).map_err(|_| damaged(&path))?;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_ECDSA_P256_SHA256);
        Ok(Some(Self(key.map_err(|_| damaged(&path))?.into())))
    }

    /// A PKCS#10 request for it. Whom the certificate names is the control plane's to say.
    pub(crate) fn request(&self) -> Result<Vec<u8>, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&*self.0)?.der().to_vec())
    }

    fn der(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der())
    }
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("identity")
}

fn damaged(path: &Path) -> IdentityError {
    IdentityError::Damaged { path: path.to_owned() }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    files::read(path).map_err(|source| IdentityError::File {
        attempt: "read",
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), IdentityError> {
    files::replace(path, content, mode).map_err(|source| IdentityError::File {
        attempt: "write",
        path: path.to_owned(),
        source,
    })
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    let content = read(path)?.ok_or_else(|| damaged(path))?;
    CertificateDer::from_pem_slice(&content).map_err(|_| damaged(path))
}

/// A certificate as PEM (RFC 7468: lines of 64 characters).
fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap_or_default());
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn joined(key: &Key) -> Joined {
        let certificate = CertificateParams::default()
            .self_signed(&*key.0)
            .unwrap()
            .der()
            .to_vec();
        Joined {
            node_id: vec![1; 16],
            cluster_id: vec![2; 16],
            ca_certificate: certificate.clone(),
            certificate,
            store_id: vec![3; 16],
        }
    }

    #[test]
    fn an_identity_is_there_once_everything_of_it_is() {
        let home = tempfile::tempdir().unwrap();
        assert!(Identity::load(home.path()).unwrap().is_none());
        let key = Key::load_or_make(home.path()).unwrap();
        assert!(
            Identity::load(home.path()).unwrap().is_none(),
            "a key alone is no identity"
        );
        let path = home.path().join("identity/key.pem");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut made = Identity::keep(home.path(), key.clone(), "198.18.0.1:7443".into(), joined(&key), 1000).unwrap();
        let read = Identity::load(home.path()).unwrap().unwrap();
        assert_eq!(
            (&read.facts, &read.certificate, &read.ca),
            (&made.facts, &made.certificate, &made.ca)
        );
        assert_eq!(read.certificate_age(1600), 600);
        assert_eq!(read.certificate_age(10), u64::MAX);
        assert!(!read.has_expired(1000 + CERTIFICATE_LIFE - 1) && read.has_expired(1000 + CERTIFICATE_LIFE));
        assert!(!read.has_expired(10), "a clock that was set back says nothing");

        made.note_removed().unwrap();
        assert!(Identity::load(home.path()).unwrap().unwrap().is_removed());
        std::fs::write(&path, "torn").unwrap();
        assert!(matches!(
            Identity::load(home.path()),
            Err(IdentityError::Damaged { .. })
        ));
    }

    #[test]
    fn the_same_key_is_used_again() {
        let home = tempfile::tempdir().unwrap();
        let (first, again) = (
            Key::load_or_make(home.path()).unwrap(),
            Key::load_or_make(home.path()).unwrap(),
        );
        assert_eq!(first.0.serialize_der(), again.0.serialize_der());
    }
}
