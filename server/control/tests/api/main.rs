//! The HTTP surface: the real router in process, and over a socket where that matters.

mod events;
mod identity;
mod inputs;
mod kit;
mod networking;
mod ports_page;
mod routes;
mod session;
mod socket;
