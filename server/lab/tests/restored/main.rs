//! A control plane that is put back to an older copy of its database, while agents and pods run on real kernels.

#![expect(clippy::disallowed_methods, reason = "a test puts a file in another's place")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod demo;
mod guest;
#[path = "../../../control/tests/common/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "the store's tests use the rest of it")]
mod postgres;
mod routes;
mod standby;
#[path = "../neighbours/traffic.rs"]
#[expect(dead_code, reason = "the tests beside neighbours use the rest of it")]
mod traffic;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{Lab, ask_from, may_run};
use demo::{Demo, becomes};
use portolan_lab::protocol::{Report, Request};
use portolan_shared::v1::NodeState;

/// More pods than a block has addresses for.
const MANY: usize = 66;

fn addresses(report: &Report) -> BTreeSet<String> {
    report.pods.iter().map(|pod| pod.address.to_string()).collect()
}

/// Ends the control plane, does something to its database, and starts it again.
fn control_again(lab: &Lab, work: impl FnOnce(&Path)) {
    lab.ask(&Request::ControlKill);
    work(&lab.state.path().join("portolan.db"));
    lab.ask(&Request::ControlStart);
}

#[test]
fn what_pods_got_after_the_copy_is_theirs_after_it_is_put_back() {
    if !may_run() {
        return;
    }
    let lab = Lab::raise(&["--hosts", "2", "--pods", "2"]);
    let demo = Demo::of(&lab.report);
    let copy = lab.state.path().join("copy.db");
    control_again(&lab, |database| {
        // What is in the log beside it belongs to it.
        for suffix in ["", "-wal"] {
            let of = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                name
            };
            fs::copy(of(database), of(&copy)).unwrap();
        }
    });
    let add = |name: String| {
        lab.ask(&Request::PodAdd {
            cluster: None,
            host: "node-2".into(),
            name,
        })
    };
    let mut report = lab.ask(&Request::Status);
    for n in 0..MANY {
        report = add(format!("more-{n}"));
    }
    let blocks = |demo: &Demo| {
        let nodes = demo.nodes()?;
        Some(nodes.iter().find(|node| node.name == "node-2")?.blocks.len())
    };
    becomes("every pod has its port", || demo.pods() == Some(addresses(&report)));
    assert_eq!(blocks(&demo), Some(2));

    control_again(&lab, |database| {
        for suffix in ["-shm", "-wal", ""] {
            let of = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                name
            };
            drop(fs::remove_file(of(database)));
            if suffix != "-shm" {
                fs::copy(of(&copy), of(database)).unwrap();
            }
        }
    });
    becomes("every pod that runs has its port again", || {
        demo.pods() == Some(addresses(&report))
    });
    assert_eq!(blocks(&demo), Some(2), "the block is taken back, not leased again");
    becomes("all nodes are ready", || {
        let nodes = demo.nodes().unwrap_or_default();
        nodes.len() == 2 && nodes.iter().all(|node| node.state == NodeState::Ready)
    });
    // The first block's pods and the second's, from the other node and from a pod there.
    let far = report.pods.iter().find(|pod| pod.host == "node-1").unwrap();
    for name in ["more-0", &format!("more-{}", MANY - 1)] {
        let pod = report.pods.iter().find(|pod| pod.name == name).unwrap();
        assert_eq!(ask_from(&far.namespace, pod.echo), (far.address, name.to_owned()));
    }
    // And what comes now gets what nobody has.
    let before = addresses(&report);
    report = add("after".to_owned());
    let after = report.pods.iter().find(|pod| pod.name == "after").unwrap();
    assert!(
        !before.contains(&after.address.to_string()),
        "{} is given twice",
        after.address
    );
    becomes("it has a port", || demo.pods() == Some(addresses(&report)));
}
