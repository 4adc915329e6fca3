//! Which pod has which addresses, computed from the events of the log. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use portolan_plan::link_name;
use portolan_shared::addr::Cidr;
use portolan_shared::host_port::HostPort;
use portolan_shared::ids::{BlockId, PortId};
use serde::{Deserialize, Serialize};

use super::pool::Pool;
use super::record::{Allocation, Release};

/// How many releases are kept for the control plane to hear of; older ones need a full listing.
const KEPT_RELEASES: usize = 4096;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// Addresses were given.
    Allocated(Box<Allocation>),
    /// Addresses were given back.
    Released(Release),
    /// The first line of a compacted log.
    Base(Base),
    /// A block is given back to the control plane: nothing of it is given any more.
    GivenBack(BlockId),
}

/// What a compacted log starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// The newest sequence number when it was written.
    seq: u64,
    /// Releases up to this number are forgotten.
    forgotten: u64,
    /// Addresses given back, the longest free first.
    freed: Vec<IpAddr>,
    /// Lines that were damaged when it was written, if pods may have been in them that run still.
    #[serde(default)]
    damaged: u64,
}

/// What came after a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    /// All up to and including `seq`, each part in order. An allocation that has ended since is only in the releases.
    Batch {
        /// The sequence number this covers.
        seq: u64,
        /// Allocations that are alive.
        allocations: Vec<Arc<Allocation>>,
        /// Allocations that have ended.
        releases: Vec<Release>,
    },
    /// Events since then are forgotten: a full listing is needed.
    Forgotten,
}

/// Everything alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The newest sequence number; the listing covers all up to it.
    pub seq: u64,
    /// In the order of their sequence numbers.
    pub allocations: Vec<Arc<Allocation>>,
}

/// The state of a node's pod addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    allocations: BTreeMap<PortId, Arc<Allocation>>,
    by_seq: BTreeMap<u64, PortId>,
    by_sandbox: BTreeMap<(String, String), PortId>,
    releases: VecDeque<Release>,
    seq: u64,
    forgotten: u64,
    pub(super) pool: Pool,
    /// Blocks that were given back and may still be among the leased ones.
    given_back: BTreeSet<BlockId>,
    /// Lines of the log that were damaged, if pods may have been in them that run still.
    damaged: u64,
}

impl Ledger {
    /// The newest sequence number; 0 before the first event.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// What a sandbox has on an interface.
    pub(super) fn find(&self, container: &str, ifname: &str) -> Option<&Arc<Allocation>> {
        let id = self.by_sandbox.get(&(container.to_owned(), ifname.to_owned()))?;
        self.allocations.get(id)
    }

    /// An allocation by its id.
    pub(super) fn get(&self, id: PortId) -> Option<&Arc<Allocation>> {
        self.allocations.get(&id)
    }

    /// The links of all pods that are written down, those that have ended included.
    pub(super) fn links(&self) -> BTreeSet<String> {
        let ended = self.releases.iter().map(|release| link_name(release.id));
        self.allocations.values().map(|a| a.link.clone()).chain(ended).collect()
    }

    /// More lines of the log are damaged.
    pub(super) fn note_damage(&mut self, lines: u64) {
        self.damaged += lines;
    }

    /// No pod that runs was in the damaged lines.
    pub(super) fn forget_damage(&mut self) {
        self.damaged = 0;
    }

    /// How many lines of the log were damaged.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// All that are alive, by id.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Arc<Allocation>> {
        self.allocations.values()
    }

    /// The pod, as a name for people, that has a host port which something sent to this one may be for.
    pub(super) fn has_port(&self, port: &HostPort) -> Option<String> {
        let meets = |a: &&Arc<Allocation>| a.host_ports.iter().any(|other| other.meets(port));
        let taken = self.allocations.values().find(meets)?;
        Some(match (taken.pod_namespace.as_str(), taken.pod_name.as_str()) {
            (_, "") => format!("the sandbox {}", taken.container),
            ("", name) => format!("the pod {name}"),
            (namespace, name) => format!("the pod {namespace}/{name}"),
        })
    }

    /// How many are alive.
    pub(super) fn len(&self) -> usize {
        self.allocations.len()
    }

    /// All that are alive, by sequence number.
    pub(super) fn listing(&self) -> Listing {
        let allocations = self
            .by_seq
            .values()
            .filter_map(|id| self.allocations.get(id))
            .cloned()
            .collect();
        Listing {
            seq: self.seq,
            allocations,
        }
    }

    /// Takes an event in. If it contradicts an older allocation, which happens only in a damaged log, the older one
    /// ends: an address has one holder.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Base(base) => {
                self.seq = self.seq.max(base.seq);
                self.forgotten = self.forgotten.max(base.forgotten);
                self.damaged += base.damaged;
                self.pool.restore_freed(base.freed);
            }
            Event::GivenBack(block) => drop(self.given_back.insert(block)),
            Event::Allocated(allocation) => {
                let same_sandbox = self.find(&allocation.container, &allocation.ifname).map(|old| old.id);
                let same_address = self
                    .allocations
                    .values()
                    .filter(|_| allocation.addresses.iter().any(|a| !self.pool.is_free(*a)))
                    .find(|old| old.addresses.iter().any(|a| allocation.addresses.contains(a)))
                    .map(|old| old.id);
                for old in same_sandbox.into_iter().chain(same_address) {
                    self.forget(old);
                }
                for address in &allocation.addresses {
                    self.pool.mark(*address);
                }
                self.seq = self.seq.max(allocation.seq);
                self.by_sandbox
                    .insert((allocation.container.clone(), allocation.ifname.clone()), allocation.id);
                self.by_seq.insert(allocation.seq, allocation.id);
                self.allocations.insert(allocation.id, Arc::from(allocation));
            }
            Event::Released(release) => {
                if self
                    .allocations
                    .get(&release.id)
                    .is_some_and(|a| a.seq == release.allocation_seq)
                {
                    self.forget(release.id);
                }
                self.seq = self.seq.max(release.seq);
                self.releases.push_back(release);
                while self.releases.len() > KEPT_RELEASES {
                    self.forgotten = self
                        .releases
                        .pop_front()
                        .map_or(self.forgotten, |r| r.seq.max(self.forgotten));
                }
            }
        }
    }

    fn forget(&mut self, id: PortId) {
        let Some(old) = self.allocations.remove(&id) else {
            return;
        };
        self.by_seq.remove(&old.seq);
        self.by_sandbox.remove(&(old.container.clone(), old.ifname.clone()));
        for address in &old.addresses {
            self.pool.free(*address);
        }
    }

    /// What came after `seq` up to `last`, at most `limit` events.
    pub(super) fn events_between(&self, seq: u64, last: u64, limit: usize) -> Events {
        if seq < self.forgotten || seq > self.seq {
            return Events::Forgotten;
        }
        if last <= seq {
            return Events::Batch {
                seq,
                allocations: Vec::new(),
                releases: Vec::new(),
            };
        }
        let allocated = self.by_seq.range(seq + 1..=last).map(|(at, id)| (*at, Some(*id), None));
        let part = |seq| self.releases.partition_point(|release| release.seq <= seq);
        let released = self
            .releases
            .range(part(seq)..part(last))
            .map(|r| (r.seq, None, Some(*r)));
        let mut events: Vec<_> = allocated.take(limit + 1).chain(released.take(limit + 1)).collect();
        events.sort_by_key(|(at, ..)| *at);
        // The batch ends before the first event left out; numbers without an event count as covered.
        let covered = match events.get(limit) {
            Some((next, ..)) => next - 1,
            None => last,
        };
        events.truncate(limit);
        let allocations = events
            .iter()
            .filter_map(|(_, id, _)| self.allocations.get(id.as_ref()?))
            .cloned()
            .collect();
        let releases = events.iter().filter_map(|(_, _, release)| *release).collect();
        Events::Batch {
            seq: covered,
            allocations,
            releases,
        }
    }

    /// Forgets releases that the control plane has stored.
    pub(super) fn acknowledged(&mut self, seq: u64) {
        while self.releases.front().is_some_and(|release| release.seq <= seq) {
            self.forgotten = self
                .releases
                .pop_front()
                .map_or(self.forgotten, |r| r.seq.max(self.forgotten));
        }
    }

    /// Counts on from `seq` if that is higher. The numbers in between have no events, so a reader at less than `seq`
    /// needs a full listing.
    pub(super) fn skip_past(&mut self, seq: u64) {
        if self.seq < seq {
            self.seq = seq;
            self.forgotten = seq;
        }
    }

    /// Sets the blocks to give addresses from.
    pub(super) fn set_blocks(&mut self, blocks: &[Cidr], ranges: &[Cidr]) {
        self.pool.set_blocks(blocks, ranges);
    }

    /// Whether a block was given back.
    pub(super) fn gave_back(&self, block: BlockId) -> bool {
        self.given_back.contains(&block)
    }

    /// Forgets what was given back and is leased no more.
    pub(super) fn leased(&mut self, blocks: &BTreeSet<BlockId>) {
        self.given_back.retain(|block| blocks.contains(block));
    }

    /// Whether no pod has an address of a block.
    pub(super) fn is_empty(&self, block: &Cidr) -> bool {
        self.pool.none_used_in(block)
    }

    /// The fewest events that give this same state.
    pub(super) fn compacted(&self) -> Vec<Event> {
        let base = Base {
            seq: self.seq,
            forgotten: self.forgotten,
            freed: self.pool.freed().collect(),
            damaged: self.damaged,
        };
        let allocated = self.by_seq.values().filter_map(|id| self.allocations.get(id));
        let allocated = allocated.map(|allocation| Event::Allocated(Box::new(Allocation::clone(allocation))));
        let released = self.releases.iter().map(|release| Event::Released(*release));
        std::iter::once(Event::Base(base))
            .chain(allocated)
            .chain(released)
            .chain(self.given_back.iter().map(|block| Event::GivenBack(*block)))
            .collect()
    }

    /// How many events [`Self::compacted`] gives.
    pub(super) fn compacted_len(&self) -> usize {
        1 + self.allocations.len() + self.releases.len() + self.given_back.len()
    }
}
