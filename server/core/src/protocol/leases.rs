//! Which leases of a history that was lost count: those that the control plane signed, shown by a node that it had told
//! that history.

use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, ClusterId, NodeId};

use crate::command::{Claim, ClaimedBlock, ClaimedNode};
use crate::model::Revision;

/// A lease of a block, to a node that is this machine: what the control plane signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its node.
    pub node: NodeId,
    /// SHA-256 of the node's public key.
    pub machine: [u8; 32],
    /// The block.
    pub block: BlockId,
    /// The block's addresses.
    pub prefix: Cidr,
    /// The revision that leased it.
    pub leased_at: Revision,
}

/// The other history, as far as a node has shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shown {
    /// The newest revision of it that the node has.
    pub revision: Revision,
    /// The newest revision that both histories have; `None`: none that is known.
    pub fork: Option<Revision>,
    /// Whether the control plane has told the node that revision.
    pub proven: bool,
}

impl Shown {
    /// What the node claims, of what it shows; `None` if nothing of it is proven. A lease that is not `signed` does not
    /// count.
    pub fn claim<P>(
        self,
        node: NodeId,
        nodes: impl IntoIterator<Item = ClaimedNode>,
        leases: impl IntoIterator<Item = (Lease, P)>,
        signed: impl Fn(&Lease, &P) -> bool,
    ) -> Option<Claim> {
        let signed = leases.into_iter().filter(|(lease, proof)| signed(lease, proof));
        self.proven.then(|| Claim {
            node,
            shown: self.revision,
            fork: self.fork,
            nodes: nodes.into_iter().collect(),
            blocks: signed.map(|(lease, _)| lease.claimed()).collect(),
        })
    }
}

impl Lease {
    /// As a command names it.
    pub fn claimed(self) -> ClaimedBlock {
        ClaimedBlock {
            id: self.block,
            node: self.node,
            machine: self.machine,
            cidr: self.prefix,
            leased_at: self.leased_at,
        }
    }
}
