//! How a view moves on: whole commits, or objects while loading.

use std::sync::Arc;

use super::View;
use crate::change::{Change, Commit, Op};
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

    /// Sets the revision after loading.
    pub fn set_head(&mut self, head: Revision) {
        self.head = head;
    }

    /// Puts an object in, or in place of the one with its key.
    pub fn put(&mut self, object: Object) {
        let key = object.key();
        if !matches!(object, Object::Port(_)) {
            self.unlink(&key);
        }
        match object {
            Object::Project(o) => {
                self.project_names.insert(o.name.clone(), o.id);
                self.projects.insert(o.id, o);
            }
            Object::User(o) => {
                self.user_names.insert(o.name.clone(), o.id);
                self.users.insert(o.id, o);
            }
            Object::Assignment(o) => {
                self.assigned.insert((o.project, o.user, o.role));
                self.assignments.insert(*o);
            }
            Object::Session(o) => {
                self.user_sessions.insert((o.user, o.hash));
                self.session_ends.insert((o.expires_at, o.hash));
                self.sessions.insert(o.hash, o);
            }
            Object::Idempotency(o) => {
                self.idempotency_ends.insert((o.expires_at, o.hash));
                if let Some(project) = o.project {
                    *self.project_keys.entry(project).or_default() += 1;
                }
                self.idempotency.insert(o.hash, o);
            }
            Object::Network(o) => {
                self.project_networks.add(o.meta.project, o.id);
                if o.external {
                    self.external.insert(o.id);
                }
                self.networks.insert(o.id, o);
            }
            Object::Subnet(o) => {
                self.project_subnets.add(o.meta.project, o.id);
                self.network_subnets.add(o.network, o.id);
                self.network_ranges.insert((o.network, o.cidr.first()), o.id);
                self.subnets.insert(o.id, o);
            }
            Object::Cluster(o) => {
                self.project_clusters.add(o.meta.project, o.id);
                self.network_clusters.add(o.network, o.id);
                let revision = o.feed_revision.max(o.meta.revision);
                self.cluster_revisions
                    .entry(o.id)
                    .and_modify(|r| *r = revision.max(*r))
                    .or_insert(revision);
                self.clusters.insert(o.id, o);
            }
            Object::Node(o) => {
                self.cluster_nodes.add(o.cluster, o.id);
                self.ports.add_node(o.cluster, o.id);
                self.nodes.insert(o.id, o);
            }
            Object::Block(o) => {
                self.cluster_blocks.add(o.cluster, o.id);
                self.node_blocks.add(o.node, o.id);
                self.block_starts.insert((o.subnet, o.cidr.first()), o.id);
                self.blocks.insert(o.id, o);
            }
            Object::Port(o) => self.ports.put(o),
            Object::NodeStatus(o) => {
                self.node_statuses.insert(o.node, o);
            }
            Object::JoinToken(o) => {
                self.cluster_tokens.add(o.cluster, o.id);
                self.token_hashes.insert(o.secret_hash, o.id);
                self.join_tokens.insert(o.id, o);
            }
            Object::ShadowRequest(o) => {
                self.project_requests.add(o.meta.project, o.id);
                self.requests.insert(o.id, o);
            }
            Object::RequestMessage(o) => {
                self.request_messages.add(o.request, o.id);
                self.messages.insert(o.id, o);
            }
        }
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
        self.unlink(key);
        match key {
            Key::Project(id) => drop(self.projects.remove(id)),
            Key::User(id) => drop(self.users.remove(id)),
            Key::Assignment(a) => drop(self.assignments.remove(a)),
            Key::Session(hash) => drop(self.sessions.remove(hash)),
            Key::Idempotency(hash) => drop(self.idempotency.remove(hash)),
            Key::Network(id) => drop(self.networks.remove(id)),
            Key::Subnet(id) => drop(self.subnets.remove(id)),
            Key::Cluster(id) => drop(self.clusters.remove(id)),
            Key::Node(id) => drop(self.nodes.remove(id)),
            Key::Block(id) => drop(self.blocks.remove(id)),
            Key::Port(id) => self.ports.remove(*id),
            Key::NodeStatus(id) => drop(self.node_statuses.remove(id)),
            Key::JoinToken(id) => drop(self.join_tokens.remove(id)),
            Key::ShadowRequest(id) => drop(self.requests.remove(id)),
            Key::RequestMessage(id) => drop(self.messages.remove(id)),
        }
    }

    /// Takes an object out of the indexes.
    fn unlink(&mut self, key: &Key) {
        let Some(object) = self.object(key) else { return };
        match object {
            Object::Project(o) => drop(self.project_names.remove(&o.name)),
            Object::User(o) => drop(self.user_names.remove(&o.name)),
            Object::Assignment(o) => drop(self.assigned.remove(&(o.project, o.user, o.role))),
            Object::Session(o) => {
                self.user_sessions.remove(&(o.user, o.hash));
                self.session_ends.remove(&(o.expires_at, o.hash));
            }
            Object::Idempotency(o) => {
                self.idempotency_ends.remove(&(o.expires_at, o.hash));
                if let Some(project) = o.project
                    && let Some(count) = self.project_keys.get_mut(&project)
                {
                    *count -= 1;
                    if *count == 0 {
                        self.project_keys.remove(&project);
                    }
                }
            }
            Object::Network(o) => {
                self.project_networks.remove(o.meta.project, o.id);
                self.external.remove(&o.id);
            }
            Object::Subnet(o) => {
                self.project_subnets.remove(o.meta.project, o.id);
                self.network_subnets.remove(o.network, o.id);
                self.network_ranges.remove(&(o.network, o.cidr.first()));
            }
            Object::Cluster(o) => {
                self.project_clusters.remove(o.meta.project, o.id);
                self.network_clusters.remove(o.network, o.id);
            }
            Object::Node(o) => {
                self.cluster_nodes.remove(o.cluster, o.id);
                self.ports.remove_node(o.cluster, o.id);
            }
            Object::Block(o) => {
                self.cluster_blocks.remove(o.cluster, o.id);
                self.node_blocks.remove(o.node, o.id);
                self.block_starts.remove(&(o.subnet, o.cidr.first()));
            }
            Object::Port(_) | Object::NodeStatus(_) => {}
            Object::JoinToken(o) => {
                self.cluster_tokens.remove(o.cluster, o.id);
                self.token_hashes.remove(&o.secret_hash);
            }
            Object::ShadowRequest(o) => self.project_requests.remove(o.meta.project, o.id),
            Object::RequestMessage(o) => self.request_messages.remove(o.request, o.id),
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
