//! The node agent: keeps one host's kernel as the control plane wants it, and answers CNI calls.
//!
//! What it never does: touch what is not its own (its own is route protocol
//! [`portolan_plan::ROUTE_PROTOCOL`], links named [`portolan_plan::LINK_PREFIX`]…, and the pods' gateway address
//! on `lo`); delete anything before the first complete desired state; answer an ADD before its
//! allocation is on disk; change the kernel when nothing has to change, or when it stops.
//!
//! Where to start reading: [`portolan_plan`] (what turns the observed kernel into the desired one, pure),
//! then [`host`] (reads, plans, applies, reports), [`pods`] (addresses given out, durably),
//! [`cni`] (the socket the plugin talks to), [`kernel`] (netlink, the only door to the kernel).
//! Towards the control plane: [`agent`] (the agent's life), [`identity`] (key, certificate, join),
//! [`desired`] (the state as last received, kept on disk), [`stream`] (the connection, what comes
//! and what is reported), [`mod@converge`] (rounds of the host, by news, failures and the clock), [`probes`] (whether
//! packets arrive). Before all that: [`check`] (what on this host will hurt).

#![forbid(unsafe_code)]

pub mod agent;
pub mod check;
pub mod cni;
pub mod converge;
pub mod desired;
pub mod host;
pub mod identity;
pub mod kernel;
pub mod machine;
pub mod options;
pub mod pause;
pub mod pods;
pub mod probes;
pub mod run;
pub mod stream;
