//! `/portolan/v1` on the wire: the read models of the console's screens, and what OpenStack has no
//! word for. One file a subject; everything is named from here.
//!
//! Every read model carries the revision of the view it was made from. Times are RFC 3339, UTC.
//! Counts of addresses are saturated at `u64::MAX`.

mod audit;
mod clusters;
mod events;
mod networks;
mod plan;
mod ports;
mod session;
mod shadowport;

pub use audit::*;
pub use clusters::*;
pub use events::*;
pub use networks::*;
pub use plan::*;
pub use ports::*;
pub use session::*;
pub use shadowport::*;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An error body (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// `about:blank`: the code below is the type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The English sentence: what, why, what now.
    pub detail: String,
    /// Stable code, see [`crate::refusal::Refusal::code`].
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::code"))]
    pub code: String,
    /// What a translated sentence needs.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Which field of the request is wrong, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// For support: the id of this request in the log.
    #[serde(default)]
    pub request_id: String,
}

/// A list, or a page of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ListOf{T}"))]
pub struct List<T> {
    /// The revision this was read at; a `change` event with a greater one may make it stale.
    pub revision: u64,
    /// How many match in all.
    pub total: u64,
    /// Those on this page, in the list's order.
    pub items: Vec<T>,
    /// Id to give as `marker` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One thing with the revision it was read at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "One{T}"))]
pub struct One<T> {
    /// The revision this was read at; a `change` event with a greater one may make it stale.
    pub revision: u64,
    /// The thing.
    pub item: T,
}

/// A named thing to link to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "RefBy{Id}"))]
pub struct Ref<Id> {
    /// Id of the thing.
    pub id: Id,
    /// Name of the thing; empty if it has none.
    pub name: String,
}
