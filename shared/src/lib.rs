//! What browser and server agree on: ids, address arithmetic, validation, refusals and wire types.
//!
//! Does no I/O, reads no clock and draws no randomness; builds for wasm as for the host. No stored
//! shape lives here. Start with [`addr`] (networks, ranges and pools), then [`refusal`] (every way
//! a request can be refused, once for browser and server), then [`v2`] (OpenStack Networking on
//! the wire) and [`v1`] (the console's read models).

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod addr;
pub mod check;
pub mod cluster;
pub mod holder;
pub mod host_port;
pub mod ids;
pub mod kinds;
pub mod losses;
pub mod mac;
pub mod refusal;
#[cfg(feature = "schema")]
pub mod schema;
pub mod stages;
pub mod status;
pub mod tickets;
pub mod time;
pub mod v1;
pub mod v2;
mod words;
