//! Other programs that think the host's network is theirs, as Debian ships them, beside an agent: what they do to pods'
//! traffic, how long it takes, and what is said of it. A row each: neighbour, action, family, the longest time without an
//! answer, what is said.
//!
//! It needs their packages, so it is no part of the fast tests: `cargo xtask qualify neighbours`.

#![expect(clippy::disallowed_methods, reason = "a test runs in real time")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod programs;
mod sandbox;
mod traffic;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{IN_TIME, Lab, may_run};
use portolan_lab::api::Api;
use portolan_lab::protocol::Request;
use portolan_lab::wait::until;
use portolan_shared::ids::ClusterId;
use portolan_shared::v1::{ClusterRow, ClusterState, List, NodeRow, NodeState, One};
use sandbox::Sandbox;
use serde_json::{Value, json};
use traffic::Traffic;

/// For how long traffic must pass without a pause to have come back.
const STEADY: Duration = Duration::from_secs(2);
/// How long it is given to come back before it counts as stopped.
const STOPPED: Duration = Duration::from_secs(12);
/// A pause of the machine's own, on a busy one.
const PAUSE: Duration = Duration::from_millis(250);

/// What is expected of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Traffic passes at the end; what was taken away is said.
    Passes,
    /// No traffic passes, and the node says why.
    Said,
    /// The second in IPv6, the first in IPv4.
    SaidInSix,
    /// The other way round.
    SaidInFour,
    /// Traffic passes all the time, and nothing is taken away.
    Untouched,
    /// Traffic passes at the end. While a firewall puts other rules in the place of its own it may drop for less than a
    /// second, which nobody sees.
    Blinks,
}

/// A host beside whose agent neighbours run, with traffic to a pod on it.
struct Place {
    family: &'static str,
    cluster: ClusterId,
    namespace: String,
    /// The host's address, with the length of its subnet.
    address: String,
    /// An address of the subnet that nobody has.
    nobody: IpAddr,
    /// Where traffic comes from: a pod on the other host.
    from: String,
    /// The block of that pod.
    block: String,
    to: SocketAddr,
    /// Where the cluster's pods have their addresses.
    range: &'static str,
}

/// A lab with a cluster of each family.
struct World {
    api: Api,
    token: String,
    project: String,
    places: [Place; 2],
    _lab: Lab,
}

impl World {
    fn new() -> Self {
        let lab = Lab::raise(&["--hosts", "2", "--pods", "2"]);
        let api = Api::new(lab.report.url.strip_prefix("http://").unwrap().parse().unwrap());
        let demo = lab.report.users.iter().find(|user| user.name == "demo").unwrap();
        let token = api.log_in(&demo.name, &demo.password, &demo.project).unwrap();
        let four = lab.report.cluster.clone().unwrap();
        let clusters = format!("/portolan/v1/projects/{}/clusters", four.project_id);

        let wanted = json!({ "network": { "name": "six", "mtu": 1400, "internet_access": true } });
        let network: Value = api.write("/v2.0/networks", &token, &wanted).unwrap();
        let network = &network["network"]["id"];
        let wanted = json!({ "subnet": { "network_id": network, "cidr": "fd00:50::/64", "ip_version": 6 } });
        let subnet: Value = api.write("/v2.0/subnets", &token, &wanted).unwrap();
        let wanted = json!({
            "name": "six", "nodes_from": "lab", "nodes": 2, "network": network, "node_subnet": subnet["subnet"]["id"],
            "pod_range": "fd00:60::/64", "service_range": "fd00:70::/112",
        });
        let six: One<ClusterRow> = api.write(&clusters, &token, &wanted).unwrap();
        let six = six.item.id;
        let path = format!("{clusters}/{six}");
        let ready = until(IN_TIME, || {
            let shown: One<ClusterRow> = api.read(&path, &token).unwrap();
            Ok::<_, ()>((shown.item.state == ClusterState::Ready).then_some(()))
        });
        assert_eq!(ready, Ok(Some(())), "the IPv6 cluster never is ready");
        for host in ["node-1", "node-2"] {
            lab.ask(&Request::PodAdd {
                cluster: Some(six.to_string()),
                host: host.into(),
                name: format!("six-{host}"),
            });
        }
        let report = lab.ask(&Request::Status);
        let place = |family, cluster: &str, prefix, nobody: &str, range| {
            let host = |name: &str| {
                let mut hosts = report.hosts.iter();
                hosts
                    .find(|host| host.cluster.id == cluster && host.name == name)
                    .unwrap()
            };
            let pod = |on: &str| {
                let mut pods = report.pods.iter();
                pods.find(|pod| pod.cluster == cluster && pod.host == on).unwrap()
            };
            let nodes: List<NodeRow> = api.read(&format!("{clusters}/{cluster}/nodes"), &token).unwrap();
            let other = nodes.items.iter().find(|node| node.name == "node-2").unwrap();
            Place {
                family,
                cluster: cluster.parse().unwrap(),
                namespace: host("node-1").namespace.clone(),
                address: format!("{}/{prefix}", host("node-1").address),
                nobody: nobody.parse().unwrap(),
                from: pod("node-2").namespace.clone(),
                block: other.blocks[0].cidr.to_string(),
                to: pod("node-1").echo,
                range,
            }
        };
        let places = [
            place("IPv4", &four.id, 24, "10.0.0.77", "10.1.0.0/16"),
            place("IPv6", &six.to_string(), 64, "fd00:50::77", "fd00:60::/64"),
        ];
        Self {
            project: four.project_id,
            api,
            token,
            places,
            _lab: lab,
        }
    }

    fn node(&self, place: &Place) -> NodeRow {
        let path = format!(
            "/portolan/v1/projects/{}/clusters/{}/nodes",
            self.project, place.cluster
        );
        let nodes: List<NodeRow> = self.api.read(&path, &self.token).unwrap();
        nodes.items.into_iter().find(|node| node.name == "node-1").unwrap()
    }

    /// What is said of a node, apart from what was said `before`.
    fn said(&self, place: &Place, before: &BTreeSet<String>) -> Vec<String> {
        let node = self.node(place);
        let reasons = node.reason.into_iter().chain(node.losses);
        let sentences = reasons.map(|reason| reason.sentence);
        sentences.filter(|sentence| !before.contains(sentence)).collect()
    }

    /// Does something on the host and watches the traffic meanwhile. Prints the row, and says if it is not as expected.
    fn act(&self, place: &Place, beside: &mut Sandbox, row: (&str, &str), script: &str, expect: Expect) -> Vec<String> {
        let before: BTreeSet<_> = self.said(place, &BTreeSet::new()).into_iter().collect();
        let traffic = Traffic::begin(&place.from, place.to);
        // After an action that stopped it, it comes back with the next or not at all.
        let passed = steady(&traffic);
        let paused = traffic.longest();
        let printed = beside.run(script);
        let passes = steady(&traffic) && traffic.connects();
        let hurt = !passes || (passed && traffic.longest() > paused + PAUSE);
        let said = until(STOPPED, || {
            // Before what is said is asked: of a node that is ready nothing is said of before.
            let ready = self.node(place).state == NodeState::Ready;
            let said = self.said(place, &before);
            let enough = match expect {
                Expect::Passes if hurt => !said.is_empty(),
                Expect::Passes | Expect::Untouched | Expect::Blinks => ready,
                _ => !said.is_empty(),
            };
            Ok::<_, ()>(enough.then_some(said))
        });
        let said = said.unwrap();
        let (neighbour, action) = row;
        let lasted = match (passes, hurt) {
            (true, false) if passed => "passes".to_owned(),
            (true, false) => "passes again".to_owned(),
            (true, true) => format!("back after {} ms", traffic.longest().as_millis()),
            (false, _) => "stopped".to_owned(),
        };
        let words = said
            .as_ref()
            .map_or_else(|| "NOT SAID".to_owned(), |said| said.join("; "));
        let family = place.family;
        println!("| {neighbour} | {action} | {family} | {lasted} | {words} |");
        let mut wrong = Vec::new();
        let untouched = !hurt && said.as_ref().is_some_and(Vec::is_empty);
        let well = match expect {
            Expect::Passes | Expect::Blinks => passes,
            Expect::Untouched => passes && untouched,
            _ => !passes,
        };
        if !well || said.is_none() {
            wrong.push(format!(
                "{neighbour}, {action}, {family}: {lasted}, said {words}\n{printed}"
            ));
        }
        wrong
    }
}

/// Waits until traffic passes without a pause; whether it does.
fn steady(traffic: &Traffic) -> bool {
    let mut since = Instant::now();
    let passes = until(STOPPED, || {
        if traffic.silent() > PAUSE {
            since = Instant::now();
        }
        Ok::<_, ()>((since.elapsed() > STEADY).then_some(()))
    });
    passes == Ok(Some(()))
}

/// Tells the programs of a host what `portolan-agent check` has for them, and runs what it says is to be run. There is no
/// systemd in a place.
const TELL: &str = "
tell() {
  $agent check --write-drop-ins --range $range > /run/told
  cat /run/told
  sed -n 's/^run: //p' /run/told | grep -v ^systemctl > /run/run
  sh -e /run/run
}
";

/// Runs the same actions beside agents of both families. What each script needs to know of its host is in variables.
fn beside(neighbour: &str, prepare: &str, actions: &[(&str, &str, Expect)]) {
    if !may_run() {
        return;
    }
    let world = World::new();
    let mut wrong = Vec::new();
    for place in &world.places {
        let mut sandbox = Sandbox::on(&place.namespace);
        let four = place.to.is_ipv4();
        let agent = Path::new(common::PROGRAM).with_file_name("portolan-agent");
        sandbox.run(&format!(
            "address={} nobody={} block={} range={} agent={} six={} family={} other={}\n{TELL}",
            place.address,
            place.nobody,
            place.block,
            place.range,
            agent.display(),
            if four { "" } else { "-6" },
            if four { "ipv4" } else { "ipv6" },
            if four { "ipv6" } else { "ipv4" },
        ));
        sandbox.run(prepare);
        for (action, script, expect) in actions {
            let expect = match expect {
                Expect::SaidInSix if four => Expect::Passes,
                Expect::SaidInFour if !four => Expect::Passes,
                Expect::SaidInSix | Expect::SaidInFour => Expect::Said,
                other => *other,
            };
            wrong.extend(world.act(place, &mut sandbox, (neighbour, action), script, expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
