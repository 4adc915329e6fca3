//! From a request to the kernel of another node:
//! `cargo run --release -p portolan-lab --example commit_to_route [HOSTS]`
//!
//! Raises a lab (the release programs, built before; root needed), removes its
//! nodes one by one through the API, and times from sending the request until the kernel of the first
//! host tells that the route to the removed node's block is gone. So a figure holds the request, the
//! decision, the durable commit, the stream, the agent's own durable copy, the plan and the kernel.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use portolan_lab::protocol::Report;
use portolan_shared::v1::{List, NodeRow};
use serde_json::json;
use ureq::Agent;

/// How long a route may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that ends with the benchmark.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // The lab's janitor clears up after it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let hosts: usize = std::env::args().nth(1).map_or(21, |text| text.parse().unwrap());
    let state = tempfile::tempdir().unwrap();
    let (lab, report) = raise(hosts, state.path());
    let client = Client::new(&report);
    let routes = withdrawn(&report.hosts[0].namespace);

    let mut times = Vec::new();
    for node in client.nodes() {
        if node.name == report.hosts[0].name {
            continue;
        }
        let block = node.blocks[0].cidr.to_string();
        let begin = Instant::now();
        client.remove(&node);
        let gone = loop {
            let (at, route) = routes.recv_timeout(PATIENCE).expect("the route stays");
            if route == block {
                break at;
            }
        };
        times.push(gone - begin);
    }
    times.sort_unstable();
    let ms = |time: &Duration| time.as_secs_f64() * 1e3;
    println!(
        "request to route in another kernel, {} nodes removed one by one: p50 {:.1} ms, p90 {:.1} ms, max {:.1} ms",
        times.len(),
        ms(&times[times.len() / 2]),
        ms(&times[times.len() * 9 / 10]),
        ms(&times[times.len() - 1]),
    );
    drop(lab);
}

fn raise(hosts: usize, state: &std::path::Path) -> (Ends, Report) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Examples are built into a folder beside the programs.
    let example = std::env::current_exe().unwrap();
    let mut lab = Command::new(example.ancestors().nth(2).unwrap().join("portolan-lab"))
        .args(["up", "--pods", "0", "--hosts", &hosts.to_string()])
        .args(["--listen", &format!("127.0.0.1:{port}"), "--state-dir"])
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(lab.stdout.take().unwrap()).lines();
    let ready = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
        .expect("the lab ends before it is ready; its stderr says why");
    (Ends(lab), serde_json::from_str(&ready).unwrap())
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

/// What the benchmark asks of the control plane.
struct Client {
    agent: Agent,
    token: String,
    nodes: String,
}

impl Client {
    fn new(report: &Report) -> Self {
        let agent = Agent::new_with_defaults();
        let user = &report.users[0];
        let domain = json!({ "name": "Default" });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": user.name, "password": user.password, "domain": domain } } },
            "scope": { "project": { "name": user.project, "domain": domain } },
        } });
        let answer = agent
            .post(format!("{}/v3/auth/tokens", report.url))
            .send_json(body)
            .unwrap();
        let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
        let cluster = report.cluster.as_ref().unwrap();
        let nodes = format!(
            "{}/portolan/v1/projects/{}/clusters/{}/nodes",
            report.url, cluster.project_id, cluster.id
        );
        Self { agent, token, nodes }
    }

    fn nodes(&self) -> Vec<NodeRow> {
        let get = self.agent.get(&self.nodes).header("x-auth-token", &self.token);
        let nodes: List<NodeRow> = get.call().unwrap().body_mut().read_json().unwrap();
        nodes.items
    }

    fn remove(&self, node: &NodeRow) {
        let path = format!("{}/{}", self.nodes, node.id);
        let delete = self.agent.delete(path).header("x-auth-token", &self.token);
        delete.call().unwrap();
    }
}
