//! The lab: hosts on one machine, as network namespaces, with real agents, real CNI calls and real packets.
//!
//! It makes a switch and a provider's service network; starts `portolan serve`; makes hosts with an agent in each for
//! every cluster that takes its nodes from the lab, the demo's among them, and takes them away with their nodes; makes
//! pods through `portolan-cni`; and takes everything away again, whatever ends it. It is a process of its own that uses
//! the control plane over HTTP as anybody would; it never touches the root namespace's network, and never a namespace
//! without its own prefix.
//!
//! Start reading at [`lab`] (what is made, in which order), [`plan`] (which hosts are made and taken away) and
//! [`topology`] (what is plugged into what); [`runtime`] and [`janitor`] are how nothing is left behind.

#![expect(
    clippy::disallowed_methods,
    reason = "the lab runs real programs in real time; nothing of it is simulated"
)]

pub mod api;
pub mod binaries;
pub mod children;
pub mod cni;
pub mod echo;
pub mod ip;
pub mod janitor;
pub mod lab;
pub mod names;
pub mod netns;
pub mod plan;
pub mod protocol;
pub mod records;
pub mod rights;
pub mod runtime;
pub mod serve;
pub mod signals;
pub mod topology;
pub mod wait;
pub mod watch;
