//! Claims: what an agent holds of a history that was lost, checked lease by lease and handed to the writer.

use portolan_core::command::{Claim, ClaimedNode, Command};
use portolan_core::protocol::leases::{Lease, Shown};
use portolan_shared::check;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_wire::agent::{self, Block, ClaimAck, Node, to_agent::Message as Out};
use portolan_wire::field::{self, BadField};
use portolan_wire::item::{Items, read};
use tokio_tungstenite::tungstenite::Bytes;

use super::hello::Has;
use super::hub::Hub;
use super::pki::Identity;
use super::reports_in;
use super::state::frame;

/// Most items of a claim: more than a cluster has nodes and blocks.
const MOST_ITEMS: usize = 65_536;

/// A claim that comes in parts.
pub(super) struct Claiming {
    shown: Shown,
    items: Items,
    count: usize,
}

impl Claiming {
    /// Of an agent that has this. `proven`: the control plane has told it so.
    pub(super) fn new(hub: &Hub, has: &Has, proven: bool) -> Self {
        let revision = has.point.revision;
        let fork = hub
            .control
            .read(|view| view.history().fork(view.head(), &has.spans, revision));
        Self {
            shown: Shown { revision, fork, proven },
            items: Items::default(),
            count: 0,
        }
    }

    /// Takes a part; whether it was the last.
    pub(super) fn take(&mut self, part: agent::Claim) -> Result<bool, BadField> {
        self.count += part.items.len();
        if self.count > MOST_ITEMS {
            return Err(BadField::Other("items"));
        }
        for item in part.items {
            let (id, body) = read(item)?;
            self.items.put(id, body);
        }
        Ok(!part.more)
    }

    /// The command, of those leases that the control plane has signed. `None`: nothing of it is proven.
    fn command(&self, hub: &Hub, identity: &Identity) -> Option<Claim> {
        let lease = |block: Block| {
            let node = NodeId::from_bytes(field::id("node_id", &block.node_id).ok()?);
            let lease = Lease {
                cluster: identity.cluster,
                node,
                machine: self.machine(hub, node)?,
                block: BlockId::from_bytes(field::id("block.id", &block.id).ok()?),
                prefix: field::prefix("prefix", block.prefix.as_ref()?).ok()?,
                leased_at: block.leased_at,
            };
            Some((lease, block.lease))
        };
        let node = |node: Node| {
            Some(ClaimedNode {
                id: NodeId::from_bytes(field::id("node.id", &node.id).ok()?),
                name: check::label("name", &node.name).ok()?,
                addresses: field::addresses("addresses", &node.addresses).ok()?,
            })
        };
        self.shown.claim(
            identity.node,
            self.items.all::<Node>().filter_map(node),
            self.items.all::<Block>().filter_map(lease),
            |lease, proof| hub.seal.leased(lease, proof),
        )
    }

    /// The machine that was a node: as the claim says, or as the store does of a node that it knows.
    fn machine(&self, hub: &Hub, node: NodeId) -> Option<[u8; 32]> {
        let claimed = self.items.get::<Node>(*node.as_bytes());
        let claimed = claimed.and_then(|node| <[u8; 32]>::try_from(node.machine).ok());
        claimed.or_else(|| hub.control.read(|view| view.node(node)?.machine()))
    }

    /// Records the claim; the answer says up to which revision it is decided. `None` if the store cannot write: the agent
    /// must then claim again.
    pub(super) async fn record(self, hub: &Hub, identity: &Identity, by: reports_in::By) -> Option<Bytes> {
        let node = identity.node;
        let revision = match self.command(hub, identity) {
            None => {
                tracing::warn!(%node, "a node shows another history, without proof that it was told it");
                hub.control.read(|view| view.head())
            }
            Some(claim) => {
                let (blocks, shown) = (claim.blocks.len(), claim.shown);
                match hub.control.write(by.asks(Command::Claim(claim))).await {
                    Ok(outcome) => {
                        let found = outcome.objects.len();
                        tracing::warn!(%node, shown, blocks, found, "a node has shown that the store had another history");
                        outcome.revision
                    }
                    Err(refusal) => {
                        tracing::warn!(%node, %refusal, "cannot record what a node claims");
                        return None;
                    }
                }
            }
        };
        hub.shown(node);
        Some(frame(Out::ClaimAck(ClaimAck { revision })))
    }
}
