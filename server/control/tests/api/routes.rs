//! Every route: without credentials, with wrong ones, and by somebody of another project.
//!
//! A route without a case here fails. [`OPEN`] lists those that anybody may call; it may only
//! shrink. What every role gets is in `roles.txt`.

use std::collections::BTreeSet;

use portolan_core::model::Role;
use serde_json::json;

use super::kit::{Server, User, id};

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

/// Method, route, body, and what somebody of another project gets.
pub(crate) const CASES: &[(&str, &str, &str, Other)] = &[
    ("GET", "/v2.0/extensions", "", Own),
    ("GET", "/v2.0/extensions/{alias}", "", Own),
    ("GET", "/v2.0/networks", "", Nothing),
    (
        "POST",
        "/v2.0/networks",
        r#"{"network":{"project_id":"{project}"}}"#,
        Forbidden,
    ),
    ("GET", "/v2.0/networks/{id}", "", Gone),
    ("PUT", "/v2.0/networks/{id}", r#"{"network":{"name":"x"}}"#, Gone),
    ("DELETE", "/v2.0/networks/{id}", "", Gone),
    ("GET", "/v2.0/subnets", "", Nothing),
    (
        "POST",
        "/v2.0/subnets",
        r#"{"subnet":{"network_id":"{network}","cidr":"10.9.0.0/24"}}"#,
        Gone,
    ),
    ("GET", "/v2.0/subnets/{id}", "", Gone),
    ("PUT", "/v2.0/subnets/{id}", r#"{"subnet":{"name":"x"}}"#, Gone),
    ("DELETE", "/v2.0/subnets/{id}", "", Gone),
    ("GET", "/v2.0/ports", "", Nothing),
    ("POST", "/v2.0/ports", r#"{"port":{"network_id":"{network}"}}"#, Gone),
    ("GET", "/v2.0/ports/{id}", "", Gone),
    ("PUT", "/v2.0/ports/{id}", r#"{"port":{"name":"x"}}"#, Gone),
    ("DELETE", "/v2.0/ports/{id}", "", Gone),
    ("GET", "/v2.0/address-scopes", "", Nothing),
    (
        "POST",
        "/v2.0/address-scopes",
        r#"{"address_scope":{"ip_version":4,"project_id":"{project}"}}"#,
        Forbidden,
    ),
    ("GET", "/v2.0/address-scopes/{id}", "", Gone),
    (
        "PUT",
        "/v2.0/address-scopes/{id}",
        r#"{"address_scope":{"name":"x"}}"#,
        Gone,
    ),
    ("DELETE", "/v2.0/address-scopes/{id}", "", Gone),
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
    ("GET", "/portolan/v1/projects/{project}/networks", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/networks/{id}", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/networks/{id}/subnets", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/networks/{id}/ports", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/subnets/{id}", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/subnets/{id}/ports", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/ports/{id}", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/ports/{id}/why", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/address-space", "", Gone),
    ("GET", "/portolan/v1/projects/{project}/address-scopes", "", Gone),
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

/// Method and path of everything that can be called.
pub(crate) fn routes() -> BTreeSet<(String, String)> {
    let all = portolan_control::api::routes().into_iter();
    all.map(|(method, path)| (method.to_string(), path)).collect()
}

#[test]
fn every_route_has_a_case() {
    let known: BTreeSet<(String, String)> = CASES
        .iter()
        .map(|(method, path, ..)| (*method, *path))
        .chain(OPEN.iter().copied())
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    let routes = routes();
    let missing: Vec<_> = routes.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "routes without a case in CASES (or, if anybody may call them, OPEN): {missing:?}"
    );
    let gone: Vec<_> = known.difference(&routes).collect();
    assert!(gone.is_empty(), "cases without a route: {gone:?}");
    assert_eq!(OPEN.len(), 12, "the list of what anybody may call only shrinks");
}

/// Everything of the first project that a route may name.
pub(crate) struct Things {
    pub(crate) project: String,
    pub(crate) user: String,
    pub(crate) network: String,
    pub(crate) subnet: String,
    pub(crate) port: String,
    pub(crate) address_scope: String,
    pub(crate) cluster: String,
    pub(crate) node: String,
    pub(crate) request: String,
}

impl Things {
    pub(crate) async fn of(user: &User<'_>) -> Self {
        let (network, subnet) = user.network("10.200.0.0/24").await;
        let port = id(&user
            .make("port", json!({ "network_id": network, "name": "secret-port" }))
            .await);
        let scope = json!({ "address_scope": { "name": "secret-scope", "ip_version": 4 } });
        let made = user.post("/v2.0/address-scopes", scope).await.is(201);
        let address_scope = id(&made.json()["address_scope"]);
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
        let path = format!("/portolan/v1/projects/{}/shadowport", user.project);
        let filed = json!({ "purpose": "a secret purpose", "nodes": 3 });
        let request = id(&user.post(&path, filed).await.is(201).json()["item"]);
        let id = user
            .server
            .control
            .read(|view| view.user_by_name("ann").unwrap().id.to_string());
        Self {
            project: user.project.clone(),
            user: id,
            network,
            subnet,
            port,
            address_scope,
            cluster,
            node,
            request,
        }
    }

    pub(crate) fn fill(&self, route: &str) -> String {
        let role = Role::Member.id().to_string();
        let id = match route {
            _ if route.contains("/networks/") => &self.network,
            _ if route.contains("/subnets/") => &self.subnet,
            _ if route.contains("/ports/") => &self.port,
            _ if route.contains("/address-scopes/") => &self.address_scope,
            _ if route.contains("/clusters/") => &self.cluster,
            _ if route.contains("/shadowport/") || route.contains("/requests/") => &self.request,
            _ if route.contains("/v3/projects/") => &self.project,
            _ if route.contains("/v3/users/") => &self.user,
            _ if route.contains("/v3/roles/") => &role,
            _ => "default",
        };
        let pairs = [
            ("{alias}", "pagination"),
            ("{project}", &self.project),
            ("{user}", &self.user),
            ("{role}", &role),
            ("{node}", &self.node),
            ("{network}", &self.network),
            ("{id}", id),
        ];
        pairs
            .iter()
            .fold(route.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

#[tokio::test]
async fn nothing_is_answered_without_credentials() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let things = Things::of(&ann).await;
    let head = server.head();
    let wrong: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-auth-token", "")],
        &[("x-auth-token", "nonsense")],
        &[("x-auth-token", &"x".repeat(5_000))],
        &[("cookie", "portolan_session=nonsense")],
        // A token is no cookie.
        &[("cookie", &format!("portolan_session={}", ann.token))],
    ];
    for (method, route, body, _) in CASES {
        for headers in wrong {
            let reply = server
                .ask(method, &things.fill(route), headers, things.fill(body))
                .await
                .is(401);
            let shown = reply.json();
            if route.starts_with("/portolan") {
                assert_eq!(reply.header("content-type"), "application/problem+json", "{route}");
                assert!(shown["code"].as_str().unwrap().starts_with("auth."), "{route}: {shown}");
            } else {
                assert_eq!(shown["error"]["code"], 401, "{route}: {shown}");
                assert_eq!(shown["error"]["title"], "Unauthorized");
                assert_eq!(
                    reply.header("www-authenticate"),
                    "Keystone uri=\"http://portolan.test/v3\""
                );
            }
            assert!(reply.header("x-openstack-request-id").starts_with("req-"));
        }
    }
    assert_eq!(server.head(), head, "nothing was written");
}

#[tokio::test]
async fn nobody_reaches_into_another_project() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let things = Things::of(&ann).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    let head = server.head();
    for (method, route, body, expected) in CASES {
        let path = things.fill(route);
        let headers = [
            ("x-auth-token", bob.token.as_str()),
            ("x-subject-token", ann.token.as_str()),
        ];
        let reply = server.ask(method, &path, &headers, things.fill(body)).await;
        let allowed: &[u16] = match expected {
            Gone => &[404],
            Nothing | Own => &[200],
            Forbidden if route.ends_with("/session") => &[401],
            Forbidden => &[403],
        };
        assert!(allowed.contains(&reply.status), "{method} {route}: {reply:?}");
        assert!(
            !reply.text.contains("secret"),
            "{method} {route} tells too much: {reply:?}"
        );
        if *expected == Nothing {
            let list = reply.json();
            let (_, items) = list.as_object().unwrap().iter().next().unwrap();
            // But for the provider's, which everybody sees.
            let others = items
                .as_array()
                .unwrap()
                .iter()
                .filter(|item| item["router:external"] != true);
            assert_eq!(others.count(), 0, "{route}");
        }
    }
    let events = format!("/portolan/v1/events?project={}", things.project);
    bob.get(&events).await.is(404);
    assert_eq!(server.head(), head, "nothing was written");
    // And everything is still there.
    for thing in [
        format!("/v2.0/networks/{}", things.network),
        format!("/v2.0/subnets/{}", things.subnet),
        format!("/v2.0/ports/{}", things.port),
        format!("/portolan/v1/projects/{}/clusters/{}", things.project, things.cluster),
    ] {
        ann.get(&thing).await.is(200);
    }
}

#[tokio::test]
async fn one_projects_things_are_not_in_anothers_path() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let things = Things::of(&ann).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    let foreign = Things {
        project: bob.project.clone(),
        ..things
    };
    // Also an administrator finds them only where they are.
    let admin = server.admin().await;
    for (method, route, body, _) in CASES
        .iter()
        .filter(|(_, route, ..)| route.contains("{project}/") && route.contains("{id}"))
    {
        for user in [&bob, &admin] {
            user.ask(method, &foreign.fill(route), foreign.fill(body)).await.is(404);
        }
    }
}

#[tokio::test]
async fn a_reader_reads_and_writes_nothing() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let things = Things::of(&ann).await;
    let rea = server.user("rea", "alpha", Role::Reader).await;
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let head = server.head();
    for (method, route, body, _) in CASES
        .iter()
        .filter(|(_, route, ..)| !route.starts_with("/v3") && !route.ends_with("/session"))
        .filter(|(_, route, ..)| !route.contains("/support/") && *route != "/portolan/v1/clusters")
    {
        let path = things.fill(route);
        if path.ends_with("/events") {
            continue;
        }
        for user in [&rea, &sue] {
            let reply = user.ask(method, &path, things.fill(body)).await;
            let expected = if *method == "GET" { 200 } else { 403 };
            assert_eq!(reply.status, expected, "{method} {route}: {reply:?}");
        }
    }
    assert_eq!(server.head(), head, "nothing was written");
    let seen = sue.get("/v2.0/ports").await.is(200);
    assert!(seen.text.contains("secret-port"), "support sees every project");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_errors_in_the_apis_shape() {
    let server = Server::new().await;
    let admin = server.admin().await;
    for (method, path, status) in [
        ("GET", "/v2.0/nonsense", 404),
        ("PATCH", "/v2.0/networks", 405),
        ("PATCH", "/v2.0/networks/x", 405),
        ("DELETE", "/v2.0/networks", 405),
        ("GET", "/v2.0/networks/not-an-id", 404),
        ("GET", "/v2.0/networks/%ff", 404),
    ] {
        let reply = admin.ask(method, path, "").await.is(status);
        assert!(reply.json()["NeutronError"]["message"].is_string(), "{reply:?}");
    }
    for (method, path, status) in [
        ("GET", "/v3/nonsense", 404),
        ("PUT", "/v3/users", 405),
        ("GET", "/v3/users/admin", 404),
    ] {
        let reply = admin.ask(method, path, "").await.is(status);
        assert_eq!(reply.json()["error"]["code"], status, "{reply:?}");
    }
    for (method, path, status) in [
        ("GET", "/portolan/v1/nonsense", 404),
        ("PATCH", "/portolan/v1/session", 405),
        ("POST", "/nonsense", 405),
    ] {
        let reply = admin.ask(method, path, "").await.is(status);
        assert_eq!(reply.json()["status"], status, "{reply:?}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = Server::new().await;
    for path in [
        "/",
        "/healthz",
        "/metrics",
        "/v3",
        "/v2.0",
        "/v2.0/networks",
        "/portolan/v1/session",
        "/nonsense",
    ] {
        let reply = server.ask("GET", path, &[("accept", "text/html")], "").await;
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"),
            "{path}: {policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("strict-transport-security"), "", "only under TLS");
        assert_ne!(reply.header("cache-control"), "");
    }
    let secure = Server::with(super::kit::With {
        public_url: Some("https://portolan.example"),
        ..Default::default()
    })
    .await;
    let reply = secure.ask("GET", "/v3", &[], "").await.is(200);
    assert!(reply.header("strict-transport-security").contains("max-age"));
    assert_eq!(
        reply.json()["version"]["links"][0]["href"],
        "https://portolan.example/v3/"
    );
}
