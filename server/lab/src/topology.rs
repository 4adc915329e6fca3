//! What is plugged into what: the lab's links and addresses as `ip` batch lines. Pure.
//!
//! ```text
//!   provider 198.18.0.1/20 ──┐                      ┌── eth0 (address from the control plane)  node-1 of shop
//!   (agent endpoint)         │ br-prov        br-0  │
//!                            ├──────   switch ──────┴── eth0                                  node-2 of shop
//!   node-1's mgmt0 ──────────┤  (namespace)
//!   node-2's mgmt0 ──────────┤                br-1 ──── eth0                                  node-1 of web
//!   …                        ┘
//! ```
//! A bridge for each tenant network that has hosts; hosts and bridges have numbers, the smallest that are free. All links
//! are made from inside the switch namespace, with the peer directly where it belongs, so that nothing of a lab is ever
//! in the root namespace.

use std::net::{IpAddr, Ipv4Addr};

use crate::names::LabId;
use crate::netns::Namespace;

/// Where agents find the control plane, on the provider's service network.
pub const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The port of it.
pub const ENDPOINT_PORT: u16 = 7443;
/// How wide the provider's service network is (198.18.0.0/20).
pub const PROVIDER_PREFIX: u8 = 20;
/// Hosts a lab may have: a bridge has 1,024 ports.
pub const MAX_HOSTS: usize = 1_000;
/// Hosts a cluster may have, as the control plane sees it.
pub const MAX_HOSTS_OF_CLUSTER: u8 = 16;

/// The management address of the host with this number.
pub fn management_address(number: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(number)
        .expect("a lab has at most MAX_HOSTS hosts")
        .to_be_bytes();
    Ipv4Addr::new(198, 18, 1 + high, low)
}

/// The line that makes a namespace; to be run anywhere.
pub fn namespace(namespace: &Namespace) -> String {
    format!("netns add {}", namespace.name())
}

/// Lines that make what all hosts share: to be run in the switch namespace.
pub fn trunk(lab: &LabId) -> Vec<String> {
    let mut lines = bridge_lines("br-prov");
    lines.extend(cable("prov", "br-prov", "eth0", &lab.provider()));
    lines
}

/// Lines for inside the provider namespace.
pub fn provider() -> Vec<String> {
    vec![
        "link set lo up".into(),
        format!("addr add {ENDPOINT}/{PROVIDER_PREFIX} dev eth0"),
        "link set eth0 up".into(),
    ]
}

/// Lines that make the bridge of a tenant network; to be run in the switch namespace.
pub fn bridge(number: usize) -> Vec<String> {
    bridge_lines(&bridge_name(number))
}

/// Lines that take it away.
pub fn no_bridge(number: usize) -> Vec<String> {
    vec![format!("link del {}", bridge_name(number))]
}

/// Lines that plug a host in, into its tenant network and the provider's; to be run in the switch namespace.
pub fn cables(host: usize, namespace: &Namespace, bridge: usize, mtu: u32) -> Vec<String> {
    let [net, mgmt] = host_links(host);
    let mut lines = cable(&net, &bridge_name(bridge), "eth0", namespace);
    lines.push(format!("link set {net} mtu {mtu}"));
    lines.extend(cable(&mgmt, "br-prov", "mgmt0", namespace));
    lines
}

/// Lines that unplug it.
pub fn no_cables(host: usize) -> Vec<String> {
    host_links(host).map(|link| format!("link del {link}")).to_vec()
}

/// Lines for inside a host: loopback, the management link, and the tenant network with the address of its port.
pub fn host(number: usize, address: IpAddr, prefix: u8, mtu: u32) -> Vec<String> {
    let management = management_address(number);
    // IPv6 would take a second to look for others with the address; the control plane has seen to that.
    let at_once = if address.is_ipv6() { " nodad" } else { "" };
    vec![
        "link set lo up".into(),
        format!("addr add {management}/{PROVIDER_PREFIX} dev mgmt0"),
        "link set mgmt0 up".into(),
        format!("link set eth0 mtu {mtu}"),
        format!("addr add {address}/{prefix} dev eth0{at_once}"),
        "link set eth0 up".into(),
    ]
}

fn bridge_name(number: usize) -> String {
    format!("br-{number}")
}

/// The switch's ends of a host's links.
fn host_links(host: usize) -> [String; 2] {
    [format!("net{host}"), format!("mgmt{host}")]
}

fn bridge_lines(name: &str) -> Vec<String> {
    vec![
        format!("link add {name} type bridge stp_state 0 forward_delay 0"),
        format!("link set {name} up"),
    ]
}

fn cable(port: &str, bridge: &str, peer: &str, namespace: &Namespace) -> Vec<String> {
    let namespace = namespace.name();
    vec![
        format!("link add {port} type veth peer name {peer} netns {namespace}"),
        format!("link set {port} master {bridge} up"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_name_fits_the_kernel_and_no_link_is_made_outside_of_the_switch() {
        let lab: LabId = "abcdefghijkl".parse().unwrap();
        let namespace = lab.host(MAX_HOSTS - 1, "c", "node-1");
        let mut lines = trunk(&lab);
        lines.extend(bridge(MAX_HOSTS - 1));
        lines.extend(cables(MAX_HOSTS - 1, &namespace, MAX_HOSTS - 1, 1500));
        let made = lines.iter().filter(|line| line.starts_with("link add"));
        assert_eq!(made.clone().count(), 5);
        for line in made {
            let words: Vec<_> = line.split(' ').collect();
            assert!(words[2].len() <= 15, "{line}");
            if let Some(at) = words.iter().position(|word| *word == "peer") {
                assert!(words[at + 2].len() <= 15 && words[at + 3] == "netns", "{line}");
            }
        }
    }

    #[test]
    fn what_is_plugged_in_is_unplugged() {
        let lab: LabId = "a".parse().unwrap();
        let made = |lines: Vec<String>| -> Vec<String> {
            let added = lines.iter().filter_map(|line| line.strip_prefix("link add "));
            added
                .filter_map(|rest| rest.split(' ').next())
                .map(str::to_owned)
                .collect()
        };
        let gone = |lines: Vec<String>| -> Vec<String> {
            lines
                .iter()
                .filter_map(|line| line.strip_prefix("link del "))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(made(cables(7, &lab.host(7, "c", "n"), 2, 1500)), gone(no_cables(7)));
        assert_eq!(made(bridge(2)), gone(no_bridge(2)));
    }

    #[test]
    fn management_addresses_are_distinct_and_not_the_endpoint() {
        let all: std::collections::BTreeSet<_> = (0..MAX_HOSTS).map(management_address).collect();
        assert_eq!(all.len(), MAX_HOSTS);
        assert!(!all.contains(&ENDPOINT));
        let provider = ipv4_network(ENDPOINT);
        assert!(all.iter().all(|address| ipv4_network(*address) == provider));
    }

    fn ipv4_network(address: Ipv4Addr) -> u32 {
        u32::from(address) >> (32 - u32::from(PROVIDER_PREFIX))
    }
}
