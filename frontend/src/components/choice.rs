//! Choices with what they mean under them; one that cannot be made stays in sight and says why.

use std::sync::Arc;

use leptos::prelude::*;

use super::{dynamic, unique_id};
use crate::i18n::{Key, t};

/// Draws the note under a choice, again whenever it changes.
pub type Note = Arc<dyn Fn() -> AnyView + Send + Sync>;

/// A note that never changes.
pub fn note(text: Key) -> Note {
    Arc::new(move || t(text).into_any())
}

/// One of a few.
#[derive(Clone)]
pub struct Choice {
    /// What it is called.
    pub label: Key,
    /// What it means, or why it cannot be made.
    pub note: Option<Note>,
    /// It cannot be made now.
    pub off: Signal<bool>,
}

impl Choice {
    /// A choice whose name says enough, without a note.
    pub fn plain(label: Key) -> Self {
        Self {
            label,
            note: None,
            off: Signal::stored(false),
        }
    }

    /// One that can always be made.
    pub fn noted(label: Key, text: Key) -> Self {
        Self {
            note: Some(note(text)),
            ..Self::plain(label)
        }
    }
}

/// A group of radio buttons. `value` is the index of the chosen one; `choose` is called with another.
pub fn choices_field(legend: Key, choices: Vec<Choice>, value: Signal<usize>, choose: Callback<usize>) -> AnyView {
    let name = unique_id("choice");
    let radios: Vec<AnyView> = choices
        .into_iter()
        .enumerate()
        .map(|(place, choice)| {
            let control = Control {
                kind: "radio",
                name: Some(name.clone()),
                on: Signal::derive(move || value.get() == place),
                turn: Callback::new(move |_| choose.run(place)),
            };
            control_view(choice, control)
        })
        .collect();
    view! {
        <fieldset class="field choice">
            <legend class="choice__legend">{t(legend)}</legend>
            {radios}
        </fieldset>
    }
    .into_any()
}

/// A box to tick, with a note that may change.
pub fn box_field(choice: Choice, value: RwSignal<bool>) -> AnyView {
    let control = Control {
        kind: "checkbox",
        name: None,
        on: value.into(),
        turn: Callback::new(move |on| value.set(on)),
    };
    control_view(choice, control)
}

/// The control of a choice.
struct Control {
    kind: &'static str,
    name: Option<String>,
    on: Signal<bool>,
    turn: Callback<bool>,
}

/// The control with its label and note. One that cannot be chosen can still have the focus, so that its note is read
/// out.
fn control_view(choice: Choice, control: Control) -> AnyView {
    let id = unique_id(control.kind);
    let note_id = format!("{id}-note");
    let (off, on, turn) = (choice.off, control.on, control.turn);
    let described = choice.note.as_ref().map(|_| note_id.clone());
    let note = choice
        .note
        .map(|note| view! { <span class="field__hint" id=note_id>{dynamic(move || note())}</span> }.into_any());
    view! {
        <div class="check" class:check--off=off>
            <input
                id=id.clone()
                type=control.kind
                name=control.name
                aria-disabled=move || off.get().then_some("true")
                aria-describedby=described
                prop:checked=on
                on:click=move |event| {
                    if off.get_untracked() {
                        event.prevent_default();
                    }
                }
                on:change:target=move |event| turn.run(event.target().checked())
            />
            <span class="check__text">
                <label for=id>{t(choice.label)}</label>
                {note}
            </span>
        </div>
    }
    .into_any()
}
