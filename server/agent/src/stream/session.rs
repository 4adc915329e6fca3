//! One connection: reading never waits for writing, so that two full buffers cannot stop each other.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use portolan_wire::agent::{Hello, Refused, ToAgent, to_agent::Message as In};
use portolan_wire::{DEAD_SECONDS, PROTOCOL, field};
use prost::Message as _;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::connect::{ConnectError, Socket};
use super::reporter::{Owed, ReportError, Reporter};
use super::{Node, now};
use crate::desired::{Arriving, Rejected};
use crate::identity::{Identity, IdentityError};

/// How a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// It did not begin.
    #[error("cannot connect")]
    Connect(#[from] ConnectError),
    /// The control plane refuses this node.
    #[error("refused: {}", .0.sentence)]
    Refused(Refused),
    /// Nothing came for too long.
    #[error("nothing heard for {DEAD_SECONDS} s")]
    Dead,
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
    /// A report cannot be made.
    #[error("cannot report")]
    Report(#[from] ReportError),
    /// A renewed certificate cannot be kept.
    #[error("cannot keep the renewed certificate")]
    Identity(#[from] IdentityError),
}

/// What the reader tells the reporter.
pub(super) struct Heard {
    /// The newest pod event that the control plane has stored; `None` before the welcome.
    pub(super) pod_seq: watch::Sender<Option<u64>>,
    /// Counts refused requests for a block.
    pub(super) block_refused: watch::Sender<u32>,
    /// Counts acknowledged reports of pods.
    pub(super) answered: AtomicU64,
    /// Most pods in a part of a full report; 0: it goes as one.
    pub(super) part: AtomicU32,
}

/// One connection.
pub(super) struct Session<'a> {
    node: &'a Node,
    identity: &'a Mutex<Identity>,
    owed: &'a Owed,
    heard: Heard,
}

impl<'a> Session<'a> {
    pub(super) fn new(node: &'a Node, identity: &'a Mutex<Identity>, owed: &'a Owed) -> Self {
        let heard = Heard {
            pod_seq: watch::Sender::new(None),
            block_refused: watch::Sender::new(0),
            answered: AtomicU64::new(0),
            part: AtomicU32::new(0),
        };
        Self {
            node,
            identity,
            owed,
            heard,
        }
    }

    /// Whether the control plane has let this node in.
    pub(super) fn was_welcome(&self) -> bool {
        self.heard.pod_seq.borrow().is_some()
    }

    /// From hello to the end.
    pub(super) async fn run(&self, socket: Socket) -> Ended {
        let (mut sink, stream) = socket.split();
        if let Err(error) = sink.send(self.hello()).await {
            return Box::new(error).into();
        }
        let reporter = Reporter::new(self.node, self.identity, &self.heard, self.owed);
        let ended = tokio::select! {
            read = self.read(stream) => read,
            reported = reporter.run(&mut sink) => reported,
        };
        let Err(ended) = ended;
        ended
    }

    fn hello(&self) -> Message {
        let state = Arc::clone(&self.node.desired.borrow());
        let hello = Hello {
            protocol: PROTOCOL,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            store_id: state.store().to_vec(),
            desired_revision: state.revision(),
            desired_digest: state.digest().to_vec(),
            applied_revision: self.node.standing.borrow().revision,
            kernel: self.node.kernel.clone(),
        };
        super::reporter::frame(portolan_wire::agent::from_agent::Message::Hello(hello))
    }

    async fn read(&self, mut stream: SplitStream<Socket>) -> Result<Infallible, Ended> {
        let mut reading = Reading {
            arriving: Arriving::default(),
            store: [0; 16],
            marked: false,
        };
        loop {
            let next = timeout(Duration::from_secs(DEAD_SECONDS), stream.next())
                .await
                .map_err(|_| Ended::Dead)?;
            match next {
                None => return Err(Ended::Closed),
                Some(Err(error)) => return Err(Box::new(error).into()),
                Some(Ok(Message::Binary(frame))) => self.take(&mut reading, frame)?,
                Some(Ok(Message::Close(_))) => return Err(Ended::Closed),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Frame(_))) => return Err(Ended::Protocol("a text")),
            }
        }
    }

    fn take(&self, reading: &mut Reading, frame: Bytes) -> Result<(), Ended> {
        let Ok(ToAgent { message: Some(message) }) = ToAgent::decode(frame) else {
            // Something that a newer control plane says: nothing this version needs.
            return Ok(());
        };
        let welcome = self.was_welcome();
        match message {
            In::Refused(refused) => return Err(Ended::Refused(refused)),
            In::Welcome(_) if welcome => return Err(Ended::Protocol("a second welcome")),
            In::Welcome(told) => {
                reading.store = field::id("store_id", &told.store_id).map_err(Rejected::from)?;
                let (resumed, head) = (told.resumed, told.head);
                tracing::info!(resumed, head, "connected to the control plane");
                self.heard.part.store(told.pod_report_part, Ordering::Relaxed);
                self.heard.pod_seq.send_replace(Some(told.pod_seq));
            }
            _ if !welcome => return Err(Ended::Protocol("something before the welcome")),
            In::Snapshot(part) => {
                let have = Arc::clone(&self.node.desired.borrow());
                if let Some(state) = reading.arriving.part(reading.store, part, &have)? {
                    tracing::info!(revision = state.revision(), "received the whole desired state");
                    self.node.desired.send_replace(Arc::new(state));
                }
            }
            In::Change(change) => {
                let mut taken = Ok(false);
                self.node.desired.send_if_modified(|state| {
                    taken = Arc::make_mut(state).change(change);
                    matches!(taken, Ok(true))
                });
                taken?;
            }
            In::Progress(progress) => {
                // The first mark says that what was missed is here: the kernel's revision moves with
                // it. Later ones only keep this node from falling behind.
                let news = !std::mem::replace(&mut reading.marked, true);
                self.node.desired.send_if_modified(|state| {
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
                self.node.pods.acknowledged(ack.seq);
                self.owed.refused(ack.refused.into_iter().map(|refused| refused.id));
                self.heard.answered.fetch_add(1, Ordering::Relaxed);
                self.heard.pod_seq.send_replace(Some(ack.seq));
            }
            In::BlockRefused(refused) => {
                tracing::error!(
                    code = refused.code,
                    reason = refused.sentence,
                    "no further block of pod addresses"
                );
                self.heard.block_refused.send_modify(|count| *count += 1);
            }
            In::Renewed(renewed) => {
                self.identity.lock().renewed(renewed.certificate, now())?;
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
