//! A store that an older program wrote: its bodies have version 1 and lack what came later.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use common::postgres::Postgres;
use common::{options, sqlite};
use portolan_control::control::{Control, OpenError};
use portolan_core::audience::Audience;
use portolan_core::change::{Change, Commit, Op};
use portolan_core::command::{Actor, Via};
use portolan_core::model::{FixedIp, Key, Meta, Network, Object, Port, Project, Purpose, Subnet};
use portolan_shared::ids::{NetworkId, PortId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::AuditOp;
use portolan_sources::SystemThreads;
use portolan_store::{AuditAsked, PostgresStore, SqliteStore, Store, StoreError};
use serde_json::{Value, json};

/// The tables as the older program had them.
const SCHEMA: &str = include_str!("upgrades/schema-4.sql");

/// The first shape of each: nothing that came later is there.
fn objects() -> [(&'static str, [u8; 16], Value); 4] {
    let (project, network) = (ProjectId::from_bytes([1; 16]), NetworkId::from_bytes([2; 16]));
    let (subnet, port) = (SubnetId::from_bytes([3; 16]), PortId::from_bytes([4; 16]));
    let meta = json!({
        "project": project.to_string(), "revision": 1, "revision_number": 0, "created_at": 5, "updated_at": 5,
    });
    [
        (
            "projects",
            [1; 16],
            json!({"id": project.to_string(), "name": "shop", "description": "", "enabled": true, "mac_cursor": 9}),
        ),
        (
            "networks",
            [2; 16],
            json!({
                "id": network.to_string(), "meta": meta, "name": "web", "description": "", "admin_state_up": true,
                "mtu": 1500, "port_security_enabled": true, "dns_domain": "", "owner": null,
            }),
        ),
        (
            "subnets",
            [3; 16],
            json!({
                "id": subnet.to_string(), "meta": meta, "network": network.to_string(), "name": "", "description": "",
                "cidr": "10.0.0.0/24", "gateway": null, "pools": [], "dns": [], "routes": [], "enable_dhcp": false,
                "purpose": "general",
            }),
        ),
        (
            "ports",
            [4; 16],
            json!({
                "id": port.to_string(), "meta": meta, "network": network.to_string(), "name": "web-7",
                "mac": "fa:16:3e:00:00:01", "fixed_ips": [{"subnet": subnet.to_string(), "address": "10.0.0.2"}],
                "admin_state_up": true, "device_owner": "", "port_security_enabled": true,
            }),
        ),
    ]
}

/// The same as they are read now.
fn expected() -> [Object; 4] {
    let meta = || Meta {
        project: ProjectId::from_bytes([1; 16]),
        revision: 1,
        revision_number: 0,
        created_at: 5,
        updated_at: 5,
    };
    let network = NetworkId::from_bytes([2; 16]);
    [
        Object::from(Project {
            id: ProjectId::from_bytes([1; 16]),
            name: "shop".into(),
            description: String::new(),
            enabled: true,
            mac_cursor: 9,
        }),
        Object::from(Network {
            id: network,
            meta: meta(),
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
        }),
        Object::from(Subnet {
            id: SubnetId::from_bytes([3; 16]),
            meta: meta(),
            network,
            name: String::new(),
            description: String::new(),
            cidr: "10.0.0.0/24".parse().unwrap(),
            gateway: None,
            pools: Vec::new(),
            dns: Vec::new(),
            routes: Vec::new(),
            enable_dhcp: false,
            purpose: Purpose::General,
            cursor: None,
        }),
        port("web-7"),
    ]
}

fn port(name: &str) -> Object {
    Object::from(Port {
        id: PortId::from_bytes([4; 16]),
        meta: Meta {
            project: ProjectId::from_bytes([1; 16]),
            revision: 1,
            revision_number: 0,
            created_at: 5,
            updated_at: 5,
        },
        network: NetworkId::from_bytes([2; 16]),
        name: name.into(),
        description: "".into(),
        mac: MacAddress::from_u64(0xfa16_3e00_0001),
        fixed_ips: Box::new([FixedIp {
            subnet: SubnetId::from_bytes([3; 16]),
            address: "10.0.0.2".parse().unwrap(),
        }]),
        admin_state_up: true,
        device_owner: "".into(),
        device_id: "".into(),
        node: None,
        host: "".into(),
        pod: None,
        port_security_enabled: true,
    })
}

/// Where the store is, and SQL to it past the program.
trait Engine {
    /// The words for bytes, integers and texts.
    const TYPES: [&'static str; 3];
    /// Says of a store which migrations it has had.
    const VERSION: &'static str;

    fn database(&self) -> String;
    fn open(&self) -> Box<dyn Store>;
    /// Runs it.
    fn run(&self, sql: &str);
    /// Asks it for a number.
    fn number(&self, sql: &str) -> i64;

    /// Bytes as a literal.
    fn bytes(bytes: &[u8]) -> String;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("p.db")
    }
}

impl Engine for Sqlite {
    const TYPES: [&'static str; 3] = ["BLOB", "INTEGER", "TEXT"];
    const VERSION: &'static str = "PRAGMA user_version = 4";

    fn database(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(sqlite(self.path(), [9; 16])).unwrap())
    }

    fn run(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn number(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn bytes(bytes: &[u8]) -> String {
        format!("X'{}'", hex(bytes))
    }
}

struct OnPostgres {
    server: Postgres,
    database: String,
}

impl Engine for OnPostgres {
    const TYPES: [&'static str; 3] = ["BYTEA", "BIGINT", "TEXT"];
    const VERSION: &'static str = "CREATE TABLE schema_version (one BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL); \
         INSERT INTO schema_version (one, version) VALUES (1, 4)";

    fn database(&self) -> String {
        self.database.clone()
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(PostgresStore::open(&self.database, [9; 16], Arc::new(SystemThreads)).unwrap())
    }

    fn run(&self, sql: &str) {
        self.server.sql(&self.database, sql);
    }

    fn number(&self, sql: &str) -> i64 {
        self.server.sql(&self.database, sql).parse().unwrap()
    }

    fn bytes(bytes: &[u8]) -> String {
        format!("'\\x{}'::bytea", hex(bytes))
    }
}

/// Writes the store as the older program would have: all is made by the first commit, and the second names the port.
fn written_by_an_older_program<E: Engine>(engine: &E) {
    let [bytes, int, text] = E::TYPES;
    let schema = SCHEMA
        .replace("{bytes}", bytes)
        .replace("{int}", int)
        .replace("{text}", text);
    let mut sql = format!("{schema}; {};\n", E::VERSION);
    let (store, nobody) = (E::bytes(&[9; 16]), E::bytes(&[0]));
    writeln!(
        sql,
        "INSERT INTO head (one, revision, change_rows, store_id, floor) VALUES (1, 2, 5, {store}, 0);"
    )
    .unwrap();
    let project = E::bytes(&[1; 16]);
    let mut change = |position: u64, at: i64, table: &str, id: &str, body: &str, made: i64| {
        writeln!(
            sql,
            "INSERT INTO changes (position, at, kind, id, project, op, actor, body, body_version, audited, made) \
             VALUES ({position}, {at}, '{table}', {id}, {project}, 0, {nobody}, {body}, 1, 1, {made});"
        )
        .unwrap();
    };
    let mut rows = String::new();
    for (n, (table, id, mut body)) in (0..).zip(objects()) {
        let id = E::bytes(&id);
        let encoded = E::bytes(body.to_string().as_bytes());
        // What each table has besides.
        let (names, values) = match table {
            "projects" => (", name", ", 'shop'".to_owned()),
            "subnets" => {
                let [first, last] = [[4, 10, 0, 0, 0], [4, 10, 0, 0, 255]].map(|address| E::bytes(&address));
                let values = format!(", {}, {first}, {last}", E::bytes(&[2; 16]));
                (", network, first_address, last_address", values)
            }
            "ports" => {
                let values = format!(", {}, {}", E::bytes(&[2; 16]), 0xfa16_3e00_0001_i64);
                (", network, mac", values)
            }
            _ => ("", String::new()),
        };
        if table == "ports" {
            // Before it was named; its row holds what it is since.
            body["name"] = json!("");
            change((1 << 20) + n, 10, table, &id, &E::bytes(body.to_string().as_bytes()), 1);
            change(2 << 20, 20, table, &id, &encoded, 0);
        } else {
            change((1 << 20) + n, 10, table, &id, &encoded, 1);
        }
        writeln!(
            rows,
            "INSERT INTO {table} (id, project, revision, body{names}) VALUES ({id}, {project}, 1, {encoded}{values});"
        )
        .unwrap();
    }
    engine.run(&format!("{sql}{rows}"));
}

fn all(store: &mut dyn Store) -> Result<Vec<Object>, StoreError> {
    let mut objects = Vec::new();
    let loaded = store.load(&mut |object| objects.push(object))?;
    assert_eq!(loaded.store_id, [9; 16]);
    Ok(objects)
}

/// What the audit says of the port, newest first.
fn history_of_the_port(store: &dyn Store) -> Vec<(AuditOp, Object, Option<Object>)> {
    let asked = AuditAsked {
        project: None,
        audience: Audience::Everyone,
        object: Some(vec![4; 16]),
        kind: None,
        op: None,
        actor: None,
        by_provider: None,
        through: None,
        before: None,
        limit: 10,
    };
    let entries = store.history().page(&asked).unwrap().entries;
    let first = entries
        .into_iter()
        .map(|entry| entry.changes.into_iter().next().unwrap());
    first
        .map(|changed| (changed.op, changed.object, changed.before))
        .collect()
}

fn reads_what_an_older_program_wrote<E: Engine>(engine: &E) {
    written_by_an_older_program(engine);
    let mut store = engine.open();
    assert_eq!(all(&mut *store).unwrap(), expected());
    let told: Vec<Object> = store.follow(0).unwrap()[0]
        .changes
        .iter()
        .map(|change| change.object.clone())
        .collect();
    assert_eq!(told[..3], expected()[..3]);
    assert_eq!(told[3], port(""));
    assert_eq!(store.recent(2, 100).unwrap()[1].changes[0].object, port("web-7"));
    let (created, named) = (
        (AuditOp::Create, port(""), None),
        (AuditOp::Update, port("web-7"), Some(port(""))),
    );
    assert_eq!(history_of_the_port(&*store), [named.clone(), created.clone()]);

    // What changes is written as this program writes it; what does not stays as it is.
    assert_eq!(engine.number("SELECT body_version FROM ports"), 1);
    let renamed = Change {
        op: Op::Put,
        key: Key::Port(PortId::from_bytes([4; 16])),
        object: port("api-1"),
        before: Some(port("web-7")),
        project: Some(ProjectId::from_bytes([1; 16])),
        cluster: None,
        inside: None,
    };
    let commit = Commit {
        revision: 3,
        at: 30,
        actor: Actor::System,
        via: Via::SYSTEM,
        by_provider: false,
        changes: [renamed].into(),
    };
    assert!(store.begin(2).unwrap().is_empty());
    store.commit(&[Arc::new(commit)]).unwrap();
    assert_eq!(engine.number("SELECT body_version FROM ports"), 3);
    assert_eq!(engine.number("SELECT max(body_version) FROM changes"), 3);
    assert_eq!(engine.number("SELECT body_version FROM networks"), 1);
    drop(store);
    let mut store = engine.open();
    assert_eq!(all(&mut *store).unwrap()[3], port("api-1"));
    let renamed = (AuditOp::Update, port("api-1"), Some(port("web-7")));
    assert_eq!(history_of_the_port(&*store), [renamed, named, created]);
    drop(store);

    // The whole control plane opens on it.
    let control = Control::open(options(&engine.database())).unwrap();
    let name = control.read(|view| view.port(PortId::from_bytes([4; 16])).unwrap().name.clone());
    assert_eq!(&*name, "api-1");
}

/// A row of a newer program's says so, rather than that it is damaged.
fn refuses_what_a_newer_program_wrote<E: Engine>(engine: &E) {
    written_by_an_older_program(engine);
    drop(engine.open());
    engine.run("UPDATE ports SET body_version = 99");
    let mut store = engine.open();
    let refused = all(&mut *store).unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::NewerBody {
                table: "ports",
                found: 99,
                ..
            }
        ),
        "{refused}"
    );
    drop(store);
    let refused = Control::open(options(&engine.database())).err().unwrap();
    assert!(matches!(refused, OpenError::Store(StoreError::NewerBody { .. })));
    assert!(refused.to_string().contains("start that one"), "{refused}");
}

fn on_postgres() -> Option<OnPostgres> {
    let server = Postgres::start()?;
    let database = server.database();
    Some(OnPostgres { server, database })
}

#[test]
fn sqlite_reads_what_an_older_program_wrote() {
    reads_what_an_older_program_wrote(&Sqlite(tempfile::tempdir().unwrap()));
}

#[test]
fn postgres_reads_what_an_older_program_wrote() {
    let Some(engine) = on_postgres() else { return };
    reads_what_an_older_program_wrote(&engine);
}

#[test]
fn sqlite_refuses_what_a_newer_program_wrote() {
    refuses_what_a_newer_program_wrote(&Sqlite(tempfile::tempdir().unwrap()));
}

#[test]
fn postgres_refuses_what_a_newer_program_wrote() {
    let Some(engine) = on_postgres() else { return };
    refuses_what_a_newer_program_wrote(&engine);
}
