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

fn files(files: &[(&str, &str)]) -> Texts {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

fn running(names: &[&str]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), format!("{name}: [manager] [ip4]")))
        .collect()
}

#[test]
fn networkd_takes_what_it_is_not_told_to_leave() {
    let managed = [("eth0".to_owned(), "10-it.network".to_owned())];
    let networkd = |of: &[(&str, &str)]| programs(&running(&["systemd-network"]), &files(of), &managed).networkd;
    let bare = [(
        "/etc/systemd/network/10-it.network",
        "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
    )];
    let takes = networkd(&bare).unwrap();
    assert_eq!(
        takes,
        Networkd {
            takes_routes: true,
            takes_links_by: None,
            takes_addresses: managed.to_vec(),
        }
    );
    let mut facts = clean();
    facts.programs.networkd = Some(takes);
    assert_eq!(codes(&facts), ["check.networkd"]);

    let told = [
        bare[0],
        ("/etc/systemd/networkd.conf", "[Network]\n#ManageForeignRoutes=yes\n"),
        (
            "/etc/systemd/networkd.conf.d/x.conf",
            "[Network]\nManageForeignRoutes=no\n",
        ),
        (
            "/etc/systemd/network/10-it.network.d/x.conf",
            "[Network]\nKeepConfiguration=static\n",
        ),
    ];
    assert_eq!(networkd(&told), Some(Networkd::default()));
    facts.programs.networkd = networkd(&told);
    assert_eq!(codes(&facts), [""; 0]);
    assert_eq!(
        programs(&running(&["bird"]), &files(&bare), &managed),
        Programs::default()
    );
}

#[test]
fn the_first_file_for_pods_links_counts() {
    let by = |of: &[(&str, &str)]| {
        let found = programs(&running(&["systemd-network"]), &files(of), &[]);
        found.networkd.unwrap().takes_links_by
    };
    let all = (
        "/etc/systemd/network/10-all.network",
        "[Match]\nName=*\n[Network]\nDHCP=yes\n",
    );
    assert_eq!(by(&[all]).as_deref(), Some("10-all.network"));
    let ours = (
        "/etc/systemd/network/00-ours.network",
        "[Match]\nName=ptl*\n[Link]\nUnmanaged=yes\n",
    );
    assert_eq!(by(&[all, ours]), None);
    let late = ("/etc/systemd/network/20-ours.network", ours.1);
    assert_eq!(by(&[all, late]).as_deref(), Some("10-all.network"));
    for (matched, expected) in [
        ("Type=ether", true),
        ("Kind=veth", true),
        ("Name=eth0 ptl?", true),
        ("Name=!eth*", true),
        ("Name=!ptl*", false),
        ("Name=ve-*\nDriver=veth", false),
        ("Type=wlan", false),
        ("MACAddress=00:11:22:33:44:55", false),
        ("Name=*\nMACAddress=00:11:22:33:44:55", false),
    ] {
        let file = (
            "/usr/lib/systemd/network/80-x.network",
            &*format!("[Match]\n{matched}\n"),
        );
        assert_eq!(by(&[file]).is_some(), expected, "{matched}");
    }
    // One that an administrator has laid over a distribution's.
    let masked = [
        ("/usr/lib/systemd/network/80-x.network", "[Match]\nName=*\n"),
        ("/etc/systemd/network/80-x.network", ""),
    ];
    assert_eq!(by(&masked), None);
}

#[test]
fn network_manager_leaves_pods_links_by_a_rule_of_udev_or_by_name() {
    let manager = |of: &[(&str, &str)]| programs(&running(&["NetworkManager"]), &files(of), &[]).network_manager;
    assert_eq!(manager(&[]), Some(TakesLinks::Yes));
    let rule = (
        "/usr/lib/udev/rules.d/85-nm-unmanaged.rules",
        "ENV{ID_NET_DRIVER}==\"veth\", ...\n",
    );
    assert_eq!(manager(&[rule]), Some(TakesLinks::No));
    let masked = ("/etc/udev/rules.d/85-nm-unmanaged.rules", "");
    assert_eq!(manager(&[rule, masked]), Some(TakesLinks::Yes));
    let named = |devices: &str| {
        let text = format!("[keyfile]\nunmanaged-devices{devices}\n");
        manager(&[("/etc/NetworkManager/conf.d/x.conf", &text)])
    };
    assert_eq!(named("+=interface-name:ptl*"), Some(TakesLinks::No));
    assert_eq!(named("=mac:00:11:22:33:44:55;interface-name:p*"), Some(TakesLinks::No));
    assert_eq!(named("=interface-name:eth1"), Some(TakesLinks::Yes));
    let taken = said(|facts| facts.programs.network_manager = Some(TakesLinks::Yes));
    assert_eq!(taken, ["check.network_manager"]);
}

#[test]
fn dhcpcd_takes_all_links_unless_told() {
    let dhcpcd = |text: &str| programs(&running(&["dhcpcd"]), &files(&[("/etc/dhcpcd.conf", text)]), &[]).dhcpcd;
    assert_eq!(dhcpcd("duid\n"), Some(TakesLinks::Yes));
    assert_eq!(dhcpcd("denyinterfaces wlan0 ptl*\n"), Some(TakesLinks::No));
    assert_eq!(dhcpcd("allowinterfaces eth0\n"), Some(TakesLinks::No));
    assert_eq!(dhcpcd("#denyinterfaces ptl*\n"), Some(TakesLinks::Yes));
    let of_one = [("dhcpcd".to_owned(), "dhcpcd: eth0 [ip4]".to_owned())];
    assert_eq!(programs(&of_one, &Texts::new(), &[]).dhcpcd, Some(TakesLinks::No));
    let taken = said(|facts| facts.programs.dhcpcd = Some(TakesLinks::Yes));
    assert_eq!(taken, ["check.dhcpcd"]);
}

#[test]
fn docker_finds_forwarding_on_if_a_file_says_so() {
    let docker = |of: &[(&str, &str)]| programs(&running(&["dockerd"]), &files(of), &[]).docker;
    assert_eq!(docker(&[]), Some(Docker::TurnsForwardingOn));
    for (path, text) in [
        ("/etc/sysctl.d/x.conf", "net.ipv4.ip_forward = 1\n"),
        ("/etc/sysctl.conf", "net/ipv4/ip_forward=1\n"),
        ("/etc/docker/daemon.json", "{\"ip-forward\": false}"),
        ("/etc/docker/daemon.json", "{\"iptables\": false}"),
    ] {
        assert_eq!(docker(&[(path, text)]), Some(Docker::FindsForwarding), "{path} {text}");
    }
    let off = ("/etc/sysctl.d/99-x.conf", "net.ipv4.ip_forward=0\n");
    let on = ("/etc/sysctl.d/10-x.conf", "net.ipv4.ip_forward=1\n");
    assert_eq!(docker(&[on, off]), Some(Docker::TurnsForwardingOn));
    let hurts = said(|facts| facts.programs.docker = Some(Docker::TurnsForwardingOn));
    assert_eq!(hurts, ["check.docker"]);
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

/// A host with all programs that have drop-ins, none of which is told anything.
fn crowded() -> Facts {
    let mut facts = clean();
    facts.programs = Programs {
        networkd: Some(Networkd {
            takes_routes: true,
            ..Networkd::default()
        }),
        network_manager: Some(TakesLinks::No),
        docker: Some(Docker::TurnsForwardingOn),
        firewalld: true,
        ..Programs::default()
    };
    facts.managed = vec![("eth0".to_owned(), "10-it.network".to_owned())];
    facts
}

#[test]
fn programs_that_are_not_there_are_told_nothing() {
    assert_eq!(drop_ins(&clean()), DropIns::default());
}

#[test]
fn what_the_drop_ins_say_is_what_the_check_looks_for() {
    let facts = crowded();
    let told = drop_ins(&facts);
    assert_eq!(codes(&facts), ["check.networkd", "check.docker"]);
    let mut texts: Texts = told
        .files
        .iter()
        .map(|file| (file.path.clone(), file.text.clone()))
        .collect();
    let network = "[Match]\nName=*\n[Network]\nDHCP=yes\n".to_owned();
    texts.insert("/etc/systemd/network/10-it.network".to_owned(), network);
    let there = running(&["systemd-network", "NetworkManager", "dockerd"]);
    let mended = Facts {
        programs: programs(&there, &texts, &facts.managed),
        ..facts
    };
    assert_eq!(mended.programs.networkd, Some(Networkd::default()));
    assert_eq!(
        mended.programs.network_manager,
        Some(TakesLinks::No),
        "without its udev rule"
    );
    assert_eq!(codes(&mended), [""; 0]);
}

#[test]
fn firewalls_are_told_of_the_ranges_and_of_probes_alone() {
    let told = drop_ins(&crowded());
    let policy = told
        .files
        .iter()
        .find(|file| file.path == "/etc/firewalld/policies/portolan.xml");
    let text = &policy.unwrap().text;
    let comment = text
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix("<!--")?.strip_suffix("-->"));
    assert!(!comment.unwrap().contains("--"), "firewalld refuses the file: {text}");
    let rules: Vec<&str> = text.lines().filter(|line| line.contains("<rule")).collect();
    assert_eq!(
        rules,
        [
            "  <rule family=\"ipv4\"><source address=\"10.1.0.0/16\"/><accept/></rule>",
            "  <rule family=\"ipv4\"><destination address=\"10.1.0.0/16\"/><accept/></rule>",
            "  <rule family=\"ipv6\"><source address=\"fd00:60::/64\"/><accept/></rule>",
            "  <rule family=\"ipv6\"><destination address=\"fd00:60::/64\"/><accept/></rule>",
        ]
    );
    let mut facts = clean();
    facts.programs.ufw = true;
    assert_eq!(drop_ins(&facts), DropIns::default(), "it drops nothing");
    facts.foreign.drops = vec![chain("ip", "filter", "FORWARD"), chain("ip6", "filter", "FORWARD")];
    facts.closed = vec![chain("ip", "filter", "INPUT")];
    let told = drop_ins(&facts);
    assert_eq!(told.files, []);
    assert_eq!(
        told.run,
        [
            "ufw route allow from 10.1.0.0/16",
            "ufw route allow to 10.1.0.0/16",
            "ufw route allow from fd00:60::/64",
            "ufw route allow to fd00:60::/64",
            "ufw allow 7157/udp",
        ]
    );
}

#[test]
fn dockers_chain_is_told_where_it_drops_already() {
    let run = |drops: Vec<DroppingChain>| {
        let mut facts = crowded();
        facts.foreign.drops = drops;
        let run = drop_ins(&facts).run.into_iter();
        run.filter(|command| command.starts_with("iptables"))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(Vec::new()), [""; 0]);
    assert_eq!(
        run(vec![chain("ip", "filter", "FORWARD")]),
        [
            "iptables -I DOCKER-USER -s 10.1.0.0/16 -j ACCEPT",
            "iptables -I DOCKER-USER -d 10.1.0.0/16 -j ACCEPT",
        ]
    );
}
