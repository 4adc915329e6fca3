//! What the reader and the reporter of a connection have in common.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portolan_wire::DEAD_SECONDS;
use portolan_wire::agent::{Claim, FromAgent, Refused, from_agent};
use prost::Message as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{self, Message};

use super::connect::ConnectError;
use crate::desired::Rejected;
use crate::identity::IdentityError;

/// How long to wait before refused pods are reported again: the reason may be gone by then.
const REFUSED_AGAIN: Duration = Duration::from_secs(60);

/// How a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionEnd {
    /// It did not begin.
    #[error("cannot connect")]
    Connect(#[from] ConnectError),
    /// The control plane refuses this node.
    #[error("refused: {}", .0.sentence)]
    Refused(Refused),
    /// Nothing came for too long.
    #[error("nothing heard for {DEAD_SECONDS} s")]
    Silent,
    /// The peer closed, or went away.
    #[error("the control plane closed the connection")]
    Closed,
    /// WebSocket failed, or the limits were broken.
    #[error("the connection failed")]
    WebSocket(#[from] Box<tungstenite::Error>),
    /// What was sent is not as the protocol says.
    #[error("the control plane does not speak as the protocol says ({0})")]
    Protocol(&'static str),
    /// What was sent is not taken.
    #[error("what the control plane sent is not taken")]
    Rejected(#[from] Rejected),
    /// Changes have come to a state that was not what the control plane had sent. It sends all of it at the next hello.
    #[error("the state kept here is not what the control plane has; all of it is asked for")]
    Differs,
    /// A report cannot be made.
    #[error("cannot report")]
    Report(#[from] ReportError),
    /// What this machine is cannot be read.
    #[error("cannot read this machine's identity")]
    Identity(#[from] IdentityError),
}

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    /// The pods' log cannot be read or written.
    #[error("the pods' log cannot be used")]
    Pods(#[source] io::Error),
    /// The request for a new certificate cannot be made.
    #[error("cannot ask for a new certificate")]
    Identity(#[from] IdentityError),
}

/// What the reader has received on this connection and the reporter needs.
pub(super) struct FromControl {
    /// The newest pod event that the control plane has stored; `None` before the welcome.
    pub(super) stored_pod_seq: watch::Sender<Option<u64>>,
    /// Counts refused requests for a block.
    pub(super) refused_blocks: watch::Sender<u32>,
    /// Counts how often blocks were asked back.
    pub(super) blocks_wanted: watch::Sender<u32>,
    /// Counts acknowledged reports of pods.
    pub(super) acknowledged_reports: AtomicU64,
    /// Whether it takes what probes say.
    pub(super) takes_paths: AtomicBool,
    /// Most pods in a part of a full report; 0: it goes as one.
    pub(super) report_part: AtomicU32,
    /// Whether the state here is of another history, and what of it has to be claimed. Until that is answered nothing else
    /// is reported: the control plane would take it for what is of its own history.
    pub(super) claiming: watch::Sender<Claiming>,
}

/// How far a claim is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Claiming {
    /// There is none, or it is answered and the new state is here.
    #[default]
    No,
    /// The new state is on its way.
    Awaited,
    /// It has to be sent, in these parts.
    Due(Vec<Claim>),
    /// It is sent.
    Sent,
}

impl Default for FromControl {
    fn default() -> Self {
        Self {
            stored_pod_seq: watch::Sender::new(None),
            refused_blocks: watch::Sender::new(0),
            blocks_wanted: watch::Sender::new(0),
            acknowledged_reports: AtomicU64::new(0),
            takes_paths: AtomicBool::new(false),
            report_part: AtomicU32::new(0),
            claiming: watch::Sender::default(),
        }
    }
}

/// What this process still has to report; it outlives connections.
pub(super) struct PendingReports {
    /// Whether a report of all pods is due: at the start of the process, and to repair what was lost. It is due until
    /// one is acknowledged.
    full: AtomicBool,
    refused: Mutex<RefusedPods>,
}

/// Pods that the control plane has refused.
struct RefusedPods {
    ids: BTreeSet<Vec<u8>>,
    /// Not reported again before this moment.
    not_before: Instant,
}

impl Default for PendingReports {
    fn default() -> Self {
        Self {
            full: AtomicBool::new(true),
            refused: Mutex::new(RefusedPods {
                ids: BTreeSet::new(),
                not_before: Instant::now(),
            }),
        }
    }
}

impl PendingReports {
    /// Whether all pods have to be reported.
    pub(super) fn full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Sets whether all pods have to be reported.
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Notes pods that were refused. The next report of all pods shows which of them still are.
    pub(super) fn refused(&self, ids: impl IntoIterator<Item = Vec<u8>>) {
        let mut refused = self.refused.lock();
        refused.ids.extend(ids);
        refused.not_before = Instant::now() + REFUSED_AGAIN;
    }

    /// Makes a report of all pods due once the refused ones have waited long enough. Only in such a report does the
    /// control plane look again at pods that it has heard of.
    pub(super) fn report_refused_again(&self) {
        let mut refused = self.refused.lock();
        if !refused.ids.is_empty() && Instant::now() >= refused.not_before {
            tracing::info!(pods = refused.ids.len(), "reporting pods again that were refused");
            refused.ids.clear();
            self.set_full(true);
        }
    }
}

/// A frame to the control plane.
pub(super) fn frame(message: from_agent::Message) -> Message {
    Message::Binary(FromAgent { message: Some(message) }.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refused_pods_are_reported_again_after_a_rest() {
        let pending = PendingReports::default();
        pending.set_full(false);
        pending.refused([vec![1; 16]]);
        pending.report_refused_again();
        assert!(!pending.full(), "not at once");
        tokio::time::advance(REFUSED_AGAIN).await;
        pending.report_refused_again();
        assert!(pending.full());
        // They were not refused again, so they are not reported again.
        pending.set_full(false);
        tokio::time::advance(REFUSED_AGAIN).await;
        pending.report_refused_again();
        assert!(!pending.full());
    }
}
