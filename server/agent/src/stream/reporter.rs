//! What this node tells the control plane: what its kernel holds, its pods, that it needs addresses
//! or a new certificate.
//!
//! Nothing here is lost when the connection is: what is durable on this side is told again until it
//! is acknowledged, what is a state is told anew.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
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
use crate::identity::{Identity, IdentityError};
use crate::pods::{Allocation, Events, Release};

/// Fewer free addresses than this, and one more block is asked for.
const LOW_WATER: u64 = 16;

/// Most pod events in one report.
const BATCH: usize = 500;

/// How long a report may stay unanswered before it is made again.
const UNANSWERED: Duration = Duration::from_secs(10);

/// How long to wait for a block before asking again; longer after a refusal.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long to wait after a block was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How often is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate is renewed at half its life of 7 days; seconds.
const RENEW_AGE: u64 = 7 * 24 * 60 * 60 / 2;

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

pub(super) struct Reporter<'a> {
    node: &'a Node,
    identity: &'a Mutex<Identity>,
    heard: &'a Heard,
    /// The next report of pods is of all of them.
    full: bool,
    /// A report that is not acknowledged yet: up to which event, since when.
    unanswered: Option<(u64, Instant)>,
    /// A block was asked for: with how many this node had, since when.
    asked: Option<(usize, Instant)>,
    renewing: Option<Instant>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(node: &'a Node, identity: &'a Mutex<Identity>, heard: &'a Heard, full: bool) -> Self {
        Self {
            node,
            identity,
            heard,
            full,
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
            self.full = true;
        }
        Ok(())
    }

    /// The next report of pods, if there is something to say and nothing unanswered.
    async fn pods(&mut self, stored: u64, newest: u64) -> Result<Option<Message>, Ended> {
        match self.unanswered {
            Some((seq, _)) if stored >= seq => self.unanswered = None,
            Some((_, since)) if since.elapsed() < UNANSWERED => return Ok(None),
            _ => {}
        }
        if !self.full && newest <= stored {
            return Ok(None);
        }
        let events = if self.full {
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
                }
            }
        };
        self.full = false;
        self.unanswered = Some((report.seq, Instant::now()));
        Ok(Some(frame(Out::Pods(report))))
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
