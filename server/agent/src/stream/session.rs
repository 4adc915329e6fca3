//! One connection. Reading never waits for writing: otherwise two full buffers could block each other for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use portolan_shared::tickets::follows;
use portolan_sources::ByteStream;
use portolan_wire::agent::{Hello, Ticket, ToAgent, from_agent, to_agent::Message as In};
use portolan_wire::{DEAD_SECONDS, PROTOCOL, error_chain};
use prost::Message as _;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::SessionContext;
use super::reporter::Reporter;
use super::shared::{Claiming, FromControl, PendingReports, ReportError, SessionEnd, frame};
use crate::desired::{Arriving, Received};
use crate::identity::{Identity, IdentityError};

/// One connection.
pub(super) struct Session<'a> {
    context: &'a SessionContext,
    identity: &'a Mutex<Identity>,
    pending: &'a PendingReports,
    received: FromControl,
}

impl<'a> Session<'a> {
    pub(super) fn new(context: &'a SessionContext, identity: &'a Mutex<Identity>, pending: &'a PendingReports) -> Self {
        Self {
            context,
            identity,
            pending,
            received: FromControl::default(),
        }
    }

    /// Whether the control plane has let this node in.
    pub(super) fn was_welcome(&self) -> bool {
        self.received.stored_pod_seq.borrow().is_some()
    }

    /// From hello to the end.
    pub(super) async fn run<S: ByteStream>(&self, socket: WebSocketStream<S>) -> SessionEnd {
        let (mut sink, stream) = socket.split();
        let hello = match self.hello() {
            Ok(hello) => hello,
            Err(error) => return error.into(),
        };
        if let Err(error) = sink.send(hello).await {
            return Box::new(error).into();
        }
        let reporter = Reporter::new(self.context, self.identity, &self.received, self.pending);
        let end = tokio::select! {
            // Who reads much does not keep the other from reporting.
            biased;
            reported = reporter.run(&mut sink) => reported,
            read = self.read(stream) => read,
        };
        let Err(end) = end;
        end
    }

    fn hello(&self) -> Result<Message, IdentityError> {
        let state = Arc::clone(&self.context.desired.borrow());
        let hello = Hello {
            protocol: PROTOCOL,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            store_id: state.store().to_vec(),
            desired_revision: state.revision(),
            desired_digest: state.older_digest().to_vec(),
            applied_revision: self.context.standing.borrow().revision,
            kernel: self.context.kernel_release.clone(),
            position: state.position().cloned(),
            digest: state.digest().to_vec(),
            history: state.history().to_vec(),
            ticket: self.identity.lock().ticket()?,
        };
        Ok(frame(from_agent::Message::Hello(hello)))
    }

    async fn read<S: ByteStream>(&self, mut stream: SplitStream<WebSocketStream<S>>) -> Result<Infallible, SessionEnd> {
        let mut reading = Reading {
            arriving: Arriving::default(),
            marked: false,
        };
        loop {
            let next = timeout(Duration::from_secs(DEAD_SECONDS), stream.next())
                .await
                .map_err(|_| SessionEnd::Silent)?;
            match next {
                None => return Err(SessionEnd::Closed),
                Some(Err(error)) => return Err(Box::new(error).into()),
                Some(Ok(Message::Binary(frame))) => self.take(&mut reading, frame)?,
                Some(Ok(Message::Close(_))) => return Err(SessionEnd::Closed),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Frame(_))) => return Err(SessionEnd::Protocol("a text")),
            }
        }
    }

    /// Goes on with what came of a state on its way.
    fn received(&self, received: Received) -> Result<(), SessionEnd> {
        match received {
            Received::Nothing => {}
            Received::State(state) => {
                if *self.received.claiming.borrow() != Claiming::No {
                    let regained = self.context.desired.borrow().regained(&state, self.context.own);
                    // Before the state counts: pods are given addresses of it at once.
                    self.context.pods.decline_blocks(&regained).map_err(ReportError::Pods)?;
                }
                tracing::info!(revision = state.revision(), "received the whole desired state");
                self.context.desired.send_replace(Arc::new(*state));
                if self.received.claiming.send_replace(Claiming::No) != Claiming::No {
                    // What the control plane knows of the pods is of another history.
                    self.pending.set_full(true);
                }
            }
            Received::Claim(claim) => {
                self.received.claiming.send_replace(Claiming::Due(claim));
            }
        }
        Ok(())
    }

    /// Keeps the ticket that was given for this stream. If it does not follow the one that was shown, another stream had one
    /// in between: what the control plane knows of the pods may be a copy's word.
    fn ticket(&self, given: &Ticket) {
        let identity = self.identity.lock();
        let shown = identity.ticket().ok().flatten().map_or(0, |ticket| ticket.number);
        if !follows(shown, given.number) {
            self.pending.set_full(true);
        }
        if let Err(error) = identity.keep_ticket(given) {
            tracing::error!(error = %error_chain(&error), "cannot keep the ticket of this machine");
        }
    }

    fn take(&self, reading: &mut Reading, frame: Bytes) -> Result<(), SessionEnd> {
        let Ok(ToAgent { message: Some(message) }) = ToAgent::decode(frame) else {
            // An unknown message of a newer control plane: this version does not need it.
            return Ok(());
        };
        let welcome = self.was_welcome();
        match message {
            In::Refused(refused) => return Err(SessionEnd::Refused(refused)),
            In::Welcome(_) if welcome => return Err(SessionEnd::Protocol("a second welcome")),
            In::Welcome(told) => {
                // Kept before anything comes of this connection: else a copy of this machine could not be told from it. On a
                // disk that takes nothing the one before stands in; to stay away would help nobody.
                if let Some(ticket) = &told.ticket {
                    self.ticket(ticket);
                }
                reading.arriving = Arriving::new(&told)?;
                let (resumed, head) = (told.resumed, told.head);
                tracing::info!(resumed, head, "connected to the control plane");
                if told.other_history {
                    tracing::warn!(
                        head,
                        "the control plane was put back to an older state, or lost the newest"
                    );
                    self.received.claiming.send_replace(Claiming::Awaited);
                }
                self.received.takes_paths.store(told.takes_paths, Ordering::Relaxed);
                self.received.report_part.store(told.pod_report_part, Ordering::Relaxed);
                self.received.stored_pod_seq.send_replace(Some(told.pod_seq));
            }
            _ if !welcome => return Err(SessionEnd::Protocol("something before the welcome")),
            In::Snapshot(part) => {
                let have = Arc::clone(&self.context.desired.borrow());
                let received = reading.arriving.part(part, &have)?;
                self.received(received)?;
            }
            In::Change(change) => match reading.arriving.change(change)? {
                Ok(received) => self.received(received)?,
                Err(change) => {
                    let mut taken = Ok(false);
                    self.context.desired.send_if_modified(|state| {
                        taken = Arc::make_mut(state).change(change);
                        matches!(taken, Ok(true))
                    });
                    taken?;
                }
            },
            In::Progress(progress) => {
                if let Some(received) = reading.arriving.progress(progress.head, progress.position.clone()) {
                    return self.received(received);
                }
                // The first mark means that everything missed has come, so the revision is applied. Later marks only
                // keep this node from falling behind in the feed.
                let news = !std::mem::replace(&mut reading.marked, true);
                let history = reading.arriving.history();
                let mut differs = false;
                self.context.desired.send_if_modified(|state| {
                    if progress.head < state.revision() {
                        return false;
                    }
                    let state = Arc::make_mut(state);
                    if news {
                        state.name_history(history.to_vec());
                    }
                    let moves = state.progress(progress.head, progress.position);
                    differs = !progress.digest.is_empty() && state.digest()[..] != progress.digest[..];
                    moves && news
                });
                if differs {
                    return Err(SessionEnd::Differs);
                }
            }
            In::ClaimAck(ack) => {
                let received = reading.arriving.claimed(ack.revision);
                self.received(received)?;
            }
            In::WantBlocks(_) => self.received.blocks_wanted.send_modify(|count| *count += 1),
            In::PodAck(ack) => {
                for refused in &ack.refused {
                    tracing::error!(
                        reason = refused.reason,
                        "the control plane does not accept a pod's address"
                    );
                }
                self.context.pods.acknowledged(ack.seq);
                self.pending.refused(ack.refused.into_iter().map(|refused| refused.id));
                self.received.acknowledged_reports.fetch_add(1, Ordering::Relaxed);
                self.received.stored_pod_seq.send_replace(Some(ack.seq));
            }
            In::BlockRefused(refused) => {
                tracing::error!(
                    code = refused.code,
                    reason = refused.sentence,
                    "no further block of pod addresses"
                );
                self.received.refused_blocks.send_modify(|count| *count += 1);
            }
            In::Renewed(renewed) => {
                let now = self.context.sources.clock.now();
                if let Err(error) = self.identity.lock().renewed(renewed.certificate, now) {
                    let error = error_chain(&error);
                    tracing::error!(error, "cannot keep the renewed certificate; it is used all the same");
                }
                tracing::info!("this node's certificate is renewed");
            }
        }
        Ok(())
    }
}

/// Where the reader is.
struct Reading {
    arriving: Arriving,
    /// Whether a progress mark has come.
    marked: bool,
}
