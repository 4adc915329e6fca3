//! Ports.

use portolan_shared::holder::{At, Holder, Named};
use portolan_shared::ids::PortId;
use portolan_shared::refusal::Refusal;

use super::addresses::{self, Chooser};
use super::networks::{check_inside, to_change};
use super::{Removal, check_quota, check_revision, target_project, visible};
use crate::access::needs;
use crate::command::{NewPort, PortChange, Request};
use crate::draft::Draft;
use crate::model::display_name;
use crate::model::{Object, Port, Role, owner};
use crate::quotas::Counted;

/// Device owners beginning so are for the provider: Neutron's, of routers and the like.
const NETWORK_PREFIX: &str = "network:";

pub(super) fn create(draft: &mut Draft<'_>, request: &Request, new: &[NewPort]) -> Result<Vec<Object>, Refusal> {
    let mut made = Vec::with_capacity(new.len());
    for port in new {
        let network = to_change(draft, request, port.network, "make ports in")?;
        let project = target_project(draft, request, port.project)?;
        check_quota(draft, &project, Counted::Ports, 1)?;
        check_device_owner(request, &port.device_owner)?;
        let chooser = Chooser::new(request, &network, &port.device_owner, None);
        let fixed_ips = match &port.fixed_ips {
            None => chooser.by_default(draft)?,
            Some(asked) => chooser.asked(draft, asked)?,
        };
        let mac = addresses::mac(draft, request, &project, &network, port.mac)?;
        let port = Port {
            id: draft.new_id().into(),
            meta: draft.new_meta(port.project),
            network: port.network,
            name: port.name.clone(),
            description: port.description.clone(),
            mac,
            fixed_ips,
            admin_state_up: port.admin_state_up,
            device_owner: port.device_owner.clone(),
            device_id: port.device_id.clone(),
            node: None,
            host: port.host.clone(),
            pod: None,
            port_security_enabled: port.port_security_enabled.unwrap_or(network.port_security_enabled),
        };
        made.push(draft.put(port));
    }
    Ok(made)
}

/// Whether a caller may say that this uses a port: Neutron's own owners are an administrator's to set, Portolan's nobody's.
fn check_device_owner(request: &Request, given: &str) -> Result<(), Refusal> {
    if given.starts_with(NETWORK_PREFIX) && !request.scope.writes_everything() {
        return Err(needs(Role::Admin, format!("set device_owner to '{given}'")));
    }
    if owner::ours(given) {
        return Err(Refusal::DeviceOwnerReserved {
            given: given.to_owned(),
        });
    }
    Ok(())
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    request: &Request,
    id: PortId,
    change: &PortChange,
) -> Result<Vec<Object>, Refusal> {
    let old = visible(request, draft.port(id), "Port", id)?;
    check_inside(draft, request, old.network, "change ports of")?;
    check_revision(request, &old.meta, "Port", id)?;
    let network = draft
        .network(old.network)
        .ok_or_else(|| super::not_found("Network", old.network))?;
    let bound = owner::OWN.contains(&&*old.device_owner)
        || change.mac.is_some_and(|mac| mac != old.mac)
        || change.fixed_ips.is_some()
        || change
            .device_owner
            .as_ref()
            .is_some_and(|owner| *owner != old.device_owner)
        || change.device_id.as_ref().is_some_and(|device| *device != old.device_id)
        || change.host.as_ref().is_some_and(|host| *host != old.host);
    if bound && let Some(owner) = owner_of(draft, &old) {
        return Err(Refusal::PortOwned {
            port: display_name(&old.name, id),
            owner,
        });
    }
    // Nothing filters a pod's or a node's traffic: that it is off would not be so.
    if change.admin_state_up == Some(false)
        && let Some(owner) = owner_of(draft, &old)
    {
        return Err(Refusal::PortAlwaysOn {
            port: display_name(&old.name, id),
            owner,
        });
    }
    let device_owner = change.device_owner.clone().unwrap_or_else(|| old.device_owner.clone());
    if device_owner != old.device_owner {
        check_device_owner(request, &device_owner)?;
    }
    let fixed_ips = match &change.fixed_ips {
        None => old.fixed_ips.clone(),
        Some(asked) => Chooser::new(request, &network, &device_owner, Some(&old)).asked(draft, asked)?,
    };
    let mac = match change.mac.filter(|mac| *mac != old.mac) {
        None => old.mac,
        Some(mac) => {
            let project = draft
                .project(old.meta.project)
                .ok_or_else(|| super::not_found("Project", old.meta.project))?;
            addresses::mac(draft, request, &project, &network, Some(mac))?
        }
    };
    let change = change.clone();
    let new = Port {
        name: change.name.unwrap_or_else(|| old.name.clone()),
        description: change.description.unwrap_or_else(|| old.description.clone()),
        mac,
        fixed_ips,
        admin_state_up: change.admin_state_up.unwrap_or(old.admin_state_up),
        device_owner,
        device_id: change.device_id.unwrap_or_else(|| old.device_id.clone()),
        host: change.host.unwrap_or_else(|| old.host.clone()),
        port_security_enabled: change.port_security_enabled.unwrap_or(old.port_security_enabled),
        ..(*old).clone()
    };
    if new == *old {
        return Ok(vec![Object::Port(old)]);
    }
    let meta = draft.changed(&old.meta);
    Ok(vec![draft.put(Port { meta, ..new })])
}

pub(super) fn removal(draft: &Draft<'_>, request: &Request, id: PortId) -> Result<Removal, Refusal> {
    let port = visible(request, draft.port(id), "Port", id)?;
    check_inside(draft, request, port.network, "delete ports of")?;
    check_revision(request, &port.meta, "Port", id)?;
    if let Some(owner) = owner_of(draft, &port) {
        return Err(Refusal::PortOwned {
            port: display_name(&port.name, id),
            owner,
        });
    }
    let mut removal = Removal::default();
    removal.take(port);
    Ok(removal)
}

/// What of Portolan's a port goes with, in words.
fn owner_of(draft: &Draft<'_>, port: &Port) -> Option<Holder> {
    match &*port.device_owner {
        owner::SHADOW => return Some(Holder::Named(Named::ShadowPort, port.network.to_string(), None)),
        owner::EXTERNAL => return Some(Holder::Named(Named::Cluster, port.name.to_string(), None)),
        own if own.starts_with(owner::PREFIX) => {}
        _ => return None,
    }
    let node = port.node.and_then(|node| draft.node(node));
    let at = node.as_ref().map(|node| At::Cluster(node.cluster));
    let node = node.map_or_else(|| port.name.to_string(), |node| node.name.clone());
    Some(match &port.pod {
        Some(pod) => Holder::PodOn(format!("{}/{}", pod.namespace, pod.name), node, at),
        None => Holder::Named(Named::Node, node, at),
    })
}
