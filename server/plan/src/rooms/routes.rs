//! Routes: to the blocks of other nodes by way of these, to pods out of their links, and nowhere for
//! what is left of own blocks.

use std::collections::{BTreeMap, BTreeSet};

use portolan_shared::addr::Family;

use super::node::is_cut_off;
use crate::host::World;
use crate::pod::pod;
use crate::routes::{Route, RouteKey, Target};
use crate::step::{Change, Item, Object, Plan, Want};

/// What is wanted in the slots.
#[derive(Default)]
struct Slots {
    wanted: BTreeMap<RouteKey, Slot>,
    /// Slots that cannot be filled now but must not be emptied either.
    kept: BTreeSet<RouteKey>,
}

struct Slot {
    route: Route,
    object: Object,
    /// It is not put now: see [`is_cut_off`].
    waits: bool,
}

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    let mut slots = Slots::default();
    own_blocks(world, &mut slots);
    remote_blocks(world, &mut slots, plan);
    pods(world, &mut slots);
    for (key, slot) in &slots.wanted {
        let found = world.observed.routes.get(key);
        if found != Some(&slot.route) {
            if slot.waits {
                plan.missing.push(Item::Route(*key));
            } else {
                let (key, route, found) = (*key, slot.route.clone(), found.cloned());
                plan.step(slot.object, Change::PutRoute { key, route, found });
            }
        }
    }
    if world.desired.complete {
        // New routes are added before old ones are removed.
        let observed = world.observed.routes.iter();
        let unwanted = observed.filter(|(key, _)| !slots.wanted.contains_key(*key) && !slots.kept.contains(*key));
        for (key, route) in unwanted {
            let (key, route) = (*key, route.clone());
            plan.step(Object::Leftover, Change::DropRoute { key, route });
        }
    }
    let wanted = slots.wanted.into_iter();
    plan.wanted
        .extend(wanted.map(|(key, slot)| (Item::Route(key), Want::Route(slot.route))));
}

/// Addresses of ours that no pod has must not leave by the default route and come back.
fn own_blocks(world: &World<'_>, slots: &mut Slots) {
    for block in &world.desired.own_blocks {
        let slot = Slot {
            route: Route {
                target: Target::Unreachable,
                source: None,
            },
            object: Object::Block(block.id),
            waits: false,
        };
        slots.wanted.insert(RouteKey::ours(block.prefix), slot);
    }
}

fn remote_blocks(world: &World<'_>, slots: &mut Slots, plan: &mut Plan) {
    let cut_off = [Family::V4, Family::V6].map(|family| (family, is_cut_off(world, family)));
    for block in &world.desired.remote_blocks {
        let (key, object, family) = (
            RouteKey::ours(block.prefix),
            Object::Block(block.id),
            block.prefix.family(),
        );
        match block.via.of(family) {
            Some(via) if world.observed.addresses.contains_key(&via) => {
                slots.kept.insert(key);
                let sentence = format!(
                    "the block {} leads to {via}, which is an address of this host",
                    block.prefix
                );
                plan.unmet.push((object, sentence));
            }
            Some(via) => {
                let route = Route {
                    target: Target::Via(via),
                    source: world.desired.node.of(family),
                };
                let waits = cut_off.contains(&(family, true));
                slots.wanted.insert(key, Slot { route, object, waits });
            }
            None => {
                slots.kept.insert(key);
                let sentence = format!(
                    "the node of the block {} has no IPv{} address to route it to",
                    block.prefix,
                    family.number()
                );
                plan.unmet.push((object, sentence));
            }
        }
    }
}

/// A pod without its link has its slots left alone: who makes the link fills them.
fn pods(world: &World<'_>, slots: &mut Slots) {
    for allocation in world.pods {
        let routes = pod(&allocation.link, &allocation.addresses, &[], &world.local)
            .routes
            .into_iter();
        if allocation.settled && world.observed.links.contains_key(&allocation.link) {
            let object = allocation.object();
            let waits = false;
            slots
                .wanted
                .extend(routes.map(|(key, route)| (key, Slot { route, object, waits })));
        } else {
            slots.kept.extend(routes.map(|(key, _)| key));
        }
    }
}
