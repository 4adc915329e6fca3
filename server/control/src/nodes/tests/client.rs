//! An agent as far as the wire sees it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_shared::ids::NodeId;
use portolan_sources::Clock as _;
use portolan_wire::agent::{
    Block, Change, Cluster, FromAgent, Hello, Item, JoinReply, JoinRequest, Joined, Node, Refused, RenewReply,
    RenewRequest, Snapshot, ToAgent, Welcome, from_agent, join_reply::Outcome, renew_reply::Outcome as Renewal,
    to_agent::Message as In,
};
use portolan_wire::digest::Digest;
use portolan_wire::field::address_bytes;
use portolan_wire::item::{Items, read};
use portolan_wire::token::JoinToken;
use portolan_wire::{JOIN_PATH, PROTOCOL, RENEW_PATH, STREAM_PATH, older};
use prost::Message as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::world::{Hands, PATIENCE, World};

pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A host with a key of its own.
pub(super) struct Host {
    pub(super) key: KeyPair,
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
}

impl Host {
    pub(super) fn new(name: &str, address: [u8; 4]) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self {
            key,
            name: name.to_owned(),
            addresses: vec![address.into()],
        }
    }

    pub(super) fn csr(&self) -> Vec<u8> {
        CertificateParams::default()
            .serialize_request(&self.key)
            .unwrap()
            .der()
            .to_vec()
    }

    pub(super) fn request(&self, token: &JoinToken) -> JoinRequest {
        JoinRequest {
            protocol: PROTOCOL,
            token_id: token.id.as_bytes().to_vec(),
            secret: token.secret.bytes().to_vec(),
            csr: self.csr(),
            node_name: self.name.clone(),
            addresses: self.addresses.iter().map(|address| address_bytes(*address)).collect(),
            agent_version: "test".to_owned(),
        }
    }

    pub(super) async fn join(&self, world: &World, token: &JoinToken) -> Result<Joined, Refused> {
        join_with(world, self.request(token)).await
    }
}

pub(super) async fn join_with(world: &World, request: JoinRequest) -> Result<Joined, Refused> {
    join_frame(world, request.encode_to_vec()).await
}

pub(super) async fn join_frame(world: &World, frame: Vec<u8>) -> Result<Joined, Refused> {
    let config = config(world, None, &rustls::version::TLS13);
    let mut socket = connect(world.address, JOIN_PATH, config).await.unwrap();
    socket.send(Message::Binary(frame.into())).await.unwrap();
    let reply = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    match JoinReply::decode(reply.into_data()).unwrap().outcome.unwrap() {
        Outcome::Joined(joined) => Ok(joined),
        Outcome::Refused(refused) => Err(refused),
    }
}

pub(super) fn config(
    world: &World,
    identity: Option<(&[u8], &KeyPair)>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(world.ca_certificate())).unwrap();
    // As agents do: with another group first, each handshake would take a round trip more.
    let provider = Arc::new(rustls::crypto::CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::SECP256R1],
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let builder = ClientConfig::builder_with_details(provider, Arc::new(ByClock(Arc::clone(&world.clock))))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivatePkcs8KeyDer::from(key.serialize_der());
            builder
                .with_client_auth_cert(vec![certificate.to_vec().into()], key.into())
                .unwrap()
        }
    }
}

/// The time of hosts, which is the control plane's.
#[derive(Debug)]
struct ByClock(Arc<Hands>);

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

pub(super) async fn connect(
    address: SocketAddr,
    path: &str,
    config: ClientConfig,
) -> Result<Socket, tungstenite::Error> {
    connect_with(address, path, Arc::new(config)).await
}

pub(super) async fn connect_with(
    address: SocketAddr,
    path: &str,
    config: Arc<ClientConfig>,
) -> Result<Socket, tungstenite::Error> {
    over(TcpStream::connect(address).await?, path, config).await
}

async fn over(tcp: TcpStream, path: &str, config: Arc<ClientConfig>) -> Result<Socket, tungstenite::Error> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let tls = TlsConnector::from(config).connect(name, tcp).await?;
    let (socket, _) = client_async(format!("wss://127.0.0.1{path}"), tls).await?;
    Ok(socket)
}

/// A node: what a host is after the join.
pub(super) struct Agent {
    pub(super) id: NodeId,
    pub(super) host: Host,
    pub(super) certificate: Vec<u8>,
    tls: Arc<ClientConfig>,
}

impl Agent {
    /// A host that has joined by itself.
    pub(super) async fn joined(
        world: &World,
        cluster: portolan_shared::ids::ClusterId,
        name: &str,
        address: [u8; 4],
    ) -> Self {
        let (host, token) = (Host::new(name, address), world.token(cluster, None).await);
        let joined = host.join(world, &token).await.unwrap();
        Self::of(world, host, &joined)
    }

    pub(super) fn of(world: &World, host: Host, joined: &Joined) -> Self {
        let id = NodeId::from_bytes(joined.node_id.as_slice().try_into().unwrap());
        let identity = Some((&joined.certificate[..], &host.key));
        let tls = Arc::new(config(world, identity, &rustls::version::TLS13));
        Self {
            id,
            host,
            certificate: joined.certificate.clone(),
            tls,
        }
    }

    pub(super) async fn connect(&self, world: &World) -> Result<Socket, tungstenite::Error> {
        connect_with(world.address, STREAM_PATH, Arc::clone(&self.tls)).await
    }

    /// Asks for another certificate, for this key, by the one it has.
    pub(super) async fn renew(&self, world: &World, csr: Vec<u8>) -> Result<Vec<u8>, Refused> {
        let connected = connect_with(world.address, RENEW_PATH, Arc::clone(&self.tls)).await;
        let mut socket = connected.unwrap();
        let request = RenewRequest { csr }.encode_to_vec();
        socket.send(Message::Binary(request.into())).await.unwrap();
        let reply = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        match RenewReply::decode(reply.into_data()).unwrap().outcome.unwrap() {
            Renewal::Renewed(renewed) => Ok(renewed.certificate),
            Renewal::Refused(refused) => Err(refused),
        }
    }

    /// The same node, with another certificate.
    pub(super) fn certified(self, world: &World, certificate: Vec<u8>) -> Self {
        let identity = Some((&certificate[..], &self.host.key));
        let tls = Arc::new(config(world, identity, &rustls::version::TLS13));
        Self {
            certificate,
            tls,
            ..self
        }
    }

    /// A connection that takes few bytes which nobody reads: 4 KiB here, and, since segments are
    /// small, some 100 KiB at the other end.
    #[expect(unsafe_code, reason = "rustix cannot set the size of segments")]
    pub(super) async fn connect_narrow(&self, world: &World) -> Socket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let (size, segment) = (size_of::<libc::c_int>() as libc::socklen_t, 536 as libc::c_int);
        // SAFETY: the descriptor is open, and the kernel reads the `size` bytes of a live `c_int`.
        let set = unsafe {
            let value = (&raw const segment).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_MAXSEG, value, size)
        };
        assert_eq!(set, 0);
        let tcp = socket.connect(world.address).await.unwrap();
        over(tcp, STREAM_PATH, Arc::clone(&self.tls)).await.unwrap()
    }

    /// A stream that has said hello.
    pub(super) async fn stream(&self, world: &World, hello: Hello) -> Stream {
        let mut stream = Stream(self.connect(world).await.unwrap());
        stream.send(from_agent::Message::Hello(hello)).await;
        stream
    }

    /// A stream without a state, up to the first mark, and the state it got.
    pub(super) async fn fresh(&self, world: &World) -> (Stream, Welcome, Snapshot) {
        let mut stream = self.stream(world, hello()).await;
        let (welcome, frames) = stream.begin().await;
        let [In::Snapshot(snapshot)] = &frames[..] else {
            panic!("no snapshot: {frames:?}")
        };
        (stream, welcome, snapshot.clone())
    }
}

pub(super) fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        agent_version: "test".to_owned(),
        ..Hello::default()
    }
}

/// The hello of an agent that has this state, with which this welcome came.
pub(super) fn hello_with(welcome: &Welcome, state: &Snapshot) -> Hello {
    Hello {
        store_id: welcome.store_id.clone(),
        desired_revision: state.revision,
        digest: digest_of(state).to_vec(),
        position: state.position.clone(),
        history: welcome.history.clone(),
        ..hello()
    }
}

pub(super) fn digest_of(state: &Snapshot) -> Digest {
    items(&state.items).digest()
}

fn items(items: &[Item]) -> Items {
    items.iter().map(|item| read(item.clone()).unwrap()).collect()
}

/// Puts the parts of a state beside its items: tests read them more easily.
fn with_parts(message: In) -> In {
    match message {
        In::Snapshot(mut snapshot) => {
            let items = items(&snapshot.items);
            snapshot.cluster = items.all::<Cluster>().next();
            snapshot.nodes = items.all::<Node>().collect();
            snapshot.blocks = items.all::<Block>().collect();
            In::Snapshot(snapshot)
        }
        In::Change(change) if !change.put.is_empty() || !change.drop.is_empty() => In::Change(Change {
            put: change.put.clone(),
            drop: change.drop.clone(),
            position: change.position.clone(),
            ..older::change(change)
        }),
        other => other,
    }
}

/// An agent's end of a stream.
pub(super) struct Stream(pub(super) Socket);

impl Stream {
    pub(super) async fn send(&mut self, message: from_agent::Message) {
        let frame = FromAgent { message: Some(message) }.encode_to_vec();
        self.0.send(Message::Binary(frame.into())).await.unwrap();
    }

    /// The next message, if the stream does not end first.
    pub(super) async fn next(&mut self) -> Option<In> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Binary(frame))) => return ToAgent::decode(frame).unwrap().message.map(with_parts),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return None,
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a message or the end")
    }

    /// The next message that is no mark.
    pub(super) async fn news(&mut self) -> Option<In> {
        loop {
            match self.next().await {
                Some(In::Progress(_)) => {}
                other => return other,
            }
        }
    }

    /// Welcome and what follows, up to the first mark.
    pub(super) async fn begin(&mut self) -> (Welcome, Vec<In>) {
        let Some(In::Welcome(welcome)) = self.next().await else {
            panic!("no welcome")
        };
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Some(In::Progress(_)) => return (welcome, frames),
                Some(other) => frames.push(other),
                None => panic!("it ended"),
            }
        }
    }

    /// How it ends.
    pub(super) async fn refused(&mut self) -> Option<Refused> {
        loop {
            match self.next().await {
                Some(In::Refused(refused)) => return Some(refused),
                Some(_) => {}
                None => return None,
            }
        }
    }
}
