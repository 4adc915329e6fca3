//! A server with somebody and something in it, to be tried.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{Failed, program, target_dir};

/// The password of everybody in it.
const PASSWORD: &str = "tried by its description";

/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);

/// A server of its own, with a member of a project and one thing of every kind; gone when dropped.
pub struct World {
    server: Child,
    base: String,
    folder: PathBuf,
    things: Things,
}

/// Tokens, and what can be named in a path.
#[derive(Default)]
struct Things {
    admin: String,
    member: String,
    project: String,
    network: String,
    subnet: String,
    port: String,
    cluster: String,
    node: String,
    /// Clusters that are there to be deleted.
    doomed: String,
    request: String,
}

impl World {
    /// Starts the server and fills it.
    pub fn start(portolan: &Path) -> Result<Self, Failed> {
        let folder = target_dir().join(format!("schemathesis-run-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(other)?;
        let (listen, agents) = (free()?, free()?);
        let log = fs::File::create(folder.join("log")).map_err(other)?;
        let server = serve(portolan, &folder, &listen, &agents)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| Failed::Start("portolan serve".into(), error))?;
        let mut world = Self {
            server,
            base: format!("http://{listen}"),
            folder,
            things: Things::default(),
        };
        let began = Instant::now();
        while ureq::get(format!("{}/healthz", world.base)).call().is_err() {
            if began.elapsed() > START {
                return Err(Failed::Other("the server does not start".into()));
            }
            thread::sleep(Duration::from_millis(50));
        }
        world.fill()?;
        Ok(world)
    }

    /// `http://ADDRESS:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<(Option<String>, Value), Failed> {
        let said = |error: &dyn std::fmt::Display| Failed::Other(format!("{method} {path}: {error}"));
        let url = format!("{}{path}", self.base);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("X-Auth-Token", token)
            .body(if body.is_null() {
                String::new()
            } else {
                body.to_string()
            })
            .map_err(|error| said(&error))?;
        let mut answer = ureq::run(request).map_err(|error| said(&error))?;
        let subject = answer.headers().get("x-subject-token");
        let subject = subject.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let text = answer.body_mut().read_to_string().map_err(|error| said(&error))?;
        Ok((subject, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Makes something; its id is at the pointer.
    fn made(&self, path: &str, token: &str, body: &Value, id: &str) -> Result<String, Failed> {
        let (_, made) = self.ask("POST", path, token, body)?;
        let id = made.pointer(id).and_then(Value::as_str);
        id.map(ToOwned::to_owned)
            .ok_or_else(|| Failed::Other(format!("POST {path}: {made}")))
    }

    fn token(&self, user: &str, project: &str) -> Result<String, Failed> {
        let domain = json!({ "name": "Default" });
        let user = json!({ "name": user, "domain": domain, "password": PASSWORD });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": user } },
            "scope": { "project": { "name": project, "domain": domain } },
        } });
        let (token, answer) = self.ask("POST", "/v3/auth/tokens", "", &body)?;
        token.ok_or_else(|| Failed::Other(format!("no log-in: {answer}")))
    }

    fn fill(&mut self) -> Result<(), Failed> {
        let mut t = Things {
            admin: self.token("admin", "admin")?,
            ..Things::default()
        };
        let external = json!({ "network": { "name": "internet", "router:external": true } });
        let external = self.made("/v2.0/networks", &t.admin, &external, "/network/id")?;
        let range = json!({ "subnet": { "network_id": external, "cidr": "203.0.113.0/24", "ip_version": 4 } });
        self.made("/v2.0/subnets", &t.admin, &range, "/subnet/id")?;

        let project = json!({ "project": { "name": "tried" } });
        t.project = self.made("/v3/projects", &t.admin, &project, "/project/id")?;
        let user = json!({ "user": { "name": "member", "password": PASSWORD } });
        let user = self.made("/v3/users", &t.admin, &user, "/user/id")?;
        let (_, roles) = self.ask("GET", "/v3/roles?name=member", &t.admin, &Value::Null)?;
        let roles = roles["roles"].as_array().into_iter().flatten();
        let role = roles
            .filter(|role| role["name"] == "member")
            .find_map(|role| role["id"].as_str());
        let role = role.ok_or_else(|| Failed::Other("there is no role member".into()))?;
        let path = format!("/v3/projects/{}/users/{user}/roles/{role}", t.project);
        self.ask("PUT", &path, &t.admin, &Value::Null)?;
        t.member = self.token("member", "tried")?;

        let network = json!({ "network": { "name": "web" } });
        t.network = self.made("/v2.0/networks", &t.member, &network, "/network/id")?;
        let subnet = json!({ "subnet": { "network_id": t.network, "cidr": "10.200.0.0/24", "ip_version": 4 } });
        t.subnet = self.made("/v2.0/subnets", &t.member, &subnet, "/subnet/id")?;
        let port = json!({ "port": { "network_id": t.network } });
        t.port = self.made("/v2.0/ports", &t.member, &port, "/port/id")?;

        let below = format!("/portolan/v1/projects/{}", t.project);
        let clusters = format!("{below}/clusters");
        t.cluster = self.made(&clusters, &t.member, &json!({ "name": "shop" }), "/item/id")?;
        t.doomed = self.made(&clusters, &t.member, &json!({ "name": "doomed" }), "/item/id")?;
        let nodes = format!("{clusters}/{}/nodes", t.cluster);
        t.node = self.made(&nodes, &t.member, &json!({ "name": "node-1" }), "/node/id")?;
        let request = json!({ "purpose": "to be tried by its description", "nodes": 3 });
        t.request = self.made(&format!("{below}/shadowport"), &t.member, &request, "/item/id")?;
        self.things = t;
        Ok(())
    }

    /// What Schemathesis is told: whose token, and what there is, so that it does not only name what is not there.
    pub fn config(&self, who: &str) -> Result<String, Failed> {
        let t = &self.things;
        let token = if who == "admin" { &t.admin } else { &t.member };
        let mut config = format!("headers = {{ \"X-Auth-Token\" = \"{token}\" }}\n");
        let mut say = |what: &str, id: &str| {
            config.push_str(&format!(
                "[[operations]]\n{what}\n[operations.parameters]\n\"path.project\" = \"{}\"\n\"path.node\" = \"{}\"\n\
                 \"path.id\" = \"{id}\"\n",
                t.project, t.node,
            ));
        };
        say("include-operation-id = \"deleteCluster\"", &t.doomed);
        for (word, id) in [
            ("networks", &t.network),
            ("subnets", &t.subnet),
            ("ports", &t.port),
            ("clusters", &t.cluster),
            ("(shadowport|requests)", &t.request),
        ] {
            let what = format!("include-path-regex = \"/{word}/[{{]id\"\nexclude-operation-id = \"deleteCluster\"");
            say(&what, id);
        }
        say("exclude-path-regex = \"[{]id\"", "");
        Ok(config)
    }

    /// Ends the server; fails if it has ended by itself.
    pub fn end(&mut self) -> Result<(), Failed> {
        match self.server.try_wait().map_err(other)? {
            None => Ok(()),
            Some(status) => Err(Failed::Other(format!("the server ended by itself: {status}"))),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn other(error: std::io::Error) -> Failed {
    Failed::Other(error.to_string())
}

/// An address that nobody listens on.
fn free() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(other)?;
    Ok(listener.local_addr().map_err(other)?.to_string())
}

fn serve(portolan: &Path, folder: &Path, listen: &str, agents: &str) -> Command {
    let mut command = program(portolan);
    command.args(["serve", "--listen", listen, "--agent-listen", agents, "--database"]);
    command.arg(format!("sqlite:{}", folder.join("portolan.db").display()));
    command.env("PORTOLAN_ADMIN_PASSWORD", PASSWORD).env("RUST_LOG", "warn");
    command
}
