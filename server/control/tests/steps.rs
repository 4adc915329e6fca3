//! The writer taken step by step, on the thread of the test and no other.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{admin, code, network, new_network, project, user};
use portolan_control::control::{Control, OpenOptions};
use portolan_control::feed::Next;
use portolan_control::machine::Sources;
use portolan_control::writer::WriterLoop;
use portolan_core::command::{Command, Delete, Repetition, Request};
use portolan_core::view::View;
use portolan_shared::ids::{NetworkId, ProjectId};
use portolan_sources::testing::{MemoryFiles, OnTheSpot, SeededRandom, SetClock};
use portolan_sources::{Threads, Workers};
use portolan_store::{SqliteOptions, SqliteStore};

/// Gives no thread.
struct NoThreads;

impl Threads for NoThreads {
    fn start(&self, name: &str, _work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        Err(io::Error::other(format!("nobody may start the thread {name}")))
    }
}

/// A machine that a seed decides.
fn sources(seed: u64, clock: &SetClock) -> Sources {
    Sources {
        clock: Arc::new(clock.clone()),
        stopwatch: Arc::new(clock.clone()),
        random: Arc::new(SeededRandom::new(seed)),
        files: Arc::new(MemoryFiles::default()),
        threads: Arc::new(NoThreads),
        workers: Workers::new(OnTheSpot),
        ..Sources::system()
    }
}

fn opened(seed: u64) -> (Control, WriterLoop) {
    opened_at(seed, &SetClock::at(1_790_000_000_000_000))
}

fn opened_at(seed: u64, clock: &SetClock) -> (Control, WriterLoop) {
    let sources = sources(seed, clock);
    let options = SqliteOptions::new(":memory:", [1; 16], Arc::clone(&sources.files), Arc::new(OnTheSpot));
    let store = SqliteStore::open(options).unwrap();
    Control::without_thread(Box::new(store), OpenOptions::new("given", sources)).unwrap()
}

fn create_project() -> Request {
    let nobody = ProjectId::from_bytes([0; 16]);
    let command = Command::CreateProject {
        name: "shop".to_owned(),
        description: String::new(),
    };
    admin(nobody, command)
}

fn create_network(of: ProjectId, name: &str) -> Request {
    user(of, Command::CreateNetworks(vec![new_network(of, name)]))
}

#[test]
fn a_step_decides_commits_applies_and_publishes() {
    let (control, mut running) = opened(1);
    let mut feed = control.feed().subscribe(Some(0));
    let mut heads = Vec::new();
    let made = running
        .writer()
        .step(&[create_project()], &mut || heads.push(control.read(View::head)))
        .unwrap();
    let of = project(&made[0].as_ref().unwrap().objects[0]).id;
    assert_eq!(heads, [0], "the view was at the head before anything was decided");

    let missing = Command::Delete(Delete::Network(NetworkId::from_bytes([9; 16])));
    let requests = [create_network(of, "web"), user(of, missing), create_network(of, "db")];
    let outcomes = running.writer().step(&requests, &mut || {}).unwrap();
    let (web, db) = (outcomes[0].as_ref().unwrap(), outcomes[2].as_ref().unwrap());
    assert_eq!(code(outcomes[1].clone()), "not_found");
    assert_eq!((web.revision, db.revision), (2, 3));
    for (made, name) in [(web, "web"), (db, "db")] {
        let id = network(&made.objects[0]).id;
        assert_eq!(control.read(|view| view.network(id).unwrap().name.clone()), name);
    }
    let mut published = Vec::new();
    while let Some(Next::Commit(commit)) = feed.try_next() {
        published.push(commit.revision);
    }
    assert_eq!(published, [1, 2, 3]);
}

#[test]
fn requests_wait_until_somebody_takes_a_turn() {
    let (control, mut running) = opened(1);
    let mut cx = Context::from_waker(Waker::noop());
    let mut asked = pin!(control.write(create_project()));
    assert!(asked.as_mut().poll(&mut cx).is_pending());
    assert_eq!(control.read(View::head), 0);
    assert!(running.turn(Duration::ZERO));
    assert!(matches!(asked.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));

    let mut closed = pin!(control.close());
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    assert!(!running.turn(Duration::ZERO), "it was the last turn");
    drop(running);
    assert!(closed.as_mut().poll(&mut cx).is_ready());
    assert!(!control.lives());
}

#[test]
fn a_clock_that_is_set_back_does_not_put_off_what_expires() {
    let clock = SetClock::at(1_790_000_000_000_000);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let (control, mut running) = opened_at(1, &clock);
    let made = running.writer().step(&[create_project()], &mut || {}).unwrap();
    let of = project(&made[0].as_ref().unwrap().objects[0]).id;
    clock.advance(hours(48));
    assert!(running.turn(Duration::ZERO), "everything is cleaned as of then");
    clock.set_back(hours(48));
    let with_key = Request {
        idempotency: Some(Repetition {
            key: [7; 32],
            digest: [8; 32],
        }),
        ..create_network(of, "web")
    };
    running.writer().step(&[with_key], &mut || {}).unwrap();
    let remembered = || control.read(|view| view.idempotency(&[7; 32]).is_some());
    assert!(remembered());
    clock.advance(hours(25));
    assert!(running.turn(Duration::ZERO));
    assert!(!remembered(), "a key is remembered for 24 hours");
}

#[test]
fn what_was_kept_while_the_clock_was_ahead_expires_when_it_is_right() {
    let clock = SetClock::at(1_790_000_000_000_000);
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let (control, mut running) = opened_at(1, &clock);
    let made = running.writer().step(&[create_project()], &mut || {}).unwrap();
    let of = project(&made[0].as_ref().unwrap().objects[0]).id;
    let keyed = |key| Request {
        idempotency: Some(Repetition { key, digest: [8; 32] }),
        ..create_network(of, "web")
    };
    let remembered = |key: [u8; 32]| control.read(|view| view.idempotency(&key).is_some());
    running.writer().step(&[keyed([1; 32])], &mut || {}).unwrap();
    clock.advance(days(400));
    running.writer().step(&[keyed([2; 32])], &mut || {}).unwrap();
    assert!(remembered([1; 32]) && remembered([2; 32]));
    clock.set_back(days(400));
    assert!(running.turn(Duration::ZERO));
    clock.advance(Duration::from_secs(60));
    assert!(running.turn(Duration::ZERO));
    assert!(remembered([1; 32]), "it has not ended");
    assert!(!remembered([2; 32]));
}

#[test]
fn the_same_seed_makes_the_same_objects() {
    let run = |seed| {
        let (_control, mut running) = opened(seed);
        let made = running.writer().step(&[create_project()], &mut || {}).unwrap();
        let of = project(&made[0].as_ref().unwrap().objects[0]).id;
        let made = running.writer().step(&[create_network(of, "web")], &mut || {});
        network(&made.unwrap()[0].as_ref().unwrap().objects[0])
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).id, run(2).id);
}
