//! The endpoint over real TLS sockets, with a real control plane on a database of the test's own.

mod client;
mod join;
mod reports;
mod stream;
mod world;
