//! `/v3`: log-in, tokens, projects, users, roles.

use portolan_control::identity::login::{Kind, TOKEN_LIFETIME, begin, request};
use portolan_core::command::{Actor, Command, NewPassword, Proof, UserChange};
use portolan_core::model::Role;
use serde_json::{Value, json};

use super::kit::{PASSWORD, Server, id, log_in};

#[tokio::test]
async fn a_token_says_who_where_and_what_there_is() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let scope = json!({ "project": { "name": "alpha", "domain": { "id": "default" } } });
    let reply = server
        .ask(
            "POST",
            "/v3/auth/tokens",
            &[],
            log_in("ann", PASSWORD, scope).to_string(),
        )
        .await
        .is(201);
    assert_eq!(reply.header("x-subject-token").len(), 43);
    let token = reply.json()["token"].clone();
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["user"]["domain"], json!({ "id": "default", "name": "Default" }));
    assert_eq!(token["project"]["name"], "alpha");
    let roles: Vec<_> = token["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["name"].clone())
        .collect();
    assert_eq!(roles, ["member", "reader"]);
    let urls: Vec<_> = token["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["endpoints"][0]["url"].clone())
        .collect();
    let base = "http://portolan.test";
    assert_eq!(urls, [&format!("{base}/v3"), base, &format!("{base}/portolan/v1")]);
    assert!(token["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn log_ins_that_do_not_work_say_nothing_more() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    server.user("bob", "beta", Role::Member).await;
    let project = |name: &str| json!({ "project": { "name": name, "domain": { "name": "Default" } } });
    let mut messages = Vec::new();
    for (user, password, scope) in [
        ("ann", "wrong-password", project("alpha")),
        ("nobody", PASSWORD, project("alpha")),
        ("ann", PASSWORD, project("beta")),
        ("ann", PASSWORD, project("nonsense")),
        ("ann", PASSWORD, json!({ "project": { "id": "nonsense" } })),
        (
            "ann",
            PASSWORD,
            json!({ "project": { "name": "alpha", "domain": { "name": "Other" } } }),
        ),
        ("ann", PASSWORD, json!({ "system": { "all": true } })),
        ("ann", PASSWORD, json!({ "domain": { "id": "default" } })),
    ] {
        let reply = server
            .ask(
                "POST",
                "/v3/auth/tokens",
                &[],
                log_in(user, password, scope).to_string(),
            )
            .await
            .is(401);
        assert_eq!(reply.header("x-subject-token"), "");
        messages.push(reply.json()["error"]["message"].clone());
    }
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
    for bad in [
        "",
        "{}",
        r#"{"auth":{}}"#,
        r#"{"auth":{"identity":{"methods":["password"]}}}"#,
        r#"{"auth":[]}"#,
    ] {
        let reply = server.ask("POST", "/v3/auth/tokens", &[], bad).await.is(400);
        assert_eq!(reply.json()["error"]["code"], 400, "{bad}");
    }
    let other = r#"{"auth":{"identity":{"methods":["oauth1"]}}}"#;
    server.ask("POST", "/v3/auth/tokens", &[], other).await.is(401);
}

#[tokio::test]
async fn without_a_scope_a_log_in_goes_to_the_default_project() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let ask = async |scope| {
        server
            .ask(
                "POST",
                "/v3/auth/tokens",
                &[],
                log_in("ann", PASSWORD, scope).to_string(),
            )
            .await
    };
    assert_eq!(
        ask(Value::Null).await.is(201).json()["token"]["project"]["name"],
        "alpha"
    );
    let unscoped = ask(json!("unscoped")).await.is(201);
    assert!(unscoped.json()["token"].get("project").is_none());
    let secret = unscoped.header("x-subject-token").to_owned();
    let reply = server
        .ask("GET", "/v2.0/networks", &[("x-auth-token", &secret)], "")
        .await;
    assert!(matches!(reply.status, 401 | 403), "{reply:?}");
    // It lists the projects there are, and one is chosen with it.
    let mine = server
        .ask("GET", "/v3/auth/projects", &[("x-auth-token", &secret)], "")
        .await
        .is(200)
        .json();
    assert_eq!(mine["projects"][0]["name"], "alpha");
    let body = json!({ "auth": {
        "identity": { "methods": ["token"], "token": { "id": secret } },
        "scope": { "project": { "id": mine["projects"][0]["id"] } },
    } });
    let scoped = server
        .ask("POST", "/v3/auth/tokens", &[], body.to_string())
        .await
        .is(201);
    assert_eq!(
        scoped.json()["token"]["expires_at"],
        unscoped.json()["token"]["expires_at"],
        "it ends no later"
    );
}

#[tokio::test]
async fn tokens_are_looked_at_and_ended() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let look = async |method: &str, user: &str, subject: &str| {
        server
            .ask(
                method,
                "/v3/auth/tokens",
                &[("x-auth-token", user), ("x-subject-token", subject)],
                "",
            )
            .await
    };
    assert_eq!(
        look("GET", &ann.token, &ann.token).await.is(200).json()["token"]["user"]["name"],
        "ann"
    );
    assert_eq!(
        look("HEAD", &admin.token, &ann.token)
            .await
            .is(200)
            .header("x-subject-token"),
        ann.token
    );
    look("GET", &ann.token, &admin.token).await.is(404);
    look("GET", &ann.token, "nonsense").await.is(404);
    ann.get("/v3/auth/tokens").await.is(400);
    look("DELETE", &ann.token, &ann.token).await.is(204);
    ann.get("/v2.0/networks").await.is(401);

    let ann = server.token("ann", "alpha").await;
    server.clock.pass(TOKEN_LIFETIME / 1_000_000 + 1);
    server
        .ask("GET", "/v2.0/networks", &[("x-auth-token", &ann)], "")
        .await
        .is(401);
}

#[tokio::test]
async fn a_role_that_is_taken_takes_its_tokens_with_it() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let user = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    let path = format!("/v3/projects/{}/users/{user}/roles/{}", ann.project, Role::Member.id());
    ann.get("/v2.0/networks").await.is(200);
    admin.ask("HEAD", &path, "").await.is(204);
    admin.delete(&path).await.is(204);
    admin.ask("HEAD", &path, "").await.is(404);
    admin.delete(&path).await.is(404);
    ann.get("/v2.0/networks").await.is(401);
    // A token scoped elsewhere has nothing here.
    admin.ask("PUT", &path, "").await.is(204);
    ann.get("/v2.0/networks").await.is(200);
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_began() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let second = server.token("ann", "alpha").await;
    let user = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    let path = format!("/v3/users/{user}/password");
    let change = |old: &str| json!({ "user": { "original_password": old, "password": "another horse" } });
    ann.post(&path, change("wrong-password")).await.is(401);
    ann.post(
        &path,
        json!({ "user": { "original_password": PASSWORD, "password": "short" } }),
    )
    .await
    .is(400);
    ann.post(&path, change(PASSWORD)).await.is(204);
    ann.get("/v2.0/networks").await.is(401);
    server
        .ask("GET", "/v2.0/networks", &[("x-auth-token", &second)], "")
        .await
        .is(401);
    let body = |password| log_in("ann", password, Value::Null).to_string();
    server.ask("POST", "/v3/auth/tokens", &[], body(PASSWORD)).await.is(401);
    server
        .ask("POST", "/v3/auth/tokens", &[], body("another horse"))
        .await
        .is(201);
}

#[tokio::test]
async fn projects_users_and_roles_are_found_by_name() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    // As the clients do: by id, which is not there, then by name.
    admin.get("/v3/projects/alpha").await.is(404);
    let found = admin.get("/v3/projects?name=alpha").await.is(200).json();
    assert_eq!(found["projects"].as_array().unwrap().len(), 1);
    assert_eq!(id(&found["projects"][0]), ann.project);
    admin.get(&format!("/v3/projects/{}", ann.project)).await.is(200);
    admin.get("/v3/users/ann").await.is(404);
    assert_eq!(
        admin.get("/v3/users?name=ann").await.is(200).json()["users"][0]["name"],
        "ann"
    );
    assert_eq!(
        admin.get("/v3/roles?name=member").await.is(200).json()["roles"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        admin.get("/v3/domains?name=Default").await.is(200).json()["domains"][0]["id"],
        "default"
    );
    assert_eq!(
        admin.get("/v3/domains?name=Other").await.is(200).json()["domains"],
        json!([])
    );
    let assigned = admin
        .get("/v3/role_assignments?include_names=True")
        .await
        .is(200)
        .json();
    assert_eq!(assigned["role_assignments"].as_array().unwrap().len(), 2);
    assert!(assigned.to_string().contains("\"alpha\""));
}

#[tokio::test]
async fn what_cannot_be_made_is_refused() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let head = server.head();
    for (body, status) in [
        (json!({ "project": { "name": "alpha" } }), 409),
        (json!({ "project": {} }), 400),
        (json!({ "project": { "name": "" } }), 400),
        (json!({ "project": { "name": 7 } }), 400),
        (json!({ "project": { "name": "x".repeat(300) } }), 400),
        (json!({ "project": { "name": "x", "domain_id": "other" } }), 404),
        (json!({ "project": { "name": "x", "is_domain": true } }), 400),
        (json!({ "project": { "name": "x", "nonsense": true } }), 400),
    ] {
        admin.post("/v3/projects", body.clone()).await.is(status);
    }
    for (user, status) in [
        (json!({ "name": "ann", "password": PASSWORD }), 409),
        (json!({ "name": "x" }), 400),
        (json!({ "name": "x", "password": "short" }), 400),
        (json!({ "name": "x", "password": null }), 400),
        (json!({ "name": "", "password": PASSWORD }), 400),
        (
            json!({ "name": "x", "password": PASSWORD, "default_project_id": "nonsense" }),
            400,
        ),
        (
            json!({ "name": "x", "password": PASSWORD, "default_project_id": "0".repeat(32) }),
            404,
        ),
        (json!({ "name": "x", "password": PASSWORD, "enabled": "maybe" }), 400),
    ] {
        admin.post("/v3/users", json!({ "user": user })).await.is(status);
    }
    assert_eq!(server.head(), head, "nothing was written");
    ann.network("10.0.0.0/24").await;
    let reply = admin.delete(&format!("/v3/projects/{}", ann.project)).await.is(409);
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("alpha"));
    // An empty one goes, and its name is free.
    let made = admin
        .post("/v3/projects", json!({ "project": { "name": "gamma" } }))
        .await
        .is(201)
        .json();
    admin
        .delete(&format!("/v3/projects/{}", id(&made["project"])))
        .await
        .is(204);
    admin
        .post("/v3/projects", json!({ "project": { "name": "gamma" } }))
        .await
        .is(201);
}

#[tokio::test]
async fn a_user_is_deleted_with_what_it_holds() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let user = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    server.admin().await.delete(&format!("/v3/users/{user}")).await.is(204);
    ann.get("/v2.0/networks").await.is(401);
    server
        .ask(
            "POST",
            "/v3/auth/tokens",
            &[],
            log_in("ann", PASSWORD, Value::Null).to_string(),
        )
        .await
        .is(401);
}

#[tokio::test]
async fn who_is_disabled_while_changing_the_password_stays_disabled() {
    let server = Server::new().await;
    server.user("ann", "alpha", Role::Member).await;
    let ann = server.control.read(|view| view.user_by_name("ann").unwrap().clone());
    let admin = server.admin().await;
    let path = format!("/v3/users/{}", ann.id);
    // What `POST …/password` asks of the writer once the old password was checked.
    let change = || UserChange {
        password: Some(NewPassword {
            hash: "another".to_owned(),
            replaces: Some(ann.password_hash.clone()),
        }),
        ..UserChange::default()
    };
    let ask = async |change| {
        let request = request(Actor::User(ann.id), Command::ChangeUser(ann.id, change));
        server.control.write(request).await.map_err(|refusal| refusal.code())
    };
    admin.ask("PATCH", &path, r#"{"user":{"enabled":false}}"#).await.is(200);
    ask(change()).await.unwrap();
    assert!(!server.control.read(|view| view.user(ann.id).unwrap().enabled));
    assert_eq!(
        ask(change()).await.err(),
        Some("auth.failed"),
        "the password has changed since"
    );
    admin.ask("DELETE", &path, "").await.is(204);
    assert_eq!(ask(change()).await.err(), Some("not_found"), "nobody comes back");
}

#[tokio::test]
async fn the_oldest_token_makes_room_for_one_too_many() {
    let server = Server::new().await;
    let admin = server.control.read(|view| view.user_by_name("admin").unwrap().clone());
    let proof = || Proof::Password(admin.password_hash.clone());
    let kind = Kind::Token {
        project: None,
        until: None,
    };
    let first = begin(&server.control, &admin, kind, proof()).await.unwrap();
    server.clock.pass(1);
    let writes = (1..4_096).map(|_| begin(&server.control, &admin, kind, proof()));
    for begun in futures_util::future::join_all(writes).await {
        assert!(begun.is_ok());
    }
    begin(&server.control, &admin, kind, proof()).await.unwrap();
    let (count, there) = server.control.read(|view| {
        (
            view.session_count(admin.id),
            view.session(&first.session.hash).is_some(),
        )
    });
    assert_eq!((count, there), (4_096, false));
}
