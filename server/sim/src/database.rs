//! A database that one or several control planes use: all in memory, with a history as the real ones keep it.
//!
//! It plays what a store says when a transaction fails, when it is not known whether it was committed, when the server is
//! away, and when an older copy has taken its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::history::{History, Incarnation, Point};
use portolan_core::model::{Key, Object, ObjectKind, Revision};
use portolan_store::{Loaded, Store, StoreError, Trim};

/// What goes wrong with the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused; nothing is written.
    Refused,
    /// The connection breaks: nothing is written, and that is not known.
    UnknownLost,
    /// The connection breaks after it was written.
    UnknownWritten,
}

#[derive(Clone, Default)]
struct Content {
    store_id: Option<[u8; 16]>,
    head: Revision,
    objects: BTreeMap<Key, Object>,
    commits: Vec<Arc<Commit>>,
    history: History,
}

#[derive(Default)]
struct Shared {
    content: Content,
    /// Which of its lives the database is in: connections of before are broken.
    life: u64,
    /// It does not answer.
    away: bool,
    fault: Option<Fault>,
}

/// What a backup holds.
#[derive(Clone)]
pub struct Copy(Content);

/// The database. Clones are the same one.
#[derive(Clone, Default)]
pub struct Database(Arc<Mutex<Shared>>);

impl Database {
    /// A copy of what is committed.
    pub fn copy(&self) -> Copy {
        Copy(self.0.lock().content.clone())
    }

    /// An older copy takes its place: it was put back, or a standby that lacked the newest commits took over.
    pub fn put_back(&self, copy: Copy) {
        let mut shared = self.0.lock();
        shared.content = copy.0;
        shared.life += 1;
    }

    /// Is away from now on, or is back.
    pub fn set_away(&self, away: bool) {
        let mut shared = self.0.lock();
        shared.away = away;
        shared.life += 1;
    }

    /// The next commit fails.
    pub fn fail_next(&self, fault: Fault) {
        self.0.lock().fault = Some(fault);
    }

    /// Nothing fails from now on.
    pub fn heal(&self) {
        let mut shared = self.0.lock();
        shared.fault = None;
        shared.away = false;
    }

    /// The newest revision.
    pub fn head(&self) -> Revision {
        self.0.lock().content.head
    }

    /// A connection. `store_id` is the store's if nobody has used it yet.
    pub fn connect(&self, store_id: [u8; 16]) -> Box<dyn Store> {
        let mut shared = self.0.lock();
        shared.content.store_id.get_or_insert(store_id);
        let life = shared.life;
        drop(shared);
        Box::new(Connection {
            database: self.clone(),
            life,
            history: History::default(),
        })
    }
}

struct Connection {
    database: Database,
    life: u64,
    /// The runs that wrote what was last loaded, followed or committed.
    history: History,
}

impl Connection {
    /// Does it with what is stored, if the connection is whole.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Shared, &mut History) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut shared = self.database.0.lock();
        if shared.away || shared.life != self.life {
            return Err(StoreError::Lost("the connection is closed".to_owned()));
        }
        work(&mut shared, &mut self.history)
    }
}

/// The commits after `known`, which must be of this history.
fn after(content: &Content, known: Revision, history: &mut History) -> Result<Vec<Commit>, StoreError> {
    let incarnation = history.at(known);
    let known_point = Point {
        incarnation,
        revision: known,
    };
    if !content.history.holds(known_point, content.head) {
        return Err(StoreError::OtherHistory(known));
    }
    history.clone_from(&content.history);
    let from = content.commits.partition_point(|commit| commit.revision <= known);
    Ok(content.commits[from..].iter().map(|commit| read_back(commit)).collect())
}

/// A commit as it is read from a store: how things were before is not in it.
fn read_back(commit: &Commit) -> Commit {
    let without = |change: &Change| Change {
        before: None,
        ..change.clone()
    };
    Commit {
        changes: commit.changes.iter().map(without).collect(),
        ..commit.clone()
    }
}

fn write(content: &mut Content, commits: &[Arc<Commit>]) {
    for commit in commits {
        for change in &commit.changes {
            match change.op {
                Op::Put | Op::Quiet => content.objects.insert(change.key, change.object.clone()),
                Op::Delete => content.objects.remove(&change.key),
            };
        }
        content.head = commit.revision;
        content.commits.push(Arc::clone(commit));
    }
}

impl Store for Connection {
    fn load(&mut self, each: &mut dyn FnMut(Object)) -> Result<Loaded, StoreError> {
        let (content, loaded) = self.with(|shared, history| {
            let content = shared.content.clone();
            history.clone_from(&content.history);
            let loaded = Loaded {
                store_id: content.store_id.unwrap_or_default(),
                revision: content.head,
                history: content.history.clone(),
            };
            Ok((content, loaded))
        })?;
        for kind in ObjectKind::ALL {
            let of_kind = content.objects.iter().filter(|(key, _)| key.kind() == *kind);
            of_kind.for_each(|(_, object)| each(object.clone()));
        }
        Ok(loaded)
    }

    fn recent(&mut self, head: Revision, limit: usize) -> Result<Vec<Commit>, StoreError> {
        self.with(|shared, _| {
            let upto = shared.content.commits.iter().filter(|commit| commit.revision <= head);
            let commits: Vec<&Arc<Commit>> = upto.collect();
            let from = commits.len().saturating_sub(limit);
            Ok(commits[from..].iter().map(|commit| read_back(commit)).collect())
        })
    }

    fn begin(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        self.with(|shared, history| after(&shared.content, known, history))
    }

    fn commit(&mut self, commits: &[Arc<Commit>], begins: Option<Incarnation>) -> Result<(), StoreError> {
        self.with(|shared, history| {
            let fault = shared.fault.take();
            if fault == Some(Fault::Refused) {
                return Err(StoreError::Full("the disk is full".to_owned()));
            }
            if fault != Some(Fault::UnknownLost) {
                if let (Some(incarnation), Some(first)) = (begins, commits.first()) {
                    shared.content.history.begin(incarnation, first.revision);
                }
                write(&mut shared.content, commits);
            }
            if fault.is_some() {
                shared.life += 1;
                return Err(StoreError::Unknown("the connection broke".to_owned()));
            }
            history.clone_from(&shared.content.history);
            Ok(())
        })
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.with(|_, _| Ok(()))
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn rollback(&mut self) {}

    fn follow(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        self.begin(known)
    }

    fn shared(&self) -> bool {
        true
    }

    fn trim(&mut self, _: Trim) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        let shared = self.database.0.lock();
        if shared.away {
            return Err(StoreError::Lost("nobody answers".to_owned()));
        }
        self.life = shared.life;
        Ok(())
    }
}
