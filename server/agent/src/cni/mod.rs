//! The unix socket that the CNI plugin talks to: ADD, CHECK, DEL, GC and STATUS.
//!
//! One request a connection, one answer, each a JSON document; the protocol's shape is in
//! [`request`]. The specification is <https://github.com/containernetworking/cni/blob/main/SPEC.md>
//! (1.0.0 and 1.1.0). What a request is answered with is decided here; the work is done by
//! [`Pods`](crate::pods::Pods).

pub mod error;
mod handle;
pub mod request;
pub mod result;
mod server;

pub use handle::{Answered, answer};
pub use server::{bind, serve};

/// The versions of the specification that are spoken, oldest first.
pub const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// The largest request, in bytes: a network configuration with the results of a long chain.
pub const MAX_REQUEST: usize = 1 << 20;
