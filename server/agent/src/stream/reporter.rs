//! What this node tells the control plane: what its kernel holds, its pods, that it needs addresses
//! or a new certificate.
//!
//! Nothing here is lost when the connection is: what is durable on this side is told again until it
//! is acknowledged, what is a state is told anew.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use parking_lot::Mutex;
use portolan_wire::agent::{self, FromAgent, from_agent::Message as Out};
use portolan_wire::field::address_bytes;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval};
use tokio_tungstenite::tungstenite::Message;

use super::connect::Socket;
use super::session::{Ended, Heard};
use super::{Node, now};
use crate::identity::{CERTIFICATE_LIFE, Identity, IdentityError};
use crate::pods::{Allocation, Events, Release};

/// Fewer free addresses than this, and one more block is asked for.
const LOW_WATER: u64 = 16;

/// Most pod events in one report.
const BATCH: usize = 500;

/// How long a report may stay unanswered before it is made again.
const UNANSWERED: Duration = Duration::from_secs(10);

/// How long to wait before pods that were refused are reported again: what stood in their way may be
/// gone.
const REFUSED_AGAIN: Duration = Duration::from_secs(60);

/// How long to wait for a block before asking again; longer after a refusal.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long to wait after a block was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How often is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate is renewed at half its life; seconds.
const RENEW_AGE: u64 = CERTIFICATE_LIFE / 2;

/// How long to wait for a new certificate before asking again.
const RENEW_AGAIN: Duration = Duration::from_secs(60 * 60);

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

type Sink = SplitSink<Socket, Message>;

/// What this process owes the control plane, whatever becomes of connections.
pub(super) struct Owed {
    /// A report of all pods: the first of a process is one, and heals what was lost. Owed until one is
    /// acknowledged.
    full: AtomicBool,
    /// Pods that were refused, and when they were last told.
    refused: Mutex<(BTreeSet<Vec<u8>>, Instant)>,
}

impl Default for Owed {
    fn default() -> Self {
        Self {
            full: AtomicBool::new(true),
            refused: Mutex::new((BTreeSet::new(), Instant::now())),
        }
    }
}

impl Owed {
    fn full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Pods were refused. A report of all says of each whether it still is.
    pub(super) fn refused(&self, ids: impl IntoIterator<Item = Vec<u8>>) {
        let mut refused = self.refused.lock();
        refused.0.extend(ids);
        refused.1 = Instant::now();
    }

    /// Everything is owed again once what was refused has rested; only a report of all is looked at
    /// for pods that the control plane has heard of before.
    fn tell_refused_again(&self) {
        let mut refused = self.refused.lock();
        if !refused.0.is_empty() && refused.1.elapsed() >= REFUSED_AGAIN {
            tracing::info!(pods = refused.0.len(), "reporting pods again that were refused");
            refused.0.clear();
            self.full.store(true, Ordering::Relaxed);
        }
    }
}

/// A report that is not acknowledged yet.
struct Unanswered {
    /// How many reports were acknowledged when it was sent.
    answered: u64,
    since: Instant,
    full: bool,
}

pub(super) struct Reporter<'a> {
    node: &'a Node,
    identity: &'a Mutex<Identity>,
    heard: &'a Heard,
    owed: &'a Owed,
    unanswered: Option<Unanswered>,
    /// A block was asked for: with how many this node had, since when.
    asked: Option<(usize, Instant)>,
    renewing: Option<Instant>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(node: &'a Node, identity: &'a Mutex<Identity>, heard: &'a Heard, owed: &'a Owed) -> Self {
        Self {
            node,
            identity,
            heard,
            owed,
            unanswered: None,
            asked: None,
            renewing: None,
        }
    }

    /// Reports until the connection ends.
    pub(super) async fn run(mut self, sink: &mut Sink) -> Result<Infallible, Ended> {
        let mut stored = self.heard.pod_seq.subscribe();
        let mut block_refused = self.heard.block_refused.subscribe();
        let mut newest = self.node.pods.watch();
        let mut standing = self.node.standing.clone();
        let mut desired = self.node.desired.subscribe();
        let known = known(&mut stored).await;
        let own = *newest.borrow();
        self.catch_up(known, own).await?;
        standing.mark_changed();
        let mut ticks = interval(LOOK_EVERY);
        loop {
            let mut frames = Vec::new();
            if standing.has_changed().unwrap_or(false) {
                let now = standing.borrow_and_update();
                if now.revision > 0 || !now.exceptions.is_empty() {
                    let (revision, exceptions) = (now.revision, now.exceptions.clone());
                    frames.push(frame(Out::Applied(agent::Applied { revision, exceptions })));
                }
            }
            desired.borrow_and_update();
            let (stored_seq, newest_seq) = (*stored.borrow_and_update(), *newest.borrow_and_update());
            frames.extend(self.pods(stored_seq.unwrap_or(0), newest_seq).await?);
            if block_refused.has_changed().unwrap_or(false) {
                block_refused.borrow_and_update();
                self.asked = self
                    .asked
                    .map(|(have, _)| (have, Instant::now() + AFTER_REFUSAL - ASK_AGAIN));
            }
            frames.extend(self.block());
            frames.extend(self.renewal()?);
            for frame in frames {
                sink.feed(frame).await.map_err(Box::new)?;
            }
            sink.flush().await.map_err(Box::new)?;
            tokio::select! {
                _ = stored.changed() => {}
                _ = newest.changed() => {}
                _ = standing.changed() => standing.mark_changed(),
                _ = desired.changed() => {}
                _ = block_refused.changed() => block_refused.mark_changed(),
                () = self.node.pods.starved().notified() => {}
                _ = ticks.tick() => {}
            }
        }
    }

    /// At the start: whether everything has to be told, by what the control plane has stored.
    async fn catch_up(&mut self, stored: u64, newest: u64) -> Result<(), Ended> {
        if stored > newest {
            // This node's log was lost. Its numbers must not begin again.
            tracing::warn!(
                stored,
                newest,
                "the control plane knows later pods than this node; going on after them"
            );
            let pods = Arc::clone(&self.node.pods);
            blocking(move || pods.skip_past(stored)).await?;
            self.owed.full.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The next report of pods, if there is something to say and nothing unanswered; a full one may
    /// come in parts.
    async fn pods(&mut self, stored: u64, newest: u64) -> Result<Vec<Message>, Ended> {
        let answered = self.heard.answered.load(Ordering::Relaxed);
        match &self.unanswered {
            Some(report) if answered > report.answered => {
                if report.full {
                    self.owed.full.store(false, Ordering::Relaxed);
                }
                self.unanswered = None;
            }
            Some(report) if report.since.elapsed() < UNANSWERED => return Ok(Vec::new()),
            _ => {}
        }
        self.owed.tell_refused_again();
        let full = self.owed.full();
        if !full && newest <= stored {
            return Ok(Vec::new());
        }
        let events = if full {
            Events::Forgotten
        } else {
            self.node.pods.events_after(stored, BATCH)
        };
        let report = match events {
            Events::Batch {
                seq,
                allocations,
                releases,
            } => agent::PodReport {
                full: false,
                seq,
                allocations: allocations.iter().map(|allocation| allocated(allocation)).collect(),
                releases: releases.iter().map(released).collect(),
                more: false,
            },
            Events::Forgotten => {
                let pods = Arc::clone(&self.node.pods);
                let all = blocking(move || pods.list()).await?;
                let allocations = all.allocations.iter().map(|allocation| allocated(allocation)).collect();
                agent::PodReport {
                    full: true,
                    seq: all.seq,
                    allocations,
                    releases: Vec::new(),
                    more: false,
                }
            }
        };
        self.unanswered = Some(Unanswered {
            answered,
            since: Instant::now(),
            full: report.full,
        });
        let parts = in_parts(report, self.heard.part.load(Ordering::Relaxed));
        Ok(parts.into_iter().map(|part| frame(Out::Pods(part))).collect())
    }

    /// A request for one more block, if addresses run low and all blocks there are are in use.
    fn block(&mut self) -> Option<Message> {
        let have = self.node.desired.borrow().own_blocks(self.node.own);
        let usage = self.node.pods.usage();
        let in_use = self.node.standing.borrow().revision > 0 && usage.blocks == have;
        if !in_use || usage.free() >= LOW_WATER {
            return None;
        }
        if self
            .asked
            .is_some_and(|(with, at)| with == have && at + ASK_AGAIN > Instant::now())
        {
            return None;
        }
        self.asked = Some((have, Instant::now()));
        tracing::info!(have, free = usage.free(), "few pod addresses left: asking for a block");
        Some(frame(Out::Blocks(agent::BlockRequest {
            have: u32::try_from(have).unwrap_or(u32::MAX),
        })))
    }

    /// A request for a new certificate, if this one has lived for half its life.
    fn renewal(&mut self) -> Result<Option<Message>, ReportError> {
        let identity = self.identity.lock();
        let due = identity.certificate_age(now()) >= RENEW_AGE;
        if !due || self.renewing.is_some_and(|since| since.elapsed() < RENEW_AGAIN) {
            return Ok(None);
        }
        self.renewing = Some(Instant::now());
        Ok(Some(frame(Out::Renew(agent::RenewRequest {
            csr: identity.request()?,
        }))))
    }
}

/// A full report, cut into parts of at most `most` pods; 0: the control plane takes no parts.
fn in_parts(mut report: agent::PodReport, most: u32) -> Vec<agent::PodReport> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    while report.full && most > 0 && report.allocations.len() > most {
        let rest = report.allocations.split_off(most);
        let allocations = std::mem::replace(&mut report.allocations, rest);
        parts.push(agent::PodReport {
            full: true,
            seq: report.seq,
            allocations,
            releases: Vec::new(),
            more: true,
        });
    }
    parts.push(report);
    parts
}

/// A frame to the control plane.
pub(super) fn frame(message: Out) -> Message {
    Message::Binary(FromAgent { message: Some(message) }.encode_to_vec().into())
}

/// What the control plane has stored, once it has said so.
async fn known(stored: &mut watch::Receiver<Option<u64>>) -> u64 {
    // The sender lives as long as the session: this does not fail.
    stored
        .wait_for(Option::is_some)
        .await
        .map_or(None, |seq| *seq)
        .unwrap_or(0)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, ReportError> {
    let done = spawn_blocking(work)
        .await
        .map_err(|_| ReportError::Pods(io::Error::other("the pods have panicked")))?;
    done.map_err(ReportError::Pods)
}

fn allocated(allocation: &Allocation) -> agent::PodAllocation {
    agent::PodAllocation {
        id: allocation.id.as_bytes().to_vec(),
        seq: allocation.seq,
        container_id: allocation.container.clone(),
        interface: allocation.ifname.clone(),
        pod_namespace: allocation.pod_namespace.clone(),
        pod_name: allocation.pod_name.clone(),
        pod_uid: allocation.pod_uid.clone(),
        addresses: allocation
            .addresses
            .iter()
            .map(|address| address_bytes(*address))
            .collect(),
        mac: allocation.mac.octets().to_vec(),
    }
}

fn released(release: &Release) -> agent::PodRelease {
    agent::PodRelease {
        id: release.id.as_bytes().to_vec(),
        allocation_seq: release.allocation_seq,
        seq: release.seq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refused_pods_are_owed_again_after_a_rest() {
        let owed = Owed::default();
        owed.full.store(false, Ordering::Relaxed);
        owed.refused([vec![1; 16]]);
        owed.tell_refused_again();
        assert!(!owed.full(), "not at once");
        tokio::time::advance(REFUSED_AGAIN).await;
        owed.tell_refused_again();
        assert!(owed.full());
        // Not refused again, they are owed no more.
        owed.full.store(false, Ordering::Relaxed);
        tokio::time::advance(REFUSED_AGAIN).await;
        owed.tell_refused_again();
        assert!(!owed.full());
    }

    #[test]
    fn only_who_takes_parts_is_sent_parts() {
        let report = |full| agent::PodReport {
            full,
            seq: 9,
            allocations: vec![agent::PodAllocation::default(); 5],
            ..agent::PodReport::default()
        };
        let sizes = |report, most| {
            let parts = in_parts(report, most);
            assert!(parts.iter().all(|part| part.seq == 9));
            parts
                .iter()
                .map(|part| (part.allocations.len(), part.more))
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(report(true), 0), [(5, false)]);
        assert_eq!(sizes(report(true), 2), [(2, true), (2, true), (1, false)]);
        assert_eq!(sizes(report(true), 5), [(5, false)]);
        assert_eq!(sizes(report(false), 2), [(5, false)]);
    }
}
