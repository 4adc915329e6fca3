//! Projects, users, roles, sessions and the keys of repeated creates, as stored.

use portolan_shared::ids::{ClusterId, ProjectId, RoleId, UserId};
use portolan_shared::v1::AuditKind;
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind, Type, Value};
use super::{Key, Micros, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::Fields;
use crate::quotas::Counted;
use crate::tables::{Sorted, Table, Unique, indexes};

/// Name of the provider's project: without quotas, and owner of what customers use but never own.
pub const PROVIDER_PROJECT: &str = "admin";

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: ProjectId,
    /// Unique among projects.
    pub name: String,
    /// Free text; may be empty.
    pub description: String,
    /// Disabled projects refuse log-ins.
    pub enabled: bool,
    /// The first free MAC address of the project's walk, as a number; drawn ones would cost four times the writes.
    pub mac_cursor: u64,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: UserId,
    /// Unique among users; it can be changed.
    pub name: String,
    /// argon2id, PHC string.
    pub password_hash: String,
    /// Disabled users cannot log in, and their sessions end.
    pub enabled: bool,
    /// Where a log-in without a project goes.
    pub default_project: Option<ProjectId>,
    /// The console's language, one of [`portolan_shared::v1::LANGUAGES`].
    pub language: Option<String>,
}

/// A role that a user holds in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assignment {
    /// The user who holds the role.
    pub user: UserId,
    /// The project the role is held in.
    pub project: ProjectId,
    /// The role; each is an assignment of its own.
    pub role: Role,
}

/// Roles there are: a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May everything, everywhere.
    Admin,
    /// Sees any project read-only, decides shadowport requests.
    Support,
    /// Changes what is in its project.
    Member,
    /// Sees what is in its project.
    Reader,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Support, Self::Member, Self::Reader];

    /// Its name in the Identity API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Support => "support",
            Self::Member => "member",
            Self::Reader => "reader",
        }
    }

    /// Its id in the Identity API: fixed, since roles are.
    pub const fn id(self) -> RoleId {
        let mut bytes = [0_u8; 16];
        bytes[15] = match self {
            Self::Admin => 1,
            Self::Support => 2,
            Self::Member => 3,
            Self::Reader => 4,
        };
        RoleId::from_bytes(bytes)
    }
}

/// A session of the console or a token of the Identity API: who it lets in, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the secret; the secret itself is with its holder only.
    pub hash: [u8; 32],
    /// The user whom it lets in.
    pub user: UserId,
    /// Scope of a token; `None` for the console's session (every project of the user's) and for
    /// unscoped tokens.
    pub project: Option<ProjectId>,
    /// The CSRF secret, for the console's sessions only.
    pub csrf: Option<String>,
    /// When it began.
    pub issued_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
}

/// By how much the clocks of replicas may differ: a minute, in microseconds.
pub(crate) const SKEW: Micros = 60_000_000;

impl Session {
    /// The longest that one works: 12 h, in microseconds.
    pub const LIFETIME: Micros = 12 * 3_600_000_000;

    /// Whether it lets nobody in any more. One that has longer to go than any that begins now was begun while the clock was
    /// ahead, and ends with that: else it would work until then.
    pub fn has_ended(&self, now: Micros) -> bool {
        self.expires_at <= now || self.expires_at > now.saturating_add(Self::LIFETIME + SKEW)
    }
}

impl Idempotency {
    /// How long the outcome of a create is kept: 24 h, in microseconds.
    pub const LIFETIME: Micros = 24 * 3_600_000_000;
}

/// The outcome of a create with an idempotency key, kept for 24 h.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Project, user and key, hashed together: what the row is found by.
    pub hash: [u8; 32],
    /// SHA-256 of the request's body.
    pub digest: [u8; 32],
    /// The objects that were made.
    pub made: Vec<Key>,
    /// When it may be forgotten.
    pub expires_at: Micros,
    /// In whose quota of keys it counts; `None`: recorded by a version that counted none.
    pub project: Option<ProjectId>,
    /// What was answered; `None`: nobody was answered yet, or it is too long to be kept.
    pub answer: Option<KeptAnswer>,
}

/// An answer that is given again as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Box<str>,
}

indexes! {
    /// Projects by name.
    ProjectIndexes of Project {
        and names: Unique<String, ProjectId> = |o| Some((o.name.clone(), o.id));
    }
}

impl Kind for Project {
    const WORD: &'static str = "Project";
    type Id = ProjectId;
    type Table = Table<Self, ProjectIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[Column {
        name: "name",
        type_: Type::Text,
        value: |o| Value::Text(o.name.clone()),
    }];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Project);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.id)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn bytes(&self) -> usize {
        self.description.len()
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("name", &self.name);
        fields.text("description", &self.description);
        fields.put("enabled", self.enabled);
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}

indexes! {
    /// Users by name.
    UserIndexes of User {
        and names: Unique<String, UserId> = |o| Some((o.name.clone(), o.id));
    }
}

impl Kind for User {
    const WORD: &'static str = "User";
    type Id = UserId;
    type Table = Table<Self, UserIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[Column {
        name: "name",
        type_: Type::Text,
        value: |o| Value::Text(o.name.clone()),
    }];
    const AUDIT: Option<AuditKind> = Some(AuditKind::User);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        None
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("name", &self.name);
        fields.put("enabled", self.enabled);
        fields.may("default_project_id", self.default_project);
        fields.may("language", self.language.as_ref());
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}

indexes! {
    /// Assignments by project; by user they are in order already.
    AssignmentIndexes of Assignment {
        and by_project: Sorted<(ProjectId, UserId, Role)> = |o| Some((o.project, o.user, o.role));
    }
}

impl Kind for Assignment {
    const WORD: &'static str = "Role assignment";
    type Id = Self;
    type Table = Table<Self, AssignmentIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Role);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        *self
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        // Customers do not learn who the provider's people are.
        match self.role {
            Role::Admin | Role::Support => Audience::Provider,
            Role::Member | Role::Reader => Audience::Everyone,
        }
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        self.role.name().to_owned()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("user", self.user);
        fields.put("project", self.project);
        fields.put("role", self.role.name());
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}

indexes! {
    /// Sessions by user, and by when they end.
    SessionIndexes of Session {
        by user: UserId = |o| Some(o.user);
        and ends: Sorted<(Micros, [u8; 32])> = |o| Some((o.expires_at, o.hash));
    }
}

impl Kind for Session {
    const WORD: &'static str = "Session";
    type Id = [u8; 32];
    type Table = Table<Self, SessionIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = None;
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.hash
    }

    fn project(&self) -> Option<ProjectId> {
        None
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        false
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }

    fn label(&self) -> String {
        String::new()
    }

    fn fields(&self, _: Audience) -> Fields {
        Fields::default()
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}

indexes! {
    /// Idempotency records by when they end.
    IdempotencyIndexes of Idempotency {
        and ends: Sorted<(Micros, [u8; 32])> = |o| Some((o.expires_at, o.hash));
    }
}

impl Kind for Idempotency {
    const WORD: &'static str = "Idempotency key";
    type Id = [u8; 32];
    type Table = Table<Self, IdempotencyIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = None;
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.hash
    }

    fn project(&self) -> Option<ProjectId> {
        None
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        false
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        self.project.map(|project| (project, Counted::Keys))
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.body.len())
    }

    fn label(&self) -> String {
        String::new()
    }

    fn fields(&self, _: Audience) -> Fields {
        Fields::default()
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}
