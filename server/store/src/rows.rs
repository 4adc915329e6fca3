//! Objects and commits as rows, for both engines: what a batch comes to, and back again.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_core::audience::Audience;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::command::{Actor, Via};
use portolan_core::history::{Incarnation, Span};
use portolan_core::model::{FixedIp, Key, Object, ObjectKind, Port, Revision, Value, address_bytes};
use portolan_shared::ids::{ClusterId, NodeId, ProjectId, UserId};
use portolan_shared::v1::Through;
use uuid::Uuid;

use super::{StoreError, Trim, upgrade};

/// Bits of a position in the change table that number a commit's changes.
const N_BITS: u32 = 20;
/// Most changes of one commit.
pub const MAX_CHANGES: usize = 1 << N_BITS;

/// Position of the first change of a revision; changes of a commit follow each other.
pub(super) fn position(revision: Revision) -> i64 {
    i64::try_from(revision << N_BITS).expect("8 thousand billion revisions are not reached")
}

/// The revision a position belongs to.
pub(super) fn revision_at(position: i64) -> Revision {
    Revision::try_from(position >> N_BITS).unwrap_or(0)
}

/// Where the run begins that commits these.
pub(super) fn begun(incarnation: Option<Incarnation>, commits: &[Arc<Commit>]) -> Option<Span> {
    let first = commits.first()?.revision;
    incarnation.map(|incarnation| Span { incarnation, first })
}

pub(super) fn actor_bytes(actor: Actor) -> Vec<u8> {
    let (tag, id): (u8, &[u8]) = match &actor {
        Actor::System => (0, &[]),
        Actor::User(id) => (1, id.as_bytes()),
        Actor::Node(id) => (2, id.as_bytes()),
    };
    let mut bytes = vec![tag];
    bytes.extend(id);
    bytes
}

pub(super) fn actor_of(bytes: &[u8]) -> Result<Actor, StoreError> {
    let id = || <[u8; 16]>::try_from(&bytes[1..]).map_err(|_| StoreError::Corrupt("an actor's id".to_owned()));
    match bytes.first() {
        Some(0) => Ok(Actor::System),
        Some(1) => Ok(Actor::User(UserId::from_bytes(id()?))),
        Some(2) => Ok(Actor::Node(NodeId::from_bytes(id()?))),
        _ => Err(StoreError::Corrupt("an actor".to_owned())),
    }
}

/// How an audience is written; 0 is nobody's.
pub(super) const fn level(audience: Audience) -> i64 {
    match audience {
        Audience::Everyone => 1,
        Audience::Provider => 2,
    }
}

const fn through_number(through: Through) -> i64 {
    match through {
        Through::System => 0,
        Through::Console => 1,
        Through::Api => 2,
        Through::Agent => 3,
    }
}

/// Through what; what an older program wrote is the control plane's.
pub(super) fn through_of(number: i64) -> Through {
    [Through::Console, Through::Api, Through::Agent]
        .into_iter()
        .find(|through| through_number(*through) == number)
        .unwrap_or(Through::System)
}

/// A request's id.
pub(super) fn uuid_of(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

/// A row of the change table to be written.
pub(super) struct ChangeRow {
    pub(super) position: i64,
    pub(super) at: i64,
    pub(super) kind: ObjectKind,
    pub(super) id: Vec<u8>,
    pub(super) project: Option<Vec<u8>>,
    pub(super) cluster: Option<Vec<u8>>,
    pub(super) op: i64,
    pub(super) actor: Arc<[u8]>,
    pub(super) body: Vec<u8>,
    /// Who may read it in the audit; 0: nobody.
    pub(super) audited: i64,
    /// 1: the object was not there before.
    pub(super) made: i64,
    pub(super) through: i64,
    pub(super) by_provider: i64,
    pub(super) request: Option<Uuid>,
}

impl ChangeRow {
    /// The request's id as it is stored.
    pub(super) fn request(&self) -> Option<&[u8]> {
        self.request.as_ref().map(|uuid| &uuid.as_bytes()[..])
    }
}

/// A row of an object's table to be written; the body is that of a change.
pub(super) struct ObjectRow {
    pub(super) change: usize,
    pub(super) revision: i64,
    pub(super) extra: Vec<Value>,
}

/// What a batch comes to for one kind's table.
#[derive(Default)]
pub(super) struct KindRows {
    /// Ids.
    pub(super) deletes: Vec<Vec<u8>>,
    pub(super) updates: Vec<ObjectRow>,
    pub(super) inserts: Vec<ObjectRow>,
}

/// An address of a port, for the backstop index.
pub(super) struct AddressRow {
    pub(super) subnet: Vec<u8>,
    pub(super) address: Vec<u8>,
    pub(super) port: Vec<u8>,
}

/// What a batch comes to: several changes of one object are one row.
pub(super) struct Net {
    pub(super) changes: Vec<ChangeRow>,
    pub(super) kinds: Vec<(ObjectKind, KindRows)>,
    /// By subnet and address; the port does not matter.
    pub(super) address_deletes: Vec<AddressRow>,
    pub(super) address_inserts: Vec<AddressRow>,
    /// The new head.
    pub(super) revision: Revision,
}

/// An object's way through a batch.
struct Path {
    before: Option<Object>,
    after: Option<Object>,
    /// Index of the last change.
    change: usize,
    revision: Revision,
}

impl Net {
    pub(super) fn of(commits: &[Arc<Commit>]) -> Result<Self, StoreError> {
        let corrupt = |e: serde_json::Error| StoreError::Failed(e.to_string());
        let mut changes = Vec::with_capacity(commits.iter().map(|c| c.changes.len()).sum());
        let mut order: Vec<Path> = Vec::with_capacity(changes.capacity());
        let mut paths: HashMap<Key, usize> = HashMap::with_capacity(changes.capacity());
        for commit in commits {
            let actor: Arc<[u8]> = actor_bytes(commit.actor).into();
            for (n, change) in (0_i64..).zip(&commit.changes) {
                let at = changes.len();
                changes.push(ChangeRow {
                    position: position(commit.revision) + n,
                    at: commit.at,
                    kind: change.key.kind(),
                    id: change.key.bytes(),
                    project: change.project.map(|id| id.as_bytes().to_vec()),
                    cluster: change.cluster.map(|id| id.as_bytes().to_vec()),
                    op: op_number(change.op),
                    actor: Arc::clone(&actor),
                    body: change.object.body().map_err(corrupt)?,
                    audited: if change.audited() {
                        level(change.audience(commit.revision))
                    } else {
                        0
                    },
                    made: i64::from(change.before.is_none()),
                    through: through_number(commit.via.through),
                    by_provider: i64::from(commit.by_provider),
                    request: commit.via.request,
                });
                let after = (change.op != Op::Delete).then(|| change.object.clone());
                let path = *paths.entry(change.key).or_insert_with(|| {
                    order.push(Path {
                        before: change.before.clone(),
                        after: None,
                        change: at,
                        revision: 0,
                    });
                    order.len() - 1
                });
                let path = &mut order[path];
                (path.after, path.change, path.revision) = (after, at, commit.revision);
            }
        }
        let mut net = Self {
            changes,
            kinds: ObjectKind::ALL
                .iter()
                .map(|kind| (*kind, KindRows::default()))
                .collect(),
            address_deletes: Vec::new(),
            address_inserts: Vec::new(),
            revision: commits.last().map_or(0, |c| c.revision),
        };
        for path in order {
            net.add(&path);
        }
        net.kinds
            .retain(|(_, rows)| !(rows.deletes.is_empty() && rows.updates.is_empty() && rows.inserts.is_empty()));
        Ok(net)
    }

    fn add(&mut self, path: &Path) {
        let kind = self.changes[path.change].kind;
        let Some((_, rows)) = self.kinds.iter_mut().find(|(k, _)| *k == kind) else {
            return;
        };
        let row = |object: &Object| ObjectRow {
            change: path.change,
            revision: i64::try_from(path.revision).unwrap_or(i64::MAX),
            extra: object.columns(),
        };
        match (&path.before, &path.after) {
            (None, None) => {}
            (None, Some(after)) => rows.inserts.push(row(after)),
            (Some(_), None) => rows.deletes.push(self.changes[path.change].id.clone()),
            (Some(before), Some(after)) if before.columns() != after.columns() => {
                rows.deletes.push(self.changes[path.change].id.clone());
                rows.inserts.push(row(after));
            }
            (Some(_), Some(after)) => rows.updates.push(row(after)),
        }
        if kind == ObjectKind::Port {
            let (before, after) = (port(path.before.as_ref()), port(path.after.as_ref()));
            let ips = |port: Option<&Port>| port.map_or_else(Vec::new, |p| p.fixed_ips.to_vec());
            let (old, new) = (ips(before), ips(after));
            let row = |ip: &FixedIp| AddressRow {
                subnet: ip.subnet.as_bytes().to_vec(),
                address: address_bytes(ip.address),
                port: self.changes[path.change].id.clone(),
            };
            let (gone, come) = (
                old.iter().filter(|ip| !new.contains(ip)).map(row).collect::<Vec<_>>(),
                new.iter().filter(|ip| !old.contains(ip)).map(row).collect::<Vec<_>>(),
            );
            self.address_deletes.extend(gone);
            self.address_inserts.extend(come);
        }
    }
}

fn port(object: Option<&Object>) -> Option<&Port> {
    match object {
        Some(Object::Port(port)) => Some(port),
        _ => None,
    }
}

fn op_number(op: Op) -> i64 {
    match op {
        Op::Put => 0,
        Op::Delete => 1,
        Op::Quiet => 2,
    }
}

/// A row of the change table as read.
pub(super) struct ReadRow {
    pub(super) position: i64,
    pub(super) at: i64,
    pub(super) kind: String,
    pub(super) project: Option<Vec<u8>>,
    pub(super) cluster: Option<Vec<u8>>,
    pub(super) op: i64,
    pub(super) actor: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) body_version: i64,
    pub(super) through: i64,
    pub(super) by_provider: i64,
    pub(super) request: Option<Vec<u8>>,
}

/// Columns of a [`ReadRow`], in order.
pub(super) const READ: &str =
    "position, at, kind, project, cluster, op, actor, body, body_version, through, by_provider, request";

/// Rows newest first, at most `limit`: in order, without the oldest commit if it may be cut.
pub(super) fn whole(mut rows: Vec<ReadRow>, limit: usize) -> Vec<ReadRow> {
    rows.reverse();
    if rows.len() == limit
        && let Some(cut) = rows.first().map(|row| revision_at(row.position))
    {
        rows.retain(|row| revision_at(row.position) != cut);
    }
    rows
}

/// Rows in order of position, as whole commits.
pub(super) fn commits_of(rows: Vec<ReadRow>) -> Result<Vec<Commit>, StoreError> {
    let mut commits: Vec<(Commit, Vec<Change>)> = Vec::new();
    for row in rows {
        let revision = revision_at(row.position);
        let change = change_of(&row)?;
        match commits.last_mut() {
            Some((last, changes)) if last.revision == revision => changes.push(change),
            _ => {
                let commit = Commit {
                    revision,
                    at: row.at,
                    actor: actor_of(&row.actor)?,
                    via: Via {
                        through: through_of(row.through),
                        request: row.request.as_deref().and_then(uuid_of),
                    },
                    by_provider: row.by_provider != 0,
                    changes: Box::default(),
                };
                commits.push((commit, vec![change]));
            }
        }
    }
    let whole = |(commit, changes): (Commit, Vec<Change>)| Commit {
        changes: changes.into(),
        ..commit
    };
    Ok(commits.into_iter().map(whole).collect())
}

fn change_of(row: &ReadRow) -> Result<Change, StoreError> {
    let kind = ObjectKind::of_table(&row.kind).ok_or_else(|| StoreError::Corrupt(format!("kind {}", row.kind)))?;
    let object = upgrade::object(kind, row.body_version, &row.body)?;
    let op = match row.op {
        0 => Op::Put,
        1 => Op::Delete,
        2 => Op::Quiet,
        other => return Err(StoreError::Corrupt(format!("op {other}"))),
    };
    let id = |bytes: &Option<Vec<u8>>| bytes.as_ref().and_then(|b| <[u8; 16]>::try_from(&b[..]).ok());
    Ok(Change {
        op,
        key: object.key(),
        before: (op == Op::Delete).then(|| object.clone()),
        object,
        project: id(&row.project).map(ProjectId::from_bytes),
        cluster: id(&row.cluster).map(ClusterId::from_bytes),
        inside: None,
    })
}

/// Commits that go on from `known` without a gap up to `head`. `floor` is to be read after them: what was
/// forgotten up to then is not whole, whatever is left of it.
pub(super) fn without_gap(
    commits: Vec<Commit>,
    known: Revision,
    head: Revision,
    floor: Revision,
) -> Result<Vec<Commit>, StoreError> {
    let complete = known >= floor
        && head.checked_sub(known) == Some(commits.len() as u64)
        && commits
            .iter()
            .zip(known + 1..)
            .all(|(commit, revision)| commit.revision == revision);
    if complete {
        Ok(commits)
    } else {
        Err(StoreError::Compacted(known))
    }
}

/// The newest commits without those that are not whole any more.
pub(super) fn after_floor(mut commits: Vec<Commit>, floor: Revision) -> Vec<Commit> {
    commits.retain(|commit| commit.revision > floor);
    commits
}

/// How many rows to look past for a [`Cut`]: a step of them, and, where the oldest commit alone is
/// longer than that, all that may go.
pub(super) fn reaches(rows: u64, trim: &Trim) -> impl Iterator<Item = i64> + use<> {
    let most = rows.saturating_sub(trim.keep).min(MAX_CHANGES as u64);
    let step = most.min(trim.step);
    let further = (most > step).then_some(most);
    std::iter::once(step)
        .chain(further)
        .filter(|count| *count > 0)
        .map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

/// What trimming moves the feed's floor by, found by the first rows behind it.
pub(super) struct Cut {
    /// The new floor.
    pub(super) floor: Revision,
    /// Rows from here on, the old floor's end.
    pub(super) from: i64,
    /// Rows before this, whole commits only.
    pub(super) to: i64,
}

impl Cut {
    /// From the last row that may go and the old floor; `None` if no whole commit may.
    pub(super) fn of(last: i64, floor: Revision) -> Option<Self> {
        // Whole commits only: the one that the last row belongs to stays.
        let new = revision_at(last).checked_sub(1)?;
        (new > floor).then(|| Self {
            floor: new,
            from: position(floor + 1),
            to: position(new + 1),
        })
    }
}

/// The end of the oldest audited rows that are older than `before`, and how many they are; rows are
/// positions and times, oldest first.
pub(super) fn outdated(rows: &[(i64, i64)], before: i64) -> Option<(i64, u64)> {
    let old = rows.iter().take_while(|(_, at)| *at < before).count();
    let (last, _) = rows.get(old.checked_sub(1)?)?;
    Some((last + 1, old as u64))
}
