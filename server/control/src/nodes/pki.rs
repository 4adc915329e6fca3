//! The CA of the agents: its key, the certificates it signs, and whom a certificate names.
//!
//! All keys are P-256. The CA's key is a file that only its owner may read; the certificate beside
//! it can be made again from the key, and agents go on trusting it, since they pin the key.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_core::model::Micros;
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_sources::{Files, Random};
use portolan_wire::agent::Role;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Microseconds in a day.
const DAY: Micros = 86_400_000_000;

/// How long an agent's certificate is valid; it is renewed on the stream long before.
pub const CLIENT_LIFETIME: Micros = 7 * DAY;

/// How long after its end an agent's certificate still opens its renewal.
pub const RENEWABLE: Micros = 90 * DAY;

/// How long the endpoint's own certificate is valid; it is made again every day.
const SERVER_LIFETIME: Micros = 30 * DAY;

/// How long the CA's certificate is valid: 30 years. The key is what agents pin.
const CA_LIFETIME: Micros = 30 * 365 * DAY;

/// Certificates are valid from an hour ago, for hosts whose clock is behind.
const SKEW: Micros = 3_600_000_000;

/// What the secret is made of besides the key, so that it is good for nothing else.
const SECRET: &[u8] = b"portolan: what was told to agents";

/// The beginning of the URI in agents' certificates.
const SCHEME: &str = "portolan://";

/// Why the CA cannot be used, or a certificate not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file of the CA cannot be read or written.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// Which file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Others than its owner may read the key.
    #[error("the CA's key {} has mode {mode:o}: others than its owner may read it; chmod 600 it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file holds no key of the kind that is made here.
    #[error("{} holds no P-256 key in PEM form", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// The request for a certificate is damaged, not signed by its key, or not for a P-256 key.
    #[error("the certificate request is not one for a P-256 key")]
    Request,
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// Whom an agent's certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The node whose agent shows it.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// What it is there.
    pub role: Role,
    /// SHA-256 of the public key.
    pub key_hash: [u8; 32],
    /// When the certificate begins to be valid; microseconds, UTC.
    pub not_before: Micros,
    /// When the certificate ends; microseconds, UTC.
    pub not_after: Micros,
}

impl Identity {
    /// Whether the certificate is valid at `now`. One that is not opens its renewal alone: it has ended, or it was made
    /// while the clock of the control plane was ahead.
    pub fn is_valid(&self, now: Micros) -> bool {
        (self.not_before..self.not_after).contains(&now)
    }
}

/// A key that a certificate is requested for; the request is signed with it, so the requester holds it.
pub struct Requested {
    key: rcgen::PublicKey,
}

impl Requested {
    /// Reads and checks a PKCS#10 request. Only the key is read from it.
    ///
    /// # Errors
    /// If it is none, its signature is not the key's, or the key is not on P-256.
    pub fn parse(der: &[u8]) -> Result<Self, PkiError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|_| PkiError::Request)?;
        let key = request.public_key;
        // An uncompressed point of P-256: 4 and two coordinates of 32 bytes.
        let point = key.der_bytes();
        if *key.algorithm() != rcgen::PKCS_ECDSA_P256_SHA256 || point.len() != 65 || point[0] != 4 {
            return Err(PkiError::Request);
        }
        Ok(Self { key })
    }

    /// SHA-256 of the public key.
    pub fn key_hash(&self) -> [u8; 32] {
        Sha256::digest(self.key.der_bytes()).into()
    }
}

/// The endpoint's own certificate and key.
pub struct ServerCertificate {
    /// The certificate, and the CA's, which is how a joining host finds the key it pinned.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivatePkcs8KeyDer<'static>,
}

/// The CA.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key_sha256: [u8; 32],
    random: Arc<dyn Random>,
    secret: [u8; 32],
}

impl Ca {
    /// Reads the CA whose key is in `key_path`, or makes one there if there is no such file. Its
    /// certificate is in the file of the same name that ends in `.crt` instead of `.key`.
    ///
    /// # Errors
    /// If the files cannot be read or written, if others may read the key, or if it is none.
    pub fn open(files: &dyn Files, key_path: &Path, now: Micros, random: Arc<dyn Random>) -> Result<Self, PkiError> {
        let key = match read_key(files, key_path)? {
            Some(key) => key,
            None => {
                let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
                write(files, key_path, key.serialize_pem().as_bytes(), 0o600)?;
                tracing::info!(path = %key_path.display(), "made the CA of the agents");
                key
            }
        };
        let certificate_path = certificate_path(key_path);
        let key_sha256 = Sha256::digest(key.subject_public_key_info()).into();
        let params = ca_params(now, &random);
        let secret = Sha256::new_with_prefix(SECRET)
            .chain_update(key.serialize_der())
            .finalize();
        let certificate = match read_certificate(files, &certificate_path, &key_sha256)? {
            Some(certificate) => certificate,
            None => {
                let made = params.self_signed(&key)?;
                write(files, &certificate_path, made.pem().as_bytes(), 0o644)?;
                made.der().clone()
            }
        };
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            key_sha256,
            random,
            secret: secret.into(),
        })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of its key (`SubjectPublicKeyInfo`, DER): what join tokens pin.
    pub fn key_sha256(&self) -> [u8; 32] {
        self.key_sha256
    }

    /// A secret of all that have its key, for what the control plane must know again.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// A certificate for a node's agent.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn sign_agent(
        &self,
        requested: &Requested,
        node: NodeId,
        cluster: ClusterId,
        role: Role,
        now: Micros,
    ) -> Result<CertificateDer<'static>, PkiError> {
        let mut params = self.params(&node.to_string(), now, CLIENT_LIFETIME);
        let uri = format!("{SCHEME}{cluster}/{}/{node}", role_name(role));
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&requested.key, &self.issuer)?.der().clone())
    }

    /// A new key and certificate for the endpoint at `host`, a name or an address. It is valid for 30 days.
    ///
    /// # Errors
    /// If `host` is neither, or it cannot be signed.
    pub fn make_server(&self, host: &str, now: Micros) -> Result<ServerCertificate, PkiError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = self.params("Portolan agent endpoint", now, SERVER_LIFETIME);
        params.subject_alt_names = vec![match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into()?),
        }];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let chain = vec![certificate, self.certificate.clone()];
        Ok(ServerCertificate {
            chain,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    fn params(&self, name: &str, now: Micros, lifetime: Micros) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.not_before = at(now - SKEW);
        params.not_after = at(now + lifetime);
        params.serial_number = Some(serial(&self.random));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params
    }
}

/// Whom a certificate names; `None` if it is not an agent's. The TLS handshake has checked that the CA signed it, and the
/// caller checks that it is valid now.
pub fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let uri = names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
        _ => None,
    })?;
    let mut parts = uri.split('/');
    let (cluster, role, node) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Identity {
        node: node.parse().ok()?,
        cluster: cluster.parse().ok()?,
        role: [Role::Node, Role::Gateway]
            .into_iter()
            .find(|known| role_name(*known) == role)?,
        key_hash: Sha256::digest(&parsed.public_key().subject_public_key.data).into(),
        not_before: parsed.validity().not_before.timestamp() * 1_000_000,
        not_after: parsed.validity().not_after.timestamp() * 1_000_000,
    })
}

/// When a certificate ends, in seconds since the epoch.
pub(super) fn end_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(parsed.validity().not_after.timestamp()).ok()
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Gateway => "gateway",
        Role::Node | Role::Unknown => "node",
    }
}

fn ca_params(now: Micros, random: &Arc<dyn Random>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Portolan agents' CA");
    params.not_before = at(now - SKEW);
    params.not_after = at(now + CA_LIFETIME);
    params.serial_number = Some(serial(random));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// A serial number that is used once (RFC 5280, 4.1.2.2: positive, at most 20 bytes).
fn serial(random: &Arc<dyn Random>) -> SerialNumber {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes[0] &= 0x7f;
    SerialNumber::from_slice(&bytes)
}

fn at(micros: Micros) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn certificate_path(key_path: &Path) -> PathBuf {
    if key_path.extension().is_some_and(|extension| extension == "key") {
        return key_path.with_extension("crt");
    }
    let mut name = key_path.as_os_str().to_owned();
    name.push(".crt");
    name.into()
}

fn read_key(files: &dyn Files, path: &Path) -> Result<Option<KeyPair>, PkiError> {
    let failed = failed("read the CA's key", path);
    let Some(mode) = files.mode(path).map_err(&failed)? else {
        return Ok(None);
    };
    if mode & 0o077 != 0 {
        return Err(PkiError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let Some(pem) = files.read(path).map_err(&failed)? else {
        return Ok(None);
    };
    let pem = String::from_utf8(pem).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_ECDSA_P256_SHA256);
    key.map(Some).map_err(|source| PkiError::NotAKey {
        path: path.to_owned(),
        source,
    })
}

/// The certificate in a file, if there is one and it is this key's.
fn read_certificate(
    files: &dyn Files,
    path: &Path,
    key_sha256: &[u8; 32],
) -> Result<Option<CertificateDer<'static>>, PkiError> {
    let found = files.read(path).map_err(failed("read the CA's certificate", path))?;
    let Some(pem) = found else { return Ok(None) };
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&pem) else {
        return Ok(None);
    };
    let ours = X509Certificate::from_der(&pem.contents)
        .is_ok_and(|(_, parsed)| Sha256::digest(parsed.public_key().raw)[..] == key_sha256[..]);
    Ok(ours.then(|| pem.contents.into()))
}

fn write(files: &dyn Files, path: &Path, content: &[u8], mode: u32) -> Result<(), PkiError> {
    files.replace(path, content, mode).map_err(failed("write", path))
}

/// The error of an attempt at a file that failed.
fn failed(attempt: &'static str, path: &Path) -> impl Fn(io::Error) -> PkiError {
    move |source| PkiError::File {
        attempt,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_sources::SystemRandom;
    use portolan_sources::testing::MemoryFiles;

    const NOW: Micros = 1_790_000_000_000_000;

    /// A disk with the folder that the CA is in.
    fn disk() -> MemoryFiles {
        let files = MemoryFiles::default();
        files.make_folder(Path::new("/state")).unwrap();
        files
    }

    fn open(files: &MemoryFiles) -> Result<Ca, PkiError> {
        let key = Path::new("/state/portolan.db.ca.key");
        Ca::open(files, key, NOW, Arc::new(SystemRandom::default()))
    }

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::default()
            .serialize_request(key)
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn the_ca_is_made_once_and_its_key_is_its_owners() {
        let files = disk();
        let made = open(&files).unwrap();
        assert_eq!(files.mode(Path::new("/state/portolan.db.ca.key")).unwrap(), Some(0o600));
        let read = open(&files).unwrap();
        assert_eq!(read.key_sha256(), made.key_sha256());
        assert_eq!(read.certificate(), made.certificate());
        // The certificate can be made again; the key, which is what is pinned, stays.
        files.remove(Path::new("/state/portolan.db.ca.crt")).unwrap();
        assert_eq!(open(&files).unwrap().key_sha256(), made.key_sha256());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let (files, path) = (disk(), Path::new("/state/portolan.db.ca.key"));
        open(&files).unwrap();
        let key = files.read(path).unwrap().unwrap();
        files.replace(path, &key, 0o640).unwrap();
        assert!(matches!(open(&files), Err(PkiError::Exposed { mode: 0o640, .. })));
        files.replace(path, b"no key", 0o600).unwrap();
        assert!(matches!(open(&files), Err(PkiError::NotAKey { .. })));
    }

    #[test]
    fn a_disk_that_is_full_is_said_so_and_nothing_is_kept() {
        let files = disk();
        files.fail_replaces(1);
        assert!(matches!(open(&files), Err(PkiError::File { attempt: "write", .. })));
        assert_eq!(files.read(Path::new("/state/portolan.db.ca.key")).unwrap(), None);
        open(&files).unwrap();
    }

    #[test]
    fn an_agents_certificate_names_node_cluster_and_role() {
        let ca = open(&disk()).unwrap();
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let requested = Requested::parse(&request(&key)).unwrap();
        let (node, cluster) = (NodeId::from_bytes([1; 16]), ClusterId::from_bytes([2; 16]));
        let certificate = ca.sign_agent(&requested, node, cluster, Role::Node, NOW).unwrap();
        let expected = Identity {
            node,
            cluster,
            role: Role::Node,
            key_hash: requested.key_hash(),
            not_before: NOW - SKEW,
            not_after: NOW + CLIENT_LIFETIME,
        };
        let times = [
            NOW - SKEW - 1,
            NOW - SKEW,
            NOW + CLIENT_LIFETIME - 1,
            NOW + CLIENT_LIFETIME,
        ];
        assert_eq!(times.map(|now| expected.is_valid(now)), [false, true, true, false]);
        assert_eq!(identity(&certificate), Some(expected));
        assert_eq!(
            end_of(&certificate),
            u64::try_from((NOW + CLIENT_LIFETIME) / 1_000_000).ok()
        );
        assert_eq!(identity(ca.certificate()), None);
        assert_eq!(identity(&ca.make_server("198.18.0.1", NOW).unwrap().chain[0]), None);
    }

    #[test]
    fn a_request_must_be_signed_by_a_p256_key() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut damaged = request(&key);
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert!(Requested::parse(&damaged).is_err());
        assert!(Requested::parse(&[]).is_err());
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(Requested::parse(&request(&other)).is_err());
        let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert!(Requested::parse(&request(&edwards)).is_err());
    }
}
