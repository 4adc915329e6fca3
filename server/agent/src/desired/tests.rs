use std::path::Path;
use std::sync::Arc;

use portolan_sources::Files as _;
use portolan_sources::testing::MemoryFiles;
use portolan_wire::agent::{ClaimAck, Item, Prefix, Welcome};
use portolan_wire::item::Body as _;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::disk::DesiredFile;
use super::*;

const STORE: Id = [7; 16];
const OWN: NodeId = NodeId::from_bytes([1; 16]);

fn node(id: u8) -> Node {
    Node {
        id: vec![id; 16],
        name: format!("node-{id}"),
        addresses: vec![vec![10, 0, 0, id]],
        ..Node::default()
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
        ..Block::default()
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
        ..Snapshot::default()
    }
}

/// A connection to this store.
fn arriving(store: Id) -> Arriving {
    let welcome = Welcome {
        store_id: store.to_vec(),
        ..Welcome::default()
    };
    Arriving::new(&welcome).unwrap()
}

/// What came of the last part.
fn whole(received: Result<Received, Rejected>) -> State {
    match received {
        Ok(Received::State(state)) => *state,
        other => panic!("{other:?}"),
    }
}

fn state(revision: u64) -> State {
    whole(arriving(STORE).part(snapshot(revision), &State::default()))
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
        ..Change::default()
    };
    assert!(state.change(change.clone()).unwrap());
    let snapshot = Snapshot {
        revision: 8,
        cluster: Some(Cluster { mtu: 1450, ..cluster() }),
        nodes: vec![node(3), node(1)],
        blocks: vec![block(12, 3), block(10, 1)],
        ..Snapshot::default()
    };
    let whole = whole(arriving(STORE).part(snapshot, &State::default()));
    assert_eq!(state, whole);
    assert_eq!(state.digest(), whole.digest());
    // Twice is once.
    assert!(!state.change(change).unwrap());
    assert_eq!(state, whole);
}

#[test]
fn a_snapshot_in_parts_counts_once_the_last_is_there() {
    let all = snapshot(5);
    let first = Snapshot {
        nodes: vec![node(1)],
        blocks: vec![],
        more: true,
        ..all.clone()
    };
    let second = Snapshot {
        cluster: None,
        nodes: vec![node(2)],
        blocks: all.blocks.clone(),
        ..all
    };
    let none = State::default();
    let mut arriving = arriving(STORE);
    assert_eq!(arriving.part(first.clone(), &none), Ok(Received::Nothing));
    assert_eq!(whole(arriving.part(second.clone(), &none)), state(5));
    // A part alone, and a part of another revision, are none.
    assert_eq!(arriving.part(second.clone(), &none), Err(Rejected::Parts));
    arriving.part(first, &none).unwrap();
    let other = Snapshot { revision: 6, ..second };
    assert_eq!(arriving.part(other, &none), Err(Rejected::Parts));
}

#[test]
fn an_older_revision_is_refused_within_a_store_and_taken_from_another() {
    let have = state(5);
    let older = |store| arriving(store).part(snapshot(4), &have);
    assert_eq!(older(STORE), Err(Rejected::Older { offered: 4, have: 5 }));
    assert_eq!(whole(older([8; 16])).revision(), 4);
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
    assert!(!state.progress(5, None) && state.progress(9, None) && state.revision() == 9);
    assert!(
        !State::default().progress(9, None),
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
fn a_state_that_was_only_prepared_is_found_unless_the_power_goes() {
    let (file, files) = file();
    file.save(&state(5)).unwrap();
    for extra in [0, 40, 1000] {
        file.prepare(&state(6)).unwrap();
        files.cut_power(extra);
        assert_eq!(file.load().unwrap(), Some(state(5)));
    }
    file.prepare(&state(6)).unwrap();
    assert_eq!(file.load().unwrap(), Some(state(6)));
    // What an agent has begun with is there after a power cut too.
    files.cut_power(0);
    assert_eq!(file.load().unwrap(), Some(state(6)));
    file.prepare(&state(7)).unwrap();
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

/// A position of the run `run`.
fn position(run: u8, revision: u64) -> Option<Position> {
    Some(Position {
        incarnation: vec![run; 16],
        revision,
        mark: vec![run; 32],
    })
}

/// A leased block, and the node that leases it.
fn leased(id: u8, of: u8) -> [Item; 2] {
    let node = Node {
        machine: vec![of; 32],
        ..node(of)
    };
    let block = Block {
        lease: vec![id; 32],
        leased_at: 3,
        ..block(id, of)
    };
    [node.item(), block.item()]
}

/// A state of items at a revision of the run `run`.
fn items_at(run: u8, revision: u64, leases: &[(u8, u8)]) -> Snapshot {
    Snapshot {
        revision,
        items: std::iter::once(cluster().item())
            .chain(leases.iter().flat_map(|(block, of)| leased(*block, *of)))
            .collect(),
        position: position(run, revision),
        ..Snapshot::default()
    }
}

fn put(revision: u64, items: impl IntoIterator<Item = Item>) -> Change {
    Change {
        revision,
        put: items.into_iter().collect(),
        position: position(2, revision),
        ..Change::default()
    }
}

#[test]
fn a_state_of_another_history_counts_once_what_it_lacks_is_decided() {
    let have = whole(arriving(STORE).part(items_at(1, 90, &[(10, 1), (11, 2), (12, 3)]), &State::default()));
    let welcome = Welcome {
        store_id: STORE.to_vec(),
        other_history: true,
        history: vec![Span {
            incarnation: vec![2; 16],
            first: 1,
        }],
        ..Welcome::default()
    };
    let mut arriving = Arriving::new(&welcome).unwrap();
    let Received::Claim(claim) = arriving.part(items_at(2, 26, &[(10, 1)]), &have).unwrap() else {
        panic!("what is here and not there is claimed");
    };
    let [only] = &claim[..] else { panic!("{claim:?}") };
    let [two, three] = [leased(11, 2), leased(12, 3)];
    let items: Items = only.items.iter().map(|item| read(item.clone()).unwrap()).collect();
    let expected: Items = two
        .iter()
        .chain(&three)
        .map(|item| read(item.clone()).unwrap())
        .collect();
    assert_eq!(items, expected);

    // Meanwhile what comes is of the state to be, and a mark of it is not of the state that is.
    assert_eq!(arriving.progress(27, position(2, 27)), Some(Received::Nothing));
    assert_eq!(arriving.change(put(28, two)).unwrap(), Ok(Received::Nothing));
    // The answer names a revision that has not all come yet.
    assert_eq!(arriving.claimed(ClaimAck { revision: 29 }.revision), Received::Nothing);
    let Ok(Received::State(now)) = arriving.change(put(29, three)).unwrap() else {
        panic!("now it counts");
    };
    assert_eq!(
        (now.revision(), now.incarnation(), now.own_blocks(OWN)),
        (29, &[2; 16][..], 1)
    );
    assert_eq!(now.desired(OWN).remote_blocks.len(), 2, "nothing that runs is cut");
    assert_eq!(now.history(), welcome.history);
    assert_eq!(have.regained(&now, OWN).len(), 0);
    let regained = State::default().regained(&now, OWN);
    let ids: Vec<u8> = regained.iter().map(|block| block.id.as_bytes()[0]).collect();
    assert_eq!(ids, [10], "what the other state lacks");
    // From now on changes are of the state that is.
    let change = put(30, []);
    assert_eq!(arriving.change(change.clone()).unwrap(), Err(change));
}

#[test]
fn the_run_that_a_state_is_of_comes_back_from_disk_with_it() {
    let (file, files) = file();
    let welcome = Welcome {
        store_id: STORE.to_vec(),
        history: (1..=3)
            .map(|n| Span {
                incarnation: vec![n; 16],
                first: n.into(),
            })
            .collect(),
        ..Welcome::default()
    };
    let state = whole(
        Arriving::new(&welcome)
            .unwrap()
            .part(items_at(3, 9, &[(10, 1)]), &State::default()),
    );
    file.save(&state).unwrap();
    assert_eq!(file.load().unwrap().as_ref(), Some(&state));
    assert_eq!(file.load().unwrap().unwrap().history().len(), 3);
    // The same items of another run are another state: what is on disk must be known again.
    let other = whole(arriving(STORE).part(items_at(4, 9, &[(10, 1)]), &State::default()));
    assert!(!state.is_same(&other));

    // What the version before has kept is read: a node that is upgraded without the control plane keeps its network.
    let body = [&STORE[..], &snapshot(5).encode_to_vec()].concat();
    let kept = [&b"PTLDES1\n"[..], &Sha256::digest(&body), &body].concat();
    files.replace(file.path(), &kept, 0o600).unwrap();
    assert_eq!(file.load().unwrap(), Some(self::state(5)));
}
