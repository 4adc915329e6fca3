//! What plugin, agent and lab say to each other when a pod gets its network.
//!
//! A container runtime executes the plugin with [`variable`]s in its environment and a
//! [`NetworkConfig`] on standard input. The plugin opens the agent's unix socket, writes one
//! [`Request`] and a line feed, and reads one answer: an [`AddResult`], an empty object where the
//! specification wants no result, or a [`CniError`]. Each is a JSON document. The specification is
//! <https://github.com/containernetworking/cni/blob/main/SPEC.md> (0.3.0 to 1.1.0).
//!
//! Shapes, names and limits only: no I/O, no decisions. The plugin is linked with this crate, so it
//! depends on serde alone.

#![forbid(unsafe_code)]

mod error;
mod request;
mod result;
mod version;

pub use error::{CniError, code, is_error};
pub use request::{NetworkConfig, Request, Verb, argument, arguments};
pub use result::{AddResult, Dns, Interface, Ip, Route, VersionResult};
pub use version::Version;

/// Where the agent listens unless it, and the network configuration, say otherwise.
pub const DEFAULT_SOCKET: &str = "/run/portolan/cni.sock";

/// The largest network configuration, in bytes: one with the results of a long chain of plugins.
pub const MAX_CONFIG: usize = 1 << 20;

/// The largest request, in bytes, without its line feed: a configuration, and beside it ids, a path
/// and `CNI_ARGS`.
pub const MAX_REQUEST: usize = MAX_CONFIG + (64 << 10);

/// The largest answer, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;

/// The environment variables that a runtime passes its parameters in (specification, section
/// "Parameters").
pub mod variable {
    /// What to do: see [`Verb`](crate::Verb).
    pub const COMMAND: &str = "CNI_COMMAND";
    /// The runtime's id of the sandbox.
    pub const CONTAINER_ID: &str = "CNI_CONTAINERID";
    /// The path of the sandbox's network namespace.
    pub const NETNS: &str = "CNI_NETNS";
    /// The name of the interface in the sandbox.
    pub const IFNAME: &str = "CNI_IFNAME";
    /// Further arguments, `KEY=VALUE` with semicolons between: see [`argument`](crate::argument).
    pub const ARGS: &str = "CNI_ARGS";
    /// The folders in which the runtime looks for plugins.
    pub const PATH: &str = "CNI_PATH";
}
