//! The one writer of a process: takes what is waiting as a batch, takes the head of the store,
//! brings the view up to it, decides every command in order, writes them as one transaction,
//! applies them to the view, tells the feed, and only then answers.
//!
//! A refused command leaves its neighbours alone. When the store says that another transaction was
//! in the way, the whole batch is decided again; clients never see it. When it cannot be known
//! whether a commit happened, nobody is told that it did, and the view is brought up to what the
//! store really holds.
//!
//! Invariant: nothing is applied to the view, told to the feed or answered as done that is not
//! committed; the pools agree with the view whenever no batch is being decided.

mod queue;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use portolan_core::alloc::Pools;
use portolan_core::audience;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::command::{Command, Outcome, Request};
use portolan_core::decide::decide;
use portolan_core::draft::Draft;
use portolan_core::model::{Key, Micros, Object, Purpose};
use portolan_core::quotas::Quotas;
use portolan_core::view::View;
use portolan_shared::ids::{NetworkId, ProjectId};
use portolan_shared::refusal::Refusal;
use portolan_sources::{Clock, Ids};
use portolan_store::{MAX_CHANGES, Store, StoreError, Trim};
use tokio::sync::oneshot;

use crate::feed::Feed;

use queue::Job;
pub(crate) use queue::Queue;

/// How often a batch is decided again before its clients are told that the store is not available.
const ATTEMPTS: usize = 8;
/// How long the writer sleeps when nothing waits and nobody else writes to the store.
const IDLE: Duration = Duration::from_secs(20);
/// How often a store that others write to is looked at.
const FOLLOW: Duration = Duration::from_millis(20);
/// How often sessions, records and old changes are looked through, in microseconds.
const HOUSEKEEPING: Micros = 60 * 1_000_000;
/// After the backstop has fired, everything is loaded anew at most this often, in microseconds: a
/// command that makes it fire again must not keep everybody else from being answered.
const RELOAD: Micros = 10 * 1_000_000;
/// Changes forgotten in one step; each is a transaction of its own.
const TRIM_STEP: u64 = 2_000;

/// What the change table keeps, at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rows.
    pub rows: u64,
    /// Microseconds.
    pub age: Micros,
    /// How long the audit's changes stay, in microseconds.
    pub audit: Micros,
}

impl Default for Retention {
    /// An hour and a million rows; 13 months of the audit.
    fn default() -> Self {
        Self {
            rows: 1_000_000,
            age: 3600 * 1_000_000,
            audit: 396 * 24 * 3600 * 1_000_000,
        }
    }
}

/// What the writer works with.
pub(crate) struct Writer {
    pub(crate) store: Box<dyn Store>,
    pub(crate) view: Arc<RwLock<View>>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) ids: Ids,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quotas: Quotas,
    pub(crate) retention: Retention,
    pub(crate) pools: Pools,
    pub(crate) cleaned_at: Micros,
    /// When everything was loaded anew because the backstop had fired.
    pub(crate) reloaded_at: Option<Micros>,
}

/// A batch that was decided and committed.
struct Decided {
    answers: Vec<Result<Outcome, Refusal>>,
}

impl Writer {
    /// Works until it is told to close; then says so.
    pub(crate) fn run(mut self) {
        let running = queue::Running(Arc::clone(&self.queue));
        loop {
            let patience = if self.store.shared() { FOLLOW } else { IDLE };
            let work = self.queue.take(patience);
            if !work.jobs.is_empty() {
                self.batch(work.jobs, work.waiting);
            } else if self.store.shared() || !work.waiting.is_empty() {
                let caught_up = self.follow();
                for waiting in work.waiting {
                    let _ = waiting.send(caught_up.clone());
                }
            }
            self.housekeeping();
            if work.closing {
                break;
            }
        }
        self.feed.close();
        // Whoever waits for the end may open the store again at once.
        drop(self);
        drop(running);
    }

    /// Decides, writes and answers a batch; `waiting` want the view at the head.
    fn batch(&mut self, jobs: Vec<Job>, waiting: Vec<oneshot::Sender<Result<(), Refusal>>>) {
        let mut waiting = Some(waiting);
        let mut attempts = 0;
        let result = loop {
            attempts += 1;
            match self.attempt(&jobs, &mut waiting) {
                Ok(decided) => break Ok(decided),
                Err(error) => {
                    if let Some(refusal) = self.after_error(error, attempts) {
                        break Err(refusal);
                    }
                }
            }
        };
        match result {
            Ok(decided) => {
                for (job, answer) in jobs.into_iter().zip(decided.answers) {
                    job.answer(answer);
                }
            }
            Err(refusal) => {
                for job in jobs {
                    job.answer(Err(refusal.clone()));
                }
                for waiting in waiting.into_iter().flatten() {
                    let _ = waiting.send(Err(refusal.clone()));
                }
            }
        }
    }

    fn attempt(
        &mut self,
        jobs: &[Job],
        waiting: &mut Option<Vec<oneshot::Sender<Result<(), Refusal>>>>,
    ) -> Result<Decided, StoreError> {
        let known = self.view.read().head();
        let others = self.store.begin(known)?;
        self.take_in(others);
        for waiting in waiting.take().into_iter().flatten() {
            let _ = waiting.send(Ok(()));
        }
        let start = self.pools.mark();
        let (commits, answers) = self.decide(jobs);
        if commits.is_empty() {
            self.store.rollback();
            self.pools.rollback(start);
            return Ok(Decided { answers });
        }
        if let Err(error) = self.store.commit(&commits) {
            self.pools.rollback(start);
            return Err(error);
        }
        {
            let mut view = self.view.write();
            for commit in &commits {
                view.apply(commit);
            }
        }
        self.pools.settle();
        self.feed.publish(&commits);
        Ok(Decided { answers })
    }

    fn decide(&mut self, jobs: &[Job]) -> (Vec<Arc<Commit>>, Vec<Result<Outcome, Refusal>>) {
        let view = self.view.read();
        let now = self.clock.now();
        let ids = || self.ids.next();
        let mut draft = Draft::new(&view, &mut self.pools, &ids, self.quotas, now);
        let mut commits: Vec<Commit> = Vec::new();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            draft.begin();
            let decided = decide_or_say(&mut draft, &job.request);
            answers.push(match decided {
                Err(refusal) => {
                    draft.refuse();
                    Err(refusal)
                }
                Ok(mut outcome) if job.request.dry_run => {
                    draft.refuse();
                    outcome.revision = draft.head();
                    Ok(outcome)
                }
                Ok(mut outcome) => {
                    let changes = draft.accept();
                    outcome.revision = draft.head();
                    if !changes.is_empty() {
                        let by_provider = audience::by_provider(&view, &job.request, &changes);
                        let changes = changes.into();
                        commits.push(Commit {
                            revision: draft.head(),
                            at: now,
                            actor: job.request.actor,
                            via: job.request.via,
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

    /// Applies commits of other processes.
    fn take_in(&mut self, others: Vec<Commit>) {
        if others.is_empty() {
            return;
        }
        let mut view = self.view.write();
        let mut published = Vec::with_capacity(others.len());
        for mut commit in others {
            fill_in(&view, &mut commit.changes);
            // As in the view, what is given up goes back before anything is taken.
            view.take_out(&commit.changes);
            for change in &commit.changes {
                if holds_addresses(&change.object) {
                    self.pools.change(change.before.as_ref(), None, |_| Vec::new());
                }
            }
            for change in &commit.changes {
                let before = change.before.as_ref().filter(|object| !holds_addresses(object));
                let after = (change.op != Op::Delete).then_some(&change.object);
                self.pools.change(before, after, |subnet| used_addresses(&view, subnet));
                if let Object::Subnet(subnet) = &change.object {
                    self.pools.cursor_stored(subnet);
                }
                view.apply_change(change, commit.revision);
            }
            view.set_head(commit.revision);
            published.push(Arc::new(commit));
        }
        drop(view);
        self.pools.settle();
        self.feed.publish(&published);
    }

    /// Brings the view up to the head without writing.
    fn follow(&mut self) -> Result<(), Refusal> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let known = self.view.read().head();
            match self.store.follow(known) {
                Ok(others) => {
                    self.take_in(others);
                    return Ok(());
                }
                // A store that was connected to again has not been followed yet.
                Err(error) => {
                    if let Some(refusal) = self.after_error(error, attempts) {
                        return Err(refusal);
                    }
                }
            }
        }
    }

    /// Puts things in order after an error. `None`: decide again; else what clients are told.
    fn after_error(&mut self, error: StoreError, attempts: usize) -> Option<Refusal> {
        let again = match &error {
            StoreError::Retry(_) => {
                tracing::debug!(%error, attempts, "deciding the batch again");
                true
            }
            StoreError::Lost(_) => {
                tracing::warn!(%error, attempts, "connecting again");
                true
            }
            StoreError::Compacted(_) => {
                tracing::warn!(%error, "loading everything again");
                true
            }
            StoreError::Backstop(_) if self.reloads_now() => {
                tracing::error!(%error, "loading everything again");
                true
            }
            _ => {
                tracing::error!(%error, "the store failed");
                false
            }
        };
        let reload = match &error {
            StoreError::Retry(_) | StoreError::Lost(_) | StoreError::Failed(_) => false,
            StoreError::Backstop(_) => again,
            _ => true,
        };
        let mended = match &error {
            StoreError::Retry(_) => Ok(()),
            _ => self
                .store
                .recover()
                .and_then(|()| if reload { self.reload() } else { Ok(()) }),
        };
        if let Err(error) = &mended {
            tracing::error!(%error, "the store did not recover");
        }
        if again && mended.is_ok() && attempts < ATTEMPTS {
            return None;
        }
        Some(match &error {
            StoreError::Unknown(cause) => Refusal::StoreUnknown {
                reason: format!("the store's answer to the commit was lost: {cause}"),
            },
            other => Refusal::StoreUnavailable {
                reason: other.to_string(),
            },
        })
    }

    /// Whether the backstop has not fired for a while; if so, it has now.
    fn reloads_now(&mut self) -> bool {
        let now = self.clock.now();
        let rests = self.reloaded_at.is_some_and(|at| (0..RELOAD).contains(&(now - at)));
        if !rests {
            self.reloaded_at = Some(now);
        }
        !rests
    }

    /// Brings view and pools to what the store holds: by its changes where they go on from what is
    /// known, else from nothing.
    fn reload(&mut self) -> Result<(), StoreError> {
        let known = self.view.read().head();
        match self.store.follow(known) {
            Ok(others) if !others.is_empty() => {
                self.take_in(others);
                return Ok(());
            }
            Ok(_) | Err(StoreError::Compacted(_)) => {}
            Err(error) => return Err(error),
        }
        let (view, pools, _) = load(&mut *self.store)?;
        let head = view.head();
        *self.view.write() = view;
        self.pools = pools;
        self.feed.reset(head);
        Ok(())
    }

    /// Forgets what has expired, a piece a commit, until nothing is left or clients wait.
    fn expire(&mut self, now: Micros) {
        let first = |writer: &Self| writer.view.read().expired(now, 1).first().copied();
        let mut oldest = first(self);
        while let Some(key) = oldest {
            self.batch(vec![Job::unanswered(Request::system(Command::Expire))], Vec::new());
            oldest = first(self);
            if oldest == Some(key) {
                // The store does not take it; the next round tries again.
                break;
            }
            if !self.queue.is_empty() {
                self.cleaned_at = now - HOUSEKEEPING;
                break;
            }
        }
    }

    /// What has to be done now and then: forget what has expired, and old changes.
    fn housekeeping(&mut self) {
        let now = self.clock.now();
        if now.saturating_sub(self.cleaned_at) < HOUSEKEEPING {
            return;
        }
        self.cleaned_at = now;
        self.expire(now);
        loop {
            let trim = Trim {
                keep: self.retention.rows,
                before: now.saturating_sub(self.retention.age),
                audit_before: now.saturating_sub(self.retention.audit),
                step: TRIM_STEP,
            };
            match self.store.trim(trim) {
                Ok(0) => break,
                // More can wait: what clients ask for comes first.
                Ok(_) if !self.queue.is_empty() => {
                    self.cleaned_at = now - HOUSEKEEPING;
                    break;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "old changes could not be forgotten");
                    break;
                }
            }
        }
    }
}

/// A command's name; what it carries is not for a log: hashes of passwords and secrets among it.
fn name(command: &Command) -> String {
    let said = format!("{command:?}");
    said.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Says of every change of another process what the store does not: what its object was before (two
/// may be of one object), and in whose network a hidden port is.
fn fill_in(view: &View, changes: &mut [Change]) {
    let made: HashMap<NetworkId, ProjectId> = changes
        .iter()
        .filter_map(|change| match &change.object {
            Object::Network(network) => Some((network.id, network.meta.project)),
            _ => None,
        })
        .collect();
    for change in changes.iter_mut() {
        change.place(|id| match view.network(id) {
            Some(network) => Some(network.meta.project),
            None => made.get(&id).copied(),
        });
    }
    let mut seen: HashMap<Key, Option<Object>> = HashMap::with_capacity(changes.len());
    for change in changes {
        let after = (change.op != Op::Delete).then(|| change.object.clone());
        change.before = match seen.insert(change.key, after) {
            Some(before) => before,
            None => view.object(&change.key),
        };
    }
}

/// Whether an object takes addresses out of a pool.
fn holds_addresses(object: &Object) -> bool {
    matches!(object, Object::Port(_) | Object::Block(_))
}

/// Decides a command. One that panics is refused like any other: it must not take its neighbours,
/// and every write after it, with it.
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
    let mut pools = Pools::default();
    for subnet in view.subnets(None) {
        pools.put(subnet, used_addresses(&view, subnet));
    }
    pools.settle();
    Ok((view, pools, loaded.store_id))
}

/// What a subnet's pool must not give: addresses of ports, or leased blocks; sorted.
fn used_addresses(view: &View, subnet: &portolan_core::model::Subnet) -> Vec<std::net::IpAddr> {
    match subnet.purpose {
        Purpose::Pods(cluster) => {
            let mut used: Vec<_> = view.blocks_of(cluster).map(|block| block.cidr.first()).collect();
            used.sort_unstable();
            used
        }
        Purpose::General | Purpose::Nodes(_) => view
            .ports_by_address(subnet.id, None)
            .map(|(address, _)| address)
            .collect(),
    }
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
