//! From a request to the kernel of another node:
//! `cargo run --release -p portolan-lab --example commit_to_route [HOSTS]`
//!
//! Raises a lab (the release programs, built before; root needed), removes its nodes one by one through the API, and
//! times from sending the request until the kernel of the first host tells that the route to the removed node's block is
//! gone. So a figure holds the request, the decision, the durable commit, the stream, the agent's own durable copy, the
//! plan and the kernel; and the lab takes the removed node's host away meanwhile.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, Ends, raise, summary};

/// How long a route may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let hosts: usize = std::env::args().nth(1).map_or(16, |text| text.parse().unwrap());
    let state = tempfile::tempdir().unwrap();
    let (lab, report) = raise(hosts, state.path());
    let client = Client::new(&report);
    let cluster = report.cluster.as_ref().unwrap().id.as_str();
    let first = &report.hosts[0];
    let routes = withdrawn(&first.namespace);

    let mut times = Vec::new();
    for node in client.nodes(cluster) {
        if node.name == first.name {
            continue;
        }
        let block = node.blocks[0].cidr.to_string();
        let path = format!("{}/{cluster}/nodes/{}", client.clusters, node.id);
        let begin = Instant::now();
        client.api.delete(&path, &client.token).unwrap();
        let gone = loop {
            let (at, route) = routes.recv_timeout(PATIENCE).expect("the route stays");
            if route == block {
                break at;
            }
        };
        times.push(gone - begin);
    }
    println!(
        "request to route in another kernel, {} nodes removed one by one: {}",
        times.len(),
        summary(times)
    );
    drop(lab);
}

/// Networks whose routes go in a namespace, as its kernel tells.
fn withdrawn(namespace: &str) -> Receiver<(Instant, String)> {
    let mut monitor = Command::new("ip")
        .args(["-n", namespace, "monitor", "route"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    let (tell, told) = channel();
    thread::spawn(move || {
        let _monitor = Ends(monitor);
        for line in lines.map_while(Result::ok) {
            let at = Instant::now();
            let Some(route) = line.strip_prefix("Deleted ").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            if tell.send((at, route.to_owned())).is_err() {
                return;
            }
        }
    });
    told
}
