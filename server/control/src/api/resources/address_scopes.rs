//! `/v2.0/address-scopes`, and the console's list of them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::HeaderMap;
use portolan_core::command;
use portolan_core::fields::moment;
use portolan_core::kinds::address_scopes::{AddressScope, AddressScopeChange, Command, NewAddressScope};
use portolan_core::view::View;
use portolan_shared::check::NAME_MAX;
use portolan_shared::kinds::address_scopes::{self as wire, AddressScopeId};
use portolan_shared::v1::List;
use uuid::Uuid;

use crate::api::context::Call;
use crate::api::error::{Answer, Failure};
use crate::api::fields::{Fields, required};
use crate::api::reply;
use crate::api::route::get;
use crate::api::v1::operation::{Operation, Tag, Who, chapter};
use crate::api::v2::attributes::{Attribute, attributes};
use crate::api::v2::list::{Listed, Query, Value};
use crate::api::v2::resource::{Few, Names, Resource, list};
use crate::api::v2::{Described, owner};
use crate::identity::rights::Rights;

/// The resource.
pub struct AddressScopes;

impl Listed for AddressScopes {
    type Item<'a> = &'a AddressScope;

    // Neutron gives them none of the standard attributes.
    const ATTRIBUTES: &'static [Attribute<Self>] = attributes! {
        "id" server => Id |s| Value::Id(s.id.uuid());
        "name" client => Text |s| Value::text(&s.name);
        "project_id" once => Id |s| Value::Id(s.meta.project.uuid());
        "tenant_id" once => Id |s| Value::Id(s.meta.project.uuid());
        "ip_version" once => Number |s| Value::Number(s.ip_version.into());
        "shared" client => Flag |s| Value::Flag(s.shared);
    };
    const BY_FIXED_IPS: bool = false;

    fn id(scope: &&AddressScope) -> Uuid {
        scope.id.uuid()
    }
}

impl Resource for AddressScopes {
    type Id = AddressScopeId;
    type Kind = AddressScope;
    type Beside = ();
    type Wire<'a> = wire::AddressScope<'a>;
    type New = NewAddressScope;
    type Change = AddressScopeChange;

    const NAMES: Names = Names {
        one: "address_scope",
        many: "address_scopes",
        links: "address_scopes_links",
        path: "/address-scopes",
        path_of_one: "/address-scopes/{id}",
        not_found: "AddressScopeNotFound",
    };
    const EXTENSION: Option<Described> = Some((
        "address-scope",
        "Address scope",
        "Names for ranges that must not overlap; there are no subnet pools yet to be in one",
    ));
    const BULK: bool = false;

    fn beside<'a>(_: &View, _: impl Iterator<Item = &'a Arc<AddressScope>>) {}

    fn item<'a>(scope: &'a Arc<AddressScope>, (): &'a ()) -> &'a AddressScope {
        scope
    }

    fn wire<'a>(scope: &Self::Item<'a>, _: Rights) -> Self::Wire<'a> {
        wire::AddressScope {
            id: scope.id,
            name: Cow::Borrowed(&scope.name),
            tenant_id: scope.meta.project,
            project_id: scope.meta.project,
            ip_version: scope.ip_version,
            shared: scope.shared,
        }
    }

    fn read_new(call: &Call, fields: &mut Fields) -> Result<NewAddressScope, Failure> {
        let version = required("ip_version", fields.number("ip_version", i64::MIN, i64::MAX)?)?;
        Ok(NewAddressScope {
            project: owner(call, fields, "address scope")?,
            name: fields.text("name", NAME_MAX)?.unwrap_or_default(),
            ip_version: wire::ip_version(version)?,
            shared: fields.flag("shared")?.unwrap_or(false),
        })
    }

    fn read_change(_: &Call, _: &&AddressScope, fields: &mut Fields) -> Result<AddressScopeChange, Failure> {
        Ok(AddressScopeChange {
            name: fields.text("name", NAME_MAX)?,
            shared: fields.flag("shared")?,
        })
    }

    fn create(new: Vec<NewAddressScope>) -> command::Command {
        Command::Create(new).into()
    }

    fn update(id: AddressScopeId, change: AddressScopeChange) -> command::Command {
        Command::Update(id, change).into()
    }

    fn delete(id: AddressScopeId) -> command::Command {
        Command::Delete(id).into()
    }

    fn operations() -> Vec<Operation> {
        let list = get("/projects/{project}/address-scopes", rows)
            .is(
                "listAddressScopes",
                Who::Reader,
                "Address scopes of a project, by name, then those that others share",
            )
            .gives::<List<wire::AddressScopeRow>>();
        chapter(TAG, [list]).collect()
    }

    async fn list(call: Call, headers: HeaderMap, uri: OriginalUri) -> Answer {
        list::<Self>(call, headers, uri).await
    }
}

impl Few for AddressScopes {
    fn found<'a>(call: &Call, view: &'a View, _: &Query<Self>) -> Box<dyn Iterator<Item = &'a Arc<AddressScope>> + 'a> {
        let Some(project) = call.listed() else {
            return view.list(None);
        };
        let others = view
            .shared_address_scopes()
            .filter(move |scope| scope.meta.project != project);
        Box::new(view.list(Some(project)).chain(others))
    }
}

/// The chapter of the description.
const TAG: Tag = Tag {
    name: "Address scopes",
    about: "Address scopes as the console shows them. They are made, changed and deleted at `/v2.0/address-scopes` \
            (OpenStack Networking).",
};

/// `GET …/address-scopes`.
async fn rows(call: Call, _: OriginalUri) -> Answer {
    let row = |scope: &Arc<AddressScope>| wire::AddressScopeRow {
        id: scope.id,
        name: scope.name.clone(),
        ip_version: scope.ip_version,
        shared: scope.shared,
        foreign: scope.meta.project != call.project.id,
        created_at: moment(scope.meta.created_at),
    };
    let (revision, mut items) = call.control().read(|view| {
        let own = view.of::<AddressScope>(call.project.id);
        let others = view
            .shared_address_scopes()
            .filter(|scope| scope.meta.project != call.project.id);
        (view.head(), own.chain(others).map(row).collect::<Vec<_>>())
    });
    items.sort_by(|a, b| (a.foreign, &a.name, a.id).cmp(&(b.foreign, &b.name, b.id)));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}
