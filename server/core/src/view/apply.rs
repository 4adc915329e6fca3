//! How a view moves on: whole commits, or objects while loading.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::View;
use crate::change::{Change, Commit, Op};
use crate::history::History;
use crate::model::{Key, Object, Revision};

impl View {
    /// Applies a commit: after it, the view is at the commit's revision.
    ///
    /// Changes come in the order first touched, and what one object gives up another may take (an
    /// address, a name): so all that was goes out before anything goes in.
    pub fn apply(&mut self, commit: &Commit) {
        self.take_out(&commit.changes);
        for change in &commit.changes {
            self.apply_change(change, commit.revision);
        }
        self.head = commit.revision;
    }

    /// Takes out what the changed objects were.
    pub fn take_out(&mut self, changes: &[Change]) {
        for change in changes {
            self.withdraw(&change.key);
        }
    }

    /// Applies one change of a commit whose objects were taken out; the head stays.
    pub fn apply_change(&mut self, change: &Change, revision: Revision) {
        match change.op {
            Op::Put | Op::Quiet => self.put(change.object.clone()),
            Op::Delete => self.remove(&change.key),
        }
        if change.concerns_agents()
            && let Some(cluster) = change.cluster
            && let Some(known) = self.cluster_revisions.get_mut(&cluster)
        {
            *known = revision;
        }
    }

    /// Says which runs wrote what it holds, and what is applied next.
    pub fn set_history(&mut self, history: &History) {
        // Nobody draws the same run twice, so two histories that end with the same one are the same.
        if self.history.newest() != history.newest() {
            self.history.clone_from(history);
        }
    }

    /// Sets the revision after loading.
    pub fn set_head(&mut self, head: Revision) {
        self.head = head;
    }

    /// Puts an object in, or in place of the one with its key.
    pub fn put(&mut self, object: Object) {
        if let Object::Cluster(cluster) = &object {
            let revision = cluster.feed_revision.max(cluster.meta.revision);
            let known = self.cluster_revisions.entry(cluster.id).or_insert(revision);
            *known = revision.max(*known);
        }
        if let Some(counted) = object.counted() {
            *self.counts.entry(counted).or_default() += 1;
        }
        let old = self.tables.put(object);
        self.uncount(old);
    }

    /// Takes an object out, and what is remembered of it.
    pub fn remove(&mut self, key: &Key) {
        self.withdraw(key);
        if let Key::Cluster(id) = key {
            self.cluster_revisions.remove(id);
        }
    }

    /// Takes an object out.
    fn withdraw(&mut self, key: &Key) {
        let old = self.tables.take(key);
        self.uncount(old);
    }

    fn uncount(&mut self, old: Option<Object>) {
        let Some(counted) = old.and_then(|old| old.counted()) else {
            return;
        };
        if let Entry::Occupied(mut count) = self.counts.entry(counted) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

const _: fn() = || {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Arc<View>>();
};

#[cfg(test)]
mod tests {
    use portolan_shared::ids::{NetworkId, NodeId, PortId, ProjectId, SubnetId};
    use portolan_shared::mac::MacAddress;

    use super::*;
    use crate::command::Actor;
    use crate::model::{FixedIp, Meta, Port, owner};
    use crate::view::PortScope;

    const SUBNET: SubnetId = SubnetId::from_bytes([4; 16]);

    fn pod(id: u8, last: u8) -> Object {
        Object::from(Port {
            id: PortId::from_bytes([id; 16]),
            meta: Meta {
                project: ProjectId::from_bytes([1; 16]),
                revision: 1,
                revision_number: 0,
                created_at: 0,
                updated_at: 0,
            },
            network: NetworkId::from_bytes([2; 16]),
            name: "".into(),
            description: "".into(),
            mac: MacAddress::new([10, 88, 0, 0, 0, last]),
            fixed_ips: Box::new([FixedIp {
                subnet: SUBNET,
                address: [10, 1, 0, last].into(),
            }]),
            admin_state_up: true,
            device_owner: owner::POD.into(),
            device_id: "".into(),
            node: Some(NodeId::from_bytes([3; 16])),
            host: "".into(),
            pod: None,
            port_security_enabled: true,
        })
    }

    #[test]
    fn an_address_may_go_from_one_port_to_another_in_one_commit() {
        let (heir, older, moved) = (pod(1, 7), pod(2, 9), pod(1, 9));
        let change = |op, object: &Object| Change::of(op, object.clone(), None, &());
        // The heir is touched first, and so it comes first.
        let commit = |revision, changes: Vec<Change>| Commit {
            revision,
            at: 0,
            actor: Actor::System,
            via: crate::command::Via::SYSTEM,
            by_provider: false,
            changes: changes.into(),
        };
        let mut view = View::default();
        view.apply(&commit(1, vec![change(Op::Put, &heir), change(Op::Put, &older)]));
        view.apply(&commit(2, vec![change(Op::Put, &moved), change(Op::Delete, &older)]));
        let holder = view.port_at(SUBNET, [10, 1, 0, 9].into());
        assert_eq!(holder.map(|port| port.id), Some(PortId::from_bytes([1; 16])));
        assert!(view.port_at(SUBNET, [10, 1, 0, 7].into()).is_none());
        let by_mac = view.port_with_mac(NetworkId::from_bytes([2; 16]), MacAddress::new([10, 88, 0, 0, 0, 9]));
        assert_eq!(by_mac.map(|port| port.id), Some(PortId::from_bytes([1; 16])));
        assert_eq!(view.port_count(PortScope::Subnet(SUBNET)), 1);
        assert_eq!(view.subnet_use(SUBNET).used, 1);
        view.remove(&moved.key());
        assert_eq!(view.subnet_use(SUBNET).used, 0, "nothing of it is left");
    }
}
