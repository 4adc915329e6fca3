//! What is said of probes that came back, and of those that did not.

use std::collections::{BTreeMap, BTreeSet};

use portolan_shared::ids::NodeId;
use portolan_shared::status::Fault;

/// Failing peers that are named, at most: who has more has trouble itself.
const NAMED: usize = 16;

/// What arrived of one round of probes to a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// UDP, from host to host.
    pub host: bool,
    /// UDP, from pod end to pod end.
    pub small: bool,
    /// The same, as large as pods may send it, not to be cut.
    pub full: bool,
    /// TCP, from pod end to pod end.
    pub tcp: bool,
}

impl Sample {
    /// What is wrong, if anything is.
    pub fn fault(self) -> Option<Fault> {
        // A large one that arrives proves that a small one would.
        let udp = self.small || self.full;
        match (udp, self.tcp) {
            (false, false) if self.host => Some(Fault::Pods),
            (false, false) => Some(Fault::Nothing),
            (false, true) => Some(Fault::Udp),
            (true, false) => Some(Fault::Tcp),
            (true, true) if !self.full => Some(Fault::FullSize),
            (true, true) => (!self.host).then_some(Fault::Address),
        }
    }
}

/// What a node says of its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Other nodes that it probes.
    pub peers: u32,
    /// Of these, to how many everything arrived.
    pub proven: u32,
    /// Of these, to how many something did not.
    pub failing: u32,
    /// The first of them, by id.
    pub named: Vec<(NodeId, Fault)>,
    /// Why it cannot probe, as a sentence; empty: it can.
    pub trouble: String,
}

impl Report {
    /// Whether something fails towards most of those it knows of.
    pub fn most_fail(&self) -> bool {
        self.failing > self.proven
    }

    /// Whether this says something else than `before`, numbers on their way apart: those are told every while.
    pub fn differs(&self, before: &Self) -> bool {
        let all = |report: &Self| report.proven == report.peers;
        (&self.named, &self.trouble, self.peers, self.most_fail(), all(self))
            != (
                &before.named,
                &before.trouble,
                before.peers,
                before.most_fail(),
                all(before),
            )
    }
}

/// What is known of the path to each peer.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    peers: BTreeSet<NodeId>,
    /// Only peers that were probed.
    known: BTreeMap<NodeId, Option<Fault>>,
}

impl Verdicts {
    /// Probes go to these from now on.
    pub fn set_peers(&mut self, peers: impl IntoIterator<Item = NodeId>) {
        self.peers = peers.into_iter().collect();
        self.known.retain(|node, _| self.peers.contains(node));
    }

    /// Takes what came back of probes to a peer.
    pub fn take(&mut self, node: NodeId, sample: Sample) {
        if self.peers.contains(&node) {
            self.known.insert(node, sample.fault());
        }
    }

    /// Whether everything arrived at a peer when it was probed last.
    pub fn is_well(&self, node: NodeId) -> bool {
        matches!(self.known.get(&node), Some(None))
    }

    /// Peers that something fails towards.
    pub fn failing(&self) -> BTreeSet<NodeId> {
        let failing = self.known.iter().filter(|(_, fault)| fault.is_some());
        failing.map(|(node, _)| *node).collect()
    }

    /// Nothing is known of any path: what was is too old.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// What is told.
    pub fn report(&self) -> Report {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let failing = self.known.iter().filter_map(|(node, fault)| Some((*node, (*fault)?)));
        let failing: Vec<(NodeId, Fault)> = failing.collect();
        Report {
            peers: count(self.peers.len()),
            proven: count(self.known.len() - failing.len()),
            failing: count(failing.len()),
            named: failing.into_iter().take(NAMED).collect(),
            trouble: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(text: &str) -> Sample {
        let has = |word| text.split(' ').any(|part| part == word);
        Sample {
            host: has("host"),
            small: has("small"),
            full: has("full"),
            tcp: has("tcp"),
        }
    }

    #[test]
    fn what_arrives_says_which_hop_does_not_work() {
        let cases = [
            ("host small full tcp", None),
            ("host full tcp", None),
            ("", Some(Fault::Nothing)),
            ("host", Some(Fault::Pods)),
            ("host small tcp", Some(Fault::FullSize)),
            ("small tcp", Some(Fault::FullSize)),
            ("host small full", Some(Fault::Tcp)),
            ("host small", Some(Fault::Tcp)),
            ("host tcp", Some(Fault::Udp)),
            ("tcp", Some(Fault::Udp)),
            ("small full tcp", Some(Fault::Address)),
        ];
        for (arrives, fault) in cases {
            assert_eq!(sample(arrives).fault(), fault, "{arrives}");
        }
    }

    #[test]
    fn only_what_is_news_differs() {
        let well = Report {
            peers: 9,
            proven: 5,
            ..Report::default()
        };
        assert!(
            !Report {
                proven: 6,
                ..well.clone()
            }
            .differs(&well),
            "on its way"
        );
        assert!(
            Report {
                proven: 9,
                ..well.clone()
            }
            .differs(&well),
            "all are proven"
        );
        assert!(
            Report {
                failing: 6,
                ..well.clone()
            }
            .differs(&well),
            "most fail"
        );
        let named = vec![(NodeId::from_bytes([1; 16]), Fault::Tcp)];
        assert!(
            Report {
                named,
                failing: 1,
                ..well.clone()
            }
            .differs(&well)
        );
    }

    proptest! {
        #[test]
        fn what_is_told_is_bounded_and_counts_all(
            peers in prop::collection::btree_set(0_u8..100, 0..60),
            samples in prop::collection::vec((0_u8..100, any::<(bool, bool, bool, bool)>()), 0..200),
        ) {
            let id = |n: u8| NodeId::from_bytes([n; 16]);
            let mut verdicts = Verdicts::default();
            verdicts.set_peers(peers.iter().map(|n| id(*n)));
            let mut last = BTreeMap::new();
            for (node, (host, small, full, tcp)) in samples {
                let sample = Sample { host, small, full, tcp };
                verdicts.take(id(node), sample);
                if peers.contains(&node) {
                    last.insert(node, sample.fault());
                }
            }
            let report = verdicts.report();
            prop_assert!(report.named.len() <= NAMED);
            prop_assert_eq!(report.peers as usize, peers.len());
            prop_assert_eq!((report.proven + report.failing) as usize, last.len());
            prop_assert_eq!(report.failing as usize, last.values().filter(|fault| fault.is_some()).count());
            prop_assert_eq!(verdicts.failing().len(), report.failing as usize);
            verdicts.set_peers([]);
            prop_assert_eq!(verdicts.report(), Report::default());
        }
    }
}
