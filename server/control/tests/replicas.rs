//! Several control planes on one PostgreSQL: no address twice, no gap, every reader complete.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::postgres::Postgres;
use common::{Kit, new_port, options, port, user};
use portolan_control::control::Control;
use portolan_control::feed::Next;
use portolan_core::audience::Audience;
use portolan_core::command::{Command, Delete, NetworkChange};
use portolan_core::model::{Object, ObjectKind};
use portolan_core::view::{PortScope, View};
use portolan_shared::refusal::Refusal;
use portolan_sources::SystemThreads;
use portolan_store::{AuditAsked, PostgresStore};

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_never_give_an_address_twice_and_every_reader_is_complete() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let kit = Kit::open(options(&database)).await;
    let network = kit.network().await;
    let subnet = kit.subnet(network, "10.0.0.0/22").await;
    let other = Control::open(options(&database)).unwrap();
    assert_eq!(kit.control.store_id(), other.store_id());
    let replicas = [kit.control.clone(), other];
    let start = kit.control.read(|view| view.head());
    let mut feeds: Vec<_> = replicas
        .iter()
        .map(|replica| replica.feed().subscribe(Some(start)))
        .collect();

    let (clients, each) = (16, 40);
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let (replica, project) = (replicas[client % 2].clone(), kit.project);
        tasks.spawn(async move {
            let mut made = Vec::new();
            for n in 0..each {
                let outcome = replica
                    .write(user(project, Command::CreatePorts(vec![new_port(project, network)])))
                    .await;
                made.push(port(&outcome.unwrap().objects[0]));
                // Every fourth goes again, so that addresses rest and come back on both.
                if n % 4 == 3 {
                    let gone: std::sync::Arc<_> = made.pop().unwrap();
                    replica
                        .write(user(project, Command::Delete(Delete::Port(gone.id))))
                        .await
                        .unwrap();
                }
            }
            made
        });
    }
    let made: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let addresses: BTreeSet<_> = made
        .iter()
        .flat_map(|port| port.fixed_ips.iter().map(|ip| ip.address))
        .collect();
    assert_eq!(addresses.len(), made.len(), "no address twice");
    let macs: BTreeSet<_> = made.iter().map(|port| port.mac).collect();
    assert_eq!(macs.len(), made.len(), "no MAC twice");

    for (replica, feed) in replicas.iter().zip(&mut feeds) {
        replica.current().await.unwrap();
        let (count, used, head) = replica.read(|view| {
            (
                view.port_count(PortScope::Network(network)),
                view.subnet_use(subnet).used,
                view.head(),
            )
        });
        assert_eq!((count, used), (made.len() as u64, made.len() as u64));
        // The feed told every commit, in order, and they add up to what there is.
        let mut next = start + 1;
        let mut alive = BTreeMap::new();
        while next <= head {
            let Next::Commit(commit) = feed.next().await else {
                panic!("the feed is complete")
            };
            assert_eq!(commit.revision, next, "no gap");
            next += 1;
            for change in &commit.changes {
                if let Object::Port(port) = &change.object {
                    match change.op {
                        portolan_core::change::Op::Delete => alive.remove(&port.id),
                        _ => alive.insert(port.id, port.fixed_ips[0].address),
                    };
                }
            }
        }
        assert_eq!(alive.values().copied().collect::<BTreeSet<_>>(), addresses);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_what_another_replica_has_acknowledged() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let kit = Kit::open(options(&database)).await;
    let other = Control::open(options(&database)).unwrap();
    let network = kit.network().await;
    for n in 0..50 {
        let name = format!("name-{n}");
        let change = NetworkChange {
            name: Some(name.clone()),
            ..NetworkChange::default()
        };
        kit.ask(Command::UpdateNetwork(network, change)).await.unwrap();
        other.current().await.unwrap();
        assert_eq!(other.read(|view| view.network(network).unwrap().name.clone()), name);
    }
    kit.control.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_database_loses_nothing_that_was_answered() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let kit = Kit::open(options(&database)).await;
    let network = kit.network().await;
    kit.subnet(network, "10.0.0.0/20").await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (control, project, stop) = (kit.control.clone(), kit.project, std::sync::Arc::clone(&stop));
        tasks.spawn(async move {
            let (mut made, mut failed) = (Vec::new(), 0);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                match control
                    .write(user(project, Command::CreatePorts(vec![new_port(project, network)])))
                    .await
                {
                    Ok(outcome) => made.push(port(&outcome.objects[0])),
                    Err(refusal) => {
                        let honest = ["store.unavailable", "store.unknown"];
                        assert!(honest.contains(&refusal.code()), "{refusal}");
                        failed += 1;
                    }
                }
            }
            (made, failed)
        });
    }
    let enough = |more: u64| {
        let control = kit.control.clone();
        async move {
            let from = control.read(|view| view.head());
            common::eventually("commits go on", || control.read(|view| view.head()) > from + more).await;
        }
    };
    for _ in 0..3 {
        enough(50).await;
        tokio::task::block_in_place(|| postgres.crash());
    }
    enough(50).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let made: Vec<_> = tasks.join_all().await.into_iter().flat_map(|(made, _)| made).collect();
    // A fresh process knows everything that was answered, and the view agrees with it.
    let fresh = Control::open(options(&database)).unwrap();
    kit.control.current().await.unwrap();
    let listed = |control: &Control| control.read(|view| view.ports(PortScope::All, None).cloned().collect::<Vec<_>>());
    let (stored, seen) = (listed(&fresh), listed(&kit.control));
    assert_eq!(stored, seen);
    for port in &made {
        assert!(stored.contains(port), "{port:?} was answered");
    }
    let addresses: BTreeSet<_> = stored.iter().map(|port| port.fixed_ips[0].address).collect();
    assert_eq!(addresses.len(), stored.len());
}

/// A replica that stood still while its database was put back, and another wrote past its revision.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_never_goes_on_from_another_history() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let mut kit = Kit::open(options(&database)).await;
    let network = kit.network().await;
    kit.subnet(network, "10.0.0.0/22").await;
    let more = async |kit: &Kit, count: usize| {
        for _ in 0..count {
            let new = new_port(kit.project, network);
            kit.ask(Command::CreatePorts(vec![new])).await.unwrap();
        }
    };
    let listed = |control: &Control| control.read(|view| view.ports(PortScope::All, None).cloned().collect::<Vec<_>>());
    more(&kit, 3).await;
    tokio::task::block_in_place(|| postgres.back_up());
    more(&kit, 5).await;

    // It has read all of it. From here on it does nothing until it is told to.
    let (still, mut writer) = tokio::task::block_in_place(|| {
        let store = PostgresStore::open(&database, [9; 16], Arc::new(SystemThreads)).unwrap();
        Control::without_thread(Box::new(store), options(&database)).unwrap()
    });
    let lost = listed(&still);
    assert_eq!(lost, listed(&kit.control));
    kit.control.close().await;
    tokio::task::block_in_place(|| postgres.put_back());

    kit.control = Control::open(options(&database)).unwrap();
    more(&kit, 20).await;
    let (head, stood_at) = (kit.control.read(View::head), still.read(View::head));
    assert!(head > stood_at, "the other has written past its revision");
    let mut feed = still.feed().subscribe(None);
    tokio::task::block_in_place(|| {
        writer.turn(Duration::ZERO);
        drop(writer);
    });
    assert_eq!(listed(&still), listed(&kit.control));
    assert_ne!(listed(&still), lost);
    assert!(
        matches!(
            feed.try_next(),
            Some(Next::Reset {
                other_history: true,
                ..
            })
        ),
        "readers start anew, and know why"
    );
    let point = kit.control.read(|view| view.point(head));
    assert!(still.read(|view| view.holds(point)));
}

/// How many networks' entries the audit has.
fn audited(control: &Control) -> Result<usize, Refusal> {
    let asked = AuditAsked {
        project: None,
        audience: Audience::Provider,
        object: None,
        kind: Some(ObjectKind::Network),
        op: None,
        actor: None,
        by_provider: None,
        through: None,
        before: None,
        limit: 100,
    };
    Ok(tokio::task::block_in_place(|| control.audit(&asked))?.entries.len())
}

/// The stream is cut, so the standby lacks the newest; the primary ends, and the standby takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_is_gone_on_with() {
    let Some(primary) = Postgres::start() else { return };
    let standby = tokio::task::block_in_place(|| primary.standby());
    let database = Postgres::urls(&[&standby, &primary], &primary.database());
    let kit = Kit::open(options(&database)).await;
    kit.network().await;
    tokio::task::block_in_place(|| {
        primary.is_followed_by(&standby);
        standby.cut_off();
    });
    let lost = kit.network().await;
    let lost_to = kit.control.read(View::head);
    assert_eq!(audited(&kit.control), Ok(2));

    tokio::task::block_in_place(|| {
        primary.kill();
        standby.promote();
    });
    common::eventually("the view is that of the standby", || {
        kit.control.read(|view| view.network(lost).is_none())
    })
    .await;
    assert_eq!(audited(&kit.control), Ok(1), "by the connection that broke meanwhile");
    let point = kit.control.read(|view| view.point(lost_to));
    for _ in 0..3 {
        kit.network().await;
    }
    assert!(kit.control.read(View::head) >= lost_to);
    let now = kit.control.read(|view| view.point(lost_to));
    assert_ne!(point, now, "that revision is another history's");
    assert_eq!(audited(&kit.control), Ok(4));
}

/// While a dump is being put back, a control plane that reconnects finds an empty database.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_not_taken_for_the_store() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let kit = Kit::open(options(&database)).await;
    let network = kit.network().await;
    let dump = tokio::task::block_in_place(|| {
        let dump = postgres.dump(&database);
        postgres.take_away(&database);
        dump
    });
    common::eventually("it is said that nothing can be written", || {
        kit.control.why_not_ready().is_some()
    })
    .await;
    tokio::task::block_in_place(|| postgres.make(&database));
    common::eventually("why is said", || {
        let why = kit.control.why_not_ready();
        why.is_some_and(|why| why.to_string().contains("holds no store now"))
    })
    .await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.sql(&database, tables), "0", "and none is made");

    tokio::task::block_in_place(|| postgres.fill(&database, &dump));
    common::eventually("it goes on", || kit.control.why_not_ready().is_none()).await;
    kit.network().await;
    assert!(kit.control.read(|view| view.network(network).is_some()));
}
