//! How a state looks to a peer of protocol version 1, and what such a peer sends as items.
//!
//! Version 1 knows three kinds, each in a field of its own, and neither machines nor leases nor probes. All of it is here: with
//! version 3 this file goes.

use crate::agent::{Block, Change, Cluster, Item, ItemKey, ItemKind, Node, Snapshot};
use crate::digest::{self, Digest};
use crate::field::{self, BadField};
use crate::item::{Body as _, ItemId, Items};

/// The version that all this is about.
pub const VERSION: u32 = 1;

fn node(node: Node) -> Node {
    Node {
        machine: Vec::new(),
        ..node
    }
}

fn cluster(cluster: Cluster) -> Cluster {
    Cluster {
        probe_key: Vec::new(),
        ..cluster
    }
}

fn block(block: Block) -> Block {
    Block {
        lease: Vec::new(),
        leased_at: 0,
        ..block
    }
}

/// The digest that version 1 has of a state.
pub fn digest(items: &Items) -> Digest {
    let (cluster, nodes, blocks) = parts(items);
    digest::of(cluster.as_ref(), &nodes, &blocks)
}

/// A state in version 1's parts, each by id.
pub fn parts(items: &Items) -> (Option<Cluster>, Vec<Node>, Vec<Block>) {
    (
        items.all::<Cluster>().next().map(cluster),
        items.all::<Node>().map(node).collect(),
        items.all::<Block>().map(block).collect(),
    )
}

/// A change as version 1 takes it.
pub fn change(change: Change) -> Change {
    let mut older = Change {
        revision: change.revision,
        ..Change::default()
    };
    // What cannot be read was not made here.
    let items: Items = change
        .put
        .into_iter()
        .filter_map(|item| crate::item::read(item).ok())
        .collect();
    (older.cluster, older.put_nodes, older.put_blocks) = parts(&items);
    for key in change.drop {
        match key.kind() {
            ItemKind::Node => older.drop_nodes.push(key.id),
            ItemKind::Block => older.drop_blocks.push(key.id),
            ItemKind::Cluster | ItemKind::Unknown => {}
        }
    }
    older
}

/// The items in a part of a snapshot, of either version.
pub fn items_of_snapshot(part: &mut Snapshot) -> Vec<Item> {
    let mut items = std::mem::take(&mut part.items);
    items.extend(part.cluster.take().map(|cluster| cluster.item()));
    items.extend(part.nodes.drain(..).map(|node| node.item()));
    items.extend(part.blocks.drain(..).map(|block| block.item()));
    items
}

/// What a change of either version puts and drops.
///
/// # Errors
/// If a key is not as the protocol says.
pub fn items_of_change(change: Change) -> Result<(Vec<Item>, Vec<ItemId>), BadField> {
    let mut put = change.put;
    put.extend(change.cluster.map(|cluster| cluster.item()));
    put.extend(change.put_nodes.iter().map(|node| node.item()));
    put.extend(change.put_blocks.iter().map(|block| block.item()));
    let mut dropped = change
        .drop
        .iter()
        .map(ItemId::of_key)
        .collect::<Result<Vec<ItemId>, _>>()?;
    for (name, kind, ids) in [
        ("drop_nodes", ItemKind::Node, &change.drop_nodes),
        ("drop_blocks", ItemKind::Block, &change.drop_blocks),
    ] {
        for id in ids {
            let id = field::id(name, id)?;
            dropped.push(ItemId { kind: kind.into(), id });
        }
    }
    Ok((put, dropped))
}

/// The key of a node or block that goes.
pub fn key(kind: ItemKind, id: [u8; 16]) -> ItemKey {
    ItemId { kind: kind.into(), id }.key()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Prefix;

    fn new_cluster() -> Cluster {
        Cluster {
            id: vec![9; 16],
            name: "shop".into(),
            mtu: 1500,
            probe_key: vec![5; 32],
            ..Cluster::default()
        }
    }

    fn new_node() -> Node {
        Node {
            id: vec![1; 16],
            name: "node-1".into(),
            addresses: vec![vec![10, 0, 0, 1]],
            machine: vec![7; 32],
        }
    }

    fn new_block() -> Block {
        Block {
            id: vec![3; 16],
            node_id: vec![1; 16],
            prefix: Some(Prefix {
                address: vec![10, 1, 0, 0],
                length: 26,
            }),
            lease: vec![8; 32],
            leased_at: 7,
        }
    }

    #[test]
    fn version_1_hears_nothing_that_it_does_not_know() {
        let newer = Change {
            revision: 7,
            put: vec![new_cluster().item(), new_node().item(), new_block().item()],
            drop: vec![key(ItemKind::Node, [2; 16]), key(ItemKind::Block, [4; 16])],
            ..Change::default()
        };
        let older = change(newer.clone());
        let expected = Change {
            revision: 7,
            cluster: Some(cluster(new_cluster())),
            put_nodes: vec![node(new_node())],
            drop_nodes: vec![vec![2; 16]],
            put_blocks: vec![block(new_block())],
            drop_blocks: vec![vec![4; 16]],
            ..Change::default()
        };
        assert_eq!(older, expected);
        // What version 1 then has is what the digest is of.
        let items: Items = newer
            .put
            .into_iter()
            .map(|item| crate::item::read(item).unwrap())
            .collect();
        let had = digest::of(older.cluster.as_ref(), &older.put_nodes, &older.put_blocks);
        assert_eq!(digest(&items), had);
    }

    #[test]
    fn what_version_1_sends_is_items() {
        let older = Change {
            revision: 7,
            cluster: Some(cluster(new_cluster())),
            put_nodes: vec![node(new_node())],
            drop_nodes: vec![vec![2; 16]],
            put_blocks: vec![block(new_block())],
            drop_blocks: vec![vec![4; 16]],
            ..Change::default()
        };
        let (put, dropped) = items_of_change(older.clone()).unwrap();
        assert_eq!(
            put,
            [
                cluster(new_cluster()).item(),
                node(new_node()).item(),
                block(new_block()).item()
            ]
        );
        assert_eq!(dropped.len(), 2);
        let mut snapshot = Snapshot {
            cluster: older.cluster,
            nodes: older.put_nodes,
            blocks: older.put_blocks,
            ..Snapshot::default()
        };
        assert_eq!(items_of_snapshot(&mut snapshot), put);
        assert_eq!(snapshot, Snapshot::default());
    }
}
