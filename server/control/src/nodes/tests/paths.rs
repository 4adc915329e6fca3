//! What nodes' probes say becomes what is said of nodes.

use portolan_shared::ids::{ClusterId, NodeId};
use portolan_shared::status::Fault;
use portolan_shared::v1::NodeState as Word;
use portolan_wire::agent::{PathFault, Paths, from_agent::Message as Out};

use super::client::Agent;
use super::world::{World, eventually};
use crate::api::paths::Standings;
use crate::api::status::NodeState;

/// What a node says whose probes of the others in a cluster of three find these faults.
fn says(failing: &[(NodeId, Fault)]) -> Out {
    let named = failing.iter().map(|(node, fault)| PathFault {
        node_id: node.as_bytes().to_vec(),
        fault: fault.word().to_owned(),
    });
    let failing = u32::try_from(failing.len()).unwrap();
    Out::Paths(Paths {
        peers: 2,
        proven: 2 - failing,
        failing,
        named: named.collect(),
        trouble: String::new(),
    })
}

/// Word and code of a node.
fn word(world: &World, cluster: ClusterId, node: NodeId) -> (Word, &'static str) {
    world.control.read(|view| {
        let standings = Standings::of(view, cluster);
        let (word, cause) = NodeState::of(view, view.node(node).unwrap(), &standings).word(None);
        (word, cause.map_or("", |cause| cause.code()))
    })
}

#[tokio::test]
async fn a_node_whose_packets_do_not_arrive_is_not_ready_and_the_others_are() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let mut agents = Vec::new();
    for n in 1..=3 {
        agents.push(Agent::joined(&world, cluster, &format!("node-{n}"), [10, 0, 0, 10 + n]).await);
    }
    let mut streams = Vec::new();
    for agent in &agents {
        let (mut stream, _, snapshot) = agent.fresh(&world).await;
        let applied = portolan_wire::agent::Applied {
            revision: snapshot.revision,
            ..Default::default()
        };
        stream.send(Out::Applied(applied)).await;
        streams.push(stream);
    }
    let ids: Vec<NodeId> = agents.iter().map(|agent| agent.id).collect();
    let becomes = |wanted: [(Word, &'static str); 3]| {
        let (world, ids) = (&world, &ids);
        eventually("what the probes say is said", move || {
            let words = [0, 1, 2].map(|at| word(world, cluster, ids[at]));
            (words == wanted).then_some(())
        })
    };
    let ready = (Word::Ready, "");
    becomes([ready; 3]).await;

    // One that says nothing answers no probes: it is an older agent, and nothing is said of it.
    streams[0]
        .send(says(&[(ids[1], Fault::Pods), (ids[2], Fault::Nothing)]))
        .await;
    streams[1].send(says(&[(ids[0], Fault::Pods)])).await;
    let pair = (Word::Ready, "node.pair_fails");
    let alone = (Word::NoPath, "port.path_fails");
    becomes([alone, ready, ready]).await;

    streams[2].send(says(&[(ids[1], Fault::Pods)])).await;
    streams[0].send(says(&[(ids[1], Fault::Pods)])).await;
    streams[1]
        .send(says(&[(ids[0], Fault::Pods), (ids[2], Fault::Pods)]))
        .await;
    becomes([ready, alone, ready]).await;

    streams[2].send(says(&[])).await;
    streams[1].send(says(&[(ids[0], Fault::FullSize)])).await;
    streams[0].send(says(&[(ids[1], Fault::FullSize)])).await;
    becomes([pair, pair, ready]).await;

    // What a node said does not outlive its stream: an agent that ends for a moment is not said to be cut off.
    drop(streams.remove(1));
    becomes([ready; 3]).await;
    let status = world.status(ids[1]).unwrap();
    assert_eq!((status.online, status.paths.clone()), (true, None));
    streams[0].send(says(&[(ids[1], Fault::Nothing)])).await;
    streams[1].send(says(&[(ids[1], Fault::Nothing)])).await;
    eventually("both say so", || {
        let says = |id| world.status(id)?.paths.clone().filter(|paths| paths.failing == 1);
        says(ids[0]).zip(says(ids[2]))
    })
    .await;
    becomes([ready; 3]).await;
}

#[tokio::test]
async fn each_cluster_has_a_key_of_its_own_also_after_a_restart() {
    let world = World::new().await;
    let mut keys = Vec::new();
    let mut agents = Vec::new();
    for (cluster, host) in [("shop", 11), ("bank", 12)] {
        let id = world.cluster(cluster).await;
        let agent = Agent::joined(&world, id, "node-1", [10, 0, 0, host]).await;
        let (_stream, welcome, snapshot) = agent.fresh(&world).await;
        assert!(welcome.takes_paths);
        keys.push(snapshot.cluster.unwrap().probe_key);
        agents.push(agent);
    }
    assert!(keys[0].len() == 32 && keys[0] != keys[1]);
    let world = world.restart().await;
    let (_stream, _, snapshot) = agents[0].fresh(&world).await;
    assert_eq!(snapshot.cluster.unwrap().probe_key, keys[0]);
}
