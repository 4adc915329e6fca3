//! Answers to the probes of others: at the node's address by UDP, at the pod end by UDP and TCP. Who does not know the
//! cluster's key hears nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use portolan_plan::probes::{Allowance, HEADER, Heard, PROBE_PORT};
use portolan_sources::{ByteStream, PeerListener, Workers};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Place;
use super::net::{Datagrams, ProbeNet, Side};

/// How long to wait before sockets that could not be opened are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long somebody who has connected may take to ask.
const ASKS: Duration = Duration::from_secs(1);

/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 64;

/// The largest datagram.
const LARGEST: usize = 65_536;

struct Sockets {
    host: Arc<dyn Datagrams>,
    pod: Arc<dyn Datagrams>,
    listener: Box<dyn PeerListener>,
}

/// Answers at each place, until dropped; says in `trouble` why it cannot.
pub(super) async fn run(
    net: &Arc<dyn ProbeNet>,
    workers: &Workers,
    mut places: watch::Receiver<Option<Place>>,
    trouble: &watch::Sender<Option<String>>,
) {
    loop {
        let place = places.borrow_and_update().clone();
        let Some(place) = place else {
            trouble.send_replace(None);
            if places.changed().await.is_err() {
                return;
            }
            continue;
        };
        let error = match open(net, workers, &place).await {
            Ok(sockets) => {
                trouble.send_replace(None);
                tokio::select! {
                    biased;
                    _ = places.changed() => {
                        places.mark_changed();
                        continue;
                    }
                    error = serve(&sockets, &place) => format!("cannot answer probes: {error}"),
                }
            }
            Err(error) => error,
        };
        trouble.send_replace(Some(error));
        tokio::select! {
            biased;
            _ = places.changed() => places.mark_changed(),
            () = sleep(AGAIN) => {}
        }
    }
}

async fn open(net: &Arc<dyn ProbeNet>, workers: &Workers, place: &Place) -> Result<Sockets, String> {
    let net = Arc::clone(net);
    let at = |address: IpAddr| SocketAddr::new(address, PROBE_PORT);
    let (host, pod) = (at(place.host), at(place.pod));
    let open = move || {
        let failed = |at, how| move |error: io::Error| format!("cannot answer probes at {at} ({how}): {error}");
        Ok(Sockets {
            host: net.datagrams(Side::Host, host).map_err(failed(host, "UDP"))?,
            pod: net.datagrams(Side::Pod, pod).map_err(failed(pod, "UDP"))?,
            listener: net.listen(pod).map_err(failed(pod, "TCP"))?,
        })
    };
    let opened = workers.run(open).await;
    opened.unwrap_or_else(|_| Err("opening the sockets of probes has panicked".to_owned()))
}

/// Answers until a socket fails.
async fn serve(sockets: &Sockets, place: &Place) -> io::Error {
    let begin = Instant::now();
    let allowance = Mutex::new(Allowance::default());
    let answers = Answers {
        place,
        begin,
        allowance: &allowance,
    };
    let (mut at_host, mut at_pod) = (vec![0; LARGEST], vec![0; LARGEST]);
    let mut connections = FuturesUnordered::new();
    loop {
        let (socket, received, datagram) = tokio::select! {
            biased;
            received = sockets.host.receive(&mut at_host) => (&sockets.host, received, &at_host),
            received = sockets.pod.receive(&mut at_pod) => (&sockets.pod, received, &at_pod),
            accepted = sockets.listener.accept(), if connections.len() < CONNECTIONS => {
                match accepted {
                    Ok((stream, _)) => connections.push(timeout(ASKS, answers.over_tcp(stream))),
                    Err(error) => return error,
                }
                continue;
            }
            Some(_) = connections.next(), if !connections.is_empty() => continue,
        };
        let (length, from) = match received {
            Ok(received) => received,
            Err(error) => return error,
        };
        if let Some(answer) = datagram.get(..length).and_then(|datagram| answers.to(datagram)) {
            // Who asked asks again if it is lost.
            let _ = socket.send(&answer, from).await;
        }
    }
}

struct Answers<'a> {
    place: &'a Place,
    begin: Instant,
    allowance: &'a Mutex<Allowance>,
}

impl Answers<'_> {
    /// The answer to a question, if it is one to this node, of a node of its cluster, and not one of too many.
    fn to(&self, datagram: &[u8]) -> Option<[u8; HEADER]> {
        let Some(Heard::Question(probe)) = self.place.seal.read(datagram) else {
            return None;
        };
        let may = probe.to == self.place.own && self.allowance.lock().take(self.begin.elapsed());
        may.then(|| self.place.seal.answer(&probe, Some(self.place.pod)))
    }

    async fn over_tcp(&self, mut stream: Box<dyn ByteStream>) -> io::Result<()> {
        let mut question = [0; HEADER];
        stream.read_exact(&mut question).await?;
        if let Some(answer) = self.to(&question) {
            stream.write_all(&answer).await?;
            // Who has asked ends the connection: the side that ends it first remembers it for a minute.
            let _ = stream.read(&mut question).await;
        }
        Ok(())
    }
}
