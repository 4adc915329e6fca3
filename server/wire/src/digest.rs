//! A digest of a cluster's desired state: equal on both sides exactly when the state is. Of protocol
//! version 1; later ones hash items ([`crate::item::Items::digest`]).
//!
//! After a full restart of the control plane thousands of agents come back at once; one whose state
//! is current costs a comparison of 32 bytes. The revision is no part of it, so a state that changed
//! and changed back is current.

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::agent::{Block, Cluster, Node};

/// SHA-256 over a state.
pub type Digest = [u8; 32];

/// The digest of a state. `nodes` and `blocks` must come by id, ascending, each id once.
///
/// Hashed are, each as a tag byte, its length in 4 bytes (big endian) and its prost encoding (fields
/// in order of their numbers): the cluster (`c`), the nodes (`n`), the blocks (`b`).
pub fn of<'a>(
    cluster: Option<&Cluster>,
    nodes: impl IntoIterator<Item = &'a Node>,
    blocks: impl IntoIterator<Item = &'a Block>,
) -> Digest {
    let mut hasher = Sha256::new();
    let mut buffer = Vec::new();
    if let Some(cluster) = cluster {
        add(&mut hasher, &mut buffer, b'c', cluster);
    }
    for node in nodes {
        add(&mut hasher, &mut buffer, b'n', node);
    }
    for block in blocks {
        add(&mut hasher, &mut buffer, b'b', block);
    }
    hasher.finalize().into()
}

fn add(hasher: &mut Sha256, buffer: &mut Vec<u8>, tag: u8, message: &impl Message) {
    buffer.clear();
    message.encode(buffer).expect("a vector grows as needed");
    let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    hasher.update([tag]);
    hasher.update(length.to_be_bytes());
    hasher.update(&*buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u8, name: &str) -> Node {
        Node {
            id: vec![id; 16],
            name: name.into(),
            addresses: vec![vec![10, 0, 0, id]],
            machine: Vec::new(),
        }
    }

    #[test]
    fn every_part_counts() {
        let cluster = Cluster {
            id: vec![9; 16],
            name: "shop".into(),
            mtu: 1500,
            ..Cluster::default()
        };
        let nodes = [node(1, "node-1"), node(2, "node-2")];
        let block = Block {
            id: vec![3; 16],
            node_id: vec![1; 16],
            prefix: None,
            lease: Vec::new(),
            leased_at: 0,
        };
        let all = of(Some(&cluster), &nodes, [&block]);
        assert_eq!(all, of(Some(&cluster.clone()), &nodes.clone(), [&block.clone()]));
        let smaller = Cluster {
            mtu: 1450,
            ..cluster.clone()
        };
        let moved = Block {
            node_id: vec![2; 16],
            ..block.clone()
        };
        let others = [
            of(None, &nodes, [&block]),
            of(Some(&smaller), &nodes, [&block]),
            of(Some(&cluster), &nodes[..1], [&block]),
            of(Some(&cluster), &[node(1, "node-1"), node(2, "node-3")], [&block]),
            of(Some(&cluster), &nodes, [&moved]),
            of(Some(&cluster), &nodes, []),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, all, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
    }

    #[test]
    fn the_encoding_is_part_of_the_protocol() {
        // A build that hashes otherwise makes every agent load a snapshot after an upgrade.
        let cluster = Cluster {
            id: vec![9; 16],
            name: "shop".into(),
            mtu: 1500,
            ..Cluster::default()
        };
        let digest = of(Some(&cluster), &[node(1, "node-1")], []);
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "bbfc90881ffb470f");
    }
}
