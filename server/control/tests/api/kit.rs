//! A server in process, people with roles, and requests in short words.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use portolan_control::api::metrics::Metrics;
use portolan_control::api::v1::events::Streams;
use portolan_control::api::{Api, router};
use portolan_control::control::{Control, OpenOptions};
use portolan_control::identity::password::{Cost, Passwords};
use portolan_control::identity::seed::seed;
use portolan_control::machine::Sources;
use portolan_control::nodes::Tokens;
use portolan_core::model::Role;
use portolan_core::quotas::Quotas;
use portolan_sources::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use super::full_disk::SmallDisk;

/// How long a test waits for what must happen, on a machine as busy as may be.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse";

/// A clock that stands, from when it was made on, but for what a test lets pass: how long a busy machine takes is no part
/// of what a test sees.
pub(crate) struct Later(AtomicI64);

impl Default for Later {
    fn default() -> Self {
        Self(AtomicI64::new(SystemClock.now()))
    }
}

impl Later {
    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

struct Shifted(Arc<Later>);

impl Clock for Shifted {
    fn now(&self) -> i64 {
        self.0.0.load(Ordering::SeqCst)
    }
}

/// What a server is told.
#[derive(Default)]
pub(crate) struct With {
    pub(crate) quotas: Option<Quotas>,
    pub(crate) public_url: Option<&'static str>,
    pub(crate) no_agents: bool,
    pub(crate) lab: bool,
}

pub(crate) struct Server {
    pub(crate) app: Router,
    pub(crate) control: Control,
    pub(crate) clock: Arc<Later>,
    pub(crate) end: watch::Sender<bool>,
    pub(crate) disk: Disk,
}

/// Where a server's database is.
pub(crate) enum Disk {
    Folder(tempfile::TempDir),
    Small(SmallDisk),
}

impl Disk {
    fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.path(),
            Self::Small(small) => small.path(),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    /// This status, or the test fails with the whole answer.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Neutron's type of an error.
    pub(crate) fn kind(&self) -> String {
        self.json()["NeutronError"]["type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Server {
    pub(crate) async fn new() -> Self {
        Self::with(With::default()).await
    }

    pub(crate) async fn with(with: With) -> Self {
        Self::on(Disk::Folder(tempfile::tempdir().unwrap()), with).await
    }

    /// A server whose database is on this disk.
    pub(crate) async fn on(disk: Disk, with: With) -> Self {
        let folder = disk.path();
        let clock = Arc::new(Later::default());
        let sources = Sources {
            clock: Arc::new(Shifted(Arc::clone(&clock))),
            ..Sources::system()
        };
        let database = format!("sqlite:{}", folder.join("p.db").display());
        let mut options = OpenOptions::new(database, sources.clone());
        options.quotas = with.quotas.unwrap_or(Quotas::NONE);
        let control = Control::open(options).unwrap();
        let (random, workers) = (sources.random, sources.workers);
        let passwords = Passwords::new(Cost::TESTS, 4, 64, Arc::clone(&random), workers.clone());
        seed(&control, &passwords, Some(PASSWORD)).await.unwrap();
        let (end, ending) = watch::channel(false);
        let api = Api {
            control: control.clone(),
            passwords,
            tokens: (!with.no_agents).then(|| Tokens::new("198.18.0.1:7443", [7; 32], random)),
            lab: with.lab,
            public_url: with.public_url.map(ToOwned::to_owned),
            metrics: Metrics::default(),
            streams: Streams::default(),
            ending,
            stopwatch: sources.stopwatch,
            workers,
        };
        Self {
            app: router(Arc::new(api)),
            control,
            clock,
            end,
            disk,
        }
    }

    /// Asks, and hands out the answer before its body is read.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> axum::response::Response {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "portolan.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.app
            .clone()
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let (parts, body) = self.raw(method, path, headers, body).await.into_parts();
        let text = to_bytes(body, usize::MAX).await.unwrap();
        let reply = Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(text.to_vec()).unwrap(),
        };
        super::conform::check(method, path, &reply);
        reply
    }

    /// A token of a user in a project.
    pub(crate) async fn token(&self, user: &str, project: &str) -> String {
        let body = log_in(
            user,
            PASSWORD,
            json!({ "project": { "name": project, "domain": { "name": "Default" } } }),
        );
        let reply = self.ask("POST", "/v3/auth/tokens", &[], body.to_string()).await.is(201);
        reply.header("x-subject-token").to_owned()
    }

    pub(crate) async fn admin(&self) -> User<'_> {
        let token = self.token("admin", "admin").await;
        let project = self
            .control
            .read(|view| view.project_by_name("admin").unwrap().id.to_string());
        User {
            server: self,
            token,
            project,
        }
    }

    /// The provider's external network 203.0.113.0/24, as set-up makes it; its id.
    pub(crate) async fn internet(&self) -> String {
        let admin = self.admin().await;
        let network = json!({ "name": "internet", "router:external": true });
        let network = id(&admin.make("network", network).await);
        let subnet = json!({ "network_id": network, "cidr": "203.0.113.0/24", "ip_version": 4 });
        admin.make("subnet", subnet).await;
        network
    }

    /// Lets a user's project make networks with a shadow port, as people do it; the request's id.
    pub(crate) async fn grant(&self, user: &User<'_>) -> String {
        let path = format!("/portolan/v1/projects/{}/shadowport", user.project);
        let asked = json!({ "purpose": "Machines that reach nothing else", "nodes": 3 });
        let request = id(&user.post(&path, asked).await.is(201).json()["item"]);
        let path = format!("/portolan/v1/support/requests/{request}/grant");
        self.admin().await.post(&path, json!({})).await.is(200);
        request
    }

    /// A new user with a role in a project, which is made if need be.
    pub(crate) async fn user(&self, name: &str, project: &str, role: Role) -> User<'_> {
        let admin = self.admin().await;
        let known = self
            .control
            .read(|view| view.project_by_name(project).map(|p| p.id.to_string()));
        let id = match known {
            Some(id) => id,
            None => {
                let made = admin
                    .post("/v3/projects", json!({ "project": { "name": project } }))
                    .await
                    .is(201);
                made.json()["project"]["id"].as_str().unwrap().to_owned()
            }
        };
        let body = json!({ "user": { "name": name, "password": PASSWORD, "default_project_id": id } });
        let user = admin.post("/v3/users", body).await.is(201).json()["user"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        admin
            .ask(
                "PUT",
                &format!("/v3/projects/{id}/users/{user}/roles/{}", role.id()),
                "",
            )
            .await
            .is(204);
        User {
            server: self,
            token: self.token(name, project).await,
            project: id,
        }
    }

    /// The newest revision: nothing was made if it is the same.
    pub(crate) fn head(&self) -> u64 {
        self.control.read(|view| view.head())
    }
}

/// Body of a log-in with a password.
pub(crate) fn log_in(user: &str, password: &str, scope: Value) -> Value {
    let identity = json!({
        "methods": ["password"],
        "password": { "user": { "name": user, "domain": { "name": "Default" }, "password": password } },
    });
    match scope {
        Value::Null => json!({ "auth": { "identity": identity } }),
        scope => json!({ "auth": { "identity": identity, "scope": scope } }),
    }
}

/// Somebody with a token.
pub(crate) struct User<'a> {
    pub(crate) server: &'a Server,
    pub(crate) token: String,
    pub(crate) project: String,
}

impl User<'_> {
    pub(crate) async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        self.server
            .ask(method, path, &[("x-auth-token", &self.token)], body)
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask("PUT", path, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, "").await
    }

    /// Makes something of the Networking API; answers it without its envelope.
    pub(crate) async fn make(&self, thing: &str, attributes: Value) -> Value {
        let reply = self
            .post(&format!("/v2.0/{thing}s"), json!({ thing: attributes }))
            .await
            .is(201);
        reply.json()[thing].clone()
    }

    /// A network with a subnet; their ids.
    pub(crate) async fn network(&self, cidr: &str) -> (String, String) {
        let network = id(&self.make("network", json!({ "name": "secret-web" })).await);
        let subnet = json!({ "network_id": network, "cidr": cidr, "ip_version": 4, "name": "secret-subnet" });
        let subnet = id(&self.make("subnet", subnet).await);
        (network, subnet)
    }
}

/// The id of an object.
pub(crate) fn id(object: &Value) -> String {
    object["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {object}"))
        .to_owned()
}

/// Names of the objects that an answer lists.
pub(crate) fn names(reply: &Reply, things: &str) -> Vec<String> {
    reply.json()[things]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}
