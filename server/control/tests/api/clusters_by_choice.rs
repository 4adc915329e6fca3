//! Clusters by choice: in a network of their own or of the project's, with an external IP or without
//! one, and with nodes from the lab. Every refusal, and what is left after a delete.

use portolan_core::command::{Command, NewCluster, Request};
use portolan_core::model::Role;
use portolan_shared::cluster::{self, ClusterSpec};
use portolan_shared::v1::{
    ClusterRow, ClusterState, CreateCluster, NetworkRow, NodesFrom, One, PathKind, SubnetPurpose, SubnetRow,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kit::{Server, User, With, id};

pub(super) fn path(user: &User<'_>, rest: &str) -> String {
    format!("/portolan/v1/projects/{}/{rest}", user.project)
}

async fn item<T: DeserializeOwned>(user: &User<'_>, rest: &str) -> T {
    let reply = user.get(&path(user, rest)).await.is(200);
    let one: One<T> = serde_json::from_str(&reply.text).unwrap_or_else(|error| panic!("{error}: {}", reply.text));
    one.item
}

pub(super) async fn create(user: &User<'_>, body: Value) -> ClusterRow {
    let reply = user.post(&path(user, "clusters"), body).await.is(201);
    let one: One<ClusterRow> = serde_json::from_str(&reply.text).unwrap();
    one.item
}

/// Tries to create a cluster, which is refused with this code; nothing is written.
pub(super) async fn refused(user: &User<'_>, body: Value, code: &str) -> Value {
    let head = user.server.head();
    let reply = user.post(&path(user, "clusters"), body.clone()).await;
    let problem = reply.json();
    assert_eq!(problem["code"], code, "{body}: {reply:?}");
    assert_eq!(user.server.head(), head, "{body}");
    problem
}

pub(super) async fn subnet(user: &User<'_>, network: &str, cidr: &str) -> String {
    let version = if cidr.contains(':') { 6 } else { 4 };
    let subnet = json!({ "network_id": network, "cidr": cidr, "ip_version": version });
    id(&user.make("subnet", subnet).await)
}

/// Stage, state and code of each stage.
fn stages(row: &ClusterRow) -> Vec<String> {
    let told = row.stages.iter().map(|stage| {
        let code = stage.reason.as_ref().map_or("-", |reason| &reason.code);
        format!("{:?} {:?} {code}", stage.stage, stage.state)
    });
    told.collect()
}

#[tokio::test]
async fn a_private_cluster_has_an_external_ip() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    refused(&ann, json!({ "name": "shop" }), "cluster.no_external_network").await;
    let internet = server.internet().await;
    let shop = create(&ann, json!({ "name": "shop", "nodes": 2 })).await;
    let external = shop.external_ip.clone().unwrap();
    assert_eq!(
        (external.address.to_string().as_str(), external.carried),
        ("203.0.113.2", false)
    );
    assert_eq!(external.reason.unwrap().code, "cluster.no_gateway");
    assert_eq!(
        (shop.nodes_from, shop.nodes_wanted, shop.state),
        (NodesFrom::Join, 2, ClusterState::Empty)
    );
    assert_eq!(
        stages(&shop),
        [
            "Network Ok -",
            "ExternalIp Waiting cluster.no_gateway",
            "Joined Waiting cluster.nodes_joining",
            "Ready Unknown -",
        ]
    );
    assert_eq!(shop.stages[0].at.as_deref(), Some(shop.created_at.as_str()));
    let network: NetworkRow = item(&ann, &format!("networks/{}", shop.network.id)).await;
    assert!(network.internet && !network.shadow_port && network.cluster_owned);
    let network = format!("/v2.0/networks/{}", shop.network.id);
    let off = json!({ "network": { "internet_access": false } });
    let reply = ann.put(&network, off).await.is(409);
    assert_eq!(reply.json()["NeutronError"]["code"], "network.internet_in_use");
    assert!(reply.text.contains("cluster shop"), "{reply:?}");

    // The port that holds the address is the provider's: nobody else's list, count or quota has it.
    assert_eq!(ann.get("/v2.0/ports").await.is(200).json()["ports"], json!([]));
    let admin = server.admin().await;
    let ports = admin
        .get(&format!("/v2.0/ports?network_id={internet}"))
        .await
        .is(200)
        .json();
    assert_eq!(ports["ports"][0]["device_owner"], "network:floatingip");
    assert_eq!(ports["ports"][0]["device_id"], json!(shop.id));
    assert_eq!(
        ports["ports"][0]["project_id"].as_str().map(|p| p.replace('-', "")),
        Some(admin.project.replace('-', ""))
    );
    let held = id(&ports["ports"][0]);
    ann.get(&format!("/v2.0/ports/{held}")).await.is(404);
    admin.delete(&format!("/v2.0/ports/{held}")).await.is(409);
    let row = admin.get(&path(&admin, &format!("ports/{held}"))).await.is(200).json();
    assert_eq!(
        (&row["item"]["kind"], &row["item"]["attached"]["cluster"]["name"]),
        (&json!("cluster_address"), &json!("shop"))
    );
    let internal = json!({ "network": { "router:external": false } });
    let reply = admin.put(&format!("/v2.0/networks/{internet}"), internal).await.is(409);
    assert!(reply.text.contains("cluster shop"), "{reply:?}");

    ann.delete(&path(&ann, &format!("clusters/{}", shop.id))).await.is(204);
    let left = server.control.read(|view| {
        let networks = view.networks(None).count();
        (
            networks,
            view.subnets(None).count(),
            view.port_count(portolan_core::view::PortScope::All),
        )
    });
    assert_eq!(left, (1, 1, 0), "the external network and its subnet");
}

#[tokio::test]
async fn a_private_cluster_without_external_ip_needs_the_grant() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let without = |more: Value| {
        let mut body = json!({ "name": "quiet", "external_ip": false });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    refused(&ann, without(json!({})), "network.shadow_port_not_granted").await;
    server.grant(&ann).await;
    let small = without(json!({ "node_range": "10.9.0.0/30" }));
    let problem = refused(&ann, small, "value.out_of_range").await;
    assert_eq!(
        (&problem["field"], &problem["params"]["max"]),
        (&json!("node_range"), &json!("29"))
    );
    let quiet = create(&ann, without(json!({ "node_range": "10.9.0.0/29" }))).await;
    assert!(quiet.external_ip.is_none());
    assert_eq!(stages(&quiet)[1], "Services Waiting cluster.no_gateway");
    let network: NetworkRow = item(&ann, &format!("networks/{}", quiet.network.id)).await;
    assert!(network.shadow_port && !network.internet);
    assert_eq!((network.used, network.ports), (1, 0));
    let nodes: SubnetRow = item(&ann, &format!("subnets/{}", quiet.node_subnet.id)).await;
    let pods: SubnetRow = item(&ann, &format!("subnets/{}", quiet.pod_subnet.id)).await;
    assert_eq!(
        (nodes.provider, pods.used),
        (1, 0),
        "an address among the nodes, none among the pods"
    );
    ann.delete(&path(&ann, &format!("clusters/{}", quiet.id))).await.is(204);
    let ports = server
        .control
        .read(|view| view.port_count(portolan_core::view::PortScope::All));
    assert_eq!(ports, 0);
}

#[tokio::test]
async fn in_a_network_of_the_projects() {
    let server = Server::new().await;
    server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let open = id(&ann
        .make("network", json!({ "name": "open", "internet_access": true }))
        .await);
    let nodes = subnet(&ann, &open, "10.0.0.0/24").await;
    subnet(&ann, &open, "10.1.0.0/16").await;
    let in_open = |name: &str| json!({ "name": name, "network": open, "node_subnet": nodes });
    let shop = create(&ann, in_open("shop")).await;
    assert!(
        !shop.private_network && shop.external_ip.is_some(),
        "as the network allows"
    );
    assert_eq!(
        (shop.network.id.to_string(), shop.node_subnet.id.to_string()),
        (open.clone(), nodes.clone())
    );
    assert_eq!(
        shop.pod_subnet.cidr.to_string(),
        "10.2.0.0/16",
        "what is picked avoids what there is"
    );
    let row: SubnetRow = item(&ann, &format!("subnets/{nodes}")).await;
    assert_eq!(row.purpose, SubnetPurpose::General, "it stays the customer's");
    let joined = json!({ "name": "node-1" });
    let nodes_of = path(&ann, &format!("clusters/{}/nodes", shop.id));
    let node = ann.post(&nodes_of, joined).await.is(201).json();
    assert_eq!(node["node"]["addresses"], json!(["10.0.0.2"]));
    assert_eq!(node["prefix"], 24);

    // A second one beside it: nothing of the first may be overlapped.
    for (ranges, what) in [
        (json!({ "pod_range": "10.2.128.0/20" }), " shop-pods"),
        (json!({ "pod_range": "10.1.0.0/18" }), "subnet"),
        (json!({ "service_range": "10.0.0.0/25" }), "node_range"),
        (json!({ "service_range": shop.service_range }), " shop"),
        (json!({ "pod_range": shop.service_range }), " shop"),
    ] {
        let mut body = in_open("second");
        body.as_object_mut()
            .unwrap()
            .extend(ranges.as_object().unwrap().clone());
        let problem = refused(&ann, body, "cluster.ranges_overlap").await;
        assert!(problem["params"]["what"].as_str().unwrap().contains(what), "{problem}");
    }
    let second = create(&ann, in_open("second")).await;
    assert_ne!(
        second.external_ip.as_ref().unwrap().address,
        shop.external_ip.unwrap().address
    );

    // What they use is not deleted under them.
    for (thing, told) in [
        (format!("networks/{open}"), "cluster shop and cluster second"),
        (format!("subnets/{nodes}"), "node node-1"),
        (format!("subnets/{}", shop.pod_subnet.id), "cluster shop"),
    ] {
        let reply = ann.delete(&format!("/v2.0/{thing}")).await.is(409);
        assert!(reply.text.contains(told), "{thing}: {reply:?}");
    }
    // A program finds there what is named.
    let reply = ann.delete(&format!("/v2.0/networks/{open}")).await.is(409);
    assert_eq!(
        reply.json()["NeutronError"]["params"]["holders"],
        format!(
            "cluster@clusters/{} shop\ncluster@clusters/{} second",
            shop.id, second.id
        )
    );
    ann.delete(&format!("{nodes_of}/{}", id(&node["node"]))).await.is(204);
    let reply = ann.delete(&format!("/v2.0/subnets/{nodes}")).await.is(409);
    assert!(reply.text.contains("in use by cluster shop"), "{reply:?}");
    for cluster in [&shop.id, &second.id] {
        ann.delete(&path(&ann, &format!("clusters/{cluster}"))).await.is(204);
    }
    let left: NetworkRow = item(&ann, &format!("networks/{open}")).await;
    assert_eq!(
        (left.subnets.len(), left.ports, left.cluster),
        (2, 0, None),
        "the customer's stays"
    );
    ann.delete(&format!("/v2.0/networks/{open}")).await.is(204);
}

#[tokio::test]
async fn networks_and_subnets_that_do_not_do() {
    let server = Server::new().await;
    let external = server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let bob = server.user("bob", "beta", Role::Member).await;
    server.grant(&ann).await;
    let network = |attributes: Value| {
        let ann = &ann;
        async move {
            let network = id(&ann.make("network", attributes).await);
            let subnet = subnet(ann, &network, "10.0.0.0/28").await;
            (network, subnet)
        }
    };
    let (dark, in_dark) = network(json!({ "name": "dark" })).await;
    let (open, in_open) = network(json!({ "name": "open", "internet_access": true })).await;
    let (quiet, in_quiet) = network(json!({ "name": "quiet", "enable_shadow_port": true })).await;
    let (bobs, in_bobs) = bob.network("10.0.0.0/24").await;
    let body = |network: &str, subnet: &str, more: Value| {
        let mut body = json!({ "name": "shop", "network": network, "node_subnet": subnet });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (with, without, none) = (
        json!({ "external_ip": true }),
        json!({ "external_ip": false }),
        json!({}),
    );
    for (network, subnet, more, code) in [
        (&dark, &in_dark, &with, "cluster.no_internet"),
        (&dark, &in_dark, &none, "cluster.no_services"),
        (&open, &in_open, &without, "cluster.no_services"),
        (&quiet, &in_quiet, &with, "cluster.no_internet"),
        (&open, &in_dark, &none, "port.subnet_elsewhere"),
        (&open, &in_bobs, &none, "not_found"),
        (&bobs, &in_bobs, &none, "not_found"),
        (&external, &in_open, &none, "auth.forbidden"),
    ] {
        refused(&ann, body(network, subnet, more.clone()), code).await;
    }
    let admin = server.admin().await;
    let of_admin = json!({ "name": "x", "network": external, "node_subnet": in_open });
    refused(&admin, of_admin, "value.not_one_of").await;
    for (more, field) in [
        (json!({ "network": open }), "node_subnet"),
        (json!({ "node_subnet": in_open }), "network"),
    ] {
        let mut asked = json!({ "name": "shop" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(refused(&ann, asked, "value.required").await["field"], field);
    }
    let with_range = body(&open, &in_open, json!({ "node_range": "10.0.0.0/24" }));
    refused(&ann, with_range, "body.read_only").await;

    // A node subnet has room, is no pod range, and no other cluster's own.
    let many = body(&quiet, &in_quiet, json!({ "nodes": 13 }));
    let problem = refused(&ann, many, "cluster.node_subnet_full").await;
    assert_eq!(
        (&problem["params"]["free"], &problem["params"]["nodes"]),
        (&json!("12"), &json!("13"))
    );
    assert_eq!(problem["field"], "node_subnet");
    let shop = create(&ann, body(&quiet, &in_quiet, json!({ "nodes": 12 }))).await;
    assert!(shop.external_ip.is_none());
    let pods = shop.pod_subnet.id.to_string();
    let mut asked = body(&quiet, &pods, none.clone());
    asked["name"] = json!("second");
    let problem = refused(&ann, asked, "cluster.node_subnet").await;
    assert_eq!(problem["params"]["cluster"], "shop");
    let own = create(&ann, json!({ "name": "own" })).await;
    let mut asked = body(
        &own.network.id.to_string(),
        &own.node_subnet.id.to_string(),
        none.clone(),
    );
    asked["name"] = json!("second");
    let problem = refused(&ann, asked, "cluster.node_subnet").await;
    assert_eq!(problem["params"]["cluster"], "own");
    ann.post(
        "/v2.0/ports",
        json!({ "ports": vec![json!({ "network_id": open }); 13] }),
    )
    .await
    .is(201);
    let problem = refused(
        &ann,
        body(&open, &in_open, none.clone()).tap("name", "second"),
        "cluster.node_subnet_full",
    )
    .await;
    assert_eq!(
        (&problem["params"]["free"], &problem["params"]["nodes"]),
        (&json!("0"), &json!("1"))
    );
    refused(&ann, json!({ "name": "shop" }), "cluster.name_taken").await;
}

/// A body with one field set.
trait Tap {
    fn tap(self, field: &str, value: &str) -> Self;
}

impl Tap for Value {
    fn tap(mut self, field: &str, value: &str) -> Self {
        self[field] = json!(value);
        self
    }
}

#[tokio::test]
async fn a_private_network_that_others_use_becomes_the_projects() {
    let server = Server::new().await;
    server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let shop = create(&ann, json!({ "name": "shop" })).await;
    let network = shop.network.id.to_string();
    let extra = subnet(&ann, &network, "10.200.0.0/24").await;
    let second = create(
        &ann,
        json!({ "name": "second", "network": network, "node_subnet": extra }),
    )
    .await;
    let own = json!({ "network_id": network, "name": "db", "fixed_ips": [{ "subnet_id": shop.node_subnet.id }] });
    let own = id(&ann.make("port", own).await);
    ann.delete(&path(&ann, &format!("clusters/{}", shop.id))).await.is(204);
    let left: NetworkRow = item(&ann, &format!("networks/{network}")).await;
    assert!(!left.cluster_owned && left.cluster.unwrap().name == "second");
    let left: SubnetRow = item(&ann, &format!("subnets/{}", shop.node_subnet.id)).await;
    assert_eq!((left.purpose, left.ports), (SubnetPurpose::General, 1));
    ann.get(&path(&ann, &format!("subnets/{}", shop.pod_subnet.id)))
        .await
        .is(404);
    ann.delete(&format!("/v2.0/networks/{network}")).await.is(409);
    ann.delete(&path(&ann, &format!("clusters/{}", second.id)))
        .await
        .is(204);
    ann.delete(&format!("/v2.0/ports/{own}")).await.is(204);
    ann.delete(&format!("/v2.0/networks/{network}")).await.is(204);
    assert_eq!(
        server.control.read(|view| view.subnets(None).count()),
        1,
        "the external network's"
    );
}

#[tokio::test]
async fn nodes_from_the_lab_only_where_one_runs() {
    let server = Server::new().await;
    server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let from_lab = json!({ "name": "shop", "nodes_from": "lab" });
    let problem = refused(&ann, from_lab.clone(), "cluster.no_lab").await;
    assert_eq!(problem["field"], "nodes_from");

    let server = Server::with(With {
        lab: true,
        ..With::default()
    })
    .await;
    server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let admin = server.admin().await;
    refused(&ann, from_lab.clone().tap("nodes_from", "moon"), "body.malformed").await;
    let mut many = from_lab.clone();
    many["nodes"] = json!(17);
    refused(&ann, many, "value.out_of_range").await;
    create(&ann, json!({ "name": "other" })).await;
    let shop = create(&ann, from_lab).await;
    assert_eq!(
        (shop.nodes_from, shop.nodes_wanted, shop.state),
        (NodesFrom::Lab, 3, ClusterState::Creating)
    );

    let all = "/portolan/v1/clusters?nodes_from=lab";
    ann.get(all).await.is(403);
    admin.get("/portolan/v1/clusters?nodes_from=moon").await.is(400);
    let listed = admin.get(all).await.is(200).json();
    assert_eq!(
        (&listed["total"], &listed["items"][0]["name"]),
        (&json!(1), &json!("shop"))
    );
    assert_eq!(listed["items"][0]["project"], json!(ann.project));
    assert_eq!(admin.get("/portolan/v1/clusters").await.is(200).json()["total"], 2);

    // A node that is removed is not made again.
    let nodes = path(&ann, &format!("clusters/{}/nodes", shop.id));
    let mut made = Vec::new();
    for name in ["node-1", "node-2", "node-3", "node-4"] {
        made.push(id(
            &admin.post(&nodes, json!({ "name": name })).await.is(201).json()["node"],
        ));
    }
    let mut wanted = Vec::new();
    for node in made {
        ann.delete(&format!("{nodes}/{node}")).await.is(204);
        wanted.push(
            item::<ClusterRow>(&ann, &format!("clusters/{}", shop.id))
                .await
                .nodes_wanted,
        );
    }
    assert_eq!(wanted, [3, 2, 1, 0], "the fourth was beyond what was wanted");
}

#[tokio::test]
async fn the_console_is_told_whether_a_lab_runs() {
    for lab in [false, true] {
        let server = Server::with(With { lab, ..With::default() }).await;
        let body = json!({ "user": "admin", "password": super::kit::PASSWORD });
        let reply = server
            .ask("POST", "/portolan/v1/session", &[], body.to_string())
            .await
            .is(200);
        assert_eq!(reply.json()["lab"], lab);
    }
}

#[tokio::test]
async fn a_path_that_nothing_carries_is_refused_and_shown_where_it_is_stored() {
    let server = Server::new().await;
    server.internet().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let problem = refused(&ann, json!({ "name": "shop", "path": "vxlan" }), "value.not_one_of").await;
    assert_eq!(
        (&problem["params"]["field"], &problem["params"]["allowed"]),
        (&json!("path"), &json!("auto, routes"))
    );
    let routes = create(&ann, json!({ "name": "routes", "path": "routes" })).await;
    assert_eq!(routes.path, PathKind::Routes);
    // One of before.
    let asked = CreateCluster {
        name: "before".to_owned(),
        ..CreateCluster::default()
    };
    let spec = ClusterSpec {
        path: PathKind::Vxlan,
        ..cluster::check(&asked).unwrap()
    };
    let project = ann.project.parse().unwrap();
    let request = Request::system(Command::CreateCluster(NewCluster { project, spec }));
    server.control.write(request).await.unwrap();
    let listed = ann.get(&path(&ann, "clusters")).await.is(200).json();
    let paths: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["path"])
        .collect();
    assert_eq!(paths, [&json!("vxlan"), &json!("routes")]);
}
