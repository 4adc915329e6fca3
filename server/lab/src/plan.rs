//! Which hosts the lab is to make and take away. Pure: what the control plane wants and what the lab has go in, steps
//! come out; doing one changes what the lab has, and the next plan goes on from there.
//!
//! A host is the lab's when the lab has written it down (see [`crate::records`]), not by its name: a host of somebody's
//! own may join a cluster of the lab's with a join command, and is left alone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use portolan_shared::ids::{ClusterId, NetworkId, NodeId, ProjectId};
use portolan_shared::v1::NodeState;

/// A cluster that takes its nodes from the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// As the control plane has it; the name is not unique.
    pub id: ClusterId,
    /// Its name: unique in its project only.
    pub name: String,
    /// The project it is in.
    pub project: ProjectId,
    /// The network its nodes are plugged into.
    pub network: NetworkId,
    /// Prefix length of its node subnet.
    pub prefix: u8,
    /// What fits into a packet there, in bytes.
    pub mtu: u32,
    /// How many nodes it is to have.
    pub wanted: usize,
    /// The nodes it has.
    pub nodes: Vec<Node>,
}

/// A node as the control plane has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// As the control plane has it.
    pub id: NodeId,
    /// Its name: unique in its cluster.
    pub name: String,
    /// The address of its port.
    pub address: IpAddr,
    /// How it is doing.
    pub state: NodeState,
}

impl Node {
    /// Whether its agent reports and has applied what it should.
    pub fn ready(&self) -> bool {
        self.state == NodeState::Ready
    }

    /// Whether an agent has joined as this node.
    pub fn joined(&self) -> bool {
        self.state != NodeState::Expected
    }
}

impl Cluster {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Whether it has all its nodes, and they are ready.
    pub fn ready(&self) -> bool {
        self.nodes.len() >= self.wanted && self.nodes.iter().all(Node::ready)
    }
}

/// What tells hosts apart: names are unique in a cluster only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostKey {
    /// The cluster.
    pub cluster: ClusterId,
    /// The host's name as a node.
    pub name: String,
}

/// A host of the lab's, as far as a plan cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The node that was made for it; none when it was asked for and the answer is not known.
    pub node: Option<NodeId>,
    /// Whether namespace, links and agent are there.
    pub stands: bool,
    /// Until when it is left alone after a failure.
    pub pause: Option<Pause>,
}

impl Known {
    /// Whether this may be tried now.
    fn may(&self, verb: Verb, now: Duration) -> bool {
        self.pause.is_none_or(|pause| pause.verb != verb || pause.until <= now)
    }
}

/// What can be done with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To make it stand.
    Make,
    /// To take it away.
    Remove,
}

/// Something failed and is not tried again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// What failed: the other may be done.
    pub verb: Verb,
    /// Until then. Times count from the lab's start.
    pub until: Duration,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Take a host away with everything of its.
    Remove(HostKey),
    /// Make a host stand: whatever is missing of node, namespace, links and agent.
    Make(HostKey),
}

impl Step {
    /// What is to be done.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Remove(_) => Verb::Remove,
            Self::Make(_) => Verb::Make,
        }
    }

    /// The host it is about.
    pub fn host(&self) -> &HostKey {
        match self {
            Self::Remove(key) | Self::Make(key) => key,
        }
    }
}

/// What can be done now, in the order to do it: room is made first, then clusters in turn.
pub fn plan(clusters: &[Cluster], known: &BTreeMap<HostKey, Known>, now: Duration) -> Vec<Step> {
    let mut steps: Vec<Step> = known
        .iter()
        .filter(|(key, host)| host.may(Verb::Remove, now) && !is_wanted(clusters, known, key, host))
        .map(|(key, _)| Step::Remove(key.clone()))
        .collect();
    for cluster in clusters {
        let ours = || known.iter().filter(|(key, _)| key.cluster == cluster.id);
        let lacking = ours().filter(|(_, host)| !host.stands && host.may(Verb::Make, now));
        let make = lacking.filter(|(key, host)| is_wanted(clusters, known, key, host));
        steps.extend(make.map(|(key, _)| Step::Make(key.clone())));
        let asked = ours().filter(|(key, host)| is_asked(cluster, key, host)).count();
        let missing = cluster.wanted.saturating_sub(cluster.nodes.len() + asked);
        let names = (1..).map(|number| format!("node-{number}"));
        let free = names.filter(|name| cluster.node(name).is_none() && ours().all(|(key, _)| key.name != *name));
        steps.extend(free.take(missing).map(|name| {
            Step::Make(HostKey {
                cluster: cluster.id,
                name,
            })
        }));
    }
    steps
}

/// When the next step may be done that cannot be done now.
pub fn next_due(known: &BTreeMap<HostKey, Known>, now: Duration) -> Option<Duration> {
    let pauses = known.values().filter_map(|host| Some(host.pause?.until));
    pauses.filter(|until| *until > now).min()
}

/// How long to wait after so many failures in a row.
pub fn back_off(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);
    FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST)
}

/// The smallest number that is not among these.
pub fn smallest_free(used: impl IntoIterator<Item = usize>) -> usize {
    let used: std::collections::BTreeSet<usize> = used.into_iter().collect();
    (0..).find(|number| !used.contains(number)).unwrap_or(usize::MAX)
}

/// Whether its node has been asked for, and the control plane does not show one.
fn is_asked(cluster: &Cluster, key: &HostKey, host: &Known) -> bool {
    host.node.is_none() && cluster.node(&key.name).is_none()
}

fn is_wanted(clusters: &[Cluster], known: &BTreeMap<HostKey, Known>, key: &HostKey, host: &Known) -> bool {
    let Some(cluster) = clusters.iter().find(|cluster| cluster.id == key.cluster) else {
        return false;
    };
    match (cluster.node(&key.name), host.node) {
        // The same name is not the same node: ours was removed, and somebody made another one.
        (Some(node), Some(ours)) => node.id == ours,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => {
            // Those asked for come in their order, as long as there is room.
            let before = known
                .range(..key)
                .filter(|(other, host)| other.cluster == key.cluster && is_asked(cluster, other, host));
            cluster.nodes.len() + before.count() < cluster.wanted
        }
    }
}

#[cfg(test)]
mod tests;
