//! Probes: who sends them to whom, what they look like, and what is said of those that do not arrive. Pure.
//!
//! Each second a node probes at most 16 others ([`Ring`]), whatever the size of its cluster: [`FIXED`] that are always
//! the same, and [`TURNS`] in turns. Of each it asks the host at the node's address, and the node's *pod end*: a
//! namespace of the agent's with one address of the node's first block, which stands where a pod stands. A [`Sample`]
//! says what came back, a [`Fault`](portolan_shared::status::Fault) what that means, and [`Verdicts`] keeps it for all.

mod allowance;
mod judge;
mod packet;
mod schedule;

pub use allowance::Allowance;
pub use judge::{Report, Sample, Verdicts};
pub use packet::{HEADER, Heard, Probe, ProbeKey, ProbeSeal};
pub use schedule::{AGAIN, Due, FIXED, Ring, TURNS, WHOLE_TURNS};

/// The port that probes are answered at, UDP and TCP.
pub const PROBE_PORT: u16 = 7157;
