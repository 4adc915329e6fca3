//! The HTTP surface: the real router in process, and over a socket where that matters.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping, also in helpers"
)]

mod events;
mod identity;
mod inputs;
mod kit;
mod networking;
mod ports_page;
mod routes;
mod session;
mod shadowport;
mod socket;
