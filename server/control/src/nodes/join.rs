//! A host with a join token becomes a node.

use std::net::IpAddr;

use portolan_core::command::{Command, Request};
use portolan_core::model::{Micros, Node, Revision};
use portolan_core::view::View;
use portolan_shared::check;
use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId};
use portolan_shared::refusal::{Class, Refusal};
use portolan_wire::agent::{self, JoinReply, JoinRequest, Joined, Refused, Role, join_reply::Outcome as Reply};
use portolan_wire::{OLDEST_PROTOCOL, field};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::hub::Hub;
use super::pki::Requested;
use super::socket::{Socket, SocketError};

/// How long after a join its token answers the host that was let in by it, whose answer may have been lost: 10 minutes, in
/// microseconds.
const ANSWERED_AGAIN: u64 = 600_000_000;

/// Answers one request to join, and closes.
pub(super) async fn run(hub: &Hub, mut socket: Socket) -> Result<(), SocketError> {
    let frame = socket.first().await?;
    let reply = match JoinRequest::decode(frame) {
        Ok(request) => match join(hub, &request).await {
            Ok(joined) => Reply::Joined(joined),
            Err(refused) => {
                tracing::info!(
                    code = refused.code,
                    host = request.node_name,
                    "refused a host that wants to join"
                );
                Reply::Refused(refused)
            }
        },
        Err(_) => Reply::Refused(malformed("the frame is no JoinRequest")),
    };
    let reply = JoinReply { outcome: Some(reply) };
    socket.close(Some(reply.encode_to_vec().into())).await;
    Ok(())
}

async fn join(hub: &Hub, request: &JoinRequest) -> Result<Joined, Refused> {
    if request.protocol < OLDEST_PROTOCOL {
        return Err(too_old(request.protocol));
    }
    let token = field::id("token_id", &request.token_id).map_err(|error| malformed(&error.to_string()))?;
    let token = JoinTokenId::from_bytes(token);
    let secret_hash: [u8; 32] = Sha256::digest(&request.secret).into();
    let addresses = field::addresses("addresses", &request.addresses).map_err(|error| malformed(&error.to_string()))?;
    let requested = Requested::parse(&request.csr).map_err(|error| malformed(&error.to_string()))?;
    let name = check::label("name", &request.node_name).map_err(|refusal| refused(&refusal))?;
    let key_hash = requested.key_hash();

    hub.control.current().await.map_err(|refusal| refused(&refusal))?;
    // Taken before the gate is asked: what it says counts in this history alone.
    let within = hub.control.read(|view| view.point(view.head()));
    let now = hub.control.time_to_issue().map_err(|refusal| refused(&refusal))?;
    let address = hub
        .control
        .read(|view| choose(view, token, &key_hash, &addresses))
        .map_err(|refusal| refused(&refusal))?;
    if let Some(refused) = leases_wait(hub, token, &key_hash) {
        return Err(refused);
    }
    let command = Command::Join {
        token,
        secret_hash,
        name,
        address,
        key_hash,
    };
    let (node, cluster) = match hub.control.write(Request::host(command).within(within)).await {
        Ok(outcome) => {
            let node = outcome
                .made::<Node>()
                .ok_or_else(|| malformed("the join made no node"))?;
            (node.id, node.cluster)
        }
        // The answer to the first request was lost on its way: the same key may ask again, for a while.
        Err(Refusal::TokenSpent {}) => hub
            .control
            .read(|view| joined_before(view, token, &secret_hash, &key_hash, now))
            .ok_or_else(|| refused(&Refusal::TokenSpent {}))?,
        Err(refusal @ Refusal::NoFreeBlock { .. }) => {
            if let Some(cluster) = hub
                .control
                .read(|view| view.join_token(token).map(|token| token.cluster))
            {
                hub.want_blocks(cluster, None);
            }
            // Another node may give one back.
            return Err(Refused {
                retry: true,
                ..refused(&refusal)
            });
        }
        Err(refusal) => return Err(refused(&refusal)),
    };
    let certificate = hub
        .ca
        .sign_agent(&requested, node, cluster, Role::Node, now)
        .map_err(|error| malformed(&error.to_string()))?;
    tracing::info!(%node, %cluster, host = request.node_name, "a host has joined");
    Ok(Joined {
        node_id: node.as_bytes().to_vec(),
        cluster_id: cluster.as_bytes().to_vec(),
        certificate: certificate.to_vec(),
        ca_certificate: hub.ca.certificate().to_vec(),
        store_id: hub.control.store_id().to_vec(),
    })
}

/// Which of a host's addresses becomes the node's. A host that becomes a known node (by its token or its key) keeps
/// that node's address; else it is the first address in the cluster's node subnet.
fn choose(view: &View, token: JoinTokenId, key_hash: &[u8; 32], addresses: &[IpAddr]) -> Result<IpAddr, Refusal> {
    let token = view.join_token(token).ok_or(Refusal::TokenUnknown {})?;
    let cluster = view.cluster(token.cluster).ok_or(Refusal::TokenUnknown {})?;
    let known = match token.node {
        Some(id) => view.node(id),
        None => view
            .nodes_of(cluster.id)
            .find(|node| node.key_hash.as_ref() == Some(key_hash)),
    };
    if let Some(node) = known
        && let Some(own) = node
            .addresses
            .iter()
            .find(|own| addresses.is_empty() || addresses.contains(own))
    {
        return Ok(*own);
    }
    let subnet = view.subnet(cluster.node_subnet).ok_or(Refusal::TokenUnknown {})?;
    let inside = addresses.iter().find(|address| subnet.cidr.contains(**address));
    inside.copied().ok_or_else(|| Refusal::NodeOutsideRange {
        node: token
            .node
            .and_then(|id| view.node(id))
            .map_or_else(|| cluster.name.clone(), |node| node.name.clone()),
        given: addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        range: subnet.cidr,
    })
}

/// The node that a host with this key has joined as by this very token, less than [`ANSWERED_AGAIN`] ago.
fn joined_before(
    view: &View,
    token: JoinTokenId,
    secret_hash: &[u8; 32],
    key_hash: &[u8; 32],
    now: Micros,
) -> Option<(NodeId, ClusterId)> {
    // Also a clock that was set back makes no spent token good again.
    let lately = |at: Micros| at.abs_diff(now) < ANSWERED_AGAIN;
    let token = view
        .join_token(token)
        .filter(|token| token.secret_hash == *secret_hash && token.spent_at.is_some_and(lately))?;
    // Token and node are written at once.
    let node = view
        .nodes_of(token.cluster)
        .find(|node| node.key_hash.as_ref() == Some(key_hash) && node.joined_at == token.spent_at)?;
    Some((node.id, node.cluster))
}

/// Whether the node's first lease has to wait, since others have not shown yet what they hold.
fn leases_wait(hub: &Hub, token: JoinTokenId, key_hash: &[u8; 32]) -> Option<Refused> {
    let (cluster, own) = hub.control.read(|view| {
        let token = view.join_token(token)?;
        let own = view
            .nodes_of(token.cluster)
            .find(|node| node.machine().as_ref() == Some(key_hash));
        Some((token.cluster, own.map(|node| node.id)))
    })?;
    let waits = hub.lease_waits_for(cluster, own);
    let names = hub.control.read(|view| {
        let name = |id: &NodeId| view.node(*id).map_or_else(|| id.to_string(), |node| node.name.clone());
        waits.iter().map(name).collect::<Vec<_>>().join(", ")
    });
    (!waits.is_empty()).then(|| Refused {
        code: "leases.wait".to_owned(),
        sentence: format!(
            "The control plane has just started. Before a block of pod addresses is leased, the nodes of the cluster show \
             which ones they hold, for 30 s at most: {names} has not yet. Ask again."
        ),
        retry: true,
    })
}

/// A refusal as an agent is told it.
pub(super) fn refused(refusal: &Refusal) -> Refused {
    Refused {
        code: refusal.code().to_owned(),
        sentence: refusal.to_string(),
        retry: refusal.class() == Class::Unavailable,
    }
}

/// The peer does not speak as the protocol says.
pub(super) fn malformed(detail: &str) -> Refused {
    refused(&Refusal::Malformed {
        detail: detail.to_owned(),
    })
}

/// The peer is too old.
pub(super) fn too_old(protocol: u32) -> Refused {
    agent::Refused {
        code: "agent.protocol".to_owned(),
        sentence: format!("This agent speaks version {protocol}; {OLDEST_PROTOCOL} is needed. Upgrade it."),
        retry: false,
    }
}

/// A revision that an agent claims, at most the head: nobody has applied what was not committed.
pub(super) fn at_most(revision: Revision, head: Revision) -> Revision {
    revision.min(head)
}
