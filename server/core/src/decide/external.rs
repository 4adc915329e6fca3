//! External IPs: addresses of a provider's external network, each held by a port of the provider's.

use std::sync::Arc;

use portolan_shared::addr::Family;
use portolan_shared::ids::ClusterId;
use portolan_shared::refusal::Refusal;

use super::provider;
use crate::draft::Draft;
use crate::model::{ExternalIp, FixedIp, Port, Purpose, Subnet, owner};

/// Takes the next free address for a cluster: IPv4 before IPv6, external networks and their subnets
/// in the order they were made.
pub(super) fn allocate(draft: &mut Draft<'_>, cluster: ClusterId, name: &str) -> Result<ExternalIp, Refusal> {
    let networks = draft.external_networks();
    let mut subnets: Vec<Arc<Subnet>> = networks.iter().flat_map(|n| draft.of::<Subnet>(n.id)).collect();
    subnets.retain(|subnet| !matches!(subnet.purpose, Purpose::Pods(_)));
    subnets.sort_by_key(|subnet| subnet.cidr.family() == Family::V6);
    if subnets.is_empty() {
        return Err(Refusal::NoExternalNetwork {});
    }
    let room = subnets
        .iter()
        .find_map(|subnet| Some((subnet, draft.next_address(subnet.id)?)));
    let (subnet, address) = room.ok_or(Refusal::ExternalExhausted {})?;
    draft.walked_to(subnet.id, address);
    let provider = provider(draft)?;
    let port = Port {
        id: draft.new_id().into(),
        meta: draft.new_meta(provider.id),
        network: subnet.network,
        name: name.into(),
        description: "".into(),
        mac: draft.next_mac(&provider, subnet.network),
        fixed_ips: Box::new([FixedIp {
            subnet: subnet.id,
            address,
        }]),
        admin_state_up: true,
        device_owner: owner::EXTERNAL.into(),
        device_id: cluster.to_string().into(),
        node: None,
        host: "".into(),
        pod: None,
        port_security_enabled: false,
    };
    let id = port.id;
    draft.put(port);
    Ok(ExternalIp { port: id, address })
}
