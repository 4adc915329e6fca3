-- The tables as the fourth migration left them; what has shipped never changes.
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
CREATE TABLE shadow_requests (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
CREATE TABLE request_messages (id {bytes} NOT NULL PRIMARY KEY, project {bytes}, revision {int} NOT NULL, body {bytes} NOT NULL);
ALTER TABLE head ADD COLUMN floor {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN audited {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN made {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN through {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN by_provider {int} NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN request {bytes};
CREATE INDEX changes_project ON changes (project, position) WHERE audited > 0;
CREATE INDEX changes_object ON changes (id, position) WHERE audited > 0;
