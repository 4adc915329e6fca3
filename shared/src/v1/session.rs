//! Who is logged in.

use serde::{Deserialize, Serialize};

use crate::ids::{ProjectId, UserId};

/// Log-in of the console (`POST /portolan/v1/session`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The user's name in the domain `Default`.
    pub user: String,
    /// Never logged.
    pub password: String,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogIn")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Who is logged in (`GET /portolan/v1/session`, and the answer to a log-in).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// The user.
    pub user: UserRef,
    /// Projects in which the user has a role, by name.
    pub projects: Vec<ProjectRef>,
    /// May see every project, and see and decide shadowport requests (roles `support`, `admin`).
    #[serde(default)]
    pub support: bool,
    /// May change everything, everywhere (role `admin`).
    #[serde(default)]
    pub admin: bool,
    /// The language the user chose for the console, one of [`LANGUAGES`]; absent: as the browser has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether a lab runs that makes nodes ([`super::NodesFrom::Lab`]).
    #[serde(default)]
    pub lab: bool,
    /// To be sent back as `X-CSRF-Token` with everything that writes.
    pub csrf: String,
}

/// The languages of the console, as tags (BCP 47).
pub const LANGUAGES: &[&str] = &["en", "ru"];

/// What a user changes of the account by the console (`PUT /portolan/v1/session`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeSession {
    /// One of [`LANGUAGES`]; `null`: as the browser has it.
    #[serde(deserialize_with = "Option::deserialize")]
    #[cfg_attr(feature = "schema", schemars(required, schema_with = "crate::schema::language"))]
    pub language: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserRef {
    /// Drawn by the server; never changes.
    pub id: UserId,
    /// Its name.
    pub name: String,
}

/// A project and what the user may do in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectRef {
    /// Its id: the only kind of project id there is.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Names of the roles, such as `member`, `reader`, `admin`.
    pub roles: Vec<String>,
}
