//! Delete plans: made by the decision of the delete itself, and nothing is changed by asking.

use portolan_core::model::Role;
use portolan_shared::v1::{DeletePlan, PlanKind};
use serde_json::json;

use super::kit::{Server, User, id};
use super::pod_ports::with_pods;

async fn plan(user: &User<'_>, thing: &str) -> DeletePlan {
    let head = user.server.head();
    let path = format!("/portolan/v1/projects/{}/{thing}/delete-plan", user.project);
    let reply = user.get(&path).await.is(200);
    assert_eq!(user.server.head(), head, "asking changes nothing");
    let plan: DeletePlan = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(plan.revision, head);
    plan
}

/// Kind and names of what goes.
fn goes(plan: &DeletePlan) -> Vec<(PlanKind, String)> {
    assert!(plan.stops.is_empty(), "{:?}", plan.stops);
    let items = plan.goes.iter();
    items
        .map(|item| {
            assert_eq!(item.count, item.names.len() as u64);
            (item.kind, item.names.join(", "))
        })
        .collect()
}

/// The code of what stops it; nothing goes then.
fn stops(plan: &DeletePlan) -> &str {
    assert!(plan.goes.is_empty() && plan.stays.is_empty(), "{plan:?}");
    assert_eq!(plan.stops.len(), 1);
    &plan.stops[0].code
}

#[tokio::test]
async fn networks_subnets_and_ports() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let rea = server.user("rea", "alpha", Role::Reader).await;
    server.grant(&ann).await;
    let network = id(&ann
        .make("network", json!({ "name": "quiet", "enable_shadow_port": true }))
        .await);
    for (name, cidr) in [("a", "10.0.0.0/24"), ("b", "10.0.1.0/24")] {
        let subnet = json!({ "network_id": network, "name": name, "cidr": cidr, "ip_version": 4 });
        ann.make("subnet", subnet).await;
    }
    let of_network = format!("networks/{network}");
    let expected = [
        (PlanKind::Network, "quiet".to_owned()),
        (PlanKind::Subnet, "a, b".to_owned()),
    ];
    assert_eq!(
        goes(&plan(&ann, &of_network).await),
        expected,
        "nothing of the provider's"
    );
    assert_eq!(goes(&plan(&rea, &of_network).await), expected, "readers may look");
    let port = id(&ann.make("port", json!({ "network_id": network, "name": "db" })).await);
    let stopped = plan(&ann, &of_network).await;
    assert_eq!(stops(&stopped), "network.in_use");
    assert!(stopped.stops[0].sentence.contains("port db"), "{stopped:?}");
    let subnet = ann.get("/v2.0/subnets?name=a").await.json()["subnets"][0].clone();
    let of_subnet = format!("subnets/{}", id(&subnet));
    assert_eq!(stops(&plan(&ann, &of_subnet).await), "subnet.in_use");
    let of_port = format!("ports/{port}");
    assert_eq!(goes(&plan(&ann, &of_port).await), [(PlanKind::Port, "db".to_owned())]);
    ann.delete(&format!("/v2.0/ports/{port}")).await.is(204);
    assert_eq!(
        goes(&plan(&ann, &of_subnet).await),
        [(PlanKind::Subnet, "a".to_owned())]
    );
    let path = format!("/portolan/v1/projects/{}/{of_port}/delete-plan", ann.project);
    ann.get(&path).await.is(404);
    // Support sees what is hidden, also in a plan.
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let path = format!("/portolan/v1/projects/{}/{of_network}/delete-plan", ann.project);
    let seen: DeletePlan = serde_json::from_str(&sue.get(&path).await.is(200).text).unwrap();
    assert!(
        seen.goes
            .iter()
            .any(|item| item.kind == PlanKind::Port && item.count == 1),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_plan_takes_no_address() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, subnet) = ann.network("10.0.0.0/24").await;
    let first = ann.make("port", json!({ "network_id": network })).await;
    plan(&ann, &format!("ports/{}", id(&first))).await;
    let second = ann.make("port", json!({ "network_id": network })).await;
    assert_eq!(second["fixed_ips"][0]["ip_address"], "10.0.0.3");
    let at = json!({ "network_id": network, "fixed_ips": [{ "ip_address": "10.0.0.2" }] });
    ann.post("/v2.0/ports", json!({ "port": at })).await.is(409);
    plan(&ann, &format!("subnets/{subnet}")).await;
    plan(&ann, &format!("networks/{network}")).await;
    let third = ann.make("port", json!({ "network_id": network })).await;
    assert_eq!(third["fixed_ips"][0]["ip_address"], "10.0.0.4");
}

#[tokio::test]
async fn pods_are_counted_and_a_few_of_them_named() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 12).await;
    let cluster = server.control.read(|view| view.node(node).unwrap().cluster);
    for (thing, kinds) in [
        (format!("clusters/{cluster}/nodes/{node}"), 2),
        (format!("clusters/{cluster}"), 6),
    ] {
        let plan = plan(&ann, &thing).await;
        assert_eq!(plan.goes.len(), kinds, "{plan:?}");
        let pods = plan.goes.iter().find(|item| item.kind == PlanKind::Pod).unwrap();
        assert_eq!((pods.count, pods.names.len()), (12, 10));
        assert_eq!(pods.names[0], "default/web-1");
    }
}

#[tokio::test]
async fn clusters_and_nodes() {
    let server = Server::new().await;
    server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let shop = ann.post(&clusters, json!({ "name": "shop" })).await.is(201).json()["item"].clone();
    let cluster = id(&shop);
    let mut nodes = Vec::new();
    for n in 1..=12 {
        let body = json!({ "name": format!("node-{n}") });
        nodes.push(id(&ann
            .post(&format!("{clusters}/{cluster}/nodes"), body)
            .await
            .is(201)
            .json()["node"]));
    }
    let of_cluster = format!("clusters/{cluster}");
    let whole = plan(&ann, &of_cluster).await;
    let counts: Vec<(PlanKind, u64, usize)> = whole
        .goes
        .iter()
        .map(|item| (item.kind, item.count, item.names.len()))
        .collect();
    assert_eq!(
        counts,
        [
            (PlanKind::Cluster, 1, 1),
            (PlanKind::Node, 12, 10),
            (PlanKind::ExternalIp, 1, 1),
            (PlanKind::Network, 1, 1),
            (PlanKind::Subnet, 2, 2),
        ]
    );
    assert_eq!(whole.goes[2].names, ["203.0.113.2"]);
    assert!(whole.stays.is_empty());
    let of_node = format!("{of_cluster}/nodes/{}", nodes[0]);
    assert_eq!(
        goes(&plan(&ann, &of_node).await),
        [(PlanKind::Node, "node-1".to_owned())]
    );
    let port = ann.get("/v2.0/ports?name=node-1").await.json()["ports"][0].clone();
    assert_eq!(stops(&plan(&ann, &format!("ports/{}", id(&port))).await), "port.owned");
    let of_network = format!("networks/{}", id(&shop["network"]));
    assert_eq!(stops(&plan(&ann, &of_network).await), "network.owned");
    let of_pods = format!("subnets/{}", id(&shop["pod_subnet"]));
    assert_eq!(stops(&plan(&ann, &of_pods).await), "subnet.owned");
    for node in nodes {
        ann.delete(&format!("{clusters}/{cluster}/nodes/{node}")).await.is(204);
    }

    // Somebody's port keeps the private network, and the plan says so.
    let own = json!({ "network_id": id(&shop["network"]), "name": "db" });
    let own = id(&ann.make("port", own).await);
    let kept = plan(&ann, &of_cluster).await;
    let kinds: Vec<PlanKind> = kept.goes.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [PlanKind::Cluster, PlanKind::ExternalIp, PlanKind::Subnet]);
    let stays: Vec<(PlanKind, &str, &str)> = kept
        .stays
        .iter()
        .map(|item| {
            let reason = item.reason.as_ref().unwrap();
            (item.kind, item.names[0].as_str(), reason.code.as_str())
        })
        .collect();
    assert_eq!(
        stays,
        [
            (PlanKind::Subnet, "shop-nodes", "subnet.still_used"),
            (PlanKind::Network, "shop", "network.still_used"),
        ]
    );
    assert!(kept.stays[1].reason.as_ref().unwrap().sentence.contains("port db"));
    ann.delete(&format!("{clusters}/{cluster}")).await.is(204);
    ann.get(&format!("/v2.0/networks/{}", id(&shop["network"])))
        .await
        .is(200);
    ann.delete(&format!("/v2.0/ports/{own}")).await.is(204);

    // In a network of the project's, that and its node subnet stay.
    let network = id(&ann
        .make("network", json!({ "name": "web", "internet_access": true }))
        .await);
    let subnet = json!({ "network_id": network, "name": "in", "cidr": "10.50.0.0/24", "ip_version": 4 });
    let subnet = id(&ann.make("subnet", subnet).await);
    let body = json!({ "name": "inner", "network": network, "node_subnet": subnet });
    let inner = id(&ann.post(&clusters, body).await.is(201).json()["item"]);
    let plan = plan(&ann, &format!("clusters/{inner}")).await;
    let goes: Vec<&str> = plan
        .goes
        .iter()
        .flat_map(|item| item.names.iter().map(String::as_str))
        .collect();
    assert_eq!(goes, ["inner", "203.0.113.3", "inner-pods"]);
    let codes: Vec<&str> = plan
        .stays
        .iter()
        .map(|item| item.reason.as_ref().unwrap().code.as_str())
        .collect();
    assert_eq!(codes, ["network.customers", "network.customers"]);
}
