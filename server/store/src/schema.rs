//! The tables, as migrations. What has shipped never changes; what is new is appended.
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
//! An address is 17 bytes: 4 or 6, then 16 bytes, so that it sorts.

/// Each entry brings a store from the version that is its index to the next.
pub(super) const MIGRATIONS: &[&str] = &[
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
    r"
CREATE TABLE shadow_requests (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE request_messages (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
",
    r"
ALTER TABLE head ADD COLUMN floor {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN audited {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN made {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN through {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN by_provider {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN request {bytes};
",
    r"
CREATE INDEX changes_project ON changes (project, position) WHERE audited > 0;
CREATE INDEX changes_object ON changes (id, position) WHERE audited > 0;
",
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
    r"
CREATE TABLE address_scopes (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL,
    body_version {int} NOT NULL);
",
];

/// Names of an engine's types.
pub(super) struct Types {
    pub(super) bytes: &'static str,
    pub(super) int: &'static str,
    pub(super) text: &'static str,
}

/// A migration in an engine's words, statement by statement.
pub(super) fn statements(migration: &str, types: &Types) -> Vec<String> {
    let sql = migration
        .replace("{bytes}", types.bytes)
        .replace("{int}", types.int)
        .replace("{text}", types.text);
    sql.split(';')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect()
}
