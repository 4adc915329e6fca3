//! The connection to the control plane: kept up for ever, and resumed from where it broke off.
//!
//! [`run`] connects and connects again; `session` is one connection: desired state in, reports out. [`parting`] is what a
//! machine still says that is no node any more.
//! Everything it receives goes into the desired state and from there to [`crate::converge`]; nothing
//! here touches the kernel.

pub mod backoff;
pub mod connect;
pub mod parting;
mod paths;
mod reporter;
mod session;
mod shared;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_plan::probes::Report;
use portolan_shared::ids::NodeId;
use portolan_sources::Random;
use portolan_wire::{CERTIFICATE_EXPIRED, MAX_FRAME, STREAM_PATH, error_chain};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::converge::Standing;
use crate::desired::State;
use crate::identity::{Identity, tls};
use crate::machine::Sources;
use crate::pods::Pods;
use backoff::Backoff;
use connect::{ConnectError, Socket, connect};
use session::Session;
use shared::{PendingReports, SessionEnd};

/// How long to wait after a refusal that trying again will hardly change.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// The code of the refusal that means that this node was removed.
pub const REMOVED: &str = "node.removed";
/// The codes that say that another machine shows this node's identity: what it has reported of its pods is not true of this
/// one's.
const ANOTHER_MACHINE: [&str; 2] = ["node.copied", "node.replaced"];

/// What a connection works for and with.
pub struct SessionContext {
    /// The node that this host is.
    pub own: NodeId,
    /// The desired state as last received.
    pub desired: watch::Sender<Arc<State>>,
    /// What the kernel holds.
    pub standing: watch::Receiver<Standing>,
    /// What the probes say; absent where none are sent.
    pub paths: Option<watch::Receiver<Option<Report>>>,
    /// The pods.
    pub pods: Arc<Pods>,
    /// The kernel's release, reported for people who look at the node.
    pub kernel_release: String,
    /// Where time, randomness and connections come from.
    pub sources: Sources,
}

/// Why the connection is not kept up any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The node was removed from its cluster; the identity has noted it.
    Removed,
    /// Its certificate is not valid any more, by the clock of this host or of the control plane.
    Expired,
}

/// Keeps the connection up until the node is removed from its cluster, or has to renew its certificate by another way.
pub async fn run(context: &SessionContext, identity: Identity) -> (Identity, Left) {
    let identity = Mutex::new(identity);
    let mut backoff = Backoff::default();
    let mut tls = None;
    let pending = PendingReports::default();
    let random = &*context.sources.random;
    let mut told = false;
    let mut refused_by = String::new();
    loop {
        // A host that was suspended, or a control plane that was away, for longer than a certificate lasts.
        if identity.lock().has_expired(context.sources.clock.now()) {
            return (identity.into_inner(), Left::Expired);
        }
        let wait = match connection(context, &identity, &mut tls, &pending, &mut backoff, &mut told).await {
            SessionEnd::Refused(refused) if refused.code == REMOVED => {
                if let Err(error) = identity.lock().note_removed(true) {
                    tracing::error!(%error, "cannot note that this node was removed");
                }
                return (identity.into_inner(), Left::Removed);
            }
            SessionEnd::Refused(refused) if refused.code == CERTIFICATE_EXPIRED => {
                return (identity.into_inner(), Left::Expired);
            }
            SessionEnd::Refused(refused) => {
                // The log says each refusal once, however often it comes.
                if refused_by != refused.code {
                    tracing::error!(
                        code = refused.code,
                        sentence = refused.sentence,
                        "the control plane refuses; trying again"
                    );
                    refused_by.clone_from(&refused.code);
                }
                if ANOTHER_MACHINE.contains(&refused.code.as_str()) {
                    pending.set_full(true);
                }
                if refused.retry {
                    backoff.next(chance(random))
                } else {
                    AFTER_REFUSAL
                }
            }
            ended => {
                refused_by.clear();
                if !told {
                    tracing::warn!(reason = %error_chain(&ended), "no connection to the control plane; trying again");
                    told = true;
                }
                backoff.next(chance(random))
            }
        };
        sleep(wait).await;
    }
}

/// A TLS configuration, with the number of the certificate in it. It is kept for its session tickets.
type Tls = Option<(u64, Arc<ClientConfig>)>;

/// One connection, from its beginning to its end.
async fn connection(
    context: &SessionContext,
    identity: &Mutex<Identity>,
    tls: &mut Tls,
    pending: &PendingReports,
    backoff: &mut Backoff,
    told: &mut bool,
) -> SessionEnd {
    let copy = identity.lock().clone();
    let socket = match open(context, &copy, tls).await {
        Ok(socket) => socket,
        Err(error) => return SessionEnd::Connect(error),
    };
    let session = Session::new(context, identity, pending);
    let ended = session.run(socket).await;
    if session.was_welcome() {
        tracing::info!(reason = %error_chain(&ended), "the connection to the control plane has ended");
        backoff.reset();
        *told = true;
    }
    ended
}

/// A connection to the stream's endpoint.
async fn open(context: &SessionContext, identity: &Identity, tls: &mut Tls) -> Result<Socket, ConnectError> {
    let certified = identity.certified_at();
    let config = match tls {
        Some((of, config)) if *of == certified => Arc::clone(config),
        _ => {
            let config = Arc::new(tls::of_node(identity, &context.sources.clock)?);
            Arc::clone(&tls.insert((certified, config)).1)
        }
    };
    connect(
        &*context.sources.net,
        identity.endpoint(),
        STREAM_PATH,
        config,
        MAX_FRAME,
    )
    .await
}

/// A random number that makes the waits of many agents differ.
fn chance(random: &dyn Random) -> u32 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}
