//! `/v2.0/subnets`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::HeaderMap;
use portolan_core::command::{Command, Delete, NewSubnet, SubnetChange};
use portolan_core::model::Subnet;
use portolan_core::view::View;
use portolan_shared::check::{self, GatewayInput, NAME_MAX, SubnetInput};
use portolan_shared::ids::{ProjectId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2;
use uuid::Uuid;

use super::Described;
use super::attributes::{Attribute, attributes};
use super::list::{Listed, Query, Value};
use super::networks;
use super::resource::{Few, Names, Resource, list};
use crate::api::context::Call;
use crate::api::error::{Answer, Failure};
use crate::api::fields::{Fields, Said, required};
use crate::api::v1::operation::Operation;
use crate::api::v1::routes;
use crate::identity::rights::Rights;

/// The resource.
pub struct Subnets;

impl Listed for Subnets {
    type Item<'a> = &'a Subnet;

    const ATTRIBUTES: &'static [Attribute<Self>] = attributes! {
        "id" server => Id |s| Value::Id(s.id.uuid());
        "name" client => Text |s| Value::text(&s.name);
        "description" client => Text |s| Value::text(&s.description);
        "network_id" once => Id |s| Value::Id(s.network.uuid());
        "project_id" once => Id |s| Value::Id(s.meta.project.uuid());
        "tenant_id" once => Id |s| Value::Id(s.meta.project.uuid());
        "cidr" once => Cidr |s| Value::Cidr(s.cidr);
        "ip_version" once => Number |s| Value::Number(s.cidr.family().number().into());
        "gateway_ip" client => Address |s| s.gateway.map_or(Value::Null, Value::Address);
        "enable_dhcp" client => Flag |s| Value::Flag(s.enable_dhcp);
        "shared" server => Flag |_| Value::Flag(false);
        "router:external" server => Flag |_| Value::Flag(false);
        "created_at" server => Time |s| Value::Time(s.meta.created_at);
        "updated_at" server => Time |s| Value::Time(s.meta.updated_at);
        "revision_number" server => Number |s| Value::Number(s.meta.revision_number);
        "ipv6_address_mode" absent(Null) => Null |_| Value::Null;
        "ipv6_ra_mode" absent(Null) => Null |_| Value::Null;
        "subnetpool_id" absent(Null) => Null |_| Value::Null;
        "use_default_subnetpool" absent(False);
        "prefixlen" absent(Null);
        "segment_id" absent(Null) => Null |_| Value::Null;
        "service_types" absent(List) => Null |_| Value::Null;
        "tags" absent(List) => Null |_| Value::Null;
        "tags-any" filter => Null |_| Value::Null;
    };
    const BY_FIXED_IPS: bool = false;

    fn id(subnet: &&Subnet) -> Uuid {
        subnet.id.uuid()
    }
}

fn gateway(fields: &mut Fields) -> Result<Said<GatewayInput>, Refusal> {
    Ok(match fields.string("gateway_ip")? {
        Said::Nothing => Said::Nothing,
        Said::Null => Said::Value(GatewayInput::None),
        Said::Value(address) => Said::Value(GatewayInput::Address(address)),
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

impl Resource for Subnets {
    type Id = SubnetId;
    type Kind = Subnet;
    type Beside = ();
    type Wire<'a> = v2::Subnet<'a>;
    type New = NewSubnet;
    type Change = SubnetChange;

    const NAMES: Names = Names {
        one: "subnet",
        many: "subnets",
        links: "subnets_links",
        path: "/subnets",
        path_of_one: "/subnets/{id}",
        not_found: "SubnetNotFound",
    };
    const EXTENSION: Option<Described> = None;
    const BULK: bool = true;

    fn beside<'a>(_: &View, _: impl Iterator<Item = &'a Arc<Subnet>>) {}

    fn item<'a>(subnet: &'a Arc<Subnet>, (): &'a ()) -> &'a Subnet {
        subnet
    }

    fn wire<'a>(subnet: &Self::Item<'a>, _: Rights) -> Self::Wire<'a> {
        let subnet = *subnet;
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

    fn read_new(call: &Call, fields: &mut Fields) -> Result<NewSubnet, Failure> {
        let network = required("network_id", fields.id("network_id")?)?;
        let network = networks::to_make_in(call, network)?;
        let project = same_project(fields, network.meta.project)?;
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
            gateway: gateway(fields)?.value().unwrap_or_default(),
            pools: fields.pairs("allocation_pools", "start", "end")?,
            dns: fields.strings("dns_nameservers")?.unwrap_or_default(),
            routes: fields
                .pairs("host_routes", "destination", "nexthop")?
                .unwrap_or_default(),
            enable_dhcp: fields.flag("enable_dhcp")?.unwrap_or(true),
        };
        Ok(NewSubnet {
            project,
            network: network.id,
            spec: check::subnet(&input)?,
        })
    }

    fn read_change(_: &Call, subnet: &&Subnet, fields: &mut Fields) -> Result<SubnetChange, Failure> {
        // Right in itself now; the writer looks again at the subnet as it is then.
        let gateway = match gateway(fields)?.value() {
            None => None,
            Some(input) => Some(check::gateway(&input, subnet.cidr)?),
        };
        let pools = match fields.pairs("allocation_pools", "start", "end")? {
            None => None,
            Some(pools) => Some(check::pools(&pools, subnet.cidr, gateway.unwrap_or(subnet.gateway))?),
        };
        Ok(SubnetChange {
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
        })
    }

    fn operations() -> Vec<Operation> {
        routes::subnets()
    }

    fn create(new: Vec<NewSubnet>) -> Command {
        Command::CreateSubnets(new)
    }

    fn update(id: SubnetId, change: SubnetChange) -> Command {
        Command::UpdateSubnet(id, change)
    }

    fn delete(id: SubnetId) -> Command {
        Command::Delete(Delete::Subnet(id))
    }

    async fn list(call: Call, headers: HeaderMap, uri: OriginalUri) -> Answer {
        list::<Self>(call, headers, uri).await
    }
}

impl Few for Subnets {
    fn found<'a>(call: &Call, view: &'a View, query: &Query<Self>) -> Box<dyn Iterator<Item = &'a Arc<Subnet>> + 'a> {
        match query.one_id("network_id") {
            Some(network) => Box::new(view.subnets_of(network.into())),
            None => view.subnets(call.listed()),
        }
    }
}
