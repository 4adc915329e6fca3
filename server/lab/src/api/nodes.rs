//! What the lab asks as a provider of nodes, with an administrator's token: which clusters take their nodes from it,
//! nodes for its hosts, and to be told when something changes.

use std::io::BufRead;

use portolan_shared::ids::{ClusterId, ProjectId};
use portolan_shared::v1::{CreateNode, JoinToken, List, NodeRow, ProjectCluster};
use ureq::http::Method;

use super::{ADMIN, ADMIN_PASSWORD, Api, ApiError, Heads};
use crate::plan::{Cluster, Node};

/// An administrator, who logs in again when a token has ended.
#[derive(Debug, Clone)]
pub struct Admin {
    api: Api,
    token: Option<String>,
}

impl Admin {
    /// Logs in when there is something to ask.
    pub fn new(api: Api) -> Self {
        Self { api, token: None }
    }

    /// All clusters that take their nodes from the lab, with the nodes they have.
    pub fn clusters(&mut self) -> Result<Vec<Cluster>, ApiError> {
        let listed: List<ProjectCluster> =
            self.ask(|api, token| api.read("/portolan/v1/clusters?nodes_from=lab", token))?;
        let mut clusters = Vec::new();
        for ProjectCluster { project, cluster: row } in listed.items {
            let nodes: Result<List<NodeRow>, _> = self.ask(|api, token| api.read(&nodes_of(project, row.id), token));
            let nodes = match nodes {
                // It went between the two questions.
                Err(gone) if gone.status() == Some(404) => continue,
                nodes => nodes?,
            };
            clusters.push(Cluster {
                id: row.id,
                project,
                network: row.network.id,
                prefix: row.node_subnet.cidr.prefix(),
                mtu: row.mtu,
                wanted: usize::try_from(row.nodes_wanted).unwrap_or(usize::MAX),
                nodes: nodes.items.into_iter().map(node).collect::<Result<_, _>>()?,
                name: row.name,
            });
        }
        Ok(clusters)
    }

    /// A node for a host, and its one-time token. However often it is asked for with one key it is one node, with a new
    /// token each time.
    pub fn make_node(&mut self, cluster: &Cluster, name: &str, key: &str) -> Result<(Node, String), ApiError> {
        let path = nodes_of(cluster.project, cluster.id);
        let wanted = CreateNode { name: name.to_owned() };
        let made: JoinToken = self.ask(|api, token| {
            let heads = Heads {
                key: Some(key),
                ..Heads::of(token)
            };
            api.json(Method::POST, &path, heads, Some(&wanted))
        })?;
        let row = made.node.ok_or_else(|| ApiError::Lacks {
            call: path,
            what: "the node",
        })?;
        Ok((node(row)?, made.token))
    }

    /// The changes of all projects as they happen, those after a revision if one is given.
    pub fn events(&mut self, after: Option<u64>) -> Result<impl BufRead + use<>, ApiError> {
        self.ask(|api, token| api.stream("/portolan/v1/events", token, after))
    }

    fn ask<T>(&mut self, call: impl Fn(&Api, &str) -> Result<T, ApiError>) -> Result<T, ApiError> {
        if let Some(token) = &self.token {
            match call(&self.api, token) {
                Err(refused) if refused.status() == Some(401) => {}
                answer => return answer,
            }
        }
        let token = self.api.log_in(ADMIN, ADMIN_PASSWORD, ADMIN)?;
        call(&self.api, self.token.insert(token))
    }
}

fn nodes_of(project: ProjectId, cluster: ClusterId) -> String {
    format!("/portolan/v1/projects/{project}/clusters/{cluster}/nodes")
}

fn node(row: NodeRow) -> Result<Node, ApiError> {
    let address = row.addresses.first().copied().ok_or_else(|| ApiError::Lacks {
        call: "GET …/nodes".into(),
        what: "the node's address",
    })?;
    Ok(Node {
        id: row.id,
        name: row.name,
        address,
        state: row.state,
    })
}
