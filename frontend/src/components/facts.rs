//! The facts of a thing: names and values, one under the other.

use leptos::prelude::*;

use super::copy::copyable;
use crate::i18n::{Key, t};

/// One line.
pub fn fact(name: Key, value: AnyView) -> AnyView {
    named_fact(t(name).to_owned(), value)
}

/// One line whose name is not one of the translated texts.
pub fn named_fact(name: String, value: AnyView) -> AnyView {
    view! {
        <dt>{name}</dt>
        <dd>{value}</dd>
    }
    .into_any()
}

/// The lines together.
pub fn facts(lines: Vec<AnyView>) -> AnyView {
    view! { <dl class="facts">{lines}</dl> }.into_any()
}

/// A value in words.
pub fn words(text: impl Into<String>) -> AnyView {
    let text: String = text.into();
    text.into_any()
}

/// A value in words, or a word that says that there is none.
pub fn words_or_none(text: &str) -> AnyView {
    words(if text.is_empty() { t(Key::None) } else { text })
}

/// A value with a remark under it.
pub fn noted(value: AnyView, note: AnyView) -> AnyView {
    view! { {value} <span class="facts__note">{note}</span> }.into_any()
}

/// Values to copy; if there are none, a sentence that says what that means.
pub fn codes(all: Vec<String>, none: Key) -> AnyView {
    if all.is_empty() {
        return words(t(none));
    }
    let items: Vec<AnyView> = all
        .into_iter()
        .map(|code| view! { <li>{copyable(code)}</li> }.into_any())
        .collect();
    view! { <ul class="facts__list">{items}</ul> }.into_any()
}

/// A link.
pub fn link(text: String, href: String) -> AnyView {
    view! { <a href=href>{text}</a> }.into_any()
}

/// A sheet with a title.
pub fn card(title: Key, body: AnyView) -> AnyView {
    view! {
        <section class="card">
            <h2 class="card__title">{t(title)}</h2>
            {body}
        </section>
    }
    .into_any()
}
