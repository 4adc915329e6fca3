//! Nodes of a cluster, and the tokens by which hosts join as them.

use std::sync::Arc;

use axum::response::Response;
use portolan_core::command::{Command, Delete};
use portolan_core::fields::moment;
use portolan_core::model::{self, Cluster, Node};
use portolan_shared::check;
use portolan_shared::ids::NodeId;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{ChangeNode, CreateNode, JoinToken, List, NodeRow};

use super::clusters::tokens;
use super::find;
use super::rows::NodeFacts;
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::paths::Standings;
use crate::api::reply;
use crate::api::status::no_block;

/// `GET …/clusters/{id}/nodes`: by name, numbers in their order.
pub async fn list(call: Call, path: Segments) -> Answer {
    let (revision, facts, no_block) = call.control().read(|view| {
        let cluster = find::cluster(&call, view, &path)?;
        let standings = Standings::of(view, cluster.id);
        let facts: Vec<_> = view
            .nodes_of(cluster.id)
            .map(|node| NodeFacts::of(view, node, &standings))
            .collect();
        let no_block = no_block(view, view.nodes_of(cluster.id));
        Ok::<_, Failure>((view.head(), facts, no_block))
    })?;
    let row = |facts: &NodeFacts| facts.row(call.caller.now, no_block.as_ref());
    let mut items: Vec<NodeRow> = facts.iter().map(row).collect();
    items.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

/// A new token for a cluster, or for one node of it: recorded by its hash, answered in full, once.
async fn issue(call: &Call, cluster: &Arc<Cluster>, node: Option<NodeId>) -> Answer {
    let tokens = tokens(call)?;
    let (command, secret) = tokens.issue(cluster.id, node, call.caller.now);
    let outcome = call.write(command).await?;
    let made = outcome.made::<model::JoinToken>().ok_or(Failure::Internal)?;
    let (facts, prefix, mtu) = call.control().read(|view| {
        let facts = node.and_then(|id| view.node(id)).map(|node| {
            let facts = NodeFacts::of(view, node, &Standings::of(view, node.cluster));
            let no_block = no_block(view, [node]);
            (facts, no_block)
        });
        let prefix = view.subnet(cluster.node_subnet).map(|subnet| subnet.cidr.prefix());
        (
            facts,
            prefix,
            view.network(cluster.network).map_or(0, |network| network.mtu),
        )
    });
    reply::created(&JoinToken {
        token: tokens.text(&made, &secret),
        expires_at: moment(made.expires_at),
        node: facts.map(|(facts, no_block)| facts.row(call.caller.now, no_block.as_ref())),
        prefix,
        mtu,
    })
}

/// `POST …/clusters/{id}/nodes`: a node that is expected, its port, and the token for it. Repeated
/// with the same `Idempotency-Key`, it is the same node and a new token.
pub async fn create(call: Call, path: Segments, body: Body) -> Answer {
    let cluster = call.control().read(|view| find::cluster(&call, view, &path))?;
    call.to_write("add nodes")?;
    tokens(&call)?;
    let asked: CreateNode = body.read()?;
    let name = check::label("name", &asked.name)?;
    let command = Command::CreateNode {
        cluster: cluster.id,
        name,
        address: None,
    };
    let outcome = call.create_with_secret(&body.0, command).await?;
    let made = outcome.made::<Node>().ok_or(Failure::Internal)?;
    issue(&call, &cluster, Some(made.id)).await
}

/// `POST …/clusters/{id}/join-tokens`: for any host that has an address of the node subnet.
pub async fn join_token(call: Call, path: Segments, body: Body) -> Answer {
    let cluster = call.control().read(|view| find::cluster(&call, view, &path))?;
    call.to_write("make join tokens")?;
    tokens(&call)?;
    nothing_in(&body)?;
    issue(&call, &cluster, None).await
}

/// `POST …/clusters/{id}/nodes/{node}/join-tokens`: for a host that is to be this node, again or
/// anew.
pub async fn node_token(call: Call, path: Segments, body: Body) -> Answer {
    let (cluster, node) = call
        .control()
        .read(|view| Ok::<_, Failure>((find::cluster(&call, view, &path)?, find::node(&call, view, &path)?)))?;
    call.to_write("make join tokens")?;
    tokens(&call)?;
    nothing_in(&body)?;
    issue(&call, &cluster, Some(node.id)).await
}

/// A body that says nothing.
fn nothing_in(body: &Body) -> Result<(), Failure> {
    if body.0.is_empty() || body.object()?.is_empty() {
        return Ok(());
    }
    Err(Refusal::UnknownAttribute {
        field: "body".to_owned(),
    }
    .into())
}

/// `DELETE …/clusters/{id}/nodes/{node}`.
pub async fn delete(call: Call, path: Segments) -> Result<Response, Failure> {
    let node = call.control().read(|view| find::node(&call, view, &path))?;
    call.to_write("remove nodes")?;
    call.write(Command::Delete(Delete::Node(node.id))).await?;
    Ok(reply::nothing())
}

/// `PUT …/clusters/{id}/nodes/{node}`.
pub async fn update(call: Call, path: Segments, body: Body) -> Result<Response, Failure> {
    let node = call.control().read(|view| find::node(&call, view, &path))?;
    call.to_write("change nodes")?;
    let asked: ChangeNode = body.read()?;
    call.write(Command::RelocateNode {
        node: node.id,
        address: asked.address,
    })
    .await?;
    Ok(reply::nothing())
}

/// `POST …/clusters/{id}/nodes/{node}/admit`: lets in a node that was found again, and ends that one counts as copied.
pub async fn admit(call: Call, path: Segments, body: Body) -> Result<Response, Failure> {
    let node = call.control().read(|view| find::node(&call, view, &path))?;
    call.rights.to_administer("admit nodes")?;
    nothing_in(&body)?;
    call.write(Command::AdmitNode(node.id)).await?;
    Ok(reply::nothing())
}
