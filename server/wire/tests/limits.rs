//! What both sides rely on: messages come back as they were, whatever arrives is read or refused,
//! and what the limits promise fits into them.

use portolan_wire::agent::{
    Applied, Block, Change, Cluster, Exception, FromAgent, HostPort, Item, Node, PodAllocation, PodReport, Prefix,
    Snapshot, ToAgent, from_agent, to_agent,
};
use portolan_wire::item::Body as _;
use portolan_wire::{HOST_PORTS_TOLD, MAX_AGENT_FRAME, MAX_FRAME, POD_REPORT_PART, SNAPSHOT_PART};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), length)
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (bytes(16), 0_u32..=128).prop_map(|(address, length)| Prefix { address, length })
}

fn node() -> impl Strategy<Value = Node> {
    (bytes(16), ".{0,63}", vec(bytes(16), 0..3)).prop_map(|(id, name, addresses)| Node {
        id,
        name,
        addresses,
        machine: Vec::new(),
    })
}

fn block() -> impl Strategy<Value = Block> {
    (bytes(16), bytes(16), proptest::option::of(prefix())).prop_map(|(id, node_id, prefix)| Block {
        id,
        node_id,
        prefix,
        lease: Vec::new(),
        leased_at: 0,
    })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    (bytes(16), ".{0,63}", vec(prefix(), 0..3), any::<u32>()).prop_map(|(id, name, pod_ranges, mtu)| Cluster {
        id,
        name,
        pod_ranges,
        mtu,
        ..Cluster::default()
    })
}

fn change() -> impl Strategy<Value = Change> {
    let parts = (
        any::<u64>(),
        proptest::option::of(cluster()),
        vec(node(), 0..5),
        vec(block(), 0..5),
        vec(bytes(16), 0..5),
    );
    parts.prop_map(|(revision, cluster, put_nodes, put_blocks, dropped)| Change {
        revision,
        cluster,
        put_nodes,
        drop_nodes: dropped.clone(),
        put_blocks,
        drop_blocks: dropped,
        ..Change::default()
    })
}

fn exception() -> impl Strategy<Value = Exception> {
    ("(port|block|node)", bytes(16), ".{0,80}", any::<u32>()).prop_map(|(kind, id, reason, attempts)| Exception {
        kind,
        id,
        reason,
        attempts,
    })
}

proptest! {
    #[test]
    fn what_is_sent_to_an_agent_comes_back(change in change()) {
        let message = ToAgent { message: Some(to_agent::Message::Change(change)) };
        prop_assert_eq!(ToAgent::decode(&message.encode_to_vec()[..]).unwrap(), message);
    }

    #[test]
    fn what_an_agent_sends_comes_back(revision in any::<u64>(), exceptions in vec(exception(), 0..10)) {
        let message = FromAgent { message: Some(from_agent::Message::Applied(Applied { revision, exceptions, ..Applied::default() })) };
        prop_assert_eq!(FromAgent::decode(&message.encode_to_vec()[..]).unwrap(), message);
    }

    #[test]
    fn any_frame_is_read_or_refused(frame in vec(any::<u8>(), 0..300)) {
        let _ = ToAgent::decode(&frame[..]);
        let _ = FromAgent::decode(&frame[..]);
    }

    /// A torn frame never reads as another message than a prefix of the whole would be.
    #[test]
    fn a_frame_that_is_cut_is_refused_or_says_less(change in change(), cut in any::<prop::sample::Index>()) {
        let whole = ToAgent { message: Some(to_agent::Message::Change(change)) }.encode_to_vec();
        let cut = cut.index(whole.len());
        // The outer message names the length of the inner one: a cut is always noticed.
        prop_assert!(cut == 0 || ToAgent::decode(&whole[..cut]).is_err());
    }
}

fn full_block() -> Block {
    let prefix = Some(Prefix {
        address: vec![0xff; 16],
        length: 122,
    });
    Block {
        id: vec![0xff; 16],
        node_id: vec![0xff; 16],
        prefix,
        lease: vec![0xff; 32],
        leased_at: u64::MAX,
    }
}

fn full_node() -> Node {
    Node {
        id: vec![0xff; 16],
        name: "n".repeat(63),
        addresses: vec![vec![0xff; 16]; 2],
        machine: vec![0xff; 32],
    }
}

#[test]
fn a_snapshot_of_a_thousand_nodes_with_sixteen_blocks_each_is_within_the_limit() {
    let mut items = vec![full_node().item(); 1000];
    items.extend(vec![full_block().item(); 16_000]);
    let snapshot = Snapshot {
        revision: u64::MAX,
        items,
        ..Snapshot::default()
    };
    assert!(snapshot.encoded_len() < MAX_FRAME, "{}", snapshot.encoded_len());
}

#[test]
fn a_part_of_a_snapshot_is_small() {
    let part = |item: Item| Snapshot {
        items: vec![item; SNAPSHOT_PART],
        ..Snapshot::default()
    };
    let nodes = part(full_node().item()).encoded_len();
    assert!(nodes < 224 << 10, "{nodes}");
    let blocks = part(full_block().item()).encoded_len();
    assert!(blocks < 144 << 10, "{blocks}");
}

#[test]
fn a_part_of_a_full_report_is_within_the_limit() {
    let pod = PodAllocation {
        id: vec![0xff; 16],
        seq: u64::MAX,
        container_id: "c".repeat(64),
        interface: "eth0".into(),
        pod_namespace: "n".repeat(63),
        pod_name: "p".repeat(253),
        pod_uid: "u".repeat(36),
        addresses: vec![vec![0xff; 4], vec![0xff; 16]],
        mac: vec![0xff; 6],
        host_ports: vec![
            HostPort {
                protocol: 132,
                host_ip: vec![0xff; 16],
                host_port: 65_535,
                container_port: 65_535,
            };
            HOST_PORTS_TOLD
        ],
        more_host_ports: 1024,
    };
    let report = PodReport {
        full: true,
        seq: u64::MAX,
        allocations: vec![pod; POD_REPORT_PART as usize],
        releases: vec![],
        more: true,
    };
    assert!(report.encoded_len() < MAX_AGENT_FRAME, "{}", report.encoded_len());
}
