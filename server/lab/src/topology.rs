//! What is plugged into what: the lab's links and addresses as `ip` batch lines. Pure.
//!
//! ```text
//!   provider 198.18.0.1/20 ──┐                       ┌── eth0 (address from the control plane)  host node-1
//!   (agent endpoint)         │  br-prov     br-net   │
//!                            ├──────   switch  ──────┤
//!   host node-1 mgmt0 ───────┘  (namespace)          └── eth0  host node-2
//! ```
//! All links are made from inside the switch namespace, with the peer directly where it belongs, so that nothing of a
//! lab is ever in the root namespace.

use std::net::Ipv4Addr;

use crate::names::LabId;

/// Where agents find the control plane, on the provider's service network.
pub const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The port of it.
pub const ENDPOINT_PORT: u16 = 7443;
/// How wide the provider's service network is (198.18.0.0/20).
pub const PROVIDER_PREFIX: u8 = 20;
/// Hosts a lab may have: their management addresses fill one /24 of the service network.
pub const MAX_HOSTS: usize = 64;

/// The management address of the host with this index (from 0).
pub fn management_address(index: usize) -> Ipv4Addr {
    let index = u8::try_from(index).expect("a lab has at most MAX_HOSTS hosts");
    Ipv4Addr::new(198, 18, 1, 1 + index)
}

/// Lines that make the switch, the provider's and the hosts' namespaces; to be run anywhere.
pub fn namespaces(lab: &LabId, hosts: &[String]) -> Vec<String> {
    let mut all = vec![lab.switch(), lab.provider()];
    all.extend(hosts.iter().map(|host| lab.host(host)));
    all.iter()
        .map(|namespace| format!("netns add {}", namespace.name()))
        .collect()
}

/// Lines that make bridges and cables; to be run in the switch namespace.
pub fn cables(lab: &LabId, hosts: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for bridge in ["br-net", "br-prov"] {
        lines.push(format!("link add {bridge} type bridge stp_state 0 forward_delay 0"));
        lines.push(format!("link set {bridge} up"));
    }
    let mut cable = |port: String, bridge: &str, peer: &str, namespace: &str| {
        lines.push(format!("link add {port} type veth peer name {peer} netns {namespace}"));
        lines.push(format!("link set {port} master {bridge} up"));
    };
    cable("prov".into(), "br-prov", "eth0", lab.provider().name());
    for (index, host) in hosts.iter().enumerate() {
        let namespace = lab.host(host);
        cable(format!("net{index}"), "br-net", "eth0", namespace.name());
        cable(format!("mgmt{index}"), "br-prov", "mgmt0", namespace.name());
    }
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

/// Lines for inside a host: loopback and the management link. The tenant interface is down until the control plane has
/// given the host its address.
pub fn host(index: usize) -> Vec<String> {
    let address = management_address(index);
    vec![
        "link set lo up".into(),
        format!("addr add {address}/{PROVIDER_PREFIX} dev mgmt0"),
        "link set mgmt0 up".into(),
    ]
}

/// Lines for inside a host that put it on the tenant network.
pub fn tenant(address: &str, prefix: u8) -> Vec<String> {
    vec![
        format!("addr add {address}/{prefix} dev eth0"),
        "link set eth0 up".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_name_fits_the_kernel_and_no_link_is_made_outside_of_the_switch() {
        let lab: LabId = "abcdefghijkl".parse().unwrap();
        let hosts: Vec<String> = (1..=MAX_HOSTS).map(|index| format!("node-{index}")).collect();
        for line in cables(&lab, &hosts) {
            let words: Vec<_> = line.split(' ').collect();
            assert!(words[2].len() <= 15, "{line}");
            if let Some(at) = words.iter().position(|word| *word == "peer") {
                assert!(words[at + 2].len() <= 15 && words[at + 3] == "netns", "{line}");
            }
        }
        assert_eq!(namespaces(&lab, &hosts).len(), MAX_HOSTS + 2);
    }

    #[test]
    fn management_addresses_are_distinct_and_not_the_endpoint() {
        let all: std::collections::BTreeSet<_> = (0..MAX_HOSTS).map(management_address).collect();
        assert_eq!(all.len(), MAX_HOSTS);
        assert!(!all.contains(&ENDPOINT));
    }
}
