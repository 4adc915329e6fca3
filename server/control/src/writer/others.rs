//! Commits of other processes: what a replica takes into its view.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_core::change::{Change, Commit, Op};
use portolan_core::model::{Key, Object};
use portolan_core::view::View;
use portolan_shared::ids::{NetworkId, ProjectId};

use super::Writer;

impl Writer {
    /// Applies commits of other processes.
    pub(super) fn take_in(&mut self, others: Vec<Commit>) {
        if others.is_empty() {
            return;
        }
        let mut view = self.view.write();
        view.set_history(self.store.history());
        let mut published = Vec::with_capacity(others.len());
        for mut commit in others {
            fill_in(&view, &mut commit.changes);
            // As in the view: first everything given up goes back to the pools, then the rest is taken from them.
            view.take_out(&commit.changes);
            for change in &commit.changes {
                if holds_addresses(&change.object) {
                    self.pools.change(change.before.as_ref(), None, |_| Vec::new());
                }
            }
            for change in &commit.changes {
                let before = change.before.as_ref().filter(|object| !holds_addresses(object));
                let after = (change.op != Op::Delete).then_some(&change.object);
                self.pools.change(before, after, |subnet| view.taken(subnet));
                if let Object::Subnet(subnet) = &change.object {
                    self.pools.cursor_stored(subnet);
                }
                view.apply_change(change, commit.revision);
            }
            view.set_head(commit.revision);
            published.push(Arc::new(commit));
        }
        drop(view);
        self.pools.settle();
        self.feed.publish(&published);
    }
}

/// Fills in what the store does not say of other processes' changes: what the object was before (a commit may change it
/// twice), and in whose network a hidden port is.
fn fill_in(view: &View, changes: &mut [Change]) {
    let made: HashMap<NetworkId, ProjectId> = changes
        .iter()
        .filter_map(|change| match &change.object {
            Object::Network(network) => Some((network.id, network.meta.project)),
            _ => None,
        })
        .collect();
    for change in changes.iter_mut() {
        change.place(|id| match view.network(id) {
            Some(network) => Some(network.meta.project),
            None => made.get(&id).copied(),
        });
    }
    let mut seen: HashMap<Key, Option<Object>> = HashMap::with_capacity(changes.len());
    for change in changes {
        let after = (change.op != Op::Delete).then(|| change.object.clone());
        change.before = match seen.insert(change.key, after) {
            Some(before) => before,
            None => view.object(&change.key),
        };
    }
}

/// Whether an object takes addresses out of a pool.
fn holds_addresses(object: &Object) -> bool {
    matches!(object, Object::Port(_) | Object::Block(_) | Object::QuarantinedBlock(_))
}
