//! Who did what, when, through what.

use serde::{Deserialize, Serialize};

use crate::ids::ProjectId;
pub use crate::kinds::AuditKind;
use crate::status::Reason;
#[cfg(doc)]
use crate::v1::NodeRow;

/// Through what a change was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// A session of the console.
    Console,
    /// A token, by the API.
    Api,
    /// A node's agent.
    Agent,
    /// The control plane itself.
    System,
}

/// Who asked for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Who {
    /// A user, by name.
    User(String),
    /// Somebody of the provider's whom the reader may not know.
    Provider,
    /// A node, by name.
    Node(String),
    /// The control plane itself.
    System,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditOp {
    /// It was made.
    Create,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

/// A field of an object, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldChange {
    /// Its name, as the API writes it.
    pub field: String,
    /// Absent: it was not there, or is not known any more.
    pub before: Option<String>,
    /// Absent: it is not there any more.
    pub after: Option<String>,
}

/// An object of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditObject {
    /// What kind of object it is.
    pub kind: AuditKind,
    /// The object's id. A role that a user holds has no id of its own: it is written `project/user/role`.
    pub id: String,
    /// Its name then; may be empty.
    pub name: String,
    /// What happened to it.
    pub op: AuditOp,
    /// What came of it in a sentence, of kinds that have one: for a loss, [`NodeRow::LOSS_CODES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Reason>,
    /// What of it changed; for a create and a delete, all that there is.
    pub fields: Vec<FieldChange>,
}

/// An entry: one command, however many objects it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// The revision of its commit: the entry's id. Entries of one project are newest first.
    pub revision: u64,
    /// When the control plane decided it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub at: String,
    /// The project the objects are in; absent for what is in none, such as users.
    pub project: Option<ProjectId>,
    /// Who asked for it, as far as the reader may know.
    pub who: Who,
    /// How it was asked for.
    pub through: Through,
    /// The request, as in the log and in error messages.
    pub request_id: Option<String>,
    /// What was asked for first; at most 100.
    pub objects: Vec<AuditObject>,
    /// How many more there are.
    pub more: u64,
}
