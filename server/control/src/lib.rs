//! The control plane: API, identity, nodes, the writer and its feeds, around what `portolan_core` decides and
//! `portolan_store` keeps.
//!
//! One direction of flow: a handler turns a request into a [`Command`](portolan_core::command::Command), gives it to the
//! writer and awaits the outcome; the writer decides, commits, applies the changes to the view and
//! publishes them. Reads come from the view alone. Start with [`portolan_core::command`] (what can be asked of the
//! writer) and [`portolan_core::model`] (what is stored).
//!
//! Never here: anything that programs a kernel (the agents do), or a second path that writes.

pub mod api;
pub mod console;
pub mod control;
pub mod feed;
pub mod http;
pub mod identity;
mod issuing;
pub mod machine;
pub mod nodes;
pub mod options;
mod places;
pub mod serve;
pub mod writer;
