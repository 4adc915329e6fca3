//! `/v2.0/networks`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::HeaderMap;
use portolan_core::command::{Command, Delete, NetworkChange, NewNetwork};
use portolan_core::model::Network;
use portolan_core::view::View;
use portolan_shared::check::{MTU_DEFAULT, MTU_MAX, MTU_MIN, NAME_MAX};
use portolan_shared::ids::{NetworkId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2;
use uuid::Uuid;

use super::Described;
use super::attributes::{Attribute, attributes};
use super::list::{Listed, Query, Value};
use super::owner;
use super::resource::{Few, Names, Resource, list, visible};
use crate::api::context::Call;
use crate::api::error::{Answer, Failure};
use crate::api::fields::Fields;
use crate::api::v1::operation::Operation;
use crate::api::v1::routes;
use crate::identity::rights::Rights;

/// The resource.
pub struct Networks;

/// A network with its subnets.
pub struct Item<'a> {
    network: &'a Network,
    subnets: &'a [SubnetId],
}

fn status(network: &Network) -> &'static str {
    if network.admin_state_up { "ACTIVE" } else { "DOWN" }
}

impl Listed for Networks {
    type Item<'a> = Item<'a>;

    const ATTRIBUTES: &'static [Attribute<Self>] = attributes! {
        "id" server => Id |i| Value::Id(i.network.id.uuid());
        "name" client => Text |i| Value::text(&i.network.name);
        "description" client => Text |i| Value::text(&i.network.description);
        "project_id" once => Id |i| Value::Id(i.network.meta.project.uuid());
        "tenant_id" once => Id |i| Value::Id(i.network.meta.project.uuid());
        "admin_state_up" client => Flag |i| Value::Flag(i.network.admin_state_up);
        "status" server => Text |i| Value::text(status(i.network));
        "subnets" server;
        "mtu" client => Number |i| Value::Number(i.network.mtu.into());
        "shared" absent(False) => Flag |_| Value::Flag(false);
        "router:external" client => Flag |i| Value::Flag(i.network.external);
        "internet_access" client => Flag |i| Value::Flag(i.network.internet_access);
        "enable_shadow_port" client => Flag |i| Value::Flag(i.network.shadow_port.is_some());
        "port_security_enabled" client => Flag |i| Value::Flag(i.network.port_security_enabled);
        "dns_domain" client => Text |i| Value::text(&i.network.dns_domain);
        "created_at" server => Time |i| Value::Time(i.network.meta.created_at);
        "updated_at" server => Time |i| Value::Time(i.network.meta.updated_at);
        "revision_number" server => Number |i| Value::Number(i.network.meta.revision_number);
        "is_default" absent(False) => Flag |_| Value::Flag(false);
        "vlan_transparent" absent(False);
        "qinq" absent(False);
        "availability_zones" server;
        "availability_zone_hints" absent(List) => Null |_| Value::Null;
        "ipv4_address_scope" server => Null |_| Value::Null;
        "ipv6_address_scope" server => Null |_| Value::Null;
        "qos_policy_id" absent(Null);
        "provider:network_type" absent(Null) => Null |_| Value::Null;
        "provider:physical_network" absent(Null) => Null |_| Value::Null;
        "provider:segmentation_id" absent(Null) => Null |_| Value::Null;
        "segments" absent(List);
        "tags" absent(List) => Null |_| Value::Null;
        "tags-any" filter => Null |_| Value::Null;
    };
    const BY_FIXED_IPS: bool = false;

    fn id(item: &Item<'_>) -> Uuid {
        item.network.id.uuid()
    }
}

/// The network in which the caller wants to make something. The writer decides whether the caller may.
pub(super) fn to_make_in(call: &Call, id: NetworkId) -> Result<Arc<Network>, Failure> {
    call.control().read(|view| visible::<Networks>(call, view, id))
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

impl Resource for Networks {
    type Id = NetworkId;
    type Kind = Network;
    type Beside = HashMap<NetworkId, Vec<SubnetId>>;
    type Wire<'a> = v2::Network<'a>;
    type New = NewNetwork;
    type Change = NetworkChange;

    const NAMES: Names = Names {
        one: "network",
        many: "networks",
        links: "networks_links",
        path: "/networks",
        path_of_one: "/networks/{id}",
        not_found: "NetworkNotFound",
    };
    const EXTENSION: Option<Described> = None;
    const BULK: bool = true;

    fn beside<'a>(view: &View, networks: impl Iterator<Item = &'a Arc<Network>>) -> Self::Beside {
        let subnets = |network: &Arc<Network>| view.subnets_of(network.id).map(|subnet| subnet.id).collect();
        networks.map(|network| (network.id, subnets(network))).collect()
    }

    fn item<'a>(network: &'a Arc<Network>, beside: &'a Self::Beside) -> Item<'a> {
        Item {
            network,
            subnets: beside.get(&network.id).map_or(&[], Vec::as_slice),
        }
    }

    fn wire<'a>(item: &Self::Item<'a>, _: Rights) -> Self::Wire<'a> {
        let network = item.network;
        v2::Network {
            id: network.id,
            name: Cow::Borrowed(&network.name),
            tenant_id: network.meta.project,
            project_id: network.meta.project,
            admin_state_up: network.admin_state_up,
            mtu: network.mtu,
            status: Cow::Borrowed(status(network)),
            subnets: item.subnets.to_vec(),
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

    fn read_new(call: &Call, fields: &mut Fields) -> Result<NewNetwork, Failure> {
        Ok(NewNetwork {
            project: owner(call, fields, "network")?,
            name: fields.text("name", NAME_MAX)?.unwrap_or_default(),
            description: fields.text("description", NAME_MAX)?.unwrap_or_default(),
            admin_state_up: fields.flag("admin_state_up")?.unwrap_or(true),
            #[expect(clippy::cast_possible_truncation, reason = "a constant that fits")]
            mtu: mtu(fields)?.unwrap_or(MTU_DEFAULT as u32),
            port_security_enabled: fields.flag("port_security_enabled")?.unwrap_or(true),
            dns_domain: dns_domain(fields)?.unwrap_or_default(),
            internet_access: fields.flag("internet_access")?.unwrap_or(false),
            external: external(call, fields)?.unwrap_or(false),
            shadow_port: fields.flag("enable_shadow_port")?.unwrap_or(false),
        })
    }

    fn read_change(call: &Call, _: &Item<'_>, fields: &mut Fields) -> Result<NetworkChange, Failure> {
        Ok(NetworkChange {
            name: fields.text("name", NAME_MAX)?,
            description: fields.text("description", NAME_MAX)?,
            admin_state_up: fields.flag("admin_state_up")?,
            mtu: mtu(fields)?,
            port_security_enabled: fields.flag("port_security_enabled")?,
            dns_domain: dns_domain(fields)?,
            internet_access: fields.flag("internet_access")?,
            external: external(call, fields)?,
            shadow_port: fields.flag("enable_shadow_port")?,
        })
    }

    fn operations() -> Vec<Operation> {
        routes::networks()
    }

    fn create(new: Vec<NewNetwork>) -> Command {
        Command::CreateNetworks(new)
    }

    fn update(id: NetworkId, change: NetworkChange) -> Command {
        Command::UpdateNetwork(id, change)
    }

    fn delete(id: NetworkId) -> Command {
        Command::Delete(Delete::Network(id))
    }

    async fn list(call: Call, headers: HeaderMap, uri: OriginalUri) -> Answer {
        list::<Self>(call, headers, uri).await
    }
}

impl Few for Networks {
    /// The project's, and external ones.
    fn found<'a>(call: &Call, view: &'a View, _: &Query<Self>) -> Box<dyn Iterator<Item = &'a Arc<Network>> + 'a> {
        let Some(project) = call.listed() else {
            return view.networks(None);
        };
        let provided = view
            .external_networks()
            .filter(move |network| network.meta.project != project);
        Box::new(view.networks(Some(project)).chain(provided))
    }
}
