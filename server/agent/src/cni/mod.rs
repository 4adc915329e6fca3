//! The unix socket that the CNI plugin talks to: ADD, CHECK, DEL, GC and STATUS.
//!
//! One request a connection, one answer, each a JSON document; their shapes are in
//! [`portolan_cni_protocol`]. What a request is answered with is decided here; the work is done by
//! [`Pods`](crate::pods::Pods).

mod asks;
mod error;
mod handle;
mod request;
mod result;
mod server;

pub use error::RequestError;
pub use handle::{Answer, Failed, answer};
pub use server::serve;
