use futures_util::SinkExt as _;
use futures_util::future::join_all;
use portolan_core::command::{Command, Delete, NetworkChange};
use portolan_shared::ids::ClusterId;
use portolan_wire::MAX_AGENT_FRAME;
use portolan_wire::agent::{Hello, from_agent, to_agent::Message as In};
use rustls::HandshakeKind;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Agent, Stream, digest_of, hello, hello_with};
use super::world::{World, eventually, while_timers_stand};
use crate::nodes::stream::LOOK_EVERY;

const MANY: u32 = 5000;

#[tokio::test]
async fn an_empty_agent_gets_a_snapshot_and_then_changes() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, welcome, snapshot) = agent.fresh(&world).await;
    assert!(!welcome.resumed);
    assert_eq!(welcome.store_id, world.control.store_id());
    let sent = snapshot.cluster.as_ref().unwrap();
    assert_eq!((sent.name.as_str(), sent.pod_ranges[0].length), ("shop", 16));
    assert!(sent.mtu > 0);
    assert_eq!(snapshot.nodes[0].id, agent.id.as_bytes());
    assert_eq!(snapshot.blocks[0].node_id, agent.id.as_bytes());

    let node = world.expected(cluster, "node-2").await;
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.put_nodes[0].id, node.id.as_bytes());
    assert_eq!(change.revision, node.meta.revision);
    world.write(Command::Delete(Delete::Node(node.id))).await;
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.drop_nodes, [node.id.as_bytes().to_vec()]);
    // What the network's links carry concerns agents too.
    let network = world.control.read(|view| view.cluster(cluster).unwrap().network);
    let smaller = NetworkChange {
        mtu: Some(1400),
        ..NetworkChange::default()
    };
    world.write(Command::UpdateNetwork(network, smaller)).await;
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.cluster.unwrap().mtu, 1400);
}

#[tokio::test]
async fn an_agent_that_is_current_gets_nothing_and_one_that_is_behind_only_changes() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (stream, welcome, snapshot) = agent.fresh(&world).await;
    drop(stream);
    let has = hello_with(&welcome, &snapshot);
    let (again, frames) = agent.stream(&world, has.clone()).await.begin().await;
    assert!(again.resumed && frames.is_empty(), "{frames:?}");

    let (first, second) = (
        world.expected(cluster, "node-2").await,
        world.expected(cluster, "node-3").await,
    );
    let (behind, frames) = agent.stream(&world, has.clone()).await.begin().await;
    assert!(behind.resumed);
    let [In::Change(one), In::Change(two)] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!(one.put_nodes[0].id, first.id.as_bytes());
    assert_eq!(two.put_nodes[0].id, second.id.as_bytes());

    // Changed and changed back is current, whatever the revision.
    world.write(Command::Delete(Delete::Node(first.id))).await;
    world.write(Command::Delete(Delete::Node(second.id))).await;
    let (back, frames) = agent.stream(&world, has.clone()).await.begin().await;
    assert!(back.resumed && frames.is_empty(), "{frames:?}");

    // Another store's state, and one that is not what it should be, are replaced.
    let mut other = has.clone();
    other.store_id = vec![1; 16];
    assert!(!agent.stream(&world, other).await.begin().await.0.resumed);
    let mut different = has;
    different.position.as_mut().unwrap().revision = world.head();
    different.digest = vec![1; 32];
    assert!(!agent.stream(&world, different).await.begin().await.0.resumed);
}

#[tokio::test]
async fn after_a_restart_agents_go_on_without_a_snapshot() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let (_stream, welcome, snapshot) = one.fresh(&world).await;
    let (_other, _, second) = two.fresh(&world).await;
    assert_eq!(
        digest_of(&snapshot),
        digest_of(&second),
        "one state for the whole cluster"
    );
    // One more change, which only the stored changes know of after the restart.
    let node = world.expected(cluster, "node-3").await;

    let world = world.restart().await;
    assert_eq!(world.control.store_id().to_vec(), welcome.store_id);
    let (resumed, frames) = one.stream(&world, hello_with(&welcome, &snapshot)).await.begin().await;
    assert!(resumed.resumed, "no snapshot");
    let [In::Change(change)] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!(change.put_nodes[0].id, node.id.as_bytes());
    let (_, _, fresh) = two.fresh(&world).await;
    let (current, frames) = two.stream(&world, hello_with(&welcome, &fresh)).await.begin().await;
    assert!(current.resumed && frames.is_empty());
}

#[tokio::test]
async fn who_is_sent_changes_is_told_what_they_should_make() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (_, welcome, snapshot) = agent.fresh(&world).await;
    let has = hello_with(&welcome, &snapshot);
    let proof = async |has: Hello| {
        let mut stream = agent.stream(&world, has).await;
        let Some(In::Welcome(welcome)) = stream.next().await else {
            panic!("no welcome")
        };
        loop {
            match stream.next().await {
                Some(In::Progress(mark)) => return (welcome.resumed, mark.digest),
                Some(_) => {}
                None => panic!("it ended"),
            }
        }
    };
    assert_eq!(proof(has.clone()).await, (true, vec![]), "it has shown that itself");
    world.expected(cluster, "node-2").await;
    let (resumed, told) = proof(has).await;
    let (_, _, now) = agent.fresh(&world).await;
    assert_eq!((resumed, told), (true, digest_of(&now).to_vec()));
}

#[tokio::test]
async fn a_removed_node_is_told_at_once_and_does_not_come_back() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let (mut stream, ..) = one.fresh(&world).await;
    let (mut other, ..) = two.fresh(&world).await;
    world.write(Command::Delete(Delete::Node(one.id))).await;
    let refused = stream.refused().await.unwrap();
    assert_eq!((refused.code.as_str(), refused.retry), ("node.removed", false));
    assert!(stream.next().await.is_none(), "closed");
    // Also on the session that is resumed.
    let refused = one.stream(&world, hello()).await.refused().await.unwrap();
    assert_eq!((refused.code.as_str(), refused.retry), ("node.removed", false));
    let Some(In::Change(change)) = other.news().await else {
        panic!()
    };
    assert_eq!(change.drop_nodes, [one.id.as_bytes().to_vec()]);
    assert_eq!(change.drop_blocks.len(), 1, "its routes go with it");

    world.write(Command::Delete(Delete::Cluster(cluster))).await;
    assert_eq!(other.refused().await.unwrap().code, "node.removed");
}

#[tokio::test]
async fn a_host_that_takes_a_nodes_place_ends_the_old_stream() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    let token = world.token(cluster, Some(agent.id)).await;
    let host = super::client::Host::new("node-1", [10, 0, 0, 11]);
    let joined = host.join(&world, &token).await.unwrap();
    assert_eq!(joined.node_id, agent.id.as_bytes());
    assert_eq!(stream.refused().await.unwrap().code, "node.removed");
    let successor = Agent::of(&world, host, &joined);
    successor.fresh(&world).await;
    assert_eq!(
        agent.stream(&world, hello()).await.refused().await.unwrap().code,
        "node.removed"
    );
}

#[tokio::test]
async fn an_agent_that_comes_back_resumes_its_tls_session_and_is_looked_at_all_the_same() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let kind = |stream: &Stream| stream.0.get_ref().get_ref().1.handshake_kind();
    let (first, ..) = agent.fresh(&world).await;
    assert_eq!(kind(&first), Some(HandshakeKind::Full));
    drop(first);
    let (second, ..) = agent.fresh(&world).await;
    assert_eq!(kind(&second), Some(HandshakeKind::Resumed));
    drop(second);
    world.write(Command::Delete(Delete::Node(agent.id))).await;
    let mut third = agent.stream(&world, hello()).await;
    assert_eq!(kind(&third), Some(HandshakeKind::Resumed));
    assert_eq!(third.refused().await.unwrap().code, "node.removed");
}

#[tokio::test]
async fn a_node_has_one_stream_the_newest() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut old, ..) = agent.fresh(&world).await;
    let (mut new, ..) = agent.fresh(&world).await;
    assert_eq!(old.refused().await.unwrap().code, "node.replaced");
    world.expected(cluster, "node-2").await;
    assert!(matches!(new.news().await, Some(In::Change(_))));
}

#[tokio::test]
async fn agents_hear_of_their_own_cluster_only() {
    let world = World::new().await;
    let (mine, others) = (world.cluster("shop").await, world.cluster("bank").await);
    let agent = Agent::joined(&world, mine, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, _, snapshot) = agent.fresh(&world).await;
    assert_eq!(snapshot.nodes.len(), 1);
    world.expected(others, "node-2").await;
    let node = world.expected(mine, "node-3").await;
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.put_nodes.len(), 1);
    assert_eq!(change.put_nodes[0].id, node.id.as_bytes());
}

/// Some 300 KB of changes for every agent of a cluster.
async fn many_changes(world: &World, cluster: ClusterId) {
    let network = world.control.read(|view| view.cluster(cluster).unwrap().network);
    let changes = (0..MANY).map(|at| {
        let change = NetworkChange {
            mtu: Some(1300 + at % 100),
            ..NetworkChange::default()
        };
        world.write(Command::UpdateNetwork(network, change))
    });
    join_all(changes).await;
}

#[tokio::test]
async fn a_slow_agent_holds_nobody_and_misses_nothing() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let slow = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let quick = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let mut slow = Stream(slow.connect_narrow(&world).await);
    slow.send(from_agent::Message::Hello(hello())).await;
    slow.begin().await;
    let (mut quick, ..) = quick.fresh(&world).await;
    let (mut expected, mut last) = (Vec::new(), 0);
    let reading = async {
        for _ in 0..MANY {
            let Some(In::Change(change)) = quick.news().await else {
                panic!()
            };
            expected.push(change.revision);
        }
    };
    tokio::join!(many_changes(&world, cluster), reading);
    for revision in expected {
        let Some(In::Change(change)) = slow.news().await else {
            panic!()
        };
        assert!(change.revision == revision && revision > last);
        last = revision;
    }
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_let_go_when_its_node_is_removed() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let mut stuck = Stream(agent.connect_narrow(&world).await);
    stuck.send(from_agent::Message::Hello(hello())).await;
    eventually("connected", || world.hub.online().contains(&agent.id).then_some(())).await;
    while_timers_stand(async {
        // The peer takes little of it: the stream waits in a write, which is not given up.
        many_changes(&world, cluster).await;
        world.write(Command::Delete(Delete::Node(agent.id))).await;
        tokio::time::advance(LOOK_EVERY * 2).await;
        while !world.hub.online().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_is_never_older_than_what_the_agent_holds() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (stream, welcome, first) = agent.fresh(&world).await;
    drop(stream);
    // Others' commits do not concern the cluster; the mark moves on with them, and the agent with it. The control plane
    // commits by itself too, what it hears of nodes: at no time is the head what it was a moment ago.
    world.cluster("bank").await;
    let marked = world.head();
    assert!(marked > first.revision);
    let (mut stream, ..) = agent.fresh(&world).await;
    world.cluster("club").await;
    world.control.feed().reset(world.head(), false);
    let Some(In::Snapshot(anew)) = stream.news().await else {
        panic!()
    };
    assert!(
        anew.revision >= marked,
        "{} < {marked}: the agent refuses it",
        anew.revision
    );

    // The same at a hello.
    world.cluster("school").await;
    let mut different = hello_with(&welcome, &anew);
    let held = world.head();
    different.position.as_mut().unwrap().revision = held;
    different.digest = vec![1; 32];
    let (_, frames) = agent.stream(&world, different).await.begin().await;
    let [In::Snapshot(anew)] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert!(
        anew.revision >= held,
        "{} < {held}: the agent refuses it",
        anew.revision
    );
}

#[tokio::test]
async fn what_the_protocol_does_not_allow_ends_the_stream() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;

    let mut unspoken = super::client::Stream(agent.connect(&world).await.unwrap());
    unspoken
        .send(from_agent::Message::Applied(portolan_wire::agent::Applied::default()))
        .await;
    assert_eq!(unspoken.refused().await.unwrap().code, "body.malformed");

    let (mut twice, ..) = agent.fresh(&world).await;
    twice.send(from_agent::Message::Hello(hello())).await;
    assert_eq!(twice.refused().await.unwrap().code, "body.malformed");

    let old = portolan_wire::agent::Hello { protocol: 0, ..hello() };
    assert_eq!(
        agent.stream(&world, old).await.refused().await.unwrap().code,
        "agent.protocol"
    );

    let (mut large, ..) = agent.fresh(&world).await;
    // Sending may fail already, when the other side does not read on.
    let _ = large.0.send(Message::Binary(vec![0; MAX_AGENT_FRAME + 1].into())).await;
    assert!(large.refused().await.is_none());

    let (mut text, ..) = agent.fresh(&world).await;
    text.0.send(Message::Text("hello".into())).await.unwrap();
    assert!(text.refused().await.is_none());
}
