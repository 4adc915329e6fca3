//! A field of a form that is filled in already and cannot be changed.

use leptos::prelude::*;

use super::copy::copy_button;
use super::{dynamic, nothing, unique_id};
use crate::i18n::{Key, t};

/// The field. `copied` names the value for its copy button; without it there is none.
pub fn fixed_field(
    name: &'static str,
    label: Key,
    value: Signal<String>,
    copied: Option<Key>,
    hint: Option<Key>,
) -> AnyView {
    let id = unique_id(name);
    let hint_id = format!("{id}-hint");
    let copy = match copied {
        Some(what) => dynamic(move || copy_button(value.get(), t(what).to_owned())),
        None => nothing(),
    };
    view! {
        <div class="field">
            <label class="field__label" for=id.clone()>
                {t(label)}
            </label>
            <div class="fixed">
                <input
                    id=id
                    class=if copied.is_some() { "input input--mono" } else { "input" }
                    type="text"
                    name=name
                    readonly
                    aria-describedby=hint.map(|_| hint_id.clone())
                    prop:value=value
                />
                {copy}
            </div>
            {match hint {
                Some(hint) => view! { <p class="field__hint" id=hint_id>{t(hint)}</p> }.into_any(),
                None => nothing(),
            }}
        </div>
    }
    .into_any()
}
