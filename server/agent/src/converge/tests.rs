//! Rounds of a host that is played.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use portolan_plan::LossNews;
use portolan_shared::losses::LossKind;
use portolan_sources::Files as _;
use portolan_sources::testing::{MemoryFiles, OnTheSpot, SetClock};
use portolan_wire::agent::{Change, Cluster, Snapshot};
use tokio::time::timeout;

use super::*;
use crate::kernel::Kernel as _;
use crate::kernel::fake::FakeKernel;

const OWN: NodeId = NodeId::from_bytes([1; 16]);
const BLOCK: Object = Object::Block(BlockId::from_bytes([5; 16]));

/// When the tests begin, in microseconds since 1970.
const START: i64 = 1_800_000_000_000_000;

#[derive(Default)]
struct Fake {
    rounds: AtomicUsize,
    failing: Mutex<Vec<(Object, String)>>,
    losing: Mutex<BTreeMap<LossKind, LossNews>>,
    seen: Mutex<Vec<(Desired, Signals)>>,
    /// As the last round was told.
    paused: Mutex<Option<Paused>>,
    /// The disk that each round looks at.
    disk: Option<MemoryFiles>,
    /// The state that an agent would have begun with that had ended in the last round.
    kept: Mutex<Option<State>>,
    /// For those who listen; who does not is told that nothing can be heard.
    kernel: Option<FakeKernel>,
}

impl Apply for Fake {
    fn converge(
        &self,
        desired: &Desired,
        signals: &Signals,
        _: Option<Instant>,
        paused: Option<&Paused>,
    ) -> Result<Outcome, KernelError> {
        *self.paused.lock() = paused.cloned();
        self.rounds.fetch_add(1, Ordering::SeqCst);
        if let Some(disk) = &self.disk {
            let file = DesiredFile::new(Arc::new(disk.copy()), Path::new("/state"));
            *self.kept.lock() = file.load().unwrap();
        }
        self.seen.lock().push((desired.clone(), signals.clone()));
        let exceptions = self.failing.lock().clone();
        let left = exceptions.iter().map(|(object, _)| *object);
        Ok(Outcome {
            left: left.filter(|_| paused.is_some()).collect(),
            exceptions,
            losses: self.losing.lock().clone(),
            ..Outcome::default()
        })
    }

    fn watch(&self) -> Result<Box<dyn Watch>, KernelError> {
        match &self.kernel {
            Some(kernel) => kernel.watch(),
            None => Err(KernelError::Malformed {
                what: "its announcements".into(),
            }),
        }
    }
}

/// A file, and the disk it is on.
fn file() -> (DesiredFile, MemoryFiles) {
    let files = MemoryFiles::default();
    files.make_folder(Path::new("/state")).unwrap();
    (DesiredFile::new(Arc::new(files.clone()), Path::new("/state")), files)
}

fn rounds(fake: &Arc<Fake>, file: &DesiredFile) -> Rounds {
    let clock = Arc::new(SetClock::at(START));
    rounds_heeding(
        fake,
        file,
        PauseFile::new(Arc::new(MemoryFiles::default()), Path::new("/state")),
        clock,
    )
}

fn rounds_heeding(fake: &Arc<Fake>, file: &DesiredFile, pause: PauseFile, clock: Arc<SetClock>) -> Rounds {
    let workers = Workers::new(OnTheSpot);
    Rounds::new(fake.clone(), OWN, file.clone(), pause, None, workers, clock)
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_heeded_and_told_and_ends() {
    let (file, files) = file();
    let pause = PauseFile::new(Arc::new(files), Path::new("/state"));
    let fake = Arc::new(Fake::default());
    let rounds = rounds_heeding(&fake, &file, pause.clone(), Arc::new(SetClock::at(START)));
    let mut standing = rounds.standing();
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    let task = tokio::spawn(rounds.run(receiver));
    standing.wait_for(|standing| standing.revision == 5).await.unwrap();
    let paused = Paused {
        by: "anna".to_owned(),
        since: START,
    };
    pause.pause(paused.clone()).unwrap();
    // It is not a round of the minute that finds it.
    let told = timeout(RESYNC / 2, standing.wait_for(|standing| standing.paused.is_some()));
    assert_eq!(told.await.unwrap().unwrap().paused, Some(paused.clone()));
    assert_eq!(*fake.paused.lock(), Some(paused));
    pause.resume().unwrap();
    let ended = timeout(RESYNC / 2, standing.wait_for(|standing| standing.paused.is_none()));
    assert_eq!(ended.await.unwrap().unwrap().paused, None);
    assert_eq!(*fake.paused.lock(), None);
    task.abort();
}

fn state(revision: u64) -> State {
    let cluster = Some(Cluster {
        id: vec![9; 16],
        mtu: 1500,
        ..Cluster::default()
    });
    let snapshot = Snapshot {
        revision,
        cluster,
        ..Snapshot::default()
    };
    State::of_snapshot([7; 16], Vec::new(), snapshot).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_state_is_kept_then_applied_then_told() {
    let (file, files) = file();
    let fake = Arc::new(Fake {
        disk: Some(files.clone()),
        ..Fake::default()
    });
    let rounds = rounds(&fake, &file);
    let mut standing = rounds.standing();
    let (desired, receiver) = watch::channel(Arc::new(State::default()));
    let task = tokio::spawn(rounds.run(receiver));
    desired.send_replace(Arc::new(state(5)));
    standing.wait_for(|standing| standing.revision == 5).await.unwrap();
    assert_eq!(*fake.kept.lock(), Some(state(5)));
    files.cut_power(0);
    assert_eq!(file.load().unwrap(), Some(state(5)));
    assert_eq!(
        fake.seen.lock().iter().map(|(seen, _)| seen.mtu).collect::<Vec<_>>(),
        [1500]
    );
    // Only the revision moves: told, but not written again.
    file.remove().unwrap();
    desired.send_if_modified(|state| Arc::make_mut(state).progress(8, None));
    standing.wait_for(|standing| standing.revision == 8).await.unwrap();
    assert_eq!(file.load().unwrap(), None);
    drop(desired);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_kept_is_told_until_it_is() {
    let (file, files) = file();
    files.fail_replaces(1);
    let fake = Arc::new(Fake::default());
    let rounds = rounds(&fake, &file);
    let mut standing = rounds.standing();
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    tokio::spawn(rounds.run(receiver));
    let told = timeout(RESYNC, standing.wait_for(|standing| !standing.exceptions.is_empty())).await;
    let told = told.expect("it is told").unwrap().clone();
    assert_eq!((told.revision, told.exceptions[0].subject), (5, Subject::Node(OWN)));
    assert!(
        told.exceptions[0]
            .reason
            .starts_with("cannot write /state/desired.bin: "),
        "{told:?}"
    );
    let mended = standing.wait_for(|standing| standing.exceptions.is_empty()).await;
    assert_eq!(mended.unwrap().revision, 5);
    assert_eq!(file.load().unwrap(), Some(state(5)));
}

#[tokio::test(start_paused = true)]
async fn while_healing_is_paused_the_disk_is_tried_again_and_said_so() {
    let (file, files) = file();
    let pause = PauseFile::new(Arc::new(files.clone()), Path::new("/state"));
    pause
        .pause(Paused {
            by: "anna".to_owned(),
            since: START,
        })
        .unwrap();
    files.fail_replaces(2);
    let fake = Arc::new(Fake::default());
    let host = (Object::Host, "forwarding is off".to_owned());
    *fake.failing.lock() = vec![host, (BLOCK, "no route".to_owned())];
    let rounds = rounds_heeding(&fake, &file, pause, Arc::new(SetClock::at(START)));
    let mut standing = rounds.standing();
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    tokio::spawn(rounds.run(receiver));
    let node = Subject::Node(OWN);
    let of_node = |standing: &Standing| standing.exceptions.iter().find(|e| e.subject == node).cloned();
    let tried = standing.wait_for(|standing| of_node(standing).is_some_and(|said| said.attempts == 2));
    let tried = tried.await.unwrap().clone();
    let said = of_node(&tried).unwrap();
    assert!(
        said.reason.starts_with("forwarding is off. Besides, cannot write "),
        "{said:?}"
    );
    let block = tried.exceptions.iter().find(|e| e.subject != node).unwrap();
    assert_eq!(block.attempts, 0, "nothing is tried of it");
    let kept = standing.wait_for(|standing| of_node(standing).is_some_and(|said| said.attempts == 0));
    assert_eq!(of_node(&kept.await.unwrap()).unwrap().reason, "forwarding is off");
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_and_counted_until_it_works() {
    let (file, _) = file();
    let fake = Arc::new(Fake::default());
    fake.failing.lock().push((BLOCK, "File exists".into()));
    let rounds = rounds(&fake, &file);
    let mut standing = rounds.standing();
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    tokio::spawn(rounds.run(receiver));
    let third = standing
        .wait_for(|standing| standing.exceptions.first().is_some_and(|e| e.attempts == 3))
        .await;
    let third = third.unwrap().exceptions.clone();
    assert_eq!(Subject::of(BLOCK, OWN), third[0].subject);
    assert_eq!(third[0].reason, "File exists");
    fake.failing.lock().clear();
    standing
        .wait_for(|standing| standing.exceptions.is_empty())
        .await
        .unwrap();
    let rounds = fake.rounds.load(Ordering::SeqCst);
    // And then by the clock, without anything said.
    tokio::time::sleep(RESYNC * 3).await;
    assert!(fake.rounds.load(Ordering::SeqCst) >= rounds + 2);
    assert!(!standing.has_changed().unwrap());
}

/// Waits until `fake` has made more than `rounds` rounds.
async fn more_than(fake: &Fake, rounds: usize) {
    while fake.rounds.load(Ordering::SeqCst) <= rounds {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn news_wake_a_round_once_a_burst_is_over_and_the_rest_does_not() {
    let (file, _) = file();
    let kernel = Some(FakeKernel::default());
    let fake = Arc::new(Fake {
        kernel,
        ..Fake::default()
    });
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    tokio::spawn(rounds(&fake, &file).run(receiver));
    more_than(&fake, 0).await;
    let tell = |event: Event| fake.kernel.as_ref().unwrap().tell(&event.into());
    let route = |protocol| Event::Route {
        table: 254,
        prefix: "10.1.0.0/26".parse().unwrap(),
        protocol,
    };
    let link = |up| Event::Link {
        name: "eth0".into(),
        up,
    };
    for _ in 0..3 {
        tell(route(157));
        tell(link(false));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tell(link(true));
    let soon = Duration::from_secs(1);
    timeout(soon, more_than(&fake, 1))
        .await
        .expect("a round after the burst");
    let (_, signals) = fake.seen.lock().last().cloned().unwrap();
    assert!(
        signals.links_down.contains("eth0"),
        "what happened only for a moment is told: {signals:?}"
    );
    // What concerns nobody wakes nobody.
    tell(route(4));
    tokio::time::sleep(RESYNC / 2).await;
    assert_eq!(fake.rounds.load(Ordering::SeqCst), 2);
    // A burst that does not end is looked at all the same.
    let endless = async {
        while fake.rounds.load(Ordering::SeqCst) == 2 {
            tell(route(157));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(soon, endless).await.expect("a round within the burst");
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_tells_nothing_is_read_by_the_clock() {
    let (file, _) = file();
    let fake = Arc::new(Fake::default());
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    tokio::spawn(rounds(&fake, &file).run(receiver));
    more_than(&fake, 0).await;
    tokio::time::sleep(RESYNC * 3).await;
    let rounds = fake.rounds.load(Ordering::SeqCst);
    assert!((3..=4).contains(&rounds), "{rounds}");
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_kept_for_telling() {
    let (file, _) = file();
    let kernel = Some(FakeKernel::default());
    let fake = Arc::new(Fake {
        kernel,
        ..Fake::default()
    });
    let news = LossNews {
        lost: 14,
        away: Duration::from_millis(31),
        ..LossNews::default()
    };
    fake.losing.lock().insert(LossKind::Routes, news);
    let rounds = rounds(&fake, &file);
    let mut standing = rounds.standing();
    let (_desired, receiver) = watch::channel(Arc::new(state(5)));
    tokio::spawn(rounds.run(receiver));
    let told = standing
        .wait_for(|standing| !standing.losses.is_empty())
        .await
        .unwrap()
        .losses
        .clone();
    fake.losing.lock().clear();
    let [loss] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (loss.kind, loss.objects, loss.back_after_ms),
        (LossKind::Routes, 14, Some(31))
    );
    assert!((START - 1_000_000..=START).contains(&loss.first_seen), "{loss:?}");
    assert_eq!(
        loss.sentence(),
        "routes of ours were removed or replaced by another program (14 in all); all is as wanted again after 31 ms"
    );
}

#[test]
fn waits_grow_up_to_the_resync() {
    let mut failures = Failures::default();
    let mut waits = Vec::new();
    for _ in 0..8 {
        failures.next(vec![(BLOCK, String::new())], &BTreeSet::new(), OWN);
        waits.push(failures.wait().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    failures.next(vec![], &BTreeSet::new(), OWN);
    assert_eq!(failures.wait(), RESYNC);
}

#[test]
fn the_nodes_own_failures_are_one_exception() {
    let failed = vec![(Object::Host, "a".to_owned()), (Object::Leftover, "b".to_owned())];
    let exceptions = Failures::default().next(failed, &BTreeSet::new(), OWN);
    assert_eq!(exceptions.len(), 1);
    assert_eq!(
        (exceptions[0].subject, exceptions[0].reason.as_str()),
        (Subject::Node(OWN), "a")
    );
}

#[test]
fn a_change_of_nothing_is_the_same_state() {
    let mut later = state(5);
    later
        .change(Change {
            revision: 6,
            ..Change::default()
        })
        .unwrap();
    assert!(later.is_same(&state(5)));
}
