//! The node's own addresses. They are the host's, never written here; without them nobody reaches it.

use std::net::IpAddr;

use portolan_shared::addr::Family;

use crate::host::World;
use crate::routes::{POD_GATEWAY_V4, POD_GATEWAY_V6};
use crate::step::{Item, Object, Plan, Want};

/// Addresses named in a sentence at most.
const NAMED: usize = 3;

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    for family in world.families() {
        let Some(address) = world.desired.node.of(family) else {
            continue;
        };
        plan.wanted.insert(Item::NodeAddress(address), Want::Present);
        plan.wanted.insert(Item::Uplink(address), Want::Present);
        if world.local.of(family).is_none() {
            plan.missing.push(Item::NodeAddress(address));
            let sentence = format!(
                "this node no longer has {address}; {}. Other nodes send to {address}, so its pods reach nobody there: \
                 put {address} back on this host, or give the node its new address",
                it_has(world, family)
            );
            plan.unmet.push((Object::Host, sentence));
        } else if let Some((name, link)) = world.observed.link_of(address)
            && !link.up
        {
            plan.missing.push(Item::Uplink(address));
            let sentence = format!(
                "the link {name} with the node's address {address} is down, so its pods reach no other node: set it up \
                 (ip link set {name} up)"
            );
            plan.unmet.push((Object::Host, sentence));
        }
    }
}

/// Whether routes by way of other nodes wait: the node's own address of the family is not there, or
/// the link that has it is down. The kernel would refuse them, or they would lead nowhere.
pub(crate) fn is_cut_off(world: &World<'_>, family: Family) -> bool {
    let Some(address) = world.desired.node.of(family) else {
        return false;
    };
    let link = world
        .local
        .of(family)
        .and_then(|address| world.observed.link_of(address));
    match link {
        Some((_, link)) => !link.up,
        None => !world.observed.addresses.contains_key(&address),
    }
}

/// Which addresses the host has instead.
fn it_has(world: &World<'_>, family: Family) -> String {
    let others = world.observed.addresses.keys().filter(|address| {
        let local = match address {
            IpAddr::V4(a) => a.is_link_local() || *a == POD_GATEWAY_V4,
            IpAddr::V6(a) => a.is_unicast_link_local() || *a == POD_GATEWAY_V6,
        };
        Family::of(**address) == family && !local && !address.is_loopback()
    });
    let named: Vec<String> = others.take(NAMED).map(IpAddr::to_string).collect();
    match named.as_slice() {
        [] => format!("it has no IPv{} address", family.number()),
        _ => format!("it has {}", named.join(", ")),
    }
}
