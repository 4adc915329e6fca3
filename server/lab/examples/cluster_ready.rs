//! From creating a cluster to all its nodes being ready:
//! `cargo run --release -p portolan-lab --example cluster_ready [ROUNDS] [NODES,…] [MOST_MS]`
//!
//! Raises a lab (the release programs, built before; root needed), and again and again creates a cluster with nodes from
//! the lab through the API and deletes it. Times from sending the request until the cluster's page says ready: hosts
//! made, agents joined with their certificates, blocks leased, routes written and reported; and from sending the delete
//! until no host of it is left. At the end the lab is asked to end: nothing of it may be left, and not later than after
//! `MOST_MS`, if that is given.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Client, Ends, raise, summary};
use portolan_lab::netns;
use portolan_lab::protocol::{self, Request};
use portolan_lab::wait::until;
use portolan_shared::v1::{ClusterRow, ClusterState, One};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// How long a cluster may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let sizes = std::env::args().nth(2).unwrap_or_else(|| "3,16".to_owned());
    let most = std::env::args()
        .nth(3)
        .map(|text| Duration::from_millis(text.parse().unwrap()));
    let state = tempfile::tempdir().unwrap();
    let (lab, report) = raise(1, state.path());
    let client = Client::new(&report);
    for nodes in sizes.split(',').map(|text| text.parse::<u64>().unwrap()) {
        let (mut ready, mut gone) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let begin = Instant::now();
            let wanted = json!({ "name": "bench", "nodes_from": "lab", "nodes": nodes });
            let made: One<ClusterRow> = client.api.write(&client.clusters, &client.token, &wanted).unwrap();
            let path = format!("{}/{}", client.clusters, made.item.id);
            wait("the cluster is not ready", || {
                let shown: One<ClusterRow> = client.api.read(&path, &client.token).unwrap();
                shown.item.state == ClusterState::Ready && shown.item.nodes_ready == nodes
            });
            ready.push(begin.elapsed());

            let begin = Instant::now();
            client.api.delete(&path, &client.token).unwrap();
            wait("its hosts stay", || {
                protocol::ask(state.path(), &Request::Status).unwrap().hosts.len() == 1
            });
            gone.push(begin.elapsed());
        }
        println!("a cluster of {nodes} nodes, {rounds} times: ready {}", summary(ready));
        println!("  and gone {}", summary(gone));
    }
    let ended = end(lab, &report.name);
    println!(
        "the lab is asked to end: nothing is left after {} ms",
        ended.as_millis()
    );
    if let Some(most) = most {
        assert!(ended <= most, "it may take {} ms", most.as_millis());
    }
}

/// Asks a lab to end, and says when nothing of it was left.
fn end(mut lab: Ends, name: &str) -> Duration {
    let begin = Instant::now();
    let pid = Pid::from_raw(i32::try_from(lab.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let prefix = format!("ptl-{name}-");
    wait("something of the lab stays", || {
        lab.0.try_wait().unwrap().is_some() && netns::list(&prefix).unwrap().is_empty()
    });
    begin.elapsed()
}

fn wait(what: &str, mut look: impl FnMut() -> bool) {
    let seen = until(PATIENCE, || Ok::<_, ()>(look().then_some(())));
    assert_eq!(seen, Ok(Some(())), "{what}");
}
