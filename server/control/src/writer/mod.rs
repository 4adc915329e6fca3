//! The one writer of a process: takes what is waiting as a batch, takes the head of the store,
//! brings the view up to it, decides every command in order, writes them as one transaction,
//! applies them to the view, tells the feed, and only then answers.
//!
//! A refused command leaves its neighbours alone. When the store says that another transaction was
//! in the way, the whole batch is decided again; clients never see it. When it cannot be known
//! whether a commit happened, nobody is told that it did, and the view is brought up to what the
//! store really holds.
//!
//! Invariants: only what is committed is applied to the view, told to the feed and answered as done; while no batch is
//! being decided, the pools agree with the view.
//!
//! [`Writer::step`] does all of this, as a plain function; [`WriterLoop`] calls it, with the queue that requests wait
//! in.

mod health;
mod housekeeping;
mod others;
mod queue;
mod run;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use parking_lot::RwLock;
use portolan_core::alloc::Pools;
use portolan_core::audience;
use portolan_core::change::Commit;
use portolan_core::command::{Command, Outcome, Request};
use portolan_core::decide::decide;
use portolan_core::draft::Draft;
use portolan_core::history::Incarnation;
use portolan_core::model::Micros;
use portolan_core::quotas::Quotas;
use portolan_core::view::View;
use portolan_shared::ids::SubnetId;
use portolan_shared::refusal::Refusal;
use portolan_sources::{Clock, Ids, Random};
use portolan_store::{MAX_CHANGES, Store, StoreError};

use crate::feed::Feed;

pub(crate) use health::Health;
pub use housekeeping::Retention;
pub(crate) use queue::Queue;
pub use run::WriterLoop;

/// How often a batch is decided again before its clients are told that the store is not available.
const ATTEMPTS: usize = 8;
/// After the backstop has fired, everything is loaded anew at most this often, in microseconds: a command that makes it
/// fire each time must not keep all others from being answered.
const RELOAD: Micros = 10 * 1_000_000;

/// The writer, which takes one step after another. Its caller decides when, and on which thread.
pub struct Writer {
    pub(crate) store: Box<dyn Store>,
    pub(crate) view: Arc<RwLock<View>>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) ids: Ids,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) run: Run,
    /// How often another history has taken the store's place; changed with the view locked.
    pub(crate) histories: Arc<AtomicU64>,
    pub(crate) quotas: Quotas,
    pub(crate) retention: Retention,
    pub(crate) health: Arc<Health>,
    pub(crate) pools: Pools,
    pub(crate) cleaned_at: Micros,
    /// When everything was loaded anew because the backstop had fired.
    pub(crate) reloaded_at: Option<Micros>,
}

/// The run of this writer, as the store's history names it.
pub(crate) struct Run {
    random: Arc<dyn Random>,
    incarnation: Incarnation,
    /// Whether the history has it: since its first commit.
    begun: bool,
    /// [`Incarnation::tag`], for those who give tickets.
    tag: Arc<AtomicU16>,
}

impl Run {
    pub(crate) fn new(random: Arc<dyn Random>, tag: Arc<AtomicU16>) -> Self {
        let mut run = Self {
            random,
            incarnation: Incarnation::default(),
            begun: false,
            tag,
        };
        run.anew();
        run
    }

    /// Another run begins: the store that was connected to anew may not be what it was.
    fn anew(&mut self) {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        self.incarnation = Incarnation::from_bytes(bytes);
        self.begun = false;
        self.tag.store(self.incarnation.tag(), Ordering::Relaxed);
    }

    /// What the next commit writes down.
    fn begins(&self) -> Option<Incarnation> {
        (!self.begun).then_some(self.incarnation)
    }
}

/// What came of requests, in their order.
pub type Outcomes = Vec<Result<Outcome, Refusal>>;

impl Writer {
    /// One step: brings the view up to the head of the store, decides `requests` in order, writes what
    /// comes of them as one transaction, applies it to the view and publishes it. Only then their
    /// outcomes are given. Nothing is written if nothing is asked. `at_head` is called, perhaps more
    /// than once, when the view is where the head was at the beginning.
    ///
    /// # Errors
    /// If the store does not take it. This is then the answer to every request, and, if `at_head` was not called, to
    /// those who wanted the view at the head.
    pub fn step(&mut self, requests: &[Request], at_head: &mut dyn FnMut()) -> Result<Outcomes, Refusal> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.attempt(requests, at_head) {
                Ok(outcomes) => return Ok(outcomes),
                // After a reconnect the store has not been followed yet: try again.
                Err(error) => {
                    if let Some(refusal) = self.after_error(error, attempts) {
                        self.health.fails(refusal.clone());
                        return Err(refusal);
                    }
                }
            }
        }
    }

    /// A subnet whose pool does not have as many addresses, or blocks, free as the view says, with both numbers. There is none,
    /// but while a batch is decided. Costs a walk over all that is in use.
    pub fn miscounted(&self) -> Option<(SubnetId, u128, u128)> {
        let view = self.view.read();
        let pools = pools_of(&view);
        let rooms = view
            .subnets(None)
            .map(|subnet| (subnet.id, self.pools.room(subnet.id), pools.room(subnet.id)));
        let mut rooms = rooms.filter(|(_, has, wanted)| has != wanted);
        rooms.next()
    }

    /// Whether a store that failed takes something again, by writing what is there already.
    pub(super) fn probe(&mut self) {
        if self.health.why_not().is_none() {
            return;
        }
        let probed = match self.store.probe() {
            // It may be the connection that fails.
            Err(StoreError::Lost(_)) => self.store.recover().and_then(|()| self.store.probe()),
            other => other,
        };
        match probed {
            Ok(()) => self.works_again(),
            Err(error) => self.health.fails(refused(&error)),
        }
    }

    fn works_again(&self) {
        if self.health.works() {
            tracing::info!("the store takes what is written again");
        }
    }

    fn attempt(&mut self, requests: &[Request], at_head: &mut dyn FnMut()) -> Result<Outcomes, StoreError> {
        let known = self.view.read().head();
        if requests.is_empty() {
            // Without the head's lock, which others may want.
            let others = self.store.follow(known)?;
            self.take_in(others);
            at_head();
            return Ok(Vec::new());
        }
        let others = self.store.begin(known)?;
        self.take_in(others);
        at_head();
        let start = self.pools.mark();
        let (commits, outcomes) = self.decide(requests);
        if commits.is_empty() {
            self.store.rollback();
            self.pools.rollback(start);
            return Ok(outcomes);
        }
        if let Err(error) = self.store.commit(&commits, self.run.begins()) {
            self.pools.rollback(start);
            return Err(error);
        }
        self.run.begun = true;
        self.works_again();
        {
            let mut view = self.view.write();
            view.set_history(self.store.history());
            for commit in &commits {
                view.apply(commit);
            }
        }
        self.pools.settle();
        self.feed.publish(&commits);
        Ok(outcomes)
    }

    fn decide(&mut self, requests: &[Request]) -> (Vec<Arc<Commit>>, Outcomes) {
        let view = self.view.read();
        let now = self.clock.now();
        let ids = || self.ids.next();
        let mut draft = Draft::new(&view, &mut self.pools, &ids, self.quotas, now);
        let mut commits: Vec<Commit> = Vec::new();
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            draft.begin();
            let decided = decide_or_say(&mut draft, request);
            answers.push(match decided {
                Err(refusal) => {
                    draft.refuse();
                    Err(refusal)
                }
                Ok(mut outcome) => {
                    let changes = draft.accept();
                    outcome.revision = draft.head();
                    if !changes.is_empty() {
                        let by_provider = audience::by_provider(&view, request, &changes);
                        let changes = changes.into();
                        commits.push(Commit {
                            revision: draft.head(),
                            at: now,
                            actor: request.actor,
                            via: request.via,
                            by_provider,
                            changes,
                        });
                    }
                    Ok(outcome)
                }
            });
        }
        if let Some(last) = commits.last_mut() {
            let mut changes = std::mem::take(&mut last.changes).into_vec();
            changes.extend(draft.cursors());
            last.changes = changes.into();
        }
        (commits.into_iter().map(Arc::new).collect(), answers)
    }

    /// Recovers after an error. `None`: decide the batch again; else the refusal for its clients.
    fn after_error(&mut self, error: StoreError, attempts: usize) -> Option<Refusal> {
        let again = match &error {
            StoreError::Retry(_) => {
                tracing::debug!(%error, attempts, "deciding the batch again");
                true
            }
            StoreError::Lost(_) => {
                if let Some(unsaid) = self.health.says(self.clock.now()) {
                    tracing::warn!(%error, attempts, unsaid, "connecting again");
                }
                true
            }
            StoreError::Compacted(_) | StoreError::OtherHistory(_) => {
                tracing::warn!(%error, "loading everything again");
                true
            }
            StoreError::Backstop(_) if self.reloads_now() => {
                tracing::error!(%error, "loading everything again");
                true
            }
            _ => {
                if let Some(unsaid) = self.health.says(self.clock.now()) {
                    tracing::error!(%error, unsaid, "the store failed");
                }
                false
            }
        };
        let reload = match &error {
            StoreError::Retry(_) | StoreError::Lost(_) | StoreError::Failed(_) | StoreError::Full(_) => false,
            StoreError::Backstop(_) => again,
            _ => true,
        };
        let mended = match &error {
            // The connection is as good as before.
            StoreError::Retry(_) | StoreError::Full(_) => Ok(()),
            _ => {
                self.run.anew();
                self.store
                    .recover()
                    .and_then(|()| if reload { self.reload() } else { Ok(()) })
            }
        };
        if let Err(error) = &mended
            && let Some(unsaid) = self.health.says(self.clock.now())
        {
            tracing::error!(%error, unsaid, "the store did not recover");
        }
        if again && mended.is_ok() && attempts < ATTEMPTS {
            return None;
        }
        Some(refused(&error))
    }

    /// Whether to reload now: true if the last reload is long enough ago, and then this one is noted.
    fn reloads_now(&mut self) -> bool {
        let now = self.clock.now();
        let rests = self.reloaded_at.is_some_and(|at| (0..RELOAD).contains(&(now - at)));
        if !rests {
            self.reloaded_at = Some(now);
        }
        !rests
    }

    /// Brings view and pools to what the store holds: by the changes after the head if there are any, else by loading
    /// everything.
    fn reload(&mut self) -> Result<(), StoreError> {
        let known = self.view.read().head();
        let other_history = match self.store.follow(known) {
            Ok(others) if !others.is_empty() => {
                self.take_in(others);
                return Ok(());
            }
            Ok(_) | Err(StoreError::Compacted(_)) => false,
            Err(StoreError::OtherHistory(_)) => true,
            Err(error) => return Err(error),
        };
        let (view, pools, _) = load(&mut *self.store)?;
        let head = view.head();
        {
            let mut shared = self.view.write();
            *shared = view;
            self.histories.fetch_add(other_history.into(), Ordering::Relaxed);
        }
        self.pools = pools;
        self.feed.reset(head, other_history);
        Ok(())
    }
}

/// What clients are told of an error of the store's.
fn refused(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unknown(cause) => Refusal::StoreUnknown {
            reason: format!("the store's answer to the commit was lost: {cause}"),
        },
        StoreError::Full(_) => Refusal::StoreFull {},
        other => Refusal::StoreUnavailable {
            reason: other.to_string(),
        },
    }
}

/// A command's name for the log. Its fields are left out: some are hashes of passwords and secrets.
fn name(command: &Command) -> String {
    let said = format!("{command:?}");
    said.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Decides a command. One that panics is refused like any other, so that the rest of the batch, and the writer, go on.
fn decide_or_say(draft: &mut Draft<'_>, request: &Request) -> Result<Outcome, Refusal> {
    let decided = catch_unwind(AssertUnwindSafe(|| decide(draft, request))).unwrap_or_else(|_| {
        tracing::error!(
            command = name(&request.command),
            "deciding a command panicked; it is refused"
        );
        Err(Refusal::StoreUnavailable {
            reason: "an error of this program, see its log".to_owned(),
        })
    });
    if decided.is_ok() && draft.touched_by_command() > MAX_CHANGES / 2 {
        return Err(Refusal::StoreUnavailable {
            reason: "this changes too much at once".to_owned(),
        });
    }
    decided
}

/// Everything that is stored, with pools to allocate from.
pub(crate) fn load(store: &mut dyn Store) -> Result<(View, Pools, [u8; 16]), StoreError> {
    let mut view = View::default();
    let loaded = store.load(&mut |object| view.put(object))?;
    view.set_head(loaded.revision);
    view.set_history(&loaded.history);
    let pools = pools_of(&view);
    Ok((view, pools, loaded.store_id))
}

/// Pools of what the view says to be in use.
fn pools_of(view: &View) -> Pools {
    let mut pools = Pools::default();
    for subnet in view.subnets(None) {
        pools.put(subnet, view.taken(subnet));
    }
    pools.settle();
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_names_a_command_and_none_of_its_secrets() {
        let token = Command::CreateJoinToken {
            cluster: portolan_shared::ids::ClusterId::from_bytes([1; 16]),
            node: None,
            secret_hash: [7; 32],
            expires_at: 1,
        };
        assert_eq!(name(&token), "CreateJoinToken");
        assert_eq!(name(&Command::Expire), "Expire");
        assert_eq!(name(&Command::DeleteSession([7; 32])), "DeleteSession");
    }
}
