//! How a port and a node are, derived when read: never stored, so that the loss of a node is one change
//! and not one per port.
//!
//! [`chain`] walks what must hold for traffic to flow, in order; the first step that does not hold
//! is the reason. [`derive()`] is the word and the reason of a port's row, [`node()`] those of a node's.

mod blocks;
mod paths;

pub use blocks::{Found, NoBlock, NoRoute};
pub use paths::{Fault, NotProven, PathTrouble};

use serde::{Deserialize, Serialize};

use crate::v1::NodeState;

/// What a port is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum PortStatus {
    /// Everything in the chain holds.
    Active,
    /// On the way: the node is online and has not applied it yet.
    Build,
    /// It works on its node, and not every other node reaches it.
    Degraded,
    /// Something does not hold.
    Down,
    /// Switched off by its owner (`admin_state_up` is false).
    Disabled,
    /// The kernel refused it.
    Error,
}

impl PortStatus {
    /// The word of the Networking API: what is switched off is `DOWN` there, and what works in part `ERROR`.
    pub const fn networking(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Build => "BUILD",
            Self::Down | Self::Disabled => "DOWN",
            Self::Error | Self::Degraded => "ERROR",
        }
    }
}

/// The node a port is bound to, as far as the port's status depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name, for sentences.
    pub name: String,
    /// Whether an agent has ever joined as this node.
    pub joined: bool,
    /// Whether it was found again after the store was put back, and waits to be admitted.
    pub found: bool,
    /// Whether its agent is connected, or was a moment ago.
    pub online: bool,
    /// Since when `online` has its value; microseconds, UTC.
    pub since: i64,
    /// That it is called online only because the control plane was started a moment ago: when that was, and when the node
    /// was last heard; microseconds, UTC.
    pub awaited: Option<(i64, i64)>,
    /// The newest revision its kernel holds.
    pub applied_revision: u64,
    /// The revision that the port needs there.
    pub wanted_revision: u64,
    /// Why its kernel does not hold this port's objects.
    pub exception: Option<NotHeld>,
    /// That packets of its pods do not arrive at most others, or those of two others at them.
    pub path: Option<PathTrouble>,
}

/// Why a node's kernel does not hold something; in the agent's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotHeld {
    /// It was tried, this often in a row.
    Refused(String, u32),
    /// It is left as it is: healing is paused.
    Left(String),
}

/// What has trouble on a node without the node itself having any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Pods whose ports its kernel refused something of, and the first reason.
    pub pods: Option<(u64, String)>,
    /// A block of another node that its kernel has no route to.
    pub no_route: Option<NoRoute>,
    /// That it wants a block and gets none.
    pub no_block: Option<NoBlock>,
    /// Since when two machines are known to have its identity; microseconds, UTC.
    pub copied: Option<i64>,
    /// A single path from it, or to it, that something does not arrive on.
    pub pair: Option<PathTrouble>,
    /// Why no packet proves its paths.
    pub not_proven: Option<NotProven>,
    /// Who has paused healing there, and when; microseconds, UTC.
    pub paused: Option<(String, i64)>,
}

/// What a port's status depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFacts {
    /// `admin_state_up`.
    pub enabled: bool,
    /// Whether it has at least one fixed IP.
    pub has_address: bool,
    /// The node it is bound to; `None` for a reserved address that nothing is attached to.
    pub node: Option<NodeFacts>,
    /// That other nodes, which report, have no route to the block its address is from.
    pub not_reached: Option<NoRoute>,
}

/// A reason with its stable code, for a test, a translation and a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reason {
    /// Such as `port.node_silent`.
    pub code: String,
    /// What a translated sentence needs, by name.
    pub params: Vec<(String, String)>,
    /// The English sentence.
    pub sentence: String,
    /// Since when it is so, RFC 3339; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::time::Time>"))]
    pub since: Option<String>,
}

/// A step of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The owner has not switched it off.
    Enabled,
    /// It has an address.
    Addressed,
    /// It is attached to a node that is known.
    NodeKnown,
    /// That node's agent reports.
    NodeOnline,
    /// The kernel there holds the revision that the port needs.
    Received,
    /// The kernel accepted everything of it.
    Applied,
    /// All other nodes have a route to it, and packets arrive.
    Reached,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Holds.
    Ok,
    /// Does not hold: the reason for the status.
    Failed,
    /// Being worked on.
    Waiting,
    /// Not looked at, because a step before it does not hold.
    Unknown,
}

/// Why a step does not hold: the closed list of codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// `admin_state_up` is false.
    Disabled,
    /// No fixed IP.
    NoAddress,
    /// Bound to no node: a reservation.
    NotAttached,
    /// The node is expected, but no agent has joined as it.
    NodeExpected(String),
    /// The node was found again after the store was put back, and waits for an administrator.
    NodeFound(Found),
    /// The node's agent does not report; since when, in microseconds UTC.
    NodeSilent(String, i64),
    /// It was online when the control plane was started, and has not been heard since: when that was, and when it was last
    /// heard, in microseconds UTC. A port keeps its status meanwhile.
    NodeAwaited(String, i64, i64),
    /// The node has not applied the needed revision yet.
    NodeBehind(String),
    /// The kernel refused; its words, and how often it was tried.
    KernelRefused(String, String, u32),
    /// Something is not in the kernel and is left so, as healing is paused; the node, and what.
    HealingPaused(String, String),
    /// Another node has no route to it.
    NotReached(NoRoute),
    /// Of a node: it gets no further block.
    NoBlock(NoBlock),
    /// Of a node: it has no route to another's block.
    NoRoute(NoRoute),
    /// Of a node: how many of its pods have trouble, and the first one's reason.
    PodsInTrouble(u64, String),
    /// Packets between a node's pods and most others do not arrive.
    PathFails(PathTrouble),
    /// Of a node: those on a single path do not.
    PairFails(PathTrouble),
    /// Of a node: no packet proves its paths.
    NotProven(NotProven),
    /// Of a node: two machines have its identity; since when that is known, in microseconds UTC.
    NodeCopied(String, i64),
    /// Of a node: healing is paused there; by whom, and since when, in microseconds UTC.
    NodePaused(String, String, i64),
}

impl Cause {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "port.disabled",
            Self::NoAddress => "port.no_address",
            Self::NotAttached => "port.not_attached",
            Self::NodeExpected(_) => "port.node_expected",
            Self::NodeFound(_) => Found::CODE,
            Self::NodeSilent(..) => "port.node_silent",
            Self::NodeAwaited(..) => "node.awaited",
            Self::NodeBehind(_) => "port.node_behind",
            Self::HealingPaused(..) => "port.healing_paused",
            Self::KernelRefused(..) => "port.kernel_refused",
            Self::NotReached(_) => "port.not_reached",
            Self::NoBlock(_) => NoBlock::CODE,
            Self::NoRoute(_) => "node.no_route",
            Self::PodsInTrouble(..) => "node.pods_in_trouble",
            Self::NodeCopied(..) => "node.copied",
            Self::NodePaused(..) => "node.paused",
            Self::PathFails(_) => PathTrouble::CODE,
            Self::PairFails(_) => PathTrouble::PAIR,
            Self::NotProven(not_proven) => not_proven.code(),
        }
    }

    /// All codes of ports, for the tests that every language has a sentence for each, and what one can do.
    pub const CODES: &'static [&'static str] = &[
        "port.disabled",
        "port.no_address",
        "port.not_attached",
        "port.node_expected",
        Found::CODE,
        "port.node_silent",
        "port.node_behind",
        "port.kernel_refused",
        "port.healing_paused",
        "port.not_reached",
        PathTrouble::CODE,
    ];

    /// All codes that only nodes have, for the tests that every language has a sentence for each.
    pub const NODE_CODES: &'static [&'static str] = &[
        "node.awaited",
        NoBlock::CODE,
        "node.no_route",
        "node.pods_in_trouble",
        "node.copied",
        PathTrouble::PAIR,
        "node.no_other_node",
        "node.cannot_probe",
        "node.paused",
    ];

    /// As a row shows it; `at` writes a time of microseconds UTC as RFC 3339.
    pub fn reason(&self, at: impl Fn(i64) -> String) -> Reason {
        let node = |name: &String| vec![("node".to_owned(), name.clone())];
        let (params, sentence, since) = match self {
            Self::Disabled => (vec![], "Switched off by its owner.".to_owned(), None),
            Self::NoAddress => (vec![], "It has no address.".to_owned(), None),
            Self::NotAttached => (vec![], "Reserved, not attached to anything.".to_owned(), None),
            Self::NodeExpected(name) => (node(name), format!("{name} has not joined yet."), None),
            Self::NodeFound(found) => return found.reason(),
            Self::NodeSilent(name, since) => {
                let since = at(*since);
                (
                    node(name),
                    format!("{name} has not reported since {since}."),
                    Some(since),
                )
            }
            Self::NodeAwaited(name, since, heard) => {
                let (since, heard) = (at(*since), at(*heard));
                let sentence =
                    format!("Not heard of {name} since the control plane started at {since}; last contact {heard}.");
                let mut params = node(name);
                params.push(("heard".to_owned(), heard));
                (params, sentence, Some(since))
            }
            Self::NodeBehind(name) => (node(name), format!("Waiting for {name} to apply it."), None),
            Self::HealingPaused(name, words) => {
                let mut params = node(name);
                params.push(("words".to_owned(), words.clone()));
                (params, format!("{name}: {words}."), None)
            }
            Self::KernelRefused(name, words, attempts) => {
                let mut params = node(name);
                params.push(("words".to_owned(), words.clone()));
                params.push(("attempts".to_owned(), attempts.to_string()));
                (
                    params,
                    format!("{name}: {words}. Retrying, tried {attempts} times."),
                    None,
                )
            }
            Self::NotReached(route) => {
                let NoRoute {
                    node,
                    block,
                    words,
                    more,
                } = route;
                let have = match more {
                    0 => format!("{node} has"),
                    1 => format!("{node} and 1 more node have"),
                    more => format!("{node} and {more} more nodes have"),
                };
                let sentence = format!("{have} no route to this pod's block {block}: {words}.");
                (route.params(), sentence, None)
            }
            Self::NoBlock(no_block) => return no_block.reason(),
            Self::PathFails(trouble) | Self::PairFails(trouble) => return trouble.reason(self.code()),
            Self::NotProven(not_proven) => return not_proven.reason(),
            Self::NoRoute(route) => {
                let NoRoute {
                    node,
                    block,
                    words,
                    more,
                } = route;
                let more = match more {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let sentence = format!("No route to block {block} of {node}{more}: {words}.");
                (route.params(), sentence, None)
            }
            Self::PodsInTrouble(n, words) => {
                let have = match n {
                    1 => "1 pod has trouble".to_owned(),
                    n => format!("{n} pods have trouble, such as"),
                };
                (
                    vec![("n".to_owned(), n.to_string()), ("words".to_owned(), words.clone())],
                    format!("{have}: {words}."),
                    None,
                )
            }
            Self::NodePaused(name, by, since) => {
                let since = at(*since);
                let sentence = format!(
                    "Healing is paused on {name} by {by} since {since}: nothing is put back that others take away, and no \
                     news of other nodes is heeded. portolan-agent resume on the node ends that."
                );
                let mut params = node(name);
                params.push(("by".to_owned(), by.clone()));
                (params, sentence, Some(since))
            }
            Self::NodeCopied(name, since) => {
                let since = at(*since);
                let sentence = format!(
                    "Two machines have shown the identity of {name} since {since}: it works on, and gets no further block \
                     before one of them has joined anew, or is off and an administrator has admitted the other."
                );
                (node(name), sentence, Some(since))
            }
        };
        Reason {
            code: self.code().to_owned(),
            params,
            sentence,
            since,
        }
    }
}

/// The steps in order, each with how it stands; the first that does not hold carries its cause. That a node is waited for
/// carries one too, and breaks nothing.
pub fn chain(facts: &PortFacts) -> Vec<(Step, StepState, Option<Cause>)> {
    let node = facts.node.as_ref();
    let steps: [(Step, Option<(StepState, Cause)>); 7] = [
        (
            Step::Enabled,
            (!facts.enabled).then_some((StepState::Failed, Cause::Disabled)),
        ),
        (
            Step::Addressed,
            (!facts.has_address).then_some((StepState::Failed, Cause::NoAddress)),
        ),
        (
            Step::NodeKnown,
            match node {
                None => Some((StepState::Failed, Cause::NotAttached)),
                Some(node) if node.found => {
                    let (node, more) = (node.name.clone(), 0);
                    Some((StepState::Failed, Cause::NodeFound(Found { node, more })))
                }
                Some(node) => (!node.joined).then(|| (StepState::Waiting, Cause::NodeExpected(node.name.clone()))),
            },
        ),
        (
            Step::NodeOnline,
            node.and_then(|n| match (n.online, n.awaited) {
                (false, _) => Some((StepState::Failed, Cause::NodeSilent(n.name.clone(), n.since))),
                (true, Some((since, heard))) => {
                    Some((StepState::Waiting, Cause::NodeAwaited(n.name.clone(), since, heard)))
                }
                (true, None) => None,
            }),
        ),
        (
            Step::Received,
            node.filter(|n| n.applied_revision < n.wanted_revision)
                .map(|n| (StepState::Waiting, Cause::NodeBehind(n.name.clone()))),
        ),
        (
            Step::Applied,
            node.and_then(|n| {
                let cause = match n.exception.clone()? {
                    NotHeld::Refused(words, attempts) => Cause::KernelRefused(n.name.clone(), words, attempts),
                    NotHeld::Left(words) => Cause::HealingPaused(n.name.clone(), words),
                };
                Some((StepState::Failed, cause))
            }),
        ),
        (
            Step::Reached,
            facts
                .not_reached
                .clone()
                .map(Cause::NotReached)
                .or_else(|| node?.path.clone().map(Cause::PathFails))
                .map(|cause| (StepState::Failed, cause)),
        ),
    ];
    let mut broken = false;
    steps
        .into_iter()
        .map(|(step, failure)| match failure {
            _ if broken => (step, StepState::Unknown, None),
            None => (step, StepState::Ok, None),
            Some((state, cause)) => {
                broken = !is_awaited(&cause);
                (step, state, Some(cause))
            }
        })
        .collect()
}

/// Whether it is only that a node is waited for.
fn is_awaited(cause: &Cause) -> bool {
    matches!(cause, Cause::NodeAwaited(..))
}

/// The word for a row, and why when it is not [`PortStatus::Active`].
pub fn derive(facts: &PortFacts) -> (PortStatus, Option<Cause>) {
    let mut causes = chain(facts).into_iter().filter_map(|(_, _, cause)| cause);
    let cause = causes.find(|cause| !is_awaited(cause));
    let status = match &cause {
        None => PortStatus::Active,
        Some(Cause::Disabled) => PortStatus::Disabled,
        Some(Cause::NodeExpected(_) | Cause::NodeBehind(_)) => PortStatus::Build,
        Some(Cause::KernelRefused(..) | Cause::HealingPaused(..)) => PortStatus::Error,
        Some(
            Cause::NotReached(_)
            | Cause::NoRoute(_)
            | Cause::NoBlock(_)
            | Cause::NodeAwaited(..)
            | Cause::NodeCopied(..)
            | Cause::NodePaused(..)
            | Cause::PathFails(_)
            | Cause::PairFails(_)
            | Cause::NotProven(_),
        ) => PortStatus::Degraded,
        Some(
            Cause::NoAddress
            | Cause::NotAttached
            | Cause::NodeFound(_)
            | Cause::NodeSilent(..)
            | Cause::PodsInTrouble(..),
        ) => PortStatus::Down,
    };
    (status, cause)
}

/// The word for a node's row, and why: of one that is ready, what has trouble beside it.
pub fn node(facts: NodeFacts, beside: &Beside) -> (NodeState, Option<Cause>) {
    let copied = beside.copied.map(|since| Cause::NodeCopied(facts.name.clone(), since));
    let paused = beside.paused.clone();
    let paused = paused.map(|(by, since)| Cause::NodePaused(facts.name.clone(), by, since));
    let own = PortFacts {
        enabled: true,
        has_address: true,
        node: Some(facts),
        not_reached: None,
    };
    let no_block = beside.no_block.clone().map(Cause::NoBlock);
    // The first that is to be said, that it is waited for included.
    let cause = chain(&own).into_iter().find_map(|(_, _, cause)| cause);
    match cause {
        // It cannot join either.
        Some(cause @ Cause::NodeExpected(_)) => (NodeState::Expected, Some(no_block.unwrap_or(cause))),
        Some(cause @ Cause::NodeFound(_)) => (NodeState::Found, Some(cause)),
        Some(cause @ Cause::NodeSilent(..)) => (NodeState::Silent, Some(cause)),
        Some(cause @ Cause::NodeAwaited(..)) => (NodeState::Awaited, Some(cause)),
        Some(cause @ (Cause::KernelRefused(..) | Cause::HealingPaused(..))) => (NodeState::Error, Some(cause)),
        Some(cause @ Cause::PathFails(_)) => (NodeState::NoPath, Some(cause)),
        // It gets no block for that, whether one is free or not.
        _ if copied.is_some() => (NodeState::Copied, copied),
        // It does its work, and that others changed something is no news of that.
        _ if no_block.is_some() => (NodeState::NoBlock, no_block),
        Some(cause) => (NodeState::Behind, Some(cause)),
        None => {
            let no_route = beside.no_route.clone().map(Cause::NoRoute);
            let pair = || beside.pair.clone().map(Cause::PairFails);
            let pods = || beside.pods.clone().map(|(n, words)| Cause::PodsInTrouble(n, words));
            let not_proven = || beside.not_proven.clone().map(Cause::NotProven);
            (
                NodeState::Ready,
                no_route.or(paused).or_else(pair).or_else(pods).or_else(not_proven),
            )
        }
    }
}

#[cfg(test)]
mod tests;
