//! Networks.

use std::sync::Arc;

use portolan_shared::holder::Holder;
use portolan_shared::ids::NetworkId;
use portolan_shared::refusal::Refusal;

use super::{
    Removal, Users, check_quota, check_revision, name_clusters, name_ports, not_found, shadow, target_project, users,
    visible,
};
use crate::access::{Access, needs};
use crate::command::{NetworkChange, NewNetwork, Request};
use crate::draft::Draft;
use crate::model::display_name;
use crate::model::{Cluster, Network, Object, Role, Subnet, owner};
use crate::quotas::Counted;
use crate::view::PortScope;

pub(super) fn create(draft: &mut Draft<'_>, request: &Request, new: &[NewNetwork]) -> Result<Vec<Object>, Refusal> {
    let mut made = Vec::with_capacity(new.len());
    for new in new {
        let project = target_project(draft, request, new.project)?;
        check_quota(draft, &project, Counted::Networks, 1)?;
        check_external(request, new.external)?;
        let mut network = Network {
            id: draft.new_id().into(),
            meta: draft.new_meta(new.project),
            name: new.name.clone(),
            description: new.description.clone(),
            admin_state_up: new.admin_state_up,
            mtu: new.mtu,
            port_security_enabled: new.port_security_enabled,
            dns_domain: new.dns_domain.clone(),
            owner: None,
            internet_access: new.internet_access,
            external: new.external,
            shadow_port: None,
        };
        if new.shadow_port {
            switch_on(draft, &mut network)?;
        }
        made.push(draft.put(network));
    }
    Ok(made)
}

/// Only administrators make external networks.
fn check_external(request: &Request, external: bool) -> Result<(), Refusal> {
    if external && !request.scope.writes_everything() {
        return Err(needs(Role::Admin, "set router:external"));
    }
    Ok(())
}

/// Switches the shadow port on, which the project must be granted.
fn switch_on(draft: &mut Draft<'_>, network: &mut Network) -> Result<(), Refusal> {
    let project = draft
        .project(network.meta.project)
        .ok_or_else(|| not_found("Project", network.meta.project))?;
    shadow::check_grant(draft, &project)?;
    if network.internet_access || network.external {
        return Err(Refusal::ShadowPortWithInternet {
            network: display_name(&network.name, network.id),
        });
    }
    network.shadow_port = Some(shadow::make(draft, network)?);
    Ok(())
}

/// A network that the caller may change things in: everybody sees external networks, only
/// administrators change them.
pub(super) fn to_change(
    draft: &Draft<'_>,
    request: &Request,
    id: NetworkId,
    action: &str,
) -> Result<Arc<Network>, Refusal> {
    let network = visible(request, draft.network(id), "Network", id)?;
    check_open(request, &network, action)?;
    Ok(network)
}

/// Refuses changes of what is in an external network to all but administrators.
pub(super) fn check_open(request: &Request, network: &Network, action: &str) -> Result<(), Refusal> {
    if network.external && request.scope.access(network) < Access::Use {
        return Err(needs(Role::Admin, format!("{action} external networks")));
    }
    Ok(())
}

/// The same for an object that is in the network.
pub(super) fn check_inside(
    draft: &Draft<'_>,
    request: &Request,
    network: NetworkId,
    action: &str,
) -> Result<(), Refusal> {
    draft
        .network(network)
        .map_or(Ok(()), |network| check_open(request, &network, action))
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    request: &Request,
    id: NetworkId,
    change: &NetworkChange,
) -> Result<Vec<Object>, Refusal> {
    let old = to_change(draft, request, id, "change")?;
    check_revision(request, &old.meta, "Network", id)?;
    let NetworkChange {
        name,
        description,
        admin_state_up,
        mtu,
        port_security_enabled,
        dns_domain,
        internet_access,
        external,
        shadow_port,
    } = change.clone();
    let mut new = Network {
        name: name.unwrap_or_else(|| old.name.clone()),
        description: description.unwrap_or_else(|| old.description.clone()),
        admin_state_up: admin_state_up.unwrap_or(old.admin_state_up),
        mtu: mtu.unwrap_or(old.mtu),
        port_security_enabled: port_security_enabled.unwrap_or(old.port_security_enabled),
        dns_domain: dns_domain.unwrap_or_else(|| old.dns_domain.clone()),
        internet_access: internet_access.unwrap_or(old.internet_access),
        external: external.unwrap_or(old.external),
        ..(*old).clone()
    };
    check_external(request, new.external)?;
    match (old.shadow_port, shadow_port) {
        (Some(_), Some(false)) => {
            return Err(Refusal::ShadowPortStays {
                network: display_name(&old.name, id),
            });
        }
        (Some(_), _) if new.internet_access || new.external => {
            return Err(Refusal::InternetWithShadowPort {
                network: display_name(&old.name, id),
            });
        }
        (None, Some(true)) => switch_on(draft, &mut new)?,
        (Some(_), _) | (None, _) => {}
    }
    check_given_up(draft, request, &old, &new)?;
    if new == *old {
        return Ok(vec![Object::Network(old)]);
    }
    if new.mtu != old.mtu {
        tell_clusters(draft, id);
    }
    let meta = draft.changed(&old.meta);
    Ok(vec![draft.put(Network { meta, ..new })])
}

/// What a network gives up must be used by nobody.
fn check_given_up(draft: &Draft<'_>, request: &Request, old: &Network, new: &Network) -> Result<(), Refusal> {
    let network = || display_name(&old.name, old.id);
    if old.internet_access && !new.internet_access {
        let with_address = draft.of::<Cluster>(old.id);
        let holders = name_clusters(with_address.iter().filter(|cluster| cluster.external_ip.is_some()));
        if !holders.0.is_empty() {
            return Err(Refusal::InternetInUse {
                network: network(),
                holders,
            });
        }
    }
    if old.external && !new.external {
        let mut some = draft.ports(PortScope::Network(old.id));
        some.retain(|port| &*port.device_owner == owner::EXTERNAL);
        if !some.is_empty() {
            let count = some.len() as u64;
            return Err(Refusal::NetworkInUse {
                network: network(),
                holders: name_ports(request, &Users { some, count }),
            });
        }
    }
    Ok(())
}

/// A network's change is told to the agents of one cluster in it; where there are several, each is
/// told by a change of its own.
fn tell_clusters(draft: &mut Draft<'_>, network: NetworkId) {
    let clusters = draft.of::<Cluster>(network);
    if clusters.len() < 2 {
        return;
    }
    let feed_revision = draft.revision();
    for cluster in clusters {
        draft.put(Cluster {
            feed_revision,
            ..(*cluster).clone()
        });
    }
}

pub(super) fn removal(draft: &Draft<'_>, request: &Request, id: NetworkId) -> Result<Removal, Refusal> {
    let network = to_change(draft, request, id, "delete")?;
    check_revision(request, &network.meta, "Network", id)?;
    let name = display_name(&network.name, id);
    if let Some(owner) = network.owner.and_then(|owner| draft.cluster(owner)) {
        return Err(Refusal::NetworkOwned {
            network: name,
            owner: Holder::cluster(&owner.name, owner.id),
        });
    }
    let holders = name_clusters(&draft.of::<Cluster>(id));
    if !holders.0.is_empty() {
        return Err(Refusal::NetworkInUse { network: name, holders });
    }
    let users = users(draft, PortScope::Network(id));
    if users.count > 0 {
        return Err(Refusal::NetworkInUse {
            network: name,
            holders: name_ports(request, &users),
        });
    }
    let mut removal = Removal::default();
    whole(draft, &network, &mut removal);
    Ok(removal)
}

/// A network goes with its subnets and its shadow port; nothing else has ports in it.
pub(super) fn whole(draft: &Draft<'_>, network: &Arc<Network>, removal: &mut Removal) {
    removal.take(Arc::clone(network));
    for subnet in draft.of::<Subnet>(network.id) {
        removal.take(subnet);
    }
    if let Some(shadow) = network.shadow_port.and_then(|id| draft.port(id)) {
        removal.take(shadow);
    }
}
