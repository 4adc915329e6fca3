//! What others have in the kernel that takes packets of pods away. It is named, never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use portolan_shared::addr::{Cidr, Family};

use crate::host::World;
use crate::observed::{DroppingChain, ForeignRoute};
use crate::routes::RouteKey;
use crate::step::{Object, Plan};

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    let owners = Owners::of(world);
    for route in &world.foreign.routes {
        owners.name_route(route, plan);
    }
    owners.name_addresses(world, plan);
    for chain in &world.foreign.drops {
        plan.unmet.push((Object::Host, chain_sentence(world, chain)));
    }
}

/// Whose the addresses of pods are.
struct Owners {
    pods: BTreeMap<IpAddr, Object>,
    blocks: BTreeMap<RouteKey, Object>,
    /// The prefix lengths that blocks have.
    lengths: BTreeSet<(Family, u8)>,
}

impl Owners {
    fn of(world: &World<'_>) -> Self {
        let pods = world.pods.iter().flat_map(|pod| {
            let object = pod.object();
            pod.addresses.iter().map(move |address| (*address, object))
        });
        let own = world.desired.own_blocks.iter().map(|block| (block.id, block.prefix));
        let remote = world.desired.remote_blocks.iter().map(|block| (block.id, block.prefix));
        let blocks: BTreeMap<RouteKey, Object> = own
            .chain(remote)
            .map(|(id, prefix)| (RouteKey::ours(prefix), Object::Block(id)))
            .collect();
        Self {
            pods: pods.collect(),
            lengths: blocks
                .keys()
                .map(|key| (key.prefix.family(), key.prefix.prefix()))
                .collect(),
            blocks,
        }
    }

    /// The pod or block whose addresses these are, and the prefix of what it owns.
    fn find(&self, prefix: Cidr) -> Option<(Object, Cidr)> {
        let family = prefix.family();
        if prefix.prefix() == family.bits()
            && let Some(pod) = self.pods.get(&prefix.first())
        {
            return Some((*pod, prefix));
        }
        let lengths = self
            .lengths
            .iter()
            .filter(|(of, length)| *of == family && *length <= prefix.prefix());
        lengths
            .filter_map(|(_, length)| Cidr::containing(prefix.first(), *length))
            .find_map(|block| Some((*self.blocks.get(&RouteKey::ours(block))?, block)))
    }

    fn name_route(&self, route: &ForeignRoute, plan: &mut Plan) {
        let Some((object, owned)) = self.find(route.key.prefix) else {
            return;
        };
        let ours = RouteKey::ours(owned);
        // Of the same prefix the lowest metric counts: one above ours is never used.
        if route.key.prefix == owned && route.key.metric > ours.metric {
            return;
        }
        let prefix = route.key.prefix;
        let what = match prefix == owned {
            true => format!("another program's route has the place of the route to {prefix}"),
            false => format!("another program's route to {prefix} takes a part of {owned} away"),
        };
        let sentence = format!(
            "{what}: {} ({}). It was left alone; remove it if pods there shall be reached",
            route.towards,
            route.maker(),
        );
        plan.unmet.push((object, sentence));
    }

    /// Addresses of pods that the host itself has: it answers instead of them.
    fn name_addresses(&self, world: &World<'_>, plan: &mut Plan) {
        for address in world.observed.addresses.keys() {
            let whole = Cidr::containing(*address, Family::of(*address).bits());
            let Some((object, _)) = whole.and_then(|whole| self.find(whole)) else {
                continue;
            };
            let link = world.observed.link_of(*address).map_or("a link", |(name, _)| name);
            let sentence = format!(
                "the pod address {address} is an address of this host too (on {link}), which answers instead of the \
                 pod; take it off {link}"
            );
            plan.unmet.push((object, sentence));
        }
    }
}

fn chain_sentence(world: &World<'_>, chain: &DroppingChain) -> String {
    let (of, tool) = match chain.family {
        "ip" => (Some(Family::V4), Some("iptables")),
        "ip6" => (Some(Family::V6), Some("ip6tables")),
        _ => (None, None),
    };
    let ranges = world.desired.pod_ranges.iter();
    let ranges: Vec<String> = ranges
        .filter(|range| of.is_none_or(|of| of == range.family()))
        .map(Cidr::to_string)
        .collect();
    let how = match (tool, ranges.first()) {
        (Some(tool), Some(range)) if (chain.table.as_str(), chain.chain.as_str()) == ("filter", "FORWARD") => {
            format!(" ({tool} -I FORWARD -s {range} -j ACCEPT, and with -d)")
        }
        _ => String::new(),
    };
    format!(
        "the chain {} of table {} {} drops what pods send (docker, ufw and firewalld do this); make it accept {}, from \
         and to{how}",
        chain.chain,
        chain.family,
        chain.table,
        ranges.join(" and ")
    )
}
