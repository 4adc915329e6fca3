//! Who calls, and what they may: passwords, secrets of sessions and tokens, rights, first start.
//!
//! Everything about users is in the view; nothing here stores anything but through the writer. Sessions that a full disk
//! does not take are in [`unwritten`].
//! Start with [`rights`] (what roles allow) and [`login`] (how a password becomes a session).

pub mod login;
pub mod password;
pub mod rights;
pub mod secret;
pub mod seed;
pub mod unwritten;
