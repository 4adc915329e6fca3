//! The page that makes a thing: the form on the left; what it will make, live, on the right.

use leptos::prelude::*;

use super::button::{Look, guarded_button};

use super::code::show_as_code;
use super::error::form_error;
use super::facts::{facts, named_fact, words};
use super::icon::{Icon, icon};
use super::panel::form;
use super::{dynamic, maybe};
use crate::api::Failure;
use crate::forms::code::{Sample, Tool};
use crate::i18n::{Key, t};

/// What such a page is made of.
pub struct Making {
    /// Its fields.
    pub fields: Vec<AnyView>,
    /// What the button says.
    pub send: Key,
    /// Sends the form.
    pub submit: Callback<()>,
    /// It is on its way.
    pub busy: RwSignal<bool>,
    /// Why the last try failed.
    pub failure: Signal<Option<Failure>>,
    /// Why nothing can be made at all.
    pub barred: Signal<Option<String>>,
    /// Where *Cancel* goes.
    pub back: Signal<String>,
    /// What will be made, line by line.
    pub preview: Signal<Vec<(Key, String)>>,
    /// The quotas: what is used, and what will be left.
    pub quotas: Signal<Vec<String>>,
    /// For which tools it is said as code.
    pub tools: &'static [Tool],
    /// The same as code; none while the form cannot be sent.
    pub code: Signal<Vec<Sample>>,
}

/// The page's body.
pub fn making(making: Making) -> AnyView {
    let (busy, barred, submit, send) = (making.busy, making.barred, making.submit, making.send);
    let label = Signal::derive(move || t(send).to_owned());
    let mut parts = vec![form_error(making.failure)];
    parts.extend(making.fields);
    parts.push(maybe(move || {
        let reason = barred.get()?;
        Some(view! { <p class="notice">{icon(Icon::Warning)} <span>{reason}</span></p> }.into_any())
    }));
    parts.push(
        view! {
            <div class="making__foot">
                {guarded_button(Look::Primary, label, busy, barred, submit)}
                <a class="button" href=making.back>
                    {t(Key::Cancel)}
                </a>
            </div>
        }
        .into_any(),
    );
    let (preview, quotas) = (making.preview, making.quotas);
    let lines = dynamic(move || {
        let line = |(name, text): (Key, String)| named_fact(t(name).to_owned(), words(text));
        facts(preview.get().into_iter().map(line).collect())
    });
    let stand = maybe(move || {
        let lines = quotas.get();
        let item = |line: String| view! { <li>{line}</li> }.into_any();
        let items: Vec<AnyView> = lines.into_iter().map(item).collect();
        (!items.is_empty()).then(|| {
            view! {
                <h3 class="making__part">{t(Key::Quota)}</h3>
                <ul class="making__quotas" data-testid="quotas">{items}</ul>
            }
            .into_any()
        })
    });
    view! {
        <div class="making">
            <section class="card">{form(parts, submit)}</section>
            <aside class="card making__preview" aria-label=t(Key::WhatIsMade)>
                <h2 class="card__title">{t(Key::WhatIsMade)}</h2>
                <div data-testid="preview">{lines}</div>
                {stand}
                {show_as_code(making.tools, making.code)}
            </aside>
        </div>
    }
    .into_any()
}
