//! A whole host, from the kernel as it is to the kernel as it is wanted.

use portolan_shared::addr::Family;

use crate::desired::{Desired, NodeAddresses, PodRoute};
use crate::observed::{Foreign, Observed};
use crate::rooms;
use crate::step::Plan;

/// What rooms decide by.
pub(crate) struct World<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) pods: &'a [PodRoute],
    pub(crate) observed: &'a Observed,
    pub(crate) foreign: &'a Foreign,
    /// The node's addresses that are on this host.
    pub(crate) local: NodeAddresses,
}

impl World<'_> {
    /// The families that pods have.
    pub(crate) fn families(&self) -> impl Iterator<Item = Family> {
        let has = |family| self.desired.pod_ranges.iter().any(|range| range.family() == family);
        let has = [(Family::V4, has(Family::V4)), (Family::V6, has(Family::V6))];
        has.into_iter().filter(|(_, has)| *has).map(|(family, _)| family)
    }
}

/// One kind of thing in a kernel: adds what is wanted of it, the steps there, and what cannot be.
type Room = fn(&World<'_>, &mut Plan);

/// All kinds, in the order in which they are made.
const ROOMS: [Room; 8] = [
    rooms::node::plan,
    rooms::forwarding::plan,
    rooms::gateway::plan,
    rooms::foreign::plan,
    rooms::links::plan,
    rooms::routes::plan,
    rooms::host_ports::plan,
    rooms::strays::plan,
];

/// What turns `observed` into `desired` plus `pods`. Cost: linear, times the logarithm of a map.
///
/// `observed` must have been read *before* `pods` was, and after it was asked which are settled: a pod
/// made in between is then in `pods` and kept, one ended in between costs a deletion that finds
/// nothing. `foreign` may be older than `observed`: of it only reasons are made.
pub fn plan(desired: &Desired, pods: &[PodRoute], observed: &Observed, foreign: &Foreign) -> Plan {
    let world = World {
        desired,
        pods,
        observed,
        foreign,
        local: observed.local(&desired.node),
    };
    let mut plan = Plan::default();
    for room in ROOMS {
        room(&world, &mut plan);
    }
    plan
}
