//! One of several: the browser's own list, which every keyboard and screen reader knows.

use leptos::prelude::*;

use super::field::{Message, Weight, message_view};
use super::{dynamic, maybe, nothing, unique_id};
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

/// As [`select_field`], with what is to be said of the choice under it.
pub fn checked_select(
    name: &'static str,
    label: Key,
    optional: bool,
    choices: Signal<Vec<(String, String)>>,
    value: RwSignal<String>,
    message: Signal<Option<Message>>,
    hint: Option<Key>,
) -> AnyView {
    let id = unique_id(name);
    let (hint_id, message_id) = (format!("{id}-hint"), format!("{id}-message"));
    let described = match hint {
        Some(_) => format!("{hint_id} {message_id}"),
        None => message_id.clone(),
    };
    let invalid = move || {
        message
            .with(|message| message.as_ref().is_some_and(|message| message.weight == Weight::Error))
            .to_string()
    };
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
    view! {
        <div class="field">
            <label class="field__label" for=id.clone()>
                {t(label)}
                {match optional {
                    true => view! { <span class="field__optional">" "{t(Key::Optional)}</span> }.into_any(),
                    false => nothing(),
                }}
            </label>
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
            {match hint {
                Some(hint) => view! { <p class="field__hint" id=hint_id>{t(hint)}</p> }.into_any(),
                None => nothing(),
            }}
            <div id=message_id aria-live="polite">
                {maybe(move || message.get().map(|message| message_view(&message)))}
            </div>
        </div>
    }
    .into_any()
}
