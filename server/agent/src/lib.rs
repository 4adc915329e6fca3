//! The node agent: keeps one host's kernel as the control plane wants it, and answers CNI calls.
//!
//! What it never does: touch what is not its own (its own is route protocol
//! [`kernel::ROUTE_PROTOCOL`], links named [`kernel::LINK_PREFIX`]…, and the pods' gateway address
//! on `lo`); delete anything before the first complete desired state; answer an ADD before its
//! allocation is on disk; change the kernel when nothing has to change, or when it stops.
//!
//! Where to start reading: [`plan`] (what turns the observed kernel into the desired one, pure),
//! then [`host`] (reads, plans, applies, reports), [`pods`] (addresses given out, durably),
//! [`cni`] (the socket the plugin talks to), [`kernel`] (netlink, the only door to the kernel).
//! Towards the control plane: [`run`] (the agent's life), [`identity`] (key, certificate, join),
//! [`desired`] (the state as last received, kept on disk), [`stream`] (the connection, what comes
//! and what is reported), [`mod@converge`] (rounds of the host, by news, failures and the clock).
//!
//! # How the parts meet
//!
//! The stream and the persistent desired state (module `stream` and its neighbours) drive the rest
//! through these calls. All of them are synchronous and may block for milliseconds: call them from
//! `spawn_blocking`. Everything handed around is `Send + Sync` behind an `Arc`.
//!
//! ```ignore
//! // Once, at start. The agent lives in the network namespace it was started in.
//! let kernel = Arc::new(kernel::Netlink::open()?);
//! let pods = Arc::new(pods::Pods::open(&state_dir.join("pods.log"), kernel.clone(), pods::new_id)?);
//! let host = host::Host::new(kernel, pods.clone());
//! tokio::spawn(cni::serve(unix_listener, pods.clone(), shutdown));      // from the first moment on
//!
//! // Whenever the desired state changed, after a restart with what is on disk, and by a timer.
//! let desired = plan::Desired { complete, node, mtu, pod_ranges, own_blocks, remote_blocks };
//! let outcome: host::Outcome = host.converge(&desired)?;                // also configures `pods`
//! // outcome.writes == 0 when nothing had to change; outcome.exceptions: per object, the reason.
//!
//! // Reporting pods: `seq` counts allocations and releases of this node, durably.
//! let mut newest: tokio::sync::watch::Receiver<u64> = pods.watch();
//! match pods.events_after(acknowledged_seq, 500) {
//!     pods::Events::Batch { seq, allocations, releases } => { /* PodReport { full: false, … } */ }
//!     pods::Events::Forgotten => { let all: pods::Listing = pods.list()?; /* full: true */ }
//! }
//! pods.acknowledged(seq);                                               // lets tombstones go
//! if pods.usage().free() < 16 { /* BlockRequest */ }                    // also when this wakes:
//! pods.starved().notified().await;                                      // an ADD found no address
//! pods.skip_past(welcome.pod_seq)?;                                     // only after a lost log
//!
//! // Every half minute or so: what a DEL that never came has left behind.
//! let freed = pods.reconcile_sandboxes();
//! ```

pub mod cni;
pub mod converge;
pub mod desired;
pub mod files;
pub mod host;
pub mod identity;
pub mod kernel;
pub mod options;
pub mod pods;
pub mod run;
pub mod stream;
