//! Random orders of what can happen to shadowport requests, against a reference that is a few lines
//! long; and that a restart keeps all of it.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Kit, code, options};
use portolan_control::control::Control;
use portolan_core::command::{Actor, Command, NewShadowRequest, Request, Step};
use portolan_core::model::{ShadowRequest, User};
use portolan_shared::ids::{ProjectId, ShadowRequestId, UserId};
use portolan_shared::v1::{RequestState, Side};
use portolan_sources::Clock;
use proptest::prelude::*;

/// A clock that a test moves on.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

const SECOND: i64 = 1_000_000;

/// What somebody does.
#[derive(Debug, Clone)]
enum Move {
    File,
    Withdraw,
    Write,
    Note(u8),
    Take(u8),
    Ask(u8),
    /// For so many seconds, if any.
    Grant(u8, Option<i64>),
    Decline(u8),
    Revoke(u8),
    Wait(i64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => Just(Move::File),
        1 => Just(Move::Withdraw),
        1 => Just(Move::Write),
        1 => (0..2_u8).prop_map(Move::Note),
        2 => (0..2_u8).prop_map(Move::Take),
        1 => (0..2_u8).prop_map(Move::Ask),
        2 => ((0..2_u8), proptest::option::of(-1..20_i64)).prop_map(|(by, until)| Move::Grant(by, until)),
        1 => (0..2_u8).prop_map(Move::Decline),
        2 => (0..2_u8).prop_map(Move::Revoke),
        2 => (1..15_i64).prop_map(Move::Wait),
    ]
}

/// The newest request, as the reference has it.
#[derive(Debug, Clone, Default)]
struct Reference {
    state: Option<RequestState>,
    taker: Option<u8>,
    awaits: Option<Side>,
    until: Option<i64>,
    revoked: bool,
    public: usize,
    notes: usize,
    now: i64,
}

impl Reference {
    fn open(&self) -> bool {
        self.state.is_some_and(RequestState::open)
    }

    fn granted(&self) -> bool {
        self.state == Some(RequestState::Granted) && !self.revoked && self.until.is_none_or(|until| self.now < until)
    }

    /// Does it, and says what comes of it.
    fn take(&mut self, what: &Move) -> &'static str {
        use RequestState::{Declined, Granted, InReview, New, Withdrawn};
        match *what {
            Move::Wait(seconds) => self.now += seconds * SECOND,
            Move::File if self.open() => return "request.open",
            Move::File if self.granted() => return "request.granted_already",
            Move::File => {
                *self = Self {
                    state: Some(New),
                    awaits: Some(Side::Support),
                    now: self.now,
                    ..Self::default()
                };
            }
            _ if self.state.is_none() => return "not_found",
            Move::Revoke(_) if !self.granted() => return "request.not_granted",
            Move::Revoke(_) => self.revoked = true,
            Move::Write | Move::Note(_) if self.state == Some(Withdrawn) => return "request.decided",
            Move::Write => {
                self.public += 1;
                if self.open() {
                    self.awaits = Some(Side::Support);
                }
            }
            Move::Note(_) => self.notes += 1,
            _ if !self.open() => return "request.decided",
            Move::Withdraw => (self.state, self.awaits) = (Some(Withdrawn), None),
            Move::Take(by) => (self.state, self.taker) = (Some(InReview), Some(by)),
            Move::Ask(by) => {
                (self.state, self.awaits) = (Some(InReview), Some(Side::Customer));
                self.taker = self.taker.or(Some(by));
                self.public += 1;
            }
            Move::Grant(_, Some(seconds)) if seconds <= 0 => return "value.in_the_past",
            Move::Grant(by, until) => {
                (self.state, self.awaits) = (Some(Granted), None);
                self.taker = self.taker.or(Some(by));
                self.until = until.map(|seconds| self.now + seconds * SECOND);
            }
            Move::Decline(by) => {
                (self.state, self.awaits) = (Some(Declined), None);
                self.taker = self.taker.or(Some(by));
            }
        }
        "done"
    }
}

struct World {
    kit: Kit,
    clock: Arc<Hand>,
    customer: UserId,
    support: [UserId; 2],
}

async fn user(control: &Control, name: &str) -> UserId {
    let id: UserId = control.new_id().into();
    let user = User {
        id,
        name: name.to_owned(),
        password_hash: String::new(),
        enabled: true,
        default_project: None,
        language: None,
    };
    let nobody = ProjectId::from_bytes([0; 16]);
    control
        .write(common::admin(nobody, Command::CreateUser(user)))
        .await
        .unwrap();
    id
}

impl World {
    async fn new(database: &str) -> Self {
        let clock = Arc::new(Hand::default());
        let mut options = options(database);
        options.sources.clock = Arc::<Hand>::clone(&clock);
        let kit = Kit::open(options).await;
        let customer = user(&kit.control, "ann").await;
        let support = [user(&kit.control, "sue").await, user(&kit.control, "sam").await];
        Self {
            kit,
            clock,
            customer,
            support,
        }
    }

    fn newest(&self) -> Option<Arc<ShadowRequest>> {
        self.kit
            .control
            .read(|view| view.requests_of(self.kit.project).next_back().cloned())
    }

    async fn make(&self, what: &Move) -> String {
        let id = self
            .newest()
            .map_or(ShadowRequestId::from_bytes([0; 16]), |request| request.id);
        let (customer, support) = (Side::Customer, Side::Support);
        let text = || "some words of text".to_owned();
        let (by, side, step) = match *what {
            Move::Wait(seconds) => {
                self.clock.0.fetch_add(seconds * SECOND, Ordering::SeqCst);
                return "done".to_owned();
            }
            Move::File => {
                let new = NewShadowRequest {
                    project: self.kit.project,
                    purpose: text(),
                    nodes: 1,
                    network: None,
                    quotes: None,
                };
                return self.ask(self.customer, Command::FileRequest(new)).await;
            }
            Move::Withdraw => (self.customer, customer, Step::Withdraw),
            Move::Write => (
                self.customer,
                customer,
                Step::Say {
                    text: text(),
                    internal: false,
                },
            ),
            Move::Note(by) => (
                self.support[usize::from(by)],
                support,
                Step::Say {
                    text: text(),
                    internal: true,
                },
            ),
            Move::Take(by) => (self.support[usize::from(by)], support, Step::Take),
            Move::Ask(by) => (self.support[usize::from(by)], support, Step::Ask { text: text() }),
            Move::Grant(by, until) => {
                let until = until.map(|seconds| self.clock.now() + seconds * SECOND);
                (
                    self.support[usize::from(by)],
                    support,
                    Step::Grant { until, message: None },
                )
            }
            Move::Decline(by) => (
                self.support[usize::from(by)],
                support,
                Step::Decline { message: text() },
            ),
            Move::Revoke(by) => (self.support[usize::from(by)], support, Step::Revoke { message: text() }),
        };
        let command = Command::OnRequest {
            request: id,
            side,
            step,
        };
        self.ask(by, command).await
    }

    async fn ask(&self, by: UserId, command: Command) -> String {
        let request = Request {
            actor: Actor::User(by),
            ..common::user(self.kit.project, command)
        };
        let answer = self.kit.control.write(request).await;
        match code(answer) {
            done if done.starts_with("done") => "done".to_owned(),
            code => code,
        }
    }

    /// That the store's and the reference's newest request are alike.
    fn compare(&self, reference: &Reference) {
        let found = self.newest();
        assert_eq!(found.as_ref().map(|request| request.state), reference.state);
        let control = &self.kit.control;
        let holds = control.read(|view| view.grant_holds(self.kit.project, self.clock.now()));
        assert_eq!(holds, reference.granted());
        let Some(request) = found else { return };
        let taker = request.taken_by.as_ref().map(|taker| taker.id);
        assert_eq!(taker, reference.taker.map(|by| self.support[usize::from(by)]));
        assert_eq!(request.awaits, reference.awaits);
        let messages: Vec<_> = control.read(|view| view.messages_of(request.id).cloned().collect());
        let notes = messages.iter().filter(|message| message.internal).count();
        assert_eq!((messages.len() - notes, notes), (reference.public, reference.notes));
        let open = control.read(|view| view.requests_of(self.kit.project).filter(|r| r.state.open()).count());
        assert!(open <= 1, "one open request a project");
    }
}

/// What a customer may see of a request: nothing of it moves while this stays.
fn told(request: &ShadowRequest) -> ShadowRequest {
    ShadowRequest {
        taken_by: None,
        meta: request.meta.clone(),
        ..request.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_moves_comes_to_what_the_reference_says(moves in proptest::collection::vec(any_move(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new("sqlite::memory:").await;
            let mut reference = Reference::default();
            for step in &moves {
                let before = world.newest();
                let expected = reference.take(step);
                assert_eq!(world.make(step).await, expected, "{step:?}");
                world.compare(&reference);
                // What customers are told never changes without saying so.
                if let (Some(before), Some(after)) = (before, world.newest())
                    && before.id == after.id
                    && before.told_revision == after.told_revision
                {
                    let same = ShadowRequest { meta: before.meta.clone(), ..told(&after) };
                    assert_eq!(told(&before), same, "{step:?}");
                }
            }
        });
    }
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("p.db").display());
    let world = World::new(&database).await;
    for step in [
        Move::File,
        Move::Take(0),
        Move::Note(1),
        Move::Ask(0),
        Move::Write,
        Move::Grant(0, Some(10)),
    ] {
        assert_eq!(world.make(&step).await, "done", "{step:?}");
    }
    let (project, request) = (world.kit.project, world.newest().unwrap());
    let everything = |control: &Control| {
        control.read(|view| {
            let messages: Vec<_> = view.messages_of(request.id).cloned().collect();
            (view.request(request.id).cloned(), messages, view.head())
        })
    };
    let before = everything(&world.kit.control);
    assert_eq!(before.1.len(), 3);
    world.kit.control.close().await;
    drop(world);
    let control = Control::open(options(&database)).unwrap();
    assert_eq!(everything(&control), before);
    assert!(control.read(|view| view.grant_holds(project, 0)));
    assert!(!control.read(|view| view.grant_holds(project, 10 * SECOND)));
    control.close().await;
}

#[tokio::test]
async fn many_file_at_once_and_one_is_open() {
    let world = Arc::new(World::new("sqlite::memory:").await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let world = Arc::clone(&world);
        tasks.spawn(async move { world.make(&Move::File).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| *answer == "done").count(), 1);
    assert_eq!(answers.iter().filter(|answer| *answer == "request.open").count(), 31);
    assert_eq!(world.kit.control.read(|view| view.requests().count()), 1);
}
