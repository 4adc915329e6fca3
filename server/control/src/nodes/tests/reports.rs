use std::net::IpAddr;
use std::sync::Arc;

use portolan_core::change::Op;
use portolan_core::command::{Command, NodeReport};
use portolan_core::model::Block;
use portolan_core::view::PortScope;
use portolan_shared::ids::PortId;
use portolan_shared::losses::LossKind;
use portolan_shared::status::Cause;
use portolan_shared::v1::NodeState as Word;
use portolan_wire::agent::from_agent::Message as Out;
use portolan_wire::agent::{
    Applied, BlockRequest, Exception, Loss, Paused, PodAck, PodAllocation, PodRelease, PodReport, RenewRequest,
    to_agent::Message as In,
};
use portolan_wire::field::address_bytes;
use rustls::pki_types::CertificateDer;

use super::client::{Agent, Host, Stream};
use super::world::{World, eventually};
use crate::api::paths::Standings;
use crate::api::status::NodeState;
use crate::feed::Next;
use crate::nodes::hub::Hub;
use crate::nodes::liveness::{DEAD, START_GRACE};
use crate::nodes::pki;
use crate::nodes::turns::Turns;

pub(super) async fn online(world: &World, agent: &Agent) {
    eventually("online", || world.status(agent.id).filter(|status| status.online)).await;
}

#[tokio::test]
async fn a_node_is_online_at_once_and_silent_after_a_grace_since_its_last_contact() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (stream, ..) = agent.fresh(&world).await;
    online(&world, &agent).await;
    let status = world.status(agent.id).unwrap();
    assert_eq!(status.agent_version, "test");
    drop(stream);

    // It comes back within the grace: nothing is written.
    let (stream, ..) = agent.fresh(&world).await;
    let (head, heard_by) = (world.head(), world.control.now());
    drop(stream);
    // The loss is noticed before the clock moves on: the node's next stream would end this one, and
    // there is none, so wait until the endpoint has seen the end.
    world.clock.advance(2);
    let (stream, ..) = agent.fresh(&world).await;
    assert_eq!(world.head(), head);
    drop(stream);

    let silent = eventually("silent", || {
        world.clock.advance(1);
        world.status(agent.id).filter(|status| !status.online)
    });
    let silent = silent.await;
    assert!(
        silent.since >= heard_by && silent.since <= world.control.now() - 3_000_000,
        "since its last contact"
    );

    // One more stream, and it is online again.
    let _stream = agent.fresh(&world).await;
    online(&world, &agent).await;
}

#[tokio::test]
async fn a_node_that_somebody_calls_silent_while_it_is_connected_is_online_again() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    online(&world, &agent).await;
    stream.send(Out::Paths(portolan_wire::agent::Paths::default())).await;
    let paths = || world.status(agent.id).unwrap().paths.clone();
    let told = eventually("what its probes say is stored", paths).await;
    // As another replica would, to which the node was connected before.
    let said = NodeReport {
        node: agent.id,
        online: Some((false, 1)),
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
    world.write(Command::ReportNodes(vec![said.clone()])).await;
    assert!(!world.status(agent.id).unwrap().online && paths().is_none());
    online(&world, &agent).await;
    assert_eq!(paths().as_ref(), Some(&told), "it says nothing twice");
    // Or of its probes alone, as one does whose stream has ended late.
    let forgotten = NodeReport {
        online: None,
        paths: Some(None),
        ..said
    };
    world.write(Command::ReportNodes(vec![forgotten])).await;
    assert_eq!(eventually("it is stored again", paths).await, told);
}

#[tokio::test]
async fn a_replica_that_starts_leaves_the_others_nodes_alone_while_they_live() {
    const FIRST: [u8; 16] = [1; 16];
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let says = |by, online, beat| NodeReport {
        node: agent.id,
        online,
        applied: None,
        agent_version: None,
        by: Some(by),
        beat,
        tickets: None,
        copied: None,
        losses: None,
        paused: None,
        paths: None,
    };
    let online = |by| says(by, Some((true, 1)), Some(1));
    world.write(Command::ReportNodes(vec![online(FIRST)])).await;
    let second = Hub::among(
        world.control.clone(),
        Arc::clone(&world.hub.ca),
        Turns::new([]),
        Some([2; 16]),
    );
    let now = world.control.now();
    second.look(now + START_GRACE);
    second.look_at_others(now);
    assert!(!second.reports.waits(agent.id), "it is the first one's");
    // The first lives, and what others say of its streams does not count.
    let head = world.head();
    let silent = Some((false, 2));
    world
        .write(Command::ReportNodes(vec![says(FIRST, None, Some(2))]))
        .await;
    world
        .write(Command::ReportNodes(vec![says([2; 16], silent, None)]))
        .await;
    assert!(world.status(agent.id).unwrap().online);
    let news = world.control.feed().subscribe(Some(head)).try_next();
    assert!(
        matches!(news, Some(Next::Commit(commit)) if commit.changes.iter().all(|change| change.op == Op::Quiet)),
        "a beat is nobody's news"
    );
    second.look_at_others(now + DEAD);
    assert!(!second.reports.waits(agent.id));
    // Then it says nothing any more.
    second.look_at_others(now + 2 * DEAD);
    assert!(second.reports.waits(agent.id));
    world.write(Command::ReportNodes(vec![says(FIRST, silent, None)])).await;
    assert!(!world.status(agent.id).unwrap().online);
}

#[tokio::test]
async fn after_a_restart_nodes_that_do_not_come_back_become_silent() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let streams = (one.fresh(&world).await, two.fresh(&world).await);
    online(&world, &one).await;
    online(&world, &two).await;
    let world = world.restart().await;
    drop(streams);
    assert!(
        world.status(one.id).unwrap().online,
        "an end of the control plane is none of the nodes'"
    );
    let started = world.control.now();
    let _stream = one.fresh(&world).await;
    world.clock.advance(10);
    let silent = eventually("silent", || world.status(two.id).filter(|status| !status.online)).await;
    assert!(silent.since <= started);
    assert!(world.status(one.id).unwrap().online);
}

#[tokio::test]
async fn what_the_kernel_holds_is_recorded_once() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, _, snapshot) = agent.fresh(&world).await;
    online(&world, &agent).await;
    let exception = Exception {
        kind: "block".into(),
        id: snapshot.blocks[0].id.clone(),
        reason: "the kernel refused the route: File exists".into(),
        attempts: 2,
    };
    let loss = Loss {
        kind: "routes".into(),
        objects: 14,
        first_seen: 5,
        back_after_ms: Some(12),
        today: 3,
        contested: false,
        by: "systemd-networkd".into(),
    };
    let of_a_newer_agent = Loss {
        kind: "tunnel".into(),
        ..loss.clone()
    };
    let failed = Applied {
        revision: snapshot.revision,
        exceptions: vec![exception.clone()],
        losses: vec![loss.clone(), of_a_newer_agent],
        paused: None,
    };
    stream.send(Out::Applied(failed.clone())).await;
    let status = eventually("recorded", || {
        world
            .status(agent.id)
            .filter(|status| status.applied_revision == snapshot.revision && !status.losses.is_empty())
    });
    let status = status.await;
    assert_eq!(
        (status.exceptions[0].reason.as_str(), status.exceptions[0].attempts),
        (&exception.reason[..], 2)
    );
    let [lost] = &status.losses[..] else {
        panic!("{:?}", status.losses)
    };
    assert_eq!(
        (lost.kind, lost.objects, lost.back_after_ms),
        (LossKind::Routes, 14, Some(12))
    );
    assert_eq!(lost.by.as_deref(), Some("systemd-networkd"));

    // The same again is no news, and neither is a revision from the future or one that the cluster
    // does not need; a barrier shows that it was looked at.
    let head = world.head();
    stream.send(Out::Applied(failed)).await;
    let later = Applied {
        revision: 1 << 40,
        exceptions: vec![exception],
        losses: vec![loss],
        paused: None,
    };
    stream.send(Out::Applied(later)).await;
    stream.send(Out::Pods(PodReport::default())).await;
    assert!(matches!(stream.news().await, Some(In::PodAck(_))));
    stream
        .send(Out::Applied(Applied {
            revision: snapshot.revision,
            exceptions: vec![],
            ..Applied::default()
        }))
        .await;
    eventually("mended", || {
        let status = world.status(agent.id)?;
        (status.exceptions.is_empty() && status.losses.is_empty()).then_some(())
    })
    .await;
    // What it refused, and what was lost.
    assert_eq!(world.head(), head + 2);
}

#[tokio::test]
async fn a_node_on_which_healing_is_paused_says_so_until_it_goes_on() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, _, snapshot) = agent.fresh(&world).await;
    let applied = |paused| Applied {
        revision: snapshot.revision,
        paused,
        ..Applied::default()
    };
    let word = || {
        world.control.read(|view| {
            let standings = Standings::of(view, cluster);
            NodeState::of(view, view.node(agent.id).unwrap(), &standings).word(None)
        })
    };
    let by = "anna".to_owned();
    let paused = Paused {
        by: by.clone(),
        since: 5,
    };
    let said = (Word::Ready, Some(Cause::NodePaused("node-1".to_owned(), by, 5)));
    stream.send(Out::Applied(applied(Some(paused)))).await;
    eventually("it is said", || (word() == said).then_some(())).await;
    // An agent of before says nothing of it.
    stream.send(Out::Applied(applied(None))).await;
    eventually("it is said no more", || (word() == (Word::Ready, None)).then_some(())).await;
}

fn allocation(id: u8, seq: u64, address: IpAddr) -> PodAllocation {
    PodAllocation {
        id: vec![id; 16],
        seq,
        container_id: format!("c{id}"),
        interface: "eth0".into(),
        pod_namespace: "default".into(),
        pod_name: format!("web-{id}"),
        pod_uid: String::new(),
        addresses: vec![address_bytes(address)],
        mac: vec![0x0a, 0x58, 0, 0, 0, id],
        ..PodAllocation::default()
    }
}

/// The `n`th address of a block.
fn address(block: &Block, n: u8) -> IpAddr {
    match block.cidr.first() {
        IpAddr::V4(first) => IpAddr::V4((u32::from(first) + u32::from(n)).into()),
        IpAddr::V6(first) => IpAddr::V6((u128::from(first) + u128::from(n)).into()),
    }
}

async fn report(stream: &mut Stream, report: PodReport) -> PodAck {
    stream.send(Out::Pods(report)).await;
    match stream.news().await {
        Some(In::PodAck(ack)) => ack,
        other => panic!("{other:?}"),
    }
}

/// Two machines have one identity, and the copy has counted further.
#[tokio::test]
async fn a_full_report_takes_away_what_another_machine_has_reported() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let block = world.blocks(agent.id)[0].clone();
    let all = |seq, pod| PodReport {
        full: true,
        seq,
        allocations: vec![pod],
        ..PodReport::default()
    };
    let (mut copy, ..) = agent.fresh(&world).await;
    report(&mut copy, all(9, allocation(1, 9, address(&block, 0)))).await;
    drop(copy);
    let (mut stream, ..) = agent.fresh(&world).await;
    report(&mut stream, all(3, allocation(2, 3, address(&block, 1)))).await;
    let is_port = |id| {
        world
            .control
            .read(|view| view.port(PortId::from_bytes([id; 16])).is_some())
    };
    assert_eq!([1, 2].map(is_port), [false, true]);

    // What it reports next is news, although the other has counted further.
    let next = PodReport {
        seq: 4,
        allocations: vec![allocation(3, 4, address(&block, 2))],
        ..PodReport::default()
    };
    report(&mut stream, next).await;
    assert_eq!([1, 2, 3].map(is_port), [false, true, true]);
}

#[tokio::test]
async fn pods_become_ports_of_their_node() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let other = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let (block, theirs) = (world.blocks(agent.id)[0].clone(), world.blocks(other.id)[0].clone());
    let (mut stream, welcome, _) = agent.fresh(&world).await;
    assert_eq!(welcome.pod_seq, 0);
    online(&world, &agent).await;

    let allocations = vec![
        allocation(1, 1, address(&block, 0)),
        allocation(2, 2, address(&block, 1)),
        allocation(3, 3, address(&theirs, 5)),
    ];
    let ack = report(
        &mut stream,
        PodReport {
            seq: 3,
            allocations: allocations.clone(),
            ..PodReport::default()
        },
    )
    .await;
    assert_eq!(ack.seq, 3);
    assert_eq!(ack.refused.len(), 1, "an address of another node's block");
    assert_eq!(ack.refused[0].id, vec![3; 16]);
    assert!(
        ack.refused[0].reason.contains("is in no block leased to node node-1"),
        "{}",
        ack.refused[0].reason
    );
    let pods = || world.control.read(|view| view.pod_count(PortScope::Node(agent.id)));
    assert_eq!(pods(), 2);
    let port = world
        .control
        .read(|view| view.port(PortId::from_bytes([1; 16])).cloned())
        .unwrap();
    assert_eq!((&*port.name, port.node), ("web-1", Some(agent.id)));

    // Told again, nothing is made; released, it goes; a full report ends what it does not name.
    let head = world.head();
    let again = PodReport {
        seq: 3,
        allocations: allocations[..2].to_vec(),
        ..PodReport::default()
    };
    assert_eq!(report(&mut stream, again).await.refused, []);
    assert_eq!(world.head(), head);
    let release = PodRelease {
        id: vec![1; 16],
        allocation_seq: 1,
        seq: 4,
    };
    report(
        &mut stream,
        PodReport {
            seq: 4,
            releases: vec![release],
            ..PodReport::default()
        },
    )
    .await;
    assert_eq!(pods(), 1);
    report(
        &mut stream,
        PodReport {
            full: true,
            seq: 5,
            ..PodReport::default()
        },
    )
    .await;
    assert_eq!(pods(), 0);
    drop(stream);
    let (_, welcome, _) = agent.fresh(&world).await;
    assert_eq!(welcome.pod_seq, 5, "the agent knows from where to go on");
}

#[tokio::test]
async fn a_pod_that_gets_no_port_is_told_why_and_gets_it_once_it_can() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let other = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let (block, theirs) = (world.blocks(agent.id)[0].clone(), world.blocks(other.id)[0].clone());
    let (mut stream, ..) = agent.fresh(&world).await;
    let (mut second, ..) = other.fresh(&world).await;
    let with_mac = PodAllocation {
        mac: vec![0x0a, 0x58, 0, 0, 0, 1],
        ..allocation(9, 1, address(&theirs, 0))
    };
    let one = |allocation: &PodAllocation| PodReport {
        full: true,
        seq: 1,
        allocations: vec![allocation.clone()],
        ..PodReport::default()
    };
    assert_eq!(report(&mut second, one(&with_mac)).await.refused, []);
    let wanted = allocation(1, 1, address(&block, 1));
    let refused = report(&mut stream, one(&wanted)).await.refused;
    assert!(
        refused[0].reason.contains("0a:58:00:00:00:01") && refused[0].reason.contains("default/web-9"),
        "{}",
        refused[0].reason
    );
    let gone = PodReport {
        full: true,
        seq: 2,
        ..PodReport::default()
    };
    report(&mut second, gone).await;
    // Reported again in full, as agents do.
    assert_eq!(report(&mut stream, one(&wanted)).await.refused, []);
    assert_eq!(world.control.read(|view| view.pod_count(PortScope::Node(agent.id))), 1);
}

#[tokio::test]
async fn blocks_are_leased_one_at_a_time() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let block = world.blocks(agent.id)[0].clone();
    let (mut stream, ..) = agent.fresh(&world).await;
    report(&mut stream, pods_in(&block, 1)).await;
    for _ in 0..3 {
        stream.send(Out::Blocks(BlockRequest { have: 1 })).await;
    }
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.put_blocks[0].node_id, agent.id.as_bytes());
    report(&mut stream, PodReport::default()).await;
    assert_eq!(
        world.blocks(agent.id).len(),
        2,
        "asked three times with one block, it has two"
    );
}

/// A report of pods that hold a whole block, whose number `n` is.
fn pods_in(block: &Block, n: u8) -> PodReport {
    let first = u64::from(n) * 64;
    let pod = |at: u8| PodAllocation {
        id: [vec![n; 15], vec![at]].concat(),
        mac: vec![0x0a, 0x58, 0, 0, n, at],
        ..allocation(at, first + u64::from(at) + 1, address(block, at))
    };
    PodReport {
        seq: first + 64,
        allocations: (0..64).map(pod).collect(),
        ..PodReport::default()
    }
}

#[tokio::test]
async fn a_node_leases_a_bounded_number_of_blocks_and_is_told_so() {
    const MOST: u8 = 64;
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    for have in 1..=MOST {
        let block = world.blocks(agent.id).last().unwrap().clone();
        assert_eq!(report(&mut stream, pods_in(&block, have)).await.refused, []);
        stream.send(Out::Blocks(BlockRequest { have: have.into() })).await;
        match stream.news().await {
            Some(In::Change(change)) if have < MOST => assert_eq!(change.put_blocks.len(), 1),
            Some(In::BlockRefused(refused)) if have == MOST => assert_eq!(refused.code, "quota.exceeded"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.blocks(agent.id).len(), usize::from(MOST));
}

#[tokio::test]
async fn a_certificate_is_renewed_for_its_own_key_only() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    world.clock.advance(3600);
    stream.send(Out::Renew(RenewRequest { csr: agent.host.csr() })).await;
    let Some(In::Renewed(renewed)) = stream.news().await else {
        panic!()
    };
    let identity = |der: &[u8]| pki::identity(&CertificateDer::from(der.to_vec())).unwrap();
    let (old, new) = (identity(&agent.certificate), identity(&renewed.certificate));
    assert_eq!((old.node, old.key_hash), (new.node, new.key_hash));
    assert!(new.not_after > old.not_after);

    let another = Host::new("node-1", [10, 0, 0, 11]);
    stream.send(Out::Renew(RenewRequest { csr: another.csr() })).await;
    assert_eq!(stream.refused().await.unwrap().code, "body.malformed");
}
