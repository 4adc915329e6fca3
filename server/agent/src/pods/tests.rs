//! Pods on a kernel in memory and on a disk whose power can be cut.

#![expect(clippy::disallowed_methods, reason = "the pods ask from several threads at once")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use portolan_plan::testing::{drop_link, pod_link};
use portolan_plan::{NodeAddresses, OwnBlock};
use portolan_shared::addr::Family;
use portolan_shared::ids::BlockId;
use portolan_sources::Files as _;
use portolan_sources::testing::{MemoryFiles, OnTheSpot, SeededRandom, SetClock};
use proptest::prelude::*;

use super::*;
use crate::kernel::NamespaceError;
use crate::kernel::fake::FakeKernel;

pub(crate) struct Rig {
    kernel: Arc<FakeKernel>,
    disk: MemoryFiles,
    ids: Ids,
    pub(crate) pods: Pods,
}

pub(crate) fn network(blocks: &[&str]) -> PodNetwork {
    let own = |(n, prefix): (usize, &&str)| OwnBlock {
        id: BlockId::from_bytes([n as u8; 16]),
        prefix: prefix.parse().unwrap(),
    };
    PodNetwork {
        node: NodeAddresses::default(),
        mtu: 1500,
        ranges: vec!["10.1.0.0/16".parse().unwrap()],
        blocks: blocks.iter().enumerate().map(own).collect(),
    }
}

fn open(kernel: &Arc<FakeKernel>, disk: &MemoryFiles, ids: &Ids, blocks: &[&str]) -> Pods {
    let (path, thread) = (Path::new("/state/pods.log"), Arc::new(OnTheSpot));
    let pods = Pods::open(disk, path, kernel.clone(), ids.clone(), thread).unwrap();
    pods.configure(network(blocks));
    pods
}

impl Rig {
    pub(crate) fn new(blocks: &[&str]) -> Self {
        let (kernel, disk) = (Arc::new(FakeKernel::default()), MemoryFiles::default());
        let clock = SetClock::at(1_700_000_000_000_000);
        let ids = Ids::new(Arc::new(clock), Arc::new(SeededRandom::new(1)));
        disk.make_folder(Path::new("/state")).unwrap();
        let pods = open(&kernel, &disk, &ids, blocks);
        Self {
            kernel,
            disk,
            ids,
            pods,
        }
    }

    fn restart(&mut self, blocks: &[&str]) {
        self.pods = open(&self.kernel, &self.disk, &self.ids, blocks);
    }

    /// The agent ends, its log is changed, and another begins and looks at the kernel.
    fn restart_with(&mut self, blocks: &[&str], change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let path = Path::new("/state/pods.log");
        let bytes = self.disk.read(path).unwrap().unwrap();
        let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        change(&mut lines);
        self.disk.replace(path, &lines.concat(), 0o600).unwrap();
        self.restart(blocks);
        self.look();
    }

    /// What a round looks at.
    fn look(&self) {
        let seen = self.kernel.state.lock().seen.clone();
        self.pods.hold(&seen);
    }

    pub(crate) fn sandbox(&self, n: u8) -> AddPod {
        let netns = PathBuf::from(format!("/run/netns/{n}"));
        self.kernel.state.lock().namespaces.insert(netns.clone(), u64::from(n));
        AddPod {
            network: "portolan".into(),
            container: format!("c{n}"),
            ifname: "eth0".into(),
            netns,
            pod_namespace: "shop".into(),
            pod_name: format!("web-{n}"),
            pod_uid: String::new(),
            host_ports: Vec::new(),
        }
    }

    fn add(&self, n: u8) -> Result<Wired, AddError> {
        self.pods.add(&self.sandbox(n))
    }

    fn links(&self) -> usize {
        self.kernel.state.lock().seen.links.len()
    }
}

#[test]
fn the_same_sandbox_gets_the_same_again_and_what_is_missing_is_mended() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    let first = rig.add(1).unwrap();
    assert_eq!(first.allocation.addresses, ["10.1.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(first.allocation.mac.to_string(), "0a:58:0a:01:00:01");
    let known = Wired {
        new: false,
        ..first.clone()
    };
    assert!(first.new);
    assert_eq!(rig.add(1).unwrap(), known);
    rig.kernel.state.lock().seen.links.clear();
    assert_eq!(rig.add(1).unwrap(), known);
    assert_eq!(rig.links(), 1);
    assert_eq!(rig.pods.list().unwrap().seq, 1);
}

#[test]
fn what_nobody_took_is_taken_back_unless_it_was_asked_for_again() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    let (one, two) = (rig.add(1).unwrap(), rig.add(2).unwrap());
    rig.add(2).unwrap();
    for wired in [&one, &two] {
        rig.pods.not_taken(wired.allocation.id).unwrap();
    }
    let left = rig.pods.list().unwrap().allocations;
    assert_eq!(left.iter().map(|a| a.id).collect::<Vec<_>>(), [two.allocation.id]);
    assert_eq!(rig.links(), 1);
    rig.pods.not_taken(one.allocation.id).unwrap();
}

#[test]
fn another_sandbox_under_the_same_name_gets_its_own() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    let first = rig.add(1).unwrap();
    rig.kernel.state.lock().namespaces.clear();
    let mut again = rig.sandbox(1);
    again.netns = "/run/netns/other".into();
    rig.kernel.state.lock().namespaces.insert(again.netns.clone(), 77);
    let second = rig.pods.add(&again).unwrap();
    assert_ne!(second.allocation.id, first.allocation.id);
    assert_eq!(second.allocation.addresses, ["10.1.0.2".parse::<IpAddr>().unwrap()]);
    assert_eq!(rig.links(), 1);
}

#[test]
fn each_reason_has_its_variant_and_keeps_nothing() {
    let rig = Rig::new(&[]);
    assert!(matches!(rig.add(1), Err(AddError::NoBlock(Family::V4))));
    rig.pods.configure(PodNetwork::default());
    assert!(matches!(rig.add(1), Err(AddError::NotReady)));
    rig.pods.configure(network(&["10.1.0.4/31"]));
    rig.add(1).unwrap();
    rig.kernel.state.lock().refuse_attach = true;
    assert!(matches!(rig.add(2), Err(AddError::Attach(AttachError::Kernel(_)))));
    rig.kernel.state.lock().refuse_attach = false;
    rig.add(2).unwrap();
    let Err(AddError::Exhausted(Family::V4, room)) = rig.add(3) else {
        panic!("a third address out of two")
    };
    assert_eq!((room.capacity, room.used, rig.pods.usage().free()), (2, 2, 0));
    let mut gone = rig.sandbox(4);
    gone.netns = "/run/netns/gone".into();
    assert!(matches!(
        rig.pods.add(&gone),
        Err(AddError::Attach(AttachError::Namespace(NamespaceError::Gone { .. })))
    ));
    assert_eq!(rig.pods.list().unwrap().allocations.len(), 2);
}

#[test]
fn a_del_frees_only_once_the_route_is_gone_and_finds_nothing_twice() {
    let rig = Rig::new(&["10.1.0.4/31"]);
    rig.add(1).unwrap();
    rig.kernel.state.lock().refuse_detach = true;
    assert!(rig.pods.remove("c1", "eth0").is_err());
    assert_eq!(rig.pods.list().unwrap().allocations.len(), 1);
    rig.kernel.state.lock().refuse_detach = false;
    assert!(rig.pods.remove("c1", "eth0").unwrap().is_some());
    assert!(rig.pods.remove("c1", "eth0").unwrap().is_none());
    assert!(rig.pods.remove("never", "eth0").unwrap().is_none());
    assert_eq!((rig.links(), rig.pods.list().unwrap().allocations.len()), (0, 0));
}

#[test]
fn a_sync_that_fails_refuses_the_add_and_the_log_is_written_anew() {
    let mut rig = Rig::new(&["10.1.0.0/26"]);
    let kept = rig.add(1).unwrap();
    rig.disk.fail_syncs(1);
    assert!(matches!(rig.add(2), Err(AddError::Log(_))));
    assert_eq!(rig.links(), 1);
    rig.disk.fail_appends(1);
    assert!(matches!(rig.add(3), Err(AddError::Log(_))));
    let after = rig.add(4).unwrap();
    rig.disk.cut_power(0);
    rig.restart(&["10.1.0.0/26"]);
    let alive: BTreeSet<PortId> = rig.pods.list().unwrap().allocations.iter().map(|a| a.id).collect();
    assert_eq!(alive, BTreeSet::from([kept.allocation.id, after.allocation.id]));
}

#[test]
fn a_full_disk_is_said_for_as_long_as_it_is_full() {
    let mut rig = Rig::new(&["10.1.0.0/26"]);
    rig.add(1).unwrap();
    let status = |rig: &Rig| {
        let request = br#"{"command":"STATUS","container_id":"","netns":"","ifname":"","args":{},"config":{"cniVersion":"1.1.0","name":"portolan","type":"portolan-cni"}}"#;
        crate::cni::answer(&rig.pods, request)
            .map(|answer| answer.bytes)
            .map_err(crate::cni::Failed::into_cni)
    };
    assert_eq!(status(&rig).unwrap(), b"{}");
    for full in [MemoryFiles::fail_appends, MemoryFiles::fail_syncs] {
        full(&rig.disk, 1);
        rig.disk.fail_replaces(usize::MAX);
        assert!(matches!(rig.add(2), Err(AddError::Log(_))));
        let error = status(&rig).unwrap_err();
        assert_eq!(error.code, portolan_cni_protocol::code::NOT_AVAILABLE);
        assert!(error.msg.starts_with("cannot write /state/pods.log: "), "{error:?}");
        assert_eq!(rig.pods.unwritable().unwrap(), error.msg);
        assert!(matches!(rig.add(2), Err(AddError::Log(_))));
        rig.disk.fail_replaces(0);
        assert_eq!(status(&rig).unwrap(), b"{}");
        assert_eq!(rig.pods.unwritable(), None);
    }
    rig.add(2).unwrap();
    // One that begins on a full disk goes on as well, and tells nothing that may not be on the disk.
    rig.disk
        .replace(
            Path::new("/state/pods.log"),
            &[
                rig.disk.read(Path::new("/state/pods.log")).unwrap().unwrap(),
                b"torn".to_vec(),
            ]
            .concat(),
            0o600,
        )
        .unwrap();
    rig.disk.fail_replaces(usize::MAX);
    rig.restart(&["10.1.0.0/26"]);
    assert_eq!(*rig.pods.watch().borrow(), 0);
    assert!(status(&rig).is_err());
    assert!(matches!(rig.add(3), Err(AddError::Log(_))));
    assert!(rig.pods.remove("c2", "eth0").unwrap().is_some());
    rig.disk.fail_replaces(0);
    assert_eq!(status(&rig).unwrap(), b"{}");
    let told = *rig.pods.watch().borrow();
    assert_eq!(told, rig.pods.list().unwrap().seq);
    rig.add(3).unwrap();
    rig.disk.cut_power(0);
    rig.restart(&["10.1.0.0/26"]);
    let alive = rig.pods.list().unwrap().allocations;
    assert_eq!(
        alive.iter().map(|a| a.container.as_str()).collect::<Vec<_>>(),
        ["c1", "c3"]
    );
}

#[test]
fn a_vanished_sandbox_is_freed_at_the_second_look() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    rig.add(1).unwrap();
    rig.add(2).unwrap();
    rig.kernel.state.lock().namespaces.remove(Path::new("/run/netns/1"));
    assert_eq!(rig.pods.reconcile_sandboxes(), []);
    let freed = rig.pods.reconcile_sandboxes();
    assert_eq!(freed.iter().map(|a| a.pod_name.as_str()).collect::<Vec<_>>(), ["web-1"]);
    // The path is there, but another namespace is behind it.
    rig.kernel.state.lock().namespaces.insert("/run/netns/2".into(), 99);
    assert_eq!(rig.pods.reconcile_sandboxes(), []);
    assert_eq!(rig.pods.reconcile_sandboxes().len(), 1);
    assert_eq!((rig.links(), rig.pods.list().unwrap().allocations.len()), (0, 0));
}

#[test]
fn garbage_of_one_network_is_collected_and_no_other_networks_pods() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    rig.add(1).unwrap();
    rig.add(2).unwrap();
    let other = AddPod {
        network: "second".into(),
        ..rig.sandbox(3)
    };
    rig.pods.add(&other).unwrap();
    let alive = |rig: &Rig| {
        let listed = rig.pods.list().unwrap().allocations;
        listed.iter().map(|a| a.container.clone()).collect::<Vec<_>>()
    };
    let keep = BTreeSet::from([("c1".to_owned(), "eth0".to_owned())]);
    assert_eq!(rig.pods.retain("portolan", &keep).len(), 1);
    assert_eq!(alive(&rig), ["c1", "c3"]);
    assert_eq!(rig.pods.retain("second", &BTreeSet::new()).len(), 1);
    assert_eq!(alive(&rig), ["c1"]);
}

/// Four addresses, two of them with pods.
const FOUR: [&str; 1] = ["10.1.0.4/30"];

#[test]
fn a_damaged_line_gives_no_pods_address_to_another() {
    for damaged in 0..2 {
        let mut rig = Rig::new(&FOUR);
        let pods = [rig.add(1).unwrap().allocation, rig.add(2).unwrap().allocation];
        rig.restart_with(&FOUR, |lines| lines[damaged][40] ^= 1);
        let lost = &pods[damaged];
        assert_eq!(rig.pods.list().unwrap().allocations, [pods[1 - damaged].clone()]);
        let said = rig.pods.held().unwrap();
        assert!(said.starts_with("1 line of the log"), "{said}");
        assert!(
            said.contains(&format!("{}): {} is held", lost.link, lost.addresses[0])),
            "{said}"
        );
        let routes = rig.pods.routes(&rig.pods.settled_ids());
        assert!(
            routes
                .iter()
                .any(|r| r.id.is_none() && r.settled && r.link == lost.link && r.addresses == lost.addresses)
        );
        // All others are given, and not this one (the kernel in memory would not have it). Written anew, the log is whole
        // again and says no less.
        rig.add(3).unwrap();
        rig.restart_with(&FOUR, |_| ());
        assert_eq!(rig.pods.held().unwrap(), said);
        rig.add(4).unwrap();
        assert!(matches!(rig.add(5), Err(AddError::Exhausted(..))));
        // The runtime ends the pod. Another one's DEL does nothing to it.
        let netns = |n: u8| PathBuf::from(format!("/run/netns/{n}"));
        assert!(!rig.pods.remove_held(&netns(3), "eth0").unwrap());
        assert!(!rig.pods.remove_held(Path::new("/run/netns/gone"), "eth0").unwrap());
        assert!(!rig.pods.remove_held(&netns(damaged as u8 + 1), "eth1").unwrap());
        rig.kernel.state.lock().refuse_detach = true;
        assert!(rig.pods.remove_held(&netns(damaged as u8 + 1), "eth0").is_err());
        assert!(matches!(rig.add(5), Err(AddError::Exhausted(..))));
        rig.kernel.state.lock().refuse_detach = false;
        assert!(rig.pods.remove_held(&netns(damaged as u8 + 1), "eth0").unwrap());
        assert_eq!((rig.links(), rig.pods.held()), (3, None));
        assert_eq!(rig.add(5).unwrap().allocation.addresses, lost.addresses);
    }
}

#[test]
fn without_its_log_a_host_holds_what_runs_until_it_ends() {
    let mut rig = Rig::new(&FOUR);
    let one = rig.add(1).unwrap().allocation;
    rig.add(2).unwrap();
    rig.restart_with(&FOUR, Vec::clear);
    assert!(
        rig.pods.held().unwrap().contains("2 pods that run"),
        "{:?}",
        rig.pods.held()
    );
    rig.add(3).unwrap();
    rig.add(4).unwrap();
    assert!(matches!(rig.add(5), Err(AddError::Exhausted(..))));
    // With the namespace goes the link.
    drop_link(&mut rig.kernel.state.lock().seen, &one.link);
    rig.look();
    assert!(rig.pods.held().unwrap().contains("a pod that runs"));
    assert_eq!(rig.add(5).unwrap().allocation.addresses, one.addresses);
    // What comes after the first look is not taken for a pod of before.
    let seen = pod_link(99);
    rig.kernel.state.lock().seen.links.insert("ptl0000000000f".into(), seen);
    rig.look();
    assert!(rig.pods.held().unwrap().contains("a pod that runs"));
}

#[test]
fn what_is_written_down_to_have_ended_is_not_held() {
    let mut rig = Rig::new(&FOUR);
    let one = rig.add(1).unwrap().allocation;
    rig.pods.remove("c1", "eth0").unwrap();
    let link = pod_link(9);
    rig.kernel.state.lock().seen.links.insert(one.link.clone(), link);
    rig.restart_with(&FOUR, |_| ());
    assert_eq!(rig.pods.held(), None);
    // A torn line of a pod that has no link costs nothing either.
    rig.restart_with(&FOUR, |lines| lines.push(b"0123".to_vec()));
    assert_eq!(rig.pods.held(), None);
}

#[test]
fn a_pod_whose_end_was_damaged_gives_way_to_the_one_that_has_its_address() {
    let mut rig = Rig::new(&["10.1.0.4/31"]);
    rig.add(1).unwrap();
    let old = rig.add(2).unwrap().allocation;
    rig.pods.remove("c2", "eth0").unwrap();
    let new = rig.add(3).unwrap().allocation;
    assert_eq!(old.addresses, new.addresses);
    // Of the second pod the end is damaged, of the third the beginning: the log says that the second one runs.
    rig.restart_with(&["10.1.0.4/31"], |lines| {
        lines[2][40] ^= 1;
        lines[3][40] ^= 1;
    });
    assert!(rig.pods.held().unwrap().starts_with("2 lines"));
    assert!(rig.pods.list().unwrap().allocations.iter().all(|a| a.id != old.id));
    rig.kernel.state.lock().namespaces.remove(&old.netns);
    rig.pods.reconcile_sandboxes();
    rig.pods.reconcile_sandboxes();
    assert!(matches!(rig.add(4), Err(AddError::Exhausted(..))));
    assert_eq!(rig.kernel.state.lock().seen.routes.len(), 2);
}

#[test]
fn a_lost_log_counts_on_from_what_the_control_plane_knows() {
    let mut rig = Rig::new(&["10.1.0.0/26"]);
    rig.pods.skip_past(1000).unwrap();
    assert_eq!(rig.pods.events_after(999, 10), Events::Forgotten);
    rig.disk.cut_power(0);
    rig.restart(&["10.1.0.0/26"]);
    assert_eq!(rig.add(1).unwrap().allocation.seq, 1001);
    assert_eq!(*rig.pods.watch().borrow(), 1001);
}

#[test]
fn many_at_once_never_share_an_address() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    let addresses: Vec<IpAddr> = std::thread::scope(|scope| {
        let rig = &rig;
        let workers: Vec<_> = (0..8u8)
            .map(|worker| {
                scope.spawn(move || {
                    for round in 0..20u8 {
                        let n = worker * 20 + round;
                        rig.add(n).unwrap();
                        rig.pods.remove(&format!("c{n}"), "eth0").unwrap();
                    }
                    rig.add(200 + worker).unwrap().allocation.addresses[0]
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(rig.pods.list().unwrap().allocations.len(), 8);
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    Remove(u8),
    Report(usize),
    Acknowledge,
    Cut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0u8..12).prop_map(Step::Add),
        4 => (0u8..12).prop_map(Step::Remove),
        2 => (1usize..5).prop_map(Step::Report),
        1 => Just(Step::Acknowledge),
        1 => (0usize..700).prop_map(Step::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What was answered survives; no address twice; and who only follows the events knows the same
    /// as who lists everything.
    #[test]
    fn answered_adds_survive_power_cuts_and_events_tell_all(steps in prop::collection::vec(step(), 1..60)) {
        let blocks = ["10.1.0.8/29"];
        let mut rig = Rig::new(&blocks);
        let mut answered: BTreeMap<u8, Arc<Allocation>> = BTreeMap::new();
        let mut mirror: BTreeMap<PortId, Arc<Allocation>> = BTreeMap::new();
        let (mut known, mut newest_answered) = (0, 0);
        let follow = |pods: &Pods, mirror: &mut BTreeMap<PortId, Arc<Allocation>>, known: &mut u64, limit: usize| {
            match pods.events_after(*known, limit) {
                Events::Batch { seq, allocations, releases } => {
                    assert!(allocations.len() + releases.len() <= limit);
                    mirror.extend(allocations.into_iter().map(|a| (a.id, a)));
                    for release in releases {
                        if mirror.get(&release.id).is_some_and(|a| a.seq == release.allocation_seq) {
                            mirror.remove(&release.id);
                        }
                    }
                    *known = seq;
                }
                Events::Forgotten => {
                    let listing = pods.list().unwrap();
                    *mirror = listing.allocations.into_iter().map(|a| (a.id, a)).collect();
                    *known = listing.seq;
                }
            }
        };
        for step in steps {
            match step {
                Step::Add(n) => match rig.add(n) {
                    Ok(wired) => {
                        newest_answered = newest_answered.max(wired.allocation.seq);
                        answered.insert(n, wired.allocation);
                    }
                    Err(AddError::Exhausted(..)) => prop_assert_eq!(rig.pods.list().unwrap().allocations.len(), 8),
                    Err(error) => panic!("{error}"),
                },
                Step::Remove(n) => {
                    rig.pods.remove(&format!("c{n}"), "eth0").unwrap();
                    answered.remove(&n);
                }
                Step::Report(limit) => follow(&rig.pods, &mut mirror, &mut known, limit),
                Step::Acknowledge => rig.pods.acknowledged(known),
                Step::Cut(extra) => {
                    rig.disk.cut_power(extra);
                    rig.restart(&blocks);
                    let alive = rig.pods.list().unwrap();
                    prop_assert!(alive.seq >= newest_answered);
                    prop_assert!(alive.seq >= known, "what was told was taken back");
                    for kept in answered.values() {
                        prop_assert!(alive.allocations.contains(kept));
                    }
                    // A release that was lost is found again by looking at the sandboxes.
                    let gone = |a: &&Arc<Allocation>| answered.values().all(|kept| kept.id != a.id);
                    for stale in alive.allocations.iter().filter(gone) {
                        rig.kernel.state.lock().namespaces.remove(&stale.netns);
                    }
                    rig.pods.reconcile_sandboxes();
                    rig.pods.reconcile_sandboxes();
                    prop_assert_eq!(rig.pods.list().unwrap().allocations.len(), answered.len());
                }
            }
            let listed = rig.pods.list().unwrap().allocations;
            let addresses: BTreeSet<IpAddr> = listed.iter().flat_map(|a| a.addresses.clone()).collect();
            prop_assert_eq!(addresses.len(), listed.len());
        }
        rig.pods.list().unwrap(); // all is durable
        for _ in 0..200 {
            follow(&rig.pods, &mut mirror, &mut known, 3);
        }
        let listed: BTreeMap<PortId, Arc<Allocation>> = rig.pods.list().unwrap().allocations.into_iter().map(|a| (a.id, a)).collect();
        prop_assert_eq!(mirror, listed);
    }
}

#[test]
fn a_block_that_was_given_back_gives_nothing_any_more_not_even_after_a_power_cut() {
    let blocks = ["10.1.0.0/30", "10.1.0.4/30"];
    let mut rig = Rig::new(&blocks);
    for n in 1..=3 {
        rig.add(n).unwrap();
    }
    let ids = |n: u8| BlockId::from_bytes([n; 16]);
    assert!(rig.pods.spare_block(0) && !rig.pods.spare_block(1));
    assert_eq!(rig.pods.give_back_blocks(9).unwrap(), [ids(1)], "the first holds pods");
    assert!(rig.pods.owes_blocks() && !rig.pods.spare_block(0));
    assert!(matches!(rig.add(4), Err(AddError::Exhausted(Family::V4, _))));
    rig.disk.cut_power(0);
    rig.restart(&blocks);
    assert!(matches!(rig.add(4), Err(AddError::Exhausted(Family::V4, _))));
    assert_eq!(
        rig.pods.give_back_blocks(0).unwrap(),
        [ids(1)],
        "told again while it is leased"
    );
    // It is leased no more; leased again, it is another block.
    rig.pods.configure(network(&blocks[..1]));
    assert!(!rig.pods.owes_blocks());
    rig.pods.configure(network(&blocks));
    rig.add(4).unwrap();
}

#[test]
fn a_block_that_is_declined_gives_nothing_once_it_is_leased() {
    let both = ["10.1.0.0/30", "10.1.0.4/30"];
    let mut rig = Rig::new(&both[..1]);
    rig.add(1).unwrap();
    let leased = network(&both);
    rig.pods.decline_blocks(&leased.blocks).unwrap();
    // A round for what was leased before does not forget it.
    rig.pods.configure(PodNetwork {
        mtu: 1400,
        ..network(&both[..1])
    });
    rig.pods.configure(leased);
    for n in 2..=3 {
        rig.add(n).unwrap();
    }
    assert!(
        matches!(rig.add(4), Err(AddError::Exhausted(Family::V4, _))),
        "but where a pod is"
    );
    assert!(rig.pods.owes_blocks(), "and is told to be given back");
    rig.disk.cut_power(0);
    rig.restart(&both);
    assert!(matches!(rig.add(4), Err(AddError::Exhausted(Family::V4, _))));
}

#[test]
fn a_removed_node_gives_nothing_and_leaves_what_runs_alone() {
    let rig = Rig::new(&["10.1.0.0/26"]);
    rig.add(1).unwrap();
    rig.pods.set_removed(true);
    assert!(matches!(rig.add(2), Err(AddError::Removed)));
    assert!(rig.pods.usage().removed);
    assert_eq!((rig.links(), rig.pods.list().unwrap().allocations.len()), (1, 1));
    let one = rig.sandbox(1);
    rig.add(1).unwrap();
    assert!(rig.pods.remove(&one.container, &one.ifname).unwrap().is_some());
    rig.pods.set_removed(false);
    rig.add(2).unwrap();
}
