//! Who probes whom in which second.

use std::collections::BTreeSet;

use portolan_shared::ids::NodeId;

/// Peers that a node probes each second.
pub const FIXED: usize = 8;

/// Further peers that a node probes each second, in turns.
pub const TURNS: usize = 8;

/// Of those whose turn it is not, how many that failed are looked at again each second: that they are well again is said
/// as soon as that they are not.
pub const AGAIN: usize = 4;

/// A peer that is well is asked in all ways each so many times. Else its pod end is asked by one datagram of full size: what
/// carries that carries nearly all, and each further way costs as much again. If it is not answered, all are asked.
pub const WHOLE_TURNS: u32 = 4;

/// A peer to probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Who it is.
    pub node: NodeId,
    /// Whether in all ways, though it is known to be well.
    pub whole: bool,
}

/// The nodes of a cluster in a ring, as one of them sees it: the others, from the next one on.
///
/// The order is a hash of the ids, so that nodes which joined together (a rack, mostly) are not each other's neighbours
/// and all nodes agree on it. Who is `n` places on is probed in the same seconds by everybody, so each node is also
/// probed by 16 others a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring(Vec<NodeId>);

impl Ring {
    /// The ring of `nodes` as `own` sees it. Cost: a sort.
    pub fn new(own: NodeId, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let mut others: Vec<NodeId> = nodes.into_iter().filter(|node| *node != own).collect();
        let place = place(own);
        // Places after the own one come first.
        others.sort_unstable_by_key(|node| self::place(*node).0.wrapping_sub(place.0));
        others.dedup();
        Self(others)
    }

    /// All others, from the next one on.
    pub fn others(&self) -> &[NodeId] {
        &self.0
    }

    /// Whom to probe in a second, counted from any moment; of the failing ones some more.
    pub fn due(&self, second: u64, failing: &BTreeSet<NodeId>) -> Vec<Due> {
        let (fixed, rest) = self.0.split_at(self.0.len().min(FIXED));
        let turns = rest.chunks(TURNS).len().max(1) as u64;
        let turn = usize::try_from(second % turns).unwrap_or(0);
        let in_turn = rest.chunks(TURNS).nth(turn).unwrap_or_default();
        let again = rest
            .iter()
            .filter(|node| failing.contains(*node) && !in_turn.contains(*node));
        let mut again: Vec<NodeId> = again.copied().collect();
        let from = (usize::try_from(second).unwrap_or(0) * AGAIN) % again.len().max(1);
        again.rotate_left(from);
        // By its place too, so that in each second as many are asked in all ways.
        let of = |nodes: &[NodeId], time: u64| -> Vec<Due> {
            let due = (time..).zip(nodes).map(|(at, node)| Due {
                node: *node,
                whole: at % u64::from(WHOLE_TURNS) == 0,
            });
            due.collect()
        };
        let mut due = of(fixed, second);
        due.extend(of(in_turn, second / turns));
        due.extend(again.into_iter().take(AGAIN).map(|node| Due { node, whole: true }));
        due
    }
}

/// Where a node stands in the ring. Two nodes with one place (one in 10^13 pairs) would only be told apart by id.
fn place(node: NodeId) -> (u64, NodeId) {
    // SplitMix64's mixing of both halves: all bits of the id count.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let (high, low) = node.uuid().as_u64_pair();
    (mix(mix(high).wrapping_add(low)), node)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn nodes(n: usize) -> Vec<NodeId> {
        (1..=n as u128)
            .map(|n| NodeId::from_bytes((n << 64 | n).to_be_bytes()))
            .collect()
    }

    fn who(due: Vec<Due>) -> Vec<NodeId> {
        due.into_iter().map(|due| due.node).collect()
    }

    proptest! {
        #[test]
        fn sixteen_a_second_all_in_turns_and_each_is_probed_by_as_many(n in 1_usize..120, begin in any::<u32>()) {
            let nodes = nodes(n);
            let rings: Vec<Ring> = nodes.iter().map(|own| Ring::new(*own, nodes.iter().copied())).collect();
            let turns = n.saturating_sub(1 + FIXED).div_ceil(TURNS).max(1) as u64;
            let none = BTreeSet::new();
            for (own, ring) in nodes.iter().zip(&rings) {
                let mut seen = BTreeSet::new();
                for second in 0..turns {
                    let due = ring.due(u64::from(begin) + second, &none);
                    prop_assert!(due.iter().filter(|due| due.whole).count() <= (FIXED + TURNS) / WHOLE_TURNS as usize);
                    let due = who(due);
                    prop_assert!(due.len() <= FIXED + TURNS && !due.contains(own));
                    prop_assert_eq!(&due[..due.len().min(FIXED)], &ring.others()[..ring.others().len().min(FIXED)]);
                    seen.extend(due);
                }
                prop_assert_eq!(seen.len(), n - 1, "all others within N/8 s");
                let whole = (0..turns * u64::from(WHOLE_TURNS)).flat_map(|second| ring.due(second, &none)).filter(|due| due.whole);
                prop_assert_eq!(who(whole.collect()).into_iter().collect::<BTreeSet<_>>().len(), n - 1);
            }
            let mut asked: BTreeMap<NodeId, usize> = BTreeMap::new();
            for ring in &rings {
                who(ring.due(u64::from(begin), &none)).into_iter().for_each(|node| *asked.entry(node).or_default() += 1);
            }
            prop_assert!(asked.values().all(|times| *times <= FIXED + TURNS));
            prop_assert!(asked.values().collect::<BTreeSet<_>>().len() <= 1, "{asked:?}");
        }

        #[test]
        fn failing_ones_come_again_at_once(n in 30_usize..200, failing in prop::collection::btree_set(0_usize..200, 0..20), second in any::<u16>()) {
            let nodes = nodes(n);
            let ring = Ring::new(nodes[0], nodes.iter().copied());
            let failing: BTreeSet<NodeId> = failing.into_iter().filter_map(|at| nodes.get(at).copied()).collect();
            let due = who(ring.due(second.into(), &failing));
            prop_assert!(due.len() <= FIXED + TURNS + AGAIN);
            prop_assert_eq!(due.iter().collect::<BTreeSet<_>>().len(), due.len(), "nobody twice");
            // All of them have had a turn soon, however many there are.
            let rounds = failing.len().div_ceil(AGAIN) as u64 + (n / TURNS) as u64;
            let seen: BTreeSet<NodeId> =
                (0..=rounds).flat_map(|more| who(ring.due(u64::from(second) + more, &failing))).collect();
            prop_assert!(failing.iter().all(|node| *node == nodes[0] || seen.contains(node)));
        }
    }

    #[test]
    fn who_joins_changes_few_neighbours() {
        let all = nodes(101);
        let before = |own: &NodeId| Ring::new(*own, all[..100].iter().copied());
        let after = |own: &NodeId| Ring::new(*own, all.iter().copied());
        let fixed = |ring: Ring| ring.others()[..FIXED].to_vec();
        let changed = all[..100]
            .iter()
            .filter(|own| fixed(before(own)) != fixed(after(own)))
            .count();
        assert_eq!(changed, FIXED);
    }
}
