//! Keeps the host as the desired state says: a round when that changes, when the kernel announces that
//! others wrote to it, when something failed (later and later), and every minute.

mod alarm;
mod failures;
#[cfg(test)]
mod tests;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use portolan_plan::{Desired, Event, Loss, Losses, News, Object, Signals};
use portolan_shared::ids::{BlockId, NodeId, PortId};
use portolan_sources::{Clock, Workers};
use portolan_wire::error_chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use alarm::Alarm;
use failures::{Failures, RETRY};

use crate::desired::State;
use crate::desired::disk::DesiredFile;
use crate::host::{Host, Outcome};
use crate::kernel::{KernelError, Watch};
use crate::pause::{PauseFile, Paused};

/// How often the kernel is read when nothing is known to be wrong.
const RESYNC: Duration = Duration::from_secs(60);

/// Rounds after news are this much rarer than they are long, so that others who write without end
/// cost a tenth of a core at most ...
const REST: u32 = 9;
/// ... and no rarer than this, so that what is lost is soon back all the same.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What makes a host as it is wanted: the kernel's [`Host`], or a test's.
pub trait Apply: Send + Sync + 'static {
    /// One round after `signals`, the first of which was heard at `since`, that changes nothing while healing is `paused`; may
    /// block for milliseconds.
    ///
    /// # Errors
    /// If the kernel cannot be read. What cannot be written is in the outcome.
    fn converge(
        &self,
        desired: &Desired,
        signals: &Signals,
        since: Option<Instant>,
        paused: Option<&Paused>,
    ) -> Result<Outcome, KernelError>;

    /// Listens to what others do to the kernel.
    ///
    /// # Errors
    /// If the kernel tells nothing.
    fn watch(&self) -> Result<Box<dyn Watch>, KernelError>;
}

impl Apply for Host {
    fn converge(
        &self,
        desired: &Desired,
        signals: &Signals,
        since: Option<Instant>,
        paused: Option<&Paused>,
    ) -> Result<Outcome, KernelError> {
        self.round(desired, signals, since, paused)
    }

    fn watch(&self) -> Result<Box<dyn Watch>, KernelError> {
        Self::watch(self)
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
    /// How often it was tried in a row; 0: it is left as it is, as healing is paused.
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
    /// The newest loss of each kind: what others took away, and whether it is back.
    pub losses: Vec<Loss>,
    /// Who has paused healing, if somebody has.
    pub paused: Option<Paused>,
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
    /// For the times of losses.
    clock: Arc<dyn Clock>,
    /// What the last round was made by.
    desired: Arc<Desired>,
    /// Absent while the kernel tells nothing.
    watch: Option<Box<dyn Watch>>,
    deaf: bool,
    alarm: Alarm,
    failures: Failures,
    losses: Losses,
    pause: PauseFile,
    /// As the last round has found it.
    paused: Option<Paused>,
    /// When to look for that next.
    look_at: Instant,
    standing: watch::Sender<Standing>,
}

impl Rounds {
    /// Rounds of the node `own`, made by `workers`, which keep the desired state in `file` and change nothing while `pause`
    /// says so. `kept` is what is there already; losses are told with the time of `clock`.
    pub fn new(
        apply: Arc<dyn Apply>,
        own: NodeId,
        file: DesiredFile,
        pause: PauseFile,
        kept: Option<Arc<State>>,
        workers: Workers,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let standing = watch::Sender::new(Standing::default());
        Self {
            apply,
            own,
            file,
            kept,
            workers,
            clock,
            desired: Arc::default(),
            watch: None,
            deaf: false,
            alarm: Alarm::default(),
            failures: Failures::default(),
            losses: Losses::default(),
            pause,
            paused: None,
            look_at: Instant::now(),
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
            // Before the kernel is read: what happens afterwards is announced.
            self.listen().await;
            let state = Arc::clone(&desired.borrow_and_update());
            let begin = Instant::now();
            let wait = if state.revision() == 0 {
                // Nothing is kept yet, so nothing can be lost.
                self.alarm.take();
                RESYNC
            } else {
                self.round(state).await
            };
            let end = Instant::now();
            let rest = (end - begin).saturating_mul(REST).min(LONGEST_REST);
            if !self.wait_for_news(&mut desired, end + rest, end + wait).await {
                return;
            }
        }
    }

    /// Waits until another state is wanted, news call for a round (none before `rested`), or it is
    /// `end`. False: no other state will ever be wanted.
    async fn wait_for_news(
        &mut self,
        desired: &mut watch::Receiver<Arc<State>>,
        rested: Instant,
        end: Instant,
    ) -> bool {
        loop {
            let due = self.alarm.due(rested).unwrap_or(end).min(end);
            tokio::select! {
                biased;
                changed = desired.changed() => return changed.is_ok(),
                () = sleep_until(due) => return true,
                () = self.pause.changed(&self.paused, &self.workers, &mut self.look_at) => return true,
                news = next(&mut self.watch) => self.alarm.note(news, &self.desired, self.failures.any()),
            }
        }
    }

    /// Listens to the kernel, if that is not so yet.
    async fn listen(&mut self) {
        if self.watch.is_some() {
            return;
        }
        let apply = Arc::clone(&self.apply);
        match self.workers.run(move || apply.watch()).await {
            Ok(Ok(watch)) => {
                self.watch = Some(watch);
                self.deaf = false;
                self.alarm.note(Event::Overrun.into(), &self.desired, false);
            }
            Ok(Err(error)) if !self.deaf => {
                self.deaf = true;
                tracing::warn!(
                    error = %error_chain(&error),
                    "the kernel does not tell what others do; what they take away is put back once a minute only"
                );
            }
            Ok(Err(_)) => {}
            Err(_) => tracing::error!("listening to the kernel has panicked; trying again"),
        }
    }

    /// One round; how long to wait for the next if nothing happens.
    async fn round(&mut self, state: Arc<State>) -> Duration {
        let (signals, since) = self.alarm.take();
        let save = self.kept.as_ref().is_none_or(|kept| !kept.is_same(&state));
        let (apply, file, wanted, own) = (Arc::clone(&self.apply), self.file.clone(), Arc::clone(&state), self.own);
        let (pause, before) = (self.pause.clone(), self.paused.clone());
        // Written first: an agent must not come back with less than there is in the kernel. Durable only afterwards: a
        // power cut empties the kernel too, and a disk may take longer than all the rest.
        let work = move || {
            let prepared = if save { file.prepare(&wanted) } else { Ok(()) };
            let desired = wanted.desired(own);
            let paused = pause.read().unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot read whether healing is paused; it is as it was");
                before
            });
            let outcome = apply.converge(&desired, &signals, since, paused.as_ref());
            let saved = prepared.and_then(|()| if save { file.finish() } else { Ok(()) });
            (saved, desired, outcome, paused)
        };
        let Some((saved, desired, outcome, paused)) = self.work(work).await else {
            tracing::error!("a round has panicked; trying again");
            return RETRY;
        };
        self.heed(paused);
        self.desired = Arc::new(desired);
        let unsaved = match saved {
            Ok(()) => {
                self.kept = Some(Arc::clone(&state));
                None
            }
            Err(error) => {
                tracing::error!(%error, path = %self.file.path().display(), "cannot keep the desired state");
                Some(format!(
                    "cannot write {}: {error}; after a reboot this node would begin with an older state. Make room on its \
                     disk, or mend it; the agent tries again by itself",
                    self.file.path().display()
                ))
            }
        };
        let (revision, incarnation, mut outcome) = match outcome {
            Ok(outcome) => {
                if outcome.writes > 0 {
                    let (revision, writes) = (state.revision(), outcome.writes);
                    tracing::info!(revision, writes, "changed the kernel");
                }
                self.tell_losses(&outcome, since);
                (state.revision(), state.incarnation().to_vec(), outcome)
            }
            Err(error) => {
                let mut outcome = Outcome::default();
                outcome.say_of_host(&error_chain(&error));
                let standing = self.standing.borrow();
                (standing.revision, standing.incarnation.clone(), outcome)
            }
        };
        // It holds now, but not after a reboot.
        if let Some(reason) = unsaved {
            outcome.say_of_host(&reason);
        }
        let exceptions = self.failures.next(outcome.exceptions, &outcome.left, self.own);
        let losses = self.losses.list();
        let standing = Standing {
            revision,
            incarnation,
            exceptions,
            losses,
            paused: self.paused.clone(),
        };
        self.standing.send_if_modified(|now| {
            let news = *now != standing;
            *now = standing;
            news
        });
        let wait = self.failures.wait();
        outcome.again.map_or(wait, |again| again.min(wait))
    }

    /// Says that healing is paused or goes on, once.
    fn heed(&mut self, paused: Option<Paused>) {
        match &paused {
            now if *now == self.paused => {}
            Some(paused) => tracing::warn!(
                "healing {}: nothing is put back that others take away; portolan-agent resume ends that",
                paused.sentence()
            ),
            None => tracing::info!("healing goes on"),
        }
        self.paused = paused;
    }

    /// Does what blocks, and hears meanwhile what the kernel tells: it holds only so much back.
    async fn work<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let workers = self.workers.clone();
        let mut done = pin!(workers.run(work));
        loop {
            tokio::select! {
                biased;
                result = &mut done => return result.ok(),
                news = next(&mut self.watch) => self.alarm.note(news, &self.desired, self.failures.any()),
            }
        }
    }

    /// Keeps what a round has seen lost and found, and says it.
    fn tell_losses(&mut self, outcome: &Outcome, since: Option<Instant>) {
        let ago = since.map_or(Duration::ZERO, |since| since.elapsed());
        let seen = self.clock.now() - i64::try_from(ago.as_micros()).unwrap_or(0);
        for loss in self.losses.round(&outcome.losses, seen) {
            tracing::warn!("{}", loss.sentence());
        }
    }
}

/// The next news; none come while nobody listens.
async fn next(watch: &mut Option<Box<dyn Watch>>) -> News {
    match watch {
        Some(watch) => watch.next().await,
        None => pending().await,
    }
}
