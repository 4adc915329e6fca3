//! A store that is put back from an older copy, while agents hold what came after it.

use portolan_core::command::{Command, Delete};
use portolan_core::kinds::epochs::{DisputeCause, Epoch};
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::{Block, JoinToken};
use portolan_core::protocol::gate::LONGEST;
use portolan_core::view::View;
use portolan_shared::ids::{BlockId, ClusterId, NodeId};
use portolan_wire::agent::{
    BlockRequest, Change, Claim, Hello, Item, LetGo, Snapshot, from_agent, to_agent::Message as In,
};
use portolan_wire::item::Body as _;

use super::client::{Agent, Stream, hello, hello_with};
use super::world::{World, eventually};

/// A cluster whose first node is in the copy, and whose second is not: each with the hello of all that came after.
pub(super) struct Lost {
    pub(super) cluster: ClusterId,
    pub(super) one: Agent,
    pub(super) two: Agent,
    /// What the agents have of the history that is lost.
    pub(super) has: Hello,
    pub(super) state: Snapshot,
}

/// Puts the store back to when the cluster had one node.
pub(super) async fn put_back() -> (World, Lost) {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (world, copy) = world.backed_up().await;
    let first = one.fresh(&world).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    drop(first);
    let (stream, welcome, state) = one.fresh(&world).await;
    drop(stream);
    assert_eq!(state.blocks.len(), 2);
    let has = hello_with(&welcome, &state);
    let world = world.put_back(&copy).await;
    assert!(world.head() < state.revision, "it is older");
    let lost = Lost {
        cluster,
        one,
        two,
        has,
        state,
    };
    (world, lost)
}

/// What of a state a newer one lacks, as an agent claims it.
pub(super) fn lacks(has: &Snapshot, new: &Snapshot) -> Claim {
    let lost = has.blocks.iter().filter(|block| !new.blocks.contains(block));
    let of =
        |block: &portolan_wire::agent::Block| has.nodes.iter().find(|node| node.id == block.node_id).unwrap().item();
    let items: Vec<Item> = lost.flat_map(|block| [of(block), block.item()]).collect();
    Claim { items, more: false }
}

/// A stream of an agent that shows the lost history: the state that it is sent.
pub(super) async fn showing(agent: &Agent, world: &World, has: &Hello) -> (Stream, Snapshot) {
    let mut stream = agent.stream(world, has.clone()).await;
    let (welcome, frames) = stream.begin().await;
    assert!(welcome.other_history && !welcome.resumed);
    let [In::Snapshot(snapshot)] = &frames[..] else {
        panic!("{frames:?}")
    };
    (stream, snapshot.clone())
}

/// Claims, and gives what changed until the answer.
pub(super) async fn claim(stream: &mut Stream, claim: Claim) -> Vec<Change> {
    stream.send(from_agent::Message::Claim(claim)).await;
    let (mut changes, mut decided) = (Vec::new(), None);
    loop {
        match stream.next().await {
            Some(In::Change(change)) => changes.push(change),
            Some(In::ClaimAck(ack)) => decided = Some(ack.revision),
            Some(In::Progress(mark)) if decided.is_some_and(|decided| mark.head >= decided) => return changes,
            Some(In::Progress(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn epochs(world: &World) -> Vec<Epoch> {
    world
        .control
        .read(|view| view.all::<Epoch>().map(|epoch| (**epoch).clone()).collect())
}

#[tokio::test]
async fn what_agents_hold_beyond_the_copy_is_taken_back_and_its_node_waits() {
    let (world, lost) = put_back().await;
    // Nobody knows whether a token of the copy was spent after it.
    world.token(lost.cluster, None).await;
    let head = world.head();
    let (mut stream, sent) = showing(&lost.one, &world, &lost.has).await;
    assert_eq!(
        (sent.revision, sent.blocks.len()),
        (head, 1),
        "the state is the older one"
    );
    let changes = claim(&mut stream, lacks(&lost.state, &sent)).await;
    let block = changes.iter().flat_map(|change| &change.put_blocks).next().unwrap();
    let was = lost
        .state
        .blocks
        .iter()
        .find(|block| block.node_id == lost.two.id.as_bytes())
        .unwrap();
    assert_eq!(
        (&block.id, &block.prefix),
        (&was.id, &was.prefix),
        "its routes stay as they are"
    );

    let found = world.node(lost.two.id).unwrap();
    assert_eq!(
        (found.name.as_str(), found.key_hash, found.joined_at),
        ("node-2", None, None)
    );
    assert!(found.found.is_some());
    assert!(
        world.control.read(|view| view.port(found.port).is_some()),
        "nobody else gets its address"
    );
    let [epoch] = &epochs(&world)[..] else { panic!() };
    assert_eq!(
        (epoch.lost_to, epoch.shown_by.as_str()),
        (lost.state.revision, "node-1")
    );
    assert_eq!((epoch.blocks_found, &epoch.nodes_found), (1, &vec![lost.two.id]));
    assert_eq!(epoch.disputes, []);
    assert!(epoch.fork.is_some_and(|fork| fork < lost.state.revision));
    assert_eq!(world.control.read(|view| view.all::<JoinToken>().count()), 0);

    // Shown again, by the same one or by another, it is the same epoch.
    drop(stream);
    let (mut again, sent) = showing(&lost.one, &world, &lost.has).await;
    assert_eq!(claim(&mut again, lacks(&lost.state, &sent)).await, []);
    assert_eq!(epochs(&world).len(), 1);

    // The node is not let in before somebody says so, and then by the key that it has.
    let refused = lost.two.stream(&world, lost.has.clone()).await.refused().await.unwrap();
    assert_eq!((refused.code.as_str(), refused.retry), ("node.waits", true));
    world.write(Command::AdmitNode(lost.two.id)).await;
    let (mut two, sent) = showing(&lost.two, &world, &lost.has).await;
    assert_eq!(claim(&mut two, lacks(&lost.state, &sent)).await, []);
    assert_eq!(epochs(&world).len(), 1);
    let node = world.node(lost.two.id).unwrap();
    assert!(node.joined_at.is_some() && node.found.is_none());
}

#[tokio::test]
async fn what_was_let_go_of_since_the_copy_does_not_come_back() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let of_two = world.blocks(two.id)[0].clone();
    let (world, copy) = world.backed_up().await;
    drop((one.fresh(&world).await, two.fresh(&world).await));
    let three = Agent::joined(&world, cluster, "node-3", [10, 0, 0, 13]).await;
    let (stream, welcome, state) = one.fresh(&world).await;
    drop(stream);
    let has = hello_with(&welcome, &state);
    let world = world.put_back(&copy).await;

    // Both histories know the second node's block. In this one it is removed, and has let go.
    world.write(Command::Delete(Delete::Node(two.id))).await;
    let mut stream = Stream(two.connect(&world).await.unwrap());
    let blocks = vec![of_two.id.as_bytes().to_vec()];
    stream
        .send(from_agent::Message::LetGo(LetGo {
            blocks,
            ..LetGo::default()
        }))
        .await;
    assert_eq!(stream.refused().await.unwrap().code, "node.removed");
    let (mut stream, sent) = showing(&one, &world, &has).await;
    claim(&mut stream, lacks(&state, &sent)).await;
    let [epoch] = &epochs(&world)[..] else { panic!() };
    assert_eq!((epoch.blocks_found, &epoch.nodes_found), (1, &vec![three.id]));
    assert_eq!(world.control.read(|view| view.all::<QuarantinedBlock>().count()), 0);
    assert_eq!(world.blocks(two.id), []);
}

#[tokio::test]
async fn a_history_that_has_gone_on_past_the_agents_revision_is_another_all_the_same() {
    let (world, lost) = put_back().await;
    while world.head() <= lost.state.revision {
        world.expected(lost.cluster, &format!("more-{}", world.head())).await;
    }
    let (_stream, sent) = showing(&lost.one, &world, &lost.has).await;
    assert!(
        sent.revision > lost.state.revision,
        "no change is sent on top of the lost state"
    );
}

#[tokio::test]
async fn no_block_is_leased_before_all_nodes_have_shown_what_they_hold() {
    let (world, lost) = put_back().await;
    let token = world.token(lost.cluster, None).await;
    let host = super::client::Host::new("node-3", [10, 0, 0, 13]);
    let refused = host.join(&world, &token).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retry), ("leases.wait", true));
    assert!(refused.sentence.contains("node-1"), "{}", refused.sentence);
    let (mut stream, sent) = showing(&lost.one, &world, &lost.has).await;
    assert_eq!(
        host.join(&world, &token).await.unwrap_err().code,
        "leases.wait",
        "shown, not claimed"
    );
    claim(&mut stream, lacks(&lost.state, &sent)).await;

    // The epoch has ended the token.
    let token = world.token(lost.cluster, None).await;
    host.join(&world, &token).await.unwrap();
    let blocks = world
        .control
        .read(|view| view.blocks_of(lost.cluster).map(|block| block.cidr).collect::<Vec<_>>());
    assert_eq!(blocks.len(), 3, "three blocks of three nodes: {blocks:?}");
}

#[tokio::test]
async fn after_half_a_minute_leases_go_on_and_what_comes_later_is_in_dispute() {
    let (world, lost) = put_back().await;
    world.clock.advance(LONGEST / 1_000_000);
    let late = Agent::joined(&world, lost.cluster, "node-3", [10, 0, 0, 13]).await;
    let leased = world.blocks(late.id);
    let (mut stream, sent) = showing(&lost.one, &world, &lost.has).await;
    claim(&mut stream, lacks(&lost.state, &sent)).await;
    let [epoch] = &epochs(&world)[..] else { panic!() };
    let [dispute] = &epoch.disputes[..] else {
        panic!("{epoch:?}")
    };
    assert_eq!((dispute.cidr, dispute.node.as_str()), (leased[0].cidr, "node-2"));
    assert_eq!(dispute.cause, DisputeCause::Leased("node-3".to_owned()));
    assert_eq!(world.blocks(late.id), leased, "nothing is taken from anybody");
}

#[tokio::test]
async fn only_what_the_control_plane_has_told_begins_an_epoch() {
    let (world, lost) = put_back().await;
    let mut forged = lost.has.clone();
    forged.position.as_mut().unwrap().revision += 1;
    let (mut stream, sent) = showing(&lost.one, &world, &forged).await;
    assert_eq!(claim(&mut stream, lacks(&lost.state, &sent)).await, []);
    assert_eq!(epochs(&world), []);

    // Nor does a lease count that it has not signed.
    drop(stream);
    let (mut stream, sent) = showing(&lost.one, &world, &lost.has).await;
    let mut claimed = lost.state.clone();
    for block in &mut claimed.blocks {
        block.prefix.as_mut().unwrap().address[2] ^= 1;
    }
    assert_eq!(claim(&mut stream, lacks(&claimed, &sent)).await, []);
    let [epoch] = &epochs(&world)[..] else { panic!() };
    assert_eq!(
        (epoch.blocks_found, epoch.nodes_found.len(), epoch.disputes.len()),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_node_that_the_store_does_not_know_is_not_told_that_it_was_removed() {
    let (world, lost) = put_back().await;
    let refused = lost.two.stream(&world, lost.has.clone()).await.refused().await.unwrap();
    assert_eq!((refused.code.as_str(), refused.retry), ("node.unknown", true));
}

#[tokio::test]
async fn a_removed_nodes_block_is_leased_to_nobody_before_it_has_let_go() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let [block] = &world.blocks(one.id)[..] else { panic!() };
    world.write(Command::Delete(Delete::Node(one.id))).await;
    let quarantined = |view: &View| {
        view.all::<QuarantinedBlock>()
            .map(|block| block.cidr)
            .collect::<Vec<_>>()
    };
    assert_eq!(world.control.read(quarantined), [block.cidr]);
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    assert_ne!(world.blocks(two.id)[0].cidr, block.cidr);

    // Its agent hears of it whenever it comes, and says once more that nothing of its has such an address.
    let mut stream = Stream(one.connect(&world).await.unwrap());
    let blocks = vec![block.id.as_bytes().to_vec()];
    stream
        .send(from_agent::Message::LetGo(LetGo {
            blocks,
            ..LetGo::default()
        }))
        .await;
    assert_eq!(stream.refused().await.unwrap().code, "node.removed");
    assert_eq!(world.control.read(quarantined), []);
    assert_eq!(
        one.stream(&world, hello()).await.refused().await.unwrap().code,
        "node.removed"
    );
}

#[tokio::test]
async fn a_machine_that_joins_again_is_leased_again_what_it_holds() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let block = world.blocks(one.id)[0].clone();
    world.write(Command::Delete(Delete::Node(one.id))).await;
    let token = world.token(cluster, None).await;
    let joined = one.host.join(&world, &token).await.unwrap();
    let again = NodeId::from_bytes(joined.node_id.as_slice().try_into().unwrap());
    assert_ne!(again, one.id);
    let [leased] = &world.blocks(again)[..] else { panic!() };
    assert_eq!((leased.id, leased.cidr), (block.id, block.cidr));

    // Another machine in its place is leased another block; the first is told, and its block waits.
    let token = world.token(cluster, Some(again)).await;
    let host = super::client::Host::new("node-1", [10, 0, 0, 11]);
    host.join(&world, &token).await.unwrap();
    assert_ne!(world.blocks(again)[0].cidr, block.cidr);
    let waits = world
        .control
        .read(|view| view.get::<QuarantinedBlock>(block.id).cloned())
        .unwrap();
    assert_eq!((waits.node, waits.node_name.as_str()), (again, "node-1"));
    world.write(Command::ReleaseBlock(block.id)).await;
    assert!(
        world
            .control
            .read(|view| view.get::<QuarantinedBlock>(block.id).is_none())
    );
}

#[tokio::test]
async fn what_a_machine_keeps_that_is_no_node_is_kept_from_others_also_where_the_store_has_forgotten_it() {
    let (world, lost) = put_back().await;
    let (own, others): (Vec<_>, Vec<_>) =
        (lost.state.blocks.iter().cloned()).partition(|block| block.node_id == lost.two.id.as_bytes());
    let mut forged = own[0].clone();
    forged.prefix.as_mut().unwrap().address[2] ^= 1;
    let kept = [own.clone(), others, vec![forged]].concat();
    let mut stream = Stream(lost.two.connect(&world).await.unwrap());
    stream
        .send(from_agent::Message::LetGo(LetGo {
            kept,
            ..LetGo::default()
        }))
        .await;
    assert_eq!(stream.refused().await.unwrap().code, "node.unknown");
    let held = || {
        world
            .control
            .read(|view| view.all::<QuarantinedBlock>().map(|block| block.id).collect::<Vec<_>>())
    };
    let id = BlockId::from_bytes(own[0].id[..].try_into().unwrap());
    assert_eq!(held(), [id], "what was leased to it, and nothing else");
    // Another node that had heard of it finds it kept.
    let (mut stream, sent) = showing(&lost.one, &world, &lost.has).await;
    claim(&mut stream, lacks(&lost.state, &sent)).await;
    assert_eq!(held(), [id]);
    let three = Agent::joined(&world, lost.cluster, "node-3", [10, 0, 0, 13]).await;
    assert_ne!(world.blocks(three.id)[0].id, id);

    let token = world.token(lost.cluster, None).await;
    let joined = lost.two.host.join(&world, &token).await.unwrap();
    let again = NodeId::from_bytes(joined.node_id.as_slice().try_into().unwrap());
    assert_eq!(world.blocks(again)[0].id, id);
    assert_eq!(held(), []);
}

#[tokio::test]
async fn an_empty_block_is_given_back_and_one_in_use_is_not() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    let [block] = &world.blocks(agent.id)[..] else { panic!() };
    let blocks = vec![block.id.as_bytes().to_vec()];
    stream
        .send(from_agent::Message::LetGo(LetGo {
            blocks: blocks.clone(),
            ..LetGo::default()
        }))
        .await;
    eventually("the block is gone", || world.blocks(agent.id).is_empty().then_some(())).await;
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.drop_blocks, blocks);
    stream.send(from_agent::Message::Blocks(BlockRequest { have: 0 })).await;
    let leased: Vec<_> = eventually("another is leased", || {
        Some(world.blocks(agent.id)).filter(|blocks| !blocks.is_empty())
    })
    .await;
    let held: &Block = &leased[0];
    assert_ne!(held.id, block.id);
}
