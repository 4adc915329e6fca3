//! TLS of the agent: 1.3 only, P-256, and nobody is trusted but the CA of the join token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portolan_sources::Clock;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

use super::Identity;

/// P-256 for keys and key exchange, suites of TLS 1.3.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![aws_lc_rs::kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    })
}

/// TLS of a node's stream: shows the node's certificate, trusts its CA. Sessions are resumed as long
/// as the configuration is used again.
///
/// # Errors
/// If certificate and key do not fit.
pub fn of_node(identity: &Identity, clock: &Arc<dyn Clock>) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.ca.clone())?;
    let key = PrivateKeyDer::Pkcs8(identity.key.der());
    let mut config = ClientConfig::builder_with_details(provider(), ValidityClock::new(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![identity.certificate.clone()], key)?;
    // One endpoint, one ticket.
    config.resumption = rustls::client::Resumption::in_memory_sessions(2);
    Ok(config)
}

/// TLS of a join: nothing to show yet, and trust in one key, by its hash.
///
/// # Errors
/// Never with the suites of this build; the signature is rustls'.
pub fn of_join(ca_sha256: [u8; 32], clock: &Arc<dyn Clock>) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let pinned = Arc::new(Pinned {
        ca_sha256,
        provider: Arc::clone(&provider),
    });
    let mut config = ClientConfig::builder_with_details(provider, ValidityClock::new(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The time at which certificates have to be valid.
struct ValidityClock(Arc<dyn Clock>);

impl ValidityClock {
    fn new(clock: &Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(clock)))
    }
}

impl fmt::Debug for ValidityClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValidityClock")
    }
}

impl TimeProvider for ValidityClock {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

/// Trusts the CA certificate that the server sends along if its key is the pinned one; everything
/// else (chain, names, times, signatures) is verified as ever.
#[derive(Debug)]
struct Pinned {
    ca_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn anchor(&self, certificates: &[CertificateDer<'_>]) -> Option<CertificateDer<'static>> {
        let is_pinned = |certificate: &&CertificateDer<'_>| {
            spki(certificate).is_some_and(|spki| Sha256::digest(spki)[..] == self.ca_sha256)
        };
        certificates
            .iter()
            .find(is_pinned)
            .map(|certificate| certificate.clone().into_owned())
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let anchor = self.anchor(intermediates).ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(anchor)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&self.provider))
            .build()
            .map_err(|_| CertificateError::UnknownIssuer)?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 is the only version spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The `SubjectPublicKeyInfo` of a certificate, with its tag and length (RFC 5280, 4.1):
/// `Certificate { tbsCertificate { [0] version?, serial, algorithm, issuer, validity, subject, SPKI`.
fn spki<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (_, certificate, _) = element(certificate)?;
    let (_, tbs, _) = element(certificate)?;
    let (tag, _, after_version) = element(tbs)?;
    let mut rest = if tag == 0xa0 { after_version } else { tbs };
    for _serial_algorithm_issuer_validity_subject in 0..5 {
        (_, _, rest) = element(rest)?;
    }
    let (_, _, after) = element(rest)?;
    rest.get(..rest.len() - after.len())
}

/// The first DER element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
                rest,
            )
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;

    #[test]
    fn the_public_key_of_a_certificate_is_found() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        assert_eq!(spki(certificate.der()), Some(&key.subject_public_key_info()[..]));
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_certificate_have_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = spki(&CertificateDer::from(bytes));
        }
    }
}
