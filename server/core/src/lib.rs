//! What the control plane knows and decides, without doing anything: kinds, model, changes, view, decisions,
//! allocation, audience, quotas.
//!
//! Everything here is a pure function or a plain value: no I/O, no clock, no randomness, no thread, no `async`. Ids and
//! the time come in as parameters, so the same commands on the same view give the same outcome. The writer of the
//! control plane, a simulation and fuzzers drive it alike.
//!
//! Start with [`command`] (what can be asked), [`model`] (what is stored) and [`decide`] (what comes of a command).

#![forbid(unsafe_code)]

pub mod access;
pub mod alloc;
pub mod audience;
pub mod change;
pub mod command;
pub mod decide;
pub mod draft;
pub mod event;
pub mod fields;
pub mod history;
pub mod kinds;
pub mod model;
pub mod paths;
pub mod protocol;
pub mod quotas;
pub mod tables;
pub mod view;
