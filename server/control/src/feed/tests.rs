//! Tests of the feed.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use portolan_core::command::{Actor, Via};
use portolan_core::model::{Block, Exception, Meta, NodeStatus};

use super::*;

fn block(cluster: ClusterId) -> Object {
    let id = ProjectId::from_bytes([1; 16]);
    Object::from(Block {
        id: portolan_shared::ids::BlockId::from_bytes([2; 16]),
        meta: Meta {
            project: id,
            revision: 1,
            revision_number: 0,
            created_at: 0,
            updated_at: 0,
        },
        cluster,
        node: portolan_shared::ids::NodeId::from_bytes([3; 16]),
        subnet: portolan_shared::ids::SubnetId::from_bytes([4; 16]),
        cidr: "10.0.0.0/26".parse().unwrap(),
    })
}

fn commit(revision: Revision, clusters: &[ClusterId]) -> Arc<Commit> {
    let change = |id: &ClusterId| Change::of(Op::Put, block(*id), None, &());
    Arc::new(Commit {
        revision,
        at: 0,
        actor: Actor::System,
        via: Via::SYSTEM,
        by_provider: false,
        changes: clusters.iter().map(change).collect(),
    })
}

fn cluster(n: u8) -> ClusterId {
    ClusterId::from_bytes([n; 16])
}

fn revisions(subscription: &mut Subscription) -> Vec<Revision> {
    std::iter::from_fn(|| match subscription.try_next()? {
        Next::Commit(commit) => Some(commit.revision),
        other => panic!("{other:?}"),
    })
    .collect()
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_reader_gets_everything_after_its_cursor() {
    let feed = Feed::new(10, 100);
    feed.publish(&[
        commit(11, &[cluster(1)]),
        commit(12, &[cluster(2)]),
        commit(13, &[cluster(1)]),
    ]);
    assert_eq!(revisions(&mut feed.subscribe(Some(10))), [11, 12, 13]);
    assert_eq!(revisions(&mut feed.subscribe(Some(12))), [13]);
    assert_eq!(revisions(&mut feed.subscribe(None)), [0; 0]);
    let mut one = feed.subscribe_cluster(cluster(1), Some(10));
    assert_eq!(revisions(&mut one), [11, 13]);
    assert_eq!(one.cursor(), 13);
}

#[test]
fn whoever_falls_behind_the_ring_is_reset_and_holds_nobody() {
    let feed = Feed::new(0, 10);
    let (mut slow, mut elsewhere) = (feed.subscribe(Some(0)), feed.subscribe_cluster(cluster(9), Some(0)));
    for revision in 1..=30 {
        feed.publish(&[commit(revision, &[cluster(1)])]);
        // A quiet reader that looks now and then never falls behind.
        assert!(elsewhere.try_next().is_none());
    }
    assert!(matches!(slow.try_next(), Some(Next::Reset { head: 30, .. })));
    assert!(slow.try_next().is_none(), "and goes on from the head");
    let mut ahead = feed.subscribe(Some(31));
    assert!(
        matches!(ahead.try_next(), Some(Next::Reset { head: 30, .. })),
        "it comes from another store"
    );
    assert_eq!(revisions(&mut feed.subscribe(Some(20))).len(), 10);
}

#[test]
fn another_history_is_told_to_every_reader_once_wherever_it_stands() {
    let feed = Feed::new(0, 10);
    for revision in 1..=5 {
        feed.publish(&[commit(revision, &[cluster(1)])]);
    }
    let mut readers = [3, 4, 5].map(|at| feed.subscribe_cluster(cluster(1), Some(at)));
    feed.reset(4, true);
    for reader in &mut readers {
        let told = reader.try_next();
        assert!(
            matches!(
                told,
                Some(Next::Reset {
                    head: 4,
                    other_history: true
                })
            ),
            "{told:?}"
        );
        assert!(reader.try_next().is_none());
    }
    feed.reset(4, false);
    assert!(
        readers[0].try_next().is_none(),
        "the same history, and it has all of it"
    );
    assert!(feed.subscribe(Some(4)).try_next().is_none());
}

#[test]
fn large_changes_are_kept_in_smaller_number() {
    let status = |reason: usize| {
        Object::from(NodeStatus {
            node: portolan_shared::ids::NodeId::from_bytes([3; 16]),
            cluster: cluster(1),
            project: ProjectId::from_bytes([1; 16]),
            revision: 1,
            online: true,
            since: 0,
            applied_revision: 1,
            exceptions: vec![Exception {
                kind: "port".into(),
                id: [1; 16],
                reason: "x".repeat(reason),
                attempts: 1,
            }],
            agent_version: String::new(),
            pod_seq: 0,
            held_by: None,
            beat: 0,
            wants_block: None,
            awaited: None,
            tickets: Default::default(),
            copied: None,
            losses: Vec::new(),
            paused: None,
            paths: None,
        })
    };
    let kept = |reason: usize| {
        let feed = Feed::new(0, 100);
        for revision in 1..=100 {
            let change = Change::of(Op::Put, status(reason), None, &());
            feed.publish(&[Arc::new(Commit {
                revision,
                at: 0,
                actor: Actor::System,
                via: Via::SYSTEM,
                by_provider: false,
                changes: Box::new([change]),
            })]);
        }
        feed.shared.ring.read().commits.len()
    };
    assert_eq!(kept(200), 100);
    assert!((5..=10).contains(&kept(10_000)), "{}", kept(10_000));
}

#[test]
fn only_its_own_clusters_commits_make_a_reader_fall_behind() {
    let feed = Feed::new(0, 10);
    let mut quiet = feed.subscribe_cluster(cluster(9), Some(0));
    feed.publish(&[commit(1, &[cluster(9)])]);
    assert_eq!(revisions(&mut quiet), [1]);
    // Nothing wakes it meanwhile, so it does not look.
    for revision in 2..=30 {
        feed.publish(&[commit(revision, &[cluster(1)])]);
    }
    assert!(quiet.try_next().is_none(), "it has everything that concerns it");
    assert_eq!(quiet.cursor(), 30);
    let mut late = feed.subscribe_cluster(cluster(9), Some(0));
    assert!(
        matches!(late.try_next(), Some(Next::Reset { head: 30, .. })),
        "commit 1 is no longer kept"
    );
}

#[test]
fn a_commit_wakes_only_those_it_concerns() {
    let feed = Feed::new(0, 1000);
    let mut mine = feed.subscribe_cluster(cluster(1), None);
    let mut others: Vec<_> = (2..100).map(|n| feed.subscribe_cluster(cluster(n), None)).collect();
    let (woken, idle) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    let (waker, bored) = (Waker::from(Arc::clone(&woken)), Waker::from(Arc::clone(&idle)));
    let mut next = pin!(mine.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut sleeping: Vec<_> = others.iter_mut().map(|other| Box::pin(other.next())).collect();
    for other in &mut sleeping {
        assert!(other.as_mut().poll(&mut Context::from_waker(&bored)).is_pending());
    }
    feed.publish(&[commit(1, &[cluster(1)])]);
    assert_eq!(
        (woken.0.load(Ordering::Relaxed), idle.0.load(Ordering::Relaxed)),
        (1, 0)
    );
    let Poll::Ready(Next::Commit(told)) = next.poll(&mut Context::from_waker(&waker)) else {
        panic!()
    };
    assert_eq!(told.revision, 1);
    feed.close();
    assert_eq!(idle.0.load(Ordering::Relaxed), 98, "the end wakes everybody");
}

fn project(n: u8) -> ProjectId {
    ProjectId::from_bytes([n; 16])
}

/// A commit of a block in a project, or (`inside`) of what is the provider's in that project's network.
fn in_project(revision: Revision, op: Op, of: ProjectId, inside: Option<ProjectId>) -> Arc<Commit> {
    let mut commit = commit(revision, &[cluster(1)]);
    for change in &mut Arc::get_mut(&mut commit).unwrap().changes {
        (change.op, change.project, change.inside) = (op, Some(of), inside);
    }
    commit
}

#[test]
fn a_project_is_told_what_is_in_it_and_nobody_else_is_woken() {
    let feed = Feed::new(0, 1000);
    let idle = Arc::new(Woken::default());
    let bored = Waker::from(Arc::clone(&idle));
    let mut other = feed.subscribe_project(project(3), None);
    let mut sleeping = pin!(other.next());
    assert!(sleeping.as_mut().poll(&mut Context::from_waker(&bored)).is_pending());
    let mut mine = feed.subscribe_project(project(1), None);
    feed.publish(&[
        in_project(1, Op::Put, project(1), None),
        in_project(2, Op::Put, project(2), None),
        in_project(3, Op::Put, project(2), Some(project(1))),
        in_project(4, Op::Quiet, project(1), None),
        in_project(5, Op::Delete, project(1), None),
    ]);
    assert_eq!(revisions(&mut mine), [1, 3, 5]);
    assert_eq!(mine.cursor(), 5);
    assert_eq!(
        revisions(&mut feed.subscribe_project(project(2), Some(0))),
        [2, 3],
        "also who comes later"
    );
    assert_eq!(idle.0.load(Ordering::Relaxed), 0);
    assert!(sleeping.as_mut().poll(&mut Context::from_waker(&bored)).is_pending());
    feed.publish(&[in_project(6, Op::Put, project(3), None)]);
    assert_eq!(idle.0.load(Ordering::Relaxed), 1);
}
