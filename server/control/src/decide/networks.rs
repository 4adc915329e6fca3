//! Networks.

use portolan_shared::ids::NetworkId;
use portolan_shared::refusal::Refusal;

use super::{check_quota, check_revision, name_ports, not_found, target_project, visible};
use crate::command::{NetworkChange, NewNetwork, Request};
use crate::model::{Key, Network, Object};
use crate::view::{PortScope, display_name};
use crate::writer::draft::{Counted, Draft};

pub(super) fn create(draft: &mut Draft<'_>, request: &Request, new: &[NewNetwork]) -> Result<Vec<Object>, Refusal> {
    let mut made = Vec::with_capacity(new.len());
    for network in new {
        let project = target_project(draft, request, network.project)?;
        check_quota(draft, &project, Counted::Networks, 1)?;
        let network = Network {
            id: draft.new_id().into(),
            meta: draft.new_meta(network.project),
            name: network.name.clone(),
            description: network.description.clone(),
            admin_state_up: network.admin_state_up,
            mtu: network.mtu,
            port_security_enabled: network.port_security_enabled,
            dns_domain: network.dns_domain.clone(),
            owner: None,
        };
        made.push(draft.put(network));
    }
    Ok(made)
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    request: &Request,
    id: NetworkId,
    change: &NetworkChange,
) -> Result<Vec<Object>, Refusal> {
    let old = visible(request, draft.network(id), |n| &n.meta, "Network", id)?;
    check_revision(request, &old.meta, "Network", id)?;
    let NetworkChange {
        name,
        description,
        admin_state_up,
        mtu,
        port_security_enabled,
        dns_domain,
    } = change.clone();
    let new = Network {
        name: name.unwrap_or_else(|| old.name.clone()),
        description: description.unwrap_or_else(|| old.description.clone()),
        admin_state_up: admin_state_up.unwrap_or(old.admin_state_up),
        mtu: mtu.unwrap_or(old.mtu),
        port_security_enabled: port_security_enabled.unwrap_or(old.port_security_enabled),
        dns_domain: dns_domain.unwrap_or_else(|| old.dns_domain.clone()),
        ..(*old).clone()
    };
    if new == *old {
        return Ok(vec![Object::Network(old)]);
    }
    let meta = draft.changed(&old.meta);
    Ok(vec![draft.put(Network { meta, ..new })])
}

pub(super) fn delete(draft: &mut Draft<'_>, request: &Request, id: NetworkId) -> Result<Vec<Object>, Refusal> {
    let network = visible(request, draft.network(id), |n| &n.meta, "Network", id)?;
    check_revision(request, &network.meta, "Network", id)?;
    let name = display_name(&network.name, id);
    if let Some(owner) = network.owner.and_then(|owner| draft.cluster(owner)) {
        return Err(Refusal::NetworkOwned {
            network: name,
            owner: format!("cluster {}", owner.name),
        });
    }
    if let Some(cluster) = draft.clusters_in(id).first() {
        return Err(Refusal::NetworkInUse {
            network: name,
            holders: format!("cluster {}", cluster.name),
        });
    }
    if draft.ports_in_network(id) > 0 {
        let ports = draft.ports(PortScope::Network(id));
        return Err(Refusal::NetworkInUse {
            network: name,
            holders: name_ports(request, &ports),
        });
    }
    take_away(draft, id)
}

/// Deletes a network with its subnets; nothing may have ports in it any more.
pub(super) fn take_away(draft: &mut Draft<'_>, id: NetworkId) -> Result<Vec<Object>, Refusal> {
    let network = draft.network(id).ok_or_else(|| not_found("Network", id))?;
    let mut gone = vec![Object::Network(network)];
    for subnet in draft.subnets_of(id) {
        draft.delete(Key::Subnet(subnet.id));
        gone.push(Object::Subnet(subnet));
    }
    draft.delete(Key::Network(id));
    Ok(gone)
}
