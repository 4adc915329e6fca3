//! The console's session: cookie, CSRF, end.

use portolan_control::identity::login::{Kind, SESSION_LIFETIME, begin};
use portolan_core::command::Proof;
use portolan_core::model::Role;
use serde_json::{Value, json};

use super::kit::{PASSWORD, Reply, Server, With};

/// A browser that is logged in.
struct Browser<'a> {
    server: &'a Server,
    cookie: String,
    csrf: String,
    session: Value,
}

async fn log_in<'a>(server: &'a Server, user: &str) -> Browser<'a> {
    let body = json!({ "user": user, "password": PASSWORD }).to_string();
    let reply = server.ask("POST", "/portolan/v1/session", &[], body).await.is(200);
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    let session = reply.json();
    Browser {
        server,
        cookie,
        csrf: session["csrf"].as_str().unwrap().to_owned(),
        session,
    }
}

impl Browser<'_> {
    async fn ask(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let mut headers = vec![("cookie", self.cookie.as_str())];
        headers.extend(more);
        self.server.ask(method, path, &headers, body.to_owned()).await
    }
}

#[tokio::test]
async fn a_session_of_a_time_when_the_clock_was_ahead_ends_when_it_is_right() {
    let server = Server::new().await;
    let year = 365 * 24 * 3600;
    server.clock.pass(year);
    let ahead = log_in(&server, "admin").await;
    ahead.ask("GET", "/portolan/v1/session", &[], "").await.is(200);
    server.clock.pass(-year);
    ahead.ask("GET", "/portolan/v1/session", &[], "").await.is(401);
}

#[tokio::test]
async fn the_cookie_is_for_this_site_alone_and_not_for_scripts() {
    let server = Server::new().await;
    let body = json!({ "user": "admin", "password": PASSWORD }).to_string();
    let reply = server
        .ask("POST", "/portolan/v1/session", &[], body.clone())
        .await
        .is(200);
    let cookie = reply.header("set-cookie");
    for part in [
        "portolan_session=",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
        "Max-Age=43200",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !reply.text.contains(&cookie["portolan_session=".len()..][..43]));
    let secure = Server::with(With {
        public_url: Some("https://p.example"),
        ..With::default()
    })
    .await;
    let reply = secure.ask("POST", "/portolan/v1/session", &[], body).await.is(200);
    assert!(reply.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn wrong_log_ins_are_all_alike() {
    let server = Server::new().await;
    let mut seen = Vec::new();
    for (user, password) in [
        ("admin", "wrong-password"),
        ("nobody", PASSWORD),
        ("", ""),
        ("admin", ""),
    ] {
        let body = json!({ "user": user, "password": password }).to_string();
        let reply = server.ask("POST", "/portolan/v1/session", &[], body).await.is(401);
        assert_eq!(reply.header("set-cookie"), "");
        let mut problem = reply.json();
        problem["request_id"] = Value::Null;
        seen.push(problem);
    }
    assert_eq!(seen[0]["code"], "auth.failed");
    assert!(seen.iter().all(|problem| *problem == seen[0]), "{seen:?}");
    for bad in [
        "",
        "{}",
        r#"{"user":"admin"}"#,
        r#"{"user":"a","password":"b","x":1}"#,
        "[]",
    ] {
        let reply = server.ask("POST", "/portolan/v1/session", &[], bad).await.is(400);
        assert_eq!(reply.json()["code"], "body.malformed", "{bad}");
    }
}

#[tokio::test]
async fn writing_needs_the_csrf_secret_and_a_project() {
    let server = Server::new().await;
    let project = server.user("ann", "alpha", Role::Member).await.project;
    let ann = log_in(&server, "ann").await;
    let other = log_in(&server, "ann").await;
    let head = server.head();
    let (body, path) = (r#"{"network":{"name":"n"}}"#, "/v2.0/networks");
    let here = ("x-portolan-project", project.as_str());
    for headers in [
        &[here][..],
        &[here, ("x-csrf-token", "")],
        &[here, ("x-csrf-token", "nonsense")],
        // Another session's secret, also of the same user.
        &[here, ("x-csrf-token", &other.csrf)],
    ] {
        let reply = ann.ask("POST", path, headers, body).await.is(403);
        assert_eq!(reply.json()["NeutronError"]["code"], "auth.csrf");
    }
    for (method, path) in [
        ("DELETE", "/portolan/v1/session".to_owned()),
        ("POST", format!("/portolan/v1/projects/{project}/clusters")),
    ] {
        assert_eq!(
            ann.ask(method, &path, &[], "{}").await.is(403).json()["code"],
            "auth.csrf"
        );
    }
    let csrf = ("x-csrf-token", ann.csrf.as_str());
    ann.ask("POST", path, &[csrf], body).await.is(403);
    ann.ask("POST", path, &[csrf, ("x-portolan-project", "nonsense")], body)
        .await
        .is(404);
    assert_eq!(server.head(), head, "nothing was written");
    ann.ask("POST", path, &[csrf, here], body).await.is(201);
    ann.ask("GET", path, &[here], "").await.is(200);
}

#[tokio::test]
async fn a_session_shows_its_user_and_projects() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    server.user("bob", "beta", Role::Reader).await;
    let ann = log_in(&server, "ann").await;
    assert_eq!(ann.session["user"]["name"], "ann");
    assert_eq!(ann.session["projects"].as_array().unwrap().len(), 1);
    assert_eq!(ann.session["projects"][0]["roles"], json!(["member"]));
    let again = ann.ask("GET", "/portolan/v1/session", &[], "").await.is(200).json();
    assert_eq!(again, ann.session);
    let admin = log_in(&server, "admin").await;
    let names: Vec<_> = admin.session["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].clone())
        .collect();
    assert_eq!(names, ["admin", "alpha", "beta"], "an administrator sees all");
}

#[tokio::test]
async fn a_language_is_kept_with_the_account() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let path = "/portolan/v1/session";
    let ann = log_in(&server, "ann").await;
    let csrf = ("x-csrf-token", ann.csrf.as_str());
    assert_eq!(ann.session.get("language"), None, "nobody chose one");

    let changed = ann
        .ask("PUT", path, &[csrf], r#"{"language":"ru"}"#)
        .await
        .is(200)
        .json();
    let mut expected = ann.session.clone();
    expected["language"] = json!("ru");
    assert_eq!(changed, expected);
    assert_eq!(ann.ask("GET", path, &[], "").await.is(200).json(), expected);
    assert_eq!(log_in(&server, "ann").await.session["language"], "ru", "also elsewhere");
    let head = server.head();
    ann.ask("PUT", path, &[csrf], r#"{"language":"ru"}"#).await.is(200);
    assert_eq!(server.head(), head, "the same again is no change");

    // What an administrator changes of the user leaves it.
    let id = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    let rename = r#"{"user":{"name":"anna"}}"#;
    let admin = server.admin().await;
    admin.ask("PATCH", &format!("/v3/users/{id}"), rename).await.is(200);
    assert_eq!(ann.ask("GET", path, &[], "").await.is(200).json()["language"], "ru");

    let back = ann
        .ask("PUT", path, &[csrf], r#"{"language":null}"#)
        .await
        .is(200)
        .json();
    assert_eq!(back.get("language"), None);
}

#[tokio::test]
async fn a_language_nobody_speaks_or_without_the_csrf_secret_is_refused() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let path = "/portolan/v1/session";
    let ann = log_in(&server, "ann").await;
    let csrf = ("x-csrf-token", ann.csrf.as_str());
    let head = server.head();
    for given in ["tlh", "RU", "ru-RU", ""] {
        let body = json!({ "language": given }).to_string();
        let refused = ann.ask("PUT", path, &[csrf], &body).await.is(400).json();
        assert_eq!(
            (&refused["code"], &refused["field"], &refused["params"]["allowed"]),
            (&json!("value.not_one_of"), &json!("language"), &json!("en, ru")),
            "{given}"
        );
    }
    for bad in ["{}", r#"{"language":1}"#, r#"{"language":"ru","x":1}"#, "[]", ""] {
        let refused = ann.ask("PUT", path, &[csrf], bad).await.is(400).json();
        assert_eq!(refused["code"], "body.malformed", "{bad}");
    }
    let refused = ann.ask("PUT", path, &[], r#"{"language":"ru"}"#).await.is(403).json();
    assert_eq!(refused["code"], "auth.csrf");
    server.ask("PUT", path, &[], r#"{"language":"ru"}"#).await.is(401);
    assert_eq!(server.head(), head, "nothing was written");
}

#[tokio::test]
async fn a_session_ends_by_hand_by_time_and_with_its_user() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let ann = log_in(&server, "ann").await;
    let csrf = ("x-csrf-token", ann.csrf.as_str());
    let reply = ann.ask("DELETE", "/portolan/v1/session", &[csrf], "").await.is(204);
    assert!(reply.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(
        ann.ask("GET", "/portolan/v1/session", &[], "").await.is(401).json()["code"],
        "auth.expired"
    );

    let ann = log_in(&server, "ann").await;
    server.clock.pass(SESSION_LIFETIME / 1_000_000 - 10);
    ann.ask("GET", "/portolan/v1/session", &[], "").await.is(200);
    server.clock.pass(20);
    ann.ask("GET", "/portolan/v1/session", &[], "").await.is(401);

    let ann = log_in(&server, "ann").await;
    let id = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    let body = r#"{"user":{"enabled":false}}"#;
    server
        .admin()
        .await
        .ask("PATCH", &format!("/v3/users/{id}"), body)
        .await
        .is(200);
    ann.ask("GET", "/portolan/v1/session", &[], "").await.is(401);
}

#[tokio::test]
async fn a_cookie_is_no_token() {
    let server = Server::new().await;
    let admin = log_in(&server, "admin").await;
    let secret = admin.cookie.strip_prefix("portolan_session=").unwrap();
    for path in ["/portolan/v1/session", "/v2.0/networks", "/v3/projects"] {
        server.ask("GET", path, &[("x-auth-token", secret)], "").await.is(401);
    }
    let scope = json!({ "auth": { "identity": { "methods": ["token"], "token": { "id": secret } } } });
    server
        .ask("POST", "/v3/auth/tokens", &[], scope.to_string())
        .await
        .is(401);
}

#[tokio::test]
async fn a_page_of_another_site_logs_nobody_in() {
    let server = Server::new().await;
    let body = json!({ "user": "admin", "password": PASSWORD }).to_string();
    for site in ["cross-site", "same-site"] {
        let reply = server
            .ask(
                "POST",
                "/portolan/v1/session",
                &[("sec-fetch-site", site)],
                body.clone(),
            )
            .await
            .is(403);
        assert_eq!(reply.json()["code"], "auth.csrf", "{site}");
        assert_eq!(reply.header("set-cookie"), "");
    }
    let own = [("sec-fetch-site", "same-origin")];
    server.ask("POST", "/portolan/v1/session", &own, body).await.is(200);
}

#[tokio::test]
async fn a_log_in_whose_password_changes_meanwhile_begins_nothing() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let ann = server.control.read(|view| view.user_by_name("ann").unwrap().clone());
    // The password was checked; before the session is written, somebody sets another.
    let proof = Proof::Password(ann.password_hash.clone());
    let body = r#"{"user":{"password":"another horse"}}"#;
    let admin = server.admin().await;
    admin.ask("PATCH", &format!("/v3/users/{}", ann.id), body).await.is(200);
    let begun = begin(&server.control, &ann, Kind::Console, proof).await;
    assert_eq!(begun.err().map(|refusal| refusal.code()), Some("auth.failed"));
}
