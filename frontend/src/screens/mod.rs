//! The pages. Each fetches its read models, turns them into rows by a pure function, and lays out.

pub mod add_network;
pub mod add_port;
pub mod add_subnet;
pub mod cluster;
pub mod clusters;
pub mod delete;
pub mod home;
pub mod login;
pub mod network;
pub mod networks;
pub mod not_found;
pub mod object;
pub mod port;
pub mod ports;
pub mod subnet;
pub mod words;

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::query_signal_with_options;

/// A panel that is open while the page's address has this parameter: *back* closes it.
pub fn address_param(name: &'static str) -> (Memo<Option<String>>, SignalSetter<Option<String>>) {
    query_signal_with_options(
        name,
        NavigateOptions {
            scroll: false,
            ..Default::default()
        },
    )
}
