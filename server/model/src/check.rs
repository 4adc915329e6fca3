//! What must be so in every world, and what must be so in some.

use portolan_core::model::NodeStatus;
use portolan_core::protocol::standing::Standing;
use stateright::Property;

use crate::protocol::Protocol;
use crate::store::{Rows, key, number};
use crate::world::{Machine, World};

pub(crate) fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no block is live at two nodes", once),
        Property::always("in the end each pod's block is its node's, or is named", named),
        Property::sometimes(
            "a lease of a history that was lost is taken back",
            |_, world: &World| world.store.epochs().any(|epoch| epoch.blocks_found > 0),
        ),
        Property::sometimes("a block is in quarantine", |_, world: &World| {
            world.store.quarantined().next().is_some()
        }),
        Property::sometimes("a machine is told that its node was removed", |_, world: &World| {
            world.machines.iter().any(|machine| machine.removed)
        }),
        Property::sometimes("a copy of a machine is told from it", |_, world: &World| {
            world.store.all::<NodeStatus>().any(|status| status.copied.is_some())
        }),
    ]
}

/// No two machines give addresses of one block, or have pods with them. A machine and its copy are told apart when both
/// have shown themselves, and not before.
fn once(protocol: &Protocol, world: &World) -> bool {
    let mut seen: Vec<(u8, u8)> = Vec::new();
    for machine in &world.machines {
        let live = protocol.live(machine);
        if seen
            .iter()
            .any(|(number, other)| *number != machine.number && other & live != 0)
        {
            return false;
        }
        seen.push((machine.number, live));
    }
    true
}

/// Where nothing is on its way any more and all have heard all, the block of each pod is leased to its node, or is in
/// quarantine for its machine, or in dispute by name.
fn named(protocol: &Protocol, world: &World) -> bool {
    let settled = world.late.is_empty()
        && world.servers.iter().all(|server| server.view == world.store)
        && world
            .machines
            .iter()
            .all(|machine| is_settled(protocol, world, machine));
    !settled || world.machines.iter().all(|machine| is_named(world, machine))
}

fn is_settled(protocol: &Protocol, world: &World, machine: &Machine) -> bool {
    if !machine.on || machine.removed || machine.node.is_none() {
        return true;
    }
    match &machine.stream {
        Some(stream) => {
            stream.arriving.is_some()
                && !stream.claiming
                && stream.up.is_empty()
                && stream.down.is_empty()
                && !world.has_news(protocol, machine)
        }
        None => matches!(
            world.standing(protocol, 0, machine),
            Standing::Waits | Standing::Unknown
        ),
    }
}

fn is_named(world: &World, machine: &Machine) -> bool {
    machine.pods.keys().all(|&block| {
        let own = |node| {
            world
                .store
                .nodes()
                .any(|known| known.id == node && known.machine() == Some(key(machine.number)))
        };
        let leased = world
            .store
            .blocks()
            .any(|lease| number(lease.cidr) == block && own(lease.node));
        let mut held = world.store.quarantined();
        let disputed = |epoch: &portolan_core::kinds::epochs::Epoch| {
            epoch.disputes.iter().any(|dispute| number(dispute.cidr) == block)
        };
        leased
            || held.any(|held| number(held.cidr) == block && held.machine == key(machine.number))
            || world.store.epochs().any(|epoch| disputed(&epoch))
    })
}

/// Whether each lease to a node that is not in a copy of the database has been heard of by a machine that is, and no such
/// node was removed: of that agents hear nothing.
pub(crate) fn heard_of(world: &World, copy: &Rows) -> bool {
    let known = |machine: &&Machine| copy.nodes().any(|node| Some(node.id) == machine.node);
    let unknown = |id| copy.nodes().all(|node| node.id != id);
    let mut leases = world.store.blocks().filter(|block| unknown(block.node));
    world.store.quarantined().all(|block| !unknown(block.node))
        && leases.all(|lease| {
            let heard = |other: &Machine| {
                let desired = other.node.map(|node| other.desired.desired(node));
                desired.is_some_and(|desired| desired.remote_blocks.iter().any(|block| block.id == lease.id))
            };
            world
                .machines
                .iter()
                .filter(known)
                .any(|other| other.on && !other.removed && heard(other))
        })
}
