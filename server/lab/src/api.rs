//! What the lab asks of the control plane, over HTTP as anybody would: a project and a user for the demo, a cluster, a
//! node for each host. What is there already is used, so that a lab may be raised on an old database.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use portolan_shared::v1::{ClusterRow, CreateCluster, CreateNode, JoinToken, List, NodeRow, NodeState, NodesFrom, One, PathKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use crate::protocol::{Cluster, User};

/// The password of `admin` in a lab: a lab has no secrets.
pub const ADMIN_PASSWORD: &str = "admin-portolan";
/// The password of `demo`.
pub const DEMO_PASSWORD: &str = "demo-portolan";
/// The demo's project and user.
const DEMO: &str = "demo";
/// The demo's cluster.
const CLUSTER: &str = "shop";
/// How long one call may take: hashing a password on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the control plane did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer, or none that is HTTP.
    #[error("{call}: {source}")]
    Call {
        /// Method and path.
        call: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// A refusal.
    #[error("{call}: the control plane answered {status}: {said}")]
    Refused {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        said: String,
    },
    /// An answer without what it should have.
    #[error("{call}: the answer lacks {what}")]
    Lacks {
        /// Method and path.
        call: String,
        /// What is missing.
        what: &'static str,
    },
}

/// The demo's things in the control plane.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The cluster of the lab's hosts, if it was wanted.
    pub cluster: Option<Cluster>,
    /// Prefix length of the cluster's node subnet.
    prefix: u8,
    /// Path of the cluster's nodes.
    nodes: String,
    /// Token of the user `demo`.
    token: String,
}

impl Demo {
    /// Who can log in.
    pub fn users(&self) -> Vec<User> {
        let user = |name: &str, password: &str| User {
            name: name.into(),
            password: password.into(),
            project: name.into(),
        };
        vec![user(DEMO, DEMO_PASSWORD), user("admin", ADMIN_PASSWORD)]
    }
}

/// A node for a host.
#[derive(Debug)]
pub struct Node {
    /// The address that its tenant interface gets.
    pub address: IpAddr,
    /// The prefix length of it.
    pub prefix: u8,
    /// The one-time token to join with; none when the node was there already and has joined.
    pub token: Option<String>,
}

/// A client of one control plane.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    /// A client of the control plane that listens there.
    pub fn new(listen: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None);
        Self {
            agent: config.build().into(),
            base: format!("http://{listen}"),
        }
    }

    /// Whether it serves.
    pub fn healthy(&self) -> bool {
        self.agent
            .get(format!("{}/healthz", self.base))
            .call()
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// Makes the demo's project, user and, if wanted, cluster where they are missing.
    pub fn prepare(&self, with_cluster: bool) -> Result<Demo, ApiError> {
        let admin = self.log_in("admin", ADMIN_PASSWORD, "admin")?;
        let project = self.found_or_made(&admin, "project", json!({ "name": DEMO, "domain_id": "default" }))?;
        let user =
            json!({ "name": DEMO, "password": DEMO_PASSWORD, "domain_id": "default", "default_project_id": project });
        let user = self.found_or_made(&admin, "user", user)?;
        let role = self.found(&admin, "role", "member")?.ok_or_else(|| ApiError::Lacks {
            call: "GET /v3/roles".into(),
            what: "the role `member`",
        })?;
        let assignment = format!("/v3/projects/{project}/users/{user}/roles/{role}");
        self.call(Method::PUT, &assignment, Some(&admin), None::<&()>)?;

        let token = self.log_in(DEMO, DEMO_PASSWORD, DEMO)?;
        if !with_cluster {
            return Ok(Demo {
                cluster: None,
                prefix: 0,
                nodes: String::new(),
                token,
            });
        }
        let row = self.cluster(&token, &project)?;
        let nodes = format!("/portolan/v1/projects/{project}/clusters/{}/nodes", row.id);
        let cluster = Cluster {
            id: row.id.to_string(),
            name: row.name,
            project_id: project,
        };
        Ok(Demo {
            cluster: Some(cluster),
            prefix: row.node_subnet.cidr.prefix(),
            nodes,
            token,
        })
    }

    /// The demo's cluster, made if it is missing.
    fn cluster(&self, token: &str, project: &str) -> Result<ClusterRow, ApiError> {
        let path = format!("/portolan/v1/projects/{project}/clusters");
        let there: List<ClusterRow> = self.read(&path, token)?;
        if let Some(row) = there.items.into_iter().find(|cluster| cluster.name == CLUSTER) {
            return Ok(row);
        }
        let wanted = CreateCluster {
            name: CLUSTER.into(),
            network: None,
            node_subnet: None,
            node_range: None,
            pod_range: None,
            service_range: None,
            external_ip: None,
            path: PathKind::default(),
            nodes_from: NodesFrom::Join,
            nodes: None,
        };
        Ok(self.write::<One<ClusterRow>>(&path, token, &wanted)?.item)
    }

    /// The node of that name, made if it is missing.
    pub fn make_node(&self, demo: &Demo, name: &str) -> Result<Node, ApiError> {
        let path = &demo.nodes;
        let there: List<NodeRow> = self.read(path, &demo.token)?;
        let lacks = |what| ApiError::Lacks {
            call: path.clone(),
            what,
        };
        let address = |row: &NodeRow| {
            row.addresses
                .first()
                .copied()
                .ok_or_else(|| lacks("the node's address"))
        };
        if let Some(row) = there.items.iter().find(|row| row.name == name) {
            return Ok(Node {
                address: address(row)?,
                prefix: demo.prefix,
                token: None,
            });
        }
        let made: JoinToken = self.write(path, &demo.token, &CreateNode { name: name.to_owned() })?;
        let row = made.node.ok_or_else(|| lacks("the node"))?;
        let prefix = made.prefix.unwrap_or(demo.prefix);
        Ok(Node {
            address: address(&row)?,
            prefix,
            token: Some(made.token),
        })
    }

    /// How many nodes are ready.
    pub fn nodes_online(&self, demo: &Demo) -> Result<usize, ApiError> {
        let there: List<NodeRow> = self.read(&demo.nodes, &demo.token)?;
        Ok(there.items.iter().filter(|row| row.state == NodeState::Ready).count())
    }

    /// A token for a user in a project.
    pub fn log_in(&self, user: &str, password: &str, project: &str) -> Result<String, ApiError> {
        let domain = json!({ "name": "Default" });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": user, "domain": domain, "password": password,
            } } },
            "scope": { "project": { "name": project, "domain": domain } },
        } });
        let path = "/v3/auth/tokens";
        let answer = self.call(Method::POST, path, None, Some(&body))?;
        let token = answer
            .headers()
            .get("X-Subject-Token")
            .and_then(|token| token.to_str().ok());
        token.map(str::to_owned).ok_or_else(|| ApiError::Lacks {
            call: path.into(),
            what: "X-Subject-Token",
        })
    }

    /// Reads something with a token.
    pub fn read<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, ApiError> {
        self.json(Method::GET, path, token, None::<&()>)
    }

    /// Posts something with a token.
    pub fn write<T: DeserializeOwned>(&self, path: &str, token: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.json(Method::POST, path, token, Some(body))
    }

    /// The id of an identity object by its name.
    fn found(&self, token: &str, kind: &str, name: &str) -> Result<Option<String>, ApiError> {
        let list: Value = self.read(&format!("/v3/{kind}s?name={name}"), token)?;
        let items = list[format!("{kind}s")].as_array().cloned().unwrap_or_default();
        let one = items.iter().find(|item| item["name"] == name);
        Ok(one.and_then(|item| item["id"].as_str()).map(str::to_owned))
    }

    fn found_or_made(&self, token: &str, kind: &'static str, wanted: Value) -> Result<String, ApiError> {
        if let Some(id) = self.found(token, kind, wanted["name"].as_str().unwrap_or_default())? {
            return Ok(id);
        }
        let path = format!("/v3/{kind}s");
        let made: Value = self.write(&path, token, &json!({ kind: wanted }))?;
        made[kind]["id"].as_str().map(str::to_owned).ok_or(ApiError::Lacks {
            call: path,
            what: "the new id",
        })
    }

    fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let call = format!("{method} {path}");
        let mut answer = self.call(method, path, Some(token), body)?;
        answer.body_mut().read_json().map_err(|source| ApiError::Call {
            call,
            source: Box::new(source),
        })
    }

    /// One call; anything but a success is an error.
    fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Body>, ApiError> {
        let call = format!("{method} {path}");
        let failed = |source: ureq::Error| ApiError::Call {
            call: call.clone(),
            source: Box::new(source),
        };
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("X-Auth-Token", token);
        }
        let sent = match body {
            None => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            Some(body) => {
                let bytes = serde_json::to_vec(body).map_err(|error| failed(ureq::Error::Json(error)))?;
                let request = request.header("Content-Type", "application/json").body(bytes);
                request
                    .map_err(ureq::Error::from)
                    .and_then(|request| self.agent.run(request))
            }
        };
        let mut answer = sent.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        Err(ApiError::Refused {
            call,
            status: status.as_u16(),
            said: said.trim().to_owned(),
        })
    }
}
