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

/// Whether a packet arrives, by the addresses it is from and to.
pub type Passes = dyn Fn(IpAddr, IpAddr, Packet) -> bool + Send;

/// A network: who has which socket, and what arrives. Clones are the same one.
#[derive(Clone)]
pub struct Wires(Arc<Mutex<Inner>>);

struct Inner {
    udp: HashMap<SocketAddr, mpsc::UnboundedSender<(Vec<u8>, SocketAddr)>>,
    tcp: HashMap<SocketAddr, mpsc::UnboundedSender<Box<dyn ByteStream>>>,
    passes: Box<Passes>,
    /// Answers for all addresses that nobody has.
    everybody: Option<ProbeSeal>,
    next: u16,
    /// Packets sent.
    sent: usize,
}

impl Default for Wires {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            udp: HashMap::new(),
            tcp: HashMap::new(),
            passes: Box::new(|_, _, _| true),
            everybody: None,
            next: 40_000,
            sent: 0,
        })))
    }
}

impl Wires {
    /// Everybody who is asked answers, whether there is a node or not.
    pub fn everybody_answers(&self, seal: ProbeSeal) {
        self.0.lock().everybody = Some(seal);
    }

    /// From now on only this arrives.
    pub fn pass(&self, passes: impl Fn(IpAddr, IpAddr, Packet) -> bool + Send + 'static) {
        self.0.lock().passes = Box::new(passes);
    }

    /// Packets sent since this was asked last.
    pub fn sent(&self) -> usize {
        std::mem::take(&mut self.0.lock().sent)
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
            let mut wires = self.wires.0.lock();
            wires.sent += 1;
            if !(wires.passes)(self.at.ip(), to.ip(), Packet::Udp(datagram.len())) {
                return Ok(());
            }
            // Who has no socket any more hears nothing.
            if let Some(socket) = wires.udp.get(&to) {
                let _ = socket.send((datagram.to_vec(), self.at));
            } else if let Some(answer) = wires.everybody.as_ref().and_then(|seal| answered(seal, datagram))
                && let Some(own) = wires.udp.get(&self.at)
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
        let mut wires = self.0.lock();
        if at.port() == 0 {
            wires.next = wires.next.checked_add(1).unwrap_or(40_000);
            at.set_port(wires.next);
        } else if wires.udp.get(&at).is_some_and(|socket| !socket.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        wires.udp.insert(at, sender);
        Ok(Arc::new(Socket {
            wires: self.clone(),
            at,
            coming: tokio::sync::Mutex::new(receiver),
        }))
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().tcp.insert(at, sender);
        Ok(Box::new(Listening(at, tokio::sync::Mutex::new(receiver))))
    }

    fn connect(&self, from: IpAddr, to: Vec<SocketAddr>) -> io::Result<Vec<Opening<'static>>> {
        let one = |to: SocketAddr| -> Opening<'static> {
            let wires = self.clone();
            Box::pin(async move {
                let near = {
                    let mut wires = wires.0.lock();
                    wires.sent += 1;
                    if (wires.passes)(from, to.ip(), Packet::Tcp) {
                        let (near, far) = duplex(1024);
                        match (wires.tcp.get(&to), &wires.everybody) {
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
