//! An agent as far as the wire sees it: who it is, what it has on its disk, and a stream. What it does is what an agent does;
//! how it does it is as cheap as may be, since it runs on the control plane's cores.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_wire::agent::{
    Block, Change, Claim, FromAgent, Hello, Node, Position, Snapshot, Span, Ticket, ToAgent, Welcome, from_agent,
    to_agent::Message as In,
};
use portolan_wire::item::{Body as _, ItemId, Items, read};
use portolan_wire::{CLAIM_PART, PROTOCOL, STREAM_PATH};
use prost::Message as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Outcome, pieces};

/// What a host keeps of its join.
pub struct Identity {
    /// Its node.
    pub node: [u8; 16],
    tls: Arc<ClientConfig>,
}

/// All that [`World::prepare`](super::world::World::prepare) has made.
pub fn identities(folder: &Path) -> Outcome<Vec<Identity>> {
    let ca = std::fs::read(folder.join("ca"))?;
    let pieces = pieces(&folder.join("identities"))?;
    let identity = |pieces: &[Vec<u8>]| {
        Ok(Identity {
            node: pieces[0].as_slice().try_into()?,
            tls: Arc::new(config(&ca, pieces[1].clone(), &pieces[2])?),
        })
    };
    pieces.chunks_exact(3).map(identity).collect()
}

fn config(ca: &[u8], certificate: Vec<u8>, key: &[u8]) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.to_vec()))?;
    let provider = Arc::new(rustls::crypto::CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::SECP256R1],
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key.to_vec()).into())?;
    config.resumption = rustls::client::Resumption::in_memory_sessions(2);
    Ok(config)
}

/// The state that an agent has on its disk.
#[derive(Default, Clone)]
pub struct State {
    pub revision: u64,
    pub position: Option<Position>,
    pub items: Items,
}

impl State {
    fn part(&mut self, part: Snapshot) -> Outcome<()> {
        self.revision = part.revision;
        self.position = part.position.or(self.position.take());
        for item in part.items {
            let (id, body) = read(item)?;
            self.items.put(id, body);
        }
        Ok(())
    }

    pub fn change(&mut self, change: Change) -> Outcome<()> {
        for item in change.put {
            let (id, body) = read(item)?;
            self.items.put(id, body);
        }
        for key in &change.drop {
            self.items.drop(ItemId::of_key(key)?);
        }
        (self.revision, self.position) = (change.revision, change.position);
        Ok(())
    }

    /// The blocks that are leased to a node.
    pub fn blocks_of(&self, node: &[u8; 16]) -> Vec<Block> {
        self.items
            .all::<Block>()
            .filter(|block| block.node_id == node)
            .collect()
    }

    /// What of it another state lacks, as an agent claims it.
    fn claim(&self, other: &Self) -> Outcome<Vec<Claim>> {
        let (mut items, mut nodes) = (Vec::new(), std::collections::BTreeSet::new());
        for block in self.items.all::<Block>() {
            if other.items.get::<Block>(block.id.as_slice().try_into()?).is_none() {
                nodes.insert(<[u8; 16]>::try_from(block.node_id.as_slice())?);
                items.push(block.item());
            }
        }
        let nodes = nodes.into_iter().filter_map(|id| self.items.get::<Node>(id));
        items.splice(0..0, nodes.map(|node| node.item()).collect::<Vec<_>>());
        let parts = items.len().div_ceil(CLAIM_PART).max(1);
        let part = |at: usize| Claim {
            items: items.iter().skip(at * CLAIM_PART).take(CLAIM_PART).cloned().collect(),
            more: at + 1 < parts,
        };
        Ok((0..parts).map(part).collect())
    }
}

/// What is on an agent's disk.
#[derive(Default)]
pub struct Disk {
    store: Vec<u8>,
    history: Vec<Span>,
    ticket: Option<Ticket>,
    pub state: State,
}

impl Disk {
    fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            agent_version: "bench".to_owned(),
            store_id: self.store.clone(),
            desired_revision: self.state.revision,
            digest: self.state.items.digest().to_vec(),
            position: self.state.position.clone(),
            history: self.history.clone(),
            ticket: self.ticket.clone(),
            ..Hello::default()
        }
    }
}

/// A stream of an agent.
pub struct Stream {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    /// Whether its session of TLS went on from an earlier one.
    pub resumed: bool,
}

/// What a stream began with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Begun {
    /// Whether the whole state came.
    pub snapshot: bool,
    /// Whether it was another history's, so that the agent has claimed what it lacks.
    pub claimed: bool,
}

impl Stream {
    /// Mutual TLS and WebSocket, as far as nothing is said yet.
    pub async fn open(identity: &Identity, address: SocketAddr) -> Outcome<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::clone(&identity.tls))
            .connect(ServerName::from(address.ip()), tcp)
            .await?;
        let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let (socket, _) = client_async(format!("wss://{address}{STREAM_PATH}"), tls).await?;
        Ok(Self { socket, resumed })
    }

    /// Says hello, and goes on until the disk has the state of now. What the control plane lacks of it is claimed first.
    pub async fn begin(&mut self, disk: &mut Disk) -> Outcome<Begun> {
        self.send(from_agent::Message::Hello(disk.hello())).await?;
        let mut begun = Begun::default();
        let mut arriving: Option<State> = None;
        // The revision at which what was claimed is decided.
        let (mut asked, mut decided) = (false, None);
        loop {
            match self.next().await? {
                In::Welcome(Welcome {
                    store_id,
                    history,
                    ticket,
                    other_history,
                    ..
                }) => {
                    (disk.store, disk.history, disk.ticket) = (store_id, history, ticket);
                    begun.claimed = other_history;
                }
                In::Snapshot(part) => {
                    begun.snapshot = true;
                    arriving.get_or_insert_default().part(part)?;
                }
                In::Change(change) => arriving.as_mut().unwrap_or(&mut disk.state).change(change)?,
                In::ClaimAck(ack) => decided = Some(ack.revision),
                In::Progress(mark) => {
                    let state = arriving.as_mut().unwrap_or(&mut disk.state);
                    (state.revision, state.position) = (mark.head, mark.position);
                    let counts = !begun.claimed || decided.is_some_and(|decided| mark.head >= decided);
                    if counts {
                        disk.state = arriving.take().unwrap_or_else(|| std::mem::take(&mut disk.state));
                        return Ok(begun);
                    }
                    if !std::mem::replace(&mut asked, true) {
                        let other = arriving.as_ref().ok_or("another history, and no state of it")?;
                        for part in disk.state.claim(other)? {
                            self.send(from_agent::Message::Claim(part)).await?;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    pub async fn send(&mut self, message: from_agent::Message) -> Outcome<()> {
        let frame = FromAgent { message: Some(message) }.encode_to_vec();
        Ok(self.socket.send(Message::Binary(frame.into())).await?)
    }

    /// The next message.
    pub async fn next(&mut self) -> Outcome<In> {
        loop {
            match self.socket.next().await.ok_or("the stream has ended")?? {
                Message::Binary(frame) => match ToAgent::decode(frame)?.message {
                    Some(In::Refused(refused)) => return Err(refused.sentence.into()),
                    Some(message) => return Ok(message),
                    None => {}
                },
                Message::Close(_) => return Err("the control plane has closed the stream".into()),
                _ => {}
            }
        }
    }
}
