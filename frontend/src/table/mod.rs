//! Tables: what stands in them as plain data, and the one component that shows it.
//!
//! A screen turns its read model into [`Row`]s of [`Cell`]s by a pure function; sorting, filtering,
//! folding and patching ([`arrange`], [`patch`]) are pure as well and know nothing of any screen.

pub mod arrange;
pub mod cell;
pub mod filter;
pub mod patch;
pub mod seen;
pub mod view;

pub use cell::{Cell, Column, Fold, Row, Tone};
pub use view::{TableSpec, skeleton_sheet, table};
