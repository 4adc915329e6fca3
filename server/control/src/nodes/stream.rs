//! A node's stream: the desired state of its cluster out, its reports in.
//!
//! The stream holds a place in its cluster's feed and takes from there what it can send; nothing is
//! queued for it, so an agent that is slow only falls behind, and at most as far as the ring goes.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use portolan_core::change::{Commit, Op};
use portolan_core::model::{Key, Micros, Revision, Tickets};
use portolan_core::protocol::resume::Resume;
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_wire::agent::{self, FromAgent, Hello, Progress, Renewed, WantBlocks, Welcome};
use portolan_wire::agent::{from_agent::Message as In, to_agent::Message as Out};
use portolan_wire::{DEAD_SECONDS, PING_SECONDS, POD_REPORT_PART, PROTOCOL, SPANS};
use prost::Message as _;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, sleep_until};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::claims::Claiming;
use super::ended::{Ended, replaced};
use super::hello::{Has, expired, greet, is_node, parted};
use super::hub::{Hub, Place};
use super::join::{at_most, malformed};
use super::pki::Identity;
use super::renew;
use super::reports_in;
use super::socket::{Incoming, Socket};
use super::state::{Dialect, frame};
use super::turns::{self, Turn};
use crate::feed::{Next, Subscription};

/// Most frames handed over before a flush.
const BATCH: usize = 64;

/// How often a stream that waits for a slow peer looks whether its node still exists.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Serves a stream until it ends.
pub(super) async fn run(hub: &Arc<Hub>, mut socket: Socket, identity: Identity, end: watch::Receiver<bool>) {
    let node = identity.node;
    let ended = match greet(hub, &mut socket, &identity).await {
        Err(ended) => ended,
        Ok((hello, tickets)) => {
            let place = hub.connected(node, tickets.given, &reports_in::shortened(&hello.agent_version, 64));
            let mut heard = hub.control.now();
            let ended = match turn(hub, &mut socket, identity.cluster, &place, end.clone()).await {
                Err(ended) => ended,
                Ok(turn) => {
                    let mut stream = Stream::new(hub, &mut socket, identity, tickets, turn);
                    let Err(ended) = stream.serve(&hello, &place, end).await;
                    heard = stream.heard;
                    ended
                }
            };
            hub.lost(node, &place, heard);
            ended
        }
    };
    tracing::debug!(%node, reason = %ended, "an agent's stream has ended");
    match ended {
        Ended::Refused(refused) => socket.close(Some(frame(Out::Refused(refused)))).await,
        // A machine that has opened another stream itself does not read this any more.
        Ended::Replaced => socket.close(Some(frame(Out::Refused(replaced())))).await,
        Ended::OtherHistory | Ended::NotRecorded | Ended::Closing => socket.close(None).await,
        Ended::Dead | Ended::Socket(_) => {}
    }
}

/// Waits for the turn to begin.
async fn turn(
    hub: &Hub,
    socket: &mut Socket,
    cluster: ClusterId,
    place: &Place,
    mut end: watch::Receiver<bool>,
) -> Result<Turn, Ended> {
    let period = Duration::from_secs(PING_SECONDS);
    let mut ticks = interval_at(Instant::now() + period, period);
    let mut turn = pin!(hub.turn(cluster));
    loop {
        tokio::select! {
            biased;
            turn = &mut turn => return Ok(turn),
            () = over(&mut end) => return Err(Ended::Closing),
            () = place.signals.replaced.notified() => return Err(Ended::Replaced),
            _ = ticks.tick() => socket.send(vec![Message::Ping(Bytes::new())]).await?,
        }
    }
}

type Pending = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

struct Stream<'a> {
    hub: &'a Arc<Hub>,
    socket: &'a mut Socket,
    identity: Identity,
    /// The ticket that it was given.
    tickets: Tickets,
    /// Held until it has begun: it was sent what it lacks, and what it claims is written.
    turn: Option<Turn>,
    node: NodeId,
    cluster: ClusterId,
    /// When the peer was last heard.
    heard: Micros,
    alive: Instant,
    parts: reports_in::Parts,
    dialect: Dialect,
    /// [`Control::histories`](crate::control::Control::histories) when it began.
    histories: u64,
    /// The newest state that the agent may hold by now.
    holds: Revision,
    /// What the agent claims of another history, until all of it is there.
    claiming: Option<Claiming>,
    /// Whether the pending write is that claim.
    claimed: bool,
    /// Whether changes were sent to a state that nobody has compared with the cluster's since.
    unproven: bool,
    /// A write that the agent asked for and that is under way; the agent's further frames wait for it.
    pending: Option<Pending>,
}

impl<'a> Stream<'a> {
    fn new(hub: &'a Arc<Hub>, socket: &'a mut Socket, identity: Identity, tickets: Tickets, turn: Turn) -> Self {
        let (node, cluster, heard) = (identity.node, identity.cluster, hub.control.now());
        Self {
            hub,
            socket,
            identity,
            tickets,
            turn: Some(turn),
            node,
            cluster,
            heard,
            alive: Instant::now(),
            parts: reports_in::Parts::default(),
            dialect: Dialect::Newest,
            histories: hub.control.histories(),
            holds: 0,
            claiming: None,
            claimed: false,
            unproven: false,
            pending: None,
        }
    }

    async fn serve(
        &mut self,
        hello: &Hello,
        place: &Place,
        mut end: watch::Receiver<bool>,
    ) -> Result<std::convert::Infallible, Ended> {
        let upto = Instant::now() + turns::LONGEST;
        let mut feed = self.welcome(hello).await?;
        if self.claiming.is_none() {
            self.turn = None;
        }
        let period = Duration::from_secs(PING_SECONDS);
        let mut ticks = interval_at(Instant::now() + self.offset(period), period);
        loop {
            tokio::select! {
                // The feed comes last: it may have something always.
                biased;
                () = over(&mut end) => return Err(Ended::Closing),
                () = place.signals.replaced.notified() => return Err(Ended::Replaced),
                _ = ticks.tick() => self.tick(&feed).await?,
                incoming = self.socket.next(), if self.pending.is_none() => {
                    self.alive = Instant::now();
                    self.heard = self.hub.control.now();
                    if let Incoming::Frame(frame) = incoming? {
                        self.receive(frame).await?;
                    }
                }
                answer = finished(&mut self.pending) => {
                    self.pending = None;
                    self.alive = Instant::now();
                    match answer {
                        Some(answer) => self.send(vec![Message::Binary(answer)]).await?,
                        None if self.claimed => return Err(Ended::NotRecorded),
                        None => {}
                    }
                    // What was decided of a claim is in the feed by now: the new state counts at once.
                    if std::mem::take(&mut self.claimed) {
                        self.drain(&mut feed, Vec::new()).await?;
                        let mark = self.progress(&feed)?;
                        self.send(vec![mark]).await?;
                        self.turn = None;
                    }
                }
                () = sleep_until(upto), if self.turn.is_some() => self.turn = None,
                () = sleep_until(self.alive + Duration::from_secs(DEAD_SECONDS)), if self.pending.is_none() => {
                    return Err(Ended::Dead);
                }
                () = place.signals.blocks_wanted.notified(), if self.dialect == Dialect::Newest => {
                    self.send(vec![Message::Binary(frame(Out::WantBlocks(WantBlocks {})))]).await?;
                }
                next = feed.next() => self.follow(&mut feed, next).await?,
            }
        }
    }

    /// Sends the welcome, what the agent lacks, and a mark that it has everything now.
    async fn welcome(&mut self, hello: &Hello) -> Result<Subscription, Ended> {
        let has = Has::of(self.hub, hello).map_err(|error| malformed(&error.to_string()))?;
        self.dialect = has.dialect;
        // Following begins before the state is read, so nothing is missed. What is committed in between comes twice;
        // the agent drops it by its revision.
        let mut feed = self.hub.control.feed().subscribe_cluster(self.cluster, None);
        let Some((state, head)) = self.hub.states.current(self.cluster, self.dialect) else {
            return Err(parted(self.hub, &self.identity).into());
        };
        let (held, history) = self.hub.control.read(|view| {
            let spans = view.history().newest_spans(SPANS).to_vec();
            (view.holds(has.point), spans)
        });
        let resume = has.needs(held, &state.digest, state.cluster_revision);
        let mut frames = Vec::new();
        let mut resumed = false;
        match resume {
            Resume::Current => resumed = true,
            Resume::OtherHistory { proven } => self.claiming = Some(Claiming::new(self.hub, &has, proven)),
            Resume::Snapshot => {}
            Resume::Changes(after) => {
                let mut since = self.hub.control.feed().subscribe_cluster(self.cluster, Some(after));
                match since.try_next() {
                    Some(Next::Reset { .. }) => {}
                    first => {
                        if let Some(first) = first {
                            self.take(first, &mut frames)?;
                        }
                        feed = since;
                        resumed = true;
                        self.unproven = self.dialect == Dialect::Newest;
                    }
                }
            }
        }
        if self.claiming.is_none() && !has.is_nothing() {
            self.hold(at_most(has.point.revision, head.revision));
        }
        if !resumed {
            frames.clear();
            self.take_snapshot(&mut frames)?;
        }
        if self.claiming.is_none() {
            self.hub.shown(self.node);
        }
        let pod_seq = self
            .hub
            .control
            .read(|view| view.node_status(self.node).map_or(0, |s| s.pod_seq));
        let span = |span: portolan_core::history::Span| agent::Span {
            incarnation: span.incarnation.as_bytes().to_vec(),
            first: span.first,
        };
        let welcome = Welcome {
            protocol: PROTOCOL,
            store_id: self.hub.control.store_id().to_vec(),
            head: head.revision,
            resumed,
            pod_seq,
            pod_report_part: POD_REPORT_PART,
            takes_paths: true,
            history: history.into_iter().map(span).collect(),
            other_history: self.claiming.is_some(),
            ticket: (self.dialect == Dialect::Newest).then(|| agent::Ticket {
                number: self.tickets.given,
                proof: self.hub.seal.ticket(&self.identity.key_hash, self.tickets.given),
            }),
        };
        frames.insert(0, Message::Binary(frame(Out::Welcome(welcome))));
        self.send(frames).await?;
        self.drain(&mut feed, Vec::new()).await?;
        let mark = self.progress(&feed)?;
        self.send(vec![mark]).await?;
        tracing::debug!(node = %self.node, ?resume, "an agent's stream has begun");
        Ok(feed)
    }

    /// The agent may hold the state of this revision from now on, if it is newer.
    fn hold(&mut self, revision: Revision) {
        self.holds = self.holds.max(revision);
    }

    /// Sends a commit, and everything else the feed has by now.
    async fn follow(&mut self, feed: &mut Subscription, next: Next) -> Result<(), Ended> {
        let mut frames = Vec::new();
        self.take(next, &mut frames)?;
        self.drain(feed, frames).await
    }

    async fn drain(&mut self, feed: &mut Subscription, mut frames: Vec<Message>) -> Result<(), Ended> {
        loop {
            let next = feed.try_next();
            let more = next.is_some();
            if let Some(next) = next {
                self.take(next, &mut frames)?;
            }
            if frames.len() >= BATCH || (!more && !frames.is_empty()) {
                self.send(std::mem::take(&mut frames)).await?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// The frames for what the feed has.
    fn take(&mut self, next: Next, frames: &mut Vec<Message>) -> Result<(), Ended> {
        match next {
            Next::Commit(commit) => {
                if self.is_removed_by(&commit) {
                    return Err(parted(self.hub, &self.identity).into());
                }
                let change = self.hub.states.change(self.cluster, self.dialect, &commit);
                frames.push(Message::Binary(change));
                self.hold(commit.revision);
            }
            // What its reports were answered with may be lost as well: it comes back and is told what is known of it.
            Next::Reset {
                other_history: true, ..
            } => return Err(Ended::OtherHistory),
            Next::Reset { .. } => self.take_snapshot(frames)?,
            Next::Closed => return Err(Ended::Closing),
        }
        Ok(())
    }

    /// The frames of the whole state, none older than what the agent holds.
    fn take_snapshot(&self, frames: &mut Vec<Message>) -> Result<(), Ended> {
        let parts = self.hub.states.snapshot(self.cluster, self.dialect, self.holds);
        let parts = parts.ok_or_else(|| parted(self.hub, &self.identity))?;
        frames.extend(parts.into_iter().map(Message::Binary));
        Ok(())
    }

    /// The mark up to which everything was sent.
    fn progress(&mut self, feed: &Subscription) -> Result<Message, Ended> {
        let head = feed.cursor();
        let point = self.hub.control.read(|view| {
            let same = self.hub.control.histories() == self.histories;
            same.then(|| view.point(head))
        });
        let point = point.ok_or(Ended::OtherHistory)?;
        self.hold(point.revision);
        Ok(Message::Binary(frame(Out::Progress(Progress {
            head,
            position: Some(self.hub.states.position(point)),
            digest: self.proof(head),
        }))))
    }

    /// The digest of the state at `head`, once, for an agent that has not shown that it has that state. Empty as long as a
    /// newer state is all there is.
    fn proof(&mut self, head: Revision) -> Vec<u8> {
        let current = || self.hub.states.current(self.cluster, self.dialect);
        let state = self.unproven.then(current).flatten();
        let Some((state, _)) = state.filter(|(state, _)| state.cluster_revision <= head) else {
            return Vec::new();
        };
        self.unproven = false;
        state.digest.to_vec()
    }

    fn is_removed_by(&self, commit: &Commit) -> bool {
        commit.changes.iter().any(|change| match (&change.op, &change.key) {
            (Op::Delete, Key::Node(node)) => *node == self.node,
            (Op::Delete, Key::Cluster(cluster)) => *cluster == self.cluster,
            // Another host has joined as this node.
            (Op::Put, Key::Node(node)) if *node == self.node => !is_node(self.hub, &self.identity),
            _ => false,
        })
    }

    /// Sends. A slow peer may take a while, so it checks meanwhile that the node still exists.
    async fn send(&mut self, frames: Vec<Message>) -> Result<(), Ended> {
        let (hub, identity) = (self.hub, &self.identity);
        let gone = async {
            loop {
                sleep(LOOK_EVERY).await;
                if !is_node(hub, identity) {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            sent = self.socket.send(frames) => Ok(sent?),
            () = gone => Err(parted(hub, identity).into()),
        }
    }

    async fn tick(&mut self, feed: &Subscription) -> Result<(), Ended> {
        if !self.identity.is_valid(self.hub.control.now()) {
            return Err(expired(&self.identity).into());
        }
        let mark = self.progress(feed)?;
        self.send(vec![mark, Message::Ping(Bytes::new())]).await
    }

    async fn receive(&mut self, frame: Bytes) -> Result<(), Ended> {
        let Ok(FromAgent { message: Some(message) }) = FromAgent::decode(frame) else {
            return Err(malformed("the frame is no message of an agent's").into());
        };
        // What is asked here is decided in the history that the agent was told, or not at all.
        let by = reports_in::By {
            node: self.node,
            within: self.hub.within(self.histories).ok_or(Ended::OtherHistory)?,
            machine: self.identity.key_hash,
            tickets: self.tickets,
        };
        match message {
            In::Hello(_) => Err(malformed("a stream has one Hello").into()),
            In::Applied(applied) => {
                let head = self.hub.control.feed().head();
                let revision = at_most(applied.revision, head);
                let exceptions = reports_in::exceptions(self.node, applied.exceptions)
                    .map_err(|error| malformed(&error.to_string()))?;
                let losses = reports_in::losses(applied.losses);
                let paused = reports_in::paused(applied.paused);
                self.hub.applied(self.node, revision, exceptions, losses, paused);
                Ok(())
            }
            In::Paths(paths) => {
                let paths = reports_in::paths(paths).map_err(|error| malformed(&error.to_string()))?;
                self.hub.paths(self.node, paths);
                Ok(())
            }
            In::Pods(part) => {
                let whole = self.parts.take(part).map_err(|error| malformed(&error.to_string()))?;
                let Some(report) = whole else { return Ok(()) };
                let report = reports_in::pods(report).map_err(|error| malformed(&error.to_string()))?;
                let hub = Arc::clone(self.hub);
                self.pending = Some(Box::pin(async move { reports_in::record_pods(&hub, by, report).await }));
                Ok(())
            }
            In::Blocks(request) => {
                let hub = Arc::clone(self.hub);
                self.pending = Some(Box::pin(async move {
                    reports_in::lease_block(&hub, by, request.have).await
                }));
                Ok(())
            }
            In::Claim(part) => {
                let Some(claiming) = &mut self.claiming else {
                    return Err(malformed("nothing was to be claimed").into());
                };
                if !claiming.take(part).map_err(|error| malformed(&error.to_string()))? {
                    return Ok(());
                }
                if let Some(claiming) = self.claiming.take() {
                    self.claimed = true;
                    let (hub, identity) = (Arc::clone(self.hub), self.identity.clone());
                    self.pending = Some(Box::pin(async move { claiming.record(&hub, &identity, by).await }));
                }
                Ok(())
            }
            In::LetGo(let_go) => {
                let blocks = reports_in::blocks(&let_go).map_err(|error| malformed(&error.to_string()))?;
                let hub = Arc::clone(self.hub);
                self.pending = Some(Box::pin(async move { reports_in::give_back(&hub, by, blocks).await }));
                Ok(())
            }
            In::Renew(request) => {
                let renewed = renew::renewed(self.hub, &mut self.identity, &request.csr);
                let certificate = match renewed {
                    Ok(certificate) => certificate,
                    // It asks again.
                    Err(refused) if refused.retry => {
                        let (node, reason) = (self.node, refused.sentence);
                        tracing::warn!(%node, reason, "cannot renew a node's certificate now");
                        return Ok(());
                    }
                    Err(refused) => return Err(refused.into()),
                };
                self.send(vec![Message::Binary(super::state::frame(Out::Renewed(Renewed {
                    certificate,
                })))])
                .await
            }
        }
    }

    /// Spreads the streams over the period, so that ten thousand do not tick at once.
    fn offset(&self, period: Duration) -> Duration {
        let id = self.node.as_bytes();
        period.mul_f64(f64::from(u16::from_be_bytes([id[14], id[15]])) / f64::from(u16::MAX))
    }
}

/// Completes when the control plane ends, also when the sender of that news is gone.
async fn over(end: &mut watch::Receiver<bool>) {
    let _ = end.wait_for(|end| *end).await;
}

async fn finished(pending_write: &mut Option<Pending>) -> Option<Bytes> {
    match pending_write {
        Some(write) => write.await,
        None => pending().await,
    }
}
