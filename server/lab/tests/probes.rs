//! What probes say of real paths, from the packet to the API: a smaller MTU on one path, a node that passes nothing on, a
//! filter of TCP, a node alone.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::process::Command;

use common::{IN_TIME, Lab, may_run};
use portolan_lab::api::Api;
use portolan_lab::wait::until;
use portolan_shared::v1::{List, NodeRow, NodeState};
use serde_json::Value;

/// A lab, as its customer sees it.
struct Seen {
    lab: Lab,
    api: Api,
    token: String,
}

impl Seen {
    fn raise(options: &[&str]) -> Self {
        let lab = Lab::raise(options);
        let api = Api::new(lab.report.url.strip_prefix("http://").unwrap().parse().unwrap());
        let demo = lab.report.users.iter().find(|user| user.name == "demo").unwrap();
        let token = api.log_in(&demo.name, &demo.password, &demo.project).unwrap();
        Self { lab, api, token }
    }

    fn nodes(&self) -> Vec<NodeRow> {
        let cluster = self.lab.report.cluster.as_ref().unwrap();
        let (project, cluster) = (&cluster.project_id, &cluster.id);
        let path = format!("/portolan/v1/projects/{project}/clusters/{cluster}/nodes");
        let nodes: List<NodeRow> = self.api.read(&path, &self.token).unwrap();
        nodes.items
    }

    /// Waits until the nodes are so, each with the code of its reason, and all of their probes came back or not.
    fn until(&self, what: &str, wanted: &[(NodeState, &str)]) -> Vec<NodeRow> {
        let mut seen = Vec::new();
        let came = until(IN_TIME, || {
            seen = self.nodes();
            let is = |node: &NodeRow, (state, code): &(NodeState, &str)| {
                let said = node.reason.as_ref().map_or("", |reason| &reason.code);
                let all = node
                    .probes
                    .as_ref()
                    .is_some_and(|probes| probes.proven + probes.failing == probes.peers);
                node.state == *state && said == *code && all
            };
            let so = seen.len() == wanted.len() && seen.iter().zip(wanted).all(|(node, wanted)| is(node, wanted));
            Ok::<_, ()>(so.then_some(()))
        });
        assert_eq!(came, Ok(Some(())), "{what}: never {wanted:?}, but {seen:#?}");
        seen
    }

    /// Runs `ip` on a host.
    fn ip(&self, host: usize, line: &str) {
        let namespace = &self.lab.report.hosts[host].namespace;
        let mut ip = Command::new("ip");
        let status = ip
            .args(["-n", namespace])
            .args(line.split_whitespace())
            .status()
            .unwrap();
        assert!(status.success(), "ip -n {namespace} {line}");
    }

    /// Statuses of the ports of a node's pods, as the Networking API says them.
    fn pods_of(&self, node: &NodeRow) -> Vec<String> {
        let ports: Value = self.api.read("/v2.0/ports", &self.token).unwrap();
        let on_node = |port: &&Value| {
            let address = port["fixed_ips"][0]["ip_address"].as_str().unwrap().parse().unwrap();
            node.blocks.iter().any(|block| block.cidr.contains(address))
        };
        let ports = ports["ports"].as_array().unwrap().iter().filter(on_node);
        ports.map(|port| port["status"].as_str().unwrap().to_owned()).collect()
    }
}

const READY: (NodeState, &str) = (NodeState::Ready, "");

#[test]
fn what_does_not_arrive_is_said_of_nodes_and_pairs() {
    if !may_run() {
        return;
    }
    let seen = Seen::raise(&["--hosts", "3", "--pods", "3"]);
    let nodes = seen.until("all is well", &[READY; 3]);
    let (block, address) = (|n: usize| nodes[n].blocks[0].cidr, |n: usize| nodes[n].addresses[0]);

    let pair = (NodeState::Ready, "node.pair_fails");
    seen.ip(
        0,
        &format!("route add table 77 {} via {} mtu lock 1300", block(1), address(1)),
    );
    seen.ip(0, &format!("rule add pref 77 to {} lookup 77", block(1)));
    let said = seen.until("a smaller MTU on one path", &[pair, pair, READY]);
    let sentence = "node-1 → node-2: pods' full-size packets do not arrive; small ones do: a smaller MTU on the path.";
    for node in &said[..2] {
        assert_eq!(node.reason.as_ref().unwrap().sentence, sentence);
    }
    assert_eq!(said[0].probes.as_ref().unwrap().pairs[0].sentence, sentence);
    seen.ip(0, "rule del pref 77");
    seen.until("the MTU is as before", &[READY; 3]);

    // What comes for its pods is not passed on.
    seen.ip(1, "rule add pref 77 iif eth0 blackhole");
    let said = seen.until(
        "a node that passes nothing on",
        &[READY, (NodeState::NoPath, "port.path_fails"), READY],
    );
    assert_eq!(seen.pods_of(&said[0]), ["ACTIVE"]);
    assert_eq!(seen.pods_of(&said[1]), ["ERROR"]);
    seen.ip(1, "rule del pref 77");
    let said = seen.until("it passes on again", &[READY; 3]);
    assert_eq!(seen.pods_of(&said[1]), ["ACTIVE"]);

    seen.ip(2, &format!("rule add pref 77 to {} ipproto tcp blackhole", block(0)));
    let said = seen.until("a filter of TCP", &[pair, READY, pair]);
    // Whichever has said so first, of itself or of the other.
    for node in [&said[0], &said[2]] {
        let sentence = &node.reason.as_ref().unwrap().sentence;
        assert!(sentence.contains("pods' TCP does not arrive"), "{sentence}");
    }
    seen.ip(2, "rule del pref 77");
    seen.until("no filter", &[READY; 3]);
}

#[test]
fn a_node_alone_is_ready_and_its_path_is_not_proven() {
    if !may_run() {
        return;
    }
    let seen = Seen::raise(&["--hosts", "1", "--pods", "1"]);
    let said = seen.until("alone", &[(NodeState::Ready, "node.no_other_node")]);
    assert_eq!(
        said[0].reason.as_ref().unwrap().sentence,
        "Path not proven: no other node."
    );
    assert_eq!(seen.pods_of(&said[0]), ["ACTIVE"]);
}
