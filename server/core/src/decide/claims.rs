//! What becomes of leases of a history that was lost, and of those whose holder is not the node any more.
//!
//! Nothing that runs is cut: a lease that can be taken back is; one whose machine the store does not know waits, with its
//! node, for an administrator; one whose addresses were leased anew is in dispute, and named.

use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, ClusterId, NodeId};
use portolan_shared::refusal::Refusal;

use super::{nodes, not_found, visible};
use crate::command::{Claim, ClaimedBlock, ClaimedNode, Request};
use crate::draft::Draft;
use crate::kinds::epochs::{Dispute, DisputeCause, DisputedLease, Epoch, MOST_DISPUTES};
use crate::kinds::quarantined_blocks::QuarantinedBlock;
use crate::kinds::removed_nodes::RemovedNode;
use crate::model::{Block, Cluster, JoinToken, Key, Node, NodeStatus, Object, Session, Tickets};

pub(super) fn claim(draft: &mut Draft<'_>, claim: &Claim) -> Result<Vec<Object>, Refusal> {
    let node = draft.node(claim.node).ok_or(Refusal::NodeRemoved {})?;
    let cluster = draft.cluster(node.cluster).ok_or(Refusal::NodeRemoved {})?;
    let mut epoch = epoch(draft, &node, claim);
    let mut taken_back = Vec::new();
    for block in &claim.blocks {
        match take_back(draft, &cluster, claim, block) {
            Ok(None) => {}
            Ok(Some(found)) => {
                epoch.found(block, &found);
                taken_back.push(found.block);
            }
            Err(cause) => {
                let dispute = dispute(draft, &cluster, claim, block, cause);
                if !epoch.disputes.contains(&dispute) && epoch.disputes.len() < MOST_DISPUTES {
                    epoch.disputes.push(dispute);
                }
            }
        }
    }
    epoch.lost_to = epoch.lost_to.max(claim.shown);
    draft.put(epoch);
    Ok(taken_back)
}

fn dispute(draft: &Draft<'_>, cluster: &Cluster, claim: &Claim, block: &ClaimedBlock, cause: DisputeCause) -> Dispute {
    let node = claim.nodes.iter().find(|node| node.id == block.node);
    Dispute {
        cidr: block.cidr,
        node: name(draft, claim, block.node),
        cause,
        lease: Some(DisputedLease {
            id: block.id,
            cluster: cluster.id,
            node: block.node,
            addresses: node.map(|node| node.addresses.clone()).unwrap_or_default(),
            machine: block.machine,
            leased_at: block.leased_at,
        }),
    }
}

/// Addresses of a cluster are nobody's any more. If they were in dispute, pods with them run on the machine that could not
/// take its lease back: it can now.
pub(super) fn settle(draft: &mut Draft<'_>, cluster: ClusterId, cidr: Cidr) {
    let Some(cluster) = draft.cluster(cluster) else { return };
    for epoch in draft.all::<Epoch>() {
        let of_it = |dispute: &Dispute| {
            let lease = dispute.lease.clone().filter(|lease| lease.cluster == cluster.id)?;
            (dispute.cidr == cidr && matches!(dispute.cause, DisputeCause::Leased(_))).then_some(lease)
        };
        let waits = epoch.disputes.iter().enumerate();
        let Some((at, lease)) = waits.filter_map(|(at, dispute)| Some((at, of_it(dispute)?))).next() else {
            continue;
        };
        let mut epoch = (*epoch).clone();
        let was = epoch.disputes.remove(at);
        let block = ClaimedBlock {
            id: lease.id,
            node: lease.node,
            machine: lease.machine,
            cidr,
            leased_at: lease.leased_at,
        };
        let claim = Claim {
            node: lease.node,
            shown: epoch.lost_to,
            fork: epoch.fork,
            nodes: vec![ClaimedNode {
                id: lease.node,
                name: was.node,
                addresses: lease.addresses,
            }],
            blocks: Vec::new(),
        };
        match take_back(draft, &cluster, &claim, &block) {
            Ok(Some(found)) => epoch.found(&block, &found),
            Ok(None) => {}
            Err(cause) => epoch.disputes.push(dispute(draft, &cluster, &claim, &block, cause)),
        }
        draft.put(epoch);
        return;
    }
}

impl Epoch {
    fn found(&mut self, block: &ClaimedBlock, found: &Found) {
        self.blocks_found += 1;
        if found.waits && !self.nodes_found.contains(&block.node) {
            self.nodes_found.push(block.node);
        }
    }
}

/// The epoch that began after this fork. If none has, it begins now, and with it end all sessions and join tokens: nobody
/// knows which of them were ended in the history that was lost.
fn epoch(draft: &mut Draft<'_>, node: &Node, claim: &Claim) -> Epoch {
    let begun = draft.all::<Epoch>().into_iter().rev();
    if let Some(epoch) = begun.clone().find(|epoch| epoch.fork == claim.fork) {
        return (*epoch).clone();
    }
    for session in draft.all::<Session>() {
        draft.delete(Key::Session(session.hash));
    }
    for token in draft.all::<JoinToken>() {
        draft.delete(Key::JoinToken(token.id));
    }
    Epoch {
        id: draft.new_id().into(),
        began_at: draft.now,
        fork: claim.fork,
        lost_to: claim.shown,
        shown_by: node.name.clone(),
        blocks_found: 0,
        nodes_found: Vec::new(),
        disputes: Vec::new(),
    }
}

/// A lease that was taken back.
struct Found {
    block: Object,
    /// Whether its node waits to be admitted.
    waits: bool,
}

/// Puts a block back; `None` if it is there.
fn take_back(
    draft: &mut Draft<'_>,
    cluster: &Cluster,
    claim: &Claim,
    claimed: &ClaimedBlock,
) -> Result<Option<Found>, DisputeCause> {
    // What was leased before the histories parted, and is not here, was let go of since.
    let known = claim.fork.is_some_and(|fork| claimed.leased_at <= fork);
    let here = draft.get::<Block>(claimed.id).is_some() || draft.get::<QuarantinedBlock>(claimed.id).is_some();
    if known || here {
        return Ok(None);
    }
    let subnet = draft.subnet(cluster.pod_subnet).ok_or(DisputeCause::OutsideRange)?;
    let prefix = cluster.block_prefix.max(subnet.cidr.prefix());
    if claimed.cidr.prefix() != prefix || !subnet.cidr.contains(claimed.cidr.first()) {
        return Err(DisputeCause::OutsideRange);
    }
    // Blocks are all of one size, so those that share an address share the first.
    let first = claimed.cidr.first();
    if let Some(block) = draft.block_at(subnet.id, first) {
        let holder = draft
            .node(block.node)
            .map_or_else(|| block.node.to_string(), |node| node.name.clone());
        return Err(DisputeCause::Leased(holder));
    }
    let in_quarantine = draft.of::<QuarantinedBlock>(subnet.id);
    if let Some(held) = in_quarantine.into_iter().find(|b| b.cidr.first() == first) {
        // What both histories had leased to its holder was leased to another in that one: it had let go there.
        let let_go = claim.fork.is_some_and(|fork| held.leased_at <= fork);
        if !let_go {
            return Err(DisputeCause::Leased(held.node_name.clone()));
        }
        draft.delete(Key::QuarantinedBlock(held.id));
    }
    let node = match draft.node(claimed.node).filter(|node| node.cluster == cluster.id) {
        Some(node) => node,
        None if draft.get::<RemovedNode>(claimed.machine).is_some() => {
            let name = name(draft, claim, claimed.node);
            quarantine(draft, name, claimed, cluster);
            return Ok(None);
        }
        None => waiting(draft, cluster, claim, claimed),
    };
    let node = match node.machine() {
        Some(machine) if machine == claimed.machine => node,
        Some(_) => {
            let name = name(draft, claim, claimed.node);
            quarantine(draft, name, claimed, cluster);
            return Err(DisputeCause::OtherMachine);
        }
        None => {
            // Expected here, and joined there.
            let found = Node {
                meta: draft.changed(&node.meta),
                found: Some(claimed.machine),
                ..(*node).clone()
            };
            draft.put(found.clone());
            Arc::new(found)
        }
    };
    let block = Block {
        id: claimed.id,
        meta: draft.new_meta(cluster.meta.project),
        cluster: cluster.id,
        node: node.id,
        subnet: subnet.id,
        cidr: claimed.cidr,
    };
    let waits = node.found.is_some();
    Ok(Some(Found {
        block: draft.put(block),
        waits,
    }))
}

/// A node that the store does not know: it waits for an administrator, and its pods are reached meanwhile.
fn waiting(draft: &mut Draft<'_>, cluster: &Cluster, claim: &Claim, block: &ClaimedBlock) -> Arc<Node> {
    let claimed = claim.nodes.iter().find(|node| node.id == block.node);
    let taken = |draft: &Draft<'_>, name: &str| draft.of::<Node>(cluster.id).iter().any(|node| node.name == name);
    let name = claimed.map(|node| node.name.clone()).filter(|name| !taken(draft, name));
    let node = Node {
        id: block.node,
        meta: draft.new_meta(cluster.meta.project),
        cluster: cluster.id,
        // Two nodes of a name cannot be: the one that is known keeps it.
        name: name.unwrap_or_else(|| format!("found-{}", block.node)),
        addresses: claimed.map(|node| node.addresses.clone()).unwrap_or_default(),
        port: draft.new_id().into(),
        joined_at: None,
        key_hash: None,
        found: Some(block.machine),
    };
    // Where its addresses are another's by now, that is for the administrator to settle.
    if let Ok(port) = nodes::port_again(draft, cluster, &node) {
        draft.put(port);
    }
    draft.put(node.clone());
    Arc::new(node)
}

/// Keeps the addresses from others: their holder is not a node any more, or another machine is.
fn quarantine(draft: &mut Draft<'_>, node_name: String, block: &ClaimedBlock, cluster: &Cluster) {
    draft.put(QuarantinedBlock {
        id: block.id,
        project: cluster.meta.project,
        cluster: cluster.id,
        subnet: cluster.pod_subnet,
        cidr: block.cidr,
        node: block.node,
        node_name,
        machine: block.machine,
        copied: false,
        leased_at: block.leased_at,
        since: draft.now,
    });
}

/// What a node is or was called.
fn name(draft: &Draft<'_>, claim: &Claim, id: NodeId) -> String {
    let here = draft.node(id).map(|node| node.name.clone());
    let there = || {
        claim
            .nodes
            .iter()
            .find(|node| node.id == id)
            .map(|node| node.name.clone())
    };
    here.or_else(there).unwrap_or_else(|| id.to_string())
}

pub(super) fn admit(draft: &mut Draft<'_>, request: &Request, id: NodeId) -> Result<Vec<Object>, Refusal> {
    let node = visible(request, draft.node(id), "Node", id)?;
    let Some(machine) = node.found else {
        // The machine that is on is the node, whichever ticket it has. If both are, that is seen again.
        if let Some(status) = draft.node_status(id).filter(|status| status.copied.is_some()) {
            draft.put(NodeStatus {
                revision: draft.revision(),
                copied: None,
                tickets: Tickets {
                    open: true,
                    ..status.tickets
                },
                ..(*status).clone()
            });
        }
        return Ok(vec![Object::Node(node)]);
    };
    let cluster = draft.cluster(node.cluster).ok_or(Refusal::NodeRemoved {})?;
    if draft.port(node.port).is_none() {
        let port = nodes::port_again(draft, &cluster, &node)?;
        draft.put(port);
    }
    let admitted = Node {
        meta: draft.changed(&node.meta),
        joined_at: Some(draft.now),
        key_hash: Some(machine),
        found: None,
        ..(*node).clone()
    };
    if draft.node_status(id).is_none() {
        draft.put(NodeStatus::of(&admitted, draft.revision(), draft.now));
    }
    Ok(vec![draft.put(admitted)])
}

/// Keeps blocks from others that a machine which is no node has pods in, and that a store that was put back knows nothing of.
pub(super) fn keep(draft: &mut Draft<'_>, cluster: ClusterId, kept: &[ClaimedBlock]) {
    let Some(cluster) = draft.cluster(cluster) else { return };
    for block in kept {
        let here = draft.get::<Block>(block.id).is_some() || draft.get::<QuarantinedBlock>(block.id).is_some();
        if !here && is_free(draft, &cluster, block) {
            let removed = draft
                .get::<RemovedNode>(block.machine)
                .map(|removed| removed.name.clone());
            let name = removed.unwrap_or_else(|| block.node.to_string());
            quarantine(draft, name, block, &cluster);
        }
    }
}

/// Whether a block is one of the cluster's, and nobody holds its addresses.
fn is_free(draft: &Draft<'_>, cluster: &Cluster, block: &ClaimedBlock) -> bool {
    let first = block.cidr.first();
    let held = || {
        draft
            .of::<QuarantinedBlock>(cluster.id)
            .iter()
            .any(|held| held.cidr.first() == first)
    };
    draft.subnet(cluster.pod_subnet).is_some_and(|subnet| {
        block.cidr.prefix() == cluster.block_prefix.max(subnet.cidr.prefix())
            && subnet.cidr.contains(first)
            && draft.block_at(subnet.id, first).is_none()
            && !held()
    })
}

pub(super) fn let_go(draft: &mut Draft<'_>, node: NodeId, machine: &[u8; 32], blocks: &[BlockId]) -> Vec<Object> {
    let mut gone = Vec::new();
    for id in blocks {
        let held = draft.get::<QuarantinedBlock>(*id);
        if let Some(block) = held.filter(|block| block.node == node && block.machine == *machine && !block.copied) {
            draft.delete(Key::QuarantinedBlock(*id));
            settle(draft, block.cluster, block.cidr);
            gone.push(Object::QuarantinedBlock(block));
        }
    }
    gone
}

pub(super) fn release(draft: &mut Draft<'_>, id: BlockId) -> Result<Vec<Object>, Refusal> {
    let block = draft
        .get::<QuarantinedBlock>(id)
        .ok_or_else(|| not_found("Quarantined block", id))?;
    draft.delete(Key::QuarantinedBlock(id));
    settle(draft, block.cluster, block.cidr);
    Ok(vec![Object::QuarantinedBlock(block)])
}
