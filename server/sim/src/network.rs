//! The network between hosts and control planes, and each host's local sockets.
//!
//! A connection has a delay of its own. Some break soon after they begin, so that an answer is lost. It can be reset, and a
//! host can be cut off, wholly or so that it is heard and hears nothing: then what was sent waits, as it does until TCP gives
//! up, and arrives once the host is back.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_sources::{ByteStream, Listener, Net, Opening, PeerListener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::dice::Dice;

/// Bytes that a connection holds on its way.
const WINDOW: usize = 64 << 10;
/// Bytes carried at once.
const SEGMENT: usize = 16 << 10;
/// The longest delay of a connection, one way.
const LONGEST_DELAY: Duration = Duration::from_millis(20);
/// Of how many connections one breaks soon, and how soon.
const ONE_BREAKS_OF: usize = 20;
const BREAKS_WITHIN: Duration = Duration::from_millis(250);

/// What a host can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Talk to anybody.
    Whole,
    /// Be heard, and hear nobody.
    Deaf,
    /// Neither.
    None,
}

impl Reach {
    fn is_whole(self) -> bool {
        self == Self::Whole
    }

    fn is_heard(self) -> bool {
        self != Self::None
    }
}

type Accepted = (Box<dyn ByteStream>, SocketAddr);

struct Line {
    host: IpAddr,
    server: usize,
    carriers: [AbortHandle; 2],
}

#[derive(Default)]
struct Shared {
    /// Control planes that listen, by number.
    servers: BTreeMap<usize, mpsc::UnboundedSender<Accepted>>,
    /// What each host can do.
    reach: BTreeMap<IpAddr, watch::Sender<Reach>>,
    lines: Vec<Line>,
    /// Whether no connection breaks any more by itself.
    steady: bool,
}

impl Shared {
    fn reach(&mut self, host: IpAddr) -> watch::Receiver<Reach> {
        let sender = self
            .reach
            .entry(host)
            .or_insert_with(|| watch::Sender::new(Reach::Whole));
        sender.subscribe()
    }
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Mutex<Shared>>,
    dice: Dice,
}

impl Network {
    /// Nobody is there yet.
    pub fn new(dice: Dice) -> Self {
        Self {
            shared: Arc::default(),
            dice,
        }
    }

    /// Cuts a host off from everybody, wholly or one way, or lets it talk again.
    pub fn set_reach(&self, host: IpAddr, reach: Reach) {
        let mut shared = self.shared.lock();
        drop(shared.reach(host));
        if let Some(sender) = shared.reach.get(&host) {
            sender.send_replace(reach);
        }
    }

    /// Whether a host can talk to anybody.
    pub fn is_reachable(&self, host: IpAddr) -> bool {
        self.shared.lock().reach(host).borrow().is_whole()
    }

    /// From now on no connection breaks by itself.
    pub fn be_steady(&self) {
        self.shared.lock().steady = true;
    }

    /// Resets the connections that fit.
    fn reset(&self, fits: impl Fn(&Line) -> bool) {
        let mut shared = self.shared.lock();
        shared.lines.retain(|line| {
            let fits = fits(line);
            if fits {
                line.carriers.iter().for_each(AbortHandle::abort);
            }
            !fits && !line.carriers.iter().all(AbortHandle::is_finished)
        });
    }

    /// Resets a host's connections.
    pub fn reset_host(&self, host: IpAddr) {
        self.reset(|line| line.host == host);
    }

    /// A control plane is killed: it listens no more, and its connections are reset.
    pub fn take_down(&self, server: usize) {
        self.shared.lock().servers.remove(&server);
        self.reset(|line| line.server == server);
    }

    /// The network as a control plane has it.
    pub fn of_server(&self, number: usize, address: SocketAddr) -> Arc<dyn Net> {
        Arc::new(ServerNet {
            network: self.clone(),
            number,
            address,
        })
    }

    fn connect(&self, host: IpAddr) -> io::Result<Box<dyn ByteStream>> {
        let mut shared = self.shared.lock();
        let all: Vec<usize> = shared.servers.keys().copied().collect();
        let number = *self.dice.pick(&all).ok_or(io::ErrorKind::ConnectionRefused)?;
        let reach = shared.reach(host);
        let server = shared.servers.get(&number).ok_or(io::ErrorKind::ConnectionRefused)?;
        let ((near, near_end), (far, far_end)) = (duplex(WINDOW), duplex(WINDOW));
        let peer = SocketAddr::new(host, 40_000);
        let sent = server.send((Box::new(far), peer));
        sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        let (near_read, near_write) = split(near_end);
        let (far_read, far_write) = split(far_end);
        let delay = self.dice.span(LONGEST_DELAY);
        let up = tokio::spawn(carry(near_read, far_write, delay, reach.clone(), Reach::is_heard));
        let down = tokio::spawn(carry(far_read, near_write, delay, reach, Reach::is_whole));
        let carriers = [up.abort_handle(), down.abort_handle()];
        if !shared.steady && self.dice.once_in(ONE_BREAKS_OF) {
            let (carriers, after) = (carriers.clone(), self.dice.span(BREAKS_WITHIN));
            tokio::spawn(async move {
                sleep(after).await;
                carriers.iter().for_each(AbortHandle::abort);
            });
        }
        shared.lines.push(Line {
            host,
            server: number,
            carriers,
        });
        Ok(Box::new(near))
    }
}

/// Carries one direction until an end is gone.
async fn carry(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    delay: Duration,
    mut reach: watch::Receiver<Reach>,
    passes: fn(Reach) -> bool,
) {
    let mut segment = vec![0; SEGMENT];
    while let Ok(read @ 1..) = from.read(&mut segment).await {
        sleep(delay).await;
        if reach.wait_for(|reach| passes(*reach)).await.is_err() || to.write_all(&segment[..read]).await.is_err() {
            return;
        }
    }
    // The other end hears of the end after what was said before it.
    let _ = reach.wait_for(|reach| passes(*reach)).await;
    let _ = to.shutdown().await;
}

fn not_here<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

struct ServerNet {
    network: Network,
    number: usize,
    address: SocketAddr,
}

impl Net for ServerNet {
    fn connect<'a>(&'a self, _: &'a str) -> Opening<'a> {
        Box::pin(async { not_here() })
    }

    fn listen_local(&self, _: &Path) -> io::Result<Box<dyn Listener>> {
        not_here()
    }

    fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.network.shared.lock().servers.insert(self.number, sender);
        Ok(Box::new(ServerListener {
            address: self.address,
            coming: tokio::sync::Mutex::new(receiver),
        }))
    }

    fn listen_inherited(&self, _: RawFd) -> io::Result<Box<dyn PeerListener>> {
        not_here()
    }
}

struct ServerListener {
    address: SocketAddr,
    coming: tokio::sync::Mutex<mpsc::UnboundedReceiver<Accepted>>,
}

impl PeerListener for ServerListener {
    fn accept(&self) -> Opening<'_, Accepted> {
        Box::pin(async {
            let coming = self.coming.lock().await.recv().await;
            coming.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
        })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Where a local socket's new connections go.
type Listening = mpsc::UnboundedSender<Box<dyn ByteStream>>;

/// The network as a host has it, with its local sockets.
#[derive(Clone)]
pub struct HostNet {
    network: Network,
    host: IpAddr,
    local: Arc<Mutex<BTreeMap<PathBuf, Listening>>>,
}

impl HostNet {
    /// The network as the host with this address has it.
    pub fn new(network: Network, host: IpAddr) -> Self {
        Self {
            network,
            host,
            local: Arc::default(),
        }
    }

    /// Connects to a local socket.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn connect_local(&self, path: &Path) -> io::Result<DuplexStream> {
        let (near, far) = duplex(WINDOW);
        let local = self.local.lock();
        let listener = local.get(path).ok_or(io::ErrorKind::NotFound)?;
        let sent = listener.send(Box::new(far));
        sent.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(near)
    }
}

impl Net for HostNet {
    fn connect<'a>(&'a self, _: &'a str) -> Opening<'a> {
        Box::pin(async {
            let mut reach = self.network.shared.lock().reach(self.host);
            // A host that is cut off gets no answer at all.
            let _ = reach.wait_for(|reach| reach.is_whole()).await;
            self.network.connect(self.host)
        })
    }

    fn listen_local(&self, path: &Path) -> io::Result<Box<dyn Listener>> {
        let mut local = self.local.lock();
        if local.get(path).is_some_and(|listener| !listener.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        local.insert(path.to_owned(), sender);
        Ok(Box::new(LocalListener(tokio::sync::Mutex::new(receiver))))
    }

    fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn PeerListener>> {
        not_here()
    }

    fn listen_inherited(&self, _: RawFd) -> io::Result<Box<dyn PeerListener>> {
        not_here()
    }
}

struct LocalListener(tokio::sync::Mutex<mpsc::UnboundedReceiver<Box<dyn ByteStream>>>);

impl Listener for LocalListener {
    fn accept(&self) -> Opening<'_> {
        Box::pin(async {
            let coming = self.0.lock().await.recv().await;
            coming.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
        })
    }
}
