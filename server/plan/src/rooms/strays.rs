//! Pods' links that belong to no pod, and links of probes that are not sent.

use std::collections::BTreeSet;

use crate::host::World;
use crate::owned::is_probe_link;
use crate::step::{Change, Object, Plan};

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    if !world.desired.complete {
        return;
    }
    let links: BTreeSet<&str> = world.pods.iter().map(|pod| pod.link.as_str()).collect();
    let observed = world.observed.links.iter();
    for (name, _) in observed.filter(|(name, link)| (link.pod || is_probe_link(name)) && !links.contains(name.as_str()))
    {
        plan.step(Object::Leftover, Change::DropLink(name.clone()));
    }
}
