//! TLS of the agent endpoint: 1.3 only, P-256, certificates of the CA's alone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portolan_core::model::Micros;
use portolan_sources::Clock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, GetRandomFailed, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ProducesTickets, ServerConfig, VerifierBuilderError, WebPkiClientVerifier};
use rustls::ticketer::TicketRotator;
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use tokio_rustls::TlsAcceptor;

use super::pki::{self, Ca, PkiError};

/// How often the endpoint's own certificate is made again, by the clock: every day, in microseconds.
const CERTIFICATE_EVERY: Micros = 24 * 3_600_000_000;

/// For how long a ticket resumes a session, in seconds: long enough for all agents to come back
/// after a failure, short because a resumed session shows no certificate anew.
const TICKET_SECONDS: u32 = 30 * 60;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's certificate cannot be made.
    #[error("cannot make the agent endpoint's certificate")]
    Certificate(#[from] PkiError),
    /// rustls does not accept something.
    #[error("cannot set up TLS for agents")]
    Rustls(#[from] rustls::Error),
    /// The CA's certificate cannot be a root.
    #[error("cannot set up the check of agents' certificates")]
    Verifier(#[from] VerifierBuilderError),
}

/// Makes configurations of the endpoint; tickets outlive them.
pub(super) struct TlsMaker {
    /// What it made last, and when, by the clock.
    made: Option<(Micros, TlsAcceptor)>,
    ca: Arc<Ca>,
    host: String,
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
    ticketer: Arc<dyn ProducesTickets>,
}

impl TlsMaker {
    /// For an endpoint that hosts know as `host`.
    ///
    /// # Errors
    /// If there is no randomness for the tickets' key.
    pub(super) fn new(ca: Arc<Ca>, host: String, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let ticketer = Arc::new(TicketRotator::new(TICKET_SECONDS, short_ticketer)?);
        Ok(Self {
            made: None,
            ca,
            host,
            clock,
            provider: Arc::new(provider()),
            ticketer,
        })
    }

    /// The acceptor of now. By the clock, not by a timer: a machine that was suspended for a month, or whose clock was set,
    /// must not show a certificate of another time.
    ///
    /// # Errors
    /// If the certificate cannot be made.
    pub(super) fn acceptor(&mut self) -> Result<TlsAcceptor, TlsError> {
        let now = self.clock.now();
        if let Some((at, acceptor)) = &self.made
            && (*at..*at + CERTIFICATE_EVERY).contains(&now)
        {
            return Ok(acceptor.clone());
        }
        let acceptor = TlsAcceptor::from(Arc::new(self.make(now)?));
        self.made = Some((now, acceptor.clone()));
        Ok(acceptor)
    }

    /// A configuration with a new certificate. Clients may come without one, to join.
    fn make(&self, now: Micros) -> Result<ServerConfig, TlsError> {
        let server = self.ca.make_server(&self.host, now)?;
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.certificate().clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .allow_unauthenticated()
            .build()?;
        let time = Arc::new(Time(Arc::clone(&self.clock)));
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AtAnyTime(verifier)))
            .with_single_cert(server.chain, PrivateKeyDer::Pkcs8(server.key))?;
        config.ticketer = Arc::clone(&self.ticketer);
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

/// P-256 for keys and key exchange, suites of TLS 1.3.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![aws_lc_rs::kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    }
}

/// Verifies everything about an agent's certificate but its time. That is looked at afterwards, at every handshake and
/// resumption, since a certificate that is not valid now opens its renewal.
#[derive(Debug)]
struct AtAnyTime(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AtAnyTime {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let end = pki::end_of(end_entity).map(|end| UnixTime::since_unix_epoch(Duration::from_secs(end)));
        self.0.verify_client_cert(end_entity, intermediates, end.unwrap_or(now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The endpoint's clock, for rustls.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

/// rustls' ticketer with a shorter life.
#[derive(Debug)]
struct Short(Arc<dyn ProducesTickets>);

impl ProducesTickets for Short {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        TICKET_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}

fn short_ticketer() -> Result<Box<dyn ProducesTickets>, GetRandomFailed> {
    let ticketer = aws_lc_rs::Ticketer::new().map_err(|_| GetRandomFailed)?;
    Ok(Box::new(Short(ticketer)))
}
