//! What is written down of a pod's addresses.

use std::net::IpAddr;
use std::path::PathBuf;

use portolan_shared::host_port::HostPort;
use portolan_shared::ids::PortId;
use portolan_shared::mac::MacAddress;
use serde::{Deserialize, Serialize};

/// How a pod's hardware address begins: locally administered, the rest are four bytes of its
/// address, so that no two pods of a cluster have the same.
const MAC_PREFIX: [u8; 2] = [0x0a, 0x58];

/// Addresses given to a pod, until released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// UUIDv7, made here; the pod's port.
    pub id: PortId,
    /// Of the allocation, in the node's sequence of allocations and releases, from 1.
    pub seq: u64,
    /// The name of the network configuration it was made by; empty if it was made before names were
    /// written down.
    #[serde(default)]
    pub network: String,
    /// The container runtime's id of the sandbox.
    pub container: String,
    /// The interface's name in the pod.
    pub ifname: String,
    /// Where the runtime keeps the pod's network namespace.
    pub netns: PathBuf,
    /// The kernel's number of that namespace: another one at the same path is another pod.
    pub netns_inode: u64,
    /// Kubernetes namespace; empty when the runtime named none.
    pub pod_namespace: String,
    /// Kubernetes name; empty when the runtime named none.
    pub pod_name: String,
    /// Kubernetes UID; empty when the runtime named none.
    pub pod_uid: String,
    /// One address of each family that the cluster's pods have.
    pub addresses: Vec<IpAddr>,
    /// Of the pod's interface.
    pub mac: MacAddress,
    /// The host's end of the pod's link.
    pub link: String,
    /// Ports of the host that lead to the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_ports: Vec<HostPort>,
}

/// The end of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The allocation.
    pub id: PortId,
    /// The allocation's sequence number: a late release cannot free a successor's address.
    pub allocation_seq: u64,
    /// Of the release itself.
    pub seq: u64,
}

/// The hardware address of a pod with these addresses; by the IPv4 address where there is one.
pub fn pod_mac(addresses: &[IpAddr]) -> MacAddress {
    let v4 = addresses.iter().find_map(|a| match a {
        IpAddr::V4(a) => Some(a.octets()),
        IpAddr::V6(_) => None,
    });
    let v6 = addresses.iter().find_map(|a| match a {
        IpAddr::V6(a) => Some((a.to_bits() as u32).to_be_bytes()),
        IpAddr::V4(_) => None,
    });
    let [a, b, c, d] = v4.or(v6).unwrap_or_default();
    MacAddress::new([MAC_PREFIX[0], MAC_PREFIX[1], a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_follows_the_address() {
        let ips = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(
            pod_mac(&ips(&["fd00::1", "10.77.1.2"])).to_string(),
            "0a:58:0a:4d:01:02"
        );
        assert_eq!(pod_mac(&ips(&["fd00::102:304"])).to_string(), "0a:58:01:02:03:04");
    }
}
