//! Rows of clusters and nodes.

use std::sync::Arc;

use portolan_core::fields::moment;
use portolan_core::model::{Block, Cluster, Loss, Micros, Network, Node, Subnet};
use portolan_core::view::{PortScope, View};
use portolan_shared::cluster::blocks;
use portolan_shared::stages;
use portolan_shared::status::{NoBlock, Reason};
use portolan_shared::v1::{BlockRow, ClusterRow, ExternalIp, NodeRow, NodeState as NodeWord, Probes, Ref};

use super::{subnet_ref, used_of};
use crate::api::paths::{Standings, probes};
use crate::api::status::{NodeState, found, no_block, reason};

/// What a cluster's row is made of.
pub struct ClusterFacts {
    cluster: Arc<Cluster>,
    network: Option<Arc<Network>>,
    subnets: Option<(Arc<Subnet>, Arc<Subnet>)>,
    nodes: Vec<NodeState>,
    no_block: Option<NoBlock>,
    pods: u64,
    blocks: u64,
}

impl ClusterFacts {
    /// From the view.
    pub fn of(view: &View, cluster: &Arc<Cluster>) -> Self {
        let standings = Standings::of(view, cluster.id);
        Self {
            cluster: Arc::clone(cluster),
            network: view.network(cluster.network).cloned(),
            subnets: view
                .subnet(cluster.node_subnet)
                .cloned()
                .zip(view.subnet(cluster.pod_subnet).cloned()),
            no_block: no_block(view, view.nodes_of(cluster.id)),
            nodes: view
                .nodes_of(cluster.id)
                .map(|node| NodeState::of(view, node, &standings))
                .collect(),
            pods: view.pod_count(PortScope::Cluster(cluster.id)),
            blocks: view.count_of::<Block>(cluster.id),
        }
    }

    /// What its word and its stages depend on.
    fn facts(&self) -> stages::ClusterFacts {
        let node = |state: &NodeState| {
            let (word, _) = state.word(self.no_block.as_ref());
            stages::NodeFacts {
                joined_at: state.node.joined_at,
                ready: word.counts_as_ready(),
                no_block: word == NodeWord::NoBlock || (word == NodeWord::Expected && state.no_block),
                since: state.facts().since,
            }
        };
        stages::ClusterFacts {
            created_at: self.cluster.meta.created_at,
            external_ip: self.cluster.external_ip.is_some(),
            shadow_port: self
                .network
                .as_ref()
                .is_some_and(|network| network.shadow_port.is_some()),
            nodes_from: self.cluster.nodes_from,
            wanted: self.cluster.nodes_wanted.into(),
            nodes: self.nodes.iter().map(node).collect(),
            no_block: self.no_block.clone(),
            found: found(&self.nodes),
        }
    }

    /// The row; `None` if the cluster's subnets are gone, which the writer never lets happen.
    pub fn row(&self) -> Option<ClusterRow> {
        let cluster = &*self.cluster;
        let (node_subnet, pod_subnet) = self.subnets.as_ref()?;
        let facts = self.facts();
        let ready = facts.nodes.iter().filter(|node| node.ready).count();
        Some(ClusterRow {
            id: cluster.id,
            name: cluster.name.clone(),
            state: facts.state(),
            reason: facts.because().as_ref().map(stages::Because::reason),
            network: Ref {
                id: cluster.network,
                name: self
                    .network
                    .as_ref()
                    .map(|network| network.name.clone())
                    .unwrap_or_default(),
            },
            private_network: cluster.private_network,
            node_subnet: subnet_ref(node_subnet),
            pod_subnet: subnet_ref(pod_subnet),
            service_range: cluster.service_range,
            path: cluster.path,
            external_ip: cluster.external_ip.map(|ip| ExternalIp {
                address: ip.address,
                carried: false,
                reason: Some(stages::Because::NoGateway.reason()),
            }),
            nodes_from: cluster.nodes_from,
            nodes_wanted: cluster.nodes_wanted,
            stages: facts.stages(moment),
            mtu: self.network.as_ref().map_or(0, |network| network.mtu),
            nodes: u64::try_from(self.nodes.len()).unwrap_or(u64::MAX),
            nodes_ready: u64::try_from(ready).unwrap_or(u64::MAX),
            pods: self.pods,
            blocks: self.blocks,
            blocks_total: u64::try_from(blocks(pod_subnet.cidr)).unwrap_or(u64::MAX),
            created_at: moment(cluster.meta.created_at),
            revision_number: cluster.meta.revision_number,
        })
    }
}

/// What a node's row is made of.
pub struct NodeFacts {
    state: NodeState,
    blocks: Vec<(Arc<Block>, u64)>,
    pods: u64,
    probes: Option<Probes>,
}

impl NodeFacts {
    /// From the view; `standings` are those of its cluster.
    pub fn of(view: &View, node: &Arc<Node>, standings: &Standings) -> Self {
        let state = NodeState::of(view, node, standings);
        let blocks = state
            .blocks
            .iter()
            .map(|block| (Arc::clone(block), used_of(view, block)))
            .collect();
        Self {
            state,
            blocks,
            pods: view.pod_count(PortScope::Node(node.id)),
            probes: probes(view, node),
        }
    }

    /// The row.
    ///
    /// `no_block` is the cluster's.
    pub fn row(&self, now: Micros, no_block: Option<&NoBlock>) -> NodeRow {
        let node = &*self.state.node;
        let facts = self.state.facts();
        let (word, cause) = self.state.word(no_block);
        let mut blocks: Vec<BlockRow> = self
            .blocks
            .iter()
            .map(|(block, used)| BlockRow {
                id: block.id,
                cidr: block.cidr,
                used: *used,
            })
            .collect();
        blocks.sort_by_key(|block| block.cidr);
        let heard = match (facts.awaited, facts.online) {
            (Some((_, heard)), true) => heard,
            (None, true) => now,
            (_, false) => facts.since,
        };
        NodeRow {
            id: node.id,
            name: node.name.clone(),
            state: word,
            reason: cause.as_ref().map(reason),
            addresses: node.addresses.clone(),
            port: node.port,
            blocks,
            pods: self.pods,
            applied_revision: facts.applied_revision,
            wanted_revision: facts.wanted_revision,
            last_contact: facts.joined.then(|| moment(heard)),
            agent_version: self
                .state
                .status
                .as_ref()
                .map(|s| s.agent_version.clone())
                .unwrap_or_default(),
            losses: self.losses(),
            probes: self.probes.clone(),
            created_at: moment(node.meta.created_at),
        }
    }

    fn losses(&self) -> Vec<Reason> {
        let losses = self.state.status.iter().flat_map(|status| &status.losses);
        losses.map(lost).collect()
    }
}

/// What others took away from a host, and whether it is back.
pub fn lost(loss: &Loss) -> Reason {
    let what = loss.kind.what();
    let by = loss.by.as_deref().unwrap_or("another program");
    let [back, open, contested] = NodeRow::LOSS_CODES;
    let (code, then) = match (loss.contested, loss.back_after_ms) {
        (true, _) => (
            contested,
            "again and again, so it is put back once in a while".to_owned(),
        ),
        (_, Some(ms)) => (back, format!("put back in {ms} ms")),
        (_, None) => (open, "not put back yet".to_owned()),
    };
    let param = |name: &str, value: String| (name.to_owned(), value);
    let mut params = vec![
        param("kind", loss.kind.word().to_owned()),
        param("n", loss.objects.to_string()),
        param("by", by.to_owned()),
        param("today", loss.today.to_string()),
    ];
    params.extend(loss.back_after_ms.map(|ms| param("ms", ms.to_string())));
    let n = loss.objects;
    Reason {
        code: code.to_owned(),
        params,
        sentence: format!(
            "Taken away by {by}: {what} ({n}); {then}; time {} of that day.",
            loss.today
        ),
        since: Some(moment(loss.first_seen)),
    }
}
