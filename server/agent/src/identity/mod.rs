//! Who this host is: its key, its certificate, and the CA it trusts.
//!
//! The key is made here and never leaves; the control plane signs it at the join and again on the
//! stream. Files, all in `identity/` of the state directory: `key.pem` (mode 0600), `cert.pem`,
//! `ca.pem`, `node.json`, which is written last: without it the host has not joined, and `ticket`, by which the control plane
//! tells this machine from a copy of it.

mod join;
mod renew;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_sources::Files;
use portolan_wire::agent::{Joined, Ticket};
use portolan_wire::field;
use prost::Message as _;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

pub use join::{JoinError, join};
pub use renew::renew;

/// How long a certificate lasts.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
        /// The operating system's error.
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
    folder: Folder,
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
    pub fn load(files: &Arc<dyn Files>, state_dir: &Path) -> Result<Option<Self>, IdentityError> {
        let folder = Folder::of(files, state_dir);
        let Some(facts) = folder.read(NODE)? else {
            return Ok(None);
        };
        let facts = serde_json::from_slice(&facts).map_err(|_| folder.damaged(NODE))?;
        let key = Key::load(&folder)?.ok_or_else(|| folder.damaged(KEY))?;
        let (certificate, ca) = (folder.certificate(CERTIFICATE)?, folder.certificate(CA)?);
        Ok(Some(Self {
            folder,
            facts,
            certificate,
            ca,
            key,
        }))
    }

    /// Keeps what the join gave, for the key it was asked with. `now` is in microseconds since the
    /// epoch.
    ///
    /// # Errors
    /// If the answer cannot be used, or the disk does not take it.
    pub(crate) fn keep(
        files: &Arc<dyn Files>,
        state_dir: &Path,
        key: Key,
        endpoint: String,
        joined: Joined,
        now: i64,
    ) -> Result<Self, IdentityError> {
        let folder = Folder::of(files, state_dir);
        let facts = Facts {
            node: NodeId::from_bytes(field::id("node_id", &joined.node_id)?),
            cluster: ClusterId::from_bytes(field::id("cluster_id", &joined.cluster_id)?),
            endpoint,
            certified_at: seconds(now),
            removed: false,
        };
        let identity = Self {
            folder,
            facts,
            certificate: joined.certificate.into(),
            ca: joined.ca_certificate.into(),
            key,
        };
        identity.folder.write(CA, pem(&identity.ca).as_bytes(), PUBLIC)?;
        identity
            .folder
            .write(CERTIFICATE, pem(&identity.certificate).as_bytes(), PUBLIC)?;
        identity.write_facts()?;
        Ok(identity)
    }

    /// Takes a renewed certificate, and keeps it. It counts also if the disk does not take it: after a start the one before
    /// is renewed again. `now` is in microseconds since the epoch.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn renewed(&mut self, certificate: Vec<u8>, now: i64) -> Result<(), IdentityError> {
        self.certificate = CertificateDer::from(certificate);
        self.facts.certified_at = seconds(now);
        self.folder
            .write(CERTIFICATE, pem(&self.certificate).as_bytes(), PUBLIC)?;
        self.write_facts()
    }

    /// The newest ticket that this machine has been given.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn ticket(&self) -> Result<Option<Ticket>, IdentityError> {
        let Some(content) = self.folder.read(TICKET)? else {
            return Ok(None);
        };
        let ticket = Ticket::decode(&content[..]);
        ticket.map(Some).map_err(|_| self.folder.damaged(TICKET))
    }

    /// Keeps a ticket, durably.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn keep_ticket(&self, ticket: &Ticket) -> Result<(), IdentityError> {
        self.folder.write(TICKET, &ticket.encode_to_vec(), SECRET)
    }

    /// Forgets who the host was: it joins next as a machine that nobody has seen. What it was is told to nobody else.
    ///
    /// # Errors
    /// If a file is there and cannot be removed.
    pub fn forget(files: &Arc<dyn Files>, state_dir: &Path) -> Result<(), IdentityError> {
        let folder = Folder::of(files, state_dir);
        // Without the first there is no identity, whatever else is left.
        [NODE, KEY, CERTIFICATE, CA, TICKET].iter().try_for_each(|name| {
            let path = folder.path.join(name);
            files.remove(&path).map_err(|source| IdentityError::File {
                attempt: "remove",
                path,
                source,
            })
        })
    }

    /// Notes whether the node was removed from its cluster. It may be one again: a control plane that is put back to an
    /// older state knows it still.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn note_removed(&mut self, removed: bool) -> Result<(), IdentityError> {
        self.facts.removed = removed;
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

    /// When the certificate was received, in seconds since the epoch; another certificate, another
    /// time.
    pub fn certified_at(&self) -> u64 {
        self.facts.certified_at
    }

    /// How old the certificate is at `now`, in microseconds since the epoch; all of time if the clock
    /// was set back.
    pub fn certificate_age(&self, now: i64) -> Duration {
        seconds(now)
            .checked_sub(self.facts.certified_at)
            .map_or(Duration::MAX, Duration::from_secs)
    }

    /// Whether the certificate's life is over, by this host's clock: for a stream the control plane takes it no more, only
    /// to renew it. `now` is in microseconds since the epoch.
    pub fn has_expired(&self, now: i64) -> bool {
        self.facts.certified_at.saturating_add(CERTIFICATE_LIFE.as_secs()) <= seconds(now)
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
        self.folder.write(NODE, &facts, PUBLIC)
    }
}

/// The host's own key.
#[derive(Clone)]
pub(crate) struct Key(Arc<KeyPair>);

impl Key {
    /// The key on disk; made now if there is none. It is kept before it is used, so that a join whose
    /// answer was lost can be asked for again with the same key.
    pub(crate) fn load_or_make(files: &Arc<dyn Files>, state_dir: &Path) -> Result<Self, IdentityError> {
        let folder = Folder::of(files, state_dir);
        folder.make()?;
        if let Some(key) = Self::load(&folder)? {
            return Ok(key);
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        folder.write(KEY, key.serialize_pem().as_bytes(), SECRET)?;
        Ok(Self(key.into()))
    }

    fn load(folder: &Folder) -> Result<Option<Self>, IdentityError> {
        let Some(pem) = folder.read(KEY)? else { return Ok(None) };
        let pem = String::from_utf8(pem).map_err(|_| folder.damaged(KEY))?;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_ECDSA_P256_SHA256);
        Ok(Some(Self(key.map_err(|_| folder.damaged(KEY))?.into())))
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

/// The file that is written last.
const NODE: &str = "node.json";
const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
const CA: &str = "ca.pem";
const TICKET: &str = "ticket";

/// Permissions of the key.
const SECRET: u32 = 0o600;
/// Permissions of the other files.
const PUBLIC: u32 = 0o644;

/// The folder of the state directory that the identity is kept in.
#[derive(Clone)]
struct Folder {
    files: Arc<dyn Files>,
    path: PathBuf,
}

impl Folder {
    fn of(files: &Arc<dyn Files>, state_dir: &Path) -> Self {
        Self {
            files: Arc::clone(files),
            path: state_dir.join("identity"),
        }
    }

    fn make(&self) -> Result<(), IdentityError> {
        self.files
            .make_folder(&self.path)
            .map_err(|source| IdentityError::File {
                attempt: "make",
                path: self.path.clone(),
                source,
            })
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
        let path = self.path.join(name);
        self.files.read(&path).map_err(|source| IdentityError::File {
            attempt: "read",
            path,
            source,
        })
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<(), IdentityError> {
        let path = self.path.join(name);
        self.files
            .replace(&path, content, mode)
            .map_err(|source| IdentityError::File {
                attempt: "write",
                path,
                source,
            })
    }

    fn certificate(&self, name: &str) -> Result<CertificateDer<'static>, IdentityError> {
        let content = self.read(name)?.ok_or_else(|| self.damaged(name))?;
        CertificateDer::from_pem_slice(&content).map_err(|_| self.damaged(name))
    }

    fn damaged(&self, name: &str) -> IdentityError {
        IdentityError::Damaged {
            path: self.path.join(name),
        }
    }
}

/// Whole seconds of microseconds since the epoch: what `node.json` counts in.
fn seconds(micros: i64) -> u64 {
    u64::try_from(micros / 1_000_000).unwrap_or(0)
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
#[expect(clippy::disallowed_methods, reason = "the tests look at what is on the disk")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use portolan_sources::SystemFiles;

    use super::*;

    /// Microseconds of so many seconds.
    fn micros(seconds: u64) -> i64 {
        i64::try_from(seconds).unwrap() * 1_000_000
    }

    fn disk() -> Arc<dyn Files> {
        Arc::new(SystemFiles)
    }

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
        let (files, home) = (disk(), tempfile::tempdir().unwrap());
        assert!(Identity::load(&files, home.path()).unwrap().is_none());
        let key = Key::load_or_make(&files, home.path()).unwrap();
        assert!(
            Identity::load(&files, home.path()).unwrap().is_none(),
            "a key alone is no identity"
        );
        let path = home.path().join("identity/key.pem");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let endpoint = "198.18.0.1:7443".to_owned();
        let mut made = Identity::keep(&files, home.path(), key.clone(), endpoint, joined(&key), micros(1000)).unwrap();
        let read = Identity::load(&files, home.path()).unwrap().unwrap();
        assert_eq!(
            (&read.facts, &read.certificate, &read.ca),
            (&made.facts, &made.certificate, &made.ca)
        );
        assert_eq!(read.certificate_age(micros(1600)), Duration::from_secs(600));
        assert_eq!(read.certificate_age(micros(10)), Duration::MAX);
        let end = 1000 + CERTIFICATE_LIFE.as_secs();
        assert!(!read.has_expired(micros(end) - 1) && read.has_expired(micros(end)));
        assert!(!read.has_expired(micros(10)), "a clock that was set back says nothing");

        made.note_removed(true).unwrap();
        assert!(Identity::load(&files, home.path()).unwrap().unwrap().is_removed());
        std::fs::write(&path, "torn").unwrap();
        assert!(matches!(
            Identity::load(&files, home.path()),
            Err(IdentityError::Damaged { .. })
        ));
    }

    #[test]
    fn the_same_key_is_used_again() {
        let (files, home) = (disk(), tempfile::tempdir().unwrap());
        let (first, again) = (
            Key::load_or_make(&files, home.path()).unwrap(),
            Key::load_or_make(&files, home.path()).unwrap(),
        );
        assert_eq!(first.0.serialize_der(), again.0.serialize_der());
    }
}
