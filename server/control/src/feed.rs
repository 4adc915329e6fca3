//! Commits, told to whoever follows: readers hold a revision and pull what came after it.
//!
//! The ring keeps the newest commits in memory. Nobody waits for a reader: one that falls behind
//! the ring is told [`Next::Reset`] and starts again from a snapshot of the view. A reader of one
//! cluster is woken only by commits that change what its agents are sent, so that ten thousand idle
//! agents cost a commit nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;
use portolan_shared::ids::{ClusterId, ProjectId};
use tokio::sync::watch;

use crate::command::{Actor, Via};
use crate::model::{Key, Micros, Object, ObjectKind, Revision};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Made or changed; [`Change::object`] is how it is now.
    Put,
    /// Gone; [`Change::object`] is how it was.
    Delete,
    /// Changed in what only the control plane sees (cursors): no news for anybody.
    Quiet,
}

/// One object's change in a commit.
#[derive(Debug, Clone)]
pub struct Change {
    /// What happened.
    pub op: Op,
    /// To what.
    pub key: Key,
    /// How it is now; for [`Op::Delete`], how it was.
    pub object: Object,
    /// How it was before, if it was there; unknown (`None`) for commits read back after a restart or
    /// made by another replica before this one looked.
    pub before: Option<Object>,
    /// Whose it is; `None` for users and the like.
    pub project: Option<ProjectId>,
    /// The cluster it belongs to or is bound in.
    pub cluster: Option<ClusterId>,
}

impl Change {
    /// Whether agents of its cluster are sent something because of it.
    pub fn concerns_agents(&self) -> bool {
        let kind = matches!(
            self.key.kind(),
            ObjectKind::Cluster | ObjectKind::Node | ObjectKind::Block | ObjectKind::Network
        );
        self.op != Op::Quiet && self.cluster.is_some() && kind
    }
}

/// All changes of one revision.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its number.
    pub revision: Revision,
    /// When it was decided.
    pub at: Micros,
    /// Who asked.
    pub actor: Actor,
    /// Through what.
    pub via: Via,
    /// Whether whoever asked is the provider's: customers do not read their name.
    pub by_provider: bool,
    /// In the order decided.
    pub changes: Box<[Change]>,
}

/// What a reader gets next.
#[derive(Debug, Clone)]
pub enum Next {
    /// The next commit after the reader's cursor.
    Commit(Arc<Commit>),
    /// What came after the cursor is gone: read the view anew; the cursor is at `head` now.
    Reset {
        /// The head; a view read from now on is at least there.
        head: Revision,
    },
    /// The control plane is closing.
    Closed,
}

/// The newest commits, and who waits for the next.
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    ring: RwLock<Ring>,
    head: watch::Sender<Revision>,
    /// Most changes kept, and most bytes of them.
    capacity: usize,
}

/// Bytes that a change may take of the ring on average, before fewer changes are kept.
const CHANGE_BYTES: usize = 1024;

/// Bytes that a change holds in memory, about: those of the few kinds that can be large counted, for
/// others a guess.
fn bytes(change: &Change) -> usize {
    let of = |object: &Object| match object {
        Object::NodeStatus(status) => status
            .exceptions
            .iter()
            .map(|e| e.kind.len() + e.reason.len() + 64)
            .sum(),
        Object::Subnet(subnet) => (subnet.pools.len() + subnet.routes.len() + subnet.dns.len()) * 64,
        Object::RequestMessage(message) => message.text.len(),
        Object::Port(port) => port.name.len() + port.description.len() + port.device_id.len() + port.host.len(),
        _ => 0,
    };
    CHANGE_BYTES / 4 + of(&change.object) + change.before.as_ref().map_or(0, of)
}

fn size(commit: &Commit) -> usize {
    commit.changes.iter().map(bytes).sum()
}

struct Ring {
    /// Commits `floor + 1 ..= head`, without gaps.
    commits: VecDeque<Arc<Commit>>,
    /// The newest commit that is no longer kept.
    floor: Revision,
    head: Revision,
    /// Changes kept, over all commits.
    changes: usize,
    /// Bytes of them.
    bytes: usize,
    clusters: HashMap<ClusterId, ClusterRing>,
    closed: bool,
}

struct ClusterRing {
    commits: VecDeque<Arc<Commit>>,
    /// Nothing that concerns the cluster is missing after this: others' commits do not move it.
    floor: Revision,
    wake: watch::Sender<Revision>,
}

impl ClusterRing {
    fn new(floor: Revision) -> Self {
        Self {
            commits: VecDeque::new(),
            floor,
            wake: watch::Sender::new(0),
        }
    }
}

impl Feed {
    /// An empty feed at `head` that keeps at most `capacity` changes, fewer if they are large.
    pub fn new(head: Revision, capacity: usize) -> Self {
        let ring = Ring {
            commits: VecDeque::new(),
            floor: head,
            head,
            changes: 0,
            bytes: 0,
            clusters: HashMap::new(),
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                ring: RwLock::new(ring),
                head: watch::Sender::new(head),
                capacity,
            }),
        }
    }

    /// The newest revision that was published.
    pub fn head(&self) -> Revision {
        self.shared.ring.read().head
    }

    /// Follows every commit after `after`; from the head on if `None`.
    pub fn subscribe(&self, after: Option<Revision>) -> Subscription {
        self.subscription(None, after)
    }

    /// Follows the commits that change what a cluster's agents are sent, after `after`; from the
    /// head on if `None`. Commits are whole: take out what is of the cluster
    /// ([`Change::concerns_agents`], [`Change::cluster`]).
    pub fn subscribe_cluster(&self, cluster: ClusterId, after: Option<Revision>) -> Subscription {
        self.subscription(Some(cluster), after)
    }

    fn subscription(&self, cluster: Option<ClusterId>, after: Option<Revision>) -> Subscription {
        let mut ring = self.shared.ring.write();
        let wake = match cluster {
            None => self.shared.head.subscribe(),
            Some(id) => ring.cluster(id).wake.subscribe(),
        };
        let cursor = after.unwrap_or(ring.head);
        Subscription {
            shared: Arc::clone(&self.shared),
            cluster,
            cursor,
            wake,
        }
    }

    /// Publishes commits, in order, without gaps after the head.
    pub(crate) fn publish(&self, commits: &[Arc<Commit>]) {
        let Some(last) = commits.last() else { return };
        let mut concerned: Vec<ClusterId> = Vec::new();
        {
            let mut guard = self.shared.ring.write();
            let ring = &mut *guard;
            for commit in commits {
                debug_assert_eq!(commit.revision, ring.head + 1, "commits are published without gaps");
                ring.head = commit.revision;
                ring.changes += commit.changes.len();
                ring.bytes += size(commit);
                let mut mine: Vec<ClusterId> = commit
                    .changes
                    .iter()
                    .filter(|c| c.concerns_agents())
                    .filter_map(|c| c.cluster)
                    .collect();
                mine.sort_unstable();
                mine.dedup();
                for cluster in mine {
                    ring.cluster(cluster).commits.push_back(Arc::clone(commit));
                    concerned.push(cluster);
                }
                ring.commits.push_back(Arc::clone(commit));
            }
            let (changes, bytes) = (self.shared.capacity, self.shared.capacity * CHANGE_BYTES);
            while ring.changes > changes || ring.bytes > bytes {
                let Some(old) = ring.commits.pop_front() else { break };
                ring.changes -= old.changes.len();
                ring.bytes -= size(&old);
                ring.floor = old.revision;
                for cluster in old
                    .changes
                    .iter()
                    .filter(|c| c.concerns_agents())
                    .filter_map(|c| c.cluster)
                {
                    ring.forget(cluster);
                }
            }
            concerned.sort_unstable();
            concerned.dedup();
            for cluster in &concerned {
                if let Some(cluster) = ring.clusters.get(cluster) {
                    cluster.wake.send_replace(last.revision);
                }
            }
        }
        self.shared.head.send_replace(last.revision);
    }

    /// Forgets everything: the view was loaded anew at `head`.
    pub(crate) fn reset(&self, head: Revision) {
        let mut ring = self.shared.ring.write();
        ring.commits.clear();
        (ring.changes, ring.bytes) = (0, 0);
        ring.floor = head;
        ring.head = head;
        ring.clusters.retain(|_, cluster| cluster.wake.receiver_count() > 0);
        for cluster in ring.clusters.values_mut() {
            cluster.commits.clear();
            cluster.floor = head;
            cluster.wake.send_replace(head);
        }
        drop(ring);
        self.shared.head.send_replace(head);
    }

    /// Ends every subscription.
    pub(crate) fn close(&self) {
        let mut ring = self.shared.ring.write();
        ring.closed = true;
        for cluster in ring.clusters.values() {
            cluster.wake.send_modify(|_| ());
        }
        self.shared.head.send_modify(|_| ());
    }
}

impl Ring {
    /// A cluster's ring; made if nobody has needed it.
    fn cluster(&mut self, id: ClusterId) -> &mut ClusterRing {
        let floor = self.floor;
        self.clusters.entry(id).or_insert_with(|| ClusterRing::new(floor))
    }

    /// Drops what a cluster's ring holds at or before the floor, and the ring when nobody needs it.
    fn forget(&mut self, id: ClusterId) {
        let floor = self.floor;
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return;
        };
        while let Some(old) = cluster.commits.pop_front_if(|c| c.revision <= floor) {
            cluster.floor = old.revision;
        }
        if cluster.commits.is_empty() && cluster.wake.receiver_count() == 0 {
            self.clusters.remove(&id);
        }
    }
}

/// A reader's place in the feed.
pub struct Subscription {
    shared: Arc<Shared>,
    cluster: Option<ClusterId>,
    cursor: Revision,
    wake: watch::Receiver<Revision>,
}

impl Subscription {
    /// The revision up to which this reader has everything that concerns it.
    pub fn cursor(&self) -> Revision {
        self.cursor
    }

    /// What comes next; waits for it. Safe to cancel: nothing is skipped.
    pub async fn next(&mut self) -> Next {
        loop {
            self.wake.borrow_and_update();
            if let Some(next) = self.try_next() {
                return next;
            }
            if self.wake.changed().await.is_err() {
                return Next::Closed;
            }
        }
    }

    /// What comes next if it is there already: take several, then flush once.
    pub fn try_next(&mut self) -> Option<Next> {
        let ring = self.shared.ring.read();
        if ring.closed {
            return Some(Next::Closed);
        }
        let mine = self.cluster.and_then(|id| ring.clusters.get(&id));
        let floor = mine.map_or(ring.floor, |cluster| cluster.floor);
        // Above the head: the reader comes from another store, or from one that was set back.
        if self.cursor < floor || self.cursor > ring.head {
            self.cursor = ring.head;
            return Some(Next::Reset { head: ring.head });
        }
        let found = match mine {
            None => ring
                .commits
                .get(usize::try_from(self.cursor - ring.floor).unwrap_or(usize::MAX)),
            Some(cluster) => {
                let at = cluster.commits.partition_point(|c| c.revision <= self.cursor);
                cluster.commits.get(at)
            }
        };
        match found {
            Some(commit) => {
                self.cursor = commit.revision;
                Some(Next::Commit(Arc::clone(commit)))
            }
            None => {
                // Nothing more concerns this reader up to the head: it never falls behind the ring.
                self.cursor = ring.head;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;
    use crate::model::{Block, Exception, Meta, NodeStatus};

    fn block(cluster: ClusterId) -> Object {
        let id = ProjectId::from_bytes([1; 16]);
        Object::from(Block {
            id: portolan_shared::ids::BlockId::from_bytes([2; 16]),
            meta: Meta {
                project: id,
                revision: 1,
                revision_number: 0,
                created_at: 0,
                updated_at: 0,
            },
            cluster,
            node: portolan_shared::ids::NodeId::from_bytes([3; 16]),
            subnet: portolan_shared::ids::SubnetId::from_bytes([4; 16]),
            cidr: "10.0.0.0/26".parse().unwrap(),
        })
    }

    fn commit(revision: Revision, clusters: &[ClusterId]) -> Arc<Commit> {
        let change = |id: &ClusterId| Change::of(Op::Put, block(*id), None, |_| None, |_| None);
        Arc::new(Commit {
            revision,
            at: 0,
            actor: Actor::System,
            via: Via::SYSTEM,
            by_provider: false,
            changes: clusters.iter().map(change).collect(),
        })
    }

    fn cluster(n: u8) -> ClusterId {
        ClusterId::from_bytes([n; 16])
    }

    fn revisions(subscription: &mut Subscription) -> Vec<Revision> {
        std::iter::from_fn(|| match subscription.try_next()? {
            Next::Commit(commit) => Some(commit.revision),
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_reader_gets_everything_after_its_cursor() {
        let feed = Feed::new(10, 100);
        feed.publish(&[
            commit(11, &[cluster(1)]),
            commit(12, &[cluster(2)]),
            commit(13, &[cluster(1)]),
        ]);
        assert_eq!(revisions(&mut feed.subscribe(Some(10))), [11, 12, 13]);
        assert_eq!(revisions(&mut feed.subscribe(Some(12))), [13]);
        assert_eq!(revisions(&mut feed.subscribe(None)), [0; 0]);
        let mut one = feed.subscribe_cluster(cluster(1), Some(10));
        assert_eq!(revisions(&mut one), [11, 13]);
        assert_eq!(one.cursor(), 13);
    }

    #[test]
    fn whoever_falls_behind_the_ring_is_reset_and_holds_nobody() {
        let feed = Feed::new(0, 10);
        let (mut slow, mut elsewhere) = (feed.subscribe(Some(0)), feed.subscribe_cluster(cluster(9), Some(0)));
        for revision in 1..=30 {
            feed.publish(&[commit(revision, &[cluster(1)])]);
            // A quiet reader that looks now and then never falls behind.
            assert!(elsewhere.try_next().is_none());
        }
        assert!(matches!(slow.try_next(), Some(Next::Reset { head: 30 })));
        assert!(slow.try_next().is_none(), "and goes on from the head");
        let mut ahead = feed.subscribe(Some(31));
        assert!(
            matches!(ahead.try_next(), Some(Next::Reset { head: 30 })),
            "it comes from another store"
        );
        assert_eq!(revisions(&mut feed.subscribe(Some(20))).len(), 10);
    }

    #[test]
    fn large_changes_are_kept_in_smaller_number() {
        let status = |reason: usize| {
            Object::from(NodeStatus {
                node: portolan_shared::ids::NodeId::from_bytes([3; 16]),
                cluster: cluster(1),
                project: ProjectId::from_bytes([1; 16]),
                revision: 1,
                online: true,
                since: 0,
                applied_revision: 1,
                exceptions: vec![Exception {
                    kind: "port".into(),
                    id: [1; 16],
                    reason: "x".repeat(reason),
                    attempts: 1,
                }],
                agent_version: String::new(),
                pod_seq: 0,
                held_by: None,
                beat: 0,
            })
        };
        let kept = |reason: usize| {
            let feed = Feed::new(0, 100);
            for revision in 1..=100 {
                let change = Change::of(Op::Put, status(reason), None, |_| None, |_| None);
                feed.publish(&[Arc::new(Commit {
                    revision,
                    at: 0,
                    actor: Actor::System,
                    via: Via::SYSTEM,
                    by_provider: false,
                    changes: Box::new([change]),
                })]);
            }
            feed.shared.ring.read().commits.len()
        };
        assert_eq!(kept(200), 100);
        assert!((5..=10).contains(&kept(10_000)), "{}", kept(10_000));
    }

    #[test]
    fn only_its_own_clusters_commits_make_a_reader_fall_behind() {
        let feed = Feed::new(0, 10);
        let mut quiet = feed.subscribe_cluster(cluster(9), Some(0));
        feed.publish(&[commit(1, &[cluster(9)])]);
        assert_eq!(revisions(&mut quiet), [1]);
        // Nothing wakes it meanwhile, so it does not look.
        for revision in 2..=30 {
            feed.publish(&[commit(revision, &[cluster(1)])]);
        }
        assert!(quiet.try_next().is_none(), "it has everything that concerns it");
        assert_eq!(quiet.cursor(), 30);
        let mut late = feed.subscribe_cluster(cluster(9), Some(0));
        assert!(
            matches!(late.try_next(), Some(Next::Reset { head: 30 })),
            "commit 1 is no longer kept"
        );
    }

    #[test]
    fn a_commit_wakes_only_those_it_concerns() {
        let feed = Feed::new(0, 1000);
        let mut mine = feed.subscribe_cluster(cluster(1), None);
        let mut others: Vec<_> = (2..100).map(|n| feed.subscribe_cluster(cluster(n), None)).collect();
        let (woken, idle) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (waker, bored) = (Waker::from(Arc::clone(&woken)), Waker::from(Arc::clone(&idle)));
        let mut next = pin!(mine.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let mut sleeping: Vec<_> = others.iter_mut().map(|other| Box::pin(other.next())).collect();
        for other in &mut sleeping {
            assert!(other.as_mut().poll(&mut Context::from_waker(&bored)).is_pending());
        }
        feed.publish(&[commit(1, &[cluster(1)])]);
        assert_eq!(
            (woken.0.load(Ordering::Relaxed), idle.0.load(Ordering::Relaxed)),
            (1, 0)
        );
        let Poll::Ready(Next::Commit(told)) = next.poll(&mut Context::from_waker(&waker)) else {
            panic!()
        };
        assert_eq!(told.revision, 1);
        feed.close();
        assert_eq!(idle.0.load(Ordering::Relaxed), 98, "the end wakes everybody");
    }
}
