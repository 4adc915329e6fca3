//! Which addresses a node may give out, and which comes next. Pure.
//!
//! Addresses never given come first, block by block and in order; after them those given back, the longest free first.
//! So an address rests as long as any other is free, and the only free address is given at once. Cost of a take or a
//! free: logarithmic.
//!
//! One address of the first block is no pod's: the node's end of probes has it. It is the last one, where other nodes look
//! for it first; a pod that has it already keeps it.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use portolan_shared::addr::{Cidr, Family, from_bits, to_bits};

/// A first block with fewer addresses than this leaves them all to pods.
const SMALL: u64 = 12;

/// A leased block and how far it has been walked.
#[derive(Debug, Clone, Copy)]
struct Walked {
    prefix: Cidr,
    /// First and last address that a pod may have, as numbers.
    first: u128,
    last: u128,
    /// The next number to look at; past `last` when all have been given once.
    next: u128,
}

impl Walked {
    /// A block without the addresses that are for no host (network and broadcast address of its pod range).
    fn new(prefix: Cidr, ranges: &[Cidr]) -> Self {
        let (mut first, mut last) = (to_bits(prefix.first()), to_bits(prefix.last()));
        if let Some(range) = ranges.iter().find(|range| range.overlaps(&prefix)) {
            first = first.max(to_bits(range.hosts().first()));
            last = last.min(to_bits(range.hosts().last()));
        }
        Self {
            prefix,
            first,
            last,
            next: first,
        }
    }

    fn capacity(&self) -> u64 {
        let size = (self.last + 1).saturating_sub(self.first);
        u64::try_from(size).unwrap_or(u64::MAX)
    }
}

/// Room in a node's blocks, of one family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Addresses in the blocks that pods may have; `u64::MAX` stands for more.
    pub capacity: u64,
    /// Of these, how many pods have.
    pub used: u64,
}

impl Room {
    /// Addresses left.
    pub const fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }
}

/// The addresses of a node's blocks.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    blocks: Vec<Walked>,
    /// Addresses that pods have, also outside of the blocks: a lease may end before its pods do.
    used: BTreeSet<IpAddr>,
    /// Given back, the longest free first.
    freed: VecDeque<IpAddr>,
    freed_set: BTreeSet<IpAddr>,
    /// What the node's end of probes has.
    reserved: Option<IpAddr>,
}

impl Pool {
    /// The blocks from now on, in the order of their use. A block that stays is walked on from where it was.
    pub(super) fn set_blocks(&mut self, blocks: &[Cidr], ranges: &[Cidr]) {
        let walked = |prefix: &Cidr| {
            let fresh = Walked::new(*prefix, ranges);
            match self.blocks.iter().find(|block| block.prefix == *prefix) {
                Some(old) => Walked {
                    next: old.next.max(fresh.first),
                    ..fresh
                },
                None => fresh,
            }
        };
        let blocks: Vec<Walked> = blocks.iter().map(walked).collect();
        self.blocks = blocks;
        // An address outside of all blocks is not this node's to give any more.
        self.freed
            .retain(|address| self.blocks.iter().any(|block| block.prefix.contains(*address)));
        self.freed_set = self.freed.iter().copied().collect();
        self.reserve(ranges.first().map(Cidr::family));
    }

    /// Chooses what the node's end of probes has: as before, while that is of the first block and no pod's.
    fn reserve(&mut self, family: Option<Family>) {
        let first = self.blocks.iter().find(|block| Some(block.prefix.family()) == family);
        let first = first.filter(|block| block.capacity() >= SMALL).copied();
        let suits = |block: &Walked, address: IpAddr| {
            block.prefix.contains(address)
                && (block.first..=block.last).contains(&to_bits(address))
                && !self.used.contains(&address)
        };
        let kept = self
            .reserved
            .filter(|address| first.is_some_and(|block| suits(&block, *address)));
        let chosen = kept.or_else(|| {
            let block = first?;
            let last_first = (block.first..=block.last)
                .rev()
                .map(|bits| from_bits(block.prefix.family(), bits));
            last_first.into_iter().find(|address| suits(&block, *address))
        });
        let before = std::mem::replace(&mut self.reserved, chosen);
        // The walk has passed it by, perhaps.
        let given_up =
            before.filter(|before| Some(*before) != chosen && !self.used.contains(before) && self.allows(*before));
        if let Some(address) = given_up
            && self.freed_set.insert(address)
        {
            self.freed.push_back(address);
        }
    }

    /// What the node's end of probes has: no pod is given it.
    pub(super) fn reserved(&self) -> Option<IpAddr> {
        self.reserved
    }

    /// Whether there is any block of `family`.
    pub(super) fn has_block(&self, family: Family) -> bool {
        self.blocks.iter().any(|block| block.prefix.family() == family)
    }

    /// The address that comes next; it stays free until [`Self::mark`].
    pub(super) fn next(&mut self, family: Family) -> Option<IpAddr> {
        for block in self.blocks.iter_mut().filter(|block| block.prefix.family() == family) {
            while block.next <= block.last {
                let address = from_bits(family, block.next);
                let taken = self.used.contains(&address) || self.reserved == Some(address);
                if !taken && !self.freed_set.contains(&address) {
                    return Some(address);
                }
                block.next += 1;
            }
        }
        let given_back = self.freed.iter().filter(|address| Family::of(**address) == family);
        given_back.copied().find(|address| self.allows(*address))
    }

    /// Whether an address may be given: in a block, no network or broadcast address, and not that of probes.
    fn allows(&self, address: IpAddr) -> bool {
        let bits = to_bits(address);
        self.reserved != Some(address)
            && self
                .blocks
                .iter()
                .any(|b| b.prefix.contains(address) && (b.first..=b.last).contains(&bits))
    }

    /// Whether nobody has the address.
    pub(super) fn is_free(&self, address: IpAddr) -> bool {
        !self.used.contains(&address)
    }

    /// Whether no address of a range is given, to a pod or for probes.
    pub(super) fn none_used_in(&self, range: &Cidr) -> bool {
        let reserved = self.reserved.is_some_and(|address| range.contains(address));
        !reserved && self.used.range(range.first()..=range.last()).next().is_none()
    }

    /// Counts an address as given. False if it was already.
    pub(super) fn mark(&mut self, address: IpAddr) -> bool {
        if self.freed_set.remove(&address) {
            self.freed.retain(|other| *other != address);
        }
        let new = self.used.insert(address);
        if self.reserved == Some(address) {
            // A pod that runs comes first.
            self.reserve(Some(Family::of(address)));
        }
        new
    }

    /// Counts an address as given back.
    pub(super) fn free(&mut self, address: IpAddr) {
        let known = self.blocks.is_empty() || self.allows(address);
        if self.used.remove(&address) && known && self.freed_set.insert(address) {
            self.freed.push_back(address);
        }
    }

    /// Addresses given back, the longest free first.
    pub(super) fn freed(&self) -> impl Iterator<Item = IpAddr> {
        self.freed.iter().copied()
    }

    /// Takes over the order of addresses given back, as it was written down.
    pub(super) fn restore_freed(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            if !self.used.contains(&address) && self.freed_set.insert(address) {
                self.freed.push_back(address);
            }
        }
    }

    /// How full the blocks of `family` are. Cost: linear in the addresses given.
    pub(super) fn room(&self, family: Family) -> Room {
        let of_family = self.blocks.iter().filter(|block| block.prefix.family() == family);
        let capacity = of_family.fold(0u64, |sum, block| sum.saturating_add(block.capacity()));
        let reserved = self.reserved.is_some_and(|address| Family::of(address) == family);
        let capacity = capacity.saturating_sub(reserved.into());
        let used = self
            .used
            .iter()
            .filter(|a| Family::of(**a) == family && self.allows(**a))
            .count();
        Room {
            capacity,
            used: used as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn take(pool: &mut Pool, family: Family) -> Option<IpAddr> {
        let address = pool.next(family)?;
        assert!(pool.mark(address));
        Some(address)
    }

    fn text(address: Option<IpAddr>) -> String {
        address.map_or("none".into(), |a| a.to_string())
    }

    #[test]
    fn walks_the_blocks_in_order_then_what_was_freed_in_order() {
        let mut pool = Pool::default();
        pool.set_blocks(&[cidr("10.1.0.4/31"), cidr("10.1.0.2/31")], &[cidr("10.1.0.0/16")]);
        let order: Vec<_> = (0..5).map(|_| text(take(&mut pool, Family::V4))).collect();
        assert_eq!(order, ["10.1.0.4", "10.1.0.5", "10.1.0.2", "10.1.0.3", "none"]);
        for address in ["10.1.0.3", "10.1.0.4"] {
            pool.free(address.parse().unwrap());
        }
        assert_eq!(text(take(&mut pool, Family::V4)), "10.1.0.3");
        assert_eq!(text(take(&mut pool, Family::V4)), "10.1.0.4");
        pool.free("10.1.0.5".parse().unwrap());
        assert_eq!(
            text(take(&mut pool, Family::V4)),
            "10.1.0.5",
            "the only free address is given at once"
        );
    }

    #[test]
    fn spares_what_no_host_may_have() {
        let mut pool = Pool::default();
        let range = cidr("10.1.0.0/25");
        pool.set_blocks(&[cidr("10.1.0.0/26"), cidr("10.1.0.64/26")], &[range]);
        // One of the first block is for probes.
        assert_eq!(pool.room(Family::V4), Room { capacity: 125, used: 0 });
        let all: Vec<_> = std::iter::from_fn(|| take(&mut pool, Family::V4)).collect();
        assert_eq!(all.len(), 125);
        assert!(all.iter().all(|a| range.hosts().contains(*a)));
        pool.set_blocks(&[cidr("fd01::/122")], &[cidr("fd01::/64")]);
        assert_eq!(text(take(&mut pool, Family::V6)), "fd01::1");
        assert_eq!(text(take(&mut pool, Family::V4)), "none");
    }

    #[test]
    fn the_address_of_probes_is_the_last_of_the_first_block_and_a_pods_own_is_not_taken() {
        let (blocks, range) = ([cidr("10.1.0.0/28"), cidr("10.1.0.64/28")], [cidr("10.1.0.0/16")]);
        let mut pool = Pool::default();
        pool.set_blocks(&blocks, &range);
        assert_eq!(text(pool.reserved()), "10.1.0.15");
        assert!(
            !pool.none_used_in(&blocks[0]) && pool.none_used_in(&blocks[1]),
            "its block is not given back"
        );
        let all: Vec<_> = std::iter::from_fn(|| take(&mut pool, Family::V4)).collect();
        assert_eq!(all.len(), 15 - 1 + 16);
        assert!(!all.contains(&pool.reserved().unwrap()));

        // An agent of before has given it to a pod.
        let mut older = Pool::default();
        assert!(older.mark("10.1.0.15".parse().unwrap()));
        older.set_blocks(&blocks, &range);
        assert_eq!(text(older.reserved()), "10.1.0.14");
        older.free("10.1.0.15".parse().unwrap());
        older.set_blocks(&blocks, &range);
        assert_eq!(text(older.reserved()), "10.1.0.14", "it stays while the agent runs");
        let all: Vec<_> = std::iter::from_fn(|| take(&mut older, Family::V4)).collect();
        assert_eq!(all.len(), 15 - 1 + 16);

        // A pod without a record runs with it: it keeps it, and what probes had before is free again.
        assert!(pool.is_free("10.1.0.15".parse().unwrap()));
        let given = all[0];
        pool.free(given);
        assert!(pool.mark("10.1.0.15".parse().unwrap()));
        assert_eq!(pool.reserved(), Some(given));
        pool.free("10.1.0.15".parse().unwrap());
        pool.set_blocks(&blocks[1..], &range);
        assert_eq!(pool.reserved(), None, "no address of the first block is left");
        pool.set_blocks(&[cidr("10.1.0.0/30")], &range);
        assert_eq!(pool.reserved(), None, "a small block is the pods'");
    }

    #[test]
    fn a_block_that_returns_gives_nothing_twice() {
        let mut pool = Pool::default();
        let (block, range) = (cidr("10.1.0.8/30"), cidr("10.1.0.0/16"));
        pool.set_blocks(&[block], &[range]);
        let kept = take(&mut pool, Family::V4).unwrap();
        pool.set_blocks(&[], &[range]);
        assert_eq!(text(pool.next(Family::V4)), "none");
        pool.set_blocks(&[block], &[range]);
        let rest: Vec<_> = std::iter::from_fn(|| take(&mut pool, Family::V4)).collect();
        assert_eq!(rest.len(), 3);
        assert!(!rest.contains(&kept));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take,
        Free(usize),
        Blocks(Vec<u8>),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => Just(Step::Take),
            4 => any::<usize>().prop_map(Step::Free),
            1 => prop::collection::btree_set(0u8..4, 0..4).prop_map(|b| Step::Blocks(b.into_iter().collect())),
        ]
    }

    proptest! {
        /// Against a model that keeps, for every address, when it was freed last.
        #[test]
        fn never_twice_always_when_free_and_freed_last_is_last(steps in prop::collection::vec(step(), 1..200)) {
            let block = |n: u8| Cidr::containing(IpAddr::from([10, 1, 0, n * 4]), 30).unwrap();
            let range = cidr("10.1.0.0/16");
            let mut pool = Pool::default();
            let mut blocks: Vec<Cidr> = vec![];
            let mut used: Vec<IpAddr> = vec![];
            let mut freed_at: BTreeMap<IpAddr, usize> = BTreeMap::new();
            for (time, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Take => {
                        let mut free: Vec<IpAddr> = vec![];
                        for b in &blocks {
                            let (first, last) = (to_bits(b.first()), to_bits(b.last()));
                            free.extend((first..=last).map(|n| from_bits(Family::V4, n)));
                        }
                        free.retain(|a| range.hosts().contains(*a) && !used.contains(a));
                        match take(&mut pool, Family::V4) {
                            None => prop_assert!(free.is_empty()),
                            Some(address) => {
                                prop_assert!(free.contains(&address));
                                // Nothing that has been free for longer, or was never given, was passed over.
                                let age = |a: &IpAddr| freed_at.get(a).map_or(0, |t| t + 1);
                                prop_assert_eq!(age(&address), free.iter().map(age).min().unwrap());
                                used.push(address);
                            }
                        }
                    }
                    Step::Free(n) if !used.is_empty() => {
                        let address = used.swap_remove(n % used.len());
                        pool.free(address);
                        if blocks.iter().any(|b| b.contains(address)) { freed_at.insert(address, time); }
                    }
                    Step::Free(_) => {}
                    Step::Blocks(numbers) => {
                        blocks = numbers.into_iter().map(block).collect();
                        freed_at.retain(|a, _| blocks.iter().any(|b| b.contains(*a)));
                        pool.set_blocks(&blocks, &[range]);
                    }
                }
            }
        }
    }
}
