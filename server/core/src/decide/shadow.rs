//! The shadow port of a network: a hidden port of the provider's with an address in every general
//! and node subnet of IPv4, by which the network's machines reach the provider's services.
//!
//! Made when it is switched on; it gets an address with each subnet, loses it with each subnet, and
//! goes with the network. It never stands in the way of a delete.

use portolan_shared::addr::Family;
use portolan_shared::ids::PortId;
use portolan_shared::refusal::Refusal;

use super::{provider, requests};
use crate::draft::Draft;
use crate::model::display_name;
use crate::model::{FixedIp, Network, Port, Project, Purpose, Subnet, owner};

/// Whether a project may have one.
pub(super) fn check_grant(draft: &Draft<'_>, project: &Project) -> Result<(), Refusal> {
    if requests::grant_holds(draft, project.id, draft.now) {
        return Ok(());
    }
    Err(Refusal::ShadowPortNotGranted {
        project: format!("{} ({})", project.name, project.id),
    })
}

/// Makes the port of a network that has none.
pub(super) fn make(draft: &mut Draft<'_>, network: &Network) -> Result<PortId, Refusal> {
    let provider = provider(draft)?;
    let mut fixed_ips = Vec::new();
    for subnet in draft.of::<Subnet>(network.id) {
        fixed_ips.extend(address(draft, &subnet)?);
    }
    let id: PortId = draft.new_id().into();
    let mac = draft.next_mac(&provider, network.id);
    let port = Port {
        id,
        meta: draft.new_meta(provider.id),
        network: network.id,
        name: "".into(),
        description: "".into(),
        mac,
        fixed_ips: fixed_ips.into(),
        admin_state_up: true,
        device_owner: owner::SHADOW.into(),
        device_id: network.id.to_string().into(),
        node: None,
        host: "".into(),
        pod: None,
        port_security_enabled: false,
    };
    draft.put(port);
    Ok(id)
}

/// The address it gets in a subnet; `None` where it needs none.
fn address(draft: &mut Draft<'_>, subnet: &Subnet) -> Result<Option<FixedIp>, Refusal> {
    if matches!(subnet.purpose, Purpose::Pods(_)) || subnet.cidr.family() != Family::V4 {
        return Ok(None);
    }
    let address = draft
        .next_address(subnet.id)
        .ok_or_else(|| Refusal::NoRoomForShadowPort {
            subnet: display_name(&subnet.name, subnet.id),
            cidr: subnet.cidr,
        })?;
    draft.walked_to(subnet.id, address);
    Ok(Some(FixedIp {
        subnet: subnet.id,
        address,
    }))
}

/// Gives it an address in a subnet that was just put.
pub(super) fn subnet_added(draft: &mut Draft<'_>, network: &Network, subnet: &Subnet) -> Result<(), Refusal> {
    let Some(port) = network.shadow_port.and_then(|id| draft.port(id)) else {
        return Ok(());
    };
    let Some(address) = address(draft, subnet)? else {
        return Ok(());
    };
    let fixed_ips = port.fixed_ips.iter().copied().chain([address]).collect();
    let meta = draft.changed(&port.meta);
    draft.put(Port {
        meta,
        fixed_ips,
        ..(*port).clone()
    });
    Ok(())
}

/// The port of a subnet's network, if it has an address there, without that address.
pub(super) fn without(draft: &Draft<'_>, subnet: &Subnet) -> Option<Port> {
    let port = draft
        .network(subnet.network)?
        .shadow_port
        .and_then(|id| draft.port(id))?;
    let elsewhere = |ip: &&FixedIp| ip.subnet != subnet.id;
    let fixed_ips: Box<[FixedIp]> = port.fixed_ips.iter().filter(elsewhere).copied().collect();
    (fixed_ips.len() < port.fixed_ips.len()).then(|| Port {
        meta: draft.changed(&port.meta),
        fixed_ips,
        ..(*port).clone()
    })
}
