//! The writer over a store that does what the test says.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

use common::{Kit, code, options, port, port_at};
use parking_lot::Mutex;
use portolan_control::control::Control;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::command::{Actor, Command, Via};
use portolan_core::history::{History, Incarnation};
use portolan_core::model::{FixedIp, Key, Object, Port, Revision};
use portolan_store::{Loaded, Store, StoreError, Trim};

/// What is stored, and what goes wrong next.
#[derive(Default)]
struct Stored {
    objects: BTreeMap<Key, Object>,
    commits: Vec<Arc<Commit>>,
    head: Revision,
    /// Times everything was loaded.
    loads: usize,
    /// What the next commits fail with.
    refusals: VecDeque<StoreError>,
    /// Every other look at the store finds the connection lost.
    flaky: bool,
    lost_last: bool,
    /// The next look panics.
    panics: bool,
}

impl Stored {
    fn write(&mut self, commit: &Arc<Commit>) {
        for change in &commit.changes {
            match change.op {
                Op::Delete => self.objects.remove(&change.key),
                Op::Put | Op::Quiet => self.objects.insert(change.key, change.object.clone()),
            };
        }
        self.commits.push(Arc::clone(commit));
        self.head = commit.revision;
    }

    fn after(&self, known: Revision) -> Vec<Commit> {
        let new = self.commits.iter().filter(|commit| commit.revision > known);
        new.map(|commit| Commit::clone(commit)).collect()
    }
}

/// A store in memory that others write to as well.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Stored>>);

impl Scripted {
    async fn kit(&self) -> Kit {
        let store = self.clone();
        let open = move || Ok(Box::new(store) as Box<dyn Store>);
        Kit::over(Control::over(open, options("scripted:")).unwrap()).await
    }

    /// What another replica commits.
    fn elsewhere(&self, changes: Vec<Change>) {
        let mut stored = self.0.lock();
        let commit = Commit {
            revision: stored.head + 1,
            at: 0,
            actor: Actor::System,
            via: Via::SYSTEM,
            by_provider: false,
            changes: changes.into(),
        };
        stored.write(&Arc::new(commit));
    }
}

impl Store for Scripted {
    fn load(&mut self, each: &mut dyn FnMut(Object)) -> Result<Loaded, StoreError> {
        let mut stored = self.0.lock();
        stored.loads += 1;
        stored.objects.values().cloned().for_each(each);
        Ok(Loaded {
            store_id: [1; 16],
            revision: stored.head,
            history: History::default(),
        })
    }

    fn recent(&mut self, _: Revision, _: usize) -> Result<Vec<Commit>, StoreError> {
        Ok(Vec::new())
    }

    fn begin(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        Ok(self.0.lock().after(known))
    }

    fn commit(&mut self, commits: &[Arc<Commit>], _: Option<Incarnation>) -> Result<(), StoreError> {
        let mut stored = self.0.lock();
        if let Some(refusal) = stored.refusals.pop_front() {
            return Err(refusal);
        }
        commits.iter().for_each(|commit| stored.write(commit));
        Ok(())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        match self.0.lock().refusals.pop_front() {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn history(&self) -> &History {
        static UNKNOWN: LazyLock<History> = LazyLock::new(History::default);
        &UNKNOWN
    }

    fn rollback(&mut self) {}

    fn follow(&mut self, known: Revision) -> Result<Vec<Commit>, StoreError> {
        let mut stored = self.0.lock();
        assert!(!stored.panics, "as the test says");
        stored.lost_last = stored.flaky && !stored.lost_last;
        if stored.lost_last {
            return Err(StoreError::Lost("as the test says".to_owned()));
        }
        Ok(stored.after(known))
    }

    fn shared(&self) -> bool {
        true
    }

    fn trim(&mut self, _: Trim) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn change(op: Op, object: Object) -> Change {
    Change::of(op, object, None, &())
}

#[tokio::test]
async fn an_address_that_another_replica_moves_is_neither_lost_nor_given_again() {
    let store = Scripted::default();
    let kit = store.kit().await;
    let network = kit.network().await;
    let subnet = kit.subnet(network, "10.0.0.0/29").await;
    let heir = kit.port(port_at(kit.project, network, "10.0.0.3")).await.unwrap();
    let older = kit.port(port_at(kit.project, network, "10.0.0.2")).await.unwrap();
    let moved = Object::from(Port {
        fixed_ips: Box::new([FixedIp {
            subnet,
            address: older.fixed_ips[0].address,
        }]),
        ..(*heir).clone()
    });
    // In the order first touched: the heir has the address before the older one's end is told.
    store.elsewhere(vec![
        change(Op::Put, moved),
        change(Op::Delete, Object::Port(Arc::clone(&older))),
    ]);
    kit.control.current().await.unwrap();
    let holder = kit
        .control
        .read(|view| view.port_at(subnet, older.fixed_ips[0].address).map(|port| port.id));
    assert_eq!(holder, Some(heir.id));
    let mut given = Vec::new();
    while let Ok(port) = kit.any_port(network).await {
        given.extend(common::addresses(&port));
    }
    given.sort_unstable();
    assert_eq!(given, ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
}

#[tokio::test]
async fn a_backstop_that_fires_again_does_not_load_everything_again() {
    let store = Scripted::default();
    let kit = store.kit().await;
    let network = kit.network().await;
    assert_eq!(store.0.lock().loads, 1);
    let fired = || StoreError::Backstop("an address is held twice".to_owned());
    store.0.lock().refusals.extend([fired(), fired()]);
    let refused = kit.any_port(network).await;
    assert_eq!(code(refused), "store.unavailable");
    assert_eq!(store.0.lock().loads, 2, "once, and then it is known not to help");
    let change = Command::CreatePorts(vec![common::new_port(kit.project, network)]);
    let made = kit.ask(change).await.unwrap();
    assert_eq!(port(&made.objects[0]).network, network);
}

#[tokio::test]
async fn a_read_after_a_lost_connection_is_as_fresh_as_any() {
    let store = Scripted::default();
    let kit = store.kit().await;
    let network = kit.network().await;
    let Some(Object::Network(mut newest)) = kit.control.read(|view| view.object(&Key::Network(network))) else {
        panic!("there is a network")
    };
    store.0.lock().flaky = true;
    for n in 0..32 {
        let named = Arc::make_mut(&mut newest);
        named.name = format!("name-{n}");
        store.elsewhere(vec![change(Op::Put, Object::from(named.clone()))]);
        kit.control.current().await.unwrap();
        let read = kit.control.read(|view| view.network(network).unwrap().name.clone());
        assert_eq!(read, newest.name);
    }
}

#[tokio::test]
async fn a_writer_that_has_failed_is_noticed() {
    let store = Scripted::default();
    let kit = store.kit().await;
    assert!(kit.control.lives());
    store.0.lock().panics = true;
    tokio::time::timeout(common::PATIENCE, kit.control.ended())
        .await
        .expect("noticed");
    assert!(!kit.control.lives());
    assert_eq!(
        code(kit.any_port(portolan_shared::ids::NetworkId::from_bytes([1; 16])).await),
        "store.unavailable"
    );
}
