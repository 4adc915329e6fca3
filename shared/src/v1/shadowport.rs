//! Shadowport requests: a project asks support for clusters without an external IP.

use serde::{Deserialize, Serialize};

use super::{ClusterRow, NetworkRow, Quota, Ref};
use crate::ids::{ClusterId, MessageId, NetworkId, ProjectId, ShadowRequestId};

/// Shortest and longest text of a request's purpose, of a message and of a decision's message, in
/// characters after trimming.
pub const TEXT_MIN: usize = 10;
/// See [`TEXT_MIN`]. Messages of a thread may be shorter: one character is enough.
pub const TEXT_MAX: usize = 2_000;
/// Most nodes that can be expected; at least one is.
pub const NODES_MAX: u32 = 5_000;
/// Most messages of a thread.
pub const MESSAGES_MAX: usize = 500;

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Nobody of support has looked yet.
    New,
    /// Somebody has taken it.
    InReview,
    /// The project may make networks with a shadow port, as long as the grant lasts.
    Granted,
    /// Not granted; the project may ask anew.
    Declined,
    /// Taken back by the project.
    Withdrawn,
}

impl RequestState {
    /// Whether it still waits for a decision.
    pub const fn open(self) -> bool {
        matches!(self, Self::New | Self::InReview)
    }

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InReview => "in_review",
            Self::Granted => "granted",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Body of `POST …/projects/{project}/shadowport`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// What the shadow port is for: [`TEXT_MIN`]..=[`TEXT_MAX`] characters.
    #[cfg_attr(feature = "schema", schemars(length(min = TEXT_MIN, max = TEXT_MAX), example = &"Nodes without internet access"))]
    pub purpose: String,
    /// Nodes expected, 1..=[`NODES_MAX`].
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = NODES_MAX)))]
    pub nodes: u32,
    /// The network it is for, if one is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// An earlier request of the project's that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotes: Option<ShadowRequestId>,
}

/// Body of `POST …/messages` and of `POST …/ask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PostMessage {
    /// 1..=[`TEXT_MAX`] characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = TEXT_MAX)))]
    pub text: String,
    /// A note that only support and administrators ever see; support only.
    #[serde(default)]
    pub internal: bool,
}

/// Body of `POST …/grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// RFC 3339; absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::time::Time>"))]
    pub until: Option<String>,
    /// What the customer is told, at most [`TEXT_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = TEXT_MAX)))]
    pub message: Option<String>,
}

/// Body of `POST …/decline` and of `POST …/revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What the customer is told: [`TEXT_MIN`]..=[`TEXT_MAX`] characters.
    #[cfg_attr(feature = "schema", schemars(length(min = TEXT_MIN, max = TEXT_MAX), example = &"Until the end of the year, please."))]
    pub message: String,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Decision {
    /// Name of the user who decided. Customers read no names of support: absent for them where support decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was decided.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub at: String,
    /// What the customer is told.
    pub message: Option<String>,
}

/// What a granted request gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grant {
    /// Until when; absent: until it is revoked.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::time::Time>"))]
    pub until: Option<String>,
    /// That it was revoked.
    pub revoked: Option<Decision>,
    /// Whether it holds now: neither past nor revoked.
    pub active: bool,
}

/// Whose side wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The project's.
    Customer,
    /// The provider's.
    Support,
}

/// A message of a request's thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// Drawn by the server; never changes.
    pub id: MessageId,
    /// When it was written.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub at: String,
    /// Which side wrote it.
    pub side: Side,
    /// Name of the user who wrote it, as it was then; absent for customers where support wrote.
    pub author: Option<String>,
    /// A note of support's; customers never get one.
    #[serde(default)]
    pub internal: bool,
    /// 1..=[`TEXT_MAX`] characters; line breaks and tabs are kept.
    pub text: String,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShadowRequest {
    /// Drawn by the server; never changes.
    pub id: ShadowRequestId,
    /// The project that asks.
    pub project: Ref<ProjectId>,
    /// How far it is.
    pub state: RequestState,
    /// What the shadow port is for, in the customer's words.
    pub purpose: String,
    /// How many nodes the customer expects, as said when it was filed.
    pub nodes: u32,
    /// The network it is for; absent also when that is gone.
    pub network: Option<Ref<NetworkId>>,
    /// Name of the user who filed it, as it was then.
    pub asked_by: String,
    /// When it was filed.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub created_at: String,
    /// When anything of it last changed that the reader may see.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub updated_at: String,
    /// An earlier request that it answers.
    pub quotes: Option<ShadowRequestId>,
    /// Whose answer it waits for, while it is open.
    pub awaits: Option<Side>,
    /// Who of support has taken it; only for support and administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// Granted, declined or withdrawn: by whom and when.
    pub decided: Option<Decision>,
    /// What it gives, once granted.
    pub grant: Option<Grant>,
    /// Oldest first; empty in lists.
    pub thread: Vec<Message>,
    /// Beginning of the newest message that the reader may see (at most 120 characters).
    pub last_message: Option<String>,
}

/// The customer's page (`GET …/projects/{project}/shadowport`): newest request first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShadowportPage {
    /// The revision this was read at; a `change` event with a greater one may make it stale.
    pub revision: u64,
    /// Whether networks with a shadow port can be made now.
    pub granted: bool,
    /// The request that waits for a decision.
    pub open: Option<ShadowRequestId>,
    /// All of the project's.
    pub items: Vec<ShadowRequest>,
}

/// A row of support's queue (`GET /portolan/v1/support/requests`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QueueRow {
    /// The request, without its thread.
    pub request: ShadowRequest,
    /// Networks of the project.
    pub networks: u64,
    /// Clusters of the project.
    pub clusters: u64,
}

/// Support's page of a request (`GET /portolan/v1/support/requests/{id}`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SupportRequest {
    /// The revision this was read at; a `change` event with a greater one may make it stale.
    pub revision: u64,
    /// The request with its thread, internal notes too.
    pub request: ShadowRequest,
    /// The project's networks.
    pub networks: Vec<NetworkRow>,
    /// The project's clusters.
    pub clusters: Vec<ClusterRow>,
    /// What the project has and may have.
    pub quotas: Vec<Quota>,
    /// Other requests of the project, newest first.
    pub earlier: Vec<ShadowRequest>,
    /// Clusters that live on a shadow port: they go on when the grant is revoked.
    pub lives_on: Vec<Ref<ClusterId>>,
}

/// A project as support finds it (`GET /portolan/v1/support/projects?q=`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectRow {
    /// As in every URL of the project.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// How many networks it has.
    pub networks: u64,
    /// How many clusters it has.
    pub clusters: u64,
    /// Whether a grant holds now.
    pub granted: bool,
}
