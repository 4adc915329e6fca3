use std::path::Path;
use std::sync::Arc;

use portolan_sources::Files as _;
use portolan_sources::testing::MemoryFiles;
use portolan_wire::agent::Prefix;

use super::disk::DesiredFile;
use super::*;

const STORE: Id = [7; 16];
const OWN: NodeId = NodeId::from_bytes([1; 16]);

fn node(id: u8) -> Node {
    Node {
        id: vec![id; 16],
        name: format!("node-{id}"),
        addresses: vec![vec![10, 0, 0, id]],
    }
}

fn block(id: u8, node: u8) -> Block {
    let prefix = Some(Prefix {
        address: vec![10, 1, id, 0],
        length: 26,
    });
    Block {
        id: vec![id; 16],
        node_id: vec![node; 16],
        prefix,
    }
}

fn cluster() -> Cluster {
    let pod_ranges = vec![Prefix {
        address: vec![10, 1, 0, 0],
        length: 16,
    }];
    Cluster {
        id: vec![9; 16],
        name: "shop".into(),
        pod_ranges,
        mtu: 1500,
        ..Cluster::default()
    }
}

fn snapshot(revision: u64) -> Snapshot {
    let (nodes, blocks) = (vec![node(1), node(2)], vec![block(10, 1), block(11, 2)]);
    Snapshot {
        revision,
        cluster: Some(cluster()),
        nodes,
        blocks,
        more: false,
    }
}

fn state(revision: u64) -> State {
    Arriving::default()
        .part(STORE, snapshot(revision), &State::default())
        .unwrap()
        .unwrap()
}

#[test]
fn own_blocks_and_those_of_others_are_told_apart() {
    let desired = state(5).desired(OWN);
    assert!(desired.complete);
    assert_eq!(desired.node.v4, Some([10, 0, 0, 1].into()));
    assert_eq!(desired.own_blocks.len(), 1);
    assert_eq!(desired.remote_blocks[0].via.v4, Some([10, 0, 0, 2].into()));
    assert_eq!(desired.mtu, 1500);
    assert!(!State::default().desired(OWN).complete);
}

#[test]
fn a_block_of_an_unknown_node_leads_nowhere_and_is_still_there() {
    let mut state = state(5);
    state
        .change(Change {
            revision: 6,
            drop_nodes: vec![vec![2; 16]],
            ..Change::default()
        })
        .unwrap();
    let desired = state.desired(OWN);
    assert_eq!(desired.remote_blocks[0].via, NodeAddresses::default());
}

#[test]
fn changes_lead_to_the_same_state_as_a_snapshot() {
    let mut state = state(5);
    let change = Change {
        revision: 8,
        cluster: Some(Cluster { mtu: 1450, ..cluster() }),
        put_nodes: vec![node(3)],
        put_blocks: vec![block(12, 3)],
        drop_nodes: vec![vec![2; 16]],
        drop_blocks: vec![vec![11; 16]],
    };
    assert!(state.change(change.clone()).unwrap());
    let whole = Snapshot {
        revision: 8,
        cluster: Some(Cluster { mtu: 1450, ..cluster() }),
        nodes: vec![node(3), node(1)],
        blocks: vec![block(12, 3), block(10, 1)],
        more: false,
    };
    let whole = Arriving::default()
        .part(STORE, whole, &State::default())
        .unwrap()
        .unwrap();
    assert_eq!(state, whole);
    assert_eq!(state.digest(), whole.digest());
    // Twice is once.
    assert!(!state.change(change).unwrap());
    assert_eq!(state, whole);
}

#[test]
fn a_snapshot_in_parts_counts_once_the_last_is_there() {
    let whole = snapshot(5);
    let first = Snapshot {
        nodes: vec![node(1)],
        blocks: vec![],
        more: true,
        ..whole.clone()
    };
    let second = Snapshot {
        cluster: None,
        nodes: vec![node(2)],
        blocks: whole.blocks.clone(),
        ..whole
    };
    let mut arriving = Arriving::default();
    assert_eq!(arriving.part(STORE, first.clone(), &State::default()), Ok(None));
    assert_eq!(
        arriving.part(STORE, second.clone(), &State::default()),
        Ok(Some(state(5)))
    );
    // A part alone, and a part of another revision, are none.
    assert_eq!(
        arriving.part(STORE, second.clone(), &State::default()),
        Err(Rejected::Parts)
    );
    arriving.part(STORE, first, &State::default()).unwrap();
    let other = Snapshot { revision: 6, ..second };
    assert_eq!(arriving.part(STORE, other, &State::default()), Err(Rejected::Parts));
}

#[test]
fn an_older_revision_is_refused_within_a_store_and_taken_from_another() {
    let have = state(5);
    let older = |store| Arriving::default().part(store, snapshot(4), &have);
    assert_eq!(older(STORE), Err(Rejected::Older { offered: 4, have: 5 }));
    assert_eq!(older([8; 16]).unwrap().unwrap().revision(), 4);
    let mut state = have;
    assert!(
        !state
            .change(Change {
                revision: 5,
                drop_nodes: vec![vec![2; 16]],
                ..Change::default()
            })
            .unwrap()
    );
    assert!(!state.progress(5) && state.progress(9) && state.revision() == 9);
    assert!(
        !State::default().progress(9),
        "without a state there is nothing to move"
    );
}

#[test]
fn what_is_malformed_changes_nothing() {
    let mut state = state(5);
    let before = state.clone();
    let bad = [
        Change {
            put_nodes: vec![Node {
                id: vec![1; 3],
                ..node(3)
            }],
            ..Change::default()
        },
        Change {
            put_nodes: vec![node(3)],
            drop_blocks: vec![vec![]],
            ..Change::default()
        },
        Change {
            put_blocks: vec![Block {
                prefix: None,
                ..block(4, 1)
            }],
            ..Change::default()
        },
        Change {
            cluster: Some(Cluster {
                id: vec![],
                ..cluster()
            }),
            ..Change::default()
        },
    ];
    for change in bad {
        assert!(matches!(
            state.change(Change { revision: 6, ..change }),
            Err(Rejected::Malformed(_))
        ));
        assert_eq!(state, before);
    }
}

/// A file, and the disk it is on.
fn file() -> (DesiredFile, MemoryFiles) {
    let files = MemoryFiles::default();
    files.make_folder(Path::new("/state")).unwrap();
    (DesiredFile::new(Arc::new(files.clone()), Path::new("/state")), files)
}

#[test]
fn the_state_comes_back_from_disk() {
    let (file, _) = file();
    assert_eq!(file.load().unwrap(), None);
    file.save(&state(5)).unwrap();
    file.save(&state(6)).unwrap();
    assert_eq!(file.load().unwrap(), Some(state(6)));
    file.remove().unwrap();
    assert_eq!(file.load().unwrap(), None);
}

#[test]
fn a_torn_file_counts_as_none_wherever_it_is_torn() {
    let (file, files) = file();
    file.save(&state(5)).unwrap();
    let whole = files.read(file.path()).unwrap().unwrap();
    for length in 0..whole.len() {
        files.replace(file.path(), &whole[..length], 0o600).unwrap();
        assert_eq!(file.load().unwrap(), None, "cut at {length}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        files.replace(file.path(), &changed, 0o600).unwrap();
        assert_eq!(file.load().unwrap(), None, "changed at {at}");
    }
}
