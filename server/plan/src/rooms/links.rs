//! The host's ends of pods' links: set up, with the gateway of IPv6 pods. They are made by ADD alone, but for the link of
//! the node's end of probes, which is made here.

use std::net::IpAddr;

use crate::host::World;
use crate::step::{Change, Item, Plan, Want};

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    for pod in world.pods.iter().filter(|pod| pod.settled) {
        let object = pod.object();
        let item = Item::PodLink(pod.link.clone());
        match (world.observed.links.get(&pod.link), pod.probes) {
            (None, Some(how)) => plan.step(
                object,
                Change::PutProbeEnd {
                    link: pod.link.clone(),
                    addresses: pod.addresses.clone(),
                    how,
                    node: world.local,
                },
            ),
            (None, None) => {
                plan.missing.push(item.clone());
                let sentence = format!(
                    "the link {} of the pod is gone; its sandbox was probably removed",
                    pod.link
                );
                plan.unmet.push((object, sentence));
            }
            (Some(link), _) => {
                let gateway = pod.addresses.iter().any(IpAddr::is_ipv6);
                if !link.up || (gateway && !link.gateway) {
                    let name = pod.link.clone();
                    plan.step(object, Change::MendLink { name, gateway });
                }
            }
        }
        plan.wanted.insert(item, Want::Present);
    }
}
