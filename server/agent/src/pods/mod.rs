//! Pods of this node: addresses given out of the leased blocks, durably, and their links.
//!
//! [`Pods`] is what the CNI socket and the stream talk to. An allocation is decided by the pure ledger, written to the
//! log, and synced to disk *while* the kernel makes the pod's link; it is answered when both are done. Giving back is
//! the other way round: the route is removed first, then the address is free. Nothing here needs the control plane to
//! be there.

mod blocks;
#[cfg(test)]
mod full_disk;
mod held;
mod ledger;
mod log;
mod pool;
mod record;
mod sandboxes;
mod state;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod types;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_plan::{Observed, PodRoute, link_name};
use portolan_shared::ids::PortId;
use portolan_sources::{Blocking, Files, Ids};
use portolan_wire::error_chain;
use tokio::sync::{Notify, watch};

pub use ledger::{Events, Listing};
pub use pool::Room;
pub use record::{Allocation, Release, pod_mac};
pub use types::{AddError, AddPod, CheckError, PodNetwork, Usage, Wired};

use crate::kernel::{AttachError, Attachment, KernelError, Sandbox, Wiring};
use state::{Busy, State};
use sync::Syncer;

/// The pods of a node.
pub struct Pods {
    /// Where the log is.
    path: PathBuf,
    wiring: Arc<dyn Wiring>,
    ids: Ids,
    state: Mutex<State>,
    syncer: Syncer,
    busy: Busy,
    newest: watch::Sender<u64>,
    starved: Notify,
    configured: watch::Sender<()>,
}

impl Pods {
    /// The pods that are written down in the log at `path`; their links are in the kernel behind `wiring`. `ids`
    /// makes the ids of new ones. The log is synced on `sync_thread`, which does nothing else: those
    /// who wait for a sync may hold all other threads. On a disk that takes nothing they go on, and no pod is given anything.
    ///
    /// # Errors
    /// If the log cannot be opened or read.
    pub fn open(
        files: &dyn Files,
        path: &Path,
        wiring: Arc<dyn Wiring>,
        ids: Ids,
        sync_thread: Arc<dyn Blocking>,
    ) -> io::Result<Self> {
        let mut state = State::load(files.open_log(path)?)?;
        // What was read may be in the page cache only, and not on the disk yet.
        let seq = state.sync().unwrap_or_else(|error| {
            tracing::error!(%error, path = %path.display(), "cannot write the log of pod addresses");
            0
        });
        let newest = watch::Sender::new(seq);
        let syncer = {
            let newest = newest.clone();
            Syncer::new(sync_thread, move |seq| raise(&newest, seq))
        };
        let (state, busy, starved) = (Mutex::new(state), Busy::default(), Notify::new());
        let configured = watch::Sender::new(());
        Ok(Self {
            path: path.to_owned(),
            wiring,
            ids,
            state,
            syncer,
            busy,
            newest,
            starved,
            configured,
        })
    }

    /// Gives a pod its addresses and its link. Asked again for the same sandbox and interface, it
    /// answers the same, and mends what is missing. Blocks for some milliseconds.
    pub fn add(&self, pod: &AddPod) -> Result<Wired, AddError> {
        let _turn = self.busy.enter(&pod.container, &pod.ifname);
        let inode = self.wiring.namespace(&pod.netns).map_err(AttachError::from)?;
        let existing = self.state.lock().ledger.find(&pod.container, &pod.ifname).cloned();
        if let Some(existing) = existing {
            if existing.netns_inode == inode && existing.host_ports == pod.host_ports {
                return self.mend(existing, pod);
            }
            // Another sandbox has taken the name, or other host ports are asked for: release what the first one left.
            self.release(&existing).map_err(AttachError::from)?;
        }
        self.no_program_has(pod)?;
        let (allocation, network, ticket) = self.allocate(pod, inode)?;
        let attached = self.wiring.attach(&attachment(&allocation, &pod.netns, &network));
        let written = self.syncer.wait(ticket);
        let failure = match (attached, written) {
            (Ok(_), Ok(())) => {
                self.state.lock().settle(allocation.id);
                return Ok(Wired {
                    allocation,
                    mtu: network.mtu,
                    new: true,
                });
            }
            (Ok(_), Err(error)) => {
                let detached = self
                    .wiring
                    .detach(&allocation.link, &allocation.addresses, &allocation.host_ports);
                if let Err(error) = detached {
                    tracing::warn!(link = %allocation.link, error = %error_chain(&error), "a pod's link stays");
                }
                AddError::Log(error)
            }
            (Err(error), _) => error.into(),
        };
        self.give_back(&allocation);
        Err(failure)
    }

    /// Takes a pod's link and addresses back. `None` when there was nothing. Blocks for a
    /// millisecond or so; the freed addresses may be written to disk later: what is lost by a power
    /// cut is found again by [`Self::reconcile_sandboxes`].
    pub fn remove(&self, container: &str, ifname: &str) -> Result<Option<Arc<Allocation>>, KernelError> {
        let _turn = self.busy.enter(container, ifname);
        let existing = self.state.lock().ledger.find(container, ifname).cloned();
        let Some(existing) = existing else { return Ok(None) };
        self.release(&existing)?;
        Ok(Some(existing))
    }

    /// Takes back what was given to an ADD whose answer nobody took: its plugin was killed, and the DEL that followed may have
    /// been answered before. What the same sandbox was given again since is somebody's and stays.
    ///
    /// # Errors
    /// As [`Self::remove`]; the sandbox's end frees it then.
    pub fn not_taken(&self, id: PortId) -> Result<(), KernelError> {
        let Some(allocation) = self.state.lock().ledger.get(id).cloned() else {
            return Ok(());
        };
        let _turn = self.busy.enter(&allocation.container, &allocation.ifname);
        {
            let state = self.state.lock();
            if state.ledger.get(id).is_none() || state.was_asked_again(id) {
                return Ok(());
            }
        }
        self.release(&allocation)
    }

    /// What a sandbox was given, and what differs from it now, a sentence each.
    pub fn check(&self, container: &str, ifname: &str, netns: &Path) -> Result<(Wired, Vec<String>), CheckError> {
        let _turn = self.busy.enter(container, ifname);
        let (allocation, network) = {
            let state = self.state.lock();
            (
                state.ledger.find(container, ifname).cloned(),
                state.network.clone().unwrap_or_default(),
            )
        };
        let Some(allocation) = allocation else {
            return Err(CheckError::Unknown {
                container: container.into(),
                ifname: ifname.into(),
            });
        };
        let differences = self.wiring.differences(&attachment(&allocation, netns, &network))?;
        Ok((
            Wired {
                allocation,
                mtu: network.mtu,
                new: false,
            },
            differences,
        ))
    }

    /// Takes back everything of a network that `keep` does not hold: sandbox id and interface. For CNI's GC, which is
    /// about one network: allocations of other networks stay.
    pub fn retain(
        &self,
        network: &str,
        keep: &BTreeSet<(String, String)>,
    ) -> Vec<Result<Arc<Allocation>, KernelError>> {
        let alive: Vec<_> = self.state.lock().settled();
        let stale = alive
            .into_iter()
            .filter(|a| a.network == network && !keep.contains(&(a.container.clone(), a.ifname.clone())));
        stale
            .filter_map(|a| self.remove(&a.container, &a.ifname).transpose())
            .collect()
    }

    /// Looks whether the sandboxes are still there, and takes back the allocations of those found gone for the second
    /// time in a row: a DEL may never come. To be called every half minute or so; returns what was freed. The first
    /// look after a start frees nothing.
    pub fn reconcile_sandboxes(&self) -> Vec<Arc<Allocation>> {
        let settled = self.state.lock().settled();
        let observed: Vec<(PortId, bool)> = settled.iter().map(|a| (a.id, self.is_gone(a))).collect();
        let twice = self.state.lock().suspects.observe(&observed);
        let mut freed = Vec::new();
        for allocation in settled.into_iter().filter(|a| twice.contains(&a.id)) {
            let _turn = self.busy.enter(&allocation.container, &allocation.ifname);
            if self.state.lock().ledger.get(allocation.id).is_none() {
                continue; // its DEL came meanwhile
            }
            match self.release(&allocation) {
                Ok(()) => freed.push(allocation),
                Err(error) => {
                    tracing::warn!(pod = %allocation.pod_name, error = %error_chain(&error), "a vanished pod's route stays for now");
                }
            }
        }
        freed
    }

    /// Takes back the allocations of pods whose namespace has ended, which took their links along: at once, as no DEL may
    /// ever come. `settled` was read before the kernel was observed. Returns what was freed.
    pub(crate) fn end_with_namespaces(&self, settled: &BTreeSet<PortId>, observed: &Observed) -> Vec<Arc<Allocation>> {
        let mut ended = self.state.lock().settled();
        ended.retain(|a| settled.contains(&a.id) && !observed.links.contains_key(&a.link));
        ended.retain(|a| self.is_gone(a) && self.state.lock().ledger.get(a.id).is_some());
        ended.iter().for_each(|a| self.give_back(a));
        ended
    }

    fn is_gone(&self, allocation: &Allocation) -> bool {
        match self.wiring.sandbox(&allocation.netns) {
            Sandbox::Gone => true,
            Sandbox::Alive(inode) => inode != allocation.netns_inode,
            Sandbox::Unknown => false,
        }
    }

    /// Pods whose link is made; to be read before the kernel is observed, since only their links must be in it.
    pub(crate) fn settled_ids(&self) -> BTreeSet<PortId> {
        self.state.lock().settled().iter().map(|a| a.id).collect()
    }

    /// The routes that pods need, and the node's end of probes. `settled` was read before the kernel was observed.
    pub(crate) fn routes(&self, settled: &BTreeSet<PortId>) -> Vec<PodRoute> {
        let probe_end = self.probe_end();
        let state = self.state.lock();
        let route = |a: &Arc<Allocation>| PodRoute {
            id: Some(a.id),
            link: a.link.clone(),
            addresses: a.addresses.clone(),
            host_ports: a.host_ports.clone(),
            settled: settled.contains(&a.id),
            probes: None,
        };
        let held = state.held.iter().map(|(link, addresses)| PodRoute {
            id: None,
            link: link.clone(),
            addresses: addresses.iter().copied().collect(),
            host_ports: Vec::new(),
            settled: true,
            probes: None,
        });
        state.ledger.alive().map(route).chain(held).chain(probe_end).collect()
    }

    /// Takes in the observed kernel. The first one counts: what it has of pods whose records are lost is held from then on,
    /// until a later one has it no more. To be called before the first [`Self::configure`], so that nothing was given yet.
    pub fn hold(&self, observed: &Observed) {
        let mut state = self.state.lock();
        self.heed_distrust(&mut state);
        if state.hold(observed) {
            self.announce(&mut state);
        }
    }

    /// What is held for pods whose records are lost, as a sentence.
    pub fn held(&self) -> Option<String> {
        self.state.lock().held_sentence()
    }

    /// Takes back what is held for the pod in a namespace, by the name of its interface there. Whether there was something.
    pub fn remove_held(&self, netns: &Path, ifname: &str) -> Result<bool, KernelError> {
        if self.state.lock().held.is_empty() {
            return Ok(false);
        }
        let link = match self.wiring.host_end(netns, ifname) {
            Ok(link) => link,
            // With the namespace the kernel takes the link.
            Err(AttachError::Namespace(_) | AttachError::InterfaceExists { .. }) => None,
            Err(AttachError::Kernel(error)) => return Err(error),
        };
        let Some(link) = link else { return Ok(false) };
        let addresses = self.state.lock().held.get(&link).cloned();
        let Some(addresses) = addresses else { return Ok(false) };
        let addresses: Vec<IpAddr> = addresses.into_iter().collect();
        self.wiring.detach(&link, &addresses, &[])?;
        self.state.lock().let_go(&link);
        Ok(true)
    }

    /// The newest sequence number that is durable; changes soon after every allocation and release.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Wakes when an ADD found no address: a block is needed now.
    pub fn starved(&self) -> &Notify {
        &self.starved
    }

    /// What came after `seq`, at most `limit` events. Only durable events are told: after a power cut a lost number is
    /// used again, for another event.
    pub fn events_after(&self, seq: u64, limit: usize) -> Events {
        let durable = *self.newest.borrow();
        self.state.lock().ledger.events_between(seq, durable, limit)
    }

    /// Why no pod can be given anything, if the log could not be written and cannot be written now, as a sentence. Costs
    /// nothing while writes work; else the log is written anew, and if that works, all is well again.
    pub fn unwritable(&self) -> Option<String> {
        let mut state = self.state.lock();
        self.heed_distrust(&mut state);
        match state.mend_log() {
            Ok(None) => None,
            Ok(Some(seq)) => {
                tracing::info!(path = %self.path.display(), "the log of pod addresses can be written again");
                raise(&self.newest, seq);
                None
            }
            Err(error) => Some(format!(
                "cannot write {}: {error}; no pod is given an address until it can be written. Make room on its disk, or \
                 mend it; the agent goes on by itself then",
                self.path.display()
            )),
        }
    }

    /// Everything alive, durably. Waits for the disk.
    pub fn list(&self) -> io::Result<Listing> {
        let mut state = self.state.lock();
        self.heed_distrust(&mut state);
        let seq = state.sync()?;
        raise(&self.newest, seq);
        Ok(state.ledger.listing())
    }

    /// The control plane has stored everything up to `seq`: releases up to it may be forgotten.
    pub fn acknowledged(&self, seq: u64) {
        self.state.lock().ledger.acknowledged(seq);
    }

    /// Counts on from `seq` if that is higher, durably: for a node whose log was lost while the
    /// control plane remembers higher numbers.
    pub fn skip_past(&self, seq: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.ledger.seq() < seq {
            state.skip_past(seq)?;
            raise(&self.newest, seq);
        }
        Ok(())
    }

    /// Refuses host ports that a program of the host has: it would not be reached any more.
    fn no_program_has(&self, pod: &AddPod) -> Result<(), AddError> {
        for port in &pod.host_ports {
            if let Some(by) = self.wiring.port_user(port, &pod.container) {
                return Err(AddError::PortTaken { port: *port, by });
            }
        }
        Ok(())
    }

    /// Decides, and writes to the log without waiting for the disk.
    fn allocate(&self, pod: &AddPod, inode: u64) -> Result<(Arc<Allocation>, PodNetwork, u64), AddError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AddError::Removed);
        }
        let network = state
            .network
            .clone()
            .filter(|n| !n.ranges.is_empty())
            .ok_or(AddError::NotReady)?;
        for port in &pod.host_ports {
            if !network.families().into_iter().any(|family| port.takes(family)) {
                return Err(AddError::NoSuchFamily(*port));
            }
            if let Some(by) = state.ledger.has_port(port) {
                return Err(AddError::PortTaken { port: *port, by });
            }
        }
        let mut addresses = Vec::new();
        for family in network.families() {
            match state.ledger.pool.next(family) {
                Some(address) => addresses.push(address),
                None => {
                    self.starved.notify_one();
                    let room = state.ledger.pool.room(family);
                    let some = state.ledger.pool.has_block(family);
                    return Err(if some {
                        AddError::Exhausted(family, room)
                    } else {
                        AddError::NoBlock(family)
                    });
                }
            }
        }
        let id = state.fresh_id(&self.ids);
        let allocation = Allocation {
            id,
            seq: state.ledger.seq() + 1,
            network: pod.network.clone(),
            container: pod.container.clone(),
            ifname: pod.ifname.clone(),
            netns: pod.netns.clone(),
            netns_inode: inode,
            pod_namespace: pod.pod_namespace.clone(),
            pod_name: pod.pod_name.clone(),
            pod_uid: pod.pod_uid.clone(),
            mac: pod_mac(&addresses),
            addresses,
            link: link_name(id),
            host_ports: pod.host_ports.clone(),
        };
        self.heed_distrust(&mut state);
        let allocation = state.allocate(allocation).map_err(AddError::Log)?;
        let ticket = self.announce(&mut state);
        Ok((allocation, network, ticket))
    }

    /// The same sandbox again: the same answer, once the link is as it was.
    fn mend(&self, allocation: Arc<Allocation>, pod: &AddPod) -> Result<Wired, AddError> {
        let network = self.state.lock().network.clone().ok_or(AddError::NotReady)?;
        let wanted = attachment(&allocation, &pod.netns, &network);
        if !self.wiring.differences(&wanted)?.is_empty() {
            self.wiring
                .detach(&allocation.link, &allocation.addresses, &allocation.host_ports)
                .map_err(AttachError::from)?;
            self.wiring.attach(&wanted)?;
        }
        // The first answer may never have arrived. This one too is given only once the allocation is durable.
        let ticket = {
            let mut state = self.state.lock();
            self.announce(&mut state)
        };
        self.syncer.wait(ticket).map_err(AddError::Log)?;
        let mut state = self.state.lock();
        state.settle(allocation.id);
        state.asked_again(allocation.id);
        drop(state);
        Ok(Wired {
            allocation,
            mtu: network.mtu,
            new: false,
        })
    }

    /// Removes the route and the link, then frees the address.
    fn release(&self, allocation: &Allocation) -> Result<(), KernelError> {
        self.wiring
            .detach(&allocation.link, &allocation.addresses, &allocation.host_ports)?;
        self.give_back(allocation);
        Ok(())
    }

    fn give_back(&self, allocation: &Allocation) {
        let mut state = self.state.lock();
        self.heed_distrust(&mut state);
        state.release(allocation);
        self.announce(&mut state);
    }

    /// Starts a sync of everything written so far; returns the ticket to wait with.
    fn announce(&self, state: &mut State) -> u64 {
        self.syncer.announce(state.barrier(), state.ledger.seq())
    }

    fn heed_distrust(&self, state: &mut State) {
        if self.syncer.take_distrust() {
            state.distrust_log();
        }
    }
}

/// Sets a number that only grows.
fn raise(newest: &watch::Sender<u64>, seq: u64) {
    newest.send_if_modified(|newest| {
        let higher = seq > *newest;
        *newest = seq.max(*newest);
        higher
    });
}

fn attachment<'a>(allocation: &'a Allocation, netns: &'a Path, network: &PodNetwork) -> Attachment<'a> {
    Attachment {
        host_link: &allocation.link,
        netns,
        ifname: &allocation.ifname,
        mac: allocation.mac,
        mtu: network.mtu,
        addresses: &allocation.addresses,
        host_ports: &allocation.host_ports,
        node: network.node,
    }
}
