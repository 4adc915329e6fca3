//! `/v2.0/ports`.
//!
//! There may be a million: a list walks the narrowest index there is for its filters, a piece at a
//! time so that no commit waits long, and writes what it found outside of the lock.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use portolan_core::command::{Command, Delete, FixedIpRequest, NewPort, PortChange};
use portolan_core::model::{Port, owner};
use portolan_core::view::{PortScope, View};
use portolan_shared::check::{self, FIXED_IPS_MAX, NAME_MAX, shortened};
use portolan_shared::ids::{PortId, ProjectId};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2;
use uuid::Uuid;

use super::Described;
use super::attributes::{Attribute, attributes};
use super::list::{Listed, Query, Value};
use super::many::Asked;
use super::networks;
use super::resource::{Names, Resource, marked};
use super::subnets::same_project;
use crate::api::context::Call;
use crate::api::error::{Answer, Failure};
use crate::api::fields::{self, Fields, Said, required};
use crate::api::reply;
use crate::api::status::Nodes;
use crate::api::v1::operation::Operation;
use crate::api::v1::routes;
use crate::identity::rights::Rights;

/// The resource.
pub struct Ports;

/// Ports looked at under one lock.
const PIECE: usize = 4_096;

/// A port with the nodes that its status depends on.
pub struct Item<'a> {
    port: &'a Port,
    nodes: &'a Nodes,
}

impl Item<'_> {
    fn status(&self) -> &'static str {
        self.nodes.status(self.port).0.networking()
    }
}

impl Listed for Ports {
    type Item<'a> = Item<'a>;

    const ATTRIBUTES: &'static [Attribute<Self>] = attributes! {
        "id" server => Id |i| Value::Id(i.port.id.uuid());
        "name" client => Text |i| Value::text(&i.port.name);
        "description" client => Text |i| Value::text(&i.port.description);
        "network_id" once => Id |i| Value::Id(i.port.network.uuid());
        "project_id" once => Id |i| Value::Id(i.port.meta.project.uuid());
        "tenant_id" once => Id |i| Value::Id(i.port.meta.project.uuid());
        "mac_address" client => Mac |i| Value::Mac(i.port.mac);
        "admin_state_up" client => Flag |i| Value::Flag(i.port.admin_state_up);
        "status" server => Text |i| Value::text(i.status());
        "device_id" client => Text |i| Value::Text(device_id(i.port));
        "device_owner" client => Text |i| Value::text(&i.port.device_owner);
        "binding:host_id" client => Text |i| Value::text(i.nodes.host(i.port));
        "port_security_enabled" client => Flag |i| Value::Flag(i.port.port_security_enabled);
        "created_at" server => Time |i| Value::Time(i.port.meta.created_at);
        "updated_at" server => Time |i| Value::Time(i.port.meta.updated_at);
        "revision_number" server => Number |i| Value::Number(i.port.meta.revision_number);
        "binding:vnic_type" absent(Word("normal")) => Text |_| Value::text("normal");
        "binding:vif_type" server;
        "binding:vif_details" server;
        "binding:profile" absent(Map);
        "resource_request" server;
        "ip_allocation" server => Null |_| Value::Null;
        "allowed_address_pairs" absent(List);
        "extra_dhcp_opts" absent(List);
        "security_groups" absent(List) => Null |_| Value::Null;
        "dns_name" absent(Word("")) => Null |_| Value::Null;
        "dns_domain" absent(Word(""));
        "dns_assignment" server;
        "qos_policy_id" absent(Null) => Null |_| Value::Null;
        "numa_affinity_policy" absent(Null);
        "device_profile" absent(Null);
        "hints" absent(Null);
        "propagate_uplink_status" absent(False);
        "tags" absent(List) => Null |_| Value::Null;
        "tags-any" filter => Null |_| Value::Null;
    };
    const BY_FIXED_IPS: bool = true;

    fn id(item: &Item<'_>) -> Uuid {
        item.port.id.uuid()
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

/// How the ports of a list are found.
enum Way {
    /// These ports, found one by one.
    These(Vec<Arc<Port>>),
    /// All of an index.
    Walk(PortScope),
}

fn way(call: &Call, view: &View, query: &Query<Ports>) -> Way {
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

/// The ports of a list, before the filter by status and the sorting.
fn gather(call: &Call, query: &Query<Ports>, after: Option<PortId>) -> Vec<Arc<Port>> {
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

/// Whether a client repeats the value that a port of Portolan's own is shown with: that changes nothing. The value of a
/// client's own port is always written, since another client may have changed it meanwhile.
fn kept(port: &Port, said: &str, shown: &str) -> bool {
    owner::ours(&port.device_owner) && said == shown
}

/// Reads `device_owner`. Repeating that of the port as it is (`now`) is allowed.
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

impl Resource for Ports {
    type Id = PortId;
    type Kind = Port;
    type Beside = Nodes;
    type Wire<'a> = v2::Port<'a>;
    type New = NewPort;
    type Change = PortChange;

    const NAMES: Names = Names {
        one: "port",
        many: "ports",
        links: "ports_links",
        path: "/ports",
        path_of_one: "/ports/{id}",
        not_found: "PortNotFound",
    };
    const EXTENSION: Option<Described> = None;
    const BULK: bool = true;

    fn beside<'a>(view: &View, ports: impl Iterator<Item = &'a Arc<Port>>) -> Nodes {
        Nodes::of(view, ports)
    }

    fn item<'a>(port: &'a Arc<Port>, nodes: &'a Nodes) -> Item<'a> {
        Item { port, nodes }
    }

    fn wire<'a>(item: &Self::Item<'a>, rights: Rights) -> Self::Wire<'a> {
        let port = item.port;
        let host = item.nodes.host(port);
        v2::Port {
            id: port.id,
            name: Cow::Borrowed(&port.name),
            network_id: port.network,
            tenant_id: port.meta.project,
            project_id: port.meta.project,
            mac_address: port.mac,
            admin_state_up: port.admin_state_up,
            status: Cow::Borrowed(item.status()),
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
            binding: rights.admin.then_some(v2::Binding {
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

    fn read_new(call: &Call, fields: &mut Fields) -> Result<NewPort, Failure> {
        let network = required("network_id", fields.id("network_id")?)?;
        let network = networks::to_make_in(call, network)?;
        let project: ProjectId = same_project(fields, network.meta.project)?;
        Ok(NewPort {
            project,
            network: network.id,
            name: text(fields, "name")?.unwrap_or_default(),
            description: text(fields, "description")?.unwrap_or_default(),
            mac: mac(fields)?,
            fixed_ips: fixed_ips(fields)?,
            admin_state_up: fields.flag("admin_state_up")?.unwrap_or(true),
            device_owner: device_owner(fields, None)?.unwrap_or_default(),
            device_id: text(fields, "device_id")?.unwrap_or_default(),
            host: host(call, fields)?.unwrap_or_default(),
            port_security_enabled: fields.flag("port_security_enabled")?,
        })
    }

    fn read_change(call: &Call, item: &Item<'_>, fields: &mut Fields) -> Result<PortChange, Failure> {
        let Item { port, nodes } = item;
        Ok(PortChange {
            name: text(fields, "name")?,
            description: text(fields, "description")?,
            mac: mac(fields)?,
            fixed_ips: fixed_ips(fields)?,
            admin_state_up: fields.flag("admin_state_up")?,
            device_owner: device_owner(fields, Some(port))?,
            device_id: text(fields, "device_id")?.filter(|said| !kept(port, said, &device_id(port))),
            host: host(call, fields)?.filter(|said| !kept(port, said, nodes.host(port))),
            port_security_enabled: fields.flag("port_security_enabled")?,
        })
    }

    fn operations() -> Vec<Operation> {
        routes::ports()
    }

    fn create(new: Vec<NewPort>) -> Command {
        Command::CreatePorts(new)
    }

    fn update(id: PortId, change: PortChange) -> Command {
        Command::UpdatePort(id, change)
    }

    fn delete(id: PortId) -> Command {
        Command::Delete(Delete::Port(id))
    }

    async fn list(call: Call, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
        let query = Query::<Self>::read(&uri)?;
        let marked = marked(&call, &query)?;
        let all = call.control().read(|view| match way(&call, view, &query) {
            Way::These(ports) => ports.len(),
            Way::Walk(scope) => usize::try_from(view.port_count(scope)).unwrap_or(usize::MAX),
        });
        let api = Arc::clone(&call.caller.api);
        let text = reply::heavy(&api.workers, query.looks_at(all), move || {
            let ports = gather(&call, &query, marked.as_ref().map(|port| port.id));
            let nodes = call.control().read(|view| Nodes::of(view, ports.iter().chain(&marked)));
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
            asked.page(&items, call.rights)
        });
        Ok(reply::bytes(StatusCode::OK, text.await?))
    }
}
