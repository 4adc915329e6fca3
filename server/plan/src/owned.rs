//! How Portolan marks what is its own in a kernel.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_links_are_taken_for_pods_links() {
        let name = link_name(PortId::from_bytes([0xab; 16]));
        assert_eq!(name, "ptlbababababab");
        assert!(is_pod_link(&name) && name.len() <= 15);
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
