//! When losses are written, and how they are counted.

use portolan_shared::ids::PortId;

use super::*;
use crate::model::{Meta, NodeStatus, Object};

const SECOND: Micros = 1_000_000;

fn node() -> Node {
    Node {
        id: NodeId::from_bytes([4; 16]),
        meta: Meta {
            project: ProjectId::from_bytes([1; 16]),
            revision: 1,
            revision_number: 0,
            created_at: 0,
            updated_at: 0,
        },
        cluster: ClusterId::from_bytes([5; 16]),
        name: "node-1".to_owned(),
        addresses: Vec::new(),
        port: PortId::from_bytes([6; 16]),
        joined_at: Some(0),
        key_hash: Some([7; 32]),
        found: None,
    }
}

/// A loss of routes, seen at some second of the day.
fn loss(second: Micros, today: u32, back_after_ms: Option<u64>) -> Loss {
    Loss {
        kind: LossKind::Routes,
        objects: 1,
        first_seen: second * SECOND,
        back_after_ms,
        today,
        contested: false,
        by: None,
    }
}

/// A view in which these losses are told, the newest since `written_at`.
fn view(told: &[Loss], written_at: Micros) -> View {
    let (node, mut view) = (node(), View::default());
    for loss in told {
        let losses = Losses {
            written_at,
            ..Losses::none(&node, loss)
        };
        view.put(Object::from(losses));
    }
    view.put(Object::from(NodeStatus {
        online: true,
        losses: told.to_vec(),
        ..NodeStatus::of(&node, 1, 0)
    }));
    view
}

#[test]
fn one_is_written_at_once_and_the_next_after_a_minute() {
    let (first, next) = (loss(10, 1, Some(12)), loss(11, 2, Some(9)));
    let begin = due(&View::default(), &node(), std::slice::from_ref(&first), 10 * SECOND);
    assert_eq!((begin.now, begin.more_at), (Some(vec![first.clone()]), None));
    let view = view(std::slice::from_ref(&first), 10 * SECOND);
    let same = due(&view, &node(), &[first], 11 * SECOND);
    assert_eq!(same, Due::default(), "nothing is new");
    let at = |now| due(&view, &node(), std::slice::from_ref(&next), now);
    let waits = Due {
        now: None,
        more_at: Some(70 * SECOND),
    };
    assert_eq!(at(11 * SECOND), waits);
    assert_eq!(at(70 * SECOND - 1), waits);
    let written = Due {
        now: Some(vec![next.clone()]),
        more_at: None,
    };
    assert_eq!(at(70 * SECOND), written);
    assert_eq!(at(9 * SECOND), written, "the clock was set back");
}

#[test]
fn another_cause_waits_for_nobody() {
    let first = loss(10, 1, Some(12));
    let view = view(std::slice::from_ref(&first), 10 * SECOND);
    let other = Loss {
        kind: LossKind::Forwarding,
        ..loss(11, 1, None)
    };
    let both = [other.clone(), loss(11, 2, Some(3))];
    let due = due(&view, &node(), &both, 11 * SECOND);
    assert_eq!(due.now, Some(vec![other, first]), "what waits is said as it was");
    assert_eq!(due.more_at, Some(70 * SECOND));
}

#[test]
fn the_end_of_one_that_is_said_to_be_open_is_written_at_once() {
    let open = loss(10, 1, None);
    let view = view(std::slice::from_ref(&open), 10 * SECOND);
    let more = Loss {
        objects: 9,
        ..open.clone()
    };
    assert_eq!(due(&view, &node(), &[more], 11 * SECOND).now, None, "it is open still");
    let over = loss(10, 1, Some(1_500));
    let end = due(&view, &node(), std::slice::from_ref(&over), 11 * SECOND);
    assert_eq!((end.now, end.more_at), (Some(vec![over]), None));
    let next = due(&view, &node(), &[loss(11, 2, Some(3))], 12 * SECOND);
    assert_eq!(next.now, None, "another one waits, whatever is said of the first");
}

#[test]
fn what_an_agent_forgot_is_not_said_any_longer() {
    let view = view(&[loss(10, 1, None)], 10 * SECOND);
    let due = due(&view, &node(), &[], 11 * SECOND);
    assert_eq!(due.now, Some(Vec::new()));
}

#[test]
fn all_are_counted_that_an_agent_told_of_whichever_are_written() {
    let counted = |known: &Losses, loss: &Loss| known.times + u64::from(known.news(loss));
    let first = loss(10, 1, Some(12));
    let none = Losses::none(&node(), &first);
    assert_eq!(counted(&none, &first), 1);
    assert_eq!(
        counted(&none, &loss(10, 4, None)),
        4,
        "earlier ones were told to another store, or to nobody"
    );
    let known = Losses { times: 1, ..none };
    assert_eq!(counted(&known, &first), 1);
    assert_eq!(counted(&known, &loss(70, 8, None)), 8, "seven since");
    assert_eq!(counted(&known, &loss(70, 1, None)), 2, "the agent was started anew");
    assert_eq!(counted(&known, &loss(86_400, 3, None)), 4, "three of the next day");
}
