//! What nodes say about themselves, written together: one commit for all of them, at most every
//! 100 ms, so that a power cut of a thousand nodes is ten writes and not a thousand; and each at most
//! once a second, so that no node makes others wait.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_core::command::{Command, NodeReport, Request};
use portolan_shared::ids::NodeId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::pending::Pending;
use crate::control::Control;

/// The least time between two writes.
const EVERY: Duration = Duration::from_millis(100);

/// The least time between two writes about one node. Whether it is online is written at once.
const EVERY_NODE: Duration = Duration::from_secs(1);

/// How long the first report waits for others.
const GATHER: Duration = Duration::from_millis(5);

/// How long to wait after the store has refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// Reports that wait to be written, one a node.
#[derive(Default)]
pub(super) struct Reports {
    pending: Mutex<Pending<NodeReport>>,
    /// When what a node said was last written, within [`EVERY_NODE`].
    written: Mutex<BTreeMap<NodeId, Instant>>,
    some: Notify,
}

impl Reports {
    /// Adds a report; what it says replaces what the same node's waiting report said.
    pub(super) fn add(&self, report: NodeReport) {
        merge(&mut self.pending.lock().waiting, report);
        self.some.notify_one();
    }

    /// Whether a report of this node waits or is being written.
    pub(super) fn waits(&self, node: NodeId) -> bool {
        self.pending.lock().holds(node)
    }

    /// Takes the reports that may be written now; returns also when the next one may be.
    fn take(&self, now: Instant) -> (Vec<NodeReport>, Option<Instant>) {
        let mut pending = self.pending.lock();
        let (batch, due) = take_due(&mut pending.waiting, &mut self.written.lock(), now);
        pending.write(batch.iter().map(|report| report.node));
        (batch, due)
    }

    /// What was taken was written, or waits again.
    fn conclude(&self, batch: Vec<NodeReport>, failed: bool) {
        let mut pending = self.pending.lock();
        pending.written();
        if failed {
            let waiting = &mut pending.waiting;
            batch.into_iter().for_each(|report| put_back(waiting, report));
        }
    }

    /// Writes until dropped.
    pub(super) async fn run(&self, control: &Control) {
        let mut due = None;
        loop {
            let rested = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.some.notified() => {}
                () = rested => {}
            }
            sleep(GATHER).await;
            let now = Instant::now();
            let next = now + EVERY;
            let batch;
            (batch, due) = self.take(now);
            if batch.is_empty() {
                continue;
            }
            let command = Command::ReportNodes(batch.clone());
            let written = control.write(Request::system(command)).await;
            if let Err(refusal) = &written {
                // The writer says that the store fails, once a minute.
                tracing::debug!(%refusal, nodes = batch.len(), "cannot record how nodes are doing; trying again");
            }
            let failed = written.is_err();
            self.conclude(batch, failed);
            if failed {
                self.some.notify_one();
                sleep(AFTER_REFUSAL).await;
            }
            sleep_until(next).await;
        }
    }
}

/// Takes out the reports that may be written now, in id order; returns also when the next one may be.
fn take_due(
    waiting: &mut BTreeMap<NodeId, NodeReport>,
    written: &mut BTreeMap<NodeId, Instant>,
    now: Instant,
) -> (Vec<NodeReport>, Option<Instant>) {
    written.retain(|_, at| *at + EVERY_NODE > now);
    // Whether a node is online is written at once: `liveness` keeps that from changing often.
    let rests = |report: &NodeReport| report.online.is_none() && written.contains_key(&report.node);
    let due: Vec<NodeReport> = waiting
        .extract_if(.., |_, report| !rests(report))
        .map(|(_, report)| report)
        .collect();
    let next = waiting.keys().filter_map(|node| written.get(node)).min();
    let next = next.map(|at| *at + EVERY_NODE);
    let paced = due.iter().filter(|report| report.online.is_none());
    written.extend(paced.map(|report| (report.node, now)));
    (due, next)
}

fn merge(waiting: &mut BTreeMap<NodeId, NodeReport>, report: NodeReport) {
    match waiting.get_mut(&report.node) {
        None => drop(waiting.insert(report.node, report)),
        Some(old) => {
            old.online = report.online.or(old.online);
            old.applied = report.applied.or_else(|| old.applied.take());
            old.losses = report.losses.or_else(|| old.losses.take());
            old.paused = report.paused.or_else(|| old.paused.take());
            old.paths = report.paths.or_else(|| old.paths.take());
            old.agent_version = report.agent_version.or_else(|| old.agent_version.take());
            old.by = report.by.or(old.by);
            old.beat = report.beat.or(old.beat);
            old.tickets = report.tickets.or(old.tickets);
            old.copied = old.copied.or(report.copied);
        }
    }
}

/// As [`merge`], but the report that waits already is the newer one.
fn put_back(waiting: &mut BTreeMap<NodeId, NodeReport>, report: NodeReport) {
    if let Some(newer) = waiting.insert(report.node, report) {
        merge(waiting, newer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::from_bytes([1; 16]);

    fn report() -> NodeReport {
        NodeReport {
            node: NODE,
            online: None,
            applied: None,
            agent_version: None,
            by: None,
            beat: None,
            tickets: None,
            copied: None,
            losses: None,
            paused: None,
            paths: None,
        }
    }

    #[test]
    fn a_later_report_replaces_only_what_it_says() {
        let mut waiting = BTreeMap::new();
        merge(
            &mut waiting,
            NodeReport {
                online: Some((true, 5)),
                agent_version: Some("1".into()),
                ..report()
            },
        );
        merge(
            &mut waiting,
            NodeReport {
                applied: Some((7, vec![])),
                ..report()
            },
        );
        merge(
            &mut waiting,
            NodeReport {
                online: Some((false, 9)),
                ..report()
            },
        );
        let merged = &waiting[&NODE];
        assert_eq!(merged.online, Some((false, 9)));
        assert_eq!(merged.applied, Some((7, vec![])));
        assert_eq!(merged.agent_version.as_deref(), Some("1"));
    }

    #[test]
    fn what_a_kernel_holds_is_written_once_a_second_and_node() {
        let (mut waiting, mut written) = (BTreeMap::new(), BTreeMap::new());
        let applied = |revision| NodeReport {
            applied: Some((revision, vec![])),
            ..report()
        };
        let start = Instant::now();
        merge(&mut waiting, applied(1));
        assert_eq!(take_due(&mut waiting, &mut written, start).0.len(), 1);
        merge(&mut waiting, applied(2));
        merge(
            &mut waiting,
            NodeReport {
                node: NodeId::from_bytes([2; 16]),
                ..applied(2)
            },
        );
        let soon = start + EVERY;
        let (due, next) = take_due(&mut waiting, &mut written, soon);
        assert_eq!(
            due.iter().map(|r| r.node).collect::<Vec<_>>(),
            [NodeId::from_bytes([2; 16])],
            "others do not wait"
        );
        assert_eq!(next, Some(start + EVERY_NODE));
        merge(&mut waiting, applied(3));
        let (due, next) = take_due(&mut waiting, &mut written, start + EVERY_NODE);
        assert_eq!(due[0].applied, Some((3, vec![])), "the newest");
        assert_eq!((due.len(), next), (1, None));
        let gone = NodeReport {
            online: Some((false, 1)),
            ..report()
        };
        merge(&mut waiting, gone);
        let (due, _) = take_due(&mut waiting, &mut written, start + EVERY_NODE + EVERY);
        assert_eq!(due.len(), 1, "that it is gone is told at once");
    }

    #[test]
    fn what_was_refused_comes_back_behind_what_came_meanwhile() {
        let mut waiting = BTreeMap::new();
        merge(
            &mut waiting,
            NodeReport {
                applied: Some((8, vec![])),
                ..report()
            },
        );
        put_back(
            &mut waiting,
            NodeReport {
                applied: Some((7, vec![])),
                online: Some((true, 1)),
                ..report()
            },
        );
        assert_eq!(waiting[&NODE].applied, Some((8, vec![])));
        assert_eq!(waiting[&NODE].online, Some((true, 1)));
    }
}
