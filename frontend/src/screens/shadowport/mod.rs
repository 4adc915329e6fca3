//! The customer's *Shadowport* section: where the project stands, a new request, a request.

pub mod list;
pub mod new;
pub mod one;
pub mod parts;
pub mod status;
