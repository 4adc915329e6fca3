//! Of two machines with one identity, and of two streams of one, the newer ticket counts.

use portolan_shared::refusal::Refusal;

use crate::command::{Actor, Request};
use crate::draft::Draft;
use crate::model::NodeStatus;
use crate::protocol::tickets::both;

/// Whether what is asked counts: it does not once a newer ticket is known. One that is not known yet is known from now on:
/// what an older stream says afterwards comes too late, also by another replica.
pub(super) fn counts(draft: &mut Draft<'_>, request: &Request) -> Result<(), Refusal> {
    let (Actor::Node(id), Some((machine, tickets))) = (request.actor, request.ticket) else {
        return Ok(());
    };
    let (Some(node), Some(status)) = (draft.node(id), draft.node_status(id)) else {
        return Ok(());
    };
    if node.key_hash != Some(machine) {
        return Ok(());
    }
    if status.tickets.given > tickets.given {
        return Err(Refusal::NodeCopied {
            node: node.name.clone(),
        });
    }
    let known = both(status.tickets, tickets);
    if known != status.tickets {
        draft.put_quiet(NodeStatus {
            tickets: known,
            ..(*status).clone()
        });
    }
    Ok(())
}
