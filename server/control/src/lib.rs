//! The control plane: API, identity, allocation, store, view and feeds.
//!
//! One direction of flow: a handler turns a request into a [`command::Command`], gives it to the
//! writer and awaits the outcome; the writer decides, commits, applies the changes to the view and
//! publishes them. Reads come from the view alone. Start with [`command`] (what can be asked of the
//! writer) and [`model`] (what is stored).
//!
//! Never here: anything that programs a kernel (the agents do), or a second path that writes.

pub mod api;
pub mod console;
pub mod control;
pub mod feed;
pub mod http;
pub mod identity;
pub mod nodes;
pub mod options;
mod places;
pub mod serve;
pub mod writer;
