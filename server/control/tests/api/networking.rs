//! `/v2.0`: what is made is shown, changed and listed as Neutron does.

use portolan_core::model::Role;
use portolan_core::quotas::Quotas;
use serde_json::{Value, json};

use super::kit::{Reply, Server, With, id, names};

#[tokio::test]
async fn a_network_from_made_to_gone() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let made = ann
        .make(
            "network",
            json!({ "name": " web ", "mtu": "1400", "admin_state_up": "True", "shared": false }),
        )
        .await;
    assert_eq!(
        (&made["name"], &made["mtu"], &made["status"]),
        (&json!("web"), &json!(1400), &json!("ACTIVE"))
    );
    assert_eq!(
        (&made["tenant_id"], &made["project_id"]),
        (&json!(ann.project), &json!(ann.project))
    );
    assert_eq!(
        (&made["subnets"], &made["tags"], &made["revision_number"]),
        (&json!([]), &json!([]), &json!(0))
    );
    let path = format!("/v2.0/networks/{}", id(&made));
    assert_eq!(ann.get(&path).await.is(200).json()["network"], made);
    let changed = ann
        .put(&path, json!({ "network": { "name": "shop", "admin_state_up": false } }))
        .await
        .is(200);
    let changed = changed.json()["network"].clone();
    assert_eq!(
        (&changed["name"], &changed["status"], &changed["mtu"]),
        (&json!("shop"), &json!("DOWN"), &json!(1400))
    );
    assert_eq!(changed["revision_number"], 1);
    ann.delete(&path).await.is(204);
    assert_eq!(ann.get(&path).await.is(404).kind(), "NetworkNotFound");
    assert_eq!(ann.delete(&path).await.is(404).kind(), "NetworkNotFound");
}

#[tokio::test]
async fn a_subnet_has_its_defaults_and_keeps_them_apart_from_null() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let network = id(&ann.make("network", json!({})).await);
    let made = ann
        .make(
            "subnet",
            json!({ "network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4 }),
        )
        .await;
    assert_eq!(made["gateway_ip"], "10.0.0.1");
    assert_eq!(
        made["allocation_pools"],
        json!([{ "start": "10.0.0.2", "end": "10.0.0.254" }])
    );
    assert_eq!((&made["enable_dhcp"], &made["ip_version"]), (&json!(true), &json!(4)));
    let bare = json!({ "network_id": network, "cidr": "10.0.1.0/24", "gateway_ip": null, "enable_dhcp": false });
    let bare = ann.make("subnet", bare).await;
    assert_eq!(
        (&bare["gateway_ip"], &bare["enable_dhcp"]),
        (&Value::Null, &json!(false))
    );
    let v6 = ann
        .make(
            "subnet",
            json!({ "network_id": network, "cidr": "2001:db8::/64", "ip_version": 6 }),
        )
        .await;
    assert_eq!(
        (&v6["gateway_ip"], &v6["ip_version"]),
        (&json!("2001:db8::1"), &json!(6))
    );
    let shown = ann.get(&format!("/v2.0/networks/{network}")).await.json()["network"]["subnets"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 3);
    let path = format!("/v2.0/subnets/{}", id(&made));
    let change = json!({ "subnet": {
        "dns_nameservers": ["1.1.1.1"], "gateway_ip": null, "allocation_pools": [{ "start": "10.0.0.10", "end": "10.0.0.20" }],
        "host_routes": [{ "destination": "10.9.0.0/16", "nexthop": "10.0.0.9" }],
    } });
    let changed = ann.put(&path, change).await.is(200).json()["subnet"].clone();
    assert_eq!(changed["dns_nameservers"], json!(["1.1.1.1"]));
    assert_eq!(changed["gateway_ip"], Value::Null);
    assert_eq!(
        changed["host_routes"],
        json!([{ "destination": "10.9.0.0/16", "nexthop": "10.0.0.9" }])
    );
    assert_eq!(changed["name"], "", "what is left out stays");
}

#[tokio::test]
async fn refusals_have_neutrons_types() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, subnet) = ann.network("10.0.0.0/29").await;
    let port = |attributes: Value| {
        let mut body = json!({ "network_id": network });
        body.as_object_mut()
            .unwrap()
            .extend(attributes.as_object().unwrap().clone());
        json!({ "port": body })
    };
    let taken = ann
        .post(
            "/v2.0/ports",
            port(json!({ "fixed_ips": [{ "ip_address": "10.0.0.5" }] })),
        )
        .await
        .is(201);
    let mac = taken.json()["port"]["mac_address"].clone();
    for (body, status, kind) in [
        (
            port(json!({ "fixed_ips": [{ "ip_address": "10.0.0.5" }] })),
            409,
            "IpAddressAlreadyAllocated",
        ),
        (
            port(json!({ "fixed_ips": [{ "ip_address": "10.0.9.5" }] })),
            400,
            "InvalidIpForNetwork",
        ),
        (
            port(json!({ "fixed_ips": [{ "ip_address": "10.0.9.5", "subnet_id": subnet }] })),
            400,
            "InvalidIpForSubnet",
        ),
        (port(json!({ "mac_address": mac })), 409, "MacAddressInUse"),
        (port(json!({ "nonsense": 1 })), 400, "HTTPBadRequest"),
        (
            port(json!({ "mac_address": "01:00:5e:00:00:01" })),
            400,
            "HTTPBadRequest",
        ),
        (
            port(json!({ "device_owner": "portolan:pod" })),
            403,
            "PolicyNotAuthorized",
        ),
        (
            port(json!({ "device_owner": "network:dhcp" })),
            403,
            "PolicyNotAuthorized",
        ),
        (port(json!({ "binding:host_id": "h" })), 403, "PolicyNotAuthorized"),
        (json!({ "port": {} }), 400, "HTTPBadRequest"),
        (
            json!({ "port": { "network_id": "01a20727-0000-7000-8000-000000000000" } }),
            404,
            "NetworkNotFound",
        ),
    ] {
        let reply = ann.post("/v2.0/ports", body.clone()).await.is(status);
        assert_eq!(reply.kind(), kind, "{body}");
    }
    // Full: the answer says what fills it.
    for _ in 0..4 {
        ann.post("/v2.0/ports", port(json!({}))).await.is(201);
    }
    let full = ann.post("/v2.0/ports", port(json!({}))).await.is(409);
    assert_eq!(full.kind(), "IpAddressGenerationFailure");
    let error = full.json()["NeutronError"].clone();
    assert_eq!(error["code"], "port.exhausted");
    assert!(
        error["message"].as_str().unwrap().contains("10.0.0.2-10.0.0.6") && error["params"]["used"] == "5",
        "{error}"
    );
    assert!(error["request_id"].as_str().unwrap().starts_with("req-"));
    assert_eq!(error["field"], "fixed_ips");

    let subnet_body = |cidr: &str, more: Value| {
        let mut body = json!({ "network_id": network, "cidr": cidr });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "subnet": body })
    };
    let pools = |pools: &[(&str, &str)]| {
        let pools: Vec<Value> = pools
            .iter()
            .map(|(start, end)| json!({ "start": start, "end": end }))
            .collect();
        json!({ "allocation_pools": pools })
    };
    for (body, status, kind) in [
        (subnet_body("10.0.0.0/24", json!({})), 400, "InvalidInput"),
        (
            subnet_body("10.1.0.0/24", json!({ "gateway_ip": "10.9.0.1" })),
            400,
            "InvalidInput",
        ),
        (
            subnet_body("10.1.0.0/24", pools(&[("10.1.0.1", "10.1.0.9")])),
            409,
            "GatewayConflictWithAllocationPools",
        ),
        (
            subnet_body(
                "10.1.0.0/24",
                pools(&[("10.1.0.5", "10.1.0.9"), ("10.1.0.9", "10.1.0.12")]),
            ),
            409,
            "OverlappingAllocationPools",
        ),
        (
            subnet_body("10.1.0.0/24", pools(&[("10.2.0.5", "10.2.0.9")])),
            400,
            "OutOfBoundsAllocationPool",
        ),
        (
            subnet_body("10.1.0.0/24", pools(&[("10.1.0.9", "10.1.0.5")])),
            400,
            "InvalidAllocationPool",
        ),
        (
            subnet_body("10.1.0.0/24", json!({ "ip_version": 6 })),
            400,
            "InvalidInput",
        ),
        (subnet_body("10.1.0.7/24", json!({})), 400, "HTTPBadRequest"),
    ] {
        let reply = ann.post("/v2.0/subnets", body.clone()).await.is(status);
        assert_eq!(reply.kind(), kind, "{body}: {}", reply.text);
    }
    let overlap = ann
        .post("/v2.0/subnets", subnet_body("10.0.0.0/24", json!({})))
        .await
        .is(400);
    assert!(
        overlap.text.contains("overlaps with another subnet"),
        "clients look for these words"
    );
    let reply = ann.delete(&format!("/v2.0/subnets/{subnet}")).await.is(409);
    assert_eq!(reply.kind(), "SubnetInUse");
    assert_eq!(
        ann.delete(&format!("/v2.0/networks/{network}")).await.is(409).kind(),
        "NetworkInUse"
    );
}

#[tokio::test]
async fn everything_wrong_with_a_subnet_is_told_at_once() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let network = id(&ann.make("network", json!({})).await);
    let body = json!({ "subnet": {
        "network_id": network, "cidr": "10.0.0.0/24", "gateway_ip": "10.9.0.1", "dns_nameservers": ["1.1.1.1", "1.1.1.1"],
    } });
    let error = ann.post("/v2.0/subnets", body).await.is(400).json()["NeutronError"].clone();
    assert_eq!(error["code"], "subnet.gateway_outside");
    assert!(error["detail"].as_str().unwrap().contains("named twice"), "{error}");
}

#[tokio::test]
async fn bulk_creates_are_all_or_nothing() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let ports = |last: Value| json!({ "ports": [{ "network_id": network, "name": "a" }, { "network_id": network, "name": "b" }, last] });
    let made = ann
        .post("/v2.0/ports", ports(json!({ "network_id": network, "name": "c" })))
        .await
        .is(201);
    assert_eq!(names(&made, "ports"), ["a", "b", "c"]);
    let head = server.head();
    ann.post("/v2.0/ports", ports(json!({ "network_id": network, "nonsense": 1 })))
        .await
        .is(400);
    ann.post(
        "/v2.0/ports",
        ports(json!({ "network_id": network, "fixed_ips": [{ "ip_address": "10.0.0.2" }] })),
    )
    .await
    .is(409);
    assert_eq!(server.head(), head);
    assert_eq!(names(&ann.get("/v2.0/ports").await, "ports").len(), 3);
    let networks = json!({ "networks": [{ "name": "x" }, { "name": "y" }] });
    assert_eq!(
        names(&ann.post("/v2.0/networks", networks).await.is(201), "networks"),
        ["x", "y"]
    );
    let many = json!({ "ports": vec![json!({ "network_id": network }); 10_001] });
    assert_eq!(
        ann.post("/v2.0/ports", many).await.is(400).json()["NeutronError"]["code"],
        "value.too_many"
    );
}

#[tokio::test]
async fn a_change_can_be_bound_to_what_was_read() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let path = format!("/v2.0/networks/{}", id(&ann.make("network", json!({})).await));
    let change = async |revision: &str, name: &str| {
        let headers = [("x-auth-token", ann.token.as_str()), ("if-match", revision)];
        server
            .ask(
                "PUT",
                &path,
                &headers,
                json!({ "network": { "name": name } }).to_string(),
            )
            .await
    };
    change("revision_number=0", "a").await.is(200);
    let late = change("revision_number=0", "b").await.is(412);
    assert_eq!(late.kind(), "RevisionNumberConstraintFailed");
    change("revision_number=1", "b").await.is(200);
    let headers = [("x-auth-token", ann.token.as_str()), ("if-match", "revision_number=1")];
    server.ask("DELETE", &path, &headers, "").await.is(412);
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_cut() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, subnet) = ann.network("10.0.0.0/24").await;
    for name in ["c", "a", "b", "a"] {
        ann.make(
            "port",
            json!({ "network_id": network, "name": name, "device_id": format!("dev-{name}") }),
        )
        .await;
    }
    let found = async |query: &str| names(&ann.get(&format!("/v2.0/ports?{query}")).await.is(200), "ports");
    assert_eq!(found("").await, ["c", "a", "b", "a"]);
    assert_eq!(found("name=a").await, ["a", "a"]);
    assert_eq!(
        found("name=a&name=b&sort_key=name&sort_dir=desc").await,
        ["b", "a", "a"]
    );
    assert_eq!(found(&format!("network_id={network}&device_id=dev-c")).await, ["c"]);
    assert_eq!(found("fixed_ips=ip_address=10.0.0.3").await, ["a"]);
    assert_eq!(
        found(&format!(
            "fixed_ips=subnet_id={subnet}&fixed_ips=ip_address_substr=.0.4"
        ))
        .await,
        ["b"]
    );
    assert_eq!(
        found(&format!("fixed_ips=subnet_id={subnet},ip_address=10.0.0.2")).await,
        ["c"]
    );
    assert_eq!(found("fixed_ips=ip_address=10.9.9.9").await, [""; 0]);
    assert_eq!(found("status=DOWN").await.len(), 4);
    assert_eq!(found("status=ACTIVE&limit=2").await, [""; 0]);
    assert_eq!(found("admin_state_up=False").await, [""; 0]);
    assert_eq!(found(&format!("project_id={}", ann.project)).await.len(), 4);
    assert_eq!(found("mac_address=nonsense").await, [""; 0]);

    // Pages by their links, forwards and back.
    let first = ann.get("/v2.0/ports?limit=3&sort_key=name&sort_dir=asc").await.is(200);
    assert_eq!(names(&first, "ports"), ["a", "a", "b"]);
    let href = |reply: &Reply, rel: &str| {
        let links = reply.json()["ports_links"].clone();
        let link = links
            .as_array()
            .unwrap()
            .iter()
            .find(|link| link["rel"] == rel)
            .unwrap_or_else(|| panic!("{links}"))
            .clone();
        link["href"]
            .as_str()
            .unwrap()
            .strip_prefix("http://portolan.test")
            .unwrap()
            .to_owned()
    };
    let second = ann.get(&href(&first, "next")).await.is(200);
    assert_eq!(names(&second, "ports"), ["c"]);
    let back = ann.get(&href(&second, "previous")).await.is(200);
    assert_eq!(names(&back, "ports"), ["a", "a", "b"]);
    let mut seen = Vec::new();
    let mut path = "/v2.0/ports?limit=1".to_owned();
    loop {
        let page = ann.get(&path).await.is(200);
        let these = names(&page, "ports");
        if these.is_empty() {
            break;
        }
        seen.extend(these);
        path = href(&page, "next");
    }
    assert_eq!(seen, ["c", "a", "b", "a"], "a page a port shows each once");
    assert_eq!(
        ann.get("/v2.0/ports?marker=01a20727-0000-7000-8000-000000000000")
            .await
            .is(404)
            .kind(),
        "PortNotFound"
    );

    let some = ann
        .get("/v2.0/ports?fields=id&fields=name&limit=1")
        .await
        .is(200)
        .json();
    assert_eq!(some["ports"][0].as_object().unwrap().len(), 2);
    let one = ann
        .get(&format!("/v2.0/networks/{network}?fields=name"))
        .await
        .is(200)
        .json();
    assert_eq!(one, json!({ "network": { "name": "secret-web" } }));
}

#[tokio::test]
async fn an_administrator_sees_and_does_more() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let port = ann.make("port", json!({ "network_id": network })).await;
    assert!(port.get("binding:host_id").is_none());
    let seen = admin.get(&format!("/v2.0/ports/{}", id(&port))).await.is(200).json();
    assert_eq!(seen["port"]["binding:vif_type"], "unbound");
    let change = json!({ "port": { "binding:host_id": "host-1" } });
    let seen = admin
        .put(&format!("/v2.0/ports/{}", id(&port)), change)
        .await
        .is(200)
        .json();
    assert_eq!(seen["port"]["binding:host_id"], "host-1");
    let made = admin
        .make("network", json!({ "name": "given", "project_id": ann.project }))
        .await;
    assert_eq!(made["project_id"], ann.project);
    ann.get(&format!("/v2.0/networks/{}", id(&made))).await.is(200);
    admin
        .post("/v2.0/networks", json!({ "network": { "project_id": "0".repeat(32) } }))
        .await
        .is(404);
    let listed = admin
        .get(&format!("/v2.0/ports?project_id={}", ann.project))
        .await
        .json();
    assert_eq!(listed["ports"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn quotas_are_kept() {
    let quotas = Quotas {
        networks: 2,
        ..Quotas::NONE
    };
    let server = Server::with(With {
        quotas: Some(quotas),
        ..With::default()
    })
    .await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    ann.make("network", json!({})).await;
    ann.make("network", json!({})).await;
    let over = ann.post("/v2.0/networks", json!({ "network": {} })).await.is(409);
    assert_eq!(over.kind(), "OverQuota");
}

#[tokio::test]
async fn versions_and_extensions_are_what_clients_look_for() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let versions = server
        .ask("GET", "/", &[("accept", "application/json")], "")
        .await
        .is(200)
        .json();
    assert_eq!(versions["versions"][0]["id"], "v2.0");
    assert_eq!(
        versions["versions"][0]["links"][0]["href"],
        "http://portolan.test/v2.0/"
    );
    let html = server
        .ask("GET", "/", &[("accept", "text/html,application/xhtml+xml")], "")
        .await
        .is(200);
    assert!(html.header("content-type").starts_with("text/html"));
    server.ask("GET", "/v2.0", &[], "").await.is(200);
    assert_eq!(
        server.ask("GET", "/v3/", &[], "").await.is(200).json()["version"]["status"],
        "stable"
    );
    let extensions = ann.get("/v2.0/extensions").await.is(200).json();
    assert!(
        extensions["extensions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["alias"] == "revision-if-match")
    );
    ann.get("/v2.0/extensions/router").await.is(404);
    assert_eq!(server.ask("GET", "/healthz", &[], "").await.is(200).text, "ok");
    let metrics = server.ask("GET", "/metrics", &[], "").await.is(200).text;
    assert!(
        metrics.contains("portolan_http_requests_total{status=\"4xx\"} 1"),
        "{metrics}"
    );
}
