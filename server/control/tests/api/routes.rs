//! Every route: without credentials, with wrong ones, and by somebody of another project.
//!
//! A route without a case in `cases.rs` fails. What every role gets is in `roles.txt`.

use std::collections::BTreeSet;

use portolan_control::api::resources::RESOURCES;
use portolan_core::model::Role;

use super::cases::Other::{Forbidden, Gone, Nothing, Own};
use super::cases::{OPEN, Things, cases};
use super::kit::Server;

/// Method and path of everything that can be called.
pub(crate) fn routes() -> BTreeSet<(String, String)> {
    let all = portolan_control::api::routes().into_iter();
    all.map(|(method, path)| (method.to_string(), path)).collect()
}

#[test]
fn every_route_has_a_case() {
    let mut known = BTreeSet::new();
    let open = OPEN.iter().map(|(method, path)| (*method, (*path).to_owned()));
    for (method, path) in cases().into_iter().map(|(method, path, ..)| (method, path)).chain(open) {
        assert!(
            known.insert((method.to_owned(), path.clone())),
            "{method} {path}: twice"
        );
    }
    let routes = routes();
    let missing: Vec<_> = routes.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "routes without a case in CASES (or, if anybody may call them, OPEN): {missing:?}"
    );
    let gone: Vec<_> = known.difference(&routes).collect();
    assert!(gone.is_empty(), "cases without a route: {gone:?}");
    // The 13th is /readyz: what asks it, a load balancer, has no log-in. It names no reason of the store's.
    assert_eq!(OPEN.len(), 13, "the list of what anybody may call only shrinks");
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
    for (method, route, body, _) in &cases() {
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
    for (method, route, body, expected) in &cases() {
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
    let resources = RESOURCES
        .iter()
        .map(|listing| format!("/v2.0{}", listing.names.path_of_one));
    let cluster = "/portolan/v1/projects/{project}/clusters/{id}".to_owned();
    for route in resources.chain([cluster]) {
        ann.get(&things.fill(&route)).await.is(200);
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
    for (method, route, body, _) in cases()
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
    for (method, route, body, _) in cases()
        .iter()
        .filter(|(_, route, ..)| !route.starts_with("/v3") && !route.ends_with("/session"))
        .filter(|(_, route, ..)| !route.contains("/support/"))
        .filter(|(_, route, ..)| !["/portolan/v1/clusters", "/portolan/v1/epochs"].contains(&route.as_str()))
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
        "/readyz",
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
