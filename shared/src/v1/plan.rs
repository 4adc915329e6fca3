//! What a delete would do, and what a project may still make.

use serde::{Deserialize, Serialize};

use crate::status::Reason;

/// What a delete takes with it, what it leaves, and what stops it
/// (`GET …/networks|subnets|ports|clusters/{id}/delete-plan`, `GET …/clusters/{id}/nodes/{node}/delete-plan`).
/// Made by the same decision as the delete itself, on the newest revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeletePlan {
    /// The revision it was made at.
    pub revision: u64,
    /// What goes, the thing itself first. Empty if something stops it.
    pub goes: Vec<PlanItem>,
    /// What one might expect to go, and why it stays.
    pub stays: Vec<PlanItem>,
    /// Why it cannot be deleted now.
    pub stops: Vec<Reason>,
}

/// Things of one kind in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanItem {
    /// What kind of things.
    pub kind: PlanKind,
    /// How many there are, of those the reader may see.
    pub count: u64,
    /// Names of the first ten of them.
    pub names: Vec<String>,
    /// Why they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What kind of things goes or stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Clusters.
    Cluster,
    /// Networks.
    Network,
    /// Subnets.
    Subnet,
    /// Nodes.
    Node,
    /// Pods.
    Pod,
    /// Ports of neither nodes nor pods.
    Port,
    /// External IPs.
    ExternalIp,
}

/// How much of something a project has and may have (`GET …/quotas`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quota {
    /// `network`, `subnet`, `port`, `pod` or `cluster`, as the Networking API names it.
    pub resource: String,
    /// What there is.
    pub used: u64,
    /// What there may be; absent: no limit.
    pub limit: Option<u64>,
}
