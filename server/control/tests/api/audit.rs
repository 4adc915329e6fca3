//! The audit: what it says, to whom, by which filter, in pages.

use portolan_core::model::Role;
use serde_json::{Value, json};

use super::kit::{PASSWORD, Server, User, id};

async fn entries(user: &User<'_>, path: &str) -> Vec<Value> {
    let list = user.get(&format!("/portolan/v1{path}")).await.is(200).json();
    list["items"].as_array().unwrap().clone()
}

/// A project's audit as one of its people reads it.
async fn audit(user: &User<'_>, query: &str) -> Vec<Value> {
    entries(user, &format!("/projects/{}/audit?{query}", user.project)).await
}

async fn everything(user: &User<'_>, query: &str) -> Vec<Value> {
    entries(user, &format!("/support/audit?{query}")).await
}

/// `op kind name` of the objects of an entry.
fn objects(entry: &Value) -> Vec<String> {
    let objects = entry["objects"].as_array().unwrap();
    let word = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    objects
        .iter()
        .map(|object| {
            format!(
                "{} {} {}",
                word(object, "op"),
                word(object, "kind"),
                word(object, "name")
            )
        })
        .collect()
}

fn field(object: &Value, name: &str) -> (Value, Value) {
    let fields = object["fields"].as_array().unwrap();
    let found = fields.iter().find(|field| field["field"] == name);
    found.map_or((Value::Null, Value::Null), |field| {
        (field["before"].clone(), field["after"].clone())
    })
}

#[tokio::test]
async fn who_did_what_before_and_after() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let network = id(&ann.make("network", json!({ "name": "web", "mtu": 1400 })).await);
    let path = format!("/v2.0/networks/{network}");
    let changed = ann.put(&path, json!({ "network": { "name": "shop" } })).await.is(200);
    ann.delete(&path).await.is(204);
    let mine = audit(&ann, &format!("object={network}")).await;
    let said: Vec<Vec<String>> = mine.iter().map(objects).collect();
    assert_eq!(
        said,
        [["delete network shop"], ["update network shop"], ["create network web"]],
        "the newest first"
    );
    let update = &mine[1];
    assert_eq!(update["who"], json!({ "kind": "user", "name": "ann" }));
    assert_eq!(
        (&update["through"], &update["project"]),
        (&json!("api"), &json!(ann.project))
    );
    assert_eq!(update["request_id"], changed.header("x-openstack-request-id"));
    assert_eq!(
        update["objects"][0]["fields"],
        json!([{ "field": "name", "before": "web", "after": "shop" }]),
        "what did not change is not told"
    );
    assert_eq!(field(&mine[2]["objects"][0], "mtu"), (Value::Null, json!("1400")));
    assert_eq!(field(&mine[0]["objects"][0], "mtu"), (json!("1400"), Value::Null));
    assert!(mine[0]["revision"].as_u64() > mine[1]["revision"].as_u64());
}

#[tokio::test]
async fn the_console_and_tokens_are_told_apart() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let body = json!({ "user": "ann", "password": PASSWORD }).to_string();
    let reply = server.ask("POST", "/portolan/v1/session", &[], body).await.is(200);
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    let csrf = reply.json()["csrf"].as_str().unwrap().to_owned();
    let headers = [
        ("cookie", cookie.as_str()),
        ("x-csrf-token", csrf.as_str()),
        ("x-portolan-project", ann.project.as_str()),
    ];
    let body = json!({ "network": { "name": "by-hand" } }).to_string();
    server.ask("POST", "/v2.0/networks", &headers, body).await.is(201);
    ann.make("network", json!({ "name": "by-program" })).await;
    assert_eq!(
        objects(&audit(&ann, "through=console").await[0]),
        ["create network by-hand"]
    );
    let by_token = audit(&ann, "through=api&kind=network").await;
    assert_eq!(
        (objects(&by_token[0]), by_token.len()),
        (vec!["create network by-program".to_owned()], 1)
    );
}

#[tokio::test]
async fn filters_and_pages() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let amy = server.user("amy", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    for n in 0..5 {
        amy.make("port", json!({ "network_id": network, "name": format!("p{n}") }))
            .await;
    }
    let names = |entries: &[Value]| -> Vec<String> { entries.iter().flat_map(objects).collect() };
    let ports = audit(&ann, "kind=port").await;
    assert_eq!(names(&ports)[0], "create port p4");
    assert_eq!(ports.len(), 5);
    assert_eq!(audit(&ann, "who=amy").await.len(), 5);
    assert_eq!(audit(&ann, "who=ann").await.len(), 2);
    assert_eq!(audit(&ann, "who=nobody").await.len(), 0);
    assert_eq!(audit(&ann, "op=delete").await.len(), 0);
    // Page by page, each entry once.
    let (mut marker, mut seen, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let path = format!("/portolan/v1/projects/{}/audit?kind=port&limit=2{marker}", ann.project);
        let list = ann.get(&path).await.is(200).json();
        seen.extend(list["items"].as_array().unwrap().clone());
        pages += 1;
        match list["next"].as_str() {
            None => break,
            Some(next) => marker = format!("&marker={next}"),
        }
    }
    assert_eq!((seen, pages), (ports, 3));
    for bad in [
        "kind=x",
        "kind=",
        "op=x",
        "through=x",
        "object=x",
        "marker=x",
        "limit=x",
        "object=a/b/c",
        &format!("who={}", "x".repeat(256)),
    ] {
        let path = format!("/portolan/v1/projects/{}/audit?{bad}", ann.project);
        ann.get(&path).await.is(400);
    }
    let alpha = format!("project={}", ann.project);
    assert_eq!(everything(&admin, &format!("{alpha}&kind=port")).await.len(), 5);
    admin.get("/portolan/v1/support/audit?project=x").await.is(400);
}

#[tokio::test]
async fn a_bulk_create_is_one_entry() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, _) = ann.network("10.0.0.0/16").await;
    let ports = json!({ "ports": vec![json!({ "network_id": network }); 130] });
    let made = ann.post("/v2.0/ports", ports).await.is(201).json();
    let entry = audit(&ann, "kind=port").await[0].clone();
    assert_eq!(
        (entry["objects"].as_array().unwrap().len(), &entry["more"]),
        (100, &json!(30))
    );
    let last = id(&made["ports"][129]);
    let history = audit(&ann, &format!("object={last}")).await;
    assert_eq!(
        history[0]["objects"][0]["id"],
        json!(last),
        "what was asked for comes first"
    );
    assert_eq!(history[0]["revision"], entry["revision"]);
}

#[tokio::test]
async fn no_hash_is_ever_told() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let user = server.control.read(|view| view.user_by_name("ann").unwrap().id);
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let cluster = id(&ann
        .post(&clusters, json!({ "name": "shop", "external_ip": true }))
        .await
        .is(201)
        .json()["item"]);
    ann.post(&format!("{clusters}/{cluster}/join-tokens"), json!({}))
        .await
        .is(201);
    assert_eq!(audit(&ann, "kind=user").await.len(), 0, "users are nobody's");
    assert_eq!(audit(&ann, "kind=join_token").await.len(), 1);
    let password = json!({ "user": { "original_password": PASSWORD, "password": "another horse" } });
    ann.post(&format!("/v3/users/{user}/password"), password).await.is(204);
    let all = everything(&admin, "limit=500").await;
    let text = serde_json::to_string(&all).unwrap();
    for secret in ["argon2", "hash", "mac_cursor", "csrf", "another horse"] {
        assert!(!text.contains(secret), "{secret}");
    }
    // But that the password changed is.
    let change = &everything(&admin, &format!("object={user}")).await[0];
    assert_eq!(
        change["objects"][0]["fields"],
        json!([{ "field": "password", "before": null, "after": null }])
    );
    assert_eq!(change["project"], Value::Null);
}

#[tokio::test]
async fn customers_read_their_own_and_nothing_of_the_providers() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    let rea = server.user("rea", "alpha", Role::Reader).await;
    let sue = server.user("suspicious-sue", "helpdesk", Role::Support).await;
    let admin = server.admin().await;
    bob.network("10.0.0.0/24").await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let requests = format!("/portolan/v1/projects/{}/shadowport", ann.project);
    let filed = json!({ "purpose": "Clusters without a way in", "nodes": 3 });
    let request = id(&ann.post(&requests, filed).await.is(201).json()["item"]);
    let support = format!("/portolan/v1/support/requests/{request}");
    let steps = [
        ("messages", json!({ "text": "hush-hush", "internal": true })),
        ("take", json!({})),
        ("ask", json!({ "text": "Why so?" })),
        ("grant", json!({ "message": "Fine." })),
    ];
    for (what, body) in steps {
        sue.post(&format!("{support}/{what}"), body).await.is(200);
    }
    // A shadow port: hidden.
    let on = json!({ "network": { "enable_shadow_port": true } });
    ann.put(&format!("/v2.0/networks/{network}"), on).await.is(200);
    let hidden = server.control.read(|view| {
        let network = view.network(network.parse().unwrap()).unwrap();
        network.shadow_port.unwrap().to_string()
    });
    // An administrator does something in the project, and support's people get a role there.
    let path = format!("/v2.0/networks/{network}");
    admin
        .put(&path, json!({ "network": { "name": "renamed" } }))
        .await
        .is(200);
    let user = server
        .control
        .read(|view| view.user_by_name("suspicious-sue").unwrap().id);
    let role = format!("/v3/projects/{}/users/{user}/roles/{}", ann.project, Role::Support.id());
    admin.ask("PUT", &role, "").await.is(204);

    for reader in [&ann, &rea] {
        let mine = audit(reader, "limit=500").await;
        let text = serde_json::to_string(&mine).unwrap();
        for secret in [
            "hush",
            "suspicious",
            "taken_by",
            &hidden,
            "shadow_port:",
            "\"admin\"",
            &bob.project,
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        for query in [
            format!("object={hidden}"),
            "who=suspicious-sue".to_owned(),
            "who=admin".to_owned(),
        ] {
            assert_eq!(audit(reader, &query).await.len(), 0, "{query}");
        }
        let by_provider = audit(reader, "who=provider").await;
        assert!(
            by_provider
                .iter()
                .all(|entry| entry["who"] == json!({ "kind": "provider" }))
        );
        let said: Vec<String> = by_provider.iter().flat_map(objects).collect();
        assert!(said.contains(&"update network renamed".to_owned()), "{said:?}");
        assert!(
            said.contains(&"update request Clusters without a way in".to_owned()),
            "{said:?}"
        );
        // The grant as its customer may know it.
        let granted = &audit(reader, &format!("object={request}")).await[0]["objects"][0];
        assert_eq!(field(granted, "state"), (json!("in_review"), json!("granted")));
        assert_eq!(field(granted, "message"), (Value::Null, json!("Fine.")));
        assert_eq!(field(granted, "decided_by"), (Value::Null, Value::Null));
        let switched = audit(reader, &format!("object={network}&who=ann")).await;
        assert_eq!(
            field(&switched[0]["objects"][0], "enable_shadow_port"),
            (json!("false"), json!("true"))
        );
        assert!(
            audit(reader, "kind=role")
                .await
                .iter()
                .flat_map(objects)
                .all(|said| !said.contains("support"))
        );
        reader
            .get(&format!("/portolan/v1/projects/{}/audit", bob.project))
            .await
            .is(404);
        reader.get("/portolan/v1/support/audit").await.is(403);
    }
    // Support reads all of it.
    let all = everything(&sue, &format!("object={request}")).await;
    assert_eq!(
        field(&all[0]["objects"][0], "decided_by"),
        (Value::Null, json!("suspicious-sue"))
    );
    let text = serde_json::to_string(&everything(&sue, "limit=500").await).unwrap();
    assert!(text.contains("hush-hush") && text.contains(&hidden), "{text}");
    let there = format!("/projects/{}/audit?who=suspicious-sue", ann.project);
    assert_eq!(entries(&sue, &there).await.len(), 4);
}

#[tokio::test]
async fn what_agents_report_by_the_second_is_not_audited() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    ann.network("10.0.0.0/24").await;
    let before = everything(&admin, "limit=500").await.len();
    for _ in 0..3 {
        server.token("ann", "alpha").await;
    }
    assert_eq!(
        everything(&admin, "limit=500").await.len(),
        before,
        "sessions and tokens are not"
    );
}
