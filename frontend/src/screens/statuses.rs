//! STATUSES.md, made of the derivation that the server uses and of the console's words: it says what is said of every
//! situation, and where. A derivation that changes fails here, with the file as it should be.

use std::fmt::Write;

use portolan_shared::kinds::quarantined_blocks::{Former, HeldBlock, HeldBlocks};
use portolan_shared::stages::{Because, ClusterFacts, NodeFacts as ClusterNode};
use portolan_shared::status::{
    Beside, Cause, Fault, Found, NoBlock, NoRoute, NodeFacts, NotHeld, NotProven, PathTrouble, PortFacts, PortStatus,
    Reason, chain, derive, node,
};
use portolan_shared::v1::{ClusterState, NodeState, NodesFrom};

use super::words;
use crate::components::status::reason_text;
use crate::components::why::step_name;
use crate::i18n::t;

const FILE: &str = include_str!("../../../STATUSES.md");

const HEAD: &str = "# What is said of what, and where

Every situation that the derivation of statuses knows (`shared/src/status.rs`, `shared/src/stages.rs`), with what each
place says of it. A test makes this file of the derivation itself and compares (`frontend/src/screens/statuses.rs`): edit
that, run `cargo nextest run --no-output-indent -p portolan-console statuses`, and take what it prints.

The API gives a code and an English sentence with every reason; the console says the same in the reader's language, by the
code. A status is derived when it is read, so all places say one thing at one time. `/metrics` counts nodes that are online
(`portolan_nodes_online`) and says nothing of single ports. CNI's STATUS is the agent's own word about addresses, whatever
the control plane knows.
";

/// 2026-11-21 12:04:31 and before, UTC, in microseconds.
const NOW: i64 = 1_795_262_671_000_000;
const STARTED: i64 = NOW - 4_000_000;
const HEARD: i64 = NOW - 180_000_000;

/// A node that does all its work.
fn well() -> NodeFacts {
    NodeFacts {
        name: "node-2".into(),
        joined: true,
        found: false,
        online: true,
        since: HEARD,
        awaited: None,
        applied_revision: 7,
        wanted_revision: 7,
        exception: None,
        path: None,
    }
}

fn left(words: &str) -> NodeFacts {
    NodeFacts {
        exception: Some(NotHeld::Left(words.into())),
        ..well()
    }
}

fn refused(words: &str) -> NodeFacts {
    NodeFacts {
        exception: Some(NotHeld::Refused(words.into(), 4)),
        ..well()
    }
}

fn path(fault: Fault, more: u64) -> PathTrouble {
    PathTrouble {
        from: "node-2".into(),
        to: "node-1".into(),
        fault,
        more,
    }
}

fn cut_off() -> NodeFacts {
    NodeFacts {
        path: Some(path(Fault::Pods, 2)),
        ..well()
    }
}

fn expected() -> NodeFacts {
    NodeFacts {
        joined: false,
        online: false,
        ..well()
    }
}

fn found() -> NodeFacts {
    NodeFacts {
        found: true,
        ..expected()
    }
}

fn silent() -> NodeFacts {
    NodeFacts {
        online: false,
        ..well()
    }
}

fn awaited() -> NodeFacts {
    NodeFacts {
        awaited: Some((STARTED, HEARD)),
        ..well()
    }
}

fn behind() -> NodeFacts {
    NodeFacts {
        wanted_revision: 8,
        ..well()
    }
}

fn no_route(node: &str) -> NoRoute {
    NoRoute {
        node: node.into(),
        block: "10.1.0.64/26".parse().unwrap(),
        words: "the kernel refused the route: File exists".into(),
        more: 0,
    }
}

fn no_block() -> NoBlock {
    NoBlock {
        node: "node-2".into(),
        more: 0,
        blocks: 4,
        empty: vec!["node-1".into()],
        held: HeldBlocks::default(),
    }
}

fn all_held() -> NoBlock {
    let held = HeldBlock {
        cidr: "10.1.0.0/26".parse().unwrap(),
        node: "node-3".into(),
        former: Former::Removed,
    };
    NoBlock {
        blocks: 3,
        held: HeldBlocks(vec![held]),
        ..no_block()
    }
}

fn on(node: NodeFacts) -> PortFacts {
    PortFacts {
        enabled: true,
        has_address: true,
        node: Some(node),
        not_reached: None,
    }
}

/// Ports, each in a situation.
fn ports() -> Vec<(&'static str, PortFacts)> {
    let bare = PortFacts {
        node: None,
        ..on(well())
    };
    vec![
        ("All is well", on(well())),
        (
            "Switched off (never a pod's or a node's: 409 `port.always_on`)",
            PortFacts {
                enabled: false,
                ..bare.clone()
            },
        ),
        (
            "It has no address",
            PortFacts {
                has_address: false,
                ..bare.clone()
            },
        ),
        ("Nothing is attached", bare),
        ("Its node has not joined", on(expected())),
        ("Its node was found again and waits to be admitted", on(found())),
        ("Its node is silent", on(silent())),
        (
            "The control plane was started, its node has not come back yet (10 s)",
            on(awaited()),
        ),
        ("Its node has not applied it yet", on(behind())),
        (
            "Its node's kernel refused something of it",
            on(refused("the link is gone")),
        ),
        (
            "Another node has no route to its block",
            PortFacts {
                not_reached: Some(no_route("node-3")),
                ..on(well())
            },
        ),
        (
            "Packets between its node's pods and most other nodes do not arrive (pods' ports only)",
            on(cut_off()),
        ),
    ]
}

/// A node in a situation, and what is said of it where no derivation says it.
struct Situation {
    what: &'static str,
    facts: NodeFacts,
    beside: Beside,
    cni: &'static str,
    log: &'static str,
}

/// CNI's STATUS where the agent has addresses, and where it has none.
const CNI_WELL: &str = "well, while addresses are free";
const CNI_NONE: &str = "50 once none is free: \"all pod addresses of this node's blocks are given\"";
const CNI_NOBODY: &str = "50: \"the agent did not answer on …\"";

fn situations() -> Vec<Situation> {
    let none = Beside::default;
    let full = || Beside {
        no_block: Some(no_block()),
        ..none()
    };
    let paused = || Beside {
        paused: Some(("anna".into(), HEARD)),
        ..none()
    };
    let case = |what, facts, beside, cni, log| Situation {
        what,
        facts,
        beside,
        cni,
        log,
    };
    vec![
        case("All is well", well(), none(), CNI_WELL, ""),
        case("No agent has joined", expected(), none(), CNI_NOBODY, ""),
        case(
            "No agent can join: no block is free",
            expected(),
            full(),
            CNI_NOBODY,
            "",
        ),
        case(
            "The database was put back, and does not have it; another node has shown its lease",
            found(),
            none(),
            CNI_WELL,
            "WARN a node has shown that the store had another history",
        ),
        case(
            "Its agent does not report",
            silent(),
            none(),
            "as the agent, if it runs, knows",
            "WARN the node's agent does not report any more",
        ),
        case(
            "The control plane was started, it has not come back yet (10 s)",
            awaited(),
            none(),
            CNI_WELL,
            "INFO waiting for nodes that were online before the start",
        ),
        case("It has not applied the newest yet", behind(), none(), CNI_WELL, ""),
        case(
            "Its kernel refused something of the node or its own blocks",
            refused("IPv4 forwarding is off"),
            none(),
            CNI_WELL,
            "",
        ),
        case(
            "It asks for a block, none is free",
            well(),
            full(),
            CNI_NONE,
            "WARN cannot lease a block",
        ),
        case(
            "It asks for a block, none is free, one is in quarantine",
            well(),
            Beside {
                no_block: Some(all_held()),
                ..none()
            },
            CNI_NONE,
            "WARN cannot lease a block",
        ),
        case(
            "Two machines have shown its identity",
            well(),
            Beside {
                copied: Some(HEARD),
                ..none()
            },
            CNI_WELL,
            "ERROR two machines show the identity of one node",
        ),
        case(
            "It has no route to another's block",
            well(),
            Beside {
                no_route: Some(no_route("node-1")),
                ..none()
            },
            CNI_WELL,
            "",
        ),
        case(
            "Packets between its pods and most other nodes do not arrive",
            cut_off(),
            none(),
            CNI_WELL,
            "",
        ),
        case(
            "Packets on a single path do not arrive",
            well(),
            Beside {
                pair: Some(path(Fault::FullSize, 0)),
                ..none()
            },
            CNI_WELL,
            "",
        ),
        case(
            "There is no other node, so no packet proves a path",
            well(),
            Beside {
                not_proven: Some(NotProven::NoOtherNode),
                ..none()
            },
            CNI_WELL,
            "",
        ),
        case(
            "Its agent cannot send probes",
            well(),
            Beside {
                not_proven: Some(NotProven::CannotProbe(
                    "UDP port 7157 is taken: Address already in use".into(),
                )),
                ..none()
            },
            CNI_WELL,
            "",
        ),
        case(
            "Somebody has paused healing on it",
            well(),
            paused(),
            CNI_WELL,
            "WARN healing is paused on a node",
        ),
        case(
            "The same, and something of the node is not as it is to be",
            left(
                "net/ipv4/ip_forward is not as it is to be, and is left so: healing is paused by anna since \
                 2026-11-21T12:01:31Z; portolan-agent resume ends that",
            ),
            paused(),
            CNI_WELL,
            "WARN healing is paused on a node",
        ),
        case(
            "Its kernel refused something of single pods",
            well(),
            Beside {
                pods: Some((1, "the link is gone".into())),
                ..none()
            },
            CNI_WELL,
            "",
        ),
    ]
}

/// As the API writes it.
fn json(word: impl serde::Serialize) -> String {
    let text = serde_json::to_string(&word).unwrap();
    format!("`{}`", text.trim_matches('"'))
}

/// Code, and what API and console say.
fn said(reason: Option<Reason>) -> String {
    match reason {
        None => "| | |".to_owned(),
        Some(reason) => format!(
            "| `{}` | {} | {} |",
            reason.code,
            reason.sentence,
            reason_text(&reason, NOW / 1_000, 0).replace('\u{a0}', " ")
        ),
    }
}

fn reason(cause: Option<&Cause>) -> Option<Reason> {
    cause.map(|cause| cause.reason(|at| portolan_shared::time::Time(at).to_string()))
}

/// A cluster of a node in this situation and of some that are well.
fn cluster(situation: &Situation, well: usize) -> ClusterFacts {
    let (word, _) = node(situation.facts.clone(), &situation.beside);
    let no_block = situation.beside.no_block.clone();
    let this = ClusterNode {
        joined_at: situation.facts.joined.then_some(0),
        ready: word.counts_as_ready(),
        no_block: no_block.is_some(),
        since: situation.facts.since,
    };
    let other = ClusterNode {
        joined_at: Some(0),
        ready: true,
        no_block: false,
        since: 0,
    };
    ClusterFacts {
        created_at: 0,
        external_ip: true,
        shadow_port: false,
        nodes_from: NodesFrom::Join,
        wanted: 0,
        nodes: [vec![this], vec![other; well]].concat(),
        no_block,
        found: situation.facts.found.then(|| Found {
            node: situation.facts.name.clone(),
            more: 0,
        }),
    }
}

/// What [`FILE`] should be; every word and code that it shows is added to `seen`.
fn written(seen: &mut Vec<String>) -> String {
    let mut out = HEAD.to_owned();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    line("\n## Ports\n".to_owned());
    line(
        "| situation | `/portolan/v1` | `/v2.0` | console | first in *Why?* | code | sentence | console's sentence |"
            .into(),
    );
    line("|---|---|---|---|---|---|---|---|".into());
    for (what, facts) in ports() {
        let (status, cause) = derive(&facts);
        let step = chain(&facts).into_iter().find(|(_, _, cause)| cause.is_some());
        seen.extend([json(status)]);
        seen.extend(cause.iter().map(|cause| cause.code().to_owned()));
        line(format!(
            "| {what} | {} | `{}` | {} | {} {}",
            json(status),
            status.networking(),
            t(words::status(status).1),
            step.map_or("", |(step, ..)| t(step_name(step))),
            said(reason(cause.as_ref()))
        ));
    }
    line("\n## Nodes\n".to_owned());
    line("| situation | state | console | its pods' ports | counts as ready | online in `/metrics` | CNI STATUS | control plane's log | code | sentence | console's sentence |".into());
    line("|---|---|---|---|---|---|---|---|---|---|---|".into());
    for situation in situations() {
        let (state, cause) = node(situation.facts.clone(), &situation.beside);
        let pods = derive(&on(situation.facts.clone())).0;
        let yes = |yes| if yes { "yes" } else { "no" };
        seen.push(json(state));
        seen.extend(cause.iter().map(|cause| cause.code().to_owned()));
        line(format!(
            "| {} | {} | {} | {}{} | {} | {} | {} | {} {}",
            situation.what,
            json(state),
            t(words::node_state(state).1),
            json(pods),
            if situation.beside.pods.is_some() {
                ", those refused `ERROR`"
            } else {
                ""
            },
            yes(state.counts_as_ready()),
            yes(situation.facts.online),
            situation.cni,
            situation.log,
            said(reason(cause.as_ref()))
        ));
    }
    line("\n## Clusters\n".to_owned());
    line("A cluster with one node in each of these situations, alone and beside one that is well. Pod subnets say of a missing block what their cluster says.\n".into());
    line("| node | alone | console | beside another | console | code | sentence | console's sentence |".into());
    line("|---|---|---|---|---|---|---|---|".into());
    for situation in situations() {
        let (alone, beside) = (cluster(&situation, 0), cluster(&situation, 1));
        let because = beside.because();
        seen.extend([json(alone.state()), json(beside.state())]);
        seen.extend(because.iter().map(|because| because.code().to_owned()));
        line(format!(
            "| {} | {} | {} | {} | {} {}",
            situation.what,
            json(alone.state()),
            t(words::cluster_state(alone.state()).1),
            json(beside.state()),
            t(words::cluster_state(beside.state()).1),
            said(because.as_ref().map(Because::reason))
        ));
    }
    for (what, state) in [
        ("No node at all, none from the lab", ClusterState::Empty),
        ("The lab has not made all of them yet", ClusterState::Creating),
    ] {
        let nodes_from = match state {
            ClusterState::Creating => NodesFrom::Lab,
            _ => NodesFrom::Join,
        };
        let facts = ClusterFacts {
            nodes_from,
            wanted: 2,
            nodes: vec![],
            ..cluster(&situations()[0], 0)
        };
        assert_eq!(facts.state(), state);
        seen.push(json(state));
        line(format!(
            "| {what} | {} | {} | | {}",
            json(state),
            t(words::cluster_state(state).1),
            said(None)
        ));
    }
    out
}

#[test]
fn the_file_says_what_is_said() {
    let written = written(&mut Vec::new());
    assert!(written == FILE, "STATUSES.md should be:\n{written}");
}

/// A word or a code that the derivation learns has a situation here.
#[test]
fn the_file_has_every_word_and_code() {
    let mut seen = Vec::new();
    written(&mut seen);
    use PortStatus::{Active, Build, Degraded, Disabled, Down, Error};
    let ports = [Active, Build, Degraded, Down, Disabled, Error].map(|status| {
        // One more does not compile until it is listed.
        match status {
            Active | Build | Degraded | Down | Disabled | Error => json(status),
        }
    });
    let nodes = {
        use NodeState::{Awaited, Behind, Copied, Error, Expected, Found, NoBlock, NoPath, Ready, Silent};
        [
            Expected, Ready, Awaited, Behind, Error, NoBlock, Silent, Found, Copied, NoPath,
        ]
        .map(|state| match state {
            Expected | Ready | Awaited | Behind | Error | NoBlock | Silent | Found | Copied | NoPath => json(state),
        })
    };
    let clusters = {
        use ClusterState::{Creating, Degraded, Down, Empty, Ready};
        [Empty, Creating, Ready, Degraded, Down].map(|state| match state {
            Empty | Creating | Ready | Degraded | Down => json(state),
        })
    };
    let codes = [Cause::CODES, Cause::NODE_CODES].concat();
    let codes = codes.iter().map(|code| (*code).to_owned());
    let all = ports.into_iter().chain(nodes).chain(clusters).chain(codes);
    let missing: Vec<String> = all.filter(|word| !seen.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
