//! Ledger and log held together, and turns for those who ask about the same sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use portolan_plan::{Observed, link_name};
use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, PortId};
use portolan_sources::{AppendLog, Barrier, Ids};

use super::PodNetwork;
use super::held;
use super::ledger::{Event, Ledger};
use super::log;
use super::record::{Allocation, Release};
use super::sandboxes::Suspects;

/// A log is written anew when it has this many lines more than twice what it needs.
const SLACK: usize = 2048;

/// What is guarded by the lock of [`super::Pods`].
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) network: Option<PodNetwork>,
    pub(super) suspects: Suspects,
    /// The node was removed: no pod is given anything.
    pub(super) closed: bool,
    log: Box<dyn AppendLog>,
    lines: usize,
    /// The file differs from the ledger: it is written anew before anything is added.
    rewrite: bool,
    /// Allocations whose link is being made.
    unsettled: BTreeSet<PortId>,
    /// Allocations that more than one ADD was answered with.
    asked_again: BTreeSet<PortId>,
    /// Links of pods that run and whose records are lost, with their addresses.
    pub(super) held: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Links were compared with the records.
    compared: bool,
    /// Blocks that were given back before this node was configured with them.
    pub(super) declined: BTreeSet<BlockId>,
}

impl State {
    pub(super) fn load(mut file: Box<dyn AppendLog>) -> io::Result<Self> {
        let contents = log::decode(&file.read()?);
        let lines = contents.events.len();
        let mut ledger = Ledger::default();
        contents.events.into_iter().for_each(|event| ledger.apply(event));
        let rewrite = contents.damaged > 0;
        if rewrite {
            tracing::warn!(
                damaged = contents.damaged,
                pods = ledger.len(),
                "the log of pod addresses has lines that do not hold together (a power cut tears the last ones); what runs \
                 without a record is left alone"
            );
            ledger.note_damage(contents.damaged as u64);
        }
        Ok(Self {
            ledger,
            network: None,
            suspects: Suspects::default(),
            closed: false,
            log: file,
            lines,
            rewrite,
            unsettled: BTreeSet::new(),
            asked_again: BTreeSet::new(),
            held: BTreeMap::new(),
            compared: false,
            declined: BTreeSet::new(),
        })
    }

    /// Writes an allocation down (not durably yet) and counts it as given.
    pub(super) fn allocate(&mut self, allocation: Allocation) -> io::Result<Arc<Allocation>> {
        let id = allocation.id;
        let event = Event::Allocated(Box::new(allocation));
        self.append(&event)?;
        self.ledger.apply(event);
        self.unsettled.insert(id);
        self.ledger
            .get(id)
            .cloned()
            .ok_or_else(|| io::Error::other("an allocation just made is not there"))
    }

    /// What addresses are given from: the leased blocks but for those that were given back.
    pub(super) fn set_blocks(&mut self, network: &PodNetwork) {
        let held = network.blocks.iter().filter(|block| !self.ledger.gave_back(block.id));
        let held: Vec<Cidr> = held.map(|block| block.prefix).collect();
        self.ledger.set_blocks(&held, &network.ranges);
    }

    /// Writes down, durably, that blocks are given back.
    pub(super) fn give_back(&mut self, blocks: &[BlockId]) -> io::Result<()> {
        for block in blocks {
            let event = Event::GivenBack(*block);
            self.append(&event)?;
            self.ledger.apply(event);
        }
        self.sync().map(drop)
    }

    /// Gives addresses back. This works also when the log cannot be written: it is written anew before the next address
    /// is given.
    pub(super) fn release(&mut self, allocation: &Allocation) {
        self.unsettled.remove(&allocation.id);
        self.asked_again.remove(&allocation.id);
        if self.ledger.get(allocation.id).is_none() {
            return;
        }
        let release = Release {
            id: allocation.id,
            allocation_seq: allocation.seq,
            seq: self.ledger.seq() + 1,
        };
        let event = Event::Released(release);
        let appended = self.append(&event);
        self.ledger.apply(event);
        if let Err(error) = appended {
            self.rewrite = true;
            tracing::warn!(%error, "a release could not be written to the log of pod addresses; it is written anew later");
        }
    }

    /// See [`super::Pods::hold`]. Whether something was written to the log.
    pub(super) fn hold(&mut self, observed: &Observed) -> bool {
        let first = !std::mem::replace(&mut self.compared, true);
        if !first {
            let gone = self.held.keys().filter(|link| !observed.links.contains_key(*link));
            let gone: Vec<String> = gone.cloned().collect();
            gone.iter().for_each(|link| self.let_go(link));
            return false;
        }
        let ended = self.end_replaced(observed);
        self.held = held::unrecorded(observed, &self.ledger.links());
        for addresses in self.held.values_mut() {
            // A pod that is written down keeps what is written down.
            addresses.retain(|address| self.ledger.pool.mark(*address));
        }
        match self.held_sentence() {
            Some(sentence) => tracing::error!("{sentence}"),
            None => self.ledger.forget_damage(),
        }
        ended
    }

    /// Ends allocations whose link is gone and whose address leads to a pod without a record: the line of their own end was
    /// damaged, or the pod's that has the address since. Whether there was any.
    fn end_replaced(&mut self, observed: &Observed) -> bool {
        let found = held::unrecorded(observed, &self.ledger.links());
        let taken: BTreeSet<IpAddr> = found.into_values().flatten().collect();
        let over = |a: &Arc<Allocation>| {
            !observed.links.contains_key(&a.link) && a.addresses.iter().any(|address| taken.contains(address))
        };
        let over: Vec<Arc<Allocation>> = self.ledger.alive().filter(|a| over(a)).cloned().collect();
        over.iter().for_each(|allocation| self.release(allocation));
        !over.is_empty()
    }

    /// What was held for a pod without a record is free.
    pub(super) fn let_go(&mut self, link: &str) {
        let addresses = self.held.remove(link).unwrap_or_default();
        addresses.into_iter().for_each(|address| self.ledger.pool.free(address));
        if self.held.is_empty() {
            self.ledger.forget_damage();
        }
    }

    /// See [`super::Pods::held`].
    pub(super) fn held_sentence(&self) -> Option<String> {
        held::sentence(&self.held, self.ledger.damaged())
    }

    /// Raises the sequence number, durably.
    pub(super) fn skip_past(&mut self, seq: u64) -> io::Result<()> {
        self.ledger.skip_past(seq);
        self.rewrite = true;
        self.tidy()
    }

    /// What makes everything written so far durable.
    pub(super) fn barrier(&mut self) -> Barrier {
        self.log.barrier()
    }

    /// Makes everything durable now; the newest sequence number.
    pub(super) fn sync(&mut self) -> io::Result<u64> {
        self.tidy()?;
        let synced = self.log.barrier()();
        self.rewrite |= synced.is_err();
        synced.map(|()| self.ledger.seq())
    }

    /// Writes the log anew if it could not be written before; the newest sequence number, if that was so. Waits for the
    /// disk then.
    pub(super) fn mend_log(&mut self) -> io::Result<Option<u64>> {
        if !self.rewrite {
            return Ok(None);
        }
        self.sync().map(Some)
    }

    /// A sync failed: what the file holds is not known any more.
    pub(super) fn distrust_log(&mut self) {
        self.rewrite = true;
    }

    /// The link of an allocation is made.
    pub(super) fn settle(&mut self, id: PortId) {
        self.unsettled.remove(&id);
    }

    /// Another ADD is answered with an allocation.
    pub(super) fn asked_again(&mut self, id: PortId) {
        self.asked_again.insert(id);
    }

    /// Whether more than one ADD was answered with an allocation.
    pub(super) fn was_asked_again(&self, id: PortId) -> bool {
        self.asked_again.contains(&id)
    }

    /// Allocations whose link is made.
    pub(super) fn settled(&self) -> Vec<Arc<Allocation>> {
        self.ledger
            .alive()
            .filter(|a| !self.unsettled.contains(&a.id))
            .cloned()
            .collect()
    }

    /// An id whose link name no allocation has.
    pub(super) fn fresh_id(&self, ids: &Ids) -> PortId {
        loop {
            let id = PortId::from(ids.next());
            let name = link_name(id);
            if self.ledger.alive().all(|a| a.link != name) && !self.held.contains_key(&name) {
                return id;
            }
        }
    }

    fn append(&mut self, event: &Event) -> io::Result<()> {
        self.tidy()?;
        let mut line = Vec::with_capacity(512);
        log::encode(event, &mut line)?;
        let appended = self.log.append(&line);
        match &appended {
            Ok(()) => self.lines += 1,
            // Part of the line may be there.
            Err(_) => self.rewrite = true,
        }
        appended
    }

    /// Writes the log anew when it must be or has grown.
    fn tidy(&mut self) -> io::Result<()> {
        let needed = self.ledger.compacted_len();
        if !self.rewrite && self.lines <= 2 * needed + SLACK {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for event in self.ledger.compacted() {
            log::encode(&event, &mut bytes)?;
        }
        self.log.replace(&bytes)?;
        self.lines = needed;
        self.rewrite = false;
        Ok(())
    }
}

/// Lets one caller at a time work on a sandbox.
#[derive(Default)]
pub(super) struct Busy {
    entered: Mutex<BTreeSet<(String, String)>>,
    left: Condvar,
}

impl Busy {
    /// Waits for its turn; the turn ends with what is returned.
    pub(super) fn enter(&self, container: &str, ifname: &str) -> Turn<'_> {
        let key = (container.to_owned(), ifname.to_owned());
        let mut entered = self.entered.lock();
        while entered.contains(&key) {
            self.left.wait(&mut entered);
        }
        entered.insert(key.clone());
        Turn { busy: self, key }
    }
}

/// A turn with a sandbox.
pub(super) struct Turn<'a> {
    busy: &'a Busy,
    key: (String, String),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.busy.entered.lock().remove(&self.key);
        self.busy.left.notify_all();
    }
}
