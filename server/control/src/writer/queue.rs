//! What waits for the writer.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use portolan_core::command::{Command, Delete, Outcome, Request};
use portolan_shared::refusal::Refusal;
use tokio::sync::{oneshot, watch};

/// Most commands that may wait; more are refused at once.
const MOST_WAITING: usize = 65_536;
/// Most objects that one batch makes, so that its neighbours do not wait for long.
const MOST_OBJECTS: usize = 2_048;

/// Who waits for a request's outcome.
type Answer = oneshot::Sender<Result<Outcome, Refusal>>;

/// A request, and who waits for its outcome.
struct Job {
    request: Request,
    answer: Answer,
}

impl Job {
    /// About how many objects it touches. A command that may touch thousands fills a batch by itself.
    fn weight(&self) -> usize {
        match &self.request.command {
            Command::Kind(command) => command.weight(),
            Command::CreateNetworks(new) => new.len(),
            Command::CreateSubnets(new) => new.len(),
            Command::CreatePorts(new) => new.len(),
            Command::ReportPods {
                allocations, releases, ..
            } => allocations.len() + releases.len(),
            Command::ReportNodes(reports) => reports.len(),
            Command::LetGo { blocks, kept, .. } => blocks.len() + kept.len(),
            Command::ReturnBlocks { blocks, .. } => blocks.len(),
            Command::AwaitNodes(nodes) => nodes.len(),
            Command::Delete(Delete::Cluster(_) | Delete::Node(_))
            | Command::DeleteUser(_)
            | Command::Expire
            | Command::Claim(_) => MOST_OBJECTS,
            Command::UpdateNetwork(..)
            | Command::UpdateSubnet(..)
            | Command::UpdatePort(..)
            | Command::Delete(Delete::Network(_) | Delete::Subnet(_) | Delete::Port(_))
            | Command::CreateCluster(_)
            | Command::CreateNode { .. }
            | Command::CreateJoinToken { .. }
            | Command::Join { .. }
            | Command::LeaseBlock { .. }
            | Command::AdmitNode(_)
            | Command::RelocateNode { .. }
            | Command::ReleaseBlock(_)
            | Command::FileRequest(_)
            | Command::OnRequest { .. }
            | Command::CreateProject { .. }
            | Command::DeleteProject(_)
            | Command::CreateUser(_)
            | Command::ChangeUser(..)
            | Command::SetLanguage { .. }
            | Command::Assign(_)
            | Command::Unassign(_)
            | Command::BeginSession(..)
            | Command::DeleteSession(_)
            | Command::KeepAnswer(..) => 1,
        }
    }
}

/// What the writer does next.
pub(super) struct Work {
    pub(super) requests: Vec<Request>,
    /// Who waits for their outcomes, one each.
    pub(super) answers: Vec<Answer>,
    /// Callers that wait until the view has reached the head of now.
    pub(super) waiting: Vec<oneshot::Sender<Result<(), Refusal>>>,
    /// Nothing comes after this.
    pub(super) closing: bool,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    waiting: Vec<oneshot::Sender<Result<(), Refusal>>>,
    closing: bool,
    /// The writer is gone.
    closed: bool,
    closers: Vec<oneshot::Sender<()>>,
}

/// The writer's queue.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// True once the writer is gone.
    ended: watch::Sender<bool>,
    /// Most commands of a batch.
    batch: usize,
}

impl Queue {
    pub(crate) fn new(batch: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: watch::Sender::new(false),
            batch: batch.max(1),
        }
    }

    /// Puts a request in line.
    pub(crate) fn write(&self, request: Request) -> Result<oneshot::Receiver<Result<Outcome, Refusal>>, Refusal> {
        let (answer, outcome) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closing || state.closed {
            return Err(closing());
        }
        if state.jobs.len() >= MOST_WAITING {
            return Err(Refusal::StoreUnavailable {
                reason: format!("{MOST_WAITING} requests are waiting already"),
            });
        }
        state.jobs.push_back(Job { request, answer });
        drop(state);
        self.wake.notify_one();
        Ok(outcome)
    }

    /// Asks for the view to be brought up to the head.
    pub(crate) fn current(&self) -> Result<oneshot::Receiver<Result<(), Refusal>>, Refusal> {
        let (answer, reached) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closing || state.closed {
            return Err(closing());
        }
        state.waiting.push(answer);
        drop(state);
        self.wake.notify_one();
        Ok(reached)
    }

    /// Closes the queue; the receiver hears when the writer is done with what it has.
    pub(crate) fn close(&self) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        let mut state = self.state.lock();
        state.closing = true;
        if !state.closed {
            state.closers.push(done);
        }
        drop(state);
        self.wake.notify_one();
        told
    }

    /// Completes once the writer has ended, for any reason.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as the queue: this does not fail.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Whether there is a writer.
    pub(crate) fn lives(&self) -> bool {
        !*self.ended.borrow()
    }

    /// Whether anybody waits for the writer, be it for its end.
    pub(super) fn wants_the_writer(&self) -> bool {
        let state = self.state.lock();
        !state.jobs.is_empty() || !state.waiting.is_empty() || state.closing
    }

    /// The next batch of what waits; if nothing does, waits at most `patience` for something.
    pub(super) fn take(&self, patience: Duration) -> Work {
        let mut state = self.state.lock();
        if state.jobs.is_empty() && state.waiting.is_empty() && !state.closing {
            self.wake.wait_for(&mut state, patience);
        }
        let most = state.jobs.len().min(self.batch);
        let (mut requests, mut answers) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let mut objects = 0;
        while requests.len() < self.batch && objects < MOST_OBJECTS {
            let Some(job) = state.jobs.pop_front() else { break };
            objects += job.weight();
            requests.push(job.request);
            answers.push(job.answer);
        }
        let closing = state.closing && state.jobs.is_empty();
        Work {
            requests,
            answers,
            waiting: std::mem::take(&mut state.waiting),
            closing,
        }
    }
}

fn closing() -> Refusal {
    Refusal::StoreUnavailable {
        reason: "the control plane is closing".to_owned(),
    }
}

/// Held by the writer. When it is dropped, everybody who waits for the writer is told that it has ended.
pub(super) struct Running(pub(super) std::sync::Arc<Queue>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.jobs.clear();
        state.waiting.clear();
        state.closers.clear();
        drop(state);
        self.0.ended.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use portolan_shared::ids::{ClusterId, SubnetId};

    use super::*;

    #[test]
    fn what_may_take_thousands_along_ends_its_batch() {
        let queue = Queue::new(1024);
        let ask = |command| drop(queue.write(Request::system(command)));
        ask(Command::Delete(Delete::Subnet(SubnetId::from_bytes([1; 16]))));
        ask(Command::Delete(Delete::Cluster(ClusterId::from_bytes([2; 16]))));
        ask(Command::Delete(Delete::Cluster(ClusterId::from_bytes([3; 16]))));
        ask(Command::Delete(Delete::Subnet(SubnetId::from_bytes([4; 16]))));
        let batches: Vec<usize> = (0..3).map(|_| queue.take(Duration::ZERO).requests.len()).collect();
        assert_eq!(batches, [2, 1, 1]);
    }
}
