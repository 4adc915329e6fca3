//! What is said of blocks that are not to be had or not to be reached, and of nodes that wait.

use super::Reason;
use crate::addr::Cidr;
use crate::kinds::quarantined_blocks::HeldBlocks;
use crate::refusal::Param as _;

/// That the kernel of one node refused the route to a block of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoute {
    /// The node at the other end, for sentences: of a port, the one that does not reach it; of a node, the one it does not
    /// reach.
    pub node: String,
    /// The block.
    pub block: Cidr,
    /// The kernel's words.
    pub words: String,
    /// How many more there are like this one: of a port, nodes; of a node, blocks.
    pub more: u64,
}

impl NoRoute {
    /// What a translated sentence needs; the node as `node-2 (+3)`.
    pub(super) fn params(&self) -> Vec<(String, String)> {
        let node = match self.more {
            0 => self.node.clone(),
            more => format!("{} (+{more})", self.node),
        };
        let param = |name: &str, value| (name.to_owned(), value);
        vec![
            param("node", node),
            param("block", self.block.to_string()),
            param("words", self.words.clone()),
        ]
    }
}

/// That a node gets no further block of pod addresses, since all are leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoBlock {
    /// The node that wants one.
    pub node: String,
    /// How many more nodes want one, where a cluster or a subnet says it.
    pub more: u64,
    /// Blocks leased.
    pub blocks: u64,
    /// Nodes that have a block without pods, some of them.
    pub empty: Vec<String>,
    /// Blocks that machines hold which are no nodes any more.
    pub held: HeldBlocks,
}

impl NoBlock {
    /// The code of nodes, clusters and subnets alike.
    pub const CODE: &'static str = "node.no_block";

    /// As a row shows it.
    pub fn reason(&self) -> Reason {
        let (node, have) = match self.more {
            0 => (self.node.clone(), format!("{} has", self.node)),
            1 => (
                format!("{} (+1)", self.node),
                format!("{} and 1 more node have", self.node),
            ),
            more => (
                format!("{} (+{more})", self.node),
                format!("{} and {more} more nodes have", self.node),
            ),
        };
        let empty = match self.empty.is_empty() {
            true => "-".to_owned(),
            false => self.empty.join(", "),
        };
        Reason {
            code: Self::CODE.to_owned(),
            sentence: format!(
                "{have} no free block: all {} are leased; nodes with empty blocks: {empty}{}.",
                self.blocks, self.held
            ),
            params: vec![
                ("node".to_owned(), node),
                ("blocks".to_owned(), self.blocks.to_string()),
                ("empty".to_owned(), empty),
                ("held".to_owned(), self.held.param()),
            ],
            since: None,
        }
    }
}

/// Nodes that were found again after the store was put back to an older state, and that wait for an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The first of them.
    pub node: String,
    /// How many more there are, where a cluster says it.
    pub more: u64,
}

impl Found {
    /// The code of ports, nodes and clusters alike.
    pub const CODE: &'static str = "node.waits";

    /// As a row shows it.
    pub fn reason(&self) -> Reason {
        let Self { node, more } = self;
        let (param, were, pods) = match more {
            0 => (node.clone(), format!("{node} was"), "Its"),
            1 => (format!("{node} (+1)"), format!("{node} and 1 more node were"), "Their"),
            more => (
                format!("{node} (+{more})"),
                format!("{node} and {more} more nodes were"),
                "Their",
            ),
        };
        let waits = if *more == 0 { "waits" } else { "wait" };
        Reason {
            code: Self::CODE.to_owned(),
            params: vec![("node".to_owned(), param)],
            sentence: format!(
                "{were} found again after the control plane was put back to an older state, and {waits} to be admitted \
                 or removed. {pods} pods run on."
            ),
            since: None,
        }
    }
}
