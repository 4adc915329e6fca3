//! The box that narrows a list down while one types; `/` gets there, Escape empties it.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::i18n::{Key, t};

/// The box. `class` is its own among tools; `hint` is the id of what says how to use it.
pub fn filter_box(
    class: &'static str,
    hint: Option<&'static str>,
    typed: RwSignal<String>,
    filter: Callback<String>,
) -> AnyView {
    view! {
        <div class=class>
            {icon(Icon::Search)}
            <input
                class="input"
                type="text"
                role="searchbox"
                aria-label=t(Key::Filter)
                aria-describedby=hint
                placeholder=t(Key::Filter)
                autocomplete="off"
                spellcheck="false"
                data-hotkey="filter"
                prop:value=typed
                on:input:target=move |event| filter.run(event.target().value())
                on:keydown=move |event| {
                    if event.key() == "Escape" {
                        event.stop_propagation();
                        filter.run(String::new());
                    }
                }
            />
            <kbd class="table-tools__key" aria-hidden="true">"/"</kbd>
        </div>
    }
    .into_any()
}
