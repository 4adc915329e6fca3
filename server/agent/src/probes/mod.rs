//! The node's probes: each second it asks some others, host to host and pod end to pod end, and it answers those that ask.
//!
//! What is sent to whom, and what is said of what does not arrive, is decided in [`portolan_plan::probes`]; this is the
//! shell around it. Start at [`Prober::run`]. Each round begins with sockets of its own, so that what a firewall on the
//! path remembers of earlier ones lets nothing through.

mod answer;
pub mod net;
mod round;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portolan_plan::probes::{Due, ProbeKey, ProbeSeal, Report, Ring, Verdicts};
use portolan_shared::ids::NodeId;
use portolan_sources::{Random, Workers};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::desired::State;
use crate::desired::neighbours::Neighbours;
use crate::pods::Pods;
use net::ProbeNet;
use round::{Round, Target};

/// How often probes are sent.
const EVERY: Duration = Duration::from_secs(1);

/// How long a start may take before it is said that nothing can be sent.
const START: u64 = 10;

/// Rounds before the first report. That it comes says that this node answers, and others who found it silent have asked it
/// anew by then.
const FIRST: u64 = 3;

/// How often numbers on their way are told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Where this node asks from and answers.
#[derive(Clone)]
struct Place {
    own: NodeId,
    key: ProbeKey,
    seal: ProbeSeal,
    host: IpAddr,
    pod: IpAddr,
    /// Of pods' links, in bytes.
    mtu: u32,
    /// Which pod end it is.
    end: u64,
}

impl Place {
    /// Whether what was opened at the other is of no use here.
    fn moved(&self, other: &Self) -> bool {
        (self.own, &self.key, self.host, self.pod, self.end)
            != (other.own, &other.key, other.host, other.pod, other.end)
    }
}

/// Sends and answers a node's probes.
pub struct Prober {
    own: NodeId,
    net: Arc<dyn ProbeNet>,
    pods: Arc<Pods>,
    random: Arc<dyn Random>,
    workers: Workers,
    told: watch::Sender<Option<Report>>,
}

/// What is kept between rounds.
#[derive(Default)]
struct Known {
    neighbours: Option<Neighbours>,
    ring: Ring,
    verdicts: Verdicts,
    /// Where others have said that their pod ends are.
    ends: BTreeMap<NodeId, IpAddr>,
    told_at: Option<Instant>,
}

impl Known {
    /// The desired state is another one.
    fn heed(&mut self, own: NodeId, state: &State) {
        let neighbours = state.neighbours(own);
        if neighbours == self.neighbours {
            return;
        }
        let peers = || {
            neighbours
                .iter()
                .flat_map(|neighbours| neighbours.peers.keys().copied())
        };
        self.ring = Ring::new(own, peers());
        self.verdicts.set_peers(peers());
        let still = |node: &NodeId| {
            let of = |known: &Option<Neighbours>| known.as_ref().and_then(|known| known.peers.get(node).copied());
            of(&neighbours).is_some() && of(&neighbours) == of(&self.neighbours)
        };
        self.ends.retain(|node, _| still(node));
        self.neighbours = neighbours;
    }

    /// Whom to ask in a second, and where.
    fn targets(&self, second: u64) -> Vec<Target> {
        let due = self.ring.due(second, &self.verdicts.failing()).into_iter();
        let target = |Due { node, whole }| {
            let peer = self.neighbours.as_ref()?.peers.get(&node)?;
            Some(Target {
                node,
                host: peer.host,
                pod: self.ends.get(&node).copied().unwrap_or(peer.pod),
                whole: whole || !self.verdicts.is_well(node),
            })
        };
        due.filter_map(target).collect()
    }
}

impl Prober {
    /// Probes of the node `own`, whose pod end has the address that `pods` keeps for it.
    pub fn new(
        own: NodeId,
        net: Arc<dyn ProbeNet>,
        pods: Arc<Pods>,
        random: Arc<dyn Random>,
        workers: Workers,
    ) -> Self {
        Self {
            own,
            net,
            pods,
            random,
            workers,
            told: watch::Sender::default(),
        }
    }

    /// What the probes say, when that changes; `None`: nothing yet.
    pub fn told(&self) -> watch::Receiver<Option<Report>> {
        self.told.subscribe()
    }

    /// Goes on until it is dropped.
    pub async fn run(self, desired: watch::Receiver<Arc<State>>) {
        let (place, trouble) = (watch::Sender::new(None), watch::Sender::new(None));
        let answers = answer::run(&self.net, &self.workers, place.subscribe(), &trouble);
        tokio::join!(self.ask(desired, &place, &trouble), answers);
    }

    async fn ask(
        &self,
        mut desired: watch::Receiver<Arc<State>>,
        place: &watch::Sender<Option<Place>>,
        trouble: &watch::Sender<Option<String>>,
    ) {
        let mut known = Known::default();
        let mut rounds = 0;
        desired.mark_changed();
        let mut ticks = interval(EVERY);
        // A host that stood still has no rounds to make up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for second in 0_u64.. {
            ticks.tick().await;
            if desired.has_changed().unwrap_or(false) {
                let state = Arc::clone(&desired.borrow_and_update());
                known.heed(self.own, &state);
            }
            let here = known.neighbours.as_ref().and_then(|neighbours| self.place(neighbours));
            place.send_if_modified(|before| {
                let news = match (&*before, &here) {
                    (Some(before), Some(here)) => before.moved(here),
                    (before, here) => before.is_some() != here.is_some(),
                };
                before.clone_from(&here);
                news
            });
            let outcome = match &here {
                Some(here) => self.round(&mut known, here, second).await,
                None if known.neighbours.is_some() && second >= START => Err(
                    "this node has no end of probes yet: no block, one of very few addresses, or no namespace".into(),
                ),
                None => continue,
            };
            let answering = trouble.borrow().clone();
            let words = outcome.err().or(answering);
            if words.is_some() {
                known.verdicts.forget();
            }
            rounds += 1;
            if rounds >= FIRST {
                self.tell(&mut known, words.unwrap_or_default());
            }
        }
    }

    /// Where this node is; `None` while it has no pod end.
    fn place(&self, neighbours: &Neighbours) -> Option<Place> {
        let end = self.pods.probe_end()?;
        Some(Place {
            own: self.own,
            key: neighbours.key.clone(),
            seal: ProbeSeal::new(&neighbours.key),
            host: neighbours.host,
            pod: *end.addresses.first()?,
            mtu: end.probes?.mtu,
            end: self.net.pod_end()?,
        })
    }

    /// A round of probes to those whose turn it is; why none could be sent, as a sentence.
    async fn round(&self, known: &mut Known, place: &Place, second: u64) -> Result<(), String> {
        let round = Round {
            net: &self.net,
            workers: &self.workers,
            random: &*self.random,
            place,
        };
        let targets = known.targets(second);
        for answered in round.ask(&targets).await? {
            known.ends.extend(answered.pod_end.map(|end| (answered.node, end)));
            known.verdicts.take(answered.node, answered.sample);
        }
        Ok(())
    }

    /// Tells what is known, if it is news.
    fn tell(&self, known: &mut Known, trouble: String) {
        let report = Report {
            trouble,
            ..known.verdicts.report()
        };
        let now = Instant::now();
        let rested = known.told_at.is_none_or(|at| now >= at + TELL_EVERY);
        self.told.send_if_modified(|told| {
            let news = match told {
                None => true,
                Some(told) => report.differs(told) || (rested && report != *told),
            };
            if news {
                known.told_at = Some(now);
                if told
                    .as_ref()
                    .is_none_or(|told| (&told.named, &told.trouble) != (&report.named, &report.trouble))
                {
                    tracing::info!(?report, "what the probes say");
                }
                *told = Some(report.clone());
            }
            news
        });
    }
}
