//! The endpoint over real TLS sockets, with a real control plane on a database of the test's own.

#![expect(clippy::disallowed_methods, reason = "the streams of these tests run in real time")]

mod awaited;
mod blocks;
mod certificates;
mod client;
mod disputes;
mod histories;
mod join;
mod losses;
mod moves;
mod paths;
mod reports;
mod stream;
mod tickets;
mod world;
