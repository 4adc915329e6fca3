//! The kinds of things that audit and events tell of, and those kinds that have a file of their own.

pub mod address_scopes;
pub mod epochs;
pub mod quarantined_blocks;

use serde::{Deserialize, Serialize};

/// What kind of object an entry of the audit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// A network.
    Network,
    /// A subnet.
    Subnet,
    /// A port.
    Port,
    /// A cluster.
    Cluster,
    /// A node.
    Node,
    /// A join token.
    JoinToken,
    /// A shadowport request.
    Request,
    /// A message of a request's thread.
    Message,
    /// A project.
    Project,
    /// A user.
    User,
    /// A role of a user in a project.
    Role,
    /// An address scope.
    AddressScope,
    /// An epoch.
    Epoch,
    /// A block of pod addresses in quarantine.
    QuarantinedBlock,
    /// What others took away from a node's host.
    Loss,
}

/// What kind of thing an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A network.
    Network,
    /// A subnet.
    Subnet,
    /// A port.
    Port,
    /// A cluster.
    Cluster,
    /// A node, or how it is doing.
    Node,
    /// A block of pod addresses.
    Block,
    /// A shadowport request, its thread or its grant.
    Request,
    /// An address scope.
    AddressScope,
}
