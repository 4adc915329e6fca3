//! Packet filters of others, made as their tools make them.

use portolan_agent::converge::Subject;

use crate::namespaces::{inside, privileged};
use crate::world::{Cluster, node_id};

/// `NFNL_SUBSYS_NFTABLES`, in the upper half of a message's type.
const NFTABLES: u16 = 10 << 8;
const NEW_TABLE: u16 = NFTABLES;
const DEL_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;
/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_CREATE`.
const FLAGS: u16 = 0x405;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = (20 + attributes.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(10u16.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

/// Makes changes of the IPv4 filter, all or nothing.
fn change(host: &str, messages: &[(u16, Vec<u8>)]) {
    let mut batch = message(16, 1, 0, &[]);
    for (kind, attributes) in messages {
        batch.extend(message(*kind, FLAGS, 2, attributes));
    }
    batch.extend(message(17, 1, 0, &[]));
    inside(host, || {
        let socket = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_NETFILTER).unwrap();
        socket.send(&batch, 0).unwrap();
        for _ in messages {
            let mut answer = [0; 1024];
            let length = socket.recv(&mut &mut answer[..], 0).unwrap();
            assert!(length >= 20 && answer[16..20] == [0; 4], "{:?}", &answer[..length]);
        }
    });
}

/// Another program drops all that is forwarded.
pub(crate) fn drop_forwarded(host: &str) {
    let table = attribute(1, b"wall\0");
    // `NF_INET_FORWARD`, and `NF_DROP` as what is done in the end.
    let hook = [attribute(1, &2u32.to_be_bytes()), attribute(2, &0u32.to_be_bytes())].concat();
    let chain = [
        table.clone(),
        attribute(3, b"FORWARD\0"),
        attribute(4, &hook),
        attribute(5, &0u32.to_be_bytes()),
        attribute(7, b"filter\0"),
    ];
    change(host, &[(NEW_TABLE, table), (NEW_CHAIN, chain.concat())]);
}

/// It does so no more.
pub(crate) fn stop_dropping(host: &str) {
    change(host, &[(DEL_TABLE, attribute(1, b"wall\0"))]);
}

#[test]
fn a_forward_chain_of_others_that_drops_is_said_of_the_node() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let kept = cluster.keep(1);
    let host = &cluster.node(1).namespace.0;
    // As docker leaves it.
    drop_forwarded(host);
    let standing = kept.until_said(Subject::Node(node_id(1)), "chain FORWARD of table ip wall drops");
    assert!(
        standing.exceptions[0]
            .reason
            .contains("accept 10.77.0.0/16, from and to"),
        "{standing:?}"
    );
    stop_dropping(host);
    kept.until_well();
}
