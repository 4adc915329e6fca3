//! The protocol between the control plane and node agents: messages and their limits.
//!
//! Says nothing about transport, reads and writes nothing. The messages are made from
//! `proto/agent.proto`, which is also their documentation; start there.

#![deny(missing_docs)]

/// The messages of `proto/agent.proto`.
#[allow(missing_docs, reason = "generated; the documentation is in the .proto file")]
pub mod agent {
    include!(concat!(env!("OUT_DIR"), "/portolan.agent.v1.rs"));
}

/// The protocol version this build speaks. It also understands the version before.
pub const PROTOCOL: u32 = 1;

/// The largest frame either side accepts, in bytes: a snapshot of 1,000 nodes with 16 blocks each.
pub const MAX_FRAME: usize = 4 << 20;

/// The largest frame an agent may send, in bytes: a full report of some 2,000 pods.
pub const MAX_AGENT_FRAME: usize = 1 << 20;
