//! Epochs: each begins when an agent shows that the store had another history, at `/portolan/v1/epochs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::ids::{BadId, NodeId, id};

id!(
    /// An epoch.
    EpochId, hyphenated
);

/// A block that an agent holds by a lease of the history that was lost, and that could not be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dispute {
    /// Its addresses.
    pub cidr: crate::addr::Cidr,
    /// Name of the node that holds it by the old lease, or its id.
    pub node: String,
    /// Why it could not be taken back, with what has it now: a stable code.
    pub code: String,
    /// The same as a sentence.
    pub sentence: String,
}

/// An epoch in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EpochRow {
    /// Drawn by the server.
    pub id: EpochId,
    /// When an agent first showed it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub began_at: String,
    /// The newest revision that both histories have; `null`: none that is known.
    pub put_back_to: Option<u64>,
    /// The newest revision of the other history that was shown.
    pub lost_to: u64,
    /// Name of the node that showed it first.
    pub shown_by: String,
    /// Blocks of pod addresses that were taken back by their leases.
    pub blocks_found: u64,
    /// Nodes that the store did not know.
    pub nodes_found: Vec<NodeId>,
    /// Names of those of them that still wait to be admitted or removed.
    pub nodes_waiting: Vec<String>,
    /// Blocks in dispute.
    pub disputes: Vec<Dispute>,
}
