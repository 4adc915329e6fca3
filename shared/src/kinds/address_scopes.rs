//! Address scopes, at `/v2.0` and in the console.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::ids::{BadId, ProjectId, id};
use crate::refusal::Refusal;

id!(
    /// An address scope.
    AddressScopeId, hyphenated
);

/// Most of a project.
pub const MAX: u64 = 100;

/// An address scope at `/v2.0/address-scopes`. It has none of the standard attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressScope<'a> {
    /// Drawn by the server.
    pub id: AddressScopeId,
    /// The name that its owner gave it, at most 255 characters; may be empty.
    pub name: Cow<'a, str>,
    /// The project.
    pub tenant_id: ProjectId,
    /// The project, under its newer name.
    pub project_id: ProjectId,
    /// 4 or 6.
    pub ip_version: u8,
    /// Whether every project sees it.
    pub shared: bool,
}

/// An address scope in the console's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddressScopeRow {
    /// Drawn by the server.
    pub id: AddressScopeId,
    /// The name that its owner gave it, at most 255 characters; may be empty.
    pub name: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// Whether every project sees it.
    pub shared: bool,
    /// Whether it is another project's, which shares it.
    pub foreign: bool,
    /// When it was made.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
}

/// The family of a scope: 4 or 6.
///
/// # Errors
/// If it is 5 or anything else.
pub fn ip_version(given: i64) -> Result<u8, Refusal> {
    match given {
        4 => Ok(4),
        6 => Ok(6),
        _ => Err(Refusal::NotOneOf {
            field: "ip_version".to_owned(),
            given: given.to_string(),
            allowed: "4, 6".to_owned(),
        }),
    }
}
