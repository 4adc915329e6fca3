//! The protocol of epochs, leases and claims, checked in every order of what may happen.
//!
//! A [`World`] is thin: what a store holds, what each control plane last saw of it, what each machine holds durably, and
//! the frames on their way. All that moves it is what the control plane and the agent run themselves:
//! `portolan_core::decide` and `portolan_core::protocol` (gate, tickets, resumption, claims), and
//! `portolan_agent::desired`. Frames are lost when connections break; those of one that is gone may still be read, after
//! those of the next; a database is put back under control planes that have not noticed.
//!
//! Left out: time (the gate's patience never ends here, so that what it protects can be said without exceptions), pods'
//! ports, certificates, and frames of protocol version 1. `server/sim` has them, with the real programs, but only some
//! orders.
//!
//! Start with `world.rs` (what there is), then `model.rs` (what may happen) and `check.rs` (what must be so).

#![forbid(unsafe_code)]

mod agent;
mod check;
mod look;
mod model;
mod protocol;
mod server;
mod shared;
mod sizes;
mod store;
mod told;
mod world;

pub use look::{Outcome, look, look_deep};
pub use protocol::{Planted, Protocol, Size};
pub use sizes::{FULL, Named, SMALL};
pub use world::{Action, Left, World};
