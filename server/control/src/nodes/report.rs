//! What nodes say about themselves, written together: one commit for all of them, at most every
//! 100 ms, so that a power cut of a thousand nodes is ten writes and not a thousand.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_shared::ids::NodeId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::hub::system_request;
use crate::command::{Command, NodeReport};
use crate::control::Control;

/// The least time between two writes.
const EVERY: Duration = Duration::from_millis(100);

/// How long the first report waits for others.
const GATHER: Duration = Duration::from_millis(5);

/// How long to wait after the store has refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// Reports that wait to be written, one a node.
#[derive(Default)]
pub(super) struct Reports {
    waiting: Mutex<HashMap<NodeId, NodeReport>>,
    some: Notify,
}

impl Reports {
    /// Adds a report; what it says replaces what the same node's waiting report said.
    pub(super) fn add(&self, report: NodeReport) {
        merge(&mut self.waiting.lock(), report);
        self.some.notify_one();
    }

    /// Whether a report of this node waits.
    pub(super) fn waits(&self, node: NodeId) -> bool {
        self.waiting.lock().contains_key(&node)
    }

    /// Writes until dropped.
    pub(super) async fn run(&self, control: &Control) {
        loop {
            self.some.notified().await;
            sleep(GATHER).await;
            let next = Instant::now() + EVERY;
            let batch: Vec<NodeReport> = self.waiting.lock().drain().map(|(_, report)| report).collect();
            if batch.is_empty() {
                continue;
            }
            if let Err(refusal) = control.write(system_request(Command::ReportNodes(batch.clone()))).await {
                tracing::warn!(%refusal, nodes = batch.len(), "cannot record how nodes are doing; trying again");
                {
                    let mut waiting = self.waiting.lock();
                    batch.into_iter().for_each(|report| put_back(&mut waiting, report));
                }
                self.some.notify_one();
                sleep(AFTER_REFUSAL).await;
            }
            sleep_until(next).await;
        }
    }
}

fn merge(waiting: &mut HashMap<NodeId, NodeReport>, report: NodeReport) {
    match waiting.get_mut(&report.node) {
        None => drop(waiting.insert(report.node, report)),
        Some(old) => {
            old.online = report.online.or(old.online);
            old.applied = report.applied.or_else(|| old.applied.take());
            old.agent_version = report.agent_version.or_else(|| old.agent_version.take());
        }
    }
}

/// As [`merge`], but what waits already is the newer.
fn put_back(waiting: &mut HashMap<NodeId, NodeReport>, report: NodeReport) {
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
        }
    }

    #[test]
    fn a_later_report_replaces_only_what_it_says() {
        let mut waiting = HashMap::new();
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
    fn what_was_refused_comes_back_behind_what_came_meanwhile() {
        let mut waiting = HashMap::new();
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
