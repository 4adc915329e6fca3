mod programs;

use std::collections::BTreeMap;

use portolan_plan::{
    DroppingChain, ForeignRoute, Link, MAIN_TABLE, Observed, ROUTE_PROTOCOL, Route, RouteKey, Sysctl, Target,
};
use portolan_shared::addr::Cidr;

use super::Report;
use super::config::Texts;
use super::drop_ins::{DropIns, drop_ins};
use super::facts::{Disk, Facts, Rule, Uplink};
use super::judge::judge;
use super::programs::{Docker, Networkd, Programs, TakesLinks, programs};
use crate::kernel::{PolicyRule, RuleAction};

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn uplink(address: &str, prefix: u8, link: &str) -> Uplink {
    Uplink {
        address: address.parse().unwrap(),
        prefix,
        link: link.to_owned(),
    }
}

fn link(index: u32, mtu: u32) -> Link {
    Link {
        index,
        mtu,
        pod: false,
        up: true,
        gateway: false,
    }
}

/// A host on which nothing hurts, with addresses of both families.
fn clean() -> Facts {
    Facts {
        ranges: vec![cidr("10.1.0.0/16"), cidr("fd00:60::/64")],
        uplinks: vec![uplink("192.168.0.7", 24, "eth0"), uplink("fd00:50::7", 64, "eth0")],
        kernel: Observed {
            links: BTreeMap::from([("eth0".to_owned(), link(2, 1500))]),
            sysctls: Sysctl::ALL.into_iter().map(|sysctl| (sysctl, false)).collect(),
            ..Observed::default()
        },
        rules: [4, 6].into_iter().map(|family| (family, vec![main_rule()])).collect(),
        clock_held: Some(true),
        state_dir: "/var/lib/portolan".to_owned(),
        disk: Some(Disk::Open {
            bytes: 1 << 30,
            files: 1 << 20,
        }),
        open_files: Some(1024),
        ..Facts::default()
    }
}

fn rule(priority: u32, action: RuleAction) -> PolicyRule {
    PolicyRule {
        priority,
        from: None,
        to: None,
        narrowed: false,
        action,
    }
}

fn lookup(table: u32, suppress: Option<u8>) -> RuleAction {
    RuleAction::Lookup { table, suppress }
}

fn main_rule() -> Rule {
    Rule {
        rule: rule(32_766, lookup(MAIN_TABLE, None)),
        destinations: vec![cidr("0.0.0.0/0")],
    }
}

fn chain(family: &'static str, table: &str, chain: &str) -> DroppingChain {
    DroppingChain {
        family,
        table: table.to_owned(),
        chain: chain.to_owned(),
    }
}

fn route(prefix: &str, table: u32, target: Target) -> (RouteKey, Route) {
    let key = RouteKey {
        table,
        ..RouteKey::ours(cidr(prefix))
    };
    (key, Route { target, source: None })
}

fn codes(facts: &Facts) -> Vec<&'static str> {
    judge(facts).iter().map(|finding| finding.code).collect()
}

/// What is said of a host that is clean but for one thing.
fn said(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
    let mut facts = clean();
    change(&mut facts);
    codes(&facts)
}

#[test]
fn nothing_is_said_of_a_host_on_which_nothing_hurts() {
    assert_eq!(judge(&clean()), []);
    // Forwarding that is off is turned on by the agent; one that is on and fixed stays on.
    let fixed = said(|facts| {
        facts.kernel.sysctls.insert(Sysctl::ForwardV4, true);
        facts.fixed.insert(Sysctl::ForwardV4);
    });
    assert_eq!(fixed, [""; 0]);
    // IPv6 hurts no host whose pods have none.
    let four = said(|facts| {
        facts.ranges = vec![cidr("10.1.0.0/16")];
        facts.uplinks.pop();
        facts.kernel.sysctls.remove(&Sysctl::ForwardV6);
        facts.ipv6_off = true;
    });
    assert_eq!(four, [""; 0]);
}

#[test]
fn each_thing_that_hurts_is_said_by_its_code() {
    let dir = |disk| said(|facts| facts.disk = Some(disk));
    assert_eq!(dir(Disk::Closed("Read-only file system".into())), ["check.state_dir"]);
    let (bytes, files) = (1 << 20, 1 << 20);
    assert_eq!(dir(Disk::Open { bytes, files }), ["check.state_dir_full"]);
    let (bytes, files) = (1 << 30, 3);
    assert_eq!(dir(Disk::Open { bytes, files }), ["check.state_dir_full"]);
    let unable = said(|facts| facts.unable = Some(("a network namespace", "Operation not permitted".into())));
    assert_eq!(unable, ["check.kernel_lacks"]);
    assert_eq!(said(|facts| facts.uplinks.truncate(1)), ["check.no_address"]);
    let without = said(|facts| {
        facts.ranges.clear();
        facts.uplinks.clear();
    });
    assert_eq!(without, ["check.no_address"]);
    let unknown = said(|facts| {
        facts.kernel = Observed::default();
        facts.uplinks.clear();
    });
    assert_eq!(unknown, [""; 0], "a kernel that could not be asked");
    let off = said(|facts| facts.fixed = [Sysctl::ForwardV4].into());
    assert_eq!(off, ["check.forwarding_fixed"]);
    let none = said(|facts| facts.kernel.sysctls.retain(|sysctl, _| *sysctl == Sysctl::ForwardV4));
    assert_eq!(none, ["check.no_forwarding"]);
    assert_eq!(said(|facts| facts.ipv6_off = true), ["check.ipv6_off"]);
    let drops = said(|facts| facts.foreign.drops = vec![chain("ip", "filter", "FORWARD")]);
    assert_eq!(drops, ["check.forward_drops"]);
    let closed = said(|facts| facts.closed = vec![chain("ip", "filter", "INPUT")]);
    assert_eq!(closed, ["check.probes_dropped"]);
    assert_eq!(
        said(|facts| facts.port_taken = Some("named".into())),
        ["check.port_taken"]
    );
    let inside = said(|facts| {
        facts.foreign.routes = vec![ForeignRoute {
            key: RouteKey::ours(cidr("10.1.7.0/24")),
            protocol: 4,
            towards: "via 192.168.0.1".into(),
        }];
    });
    assert_eq!(inside, ["check.routes_in_range"]);
    let small = said(|facts| facts.kernel.links = [("eth0".to_owned(), link(2, 1200))].into());
    assert_eq!(small, ["check.small_mtu"]);
    assert_eq!(said(|facts| facts.clock_held = Some(false)), ["check.clock"]);
    assert_eq!(said(|facts| facts.open_files = Some(256)), ["check.open_files"]);
}

#[test]
fn a_strict_filter_of_paths_hurts_where_two_links_lead_into_one_subnet() {
    let with = |other: Uplink| {
        said(|facts| {
            facts.strict = ["eth0".to_owned(), "eth1".to_owned()].into();
            facts.uplinks.push(other);
        })
    };
    assert_eq!(with(uplink("10.9.0.7", 24, "eth1")), [""; 0]);
    assert_eq!(with(uplink("192.168.0.8", 24, "eth0")), [""; 0]);
    assert_eq!(with(uplink("192.168.0.8", 24, "eth1")), ["check.strict_paths"]);
}

#[test]
fn routes_of_our_number_are_an_agents_or_anothers() {
    let with = |has_agent, route| {
        said(|facts| {
            facts.has_agent = has_agent;
            facts.kernel.routes.extend([route]);
        })
    };
    let via = || Target::Via("192.168.0.1".parse().unwrap());
    let as_ours = || route("10.1.0.64/26", MAIN_TABLE, via());
    assert_eq!(with(true, as_ours()), [""; 0]);
    assert_eq!(with(false, as_ours()), ["check.routes_of_our_number"]);
    assert_eq!(
        with(true, route("10.1.0.64/26", 100, via())),
        ["check.routes_of_our_number"]
    );
    assert_eq!(
        with(true, route("10.1.0.64/26", MAIN_TABLE, Target::Strange)),
        ["check.routes_of_our_number"]
    );
    assert!(
        judge(&{
            let mut facts = clean();
            facts.kernel.routes.extend([as_ours()]);
            facts
        })[0]
            .what
            .contains(&ROUTE_PROTOCOL.to_string())
    );
}

#[test]
fn a_rule_of_routing_hurts_if_it_takes_pods_packets_before_the_main_table() {
    let with = |ranges: &[&str], rule: PolicyRule, destinations: &[&str]| {
        said(|facts| {
            facts.ranges = ranges.iter().map(|range| cidr(range)).collect();
            let destinations = destinations.iter().map(|to| cidr(to)).collect();
            facts.rules.insert(4, vec![Rule { rule, destinations }, main_rule()]);
        })
    };
    let four = &["10.1.0.0/16"][..];
    let (hurts, well) = (["check.policy_rule"], [""; 0]);
    let to_table = || rule(100, lookup(1000, None));
    assert_eq!(with(four, to_table(), &["0.0.0.0/0"]), hurts);
    assert_eq!(with(four, to_table(), &["10.1.9.0/24"]), hurts);
    assert_eq!(with(four, to_table(), &["10.2.0.0/16"]), well, "others' destinations");
    assert_eq!(with(four, to_table(), &[]), well, "an empty table");
    assert_eq!(with(four, rule(100, RuleAction::Refuse), &[]), hurts);
    assert_eq!(with(four, rule(100, RuleAction::Other), &[]), well);
    // Where the range is not known, only what is of all packets is of pods.
    assert_eq!(with(&[], to_table(), &["0.0.0.0/0"]), hurts);
    assert_eq!(with(&[], to_table(), &["10.1.9.0/24"]), well);
    let narrowed = PolicyRule {
        narrowed: true,
        ..to_table()
    };
    assert_eq!(with(four, narrowed, &["0.0.0.0/0"]), well);
    let of = |from: &str| PolicyRule {
        from: Some(cidr(from)),
        ..to_table()
    };
    assert_eq!(
        with(four, of("192.168.0.7/32"), &["0.0.0.0/0"]),
        well,
        "of a host with two links"
    );
    assert_eq!(with(&[], of("192.168.0.7/32"), &["0.0.0.0/0"]), well);
    assert_eq!(with(four, of("10.1.0.0/24"), &["0.0.0.0/0"]), hurts);
    // As WireGuard's wg-quick has it: the main table first, but for its default route.
    let wireguard = |ranges: &[&str]| {
        said(|facts| {
            facts.ranges = ranges.iter().map(|range| cidr(range)).collect();
            let first = Rule {
                rule: rule(32_764, lookup(MAIN_TABLE, Some(0))),
                destinations: Vec::new(),
            };
            let second = Rule {
                rule: rule(32_765, lookup(51_820, None)),
                destinations: vec![cidr("0.0.0.0/0")],
            };
            facts.rules.insert(4, vec![first, second, main_rule()]);
        })
    };
    assert_eq!(wireguard(four), well);
    assert_eq!(wireguard(&[]), well);
    // What is advised mends it.
    let mended = said(|facts| {
        let first = PolicyRule {
            to: Some(cidr("10.1.0.0/16")),
            ..rule(99, lookup(MAIN_TABLE, None))
        };
        let [first, second] = [first, to_table()].map(|rule| Rule {
            rule,
            destinations: vec![cidr("0.0.0.0/0")],
        });
        facts.rules.insert(4, vec![first, second, main_rule()]);
    });
    assert_eq!(mended, well);
}

#[test]
fn what_is_advised_is_in_the_words_of_whose_chain_it_is() {
    let advised = |chain: DroppingChain, programs: Programs| {
        let mut facts = clean();
        facts.foreign.drops = vec![chain];
        facts.programs = programs;
        judge(&facts)[0].now.clone()
    };
    let four = || chain("ip", "filter", "FORWARD");
    let none = Programs::default;
    assert_eq!(
        advised(four(), none()),
        "iptables -I FORWARD -s 10.1.0.0/16 -j ACCEPT; iptables -I FORWARD -d 10.1.0.0/16 -j ACCEPT"
    );
    let six = advised(chain("ip6", "filter", "FORWARD"), none());
    assert!(six.starts_with("ip6tables -I FORWARD -s fd00:60::/64"), "{six}");
    let ufw = Programs { ufw: true, ..none() };
    assert_eq!(
        advised(four(), ufw),
        "ufw route allow from 10.1.0.0/16; ufw route allow to 10.1.0.0/16"
    );
    let docker = Programs {
        docker: Some(Docker::FindsForwarding),
        ..none()
    };
    assert!(advised(four(), docker).starts_with("iptables -I DOCKER-USER -s 10.1.0.0/16"));
    let own = advised(chain("inet", "mine", "fwd"), none());
    assert_eq!(own, "make it accept 10.1.0.0/16 and fd00:60::/64, from and to");
}

#[test]
fn the_exit_code_says_whether_something_hurts_or_is_not_known() {
    let report = |findings: usize, unseen: usize| {
        let mut facts = clean();
        facts.ipv6_off = true;
        let report = Report {
            findings: judge(&facts).into_iter().take(findings).collect(),
            unseen: vec!["the rules: Operation not permitted".to_owned(); unseen],
            ..Report::default()
        };
        report.exit_code()
    };
    assert_eq!([report(0, 0), report(1, 0), report(1, 1), report(0, 1)], [0, 1, 1, 2]);
}
