//! Ports of pods, which only agents make, through the Networking API.

use std::net::IpAddr;

use portolan_core::command::{Command, NodeReport, PodAllocation, Request};
use portolan_core::model::{Exception, Object, Pod, Role};
use portolan_shared::ids::{NodeId, PortId};
use portolan_shared::mac::MacAddress;
use serde_json::{Value, json};

use super::kit::{Server, User, id};

/// A cluster of a user's with one node, and pods `default/web-1` and so on of it; the node's id.
pub(crate) async fn with_pods(server: &Server, user: &User<'_>, pods: u8) -> NodeId {
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", user.project);
    let cluster = id(&user.post(&clusters, json!({ "name": "shop" })).await.is(201).json()["item"]);
    let nodes = format!("{clusters}/{cluster}/nodes");
    let node = user.post(&nodes, json!({ "name": "node-1" })).await.is(201).json();
    let node: NodeId = id(&node["node"]).parse().unwrap();
    let ask = |command| server.control.write(Request::agent(node, command));
    let leased = ask(Command::LeaseBlock { node, have: 0 }).await.unwrap();
    let block = leased.objects.iter().find_map(|object| match object {
        Object::Block(block) => Some(block.cidr.first()),
        _ => None,
    });
    let Some(IpAddr::V4(first)) = block else {
        panic!("{leased:?}")
    };
    let allocation = |n: u8| PodAllocation {
        id: PortId::from(server.control.new_id()),
        pod: Pod {
            namespace: "default".into(),
            name: format!("web-{n}"),
            container_id: format!("c0ffee{n}"),
            seq: n.into(),
        },
        addresses: vec![std::net::Ipv4Addr::from_bits(first.to_bits() + u32::from(n)).into()],
        mac: MacAddress::from_u64(0x0200_0000_0000 + u64::from(n)),
    };
    let report = Command::ReportPods {
        node,
        full: true,
        seq: pods.into(),
        allocations: (1..=pods).map(allocation).collect(),
        releases: Vec::new(),
    };
    assert_eq!(ask(report).await.unwrap().objects.len(), usize::from(pods));
    node
}

#[tokio::test]
async fn what_is_shown_can_be_filtered_sorted_and_said_again() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 2).await;
    let found = async |query: &str| -> Vec<Value> {
        let reply = ann.get(&format!("/v2.0/ports?{query}")).await.is(200).json();
        reply["ports"].as_array().unwrap().clone()
    };
    let ids = |ports: &[Value]| -> Vec<String> {
        let device = |port: &Value| port["device_id"].as_str().unwrap().to_owned();
        ports.iter().map(device).collect()
    };
    let pods = found("device_owner=portolan:pod&sort_key=device_id&sort_dir=desc").await;
    assert_eq!(ids(&pods), ["default/web-2", "default/web-1"]);
    assert_eq!(ids(&found("device_id=default/web-1").await), ["default/web-1"]);
    assert_eq!(ids(&found("device_id=c0ffee1").await), [""; 0], "nobody is shown that");
    assert_eq!(
        ids(&found(&format!("device_id={node}")).await),
        [node.to_string()],
        "the node's own"
    );

    let admin = server.admin().await;
    let path = format!("/v2.0/ports/{}", id(&pods[0]));
    let shown = admin.get(&path).await.is(200).json()["port"].clone();
    assert_eq!(shown["binding:host_id"], "node-1");
    let own = ["device_id", "device_owner", "binding:host_id"];
    for (user, attributes) in [(&ann, &own[..2]), (&admin, &own[..])] {
        for attribute in attributes {
            let same = json!({ "port": { *attribute: shown[*attribute] } });
            let after = user.put(&path, same).await.is(200).json()["port"].clone();
            let seen = [*attribute, "revision_number"].map(|attribute| (&after[attribute], &shown[attribute]));
            assert!(
                seen.iter().all(|(after, before)| after == before),
                "{attribute}: {after}"
            );
            let other = json!({ "port": { *attribute: "other" } });
            user.put(&path, other).await.is(409);
        }
    }
}

#[tokio::test]
async fn a_node_whose_kernel_refuses_something_is_not_counted_as_ready() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 0).await;
    let node = server.control.read(|view| view.node(node).cloned()).unwrap();
    let ask = async |command| server.control.write(Request::system(command)).await.unwrap();
    let made = ask(Command::CreateJoinToken {
        cluster: node.cluster,
        node: Some(node.id),
        secret_hash: [7; 32],
        expires_at: i64::MAX,
    })
    .await;
    let Some(Object::JoinToken(token)) = made.objects.first() else {
        panic!("{made:?}")
    };
    ask(Command::Join {
        token: token.id,
        secret_hash: [7; 32],
        name: node.name.clone(),
        address: node.addresses[0],
        key_hash: [9; 32],
    })
    .await;
    let counted = async |exceptions: Vec<Exception>| {
        ask(Command::ReportNodes(vec![NodeReport {
            node: node.id,
            online: Some((true, 1)),
            applied: Some((server.head(), exceptions)),
            agent_version: None,
            by: None,
            beat: None,
        }]))
        .await;
        let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
        let row = ann.get(&clusters).await.is(200).json()["items"][0].clone();
        (row["nodes_ready"].clone(), row["state"].clone())
    };
    assert_eq!(counted(Vec::new()).await, (json!(1), json!("ready")));
    let refused = Exception {
        kind: "port".to_owned(),
        id: *node.port.as_bytes(),
        reason: "no route".to_owned(),
        attempts: 3,
    };
    assert_eq!(counted(vec![refused]).await, (json!(0), json!("down")));
}
