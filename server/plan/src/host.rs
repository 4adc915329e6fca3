//! A whole host, from the kernel as it is to the kernel as it is wanted.

use std::collections::{BTreeMap, BTreeSet};

use portolan_shared::addr::Family;
use portolan_shared::ids::{BlockId, PortId};

use crate::desired::{Desired, PodRoute};
use crate::observed::{Observed, Sysctl};
use crate::pod::pod;
use crate::routes::{Route, RouteKey, Target};

/// What an entry of a plan, and a failure, is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// The host itself: forwarding, the pods' gateway.
    Host,
    /// A leased block.
    Block(BlockId),
    /// A pod.
    Pod(PortId),
    /// Something of ours that nobody wants any more.
    Leftover,
}

/// A route to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRoute {
    /// Its slot.
    pub key: RouteKey,
    /// The route.
    pub route: Route,
    /// True: a route of ours is in the slot and is replaced in place. False: the slot is not ours,
    /// and if a stranger's route is in it, that stays and this one fails.
    pub replace: bool,
    /// What it serves.
    pub object: Object,
}

/// Steps from observed to desired. Empty when there is nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Switches to turn on.
    pub sysctls: Vec<Sysctl>,
    /// Put the pods' gateway on `lo`.
    pub gateway: bool,
    /// Routes to add or replace.
    pub put: Vec<PutRoute>,
    /// Routes of ours that nobody wants.
    pub drop: Vec<(RouteKey, Route)>,
    /// Pod links of ours that belong to no allocation.
    pub drop_links: Vec<String>,
    /// What is wanted and cannot be, with the reason as a sentence. Not a step: the kernel is not
    /// asked.
    pub unmet: Vec<(Object, String)>,
}

impl Plan {
    /// Whether the kernel is as wanted (but for what is unmet).
    pub fn is_empty(&self) -> bool {
        self.sysctls.is_empty()
            && !self.gateway
            && self.put.is_empty()
            && self.drop.is_empty()
            && self.drop_links.is_empty()
    }
}

/// What turns `observed` into `desired` plus `pods`. Cost: linear, times the logarithm of a map.
///
/// `observed` must have been read *before* `pods` was, and after it was asked which are settled: a pod
/// made in between is then in `pods` and kept, one ended in between costs a deletion that finds
/// nothing.
pub fn plan(desired: &Desired, pods: &[PodRoute], observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    want_host(desired, observed, &mut plan);
    let (wanted, kept) = wanted_routes(desired, pods, observed, &mut plan);
    for (key, (route, object)) in &wanted {
        let actual = observed.routes.get(key);
        if actual != Some(route) {
            plan.put.push(PutRoute {
                key: *key,
                route: route.clone(),
                replace: actual.is_some(),
                object: *object,
            });
        }
    }
    if desired.complete {
        let unwanted = observed
            .routes
            .iter()
            .filter(|(key, _)| !wanted.contains_key(*key) && !kept.contains(*key));
        plan.drop = unwanted.map(|(key, route)| (*key, route.clone())).collect();
        let links: BTreeSet<&str> = pods.iter().map(|pod| pod.link.as_str()).collect();
        let strays = observed
            .links
            .iter()
            .filter(|(name, link)| link.pod && !links.contains(name.as_str()));
        plan.drop_links = strays.map(|(name, _)| name.clone()).collect();
    }
    plan
}

/// Forwarding for the families that pods have, and the gateway once there are IPv4 pods.
fn want_host(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (family, sysctl) in [(Family::V4, Sysctl::ForwardV4), (Family::V6, Sysctl::ForwardV6)] {
        if !desired.pod_ranges.iter().any(|range| range.family() == family) {
            continue;
        }
        match observed.sysctls.get(&sysctl) {
            Some(true) => {}
            Some(false) => plan.sysctls.push(sysctl),
            None => plan.unmet.push((
                Object::Host,
                format!(
                    "this kernel has no {}: IPv{} is disabled, so its pods have no network",
                    sysctl.path(),
                    family.number()
                ),
            )),
        }
        if family == Family::V4 && !observed.gateway {
            plan.gateway = true;
        }
    }
}

type Wanted = BTreeMap<RouteKey, (Route, Object)>;

/// Wanted routes, and slots that cannot be filled now but must not be emptied either.
fn wanted_routes(
    desired: &Desired,
    pods: &[PodRoute],
    observed: &Observed,
    plan: &mut Plan,
) -> (Wanted, BTreeSet<RouteKey>) {
    let mut wanted = Wanted::new();
    let mut kept = BTreeSet::new();
    let node = observed.local(&desired.node);
    for block in &desired.own_blocks {
        // Addresses of ours that no pod has must not leave by the default route and come back.
        let route = Route {
            target: Target::Unreachable,
            source: None,
        };
        wanted.insert(RouteKey::ours(block.prefix), (route, Object::Block(block.id)));
    }
    for block in &desired.remote_blocks {
        let (key, object, family) = (
            RouteKey::ours(block.prefix),
            Object::Block(block.id),
            block.prefix.family(),
        );
        match block.via.of(family) {
            Some(via) if observed.addresses.contains_key(&via) => {
                kept.insert(key);
                let sentence = format!(
                    "the block {} leads to {via}, which is an address of this host",
                    block.prefix
                );
                plan.unmet.push((object, sentence));
            }
            Some(via) => {
                let route = Route {
                    target: Target::Via(via),
                    source: node.of(family),
                };
                wanted.insert(key, (route, object));
            }
            None => {
                kept.insert(key);
                let sentence = format!(
                    "the node of the block {} has no IPv{} address to route it to",
                    block.prefix,
                    family.number()
                );
                plan.unmet.push((object, sentence));
            }
        }
    }
    for allocation in pods {
        let slots = pod(&allocation.link, &allocation.addresses, &node);
        if allocation.settled && observed.links.contains_key(&allocation.link) {
            let routes = slots.routes.into_iter();
            wanted.extend(routes.map(|(key, route)| (key, (route, Object::Pod(allocation.id)))));
            continue;
        }
        kept.extend(slots.routes.into_iter().map(|(key, _)| key));
        if allocation.settled {
            let sentence = format!(
                "the link {} of the pod is gone; its sandbox was probably removed",
                allocation.link
            );
            plan.unmet.push((Object::Pod(allocation.id), sentence));
        }
    }
    (wanted, kept)
}
