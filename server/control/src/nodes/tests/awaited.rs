use portolan_core::model::Awaited;

use super::client::Agent;
use super::world::{World, eventually};

#[tokio::test]
async fn by_a_clock_that_is_behind_the_last_contact_is_still_the_one_of_before() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let node = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let stream = node.fresh(&world).await;
    let came = eventually("online", || world.status(node.id).filter(|status| status.online)).await;
    world.clock.advance(-2 * 24 * 3600);
    let world = world.restart().await;
    drop(stream);
    let started = world.control.now();
    assert!(started < came.since);
    let awaited = Some(Awaited {
        since: started,
        heard: came.since,
    });
    eventually("waited for", || {
        (world.status(node.id).unwrap().awaited == awaited).then_some(())
    })
    .await;
    world.clock.advance(10);
    let silent = eventually("silent", || world.status(node.id).filter(|status| !status.online)).await;
    assert_eq!(silent.since, came.since, "and not when the server started");
}

#[tokio::test]
async fn after_a_restart_a_node_is_waited_for_and_its_last_contact_is_the_one_of_before() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let streams = (one.fresh(&world).await, two.fresh(&world).await);
    for agent in [&one, &two] {
        eventually("online", || world.status(agent.id).filter(|status| status.online)).await;
    }
    let came = world.control.now();
    // It says from time to time that it lives, and with it that nodes are heard.
    world.clock.advance(40);
    let beat = world.control.now();
    world.hub.beat(beat);
    eventually("written", || {
        let status = [&one, &two].map(|agent| world.status(agent.id).unwrap());
        status.iter().any(|status| status.beat == beat).then_some(())
    })
    .await;
    world.clock.advance(10 * 60);
    let world = world.restart().await;
    drop(streams);
    let started = world.control.now();
    assert!(started > beat && beat > came);
    let awaited = Some(Awaited {
        since: started,
        heard: beat,
    });
    let waits = |agent: &Agent| world.status(agent.id).unwrap().awaited;
    eventually("waited for", || (waits(&two) == awaited).then_some(())).await;

    let _stream = one.fresh(&world).await;
    eventually("back", || waits(&one).is_none().then_some(())).await;
    assert!(world.status(one.id).unwrap().online);
    assert_eq!(waits(&two), awaited);
    world.clock.advance(10);
    let silent = eventually("silent", || world.status(two.id).filter(|status| !status.online)).await;
    assert_eq!((silent.since, silent.awaited), (beat, None));
}
