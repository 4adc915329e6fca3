//! Label, control, hint and message, tied together for those who see them and those who do not.

use leptos::prelude::*;

use super::choice::{self, Choice, box_field, choices_field};
use super::icon::{Icon, icon};
use super::{maybe, nothing, unique_id};
use crate::i18n::{Key, t};

/// What a message under a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It cannot be sent like this.
    Error,
    /// It can be sent, with a warning.
    Warning,
    /// It is right; the sentence shows how it was understood.
    Good,
}

/// A message under a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether it forbids sending, warns, or confirms.
    pub weight: Weight,
    /// The sentence.
    pub text: String,
}

impl Message {
    /// It cannot be sent like this.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Error,
            text: text.into(),
        }
    }

    /// It can be sent, with a warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Warning,
            text: text.into(),
        }
    }

    /// It is right; the sentence shows how it was understood.
    pub fn good(text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Good,
            text: text.into(),
        }
    }
}

/// How a field looks and behaves besides its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Monospace, as for addresses.
    pub mono: bool,
    /// Its height in lines; more than one makes it a text area.
    pub lines: u32,
    /// May be left empty, and says so.
    pub optional: bool,
    /// Gets the focus when its panel opens.
    pub first: bool,
    /// `password`, or plain text.
    pub secret: bool,
    /// What browsers may fill in by themselves.
    pub autocomplete: &'static str,
}

/// A plain line of text.
pub const LINE: Look = Look {
    mono: false,
    lines: 1,
    optional: false,
    first: false,
    secret: false,
    autocomplete: "off",
};

/// A field of text.
///
/// `name` is the field's name in the API, by which an error of the server finds it.
pub fn text_field(
    name: &'static str,
    label: Key,
    look: Look,
    value: RwSignal<String>,
    message: Signal<Option<Message>>,
    hint: Option<Key>,
) -> AnyView {
    named_text_field(name, t(label).to_owned(), look, value, message, hint)
}

/// As [`text_field`], with a label that is not just a translated text.
pub fn named_text_field(
    name: &'static str,
    label: String,
    look: Look,
    value: RwSignal<String>,
    message: Signal<Option<Message>>,
    hint: Option<Key>,
) -> AnyView {
    let class = if look.mono { "input input--mono" } else { "input" };
    let label = Label {
        text: label,
        optional: look.optional,
        hint,
    };
    let textarea = move |Tied { id, described, invalid }: Tied| {
        view! {
            <textarea
                id=id
                class=class
                name=name
                rows=look.lines
                spellcheck="false"
                autocomplete="off"
                data-first=look.first.then_some("")
                aria-invalid=invalid
                aria-describedby=described
                prop:value=value
                on:input:target=move |event| value.set(event.target().value())
            ></textarea>
        }
        .into_any()
    };
    let input = move |Tied { id, described, invalid }: Tied| {
        view! {
            <input
                id=id
                class=class
                type=if look.secret { "password" } else { "text" }
                name=name
                spellcheck="false"
                autocapitalize="off"
                autocomplete=look.autocomplete
                data-first=look.first.then_some("")
                aria-invalid=invalid
                aria-describedby=described
                prop:value=value
                on:input:target=move |event| value.set(event.target().value())
            />
        }
        .into_any()
    };
    match look.lines > 1 {
        true => labelled(name, label, message, textarea),
        false => labelled(name, label, message, input),
    }
}

/// The label of a control, and its hint.
pub(super) struct Label {
    /// The words.
    pub(super) text: String,
    /// May be left empty, and says so.
    pub(super) optional: bool,
    /// Stands under the control.
    pub(super) hint: Option<Key>,
}

/// What ties a control to its label, hint and message.
pub(super) struct Tied {
    /// Its own id.
    pub(super) id: String,
    /// `aria-describedby`.
    pub(super) described: String,
    /// `aria-invalid`.
    pub(super) invalid: Signal<String>,
}

/// A control with its label above, its hint and message below.
pub(super) fn labelled(
    name: &str,
    label: Label,
    message: Signal<Option<Message>>,
    control: impl FnOnce(Tied) -> AnyView,
) -> AnyView {
    let id = unique_id(name);
    let (hint_id, message_id) = (format!("{id}-hint"), format!("{id}-message"));
    let described = match label.hint {
        Some(_) => format!("{hint_id} {message_id}"),
        None => message_id.clone(),
    };
    let invalid = Signal::derive(move || {
        message
            .with(|message| message.as_ref().is_some_and(|message| message.weight == Weight::Error))
            .to_string()
    });
    let control = control(Tied {
        id: id.clone(),
        described,
        invalid,
    });
    view! {
        <div class="field">
            <label class="field__label" for=id>
                {label.text}
                {match label.optional {
                    true => view! { <span class="field__optional">" "{t(Key::Optional)}</span> }.into_any(),
                    false => nothing(),
                }}
            </label>
            {control}
            {match label.hint {
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

/// The message alone, for something that is not a single control.
pub fn message_view(message: &Message) -> AnyView {
    let (class, mark) = match message.weight {
        Weight::Error => ("field__message field__message--error", Icon::Warning),
        Weight::Warning => ("field__message field__message--warning", Icon::Warning),
        Weight::Good => ("field__message field__message--good", Icon::Check),
    };
    view! {
        <p class=class>
            <span class="field__mark">{icon(mark)}</span>
            <span>{message.text.clone()}</span>
        </p>
    }
    .into_any()
}

/// A box to tick.
pub fn check_field(label: Key, hint: Option<Key>, value: RwSignal<bool>) -> AnyView {
    let choice = Choice {
        note: hint.map(choice::note),
        ..Choice::plain(label)
    };
    box_field(choice, value)
}

/// One of a few, by its place among them.
pub fn choice_field(legend: Key, choices: &[Key], value: RwSignal<usize>) -> AnyView {
    let choices = choices.iter().map(|label| Choice::plain(*label)).collect();
    choices_field(
        legend,
        choices,
        value.into(),
        Callback::new(move |place| value.set(place)),
    )
}
