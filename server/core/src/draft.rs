//! What the commands of a batch have decided so far, over the view: reads see both, and what a
//! refused command did is taken back.

mod lookups;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use portolan_shared::ids::{ClusterId, NetworkId, NodeId, PortId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use uuid::Uuid;

use crate::alloc::{Mark, Pools};
use crate::change::{Change, Op};
use crate::model::{Clusters, Key, Meta, Micros, Object, ObjectKind, Project, Purpose, Revision, Subnet};
use crate::quotas::{Counted, Quotas};
use crate::view::View;

/// The view with what a batch has decided on top.
pub struct Draft<'a> {
    view: &'a View,
    pools: &'a mut Pools,
    ids: &'a dyn Fn() -> Uuid,
    /// The limits.
    pub quotas: Quotas,
    /// The time of the batch.
    pub now: Micros,
    revision: Revision,
    start: Mark,
    objects: HashMap<Key, Option<Object>>,
    /// Keys put by this batch, by kind (some may be gone again).
    touched: HashMap<ObjectKind, Vec<Key>>,
    addresses: HashMap<(SubnetId, IpAddr), Option<PortId>>,
    macs: HashMap<(NetworkId, MacAddress), Option<PortId>>,
    names: HashMap<(ObjectKind, String), Option<Key>>,
    counts: HashMap<(ProjectId, Counted), i64>,
    mac_cursors: HashMap<ProjectId, u64>,
    command: InCommand,
}

/// What the command being decided has done.
#[derive(Default)]
struct InCommand {
    /// Touched keys in order, with what the overlay held before (`None`: nothing).
    undo: Vec<(Key, Option<Option<Object>>)>,
    /// Keys whose change is no news.
    quiet: HashSet<Key>,
    /// Pods of a report that get no port, and why.
    declined: Vec<(PortId, Refusal)>,
    mark: Option<Mark>,
}

impl<'a> Draft<'a> {
    /// An empty one over `view`.
    pub fn new(view: &'a View, pools: &'a mut Pools, ids: &'a dyn Fn() -> Uuid, quotas: Quotas, now: Micros) -> Self {
        let start = pools.mark();
        Self {
            view,
            revision: view.head(),
            start,
            pools,
            ids,
            quotas,
            now,
            objects: HashMap::new(),
            touched: HashMap::new(),
            addresses: HashMap::new(),
            macs: HashMap::new(),
            names: HashMap::new(),
            counts: HashMap::new(),
            mac_cursors: HashMap::new(),
            command: InCommand::default(),
        }
    }

    /// The revision of the commit that is being decided.
    pub fn revision(&self) -> Revision {
        self.revision + 1
    }

    /// The newest revision: the view's head, or that of the batch's last commit.
    pub fn head(&self) -> Revision {
        self.revision
    }

    /// A fresh id.
    pub fn new_id(&self) -> Uuid {
        (self.ids)()
    }

    /// Meta of something made now.
    pub fn new_meta(&self, project: ProjectId) -> Meta {
        Meta {
            project,
            revision: self.revision(),
            revision_number: 0,
            created_at: self.now,
            updated_at: self.now,
        }
    }

    /// Meta of something changed now.
    pub fn changed(&self, meta: &Meta) -> Meta {
        Meta {
            revision: self.revision(),
            revision_number: meta.revision_number + 1,
            updated_at: self.now.max(meta.updated_at),
            ..*meta
        }
    }

    // ---- one command ----

    /// Begins a command.
    pub fn begin(&mut self) {
        self.command = InCommand {
            mark: Some(self.pools.mark()),
            ..InCommand::default()
        };
    }

    /// Takes back what the command did.
    pub fn refuse(&mut self) {
        let command = std::mem::take(&mut self.command);
        for (key, before) in command.undo.into_iter().rev() {
            let shown = match &before {
                Some(entry) => entry.clone(),
                None => self.view.object(&key),
            };
            self.relink(&key, shown.as_ref());
            match before {
                Some(entry) => self.objects.insert(key, entry),
                None => self.objects.remove(&key),
            };
        }
        if let Some(mark) = command.mark {
            self.pools.rollback(mark);
        }
    }

    /// What the command changed, each object once, in the order first touched; ends the command.
    pub fn accept(&mut self) -> Vec<Change> {
        let command = std::mem::take(&mut self.command);
        let mut seen = HashSet::with_capacity(command.undo.len());
        let mut changes = Vec::with_capacity(command.undo.len());
        for (key, before) in command.undo {
            if !seen.insert(key) {
                continue;
            }
            let before = before.unwrap_or_else(|| self.view.object(&key));
            let after = self.object(&key);
            let op = match (&before, &after) {
                (None, None) => continue,
                (Some(before), Some(after)) if before == after => continue,
                (Some(_), None) => Op::Delete,
                (_, Some(_)) if command.quiet.contains(&key) => Op::Quiet,
                (_, Some(_)) => Op::Put,
            };
            let Some(object) = after.or_else(|| before.clone()) else {
                continue;
            };
            changes.push(self.change(op, object, before));
        }
        if !changes.is_empty() {
            self.revision += 1;
        }
        changes
    }

    /// Notes that a pod of a report gets no port, and why.
    pub fn declines(&mut self, pod: PortId, because: Refusal) {
        self.command.declined.push((pod, because));
    }

    /// Pods that the command being decided declines, and why.
    pub fn declined(&mut self) -> Vec<(PortId, Refusal)> {
        std::mem::take(&mut self.command.declined)
    }

    /// How many objects the command being decided has touched.
    pub fn touched_by_command(&self) -> usize {
        self.command.undo.len()
    }

    fn change(&self, op: Op, object: Object, before: Option<Object>) -> Change {
        let mut change = Change::of(op, object, before, self);
        change.place(|network| {
            let now = self.network(network).map(|n| n.meta.project);
            now.or_else(|| self.view.network(network).map(|n| n.meta.project))
        });
        change
    }

    /// Cursors that have moved, as changes of the batch's last commit.
    pub fn cursors(&mut self) -> Vec<Change> {
        let mut moved = Vec::new();
        for id in self.pools.walked_since(self.start) {
            if let Some(cursor) = self.pools.cursor_to_store(id)
                && let Some(subnet) = self.subnet(id)
            {
                moved.push(Object::from(Subnet {
                    cursor: Some(cursor),
                    ..(*subnet).clone()
                }));
            }
        }
        let mut cursors: Vec<(ProjectId, u64)> = self.mac_cursors.iter().map(|(id, c)| (*id, *c)).collect();
        cursors.sort_unstable();
        for (id, mac_cursor) in cursors {
            if let Some(project) = self.project(id).filter(|p| p.mac_cursor != mac_cursor) {
                moved.push(Object::from(Project {
                    mac_cursor,
                    ..(*project).clone()
                }));
            }
        }
        let quiet = |object: Object| {
            let before = self.object(&object.key());
            self.change(Op::Quiet, object, before)
        };
        moved.into_iter().map(quiet).collect()
    }

    /// Takes back the whole batch.
    pub fn abandon(self) {
        self.pools.rollback(self.start);
    }

    // ---- allocation ----

    /// The address the walk of a subnet gives next; the first of a block, for a pod subnet.
    pub fn next_address(&self, subnet: SubnetId) -> Option<IpAddr> {
        self.pools.next(subnet)
    }

    /// The same, passing over `taken`.
    pub fn next_address_but(&mut self, subnet: SubnetId, taken: &[IpAddr]) -> Option<IpAddr> {
        let mark = self.pools.mark();
        for address in taken {
            self.pools.take(subnet, *address);
        }
        let next = self.pools.next(subnet);
        self.pools.rollback(mark);
        next
    }

    /// How many addresses the walk of a subnet could still give.
    pub fn room(&self, subnet: SubnetId) -> u128 {
        self.pools.room(subnet)
    }

    /// Says that the walk gave this address. It is taken by the port or block that is put with it.
    pub fn walked_to(&mut self, subnet: SubnetId, address: IpAddr) {
        self.pools.walked_to(subnet, address);
    }

    /// The next MAC address of a project's walk that is free in a network.
    pub fn next_mac(&mut self, project: &Project, network: NetworkId) -> MacAddress {
        let mut cursor = self.mac_cursors.get(&project.id).copied().unwrap_or(project.mac_cursor);
        let mac = loop {
            let mac = MacAddress::from_u64(cursor);
            cursor = mac_after(cursor);
            if self.port_with_mac(network, mac).is_none() {
                break mac;
            }
        };
        self.mac_cursors.insert(project.id, cursor);
        mac
    }

    // ---- writes ----

    /// Puts an object in, or in place of the one with its key.
    pub fn put(&mut self, object: impl Into<Object>) -> Object {
        let object = object.into();
        self.command.quiet.remove(&object.key());
        self.replace(object.key(), Some(object.clone()));
        object
    }

    /// The same, but it is no news for anybody.
    pub fn put_quiet(&mut self, object: impl Into<Object>) {
        let object = object.into();
        let key = object.key();
        if !self.command.undo.iter().any(|(touched, _)| *touched == key) {
            self.command.quiet.insert(key);
        }
        self.replace(key, Some(object));
    }

    /// Takes an object out.
    pub fn delete(&mut self, key: Key) {
        self.command.quiet.remove(&key);
        self.replace(key, None);
    }

    fn replace(&mut self, key: Key, object: Option<Object>) {
        let before = self.objects.get(&key).cloned();
        let shown = match &before {
            Some(entry) => entry.clone(),
            None => self.view.object(&key),
        };
        self.reallocate(shown.as_ref(), object.as_ref());
        self.relink(&key, object.as_ref());
        if before.is_none() {
            self.touched.entry(key.kind()).or_default().push(key);
        }
        self.command.undo.push((key, before));
        self.objects.insert(key, object);
    }

    /// Moves what the pools know from one state of an object to another.
    fn reallocate(&mut self, from: Option<&Object>, to: Option<&Object>) {
        let used = match (from, to) {
            (Some(Object::Subnet(from)), Some(Object::Subnet(to))) if from.pools != to.pools => self.used_addresses(to),
            _ => Vec::new(),
        };
        self.pools.change(from, to, |_| used);
    }

    /// Addresses of a general subnet in use, sorted.
    fn used_addresses(&self, subnet: &Subnet) -> Vec<IpAddr> {
        if matches!(subnet.purpose, Purpose::Pods(_)) {
            return Vec::new();
        }
        let stored = self.view.ports_by_address(subnet.id, None).map(|(address, _)| address);
        let mut used: Vec<IpAddr> = stored
            .filter(|address| self.addresses.get(&(subnet.id, *address)) != Some(&None))
            .collect();
        used.extend(
            self.addresses
                .iter()
                .filter(|((id, _), holder)| *id == subnet.id && holder.is_some())
                .map(|((_, address), _)| *address),
        );
        used.sort_unstable();
        used.dedup();
        used
    }

    /// Moves the overlay's indexes from the object as it is seen now to `to`.
    fn relink(&mut self, key: &Key, to: Option<&Object>) {
        if let Some(from) = self.object(key) {
            self.link(&from, -1);
        }
        if let Some(to) = to {
            self.link(to, 1);
        }
    }

    fn link(&mut self, object: &Object, by: i64) {
        let here = by > 0;
        if let Some(counted) = object.counted() {
            *self.counts.entry(counted).or_default() += by;
        }
        if let Some(name) = object.unique_name() {
            let key = object.key();
            self.names.insert((key.kind(), name.to_owned()), here.then_some(key));
        }
        if let Object::Port(port) = object {
            let holder = here.then_some(port.id);
            self.macs.insert((port.network, port.mac), holder);
            for ip in &port.fixed_ips {
                self.addresses.insert((ip.subnet, ip.address), holder);
            }
        }
    }
}

impl Clusters for Draft<'_> {
    fn of_node(&self, node: NodeId) -> Option<ClusterId> {
        let node = self.node(node).or_else(|| self.view.node(node).cloned());
        node.map(|node| node.cluster)
    }

    fn of_network(&self, network: NetworkId) -> Option<ClusterId> {
        self.view.clusters_in(network).next().map(|cluster| cluster.id)
    }
}

/// OpenStack's prefix of MAC addresses, fa:16:3e.
const MAC_PREFIX: u64 = 0xfa16_3e00_0000;
/// Addresses under that prefix.
const MAC_MASK: u64 = 0xff_ffff;

/// Where a project's walk over MAC addresses starts: apart from others', by the random end of its id.
/// Where two walks meet in one network, what is taken is skipped.
pub fn mac_base(project: ProjectId) -> u64 {
    let bytes = project.as_bytes();
    MAC_PREFIX | u64::from_be_bytes([0, 0, 0, 0, 0, bytes[13], bytes[14], 0])
}

/// The next MAC address after this, round and round under the prefix.
fn mac_after(mac: u64) -> u64 {
    MAC_PREFIX | ((mac + 1) & MAC_MASK)
}
