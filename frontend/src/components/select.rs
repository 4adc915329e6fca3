//! One of several: the browser's own list, which every keyboard and screen reader knows.

use leptos::prelude::*;

use super::dynamic;
use super::field::{Label, Message, Tied, labelled};
use crate::i18n::{Key, t};

/// A field to choose in. `choices` are values and their words; the chosen value is in `value`.
pub fn select_field(
    name: &'static str,
    label: Key,
    optional: bool,
    choices: Signal<Vec<(String, String)>>,
    value: RwSignal<String>,
    hint: Option<Key>,
) -> AnyView {
    let unsaid = Signal::stored(None);
    checked_select(name, label, optional, choices, value, unsaid, hint)
}

/// As [`select_field`], with a message under it.
pub fn checked_select(
    name: &'static str,
    label: Key,
    optional: bool,
    choices: Signal<Vec<(String, String)>>,
    value: RwSignal<String>,
    message: Signal<Option<Message>>,
    hint: Option<Key>,
) -> AnyView {
    let options = dynamic(move || {
        let option = |(key, words): (String, String)| {
            let own = key.clone();
            let selected = move || value.with(|value| *value == own);
            view! {
                <option value=key selected=selected>
                    {words}
                </option>
            }
            .into_any()
        };
        choices
            .get()
            .into_iter()
            .map(option)
            .collect::<Vec<AnyView>>()
            .into_any()
    });
    let label = Label {
        text: t(label).to_owned(),
        optional,
        hint,
    };
    labelled(name, label, message, move |Tied { id, described, invalid }| {
        view! {
            <select
                id=id
                class="input select"
                name=name
                aria-invalid=invalid
                aria-describedby=described
                on:change:target=move |event| value.set(event.target().value())
            >
                {options}
            </select>
        }
        .into_any()
    })
}
