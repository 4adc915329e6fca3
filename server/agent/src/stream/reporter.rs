//! What this node tells the control plane: what its kernel holds, its pods, that it needs addresses
//! or a new certificate.
//!
//! A lost connection loses nothing: durable events are reported again until they are acknowledged, and states are
//! reported anew.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::SinkExt as _;
use futures_util::stream::SplitSink;
use parking_lot::Mutex;
use portolan_plan::Loss;
use portolan_sources::ByteStream;
use portolan_wire::HOST_PORTS_TOLD;
use portolan_wire::agent::{self, from_agent::Message as Out};
use portolan_wire::field::{address_bytes, host_port_message};
use tokio::sync::watch;
use tokio::time::{Instant, interval};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::SessionContext;
use super::paths::Paths;
use super::shared::{Claiming, FromControl, PendingReports, ReportError, SessionEnd, frame};
use crate::converge::{Exception, Subject};
use crate::identity::{CERTIFICATE_LIFE, Identity};
use crate::pods::{Allocation, Events, Release};

/// When fewer addresses than this are free, the agent asks for one more block.
const LOW_WATER: u64 = 16;

/// Most pod events in one report.
const BATCH: usize = 500;

/// How long a report may stay unanswered before it is made again.
const UNANSWERED: Duration = Duration::from_secs(10);

/// How long to wait for a block before asking again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long to wait before asking again after a block was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How long a block is empty before it is given back without being asked for.
const REST: Duration = Duration::from_secs(10 * 60);

/// How often the reporter checks whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate is renewed at half its life.
const RENEW_AGE: Duration = Duration::from_secs(CERTIFICATE_LIFE.as_secs() / 2);

/// How long to wait for a new certificate before asking again.
const RENEW_AGAIN: Duration = Duration::from_secs(5 * 60);

/// Where frames to the control plane go.
type Sink<S> = SplitSink<WebSocketStream<S>, Message>;

/// A report that is not acknowledged yet.
struct UnansweredReport {
    /// How many reports were acknowledged when it was sent.
    acknowledged_before: u64,
    sent_at: Instant,
    full: bool,
}

/// A block that was asked for.
struct BlockRequest {
    /// How many blocks this node had then.
    have: usize,
    /// Before then it is not asked for again.
    not_before: Instant,
}

pub(super) struct Reporter<'a> {
    context: &'a SessionContext,
    identity: &'a Mutex<Identity>,
    received: &'a FromControl,
    pending: &'a PendingReports,
    unanswered: Option<UnansweredReport>,
    block_request: Option<BlockRequest>,
    /// How often blocks had been asked back when that was last looked at.
    blocks_wanted: u32,
    /// Since when there has been room enough without an empty block.
    spare_since: Option<Instant>,
    /// When blocks were last given back.
    returned_at: Option<Instant>,
    /// When a new certificate was asked for, in microseconds since the epoch: what counts for a certificate is the time of
    /// day, also after the host was suspended.
    renewal_asked_at: Option<i64>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        context: &'a SessionContext,
        identity: &'a Mutex<Identity>,
        received: &'a FromControl,
        pending: &'a PendingReports,
    ) -> Self {
        Self {
            context,
            identity,
            received,
            pending,
            unanswered: None,
            block_request: None,
            blocks_wanted: 0,
            spare_since: None,
            returned_at: None,
            renewal_asked_at: None,
        }
    }

    /// Reports until the connection ends.
    pub(super) async fn run<S: ByteStream>(mut self, sink: &mut Sink<S>) -> Result<Infallible, SessionEnd> {
        let mut stored = self.received.stored_pod_seq.subscribe();
        let mut refused_blocks = self.received.refused_blocks.subscribe();
        let mut blocks_wanted = self.received.blocks_wanted.subscribe();
        let mut newest = self.context.pods.watch();
        let mut standing = self.context.standing.clone();
        let mut desired = self.context.desired.subscribe();
        let known = known(&mut stored).await;
        self.claim(sink).await?;
        let own = *newest.borrow();
        self.catch_up(known, own).await?;
        standing.mark_changed();
        let takes_paths = self.received.takes_paths.load(Ordering::Relaxed);
        let mut paths = Paths::new(self.context.paths.clone().filter(|_| takes_paths));
        let mut ticks = interval(LOOK_EVERY);
        loop {
            let mut frames = Vec::new();
            if standing.has_changed().unwrap_or(false) {
                let now = standing.borrow_and_update();
                let same_run = now.incarnation == self.context.desired.borrow().incarnation();
                if same_run && (now.revision > 0 || !now.exceptions.is_empty()) {
                    let revision = now.revision;
                    let exceptions = now.exceptions.iter().map(exception).collect();
                    let losses = now.losses.iter().map(loss).collect();
                    frames.push(frame(Out::Applied(agent::Applied {
                        revision,
                        exceptions,
                        losses,
                        paused: now.paused.as_ref().map(|paused| agent::Paused {
                            by: paused.by.clone(),
                            since: paused.since,
                        }),
                    })));
                }
            }
            frames.extend(paths.news());
            desired.borrow_and_update();
            let (stored_seq, newest_seq) = (*stored.borrow_and_update(), *newest.borrow_and_update());
            frames.extend(self.pods(stored_seq.unwrap_or(0), newest_seq).await?);
            if refused_blocks.has_changed().unwrap_or(false) {
                refused_blocks.borrow_and_update();
                if let Some(request) = &mut self.block_request {
                    request.not_before = Instant::now() + AFTER_REFUSAL;
                }
            }
            frames.extend(self.block());
            frames.extend(self.returned().await?);
            frames.extend(self.renewal()?);
            for frame in frames {
                sink.feed(frame).await.map_err(Box::new)?;
            }
            sink.flush().await.map_err(Box::new)?;
            tokio::select! {
                biased;
                _ = stored.changed() => {}
                _ = newest.changed() => {}
                _ = standing.changed() => standing.mark_changed(),
                _ = desired.changed() => {}
                () = paths.changed() => {}
                _ = refused_blocks.changed() => refused_blocks.mark_changed(),
                _ = blocks_wanted.changed() => {}
                () = self.context.pods.starved().notified() => {}
                _ = ticks.tick() => {}
            }
        }
    }

    /// If the state here is of another history, claims what of it the control plane lacks, and waits until the new state is
    /// here.
    async fn claim<S: ByteStream>(&self, sink: &mut Sink<S>) -> Result<(), SessionEnd> {
        let mut claiming = self.received.claiming.subscribe();
        loop {
            let due = match &*claiming.borrow_and_update() {
                Claiming::No => return Ok(()),
                Claiming::Due(claim) => claim.clone(),
                Claiming::Awaited | Claiming::Sent => Vec::new(),
            };
            if !due.is_empty() {
                let items: usize = due.iter().map(|part| part.items.len()).sum();
                tracing::warn!(items, "claiming what the control plane does not know any more");
                self.received.claiming.send_replace(Claiming::Sent);
                for part in due {
                    sink.feed(frame(Out::Claim(part))).await.map_err(Box::new)?;
                }
                sink.flush().await.map_err(Box::new)?;
            }
            // The sender lives as long as the session.
            if claiming.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// At the start, compares what the control plane has stored with this node: if this node knows less, all pods are
    /// reported.
    async fn catch_up(&mut self, stored: u64, newest: u64) -> Result<(), SessionEnd> {
        if stored > newest {
            // This node's log was lost. Its numbers must not start again: go on after those that are stored.
            tracing::warn!(
                stored,
                newest,
                "the control plane knows later pods than this node; going on after them"
            );
            let pods = Arc::clone(&self.context.pods);
            self.blocking(move || pods.skip_past(stored)).await?;
            self.pending.set_full(true);
        }
        Ok(())
    }

    /// The next report of pods, if there is news and no earlier report waits for its answer. A full one may come in
    /// parts.
    async fn pods(&mut self, stored: u64, newest: u64) -> Result<Vec<Message>, SessionEnd> {
        let acknowledged = self.received.acknowledged_reports.load(Ordering::Relaxed);
        match &self.unanswered {
            Some(report) if acknowledged > report.acknowledged_before => {
                if report.full {
                    self.pending.set_full(false);
                }
                self.unanswered = None;
            }
            Some(report) if report.sent_at.elapsed() < UNANSWERED => return Ok(Vec::new()),
            _ => {}
        }
        self.pending.report_refused_again();
        let full = self.pending.full();
        if !full && newest <= stored {
            return Ok(Vec::new());
        }
        let events = if full {
            Events::Forgotten
        } else {
            self.context.pods.events_after(stored, BATCH)
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
                let pods = Arc::clone(&self.context.pods);
                let all = self.blocking(move || pods.list()).await?;
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
        self.unanswered = Some(UnansweredReport {
            acknowledged_before: acknowledged,
            sent_at: Instant::now(),
            full: report.full,
        });
        let parts = in_parts(report, self.received.report_part.load(Ordering::Relaxed));
        Ok(parts.into_iter().map(|part| frame(Out::Pods(part))).collect())
    }

    /// A request for one more block, if addresses run low and all leased blocks are in use already.
    fn block(&mut self) -> Option<Message> {
        let have = self.context.desired.borrow().own_blocks(self.context.own);
        let usage = self.context.pods.usage();
        let in_use = self.context.standing.borrow().revision > 0 && usage.blocks == have;
        if !in_use || usage.free() >= LOW_WATER {
            return None;
        }
        let now = Instant::now();
        let waits = |request: &BlockRequest| request.have == have && now < request.not_before;
        if self.block_request.as_ref().is_some_and(waits) {
            return None;
        }
        self.block_request = Some(BlockRequest {
            have,
            not_before: now + ASK_AGAIN,
        });
        tracing::info!(have, free = usage.free(), "few pod addresses left: asking for a block");
        Some(frame(Out::Blocks(agent::BlockRequest {
            have: u32::try_from(have).unwrap_or(u32::MAX),
        })))
    }

    /// A block that is given back: one that holds no pod, when another node needs one, or after a rest while there is room
    /// enough without it. What was given back and is leased still is told again.
    async fn returned(&mut self) -> Result<Option<Message>, SessionEnd> {
        let wanted = *self.received.blocks_wanted.borrow();
        let asked = std::mem::replace(&mut self.blocks_wanted, wanted) != wanted;
        let now = Instant::now();
        let pods = &self.context.pods;
        if !pods.spare_block(LOW_WATER * 2) {
            self.spare_since = None;
        }
        let rested = now >= *self.spare_since.get_or_insert(now) + REST;
        let most = usize::from((rested || asked) && pods.spare_block(1));
        let untold = pods.owes_blocks() && self.returned_at.is_none_or(|at| now >= at + LOOK_EVERY);
        if most == 0 && !untold {
            return Ok(None);
        }
        (self.spare_since, self.returned_at) = (None, Some(now));
        let pods = Arc::clone(pods);
        let blocks = self.blocking(move || pods.give_back_blocks(most)).await?;
        tracing::info!(blocks = blocks.len(), asked, "giving blocks back that hold no pod");
        let blocks = blocks.iter().map(|block| block.as_bytes().to_vec()).collect();
        Ok(Some(frame(Out::LetGo(agent::LetGo {
            blocks,
            kept: Vec::new(),
        }))))
    }

    /// A request for a new certificate, if this one has lived for half its life.
    fn renewal(&mut self) -> Result<Option<Message>, ReportError> {
        let identity = self.identity.lock();
        let now = self.context.sources.clock.now();
        let lately = |at: i64| Duration::from_micros(at.abs_diff(now)) < RENEW_AGAIN;
        if identity.certificate_age(now) < RENEW_AGE || self.renewal_asked_at.is_some_and(lately) {
            return Ok(None);
        }
        self.renewal_asked_at = Some(now);
        Ok(Some(frame(Out::Renew(agent::RenewRequest {
            csr: identity.request()?,
        }))))
    }

    /// Does what waits for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, ReportError> {
        let done = self.context.sources.workers.run(work).await;
        done.map_err(io::Error::other)
            .and_then(|result| result)
            .map_err(ReportError::Pods)
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

/// What the control plane has stored, once it has said so.
async fn known(stored: &mut watch::Receiver<Option<u64>>) -> u64 {
    // The sender lives as long as the session: this does not fail.
    stored
        .wait_for(Option::is_some)
        .await
        .map_or(None, |seq| *seq)
        .unwrap_or(0)
}

fn exception(exception: &Exception) -> agent::Exception {
    let (kind, id) = match &exception.subject {
        Subject::Block(id) => ("block", id.as_bytes()),
        Subject::Node(id) => ("node", id.as_bytes()),
        Subject::Port(id) => ("port", id.as_bytes()),
    };
    agent::Exception {
        kind: kind.to_owned(),
        id: id.to_vec(),
        reason: exception.reason.clone(),
        attempts: exception.attempts,
    }
}

fn loss(loss: &Loss) -> agent::Loss {
    agent::Loss {
        kind: loss.kind.word().to_owned(),
        objects: u32::try_from(loss.objects).unwrap_or(u32::MAX),
        first_seen: loss.first_seen,
        back_after_ms: loss.back_after_ms,
        today: loss.today,
        contested: loss.contested,
        by: loss.by.clone().unwrap_or_default(),
    }
}

fn allocated(allocation: &Allocation) -> agent::PodAllocation {
    let told = allocation.host_ports.iter().take(HOST_PORTS_TOLD);
    let more = allocation.host_ports.len().saturating_sub(HOST_PORTS_TOLD);
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
        host_ports: told.map(host_port_message).collect(),
        more_host_ports: u32::try_from(more).unwrap_or(u32::MAX),
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
    use portolan_shared::ids::{BlockId, NodeId, PortId};

    use super::*;

    #[test]
    fn an_exception_is_told_by_kind_and_id() {
        let told = |subject| {
            let told = exception(&Exception {
                subject,
                reason: "File exists".to_owned(),
                attempts: 3,
            });
            assert_eq!((told.reason.as_str(), told.attempts), ("File exists", 3));
            (told.kind, told.id)
        };
        let id = [7; 16];
        assert_eq!(
            told(Subject::Block(BlockId::from_bytes(id))),
            ("block".to_owned(), id.to_vec())
        );
        assert_eq!(
            told(Subject::Node(NodeId::from_bytes(id))),
            ("node".to_owned(), id.to_vec())
        );
        assert_eq!(
            told(Subject::Port(PortId::from_bytes(id))),
            ("port".to_owned(), id.to_vec())
        );
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
