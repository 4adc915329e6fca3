//! Ordered index from a parent to its children.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Children by parent, in order.
pub(crate) struct Children<P, C>(HashMap<P, BTreeSet<C>>);

impl<P, C> Default for Children<P, C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<P: Eq + Hash, C: Ord + Copy> Children<P, C> {
    /// The children, in order.
    pub(crate) fn of(&self, parent: P) -> impl DoubleEndedIterator<Item = C> {
        self.0.get(&parent).into_iter().flatten().copied()
    }

    /// How many.
    pub(crate) fn count(&self, parent: P) -> u64 {
        self.0.get(&parent).map_or(0, |children| children.len() as u64)
    }

    /// Adds one.
    pub(crate) fn add(&mut self, parent: P, child: C) {
        self.0.entry(parent).or_default().insert(child);
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, parent: P, child: C) {
        if let Some(children) = self.0.get_mut(&parent) {
            children.remove(&child);
            if children.is_empty() {
                self.0.remove(&parent);
            }
        }
    }
}
