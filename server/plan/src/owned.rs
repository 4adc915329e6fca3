//! How Portolan marks what is its own in a kernel.

use std::net::IpAddr;

use portolan_shared::ids::PortId;

/// The number that marks routes of ours (`rtm_protocol`). What carries it is ours; nothing else is.
pub const ROUTE_PROTOCOL: u8 = 157;

/// How the names of our links begin.
pub const LINK_PREFIX: &str = "ptl";

/// Hex digits of the allocation's id in the name of a pod's link: with the prefix, 14 of the 15
/// characters that the kernel allows.
pub const LINK_DIGITS: usize = 11;

/// Whether `name` is what a pod's link of ours is called: the prefix and [`LINK_DIGITS`] lower-case
/// hex digits. Narrow on purpose: what matches and belongs to no pod is removed.
pub fn is_pod_link(name: &str) -> bool {
    name.strip_prefix(LINK_PREFIX)
        .is_some_and(|rest| rest.len() == LINK_DIGITS && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// The name of the host's end of a pod's link: the prefix and the *last* digits of the allocation's
/// id. The first digits of a UUIDv7 are time, and pods that start together would share them.
pub fn link_name(id: PortId) -> String {
    let digits = id.uuid().simple().to_string();
    format!("{LINK_PREFIX}{}", &digits[digits.len() - LINK_DIGITS..])
}

/// How the name of the link of a node's end of probes begins, and how many hex digits follow.
const PROBE_LINK: (&str, usize) = ("ptlp", 10);

/// Whether `name` is what the link of an end of probes of ours is called.
pub fn is_probe_link(name: &str) -> bool {
    name.strip_prefix(PROBE_LINK.0)
        .is_some_and(|rest| rest.len() == PROBE_LINK.1 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// The name of the link of a node's end of probes. It says what the link was made with, by a hash (FNV-1a): one that is
/// to be otherwise has another name, and so is made anew.
pub fn probe_link_name(addresses: &[IpAddr], mtu: u32) -> String {
    let text = format!("{addresses:?} {mtu}");
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, add);
    format!("{}{:010x}", PROBE_LINK.0, hash >> 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_links_are_taken_for_pods_links() {
        let name = link_name(PortId::from_bytes([0xab; 16]));
        assert_eq!(name, "ptlbababababab");
        assert!(is_pod_link(&name) && name.len() <= 15);
        let probes = |address: &str, mtu| probe_link_name(&[address.parse().unwrap()], mtu);
        let one = probes("10.1.0.62", 1500);
        assert!(
            is_probe_link(&one) && !is_pod_link(&one) && !is_probe_link(&name) && one.len() <= 15,
            "{one}"
        );
        assert!(one != probes("10.1.0.62", 1450) && one != probes("10.1.0.63", 1500));
        for other in [
            "",
            "ptl",
            "ptlother",
            "ptl0000000000",
            "ptl000000000000",
            "ptl0000000000A",
            "eth0",
        ] {
            assert!(!is_pod_link(other), "{other}");
        }
    }
}
