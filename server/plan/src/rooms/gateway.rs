//! The gateway of IPv4 pods, on `lo`.

use portolan_shared::addr::Family;

use crate::host::World;
use crate::step::{Change, Item, Object, Plan, Want};

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    if world.families().any(|family| family == Family::V4) {
        plan.wanted.insert(Item::Gateway, Want::Present);
        if !world.observed.gateway {
            plan.step(Object::Host, Change::PutGateway);
        }
    }
}
