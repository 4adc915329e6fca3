//! Nonsense in every field of every body and every query: never a 500, never half an object.

use std::convert::Infallible;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::{StreamExt, stream};
use portolan_core::model::Role;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::kit::{Server, User, id};

/// Values that some field will not like.
fn odd_values() -> Vec<Value> {
    let mut odd = vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!(" "),
        json!("null"),
        json!("\u{0}"),
        json!("a\u{7}b"),
        json!("\u{202e}abc"),
        json!("'; drop table ports; --"),
        json!("<script>alert(1)</script>"),
        json!("é".repeat(255)),
        json!("x".repeat(256)),
        json!("x".repeat(100_000)),
        json!("10.0.0.0/33"),
        json!("10.0.0.7/24"),
        json!("::/0"),
        json!("999.1.1.1"),
        json!("00:00:00:00:00:00"),
        json!("01a20727-0000-7000-8000-000000000000"),
        json!([]),
        json!({}),
        json!([null]),
        json!([[]]),
        json!([{}]),
        json!([{ "x": 1 }]),
        json!([1, "a", null]),
        json!([{ "start": "10.0.0.9", "end": "10.0.0.3" }]),
        json!([{ "destination": "10.0.0.0/8" }]),
        json!([{ "subnet_id": 1 }]),
        json!([{ "ip_address": "10.0.0.300" }]),
    ];
    odd.push(Value::Array(vec![json!("1.1.1.1"); 1_000]));
    odd.push(Value::Array(vec![json!({ "ip_address": "10.0.0.9" }); 1_000]));
    odd.push((0..60).fold(json!(1), |inner, _| json!([inner])));
    odd
}

const NETWORK: &[&str] = &[
    "name",
    "description",
    "admin_state_up",
    "mtu",
    "port_security_enabled",
    "dns_domain",
    "shared",
    "tenant_id",
    "project_id",
    "router:external",
    "tags",
    "qos_policy_id",
    "availability_zone_hints",
    "provider:network_type",
    "id",
    "status",
    "subnets",
    "revision_number",
    "created_at",
    "nonsense",
    "",
];
const SUBNET: &[&str] = &[
    "name",
    "description",
    "cidr",
    "ip_version",
    "gateway_ip",
    "allocation_pools",
    "dns_nameservers",
    "host_routes",
    "enable_dhcp",
    "network_id",
    "tenant_id",
    "project_id",
    "ipv6_ra_mode",
    "subnetpool_id",
    "service_types",
    "tags",
    "id",
    "nonsense",
];
const PORT: &[&str] = &[
    "name",
    "description",
    "network_id",
    "mac_address",
    "fixed_ips",
    "admin_state_up",
    "device_owner",
    "device_id",
    "binding:host_id",
    "binding:profile",
    "binding:vnic_type",
    "port_security_enabled",
    "security_groups",
    "allowed_address_pairs",
    "extra_dhcp_opts",
    "tenant_id",
    "dns_name",
    "status",
    "id",
    "tags",
    "nonsense",
];

/// Asks with odd values one by one; a refusal changes nothing and is in Neutron's shape.
async fn try_all(user: &User<'_>, method: &str, path: &str, thing: &str, good: &Value, fields: &[&str]) {
    let server = user.server;
    for field in fields {
        for odd in odd_values() {
            let mut body = good.clone();
            body[*field] = odd.clone();
            let before = server.head();
            let reply = user.ask(method, path, json!({ thing: body }).to_string()).await;
            let shown: String = odd.to_string().chars().take(60).collect();
            match reply.status {
                200 | 201 => assert_eq!(server.head(), before + u64::from(server.head() != before)),
                400 | 403 | 404 | 409 | 413 => {
                    assert_eq!(server.head(), before, "{field} = {shown}: a refusal changed something");
                    let error = &reply.json()["NeutronError"];
                    assert!(
                        error["message"].is_string() && error["code"].is_string(),
                        "{field} = {shown}: {reply:?}"
                    );
                    assert!(
                        reply.text.len() < 4_000,
                        "{field}: what was sent is not sent back whole"
                    );
                }
                other => panic!("{method} {thing} with {field} = {shown}: {other} {reply:?}"),
            }
        }
    }
}

#[tokio::test]
async fn odd_values_in_creates() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let subnets = json!({ "network_id": network, "cidr": "10.1.0.0/24" });
    try_all(
        &ann,
        "POST",
        "/v2.0/networks",
        "network",
        &json!({ "name": "n" }),
        NETWORK,
    )
    .await;
    try_all(&ann, "POST", "/v2.0/subnets", "subnet", &subnets, SUBNET).await;
    try_all(
        &ann,
        "POST",
        "/v2.0/ports",
        "port",
        &json!({ "network_id": network }),
        PORT,
    )
    .await;
}

#[tokio::test]
async fn odd_values_in_changes() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, subnet) = ann.network("10.0.0.0/24").await;
    let port = id(&ann.make("port", json!({ "network_id": network })).await);
    try_all(
        &ann,
        "PUT",
        &format!("/v2.0/networks/{network}"),
        "network",
        &json!({}),
        NETWORK,
    )
    .await;
    try_all(
        &ann,
        "PUT",
        &format!("/v2.0/subnets/{subnet}"),
        "subnet",
        &json!({}),
        SUBNET,
    )
    .await;
    try_all(&ann, "PUT", &format!("/v2.0/ports/{port}"), "port", &json!({}), PORT).await;
}

#[tokio::test]
async fn bodies_that_are_none() {
    let server = Server::new().await;
    let admin = server.admin().await;
    let project = admin.project.clone();
    let (network, subnet) = admin.network("10.0.0.0/24").await;
    let port = id(&admin.make("port", json!({ "network_id": network })).await);
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{project}/clusters");
    let cluster = id(&admin.post(&clusters, json!({ "name": "shop" })).await.is(201).json()["item"]);
    let user = server.control.read(|view| view.user_by_name("admin").unwrap().id);
    let routes = [
        ("POST", "/v2.0/networks".to_owned()),
        ("POST", "/v2.0/subnets".to_owned()),
        ("POST", "/v2.0/ports".to_owned()),
        ("PUT", format!("/v2.0/networks/{network}")),
        ("PUT", format!("/v2.0/subnets/{subnet}")),
        ("PUT", format!("/v2.0/ports/{port}")),
        ("POST", "/v3/projects".to_owned()),
        ("POST", "/v3/users".to_owned()),
        ("PATCH", format!("/v3/users/{user}")),
        ("POST", format!("/v3/users/{user}/password")),
        ("POST", "/v3/auth/tokens".to_owned()),
        ("POST", "/portolan/v1/session".to_owned()),
        ("POST", clusters.clone()),
        ("POST", format!("{clusters}/{cluster}/nodes")),
        ("POST", format!("{clusters}/{cluster}/join-tokens")),
    ];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!(
        "{{{}\"z\":1}}",
        (0..20_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>()
    );
    let bodies: Vec<Vec<u8>> = [
        "{",
        "}",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{\"a\":}",
        "{'a':1}",
        "nonsense",
        "{\"network\":1}",
        "{\"ports\":[]}",
        "{\"ports\":[1]}",
        "{\"subnets\":{}}",
        "{\"user\":null}",
        "{\"name\":1}",
        "{\"name\":\"-\"}",
        "{\"x\":1}",
        &deep,
        &wide,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([vec![0xff, 0xfe], vec![b'{', 0], vec![0; 1_000]])
    .collect();
    let head = server.head();
    for (method, path) in &routes {
        for body in &bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let reply = admin.ask(method, path, body.clone()).await;
            assert!(
                (400..500).contains(&reply.status),
                "{method} {path} with {shown}: {reply:?}"
            );
            assert!(
                reply.text.len() < 4_000,
                "{method} {path} with {shown} is answered at length"
            );
            reply.json();
        }
        let large = admin.ask(method, path, vec![b' '; (1 << 20) + 1]).await.is(413);
        large.json();
    }
    assert_eq!(server.head(), head, "nothing was written");
}

#[tokio::test]
async fn queries_that_are_none() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, subnet) = ann.network("10.0.0.0/24").await;
    let here = format!("/portolan/v1/projects/{}", ann.project);
    for query in [
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "marker=x",
        "marker=%00",
        "marker=01a20727-0000-7000-8000-000000000000",
        "sort_key=x",
        "sort_dir=x",
        "sort_key=id&sort_dir=down",
        "page_reverse=x",
        "nonsense=1",
        "%ff=1",
        "a=%ff",
        "&&&",
        "=",
        "fields=",
        "fields=nonsense",
        "fixed_ips=x",
        "fixed_ips=",
        "admin_state_up=x",
        "id=x",
        "name=",
        "created_at=x",
        "changed_since=x",
        "filter=%ff",
        "filter=a:b:c",
        "after=x",
    ] {
        for path in [
            "/v2.0/networks",
            "/v2.0/subnets",
            "/v2.0/ports",
            "/v3/roles",
            "/v3/domains",
        ] {
            let reply = ann.get(&format!("{path}?{query}")).await;
            assert!(matches!(reply.status, 200 | 400 | 404), "{path}?{query}: {reply:?}");
            reply.json();
        }
        for path in [
            format!("{here}/subnets/{subnet}/ports"),
            format!("{here}/networks/{network}/ports"),
        ] {
            let reply = ann.get(&format!("{path}?{query}")).await;
            assert!(matches!(reply.status, 200 | 400), "{path}?{query}: {reply:?}");
        }
    }
    ann.get(&format!("{here}/subnets/{subnet}/ports?filter={}", "x".repeat(2_000)))
        .await
        .is(400);
    for after in ["x", "-1", "99999999999999999999"] {
        ann.get(&format!("/portolan/v1/events?project={}&after={after}", ann.project))
            .await
            .is(400);
    }
}

#[tokio::test]
async fn odd_headers() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let body = r#"{"network":{}}"#;
    let head = server.head();
    for (name, value) in [
        ("if-match", "7"),
        ("if-match", "\"abc\""),
        ("if-match", "revision_number=99999999999999999999999"),
        ("idempotency-key", ""),
        ("idempotency-key", &"k".repeat(65)),
    ] {
        server
            .ask(
                "POST",
                "/v2.0/networks",
                &[("x-auth-token", &ann.token), (name, value)],
                body,
            )
            .await
            .is(400);
    }
    assert_eq!(server.head(), head, "nothing was written");
    let odd = [
        ("x-auth-token", ann.token.as_str()),
        ("x-portolan-project", "x"),
        ("accept", "nonsense"),
        ("host", "a\"b"),
    ];
    server.ask("GET", "/v2.0/networks", &odd, "").await.is(200);
}

#[tokio::test]
async fn clusters_and_nodes_refuse_what_does_not_fit() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let cluster = id(&ann.post(&clusters, json!({ "name": "shop" })).await.is(201).json()["item"]);
    let head = server.head();
    for (body, code) in [
        (json!({ "name": "Shop" }), "value.not_a_label"),
        (json!({ "name": "" }), "value.required"),
        (json!({ "name": "shop" }), "cluster.name_taken"),
        (json!({ "name": "x", "pod_range": "10.0.0.7/16" }), "value.host_bits"),
        (json!({ "name": "x", "node_range": "nonsense" }), "value.not_a_cidr"),
        (json!({ "name": "x", "path": "pigeon" }), "body.malformed"),
        (json!({ "name": "x", "nonsense": 1 }), "body.malformed"),
        (
            json!({ "name": "x", "pod_range": "10.9.0.0/16", "service_range": "10.9.0.0/20" }),
            "cluster.ranges_overlap",
        ),
    ] {
        let reply = ann.post(&clusters, body.clone()).await;
        assert!((400..500).contains(&reply.status), "{body}: {reply:?}");
        assert_eq!(reply.json()["code"], code, "{body}");
    }
    for (body, code) in [
        (json!({ "name": "Node" }), "value.not_a_label"),
        (json!({}), "body.malformed"),
    ] {
        let reply = ann.post(&format!("{clusters}/{cluster}/nodes"), body).await.is(400);
        assert_eq!(reply.json()["code"], code);
    }
    assert_eq!(server.head(), head, "nothing was written");
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let server = Server::new().await;
    let body = Body::from_stream(stream::iter([Ok::<_, Infallible>("{")]).chain(stream::pending()));
    let request = Request::post("/v3/auth/tokens").body(body).unwrap();
    // From here on time passes as soon as everybody waits.
    tokio::time::pause();
    let response = server.app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 400);
    let text = to_bytes(response.into_body(), 4096).await.unwrap();
    assert!(
        String::from_utf8_lossy(&text).contains("did not arrive within 30 s"),
        "{text:?}"
    );
}
