//! Buttons. One that cannot be pressed says why.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use super::toast::use_toasts;
use super::{dynamic, maybe, unique_id};
use crate::i18n::{Key, t};

/// How a button looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// One of several.
    Plain,
    /// The one that most people want.
    Primary,
    /// It takes something away.
    Danger,
    /// For a place in running text.
    Link,
}

impl Look {
    /// Its classes.
    fn class(self) -> &'static str {
        match self {
            Look::Plain => "button",
            Look::Primary => "button button--primary",
            Look::Danger => "button button--danger",
            Look::Link => "button button--link",
        }
    }
}

/// A button with words.
pub fn button(look: Look, label: Key, press: Callback<()>) -> AnyView {
    view! {
        <button type="button" class=look.class() on:click=move |_| press.run(())>
            {t(label)}
        </button>
    }
    .into_any()
}

/// A button that sends something, and says so while it does.
pub fn sending_button(look: Look, label: Key, busy: RwSignal<bool>, press: Callback<()>) -> AnyView {
    let label = Signal::derive(move || t(label).to_owned());
    guarded_button(look, label, busy, Signal::stored(None), press)
}

/// A button that sends something, unless `barred` has a reason not to; it then shows the reason.
pub fn guarded_button(
    look: Look,
    label: Signal<String>,
    busy: RwSignal<bool>,
    barred: Signal<Option<String>>,
    press: Callback<()>,
) -> AnyView {
    let toasts = use_toasts();
    let id = unique_id("barred");
    let because = id.clone();
    let is_barred = move || barred.with(Option::is_some);
    view! {
        <button
            type="button"
            class=look.class()
            data-first=(look == Look::Danger).then_some("")
            aria-disabled=move || (busy.get() || is_barred()).then_some("true")
            aria-describedby=move || is_barred().then(|| because.clone())
            title=move || barred.get()
            on:click=move |_| match barred.get_untracked() {
                Some(reason) => toasts.show(reason),
                None => press.run(()),
            }
        >
            {dynamic(move || {
                if busy.get() { t(Key::Sending).into_any() } else { label.get().into_any() }
            })}
        </button>
        {maybe(move || {
            let reason = barred.get()?;
            Some(view! { <span class="visually-hidden" id=id.clone()>{reason}</span> }.into_any())
        })}
    }
    .into_any()
}

/// A button that asks before it sends: only the second press sends, and moving the focus away cancels the first.
pub fn sure_button(label: Key, sure: Key, busy: RwSignal<bool>, press: Callback<()>) -> AnyView {
    let asked = RwSignal::new(false);
    let click = move |_| {
        if asked.get_untracked() {
            press.run(());
        }
        asked.update(|asked| *asked = !*asked);
    };
    view! {
        <button
            type="button"
            class=move || if asked.get() { Look::Danger.class() } else { Look::Plain.class() }
            aria-disabled=move || busy.get().then_some("true")
            on:click=click
            on:blur=move |_| asked.set(false)
        >
            {dynamic(move || t(if asked.get() { sure } else { label }).into_any())}
        </button>
    }
    .into_any()
}

/// A button that shows only a drawing; the label is its name.
pub fn icon_button(class: &'static str, drawing: Icon, label: Key, press: Callback<()>) -> AnyView {
    view! {
        <button type="button" class=class aria-label=t(label) title=t(label) on:click=move |_| press.run(())>
            {icon(drawing)}
        </button>
    }
    .into_any()
}

/// The page's one main button; `n` presses it.
pub fn create_button(label: Key, press: Callback<()>) -> AnyView {
    head_button(label, true, None, press)
}

/// A button of a page's head; with a reason it is disabled, and says why to everybody.
pub fn head_button(label: Key, create: bool, reason: Option<String>, press: Callback<()>) -> AnyView {
    let toasts = use_toasts();
    let disabled = reason.is_some();
    // On a touch screen nothing can hover to show the reason.
    let said = StoredValue::new(reason.clone());
    let id = unique_id("reason");
    let look = if create { Look::Primary } else { Look::Plain };
    view! {
        <button
            type="button"
            class=look.class()
            data-hotkey=create.then_some("create")
            aria-disabled=disabled.then_some("true")
            aria-describedby=disabled.then(|| id.clone())
            title=reason.clone()
            on:click=move |_| match said.get_value() {
                Some(reason) => toasts.show(reason),
                None => press.run(()),
            }
        >
            {if create { icon(Icon::Plus) } else { super::nothing() }}
            {t(label)}
        </button>
        {match reason {
            Some(reason) => view! { <span class="visually-hidden" id=id>{reason}</span> }.into_any(),
            None => super::nothing(),
        }}
    }
    .into_any()
}
