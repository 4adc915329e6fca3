//! The shadow port of a network: who may switch it on, and that customers never meet it. They learn
//! only that an address is used by the provider.

use portolan_core::model::{Role, owner};
use portolan_core::quotas::Quotas;
use portolan_core::view::PortScope;
use serde_json::{Value, json};

use super::events::Stream;
use super::kit::{Reply, Server, User, With, id};

/// The hidden port of a network: its id, address and MAC.
fn hidden(server: &Server, network: &str) -> (String, String, String) {
    let network = network.parse().unwrap();
    server.control.read(|view| {
        let port = view.network(network).unwrap().shadow_port.unwrap();
        let port = view.port(port).unwrap();
        let address = port
            .fixed_ips
            .first()
            .map_or_else(String::new, |ip| ip.address.to_string());
        (port.id.to_string(), address, port.mac.to_string())
    })
}

async fn refused(user: &User<'_>, method: &str, path: &str, body: Value, expected: (u16, &str)) -> Reply {
    let reply = user.ask(method, path, body.to_string()).await;
    let code = reply.json()["NeutronError"]["code"].as_str().map(ToOwned::to_owned);
    assert_eq!(
        (reply.status, code.as_deref()),
        (expected.0, Some(expected.1)),
        "{reply:?}"
    );
    reply
}

/// A network of a project that was granted it, with a shadow port and a subnet.
async fn network(server: &Server, user: &User<'_>, cidr: &str) -> (String, String) {
    server.grant(user).await;
    let network = id(&user
        .make("network", json!({ "name": "quiet", "enable_shadow_port": true }))
        .await);
    let subnet = json!({ "network_id": network, "cidr": cidr, "ip_version": 4, "name": "in" });
    let subnet = id(&user.make("subnet", subnet).await);
    (network, subnet)
}

#[tokio::test]
async fn it_is_switched_on_by_a_grant_and_never_off() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let on = |more: Value| {
        let mut body = json!({ "name": "quiet", "enable_shadow_port": true });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "network": body })
    };
    let admin = server.admin().await;
    let (networks, head) = ("/v2.0/networks", server.head());
    let not_granted = (403, "network.shadow_port_not_granted");
    let reply = refused(&ann, "POST", networks, on(json!({})), not_granted).await;
    assert!(reply.text.contains(&ann.project), "it names the id that support needs");
    // An administrator is bound by the project's grant as well.
    let for_ann = on(json!({ "project_id": ann.project }));
    refused(&admin, "POST", networks, for_ann, not_granted).await;
    assert_eq!(server.head(), head, "nothing was written");

    let request = server.grant(&ann).await;
    let with_internet = (409, "network.shadow_port_with_internet");
    refused(
        &ann,
        "POST",
        networks,
        on(json!({ "internet_access": true })),
        with_internet,
    )
    .await;
    let made = ann.post(networks, on(json!({}))).await.is(201).json()["network"].clone();
    assert_eq!(
        (&made["enable_shadow_port"], &made["internet_access"]),
        (&json!(true), &json!(false))
    );
    let quiet = format!("{networks}/{}", id(&made));
    let change = |what: Value| json!({ "network": what });
    let off = change(json!({ "enable_shadow_port": false }));
    refused(&ann, "PUT", &quiet, off, (409, "network.shadow_port_stays")).await;
    let internet = change(json!({ "internet_access": true }));
    refused(
        &ann,
        "PUT",
        &quiet,
        internet,
        (409, "network.internet_with_shadow_port"),
    )
    .await;
    ann.put(&quiet, change(json!({ "enable_shadow_port": true, "name": "still" })))
        .await
        .is(200);

    // Switched on later: only without internet access, which may go in the same request.
    let open = id(&ann.make("network", json!({ "internet_access": true })).await);
    let open = format!("{networks}/{open}");
    let on_now = change(json!({ "enable_shadow_port": true }));
    refused(&ann, "PUT", &open, on_now, with_internet).await;
    let both = change(json!({ "enable_shadow_port": true, "internet_access": false }));
    let shown = ann.put(&open, both).await.is(200).json()["network"].clone();
    assert_eq!(
        (&shown["enable_shadow_port"], &shown["internet_access"]),
        (&json!(true), &json!(false))
    );

    // Lists find them; what was revoked gives no new ones, and what there is goes on.
    let found = |query: &str| {
        let path = format!("{networks}?{query}&fields=name&fields=enable_shadow_port");
        let ann = &ann;
        async move {
            ann.get(&path).await.is(200).json()["networks"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    assert_eq!(found("enable_shadow_port=true").await, 2);
    assert_eq!(found("enable_shadow_port=false").await, 0);
    assert_eq!(found("internet_access=false&sort_key=internet_access").await, 2);
    let revoke = format!("/portolan/v1/support/requests/{request}/revoke");
    admin
        .post(&revoke, json!({ "message": "No longer needed, thank you." }))
        .await
        .is(200);
    refused(&ann, "POST", networks, on(json!({})), not_granted).await;
    ann.make(
        "subnet",
        json!({ "network_id": quiet.rsplit('/').next(), "cidr": "10.7.0.0/24", "ip_version": 4 }),
    )
    .await;
}

#[tokio::test]
async fn a_subnet_without_room_for_it_is_refused() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (quiet, _) = network(&server, &ann, "10.0.0.0/24").await;
    let no_room = (409, "network.no_room_for_shadow_port");
    let single = json!({ "subnet": { "network_id": quiet, "cidr": "10.0.1.1/32", "ip_version": 4 } });
    refused(&ann, "POST", "/v2.0/subnets", single, no_room).await;
    ann.make(
        "subnet",
        json!({ "network_id": quiet, "cidr": "2001:db8::/128", "ip_version": 6 }),
    )
    .await;
    // A full subnet stands in the way of switching it on, and nothing is left of the attempt.
    let later = id(&ann.make("network", json!({})).await);
    let subnet = json!({ "network_id": later, "cidr": "10.0.0.0/30", "ip_version": 4 });
    ann.make("subnet", subnet).await;
    let port = id(&ann.make("port", json!({ "network_id": later })).await);
    let (path, on) = (
        format!("/v2.0/networks/{later}"),
        json!({ "network": { "enable_shadow_port": true } }),
    );
    let head = server.head();
    refused(&ann, "PUT", &path, on.clone(), no_room).await;
    assert_eq!(server.head(), head);
    ann.delete(&format!("/v2.0/ports/{port}")).await.is(204);
    ann.put(&path, on).await.is(200);
    assert_eq!(hidden(&server, &later).1, "10.0.0.2");
    let full = json!({ "port": { "network_id": later } });
    let reply = refused(&ann, "POST", "/v2.0/ports", full, (409, "port.exhausted")).await;
    assert!(reply.text.contains("1 of the provider"), "{reply:?}");
}

/// Asks everything a customer can think of; answers all texts in one, but for what refuses.
async fn snoop(user: &User<'_>, network: &str, subnet: &str, hidden: &(String, String, String)) -> String {
    let (port, address, mac) = hidden;
    let project = &user.project;
    let mut seen = String::new();
    for query in [
        String::new(),
        format!("?device_owner={}", owner::SHADOW),
        format!("?id={port}"),
        format!("?network_id={network}"),
        format!("?device_id={network}"),
        format!("?mac_address={mac}"),
        format!("?fixed_ips=subnet_id={subnet}"),
        format!("?fixed_ips=ip_address={address}"),
        format!("?fixed_ips=ip_address_substr={address}"),
        "?sort_key=device_owner&limit=1".to_owned(),
    ] {
        let list = user.get(&format!("/v2.0/ports{query}")).await.is(200);
        assert_eq!(list.json()["ports"].as_array().unwrap().len(), 0, "{query}: {list:?}");
        seen.push_str(&list.text);
    }
    user.get(&format!("/v2.0/ports?marker={port}&limit=1")).await.is(404);
    for (method, path, body) in [
        ("GET", format!("/v2.0/ports/{port}"), ""),
        ("PUT", format!("/v2.0/ports/{port}"), r#"{"port":{"name":"mine"}}"#),
        ("DELETE", format!("/v2.0/ports/{port}"), ""),
        ("GET", format!("/portolan/v1/projects/{project}/ports/{port}"), ""),
        ("GET", format!("/portolan/v1/projects/{project}/ports/{port}/why"), ""),
        (
            "GET",
            format!("/portolan/v1/projects/{project}/ports/{port}/delete-plan"),
            "",
        ),
    ] {
        user.ask(method, &path, body).await.is(404);
    }
    for filter in [
        "",
        "kind:shadow",
        "kind:provider",
        "status:down",
        "quiet",
        &format!("ip:{address}"),
        mac,
        port,
    ] {
        for of in [format!("networks/{network}"), format!("subnets/{subnet}")] {
            let path = format!("/portolan/v1/projects/{project}/{of}/ports?filter={filter}");
            let list = user.get(&path).await.is(200);
            assert_eq!(
                (&list.json()["total"], &list.json()["items"]),
                (&json!(0), &json!([])),
                "{path}"
            );
            seen.push_str(&list.text);
        }
    }
    for path in [
        "networks".to_owned(),
        format!("networks/{network}"),
        format!("networks/{network}/subnets"),
        format!("networks/{network}/delete-plan"),
        format!("subnets/{subnet}/delete-plan"),
        "address-space".to_owned(),
        "quotas".to_owned(),
    ] {
        seen.push_str(
            &user
                .get(&format!("/portolan/v1/projects/{project}/{path}"))
                .await
                .is(200)
                .text,
        );
    }
    seen.push_str(&user.get(&format!("/v2.0/networks/{network}")).await.is(200).text);
    seen.push_str(&user.get("/v2.0/subnets").await.is(200).text);
    seen
}

#[tokio::test]
async fn a_customer_who_tries_everything_learns_that_an_address_is_the_providers() {
    let quotas = Quotas {
        ports: 4,
        ..Quotas::default()
    };
    let server = Server::with(With {
        quotas: Some(quotas),
        ..With::default()
    })
    .await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let counted = |text: &str| {
        text.lines()
            .find(|l| l.starts_with("portolan_ports "))
            .map(ToOwned::to_owned)
    };
    let before = counted(&server.ask("GET", "/metrics", &[], "").await.text);
    let (quiet, subnet) = network(&server, &ann, "10.0.0.0/29").await;
    let hidden = hidden(&server, &quiet);
    let (port, address, mac) = &hidden;
    assert_eq!(address, "10.0.0.2");
    assert_eq!(counted(&server.ask("GET", "/metrics", &[], "").await.text), before);

    let mut seen = snoop(&ann, &quiet, &subnet, &hidden).await;
    let row = |what: &str| {
        let path = format!("/portolan/v1/projects/{}/{what}", ann.project);
        let ann = &ann;
        async move { ann.get(&path).await.is(200).json()["item"].clone() }
    };
    let of_subnet = row(&format!("subnets/{subnet}")).await;
    let counts = |row: &Value| (row["used"].clone(), row["ports"].clone());
    assert_eq!(counts(&of_subnet), (json!(1), json!(0)));
    assert_eq!(
        (&of_subnet["provider"], &of_subnet["used_by"]),
        (&json!(1), &json!([["provider", 1]]))
    );
    let of_network = row(&format!("networks/{quiet}")).await;
    assert_eq!(counts(&of_network), (json!(1), json!(0)));
    assert_eq!(of_network["ports_not_active"], 0);

    // Its address, its MAC and the gateway's place are taken by the provider, and that is all.
    let taken = |ip: &str| json!({ "port": { "network_id": quiet, "fixed_ips": [{ "ip_address": ip }] } });
    let ports = "/v2.0/ports";
    let reply = refused(&ann, "POST", ports, taken(address), (409, "port.address_taken")).await;
    assert!(reply.text.contains("taken by the provider"), "{reply:?}");
    seen.push_str(&reply.text);
    let same_mac = json!({ "port": { "network_id": quiet, "mac_address": mac } });
    let reply = refused(&ann, "POST", ports, same_mac, (409, "port.mac_taken")).await;
    assert!(reply.text.contains("by the provider"), "{reply:?}");
    seen.push_str(&reply.text);
    let gateway = json!({ "subnet": { "gateway_ip": address } });
    let path = format!("/v2.0/subnets/{subnet}");
    let pools = json!({ "subnet": { "allocation_pools": [{ "start": "10.0.0.3", "end": "10.0.0.6" }] } });
    ann.put(&path, pools).await.is(200);
    seen.push_str(
        &refused(&ann, "PUT", &path, gateway, (409, "port.address_taken"))
            .await
            .text,
    );
    for owner in [owner::SHADOW, owner::EXTERNAL] {
        let body = json!({ "port": { "network_id": quiet, "device_owner": owner } });
        refused(&ann, "POST", ports, body.clone(), (403, "auth.forbidden")).await;
        let admin = server.admin().await;
        refused(&admin, "POST", ports, body, (403, "port.device_owner_reserved")).await;
    }

    // All of the quota is the customer's own, and so is every address but one.
    let mut own = Vec::new();
    for _ in 0..4 {
        own.push(id(&ann.make("port", json!({ "network_id": quiet })).await));
    }
    let one_more = json!({ "port": { "network_id": quiet } });
    refused(&ann, "POST", ports, one_more.clone(), (409, "quota.exceeded")).await;
    let path = format!("/portolan/v1/projects/{}/quotas", ann.project);
    let quotas = ann.get(&path).await.is(200).json();
    let used = quotas["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|q| q["resource"] == "port");
    assert_eq!(
        (&used.unwrap()["used"], &used.unwrap()["limit"]),
        (&json!(4), &json!(4))
    );
    for (thing, path) in [
        ("subnet", format!("/v2.0/subnets/{subnet}")),
        ("network", format!("/v2.0/networks/{quiet}")),
    ] {
        let reply = ann.delete(&path).await.is(409);
        assert!(!reply.text.contains("provider"), "{thing}: {reply:?}");
        seen.push_str(&reply.text);
    }
    for port in own {
        ann.delete(&format!("/v2.0/ports/{port}")).await.is(204);
    }
    for secret in [port.as_str(), owner::SHADOW, "shadow\"", mac.as_str()] {
        let told = seen
            .replace(&format!("\"mac\":\"{mac}\""), "")
            .replace(&format!("{mac} is used"), "");
        assert!(!told.contains(secret), "{secret} is told: {told}");
    }

    // It stands in nobody's way, and goes with what it was in.
    ann.delete(&format!("/v2.0/subnets/{subnet}")).await.is(204);
    assert_eq!(self::hidden(&server, &quiet).1, "", "no address without a subnet");
    ann.delete(&format!("/v2.0/networks/{quiet}")).await.is(204);
    let left = server.control.read(|view| view.port_count(PortScope::All));
    assert_eq!(left, 0);
}

#[tokio::test]
async fn one_who_is_of_the_providers_project_and_no_administrator_is_a_customer() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let mel = server.user("mel", "admin", Role::Member).await;
    let (quiet, _) = network(&server, &ann, "10.0.0.0/29").await;
    let (port, ..) = hidden(&server, &quiet);
    assert_eq!(mel.get("/v2.0/ports").await.is(200).json()["ports"], json!([]));
    for (method, body) in [("GET", ""), ("PUT", r#"{"port":{"name":"x"}}"#), ("DELETE", "")] {
        mel.ask(method, &format!("/v2.0/ports/{port}"), body).await.is(404);
    }
    let path = format!("/portolan/v1/projects/{}", mel.project);
    mel.get(&format!("{path}/ports/{port}")).await.is(404);
    let quotas = mel.get(&format!("{path}/quotas")).await.is(200).json();
    let ports = quotas["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|q| q["resource"] == "port");
    assert_eq!(ports.unwrap()["used"], 0);
}

#[tokio::test]
async fn support_sees_it_and_nobody_changes_it() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let admin = server.admin().await;
    let (quiet, subnet) = network(&server, &ann, "10.0.0.0/29").await;
    let (port, ..) = hidden(&server, &quiet);
    for user in [&sue, &admin] {
        let path = format!("/portolan/v1/projects/{}", ann.project);
        for of in [format!("networks/{quiet}"), format!("subnets/{subnet}")] {
            let list = user
                .get(&format!("{path}/{of}/ports?filter=kind:shadow"))
                .await
                .is(200)
                .json();
            assert_eq!((&list["items"][0]["id"], &list["total"]), (&json!(port), &json!(1)));
            assert_eq!(
                user.get(&format!("{path}/{of}")).await.is(200).json()["item"]["ports"],
                1
            );
        }
        let row = user.get(&format!("{path}/ports/{port}")).await.is(200).json()["item"].clone();
        assert_eq!(
            (&row["kind"], &row["locked"]["code"]),
            (&json!("shadow"), &json!("port.locked_provider"))
        );
        user.get(&format!("{path}/ports/{port}/why")).await.is(200);
        let row = user.get(&format!("{path}/subnets/{subnet}")).await.is(200).json()["item"].clone();
        assert_eq!(
            (&row["used_by"], &row["provider"]),
            (&json!([["shadow", 1]]), &json!(1))
        );
        let found = user
            .get(&format!("/v2.0/ports?device_owner={}", owner::SHADOW))
            .await
            .is(200);
        assert_eq!(found.json()["ports"][0]["id"], json!(port));
    }
    let path = format!("/v2.0/ports/{port}");
    sue.delete(&path).await.is(403);
    refused(&admin, "DELETE", &path, json!({}), (409, "port.owned")).await;
    let rename = json!({ "port": { "name": "mine" } });
    refused(&admin, "PUT", &path, rename, (409, "port.owned")).await;
    // The provider's project is not deleted from under it.
    admin.delete(&format!("/v3/projects/{}", admin.project)).await.is(409);
}

#[tokio::test]
async fn its_changes_are_told_to_support_alone() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    server.grant(&ann).await;
    let mut customers = Stream::open(&ann, "", &[]).await;
    let of_ann = User {
        project: ann.project.clone(),
        ..admin
    };
    let mut supports = Stream::open(&of_ann, "", &[]).await;
    let quiet = id(&ann.make("network", json!({ "enable_shadow_port": true })).await);
    let (port, ..) = hidden(&server, &quiet);
    told(&mut customers, &mut supports, ("put", &quiet, &port)).await;
    let subnet = json!({ "network_id": quiet, "cidr": "10.0.0.0/29", "ip_version": 4 });
    let subnet = id(&ann.make("subnet", subnet).await);
    told(&mut customers, &mut supports, ("put", &subnet, &port)).await;
    ann.delete(&format!("/v2.0/subnets/{subnet}")).await.is(204);
    told(&mut customers, &mut supports, ("delete", &subnet, &port)).await;
    ann.delete(&format!("/v2.0/networks/{quiet}")).await.is(204);
    told(&mut customers, &mut supports, ("delete", &quiet, &port)).await;
}

/// The next event of both streams: a customer is told of one object, support of the hidden port too.
async fn told(customers: &mut Stream, supports: &mut Stream, (op, object, port): (&str, &str, &str)) {
    let event = customers.news().await.unwrap();
    let all = event.data["changes"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((&all[0]["op"], &all[0]["id"]), (&json!(op), &json!(object)));
    let event = supports.news().await.unwrap();
    let all = event.data["changes"].as_array().unwrap();
    let ids: Vec<&str> = all.iter().filter_map(|change| change["id"].as_str()).collect();
    assert!(
        ids.len() == 2 && ids.contains(&object) && ids.contains(&port),
        "{op} {object}: {ids:?}"
    );
}

#[tokio::test]
async fn a_retry_answers_the_same_network() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.grant(&ann).await;
    let headers = [("x-auth-token", ann.token.as_str()), ("idempotency-key", "n1")];
    let body = r#"{"network":{"name":"quiet","enable_shadow_port":true}}"#;
    let made = server
        .ask("POST", "/v2.0/networks", &headers, body)
        .await
        .is(201)
        .json();
    let subnet = json!({ "network_id": id(&made["network"]), "cidr": "10.0.0.0/29", "ip_version": 4 });
    ann.make("subnet", subnet).await;
    let again = server.ask("POST", "/v2.0/networks", &headers, body).await.is(201);
    assert_eq!(again.json()["network"]["id"], made["network"]["id"]);
    assert!(!again.text.contains(&hidden(&server, &id(&made["network"])).0));
    assert_eq!(server.control.read(|view| view.port_count(PortScope::All)), 1);
}
