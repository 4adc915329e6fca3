//! `/v2.0/ports`.
//!
//! There may be a million: a list walks the narrowest index there is for its filters, a piece at a
//! time so that no commit waits long, and writes what it found outside of the lock.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portolan_core::command::{Command, FixedIpRequest, NewPort, Outcome, PortChange};
use portolan_core::model::{Object, Port, owner};
use portolan_core::view::{PortScope, View};
use portolan_shared::check::{self, FIXED_IPS_MAX, NAME_MAX, shortened};
use portolan_shared::ids::{PortId, ProjectId};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::context::{Call, Segments};
use super::super::error::{Answer, Failure};
use super::super::fields::{self, Body, Fields, Said, required};
use super::super::reply;
use super::super::status::{Nodes, networking_word};
use super::list::{Attributes, Kind, Listed, Query, Value};
use super::many::{Asked, Many, One, shown};
use super::subnets::same_project;
use super::{networks, not_found};

const ATTRIBUTES: &Attributes = &[
    ("id", Kind::Id),
    ("name", Kind::Text),
    ("description", Kind::Text),
    ("network_id", Kind::Id),
    ("project_id", Kind::Id),
    ("tenant_id", Kind::Id),
    ("mac_address", Kind::Mac),
    ("admin_state_up", Kind::Flag),
    ("status", Kind::Text),
    ("device_id", Kind::Text),
    ("device_owner", Kind::Text),
    ("binding:host_id", Kind::Text),
    ("port_security_enabled", Kind::Flag),
    ("created_at", Kind::Time),
    ("updated_at", Kind::Time),
    ("revision_number", Kind::Number),
    ("binding:vnic_type", Kind::Text),
    ("ip_allocation", Kind::Null),
    ("security_groups", Kind::Null),
    ("dns_name", Kind::Null),
    ("qos_policy_id", Kind::Null),
    ("tags", Kind::Null),
    ("tags-any", Kind::Null),
];

/// What only the server sets.
const READ_ONLY: &[&str] = &[
    "id",
    "status",
    "created_at",
    "updated_at",
    "revision_number",
    "binding:vif_type",
    "binding:vif_details",
    "resource_request",
    "ip_allocation",
    "dns_assignment",
];

/// Ports looked at under one lock.
const PIECE: usize = 4_096;

/// A port with the nodes that its status depends on.
struct Item<'a> {
    port: &'a Port,
    nodes: &'a Nodes,
}

impl<'a> Item<'a> {
    fn status(&self) -> &'static str {
        networking_word(self.nodes.status(self.port).0)
    }

    fn wire(&self, admin: bool) -> v2::Port<'a> {
        let port = self.port;
        let host = self.nodes.host(port);
        v2::Port {
            id: port.id,
            name: Cow::Borrowed(&port.name),
            network_id: port.network,
            tenant_id: port.meta.project,
            project_id: port.meta.project,
            mac_address: port.mac,
            admin_state_up: port.admin_state_up,
            status: Cow::Borrowed(self.status()),
            device_id: device_id(port),
            device_owner: Cow::Borrowed(&port.device_owner),
            fixed_ips: port
                .fixed_ips
                .iter()
                .map(|ip| v2::FixedIp {
                    subnet_id: ip.subnet,
                    ip_address: ip.address,
                })
                .collect(),
            allowed_address_pairs: [],
            extra_dhcp_opts: [],
            security_groups: [],
            description: Cow::Borrowed(&port.description),
            vnic_type: Cow::Borrowed("normal"),
            binding: admin.then_some(v2::Binding {
                host_id: Cow::Borrowed(host),
                vif_type: Cow::Borrowed(if host.is_empty() { "unbound" } else { "other" }),
                vif_details: v2::Empty {},
                profile: v2::Empty {},
            }),
            port_security_enabled: port.port_security_enabled,
            tags: [],
            created_at: Time(port.meta.created_at),
            updated_at: Time(port.meta.updated_at),
            revision_number: port.meta.revision_number,
        }
    }
}

/// What uses a port: a pod by namespace and name, a node by its id, else what the client said.
fn device_id(port: &Port) -> Cow<'_, str> {
    match (&port.pod, port.node) {
        (Some(pod), _) => Cow::Owned(format!("{}/{}", pod.namespace, pod.name)),
        (None, Some(node)) if port.device_id.is_empty() => Cow::Owned(node.to_string()),
        _ => Cow::Borrowed(&port.device_id),
    }
}

impl Listed for Item<'_> {
    fn value(&self, attribute: &str) -> Value<'_> {
        let port = self.port;
        match attribute {
            "id" => Value::Id(port.id.uuid()),
            "name" => Value::text(&port.name),
            "description" => Value::text(&port.description),
            "network_id" => Value::Id(port.network.uuid()),
            "project_id" | "tenant_id" => Value::Id(port.meta.project.uuid()),
            "mac_address" => Value::Mac(port.mac),
            "admin_state_up" => Value::Flag(port.admin_state_up),
            "status" => Value::text(self.status()),
            "device_id" => Value::Text(device_id(port)),
            "device_owner" => Value::text(&port.device_owner),
            "binding:host_id" => Value::text(self.nodes.host(port)),
            "binding:vnic_type" => Value::text("normal"),
            "port_security_enabled" => Value::Flag(port.port_security_enabled),
            "created_at" => Value::Time(port.meta.created_at),
            "updated_at" => Value::Time(port.meta.updated_at),
            "revision_number" => Value::Number(port.meta.revision_number),
            _ => Value::Null,
        }
    }

    fn id(&self) -> Uuid {
        self.port.id.uuid()
    }
}

fn visible(call: &Call, view: &View, id: PortId) -> Result<Arc<Port>, Failure> {
    let found = view.port(id).filter(|port| call.reads(&***port));
    found.cloned().ok_or_else(|| not_found("Port", &id.to_string()))
}

fn find(call: &Call, path: &Segments) -> Result<(Arc<Port>, Nodes), Failure> {
    let id = path.id("id", "Port")?;
    call.control().read(|view| {
        let port = visible(call, view, id)?;
        let nodes = Nodes::of(view, [&port]);
        Ok((port, nodes))
    })
}

/// What the ports of a list can be found by.
enum Way {
    /// These.
    These(Vec<Arc<Port>>),
    /// All of an index.
    Walk(PortScope),
}

fn way(call: &Call, view: &View, query: &Query) -> Way {
    if let Some(ids) = query.ids("id") {
        return Way::These(ids.into_iter().filter_map(|id| view.port(id.into()).cloned()).collect());
    }
    let network = query.one_id("network_id");
    if !query.fixed_ips.addresses.is_empty() {
        let at = |address: &IpAddr| -> Vec<Arc<Port>> {
            let subnets: Box<dyn Iterator<Item = _>> = match network {
                Some(network) => Box::new(view.subnets_of(network.into())),
                None => view.subnets(call.listed()),
            };
            let holds = subnets.filter(|subnet| subnet.cidr.contains(*address));
            holds
                .filter_map(|subnet| view.port_at(subnet.id, *address).cloned())
                .collect()
        };
        let mut found: Vec<Arc<Port>> = query.fixed_ips.addresses.iter().flat_map(at).collect();
        found.sort_unstable_by_key(|port| port.id);
        found.dedup_by_key(|port| port.id);
        return Way::These(found);
    }
    let project = call
        .listed()
        .or_else(|| Some(query.one_id("project_id").or(query.one_id("tenant_id"))?.into()));
    Way::Walk(match (query.fixed_ips.subnets.as_slice(), network, project) {
        ([subnet], _, _) => PortScope::Subnet((*subnet).into()),
        (_, Some(network), _) => PortScope::Network(network.into()),
        (_, None, Some(project)) => PortScope::Project(project),
        (_, None, None) => PortScope::All,
    })
}

/// The ports that a list is of, but for a filter by status and the order.
fn gather(call: &Call, query: &Query, after: Option<PortId>) -> Vec<Arc<Port>> {
    // Status and host depend on nodes, which are looked at afterwards.
    let (unknown, by_host) = (Nodes::default(), query.uses("binding:host_id"));
    let fits = |port: &Arc<Port>| {
        let item = Item { port, nodes: &unknown };
        let ips = &query.fixed_ips;
        let ip = ips.is_empty() || port.fixed_ips.iter().any(|ip| ips.fits(ip.subnet.uuid(), ip.address));
        ip && call.reads(&**port) && (by_host || query.fits(&item, "status"))
    };
    let paged = query.in_id_order();
    let enough = query
        .limit
        .filter(|_| paged && !query.uses("status") && !by_host)
        .unwrap_or(usize::MAX);
    let mut after = after.filter(|_| paged);
    let scope = match call.control().read(|view| way(call, view, query)) {
        Way::These(ports) => return ports.into_iter().filter(fits).collect(),
        Way::Walk(scope) => scope,
    };
    let mut found = Vec::new();
    loop {
        let (last, more) = call.control().read(|view| {
            let (mut seen, mut last) = (0, after);
            for port in view.ports(scope, after).take(PIECE) {
                (seen, last) = (seen + 1, Some(port.id));
                if fits(port) {
                    found.push(Arc::clone(port));
                    if found.len() >= enough {
                        return (last, false);
                    }
                }
            }
            (last, seen == PIECE)
        });
        if !more {
            return found;
        }
        after = last;
    }
}

/// `GET /v2.0/ports`.
pub async fn list(call: Call, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let query = Query::read(&uri, ATTRIBUTES, true)?;
    let marked = match &query.marker {
        None => None,
        Some(marker) => {
            let id = marker.parse().map_err(|_| not_found("Port", marker))?;
            Some(call.control().read(|view| visible(&call, view, id))?)
        }
    };
    let all = call.control().read(|view| match way(&call, view, &query) {
        Way::These(ports) => ports.len(),
        Way::Walk(scope) => usize::try_from(view.port_count(scope)).unwrap_or(usize::MAX),
    });
    let api = Arc::clone(&call.caller.api);
    let text = reply::heavy(&api.workers, query.looks_at(all), move || {
        let ports = gather(&call, &query, marked.as_ref().map(|port| port.id));
        let nodes = call.control().read(|view| Nodes::of(view, ports.iter().chain(&marked)));
        let admin = call.rights.admin;
        let items = ports.iter().map(|port| Item { port, nodes: &nodes });
        let items = items.filter(|item| query.fits(item, "")).collect();
        let marked = marked.as_ref().map(|port| Item { port, nodes: &nodes });
        let items = query.page(items, marked.as_ref());
        let asked = Asked {
            api: &call.caller.api,
            headers: &headers,
            uri: &uri,
            query: &query,
        };
        asked.page(("ports", "ports_links"), &items, |item| item.wire(admin))
    });
    Ok(reply::bytes(StatusCode::OK, text.await?))
}

/// `GET /v2.0/ports/{id}`.
pub async fn show(call: Call, path: Segments, OriginalUri(uri): OriginalUri) -> Answer {
    let (port, nodes) = find(&call, &path)?;
    let item = Item {
        port: &port,
        nodes: &nodes,
    };
    shown(
        "port",
        item.wire(call.rights.admin),
        &Query::read(&uri, ATTRIBUTES, true)?,
    )
}

/// Attributes of extensions that are not there: allowed if they say so.
fn absent(fields: &mut Fields) -> Result<(), Refusal> {
    for field in ["security_groups", "allowed_address_pairs", "extra_dhcp_opts", "tags"] {
        fields.only(field, &json!([]))?;
    }
    for field in ["qos_policy_id", "numa_affinity_policy", "device_profile", "hints"] {
        fields.only(field, &Json::Null)?;
    }
    for field in ["dns_name", "dns_domain"] {
        fields.only(field, &json!(""))?;
    }
    fields.only("binding:profile", &json!({}))?;
    fields.only("propagate_uplink_status", &json!(false))?;
    fields.only("binding:vnic_type", &json!("normal"))
}

fn fixed_ips(fields: &mut Fields) -> Result<Option<Vec<FixedIpRequest>>, Refusal> {
    const FIELD: &str = "fixed_ips";
    let Some(given) = fields.objects(FIELD)? else {
        return Ok(None);
    };
    if given.len() > FIXED_IPS_MAX {
        return Err(Refusal::TooMany {
            field: FIELD.to_owned(),
            max: FIXED_IPS_MAX,
            count: given.len(),
        });
    }
    let mut asked = Vec::with_capacity(given.len());
    for mut ip in given {
        let subnet = match ip.string("subnet_id")?.value() {
            Some(text) => Some(fields::id(FIELD, &text)?),
            None => None,
        };
        let address = ip
            .string("ip_address")?
            .value()
            .map(|text| check::address(FIELD, &text))
            .transpose()?;
        ip.end()?;
        asked.push(match (subnet, address) {
            (Some(subnet), Some(address)) => FixedIpRequest::Both(subnet, address),
            (Some(subnet), None) => FixedIpRequest::Subnet(subnet),
            (None, Some(address)) => FixedIpRequest::Address(address),
            (None, None) => return Err(Refusal::FixedIpEmpty {}),
        });
    }
    Ok(Some(asked))
}

fn mac(fields: &mut Fields) -> Result<Option<MacAddress>, Refusal> {
    match fields.string("mac_address")? {
        Said::Nothing | Said::Null => Ok(None),
        Said::Value(text) => text.trim().parse().map(Some).map_err(|_| Refusal::NotAMac {
            field: "mac_address".to_owned(),
            given: shortened(&text),
        }),
    }
}

fn text(fields: &mut Fields, field: &str) -> Result<Option<Box<str>>, Refusal> {
    Ok(fields.text(field, NAME_MAX)?.map(String::into_boxed_str))
}

/// Whether what is said of a port of Portolan's own is what it is shown with: that changes nothing. A
/// client's own port is written whatever was shown, since another may have changed it meanwhile.
fn kept(port: &Port, said: &str, shown: &str) -> bool {
    owner::ours(&port.device_owner) && said == shown
}

/// Who uses a port; that of the port as it is (`now`) may be said again.
fn device_owner(fields: &mut Fields, now: Option<&Port>) -> Result<Option<Box<str>>, Refusal> {
    let said = text(fields, "device_owner")?;
    Ok(said.filter(|said| !now.is_some_and(|port| kept(port, said, &port.device_owner))))
}

fn host(call: &Call, fields: &mut Fields) -> Result<Option<Box<str>>, Refusal> {
    if fields.has("binding:host_id") {
        call.rights.to_administer("set binding:host_id")?;
    }
    match fields.string("binding:host_id")? {
        Said::Nothing => Ok(None),
        Said::Null => Ok(Some("".into())),
        Said::Value(host) => check::text("binding:host_id", &host, NAME_MAX).map(|host| Some(host.into())),
    }
}

fn read_new(call: &Call, mut fields: Fields) -> Result<NewPort, Failure> {
    fields.read_only(READ_ONLY)?;
    absent(&mut fields)?;
    let network = required("network_id", fields.id("network_id")?)?;
    let network = networks::to_make_in(call, network)?;
    let project: ProjectId = same_project(&mut fields, network.meta.project)?;
    let new = NewPort {
        project,
        network: network.id,
        name: text(&mut fields, "name")?.unwrap_or_default(),
        description: text(&mut fields, "description")?.unwrap_or_default(),
        mac: mac(&mut fields)?,
        fixed_ips: fixed_ips(&mut fields)?,
        admin_state_up: fields.flag("admin_state_up")?.unwrap_or(true),
        device_owner: device_owner(&mut fields, None)?.unwrap_or_default(),
        device_id: text(&mut fields, "device_id")?.unwrap_or_default(),
        host: host(call, &mut fields)?.unwrap_or_default(),
        port_security_enabled: fields.flag("port_security_enabled")?,
    };
    fields.end()?;
    Ok(new)
}

fn made(objects: Vec<Object>, count: usize) -> Vec<Arc<Port>> {
    let ports = objects.into_iter().filter_map(|object| match object {
        Object::Port(port) => Some(port),
        _ => None,
    });
    ports.take(count).collect()
}

/// `POST /v2.0/ports`, one or in bulk.
pub async fn create(call: Call, body: Body) -> Answer {
    call.to_write("create ports")?;
    let (many, bulk) = body.one_or_many("port", "ports")?;
    let count = many.len();
    let command = || {
        let new: Result<Vec<NewPort>, Failure> = many.into_iter().map(|fields| read_new(&call, fields)).collect();
        Ok(Command::CreatePorts(new?))
    };
    let answer = |outcome: Outcome| {
        let (ports, nodes, admin) = (made(outcome.objects, count), Nodes::default(), call.rights.admin);
        match ports.as_slice() {
            [port] if !bulk => {
                let value = Item { port, nodes: &nodes }.wire(admin);
                reply::created(&One {
                    key: "port",
                    value,
                    fields: &[],
                })
            }
            items if bulk => reply::created(&Many::made("ports", items, |port| {
                Item { port, nodes: &nodes }.wire(admin)
            })),
            _ => Err(Failure::Internal),
        }
    };
    call.create(&body.0, command, answer).await
}

/// `PUT /v2.0/ports/{id}`.
pub async fn update(call: Call, path: Segments, body: Body) -> Answer {
    let (port, nodes) = find(&call, &path)?;
    call.to_write("change ports")?;
    let mut fields = body.one("port")?;
    fields.read_only(READ_ONLY)?;
    fields.read_only(&["tenant_id", "project_id", "network_id"])?;
    absent(&mut fields)?;
    let change = PortChange {
        name: text(&mut fields, "name")?,
        description: text(&mut fields, "description")?,
        mac: mac(&mut fields)?,
        fixed_ips: fixed_ips(&mut fields)?,
        admin_state_up: fields.flag("admin_state_up")?,
        device_owner: device_owner(&mut fields, Some(&port))?,
        device_id: text(&mut fields, "device_id")?.filter(|said| !kept(&port, said, &device_id(&port))),
        host: host(&call, &mut fields)?.filter(|said| !kept(&port, said, nodes.host(&port))),
        port_security_enabled: fields.flag("port_security_enabled")?,
    };
    fields.end()?;
    let outcome = call.write(Command::UpdatePort(port.id, change)).await?;
    let ports = made(outcome.objects, 1);
    let port = ports.first().ok_or(Failure::Internal)?;
    let value = Item { port, nodes: &nodes }.wire(call.rights.admin);
    reply::ok(&One {
        key: "port",
        value,
        fields: &[],
    })
}

/// `DELETE /v2.0/ports/{id}`.
pub async fn delete(call: Call, path: Segments) -> Result<Response, Failure> {
    let (port, _) = find(&call, &path)?;
    call.to_write("delete ports")?;
    call.write(Command::DeletePort(port.id)).await?;
    Ok(reply::nothing())
}
