//! Two machines with one identity: a disk that was copied, or put back.

use portolan_core::command::{Command, Delete, NodeReport};
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::Tickets;
use portolan_shared::tickets::{run, turn};
use portolan_wire::agent::{BlockRequest, Hello, LetGo, Ticket, from_agent, to_agent::Message as In};

use super::client::{Agent, Host, Stream, hello};
use super::world::{World, eventually};

fn with(ticket: Option<Ticket>) -> Hello {
    Hello { ticket, ..hello() }
}

/// Connects, and keeps what it is given.
async fn comes(agent: &Agent, world: &World, ticket: &mut Option<Ticket>) -> Stream {
    let mut stream = agent.stream(world, with(ticket.clone())).await;
    let (welcome, _) = stream.begin().await;
    *ticket = Some(welcome.ticket.expect("each stream gives one"));
    stream
}

/// Writes tickets down of a node's machine, as another replica would.
async fn store(world: &World, agent: &Agent, tickets: Tickets) {
    let machine = world.node(agent.id).unwrap().key_hash.unwrap();
    let given = NodeReport {
        node: agent.id,
        online: Some((true, world.control.now())),
        applied: None,
        losses: None,
        paused: None,
        paths: None,
        agent_version: None,
        by: Some([2; 16]),
        beat: None,
        tickets: Some((machine, tickets)),
        copied: None,
    };
    world.write(Command::ReportNodes(vec![given])).await;
}

/// A machine whose disk is copied: its ticket, the copy's, and the machine's stream. Both go on, the copy second, which could
/// be an answer that was lost, as could be what the machine shows then.
async fn copied(agent: &Agent, world: &World) -> (Option<Ticket>, Option<Ticket>, Stream) {
    let mut ticket = None;
    drop(comes(agent, world, &mut ticket).await);
    let mut copy = ticket.clone();
    drop(comes(agent, world, &mut ticket).await);
    let mut stream = comes(agent, world, &mut copy).await;
    let again = comes(agent, world, &mut ticket).await;
    assert_eq!(stream.refused().await.unwrap().code, "node.replaced");
    (ticket, copy, again)
}

#[tokio::test]
async fn a_copy_of_a_machine_is_refused_and_its_node_is_leased_nothing() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (ticket, mut copy, mut stream) = copied(&agent, &world).await;
    let refused = agent.stream(&world, with(copy.clone())).await.refused().await.unwrap();
    assert_eq!((refused.code.as_str(), refused.retry), ("node.copied", true));
    let copied = || world.status(agent.id).and_then(|status| status.copied);
    eventually("it is written down", copied).await;

    // The one that holds the stream keeps it, and is leased nothing while nobody has chosen.
    stream.send(from_agent::Message::Blocks(BlockRequest { have: 1 })).await;
    let Some(In::BlockRefused(refused)) = stream.news().await else {
        panic!()
    };
    assert_eq!(refused.code, "node.copied");
    // The one without the stream is to go on: the other is turned off, and whichever is on is admitted.
    drop(stream);
    world.write(Command::AdmitNode(agent.id)).await;
    assert_eq!(copied(), None);
    drop(comes(&agent, &world, &mut copy).await);
    // The other was not off: that is seen again.
    let refused = agent.stream(&world, with(ticket)).await.refused().await.unwrap();
    assert_eq!(refused.code, "node.copied");
    eventually("it is written down again", copied).await;
}

#[tokio::test]
async fn a_stream_ends_once_another_replica_has_given_a_newer_ticket() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let mut ticket = None;
    let mut stream = comes(&agent, &world, &mut ticket).await;
    let shown = ticket.unwrap().number;
    let tickets = Tickets {
        given: shown + (1 << 32),
        open: false,
        shown,
    };
    store(&world, &agent, tickets).await;
    // What it asks meanwhile is decided no more.
    stream.send(from_agent::Message::Blocks(BlockRequest { have: 1 })).await;
    assert_eq!(stream.refused().await.unwrap().code, "node.replaced");
    assert_eq!(world.blocks(agent.id).len(), 1);
}

#[tokio::test]
async fn a_ticket_of_another_history_is_good_where_the_answers_of_this_one_were_lost() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let given = |world: &World, newest: u64| {
        let status = world.status(agent.id).filter(|status| status.tickets.given == newest);
        status.map(drop)
    };
    let mut ticket = None;
    drop(comes(&agent, &world, &mut ticket).await);
    assert_eq!(run(ticket.as_ref().unwrap().number), world.control.run());
    let (world, earlier) = world.backed_up().await;
    let mut lost = None;
    for _ in 0..2 {
        lost = ticket.clone();
        drop(comes(&agent, &world, &mut lost).await);
    }
    let newest = lost.unwrap().number;
    eventually("what was lost is written down", || given(&world, newest)).await;
    let (world, later) = world.backed_up().await;

    let world = world.put_back(&earlier).await;
    drop(comes(&agent, &world, &mut ticket).await);
    let shown = ticket.as_ref().unwrap().number;
    assert!(shown < newest && run(shown) == world.control.run());
    let world = world.put_back(&later).await;
    drop(comes(&agent, &world, &mut ticket).await);
    assert!(turn(ticket.unwrap().number) > turn(newest));
}

#[tokio::test]
async fn of_a_removed_node_that_was_copied_neither_machine_lets_go_for_the_other() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (_, copy, mut stream) = copied(&agent, &world).await;
    agent.stream(&world, with(copy)).await.refused().await.unwrap();
    let copied = || world.status(agent.id).and_then(|status| status.copied);
    eventually("it is written down", copied).await;
    let [block] = &world.blocks(agent.id)[..] else { panic!() };
    let let_go = || {
        let blocks = vec![block.id.as_bytes().to_vec()];
        from_agent::Message::LetGo(LetGo {
            blocks,
            ..LetGo::default()
        })
    };
    stream.send(let_go()).await;
    stream.send(from_agent::Message::Blocks(BlockRequest { have: 1 })).await;
    assert!(
        matches!(stream.news().await, Some(In::BlockRefused(_))),
        "both were heard"
    );
    assert_eq!(world.blocks(agent.id).len(), 1, "the other may use it");

    world.write(Delete::Node(agent.id).into()).await;
    let mut stream = Stream(agent.connect(&world).await.unwrap());
    stream.send(let_go()).await;
    assert_eq!(stream.refused().await.unwrap().code, "node.removed");
    let held = || world.control.read(|view| view.all::<QuarantinedBlock>().count());
    assert_eq!(held(), 1);
    world.write(Command::ReleaseBlock(block.id)).await;
    assert_eq!(held(), 0);
}

#[tokio::test]
async fn a_machine_is_known_by_its_ticket_after_a_restart_and_a_restore() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let mut ticket = None;
    drop(comes(&agent, &world, &mut ticket).await);
    let stale = ticket.clone();
    let (world, copy) = world.backed_up().await;
    for _ in 0..3 {
        drop(comes(&agent, &world, &mut ticket).await);
    }
    // What was given is written down a moment later.
    let newest = ticket.clone().unwrap().number;
    let given = || {
        world
            .status(agent.id)
            .filter(|status| status.tickets.given == newest)
            .map(drop)
    };
    eventually("it is written down", given).await;
    let world = world.restart().await;
    let refused = agent.stream(&world, with(stale)).await.refused().await.unwrap();
    assert_eq!(refused.code, "node.copied");
    drop(comes(&agent, &world, &mut ticket).await);

    // The copy of the store knows an older one only: the newer one proves itself.
    let world = world.put_back(&copy).await;
    drop(comes(&agent, &world, &mut ticket).await);
    assert!(world.status(agent.id).is_none_or(|status| status.copied.is_none()));
}

#[tokio::test]
async fn a_ticket_that_was_never_given_is_refused() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let mut ticket = None;
    drop(comes(&agent, &world, &mut ticket).await);
    let forged = ticket.clone().map(|ticket| Ticket {
        number: ticket.number + 100,
        ..ticket
    });
    assert_eq!(
        agent.stream(&world, with(forged)).await.refused().await.unwrap().code,
        "body.malformed"
    );
    drop(comes(&agent, &world, &mut ticket).await);
}

#[tokio::test]
async fn another_machine_that_takes_the_nodes_place_begins_anew() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let mut ticket = None;
    for _ in 0..2 {
        drop(comes(&agent, &world, &mut ticket).await);
    }
    let token = world.token(cluster, Some(agent.id)).await;
    let host = Host::new("node-1", [10, 0, 0, 11]);
    let joined = host.join(&world, &token).await.unwrap();
    let successor = Agent::of(&world, host, &joined);
    comes(&successor, &world, &mut None).await;
    assert_eq!(
        agent.stream(&world, with(ticket)).await.refused().await.unwrap().code,
        "node.removed"
    );
}

#[tokio::test]
async fn a_machine_that_was_removed_comes_back_with_the_ticket_it_has() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let mut ticket = None;
    drop(comes(&agent, &world, &mut ticket).await);
    world.write(Delete::Node(agent.id).into()).await;
    let token = world.token(cluster, None).await;
    let joined = agent.host.join(&world, &token).await.unwrap();
    let again = Agent::of(&world, agent.host, &joined);
    assert_ne!(again.id, agent.id);
    drop(comes(&again, &world, &mut ticket).await);
}

#[tokio::test]
async fn a_machine_whose_copy_went_on_is_no_copy_at_the_node_that_it_becomes() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut ticket, _, _stream) = copied(&agent, &world).await;
    world.write(Delete::Node(agent.id).into()).await;
    let token = world.token(cluster, None).await;
    let joined = agent.host.join(&world, &token).await.unwrap();
    let again = Agent::of(&world, agent.host, &joined);
    drop(comes(&again, &world, &mut ticket).await);
}
