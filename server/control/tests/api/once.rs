//! Creates with an `Idempotency-Key`: made once, and answered each time as the first time.

use portolan_core::model::Role;
use portolan_core::quotas::Quotas;
use serde_json::{Value, json};

use super::kit::{Reply, Server, User, With, id, names};

/// A create with a key.
async fn keyed(user: &User<'_>, key: &str, path: &str, body: &Value) -> Reply {
    let headers = [("x-auth-token", user.token.as_str()), ("idempotency-key", key)];
    user.server.ask("POST", path, &headers, body.to_string()).await
}

#[tokio::test]
async fn a_retry_makes_nothing_twice() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    let ask = async |user: &User<'_>, path: &str, body: &str| {
        let headers = [("x-auth-token", user.token.as_str()), ("idempotency-key", "key-1")];
        server.ask("POST", path, &headers, body.to_owned()).await
    };
    let body = r#"{"network":{"name":"once"}}"#;
    let first = ask(&ann, "/v2.0/networks", body).await.is(201);
    let again = ask(&ann, "/v2.0/networks", body).await.is(201);
    assert_eq!(first.json(), again.json());
    assert_eq!(names(&ann.get("/v2.0/networks").await, "networks"), ["once"]);
    let other = ask(&ann, "/v2.0/networks", r#"{"network":{"name":"other"}}"#)
        .await
        .is(422);
    assert_eq!(other.json()["NeutronError"]["code"], "idempotency.other_body");
    assert_eq!(other.json()["NeutronError"]["params"]["key"], "key-1");
    let spaced = keyed(&ann, "key 1", "/v2.0/networks", &json!({ "network": {} }))
        .await
        .is(400);
    assert_eq!(spaced.json()["NeutronError"]["code"], "value.not_one_of");
    // The key is the user's and the project's own.
    assert_ne!(ask(&bob, "/v2.0/networks", body).await.is(201).json(), first.json());
    // After a day it is forgotten.
    server.clock.pass(25 * 3_600);
    let ann = User {
        token: server.token("ann", "alpha").await,
        ..ann
    };
    assert_ne!(ask(&ann, "/v2.0/networks", body).await.is(201).json(), first.json());
}

#[tokio::test]
async fn the_answer_is_the_same_whatever_became_of_what_was_made() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.internet().await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let v1 = format!("/portolan/v1/projects/{}", ann.project);
    let asked = [
        ("/v2.0/networks".to_owned(), json!({ "network": { "name": "web" } })),
        (
            "/v2.0/subnets".to_owned(),
            json!({ "subnets": [{ "network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4 }] }),
        ),
        ("/v2.0/ports".to_owned(), json!({ "port": { "network_id": network } })),
        (format!("{v1}/clusters"), json!({ "name": "shop" })),
        (
            format!("{v1}/shadowport"),
            json!({ "purpose": "Machines that reach nothing else", "nodes": 3 }),
        ),
    ];
    let mut first = Vec::new();
    for (n, (path, body)) in asked.iter().enumerate() {
        first.push(keyed(&ann, &format!("key-{n}"), path, body).await.is(201).json());
    }
    let again = async |why: &str| {
        let head = server.head();
        for ((n, (path, body)), first) in asked.iter().enumerate().zip(&first) {
            let reply = keyed(&ann, &format!("key-{n}"), path, body).await.is(201);
            assert_eq!(reply.json(), *first, "{path} after {why}");
        }
        assert_eq!(server.head(), head, "nothing was written");
    };
    again("nothing").await;

    let of = |n: usize, key: &str| id(&first[n][key]);
    let web = format!("/v2.0/networks/{}", of(0, "network"));
    let port = format!("/v2.0/ports/{}", of(2, "port"));
    ann.put(&web, json!({ "network": { "name": "other" } })).await.is(200);
    ann.put(&port, json!({ "port": { "admin_state_up": false } }))
        .await
        .is(200);
    let request = format!("{v1}/shadowport/{}", of(4, "item"));
    ann.post(&format!("{request}/messages"), json!({ "text": "And soon." }))
        .await
        .is(200);
    again("a change").await;

    ann.delete(&port).await.is(204);
    ann.delete(&web).await.is(204);
    ann.delete(&format!("/v2.0/networks/{network}")).await.is(204);
    ann.delete(&format!("{v1}/clusters/{}", of(3, "item"))).await.is(204);
    again("a delete, also of the network they were in").await;

    // Rights are the present ones.
    let admin = server.admin().await;
    let user = server
        .control
        .read(|view| view.user_by_name("ann").map(|user| user.id.to_string()));
    let role = format!("/v3/projects/{}/users/{}/roles", ann.project, user.unwrap());
    admin
        .ask("PUT", &format!("{role}/{}", Role::Reader.id()), "")
        .await
        .is(204);
    admin.delete(&format!("{role}/{}", Role::Member.id())).await.is(204);
    keyed(&ann, "key-0", &asked[0].0, &asked[0].1).await.is(403);
}

#[tokio::test]
async fn at_once_is_answered_as_one_after_the_other() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let body = json!({ "name": "shop" });
    let asked = (0..8).map(|_| keyed(&ann, "key-1", &clusters, &body));
    let answers = futures_util::future::join_all(asked).await;
    let first = answers[0].json();
    for answer in answers {
        assert_eq!(answer.is(201).json(), first);
    }
    assert_eq!(
        ann.get(&clusters).await.is(200).json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_long_answer_is_made_anew_of_what_was_made() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let many = json!({ "ports": vec![json!({ "network_id": network }); 40] });
    let first = keyed(&ann, "key-1", "/v2.0/ports", &many).await.is(201);
    assert!(first.text.len() > 16 * 1024);
    let again = keyed(&ann, "key-1", "/v2.0/ports", &many).await.is(201);
    assert_eq!(first.json(), again.json());
    let one = id(&first.json()["ports"][0]);
    ann.delete(&format!("/v2.0/ports/{one}")).await.is(204);
    let gone = keyed(&ann, "key-1", "/v2.0/ports", &many).await.is(404);
    assert!(gone.text.contains(&one), "{gone:?}");
}

#[tokio::test]
async fn a_project_has_so_many_keys_and_each_is_kept_for_a_day() {
    let quotas = Quotas {
        keys: 2,
        ..Quotas::NONE
    };
    let server = Server::with(With {
        quotas: Some(quotas),
        ..With::default()
    })
    .await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let network = |name: &str| json!({ "network": { "name": name } });
    let ask = async |user: &User<'_>, key: &str| keyed(user, key, "/v2.0/networks", &network(key)).await;
    let first = ask(&ann, "key-1").await.is(201).json();
    ask(&ann, "key-2").await.is(201);
    let over = ask(&ann, "key-3").await.is(409).json();
    assert_eq!(over["NeutronError"]["code"], "quota.exceeded");
    assert_eq!(over["NeutronError"]["params"]["resource"], "idempotency_key");
    assert_eq!(
        names(&ann.get("/v2.0/networks").await, "networks"),
        ["key-1", "key-2"],
        "what is refused is not made"
    );
    // The oldest is not forgotten for it, others' keys are their own, and without a key it goes on.
    assert_eq!(ask(&ann, "key-1").await.is(201).json(), first);
    let bob = server.user("bob", "beta", Role::Member).await;
    ask(&bob, "key-3").await.is(201);
    ann.make("network", json!({ "name": "without" })).await;
    // A day later the keys are forgotten and others can be used.
    server.clock.pass(25 * 3_600);
    let ann = User {
        token: server.token("ann", "alpha").await,
        ..ann
    };
    ask(&ann, "key-3").await.is(201);
    ask(&ann, "key-1").await.is(201);
    ask(&ann, "key-2").await.is(409);
}
