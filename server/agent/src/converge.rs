//! Keeps the host as the desired state says: a round when that changes, when something failed (later
//! and later), and every minute, since others write to kernels too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portolan_plan::{Desired, Object};
use portolan_shared::ids::{BlockId, NodeId, PortId};
use portolan_sources::Workers;
use portolan_wire::error_chain;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::desired::State;
use crate::desired::disk::DesiredFile;
use crate::host::{Host, Outcome};
use crate::kernel::KernelError;

/// How often the kernel is read when nothing is known to be wrong.
const RESYNC: Duration = Duration::from_secs(60);

/// The first wait after a failure; each further one is twice as long, up to [`RESYNC`].
const RETRY: Duration = Duration::from_secs(1);

/// What makes a host as it is wanted: the kernel's [`Host`], or a test's.
pub trait Apply: Send + Sync + 'static {
    /// One round; may block for milliseconds.
    ///
    /// # Errors
    /// If the kernel cannot be read. What cannot be written is in the outcome.
    fn converge(&self, desired: &Desired) -> Result<Outcome, KernelError>;
}

impl Apply for Host {
    fn converge(&self, desired: &Desired) -> Result<Outcome, KernelError> {
        Self::converge(self, desired)
    }
}

/// What an exception is about, as the control plane knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A leased block.
    Block(BlockId),
    /// A node: its host itself, or something left over on it.
    Node(NodeId),
    /// A pod's port.
    Port(PortId),
}

impl Subject {
    /// Whom a failure of `object` on the node `own` is told of.
    fn of(object: Object, own: NodeId) -> Self {
        match object {
            Object::Host | Object::Leftover => Self::Node(own),
            Object::Block(id) => Self::Block(id),
            Object::Pod(id) => Self::Port(id),
        }
    }
}

/// Something that is wanted and is not so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// What it is about.
    pub subject: Subject,
    /// Why it is not so, as a sentence.
    pub reason: String,
    /// How often it was tried in a row.
    pub attempts: u32,
}

/// What the kernel holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest revision that is in the kernel, but for the exceptions; 0: none.
    pub revision: u64,
    /// The run of the control plane's writer that the revision counts in; empty: none is known.
    pub incarnation: Vec<u8>,
    /// What is wanted and is not so; one a subject.
    pub exceptions: Vec<Exception>,
}

/// The rounds of one host.
pub struct Rounds {
    apply: Arc<dyn Apply>,
    own: NodeId,
    /// Where the desired state is kept.
    file: DesiredFile,
    /// The state that is on disk.
    kept: Option<Arc<State>>,
    workers: Workers,
    failures: Failures,
    standing: watch::Sender<Standing>,
}

impl Rounds {
    /// Rounds of the node `own`, made by `workers`, which keep the desired state in `file`. `kept` is
    /// what is there already.
    pub fn new(
        apply: Arc<dyn Apply>,
        own: NodeId,
        file: DesiredFile,
        kept: Option<Arc<State>>,
        workers: Workers,
    ) -> Self {
        let standing = watch::Sender::new(Standing::default());
        Self {
            apply,
            own,
            file,
            kept,
            workers,
            failures: Failures::default(),
            standing,
        }
    }

    /// What the kernel holds, as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Goes on until the sender of `desired` is gone. Dropping it leaves the host as it is.
    pub async fn run(mut self, mut desired: watch::Receiver<Arc<State>>) {
        loop {
            let state = Arc::clone(&desired.borrow_and_update());
            let wait = if state.revision() == 0 {
                RESYNC
            } else {
                self.round(state).await
            };
            if let Ok(Err(_)) = timeout(wait, desired.changed()).await {
                return;
            }
        }
    }

    /// One round; how long to wait for the next if nothing happens.
    async fn round(&mut self, state: Arc<State>) -> Duration {
        let save = self.kept.as_ref().is_none_or(|kept| !kept.is_same(&state));
        let (apply, file, wanted, own) = (Arc::clone(&self.apply), self.file.clone(), Arc::clone(&state), self.own);
        // On disk first: a node must not come back with less than it has had in its kernel.
        let work = move || {
            let saved = if save { file.save(&wanted) } else { Ok(()) };
            (saved, apply.converge(&wanted.desired(own)))
        };
        let Ok((saved, outcome)) = self.workers.run(work).await else {
            tracing::error!("a round has panicked; trying again");
            return RETRY;
        };
        let unsaved = match saved {
            Ok(()) => {
                self.kept = Some(Arc::clone(&state));
                None
            }
            Err(error) => {
                tracing::error!(%error, path = %self.file.path().display(), "cannot keep the desired state");
                Some(format!("the desired state cannot be kept on disk: {error}"))
            }
        };
        let before = {
            let standing = self.standing.borrow();
            (standing.revision, standing.incarnation.clone())
        };
        let ((revision, incarnation), mut failed) = match outcome {
            Ok(outcome) => {
                if outcome.writes > 0 {
                    let (revision, writes) = (state.revision(), outcome.writes);
                    tracing::info!(revision, writes, "changed the kernel");
                }
                ((state.revision(), state.incarnation().to_vec()), outcome.exceptions)
            }
            Err(error) => (before, vec![(Object::Host, error_chain(&error))]),
        };
        // It holds now, but not after a reboot.
        failed.extend(unsaved.map(|reason| (Object::Host, reason)));
        let exceptions = self.failures.next(failed, self.own);
        let standing = Standing {
            revision,
            incarnation,
            exceptions,
        };
        let wait = self.failures.wait();
        self.standing.send_if_modified(|now| {
            let news = *now != standing;
            *now = standing;
            news
        });
        wait
    }
}

/// Counts how often each object has failed in a row.
#[derive(Debug, Default)]
struct Failures {
    attempts: BTreeMap<Object, u32>,
    rounds: u32,
}

impl Failures {
    /// A round's failures, as they are reported. The host's own and what is left over are the node's.
    fn next(&mut self, failed: Vec<(Object, String)>, own: NodeId) -> Vec<Exception> {
        self.rounds = if failed.is_empty() {
            0
        } else {
            self.rounds.saturating_add(1)
        };
        let attempts = failed
            .iter()
            .map(|(object, _)| (*object, self.attempts.get(object).map_or(1, |n| n.saturating_add(1))))
            .collect();
        let before = std::mem::replace(&mut self.attempts, attempts);
        let mut exceptions: BTreeMap<Subject, Exception> = BTreeMap::new();
        for (object, reason) in failed {
            if !before.contains_key(&object) {
                tracing::warn!(?object, reason, "the host is not as wanted");
            }
            let subject = Subject::of(object, own);
            let attempts = self.attempts.get(&object).copied().unwrap_or(1);
            exceptions.entry(subject).or_insert(Exception {
                subject,
                reason,
                attempts,
            });
        }
        exceptions.into_values().collect()
    }

    fn wait(&self) -> Duration {
        match self.rounds {
            0 => RESYNC,
            rounds => RETRY.saturating_mul(1 << (rounds - 1).min(10)).min(RESYNC),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;
    use portolan_sources::Files as _;
    use portolan_sources::testing::{MemoryFiles, OnTheSpot};
    use portolan_wire::agent::{Change, Cluster, Snapshot, Welcome};

    use super::*;
    use crate::desired::{Arriving, Received};

    const OWN: NodeId = NodeId::from_bytes([1; 16]);
    const BLOCK: Object = Object::Block(BlockId::from_bytes([5; 16]));

    #[derive(Default)]
    struct Fake {
        rounds: AtomicUsize,
        failing: Mutex<Vec<(Object, String)>>,
        seen: Mutex<Vec<Desired>>,
    }

    impl Apply for Fake {
        fn converge(&self, desired: &Desired) -> Result<Outcome, KernelError> {
            self.rounds.fetch_add(1, Ordering::SeqCst);
            self.seen.lock().push(desired.clone());
            Ok(Outcome {
                exceptions: self.failing.lock().clone(),
                ..Outcome::default()
            })
        }
    }

    /// A file, and the disk it is on.
    fn file() -> (DesiredFile, MemoryFiles) {
        let files = MemoryFiles::default();
        files.make_folder(Path::new("/state")).unwrap();
        (DesiredFile::new(Arc::new(files.clone()), Path::new("/state")), files)
    }

    fn rounds(fake: &Arc<Fake>, file: &DesiredFile) -> Rounds {
        Rounds::new(fake.clone(), OWN, file.clone(), None, Workers::new(OnTheSpot))
    }

    fn state(revision: u64) -> State {
        let cluster = Some(Cluster {
            id: vec![9; 16],
            mtu: 1500,
            ..Cluster::default()
        });
        let snapshot = Snapshot {
            revision,
            cluster,
            ..Snapshot::default()
        };
        let welcome = Welcome {
            store_id: vec![7; 16],
            ..Welcome::default()
        };
        match Arriving::new(&welcome)
            .unwrap()
            .part(snapshot, &State::default())
            .unwrap()
        {
            Received::State(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_is_kept_then_applied_then_told() {
        let (file, _) = file();
        let fake = Arc::new(Fake::default());
        let rounds = rounds(&fake, &file);
        let mut standing = rounds.standing();
        let (desired, receiver) = watch::channel(Arc::new(State::default()));
        let task = tokio::spawn(rounds.run(receiver));
        desired.send_replace(Arc::new(state(5)));
        standing.wait_for(|standing| standing.revision == 5).await.unwrap();
        assert_eq!(file.load().unwrap(), Some(state(5)));
        assert_eq!(fake.seen.lock().iter().map(|seen| seen.mtu).collect::<Vec<_>>(), [1500]);
        // Only the revision moves: told, but not written again.
        file.remove().unwrap();
        desired.send_if_modified(|state| Arc::make_mut(state).progress(8, None));
        standing.wait_for(|standing| standing.revision == 8).await.unwrap();
        assert_eq!(file.load().unwrap(), None);
        drop(desired);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_that_cannot_be_kept_is_told_until_it_is() {
        let (file, files) = file();
        files.fail_replaces(1);
        let fake = Arc::new(Fake::default());
        let rounds = rounds(&fake, &file);
        let mut standing = rounds.standing();
        let (_desired, receiver) = watch::channel(Arc::new(state(5)));
        tokio::spawn(rounds.run(receiver));
        let told = timeout(RESYNC, standing.wait_for(|standing| !standing.exceptions.is_empty())).await;
        let told = told.expect("it is told").unwrap().clone();
        assert_eq!((told.revision, told.exceptions[0].subject), (5, Subject::Node(OWN)));
        assert!(told.exceptions[0].reason.contains("kept on disk"), "{told:?}");
        let mended = standing.wait_for(|standing| standing.exceptions.is_empty()).await;
        assert_eq!(mended.unwrap().revision, 5);
        assert_eq!(file.load().unwrap(), Some(state(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_tried_again_and_counted_until_it_works() {
        let (file, _) = file();
        let fake = Arc::new(Fake::default());
        fake.failing.lock().push((BLOCK, "File exists".into()));
        let rounds = rounds(&fake, &file);
        let mut standing = rounds.standing();
        let (_desired, receiver) = watch::channel(Arc::new(state(5)));
        tokio::spawn(rounds.run(receiver));
        let third = standing
            .wait_for(|standing| standing.exceptions.first().is_some_and(|e| e.attempts == 3))
            .await;
        let third = third.unwrap().exceptions.clone();
        assert_eq!(Subject::of(BLOCK, OWN), third[0].subject);
        assert_eq!(third[0].reason, "File exists");
        fake.failing.lock().clear();
        standing
            .wait_for(|standing| standing.exceptions.is_empty())
            .await
            .unwrap();
        let rounds = fake.rounds.load(Ordering::SeqCst);
        // And then by the clock, without anything said.
        tokio::time::sleep(RESYNC * 3).await;
        assert!(fake.rounds.load(Ordering::SeqCst) >= rounds + 2);
        assert!(!standing.has_changed().unwrap());
    }

    #[test]
    fn waits_grow_up_to_the_resync() {
        let mut failures = Failures::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            failures.next(vec![(BLOCK, String::new())], OWN);
            waits.push(failures.wait().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        failures.next(vec![], OWN);
        assert_eq!(failures.wait(), RESYNC);
    }

    #[test]
    fn the_nodes_own_failures_are_one_exception() {
        let failed = vec![(Object::Host, "a".to_owned()), (Object::Leftover, "b".to_owned())];
        let exceptions = Failures::default().next(failed, OWN);
        assert_eq!(exceptions.len(), 1);
        assert_eq!(
            (exceptions[0].subject, exceptions[0].reason.as_str()),
            (Subject::Node(OWN), "a")
        );
    }

    #[test]
    fn a_change_of_nothing_is_the_same_state() {
        let mut later = state(5);
        later
            .change(Change {
                revision: 6,
                ..Change::default()
            })
            .unwrap();
        assert!(later.is_same(&state(5)));
    }
}
