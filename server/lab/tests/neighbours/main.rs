//! Other programs that think the host's network is theirs, as Debian ships them, beside an agent: what they do to pods'
//! traffic, how long it takes, and what is said of it. A row each: neighbour, action, family, the longest time without an
//! answer, what is said.
//!
//! It needs their packages, so it is no part of the fast tests: `cargo xtask qualify neighbours`.

#![expect(clippy::disallowed_methods, reason = "a test runs in real time")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod sandbox;
mod traffic;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
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
        let place = |family, cluster: &str, prefix, nobody: &str| {
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
            }
        };
        let places = [
            place("IPv4", &four.id, 24, "10.0.0.77"),
            place("IPv6", &six.to_string(), 64, "fd00:50::77"),
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
            let said = self.said(place, &before);
            let enough = match expect {
                Expect::Passes if hurt => !said.is_empty(),
                Expect::Passes => self.node(place).state == NodeState::Ready,
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
        if passes != (expect == Expect::Passes) || said.is_none() {
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
        sandbox.run(&format!(
            "address={} nobody={} block={} six={} family={} other={}",
            place.address,
            place.nobody,
            place.block,
            if four { "" } else { "-6" },
            if four { "ipv4" } else { "ipv6" },
            if four { "ipv6" } else { "ipv4" },
        ));
        sandbox.run(prepare);
        for (action, script, expect) in actions {
            let expect = match expect {
                SaidInSix if four => Passes,
                SaidInSix => Said,
                other => *other,
            };
            wrong.extend(world.act(place, &mut sandbox, (neighbour, action), script, expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

use Expect::{Passes, Said, SaidInSix};

#[test]
fn networkd() {
    let prepare = "
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /etc/systemd/network
chown -R systemd-network:systemd-network /run/systemd/netif
network() { printf \"[Match]\\nName=$1\\n[Network]\\n$2\\n\" > /etc/systemd/network/10-it.network; }
begin() { /lib/systemd/systemd-networkd & networkd=$!; }
configured() {
  for _ in $(seq 150); do grep -qs ^ADMIN_STATE=configured /run/systemd/netif/links/2 && break; sleep 0.1; done
}
end() { kill $networkd; wait $networkd; }
network eth0 Address=$address
";
    beside(
        "systemd-networkd 252",
        prepare,
        &[
            ("starts, has eth0 with its address", "begin; configured", Passes),
            ("starts again", "end; begin; configured", Passes),
            ("stops", "end", Passes),
            (
                "starts, has eth0 with DHCP",
                "network eth0 DHCP=yes; begin; sleep 4",
                Said,
            ),
            (
                "gets the address back",
                "end; network eth0 Address=$address; begin; configured",
                Passes,
            ),
        ],
    );
}

#[test]
fn network_manager() {
    let prepare = "
rm -f /etc/NetworkManager/system-connections/*
printf \"[connection]\\nid=it\\ntype=ethernet\\ninterface-name=eth0\\n[$family]\\nmethod=manual\\naddress1=$address\\n[$other]\\nmethod=disabled\\n\" \
  > /etc/NetworkManager/system-connections/it.nmconnection
chmod 600 /etc/NetworkManager/system-connections/*
begin() {
  NetworkManager --no-daemon --log-level=WARN &
  for _ in $(seq 100); do nmcli -t -f RUNNING general 2>/dev/null | grep -q ^running && break; sleep 0.1; done
}
";
    beside(
        "NetworkManager 1.42",
        prepare,
        &[
            (
                "starts, has eth0 with its address",
                "begin; nmcli -w 20 con up it",
                Passes,
            ),
            ("con up again", "nmcli -w 20 con up it", Passes),
            ("device reapply", "nmcli -w 20 device reapply eth0", Passes),
            ("is killed", "kill -9 $(pidof NetworkManager)", Passes),
            ("starts again", "begin", Passes),
        ],
    );
}

#[test]
fn ufw() {
    beside(
        "ufw 0.36",
        "",
        &[
            ("is enabled", "ufw --force enable", Said),
            ("is disabled", "ufw disable", Passes),
        ],
    );
}

#[test]
fn firewalld() {
    let prepare = "
begin() {
  firewalld --nofork --nopid & firewalld=$!
  for _ in $(seq 300); do [ \"$(firewall-cmd --state 2>/dev/null)\" = running ] && break; sleep 0.1; done
}
";
    beside(
        "firewalld 1.3",
        prepare,
        &[
            ("starts", "begin", Said),
            ("stops", "kill $firewalld; wait $firewalld", Passes),
        ],
    );
}

#[test]
fn bird() {
    let prepare = "
begin() {
  routes=\"protocol static { $family; route $1 via $nobody; }\"
  kernel=\"protocol kernel { $family { export all; import all; }; learn; }\"
  echo \"router id 10.0.0.2; protocol device { } $kernel $routes\" > /run/bird.conf
  bird -c /run/bird.conf -s /run/bird.ctl -P /run/bird.pid
  for _ in $(seq 100); do ip $six route show proto bird | grep -q $nobody && break; sleep 0.1; done
}
end() { kill -$1 $(cat /run/bird.pid); while pidof bird > /dev/null; do sleep 0.1; done; }
elsewhere=198.51.100.0/24; [ -z \"$six\" ] || elsewhere=2001:db8::/64
";
    beside(
        "BIRD 2.0",
        prepare,
        &[
            ("starts, learns all routes", "begin $elsewhere", Passes),
            ("ends", "end TERM", Passes),
            // Its metric is 32. Ours is none in IPv4, which wins; in IPv6 it is 1024, as for all who name none.
            ("has a route for the same block", "begin $block", SaidInSix),
            (
                "is killed, and its route taken away",
                "end KILL; ip $six route flush proto bird",
                Passes,
            ),
        ],
    );
}

#[test]
fn frr() {
    let prepare = "
mkdir -p /run/frr; chown frr:frr /run/frr
family_word=ip; [ -z \"$six\" ] || family_word=ipv6
begin() {
  printf \"$family_word route $block $nobody\\n\" > /run/frr/static.conf; : > /run/frr/zebra.conf; chown frr /run/frr/*
  /usr/lib/frr/zebra -d -f /run/frr/zebra.conf -i /run/frr/zebra.pid
  /usr/lib/frr/staticd -d -f /run/frr/static.conf -i /run/frr/staticd.pid
  for _ in $(seq 100); do vtysh -c \"show $family_word route static\" | grep -q $nobody && break; sleep 0.1; done
}
";
    beside(
        "FRR 8.4",
        prepare,
        &[
            ("starts, with a route for the same block", "begin", Passes),
            (
                "is killed",
                "kill -9 $(cat /run/frr/zebra.pid /run/frr/staticd.pid)",
                Passes,
            ),
        ],
    );
}
