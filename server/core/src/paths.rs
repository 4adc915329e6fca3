//! How the paths of a cluster's nodes stand, from what the probes of all of them say. Pure.
//!
//! One node's word is not enough: it may be the one that has trouble. A node is cut off by its own failure towards most
//! of the others, or by the word of two that are not cut off themselves; what is left is a pair's.

use std::collections::BTreeMap;

use portolan_shared::ids::NodeId;
use portolan_shared::status::Fault;

use crate::model::Paths;

/// A path that something does not arrive on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// The node that asked.
    pub from: NodeId,
    /// The node that was asked.
    pub to: NodeId,
    /// What does not arrive.
    pub fault: Fault,
    /// How many more such paths the node has.
    pub more: u64,
}

impl Trouble {
    /// The worst of some paths, if there is one.
    fn of(paths: &[(NodeId, NodeId, Fault)]) -> Option<Self> {
        let (from, to, fault) = *paths.iter().min_by_key(|(_, _, fault)| *fault)?;
        let more = paths.len() as u64 - 1;
        Some(Self { from, to, fault, more })
    }
}

/// How the paths of one node stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its pods' packets do not arrive at most others, or those of two others do not arrive at its pods.
    pub cut_off: Option<Trouble>,
    /// Single paths from it or to it do not work; those with a node that is cut off are not counted.
    pub pair: Option<Trouble>,
}

/// How the paths of a cluster's nodes stand. `said` is what the probes of those say that are connected, and that probe; who
/// is not among them does not answer probes, and what is said of it proves nothing. Cost: as many steps as paths are named.
pub fn stand(said: &BTreeMap<NodeId, &Paths>) -> BTreeMap<NodeId, Standing> {
    let answers = |node: &NodeId| said.get(node).is_some_and(|paths| paths.trouble.is_none());
    let of = |from: NodeId, paths: &Paths| {
        let counts = paths.named.iter().filter(|(to, _)| *to != from && answers(to));
        counts.map(|(to, fault)| (from, *to, *fault)).collect::<Vec<_>>()
    };
    let paths: BTreeMap<NodeId, Vec<(NodeId, NodeId, Fault)>> =
        said.iter().map(|(node, paths)| (*node, of(*node, paths))).collect();
    let mut standings: BTreeMap<NodeId, Standing> = BTreeMap::new();
    for (node, own) in &paths {
        let standing = standings.entry(*node).or_default();
        if said.get(node).is_some_and(|said| towards_most(said, own)) {
            standing.cut_off = Trouble::of(own);
        }
    }
    let by_itself = |node: &NodeId| standings.get(node).is_some_and(|standing| standing.cut_off.is_some());
    let mut words: BTreeMap<NodeId, Vec<(NodeId, NodeId, Fault)>> = BTreeMap::new();
    for path in paths.values().flatten().filter(|(from, _, _)| !by_itself(from)) {
        words.entry(path.1).or_default().push(*path);
    }
    for (node, words) in &words {
        let of_pods: Vec<_> = words
            .iter()
            .filter(|(_, _, fault)| fault.concerns_pods())
            .copied()
            .collect();
        let standing = standings.entry(*node).or_default();
        if of_pods.len() > 1 {
            standing.cut_off = standing.cut_off.or(Trouble::of(&of_pods));
        }
    }
    let cut_off: Vec<NodeId> = standings
        .iter()
        .filter(|(_, s)| s.cut_off.is_some())
        .map(|(node, _)| *node)
        .collect();
    let is_cut_off = |node: &NodeId| cut_off.binary_search(node).is_ok();
    for (node, standing) in &mut standings {
        let own = paths
            .get(node)
            .into_iter()
            .flatten()
            .filter(|(_, to, _)| !is_cut_off(to));
        let towards = words
            .get(node)
            .into_iter()
            .flatten()
            .filter(|(from, _, _)| !is_cut_off(from));
        let own: Vec<_> = own.copied().collect();
        // Of a pair that both name, it is the own word that is told.
        let towards = towards.filter(|(from, _, _)| own.iter().all(|(_, to, _)| to != from));
        let all: Vec<_> = own.iter().chain(towards).copied().collect();
        standing.pair = Trouble::of(&all).filter(|_| standing.cut_off.is_none());
    }
    standings
}

/// Whether the paths of pods fail towards most others that are known of. Only some of the failing are named: the others
/// are taken to be alike.
fn towards_most(said: &Paths, own: &[(NodeId, NodeId, Fault)]) -> bool {
    let named = said.named.len().max(1) as u64;
    let alike = |n: usize| match u64::from(said.failing) > named {
        true => u64::from(said.failing) * n as u64 / named,
        false => n as u64,
    };
    let of_pods = alike(own.iter().filter(|(_, _, fault)| fault.concerns_pods()).count());
    let known = u64::from(said.proven) + alike(own.len());
    of_pods * 2 > known
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 16])
    }

    /// `n` nodes that all probe each other; each is told what fails for it.
    fn cluster(n: u8, fails: &[(u8, u8, Fault)]) -> BTreeMap<NodeId, Paths> {
        let paths = |from: u8| {
            let named: Vec<_> = fails.iter().filter(|f| f.0 == from).map(|f| (id(f.1), f.2)).collect();
            let (peers, failing) = (u32::from(n) - 1, named.len() as u32);
            Paths {
                peers,
                proven: peers - failing,
                failing,
                named,
                trouble: None,
            }
        };
        (1..=n).map(|n| (id(n), paths(n))).collect()
    }

    fn standing(all: &BTreeMap<NodeId, Paths>) -> BTreeMap<NodeId, Standing> {
        stand(&all.iter().map(|(node, paths)| (*node, paths)).collect())
    }

    /// Nodes that are cut off, and nodes with a pair.
    fn said(all: &BTreeMap<NodeId, Paths>) -> (Vec<u8>, Vec<u8>) {
        let standings = standing(all);
        let those = |has: fn(&Standing) -> bool| {
            let those = standings.iter().filter(|(_, standing)| has(standing));
            those.map(|(node, _)| node.as_bytes()[0]).collect()
        };
        (those(|s| s.cut_off.is_some()), those(|s| s.pair.is_some()))
    }

    use Fault::{Address, FullSize, Nothing, Pods};

    #[test]
    fn a_pair_is_a_pair_and_a_node_is_a_node() {
        assert_eq!(said(&cluster(3, &[])), (vec![], vec![]));
        let pair = cluster(3, &[(1, 2, FullSize), (2, 1, FullSize)]);
        assert_eq!(said(&pair), (vec![], vec![1, 2]));
        assert_eq!(
            standing(&pair)[&id(2)].pair.map(|t| (t.from, t.to, t.more)),
            Some((id(2), id(1), 0))
        );
        let one_way = cluster(4, &[(1, 2, FullSize)]);
        assert_eq!(said(&one_way), (vec![], vec![1, 2]));
        assert_eq!(
            standing(&one_way)[&id(2)].pair.map(|t| (t.from, t.to)),
            Some((id(1), id(2)))
        );
        let node = cluster(
            4,
            &[
                (1, 2, Pods),
                (3, 2, Pods),
                (4, 2, Pods),
                (2, 1, Pods),
                (2, 3, Nothing),
                (2, 4, Pods),
            ],
        );
        assert_eq!(said(&node), (vec![2], vec![]), "the others are not to blame");
        assert_eq!(
            standing(&node)[&id(2)].cut_off.map(|t| (t.fault, t.more)),
            Some((Nothing, 2))
        );
        // Two others say so, and it does not see it.
        assert_eq!(said(&cluster(5, &[(1, 2, Pods), (3, 2, Pods)])), (vec![2], vec![]));
        let two = cluster(2, &[(1, 2, Pods), (2, 1, Pods)]);
        assert_eq!(
            said(&two),
            (vec![1, 2], vec![]),
            "no packet of either's pods has arrived"
        );
    }

    #[test]
    fn who_is_cut_off_is_no_witness() {
        let all = cluster(
            6,
            &[
                (1, 2, Pods),
                (1, 3, Pods),
                (1, 4, Pods),
                (1, 5, Pods),
                (2, 3, Pods),
                (3, 1, Pods),
            ],
        );
        assert_eq!(said(&all).0, [1]);
    }

    #[test]
    fn who_does_not_answer_probes_is_not_said_to_fail() {
        let mut all = cluster(3, &[(1, 2, Nothing), (3, 2, Nothing)]);
        all.remove(&id(2));
        assert_eq!(said(&all), (vec![], vec![]));
        let mut all = cluster(3, &[(1, 2, Nothing), (3, 2, Nothing)]);
        all.get_mut(&id(2)).unwrap().trouble = Some("the port is taken".to_owned());
        assert_eq!(said(&all), (vec![], vec![]));
        // Of many that fail only some are named, and none of those answers.
        let mut many = cluster(3, &[]);
        let paths = many.get_mut(&id(1)).unwrap();
        (paths.peers, paths.proven, paths.failing) = (500, 100, 400);
        paths.named = (100..116).map(|n| (id(n), Nothing)).collect();
        assert_eq!(said(&many), (vec![], vec![]));
    }

    #[test]
    fn a_host_that_does_not_answer_at_its_address_is_ready_for_pods() {
        let all = cluster(3, &[(1, 2, Address), (3, 2, Address), (2, 1, Address), (2, 3, Address)]);
        assert_eq!(said(&all), (vec![], vec![1, 2, 3]));
    }

    proptest! {
        #[test]
        fn nobody_is_cut_off_by_the_word_of_one(n in 3_u8..12, from in 0_u8..12, fails in prop::collection::btree_set(1_u8..12, 0..12)) {
            let from = from % n + 1;
            let fails: Vec<_> = fails.into_iter().filter(|to| *to <= n && *to != from).map(|to| (from, to, Nothing)).collect();
            let most = fails.len() * 2 > usize::from(n) - 1;
            let (cut_off, pairs) = said(&cluster(n, &fails));
            prop_assert_eq!(cut_off, if most { vec![from] } else { vec![] });
            prop_assert_eq!(pairs.is_empty(), most || fails.is_empty());
        }
    }
}
