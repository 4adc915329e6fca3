//! `/portolan/v1`: the read models of the console's screens.

use portolan_core::model::Role;
use portolan_shared::status::PortStatus;
use portolan_shared::v1::{
    AddressSpace, ClusterRow, ClusterState, JoinToken, List, NetworkRow, NodeRow, NodeState, One, PortKind, PortRow,
    SubnetPurpose, SubnetRow, WhyStep,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::kit::{Server, User, With, id};

/// What a path below the user's project answers, as the console reads it.
async fn read<T: DeserializeOwned>(user: &User<'_>, path: &str) -> T {
    let reply = user
        .get(&format!("/portolan/v1/projects/{}/{path}", user.project))
        .await
        .is(200);
    serde_json::from_str(&reply.text).unwrap_or_else(|error| panic!("{error}: {}", reply.text))
}

#[tokio::test]
async fn ports_come_by_address_in_pages_and_filtered() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, subnet) = ann.network("10.0.0.0/24").await;
    for (name, ip) in [("web-1", "10.0.0.30"), ("db", "10.0.0.10"), ("web-2", "10.0.0.20")] {
        ann.make(
            "port",
            json!({ "network_id": network, "name": name, "fixed_ips": [{ "ip_address": ip }] }),
        )
        .await;
    }
    let two = json!({ "network_id": network, "name": "two", "fixed_ips": [{ "ip_address": "10.0.0.40" }, { "ip_address": "10.0.0.5" }] });
    ann.make("port", two).await;
    ann.make(
        "port",
        json!({ "network_id": network, "name": "bare", "fixed_ips": [] }),
    )
    .await;
    let names = |list: &List<PortRow>| list.items.iter().map(|row| row.name.clone()).collect::<Vec<_>>();

    let all: List<PortRow> = read(&ann, &format!("subnets/{subnet}/ports")).await;
    assert_eq!(names(&all), ["two", "db", "web-2", "web-1"], "by address, each once");
    assert_eq!((all.total, all.next.as_deref()), (4, None));
    let of_network = format!("networks/{network}/ports");
    let all: List<PortRow> = read(&ann, &of_network).await;
    assert_eq!(names(&all), ["two", "db", "web-2", "web-1", "bare"]);
    assert_eq!(all.total, 5);

    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let page: List<PortRow> = read(&ann, &format!("{of_network}?limit=2{marker}")).await;
        seen.extend(names(&page));
        assert_eq!(page.total, 5);
        match page.next {
            Some(next) => marker = format!("&marker={next}"),
            None => break,
        }
    }
    assert_eq!(seen, names(&all));

    for (filter, expected) in [
        ("web", vec!["web-2", "web-1"]),
        ("web%20ip:10.0.0.30", vec!["web-1"]),
        ("ip:10.0.0.0/28", vec!["two", "db"]),
        ("status:down%20name:db", vec!["db"]),
        ("kind:reserved", vec!["two", "db", "web-2", "web-1", "bare"]),
        ("kind:pod", vec![]),
        ("node:x", vec![]),
        ("nothing-like-this", vec![]),
    ] {
        let found: List<PortRow> = read(&ann, &format!("{of_network}?filter={filter}")).await;
        assert_eq!(names(&found), expected, "{filter}");
        assert_eq!(found.total, expected.len() as u64, "{filter}");
    }
    let first: List<PortRow> = read(&ann, &format!("{of_network}?filter=web&limit=1")).await;
    assert_eq!((names(&first), first.total), (vec!["web-2".to_owned()], 2));
    let marker = first.next.unwrap();
    let second: List<PortRow> = read(&ann, &format!("{of_network}?filter=web&limit=1&marker={marker}")).await;
    assert_eq!(
        (names(&second), second.total, second.next),
        (vec!["web-1".to_owned()], 2, None)
    );
}

#[tokio::test]
async fn a_port_says_why_it_is_down() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let (network, _) = ann.network("10.0.0.0/24").await;
    let port = id(&ann.make("port", json!({ "network_id": network })).await);
    let row: One<PortRow> = read(&ann, &format!("ports/{port}")).await;
    assert_eq!((row.item.status, row.item.kind), (PortStatus::Down, PortKind::Reserved));
    assert_eq!(row.item.reason.unwrap().code, "port.not_attached");
    assert_eq!(row.item.network.name, "secret-web");
    assert!(row.item.locked.is_none());
    let why: One<Vec<WhyStep>> = read(&ann, &format!("ports/{port}/why")).await;
    assert_eq!(why.item.len(), 7);
    ann.put(
        &format!("/v2.0/ports/{port}"),
        json!({ "port": { "admin_state_up": false } }),
    )
    .await
    .is(200);
    let row: One<PortRow> = read(&ann, &format!("ports/{port}")).await;
    assert_eq!(row.item.status, PortStatus::Disabled);
    let shown = ann.get(&format!("/v2.0/ports/{port}")).await.json();
    assert_eq!(shown["port"]["status"], "DOWN");
}

#[tokio::test]
async fn a_cluster_shows_in_all_its_places() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let made: One<ClusterRow> = {
        let reply = ann.post(&clusters, json!({ "name": "shop" })).await.is(201);
        serde_json::from_str(&reply.text).unwrap()
    };
    let cluster = made.item;
    assert_eq!(
        (cluster.state, cluster.private_network, cluster.blocks_total),
        (ClusterState::Empty, true, 1024)
    );
    let nodes = format!("{clusters}/{}/nodes", cluster.id);
    let joining: JoinToken =
        serde_json::from_str(&ann.post(&nodes, json!({ "name": "node-1" })).await.is(201).text).unwrap();
    assert!(joining.token.starts_with("ptl1_"));
    let node = joining.node.unwrap();
    assert_eq!(
        (node.state, joining.prefix, joining.mtu),
        (NodeState::Expected, Some(24), 1500)
    );
    assert_eq!(node.reason.unwrap().code, "port.node_expected");
    ann.post(&nodes, json!({ "name": "node-1" })).await.is(409);
    let any: JoinToken = serde_json::from_str(
        &ann.post(&format!("{clusters}/{}/join-tokens", cluster.id), json!({}))
            .await
            .is(201)
            .text,
    )
    .unwrap();
    assert!(any.node.is_none() && any.token != joining.token);

    let listed: List<NodeRow> = read(&ann, &format!("clusters/{}/nodes", cluster.id)).await;
    assert_eq!((listed.total, &listed.items[0].name), (1, &"node-1".to_owned()));
    let network: One<NetworkRow> = read(&ann, &format!("networks/{}", cluster.network.id)).await;
    assert_eq!(
        (network.item.cluster.unwrap().name, network.item.cluster_owned),
        ("shop".to_owned(), true)
    );
    assert_eq!((network.item.ports, network.item.ports_not_active), (1, 1));
    let subnets: List<SubnetRow> = read(&ann, &format!("networks/{}/subnets", cluster.network.id)).await;
    let purposes: Vec<_> = subnets.items.iter().map(|row| row.purpose).collect();
    assert_eq!(purposes, [SubnetPurpose::Nodes, SubnetPurpose::Pods]);
    assert_eq!((subnets.items[0].used, subnets.items[0].capacity), (1, 253));
    let port: One<PortRow> = read(&ann, &format!("ports/{}", node.port)).await;
    assert_eq!((port.item.kind, port.item.status), (PortKind::Node, PortStatus::Build));
    assert_eq!(port.item.locked.unwrap().code, "port.locked_node");
    assert_eq!(port.item.attached.cluster.unwrap().name, "shop");
    let shown = ann.get(&format!("/v2.0/ports/{}", node.port)).await.json();
    assert_eq!(shown["port"]["status"], "BUILD");
    assert_eq!(
        ann.delete(&format!("/v2.0/ports/{}", node.port)).await.is(409).kind(),
        "ServicePortInUse"
    );
    assert_eq!(
        ann.delete(&format!("/v2.0/networks/{}", cluster.network.id))
            .await
            .is(409)
            .kind(),
        "NetworkInUse"
    );
    let space: AddressSpace = read(&ann, "address-space").await;
    assert_eq!(space.ranges.len(), 3);
    let state: List<ClusterRow> = read(&ann, "clusters").await;
    assert_eq!((state.items[0].nodes, state.items[0].nodes_ready), (1, 0));

    ann.delete(&format!("{nodes}/{}", node.id)).await.is(204);
    ann.delete(&format!("{nodes}/{}", node.id)).await.is(404);
    ann.delete(&format!("{clusters}/{}", cluster.id)).await.is(204);
    let left: List<NetworkRow> = read(&ann, "networks").await;
    let own = left.items.iter().filter(|row| !row.external).count();
    assert_eq!(own, 0, "its private network goes with it");
}

#[tokio::test]
async fn without_an_agent_endpoint_nodes_are_refused_in_words() {
    let server = Server::with(With {
        no_agents: true,
        ..With::default()
    })
    .await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let cluster = id(&ann.post(&clusters, json!({ "name": "shop" })).await.is(201).json()["item"]);
    let head = server.head();
    for (path, body) in [("nodes", json!({ "name": "node-1" })), ("join-tokens", json!({}))] {
        let reply = ann.post(&format!("{clusters}/{cluster}/{path}"), body).await.is(503);
        assert_eq!(reply.json()["code"], "agent.no_endpoint");
    }
    assert_eq!(server.head(), head, "nothing was written");
}

#[tokio::test]
async fn a_retried_node_is_the_same_node() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let cluster = id(&ann.post(&clusters, json!({ "name": "shop" })).await.is(201).json()["item"]);
    let nodes = format!("{clusters}/{cluster}/nodes");
    let headers = [("x-auth-token", ann.token.as_str()), ("idempotency-key", "n1")];
    let mut made = Vec::new();
    for _ in 0..2 {
        let reply = server
            .ask("POST", &nodes, &headers, r#"{"name":"node-1"}"#)
            .await
            .is(201)
            .json();
        made.push(id(&reply["node"]));
    }
    assert_eq!(made[0], made[1]);
}
