//! A network in memory, in which a test says what arrives.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_plan::probes::{HEADER, Heard, ProbeSeal};
use portolan_sources::{ByteStream, Opening, PeerListener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::net::{Datagrams, ProbeNet, Received, Sent, Side};

/// What is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// A datagram of this many bytes.
    Udp(usize),
    /// A connection that is opened.
    Tcp,
}

/// At which host a packet arrives, by the host that sends it and the addresses it is from and to; `None`: nowhere.
pub type Leads = dyn Fn(usize, IpAddr, IpAddr, Packet) -> Option<usize> + Send;

/// A network as one host of it has it: who has which socket, and what arrives where. Clones are the same host's.
#[derive(Clone)]
pub struct Wires {
    all: Arc<Mutex<Inner>>,
    host: usize,
}

/// A socket's place: a host and an address there.
type At = (usize, SocketAddr);

struct Inner {
    udp: HashMap<At, mpsc::UnboundedSender<(Vec<u8>, SocketAddr)>>,
    tcp: HashMap<At, mpsc::UnboundedSender<Box<dyn ByteStream>>>,
    leads: Box<Leads>,
    /// Answers for all addresses that nobody has.
    everybody: Option<ProbeSeal>,
    next: u16,
    /// Packets sent.
    sent: usize,
}

impl Default for Wires {
    fn default() -> Self {
        let inner = Inner {
            udp: HashMap::new(),
            tcp: HashMap::new(),
            leads: Box::new(|_, _, _, _| Some(0)),
            everybody: None,
            next: 40_000,
            sent: 0,
        };
        Self {
            all: Arc::new(Mutex::new(inner)),
            host: 0,
        }
    }
}

impl Wires {
    /// Everybody who is asked answers, whether there is a node or not.
    pub fn everybody_answers(&self, seal: ProbeSeal) {
        self.all.lock().everybody = Some(seal);
    }

    /// From now on only this arrives; all sockets are host 0's.
    pub fn pass(&self, passes: impl Fn(IpAddr, IpAddr, Packet) -> bool + Send + 'static) {
        self.lead(move |_, from, to, packet| passes(from, to, packet).then_some(0));
    }

    /// From now on packets arrive where this says.
    pub fn lead(&self, leads: impl Fn(usize, IpAddr, IpAddr, Packet) -> Option<usize> + Send + 'static) {
        self.all.lock().leads = Box::new(leads);
    }

    /// The same network as another host has it.
    #[must_use]
    pub fn of_host(&self, host: usize) -> Self {
        Self {
            all: Arc::clone(&self.all),
            host,
        }
    }

    /// Packets sent since this was asked last.
    pub fn sent(&self) -> usize {
        std::mem::take(&mut self.all.lock().sent)
    }
}

struct Socket {
    wires: Wires,
    at: SocketAddr,
    coming: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Vec<u8>, SocketAddr)>>,
}

impl Datagrams for Socket {
    fn receive<'a>(&'a self, into: &'a mut [u8]) -> Received<'a> {
        Box::pin(async move {
            let next = self.coming.lock().await.recv().await;
            let (datagram, from) = next.ok_or(io::ErrorKind::NotConnected)?;
            let length = datagram.len().min(into.len());
            into[..length].copy_from_slice(&datagram[..length]);
            Ok((length, from))
        })
    }

    fn send<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> Sent<'a> {
        Box::pin(async move {
            let host = self.wires.host;
            let mut wires = self.wires.all.lock();
            wires.sent += 1;
            let Some(there) = (wires.leads)(host, self.at.ip(), to.ip(), Packet::Udp(datagram.len())) else {
                return Ok(());
            };
            // Who has no socket any more hears nothing.
            if let Some(socket) = wires.udp.get(&(there, to)) {
                let _ = socket.send((datagram.to_vec(), self.at));
            } else if let Some(answer) = wires.everybody.as_ref().and_then(|seal| answered(seal, datagram))
                && let Some(own) = wires.udp.get(&(host, self.at))
            {
                let _ = own.send((answer.to_vec(), to));
            }
            Ok(())
        })
    }
}

fn answered(seal: &ProbeSeal, datagram: &[u8]) -> Option<[u8; HEADER]> {
    match seal.read(datagram)? {
        Heard::Question(probe) => Some(seal.answer(&probe, None)),
        Heard::Answer(..) => None,
    }
}

async fn answer_over_tcp(seal: ProbeSeal, mut stream: DuplexStream) -> io::Result<()> {
    let mut question = [0; HEADER];
    stream.read_exact(&mut question).await?;
    let answer = answered(&seal, &question).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(&answer).await
}

struct Listening(
    SocketAddr,
    tokio::sync::Mutex<mpsc::UnboundedReceiver<Box<dyn ByteStream>>>,
);

impl PeerListener for Listening {
    fn accept(&self) -> Opening<'_, (Box<dyn ByteStream>, SocketAddr)> {
        Box::pin(async {
            let next = self.1.lock().await.recv().await;
            Ok((next.ok_or(io::ErrorKind::NotConnected)?, self.0))
        })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.0)
    }
}

impl ProbeNet for Wires {
    fn pod_end(&self) -> Option<u64> {
        Some(1)
    }

    fn datagrams(&self, _: Side, mut at: SocketAddr) -> io::Result<Arc<dyn Datagrams>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut wires = self.all.lock();
        if at.port() == 0 {
            wires.next = wires.next.checked_add(1).unwrap_or(40_000);
            at.set_port(wires.next);
        } else if wires
            .udp
            .get(&(self.host, at))
            .is_some_and(|socket| !socket.is_closed())
        {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        wires.udp.insert((self.host, at), sender);
        Ok(Arc::new(Socket {
            wires: self.clone(),
            at,
            coming: tokio::sync::Mutex::new(receiver),
        }))
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.all.lock().tcp.insert((self.host, at), sender);
        Ok(Box::new(Listening(at, tokio::sync::Mutex::new(receiver))))
    }

    fn connect(&self, from: IpAddr, to: Vec<SocketAddr>) -> io::Result<Vec<Opening<'static>>> {
        let one = |to: SocketAddr| -> Opening<'static> {
            let wires = self.clone();
            Box::pin(async move {
                let near = {
                    let host = wires.host;
                    let mut wires = wires.all.lock();
                    wires.sent += 1;
                    let there = (wires.leads)(host, from, to.ip(), Packet::Tcp);
                    // What answers a SYN has a way of its own.
                    let both = there.filter(|there| (wires.leads)(*there, to.ip(), from, Packet::Tcp) == Some(host));
                    if let Some(there) = both {
                        let (near, far) = duplex(1024);
                        match (wires.tcp.get(&(there, to)), &wires.everybody) {
                            (Some(listener), _) => listener.send(Box::new(far)).ok().map(|()| near),
                            (None, Some(seal)) => {
                                tokio::spawn(answer_over_tcp(seal.clone(), far));
                                Some(near)
                            }
                            (None, None) => None,
                        }
                    } else {
                        None
                    }
                };
                match near {
                    Some(near) => Ok(Box::new(near) as Box<dyn ByteStream>),
                    // A lost SYN gets no answer.
                    None => std::future::pending().await,
                }
            })
        };
        Ok(to.into_iter().map(one).collect())
    }
}
