//! What others took away from nodes' kernels, on its way to the store: a commit a node, so that the audit says whose agent told
//! it, and so seldom that a host where something flaps makes nobody wait ([`due`]).

use std::future::pending;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use portolan_core::command::{Command, NodeReport, Request};
use portolan_core::kinds::losses::due;
use portolan_core::model::Loss;
use portolan_shared::ids::NodeId;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::pending::Pending;
use crate::control::Control;

/// How long to wait after the store has refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// Losses that wait to be written: all of a node's, as its agent told them last.
#[derive(Default)]
pub(super) struct Losses {
    pending: Mutex<Pending<Vec<Loss>>>,
    some: Notify,
}

impl Losses {
    /// Adds those of a node, in place of what it told before.
    pub(super) fn add(&self, node: NodeId, losses: Vec<Loss>) {
        self.pending.lock().waiting.insert(node, losses);
        self.some.notify_one();
    }

    /// Whether some of this node wait or are being written.
    pub(super) fn wait_for(&self, node: NodeId) -> bool {
        self.pending.lock().holds(node)
    }

    /// Writes until dropped.
    pub(super) async fn run(&self, control: &Control) {
        let mut rest = None;
        loop {
            let rested = async {
                match rest {
                    Some(rest) => sleep(rest).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.some.notified() => {}
                () = rested => {}
            }
            let told;
            (told, rest) = self.take_due(control);
            let writes = told.into_iter().map(async |(node, losses): (NodeId, Vec<Loss>)| {
                let report = NodeReport {
                    losses: Some(losses.clone()),
                    ..NodeReport::of(node)
                };
                let command = Command::ReportNodes(vec![report]);
                let written = control.write(Request::agent(node, command)).await;
                // The writer says that the store fails, once a minute.
                written.err().map(|_| (node, losses))
            });
            let failed: Vec<_> = join_all(writes).await.into_iter().flatten().collect();
            if !failed.is_empty() {
                rest = Some(rest.map_or(AFTER_REFUSAL, |rest: Duration| rest.min(AFTER_REFUSAL)));
            }
            let mut pending = self.pending.lock();
            pending.written();
            for (node, losses) in failed {
                // What was told meanwhile, or waits besides, is newer.
                pending.waiting.entry(node).or_insert(losses);
            }
        }
    }

    /// Takes what may be written now; what must wait stays. Returns also for how long.
    fn take_due(&self, control: &Control) -> (Vec<(NodeId, Vec<Loss>)>, Option<Duration>) {
        let now = control.now();
        let mut pending = self.pending.lock();
        let (mut told, mut next) = (Vec::new(), None);
        control.read(|view| {
            pending.waiting.retain(|id, losses| {
                let Some(node) = view.node(*id) else { return false };
                let due = due(view, node, losses, now);
                told.extend(due.now.map(|losses| (*id, losses)));
                next = next.into_iter().chain(due.more_at).min();
                due.more_at.is_some()
            });
        });
        pending.write(told.iter().map(|(node, _)| *node));
        let rest = next.map(|at| Duration::from_micros(u64::try_from(at - now).unwrap_or(0)));
        (told, rest)
    }
}
