//! Tells readers about commits: a reader holds a revision and pulls what came after it.
//!
//! The ring keeps the newest commits in memory. Nobody waits for a reader: one that falls behind
//! the ring is told [`Next::Reset`] and starts again from a snapshot of the view. A reader of one
//! cluster is woken only by commits that change what its agents are sent, and a reader of one project
//! only by commits in it, so that ten thousand idle agents and pages cost a commit nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::RwLock;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::model::{Micros, Object, Revision};
use portolan_shared::ids::{ClusterId, ProjectId};
use tokio::sync::watch;

/// What a reader follows if it does not follow everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Topic {
    /// What a cluster's agents are sent.
    Cluster(ClusterId),
    /// A project's objects, and hidden ports in its networks.
    Project(ProjectId),
}

/// Readers who are woken because of a change.
fn topics_of(change: &Change) -> impl Iterator<Item = Topic> {
    let news = change.op != Op::Quiet;
    let cluster = change.cluster.filter(|_| change.concerns_agents()).map(Topic::Cluster);
    let projects = [change.project, change.inside]
        .into_iter()
        .flatten()
        .map(Topic::Project);
    cluster.into_iter().chain(projects.filter(move |_| news))
}

/// Topics of a commit, each once.
fn topics(commit: &Commit) -> Vec<Topic> {
    let mut topics: Vec<Topic> = commit.changes.iter().flat_map(topics_of).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

/// What a reader gets next.
#[derive(Debug, Clone)]
pub enum Next {
    /// The next commit after the reader's cursor.
    Commit(Arc<Commit>),
    /// What came after the cursor is gone: read the view anew; the cursor is at `head` now.
    Reset {
        /// The head; a view read from now on is at this revision or later.
        head: Revision,
        /// Whether the store has another history: commits that this reader was given, and answers of before, may be of the
        /// one that was lost.
        other_history: bool,
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
    /// The latest time of a commit that was published.
    latest: AtomicI64,
}

/// How many bytes a change may take on average; if changes are larger, the ring keeps fewer of them.
const CHANGE_BYTES: usize = 1024;

/// Bytes that a change holds in memory, about.
fn bytes(change: &Change) -> usize {
    CHANGE_BYTES / 4 + change.object.bytes() + change.before.as_ref().map_or(0, Object::bytes)
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
    /// How often another history has taken the store's place.
    histories: u64,
    /// Changes kept, over all commits.
    changes: usize,
    /// Bytes of them.
    bytes: usize,
    topics: HashMap<Topic, TopicRing>,
    closed: bool,
}

struct TopicRing {
    commits: VecDeque<Arc<Commit>>,
    /// The ring has every commit of its topic after this revision. Commits of other topics do not move it.
    floor: Revision,
    wake: watch::Sender<Revision>,
}

impl TopicRing {
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
            histories: 0,
            changes: 0,
            bytes: 0,
            topics: HashMap::new(),
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                ring: RwLock::new(ring),
                head: watch::Sender::new(head),
                capacity,
                latest: AtomicI64::new(0),
            }),
        }
    }

    /// The latest time that a commit was published with, by the clock of who made it; 0 before the first.
    pub fn latest(&self) -> Micros {
        self.shared.latest.load(Ordering::Relaxed)
    }

    /// That time was wrong: from now on it is this one.
    pub(crate) fn correct_latest(&self, at: Micros) {
        self.shared.latest.store(at, Ordering::Relaxed);
    }

    /// The newest revision that was published.
    pub fn head(&self) -> Revision {
        self.shared.ring.read().head
    }

    /// Follows every commit after `after`; from the head on if `None`.
    pub fn subscribe(&self, after: Option<Revision>) -> Subscription {
        self.subscription(None, after)
    }

    /// Follows the commits that change what a cluster's agents are sent, after `after`; from the head on if `None`. A
    /// commit comes whole: pick out what is of the cluster ([`Change::concerns_agents`], [`Change::cluster`]).
    pub fn subscribe_cluster(&self, cluster: ClusterId, after: Option<Revision>) -> Subscription {
        self.subscription(Some(Topic::Cluster(cluster)), after)
    }

    /// Follows the commits that change something of a project's, or a hidden port in its networks, after `after`; from
    /// the head on if `None`. A commit comes whole: pick out what is of the project ([`Change::project`],
    /// [`Change::inside`]).
    pub fn subscribe_project(&self, project: ProjectId, after: Option<Revision>) -> Subscription {
        self.subscription(Some(Topic::Project(project)), after)
    }

    fn subscription(&self, topic: Option<Topic>, after: Option<Revision>) -> Subscription {
        let mut ring = self.shared.ring.write();
        let wake = match topic {
            None => self.shared.head.subscribe(),
            Some(topic) => ring.topic(topic).wake.subscribe(),
        };
        let cursor = after.unwrap_or(ring.head);
        Subscription {
            shared: Arc::clone(&self.shared),
            topic,
            cursor,
            histories: ring.histories,
            wake,
        }
    }

    /// Publishes commits, in order, without gaps after the head.
    pub(crate) fn publish(&self, commits: &[Arc<Commit>]) {
        let Some(last) = commits.last() else { return };
        let mut concerned: Vec<Topic> = Vec::new();
        let latest = commits.iter().map(|commit| commit.at).max().unwrap_or_default();
        self.shared.latest.fetch_max(latest, Ordering::Relaxed);
        {
            let mut guard = self.shared.ring.write();
            let ring = &mut *guard;
            for commit in commits {
                debug_assert_eq!(commit.revision, ring.head + 1, "commits are published without gaps");
                ring.head = commit.revision;
                ring.changes += commit.changes.len();
                ring.bytes += size(commit);
                for topic in topics(commit) {
                    ring.topic(topic).commits.push_back(Arc::clone(commit));
                    concerned.push(topic);
                }
                ring.commits.push_back(Arc::clone(commit));
            }
            let (changes, bytes) = (self.shared.capacity, self.shared.capacity * CHANGE_BYTES);
            while ring.changes > changes || ring.bytes > bytes {
                let Some(old) = ring.commits.pop_front() else { break };
                ring.changes -= old.changes.len();
                ring.bytes -= size(&old);
                ring.floor = old.revision;
                for topic in topics(&old) {
                    ring.forget(topic);
                }
            }
            concerned.sort_unstable();
            concerned.dedup();
            for topic in &concerned {
                if let Some(topic) = ring.topics.get(topic) {
                    topic.wake.send_replace(last.revision);
                }
            }
        }
        self.shared.head.send_replace(last.revision);
    }

    /// Forgets everything: the view was loaded anew at `head`, perhaps of another history.
    pub(crate) fn reset(&self, head: Revision, other_history: bool) {
        let mut ring = self.shared.ring.write();
        ring.histories += u64::from(other_history);
        ring.commits.clear();
        (ring.changes, ring.bytes) = (0, 0);
        ring.floor = head;
        ring.head = head;
        ring.topics.retain(|_, topic| topic.wake.receiver_count() > 0);
        for topic in ring.topics.values_mut() {
            topic.commits.clear();
            topic.floor = head;
            topic.wake.send_replace(head);
        }
        drop(ring);
        self.shared.head.send_replace(head);
    }

    /// Ends every subscription.
    pub(crate) fn close(&self) {
        let mut ring = self.shared.ring.write();
        ring.closed = true;
        for topic in ring.topics.values() {
            topic.wake.send_modify(|_| ());
        }
        self.shared.head.send_modify(|_| ());
    }
}

impl Ring {
    /// A topic's ring; made at its first use.
    fn topic(&mut self, topic: Topic) -> &mut TopicRing {
        let floor = self.floor;
        self.topics.entry(topic).or_insert_with(|| TopicRing::new(floor))
    }

    /// Drops what a topic's ring holds at or before the floor, and the ring when nobody needs it.
    fn forget(&mut self, topic: Topic) {
        let floor = self.floor;
        let Some(ring) = self.topics.get_mut(&topic) else {
            return;
        };
        while let Some(old) = ring.commits.pop_front_if(|c| c.revision <= floor) {
            ring.floor = old.revision;
        }
        if ring.commits.is_empty() && ring.wake.receiver_count() == 0 {
            self.topics.remove(&topic);
        }
    }
}

/// A reader's place in the feed.
pub struct Subscription {
    shared: Arc<Shared>,
    topic: Option<Topic>,
    cursor: Revision,
    /// [`Ring::histories`] as this reader knows it.
    histories: u64,
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

    /// What comes next, if it is there already; does not wait. For readers that send several commits at once.
    pub fn try_next(&mut self) -> Option<Next> {
        let ring = self.shared.ring.read();
        if ring.closed {
            return Some(Next::Closed);
        }
        let mine = self.topic.and_then(|topic| ring.topics.get(&topic));
        let floor = mine.map_or(ring.floor, |topic| topic.floor);
        // Above the head: the reader followed another store, or this one was restored from a backup.
        let other_history = self.histories != ring.histories;
        if other_history || self.cursor < floor || self.cursor > ring.head {
            (self.cursor, self.histories) = (ring.head, ring.histories);
            return Some(Next::Reset {
                head: ring.head,
                other_history,
            });
        }
        let found = match mine {
            None => ring
                .commits
                .get(usize::try_from(self.cursor - ring.floor).unwrap_or(usize::MAX)),
            Some(topic) => {
                let at = topic.commits.partition_point(|c| c.revision <= self.cursor);
                topic.commits.get(at)
            }
        };
        match found {
            Some(commit) => {
                self.cursor = commit.revision;
                Some(Next::Commit(Arc::clone(commit)))
            }
            None => {
                // Nothing up to the head concerns this reader. Its cursor moves along, so it never falls behind the
                // ring.
                self.cursor = ring.head;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
