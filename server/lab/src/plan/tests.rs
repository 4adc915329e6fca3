//! Whatever the control plane wants and whatever fails on the way, plans lead there and touch nobody else's hosts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn cluster(n: u8, wanted: usize, nodes: &[(&str, u8)]) -> Cluster {
    Cluster {
        id: id(n),
        name: format!("c{n}"),
        project: ProjectId::from_bytes([1; 16]),
        network: NetworkId::from_bytes([n; 16]),
        prefix: 24,
        mtu: 1500,
        wanted,
        nodes: nodes.iter().map(|(name, n)| node(name, *n)).collect(),
    }
}

fn id(n: u8) -> ClusterId {
    ClusterId::from_bytes([n; 16])
}

fn node_id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

fn node(name: &str, n: u8) -> Node {
    Node {
        id: node_id(n),
        name: name.into(),
        address: [10, 0, 0, n].into(),
        state: NodeState::Ready,
    }
}

fn key(cluster: u8, name: &str) -> HostKey {
    HostKey {
        cluster: id(cluster),
        name: name.into(),
    }
}

fn hosts(all: &[(u8, &str, Option<u8>, bool)]) -> BTreeMap<HostKey, Known> {
    let known = |node: Option<u8>, stands: bool| Known {
        node: node.map(node_id),
        stands,
        pause: None,
    };
    all.iter()
        .map(|(cluster, name, node, stands)| (key(*cluster, name), known(*node, *stands)))
        .collect()
}

/// It failed, and is left alone until then.
fn pause(hosts: &mut BTreeMap<HostKey, Known>, host: &HostKey, verb: Verb, until: Duration) {
    hosts.get_mut(host).unwrap().pause = Some(Pause { verb, until });
}

const NOW: Duration = Duration::from_secs(10);

#[test]
fn a_new_cluster_gets_its_hosts_and_a_full_one_nothing() {
    let wanted = [cluster(1, 2, &[])];
    let steps = plan(&wanted, &hosts(&[]), NOW);
    assert_eq!(steps, [Step::Make(key(1, "node-1")), Step::Make(key(1, "node-2"))]);

    let wanted = [cluster(1, 2, &[("node-1", 1), ("node-2", 2)])];
    let there = hosts(&[(1, "node-1", Some(1), true), (1, "node-2", Some(2), true)]);
    assert_eq!(plan(&wanted, &there, NOW), []);
}

#[test]
fn a_removed_nodes_host_goes_also_when_another_node_took_its_name() {
    let there = hosts(&[(1, "node-1", Some(1), true), (1, "node-2", Some(2), true)]);
    let shrunk = [cluster(1, 1, &[("node-2", 2)])];
    assert_eq!(plan(&shrunk, &there, NOW), [Step::Remove(key(1, "node-1"))]);
    let another = [cluster(1, 2, &[("node-1", 7), ("node-2", 2)])];
    assert_eq!(plan(&another, &there, NOW), [Step::Remove(key(1, "node-1"))]);
    assert_eq!(plan(&[], &there, NOW).len(), 2);
}

#[test]
fn hosts_that_others_joined_count_and_are_left_alone() {
    let wanted = [cluster(1, 2, &[("node-1", 9)])];
    assert_eq!(plan(&wanted, &hosts(&[]), NOW), [Step::Make(key(1, "node-2"))]);
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again_and_not_twice() {
    // Asked for, nothing known of it: that one, not another one.
    let there = hosts(&[(1, "node-1", None, false)]);
    assert_eq!(plan(&[cluster(1, 1, &[])], &there, NOW), [Step::Make(key(1, "node-1"))]);
    // The node was made.
    let made = [cluster(1, 1, &[("node-1", 4)])];
    assert_eq!(plan(&made, &there, NOW), [Step::Make(key(1, "node-1"))]);
    // Nobody wants it any more.
    assert_eq!(
        plan(&[cluster(1, 0, &[])], &there, NOW),
        [Step::Remove(key(1, "node-1"))]
    );
}

#[test]
fn a_host_that_fails_waits_and_holds_nobody() {
    let wanted = [cluster(1, 2, &[("node-1", 1)]), cluster(2, 1, &[])];
    let mut there = hosts(&[(1, "node-1", Some(1), false)]);
    let then = Duration::from_secs(12);
    pause(&mut there, &key(1, "node-1"), Verb::Make, then);
    let others = [Step::Make(key(1, "node-2")), Step::Make(key(2, "node-1"))];
    assert_eq!(plan(&wanted, &there, NOW), others);
    assert_eq!(next_due(&there, NOW), Some(then));
    assert_eq!(plan(&wanted, &there, then)[0], Step::Make(key(1, "node-1")));
    // It may still be taken away, until that fails too.
    assert_eq!(plan(&[], &there, NOW), [Step::Remove(key(1, "node-1"))]);
    pause(&mut there, &key(1, "node-1"), Verb::Remove, then);
    assert_eq!(plan(&[], &there, NOW), []);
}

#[test]
fn waiting_grows_and_ends_growing() {
    let waits: Vec<_> = (1..=20).map(back_off).collect();
    assert_eq!(waits[0], Duration::from_millis(500));
    assert!(waits.is_sorted() && waits[19] == Duration::from_secs(30), "{waits:?}");
    assert_eq!(back_off(u32::MAX), waits[19]);
}

#[test]
fn the_smallest_free_number_is_found() {
    assert_eq!(smallest_free([]), 0);
    assert_eq!(smallest_free([3, 0, 1]), 2);
}

/// The control plane and the lab in a game: steps are done or fail, and somebody changes what is wanted.
#[derive(Debug, Clone)]
struct Game {
    clusters: Vec<Cluster>,
    known: BTreeMap<HostKey, Known>,
    now: Duration,
    next: u8,
}

/// What somebody else does.
#[derive(Debug, Clone)]
enum Move {
    /// The control plane makes a cluster.
    Create(usize),
    /// It deletes one.
    Delete(usize),
    /// It removes a node; the cluster then wants no more than are left.
    RemoveNode(usize, usize),
    /// A host of somebody's own joins.
    Join(usize),
    /// The lab does its first step, which goes well, fails before or after the control plane has heard of it.
    Step(Outcome),
    /// The lab is started anew: everything written down is to be made to stand.
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Done,
    Refused,
    AnswerLost,
}

impl Game {
    fn fresh(&mut self) -> u8 {
        self.next += 1;
        self.next
    }

    fn play(&mut self, one: &Move) {
        let count = self.clusters.len();
        match one {
            Move::Create(wanted) => {
                let n = self.fresh();
                self.clusters.push(cluster(n, *wanted, &[]));
            }
            Move::Delete(at) if count > 0 => drop(self.clusters.remove(at % count)),
            Move::RemoveNode(at, of) if count > 0 => {
                let cluster = &mut self.clusters[at % count];
                if !cluster.nodes.is_empty() {
                    cluster.nodes.remove(of % cluster.nodes.len());
                    cluster.wanted = cluster.wanted.min(cluster.nodes.len());
                }
            }
            Move::Join(at) if count > 0 => {
                let n = self.fresh();
                self.clusters[at % count].nodes.push(node(&format!("own-{n}"), n));
            }
            Move::Step(outcome) => {
                let first = plan(&self.clusters, &self.known, self.now).into_iter().next();
                if let Some(step) = first {
                    self.perform(&step, *outcome);
                }
            }
            Move::Restart => {
                for host in self.known.values_mut() {
                    (host.stands, host.pause) = (false, None);
                }
            }
            Move::Delete(_) | Move::RemoveNode(..) | Move::Join(_) => {}
        }
    }

    /// As the lab performs a step: what is asked for is written down first.
    fn perform(&mut self, step: &Step, outcome: Outcome) {
        let pause = Some(Pause {
            verb: step.verb(),
            until: self.now + Duration::from_secs(1),
        });
        let key = step.host().clone();
        match (step, outcome) {
            (Step::Remove(_), Outcome::Done) => drop(self.known.remove(&key)),
            (Step::Remove(_), _) => self.known.get_mut(&key).unwrap().pause = pause,
            (Step::Make(_), outcome) => {
                let n = self.fresh();
                let cluster = self
                    .clusters
                    .iter_mut()
                    .find(|cluster| cluster.id == key.cluster)
                    .unwrap();
                let unknown = Known {
                    node: None,
                    stands: false,
                    pause: None,
                };
                let host = self.known.entry(key.clone()).or_insert(unknown);
                host.pause = pause;
                if matches!(outcome, Outcome::Refused) {
                    return;
                }
                if cluster.node(&key.name).is_none() {
                    cluster.nodes.push(node(&key.name, n));
                }
                if matches!(outcome, Outcome::Done) {
                    host.node = cluster.node(&key.name).map(|node| node.id);
                    (host.stands, host.pause) = (true, None);
                }
            }
        }
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let outcome = prop_oneof![Just(Outcome::Done), Just(Outcome::Refused), Just(Outcome::AnswerLost)];
    let one = prop_oneof![
        2 => (0..4_usize).prop_map(Move::Create),
        1 => (0..4_usize).prop_map(Move::Delete),
        2 => (0..4_usize, 0..4_usize).prop_map(|(at, of)| Move::RemoveNode(at, of)),
        1 => (0..4_usize).prop_map(Move::Join),
        8 => outcome.prop_map(Move::Step),
        1 => Just(Move::Restart),
    ];
    prop::collection::vec(one, 0..40)
}

proptest! {
    #[test]
    fn plans_lead_to_what_is_wanted_and_then_to_nothing(moves in moves()) {
        let mut game = Game { clusters: vec![], known: BTreeMap::new(), now: NOW, next: 0 };
        for one in &moves {
            let before: usize = game.clusters.iter().map(|cluster| cluster.nodes.len()).sum();
            game.play(one);
            let after: usize = game.clusters.iter().map(|cluster| cluster.nodes.len()).sum();
            if matches!(one, Move::Step(_)) && after > before {
                let full = game.clusters.iter().any(|cluster| cluster.nodes.len() > cluster.wanted && {
                    cluster.nodes.last().is_some_and(|last| last.id == node_id(game.next))
                });
                prop_assert!(!full, "one more than wanted: {:?}", game.clusters);
            }
        }
        // From here on everything goes well.
        let mut steps = 0;
        loop {
            game.now += Duration::from_secs(1);
            let Some(step) = plan(&game.clusters, &game.known, game.now).into_iter().next() else { break };
            game.perform(&step, Outcome::Done);
            steps += 1;
            prop_assert!(steps < 200, "no end of it");
        }
        prop_assert_eq!(next_due(&game.known, game.now), None);
        let mut nodes = BTreeSet::new();
        for cluster in &game.clusters {
            prop_assert!(cluster.nodes.len() >= cluster.wanted);
            let labs = cluster.nodes.iter().filter(|node| !node.name.starts_with("own-"));
            nodes.extend(labs.map(|node| (cluster.id, node.name.clone(), Some(node.id))));
        }
        let there: BTreeSet<_> =
            game.known.iter().map(|(key, host)| (key.cluster, key.name.clone(), host.node)).collect();
        prop_assert_eq!(there, nodes, "the lab's hosts are its nodes, one for one");
    }

    #[test]
    fn no_step_concerns_a_host_twice_and_none_a_host_of_somebody_elses(moves in moves()) {
        let mut game = Game { clusters: vec![], known: BTreeMap::new(), now: NOW, next: 0 };
        for one in &moves {
            game.play(one);
            let steps = plan(&game.clusters, &game.known, game.now);
            let hosts: BTreeSet<_> = steps.iter().map(Step::host).collect();
            prop_assert_eq!(hosts.len(), steps.len());
            for step in &steps {
                prop_assert!(!step.host().name.starts_with("own-"));
                let standing = game.known.get(step.host()).is_some_and(|host| host.stands);
                prop_assert!(!(standing && matches!(step, Step::Make(_))), "it stands already");
            }
        }
    }
}
