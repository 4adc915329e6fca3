//! What people see and do once the database was put back to an older state: epochs, found nodes, blocks in quarantine, and
//! machines that have one identity.

use std::net::IpAddr;

use portolan_core::command::{Claim, ClaimedBlock, ClaimedNode, Command, Request};
use portolan_core::model::{Loss, Role};
use portolan_shared::addr::Cidr;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_shared::losses::LossKind;
use serde_json::{Value, json};

use super::cases::held_by;
use super::kit::{Reply, Server, User, id};
use super::pod_ports::{Reporting, cluster_state, node_states, with_pods};

/// A cluster of a user's with a pod range of one block; the path of it.
async fn small(user: &User<'_>) -> String {
    user.server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", user.project);
    let small = json!({ "name": "small", "pod_range": "10.1.0.0/26" });
    let cluster = id(&user.post(&clusters, small).await.is(201).json()["item"]);
    format!("{clusters}/{cluster}")
}

#[tokio::test]
async fn a_block_in_quarantine_is_free_once_somebody_says_that_its_machine_is_off() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let cluster = small(&ann).await;
    let nodes = format!("{cluster}/nodes");
    let block = held_by(&ann, &nodes, "node-1").await;
    let blocks = format!("{cluster}/quarantined-blocks");
    let listed = ann.get(&blocks).await.is(200).json();
    let row = &listed["items"][0];
    assert_eq!(
        (
            &listed["total"],
            &row["id"],
            &row["cidr"],
            &row["node"],
            &row["reason"]["code"]
        ),
        (
            &json!(1),
            &json!(block),
            &json!("10.1.0.0/26"),
            &json!("node-1"),
            &json!("block.node_removed")
        )
    );
    assert_eq!(row["since"], row["reason"]["since"]);

    // Nobody else is leased it, and what stands in the way is named.
    let made = ann.post(&nodes, json!({ "name": "node-2" })).await.is(201).json();
    let held = "; 10.1.0.0/26 is held by removed node-1, which has not let go.";
    assert_eq!(node_states(&ann).await, [(json!("expected"), json!("node.no_block"))]);
    for path in [&nodes, &cluster] {
        let row = ann.get(path).await.is(200).json();
        let row = row["items"].get(0).unwrap_or(&row["item"]);
        let sentence = row["reason"]["sentence"].as_str().unwrap();
        assert!(sentence.ends_with(held), "{sentence}");
        let params = row["reason"]["params"].as_array().unwrap();
        assert!(params.contains(&json!(["held", "10.1.0.0/26 (node-1)"])), "{params:?}");
    }
    let node: NodeId = id(&made["node"]).parse().unwrap();
    let lease = async || {
        let lease = Command::LeaseBlock { node, have: 0 };
        server.control.write(Request::agent(node, lease)).await.unwrap();
        server.control.read(|view| view.blocks_of_node(node).count())
    };
    assert_eq!(lease().await, 0);

    // Whoever means another machine frees nothing.
    let release = format!("{blocks}/{block}/release");
    let head = server.head();
    let refused = ann
        .post(&release, json!({ "machine_off": "node-2" }))
        .await
        .is(400)
        .json();
    assert_eq!(
        (&refused["code"], &refused["field"], &refused["params"]["node"]),
        (&json!("block.other_name"), &json!("machine_off"), &json!("node-1"))
    );
    let sentence = refused["detail"].as_str().unwrap();
    assert!(sentence.contains("type 'node-1', not 'node-2'"), "{sentence}");
    ann.post(&release, json!({})).await.is(400);
    assert_eq!(server.head(), head, "nothing was written");

    ann.post(&release, json!({ "machine_off": "node-1" })).await.is(204);
    assert_eq!(ann.get(&blocks).await.is(200).json()["items"], json!([]));
    ann.post(&release, json!({ "machine_off": "node-1" })).await.is(404);
    assert_eq!(lease().await, 1);
    let audit = format!(
        "/portolan/v1/projects/{}/audit?kind=quarantined_block&op=delete",
        ann.project
    );
    let audit = ann.get(&audit).await.is(200).json();
    assert_eq!(
        (
            &audit["items"][0]["who"]["name"],
            &audit["items"][0]["objects"][0]["id"]
        ),
        (&json!("ann"), &json!(block)),
        "{audit}"
    );
}

#[tokio::test]
async fn a_machine_that_another_has_replaced_is_named_as_what_it_was() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 1).await;
    let node = Reporting::new(&server, node).await.node.clone();
    Reporting::joined(&server, node.id, [8; 32]).await;
    let blocks = format!(
        "/portolan/v1/projects/{}/clusters/{}/quarantined-blocks",
        ann.project, node.cluster
    );
    let row = ann.get(&blocks).await.is(200).json()["items"][0].clone();
    assert_eq!(
        (&row["node"], &row["reason"]["code"]),
        (&json!("node-1"), &json!("block.other_machine"))
    );
    assert_eq!(
        row["reason"]["sentence"],
        "Another machine is node-1 now, and the one before has not been heard to have let go of it."
    );
}

/// Block `n` of a pod range.
fn block(pods: Cidr, n: u32) -> Cidr {
    let IpAddr::V4(first) = pods.first() else {
        panic!("{pods}")
    };
    format!("{}/26", std::net::Ipv4Addr::from_bits(first.to_bits() + 64 * n))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn an_epoch_is_told_and_the_node_it_found_waits_for_an_administrator() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let sue = server.user("sue", "helpdesk", Role::Support).await;
    let epochs = "/portolan/v1/epochs";
    assert_eq!(sue.get(epochs).await.is(200).json()["items"], json!([]));
    let first = with_pods(&server, &ann, 1).await;
    let first = Reporting::new(&server, first).await;
    first.refuses(&[]).await;
    let (cluster, pods) = server.control.read(|view| {
        let cluster = view.cluster(first.node.cluster).unwrap();
        (cluster.id, view.subnet(cluster.pod_subnet).unwrap().cidr)
    });
    let found = NodeId::from(server.control.new_id());
    let claimed = |n: u32| ClaimedBlock {
        id: BlockId::from(server.control.new_id()),
        node: found,
        machine: [7; 32],
        cidr: block(pods, n),
        leased_at: 80,
    };
    let IpAddr::V4(own) = first.node.addresses[0] else {
        panic!()
    };
    let claim = |fork, blocks| Claim {
        node: first.node.id,
        shown: 90,
        fork,
        nodes: vec![ClaimedNode {
            id: found,
            name: "node-3".to_owned(),
            addresses: vec![std::net::Ipv4Addr::from_bits(own.to_bits() + 9).into()],
        }],
        blocks,
    };
    let claim = async |fork, blocks| {
        let command = Command::Claim(claim(fork, blocks));
        server
            .control
            .write(Request::agent(first.node.id, command))
            .await
            .unwrap();
    };
    // The first block is the first node's here.
    claim(Some(26), vec![claimed(5), claimed(0)]).await;
    server.clock.pass(60);
    claim(None, vec![]).await;
    first.refuses(&[]).await;

    // With an epoch all sessions end.
    sue.get(epochs).await.is(401);
    let again = async |name, project, of: &User<'_>| User {
        server: &server,
        token: server.token(name, project).await,
        project: of.project.clone(),
    };
    let (ann, sue) = (again("ann", "alpha", &ann).await, again("sue", "helpdesk", &sue).await);
    let listed = async || sue.get(epochs).await.is(200).json()["items"].clone();
    let rows = listed().await;
    let numbers: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["put_back_to"]).collect();
    assert_eq!(numbers, [&Value::Null, &json!(26)], "the newest first");
    let row = &rows[1];
    assert_eq!(
        (
            &row["lost_to"],
            &row["shown_by"],
            &row["blocks_found"],
            &row["nodes_found"],
            &row["nodes_waiting"]
        ),
        (
            &json!(90),
            &json!("node-1"),
            &json!(1),
            &json!([found]),
            &json!(["node-3"])
        )
    );
    let taken = block(pods, 0);
    assert_eq!(
        (&row["reason"]["code"], &row["reason"]["since"]),
        (&json!("epoch.began"), &row["began_at"])
    );
    assert_eq!(
        row["disputes"],
        json!([{
            "cidr": taken, "node": "node-3", "code": "block.leased",
            "sentence": format!("{taken} was leased anew, to node-1."),
        }])
    );

    // It is not ready, and nothing else is the matter with its cluster.
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let waits = json!("node.waits");
    let shown = async || {
        let row = ann.get(&format!("{clusters}/{cluster}")).await.is(200).json()["item"].clone();
        (
            row["reason"]["code"].clone(),
            row["stages"][2]["reason"]["code"].clone(),
        )
    };
    assert_eq!(
        node_states(&ann).await,
        [(json!("ready"), Value::Null), (json!("found"), waits.clone())]
    );
    assert_eq!(cluster_state(&ann).await, (json!(1), json!("degraded")));
    assert_eq!(shown().await, (waits.clone(), waits.clone()));
    let port = format!("/v2.0/ports?device_id={found}");
    let port = ann.get(&port).await.is(200).json()["ports"][0].clone();
    assert_eq!(port["status"], "DOWN");

    let admit = format!("{clusters}/{cluster}/nodes/{found}/admit");
    ann.post(&admit, json!({})).await.is(403);
    let admin = server.admin().await;
    admin.post(&admit, json!({ "sure": true })).await.is(400);
    admin.post(&admit, json!({})).await.is(204);
    assert_eq!(listed().await[1]["nodes_waiting"], json!([]));
    // Its agent has not come yet.
    assert_eq!(node_states(&ann).await[1].0, json!("silent"));
    assert_eq!(shown().await, (json!("cluster.nodes_not_ready"), Value::Null));
}

#[tokio::test]
async fn a_copied_node_works_on_and_says_so_until_an_administrator_has_admitted_one() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 1).await;
    let node = Reporting::new(&server, node).await;
    node.refuses(&[]).await;
    node.is_copied(1_795_262_671_000_000).await;
    let nodes = format!(
        "/portolan/v1/projects/{}/clusters/{}/nodes",
        ann.project, node.node.cluster
    );
    let row = ann.get(&nodes).await.is(200).json()["items"][0].clone();
    assert_eq!(
        (&row["state"], &row["reason"]["code"], &row["reason"]["since"]),
        (&json!("copied"), &json!("node.copied"), &json!("2026-11-21T12:04:31Z"))
    );
    assert_eq!(cluster_state(&ann).await, (json!(1), json!("ready")), "its pods work");
    let pod = ann.get("/v2.0/ports?device_owner=portolan:pod").await.is(200).json();
    assert_eq!(pod["ports"][0]["status"], "ACTIVE");
    let lease = Command::LeaseBlock {
        node: node.node.id,
        have: 1,
    };
    let refused = server
        .control
        .write(Request::agent(node.node.id, lease))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "node.copied");

    let admit = format!("{nodes}/{}/admit", node.node.id);
    ann.post(&admit, json!({})).await.is(403);
    server.admin().await.post(&admit, json!({})).await.is(204);
    assert_eq!(node_states(&ann).await, [(json!("ready"), Value::Null)]);
}

#[tokio::test]
async fn what_others_took_from_a_host_is_told_with_the_node() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 1).await;
    let node = Reporting::new(&server, node).await;
    node.refuses(&[]).await;
    node.loses(Loss {
        kind: LossKind::Routes,
        objects: 14,
        first_seen: 1_795_262_671_000_000,
        back_after_ms: Some(12),
        today: 3,
        contested: false,
        by: Some("systemd-networkd".to_owned()),
    })
    .await;
    let nodes = format!(
        "/portolan/v1/projects/{}/clusters/{}/nodes",
        ann.project, node.node.cluster
    );
    let row = ann.get(&nodes).await.is(200).json()["items"][0].clone();
    assert_eq!(row["state"], "ready", "it is put back");
    let lost = &row["losses"][0];
    assert_eq!(
        (&lost["code"], &lost["sentence"], &lost["since"]),
        (
            &json!("node.lost"),
            &json!("Taken away by systemd-networkd: routes (14); put back in 12 ms; time 3 of that day."),
            &json!("2026-11-21T12:04:31Z")
        )
    );
}

#[tokio::test]
async fn a_nodes_address_can_be_changed_to_a_free_one_of_its_range() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let id = with_pods(&server, &ann, 1).await;
    let node = server.control.read(|view| view.node(id).unwrap().clone());
    let path = format!(
        "/portolan/v1/projects/{}/clusters/{}/nodes/{}",
        ann.project, node.cluster, node.id
    );
    let subnet = server.control.read(|view| {
        let cluster = view.cluster(node.cluster).unwrap();
        view.subnet(cluster.node_subnet).unwrap().clone()
    });
    let free = subnet.pools[0].last();
    ann.put(&path, json!({ "address": free })).await.is(204);
    let port = ann.get(&format!("/v2.0/ports/{}", node.port)).await.is(200).json();
    assert_eq!(port["port"]["fixed_ips"][0]["ip_address"], json!(free));
    let refused = |answer: Reply| answer.json()["code"].clone();
    let gateway = json!({ "address": subnet.gateway });
    assert_eq!(refused(ann.put(&path, gateway).await.is(409)), "port.address_taken");
    let outside = json!({ "address": "192.0.2.1" });
    assert_eq!(refused(ann.put(&path, outside).await.is(400)), "port.address_outside");
}
