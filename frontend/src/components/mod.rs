//! What screens are made of. A component takes values and callbacks; none fetches anything.

pub mod bar;
pub mod copy;
pub mod error;
pub mod field;
pub mod frame;
pub mod icon;
pub mod keyboard;
pub mod live_mark;
pub mod page;
pub mod panel;
pub mod ranges;
pub mod rose;
pub mod status;
pub mod switcher;
pub mod tabs;
pub mod theme;
pub mod time;
pub mod toast;
pub mod why;

use std::cell::Cell;

/// An id that no other element of the page has, for `for` and `aria-*`.
pub fn unique_id(prefix: &str) -> String {
    thread_local! {
        static NEXT: Cell<u32> = const { Cell::new(0) };
    }
    let number = NEXT.with(|next| {
        next.set(next.get() + 1);
        next.get()
    });
    format!("{prefix}-{number}")
}
