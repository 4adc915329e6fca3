//! What control plane and agents settle when they meet: who a machine is to the control plane, what it needs that shows
//! what it has, which of the leases it holds count, and when the next may be given.
//!
//! Pure; streams of the control plane call it, and the model in `server/model` checks it together with the decisions of
//! [`crate::decide`] on leases and claims, in every order of what may happen.

pub mod gate;
pub mod leases;
pub mod resume;
pub mod standing;
pub mod tickets;
