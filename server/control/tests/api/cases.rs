//! A call of every route, and what they are about.
//!
//! Those of resources follow from the server's list of them, each with a [`Sample`] from its own file of tests; all others
//! are in [`CASES`]. [`OPEN`] lists those that anybody may call; it may only shrink.

use std::collections::BTreeMap;

use portolan_control::api::resources::RESOURCES;
use portolan_core::model::Role;
use serde_json::{Value, json};

use super::SAMPLES;
use super::kit::{User, id};
use super::pod_ports::Reporting;

/// What somebody of another project gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// It is not there.
    Gone,
    /// A list without anything of the first project.
    Nothing,
    /// Administrators only.
    Forbidden,
    /// Their own, or what is the same for all.
    Own,
}

use Other::{Forbidden, Gone, Nothing, Own};

/// What the tests of all routes must know of a resource of `/v2.0`.
pub(crate) struct Sample {
    /// Its name in bodies, as the server's list of resources has it.
    pub(crate) one: &'static str,
    /// Attributes that make one in `{project}`, as JSON; `{subnet}` and the like are what was made before.
    pub(crate) new: &'static str,
    /// What somebody of another project gets who sends them.
    pub(crate) other: Other,
}

pub(crate) const NETWORK: Sample = Sample {
    one: "network",
    new: r#"{"project_id":"{project}"}"#,
    other: Forbidden,
};

pub(crate) const SUBNET: Sample = Sample {
    one: "subnet",
    new: r#"{"network_id":"{network}","cidr":"10.9.0.0/24"}"#,
    other: Gone,
};

pub(crate) const PORT: Sample = Sample {
    one: "port",
    new: r#"{"network_id":"{network}"}"#,
    other: Gone,
};

/// Method, route, body, and what somebody of another project gets.
pub(crate) type Case = (&'static str, String, String, Other);

/// Those of resources, then [`CASES`].
pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for listing in RESOURCES {
        let names = listing.names;
        let sample = SAMPLES.iter().find(|sample| sample.one == names.one);
        let sample = sample.unwrap_or_else(|| panic!("no sample of {} in main.rs", names.many));
        let (many, one) = (format!("/v2.0{}", names.path), format!("/v2.0{}", names.path_of_one));
        let body = |attributes: &str| format!(r#"{{"{}":{attributes}}}"#, names.one);
        all.push(("GET", many.clone(), String::new(), Nothing));
        all.push(("POST", many, body(sample.new), sample.other));
        all.push(("GET", one.clone(), String::new(), Gone));
        all.push(("PUT", one.clone(), body(r#"{"name":"x"}"#), Gone));
        all.push(("DELETE", one, String::new(), Gone));
        // What the console reads of it.
        for operation in (listing.operations)().iter().filter(|operation| operation.reads()) {
            let path = format!("/portolan/v1{}", operation.route.path);
            all.push(("GET", path, String::new(), Gone));
        }
    }
    let others = CASES.iter();
    all.extend(others.map(|(method, path, body, other)| (*method, (*path).to_owned(), (*body).to_owned(), *other)));
    all
}

/// What no resource of `/v2.0` brings.
const CASES: &[(&str, &str, &str, Other)] = &[
    ("GET", "/v2.0/extensions", "", Own),
    ("GET", "/v2.0/extensions/{alias}", "", Own),
    ("GET", "/v3/auth/tokens", "", Gone),
    ("DELETE", "/v3/auth/tokens", "", Gone),
    ("GET", "/v3/auth/catalog", "", Own),
    ("GET", "/v3/auth/projects", "", Own),
    ("GET", "/v3/auth/domains", "", Own),
    ("GET", "/v3/projects", "", Forbidden),
    ("POST", "/v3/projects", r#"{"project":{"name":"x"}}"#, Forbidden),
    ("GET", "/v3/projects/{id}", "", Gone),
    ("DELETE", "/v3/projects/{id}", "", Forbidden),
    ("GET", "/v3/users", "", Forbidden),
    (
        "POST",
        "/v3/users",
        r#"{"user":{"name":"x","password":"12345678"}}"#,
        Forbidden,
    ),
    ("GET", "/v3/users/{id}", "", Gone),
    ("PATCH", "/v3/users/{id}", r#"{"user":{"enabled":false}}"#, Forbidden),
    ("DELETE", "/v3/users/{id}", "", Forbidden),
    (
        "POST",
        "/v3/users/{id}/password",
        r#"{"user":{"original_password":"x","password":"12345678"}}"#,
        Gone,
    ),
    ("GET", "/v3/users/{id}/projects", "", Forbidden),
    ("GET", "/v3/roles", "", Own),
    ("GET", "/v3/roles/{id}", "", Own),
    ("GET", "/v3/domains", "", Own),
    ("GET", "/v3/domains/{id}", "", Own),
    ("GET", "/v3/projects/{id}/users/{user}/roles", "", Forbidden),
    ("GET", "/v3/projects/{id}/users/{user}/roles/{role}", "", Forbidden),
    ("PUT", "/v3/projects/{id}/users/{user}/roles/{role}", "", Forbidden),
    ("DELETE", "/v3/projects/{id}/users/{user}/roles/{role}", "", Forbidden),
    ("GET", "/v3/role_assignments", "", Forbidden),
    ("GET", "/portolan/v1/session", "", Forbidden),
    ("PUT", "/portolan/v1/session", r#"{"language":"ru"}"#, Forbidden),
    ("DELETE", "/portolan/v1/session", "", Forbidden),
    ("GET", "/portolan/v1/events", "", Forbidden),
    ("GET", "/portolan/v1/projects/{project}/address-space", "", Gone),
    (
        "GET",
        "/portolan/v1/projects/{project}/networks/{id}/delete-plan",
        "",
        Gone,
    ),
    (
        "GET",
        "/portolan/v1/projects/{project}/subnets/{id}/delete-plan",
        "",
        Gone,
    ),
    (
        "GET",
        "/portolan/v1/projects/{project}/ports/{id}/delete-plan",
        "",
        Gone,
    ),
    (
        "GET",
        "/portolan/v1/projects/{project}/clusters/{id}/delete-plan",
        "",
        Gone,
    ),
    (
        "GET",
        "/portolan/v1/projects/{project}/clusters/{id}/nodes/{node}/delete-plan",
        "",
        Gone,
    ),
    ("GET", "/portolan/v1/clusters", "", Forbidden),
    ("GET", "/portolan/v1/projects/{project}/clusters", "", Gone),
    (
        "POST",
        "/portolan/v1/projects/{project}/clusters",
        r#"{"name":"x"}"#,
        Gone,
    ),
    ("GET", "/portolan/v1/projects/{project}/clusters/{id}", "", Gone),
    ("DELETE", "/portolan/v1/projects/{project}/clusters/{id}", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/clusters/{id}/nodes", "", Gone),
    (
        "POST",
        "/portolan/v1/projects/{project}/clusters/{id}/nodes",
        r#"{"name":"x"}"#,
        Gone,
    ),
    (
        "PUT",
        "/portolan/v1/projects/{project}/clusters/{id}/nodes/{node}",
        r#"{"address":"10.0.0.9"}"#,
        Gone,
    ),
    (
        "DELETE",
        "/portolan/v1/projects/{project}/clusters/{id}/nodes/{node}",
        "",
        Gone,
    ),
    (
        "POST",
        "/portolan/v1/projects/{project}/clusters/{id}/nodes/{node}/join-tokens",
        "{}",
        Gone,
    ),
    (
        "POST",
        "/portolan/v1/projects/{project}/clusters/{id}/join-tokens",
        "{}",
        Gone,
    ),
    (
        "POST",
        "/portolan/v1/projects/{project}/clusters/{id}/nodes/{node}/admit",
        "{}",
        Gone,
    ),
    (
        "GET",
        "/portolan/v1/projects/{project}/clusters/{id}/quarantined-blocks",
        "",
        Gone,
    ),
    (
        "POST",
        "/portolan/v1/projects/{project}/clusters/{id}/quarantined-blocks/{block}/release",
        r#"{"machine_off":"secret-off"}"#,
        Gone,
    ),
    ("GET", "/portolan/v1/epochs", "", Forbidden),
    ("GET", "/portolan/v1/projects/{project}/quotas", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/shadowport", "", Gone),
    (
        "POST",
        "/portolan/v1/projects/{project}/shadowport",
        r#"{"purpose":"what it is for","nodes":1}"#,
        Gone,
    ),
    ("GET", "/portolan/v1/projects/{project}/shadowport/{id}", "", Gone),
    (
        "POST",
        "/portolan/v1/projects/{project}/shadowport/{id}/messages",
        r#"{"text":"x"}"#,
        Gone,
    ),
    (
        "POST",
        "/portolan/v1/projects/{project}/shadowport/{id}/withdraw",
        "",
        Gone,
    ),
    ("GET", "/portolan/v1/support/requests", "", Forbidden),
    ("GET", "/portolan/v1/support/requests/{id}", "", Forbidden),
    ("POST", "/portolan/v1/support/requests/{id}/take", "", Forbidden),
    (
        "POST",
        "/portolan/v1/support/requests/{id}/messages",
        r#"{"text":"x"}"#,
        Forbidden,
    ),
    (
        "POST",
        "/portolan/v1/support/requests/{id}/ask",
        r#"{"text":"x"}"#,
        Forbidden,
    ),
    ("POST", "/portolan/v1/support/requests/{id}/grant", "{}", Forbidden),
    (
        "POST",
        "/portolan/v1/support/requests/{id}/decline",
        r#"{"message":"not this time"}"#,
        Forbidden,
    ),
    (
        "POST",
        "/portolan/v1/support/requests/{id}/revoke",
        r#"{"message":"not any more"}"#,
        Forbidden,
    ),
    ("GET", "/portolan/v1/support/projects", "", Forbidden),
    ("GET", "/portolan/v1/projects/{project}/audit", "", Gone),
    ("GET", "/portolan/v1/support/audit", "", Forbidden),
];

/// What anybody may call.
pub(crate) const OPEN: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v2.0"),
    ("GET", "/v2.0/"),
    ("GET", "/v3"),
    ("GET", "/v3/"),
    ("POST", "/v3/auth/tokens"),
    ("POST", "/portolan/v1/session"),
    ("GET", "/portolan/v1/openapi.json"),
    ("GET", "/portolan/v1/docs"),
    ("GET", "/portolan/v1/docs.css"),
];

/// Everything of the first project that a route may name.
pub(crate) struct Things {
    pub(crate) project: String,
    pub(crate) user: String,
    pub(crate) network: String,
    pub(crate) subnet: String,
    pub(crate) port: String,
    /// One of every other resource of `/v2.0`, by the resource's name.
    pub(crate) made: BTreeMap<&'static str, String>,
    pub(crate) cluster: String,
    pub(crate) node: String,
    /// In quarantine: its node `secret-off` was removed.
    pub(crate) block: String,
    pub(crate) request: String,
}

impl Things {
    pub(crate) async fn of(user: &User<'_>) -> Self {
        let (network, subnet) = user.network("10.200.0.0/24").await;
        let port = id(&user
            .make("port", json!({ "network_id": network, "name": "secret-port" }))
            .await);
        user.server.internet().await;
        let clusters = format!("/portolan/v1/projects/{}/clusters", user.project);
        let made = user
            .post(&clusters, json!({ "name": "secret-shop" }))
            .await
            .is(201)
            .json();
        let cluster = id(&made["item"]);
        let made = user
            .post(&format!("{clusters}/{cluster}/nodes"), json!({ "name": "node-1" }))
            .await
            .is(201);
        let node = id(&made.json()["node"]);
        let block = held_by(user, &format!("{clusters}/{cluster}/nodes"), "secret-off").await;
        let path = format!("/portolan/v1/projects/{}/shadowport", user.project);
        let filed = json!({ "purpose": "a secret purpose", "nodes": 3 });
        let request = id(&user.post(&path, filed).await.is(201).json()["item"]);
        let id = user
            .server
            .control
            .read(|view| view.user_by_name("ann").unwrap().id.to_string());
        let mut things = Self {
            project: user.project.clone(),
            user: id,
            network,
            subnet,
            port,
            made: BTreeMap::new(),
            cluster,
            node,
            block,
            request,
        };
        things.make_others(user).await;
        things
    }

    /// One of every resource that [`Self::of`] does not name.
    async fn make_others(&mut self, user: &User<'_>) {
        for sample in SAMPLES {
            let mut names = RESOURCES.iter().map(|listing| listing.names);
            let names = names.find(|names| names.one == sample.one).unwrap();
            if [NETWORK.one, SUBNET.one, PORT.one].contains(&names.one) {
                continue;
            }
            let mut new: Value = serde_json::from_str(&self.fill(sample.new)).unwrap();
            new["name"] = json!(format!("secret-{}", names.one));
            let made = user
                .post(&format!("/v2.0{}", names.path), json!({ names.one: new }))
                .await;
            self.made.insert(names.one, id(&made.is(201).json()[names.one]));
        }
    }

    /// The id of the thing that a route is about, if it is of a resource that [`Self::of`] does not name.
    fn other(&self, route: &str) -> Option<&String> {
        let about = |path: &str| route.contains(&format!("{path}/"));
        let listing = RESOURCES.iter().find(|listing| about(listing.names.path))?;
        self.made.get(listing.names.one)
    }

    pub(crate) fn fill(&self, route: &str) -> String {
        let role = Role::Member.id().to_string();
        let id = match route {
            _ if route.contains("/networks/") => &self.network,
            _ if route.contains("/subnets/") => &self.subnet,
            _ if route.contains("/ports/") => &self.port,
            _ if route.contains("/clusters/") => &self.cluster,
            _ if route.contains("/shadowport/") || route.contains("/requests/") => &self.request,
            _ if route.contains("/v3/projects/") => &self.project,
            _ if route.contains("/v3/users/") => &self.user,
            _ if route.contains("/v3/roles/") => &role,
            _ => self.other(route).map_or("default", String::as_str),
        };
        let pairs = [
            ("{alias}", "pagination"),
            ("{project}", &self.project),
            ("{user}", &self.user),
            ("{role}", &role),
            ("{node}", &self.node),
            ("{block}", &self.block),
            ("{network}", &self.network),
            ("{subnet}", &self.subnet),
            ("{port}", &self.port),
            ("{id}", id),
        ];
        let text = pairs
            .iter()
            .fold(route.to_owned(), |text, (name, value)| text.replace(name, value));
        let others = self.made.iter();
        others.fold(text, |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
    }
}

/// The block of a node that joins by the list of nodes at this path and is removed; its id.
pub(crate) async fn held_by(user: &User<'_>, nodes: &str, name: &str) -> String {
    let made = user.post(nodes, json!({ "name": name })).await.is(201).json();
    let node = id(&made["node"]);
    Reporting::new(user.server, node.parse().unwrap()).await;
    let rows = user.get(nodes).await.is(200).json();
    let mut rows = rows["items"].as_array().unwrap().iter();
    let block = id(&rows.find(|row| row["id"] == node).unwrap()["blocks"][0]);
    user.delete(&format!("{nodes}/{node}")).await.is(204);
    block
}
