//! What a lab has from the start: people, the provider's way to the internet, and the demo's cluster. What is there
//! already is used, so that a lab may be raised on an old database.

use portolan_shared::v1::{ClusterRow, CreateCluster, List, NodesFrom, One, PathKind};
use serde_json::{Value, json};
use ureq::http::Method;

use super::{ADMIN, ADMIN_PASSWORD, Api, ApiError, Heads};
use crate::protocol::{Cluster, User};

/// The demo's user and project.
pub const DEMO: &str = "demo";
/// The password of `demo`.
pub const DEMO_PASSWORD: &str = "demo-portolan";
/// The user who decides shadowport requests and sees every project.
pub const SUPPORT: &str = "support";
/// The password of `support`.
pub const SUPPORT_PASSWORD: &str = "support-portolan";
/// The demo's cluster.
const CLUSTER: &str = "shop";
/// The provider's external network, and what it gives addresses from (RFC 5737: nobody's).
const INTERNET: (&str, &str) = ("internet", "203.0.113.0/24");

/// Who can log in.
pub fn users() -> Vec<User> {
    let user = |name: &str, password: &str, project: &str| User {
        name: name.into(),
        password: password.into(),
        project: project.into(),
    };
    vec![
        user(DEMO, DEMO_PASSWORD, DEMO),
        user(SUPPORT, SUPPORT_PASSWORD, ADMIN),
        user(ADMIN, ADMIN_PASSWORD, ADMIN),
    ]
}

impl Api {
    /// Makes people, the external network and, with nodes, the demo's cluster, where they are missing.
    pub fn prepare(&self, nodes: u32) -> Result<Option<Cluster>, ApiError> {
        let admin = self.log_in(ADMIN, ADMIN_PASSWORD, ADMIN)?;
        let demo = json!({ "name": DEMO, "domain_id": "default" });
        let demo = self.found_or_made(&admin, "/v3/projects", &["name"], demo)?;
        let provider = self.found(&admin, "/v3/projects", &["name"], &json!({ "name": ADMIN }))?;
        let provider = provider.ok_or_else(|| lacks("/v3/projects", "the project `admin`"))?;
        self.person(&admin, DEMO, DEMO_PASSWORD, &demo, "member")?;
        self.person(&admin, SUPPORT, SUPPORT_PASSWORD, &provider, "support")?;

        let (name, cidr) = INTERNET;
        let network = json!({ "name": name, "router:external": true });
        let network = self.found_or_made(&admin, "/v2.0/networks", &["name", "router:external"], network)?;
        let subnet =
            json!({ "name": name, "network_id": network, "cidr": cidr, "ip_version": 4, "enable_dhcp": false });
        self.found_or_made(&admin, "/v2.0/subnets", &["network_id", "cidr"], subnet)?;
        if nodes == 0 {
            return Ok(None);
        }

        let token = self.log_in(DEMO, DEMO_PASSWORD, DEMO)?;
        let row = self.cluster(&token, &demo, nodes)?;
        Ok(Some(Cluster {
            id: row.id.to_string(),
            name: row.name,
            project_id: demo,
        }))
    }

    /// A user with a role in a project.
    fn person(&self, admin: &str, name: &str, password: &str, project: &str, role: &str) -> Result<(), ApiError> {
        let user = json!({ "name": name, "password": password, "domain_id": "default", "default_project_id": project });
        let user = self.found_or_made(admin, "/v3/users", &["name"], user)?;
        let role = self.found(admin, "/v3/roles", &["name"], &json!({ "name": role }))?;
        let role = role.ok_or_else(|| lacks("/v3/roles", "the role"))?;
        let assignment = format!("/v3/projects/{project}/users/{user}/roles/{role}");
        self.call(Method::PUT, &assignment, Heads::of(admin), None::<&()>)
            .map(drop)
    }

    /// The demo's cluster.
    fn cluster(&self, token: &str, project: &str, nodes: u32) -> Result<ClusterRow, ApiError> {
        let path = format!("/portolan/v1/projects/{project}/clusters");
        let there: List<ClusterRow> = self.read(&path, token)?;
        if let Some(row) = there.items.into_iter().find(|cluster| cluster.name == CLUSTER) {
            return match row.nodes_from {
                NodesFrom::Lab => Ok(row),
                NodesFrom::Join => Err(ApiError::ByCommand(row.name)),
            };
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
            nodes_from: NodesFrom::Lab,
            nodes: Some(nodes),
        };
        Ok(self.write::<One<ClusterRow>>(&path, token, &wanted)?.item)
    }

    /// The id of the first thing in a list that has these attributes of `wanted`.
    fn found(&self, token: &str, list: &str, by: &[&str], wanted: &Value) -> Result<Option<String>, ApiError> {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let query: Vec<_> = by
            .iter()
            .map(|name| format!("{name}={}", plain(&wanted[*name])))
            .collect();
        let answer: Value = self.read(&format!("{list}?{}", query.join("&")), token)?;
        let items = answer[plural(list)].as_array();
        let mut items = items.into_iter().flatten();
        let one = items.find(|item| by.iter().all(|name| item[*name] == wanted[*name]));
        Ok(one.and_then(|item| item["id"].as_str()).map(str::to_owned))
    }

    /// The same, made if it is missing.
    fn found_or_made(&self, token: &str, list: &str, by: &[&str], wanted: Value) -> Result<String, ApiError> {
        if let Some(id) = self.found(token, list, by, &wanted)? {
            return Ok(id);
        }
        let kind = plural(list).trim_end_matches('s');
        let made: Value = self.write(list, token, &json!({ kind: wanted }))?;
        let id = made[kind]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| lacks(list, "the new id"))
    }
}

/// What a list's path ends with is what its answer is called.
fn plural(list: &str) -> &str {
    list.rsplit('/').next().unwrap_or(list)
}

fn lacks(call: &str, what: &'static str) -> ApiError {
    ApiError::Lacks {
        call: call.to_owned(),
        what,
    }
}
