//! Ports of pods, which only agents make, through the Networking API.

use std::net::IpAddr;

use portolan_core::command::{Command, NodeReport, PodAllocation, Request};
use portolan_core::model::{Exception, HostPorts, JoinToken, Loss, Node, Object, Pod, Role};
use portolan_shared::ids::{NodeId, PortId};
use portolan_shared::mac::MacAddress;
use serde_json::{Value, json};

use super::kit::{Server, User, id};

/// A cluster of a user's with one node, and pods `default/web-1` and so on of it; the node's id.
pub(crate) async fn with_pods(server: &Server, user: &User<'_>, pods: u8) -> NodeId {
    with_pods_of(server, user, pods, json!({ "name": "shop" })).await
}

async fn with_pods_of(server: &Server, user: &User<'_>, pods: u8, cluster: Value) -> NodeId {
    server.internet().await;
    let clusters = format!("/portolan/v1/projects/{}/clusters", user.project);
    let cluster = id(&user.post(&clusters, cluster).await.is(201).json()["item"]);
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
            host_ports: HostPorts::default(),
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

/// A node, such as that of [`with_pods`], that has joined and reports.
pub(crate) struct Reporting<'a> {
    server: &'a Server,
    pub(crate) node: std::sync::Arc<Node>,
}

impl<'a> Reporting<'a> {
    pub(crate) async fn new(server: &'a Server, id: NodeId) -> Self {
        Self::joined(server, id, [9; 32]).await
    }

    /// By the machine with this key.
    pub(crate) async fn joined(server: &'a Server, id: NodeId, key_hash: [u8; 32]) -> Self {
        let node = server.control.read(|view| view.node(id).cloned()).unwrap();
        let ask = async |command| server.control.write(Request::system(command)).await.unwrap();
        let made = ask(Command::CreateJoinToken {
            cluster: node.cluster,
            node: Some(node.id),
            secret_hash: [7; 32],
            expires_at: i64::MAX,
        })
        .await;
        let token = made.made::<JoinToken>().unwrap();
        ask(Command::Join {
            token: token.id,
            secret_hash: [7; 32],
            name: node.name.clone(),
            address: node.addresses[0],
            key_hash,
        })
        .await;
        Self { server, node }
    }

    /// Its kernel holds the newest, but for what it refused: kind, id and words.
    pub(crate) async fn refuses(&self, exceptions: &[(&str, [u8; 16], &str)]) {
        self.reports(true, exceptions).await;
    }

    async fn reports(&self, online: bool, exceptions: &[(&str, [u8; 16], &str)]) {
        self.tells(online, exceptions, None, None).await;
    }

    /// Something on the host has taken things away.
    pub(crate) async fn loses(&self, loss: Loss) {
        self.tells(true, &[], None, Some(vec![loss])).await;
    }

    /// A machine has shown an older ticket than this node's newest.
    pub(crate) async fn is_copied(&self, since: i64) {
        self.tells(true, &[], Some(since), None).await;
    }

    async fn tells(
        &self,
        online: bool,
        exceptions: &[(&str, [u8; 16], &str)],
        copied: Option<i64>,
        losses: Option<Vec<Loss>>,
    ) {
        let exceptions = exceptions.iter().map(|(kind, id, reason)| Exception {
            kind: (*kind).to_owned(),
            id: *id,
            reason: (*reason).to_owned(),
            attempts: 3,
        });
        let report = Command::ReportNodes(vec![NodeReport {
            node: self.node.id,
            online: Some((online, 1)),
            applied: Some((self.server.head(), exceptions.collect())),
            agent_version: None,
            by: None,
            beat: None,
            tickets: None,
            copied,
            losses,
            paused: None,
            paths: None,
        }]);
        self.server.control.write(Request::system(report)).await.unwrap();
    }
}

/// How many nodes of the user's only cluster are ready, and its state.
pub(crate) async fn cluster_state(user: &User<'_>) -> (Value, Value) {
    let clusters = format!("/portolan/v1/projects/{}/clusters", user.project);
    let row = user.get(&clusters).await.is(200).json()["items"][0].clone();
    (row["nodes_ready"].clone(), row["state"].clone())
}

/// State and code of the reason of each node of the user's only cluster.
pub(crate) async fn node_states(user: &User<'_>) -> Vec<(Value, Value)> {
    let clusters = format!("/portolan/v1/projects/{}/clusters", user.project);
    let cluster = id(&user.get(&clusters).await.is(200).json()["items"][0]);
    let nodes = user.get(&format!("{clusters}/{cluster}/nodes")).await.is(200).json();
    let said = |node: &Value| (node["state"].clone(), node["reason"]["code"].clone());
    nodes["items"].as_array().unwrap().iter().map(said).collect()
}

#[tokio::test]
async fn a_pods_trouble_is_its_own_and_a_nodes_is_all_of_it() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 2).await;
    let node = Reporting::new(&server, node).await;
    let shown = async || {
        let pods = ann.get("/v2.0/ports?device_owner=portolan:pod").await.is(200).json();
        let pods = pods["ports"].as_array().unwrap().iter();
        let statuses: Vec<Value> = pods.map(|port| port["status"].clone()).collect();
        (cluster_state(&ann).await, node_states(&ann).await, statuses)
    };
    let ready = (json!(1), json!("ready"));
    let well = (json!("ready"), Value::Null);
    node.refuses(&[]).await;
    assert_eq!(
        shown().await,
        (ready.clone(), vec![well], vec![json!("ACTIVE"), json!("ACTIVE")])
    );
    let pod = ann.get("/v2.0/ports?device_owner=portolan:pod").await.is(200).json();
    let pod: PortId = id(&pod["ports"][0]).parse().unwrap();
    node.refuses(&[("port", *pod.as_bytes(), "the link is gone")]).await;
    let trouble = (json!("ready"), json!("node.pods_in_trouble"));
    assert_eq!(
        shown().await,
        (ready.clone(), vec![trouble], vec![json!("ERROR"), json!("ACTIVE")])
    );
    let networks = format!("/portolan/v1/projects/{}/networks", ann.project);
    let networks = ann.get(&networks).await.is(200).json();
    let network = networks["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "shop");
    let network = network.unwrap();
    assert_eq!(
        (
            &network["status"],
            &network["reason"]["code"],
            &network["ports_not_active"]
        ),
        (&json!("ACTIVE"), &json!("port.kernel_refused"), &json!(1))
    );
    let port = format!("/portolan/v1/projects/{}/ports/{pod}", ann.project);
    let port = ann.get(&port).await.is(200).json()["item"]["reason"]["sentence"].clone();
    assert_eq!(port, "node-1: the link is gone. Retrying, tried 3 times.");

    let down = (json!(0), json!("down"));
    let refused = vec![(json!("error"), json!("port.kernel_refused"))];
    let all = vec![json!("ERROR"), json!("ERROR")];
    node.refuses(&[("node", *node.node.id.as_bytes(), "IPv4 is off")]).await;
    assert_eq!(shown().await, (down.clone(), refused.clone(), all.clone()));
    let block = server
        .control
        .read(|view| view.blocks_of_node(node.node.id).next().unwrap().id);
    node.refuses(&[("block", *block.as_bytes(), "no such device")]).await;
    assert_eq!(shown().await, (down, refused, all));
}

#[tokio::test]
async fn a_port_whose_traffic_nothing_stops_cannot_be_switched_off() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    with_pods(&server, &ann, 1).await;
    let admin = server.admin().await;
    let off = json!({ "port": { "admin_state_up": false } });
    for (owner, holder) in [
        ("portolan:pod", "pod default/web-1 on node-1"),
        ("portolan:node", "node node-1"),
    ] {
        let found = ann
            .get(&format!("/v2.0/ports?device_owner={owner}"))
            .await
            .is(200)
            .json();
        let port = &found["ports"][0];
        let path = format!("/v2.0/ports/{}", id(port));
        for user in [&ann, &admin] {
            let refused = user.put(&path, off.clone()).await.is(409).json();
            let text = refused["NeutronError"]["message"].as_str().unwrap();
            let name = port["name"].as_str().unwrap();
            assert_eq!(
                text,
                format!(
                    "Port {name} belongs to {holder} and cannot be switched off: nothing would stop its traffic. \
                     Delete it there."
                )
            );
        }
        let on = json!({ "port": { "admin_state_up": true, "description": "seen" } });
        let after = ann.put(&path, on).await.is(200).json();
        assert_eq!(after["port"]["admin_state_up"], true);
        // Nobody but an agent makes one.
        let made =
            json!({ "port": { "network_id": port["network_id"], "device_owner": owner, "admin_state_up": false } });
        ann.post("/v2.0/ports", made).await.is(403);
    }
}

#[tokio::test]
async fn a_pod_that_another_node_has_no_route_to_says_so() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let first = with_pods(&server, &ann, 1).await;
    let first = Reporting::new(&server, first).await;
    let nodes = format!(
        "/portolan/v1/projects/{}/clusters/{}/nodes",
        ann.project, first.node.cluster
    );
    let second = ann.post(&nodes, json!({ "name": "node-2" })).await.is(201).json();
    let second: NodeId = id(&second["node"]).parse().unwrap();
    let second = Reporting::new(&server, second).await;
    let block = server.control.read(|view| {
        let block = view.blocks_of_node(first.node.id).next().unwrap();
        (block.id, block.cidr)
    });
    let pod = ann.get("/v2.0/ports?device_owner=portolan:pod").await.is(200).json();
    let pod = id(&pod["ports"][0]);
    let of_project = format!("/portolan/v1/projects/{}", ann.project);
    let shown = async || {
        let port = ann.get(&format!("/v2.0/ports/{pod}")).await.is(200).json();
        let row = ann.get(&format!("{of_project}/ports/{pod}")).await.is(200).json();
        let reason = row["item"]["reason"]["sentence"].clone();
        (port["port"]["status"].clone(), row["item"]["status"].clone(), reason)
    };
    let well = (json!("ACTIVE"), json!("ACTIVE"), Value::Null);
    first.refuses(&[]).await;
    second.refuses(&[]).await;
    assert_eq!(shown().await, well);

    let no_route = [("block", *block.0.as_bytes(), "File exists")];
    second.refuses(&no_route).await;
    let sentence = format!("node-2 has no route to this pod's block {}: File exists.", block.1);
    assert_eq!(shown().await, (json!("ERROR"), json!("DEGRADED"), json!(sentence)));
    let why = ann.get(&format!("{of_project}/ports/{pod}/why")).await.is(200).json();
    let last = &why["item"].as_array().unwrap()[5..];
    let said = |step: &Value| {
        (
            step["step"].clone(),
            step["state"].clone(),
            step["reason"]["code"].clone(),
        )
    };
    assert_eq!(
        last.iter().map(said).collect::<Vec<_>>(),
        [
            (json!("applied"), json!("ok"), Value::Null),
            (json!("reached"), json!("failed"), json!("port.not_reached"))
        ]
    );
    // Found by what it is, also in the list of the node's own network.
    let listed = ann.get("/v2.0/ports?status=ERROR").await.is(200).json();
    assert_eq!(listed["ports"].as_array().unwrap().len(), 1);
    // Both nodes do their work; the one whose kernel refused says what.
    assert_eq!(cluster_state(&ann).await, (json!(2), json!("ready")));
    let ready = json!("ready");
    assert_eq!(
        node_states(&ann).await,
        [(ready.clone(), Value::Null), (ready, json!("node.no_route"))]
    );

    // What a node said that is silent now is of no worth any more.
    second.reports(false, &no_route).await;
    assert_eq!(shown().await, well);
}

#[tokio::test]
async fn a_pod_range_without_a_free_block_is_told_everywhere() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let small = json!({ "name": "small", "pod_range": "10.1.0.0/26", "nodes": 1 });
    let first = with_pods_of(&server, &ann, 1, small).await;
    let first = Reporting::new(&server, first).await;
    first.refuses(&[]).await;
    let of_project = format!("/portolan/v1/projects/{}", ann.project);
    let cluster = format!("{of_project}/clusters/{}", first.node.cluster);
    let shown = async || {
        let row = ann.get(&cluster).await.is(200).json()["item"].clone();
        let pods = format!("{of_project}/subnets/{}", id(&row["pod_subnet"]));
        let pods = ann.get(&pods).await.is(200).json()["item"].clone();
        let stages = row["stages"].as_array().unwrap()[2..].iter();
        let stages: Vec<Value> = stages.map(|stage| stage["reason"]["code"].clone()).collect();
        let said = [&row, &pods].map(|row| row["reason"]["sentence"].clone());
        (row["state"].clone(), stages, said)
    };
    let well = (
        json!("ready"),
        vec![Value::Null, Value::Null],
        [Value::Null, Value::Null],
    );
    assert_eq!(shown().await, well);

    // Its agent asks for a second one.
    let lease = Command::LeaseBlock {
        node: first.node.id,
        have: 1,
    };
    let lease = async || server.control.write(Request::agent(first.node.id, lease.clone())).await;
    lease().await.unwrap();
    let sentence = json!("node-1 has no free block: all 1 are leased; nodes with empty blocks: -.");
    let no_block = json!("node.no_block");
    let full = (
        json!("degraded"),
        vec![Value::Null, no_block.clone()],
        [sentence.clone(), sentence],
    );
    assert_eq!(shown().await, full);
    assert_eq!(node_states(&ann).await, [(json!("no_block"), no_block.clone())]);
    let head = server.head();
    lease().await.unwrap();
    assert_eq!(server.head(), head, "asking again is no news");

    // Its pods go: it does not ask any more.
    let gone = Command::ReportPods {
        node: first.node.id,
        full: true,
        seq: 2,
        allocations: Vec::new(),
        releases: Vec::new(),
    };
    server.control.write(Request::agent(first.node.id, gone)).await.unwrap();
    assert_eq!(shown().await, well);

    // Nor can another join.
    ann.post(&format!("{cluster}/nodes"), json!({ "name": "node-2" }))
        .await
        .is(201);
    first.refuses(&[]).await;
    let sentence = json!("node-2 has no free block: all 1 are leased; nodes with empty blocks: node-1.");
    let joining = (
        json!("degraded"),
        vec![no_block.clone(), Value::Null],
        [sentence.clone(), sentence],
    );
    assert_eq!(shown().await, joining);
    assert_eq!(
        node_states(&ann).await,
        [(json!("ready"), Value::Null), (json!("expected"), no_block)]
    );
    // Which the customer could have been told before.
    let too_small = json!({ "name": "two", "pod_range": "10.2.0.0/26", "nodes": 2 });
    let clusters = format!("{of_project}/clusters");
    let refused = ann.post(&clusters, too_small).await.is(400).json();
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("cluster.few_blocks"), &json!("pod_range"))
    );
    // A range that is picked is large enough.
    let many = json!({ "name": "many", "node_range": "10.64.0.0/16", "nodes": 1_025 });
    let many = ann.post(&clusters, many).await.is(201).json();
    assert_eq!(many["item"]["blocks_total"], 2_048);
}

#[tokio::test]
async fn a_node_that_has_not_come_back_since_the_start_is_not_ready_and_its_pods_stay() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let node = with_pods(&server, &ann, 1).await;
    let node = Reporting::new(&server, node).await;
    node.refuses(&[]).await;
    let heard = 1_795_262_671_000_000;
    let wait = Command::AwaitNodes(vec![(node.node.id, heard)]);
    server.control.write(Request::system(wait)).await.unwrap();
    let clusters = format!("/portolan/v1/projects/{}/clusters", ann.project);
    let nodes = format!("{clusters}/{}/nodes", node.node.cluster);
    let row = ann.get(&nodes).await.is(200).json()["items"][0].clone();
    assert_eq!(row["state"], "awaited");
    assert_eq!(row["last_contact"], "2026-11-21T12:04:31Z");
    let sentence = row["reason"]["sentence"].as_str().unwrap();
    let since = row["reason"]["since"].as_str().unwrap();
    assert_eq!(
        sentence,
        format!("Not heard of node-1 since the control plane started at {since}; last contact 2026-11-21T12:04:31Z.")
    );
    assert_eq!(
        cluster_state(&ann).await,
        (json!(1), json!("ready")),
        "nothing is known to be wrong"
    );
    let pod = ann.get("/v2.0/ports?device_owner=portolan:pod").await.is(200).json();
    assert_eq!(pod["ports"][0]["status"], "ACTIVE");
    let why = format!(
        "/portolan/v1/projects/{}/ports/{}/why",
        ann.project,
        id(&pod["ports"][0])
    );
    let why = ann.get(&why).await.is(200).json();
    assert_eq!(
        (
            &why["item"][3]["state"],
            &why["item"][3]["reason"]["code"],
            &why["item"][4]["state"]
        ),
        (&json!("waiting"), &json!("node.awaited"), &json!("ok"))
    );
    node.refuses(&[]).await;
    assert_eq!(node_states(&ann).await, [(json!("ready"), Value::Null)]);
}
