//! `/v2.0/subnets`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portolan_core::command::{Command, NewSubnet, Outcome, SubnetChange};
use portolan_core::model::{Object, Subnet};
use portolan_core::view::View;
use portolan_shared::check::{self, GatewayInput, NAME_MAX, SubnetInput};
use portolan_shared::ids::{ProjectId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::context::{Call, Segments};
use super::super::error::{Answer, Failure};
use super::super::fields::{Body, Fields, Said, required};
use super::super::reply;
use super::list::{Attributes, Kind, Listed, Query, Value};
use super::many::{Asked, Many, One, shown};
use super::{networks, not_found};

const ATTRIBUTES: &Attributes = &[
    ("id", Kind::Id),
    ("name", Kind::Text),
    ("description", Kind::Text),
    ("network_id", Kind::Id),
    ("project_id", Kind::Id),
    ("tenant_id", Kind::Id),
    ("cidr", Kind::Cidr),
    ("ip_version", Kind::Number),
    ("gateway_ip", Kind::Address),
    ("enable_dhcp", Kind::Flag),
    ("shared", Kind::Flag),
    ("router:external", Kind::Flag),
    ("created_at", Kind::Time),
    ("updated_at", Kind::Time),
    ("revision_number", Kind::Number),
    ("ipv6_address_mode", Kind::Null),
    ("ipv6_ra_mode", Kind::Null),
    ("subnetpool_id", Kind::Null),
    ("segment_id", Kind::Null),
    ("service_types", Kind::Null),
    ("tags", Kind::Null),
    ("tags-any", Kind::Null),
];

/// What only the server sets.
const READ_ONLY: &[&str] = &[
    "id",
    "created_at",
    "updated_at",
    "revision_number",
    "shared",
    "router:external",
];

/// A subnet; the newtype carries the traits of lists.
struct Item(Arc<Subnet>);

impl Item {
    fn wire(&self) -> v2::Subnet<'_> {
        let subnet = &*self.0;
        v2::Subnet {
            id: subnet.id,
            name: Cow::Borrowed(&subnet.name),
            tenant_id: subnet.meta.project,
            project_id: subnet.meta.project,
            network_id: subnet.network,
            ip_version: subnet.cidr.family().number(),
            subnetpool_id: None,
            enable_dhcp: subnet.enable_dhcp,
            ipv6_ra_mode: None,
            ipv6_address_mode: None,
            gateway_ip: subnet.gateway,
            cidr: subnet.cidr,
            allocation_pools: Cow::Borrowed(&subnet.pools),
            host_routes: Cow::Borrowed(&subnet.routes),
            dns_nameservers: Cow::Borrowed(&subnet.dns),
            description: Cow::Borrowed(&subnet.description),
            service_types: [],
            tags: [],
            created_at: Time(subnet.meta.created_at),
            updated_at: Time(subnet.meta.updated_at),
            revision_number: subnet.meta.revision_number,
        }
    }
}

impl Listed for Item {
    fn value(&self, attribute: &str) -> Value<'_> {
        let subnet = &*self.0;
        match attribute {
            "id" => Value::Id(subnet.id.uuid()),
            "name" => Value::text(&subnet.name),
            "description" => Value::text(&subnet.description),
            "network_id" => Value::Id(subnet.network.uuid()),
            "project_id" | "tenant_id" => Value::Id(subnet.meta.project.uuid()),
            "cidr" => Value::Cidr(subnet.cidr),
            "ip_version" => Value::Number(subnet.cidr.family().number().into()),
            "gateway_ip" => subnet.gateway.map_or(Value::Null, Value::Address),
            "enable_dhcp" => Value::Flag(subnet.enable_dhcp),
            "shared" | "router:external" => Value::Flag(false),
            "created_at" => Value::Time(subnet.meta.created_at),
            "updated_at" => Value::Time(subnet.meta.updated_at),
            "revision_number" => Value::Number(subnet.meta.revision_number),
            _ => Value::Null,
        }
    }

    fn id(&self) -> Uuid {
        self.0.id.uuid()
    }
}

/// The subnet with this id, if the caller sees it.
pub(super) fn visible(call: &Call, view: &View, id: SubnetId) -> Result<Arc<Subnet>, Failure> {
    let found = view.subnet(id).filter(|subnet| call.reads(&***subnet));
    found.cloned().ok_or_else(|| not_found("Subnet", &id.to_string()))
}

fn find(call: &Call, path: &Segments) -> Result<Item, Failure> {
    let id = path.id("id", "Subnet")?;
    call.control().read(|view| visible(call, view, id)).map(Item)
}

/// `GET /v2.0/subnets`.
pub async fn list(call: Call, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let query = Query::read(&uri, ATTRIBUTES, false)?;
    let marked = match &query.marker {
        None => None,
        Some(marker) => {
            let id = marker.parse().map_err(|_| not_found("Subnet", marker))?;
            Some(Item(call.control().read(|view| visible(&call, view, id))?))
        }
    };
    let items: Vec<Item> = call.control().read(|view| {
        let found: Box<dyn Iterator<Item = &Arc<Subnet>>> = match (query.ids("id"), query.one_id("network_id")) {
            (Some(ids), _) => Box::new(ids.into_iter().filter_map(|id| view.subnet(id.into()))),
            (None, Some(network)) => Box::new(view.subnets_of(network.into())),
            (None, None) => view.subnets(call.listed()),
        };
        let seen = found.filter(|subnet| call.reads(&***subnet));
        seen.map(|subnet| Item(Arc::clone(subnet)))
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
    let text = asked.page(("subnets", "subnets_links"), &items, Item::wire)?;
    Ok(reply::bytes(StatusCode::OK, text))
}

/// `GET /v2.0/subnets/{id}`.
pub async fn show(call: Call, path: Segments, OriginalUri(uri): OriginalUri) -> Answer {
    let item = find(&call, &path)?;
    shown("subnet", item.wire(), &Query::read(&uri, ATTRIBUTES, false)?)
}

/// Attributes of extensions that are not there: allowed if they say so.
fn absent(fields: &mut Fields) -> Result<(), Refusal> {
    for field in [
        "ipv6_ra_mode",
        "ipv6_address_mode",
        "subnetpool_id",
        "segment_id",
        "prefixlen",
    ] {
        fields.only(field, &Json::Null)?;
    }
    fields.only("use_default_subnetpool", &json!(false))?;
    fields.only("service_types", &json!([]))?;
    fields.only("tags", &json!([]))
}

fn gateway(fields: &mut Fields) -> Result<Said<GatewayInput>, Refusal> {
    Ok(match fields.string("gateway_ip")? {
        Said::Nothing => Said::Nothing,
        Said::Null => Said::Value(GatewayInput::None),
        Said::Value(address) => Said::Value(GatewayInput::Address(address)),
    })
}

fn read_new(call: &Call, mut fields: Fields) -> Result<NewSubnet, Failure> {
    fields.read_only(READ_ONLY)?;
    absent(&mut fields)?;
    let network = required("network_id", fields.id("network_id")?)?;
    let network = networks::to_make_in(call, network)?;
    let project = same_project(&mut fields, network.meta.project)?;
    let cidr = match fields.string("cidr")? {
        Said::Value(cidr) => cidr,
        Said::Null | Said::Nothing => {
            return Err(Refusal::Required {
                field: "cidr".to_owned(),
            }
            .into());
        }
    };
    let input = SubnetInput {
        name: fields.text("name", NAME_MAX)?.unwrap_or_default(),
        description: fields.text("description", NAME_MAX)?.unwrap_or_default(),
        cidr,
        ip_version: fields
            .number("ip_version", 4, 6)?
            .and_then(|version| u8::try_from(version).ok()),
        gateway: gateway(&mut fields)?.value().unwrap_or_default(),
        pools: fields.pairs("allocation_pools", "start", "end")?,
        dns: fields.strings("dns_nameservers")?.unwrap_or_default(),
        routes: fields
            .pairs("host_routes", "destination", "nexthop")?
            .unwrap_or_default(),
        enable_dhcp: fields.flag("enable_dhcp")?.unwrap_or(true),
    };
    fields.end()?;
    Ok(NewSubnet {
        project,
        network: network.id,
        spec: check::subnet(&input)?,
    })
}

/// Subnets and ports are their network's project's; a project that is named must be that one.
pub(super) fn same_project(fields: &mut Fields, network: ProjectId) -> Result<ProjectId, Refusal> {
    for field in ["tenant_id", "project_id"] {
        if let Some(named) = fields.id::<ProjectId>(field)?
            && named != network
        {
            return Err(Refusal::NotOneOf {
                field: field.to_owned(),
                given: named.to_string(),
                allowed: format!("{network} (its network's)"),
            });
        }
    }
    Ok(network)
}

fn made(objects: Vec<Object>, count: usize) -> Vec<Item> {
    let subnets = objects.into_iter().filter_map(|object| match object {
        Object::Subnet(subnet) => Some(Item(subnet)),
        _ => None,
    });
    subnets.take(count).collect()
}

/// `POST /v2.0/subnets`, one or in bulk.
pub async fn create(call: Call, body: Body) -> Answer {
    call.to_write("create subnets")?;
    let (many, bulk) = body.one_or_many("subnet", "subnets")?;
    let count = many.len();
    let command = || {
        let new: Result<Vec<NewSubnet>, Failure> = many.into_iter().map(|fields| read_new(&call, fields)).collect();
        Ok(Command::CreateSubnets(new?))
    };
    let answer = |outcome: Outcome| {
        let items = made(outcome.objects, count);
        match items.as_slice() {
            [item] if !bulk => reply::created(&One {
                key: "subnet",
                value: item.wire(),
                fields: &[],
            }),
            items if bulk => reply::created(&Many::made("subnets", items, Item::wire)),
            _ => Err(Failure::Internal),
        }
    };
    call.create(&body.0, command, answer).await
}

/// `PUT /v2.0/subnets/{id}`.
pub async fn update(call: Call, path: Segments, body: Body) -> Answer {
    let Item(subnet) = find(&call, &path)?;
    call.to_write("change subnets")?;
    let mut fields = body.one("subnet")?;
    fields.read_only(READ_ONLY)?;
    fields.read_only(&["tenant_id", "project_id", "network_id", "cidr", "ip_version"])?;
    absent(&mut fields)?;
    // Right in itself now; the writer looks again at the subnet as it is then.
    let gateway = match gateway(&mut fields)?.value() {
        None => None,
        Some(input) => Some(check::gateway(&input, subnet.cidr)?),
    };
    let pools = match fields.pairs("allocation_pools", "start", "end")? {
        None => None,
        Some(pools) => Some(check::pools(&pools, subnet.cidr, gateway.unwrap_or(subnet.gateway))?),
    };
    let change = SubnetChange {
        name: fields.text("name", NAME_MAX)?,
        description: fields.text("description", NAME_MAX)?,
        enable_dhcp: fields.flag("enable_dhcp")?,
        gateway,
        pools,
        dns: fields
            .strings("dns_nameservers")?
            .map(|dns| check::dns(&dns))
            .transpose()?,
        routes: fields
            .pairs("host_routes", "destination", "nexthop")?
            .map(|routes| check::routes(&routes, subnet.cidr))
            .transpose()?,
    };
    fields.end()?;
    let outcome = call.write(Command::UpdateSubnet(subnet.id, change)).await?;
    let items = made(outcome.objects, 1);
    let item = items.first().ok_or(Failure::Internal)?;
    reply::ok(&One {
        key: "subnet",
        value: item.wire(),
        fields: &[],
    })
}

/// `DELETE /v2.0/subnets/{id}`.
pub async fn delete(call: Call, path: Segments) -> Result<Response, Failure> {
    let Item(subnet) = find(&call, &path)?;
    call.to_write("delete subnets")?;
    call.write(Command::DeleteSubnet(subnet.id)).await?;
    Ok(reply::nothing())
}
