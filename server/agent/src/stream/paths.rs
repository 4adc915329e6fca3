//! Tells the control plane what the probes say.

use portolan_plan::probes::Report;
use portolan_wire::agent::{self, from_agent::Message as Out};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use super::shared::frame;

/// What the probes say, as one connection tells it.
pub(super) struct Paths(Option<watch::Receiver<Option<Report>>>);

impl Paths {
    /// Everything has to be told.
    pub(super) fn new(report: Option<watch::Receiver<Option<Report>>>) -> Self {
        let mut paths = Self(report);
        paths.0.iter_mut().for_each(watch::Receiver::mark_changed);
        paths
    }

    /// What is to be told, if there is news.
    pub(super) fn news(&mut self) -> Option<Message> {
        let report = self.0.as_mut().filter(|report| report.has_changed().unwrap_or(false))?;
        let report = report.borrow_and_update().clone()?;
        Some(frame(Out::Paths(told(&report))))
    }

    /// Waits for news.
    pub(super) async fn changed(&mut self) {
        // The prober holds the other end for as long as the agent runs.
        if let Some(report) = &mut self.0
            && report.changed().await.is_ok()
        {
            report.mark_changed();
        } else {
            std::future::pending().await
        }
    }
}

fn told(report: &Report) -> agent::Paths {
    let named = report.named.iter().map(|(node, fault)| agent::PathFault {
        node_id: node.as_bytes().to_vec(),
        fault: fault.word().to_owned(),
    });
    agent::Paths {
        peers: report.peers,
        proven: report.proven,
        failing: report.failing,
        named: named.collect(),
        trouble: report.trouble.clone(),
    }
}
