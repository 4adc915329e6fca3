use super::*;
use crate::kinds::quarantined_blocks::{Former, HeldBlock, HeldBlocks};

fn node() -> NodeFacts {
    NodeFacts {
        name: "node-2".into(),
        joined: true,
        found: false,
        online: true,
        since: 0,
        awaited: None,
        applied_revision: 7,
        wanted_revision: 7,
        exception: None,
        path: None,
    }
}

fn port(node: Option<NodeFacts>) -> PortFacts {
    PortFacts {
        enabled: true,
        has_address: true,
        node,
        not_reached: None,
    }
}

fn no_route(more: u64) -> NoRoute {
    NoRoute {
        node: "node-1".into(),
        block: "10.1.0.64/26".parse().unwrap(),
        words: "File exists".into(),
        more,
    }
}

fn no_block(more: u64) -> NoBlock {
    NoBlock {
        node: "node-4".into(),
        more,
        blocks: 4,
        empty: vec!["node-1".into(), "node-2".into()],
        held: HeldBlocks::default(),
    }
}

fn code(facts: &PortFacts) -> (PortStatus, &'static str) {
    let (status, cause) = derive(facts);
    (status, cause.map_or("", |c| c.code()))
}

#[test]
fn each_broken_link_is_the_reason() {
    use PortStatus::{Active, Build, Degraded, Disabled, Down, Error};
    assert_eq!(code(&port(Some(node()))), (Active, ""));
    assert_eq!(
        code(&PortFacts {
            enabled: false,
            ..port(Some(node()))
        }),
        (Disabled, "port.disabled")
    );
    assert_eq!(
        code(&PortFacts {
            has_address: false,
            ..port(None)
        }),
        (Down, "port.no_address")
    );
    assert_eq!(code(&port(None)), (Down, "port.not_attached"));
    assert_eq!(
        code(&port(Some(NodeFacts {
            joined: false,
            online: false,
            ..node()
        }))),
        (Build, "port.node_expected")
    );
    assert_eq!(
        code(&port(Some(NodeFacts {
            online: false,
            ..node()
        }))),
        (Down, "port.node_silent")
    );
    assert_eq!(
        code(&port(Some(NodeFacts {
            applied_revision: 6,
            ..node()
        }))),
        (Build, "port.node_behind")
    );
    let refused = NodeFacts {
        exception: Some(NotHeld::Refused("File exists".into(), 4)),
        ..node()
    };
    assert_eq!(code(&port(Some(refused.clone()))), (Error, "port.kernel_refused"));
    let not_reached = |node| PortFacts {
        not_reached: Some(no_route(0)),
        ..port(Some(node))
    };
    assert_eq!(code(&not_reached(node())), (Degraded, "port.not_reached"));
    assert_eq!(code(&not_reached(refused)), (Error, "port.kernel_refused"));
}

#[test]
fn what_comes_after_the_first_failure_is_unknown() {
    let facts = port(Some(NodeFacts {
        online: false,
        ..node()
    }));
    let states: Vec<_> = chain(&facts).into_iter().map(|(_, state, _)| state).collect();
    use StepState::{Failed, Ok, Unknown};
    assert_eq!(states, [Ok, Ok, Ok, Failed, Unknown, Unknown, Unknown]);
}

#[test]
fn single_pods_do_not_take_their_node_with_them() {
    use NodeState::{Behind, Error, Expected, Ready, Silent};
    let said = |facts, beside: &Beside| {
        let (state, cause) = super::node(facts, beside);
        (state, cause.map(|cause| cause.reason(|at| at.to_string()).sentence))
    };
    let none = Beside::default();
    let pods = |n| Beside {
        pods: Some((n, "File exists".into())),
        ..Beside::default()
    };
    assert_eq!(said(node(), &none), (Ready, None));
    assert_eq!(
        said(node(), &pods(1)),
        (Ready, Some("1 pod has trouble: File exists.".into()))
    );
    assert_eq!(
        said(node(), &pods(3)),
        (Ready, Some("3 pods have trouble, such as: File exists.".into()))
    );
    let routes = |more| Beside {
        no_route: Some(no_route(more)),
        ..pods(1)
    };
    assert_eq!(
        said(node(), &routes(0)),
        (
            Ready,
            Some("No route to block 10.1.0.64/26 of node-1: File exists.".into())
        )
    );
    assert_eq!(
        said(node(), &routes(2)),
        (
            Ready,
            Some("No route to block 10.1.0.64/26 of node-1 and 2 more: File exists.".into())
        )
    );
    let full = Beside {
        no_block: Some(no_block(0)),
        ..routes(0)
    };
    assert_eq!(
        said(node(), &full),
        (
            NodeState::NoBlock,
            Some("node-4 has no free block: all 4 are leased; nodes with empty blocks: node-1, node-2.".into())
        )
    );
    let expected = || NodeFacts {
        joined: false,
        ..node()
    };
    assert_eq!(super::node(expected(), &full).0, Expected);
    assert_eq!(
        super::node(expected(), &full).1.unwrap().code(),
        NoBlock::CODE,
        "it cannot join"
    );
    let state = |facts| said(facts, &pods(1)).0;
    let refused = NodeFacts {
        exception: Some(NotHeld::Refused("no such device".into(), 1)),
        ..node()
    };
    assert_eq!(state(refused), Error);
    let silent = NodeFacts {
        online: false,
        ..node()
    };
    assert_eq!(state(silent), Silent);
    assert_eq!(state(expected()), Expected);
    let behind = NodeFacts {
        applied_revision: 6,
        ..node()
    };
    assert_eq!(state(behind.clone()), Behind);
    assert_eq!(super::node(behind, &full).0, NodeState::NoBlock);
    let awaited = NodeFacts {
        awaited: Some((9, 5)),
        ..node()
    };
    assert_eq!(
        said(awaited, &full),
        (
            NodeState::Awaited,
            Some("Not heard of node-2 since the control plane started at 9; last contact 5.".into())
        )
    );
}

#[test]
fn who_does_not_reach_a_pod_is_named() {
    let said = |more| Cause::NotReached(no_route(more)).reason(|at| at.to_string());
    assert_eq!(
        said(0).sentence,
        "node-1 has no route to this pod's block 10.1.0.64/26: File exists."
    );
    assert_eq!(
        said(1).sentence,
        "node-1 and 1 more node have no route to this pod's block 10.1.0.64/26: File exists."
    );
    assert_eq!(
        said(2).params[0],
        ("node".into(), "node-1 (+2)".into()),
        "for translations"
    );
}

#[test]
fn a_port_keeps_its_status_while_its_node_is_waited_for() {
    let awaited = |node| NodeFacts {
        awaited: Some((9, 5)),
        ..node
    };
    let facts = port(Some(awaited(node())));
    assert_eq!(code(&facts), (PortStatus::Active, ""));
    let online = &chain(&facts)[3];
    assert_eq!((online.0, online.1), (Step::NodeOnline, StepState::Waiting));
    assert_eq!(online.2.as_ref().map(Cause::code), Some("node.awaited"));
    let refused = NodeFacts {
        exception: Some(NotHeld::Refused("File exists".into(), 4)),
        ..awaited(node())
    };
    assert_eq!(code(&port(Some(refused))), (PortStatus::Error, "port.kernel_refused"));
    let silent = NodeFacts {
        online: false,
        ..awaited(node())
    };
    assert_eq!(code(&port(Some(silent))), (PortStatus::Down, "port.node_silent"));
}

#[test]
fn a_found_node_waits_and_a_copied_one_works_on_without_a_further_block() {
    let said = |facts, beside: &Beside| {
        let (state, cause) = super::node(facts, beside);
        (state, cause.map_or("", |cause| cause.code()))
    };
    let found = || NodeFacts {
        joined: false,
        online: false,
        found: true,
        ..node()
    };
    let copied = |no_block| Beside {
        copied: Some(9),
        no_block,
        ..Beside::default()
    };
    assert_eq!(said(found(), &Beside::default()), (NodeState::Found, "node.waits"));
    assert_eq!(code(&port(Some(found()))), (PortStatus::Down, "node.waits"));
    assert_eq!(said(node(), &copied(None)), (NodeState::Copied, "node.copied"));
    let full = copied(Some(no_block(0)));
    assert_eq!(said(node(), &full), (NodeState::Copied, "node.copied"));
    let silent = NodeFacts {
        online: false,
        ..node()
    };
    assert_eq!(said(silent, &full), (NodeState::Silent, "port.node_silent"));
    assert!(!NodeState::Found.counts_as_ready() && NodeState::Copied.counts_as_ready());
}

#[test]
fn a_node_whose_packets_arrive_nowhere_is_not_ready_and_a_pair_is_said_as_a_pair() {
    let trouble = || PathTrouble {
        from: "node-2".into(),
        to: "node-1".into(),
        fault: Fault::Tcp,
        more: 1,
    };
    let said = |facts, beside: &Beside| {
        let (state, cause) = super::node(facts, beside);
        (state, cause.map_or("", |cause| cause.code()))
    };
    let cut_off = NodeFacts {
        path: Some(trouble()),
        ..node()
    };
    assert_eq!(
        said(cut_off.clone(), &Beside::default()),
        (NodeState::NoPath, "port.path_fails")
    );
    assert_eq!(
        code(&port(Some(cut_off.clone()))),
        (PortStatus::Degraded, "port.path_fails")
    );
    let refused = NodeFacts {
        exception: Some(NotHeld::Refused("File exists".into(), 4)),
        ..cut_off
    };
    assert_eq!(
        said(refused, &Beside::default()).0,
        NodeState::Error,
        "what is known to be the cause comes first"
    );
    let pair = Beside {
        pair: Some(trouble()),
        not_proven: Some(NotProven::NoOtherNode),
        ..Beside::default()
    };
    assert_eq!(said(node(), &pair), (NodeState::Ready, "node.pair_fails"));
    let alone = Beside {
        not_proven: Some(NotProven::NoOtherNode),
        ..Beside::default()
    };
    assert_eq!(said(node(), &alone), (NodeState::Ready, "node.no_other_node"));
    let paused = Beside {
        paused: Some(("anna".into(), 5)),
        ..pair
    };
    assert_eq!(said(node(), &paused), (NodeState::Ready, "node.paused"));
    let differs = NodeFacts {
        exception: Some(NotHeld::Left("the route 10.1.0.64/26 is left so".into())),
        ..node()
    };
    assert_eq!(said(differs, &paused), (NodeState::Error, "port.healing_paused"));
    assert!(!NodeState::NoPath.counts_as_ready());
}

#[test]
fn who_has_not_let_go_of_a_block_is_named_where_none_is_free() {
    let held = HeldBlocks(vec![HeldBlock {
        cidr: "10.1.0.0/26".parse().unwrap(),
        node: "node-1".into(),
        former: Former::Removed,
    }]);
    let reason = NoBlock { held, ..no_block(0) }.reason();
    assert_eq!(
        reason.sentence,
        "node-4 has no free block: all 4 are leased; nodes with empty blocks: node-1, node-2; 10.1.0.0/26 is held by \
         removed node-1, which has not let go."
    );
    assert!(
        reason.params.contains(&("held".into(), "10.1.0.0/26 (node-1)".into())),
        "{reason:?}"
    );
}
