//! One round of making the host as it is wanted: read, plan, apply, report.
//!
//! The shell around [`plan`] and [`Healing`]: thin, idempotent, goes on after a failure. The next round
//! is the retry. What is remembered between rounds is what was as wanted and how often it was put back,
//! so that a host that others write to as well is told from one that has to be made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_plan::{Change, Desired, Foreign, Healing, LossNews, Object, Observed, Plan, Signals, plan};
use portolan_shared::addr::Cidr;
use portolan_shared::losses::LossKind;
use portolan_wire::error_chain;
use tokio::time::Instant;

use crate::kernel::{Kernel, KernelError, ProbeEnd, RouteChange, Watch};
use crate::pause::Paused;
use crate::pods::{PodNetwork, Pods};

/// An MTU that every link carries (RFC 8200), for a host whose links are not known.
const DEFAULT_MTU: u32 = 1280;

/// How old what is known of others may be when nothing is announced.
const FOREIGN_FOR: Duration = Duration::from_secs(60);

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
    /// Of these, what nothing is tried of, as healing is paused.
    pub left: BTreeSet<Object>,
    /// What was lost since the last round and what came back, by kind.
    pub losses: BTreeMap<LossKind, LossNews>,
    /// How long until something may be put back that others take away again and again.
    pub again: Option<Duration>,
}

impl Outcome {
    /// Adds a reason to what is said of the host, which may have one already; what it is about is tried again.
    pub fn say_of_host(&mut self, reason: &str) {
        self.applied.retain(|object| *object != Object::Host);
        self.left.remove(&Object::Host);
        match self.exceptions.first_mut() {
            Some((Object::Host, said)) => {
                said.push_str(". Besides, ");
                said.push_str(reason);
            }
            _ => self.exceptions.insert(0, (Object::Host, reason.to_owned())),
        }
    }
}

/// The host: its kernel and its pods.
pub struct Host {
    kernel: Arc<dyn Kernel>,
    pods: Arc<Pods>,
    /// The moment that times are counted from.
    begin: Instant,
    /// One round at a time.
    round: Mutex<Known>,
}

/// What is known from the last round.
#[derive(Default)]
struct Known {
    healing: Healing,
    foreign: Option<KnownForeign>,
    /// What others have was announced to be otherwise, and was not read since.
    stale: bool,
}

/// What others had in the kernel.
struct KnownForeign {
    read: Duration,
    ranges: Vec<Cidr>,
    found: Foreign,
}

impl Host {
    /// A host whose kernel is `kernel`, with the pods of this node.
    pub fn new(kernel: Arc<dyn Kernel>, pods: Arc<Pods>) -> Self {
        Self {
            kernel,
            pods,
            begin: Instant::now(),
            round: Mutex::default(),
        }
    }

    /// One round that looks at everything. Blocks for as long as the kernel takes (some 10 µs a change).
    ///
    /// # Errors
    /// If the kernel cannot be read; what cannot be written is in the outcome.
    pub fn converge(&self, desired: &Desired) -> Result<Outcome, KernelError> {
        self.round(desired, &Signals::everything(), None, None)
    }

    /// One round after `signals`, the first of which was heard at `since`. While healing is `paused` it changes nothing, and
    /// says of everything that is not as wanted that it is left so.
    ///
    /// # Errors
    /// As [`Self::converge`].
    pub fn round(
        &self,
        desired: &Desired,
        signals: &Signals,
        since: Option<Instant>,
        paused: Option<&Paused>,
    ) -> Result<Outcome, KernelError> {
        let mut known = self.round.lock();
        // Also if this round fails.
        known.stale |= signals.foreign;
        // Settled pods, then the kernel, then all pods: see `plan`.
        let settled = self.pods.settled_ids();
        let observed = self.kernel.observe()?;
        for pod in self.pods.end_with_namespaces(&settled, &observed) {
            tracing::info!(id = %pod.id, pod = pod.pod_name, "the sandbox has ended: freed its addresses");
        }
        self.look_at_others(&mut known, &desired.pod_ranges);
        self.pods.hold(&observed);
        self.pods.configure(pod_network(desired, &observed));
        let pods = self.pods.routes(&settled);
        let nothing = Foreign::default();
        let foreign = known.foreign.as_ref().map_or(&nothing, |known| &known.found);
        let mut plan = plan(desired, &pods, &observed, foreign);
        let now = self.now();
        let since = since.map_or(now, |since| since.saturating_duration_since(self.begin));
        let paused = paused.map(Paused::sentence);
        let admitted = known.healing.admit(&mut plan, signals, paused.as_deref(), since, now);
        let (mut outcome, made) = apply(self.kernel.as_ref(), &plan, &admitted.withheld);
        outcome.again = admitted.again;
        if paused.is_some() {
            outcome.left = outcome.exceptions.iter().map(|(object, _)| *object).collect();
        }
        let of_pods = self.pods.unwritable().into_iter().chain(self.pods.held());
        of_pods.for_each(|reason| outcome.say_of_host(&reason));
        outcome.losses = known.healing.finish(plan, made, admitted, self.now());
        Ok(outcome)
    }

    /// Listens to the kernel. To be called within an asynchronous runtime.
    ///
    /// # Errors
    /// If the kernel tells nothing.
    pub fn watch(&self) -> Result<Box<dyn Watch>, KernelError> {
        self.kernel.watch()
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Reads what others have, if it may be otherwise than it is known to be.
    fn look_at_others(&self, known: &mut Known, ranges: &[Cidr]) {
        let now = self.now();
        let fresh = |known: &KnownForeign| now.saturating_sub(known.read) < FOREIGN_FOR && known.ranges == ranges;
        if !known.stale && known.foreign.as_ref().is_some_and(fresh) {
            return;
        }
        match self.kernel.foreign(ranges) {
            Ok(found) => {
                known.stale = false;
                known.foreign = Some(KnownForeign {
                    read: now,
                    ranges: ranges.to_vec(),
                    found,
                });
            }
            // Nothing depends on it but words.
            Err(error) => tracing::warn!(error = %error_chain(&error), "cannot read what others have in the kernel"),
        }
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

/// Carries a plan out, independent steps independently; also says of each step whether it was made.
/// `withheld` is what was taken out of the plan, with the reason.
fn apply(kernel: &dyn Kernel, plan: &Plan, withheld: &[(Object, String)]) -> (Outcome, Vec<bool>) {
    let mut tally = Tally::default();
    for (object, reason) in plan.unmet.iter().chain(withheld) {
        tally.failed(*object, reason.clone());
    }
    let mut made = Vec::with_capacity(plan.steps.len());
    for (step, result) in plan.steps.iter().zip(carry_out(kernel, plan)) {
        made.push(result.is_ok());
        tally.count(step.object, result);
    }
    (tally.outcome(), made)
}

/// The result of each step, in order. Routes that follow each other are changed at once.
fn carry_out(kernel: &dyn Kernel, plan: &Plan) -> Vec<Result<(), KernelError>> {
    let mut results = Vec::with_capacity(plan.steps.len());
    while let Some(step) = plan.steps.get(results.len()) {
        let rest = plan.steps.iter().skip(results.len());
        let routes: Vec<RouteChange> = rest.map_while(|step| route_change(&step.change)).collect();
        match &step.change {
            Change::TurnOn(sysctl) => results.push(kernel.turn_on(*sysctl)),
            Change::PutGateway => results.push(kernel.put_gateway()),
            Change::MendLink { name, gateway } => results.push(kernel.mend_link(name, *gateway)),
            Change::PutProbeEnd {
                link,
                addresses,
                how,
                node,
            } => results.push(kernel.put_probe_end(&ProbeEnd {
                link,
                addresses,
                how: *how,
                node: *node,
            })),
            Change::DropLink(name) => results.push(kernel.drop_link(name)),
            Change::PutPortRules(family) => results.push(kernel.put_port_rules(*family)),
            Change::PutHostPort { slot, to } => results.push(kernel.put_host_ports(&[(*slot, *to)])),
            Change::DropHostPort { slot, to } => results.push(kernel.drop_host_ports(&[(*slot, *to)])),
            Change::PutRoute { .. } | Change::DropRoute { .. } => results.extend(kernel.change_routes(&routes)),
        }
    }
    results
}

fn route_change(change: &Change) -> Option<RouteChange> {
    match change {
        Change::PutRoute { key, route, found } => Some(RouteChange::Put {
            key: *key,
            route: route.clone(),
            replace: found.is_some(),
        }),
        Change::DropRoute { key, route } => Some(RouteChange::Drop {
            key: *key,
            route: route.clone(),
        }),
        _ => None,
    }
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
            ..Outcome::default()
        }
    }
}

#[cfg(test)]
mod tests;
