//! One connection. Reading never waits for writing: otherwise two full buffers could block each other for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use portolan_sources::ByteStream;
use portolan_wire::agent::{Hello, ToAgent, from_agent, to_agent::Message as In};
use portolan_wire::{DEAD_SECONDS, PROTOCOL, field};
use prost::Message as _;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::SessionContext;
use super::reporter::Reporter;
use super::shared::{PendingReports, Received, SessionEnd, frame};
use crate::desired::{Arriving, Rejected};
use crate::identity::Identity;

/// One connection.
pub(super) struct Session<'a> {
    context: &'a SessionContext,
    identity: &'a Mutex<Identity>,
    pending: &'a PendingReports,
    received: Received,
}

impl<'a> Session<'a> {
    pub(super) fn new(context: &'a SessionContext, identity: &'a Mutex<Identity>, pending: &'a PendingReports) -> Self {
        Self {
            context,
            identity,
            pending,
            received: Received::default(),
        }
    }

    /// Whether the control plane has let this node in.
    pub(super) fn was_welcome(&self) -> bool {
        self.received.stored_pod_seq.borrow().is_some()
    }

    /// From hello to the end.
    pub(super) async fn run<S: ByteStream>(&self, socket: WebSocketStream<S>) -> SessionEnd {
        let (mut sink, stream) = socket.split();
        if let Err(error) = sink.send(self.hello()).await {
            return Box::new(error).into();
        }
        let reporter = Reporter::new(self.context, self.identity, &self.received, self.pending);
        let end = tokio::select! {
            read = self.read(stream) => read,
            reported = reporter.run(&mut sink) => reported,
        };
        let Err(end) = end;
        end
    }

    fn hello(&self) -> Message {
        let state = Arc::clone(&self.context.desired.borrow());
        let hello = Hello {
            protocol: PROTOCOL,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            store_id: state.store().to_vec(),
            desired_revision: state.revision(),
            desired_digest: state.digest().to_vec(),
            applied_revision: self.context.standing.borrow().revision,
            kernel: self.context.kernel_release.clone(),
        };
        frame(from_agent::Message::Hello(hello))
    }

    async fn read<S: ByteStream>(&self, mut stream: SplitStream<WebSocketStream<S>>) -> Result<Infallible, SessionEnd> {
        let mut reading = Reading {
            arriving: Arriving::default(),
            store: [0; 16],
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
                reading.store = field::id("store_id", &told.store_id).map_err(Rejected::from)?;
                let (resumed, head) = (told.resumed, told.head);
                tracing::info!(resumed, head, "connected to the control plane");
                self.received.report_part.store(told.pod_report_part, Ordering::Relaxed);
                self.received.stored_pod_seq.send_replace(Some(told.pod_seq));
            }
            _ if !welcome => return Err(SessionEnd::Protocol("something before the welcome")),
            In::Snapshot(part) => {
                let have = Arc::clone(&self.context.desired.borrow());
                if let Some(state) = reading.arriving.part(reading.store, part, &have)? {
                    tracing::info!(revision = state.revision(), "received the whole desired state");
                    self.context.desired.send_replace(Arc::new(state));
                }
            }
            In::Change(change) => {
                let mut taken = Ok(false);
                self.context.desired.send_if_modified(|state| {
                    taken = Arc::make_mut(state).change(change);
                    matches!(taken, Ok(true))
                });
                taken?;
            }
            In::Progress(progress) => {
                // The first mark means that everything missed has come, so the revision is applied. Later marks only
                // keep this node from falling behind in the feed.
                let news = !std::mem::replace(&mut reading.marked, true);
                self.context.desired.send_if_modified(|state| {
                    progress.head > state.revision() && Arc::make_mut(state).progress(progress.head) && news
                });
            }
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
                self.identity
                    .lock()
                    .renewed(renewed.certificate, self.context.sources.clock.now())?;
                tracing::info!("this node's certificate is renewed");
            }
        }
        Ok(())
    }
}

/// Where the reader is.
struct Reading {
    arriving: Arriving,
    store: [u8; 16],
    /// Whether a progress mark has come.
    marked: bool,
}
