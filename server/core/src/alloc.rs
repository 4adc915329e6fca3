//! Which number is given next: addresses of a subnet's pools, or blocks of a pod subnet.
//!
//! A [`Pool`] walks on from the last number given, wraps round, and gives what was never used before
//! what was freed; of what was freed, the longest-free first. So a freed address rests as long as
//! anything else is left, and is given at once when it is the only one. Everything costs O(log n) in
//! the number of free ranges, whatever the width of the subnet.
//!
//! Rest is order, not time, and lives in memory: after a restart all that is free counts as never
//! used, and the walk goes on from the cursor, which is stored.
//!
//! [`Pools`] holds one for every subnet and keeps a log, so that what a refused command took goes
//! back exactly as it was.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use portolan_shared::addr::{Family, IpRange, from_bits, to_bits};
use portolan_shared::cluster::block_prefix;
use portolan_shared::ids::SubnetId;

use crate::model::{Object, Purpose, Subnet};

/// Free numbers of some ranges, and in which order they are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What may be given; sorted, disjoint, both ends included.
    ranges: Vec<(u128, u128)>,
    /// Never used: first to last number, both included.
    fresh: BTreeMap<u128, u128>,
    /// Freed, the longest-free first.
    resting: BTreeMap<u64, u128>,
    /// Where in `resting` a number is.
    rests_at: HashMap<u128, u64>,
    /// Ticket of the next that is freed.
    next_rest: u64,
    /// The number given last.
    cursor: Option<u128>,
}

/// What takes back a change of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// It was taken out of the never-used ones.
    Fresh(u128),
    /// It was taken from rest, where it had this ticket.
    Rested(u64, u128),
    /// It was freed and got this ticket.
    Freed(u64, u128),
    /// The cursor was here.
    Cursor(Option<u128>),
}

impl Pool {
    /// All of `ranges` but what is `used`, walking on after `cursor`. `used` is sorted.
    pub fn new(
        ranges: impl IntoIterator<Item = (u128, u128)>,
        used: impl IntoIterator<Item = u128>,
        cursor: Option<u128>,
    ) -> Self {
        let ranges: Vec<(u128, u128)> = ranges.into_iter().collect();
        let mut used = used.into_iter().peekable();
        let mut fresh = BTreeMap::new();
        for &(first, last) in &ranges {
            while used.next_if(|n| *n < first).is_some() {}
            let mut start = Some(first);
            while let Some(n) = used.next_if(|n| *n <= last) {
                if let Some(from) = start
                    && n > from
                {
                    fresh.insert(from, n - 1);
                }
                start = n.checked_add(1);
            }
            if let Some(from) = start
                && from <= last
            {
                fresh.insert(from, last);
            }
        }
        Self {
            ranges,
            fresh,
            resting: BTreeMap::new(),
            rests_at: HashMap::new(),
            next_rest: 0,
            cursor,
        }
    }

    /// The number that would be given now.
    pub fn next(&self) -> Option<u128> {
        let from = self.cursor.map_or(0, |cursor| cursor.saturating_add(1));
        let here = self
            .fresh
            .range(..=from)
            .next_back()
            .filter(|(_, last)| **last >= from)
            .map(|_| from);
        here.or_else(|| self.fresh.range(from..).next().map(|(first, _)| *first))
            .or_else(|| self.fresh.first_key_value().map(|(first, _)| *first))
            .or_else(|| self.resting.first_key_value().map(|(_, n)| *n))
    }

    /// How many numbers are free.
    pub fn room(&self) -> u128 {
        let fresh = self.fresh.iter().map(|(first, last)| (last - first).saturating_add(1));
        let resting = u128::try_from(self.resting.len()).unwrap_or(u128::MAX);
        fresh.fold(resting, u128::saturating_add)
    }

    /// The number given last.
    pub fn cursor(&self) -> Option<u128> {
        self.cursor
    }

    /// Says which number was given last.
    pub fn set_cursor(&mut self, cursor: Option<u128>) -> Undo {
        Undo::Cursor(std::mem::replace(&mut self.cursor, cursor))
    }

    /// Takes a number out; `None` if it is not free (or outside of the ranges, where anything goes).
    pub fn take(&mut self, n: u128) -> Option<Undo> {
        if let Some((&first, &last)) = self.fresh.range(..=n).next_back()
            && n <= last
        {
            self.fresh.remove(&first);
            if first < n {
                self.fresh.insert(first, n - 1);
            }
            if n < last {
                self.fresh.insert(n + 1, last);
            }
            return Some(Undo::Fresh(n));
        }
        let ticket = self.rests_at.remove(&n)?;
        self.resting.remove(&ticket);
        Some(Undo::Rested(ticket, n))
    }

    /// Puts a number to rest; `None` if it is outside of the ranges.
    pub fn free(&mut self, n: u128) -> Option<Undo> {
        let at = self.ranges.partition_point(|(_, last)| *last < n);
        let inside = self.ranges.get(at).is_some_and(|(first, _)| *first <= n);
        if !inside || self.rests_at.contains_key(&n) {
            return None;
        }
        let ticket = self.next_rest;
        self.next_rest += 1;
        self.resting.insert(ticket, n);
        self.rests_at.insert(n, ticket);
        Some(Undo::Freed(ticket, n))
    }

    /// Takes a change back; the newest first.
    pub fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Fresh(n) => self.put_fresh(n),
            Undo::Rested(ticket, n) => {
                self.resting.insert(ticket, n);
                self.rests_at.insert(n, ticket);
            }
            Undo::Freed(ticket, n) => {
                self.resting.remove(&ticket);
                self.rests_at.remove(&n);
                self.next_rest = ticket;
            }
            Undo::Cursor(cursor) => self.cursor = cursor,
        }
    }

    fn put_fresh(&mut self, n: u128) {
        let (mut first, mut last) = (n, n);
        if let Some((&before, &end)) = self.fresh.range(..n).next_back()
            && end + 1 == n
        {
            first = before;
        }
        if let Some(after) = n.checked_add(1)
            && let Some(end) = self.fresh.remove(&after)
        {
            last = end;
        }
        self.fresh.insert(first, last);
    }
}

/// How a subnet's addresses become numbers: an address each, or a block of them each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    family: Family,
    /// Bits of an address inside one unit.
    shift: u8,
}

impl Unit {
    fn number(self, address: IpAddr) -> u128 {
        to_bits(address) >> self.shift
    }

    fn address(self, number: u128) -> IpAddr {
        from_bits(self.family, number << self.shift)
    }
}

struct Entry {
    unit: Unit,
    /// Whether it gives blocks. Ports in such a subnet have addresses of a block, and take nothing of it.
    blocks: bool,
    pool: Pool,
    /// The cursor as it is stored.
    stored: Option<u128>,
}

enum Logged {
    Changed(SubnetId, Undo),
    Added(SubnetId),
    /// Taken away, or in place of which another was put.
    Was(SubnetId, Box<Entry>),
}

/// The pools of all subnets.
#[derive(Default)]
pub struct Pools {
    entries: HashMap<SubnetId, Entry>,
    log: Vec<Logged>,
}

/// A place in the log to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(usize);

impl Pools {
    /// Adds a subnet's pool, or replaces it; `used` are the addresses in use (for a pod subnet: the
    /// first of each leased block), sorted.
    pub fn put(&mut self, subnet: &Subnet, used: impl IntoIterator<Item = IpAddr>) {
        let family = subnet.cidr.family();
        let pods = matches!(subnet.purpose, Purpose::Pods(_));
        let shift = if pods {
            family.bits() - block_prefix(family).max(subnet.cidr.prefix())
        } else {
            0
        };
        let unit = Unit { family, shift };
        let whole = [subnet.cidr.range()];
        let ranges: &[IpRange] = if pods { &whole } else { &subnet.pools };
        let ranges = ranges.iter().map(|r| (unit.number(r.first()), unit.number(r.last())));
        let before = self.entries.remove(&subnet.id);
        let stored = subnet.cursor.map(|a| unit.number(a));
        let cursor = before.as_ref().map_or(stored, |entry| entry.pool.cursor);
        let pool = Pool::new(ranges, used.into_iter().map(|a| unit.number(a)), cursor);
        let entry = Entry {
            unit,
            blocks: pods,
            pool,
            stored,
        };
        self.entries.insert(subnet.id, entry);
        self.log.push(match before {
            Some(entry) => Logged::Was(subnet.id, Box::new(entry)),
            None => Logged::Added(subnet.id),
        });
    }

    /// Takes a subnet's pool away.
    pub fn remove(&mut self, subnet: SubnetId) {
        if let Some(entry) = self.entries.remove(&subnet) {
            self.log.push(Logged::Was(subnet, Box::new(entry)));
        }
    }

    /// The address (or first address of the block) that would be given now.
    pub fn next(&self, subnet: SubnetId) -> Option<IpAddr> {
        let entry = self.entries.get(&subnet)?;
        Some(entry.unit.address(entry.pool.next()?))
    }

    /// How many addresses (or blocks) are free.
    pub fn room(&self, subnet: SubnetId) -> u128 {
        self.entries.get(&subnet).map_or(0, |entry| entry.pool.room())
    }

    /// Takes an address out.
    pub fn take(&mut self, subnet: SubnetId, address: IpAddr) {
        self.logged(subnet, |entry| entry.pool.take(entry.unit.number(address)));
    }

    /// Puts an address to rest.
    pub fn free(&mut self, subnet: SubnetId, address: IpAddr) {
        self.logged(subnet, |entry| entry.pool.free(entry.unit.number(address)));
    }

    /// Says that this address was given by the walk (and not asked for).
    pub fn walked_to(&mut self, subnet: SubnetId, address: IpAddr) {
        self.logged(subnet, |entry| {
            Some(entry.pool.set_cursor(Some(entry.unit.number(address))))
        });
    }

    fn logged(&mut self, subnet: SubnetId, change: impl FnOnce(&mut Entry) -> Option<Undo>) {
        if let Some(entry) = self.entries.get_mut(&subnet)
            && let Some(undo) = change(entry)
        {
            self.log.push(Logged::Changed(subnet, undo));
        }
    }

    /// Moves what is free from one state of an object to another. `used` tells what of a subnet is in
    /// use, sorted, when its pools have changed.
    pub fn change(&mut self, from: Option<&Object>, to: Option<&Object>, used: impl FnOnce(&Subnet) -> Vec<IpAddr>) {
        match (from, to) {
            (Some(Object::Port(_)), _) | (None, Some(Object::Port(_))) => {
                let ips = |object: Option<&'_ Object>| match object {
                    Some(Object::Port(port)) => port.fixed_ips.to_vec(),
                    _ => Vec::new(),
                };
                let (from, to) = (ips(from), ips(to));
                let gives_blocks = |pools: &Self, subnet| pools.entries.get(&subnet).is_some_and(|entry| entry.blocks);
                for ip in from.iter().filter(|ip| !to.contains(ip)) {
                    if !gives_blocks(self, ip.subnet) {
                        self.free(ip.subnet, ip.address);
                    }
                }
                for ip in to.iter().filter(|ip| !from.contains(ip)) {
                    if !gives_blocks(self, ip.subnet) {
                        self.take(ip.subnet, ip.address);
                    }
                }
            }
            (None, Some(Object::Block(block))) => self.take(block.subnet, block.cidr.first()),
            (Some(Object::Block(block)), None) => self.free(block.subnet, block.cidr.first()),
            (None, Some(Object::QuarantinedBlock(block))) => self.take(block.subnet, block.cidr.first()),
            (Some(Object::QuarantinedBlock(block)), None) => self.free(block.subnet, block.cidr.first()),
            (Some(Object::Subnet(subnet)), None) => self.remove(subnet.id),
            (None, Some(Object::Subnet(subnet))) => self.put(subnet, []),
            (Some(Object::Subnet(from)), Some(Object::Subnet(to))) if from.pools != to.pools => {
                let used = used(to);
                self.put(to, used);
            }
            _ => {}
        }
    }

    /// Takes over a cursor that another process has stored.
    pub fn cursor_stored(&mut self, subnet: &Subnet) {
        if let Some(entry) = self.entries.get_mut(&subnet.id) {
            entry.stored = subnet.cursor.map(|address| entry.unit.number(address));
            entry.pool.cursor = entry.stored;
        }
    }

    /// The cursor, if it is another than the one stored.
    pub fn cursor_to_store(&self, subnet: SubnetId) -> Option<IpAddr> {
        let entry = self.entries.get(&subnet)?;
        let cursor = entry.pool.cursor.filter(|_| entry.pool.cursor != entry.stored)?;
        Some(entry.unit.address(cursor))
    }

    /// Subnets whose cursor has moved since `mark`, in order, once each.
    pub fn walked_since(&self, mark: Mark) -> Vec<SubnetId> {
        let mut walked: Vec<SubnetId> = self.log[mark.0..]
            .iter()
            .filter_map(|logged| match logged {
                Logged::Changed(id, Undo::Cursor(_)) => Some(*id),
                _ => None,
            })
            .collect();
        walked.sort_unstable();
        walked.dedup();
        walked
    }

    /// A place to go back to.
    pub fn mark(&self) -> Mark {
        Mark(self.log.len())
    }

    /// Takes back everything since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        while self.log.len() > mark.0 {
            match self.log.pop() {
                Some(Logged::Changed(id, undo)) => {
                    if let Some(entry) = self.entries.get_mut(&id) {
                        entry.pool.undo(undo);
                    }
                }
                Some(Logged::Added(id)) => drop(self.entries.remove(&id)),
                Some(Logged::Was(id, entry)) => drop(self.entries.insert(id, *entry)),
                None => break,
            }
        }
    }

    /// Everything so far is for good: cursors are stored, the log is forgotten.
    pub fn settle(&mut self) {
        for logged in self.log.drain(..) {
            if let Logged::Changed(id, Undo::Cursor(_)) = logged
                && let Some(entry) = self.entries.get_mut(&id)
            {
                entry.stored = entry.pool.cursor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// The same rules, said in the simplest way.
    struct Naive {
        all: BTreeSet<u128>,
        fresh: BTreeSet<u128>,
        resting: VecDeque<u128>,
        cursor: Option<u128>,
    }

    impl Naive {
        fn next(&self) -> Option<u128> {
            let from = self.cursor.map_or(0, |c| c + 1);
            let walked = self.fresh.range(from..).next().or_else(|| self.fresh.first());
            walked.or_else(|| self.resting.front()).copied()
        }

        fn take(&mut self, n: u128) {
            if !self.fresh.remove(&n) {
                self.resting.retain(|r| *r != n);
            }
        }

        fn free(&mut self, n: u128) {
            if self.all.contains(&n) && !self.fresh.contains(&n) && !self.resting.contains(&n) {
                self.resting.push_back(n);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Give,
        Take(u128),
        Free(usize),
        Forget(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Give),
            1 => (0..40_u128).prop_map(Step::Take),
            3 => any::<prop::sample::Index>().prop_map(|i| Step::Free(i.index(64))),
            1 => (1..6_u8).prop_map(Step::Forget),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn gives_what_the_naive_model_gives(steps in prop::collection::vec(step(), 1..120)) {
            let ranges = [(2_u128, 9_u128), (12, 12), (20, 31)];
            let all: BTreeSet<u128> = ranges.iter().flat_map(|(a, b)| *a..=*b).collect();
            let mut naive = Naive { fresh: all.clone(), all, resting: VecDeque::new(), cursor: None };
            let mut pool = Pool::new(ranges, [], None);
            let mut used: Vec<u128> = Vec::new();
            for step in steps {
                prop_assert_eq!(pool.room(), (naive.fresh.len() + naive.resting.len()) as u128);
                match step {
                    Step::Give => {
                        prop_assert_eq!(pool.next(), naive.next());
                        if let Some(n) = pool.next() {
                            prop_assert!(!used.contains(&n));
                            prop_assert!(pool.take(n).is_some());
                            pool.set_cursor(Some(n));
                            naive.take(n);
                            naive.cursor = Some(n);
                            used.push(n);
                        } else {
                            prop_assert_eq!(used.iter().filter(|n| naive.all.contains(n)).count(), naive.all.len());
                        }
                    }
                    Step::Take(n) if !used.contains(&n) => {
                        pool.take(n);
                        naive.take(n);
                        used.push(n);
                    }
                    Step::Take(_) => {}
                    Step::Free(i) if !used.is_empty() => {
                        let n = used.swap_remove(i % used.len());
                        pool.free(n);
                        naive.free(n);
                    }
                    Step::Free(_) => {}
                    Step::Forget(n) => {
                        // A command that takes, frees and is refused leaves no trace.
                        let before = pool.clone();
                        let mut log = Vec::new();
                        for _ in 0..n {
                            if let Some(given) = pool.next() {
                                log.extend(pool.take(given));
                                log.push(pool.set_cursor(Some(given)));
                            }
                            if let Some(u) = used.first() {
                                log.extend(pool.free(*u));
                                log.extend(pool.take(*u));
                                log.extend(pool.free(*u));
                            }
                        }
                        for undo in log.into_iter().rev() {
                            pool.undo(undo);
                        }
                        prop_assert_eq!(&pool, &before);
                    }
                }
            }
        }
    }

    #[test]
    fn freed_last_is_given_last_and_the_only_one_at_once() {
        let mut pool = Pool::new([(1, 3)], [], None);
        let give = |pool: &mut Pool| {
            let n = pool.next()?;
            pool.take(n);
            pool.set_cursor(Some(n));
            Some(n)
        };
        assert_eq!([give(&mut pool), give(&mut pool)], [Some(1), Some(2)]);
        pool.free(2);
        pool.free(1);
        assert_eq!(give(&mut pool), Some(3));
        assert_eq!(give(&mut pool), Some(2));
        assert_eq!(give(&mut pool), Some(1));
        assert_eq!(give(&mut pool), None);
        pool.free(2);
        assert_eq!(give(&mut pool), Some(2));
    }

    #[test]
    fn all_of_ipv6_is_no_trouble() {
        let mut pool = Pool::new([(0, u128::MAX)], [0, u128::MAX], Some(u128::MAX));
        assert_eq!(pool.next(), Some(1));
        assert!(pool.take(1).is_some());
        pool.set_cursor(Some(u128::MAX - 1));
        assert_eq!(pool.next(), Some(2));
        assert_eq!(Pool::new([(5, 9)], [5, 6, 7, 8, 9], None).next(), None);
    }
}
