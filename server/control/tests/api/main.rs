//! The HTTP surface: the real router in process, and over a socket where that matters.

#![expect(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping, also in helpers"
)]
#![expect(clippy::disallowed_methods, reason = "sockets are read in real time")]

mod address_scopes;
mod audit;
mod cases;
mod clusters_by_choice;
mod conform;
mod events;
mod external;
mod full_disk;
mod histories;
mod identity;
mod inputs;
mod kit;
mod losses;
mod networking;
mod once;
mod openapi;
mod plans;
mod pod_ports;
mod ports_page;
mod roles;
mod routes;
mod session;
mod shadow_port;
mod shadowport;
mod socket;

use cases::{NETWORK, PORT, SUBNET, Sample};

/// Of every resource of `/v2.0`, in an order in which they can be made.
const SAMPLES: &[Sample] = &[NETWORK, SUBNET, PORT, address_scopes::SAMPLE];
