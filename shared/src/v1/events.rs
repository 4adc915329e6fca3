//! What changes, as it changes.

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterId, NetworkId, ProjectId, SubnetId};
pub use crate::kinds::Kind;

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Made or changed.
    Put,
    /// Gone, or gone from the reader's sight.
    Delete,
}

/// One thing that changed, with what it concerns, so that a page knows whether to look again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Changed {
    /// What kind of thing.
    pub kind: Kind,
    /// What happened.
    pub op: Op,
    /// The id of what changed, as the API writes it; a node's, where the news is how the node is doing.
    pub id: String,
    /// The project it is in; only in the stream of all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The network it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// The subnets it has addresses in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<SubnetId>,
    /// The cluster it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    /// Who did it, where the reader may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// Data of an event `change`: everything of one commit that the reader may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeEvent {
    /// The commit's revision; the event's id.
    pub revision: u64,
    /// What changed.
    pub changes: Vec<Changed>,
}

/// Data of the events `progress` (every 5 s) and `reset` (what was missed is gone: load anew).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProgressEvent {
    /// The newest revision there was when the event was sent.
    pub revision: u64,
}
