//! After a store was put back: leases that two have, and what is decided before all have shown what they hold. The model in
//! `server/model` found each of these.

use portolan_core::command::{Command, Delete, Request};
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::protocol::gate::LONGEST;
use portolan_shared::ids::NodeId;
use portolan_shared::refusal::Refusal;
use portolan_wire::agent::{LetGo, from_agent};

use super::client::{Agent, Host};
use super::histories::{Lost, claim, epochs, lacks, put_back, showing};
use super::world::{World, eventually};

/// After half a minute the block of the second node, which the copy lacks, was leased to a third; the first node has
/// claimed it for the second.
async fn disputed() -> (World, Lost, Agent) {
    let (world, lost) = put_back().await;
    world.clock.advance(LONGEST / 1_000_000);
    let late = Agent::joined(&world, lost.cluster, "node-3", [10, 0, 0, 13]).await;
    let (mut stream, sent) = showing(&lost.one, &world, &lost.has).await;
    claim(&mut stream, lacks(&lost.state, &sent)).await;
    assert_eq!(epochs(&world)[0].disputes.len(), 1);
    assert_eq!(world.blocks(lost.two.id), []);
    (world, lost, late)
}

#[tokio::test]
async fn a_block_in_dispute_is_leased_to_who_has_pods_in_it_once_the_other_gives_it_back() {
    let (world, lost, late) = disputed().await;
    let leased = world.blocks(late.id)[0].clone();
    let (mut stream, ..) = late.fresh(&world).await;
    let blocks = vec![leased.id.as_bytes().to_vec()];
    stream
        .send(from_agent::Message::LetGo(LetGo {
            blocks,
            ..LetGo::default()
        }))
        .await;
    let taken_back = eventually("the lease is taken back", || {
        Some(world.blocks(lost.two.id)).filter(|blocks| !blocks.is_empty())
    })
    .await;
    let was = lost
        .state
        .blocks
        .iter()
        .find(|block| block.node_id == lost.two.id.as_bytes());
    assert_eq!(taken_back[0].cidr, leased.cidr);
    assert_eq!(
        Some(taken_back[0].id.as_bytes().to_vec()),
        was.map(|block| block.id.clone())
    );
    let [epoch] = &epochs(&world)[..] else { panic!() };
    assert_eq!((epoch.blocks_found, epoch.disputes.len()), (1, 0));
    let found = world.node(lost.two.id).unwrap();
    assert!(
        found.found.is_some() && found.key_hash.is_none(),
        "it waits to be admitted"
    );
}

#[tokio::test]
async fn a_block_in_dispute_is_leased_to_who_has_pods_in_it_once_the_other_is_off() {
    let (world, lost, late) = disputed().await;
    let leased = world.blocks(late.id)[0].clone();
    world.write(Command::Delete(Delete::Node(late.id))).await;
    assert_eq!(world.blocks(lost.two.id), [], "its holder was not heard to have let go");
    world.write(Command::ReleaseBlock(leased.id)).await;
    assert_eq!(world.blocks(lost.two.id)[0].cidr, leased.cidr);
    assert_eq!(world.control.read(|view| view.all::<QuarantinedBlock>().count()), 0);
}

#[tokio::test]
async fn a_node_that_is_removed_before_it_has_shown_what_it_holds_is_awaited_all_the_same() {
    let (world, lost) = put_back().await;
    world.write(Command::Delete(Delete::Node(lost.one.id))).await;
    let token = world.token(lost.cluster, None).await;
    let host = Host::new("node-3", [10, 0, 0, 13]);
    let refused = host.join(&world, &token).await.unwrap_err();
    assert_eq!(refused.code, "leases.wait");
    world.clock.advance(LONGEST / 1_000_000);
    host.join(&world, &token).await.unwrap();
}

#[tokio::test]
async fn what_was_asked_in_a_history_that_is_lost_is_not_decided_in_the_next() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (world, copy) = world.backed_up().await;
    drop(one.fresh(&world).await);
    Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let told = world.control.read(|view| view.point(view.head()));
    let world = world.put_back(&copy).await;
    let block = world.blocks(one.id)[0].id;
    let give_back = |node: NodeId| {
        let blocks = vec![block];
        Request::agent(node, Command::ReturnBlocks { node, blocks })
    };
    let decided = world.control.write(give_back(one.id).within(told)).await;
    assert!(matches!(decided, Err(Refusal::StoreUnavailable { .. })), "{decided:?}");
    assert_eq!(world.blocks(one.id).len(), 1);
    let now = world.control.read(|view| view.point(view.head()));
    world.control.write(give_back(one.id).within(now)).await.unwrap();
    assert_eq!(world.blocks(one.id), []);
}
