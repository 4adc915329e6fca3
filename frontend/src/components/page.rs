//! What every page has: breadcrumb, title, actions; the title told and focused when one arrives.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::browser;
use crate::i18n::{Key, t, tp};

/// One step of a breadcrumb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// What it is called.
    pub name: String,
    /// Where it is; the last one is the page itself and has none.
    pub href: Option<String>,
}

impl Crumb {
    /// A step with a page of its own.
    pub fn link(name: impl Into<String>, href: String) -> Self {
        Self { name: name.into(), href: Some(href) }
    }

    /// The page itself.
    pub fn here(name: impl Into<String>) -> Self {
        Self { name: name.into(), href: None }
    }
}

/// Where the page is.
pub fn breadcrumb(steps: Signal<Vec<Crumb>>) -> impl IntoView {
    view! {
        <nav class="breadcrumb" aria-label=t(Key::Breadcrumb)>
            <ol>
                {move || {
                    steps
                        .get()
                        .into_iter()
                        .map(|crumb| match crumb.href {
                            Some(href) => view! { <li><a href=href>{crumb.name}</a></li> }.into_any(),
                            None => view! { <li aria-current="page">{crumb.name}</li> }.into_any(),
                        })
                        .collect_view()
                }}
            </ol>
        </nav>
    }
}

/// Title of the window, and the heading's focus when the page is new.
pub fn announce_title(title: Signal<String>) {
    Effect::new(move |_| {
        let title = title.get();
        document().set_title(&tp(Key::WindowTitle, &[("page", &title)]));
    });
    thread_local! {
        /// The first page of a visit takes no focus: the browser's own place is right then.
        static FIRST: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
    }
    if !FIRST.with(|first| first.replace(false)) {
        browser::soon(|| {
            // A panel that opened with the page has the better claim.
            if !browser::focus(".panel [data-first]") {
                browser::focus("h1");
            }
        });
    }
}

/// Head of a page. `glance` says whether everything is all right.
pub fn page_head(
    title: Signal<String>,
    steps: Signal<Vec<Crumb>>,
    glance: impl IntoView + 'static,
    actions: impl IntoView + 'static,
) -> impl IntoView {
    announce_title(title);
    view! {
        {breadcrumb(steps)}
        <header class="page__head">
            <div>
                <div class="page__title">
                    <h1 tabindex="-1">{title}</h1>
                </div>
                {glance}
            </div>
            <div class="page__actions">{actions}</div>
        </header>
    }
}

/// The page's one main button; `n` presses it.
pub fn create_button(label: Key, press: impl Fn() + 'static) -> impl IntoView {
    head_button(label, true, None, press)
}

/// A button of the page's head; with a reason it is disabled, and says why to everybody.
pub fn head_button(label: Key, create: bool, reason: Option<String>, press: impl Fn() + 'static) -> impl IntoView {
    let disabled = reason.is_some();
    let id = super::unique_id("reason");
    view! {
        <button
            type="button"
            class="button"
            class:button--primary=create
            data-hotkey=create.then_some("create")
            aria-disabled=disabled.then_some("true")
            aria-describedby=disabled.then(|| id.clone())
            title=reason.clone()
            on:click=move |_| {
                if !disabled {
                    press();
                }
            }
        >
            {create.then(|| icon(Icon::Plus))}
            {t(label)}
        </button>
        {reason.map(|reason| view! { <span class="visually-hidden" id=id>{reason}</span> })}
    }
}

/// One figure of a page's first glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// In words, the number included.
    pub text: String,
    /// Whether it asks for attention.
    pub wrong: bool,
}

impl Figure {
    /// All right.
    pub fn plain(text: String) -> Self {
        Self { text, wrong: false }
    }

    /// Asks for attention.
    pub fn wrong(text: String) -> Self {
        Self { text, wrong: true }
    }
}

/// The figures of a page's first glance.
pub fn glance(figures: impl Fn() -> Vec<Figure> + Send + 'static) -> impl IntoView {
    view! {
        <p class="glance">
            {move || {
                figures()
                    .into_iter()
                    .map(|figure| {
                        view! {
                            <span class="glance__item" class:glance__item--wrong=figure.wrong>
                                {figure.wrong.then(|| icon(Icon::Warning))}
                                {figure.text}
                            </span>
                        }
                    })
                    .collect_view()
            }}
        </p>
    }
}
