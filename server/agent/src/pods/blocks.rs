//! The blocks of addresses that this node leases: what pods are given of, and what is given back.

use std::collections::BTreeSet;
use std::io;

use portolan_plan::{OwnBlock, PodRoute, ProbeLink, probe_link_name};
use portolan_shared::addr::Family;
use portolan_shared::ids::BlockId;
use tokio::sync::watch;

use super::record::pod_mac;
use super::{PodNetwork, Pods, Usage};

impl Pods {
    /// What pods are given from now on. [`crate::host::Host::converge`] calls it.
    pub fn configure(&self, network: PodNetwork) {
        let mut state = self.state.lock();
        if state.network.as_ref() == Some(&network) {
            return;
        }
        let mut leased: BTreeSet<BlockId> = network.blocks.iter().map(|block| block.id).collect();
        state.declined.retain(|block| !leased.contains(block));
        leased.extend(&state.declined);
        state.ledger.leased(&leased);
        state.set_blocks(&network);
        state.network = Some(network);
        drop(state);
        self.configured.send_replace(());
    }

    /// The node was removed from its cluster, or is one again: while it is not, no pod is given anything. Those that run
    /// are left alone.
    pub fn set_removed(&self, removed: bool) {
        self.state.lock().closed = removed;
        self.configured.send_replace(());
    }

    /// Gives back at most `most` blocks that no pod has an address of: what is returned is durably given back, and no pod is
    /// given anything of it any more. What was given back before and is leased still is returned again. Waits for the disk.
    ///
    /// # Errors
    /// If the log cannot be written; nothing is given back then.
    pub fn give_back_blocks(&self, most: usize) -> io::Result<Vec<BlockId>> {
        let mut state = self.state.lock();
        let Some(network) = state.network.clone() else {
            return Ok(Vec::new());
        };
        let ledger = &state.ledger;
        let empty = network.blocks.iter().filter(|block| ledger.is_empty(&block.prefix));
        let (again, mut blocks): (Vec<BlockId>, Vec<BlockId>) =
            empty.map(|block| block.id).partition(|block| ledger.gave_back(*block));
        blocks.truncate(most);
        self.heed_distrust(&mut state);
        state.give_back(&blocks)?;
        state.set_blocks(&network);
        blocks.extend(again);
        Ok(blocks)
    }

    /// Gives back, durably, those of some blocks that no pod has an address of, before this node is configured with them.
    /// Waits for the disk.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn decline_blocks(&self, blocks: &[OwnBlock]) -> io::Result<()> {
        let mut state = self.state.lock();
        let empty = blocks.iter().filter(|block| state.ledger.is_empty(&block.prefix));
        let empty: Vec<BlockId> = empty.map(|block| block.id).collect();
        if empty.is_empty() {
            return Ok(());
        }
        self.heed_distrust(&mut state);
        state.give_back(&empty)?;
        state.declined.extend(empty);
        Ok(())
    }

    /// The node's end of probes: wired as a pod is, with an address of the node's first block. `None` while there is no
    /// such block, and once the node was removed.
    pub(crate) fn probe_end(&self) -> Option<PodRoute> {
        let state = self.state.lock();
        let network = state.network.as_ref().filter(|_| !state.closed)?;
        let addresses = vec![state.ledger.pool.reserved()?];
        let how = ProbeLink {
            mac: pod_mac(&addresses),
            mtu: network.mtu,
        };
        Some(PodRoute {
            id: None,
            link: probe_link_name(&addresses, how.mtu),
            addresses,
            host_ports: Vec::new(),
            settled: true,
            probes: Some(how),
        })
    }

    /// Changes when pods are given something else, such as another block.
    pub fn configured(&self) -> watch::Receiver<()> {
        self.configured.subscribe()
    }

    /// How full the blocks are.
    pub fn usage(&self) -> Usage {
        let state = self.state.lock();
        let removed = state.closed;
        let Some(network) = &state.network else {
            return Usage {
                removed,
                ..Usage::default()
            };
        };
        let families = network.families();
        let room = |family| families.contains(&family).then(|| state.ledger.pool.room(family));
        Usage {
            removed,
            blocks: network.blocks.len(),
            v4: room(Family::V4),
            v6: room(Family::V6),
        }
    }

    /// Whether a block holds no pod, and without it there are at least `room` free addresses of each family.
    pub fn spare_block(&self, room: u64) -> bool {
        let state = self.state.lock();
        let Some(network) = &state.network else { return false };
        let held = network.blocks.iter().filter(|block| !state.ledger.gave_back(block.id));
        let mut empty = held.filter(|block| state.ledger.is_empty(&block.prefix));
        empty.any(|block| {
            let family = block.prefix.family();
            let size = u64::try_from(block.prefix.size()).unwrap_or(u64::MAX);
            state.ledger.pool.room(family).free() >= room.saturating_add(size)
        })
    }

    /// Whether blocks were given back that are still leased: the control plane may not have heard of it.
    pub fn owes_blocks(&self) -> bool {
        let state = self.state.lock();
        let network = state.network.iter();
        network
            .flat_map(|network| &network.blocks)
            .any(|block| state.ledger.gave_back(block.id))
    }
}
