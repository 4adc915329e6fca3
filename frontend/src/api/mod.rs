//! Talking to the server: reads of `/portolan/v1`, writes to `/v2.0` and `/portolan/v1`.
//!
//! [`act`] is a write of one form or button; [`failure`] turns whatever went wrong into a sentence; [`client`] sends; [`read`] keeps what a
//! page shows up to date; [`told`] is what several read models have in common; [`bodies`] are the request bodies of writes; [`url`] the addresses.

pub mod act;
pub mod bodies;
pub mod client;
pub mod failure;
pub mod read;
pub mod told;
pub mod url;

pub use act::{Act, use_act};
pub use client::{Written, send};
pub use failure::Failure;
pub use read::{Interest, Read, use_read};
