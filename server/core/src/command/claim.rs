//! What agents hold of a history that was lost, and want to keep.

use std::net::IpAddr;

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, NodeId};

use crate::model::Revision;

/// What an agent holds of a history that was lost. Its leases have been verified.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The node that shows it.
    pub node: NodeId,
    /// The newest revision of the other history that it has.
    pub shown: Revision,
    /// The newest revision that both histories have; `None`: none that is known.
    pub fork: Option<Revision>,
    /// Nodes that the store lacks, as far as they are known.
    pub nodes: Vec<ClaimedNode>,
    /// Blocks that the store lacks.
    pub blocks: Vec<ClaimedBlock>,
}

/// A node of a history that was lost.
#[derive(Debug, Clone)]
pub struct ClaimedNode {
    /// Its id there.
    pub id: NodeId,
    /// Its name there: a label.
    pub name: String,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

/// A lease of a history that was lost.
#[derive(Debug, Clone)]
pub struct ClaimedBlock {
    /// Its id there.
    pub id: BlockId,
    /// The node it was leased to.
    pub node: NodeId,
    /// SHA-256 of the public key of the machine that was that node.
    pub machine: [u8; 32],
    /// Its addresses.
    pub cidr: Cidr,
    /// The revision that leased it there.
    pub leased_at: Revision,
}
