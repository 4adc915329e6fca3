//! Nodes, their join tokens, and the blocks of pod addresses they lease.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::holder::{Holder, Plain};
use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId, PortId};
use portolan_shared::refusal::Refusal;

use super::{Goes, Removal, addresses, blocks, check_quota, check_revision, not_found, visible};
use crate::command::{NodeReport, Request};
use crate::draft::Draft;
use crate::kinds::losses;
use crate::kinds::removed_nodes::RemovedNode;
use crate::model::display_name;
use crate::model::{
    Awaited, Block, Cluster, FixedIp, JoinToken, Key, Micros, Node, NodeStatus, Object, Port, Project, Tickets, owner,
};
use crate::protocol::tickets;
use crate::quotas::Counted;
use crate::view::PortScope;

/// Most join tokens of a cluster at a time; spent and expired ones make room.
const TOKENS_MAX: usize = 256;

pub(super) fn create(
    draft: &mut Draft<'_>,
    request: &Request,
    cluster: ClusterId,
    name: &str,
    address: Option<IpAddr>,
) -> Result<Vec<Object>, Refusal> {
    let cluster = visible(request, draft.cluster(cluster), "Cluster", cluster)?;
    let (node, port) = make(draft, &cluster, name, address)?;
    Ok(vec![draft.put(node), draft.put(port)])
}

/// A node and its port, not yet put.
fn make(
    draft: &mut Draft<'_>,
    cluster: &Cluster,
    name: &str,
    address: Option<IpAddr>,
) -> Result<(Node, Port), Refusal> {
    if draft.of::<Node>(cluster.id).iter().any(|node| node.name == name) {
        return Err(Refusal::NodeNameTaken {
            name: name.to_owned(),
            cluster: cluster.name.clone(),
        });
    }
    let project = draft
        .project(cluster.meta.project)
        .ok_or_else(|| not_found("Project", cluster.meta.project))?;
    check_quota(draft, &project, Counted::Ports, 1)?;
    let address = node_address(draft, cluster, address)?;
    let (id, port): (NodeId, PortId) = (draft.new_id().into(), draft.new_id().into());
    let node = Node {
        id,
        meta: draft.new_meta(cluster.meta.project),
        cluster: cluster.id,
        name: name.to_owned(),
        addresses: vec![address],
        port,
        joined_at: None,
        key_hash: None,
        found: None,
    };
    let port = port_of(draft, cluster, &project, &node, &[address])?;
    Ok((node, port))
}

/// The port of a node, not yet put.
fn port_of(
    draft: &mut Draft<'_>,
    cluster: &Cluster,
    project: &Project,
    node: &Node,
    addresses: &[IpAddr],
) -> Result<Port, Refusal> {
    let network = draft
        .network(cluster.network)
        .ok_or_else(|| not_found("Network", cluster.network))?;
    let fixed_ips = addresses.iter().map(|address| FixedIp {
        subnet: cluster.node_subnet,
        address: *address,
    });
    Ok(Port {
        id: node.port,
        meta: draft.new_meta(cluster.meta.project),
        network: cluster.network,
        name: node.name.as_str().into(),
        description: "".into(),
        mac: draft.next_mac(project, cluster.network),
        fixed_ips: fixed_ips.collect(),
        admin_state_up: true,
        device_owner: owner::NODE.into(),
        device_id: node.id.to_string().into(),
        node: Some(node.id),
        host: "".into(),
        pod: None,
        port_security_enabled: network.port_security_enabled,
    })
}

/// The port of a node that was found again, if its addresses are free.
pub(super) fn port_again(draft: &mut Draft<'_>, cluster: &Cluster, node: &Node) -> Result<Port, Refusal> {
    let project = draft
        .project(cluster.meta.project)
        .ok_or_else(|| not_found("Project", cluster.meta.project))?;
    for address in &node.addresses {
        node_address(draft, cluster, Some(*address))?;
    }
    port_of(draft, cluster, &project, node, &node.addresses)
}

fn node_address(draft: &mut Draft<'_>, cluster: &Cluster, asked: Option<IpAddr>) -> Result<IpAddr, Refusal> {
    let id = cluster.node_subnet;
    let subnet = draft.subnet(id).ok_or_else(|| not_found("Subnet", id))?;
    let name = || display_name(&subnet.name, id);
    let Some(address) = asked else {
        let address = draft
            .next_address(id)
            .ok_or_else(|| addresses::exhausted(draft, &subnet))?;
        draft.walked_to(id, address);
        return Ok(address);
    };
    if !subnet.cidr.hosts().contains(address) {
        return Err(Refusal::AddressOutside {
            address,
            subnet: name(),
            cidr: subnet.cidr,
        });
    }
    let holder = match draft.port_at(id, address) {
        Some(port) => super::describe(&port, Some(cluster.meta.project)),
        None if subnet.gateway == Some(address) => Holder::The(Plain::Gateway),
        None => return Ok(address),
    };
    Err(Refusal::AddressTaken {
        address,
        subnet: name(),
        holder,
    })
}

/// A node, not yet put, that has another address of the family; its port has it already.
fn moved(draft: &mut Draft<'_>, cluster: &Cluster, node: &Node, address: IpAddr) -> Result<Node, Refusal> {
    node_address(draft, cluster, Some(address))?;
    let other = |old: &IpAddr| old.is_ipv4() != address.is_ipv4();
    let mut addresses: Vec<IpAddr> = node.addresses.iter().copied().filter(other).collect();
    addresses.push(address);
    if let Some(port) = draft.port(node.port) {
        let mut fixed_ips: Vec<FixedIp> = port.fixed_ips.iter().copied().filter(|ip| other(&ip.address)).collect();
        fixed_ips.push(FixedIp {
            subnet: cluster.node_subnet,
            address,
        });
        draft.put(Port {
            meta: draft.changed(&port.meta),
            fixed_ips: fixed_ips.into(),
            ..(*port).clone()
        });
    }
    Ok(Node {
        addresses,
        ..node.clone()
    })
}

/// Says that a node has another address now: the other nodes' routes lead there.
pub(super) fn relocate(
    draft: &mut Draft<'_>,
    request: &Request,
    id: NodeId,
    address: IpAddr,
) -> Result<Vec<Object>, Refusal> {
    let node = visible(request, draft.node(id), "Node", id)?;
    check_revision(request, &node.meta, "Node", id)?;
    if node.addresses.contains(&address) {
        return Ok(vec![Object::Node(node)]);
    }
    let cluster = draft.cluster(node.cluster).ok_or(Refusal::NodeRemoved {})?;
    let moved = moved(draft, &cluster, &node, address)?;
    let meta = draft.changed(&node.meta);
    Ok(vec![draft.put(Node { meta, ..moved })])
}

pub(super) fn removal(draft: &Draft<'_>, request: &Request, id: NodeId) -> Result<Removal, Refusal> {
    let node = visible(request, draft.node(id), "Node", id)?;
    check_revision(request, &node.meta, "Node", id)?;
    let nodes = u32::try_from(draft.of::<Node>(node.cluster).len()).unwrap_or(u32::MAX);
    let mut removal = Removal::default();
    // One that is removed is not wanted any more; nodes beyond what was wanted do not count.
    if let Some(cluster) = draft.cluster(node.cluster).filter(|c| nodes <= c.nodes_wanted) {
        removal.becomes.push(Object::from(Cluster {
            meta: draft.changed(&cluster.meta),
            nodes_wanted: cluster.nodes_wanted - 1,
            ..(*cluster).clone()
        }));
    }
    removal.goes.push(Goes::Node(Arc::clone(&node)));
    for token in draft.of::<JoinToken>(node.cluster) {
        if token.node == Some(id) {
            removal.take(token);
        }
    }
    Ok(removal)
}

/// Deletes a node with its blocks, its own port and its pods' ports.
pub(super) fn take_away(draft: &mut Draft<'_>, node: &Node) {
    for port in draft.ports(PortScope::Node(node.id)) {
        draft.delete(Key::Port(port.id));
    }
    blocks::part_from_machine(draft, node);
    if draft.node_status(node.id).is_some() {
        draft.delete(Key::NodeStatus(node.id));
    }
    losses::node_goes(draft, node.id);
    draft.delete(Key::Node(node.id));
}

pub(super) fn create_token(
    draft: &mut Draft<'_>,
    request: &Request,
    cluster: ClusterId,
    node: Option<NodeId>,
    secret_hash: [u8; 32],
    expires_at: Micros,
) -> Result<Vec<Object>, Refusal> {
    let cluster = visible(request, draft.cluster(cluster), "Cluster", cluster)?;
    if let Some(id) = node {
        draft
            .node(id)
            .filter(|node| node.cluster == cluster.id)
            .ok_or_else(|| not_found("Node", id))?;
    }
    // What is spent or too old is of no use to anybody: it makes room.
    let (dead, live): (Vec<_>, Vec<_>) = draft
        .of::<JoinToken>(cluster.id)
        .into_iter()
        .partition(|token| token.spent_at.is_some() || token.expires_at <= draft.now);
    if live.len() >= TOKENS_MAX {
        return Err(Refusal::TooMany {
            field: "join-tokens".to_owned(),
            max: TOKENS_MAX,
            count: live.len() + 1,
        });
    }
    if live.len() + dead.len() >= TOKENS_MAX {
        for token in dead {
            draft.delete(Key::JoinToken(token.id));
        }
    }
    let token = JoinToken {
        id: draft.new_id().into(),
        meta: draft.new_meta(cluster.meta.project),
        secret_hash,
        cluster: cluster.id,
        node,
        expires_at,
        spent_at: None,
    };
    Ok(vec![draft.put(token)])
}

pub(super) fn join(
    draft: &mut Draft<'_>,
    token: JoinTokenId,
    secret_hash: &[u8; 32],
    name: &str,
    address: IpAddr,
    key_hash: [u8; 32],
) -> Result<Vec<Object>, Refusal> {
    let token = draft
        .join_token(token)
        .filter(|token| token.secret_hash == *secret_hash)
        .ok_or(Refusal::TokenUnknown {})?;
    if token.spent_at.is_some() {
        return Err(Refusal::TokenSpent {});
    }
    if token.expires_at <= draft.now {
        return Err(Refusal::TokenExpired {});
    }
    let cluster = draft.cluster(token.cluster).ok_or(Refusal::TokenUnknown {})?;
    let (mut port, mut another) = (None, false);
    // A host that was away for longer than its certificate's life is the node that it was, by its key.
    let joined_before = || {
        let nodes = draft.of::<Node>(cluster.id);
        nodes
            .iter()
            .find(|node| node.key_hash == Some(key_hash))
            .map(|node| node.id)
    };
    let node = match token.node.or_else(joined_before) {
        Some(id) => {
            let node = draft.node(id).ok_or(Refusal::NodeRemoved {})?;
            let known = node.addresses.contains(&address);
            if !known && token.node.is_none() {
                return Err(Refusal::NodeAddressMismatch {
                    node: node.name.clone(),
                    given: address.to_string(),
                    expected: node
                        .addresses
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
            // Whoever has the node's own token may say where it is now.
            let node = if known {
                node
            } else {
                Arc::new(moved(draft, &cluster, &node, address)?)
            };
            another = node.machine().is_some_and(|machine| machine != key_hash);
            if another {
                blocks::part_from_machine(draft, &node);
            }
            let meta = draft.changed(&node.meta);
            Node {
                meta,
                joined_at: Some(draft.now),
                key_hash: Some(key_hash),
                found: None,
                ..(*node).clone()
            }
        }
        None => {
            let (node, made) = make(draft, &cluster, name, Some(address))?;
            port = Some(made);
            Node {
                joined_at: Some(draft.now),
                key_hash: Some(key_hash),
                ..node
            }
        }
    };
    let meta = draft.changed(&token.meta);
    draft.put(JoinToken {
        meta,
        spent_at: Some(draft.now),
        ..(*token).clone()
    });
    match draft.node_status(node.id) {
        None => drop(draft.put(NodeStatus::of(&node, draft.revision(), draft.now))),
        // Another machine has tickets of its own.
        Some(status) if another => drop(draft.put(NodeStatus {
            revision: draft.revision(),
            tickets: Tickets::default(),
            copied: None,
            ..(*status).clone()
        })),
        Some(_) => {}
    }
    let mut made = vec![draft.put(node.clone())];
    if draft.get::<RemovedNode>(key_hash).is_some() {
        draft.delete(Key::RemovedNode(key_hash));
    }
    blocks::lease_again(draft, &node, key_hash);
    let mut blocks: Vec<Object> = draft.of::<Block>(node.id).into_iter().map(Object::Block).collect();
    if blocks.is_empty() {
        blocks.push(blocks::lease(draft, &node, &cluster)?);
    }
    made.extend(blocks);
    made.extend(port.map(|port| draft.put(port)));
    Ok(made)
}

/// Notes that nodes are waited for after a start; those that are stored as online.
pub(super) fn wait_for(draft: &mut Draft<'_>, nodes: &[(NodeId, Micros)]) -> Vec<Object> {
    let mut changed = Vec::with_capacity(nodes.len());
    for (node, heard) in nodes {
        let Some(status) = draft.node_status(*node).filter(|status| status.online) else {
            continue;
        };
        let awaited = Awaited {
            since: draft.now,
            heard: *heard,
        };
        changed.push(draft.put(NodeStatus {
            revision: draft.revision(),
            awaited: Some(awaited),
            ..(*status).clone()
        }));
    }
    changed
}

pub(super) fn report(draft: &mut Draft<'_>, reports: &[NodeReport]) -> Vec<Object> {
    let mut changed = Vec::new();
    for report in reports {
        let Some(node) = draft.node(report.node) else { continue };
        let old = draft.node_status(node.id);
        let mut new = old
            .as_deref()
            .cloned()
            .unwrap_or_else(|| NodeStatus::of(&node, draft.revision(), draft.now));
        if let Some((online, since)) = report.online {
            // A stream is lost by the replica that holds it and by no other.
            let others = new.held_by.is_some() && report.by.is_some() && new.held_by != report.by;
            if (online || !others) && (online != new.online || old.is_none()) {
                (new.online, new.since) = (online, since);
                // An agent that comes back says anew what its probes say, if it sends any.
                new.paths = None;
            }
            if online {
                new.held_by = report.by;
            }
            if online || !others {
                new.awaited = None;
            }
        }
        if let Some(beat) = report.beat
            && new.held_by == report.by
        {
            new.beat = beat;
        }
        if let Some((revision, exceptions)) = &report.applied {
            new.applied_revision = *revision;
            new.exceptions.clone_from(exceptions);
        }
        if let Some(losses) = &report.losses {
            losses::record(draft, &node, &new.losses, losses);
            new.losses.clone_from(losses);
        }
        if let Some(paused) = &report.paused {
            new.paused.clone_from(paused);
        }
        if let Some(paths) = &report.paths {
            new.paths.clone_from(paths);
        }
        if let Some(version) = &report.agent_version {
            new.agent_version.clone_from(version);
        }
        if let Some((machine, tickets)) = report.tickets
            && node.key_hash == Some(machine)
        {
            new.tickets = tickets::both(new.tickets, tickets);
        }
        new.copied = new.copied.or(report.copied);
        if old.as_deref() == Some(&new) {
            continue;
        }
        let quiet = old.is_some_and(|old| {
            let (held_by, beat, tickets) = (new.held_by, new.beat, new.tickets);
            new == NodeStatus {
                held_by,
                beat,
                tickets,
                ..(*old).clone()
            }
        });
        if quiet {
            draft.put_quiet(new);
        } else {
            new.revision = draft.revision();
            changed.push(draft.put(new));
        }
    }
    changed
}
