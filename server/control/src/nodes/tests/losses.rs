//! What others take away from a node: told once a minute, and counted.

use portolan_core::change::Commit;
use portolan_core::command::Actor;
use portolan_core::kinds::losses::{Losses, LossesId};
use portolan_core::model::Object;
use portolan_shared::losses::LossKind;
use portolan_wire::agent::{Applied, Loss, PodReport, from_agent::Message as Out, to_agent::Message as In};

use super::client::Agent;
use super::reports::online;
use super::world::{World, eventually};
use crate::feed::Next;

/// Whether a commit has to do with losses.
fn tells_losses(commit: &Commit) -> bool {
    commit
        .changes
        .iter()
        .any(|change| match (&change.object, &change.before) {
            (Object::Losses(_), _) => true,
            (Object::NodeStatus(now), Some(Object::NodeStatus(before))) => now.losses != before.losses,
            _ => false,
        })
}

#[tokio::test]
async fn a_host_where_something_flaps_makes_a_commit_a_minute() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, _, snapshot) = agent.fresh(&world).await;
    online(&world, &agent).await;
    let mut feed = world.control.feed().subscribe(Some(world.head()));
    let flap = |n: u32| {
        Out::Applied(Applied {
            revision: snapshot.revision,
            exceptions: Vec::new(),
            paused: None,
            losses: vec![Loss {
                kind: "routes".into(),
                objects: 14,
                first_seen: i64::from(n),
                back_after_ms: Some(3),
                today: n,
                contested: false,
                by: "systemd-networkd".into(),
            }],
        })
    };
    let said = |n: u32| {
        let status = world.status(agent.id)?;
        status.losses.first().filter(|loss| loss.today == n).map(drop)
    };
    stream.send(flap(1)).await;
    eventually("the first is said at once", || said(1)).await;
    for n in 2..=50 {
        stream.send(flap(n)).await;
        stream.send(Out::Pods(PodReport::default())).await;
        assert!(matches!(stream.news().await, Some(In::PodAck(_))));
    }
    world.clock.advance(59);
    stream.send(flap(51)).await;
    stream.send(Out::Pods(PodReport::default())).await;
    assert!(matches!(stream.news().await, Some(In::PodAck(_))));
    assert!(world.hub.losses.wait_for(agent.id));
    world.clock.advance(1);
    stream.send(flap(52)).await;
    eventually("the newest is said after a minute", || said(52)).await;

    let mut commits = Vec::new();
    while let Some(next) = feed.try_next() {
        let Next::Commit(commit) = next else {
            panic!("the feed is complete")
        };
        commits.extend(tells_losses(&commit).then_some(commit));
    }
    assert_eq!(commits.len(), 2, "{commits:?}");
    assert!(commits.iter().all(|commit| commit.actor == Actor::Node(agent.id)));
    let id = LossesId {
        cluster,
        node: agent.id,
        kind: LossKind::Routes,
    };
    let row = world.control.read(|view| view.get::<Losses>(id).cloned()).unwrap();
    assert_eq!((row.times, row.newest.today), (52, 52), "each is counted");
}
