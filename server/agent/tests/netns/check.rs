//! What `portolan-agent check` says of real hosts.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Command;

use serde_json::Value;

use crate::filter::{drop_forwarded, stop_dropping};
use crate::namespaces::{Namespace, inside, ip, privileged};
use crate::world::Cluster;

/// What is said of a host, by code, and how the program ends. What the whole machine has in common with it is left out.
fn check(host: &str, arguments: &[&str]) -> (BTreeMap<String, Value>, i32) {
    let output = Command::new("ip")
        .args(["netns", "exec", host, env!("CARGO_BIN_EXE_portolan-agent")])
        .args(["check", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["unseen"], Value::Array(Vec::new()));
    let findings = report["findings"].as_array().unwrap().iter();
    let by_code = findings.map(|finding| (finding["code"].as_str().unwrap().to_owned(), finding.clone()));
    let of_machine = ["check.clock", "check.open_files", "check.state_dir_full"];
    let found = by_code.filter(|(code, _)| !of_machine.contains(&code.as_str()));
    (found.collect(), output.status.code().unwrap())
}

/// A host with a link and addresses of both families.
fn host(name: &str) -> Namespace {
    let host = Namespace::new(format!("ptlk-{}-{name}", std::process::id()));
    for line in [
        "link set lo up",
        "link add eth0 type veth peer name other0",
        "link set other0 up",
        "link set eth0 up",
        "addr add 192.168.77.1/24 dev eth0",
        "addr add fd77::1/64 dev eth0 nodad",
    ] {
        ip(&format!("-n {} {line}", host.0));
    }
    host
}

fn set(host: &str, switch: &str, value: &str) {
    inside(host, || {
        std::fs::write(format!("/proc/sys/net/{switch}"), value).unwrap()
    });
}

#[test]
fn what_will_hurt_is_said_of_a_host_before_it_joins() {
    if !privileged() {
        return;
    }
    let host = host("check");
    let host = host.0.as_str();
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().to_str().unwrap();
    let ranges = [
        "--range",
        "10.77.0.0/16",
        "--range",
        "fd77:10::/48",
        "--state-dir",
        state_dir,
    ];
    let codes = |arguments: &[&str]| -> Vec<String> { check(host, arguments).0.into_keys().collect() };
    assert_eq!(codes(&ranges), [""; 0]);
    assert_eq!(codes(&["--state-dir", state_dir]), [""; 0]);

    let said = |code: &str, words: &str| {
        let (found, ended) = check(host, &ranges);
        assert_eq!(
            (found.keys().map(String::as_str).collect::<Vec<_>>(), ended),
            (vec![code], 1)
        );
        let what = found[code]["what"].as_str().unwrap();
        assert!(what.contains(words), "{what}");
    };
    drop_forwarded(host);
    said("check.forward_drops", "the chain FORWARD of table ip wall");
    stop_dropping(host);

    let taken = inside(host, || UdpSocket::bind("0.0.0.0:7157").unwrap());
    said("check.port_taken", "UDP port 7157");
    drop(taken);

    ip(&format!("-n {host} route add default via 192.168.77.2 table 1000"));
    ip(&format!("-n {host} rule add lookup 1000 priority 100"));
    said("check.policy_rule", "sends what is for 0.0.0.0/0 by the table 1000");
    ip(&format!("-n {host} rule add to 10.77.0.0/16 lookup main priority 99"));
    assert_eq!(codes(&ranges), [""; 0], "by the rule that is advised");
    ip(&format!("-n {host} rule del priority 99"));
    ip(&format!("-n {host} rule del priority 100"));

    ip(&format!(
        "-n {host} route add 10.77.5.0/24 via 192.168.77.2 proto static"
    ));
    said("check.routes_in_range", "10.77.5.0/24 via 192.168.77.2 (proto static)");
    assert_eq!(codes(&["--state-dir", state_dir]), [""; 0], "of no known range");
    ip(&format!("-n {host} route del 10.77.5.0/24"));

    ip(&format!("-n {host} route add 10.5.0.0/24 via 192.168.77.2 proto 157"));
    said("check.routes_of_our_number", "such as 10.5.0.0/24");
    ip(&format!("-n {host} route del 10.5.0.0/24"));

    set(host, "ipv6/conf/default/disable_ipv6", "1");
    said("check.ipv6_off", "disable_ipv6");
    set(host, "ipv6/conf/default/disable_ipv6", "0");

    ip(&format!("-n {host} link set eth0 mtu 1200"));
    // The kernel turns IPv6 off on a link with an MTU below 1280, and takes its IPv6 address away.
    let (found, _) = check(host, &ranges);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["check.no_address", "check.small_mtu"]
    );
    ip(&format!("-n {host} link set eth0 mtu 1500"));
    ip(&format!("-n {host} addr add fd77::1/64 dev eth0 nodad"));

    ip(&format!("-n {host} addr add 192.168.77.2/24 dev other0"));
    assert_eq!(codes(&ranges), [""; 0]);
    set(host, "ipv4/conf/all/rp_filter", "1");
    said("check.strict_paths", "eth0 and other0");
    set(host, "ipv4/conf/all/rp_filter", "2");
    assert_eq!(codes(&ranges), [""; 0], "by the switch that is advised");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("state");
    let (found, _) = check(host, &["--state-dir", below.to_str().unwrap()]);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["check.state_dir"]);
}

#[test]
fn an_agent_on_a_host_is_nothing_that_hurts_it() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let _pods = (cluster.pod(1), cluster.pod(2));
    let node = cluster.node(1);
    let before = node.our_routes();
    let state_dir = node.state_dir().to_str().unwrap();
    let ranges = [
        "--range",
        "10.77.0.0/16",
        "--range",
        "fd77:10::/48",
        "--state-dir",
        state_dir,
    ];
    let (found, _) = check(&node.namespace.0, &ranges);
    assert_eq!(found, BTreeMap::new());
    assert_eq!(node.our_routes(), before, "looking changes nothing");
}
