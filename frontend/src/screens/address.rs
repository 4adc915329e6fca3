//! What of a page is in its address: which panel is open, which choices are made.

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
