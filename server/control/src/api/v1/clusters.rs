//! Clusters.

use std::sync::Arc;

use axum::extract::{OriginalUri, Query};
use axum::response::Response;
use portolan_core::command::{Command, Delete, NewCluster, Outcome};
use portolan_core::model::Cluster;
use portolan_core::view::View;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{ClusterRow, CreateCluster, List, NodesFrom, One, ProjectCluster};
use portolan_shared::{check, cluster};

use super::find;
use super::rows::ClusterFacts;
use crate::api::context::{Call, Caller, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::reply;

/// Rows of some clusters.
fn rows<'a>(view: &View, clusters: impl Iterator<Item = &'a Arc<Cluster>>) -> Vec<(Arc<Cluster>, ClusterFacts)> {
    clusters
        .map(|cluster| (Arc::clone(cluster), ClusterFacts::of(view, cluster)))
        .collect()
}

/// `GET …/clusters`: by name.
pub async fn list(call: Call) -> Answer {
    let (revision, facts) = call
        .control()
        .read(|view| (view.head(), rows(view, view.clusters(Some(call.project.id)))));
    let mut items: Vec<ClusterRow> = facts.iter().filter_map(|(_, facts)| facts.row()).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

#[derive(serde::Deserialize)]
struct Asked {
    nodes_from: Option<NodesFrom>,
}

/// `GET /portolan/v1/clusters[?nodes_from=lab]`: those of all projects, by project and name; for
/// whoever provides their nodes.
pub async fn of_all(caller: Caller, OriginalUri(uri): OriginalUri) -> Answer {
    caller.to_administer("list the clusters of all projects")?;
    let Query(asked) = Query::<Asked>::try_from_uri(&uri).map_err(|_| Refusal::NotOneOf {
        field: "nodes_from".to_owned(),
        given: check::shortened(uri.query().unwrap_or_default()),
        allowed: "join, lab".to_owned(),
    })?;
    let wanted = |cluster: &&Arc<Cluster>| asked.nodes_from.is_none_or(|from| from == cluster.nodes_from);
    let (revision, facts) = caller
        .api
        .control
        .read(|view| (view.head(), rows(view, view.clusters(None).filter(wanted))));
    let row = |(cluster, facts): &(Arc<Cluster>, ClusterFacts)| {
        Some(ProjectCluster {
            project: cluster.meta.project,
            cluster: facts.row()?,
        })
    };
    let mut items: Vec<ProjectCluster> = facts.iter().filter_map(row).collect();
    items.sort_by(|a, b| (a.project, &a.cluster.name).cmp(&(b.project, &b.cluster.name)));
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
    let command = || {
        let asked: CreateCluster = body.read()?;
        let spec = cluster::check(&asked)?;
        if spec.nodes_from == NodesFrom::Lab && !call.caller.api.lab {
            return Err(Refusal::NoLab {}.into());
        }
        let project = call.project.id;
        Ok(Command::CreateCluster(NewCluster { project, spec }))
    };
    let answer = |outcome: Outcome| {
        let made = outcome.made::<Cluster>().ok_or(Failure::Internal)?;
        reply::created(&row(&call, &made)?)
    };
    call.create(&body.0, command, answer).await
}

/// `DELETE …/clusters/{id}`.
pub async fn delete(call: Call, path: Segments) -> Result<Response, Failure> {
    let cluster = call.control().read(|view| find::cluster(&call, view, &path))?;
    call.to_write("delete clusters")?;
    call.write(Command::Delete(Delete::Cluster(cluster.id))).await?;
    Ok(reply::nothing())
}

/// Makes join tokens; without an agent endpoint nothing can join, and by a wrong clock nothing is issued.
pub(super) fn tokens(call: &Call) -> Result<&crate::nodes::Tokens, Refusal> {
    let tokens = call.caller.api.tokens.as_ref().ok_or(Refusal::NoAgentEndpoint {})?;
    call.control().time_to_issue()?;
    Ok(tokens)
}
