//! The tables, step by step. What has shipped never changes; what is new is a step of its own. A new kind's table follows
//! from what the kind says ([`Born`]); everything else is written out in [`WRITTEN`].
//!
//! `{bytes}`, `{int}` and `{text}` stand for the engine's types; everything else is SQL that SQLite,
//! PostgreSQL and CockroachDB share. On PostgreSQL each is a transaction of its own, since CockroachDB
//! wants a new column committed before an index goes by it; on SQLite all that a store lacks are one
//! transaction.
//!
//! The change table is feed and audit: rows after the revision `head.floor` are the feed's, all of
//! them; of those up to it, only audited rows are left. `audited` says who may read a row in the audit
//! (0: nobody), `made` that the object was not there before. `head.change_rows` counts the feed's.
//!
//! `body_version` says how a body is made, see `upgrade`.
//!
//! `incarnations` is the history (`portolan_core::history`); `head.incarnation` is its newest, so that whoever takes the
//! head sees at once whether the history that it knows goes on.
//!
//! An address is 17 bytes: 4 or 6, then 16 bytes, so that it sorts.

use std::borrow::Cow;

use portolan_core::model::{Born, ObjectKind, Type};

/// The steps that are written out, each with the version that it brings a store to.
const WRITTEN: &[(usize, &str)] = &[
    (
        1,
        r"
CREATE TABLE head (
    one {int} NOT NULL PRIMARY KEY,
    revision {int} NOT NULL,
    change_rows {int} NOT NULL,
    store_id {bytes} NOT NULL
);
CREATE TABLE changes (
    position {int} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    kind {text} NOT NULL,
    id {bytes} NOT NULL,
    project {bytes},
    cluster {bytes},
    op {int} NOT NULL,
    actor {bytes} NOT NULL,
    body {bytes} NOT NULL,
    body_version {int} NOT NULL
);
CREATE TABLE projects (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL, name {text} NOT NULL UNIQUE);
CREATE TABLE users (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL, name {text} NOT NULL UNIQUE);
CREATE TABLE assignments (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE sessions (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE idempotency (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE networks (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE subnets (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL,
    network {bytes} NOT NULL, first_address {bytes} NOT NULL, last_address {bytes} NOT NULL, UNIQUE (network, first_address));
CREATE TABLE clusters (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE nodes (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE blocks (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL,
    subnet {bytes} NOT NULL, first_address {bytes} NOT NULL, UNIQUE (subnet, first_address));
CREATE TABLE ports (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL,
    network {bytes} NOT NULL, mac {int} NOT NULL, UNIQUE (network, mac));
CREATE TABLE node_statuses (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE join_tokens (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE port_addresses (subnet {bytes} NOT NULL, address {bytes} NOT NULL, port {bytes} NOT NULL, PRIMARY KEY (subnet, address));
",
    ),
    (
        2,
        r"
CREATE TABLE shadow_requests (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE request_messages (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
",
    ),
    (
        3,
        r"
ALTER TABLE head ADD COLUMN floor {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN audited {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN made {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN through {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN by_provider {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN request {bytes};
",
    ),
    (
        4,
        r"
CREATE INDEX changes_project ON changes (project, position) WHERE audited > 0;
CREATE INDEX changes_object ON changes (id, position) WHERE audited > 0;
",
    ),
    (
        5,
        r"
ALTER TABLE projects ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE assignments ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE idempotency ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE networks ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE subnets ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE clusters ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE nodes ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE blocks ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE ports ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE node_statuses ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE join_tokens ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE shadow_requests ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
ALTER TABLE request_messages ADD COLUMN body_version {int} NOT NULL DEFAULT 1;
",
    ),
    (
        7,
        r"
CREATE TABLE incarnations (first_revision {int} NOT NULL PRIMARY KEY, incarnation {bytes} NOT NULL);
ALTER TABLE head ADD COLUMN incarnation {bytes};
",
    ),
];

/// A step.
#[derive(Clone, Copy)]
enum Step {
    /// Written out.
    Written(&'static str),
    /// The table of a kind.
    Table(ObjectKind, Born),
}

/// The version that this program brings a store to.
pub(super) const VERSION: usize = {
    let (mut version, mut index) = (WRITTEN.len(), 0);
    while index < ObjectKind::ALL.len() {
        version += ObjectKind::ALL[index].born().is_some() as usize;
        index += 1;
    }
    version
};

/// All steps, the first of which brings a store to version 1. Two steps to one version do not compile, and so none to
/// another does not either.
const STEPS: [Option<Step>; VERSION] = {
    let (mut steps, mut index) = ([None; VERSION], 0);
    while index < WRITTEN.len() {
        let (version, sql) = WRITTEN[index];
        place(&mut steps, version, Step::Written(sql));
        index += 1;
    }
    index = 0;
    while index < ObjectKind::ALL.len() {
        let kind = ObjectKind::ALL[index];
        if let Some(born) = kind.born() {
            place(&mut steps, born.version, Step::Table(kind, born));
        }
        index += 1;
    }
    steps
};

const fn place(steps: &mut [Option<Step>; VERSION], version: usize, step: Step) {
    assert!(
        version >= 1 && version <= VERSION,
        "a step of the schema leaves versions out"
    );
    assert!(
        steps[version - 1].is_none(),
        "two steps of the schema bring a store to the same version"
    );
    steps[version - 1] = Some(step);
}

/// Names of an engine's types.
pub(super) struct Types {
    pub(super) bytes: &'static str,
    pub(super) int: &'static str,
    pub(super) text: &'static str,
}

/// The step that follows a version, in an engine's words, statement by statement.
pub(super) fn statements(version: usize, types: &Types) -> Vec<String> {
    let sql = match STEPS.get(version) {
        Some(Some(Step::Written(sql))) => Cow::Borrowed(*sql),
        Some(Some(Step::Table(kind, born))) => Cow::Owned(table(kind.table(), born)),
        Some(None) | None => Cow::default(),
    };
    let sql = sql
        .replace("{bytes}", types.bytes)
        .replace("{int}", types.int)
        .replace("{text}", types.text);
    sql.split(';')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Makes the table of a kind. Stores have tables that this made: it never changes what it makes.
fn table(name: &str, born: &Born) -> String {
    let mut sql = format!(
        "CREATE TABLE {name} (id {{bytes}} NOT NULL PRIMARY KEY, project {{bytes}}, revision {{int}} NOT NULL, \
         body {{bytes}} NOT NULL, body_version {{int}} NOT NULL"
    );
    for (name, type_) in born.columns {
        let type_ = match type_ {
            Type::Bytes => "{bytes}",
            Type::Int => "{int}",
            Type::Text => "{text}",
        };
        sql += &format!(", {name} {type_} NOT NULL");
    }
    for columns in born.unique {
        sql += &format!(", UNIQUE ({})", columns.join(", "));
    }
    sql + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: Types = Types {
        bytes: "BLOB",
        int: "INTEGER",
        text: "TEXT",
    };

    /// What a kind's table began with is in stores: this test may get more lines, but none of them changes.
    #[test]
    fn a_table_is_made_as_it_was_in_the_first_store_that_has_it() {
        assert_eq!(
            statements(5, &TYPES),
            [
                "CREATE TABLE address_scopes (id BLOB NOT NULL PRIMARY KEY, project BLOB, revision INTEGER NOT NULL, \
              body BLOB NOT NULL, body_version INTEGER NOT NULL)"
            ]
        );
        let born = Born {
            version: 99,
            columns: &[("subnet", Type::Bytes), ("prefix", Type::Int), ("name", Type::Text)],
            unique: &[&["name"], &["subnet", "prefix"]],
            body: "{}",
        };
        assert_eq!(
            table("ranges", &born),
            "CREATE TABLE ranges (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, \
             body {bytes} NOT NULL, body_version {int} NOT NULL, subnet {bytes} NOT NULL, prefix {int} NOT NULL, \
             name {text} NOT NULL, UNIQUE (name), UNIQUE (subnet, prefix))"
        );
    }

    /// What a kind says of its table is what the steps made of it.
    #[test]
    fn every_kind_has_the_table_that_it_says() {
        let store = rusqlite::Connection::open_in_memory().unwrap();
        for version in 0..VERSION {
            for statement in statements(version, &TYPES) {
                store.execute_batch(&statement).unwrap();
            }
        }
        for kind in ObjectKind::ALL {
            let mut columns = store.prepare(&format!("PRAGMA table_info({})", kind.table())).unwrap();
            let has: Result<Vec<(String, String)>, _> = columns
                .query_map([], |row| Ok((row.get("name")?, row.get("type")?)))
                .unwrap()
                .collect();
            let mut has = has.unwrap();
            has.sort();
            let of_all = [
                ("id", Type::Bytes),
                ("project", Type::Bytes),
                ("revision", Type::Int),
                ("body", Type::Bytes),
                ("body_version", Type::Int),
            ];
            let said = of_all.into_iter().chain(kind.columns()).map(|(name, type_)| {
                let type_ = match type_ {
                    Type::Bytes => TYPES.bytes,
                    Type::Int => TYPES.int,
                    Type::Text => TYPES.text,
                };
                (name.to_owned(), type_.to_owned())
            });
            let mut said: Vec<_> = said.collect();
            said.sort();
            assert_eq!(has, said, "{kind:?}");
        }
    }
}
