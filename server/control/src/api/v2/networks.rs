//! `/v2.0/networks`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portolan_core::command::{Command, NetworkChange, NewNetwork, Outcome};
use portolan_core::model::{Network, Object};
use portolan_core::view::View;
use portolan_shared::check::{MTU_DEFAULT, MTU_MAX, MTU_MIN, NAME_MAX};
use portolan_shared::ids::{NetworkId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::context::{Call, Segments};
use super::super::error::{Answer, Failure};
use super::super::fields::{Body, Fields};
use super::super::reply;
use super::list::{Attributes, Kind, Listed, Query, Value};
use super::many::{Asked, Many, One, shown};
use super::{not_found, owner};

const ATTRIBUTES: &Attributes = &[
    ("id", Kind::Id),
    ("name", Kind::Text),
    ("description", Kind::Text),
    ("project_id", Kind::Id),
    ("tenant_id", Kind::Id),
    ("admin_state_up", Kind::Flag),
    ("status", Kind::Text),
    ("mtu", Kind::Number),
    ("shared", Kind::Flag),
    ("router:external", Kind::Flag),
    ("internet_access", Kind::Flag),
    ("enable_shadow_port", Kind::Flag),
    ("port_security_enabled", Kind::Flag),
    ("dns_domain", Kind::Text),
    ("created_at", Kind::Time),
    ("updated_at", Kind::Time),
    ("revision_number", Kind::Number),
    ("is_default", Kind::Flag),
    ("availability_zone_hints", Kind::Null),
    ("ipv4_address_scope", Kind::Null),
    ("ipv6_address_scope", Kind::Null),
    ("provider:network_type", Kind::Null),
    ("provider:physical_network", Kind::Null),
    ("provider:segmentation_id", Kind::Null),
    ("tags", Kind::Null),
    ("tags-any", Kind::Null),
];

/// What only the server sets.
const READ_ONLY: &[&str] = &[
    "id",
    "status",
    "subnets",
    "created_at",
    "updated_at",
    "revision_number",
    "availability_zones",
    "ipv4_address_scope",
    "ipv6_address_scope",
];

/// A network with what its answer needs from elsewhere.
struct Item {
    network: Arc<Network>,
    subnets: Vec<SubnetId>,
}

impl Item {
    fn of(view: &View, network: &Arc<Network>) -> Self {
        Self {
            network: Arc::clone(network),
            subnets: view.subnets_of(network.id).map(|s| s.id).collect(),
        }
    }

    fn status(&self) -> &'static str {
        if self.network.admin_state_up { "ACTIVE" } else { "DOWN" }
    }

    fn wire(&self) -> v2::Network<'_> {
        let network = &*self.network;
        v2::Network {
            id: network.id,
            name: Cow::Borrowed(&network.name),
            tenant_id: network.meta.project,
            project_id: network.meta.project,
            admin_state_up: network.admin_state_up,
            mtu: network.mtu,
            status: Cow::Borrowed(self.status()),
            subnets: self.subnets.clone(),
            shared: false,
            router_external: network.external,
            internet_access: network.internet_access,
            enable_shadow_port: network.shadow_port.is_some(),
            availability_zone_hints: [],
            availability_zones: [],
            ipv4_address_scope: None,
            ipv6_address_scope: None,
            description: Cow::Borrowed(&network.description),
            port_security_enabled: network.port_security_enabled,
            dns_domain: Cow::Borrowed(&network.dns_domain),
            tags: [],
            created_at: Time(network.meta.created_at),
            updated_at: Time(network.meta.updated_at),
            revision_number: network.meta.revision_number,
        }
    }
}

impl Listed for Item {
    fn value(&self, attribute: &str) -> Value<'_> {
        let network = &*self.network;
        match attribute {
            "id" => Value::Id(network.id.uuid()),
            "name" => Value::text(&network.name),
            "description" => Value::text(&network.description),
            "project_id" | "tenant_id" => Value::Id(network.meta.project.uuid()),
            "admin_state_up" => Value::Flag(network.admin_state_up),
            "status" => Value::text(self.status()),
            "mtu" => Value::Number(network.mtu.into()),
            "shared" | "is_default" => Value::Flag(false),
            "router:external" => Value::Flag(network.external),
            "internet_access" => Value::Flag(network.internet_access),
            "enable_shadow_port" => Value::Flag(network.shadow_port.is_some()),
            "port_security_enabled" => Value::Flag(network.port_security_enabled),
            "dns_domain" => Value::text(&network.dns_domain),
            "created_at" => Value::Time(network.meta.created_at),
            "updated_at" => Value::Time(network.meta.updated_at),
            "revision_number" => Value::Number(network.meta.revision_number),
            _ => Value::Null,
        }
    }

    fn id(&self) -> Uuid {
        self.network.id.uuid()
    }
}

/// The network with this id, if the caller sees it.
fn visible(call: &Call, view: &View, id: NetworkId) -> Result<Arc<Network>, Failure> {
    let found = view.network(id).filter(|network| call.reads(&***network));
    found.cloned().ok_or_else(|| not_found("Network", &id.to_string()))
}

/// The network in which the caller wants to make something; whether it may is decided by the writer.
pub(super) fn to_make_in(call: &Call, id: NetworkId) -> Result<Arc<Network>, Failure> {
    call.control().read(|view| visible(call, view, id))
}

fn find(call: &Call, path: &Segments) -> Result<Item, Failure> {
    let id: NetworkId = path.id("id", "Network")?;
    call.control()
        .read(|view| Ok(Item::of(view, &visible(call, view, id)?)))
}

/// All networks that the caller sees: its project's, and external ones.
fn listed<'a>(call: &Call, view: &'a View) -> Box<dyn Iterator<Item = &'a Arc<Network>> + 'a> {
    let Some(project) = call.listed() else {
        return view.networks(None);
    };
    let provided = view
        .external_networks()
        .filter(move |network| network.meta.project != project);
    Box::new(view.networks(Some(project)).chain(provided))
}

/// `GET /v2.0/networks`.
pub async fn list(call: Call, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let query = Query::read(&uri, ATTRIBUTES, false)?;
    let marked = match &query.marker {
        None => None,
        Some(marker) => {
            let id = marker.parse().map_err(|_| not_found("Network", marker))?;
            Some(
                call.control()
                    .read(|view| Ok::<_, Failure>(Item::of(view, &visible(&call, view, id)?)))?,
            )
        }
    };
    let items: Vec<Item> = call.control().read(|view| {
        let found: Box<dyn Iterator<Item = &Arc<Network>>> = match query.ids("id") {
            Some(ids) => Box::new(ids.into_iter().filter_map(|id| view.network(id.into()))),
            None => listed(&call, view),
        };
        let seen = found.filter(|network| call.reads(&***network));
        seen.map(|network| Item::of(view, network))
            .filter(|item| query.fits(item, ""))
            .collect()
    });
    let items = query.page(items, marked.as_ref());
    let asked = Asked {
        api: &call.caller.api,
        headers: &headers,
        uri: &uri,
        query: &query,
    };
    let text = asked.page(("networks", "networks_links"), &items, Item::wire)?;
    Ok(reply::bytes(StatusCode::OK, text))
}

/// `GET /v2.0/networks/{id}`.
pub async fn show(call: Call, path: Segments, OriginalUri(uri): OriginalUri) -> Answer {
    let item = find(&call, &path)?;
    shown("network", item.wire(), &Query::read(&uri, ATTRIBUTES, false)?)
}

/// Attributes of extensions that are not there: allowed if they say so.
fn absent(fields: &mut Fields) -> Result<(), Refusal> {
    for field in ["shared", "is_default", "vlan_transparent", "qinq"] {
        fields.only(field, &json!(false))?;
    }
    for field in ["availability_zone_hints", "tags", "segments"] {
        fields.only(field, &json!([]))?;
    }
    for field in [
        "qos_policy_id",
        "provider:network_type",
        "provider:physical_network",
        "provider:segmentation_id",
    ] {
        fields.only(field, &Json::Null)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn mtu(fields: &mut Fields) -> Result<Option<u32>, Refusal> {
    Ok(fields.number("mtu", MTU_MIN, MTU_MAX)?.map(|mtu| mtu as u32))
}

fn dns_domain(fields: &mut Fields) -> Result<Option<String>, Refusal> {
    let Some(domain) = fields.text("dns_domain", NAME_MAX)? else {
        return Ok(None);
    };
    let name = domain.strip_suffix('.').unwrap_or(&domain);
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    if domain.is_empty() || name.split('.').all(label) {
        Ok(Some(domain))
    } else {
        let given = portolan_shared::check::shortened(&domain);
        Err(Refusal::NotADnsName {
            field: "dns_domain".to_owned(),
            given,
        })
    }
}

/// Whether it is the provider's way to the outside; only administrators say so.
fn external(call: &Call, fields: &mut Fields) -> Result<Option<bool>, Refusal> {
    let external = fields.flag("router:external")?;
    if external == Some(true) {
        call.rights.to_administer("set router:external")?;
    }
    Ok(external)
}

fn read_new(call: &Call, mut fields: Fields) -> Result<NewNetwork, Refusal> {
    fields.read_only(READ_ONLY)?;
    absent(&mut fields)?;
    let new = NewNetwork {
        project: owner(call, &mut fields, "network")?,
        name: fields.text("name", NAME_MAX)?.unwrap_or_default(),
        description: fields.text("description", NAME_MAX)?.unwrap_or_default(),
        admin_state_up: fields.flag("admin_state_up")?.unwrap_or(true),
        #[expect(clippy::cast_possible_truncation, reason = "a constant that fits")]
        mtu: mtu(&mut fields)?.unwrap_or(MTU_DEFAULT as u32),
        port_security_enabled: fields.flag("port_security_enabled")?.unwrap_or(true),
        dns_domain: dns_domain(&mut fields)?.unwrap_or_default(),
        internet_access: fields.flag("internet_access")?.unwrap_or(false),
        external: external(call, &mut fields)?.unwrap_or(false),
        shadow_port: fields.flag("enable_shadow_port")?.unwrap_or(false),
    };
    fields.end()?;
    Ok(new)
}

fn made(call: &Call, objects: &[Object], count: usize) -> Vec<Item> {
    let networks = objects.iter().filter_map(|object| match object {
        Object::Network(network) => Some(network),
        _ => None,
    });
    call.control()
        .read(|view| networks.take(count).map(|network| Item::of(view, network)).collect())
}

/// `POST /v2.0/networks`, one or in bulk.
pub async fn create(call: Call, body: Body) -> Answer {
    call.to_write("create networks")?;
    let (many, bulk) = body.one_or_many("network", "networks")?;
    let count = many.len();
    let command = || {
        let new: Result<Vec<NewNetwork>, Refusal> = many.into_iter().map(|fields| read_new(&call, fields)).collect();
        Ok(Command::CreateNetworks(new?))
    };
    let answer = |outcome: Outcome| {
        let items = made(&call, &outcome.objects, count);
        match items.as_slice() {
            [item] if !bulk => reply::created(&One {
                key: "network",
                value: item.wire(),
                fields: &[],
            }),
            items if bulk => reply::created(&Many::made("networks", items, Item::wire)),
            _ => Err(Failure::Internal),
        }
    };
    call.create(&body.0, command, answer).await
}

/// `PUT /v2.0/networks/{id}`.
pub async fn update(call: Call, path: Segments, body: Body) -> Answer {
    let item = find(&call, &path)?;
    call.to_write("change networks")?;
    let mut fields = body.one("network")?;
    fields.read_only(READ_ONLY)?;
    fields.read_only(&["tenant_id", "project_id"])?;
    absent(&mut fields)?;
    let change = NetworkChange {
        name: fields.text("name", NAME_MAX)?,
        description: fields.text("description", NAME_MAX)?,
        admin_state_up: fields.flag("admin_state_up")?,
        mtu: mtu(&mut fields)?,
        port_security_enabled: fields.flag("port_security_enabled")?,
        dns_domain: dns_domain(&mut fields)?,
        internet_access: fields.flag("internet_access")?,
        external: external(&call, &mut fields)?,
        shadow_port: fields.flag("enable_shadow_port")?,
    };
    fields.end()?;
    let outcome = call.write(Command::UpdateNetwork(item.network.id, change)).await?;
    let items = made(&call, &outcome.objects, 1);
    let item = items.first().ok_or(Failure::Internal)?;
    reply::ok(&One {
        key: "network",
        value: item.wire(),
        fields: &[],
    })
}

/// `DELETE /v2.0/networks/{id}`.
pub async fn delete(call: Call, path: Segments) -> Result<Response, Failure> {
    let item = find(&call, &path)?;
    call.to_write("delete networks")?;
    call.write(Command::DeleteNetwork(item.network.id)).await?;
    Ok(reply::nothing())
}
