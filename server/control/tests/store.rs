//! One suite for both engines: the suite says what a store is.
#![expect(clippy::disallowed_methods, reason = "a test looks at the files of the store")]
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::sync::Arc;

use common::postgres::Postgres;
use common::sqlite;
use portolan_core::audience::Audience;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::command::{Actor, Via};
use portolan_core::history::Incarnation;
use portolan_core::model::{
    Assignment, FixedIp, Key, Meta, Network, Object, ObjectKind, Port, Project, Revision, Role, Session, Subnet, User,
};
use portolan_shared::ids::{NetworkId, PortId, ProjectId, SubnetId, UserId};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::{AuditOp, Through};
use portolan_sources::SystemThreads;
use portolan_store::{AuditAsked, PostgresStore, SqliteOptions, SqliteStore, Store, StoreError, Trim};

const STORE: [u8; 16] = [3; 16];

/// Opens the same store again and again.
trait Engine {
    fn open(&self) -> Box<dyn Store>;
}

struct Sqlite(tempfile::TempDir);

impl Engine for Sqlite {
    fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(sqlite(self.0.path().join("s.db"), STORE)).unwrap())
    }
}

struct OnPostgres(String);

impl Engine for OnPostgres {
    fn open(&self) -> Box<dyn Store> {
        Box::new(PostgresStore::open(&self.0, STORE, Arc::new(SystemThreads)).unwrap())
    }
}

fn bytes(n: u8) -> [u8; 16] {
    [n; 16]
}

fn meta(revision: Revision) -> Meta {
    Meta {
        project: ProjectId::from_bytes(bytes(1)),
        revision,
        revision_number: 0,
        created_at: 5,
        updated_at: 6,
    }
}

fn port(id: u8, mac: u64, address: &str) -> Object {
    let fixed_ips = match address {
        "" => Box::default(),
        text => Box::from([FixedIp {
            subnet: SubnetId::from_bytes(bytes(8)),
            address: text.parse().unwrap(),
        }]),
    };
    Object::from(Port {
        id: PortId::from_bytes(bytes(id)),
        meta: meta(1),
        network: NetworkId::from_bytes(bytes(7)),
        name: "ports' \"names\" \u{0}\u{1F980}".into(),
        description: "".into(),
        mac: MacAddress::from_u64(mac),
        fixed_ips,
        admin_state_up: true,
        device_owner: "".into(),
        device_id: "".into(),
        node: None,
        host: "".into(),
        pod: None,
        port_security_enabled: true,
    })
}

fn network() -> Object {
    Object::from(Network {
        id: NetworkId::from_bytes(bytes(7)),
        meta: meta(1),
        name: "web".into(),
        description: String::new(),
        admin_state_up: true,
        mtu: 1500,
        port_security_enabled: true,
        dns_domain: String::new(),
        owner: None,
        internet_access: false,
        external: false,
        shadow_port: None,
    })
}

fn subnet(id: u8, cidr: &str) -> Object {
    Object::from(Subnet {
        id: SubnetId::from_bytes(bytes(id)),
        meta: meta(1),
        network: NetworkId::from_bytes(bytes(7)),
        name: String::new(),
        description: String::new(),
        cidr: cidr.parse().unwrap(),
        gateway: None,
        pools: Vec::new(),
        dns: Vec::new(),
        routes: Vec::new(),
        enable_dhcp: false,
        purpose: portolan_core::model::Purpose::General,
        cursor: None,
    })
}

fn project(id: u8, name: &str) -> Object {
    let id = ProjectId::from_bytes(bytes(id));
    Object::from(Project {
        id,
        name: name.into(),
        description: String::new(),
        enabled: true,
        mac_cursor: 9,
    })
}

fn put(before: Option<&Object>, object: &Object) -> Change {
    Change {
        op: Op::Put,
        key: object.key(),
        object: object.clone(),
        before: before.cloned(),
        project: Some(ProjectId::from_bytes(bytes(1))),
        cluster: None,
        inside: None,
    }
}

fn delete(object: &Object) -> Change {
    Change {
        op: Op::Delete,
        before: Some(object.clone()),
        ..put(None, object)
    }
}

fn commit(revision: Revision, changes: Vec<Change>) -> Arc<Commit> {
    let actor = if revision.is_multiple_of(2) {
        Actor::System
    } else {
        Actor::User(UserId::from_bytes(bytes(2)))
    };
    Arc::new(Commit {
        revision,
        at: i64::try_from(revision).unwrap() * 10,
        actor,
        via: Via::SYSTEM,
        by_provider: false,
        changes: changes.into(),
    })
}

fn write(store: &mut dyn Store, known: Revision, commits: &[Arc<Commit>]) -> Result<(), StoreError> {
    assert!(store.begin(known)?.is_empty());
    store.commit(commits, Some(run(known)))
}

/// The run whose first commit is the one after `known`.
fn run(known: Revision) -> Incarnation {
    let mut run = [1; 16];
    run[..8].copy_from_slice(&known.to_be_bytes());
    Incarnation::from_bytes(run)
}

fn load(store: &mut dyn Store) -> (Vec<Key>, Vec<Object>, Revision) {
    let mut objects = Vec::new();
    let loaded = store.load(&mut |object| objects.push(object)).unwrap();
    assert_eq!(loaded.store_id, STORE);
    let mut keys: Vec<Key> = objects.iter().map(Object::key).collect();
    keys.sort();
    (keys, objects, loaded.revision)
}

/// The suite.
fn behaves(engine: &dyn Engine) {
    let mut store = engine.open();
    assert_eq!(load(&mut *store), (vec![], vec![], 0));
    let (a, b) = (port(20, 1, "10.0.0.2"), port(21, 2, "2001:db8::2"));
    let user = UserId::from_bytes(bytes(2));
    let assigned = Object::from(Assignment {
        user,
        project: ProjectId::from_bytes(bytes(1)),
        role: Role::Member,
    });
    let session = Object::from(Session {
        hash: [4; 32],
        user,
        project: None,
        csrf: Some("x".into()),
        issued_at: 1,
        expires_at: 2,
    });
    let person = Object::from(User {
        id: user,
        name: "ann".into(),
        password_hash: "$argon2id$".into(),
        enabled: true,
        default_project: None,
        language: Some("ru".into()),
    });
    let first = [
        commit(
            1,
            vec![
                put(None, &project(1, "demo")),
                put(None, &person),
                put(None, &assigned),
                put(None, &session),
            ],
        ),
        commit(2, vec![put(None, &network()), put(None, &subnet(8, "10.0.0.0/24"))]),
        commit(3, vec![put(None, &a), put(None, &b)]),
    ];
    write(&mut *store, 0, &first).unwrap();

    // What was written is read back, in the same process and in the next.
    for again in [false, true] {
        if again {
            drop(store);
            store = engine.open();
        }
        let (keys, objects, head) = load(&mut *store);
        assert_eq!((keys.len(), head), (8, 3));
        assert_eq!((store.history().at(3), store.history().newest()), (run(0), run(0)));
        for object in [&a, &b, &assigned, &session, &person] {
            assert!(objects.contains(object), "{object:?}");
        }
        let told = store.follow(1).unwrap();
        assert_eq!(told.iter().map(|c| c.revision).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            (told[1].at, told[1].actor, told[1].changes.len()),
            (30, Actor::User(user), 2)
        );
        assert_eq!((&told[1].changes[0].object, told[1].changes[0].op), (&a, Op::Put));
        assert_eq!(
            store
                .recent(3, 3)
                .unwrap()
                .iter()
                .map(|c| c.revision)
                .collect::<Vec<_>>(),
            [3],
            "whole commits"
        );
        assert_eq!(store.recent(2, 100).unwrap().len(), 2);
    }

    // In one batch: made and deleted again; changed; an address and a MAC that change hands.
    let passing = port(22, 3, "10.0.0.3");
    let (a2, b2) = (port(20, 2, "10.0.0.9"), port(21, 1, "10.0.0.2"));
    let renamed = project(1, "shop");
    let batch = [
        commit(4, vec![put(None, &passing)]),
        commit(5, vec![delete(&passing), put(Some(&a), &a2), put(Some(&b), &b2)]),
        commit(6, vec![put(Some(&project(1, "demo")), &renamed), delete(&session)]),
        commit(7, vec![put(None, &project(5, "demo"))]),
    ];
    write(&mut *store, 3, &batch).unwrap();
    let (keys, objects, _) = load(&mut *store);
    assert_eq!((store.history().at(3), store.history().at(4)), (run(0), run(3)));
    assert_eq!(keys.len(), 8);
    assert!(objects.contains(&a2) && objects.contains(&b2) && objects.contains(&renamed));
    assert!(
        store.follow(3).unwrap()[1].changes[0].before.is_some(),
        "a delete tells what it was"
    );

    // What is rolled back, or not finished, has not happened.
    assert!(store.begin(7).unwrap().is_empty());
    store.rollback();
    assert_eq!(store.begin(6).unwrap().len(), 1, "others' commits come with the head");
    store.rollback();

    // The backstops fire, and then nothing of the batch is written.
    let head = 7;
    for (what, clash) in [
        ("address", port(30, 9, "10.0.0.2")),
        ("mac", port(30, 1, "10.0.0.77")),
        ("id", a2.clone()),
        ("range", subnet(9, "10.0.0.0/25")),
        ("project name", project(6, "shop")),
    ] {
        let batch = [
            commit(head + 1, vec![put(None, &port(40, 40, "10.0.0.40"))]),
            commit(head + 2, vec![put(None, &clash)]),
        ];
        let refused = write(&mut *store, head, &batch).unwrap_err();
        assert!(matches!(refused, StoreError::Backstop(_)), "{what}: {refused}");
        store.recover().unwrap();
        assert_eq!(load(&mut *store).2, head, "{what}");
        assert_eq!(load(&mut *store).0.len(), 8, "{what}");
    }

    // Whether it takes anything is found out without changing anything.
    store.probe().unwrap();
    assert_eq!(load(&mut *store).2, head);
    assert!(store.begin(head).unwrap().is_empty());
    store.rollback();

    // Old changes go, whole commits at a time and not more than allowed.
    let trim = |keep, before, step| Trim {
        keep,
        before,
        audit_before: i64::MIN,
        step,
    };
    assert_eq!(store.trim(trim(1_000, i64::MAX, 100)).unwrap(), 0, "few enough");
    assert_eq!(store.trim(trim(0, 5, 100)).unwrap(), 0, "young enough");
    assert_eq!(
        store.trim(trim(0, i64::MAX, 6)).unwrap(),
        4,
        "the commit that is cut stays"
    );
    assert!(matches!(store.follow(0), Err(StoreError::Compacted(0))));
    assert_eq!(store.follow(1).unwrap().len(), 6);
    assert_eq!(load(&mut *store).0.len(), 8);

    assert_eq!(
        store.trim(trim(8, i64::MAX, 1)).unwrap(),
        2,
        "a commit that is longer than a step does not hold up what is behind it"
    );

    // What is audited stays, but the feed is not misled by what is left of a commit.
    assert_eq!(store.trim(trim(0, i64::MAX, 100)).unwrap(), 8);
    assert!(
        matches!(store.follow(5), Err(StoreError::Compacted(5))),
        "half of commit 6 is there"
    );
    assert_eq!(revisions(&store.follow(6).unwrap()), [7]);
    assert_eq!(revisions(&store.recent(7, 100).unwrap()), [7]);
    let mut audit = store.audit();
    let page = audit.page(&asked()).unwrap();
    let found: Vec<_> = page
        .entries
        .iter()
        .map(|e| (e.revision, e.changes.len(), e.more))
        .collect();
    assert_eq!(
        found,
        [
            (7, 1, 0),
            (6, 1, 0),
            (5, 3, 0),
            (4, 1, 0),
            (3, 2, 0),
            (2, 2, 0),
            (1, 3, 0)
        ],
        "sessions are not audited"
    );
    assert_eq!(page.next, None);
    let forget = |audit_before| Trim {
        audit_before,
        ..trim(1_000, i64::MAX, 100)
    };
    assert_eq!(store.trim(forget(10)).unwrap(), 0, "young enough");
    assert_eq!(store.trim(forget(11)).unwrap(), 3, "too old");
    assert_eq!(audit.page(&asked()).unwrap().entries.len(), 6);
    assert_eq!(
        store.trim(forget(i64::MAX)).unwrap(),
        9,
        "not of the feed's, however old"
    );
    assert_eq!(revisions(&store.follow(6).unwrap()), [7]);
    assert_eq!(load(&mut *store).0.len(), 8);
}

fn revisions(commits: &[Commit]) -> Vec<Revision> {
    commits.iter().map(|commit| commit.revision).collect()
}

/// All of the audit.
fn asked() -> AuditAsked {
    AuditAsked {
        project: None,
        audience: Audience::Provider,
        object: None,
        kind: None,
        op: None,
        actor: None,
        by_provider: None,
        through: None,
        before: None,
        limit: 100,
    }
}

/// What the audit answers, page by page and by every filter.
fn remembers(engine: &dyn Engine) {
    let mut store = engine.open();
    let (a, a2) = (port(255, 1, "10.0.0.2"), port(255, 2, "10.0.0.9"));
    let many: Vec<Change> = (0..250)
        .map(|n| put(None, &project(u8::try_from(n).unwrap(), &format!("p{n}"))))
        .collect();
    let via = Via {
        through: Through::Console,
        request: Some(uuid::Uuid::from_u128(77)),
    };
    let mut third = Commit::clone(&commit(3, vec![put(Some(&a), &a2)]));
    (third.via, third.by_provider) = (via, true);
    let commits = [
        commit(1, vec![put(None, &a)]),
        commit(2, many),
        Arc::new(third),
        commit(4, vec![delete(&a2)]),
    ];
    write(&mut *store, 0, &commits).unwrap();
    let mut audit = store.audit();
    let mut page = |change: &dyn Fn(&mut AuditAsked)| {
        let mut asked = asked();
        change(&mut asked);
        let page = audit.page(&asked).unwrap();
        let revisions: Vec<_> = page.entries.iter().map(|entry| entry.revision).collect();
        (page, revisions)
    };
    let key = a.key().bytes();
    let (found, revisions) = page(&|asked| asked.object = Some(key.clone()));
    assert_eq!(revisions, [4, 3, 1]);
    let ops: Vec<_> = found.entries.iter().map(|entry| entry.changes[0].op).collect();
    assert_eq!(ops, [AuditOp::Delete, AuditOp::Update, AuditOp::Create]);
    let update = &found.entries[1];
    assert_eq!((update.via, update.by_provider), (via, true));
    assert_eq!(
        (&update.changes[0].object, update.changes[0].before.as_ref()),
        (&a2, Some(&a))
    );
    assert!(found.entries[2].changes[0].before.is_none());
    // A commit of many objects is one entry; the one that is asked for comes first.
    let last = project(249, "p249");
    let (found, revisions) = page(&|asked| asked.object = Some(last.key().bytes()));
    assert_eq!(revisions, [2]);
    let entry = &found.entries[0];
    assert_eq!(
        (entry.changes.len(), entry.more, &entry.changes[0].object),
        (100, 150, &last)
    );
    // Pages go on where the last ended.
    let (found, revisions) = page(&|asked| asked.limit = 3);
    assert_eq!((revisions, found.next), (vec![4, 3, 2], Some(2)));
    let (found, revisions) = page(&|asked| (asked.limit, asked.before) = (3, Some(2)));
    assert_eq!((revisions, found.next), (vec![1], None));
    // Filters.
    assert_eq!(page(&|asked| asked.kind = Some(ObjectKind::Port)).1, [4, 3, 1]);
    assert_eq!(page(&|asked| asked.op = Some(AuditOp::Update)).1, [3]);
    assert_eq!(page(&|asked| asked.op = Some(AuditOp::Delete)).1, [4]);
    assert_eq!(page(&|asked| asked.through = Some(Through::Console)).1, [3]);
    assert_eq!(page(&|asked| asked.by_provider = Some(true)).1, [3]);
    assert_eq!(page(&|asked| asked.actor = Some(Actor::System)).1, [4, 2]);
    let nobody = ProjectId::from_bytes(bytes(99));
    assert_eq!(page(&|asked| asked.project = Some(nobody)).1, [0; 0]);
    let mine = ProjectId::from_bytes(bytes(1));
    assert_eq!(page(&|asked| asked.project = Some(mine)).1, [4, 3, 2, 1]);
    assert_eq!(page(&|asked| asked.audience = Audience::Everyone).1, [4, 3, 2, 1]);
}

#[test]
fn sqlite_remembers() {
    remembers(&Sqlite(tempfile::tempdir().unwrap()));
}

#[test]
fn postgres_remembers() {
    let Some(postgres) = Postgres::start() else { return };
    remembers(&OnPostgres(postgres.database()));
}

#[test]
fn an_older_store_is_brought_up_and_its_feed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Sqlite(folder);
    let path = engine.0.path().join("s.db");
    let mut store = engine.open();
    write(&mut *store, 0, &[commit(1, vec![put(None, &network())])]).unwrap();
    drop(store);
    // As version 1 left it.
    let old = rusqlite::Connection::open(&path).unwrap();
    for (index, kind) in ObjectKind::ALL.iter().enumerate() {
        // It had the first 13 kinds.
        let undo = match index {
            0..13 => format!("ALTER TABLE {} DROP COLUMN body_version", kind.table()),
            _ => format!("DROP TABLE {}", kind.table()),
        };
        old.execute_batch(&undo).unwrap();
    }
    old.execute_batch(
        "DROP INDEX changes_project; DROP INDEX changes_object; \
         ALTER TABLE changes DROP COLUMN audited; ALTER TABLE changes DROP COLUMN made; \
         ALTER TABLE changes DROP COLUMN through; ALTER TABLE changes DROP COLUMN by_provider; \
         ALTER TABLE changes DROP COLUMN request; ALTER TABLE head DROP COLUMN floor; \
         ALTER TABLE head DROP COLUMN incarnation; DROP TABLE incarnations; \
         PRAGMA user_version = 1",
    )
    .unwrap();
    drop(old);
    let mut store = engine.open();
    assert_eq!(load(&mut *store).2, 1);
    assert_eq!(revisions(&store.follow(0).unwrap()), [1]);
    write(&mut *store, 1, &[commit(2, vec![delete(&network())])]).unwrap();
    let page = store.audit().page(&asked()).unwrap();
    assert_eq!(page.entries.len(), 1, "what was before is not in the audit");
}

#[test]
fn sqlite_behaves() {
    behaves(&Sqlite(tempfile::tempdir().unwrap()));
}

#[test]
fn postgres_behaves() {
    let Some(postgres) = Postgres::start() else { return };
    behaves(&OnPostgres(postgres.database()));
}

#[test]
fn a_second_process_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let first = SqliteStore::open(sqlite(&path, STORE)).unwrap();
    let second = SqliteStore::open(sqlite(&path, STORE)).err().unwrap();
    assert_eq!(
        second.to_string(),
        format!("{} is in use by another process; stop that one first", path.display())
    );
    drop(first);
    SqliteStore::open(sqlite(&path, STORE)).unwrap();
}

#[test]
fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    drop(SqliteStore::open(sqlite(&path, STORE)).unwrap());
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let refused = SqliteStore::open(sqlite(&path, STORE)).err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
}

#[test]
fn the_log_of_sqlite_stays_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let options = SqliteOptions {
        checkpoint_pages: 100,
        ..sqlite(&path, STORE)
    };
    let mut store = SqliteStore::open(options).unwrap();
    let mut before = None;
    for revision in 1..2_000 {
        let object = project(1, &format!("name-{revision}"));
        write(
            &mut store,
            revision - 1,
            &[commit(revision, vec![put(before.as_ref(), &object)])],
        )
        .unwrap();
        before = Some(object);
    }
    let log = std::fs::metadata(folder.path().join("s.db-wal")).unwrap().len();
    // Four times the bound, and what one batch adds.
    assert!(log < 500 * 4_200, "{log} bytes");
}
