//! A port's status from what the view knows: the port, its node, and how that is doing.
//!
//! [`Nodes`] takes out of the view, in one go, what the status of many ports depends on; the
//! derivation itself ([`portolan_shared::status`]) then runs without the lock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::{Block, Exception, Node, NodeStatus, Port, Revision, owner};
use portolan_core::view::View;
use portolan_shared::ids::{BlockId, ClusterId, NodeId};
use portolan_shared::status::{
    Beside, Cause, Found, NoBlock, NoRoute, NodeFacts, PortFacts, PortStatus, Reason, derive, node,
};
use portolan_shared::time::Time;
use portolan_shared::v1::NodeState as NodeWord;

use super::paths::{NodePaths, Standings};

/// Whom something that a node's kernel refused concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// The node itself, or a block of its own.
    Own,
    /// A pod of its.
    Pod,
    /// A block of another node.
    Others,
}

/// What the status of a node's ports depends on.
#[derive(Debug, Clone)]
pub struct NodeState {
    /// The node as it is stored.
    pub node: Arc<Node>,
    /// How it is doing; `None` if it never reported.
    pub status: Option<Arc<NodeStatus>>,
    /// Blocks it leases.
    pub blocks: Vec<Arc<Block>>,
    /// The last commit that changed what its cluster's agents are sent.
    pub cluster_revision: Revision,
    /// A block of another node that its kernel has no route to.
    no_route: Option<NoRoute>,
    paths: NodePaths,
    /// Whether it wants a block and gets none, or could not join for lack of one.
    pub no_block: bool,
}

impl NodeState {
    /// From the view; `standings` are those of its cluster.
    pub fn of(view: &View, node: &Arc<Node>, standings: &Standings) -> Self {
        let mut state = Self {
            node: Arc::clone(node),
            status: view.node_status(node.id).cloned(),
            blocks: view.blocks_of_node(node.id).cloned().collect(),
            cluster_revision: view.cluster_revision(node.cluster),
            no_route: None,
            paths: standings.node(view, node),
            no_block: lacks_block(view, node),
        };
        let mut no_routes = state.others_blocks().filter_map(|e| {
            let block = view.block(BlockId::from_bytes(e.id))?;
            Some((block, view.node(block.node)?, e))
        });
        let first = no_routes.next().map(|(block, of, e)| NoRoute {
            node: of.name.clone(),
            block: block.cidr,
            words: e.reason.clone(),
            more: 0,
        });
        let more = u64::try_from(no_routes.count()).unwrap_or(u64::MAX);
        state.no_route = first.map(|first| NoRoute { more, ..first });
        state
    }

    /// What its kernel refused of other nodes' blocks.
    fn others_blocks(&self) -> impl Iterator<Item = &Exception> {
        self.exceptions().iter().filter(|e| self.concern(e) == Concern::Others)
    }

    /// Facts of the node itself: it should have everything its cluster's agents are sent.
    pub fn facts(&self) -> NodeFacts {
        let path = self.paths.cut_off.clone();
        NodeFacts {
            path,
            ..self.facts_for(self.cluster_revision, |e| self.concern(e) == Concern::Own)
        }
    }

    /// Its state, and why; `no_block` is its cluster's.
    pub fn word(&self, no_block: Option<&NoBlock>) -> (NodeWord, Option<Cause>) {
        let own = |no_block: &NoBlock| NoBlock {
            node: self.node.name.clone(),
            more: 0,
            ..no_block.clone()
        };
        let beside = Beside {
            no_block: no_block.filter(|_| self.no_block).map(own),
            ..self.beside()
        };
        node(self.facts(), &beside)
    }

    /// What its kernel refused.
    fn exceptions(&self) -> &[Exception] {
        self.status.as_ref().map_or(&[], |status| &status.exceptions)
    }

    /// What has trouble on it without the node itself having any.
    fn beside(&self) -> Beside {
        let mut pods = self.exceptions().iter().filter(|e| self.concern(e) == Concern::Pod);
        let first = pods.next().map(|e| e.reason.clone());
        let more = u64::try_from(pods.count()).unwrap_or(u64::MAX);
        Beside {
            pods: first.map(|words| (more.saturating_add(1), words)),
            no_route: self.no_route.clone(),
            no_block: None,
            copied: self.status.as_ref().and_then(|status| status.copied),
            pair: self.paths.pair.clone(),
            not_proven: self.paths.not_proven.clone(),
            paused: self
                .status
                .as_ref()
                .and_then(|status| status.paused.as_ref())
                .map(|paused| (paused.by.clone(), paused.since)),
        }
    }

    /// Whom an exception concerns. One that only says how many are not listed bears the node's id: there are so many
    /// that it is the node that has trouble.
    fn concern(&self, exception: &Exception) -> Concern {
        let block = BlockId::from_bytes(exception.id);
        match &*exception.kind {
            "port" if exception.id != *self.node.port.as_bytes() => Concern::Pod,
            "block" if exception.id != *self.node.id.as_bytes() && self.blocks.iter().all(|own| own.id != block) => {
                Concern::Others
            }
            _ => Concern::Own,
        }
    }

    fn facts_for(&self, wanted_revision: Revision, concerns: impl Fn(&Exception) -> bool) -> NodeFacts {
        let status = self.status.as_ref();
        let exception = self.exceptions().iter().find(|e| concerns(e));
        NodeFacts {
            name: self.node.name.clone(),
            joined: self.node.joined_at.is_some(),
            found: self.node.found.is_some(),
            online: status.is_some_and(|s| s.online),
            since: status
                .map(|s| s.since)
                .or(self.node.joined_at)
                .unwrap_or(self.node.meta.created_at),
            awaited: status.and_then(|s| s.awaited).map(|a| (a.since, a.heard)),
            applied_revision: status.map_or(0, |s| s.applied_revision),
            wanted_revision,
            exception: exception.map(Exception::not_held),
            path: None,
        }
    }

    /// The block that a pod's address is from.
    fn block_of(&self, port: &Port) -> Option<&Arc<Block>> {
        let address = port.fixed_ips.first().filter(|_| is_pods(port))?.address;
        self.blocks.iter().find(|block| block.cidr.contains(address))
    }

    /// Facts of a port of this node. A pod's port is there once its block is: the agent gave the
    /// address out of it. Any other is there once the node's row is.
    fn port_facts(&self, port: &Port) -> NodeFacts {
        let block = self.block_of(port);
        let wanted = block.map_or(self.node.meta.revision, |block| block.meta.revision);
        let block: Option<BlockId> = block.map(|block| block.id);
        let node: NodeId = self.node.id;
        let facts = self.facts_for(wanted, |e| match &*e.kind {
            "port" => e.id == *port.id.as_bytes(),
            "block" => block.is_some_and(|block| e.id == *block.as_bytes()),
            "node" => e.id == *node.as_bytes(),
            _ => false,
        });
        // The probes say it of pods.
        let path = self.paths.cut_off.clone().filter(|_| is_pods(port));
        NodeFacts { path, ..facts }
    }
}

/// Whether a node wants a block and gets none, or could not join for lack of one.
pub fn lacks_block(view: &View, node: &Node) -> bool {
    match node.joined_at {
        Some(_) => view
            .node_status(node.id)
            .is_some_and(|status| status.online && status.wants_block.is_some()),
        // One that was found again has what it held.
        None => node.found.is_none() && is_full(view, node.cluster),
    }
}

/// Whether all blocks of a cluster are leased, or held by machines that are no nodes any more.
fn is_full(view: &View, cluster: ClusterId) -> bool {
    let total = view
        .cluster(cluster)
        .and_then(|cluster| view.subnet(cluster.pod_subnet))
        .map(|subnet| portolan_shared::cluster::blocks(subnet.cidr));
    let taken = view.count_of::<Block>(cluster) + view.count_of::<QuarantinedBlock>(cluster);
    total.is_some_and(|total| u128::from(taken) >= total)
}

/// Most nodes named that have empty blocks.
const EMPTY_NAMED: usize = 5;

/// That nodes of a cluster get no block, if some of these [lack](lacks_block) one.
pub fn no_block<'a>(view: &View, nodes: impl IntoIterator<Item = &'a Arc<Node>>) -> Option<NoBlock> {
    let mut nodes = nodes.into_iter().filter(|node| lacks_block(view, node));
    let first = nodes.next()?;
    let blocks = view.blocks_of(first.cluster);
    let empty = |block: &&Arc<Block>| {
        let at = block.cidr.first();
        let mut after = view.ports_by_address(block.subnet, Some(at));
        view.port_at(block.subnet, at).is_none()
            && after.next().is_none_or(|(address, _)| !block.cidr.contains(address))
    };
    let mut named: Vec<String> = Vec::new();
    for block in blocks.filter(empty) {
        let Some(node) = view.node(block.node).filter(|node| !named.contains(&node.name)) else {
            continue;
        };
        if named.len() == EMPTY_NAMED {
            named.push("...".to_owned());
            break;
        }
        named.push(node.name.clone());
    }
    Some(NoBlock {
        node: first.name.clone(),
        more: u64::try_from(nodes.count()).unwrap_or(u64::MAX),
        blocks: view.count_of::<Block>(first.cluster),
        empty: named,
        held: QuarantinedBlock::all_held(view.of(first.cluster), |node| view.node(node).is_some()),
    })
}

/// Those of a cluster's nodes that were found again and wait to be admitted.
pub fn found(nodes: &[NodeState]) -> Option<Found> {
    let mut found = nodes.iter().filter(|state| state.node.found.is_some());
    let first = found.next()?;
    Some(Found {
        node: first.node.name.clone(),
        more: u64::try_from(found.count()).unwrap_or(u64::MAX),
    })
}

/// Whether a port is a pod's.
fn is_pods(port: &Port) -> bool {
    &*port.device_owner == owner::POD
}

/// Blocks that nodes which report have no route to, each with the first of these nodes.
#[derive(Debug, Clone, Default)]
pub struct NotReached(HashMap<BlockId, NoRoute>);

impl NotReached {
    /// Adds those of a cluster. Costs a look at each of its nodes.
    pub fn add(&mut self, view: &View, cluster: ClusterId) {
        let reports = |id| {
            view.node_status(id)
                .is_some_and(|status| status.online && status.exceptions.iter().any(|e| e.kind == "block"))
        };
        for node in view.nodes_of(cluster).filter(|node| reports(node.id)) {
            let state = NodeState::of(view, node, &Standings::default());
            for exception in state.others_blocks() {
                let Some(block) = view.block(BlockId::from_bytes(exception.id)) else {
                    continue;
                };
                let first = || NoRoute {
                    node: node.name.clone(),
                    block: block.cidr,
                    words: exception.reason.clone(),
                    more: 0,
                };
                let known = self.0.entry(block.id);
                known.and_modify(|known| known.more += 1).or_insert_with(first);
            }
        }
    }

    /// The blocks.
    pub fn blocks(&self) -> impl Iterator<Item = BlockId> {
        self.0.keys().copied()
    }
}

/// The nodes that some ports are bound to.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    nodes: HashMap<NodeId, NodeState>,
    not_reached: NotReached,
}

impl Nodes {
    /// Takes out of the view what the status of these ports depends on.
    pub fn of<'a>(view: &View, ports: impl IntoIterator<Item = &'a Arc<Port>>) -> Self {
        let (mut found, mut clusters) = (Self::default(), HashSet::new());
        let mut standings: HashMap<ClusterId, Standings> = HashMap::new();
        for port in ports {
            let Some(id) = port.node else { continue };
            if let std::collections::hash_map::Entry::Vacant(place) = found.nodes.entry(id)
                && let Some(node) = view.node(id)
            {
                let of_cluster = standings.entry(node.cluster);
                let of_cluster = of_cluster.or_insert_with(|| Standings::of(view, node.cluster));
                place.insert(NodeState::of(view, node, of_cluster));
            }
            // Only pods have addresses of blocks, and a node is of one cluster.
            if is_pods(port)
                && let Some(node) = found.nodes.get(&id)
                && clusters.insert(node.node.cluster)
            {
                found.not_reached.add(view, node.node.cluster);
            }
        }
        found
    }

    /// A node.
    pub fn get(&self, id: NodeId) -> Option<&NodeState> {
        self.nodes.get(&id)
    }

    /// Facts of a port.
    pub fn facts(&self, port: &Port) -> PortFacts {
        let node = port.node.and_then(|id| self.get(id));
        let block = match self.not_reached.0.is_empty() {
            true => None,
            false => node.and_then(|node| node.block_of(port)),
        };
        PortFacts {
            enabled: port.admin_state_up,
            has_address: !port.fixed_ips.is_empty(),
            node: node.map(|node| node.port_facts(port)),
            not_reached: block.and_then(|block| self.not_reached.0.get(&block.id)).cloned(),
        }
    }

    /// Status of a port, and why when it is not active.
    pub fn status(&self, port: &Port) -> (PortStatus, Option<Cause>) {
        derive(&self.facts(port))
    }

    /// Name of the node a port is bound to, or the host a client set.
    pub fn host<'a>(&'a self, port: &'a Port) -> &'a str {
        port.node
            .and_then(|id| self.get(id))
            .map_or(&*port.host, |node| &*node.node.name)
    }
}

/// A cause as it goes on the wire.
pub fn reason(cause: &Cause) -> Reason {
    cause.reason(|micros| Time(micros).to_string())
}
