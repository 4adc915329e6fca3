//! One round of making the host as it is wanted: read, plan, apply, report.
//!
//! The shell around [`plan`]: thin, idempotent, goes on after a failure. Nothing
//! is remembered between rounds; the next round is the retry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_plan::{Desired, Object, Observed, Plan, plan};
use portolan_wire::error_chain;

use crate::kernel::{Kernel, KernelError, RouteChange};
use crate::pods::{PodNetwork, Pods};

/// An MTU that every link carries (RFC 8200), for a host whose links are not known.
const DEFAULT_MTU: u32 = 1280;

/// What a round did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Changes the kernel took. 0 when everything was as wanted.
    pub writes: usize,
    /// Objects whose state was changed in this round, without the failed ones.
    pub applied: Vec<Object>,
    /// Everything that is wanted and is not so, with the reason as a sentence; all of them, each
    /// round, at most one an object.
    pub exceptions: Vec<(Object, String)>,
}

/// The host: its kernel and its pods.
pub struct Host {
    kernel: Arc<dyn Kernel>,
    pods: Arc<Pods>,
    /// One round at a time.
    round: Mutex<()>,
}

impl Host {
    /// A host whose kernel is `kernel`, with the pods of this node.
    pub fn new(kernel: Arc<dyn Kernel>, pods: Arc<Pods>) -> Self {
        Self {
            kernel,
            pods,
            round: Mutex::new(()),
        }
    }

    /// One round. Blocks for as long as the kernel takes (some 10 µs a change). Fails only when the
    /// kernel cannot be read; what cannot be written is in the outcome.
    pub fn converge(&self, desired: &Desired) -> Result<Outcome, KernelError> {
        let _one = self.round.lock();
        // Settled pods, then the kernel, then all pods: see `plan`.
        let settled = self.pods.settled_ids();
        let observed = self.kernel.observe()?;
        self.pods.configure(pod_network(desired, &observed));
        let pods = self.pods.routes(&settled);
        Ok(apply(self.kernel.as_ref(), &plan(desired, &pods, &observed)))
    }
}

/// What pods are given, as far as this host can give it.
fn pod_network(desired: &Desired, observed: &Observed) -> PodNetwork {
    let link = observed.underlay_mtu(&desired.node);
    let wanted = (desired.mtu > 0).then_some(desired.mtu);
    let mtu = link.into_iter().chain(wanted).min().unwrap_or(DEFAULT_MTU);
    PodNetwork {
        node: observed.local(&desired.node),
        mtu,
        ranges: desired.pod_ranges.clone(),
        blocks: desired.own_blocks.clone(),
    }
}

/// Carries a plan out, independent steps independently.
pub fn apply(kernel: &dyn Kernel, plan: &Plan) -> Outcome {
    let mut tally = Tally::default();
    for (object, reason) in &plan.unmet {
        tally.failed(*object, reason.clone());
    }
    for sysctl in &plan.sysctls {
        tally.count(Object::Host, kernel.turn_on(*sysctl));
    }
    if plan.gateway {
        tally.count(Object::Host, kernel.put_gateway());
    }
    let puts = plan.put.iter().map(|put| RouteChange::Put {
        key: put.key,
        route: put.route.clone(),
        replace: put.replace,
    });
    let drops = plan.drop.iter().map(|(key, route)| RouteChange::Drop {
        key: *key,
        route: route.clone(),
    });
    // New routes are added before old ones are removed.
    let changes: Vec<RouteChange> = puts.chain(drops).collect();
    let objects = plan
        .put
        .iter()
        .map(|put| put.object)
        .chain(plan.drop.iter().map(|_| Object::Leftover));
    if !changes.is_empty() {
        for (object, result) in objects.zip(kernel.change_routes(&changes)) {
            tally.count(object, result);
        }
    }
    for link in &plan.drop_links {
        tally.count(Object::Leftover, kernel.drop_link(link));
    }
    tally.outcome()
}

#[derive(Default)]
struct Tally {
    writes: usize,
    applied: BTreeSet<Object>,
    failed: BTreeMap<Object, String>,
}

impl Tally {
    fn count(&mut self, object: Object, result: Result<(), KernelError>) {
        match result {
            Ok(()) => {
                self.writes += 1;
                self.applied.insert(object);
            }
            Err(error) => self.failed(object, error_chain(&error)),
        }
    }

    /// The first reason of an object is kept: the rest mostly follow from it.
    fn failed(&mut self, object: Object, reason: String) {
        self.failed.entry(object).or_insert(reason);
    }

    fn outcome(self) -> Outcome {
        let Self {
            writes,
            applied,
            failed,
        } = self;
        let applied = applied
            .into_iter()
            .filter(|object| !failed.contains_key(object))
            .collect();
        Outcome {
            writes,
            applied,
            exceptions: failed.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
