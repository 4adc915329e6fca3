//! Subnets.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::addr::{Cidr, IpRange};
use portolan_shared::holder::{At, Holder, Named};
use portolan_shared::ids::{NetworkId, SubnetId};
use portolan_shared::refusal::Refusal;

use super::networks::{check_inside, to_change};
use super::{
    Removal, check_quota, check_revision, holder, name_ports, not_found, shadow, target_project, users, visible,
};
use crate::command::{NewSubnet, Request, SubnetChange};
use crate::draft::Draft;
use crate::model::display_name;
use crate::model::{Cluster, Network, Object, Purpose, Subnet};
use crate::quotas::Counted;
use crate::view::PortScope;

pub(super) fn create(draft: &mut Draft<'_>, request: &Request, new: &[NewSubnet]) -> Result<Vec<Object>, Refusal> {
    let mut made = Vec::with_capacity(new.len());
    for subnet in new {
        let network = to_change(draft, request, subnet.network, "make subnets in")?;
        let project = target_project(draft, request, subnet.project)?;
        check_quota(draft, &project, Counted::Subnets, 1)?;
        check_overlap(draft, &network, subnet.spec.cidr)?;
        let spec = subnet.spec.clone();
        let subnet = Subnet {
            id: draft.new_id().into(),
            meta: draft.new_meta(subnet.project),
            network: subnet.network,
            name: spec.name,
            description: spec.description,
            cidr: spec.cidr,
            gateway: spec.gateway,
            pools: spec.pools,
            dns: spec.dns,
            routes: spec.routes,
            enable_dhcp: spec.enable_dhcp,
            purpose: Purpose::General,
            cursor: None,
        };
        made.push(draft.put(subnet.clone()));
        shadow::subnet_added(draft, &network, &subnet)?;
    }
    Ok(made)
}

/// No two ranges of a network share an address: subnets, and service ranges of its clusters.
fn check_overlap(draft: &Draft<'_>, network: &Network, cidr: Cidr) -> Result<(), Refusal> {
    let refuse = |what: Holder, other_cidr: Cidr| match cidr.range().intersection(&other_cidr.range()) {
        None => Ok(()),
        Some(shared) => Err(Refusal::Overlap {
            cidr,
            what: Box::new(what),
            other_cidr,
            network: display_name(&network.name, network.id),
            shared,
        }),
    };
    if let Some(other) = draft.overlapping(network.id, cidr) {
        let name = display_name(&other.name, other.id);
        refuse(
            Holder::Named(Named::Subnet, name, Some(At::Subnet(other.id))),
            other.cidr,
        )?;
    }
    for cluster in draft.of::<Cluster>(network.id) {
        let what = Holder::Named(Named::Services, cluster.name.clone(), Some(At::Cluster(cluster.id)));
        refuse(what, cluster.service_range)?;
    }
    Ok(())
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    request: &Request,
    id: SubnetId,
    change: &SubnetChange,
) -> Result<Vec<Object>, Refusal> {
    let old = visible(request, draft.subnet(id), "Subnet", id)?;
    check_inside(draft, request, old.network, "change subnets of")?;
    check_revision(request, &old.meta, "Subnet", id)?;
    let moves = change.gateway.is_some() || change.pools.is_some();
    if let (Purpose::Pods(cluster), true) = (old.purpose, moves) {
        return Err(owned(draft, &old, cluster));
    }
    let SubnetChange {
        name,
        description,
        enable_dhcp,
        gateway,
        pools,
        dns,
        routes,
    } = change.clone();
    let mut new = Subnet {
        name: name.unwrap_or_else(|| old.name.clone()),
        description: description.unwrap_or_else(|| old.description.clone()),
        enable_dhcp: enable_dhcp.unwrap_or(old.enable_dhcp),
        gateway: gateway.unwrap_or(old.gateway),
        pools: pools.unwrap_or_else(|| old.pools.clone()),
        dns: dns.unwrap_or_else(|| old.dns.clone()),
        routes: routes.unwrap_or_else(|| old.routes.clone()),
        ..(*old).clone()
    };
    new.pools.sort_unstable();
    if moves {
        check_pools(&new)?;
    }
    if new.gateway != old.gateway
        && let Some(gateway) = new.gateway
    {
        check_gateway(draft, request, &new, gateway)?;
    }
    if new == *old {
        return Ok(vec![Object::Subnet(old)]);
    }
    new.meta = draft.changed(&old.meta);
    Ok(vec![draft.put(new)])
}

/// Pools are right in themselves. They may leave out addresses in use, as in Neutron
/// (`db_base_plugin_v2.py`, `_update_subnet_precommit`): ports keep these, and nobody is given them.
fn check_pools(subnet: &Subnet) -> Result<(), Refusal> {
    let (cidr, hosts) = (subnet.cidr, subnet.cidr.hosts());
    let inside = |pool: &IpRange| hosts.contains(pool.first()) && hosts.contains(pool.last());
    if let Some(pool) = subnet.pools.iter().find(|pool| !inside(pool)) {
        return Err(Refusal::PoolOutside { pool: *pool, cidr });
    }
    if let Some(pair) = subnet.pools.windows(2).find(|pair| pair[0].overlaps(&pair[1])) {
        return Err(Refusal::PoolsOverlap {
            pool: pair[0],
            other: pair[1],
        });
    }
    match subnet.gateway {
        Some(gateway) => match subnet.pools.iter().find(|pool| pool.contains(gateway)) {
            Some(pool) => Err(Refusal::GatewayInPool { gateway, pool: *pool }),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

fn check_gateway(draft: &Draft<'_>, request: &Request, subnet: &Subnet, gateway: IpAddr) -> Result<(), Refusal> {
    let cidr = subnet.cidr;
    if !cidr.contains(gateway) {
        return Err(Refusal::GatewayOutside { gateway, cidr });
    }
    if !cidr.hosts().contains(gateway) {
        return Err(Refusal::GatewayReserved { gateway, cidr });
    }
    match draft.port_at(subnet.id, gateway) {
        Some(port) => Err(Refusal::AddressTaken {
            address: gateway,
            subnet: display_name(&subnet.name, subnet.id),
            holder: holder(request, &port),
        }),
        None => Ok(()),
    }
}

pub(super) fn removal(draft: &Draft<'_>, request: &Request, id: SubnetId) -> Result<Removal, Refusal> {
    let subnet = visible(request, draft.subnet(id), "Subnet", id)?;
    check_inside(draft, request, subnet.network, "delete subnets of")?;
    check_revision(request, &subnet.meta, "Subnet", id)?;
    if let Purpose::Nodes(cluster) | Purpose::Pods(cluster) = subnet.purpose {
        return Err(owned(draft, &subnet, cluster));
    }
    let users = users(draft, PortScope::Subnet(id));
    if users.count > 0 {
        return Err(Refusal::SubnetInUse {
            subnet: display_name(&subnet.name, id),
            holders: name_ports(request, &users),
        });
    }
    // It stays the customer's, so it does not "go when that is deleted".
    if let Some(cluster) = draft.of::<Cluster>(subnet.network).iter().find(|c| c.node_subnet == id) {
        return Err(Refusal::InUse {
            kind: "Subnet".to_owned(),
            name: display_name(&subnet.name, id),
            holders: Holder::cluster(&cluster.name, cluster.id).into(),
        });
    }
    let mut removal = Removal::default();
    alone(draft, subnet, &mut removal);
    Ok(removal)
}

/// A subnet goes and its network stays; nobody but the provider has addresses of it.
pub(super) fn alone(draft: &Draft<'_>, subnet: Arc<Subnet>, removal: &mut Removal) {
    removal
        .becomes
        .extend(shadow::without(draft, &subnet).map(Object::from));
    removal.take(subnet);
}

fn owned(draft: &Draft<'_>, subnet: &Subnet, cluster: portolan_shared::ids::ClusterId) -> Refusal {
    let name = draft
        .cluster(cluster)
        .map_or_else(|| cluster.to_string(), |cluster| cluster.name.clone());
    Refusal::SubnetOwned {
        subnet: display_name(&subnet.name, subnet.id),
        owner: Holder::cluster(name, cluster),
    }
}

/// A subnet that a port names, which must be in the port's network.
pub(super) fn in_network(
    draft: &Draft<'_>,
    request: &Request,
    id: SubnetId,
    network: NetworkId,
) -> Result<Arc<Subnet>, Refusal> {
    let subnet = draft.subnet(id).ok_or_else(|| not_found("Subnet", id))?;
    if subnet.network == network {
        return Ok(subnet);
    }
    if !request.scope.reads(&*subnet) {
        return Err(not_found("Subnet", id));
    }
    let name = draft
        .network(network)
        .map_or_else(|| network.to_string(), |n| display_name(&n.name, n.id));
    Err(Refusal::SubnetElsewhere {
        subnet: display_name(&subnet.name, id),
        network: name,
    })
}
