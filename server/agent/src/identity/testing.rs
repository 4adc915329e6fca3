//! A control plane's end of TLS that tests play.

#![expect(clippy::disallowed_methods, reason = "the other end is on the network")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use portolan_shared::ids::NodeId;
use portolan_sources::Files;
use portolan_wire::agent::Joined;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair,
    PublicKeyData as _, SanType,
};
use rustls::pki_types::{CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::{Identity, Key};

/// The control plane's end of a connection.
pub(crate) type Peer = WebSocketStream<TlsStream<TcpStream>>;

/// A CA, and an endpoint with a certificate of it.
pub(crate) struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    acceptor: TlsAcceptor,
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Authority {
    pub(crate) async fn listen() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, key()).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        let server = key();
        let certificate = params.signed_by(&server, &ca).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![certificate, ca.der().clone()],
                PrivatePkcs8KeyDer::from(server.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            ca,
            listener,
            address,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    /// What a join token pins.
    pub(crate) fn key_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.ca.key().subject_public_key_info()).into()
    }

    /// Waits for a connection that the other end gives up for what it is shown.
    pub(crate) async fn refused(&self) {
        loop {
            let (tcp, _) = self.listener.accept().await.unwrap();
            if self.acceptor.accept(tcp).await.is_err() {
                return;
            }
        }
    }

    /// The next connection of which both handshakes succeed.
    pub(crate) async fn accept(&self) -> Peer {
        loop {
            let (tcp, _) = self.listener.accept().await.unwrap();
            let Ok(tls) = self.acceptor.accept(tcp).await else {
                continue;
            };
            if let Ok(socket) = accept_async(tls).await {
                return socket;
            }
        }
    }

    pub(crate) fn sign(&self, csr: &[u8]) -> Vec<u8> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr)).unwrap();
        request.signed_by(&self.ca).unwrap().der().to_vec()
    }

    pub(crate) fn joined(&self, csr: &[u8], node: NodeId) -> Joined {
        Joined {
            node_id: node.as_bytes().to_vec(),
            cluster_id: vec![2; 16],
            certificate: self.sign(csr),
            ca_certificate: self.ca.der().to_vec(),
            store_id: vec![7; 16],
        }
    }

    /// The identity of a node that joined here at `certified_at`, in microseconds since the epoch.
    pub(crate) fn identity(
        &self,
        files: &Arc<dyn Files>,
        state_dir: &Path,
        node: NodeId,
        certified_at: i64,
    ) -> Identity {
        let key = Key::load_or_make(files, state_dir).unwrap();
        let joined = self.joined(&key.request().unwrap(), node);
        Identity::keep(files, state_dir, key, self.address.to_string(), joined, certified_at).unwrap()
    }
}
