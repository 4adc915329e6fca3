//! Address scopes: which subnet pools may not overlap. There are no pools yet, so a scope is a name and a family.

use std::sync::Arc;

use portolan_shared::ids::{ClusterId, ProjectId};
use portolan_shared::kinds::address_scopes::{AddressScopeId, MAX};
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{self, AuditKind};
use serde::{Deserialize, Serialize};

use crate::access::{Access, Owned, Reach, needs};
use crate::audience::Audience;
use crate::change::Op;
use crate::command::Request;
use crate::decide::{check_revision, target_project, visible};
use crate::draft::Draft;
use crate::event::Event;
use crate::fields::Fields;
use crate::model::{Born, Clusters, Column, Key, Kind, Meta, Object, PROVIDER_PROJECT, Revision, Role};
use crate::quotas::Counted;
use crate::tables::{Sorted, Table, indexes};
use crate::view::View;

/// An address scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressScope {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: AddressScopeId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// The name that its owner gave it, at most 255 characters; may be empty.
    pub name: String,
    /// 4 or 6. Never changes.
    pub ip_version: u8,
    /// Whether every project sees it; never taken back.
    pub shared: bool,
}

indexes! {
    /// Address scopes by project, and those that every project sees.
    AddressScopeIndexes of AddressScope {
        by project: ProjectId = |o| Some(o.meta.project);
        and shared: Sorted<AddressScopeId> = |o| o.shared.then_some(o.id);
    }
}

impl Kind for AddressScope {
    const WORD: &'static str = "Address scope";
    type Id = AddressScopeId;
    type Table = Table<Self, AddressScopeIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::AddressScope);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = Some(Born {
        version: 6,
        columns: &[],
        unique: &[],
        body: r#"{
            "id": "04040404-0404-0404-0404-040404040404",
            "meta": {
                "project": "01010101010101010101010101010101", "revision": 3, "revision_number": 1,
                "created_at": 5, "updated_at": 6
            },
            "name": "inner", "ip_version": 4, "shared": false
        }"#,
    });

    fn id(&self) -> AddressScopeId {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
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

    /// Neutron has no quota for them; [`MAX`] holds for all.
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
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.text("name", &self.name);
        fields.put("ip_version", self.ip_version);
        fields.put("shared", self.shared);
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::AddressScope, self.id))
    }
}

impl Owned for AddressScope {
    fn owner(&self) -> ProjectId {
        self.meta.project
    }

    fn reach(&self) -> Reach {
        if self.shared { Reach::Shared } else { Reach::Own }
    }
}

impl View {
    /// Address scopes that every project sees, in id order.
    pub fn shared_address_scopes(&self) -> impl Iterator<Item = &Arc<AddressScope>> {
        let shared = &self.table::<AddressScope, _>().indexes.shared.0;
        shared.iter().filter_map(|id| self.get::<AddressScope>(*id))
    }
}

/// A new address scope.
#[derive(Debug, Clone)]
pub struct NewAddressScope {
    /// Whose it will be.
    pub project: ProjectId,
    /// The name that its owner gave it, at most 255 characters; may be empty.
    pub name: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// Whether every project sees it; administrators only.
    pub shared: bool,
}

/// What of an address scope changes; `None` leaves a field alone.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "fields as in NewAddressScope")]
pub struct AddressScopeChange {
    pub name: Option<String>,
    pub shared: Option<bool>,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// All or none.
    Create(Vec<NewAddressScope>),
    /// Changes one.
    Update(AddressScopeId, AddressScopeChange),
    /// Deletes one.
    Delete(AddressScopeId),
}

impl Command {
    /// How many objects it makes or changes.
    pub fn weight(&self) -> usize {
        match self {
            Self::Create(new) => new.len(),
            Self::Update(..) | Self::Delete(_) => 1,
        }
    }

    /// Decides it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn decide(&self, draft: &mut Draft<'_>, request: &Request) -> Result<Vec<Object>, Refusal> {
        match self {
            Self::Create(new) => new.iter().map(|new| create(draft, request, new)).collect(),
            Self::Update(id, change) => update(draft, request, *id, change),
            Self::Delete(id) => {
                let old = to_change(draft, request, *id, "delete")?;
                draft.delete(Key::AddressScope(*id));
                Ok(vec![Object::AddressScope(old)])
            }
        }
    }
}

fn create(draft: &mut Draft<'_>, request: &Request, new: &NewAddressScope) -> Result<Object, Refusal> {
    let project = target_project(draft, request, new.project)?;
    check_shared(request, new.shared)?;
    let used = draft.of::<AddressScope>(project.id).len() as u64;
    if used >= MAX && project.name != PROVIDER_PROJECT {
        return Err(Refusal::OverQuota {
            resource: "address_scope".to_owned(),
            limit: MAX,
            used,
        });
    }
    let scope = AddressScope {
        id: draft.new_id().into(),
        meta: draft.new_meta(project.id),
        name: new.name.clone(),
        ip_version: new.ip_version,
        shared: new.shared,
    };
    Ok(draft.put(scope))
}

fn update(
    draft: &mut Draft<'_>,
    request: &Request,
    id: AddressScopeId,
    change: &AddressScopeChange,
) -> Result<Vec<Object>, Refusal> {
    let old = to_change(draft, request, id, "change")?;
    if old.shared && change.shared == Some(false) {
        return Err(Refusal::NotOneOf {
            field: "shared".to_owned(),
            given: "false".to_owned(),
            allowed: "true (others may use it)".to_owned(),
        });
    }
    let new = AddressScope {
        name: change.name.clone().unwrap_or_else(|| old.name.clone()),
        shared: change.shared.unwrap_or(old.shared),
        ..(*old).clone()
    };
    check_shared(request, new.shared && !old.shared)?;
    if new == *old {
        return Ok(vec![Object::AddressScope(old)]);
    }
    let meta = draft.changed(&old.meta);
    Ok(vec![draft.put(AddressScope { meta, ..new })])
}

/// Only administrators share.
fn check_shared(request: &Request, shared: bool) -> Result<(), Refusal> {
    if shared && !request.scope.writes_everything() {
        return Err(needs(Role::Admin, "share address scopes"));
    }
    Ok(())
}

/// A scope that the caller may change: others see shared ones.
fn to_change(
    draft: &Draft<'_>,
    request: &Request,
    id: AddressScopeId,
    action: &str,
) -> Result<Arc<AddressScope>, Refusal> {
    let scope = visible(request, draft.get::<AddressScope>(id), AddressScope::WORD, id)?;
    if request.scope.access(&*scope) < Access::Write {
        return Err(needs(Role::Admin, format!("{action} another project's address scopes")));
    }
    check_revision(request, &scope.meta, AddressScope::WORD, id)?;
    Ok(scope)
}

/// A project's scopes go with it.
pub(super) fn project_goes(draft: &mut Draft<'_>, project: ProjectId) {
    for scope in draft.of::<AddressScope>(project) {
        draft.delete(Key::AddressScope(scope.id));
    }
}
