//! External networks: the provider's, seen by everybody, changed by administrators, and what clusters get
//! their external IPs from.

use portolan_core::model::Role;
use serde_json::json;

use super::clusters_by_choice::{create, path, refused, subnet};
use super::kit::{Server, id};

#[tokio::test]
async fn external_ips_run_out() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let external = json!({ "name": "internet", "router:external": true });
    let external = id(&admin.make("network", external).await);
    refused(&ann, json!({ "name": "shop" }), "cluster.no_external_network").await;
    subnet(&admin, &external, "203.0.113.0/30").await;
    let shop = create(&ann, json!({ "name": "shop" })).await;
    refused(&ann, json!({ "name": "second" }), "cluster.external_exhausted").await;
    // IPv6 is given when IPv4 is used up.
    subnet(&admin, &external, "2001:db8:ffff::/64").await;
    let second = create(&ann, json!({ "name": "second" })).await;
    assert_eq!(second.external_ip.unwrap().address.to_string(), "2001:db8:ffff::2");
    ann.delete(&path(&ann, &format!("clusters/{}", shop.id))).await.is(204);
    let third = create(&ann, json!({ "name": "third" })).await;
    assert_eq!(third.external_ip.unwrap().address.to_string(), "203.0.113.2");
}

#[tokio::test]
async fn everybody_sees_external_networks_and_administrators_change_them() {
    let server = Server::new().await;
    let internet = server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mel = server.user("mel", "admin", Role::Member).await;
    create(&ann, json!({ "name": "shop" })).await;
    let own = id(&ann.make("network", json!({ "name": "web" })).await);
    let list = ann.get(&path(&ann, "networks")).await.is(200).json();
    let rows = list["items"].as_array().unwrap();
    assert_eq!(
        (&rows[2]["id"], &rows[2]["external"]),
        (&json!(internet), &json!(true)),
        "after the project's own"
    );
    assert_eq!(
        (&rows[2]["ports"], &rows[2]["used"], &rows[2]["capacity"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(rows[2]["subnets"][0]["cidr"], "203.0.113.0/24");
    let found = ann.get("/v2.0/networks?router:external=true").await.is(200).json();
    assert_eq!(found["networks"].as_array().unwrap().len(), 1);
    assert_eq!(found["networks"][0]["id"], json!(internet));
    ann.get(&format!("/v2.0/networks/{internet}")).await.is(200);
    ann.get(&path(&ann, &format!("networks/{internet}"))).await.is(200);
    ann.get(&path(&ann, &format!("networks/{internet}/ports")))
        .await
        .is(404);
    assert_eq!(ann.get("/v2.0/ports").await.is(200).json()["ports"], json!([]));
    let shown = ann.get("/v2.0/subnets").await.is(200).text;
    assert!(!shown.contains("203.0.113"), "{shown}");

    let subnet = server.control.read(|view| {
        let network = internet.parse().unwrap();
        view.subnets_of(network).next().unwrap().id
    });
    let head = server.head();
    for user in [&ann, &mel] {
        for (method, path, body) in [
            (
                "PUT",
                format!("networks/{internet}"),
                json!({ "network": { "name": "mine" } }),
            ),
            ("DELETE", format!("networks/{internet}"), json!({})),
            (
                "POST",
                "networks".to_owned(),
                json!({ "network": { "router:external": true } }),
            ),
            (
                "POST",
                "ports".to_owned(),
                json!({ "port": { "network_id": internet } }),
            ),
            (
                "POST",
                "subnets".to_owned(),
                json!({ "subnet": { "network_id": internet, "cidr": "10.0.0.0/24", "ip_version": 4 } }),
            ),
        ] {
            let reply = user.ask(method, &format!("/v2.0/{path}"), body.to_string()).await;
            assert_eq!(reply.status, 403, "{method} {path}: {reply:?}");
        }
    }
    ann.put(
        &format!("/v2.0/networks/{own}"),
        json!({ "network": { "router:external": true } }),
    )
    .await
    .is(403);
    for (method, body) in [("PUT", r#"{"subnet":{"name":"mine"}}"#), ("DELETE", "")] {
        let path = format!("/v2.0/subnets/{subnet}");
        ann.ask(method, &path, body).await.is(404);
        mel.ask(method, &path, body).await.is(403);
    }
    assert_eq!(server.head(), head, "nothing was written");
    // `false` says what is so anyway: clients send it.
    ann.make("network", json!({ "router:external": false })).await;
}
