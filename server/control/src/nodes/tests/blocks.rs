use portolan_core::command::{Command, NewCluster};
use portolan_core::model::Cluster;
use portolan_shared::v1::CreateCluster;
use portolan_wire::agent::from_agent::Message as Out;
use portolan_wire::agent::{BlockRequest, PodAllocation, PodRelease, PodReport, to_agent::Message as In};
use portolan_wire::field::address_bytes;

use super::client::{Agent, Host, Stream};
use super::world::World;

async fn report(stream: &mut Stream, report: PodReport) {
    stream.send(Out::Pods(report)).await;
    assert!(matches!(stream.news().await, Some(In::PodAck(_))));
}

#[tokio::test]
async fn a_node_that_asks_in_vain_is_told_and_remembered() {
    let world = World::new().await;
    let other = world.cluster("shop").await;
    let project = world.control.read(|view| view.cluster(other).unwrap().meta.project);
    let asked = CreateCluster {
        name: "small".to_owned(),
        node_range: Some("10.3.0.0/24".to_owned()),
        pod_range: Some("10.4.0.0/26".to_owned()),
        service_range: Some("10.5.0.0/20".to_owned()),
        ..CreateCluster::default()
    };
    let spec = portolan_shared::cluster::check(&asked).unwrap();
    let made = world.write(Command::CreateCluster(NewCluster { project, spec })).await;
    let cluster = made.made::<Cluster>().unwrap().id;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 3, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    let pod = PodAllocation {
        id: vec![1; 16],
        seq: 1,
        container_id: "c1".into(),
        interface: "eth0".into(),
        pod_namespace: "default".into(),
        pod_name: "web-1".into(),
        pod_uid: String::new(),
        addresses: vec![address_bytes([10, 4, 0, 1].into())],
        mac: vec![0x0a, 0x58, 0, 0, 0, 1],
        ..PodAllocation::default()
    };
    let given = PodReport {
        seq: 1,
        allocations: vec![pod],
        ..PodReport::default()
    };
    report(&mut stream, given).await;
    world.clock.advance(7);
    stream.send(Out::Blocks(BlockRequest { have: 1 })).await;
    let Some(In::BlockRefused(refused)) = stream.news().await else {
        panic!()
    };
    assert_eq!(refused.code, "node.no_free_block");
    assert_eq!(
        refused.sentence,
        "The pod range 10.4.0.0/26 of cluster small has no free block: all 1 are leased."
    );
    let wants = || world.status(agent.id).unwrap().wants_block;
    assert_eq!(wants(), Some(world.control.now()));

    // A pod goes: there is room again, and its agent asks no more.
    let released = PodReport {
        seq: 2,
        releases: vec![PodRelease {
            id: vec![1; 16],
            allocation_seq: 1,
            seq: 2,
        }],
        ..PodReport::default()
    };
    report(&mut stream, released).await;
    assert_eq!(wants(), None);

    // The block that it had an address of is leased all the same.
    let (host, token) = (Host::new("node-2", [10, 3, 0, 12]), world.token(cluster, None).await);
    assert_eq!(host.join(&world, &token).await.unwrap_err().code, "node.no_free_block");
}
