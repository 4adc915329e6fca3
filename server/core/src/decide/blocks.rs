//! Blocks of pod addresses: leased to nodes, given back, kept from others while a machine may still use them.

use std::sync::Arc;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_shared::refusal::Refusal;

use super::{claims, not_found};
use crate::draft::Draft;
use crate::kinds::quarantined_blocks::QuarantinedBlock;
use crate::kinds::removed_nodes::RemovedNode;
use crate::model::{Block, Cluster, Key, Node, NodeStatus, Object, Port};
use crate::view::PortScope;

/// A node with as many free addresses needs no further block: it asks when it has fewer than 16, and
/// of what it gave last the control plane may not have heard.
const ROOM_ENOUGH: u128 = 64;

/// An agent with fewer free addresses asks for a block.
const LOW_WATER: u128 = 16;

/// Most blocks of a node.
const MOST_BLOCKS: usize = 64;

/// One more block for a node that says it has `have`; nothing if it has more, or room enough. Where none is free, the
/// node's status says so, and that status is what was made.
pub(super) fn lease_block(draft: &mut Draft<'_>, node: NodeId, have: u32) -> Result<Vec<Object>, Refusal> {
    let node = draft.node(node).ok_or(Refusal::NodeRemoved {})?;
    if draft.node_status(node.id).is_some_and(|status| status.copied.is_some()) {
        return Err(Refusal::NodeCopied {
            node: node.name.clone(),
        });
    }
    let blocks = draft.of::<Block>(node.id);
    if blocks.len() > have as usize || free_addresses(draft, &node, &blocks) >= ROOM_ENOUGH {
        wants_block(draft, &node, false);
        return Ok(Vec::new());
    }
    let cluster = draft.cluster(node.cluster).ok_or(Refusal::NodeRemoved {})?;
    if blocks.len() >= MOST_BLOCKS {
        return Err(Refusal::OverQuota {
            resource: format!("pod block of node {}", node.name),
            limit: MOST_BLOCKS as u64,
            used: blocks.len() as u64,
        });
    }
    match lease(draft, &node, &cluster) {
        Ok(block) => {
            wants_block(draft, &node, false);
            Ok(vec![block])
        }
        Err(Refusal::NoFreeBlock { .. }) => Ok(vec![wants_block(draft, &node, true)]),
        Err(refusal) => Err(refusal),
    }
}

/// Notes whether a node wants a block that it does not get; its status.
fn wants_block(draft: &mut Draft<'_>, node: &Node, wants: bool) -> Object {
    let old = draft.node_status(node.id);
    match old {
        Some(status) if status.wants_block.is_some() == wants => Object::NodeStatus(status),
        old => {
            let status = old.map_or_else(
                || NodeStatus::of(node, draft.revision(), draft.now),
                |status| (*status).clone(),
            );
            draft.put(NodeStatus {
                revision: draft.revision(),
                wants_block: wants.then_some(draft.now),
                ..status
            })
        }
    }
}

/// Whether a node that wants a block has addresses enough again, so that its agent does not ask any more.
pub(super) fn has_room(draft: &Draft<'_>, node: &Node) -> bool {
    free_addresses(draft, node, &draft.of::<Block>(node.id)) >= LOW_WATER
}

/// Takes blocks back from a node.
pub(super) fn return_blocks(draft: &mut Draft<'_>, node: NodeId, blocks: &[BlockId]) -> Result<Vec<Object>, Refusal> {
    let node = draft.node(node).ok_or(Refusal::NodeRemoved {})?;
    // One of the two machines does not need them; the other may.
    if is_copied(draft, node.id) {
        return Ok(Vec::new());
    }
    let ports = draft.ports(PortScope::Node(node.id));
    let mut returned = Vec::new();
    for id in blocks {
        let Some(block) = draft.block(*id).filter(|block| block.node == node.id) else {
            continue;
        };
        // Its release is on its way, or the agent is wrong.
        let used = |port: &Arc<Port>| port.fixed_ips.iter().any(|ip| block.cidr.contains(ip.address));
        if !ports.iter().any(used) {
            draft.delete(Key::Block(*id));
            claims::settle(draft, block.cluster, block.cidr);
            returned.push(Object::Block(block));
        }
    }
    Ok(returned)
}

/// Whether two machines have shown the node's identity, and nobody has said which of them it is.
fn is_copied(draft: &Draft<'_>, node: NodeId) -> bool {
    draft.node_status(node).is_some_and(|status| status.copied.is_some())
}

/// Addresses of a node's blocks that none of its pods has, as far as it has said.
fn free_addresses(draft: &Draft<'_>, node: &Node, blocks: &[Arc<Block>]) -> u128 {
    let all: u128 = blocks.iter().map(|block| block.cidr.size()).sum();
    let ports = draft.ports(PortScope::Node(node.id));
    let held = ports
        .iter()
        .flat_map(|port| &port.fixed_ips)
        .filter(|ip| blocks.iter().any(|block| block.cidr.contains(ip.address)));
    all.saturating_sub(held.count() as u128)
}

/// The next free block of the cluster's pod range, for a node.
pub(super) fn lease(draft: &mut Draft<'_>, node: &Node, cluster: &Cluster) -> Result<Object, Refusal> {
    let subnet = draft
        .subnet(cluster.pod_subnet)
        .ok_or_else(|| not_found("Subnet", cluster.pod_subnet))?;
    let first = draft.next_address(subnet.id).ok_or_else(|| Refusal::NoFreeBlock {
        cluster: cluster.name.clone(),
        pod_range: subnet.cidr,
        blocks: draft.of::<Block>(cluster.id).len() as u64,
        held: QuarantinedBlock::all_held(draft.of(cluster.id).iter(), |node| draft.node(node).is_some()),
    })?;
    draft.walked_to(subnet.id, first);
    let cidr = Cidr::containing(first, cluster.block_prefix.max(subnet.cidr.prefix()))
        .ok_or_else(|| not_found("Subnet", subnet.id))?;
    let block = Block {
        id: draft.new_id().into(),
        meta: draft.new_meta(node.meta.project),
        cluster: cluster.id,
        node: node.id,
        subnet: subnet.id,
        cidr,
    };
    Ok(draft.put(block))
}

/// Leases to a node what its machine held as the node that it was before: pods may run there with addresses of it.
pub(super) fn lease_again(draft: &mut Draft<'_>, node: &Node, machine: [u8; 32]) {
    for held in draft.of::<QuarantinedBlock>(node.cluster) {
        if held.machine == machine {
            draft.delete(Key::QuarantinedBlock(held.id));
            draft.put(Block {
                id: held.id,
                meta: draft.new_meta(node.meta.project),
                cluster: node.cluster,
                node: node.id,
                subnet: held.subnet,
                cidr: held.cidr,
            });
        }
    }
}

/// The machine that was this node is it no more. It may run pods still, or be away: it is told when it comes, and its
/// blocks are nobody else's until it has let go of them.
pub(super) fn part_from_machine(draft: &mut Draft<'_>, node: &Node) {
    let machine = node.machine();
    let copied = is_copied(draft, node.id);
    for block in draft.of::<Block>(node.id) {
        draft.delete(Key::Block(block.id));
        if let Some(machine) = machine {
            draft.put(QuarantinedBlock::of(&block, node, machine, copied, draft.now));
        }
    }
    if let Some(machine) = machine {
        draft.put(RemovedNode {
            machine,
            node: node.id,
            cluster: node.cluster,
            project: node.meta.project,
            name: node.name.clone(),
            removed_at: draft.now,
        });
    }
}
