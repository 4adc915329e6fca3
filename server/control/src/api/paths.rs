//! How the paths of clusters' nodes stand, with the names of the nodes.

use std::collections::{BTreeMap, HashMap};

use portolan_core::model::{Node, Paths};
use portolan_core::paths::{Standing, Trouble, stand};
use portolan_core::view::View;
use portolan_shared::ids::{ClusterId, NodeId};
use portolan_shared::status::{Cause, NotProven, PathTrouble};
use portolan_shared::v1::Probes;

use super::status::reason;

/// How the paths of nodes stand, those of some clusters.
#[derive(Debug, Clone, Default)]
pub struct Standings(HashMap<NodeId, Standing>);

/// What is said of one node's paths.
#[derive(Debug, Clone, Default)]
pub struct NodePaths {
    /// That its pods' packets do not arrive at most others, or those of two others at its pods.
    pub cut_off: Option<PathTrouble>,
    /// A single path from it or to it that something does not arrive on.
    pub pair: Option<PathTrouble>,
    /// Why no packet proves its paths.
    pub not_proven: Option<NotProven>,
}

impl Standings {
    /// Those of a cluster. Costs a look at each of its nodes.
    pub fn of(view: &View, cluster: ClusterId) -> Self {
        let mut standings = Self::default();
        standings.add(view, cluster);
        standings
    }

    /// Adds those of a cluster.
    pub fn add(&mut self, view: &View, cluster: ClusterId) {
        let said: BTreeMap<NodeId, &Paths> = view
            .nodes_of(cluster)
            .filter_map(|node| view.node_status(node.id))
            .filter(|status| status.online)
            .filter_map(|status| Some((status.node, status.paths.as_ref()?)))
            .collect();
        let standings = stand(&said).into_iter();
        self.0
            .extend(standings.filter(|(_, standing)| *standing != Standing::default()));
    }

    /// What is said of a node of these clusters.
    pub fn node(&self, view: &View, node: &Node) -> NodePaths {
        let standing = self.0.get(&node.id).copied().unwrap_or_default();
        let said = view.node_status(node.id).and_then(|status| status.paths.as_ref());
        let not_proven = said.and_then(|said| match &said.trouble {
            Some(words) => Some(NotProven::CannotProbe(words.clone())),
            None => (said.peers == 0).then_some(NotProven::NoOtherNode),
        });
        NodePaths {
            cut_off: standing.cut_off.and_then(|trouble| named(view, trouble)),
            pair: standing.pair.and_then(|trouble| named(view, trouble)),
            not_proven,
        }
    }
}

fn named(view: &View, trouble: Trouble) -> Option<PathTrouble> {
    let name = |id| view.node(id).map(|node| node.name.clone());
    Some(PathTrouble {
        from: name(trouble.from)?,
        to: name(trouble.to)?,
        fault: trouble.fault,
        more: trouble.more,
    })
}

/// What the probes of a node say, as its row shows it.
pub fn probes(view: &View, node: &Node) -> Option<Probes> {
    let said = view.node_status(node.id)?.paths.as_ref()?;
    let pair = |(to, fault): &(NodeId, _)| {
        let (from, to, fault, more) = (node.id, *to, *fault, 0);
        named(view, Trouble { from, to, fault, more })
    };
    let pairs = said.named.iter().filter_map(pair);
    Some(Probes {
        peers: said.peers,
        proven: said.proven,
        failing: said.failing,
        pairs: pairs.map(|trouble| reason(&Cause::PairFails(trouble))).collect(),
    })
}
