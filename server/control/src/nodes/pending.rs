//! What nodes say of themselves, on its way to the store.

use std::collections::{BTreeMap, BTreeSet};

use portolan_shared::ids::NodeId;

/// By node: what waits to be written, and of whom something is being written.
pub(super) struct Pending<T> {
    /// What waits.
    pub(super) waiting: BTreeMap<NodeId, T>,
    writing: BTreeSet<NodeId>,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            writing: BTreeSet::new(),
        }
    }
}

impl<T> Pending<T> {
    /// Whether something of this node waits or is being written: what the view has is then not what will be stored, and
    /// what equals it is news all the same.
    pub(super) fn holds(&self, node: NodeId) -> bool {
        self.waiting.contains_key(&node) || self.writing.contains(&node)
    }

    /// Of these something is being written from now on, and of no others.
    pub(super) fn write(&mut self, nodes: impl Iterator<Item = NodeId>) {
        self.writing = nodes.collect();
    }

    /// What was being written is in the view, or waits again.
    pub(super) fn written(&mut self) {
        self.writing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_is_held_until_it_is_written() {
        let node = NodeId::from_bytes([1; 16]);
        let mut pending = Pending::default();
        assert!(!pending.holds(node));
        pending.waiting.insert(node, "online");
        assert!(pending.holds(node));
        pending.waiting.clear();
        pending.write([node].into_iter());
        assert!(pending.holds(node), "the view has what was before");
        pending.written();
        assert!(!pending.holds(node));
    }
}
