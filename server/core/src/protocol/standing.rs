//! Who a machine is that shows a certificate.

use portolan_shared::ids::{ClusterId, NodeId};

use crate::kinds::removed_nodes::RemovedNode;
use crate::view::View;

/// Who a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The node that its certificate names.
    Node,
    /// That node was removed, or is another machine now: this was written down.
    Removed,
    /// A node that was found again, and that nobody has admitted yet.
    Waits,
    /// Not known. A store that was put back knows less than its nodes, and the next one may know them again.
    Unknown,
}

impl Standing {
    /// Of a machine by the SHA-256 of its key, whose certificate names this node.
    pub fn of(view: &View, cluster: ClusterId, node: NodeId, machine: [u8; 32]) -> Self {
        let known = view.node(node);
        if known.is_some_and(|node| node.cluster == cluster && node.key_hash == Some(machine)) {
            return Self::Node;
        }
        if view.get::<RemovedNode>(machine).is_some() {
            return Self::Removed;
        }
        if known.is_some_and(|node| node.found == Some(machine)) {
            return Self::Waits;
        }
        Self::Unknown
    }
}
