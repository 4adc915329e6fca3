//! A control plane that is put back to an older copy of its database, while agents and pods run on real kernels.

#![expect(clippy::disallowed_methods, reason = "a test puts a file in another's place")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{IN_TIME, Lab, ask_from, may_run};
use portolan_lab::api::Api;
use portolan_lab::protocol::{Report, Request};
use portolan_lab::wait::until;
use portolan_shared::v1::{List, NodeRow, NodeState};
use serde_json::Value;

/// More pods than a block has addresses for.
const MANY: usize = 66;

/// What the demo's user reads.
struct Demo<'a> {
    api: Api,
    report: &'a Report,
}

impl Demo<'_> {
    /// Reads as somebody who has just logged in: a session of before the restore is none.
    fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> Option<T> {
        let user = self.report.users.iter().find(|user| user.name == "demo")?;
        let token = self.api.log_in(&user.name, &user.password, &user.project).ok()?;
        self.api.read(path, &token).ok()
    }

    fn nodes(&self) -> Option<Vec<NodeRow>> {
        let cluster = self.report.cluster.as_ref()?;
        let (project, id) = (&cluster.project_id, &cluster.id);
        let path = format!("/portolan/v1/projects/{project}/clusters/{id}/nodes");
        Some(self.read::<List<NodeRow>>(&path)?.items)
    }

    /// The addresses of pods' ports.
    fn pods(&self) -> Option<BTreeSet<String>> {
        let list: Value = self.read("/v2.0/ports?device_owner=portolan:pod")?;
        let address = |port: &Value| Some(port["fixed_ips"][0]["ip_address"].as_str()?.to_owned());
        list["ports"].as_array()?.iter().map(address).collect()
    }
}

fn becomes(what: &str, mut look: impl FnMut() -> bool) {
    let seen = until(IN_TIME, || Ok::<_, ()>(look().then_some(())));
    assert_eq!(seen, Ok(Some(())), "it never is so that {what}");
}

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
    let demo = Demo {
        api: Api::new(lab.report.url.strip_prefix("http://").unwrap().parse().unwrap()),
        report: &lab.report,
    };
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
    let blocks = |demo: &Demo<'_>| {
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
