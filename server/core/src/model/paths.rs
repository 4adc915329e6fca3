//! What nodes' probes say, as it is stored with how they are doing.

use portolan_shared::ids::NodeId;
use portolan_shared::status::Fault;
use serde::{Deserialize, Serialize};

/// What a node's probes of the others say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// Other nodes that it probes.
    pub peers: u32,
    /// Of these, to how many everything arrived.
    pub proven: u32,
    /// Of these, to how many something did not.
    pub failing: u32,
    /// Some of the failing ones, by id.
    pub named: Vec<(NodeId, Fault)>,
    /// Why it cannot probe, as a sentence.
    pub trouble: Option<String>,
}
