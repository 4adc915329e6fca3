//! The lab: hosts on one machine, as network namespaces, with real agents, real CNI calls and real packets.
//!
//! It makes a switch, a provider's service network and some hosts; starts `portolan serve`, an agent in every host, and
//! pods through `portolan-cni`; and takes everything away again, whatever ends it. It is a process of its own that uses
//! the control plane over HTTP as anybody would; it never touches the root namespace's network, and never a namespace
//! without its own prefix.
//!
//! Start reading at [`lab`] (what is made, in which order) and [`topology`] (what is plugged into what); [`runtime`] and
//! [`janitor`] are how nothing is left behind.

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
pub mod protocol;
pub mod rights;
pub mod runtime;
pub mod serve;
pub mod signals;
pub mod topology;
pub mod wait;
