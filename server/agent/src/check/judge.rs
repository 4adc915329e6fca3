//! What of all that is known of a host will hurt: pure.

use std::collections::BTreeSet;

use portolan_plan::{DroppingChain, MAIN_TABLE, ROUTE_PROTOCOL, Route, RouteKey, Sysctl, Target, V6_METRIC};
use portolan_shared::addr::{Cidr, Family};

use super::Finding;
use super::facts::{Disk, Facts, everything};
use super::programs::{Docker, TakesLinks};
use crate::kernel::{PolicyRule, RuleAction};

/// The least MTU that IPv6 takes (RFC 8200), and the least that pods are given.
const LEAST_MTU: u32 = 1280;

/// What the agent writes: some megabytes of desired state, twice while it is replaced.
const LEAST_SPACE: u64 = 16 << 20;

/// Files that it makes at most, with those that take others' places.
const LEAST_FILES: u64 = 32;

/// What is open at most: 512 connections of CNI, some seconds of 16 probes each, sockets, files.
const LEAST_OPEN: u64 = 768;

/// What writes the files that mend something.
const WRITE: &str = "portolan-agent check --write-drop-ins";

/// How many of a kind are named.
const NAMED: usize = 3;

/// The port that probes are sent to.
const PORT: u16 = portolan_plan::probes::PROBE_PORT;

/// All that will hurt.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    // Every kernel that could be asked has a link.
    let of_kernel: &[fn(&Facts) -> Vec<Finding>] = match facts.kernel.links.is_empty() {
        true => &[],
        false => &[addresses, forwarding],
    };
    let others: [fn(&Facts) -> Vec<Finding>; 12] = [
        unable, state_dir, ipv6, chains, rules, routes, leftovers, programs, probes, strict, mtu, limits,
    ];
    let rooms = of_kernel.iter().chain(&others);
    rooms.flat_map(|room| room(facts)).collect()
}

fn finding(code: &'static str, what: impl Into<String>, why: impl Into<String>, now: impl Into<String>) -> Finding {
    Finding {
        code,
        what: what.into(),
        why: why.into(),
        now: now.into(),
    }
}

fn unable(facts: &Facts) -> Vec<Finding> {
    let found = facts.unable.iter().map(|(what, reason)| {
        finding(
            "check.kernel_lacks",
            format!("{what} cannot be made: {reason}"),
            "each pod needs one",
            "run the agent as root, on a kernel with CONFIG_NET_NS and CONFIG_VETH",
        )
    });
    found.collect()
}

fn state_dir(facts: &Facts) -> Vec<Finding> {
    let dir = &facts.state_dir;
    let found = match &facts.disk {
        Some(Disk::Closed(reason)) => finding(
            "check.state_dir",
            format!("{dir} cannot be written: {reason}"),
            "the agent keeps there who it is and which addresses it has given to pods",
            "give it another folder by --state-dir, or make this one writable",
        ),
        Some(Disk::Open { bytes, files }) if *bytes < LEAST_SPACE || *files < LEAST_FILES => finding(
            "check.state_dir_full",
            format!("the disk of {dir} has room for {bytes} bytes in {files} files"),
            "no pod is started once the agent cannot write its address down",
            format!("make room for {} MiB", LEAST_SPACE >> 20),
        ),
        _ => return Vec::new(),
    };
    vec![found]
}

/// Families of the pod ranges in which this host has no address.
fn addresses(facts: &Facts) -> Vec<Finding> {
    let has = |family: &Family| facts.uplinks.iter().any(|uplink| Family::of(uplink.address) == *family);
    let without = facts.families().into_iter().filter(|family| !has(family));
    let found = without.map(|family| {
        finding(
            "check.no_address",
            format!("this host has no IPv{} address", family.number()),
            "a node is reached by its own address of the family that its pods have",
            "give the host an address of the cluster's node subnet",
        )
    });
    let found: Vec<Finding> = found.collect();
    match facts.uplinks.is_empty() && found.is_empty() {
        true => vec![finding(
            "check.no_address",
            "this host has no address that others could send to",
            "a node is reached by its own address",
            "give the host an address of the cluster's node subnet",
        )],
        false => found,
    }
}

fn forwarding(facts: &Facts) -> Vec<Finding> {
    let of = |family: &Family| match family {
        Family::V4 => Sysctl::ForwardV4,
        Family::V6 => Sysctl::ForwardV6,
    };
    let found = facts.families().into_iter().filter_map(|family| {
        let switch = of(&family);
        let why = "a node forwards what its pods send and what is sent to them";
        match facts.kernel.sysctls.get(&switch) {
            None => Some(finding(
                "check.no_forwarding",
                format!("this kernel has no {}", switch.path()),
                why,
                format!("start it with IPv{}", family.number()),
            )),
            Some(false) if facts.fixed.contains(&switch) => Some(finding(
                "check.forwarding_fixed",
                format!("{} is off and cannot be written", switch.path()),
                why,
                format!(
                    "turn it on where it can be: sysctl -w {}=1; in a container, mount /proc/sys writable",
                    switch.path().replace('/', ".")
                ),
            )),
            _ => None,
        }
    });
    found.collect()
}

fn ipv6(facts: &Facts) -> Vec<Finding> {
    if !facts.ipv6_off || !facts.families().contains(&Family::V6) {
        return Vec::new();
    }
    vec![finding(
        "check.ipv6_off",
        "net.ipv6.conf.default.disable_ipv6 is on",
        "the links of pods are made without IPv6, so IPv6 pods have no gateway",
        "sysctl -w net.ipv6.conf.default.disable_ipv6=0, and in the file of /etc/sysctl.d that turns it on",
    )]
}

/// The families of addresses that a table is for.
fn families_of(chain: &DroppingChain) -> &'static [Family] {
    match chain.family {
        "ip" => &[Family::V4],
        "ip6" => &[Family::V6],
        _ => &[Family::V4, Family::V6],
    }
}

fn chain_name(chain: &DroppingChain) -> String {
    format!("the chain {} of table {} {}", chain.chain, chain.family, chain.table)
}

/// The pod ranges as they are named to people.
fn ranges(facts: &Facts, families: &[Family]) -> Vec<String> {
    let given = facts.ranges.iter().filter(|range| families.contains(&range.family()));
    let named: Vec<String> = given.map(Cidr::to_string).collect();
    match named.is_empty() {
        true => vec!["POD-RANGE".to_owned()],
        false => named,
    }
}

/// What makes a chain let pods' packets pass, by whose it is.
fn let_pass(facts: &Facts, chain: &DroppingChain) -> String {
    let ranges = ranges(facts, families_of(chain));
    let of_iptables = (chain.table.as_str(), chain.chain.as_str()) == ("filter", "FORWARD");
    let tool = if chain.family == "ip6" { "ip6tables" } else { "iptables" };
    let each = |words: &dyn Fn(&String) -> String| ranges.iter().map(words).collect::<Vec<_>>().join("; ");
    if of_iptables && facts.programs.ufw {
        each(&|range| format!("ufw route allow from {range}; ufw route allow to {range}"))
    } else if of_iptables {
        let own = match facts.programs.docker {
            Some(_) => "DOCKER-USER",
            None => "FORWARD",
        };
        each(&|range| format!("{tool} -I {own} -s {range} -j ACCEPT; {tool} -I {own} -d {range} -j ACCEPT"))
    } else if chain.table == "firewalld" {
        format!(
            "a policy of firewalld from ANY to ANY that accepts {}, from and to: {WRITE}",
            ranges.join(" and ")
        )
    } else {
        format!("make it accept {}, from and to", ranges.join(" and "))
    }
}

fn chains(facts: &Facts) -> Vec<Finding> {
    let forwarded = facts.foreign.drops.iter().map(|chain| {
        finding(
            "check.forward_drops",
            format!("{} drops what is forwarded", chain_name(chain)),
            "pods reach no pod of another node; where ping passes all the same, TCP and UDP do not",
            let_pass(facts, chain),
        )
    });
    let closed = facts.closed.iter().map(|chain| {
        let now = if facts.programs.ufw {
            format!("ufw allow {PORT}/udp")
        } else if chain.table == "firewalld" {
            format!("a policy of firewalld from ANY to HOST that accepts UDP port {PORT}: {WRITE}")
        } else {
            format!("make it accept UDP to port {PORT} from other nodes")
        };
        finding(
            "check.probes_dropped",
            format!("{} drops what is sent to UDP port {PORT} of this host", chain_name(chain)),
            "other nodes prove by packets to that port that this one is there; without an answer it counts as not ready",
            now,
        )
    });
    forwarded.chain(closed).collect()
}

fn rules(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for range in facts.pod_ranges() {
        for rule in facts.rules.get(&range.family().number()).into_iter().flatten() {
            if leads_to_our_routes(&rule.rule, &range) {
                break;
            }
            let PolicyRule { from, to, .. } = &rule.rule;
            let is_for = |asked: &Option<Cidr>| asked.is_none_or(|asked| takes(&asked, &range));
            if rule.rule.narrowed || !is_for(from) || !is_for(to) {
                continue;
            }
            let does = match rule.rule.action {
                RuleAction::Refuse => "refuses what pods send".to_owned(),
                RuleAction::Lookup { table, suppress } if table != MAIN_TABLE => {
                    let leads = |to: &&Cidr| suppress.is_none_or(|short| to.prefix() > short) && takes(to, &range);
                    match rule.destinations.iter().find(leads) {
                        Some(to) => format!("sends what is for {to} by the table {table}"),
                        None => continue,
                    }
                }
                _ => continue,
            };
            let (of, priority) = (range.family().number(), rule.rule.priority);
            let named = ranges(facts, &[range.family()]).join(" and ");
            found.push(finding(
                "check.policy_rule",
                format!("a rule of routing (IPv{of}, priority {priority}) {does}"),
                "the agent's routes are in the main table, which is asked later: what pods send to each other leaves by \
                 that way",
                format!(
                    "put a rule before it: ip -{of} rule add to {named} lookup main priority {}",
                    priority.saturating_sub(1)
                ),
            ));
        }
    }
    found
}

/// Whether all that is sent to pods is looked up in the main table by this rule, which has the agent's routes.
fn leads_to_our_routes(rule: &PolicyRule, range: &Cidr) -> bool {
    let RuleAction::Lookup { table, suppress } = rule.action else {
        return false;
    };
    let covers = |to: Cidr| to.contains(range.first()) && to.prefix() <= range.prefix();
    let finds = suppress.is_none_or(|short| short < range.prefix().max(1));
    table == MAIN_TABLE && finds && !rule.narrowed && rule.from.is_none() && rule.to.is_none_or(covers)
}

/// Whether what is for these addresses is for pods: for some, where their range is known, and surely, where it is not.
fn takes(addresses: &Cidr, range: &Cidr) -> bool {
    match everything(range.family()) == Some(*range) {
        true => addresses == range,
        false => addresses.overlaps(range),
    }
}

fn routes(facts: &Facts) -> Vec<Finding> {
    // Without a range everything is in it.
    if facts.ranges.is_empty() || facts.foreign.routes.is_empty() {
        return Vec::new();
    }
    let named = facts.foreign.routes.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|route| format!("{} {} ({})", route.key.prefix, route.towards, route.maker()))
        .collect();
    let more = facts.foreign.routes.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    vec![finding(
        "check.routes_in_range",
        format!("there are routes inside of the pod range: {}{more}", named.join(", ")),
        "they take packets to pods with these addresses away, and the agent leaves others' routes alone",
        "choose another pod range, or remove them",
    )]
}

/// Whether a route with the agent's number is one as it makes them.
fn is_ours(key: &RouteKey, route: &Route) -> bool {
    let metric = match key.prefix.family() {
        Family::V4 => 0,
        Family::V6 => V6_METRIC,
    };
    key.table == MAIN_TABLE && key.metric == metric && route.target != Target::Strange
}

fn leftovers(facts: &Facts) -> Vec<Finding> {
    let others = facts.kernel.routes.iter();
    let others = others.filter(|(key, route)| !facts.has_agent || !is_ours(key, route));
    let named: Vec<String> = others.map(|(key, _)| key.prefix.to_string()).collect();
    let Some(first) = named.first() else {
        return Vec::new();
    };
    vec![finding(
        "check.routes_of_our_number",
        format!(
            "another program's routes have the agent's protocol number {ROUTE_PROTOCOL}: {} such as {first}",
            named.len()
        ),
        "the agent takes them for its own and removes them once it has joined",
        "let that program use another number; of an agent that was here before, nothing needs to be done",
    )]
}

fn programs(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let programs = &facts.programs;
    let is_uplink = |(link, _): &&(String, String)| facts.uplinks.iter().any(|uplink| uplink.link == *link);
    if let Some(networkd) = &programs.networkd {
        let mut takes = Vec::new();
        if networkd.takes_routes {
            takes.push("routes that it did not make".to_owned());
        }
        if let Some(file) = &networkd.takes_links_by {
            takes.push(format!("the links of pods, by {file}"));
        }
        let addresses = networkd.takes_addresses.iter().filter(is_uplink);
        takes.extend(addresses.map(|(link, file)| format!("the addresses of {link}, by {file}")));
        if !takes.is_empty() {
            found.push(finding(
                "check.networkd",
                format!("systemd-networkd manages {}", takes.join(", ")),
                "each time it starts it takes them away, and with an address all IPv4 routes that name it",
                format!(
                    "ManageForeignRoutes=no in networkd.conf, Unmanaged=yes for ptl*, KeepConfiguration=static for links \
                     with addresses: {WRITE}"
                ),
            ));
        }
    }
    if programs.network_manager == Some(TakesLinks::Yes) {
        found.push(finding(
            "check.network_manager",
            "NetworkManager manages the links of pods: neither its udev rule for virtual links is there nor does its \
             configuration leave ptl* out",
            "it takes off their addresses and IPv6 routes and looks for DHCP there",
            format!("unmanaged-devices+=interface-name:ptl* in a file of conf.d: {WRITE}"),
        ));
    }
    if programs.dhcpcd == Some(TakesLinks::Yes) {
        found.push(finding(
            "check.dhcpcd",
            "dhcpcd manages all links, those of pods as well",
            "it gives each an address and a route to 169.254.0.0/16, and one a default route where the host has none",
            "put a line into /etc/dhcpcd.conf: denyinterfaces ptl*",
        ));
    }
    if programs.docker == Some(Docker::TurnsForwardingOn) && facts.families().contains(&Family::V4) {
        found.push(finding(
            "check.docker",
            "nothing turns IPv4 forwarding on when this host starts",
            "if Docker starts before the agent it does so itself, and then drops what is forwarded: pods reach no other node",
            format!("net.ipv4.ip_forward=1 in a file of /etc/sysctl.d: {WRITE}"),
        ));
    }
    found
}

fn probes(facts: &Facts) -> Vec<Finding> {
    let found = facts.port_taken.iter().map(|by| {
        finding(
            "check.port_taken",
            format!("UDP port {PORT} is taken by {by}"),
            "other nodes prove by packets to it that this one is there; without an answer it counts as not ready",
            "let that program use another port",
        )
    });
    found.collect()
}

/// Links with addresses of one subnet, of which one looks by which link a packet came in.
fn strict(facts: &Facts) -> Vec<Finding> {
    let mut links = BTreeSet::new();
    let of_four = || facts.uplinks.iter().filter(|uplink| uplink.address.is_ipv4());
    for one in of_four() {
        let subnet = |uplink: &super::facts::Uplink| Cidr::containing(uplink.address, uplink.prefix);
        let shared = of_four().any(|other| other.link != one.link && subnet(other) == subnet(one));
        if shared && facts.strict.contains(&one.link) {
            links.insert(one.link.as_str());
        }
    }
    if links.is_empty() {
        return Vec::new();
    }
    let links: Vec<&str> = links.into_iter().collect();
    vec![finding(
        "check.strict_paths",
        format!(
            "rp_filter is 1 on {}, and the host has several links into one subnet",
            links.join(" and ")
        ),
        "what other nodes' pods send comes in by either link, and is dropped where the answer would leave by the other",
        format!(
            "sysctl -w net.ipv4.conf.all.rp_filter=2 (loose), or leave {} alone in that subnet",
            links.join(" or ")
        ),
    )]
}

fn mtu(facts: &Facts) -> Vec<Finding> {
    let names: BTreeSet<&str> = facts.uplinks.iter().map(|uplink| uplink.link.as_str()).collect();
    let small = facts.kernel.links.iter();
    let small = small.filter(|(name, link)| names.contains(name.as_str()) && link.mtu < LEAST_MTU);
    let found = small.map(|(name, link)| {
        finding(
            "check.small_mtu",
            format!("the MTU of {name} is {}", link.mtu),
            format!("the links of pods have that of their node's, and IPv6 needs {LEAST_MTU}"),
            format!("ip link set {name} mtu 1500, if the network carries it; or join with an address of another link"),
        )
    });
    found.collect()
}

fn limits(facts: &Facts) -> Vec<Finding> {
    let clock = (facts.clock_held == Some(false)).then(|| {
        finding(
            "check.clock",
            "no program keeps the clock of this host right",
            "where it is wrong, certificates are not valid yet or no more, and the node is refused",
            "run chrony or systemd-timesyncd (timedatectl set-ntp true)",
        )
    });
    let open = facts.open_files.filter(|most| *most < LEAST_OPEN).map(|most| {
        finding(
            "check.open_files",
            format!("a program may have {most} files open"),
            "the agent has a socket for each call of a container runtime and each probe",
            format!("LimitNOFILE={LEAST_OPEN} or more in its unit, or ulimit -n"),
        )
    });
    clock.into_iter().chain(open).collect()
}
