//! From creating a cluster to all its nodes being ready:
//! `cargo run --release -p portolan-lab --example cluster_ready [ROUNDS]`
//!
//! Raises a lab (the release programs, built before; root needed), and again and again creates a cluster with nodes from
//! the lab through the API and deletes it. Times from sending the request until the cluster's page says ready: hosts
//! made, agents joined with their certificates, blocks leased, routes written and reported; and from sending the delete
//! until no host of it is left.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Client, raise, summary};
use portolan_lab::protocol::{self, Request};
use portolan_lab::wait::until;
use portolan_shared::v1::{ClusterRow, ClusterState, One};
use serde_json::json;

/// How long a cluster may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let state = tempfile::tempdir().unwrap();
    let (lab, report) = raise(1, state.path());
    let client = Client::new(&report);
    for nodes in [3, 16] {
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
    drop(lab);
}

fn wait(what: &str, mut look: impl FnMut() -> bool) {
    let seen = until(PATIENCE, || Ok::<_, ()>(look().then_some(())));
    assert_eq!(seen, Ok(Some(())), "{what}");
}
