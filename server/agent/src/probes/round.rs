//! One round of asking: each peer in up to four ways, up to three times, within a second.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use portolan_plan::probes::{HEADER, Heard, PROBE_PORT, Probe, ProbeSeal, Sample};
use portolan_shared::ids::NodeId;
use portolan_sources::{Opening, Random, Workers};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

use super::Place;
use super::net::{Datagrams, ProbeNet, Side};

/// When questions are asked that have no answer, and when the round is over. One lost packet is no news.
const TRIES: [(Duration, Duration); 3] = [
    (Duration::ZERO, Duration::from_millis(250)),
    (Duration::from_millis(250), Duration::from_millis(500)),
    (Duration::from_millis(500), Duration::from_millis(800)),
];

/// A round that is over so much later than it should be says nothing: it was this host that stood still.
const LATE: Duration = Duration::from_millis(400);

/// Bytes that IP and UDP put before a datagram.
const fn headers(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => 20 + 8,
        IpAddr::V6(_) => 40 + 8,
    }
}

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) node: NodeId,
    pub(super) host: IpAddr,
    pub(super) pod: IpAddr,
    /// Whether in all ways; else by the one that proves most, and in all only when that is not answered.
    pub(super) whole: bool,
}

/// What came back of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) node: NodeId,
    pub(super) sample: Sample,
    /// Where its pod end is, if it has said so.
    pub(super) pod_end: Option<IpAddr>,
}

/// Ways of asking by UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Host,
    Full,
    /// Only who does not answer a full one is asked: it says whether the size is why.
    Small,
}

/// What a round is made with.
pub(super) struct Round<'a> {
    pub(super) net: &'a Arc<dyn ProbeNet>,
    pub(super) workers: &'a Workers,
    pub(super) random: &'a dyn Random,
    pub(super) place: &'a Place,
}

/// A peer and what has come back of it.
struct Asked {
    target: Target,
    sample: Sample,
    /// Where it has said that its pod end is.
    pod_end: Option<IpAddr>,
}

impl Asked {
    fn new(target: Target) -> Self {
        Self {
            target,
            sample: Sample {
                // As it was when it was asked last.
                host: !target.whole,
                tcp: !target.whole,
                ..Sample::default()
            },
            pod_end: None,
        }
    }

    /// What to ask by UDP in a try.
    fn ways(&self, first: bool) -> impl Iterator<Item = Way> + use<> {
        let Sample { host, small, full, .. } = self.sample;
        let open = [
            (!host).then_some(Way::Host),
            (!full).then_some(Way::Full),
            (!full && !small && !first).then_some(Way::Small),
        ];
        open.into_iter().flatten()
    }

    fn is_well(&self) -> bool {
        self.sample.fault().is_none()
    }

    /// Where to ask its pod end.
    fn pod(&self) -> SocketAddr {
        let pod = self.pod_end.unwrap_or(self.target.pod);
        SocketAddr::new(pod, PROBE_PORT)
    }
}

impl Round<'_> {
    /// Asks, and waits for answers; nothing is said when this host stood still meanwhile. Why nothing could be asked, as a
    /// sentence.
    pub(super) async fn ask(&self, targets: &[Target]) -> Result<Vec<Answered>, String> {
        let begin = Instant::now();
        let (host, pod) = self.open().await?;
        let seal = &self.place.seal;
        let full = (self.place.mtu as usize).saturating_sub(headers(self.place.pod));
        let mut asked: Vec<Asked> = targets.iter().copied().map(Asked::new).collect();
        let mut questions: HashMap<[u8; 16], (usize, Way)> = HashMap::new();
        let mut streams = FuturesUnordered::new();
        let (mut from_host, mut from_pod) = ([0; HEADER + 1], [0; HEADER + 1]);
        for (number, (from, until)) in TRIES.into_iter().enumerate() {
            // The one before has ended early only if all is well.
            if asked.iter().all(Asked::is_well) {
                break;
            }
            sleep_until(begin + from).await;
            for (at, asked) in asked.iter_mut().enumerate().filter(|(_, asked)| !asked.is_well()) {
                if number > 0 && !asked.target.whole {
                    asked.target.whole = true;
                    (asked.sample.host, asked.sample.tcp) = (false, false);
                }
                for way in asked.ways(number == 0) {
                    let probe = self.probe(asked.target.node);
                    questions.insert(probe.nonce, (at, way));
                    // What the kernel does not take does not arrive either.
                    let _ = match way {
                        Way::Host => {
                            let to = SocketAddr::new(asked.target.host, PROBE_PORT);
                            host.send(&seal.question(&probe, HEADER), to).await
                        }
                        Way::Small => pod.send(&seal.question(&probe, HEADER), asked.pod()).await,
                        Way::Full => pod.send(&seal.question(&probe, full), asked.pod()).await,
                    };
                }
            }
            let to: Vec<usize> = (0..asked.len()).filter(|at| !asked[*at].sample.tcp).collect();
            if !to.is_empty() {
                let addresses: Vec<SocketAddr> = to.iter().map(|at| asked[*at].pod()).collect();
                let opening = self.connect(addresses).await?;
                for (at, opening) in to.into_iter().zip(opening) {
                    let probe = self.probe(asked[at].target.node);
                    streams.push(async move { (at, over_tcp(seal, &probe, opening).await.is_ok()) });
                }
            }
            while !asked.iter().all(Asked::is_well) {
                let heard = tokio::select! {
                    biased;
                    Some((at, arrived)) = streams.next(), if !streams.is_empty() => {
                        asked[at].sample.tcp |= arrived;
                        continue;
                    }
                    received = host.receive(&mut from_host) => read(seal, received, &from_host),
                    received = pod.receive(&mut from_pod) => read(seal, received, &from_pod),
                    () = sleep_until(begin + until) => break,
                };
                let Some(Heard::Answer(probe, pod_end)) = heard else {
                    continue;
                };
                let Some((at, way)) = questions.get(&probe.nonce) else {
                    continue;
                };
                let asked = &mut asked[*at];
                asked.pod_end = pod_end.or(asked.pod_end);
                match way {
                    Way::Host => asked.sample.host = true,
                    Way::Small => asked.sample.small = true,
                    Way::Full => asked.sample.full = true,
                }
            }
        }
        if begin.elapsed() > TRIES[2].1 + LATE {
            return Ok(Vec::new());
        }
        let answered = asked.into_iter().map(|asked| Answered {
            node: asked.target.node,
            sample: asked.sample,
            pod_end: asked.pod_end,
        });
        Ok(answered.collect())
    }

    fn probe(&self, to: NodeId) -> Probe {
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let from = self.place.own;
        Probe { nonce, from, to }
    }

    async fn open(&self) -> Result<(Arc<dyn Datagrams>, Arc<dyn Datagrams>), String> {
        let net = Arc::clone(self.net);
        let (host, pod) = (self.place.host, self.place.pod);
        let open = move || {
            let at = |side, address| {
                let opened = net.datagrams(side, SocketAddr::new(address, 0));
                opened.map_err(|error| format!("cannot send probes from {address}: {error}"))
            };
            Ok((at(Side::Host, host)?, at(Side::Pod, pod)?))
        };
        self.work(open).await
    }

    async fn connect(&self, to: Vec<SocketAddr>) -> Result<Vec<Opening<'static>>, String> {
        let (net, from) = (Arc::clone(self.net), self.place.pod);
        let connect = move || {
            let opening = net.connect(from, to);
            opening.map_err(|error| format!("cannot send probes from {from}: {error}"))
        };
        self.work(connect).await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let done = self.workers.run(work).await;
        done.unwrap_or_else(|_| Err("opening the sockets of probes has panicked".to_owned()))
    }
}

/// Asks by a new connection.
async fn over_tcp(seal: &ProbeSeal, probe: &Probe, opening: Opening<'static>) -> io::Result<()> {
    let mut stream = opening.await?;
    stream.write_all(&seal.question(probe, HEADER)).await?;
    let mut answer = [0; HEADER];
    stream.read_exact(&mut answer).await?;
    match seal.read(&answer) {
        Some(Heard::Answer(of, _)) if of == *probe => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn read(seal: &ProbeSeal, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) -> Option<Heard> {
    seal.read(buffer.get(..received.ok()?.0)?)
}
