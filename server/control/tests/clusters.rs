//! What the writer decides about clusters, nodes, blocks and pods, through the handle, on SQLite.

mod common;

use common::clusters::{hash, joined, pod, shop};
use common::{Kit, cluster, code, ip, new_subnet, port_at};
use portolan_control::feed::Next;
use portolan_core::command::{Command, Delete, NetworkChange, NewCluster, NodeReport, PodAllocation};
use portolan_core::model::{Key, ObjectKind, Purpose};
use portolan_core::view::{PortScope, View};
use portolan_shared::cluster::check;
use portolan_shared::v1::CreateCluster;

#[tokio::test]
async fn a_cluster_brings_its_network_and_takes_it_away() {
    let kit = Kit::new().await;
    let other = kit.network().await;
    kit.subnet(other, "10.0.0.0/24").await;
    let id = shop(&kit).await;
    let made = kit.control.read(|view| view.cluster(id).cloned()).unwrap();
    let (nodes, pods) = kit.control.read(|view| {
        (
            view.subnet(made.node_subnet).cloned().unwrap(),
            view.subnet(made.pod_subnet).cloned().unwrap(),
        )
    });
    assert_eq!(
        (
            nodes.cidr.to_string(),
            pods.cidr.to_string(),
            made.service_range.to_string()
        ),
        (
            "10.0.1.0/24".to_owned(),
            "10.1.0.0/16".to_owned(),
            "10.0.16.0/20".to_owned()
        )
    );
    assert_eq!((nodes.purpose, pods.gateway), (Purpose::Nodes(id), None));
    // Services count in overlap checks; what is the cluster's cannot be deleted by hand.
    let overlapping = new_subnet(kit.project, made.network, "10.0.17.0/24");
    assert_eq!(
        code(kit.ask(Command::CreateSubnets(vec![overlapping])).await),
        "subnet.overlap"
    );
    assert_eq!(
        code(kit.ask(Command::Delete(Delete::Network(made.network))).await),
        "network.owned"
    );
    assert_eq!(
        code(kit.ask(Command::Delete(Delete::Subnet(made.pod_subnet))).await),
        "subnet.owned"
    );
    let first = joined(&kit, id, "node-1", "10.0.1.11").await;
    let node_port = kit.control.read(|view| view.node(first).unwrap().port);
    assert_eq!(
        code(kit.ask(Command::Delete(Delete::Port(node_port))).await),
        "port.owned"
    );
    kit.ask(Command::Delete(Delete::Cluster(id))).await.unwrap();
    kit.control.read(|view| {
        assert!(view.network(made.network).is_none() && view.node(first).is_none() && view.port(node_port).is_none());
        assert_eq!(view.port_count(PortScope::Project(kit.project)), 0);
    });
}

#[tokio::test]
async fn nodes_join_once_and_lease_blocks_that_rest() {
    let kit = Kit::new().await;
    let id = shop(&kit).await;
    let first = joined(&kit, id, "node-1", "10.0.0.11").await;
    let blocks = |node| {
        kit.control
            .read(|v| v.blocks_of_node(node).map(|b| b.cidr.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(blocks(first), ["10.1.0.0/26"]);
    kit.ask(Command::LeaseBlock { node: first, have: 1 }).await.unwrap();
    assert_eq!(blocks(first), ["10.1.0.0/26"], "a node with room needs no other block");
    kit.ask(Command::ReportPods {
        node: first,
        full: false,
        seq: 1,
        allocations: vec![pod(&kit, 1, "10.1.0.1", 1)],
        releases: vec![],
    })
    .await
    .unwrap();
    kit.ask(Command::LeaseBlock { node: first, have: 1 }).await.unwrap();
    kit.ask(Command::LeaseBlock { node: first, have: 1 }).await.unwrap();
    assert_eq!(
        blocks(first),
        ["10.1.0.0/26", "10.1.0.64/26"],
        "asking twice leases once"
    );
    kit.ask(Command::LeaseBlock { node: first, have: 2 }).await.unwrap();
    assert_eq!(
        blocks(first).len(),
        2,
        "nor does it drain the range by saying what it has"
    );
    let before = kit.control.read(|view| view.cluster_revision(id));
    kit.ask(Command::Delete(Delete::Node(first))).await.unwrap();
    let (after, head) = kit.control.read(|view| (view.cluster_revision(id), view.head()));
    assert!(after > before && after == head);
    let second = joined(&kit, id, "node-2", "10.0.0.12").await;
    assert_eq!(blocks(second), ["10.1.0.128/26"], "a released block rests");
    assert_eq!(
        code(kit.ask(Command::LeaseBlock { node: first, have: 0 }).await),
        "node.removed"
    );
    // A token works once, and not when it is not known or too old.
    let token = |expires_at| Command::CreateJoinToken {
        cluster: id,
        node: None,
        secret_hash: [9; 32],
        expires_at,
    };
    let old = kit.ask(token(1)).await.unwrap();
    let Key::JoinToken(old) = old.objects[0].key() else {
        panic!()
    };
    let join = |token, secret_hash, address| {
        let name = "node-3".to_owned();
        kit.ask(Command::Join {
            token,
            secret_hash,
            name,
            address: ip(address),
            key_hash: hash(address),
        })
    };
    assert_eq!(code(join(old, [9; 32], "10.0.0.13").await), "token.expired");
    assert_eq!(code(join(old, [8; 32], "10.0.0.13").await), "token.unknown");
    let fresh = kit.ask(token(i64::MAX)).await.unwrap();
    let Key::JoinToken(fresh) = fresh.objects[0].key() else {
        panic!()
    };
    assert_eq!(code(join(fresh, [9; 32], "10.0.0.12").await), "port.address_taken");
    join(fresh, [9; 32], "10.0.0.13").await.unwrap();
    assert_eq!(code(join(fresh, [9; 32], "10.0.0.14").await), "token.spent");
    // There are only so many; what is spent or too old makes room.
    for _ in 0..256 {
        kit.ask(token(1)).await.unwrap();
    }
    assert!(kit.control.read(|view| view.join_tokens_of(id).count()) <= 256);
    for _ in 0..256 {
        kit.ask(token(i64::MAX)).await.unwrap();
    }
    assert_eq!(code(kit.ask(token(i64::MAX)).await), "value.too_many");
}

#[tokio::test]
async fn pods_are_reported_idempotently_and_inside_of_leases() {
    let kit = Kit::new().await;
    let id = shop(&kit).await;
    let node = joined(&kit, id, "node-1", "10.0.0.11").await;
    let report = |full, seq, allocations: Vec<PodAllocation>, releases| {
        kit.ask(Command::ReportPods {
            node,
            full,
            seq,
            allocations,
            releases,
        })
    };
    let pods = || kit.control.read(|view| view.pod_count(PortScope::Node(node)));
    let (one, two) = (pod(&kit, 1, "10.1.0.1", 1), pod(&kit, 2, "10.1.0.2", 2));
    let outside = pod(&kit, 3, "10.1.0.65", 3);
    let done = report(false, 3, vec![one.clone(), two.clone(), outside], vec![])
        .await
        .unwrap();
    assert_eq!(done.objects.len(), 2, "the one outside of the lease is left out");
    let again = report(false, 3, vec![one.clone()], vec![]).await.unwrap();
    assert_eq!((again.objects.len(), pods()), (1, 2));
    assert_eq!(again.revision, done.revision, "nothing changed");
    // A late release does not free a successor's address.
    let three = pod(&kit, 4, "10.1.0.1", 4);
    report(false, 5, vec![three.clone()], vec![(one.id, 1)]).await.unwrap();
    let holder = |address: &str| {
        let subnet = kit.control.read(|view| view.cluster(id).unwrap().pod_subnet);
        kit.control.read(|view| view.port_at(subnet, ip(address)).map(|p| p.id))
    };
    assert_eq!(holder("10.1.0.1"), Some(three.id));
    report(false, 6, vec![], vec![(one.id, 1), (three.id, 3)])
        .await
        .unwrap();
    assert_eq!(
        holder("10.1.0.1"),
        Some(three.id),
        "that release is of an older allocation"
    );
    // A report that comes twice does not bring back what was released since.
    report(false, 7, vec![], vec![(three.id, 4)]).await.unwrap();
    assert!(report(false, 5, vec![three], vec![]).await.unwrap().objects.is_empty());
    assert_eq!(holder("10.1.0.1"), None);
    // A full report says what is alive.
    report(true, 8, vec![two.clone()], vec![]).await.unwrap();
    assert_eq!((pods(), holder("10.1.0.2")), (1, Some(two.id)));
    let taken = kit
        .port(port_at(
            kit.project,
            kit.control.read(|v| v.cluster(id).unwrap().network),
            "10.1.0.9",
        ))
        .await;
    assert_eq!(code(taken), "port.address_in_block");
    let free = kit
        .port(port_at(
            kit.project,
            kit.control.read(|v| v.cluster(id).unwrap().network),
            "10.1.9.9",
        ))
        .await;
    assert_eq!(code(free), "port.pod_range");
    assert_eq!(code(kit.ask(Command::Delete(Delete::Port(two.id))).await), "port.owned");
    assert_eq!(kit.control.read(|view| view.node_status(node).unwrap().pod_seq), 8);
}

#[tokio::test]
async fn a_cluster_feed_wakes_for_its_own_and_nothing_else() {
    let kit = Kit::new().await;
    let (one, network) = (shop(&kit).await, kit.network().await);
    kit.subnet(network, "10.9.0.0/24").await;
    let mut feed = kit.control.feed().subscribe_cluster(one, None);
    kit.any_port(network).await.unwrap();
    assert!(feed.try_next().is_none());
    let node = joined(&kit, one, "node-1", "10.0.0.11").await;
    let Some(Next::Commit(commit)) = feed.try_next() else {
        panic!("the join is told")
    };
    let told: Vec<ObjectKind> = commit
        .changes
        .iter()
        .filter(|c| c.concerns_agents())
        .map(|c| c.key.kind())
        .collect();
    assert_eq!(told, [ObjectKind::Node, ObjectKind::Block]);
    let report = NodeReport {
        node,
        online: Some((true, 5)),
        applied: None,
        agent_version: None,
        by: None,
        beat: None,
        tickets: None,
        copied: None,
        losses: None,
        paused: None,
        paths: None,
    };
    kit.ask(Command::ReportNodes(vec![report])).await.unwrap();
    assert!(feed.try_next().is_none(), "how a node is doing is no news for agents");
    assert!(kit.control.read(|view| view.node_status(node).unwrap().online));
}

#[tokio::test]
async fn every_cluster_of_a_network_hears_of_its_mtu() {
    let kit = Kit::new().await;
    kit.internet("203.0.113.0/24").await;
    let one = kit.cluster("one").await;
    let nodes = kit.subnet(one.network, "10.200.0.0/24").await;
    let asked = CreateCluster {
        name: "two".to_owned(),
        network: Some(one.network),
        node_subnet: Some(nodes),
        ..CreateCluster::default()
    };
    let two = NewCluster {
        project: kit.project,
        spec: check(&asked).unwrap(),
    };
    let two = cluster(&kit.ask(Command::CreateCluster(two)).await.unwrap().objects[0]);
    let mut feeds = [one.id, two.id].map(|id| kit.control.feed().subscribe_cluster(id, None));
    let change = NetworkChange {
        mtu: Some(1400),
        ..NetworkChange::default()
    };
    kit.ask(Command::UpdateNetwork(one.network, change)).await.unwrap();
    let head = kit.control.read(View::head);
    for (feed, id) in feeds.iter_mut().zip([one.id, two.id]) {
        assert!(matches!(feed.try_next(), Some(Next::Commit(_))), "{id} is told");
        assert_eq!(kit.control.read(|view| view.cluster_revision(id)), head);
    }
}
