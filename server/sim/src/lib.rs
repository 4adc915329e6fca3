//! Whole control planes and whole agents in one thread, on machines in memory, by a seed.
//!
//! What runs here is what ships: the writer, the agent endpoint, TLS, the stream, the agent's life, its pods' log and its
//! rounds. What is played is what both take as parameters: clocks, disks, the network, kernels and the store. Time stands
//! while anybody has something to do, and leaps when nobody has. So an hour of a cluster takes a moment, and a seed that
//! fails fails again.
//!
//! A run is a [`world`], a script of things that happen to it ([`script`]), and what must hold: some of it after every
//! step, the rest once all is calm ([`check`]).

#![forbid(unsafe_code)]

pub mod check;
pub mod database;
pub mod dice;
pub mod host;
pub mod network;
pub mod paths;
pub mod run;
pub mod runtime;
pub mod script;
pub mod server;
pub mod time;
pub mod world;
