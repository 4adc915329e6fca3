//! Forwarding, for the families that pods have.

use portolan_shared::addr::Family;

use crate::host::World;
use crate::observed::Sysctl;
use crate::step::{Change, Item, Object, Plan, Want};

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    for family in world.families() {
        let sysctl = match family {
            Family::V4 => Sysctl::ForwardV4,
            Family::V6 => Sysctl::ForwardV6,
        };
        plan.wanted.insert(Item::Switch(sysctl), Want::Present);
        match world.observed.sysctls.get(&sysctl) {
            Some(true) => {}
            Some(false) => plan.step(Object::Host, Change::TurnOn(sysctl)),
            None => {
                plan.missing.push(Item::Switch(sysctl));
                plan.unmet.push((
                    Object::Host,
                    format!(
                        "this kernel has no {}: IPv{} is disabled, so its pods have no network",
                        sysctl.path(),
                        family.number()
                    ),
                ));
            }
        }
    }
}
