//! How far a cluster is, from facts: its word, the stages of its creation, and why something stands
//! as it does or stays when a cluster goes. Derived when read, like a port's status.

use crate::holder::Holders;
use crate::refusal::Param;
use crate::status::{Found, NoBlock, Reason, StepState};
use crate::v1::{ClusterState, NodesFrom, Stage, StageKind};

/// Why a stage is not reached, or why something stays: the closed list of codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Nothing carries its packets yet.
    NoGateway,
    /// Its network has no shadow port, and it has no external IP.
    NoServices,
    /// No node is expected.
    NoNodes,
    /// Nodes have not joined yet: how many have, of how many.
    NodesJoining(u64, u64),
    /// Nodes that joined are not ready: how many are, of how many.
    NodesNotReady(u64, u64),
    /// A node gets no block of pod addresses.
    NoBlock(NoBlock),
    /// Nodes were found again and wait to be admitted.
    NodesFound(Found),
    /// A network that others use.
    NetworkStillUsed(Holders),
    /// A subnet that others use.
    SubnetStillUsed(Holders),
    /// A network that was there before the cluster, by name.
    NetworkCustomers(String),
}

impl Because {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoGateway => "cluster.no_gateway",
            Self::NoServices => "cluster.not_served",
            Self::NoNodes => "cluster.no_nodes",
            Self::NodesJoining(..) => "cluster.nodes_joining",
            Self::NodesNotReady(..) => "cluster.nodes_not_ready",
            Self::NoBlock(_) => NoBlock::CODE,
            Self::NodesFound(_) => Found::CODE,
            Self::NetworkStillUsed(_) => "network.still_used",
            Self::SubnetStillUsed(_) => "subnet.still_used",
            Self::NetworkCustomers(_) => "network.customers",
        }
    }

    /// All codes, for the tests that every language has a sentence for each.
    pub const CODES: &'static [&'static str] = &[
        "cluster.no_gateway",
        "cluster.not_served",
        "cluster.no_nodes",
        "cluster.nodes_joining",
        "cluster.nodes_not_ready",
        NoBlock::CODE,
        Found::CODE,
        "network.still_used",
        "subnet.still_used",
        "network.customers",
    ];

    /// As a row or a plan shows it.
    pub fn reason(&self) -> Reason {
        let param = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
        let (params, sentence) = match self {
            Self::NoGateway => (vec![], "Not carried: there is no gateway yet.".to_owned()),
            Self::NoServices => (
                vec![],
                "Its network has no way to the provider's services: no shadow port.".to_owned(),
            ),
            Self::NoNodes => (vec![], "No node is expected. Add one.".to_owned()),
            Self::NodesJoining(joined, wanted) => (
                vec![param("joined", joined), param("wanted", wanted)],
                format!("{joined} of {wanted} nodes have joined."),
            ),
            Self::NodesNotReady(ready, nodes) => (
                vec![param("ready", ready), param("nodes", nodes)],
                format!("{ready} of {nodes} nodes are ready."),
            ),
            Self::NoBlock(no_block) => return no_block.reason(),
            Self::NodesFound(found) => return found.reason(),
            Self::NetworkStillUsed(holders) => (
                vec![("holders".to_owned(), holders.param())],
                format!("Still used by {holders}: it stays as a network of the project's own."),
            ),
            Self::SubnetStillUsed(holders) => (
                vec![("holders".to_owned(), holders.param())],
                format!("Still used by {holders}: it stays."),
            ),
            Self::NetworkCustomers(network) => (
                vec![param("network", network)],
                format!("Network {network} was not made for the cluster and stays."),
            ),
        };
        Reason {
            code: self.code().to_owned(),
            params,
            sentence,
            since: None,
        }
    }
}

/// What a cluster's word and stages depend on. Times are microseconds, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// When it was made, and with it what it needed.
    pub created_at: i64,
    /// Whether it has an external IP.
    pub external_ip: bool,
    /// Whether its network has a shadow port.
    pub shadow_port: bool,
    /// Where its nodes come from.
    pub nodes_from: NodesFrom,
    /// How many nodes were asked for; 0: nobody said.
    pub wanted: u64,
    /// Its nodes.
    pub nodes: Vec<NodeFacts>,
    /// That one of them gets no block, with how many more.
    pub no_block: Option<NoBlock>,
    /// That one of them was found again and waits to be admitted, with how many more.
    pub found: Option<Found>,
}

/// A node, as far as its cluster's word and stages depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeFacts {
    /// When its agent joined; `None`: expected.
    pub joined_at: Option<i64>,
    /// Whether it does its work.
    pub ready: bool,
    /// Whether it gets no block: if it has joined, its pods go on, and it takes no more of them.
    pub no_block: bool,
    /// Since when its agent is connected, or is not.
    pub since: i64,
}

impl ClusterFacts {
    fn joined(&self) -> impl Iterator<Item = (i64, &NodeFacts)> {
        self.nodes.iter().filter_map(|node| Some((node.joined_at?, node)))
    }

    /// How many nodes there should be: those asked for, and those expected beside them.
    fn expected(&self) -> u64 {
        self.wanted.max(count(self.nodes.len()))
    }

    /// The cluster's word.
    pub fn state(&self) -> ClusterState {
        let ready = self.nodes.iter().filter(|node| node.ready).count();
        let on_the_way = self.nodes_from == NodesFrom::Lab && self.no_block.is_none();
        let goes_on = self.joined().any(|(_, node)| node.no_block);
        match (self.nodes.len(), ready) {
            _ if on_the_way && count(self.joined().count()) < self.wanted => ClusterState::Creating,
            (0, _) => ClusterState::Empty,
            (all, ready) if ready == all => ClusterState::Ready,
            (_, 0) if !goes_on => ClusterState::Down,
            _ => ClusterState::Degraded,
        }
    }

    /// Why it is not ready, if nodes that joined or are expected are not.
    pub fn because(&self) -> Option<Because> {
        let ready = count(self.nodes.iter().filter(|node| node.ready).count());
        match self.state() {
            ClusterState::Degraded | ClusterState::Down => {
                let all = count(self.nodes.len());
                let because = self.no_block().or_else(|| self.found(all - ready));
                Some(because.unwrap_or(Because::NodesNotReady(ready, all)))
            }
            ClusterState::Empty | ClusterState::Creating | ClusterState::Ready => None,
        }
    }

    /// That nodes wait to be admitted, if nothing else is the matter with `away` nodes.
    fn found(&self, away: u64) -> Option<Because> {
        let found = self.found.as_ref().filter(|found| found.more + 1 == away)?;
        Some(Because::NodesFound(found.clone()))
    }

    fn no_block(&self) -> Option<Because> {
        self.no_block.clone().map(Because::NoBlock)
    }

    /// The stages of its creation, in order; `at` writes a time as RFC 3339.
    pub fn stages(&self, at: impl Fn(i64) -> String) -> Vec<Stage> {
        let stage = |stage, held: Result<i64, (StepState, Option<Because>)>| match held {
            Ok(time) => Stage {
                stage,
                state: StepState::Ok,
                at: Some(at(time)),
                reason: None,
            },
            Err((state, because)) => Stage {
                stage,
                state,
                at: None,
                reason: because.as_ref().map(Because::reason),
            },
        };
        let waiting = |because| Err((StepState::Waiting, Some(because)));
        let way = match (self.external_ip, self.shadow_port) {
            (true, _) => stage(StageKind::ExternalIp, waiting(Because::NoGateway)),
            (false, true) => stage(StageKind::Services, waiting(Because::NoGateway)),
            (false, false) => stage(StageKind::Services, Err((StepState::Failed, Some(Because::NoServices)))),
        };
        vec![
            stage(StageKind::Network, Ok(self.created_at)),
            way,
            stage(StageKind::Joined, self.all_joined()),
            stage(StageKind::Ready, self.all_ready()),
        ]
    }

    fn all_joined(&self) -> Result<i64, (StepState, Option<Because>)> {
        let (joined, expected) = (count(self.joined().count()), self.expected());
        match self.joined().map(|(at, _)| at).max() {
            Some(last) if joined == expected => Ok(last),
            _ if expected == 0 => Err((StepState::Waiting, Some(Because::NoNodes))),
            _ => {
                let waits = || Because::NodesJoining(joined, expected);
                let cannot = self.nodes.iter().any(|node| node.joined_at.is_none() && node.no_block);
                let no_block = self.no_block().filter(|_| cannot);
                let because = no_block.or_else(|| self.found(expected - joined)).unwrap_or_else(waits);
                Err((StepState::Waiting, Some(because)))
            }
        }
    }

    fn all_ready(&self) -> Result<i64, (StepState, Option<Because>)> {
        let joined = count(self.joined().count());
        let ready = count(self.joined().filter(|(_, node)| node.ready).count());
        match self.joined().map(|(_, node)| node.since).max() {
            None => Err((StepState::Unknown, None)),
            Some(since) if ready == joined => Ok(since),
            Some(_) => {
                let because = self.no_block().unwrap_or(Because::NodesNotReady(ready, joined));
                Err((StepState::Failed, Some(because)))
            }
        }
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holder::{Holder, Named};
    use crate::kinds::quarantined_blocks::HeldBlocks;

    fn node(joined_at: Option<i64>, ready: bool) -> NodeFacts {
        NodeFacts {
            joined_at,
            ready,
            no_block: false,
            since: 50,
        }
    }

    fn cluster(nodes_from: NodesFrom, wanted: u64, nodes: &[NodeFacts]) -> ClusterFacts {
        ClusterFacts {
            created_at: 7,
            external_ip: true,
            shadow_port: false,
            nodes_from,
            wanted,
            nodes: nodes.to_vec(),
            no_block: None,
            found: None,
        }
    }

    fn no_block() -> NoBlock {
        NoBlock {
            node: "node-4".into(),
            more: 0,
            blocks: 4,
            empty: vec![],
            held: HeldBlocks::default(),
        }
    }

    /// Stage, state, time and code in short.
    fn told(facts: &ClusterFacts) -> Vec<String> {
        let stages = facts.stages(|at| at.to_string());
        let text = |stage: &Stage| {
            let code = stage.reason.as_ref().map_or("-", |reason| &reason.code);
            let at = stage.at.as_deref().unwrap_or("-");
            format!("{:?} {:?} {at} {code}", stage.stage, stage.state)
        };
        stages.iter().map(text).collect()
    }

    #[test]
    fn a_cluster_says_what_it_waits_for() {
        use ClusterState::{Creating, Degraded, Down, Empty, Ready};
        let check = |facts: &ClusterFacts, state: ClusterState, stages: [&str; 2]| {
            assert_eq!(facts.state(), state, "{facts:?}");
            assert_eq!(told(facts)[2..], stages, "{facts:?}");
        };
        let (join, lab) = (NodesFrom::Join, NodesFrom::Lab);
        let (expected, ready, silent) = (node(None, false), node(Some(20), true), node(Some(30), false));
        let no_nodes = ["Joined Waiting - cluster.no_nodes", "Ready Unknown - -"];
        let joining = ["Joined Waiting - cluster.nodes_joining", "Ready Unknown - -"];
        let some = ["Joined Waiting - cluster.nodes_joining", "Ready Ok 50 -"];
        let all = ["Joined Ok 20 -", "Ready Ok 50 -"];
        check(&cluster(join, 0, &[]), Empty, no_nodes);
        check(&cluster(join, 2, &[]), Empty, joining);
        check(&cluster(lab, 2, &[]), Creating, joining);
        check(&cluster(lab, 2, &[expected]), Creating, joining);
        check(&cluster(join, 0, &[expected]), Down, joining);
        check(&cluster(lab, 2, &[ready]), Creating, some);
        check(&cluster(lab, 1, &[ready]), Ready, all);
        check(&cluster(join, 2, &[ready]), Ready, some);
        check(&cluster(join, 0, &[ready, expected]), Degraded, some);
        check(
            &cluster(join, 0, &[ready, silent]),
            Degraded,
            ["Joined Ok 30 -", "Ready Failed - cluster.nodes_not_ready"],
        );
        check(
            &cluster(lab, 1, &[silent]),
            Down,
            ["Joined Ok 30 -", "Ready Failed - cluster.nodes_not_ready"],
        );
    }

    #[test]
    fn a_cluster_without_a_free_block_is_degraded_and_says_so() {
        use ClusterState::{Creating, Degraded, Down, Ready};
        let full = |joined_at| NodeFacts {
            no_block: true,
            ..node(joined_at, false)
        };
        let check = |nodes_from, nodes: &[NodeFacts], state: ClusterState, stages: [&str; 2]| {
            let facts = ClusterFacts {
                no_block: Some(no_block()),
                ..cluster(nodes_from, 2, nodes)
            };
            assert_eq!(facts.state(), state, "{nodes:?}");
            assert_eq!(told(&facts)[2..], stages, "{nodes:?}");
            assert_eq!(facts.because().unwrap().code(), "node.no_block", "{nodes:?}");
        };
        let (join, lab) = (NodesFrom::Join, NodesFrom::Lab);
        let (ready, silent) = (node(Some(20), true), node(Some(20), false));
        let (asks, cannot) = (full(Some(20)), full(None));
        let failed = ["Joined Ok 20 -", "Ready Failed - node.no_block"];
        check(join, &[ready, asks], Degraded, failed);
        check(join, &[asks, asks], Degraded, failed);
        check(join, &[silent, asks], Degraded, failed);
        let joining = ["Joined Waiting - node.no_block", "Ready Ok 50 -"];
        check(join, &[ready, cannot], Degraded, joining);
        check(lab, &[ready, cannot], Degraded, joining);
        let none = ["Joined Waiting - node.no_block", "Ready Unknown - -"];
        check(lab, &[cannot], Down, none);
        assert_eq!(cluster(lab, 2, &[ready]).state(), Creating);
        assert_eq!(cluster(join, 1, &[ready]).because(), None);
        assert_eq!(cluster(join, 1, &[ready]).state(), Ready);
    }

    fn found(more: u64) -> Found {
        let node = "node-3".into();
        Found { node, more }
    }

    #[test]
    fn nodes_that_wait_to_be_admitted_are_the_reason_where_nothing_else_is() {
        use ClusterState::{Degraded, Down};
        let check = |nodes: &[NodeFacts], more, state: ClusterState, code: &str, joined: &str| {
            let facts = ClusterFacts {
                found: Some(found(more)),
                ..cluster(NodesFrom::Join, 0, nodes)
            };
            assert_eq!(facts.state(), state, "{nodes:?}");
            assert_eq!(facts.because().unwrap().code(), code, "{nodes:?}");
            assert_eq!(told(&facts)[2], format!("Joined Waiting - {joined}"), "{nodes:?}");
        };
        // A found node has not joined here.
        let (ready, silent, away) = (node(Some(20), true), node(Some(20), false), node(None, false));
        let (waits, joining) = ("node.waits", "cluster.nodes_joining");
        check(&[ready, away], 0, Degraded, waits, waits);
        check(&[ready, away, away], 1, Degraded, waits, waits);
        check(&[away], 0, Down, waits, waits);
        check(&[ready, away, away], 0, Degraded, "cluster.nodes_not_ready", joining);
        check(&[ready, silent, away], 0, Degraded, "cluster.nodes_not_ready", waits);
        let sentence = |more| found(more).reason().sentence;
        assert!(sentence(0).starts_with("node-3 was found"), "{}", sentence(0));
        assert!(
            sentence(2).starts_with("node-3 and 2 more nodes were"),
            "{}",
            sentence(2)
        );
    }

    #[test]
    fn the_way_out_is_the_external_ip_or_the_services() {
        let facts = cluster(NodesFrom::Join, 0, &[]);
        let way = |external_ip, shadow_port| {
            told(&ClusterFacts {
                external_ip,
                shadow_port,
                ..facts.clone()
            })[..2]
                .join(", ")
        };
        assert_eq!(
            way(true, false),
            "Network Ok 7 -, ExternalIp Waiting - cluster.no_gateway"
        );
        assert_eq!(
            way(false, true),
            "Network Ok 7 -, Services Waiting - cluster.no_gateway"
        );
        assert_eq!(
            way(false, false),
            "Network Ok 7 -, Services Failed - cluster.not_served"
        );
    }

    #[test]
    fn every_reason_has_its_code_and_a_sentence() {
        let db = || Holder::Named(Named::Port, "db".into(), None).into();
        let all = [
            Because::NoGateway,
            Because::NoServices,
            Because::NoNodes,
            Because::NodesJoining(1, 3),
            Because::NodesNotReady(1, 3),
            Because::NoBlock(no_block()),
            Because::NodesFound(found(0)),
            Because::NetworkStillUsed(db()),
            Because::SubnetStillUsed(db()),
            Because::NetworkCustomers("web".into()),
        ];
        let codes: Vec<&str> = all.iter().map(Because::code).collect();
        assert_eq!(codes, Because::CODES);
        for because in all {
            let reason = because.reason();
            for (name, value) in &reason.params {
                assert!(reason.sentence.contains(value), "{name} in {}", reason.sentence);
            }
        }
    }
}
