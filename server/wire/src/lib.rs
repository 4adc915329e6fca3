//! The protocol between the control plane and node agents: messages and their limits.
//!
//! Says nothing about transport, reads and writes nothing. The messages are made from
//! `proto/agent.proto`, which is also their documentation; start there. [`token`] is the text of a
//! join token, [`item`] what a state is made of, [`digest`] what two sides compare to know that they
//! mean the same state, [`older`] how all this looks to a peer of the version before, [`field`] how
//! addresses and ids are written in messages, [`error_chain`] how an error becomes the reason in a
//! report.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod digest;
pub mod field;
pub mod item;
pub mod older;
mod reason;
pub mod token;

pub use reason::error_chain;

/// The messages of `proto/agent.proto`.
#[expect(missing_docs, reason = "generated; the documentation is in the .proto file")]
pub mod agent {
    include!(concat!(env!("OUT_DIR"), "/portolan.agent.v1.rs"));
}

/// The protocol version this build speaks. It also understands the version before.
pub const PROTOCOL: u32 = 2;

/// The oldest protocol version this build understands.
pub const OLDEST_PROTOCOL: u32 = 1;

/// Where a host without an identity asks for one.
pub const JOIN_PATH: &str = "/agent/v1/join";

/// Where a node's stream is.
pub const STREAM_PATH: &str = "/agent/v1/stream";

/// Where a node asks for another certificate in the place of one that is not valid any more.
pub const RENEW_PATH: &str = "/agent/v1/renew";

/// The code of the refusal of a certificate that is not valid any more: it opens [`RENEW_PATH`] alone.
pub const CERTIFICATE_EXPIRED: &str = "certificate.expired";

/// The largest frame either side accepts, in bytes: a snapshot of 1,000 nodes with 16 blocks each.
pub const MAX_FRAME: usize = 4 << 20;

/// The largest frame an agent may send, in bytes: a part of a full report of pods, however long their
/// names.
pub const MAX_AGENT_FRAME: usize = 1 << 20;

/// The largest frame of a join or a renewal, either way, in bytes: a request holds a certificate request and some
/// addresses, a reply two certificates.
pub const MAX_JOIN_FRAME: usize = 64 << 10;

/// Nodes and blocks in one part of a snapshot, at most: some 50 KiB.
pub const SNAPSHOT_PART: usize = 1024;

/// Items in one part of a claim, at most: some 200 KiB.
pub const CLAIM_PART: usize = 1024;

/// Runs named in a welcome, at most: the newest.
pub const SPANS: usize = 32;

/// Pods in one part of a full report, at most: some 500 KiB.
pub const POD_REPORT_PART: u32 = 1000;

/// How many host ports of a pod are told; of more, their number.
pub const HOST_PORTS_TOLD: usize = 16;

/// How often an idle side pings, in seconds.
pub const PING_SECONDS: u64 = 5;

/// After how many seconds without a frame the peer is taken for dead.
pub const DEAD_SECONDS: u64 = 15;
