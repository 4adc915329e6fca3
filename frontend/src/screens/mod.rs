//! The pages. Each fetches its read models, turns them into rows by a pure function, and lays out.

pub mod add_node;
pub mod add_port;
pub mod add_subnet;
pub mod address_scopes;
pub mod audit;
pub mod cluster;
pub mod clusters;
pub mod create_cluster;
pub mod create_network;
pub mod creating;
pub mod delete;
pub mod home;
pub mod list;
pub mod login;
pub mod network;
pub mod networks;
pub mod nodes;
pub mod not_found;
pub mod object;
pub mod panels;
pub mod port;
pub mod ports;
pub mod shadowport;
pub mod subnet;
pub mod support;
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

/// A choice that is in the page's address unless it is the default one. Choosing is no history.
pub fn address_choice(name: &'static str, default: &'static str) -> RwSignal<String> {
    let options = NavigateOptions {
        replace: true,
        scroll: false,
        ..Default::default()
    };
    let (param, set_param) = query_signal_with_options::<String>(name, options);
    let given = move || param.get().unwrap_or_else(|| default.to_owned());
    let value = RwSignal::new(untrack(given));
    Effect::new(move |_| {
        let given = given();
        value.maybe_update(|value| {
            let changed = *value != given;
            *value = given;
            changed
        });
    });
    Effect::new(move |before: Option<String>| {
        let chosen = value.get();
        let changed = before.is_some_and(|before| before != chosen);
        if changed && chosen != untrack(given) {
            set_param.set(Some(chosen.clone()).filter(|chosen| chosen != default));
        }
        chosen
    });
    value
}
