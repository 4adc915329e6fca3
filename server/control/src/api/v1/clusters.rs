//! Clusters.

use std::sync::Arc;

use axum::response::Response;
use portolan_shared::check;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{ClusterRow, CreateCluster, List, One};

use super::super::context::{Call, Segments};
use super::super::error::{Answer, Failure};
use super::super::fields::Body;
use super::super::reply;
use super::find;
use super::rows::ClusterFacts;
use crate::command::{Command, NewCluster};
use crate::model::{Cluster, Object};

/// `GET …/clusters`: by name.
pub async fn list(call: Call) -> Answer {
    let (revision, facts) = call.control().read(|view| {
        let clusters = view.clusters(Some(call.project.id));
        (
            view.head(),
            clusters
                .map(|cluster| ClusterFacts::of(view, cluster))
                .collect::<Vec<_>>(),
        )
    });
    let mut items: Vec<ClusterRow> = facts.iter().filter_map(ClusterFacts::row).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

fn row(call: &Call, cluster: &Arc<Cluster>) -> Result<One<ClusterRow>, Failure> {
    let (revision, facts) = call
        .control()
        .read(|view| (view.head(), ClusterFacts::of(view, cluster)));
    Ok(One {
        revision,
        item: facts.row().ok_or(Failure::Internal)?,
    })
}

/// `GET …/clusters/{id}`.
pub async fn show(call: Call, path: Segments) -> Answer {
    let cluster = call.control().read(|view| find::cluster(&call, view, &path))?;
    reply::ok(&row(&call, &cluster)?)
}

/// `POST …/clusters`.
pub async fn create(call: Call, body: Body) -> Answer {
    call.to_write("create clusters")?;
    let asked: CreateCluster = body.read()?;
    let range = |field: &str, given: Option<String>| given.map(|text| check::cidr(field, &text)).transpose();
    let new = NewCluster {
        project: call.project.id,
        name: check::label("name", &asked.name)?,
        node_range: range("node_range", asked.node_range)?,
        pod_range: range("pod_range", asked.pod_range)?,
        service_range: range("service_range", asked.service_range)?,
        path: asked.path,
    };
    let outcome = call.create(Command::CreateCluster(new), &body.0).await?;
    let made = outcome.objects.iter().find_map(|object| match object {
        Object::Cluster(cluster) => Some(cluster),
        _ => None,
    });
    reply::created(&row(&call, made.ok_or(Failure::Internal)?)?)
}

/// `DELETE …/clusters/{id}`.
pub async fn delete(call: Call, path: Segments) -> Result<Response, Failure> {
    let cluster = call.control().read(|view| find::cluster(&call, view, &path))?;
    call.to_write("delete clusters")?;
    call.write(Command::DeleteCluster(cluster.id)).await?;
    Ok(reply::nothing())
}

/// Makes join tokens; without an agent endpoint nothing can join.
pub(super) fn tokens(call: &Call) -> Result<&crate::nodes::Tokens, Refusal> {
    call.caller.api.tokens.as_ref().ok_or(Refusal::NoAgentEndpoint {})
}
