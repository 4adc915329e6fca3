//! What screens are made of. A component takes values and callbacks; none fetches anything.

pub mod bar;
pub mod button;
pub mod choice;
pub mod code;
pub mod copy;
pub mod error;
pub mod facts;
pub mod field;
pub mod filter_box;
pub mod fixed;
pub mod frame;
pub mod holders;
pub mod icon;
pub mod keyboard;
pub mod language;
pub mod lazy;
pub mod live_mark;
pub mod making;
pub mod menu;
pub mod page;
pub mod panel;
pub mod ranges;
pub mod rose;
pub mod select;
pub mod status;
pub mod steps;
pub mod summary;
pub mod switcher;
pub mod tabs;
pub mod theme;
pub mod thread;
pub mod time;
pub mod toast;
pub mod why;

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use leptos::prelude::*;

/// A part of a page that is drawn again whenever what it reads has changed.
///
/// Leptos would compile drawing and redrawing for every closure. Behind one type all closures share that code, which
/// saves a third of the console's size.
pub fn dynamic(draw: impl FnMut() -> AnyView + Send + 'static) -> AnyView {
    let draw: Arc<Mutex<dyn FnMut() -> AnyView + Send>> = Arc::new(Mutex::new(draw));
    draw.into_any()
}

/// A part of a page that is there only sometimes.
pub fn maybe(draw: impl Fn() -> Option<AnyView> + Send + 'static) -> AnyView {
    dynamic(move || draw().unwrap_or_else(nothing))
}

/// Nothing to see.
pub fn nothing() -> AnyView {
    ().into_any()
}

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
