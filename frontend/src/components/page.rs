//! What every page has: breadcrumb, title, actions; the title told and focused when one arrives.

use leptos::prelude::*;

use super::error::error_block;
use super::icon::{Icon, icon};
use super::{dynamic, maybe, nothing};
use crate::api::Failure;
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
        Self {
            name: name.into(),
            href: Some(href),
        }
    }

    /// The page itself.
    pub fn here(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            href: None,
        }
    }
}

/// Where the page is.
pub fn breadcrumb(steps: Signal<Vec<Crumb>>) -> AnyView {
    let list = dynamic(move || {
        let crumb = |crumb: Crumb| match crumb.href {
            Some(href) => view! { <li><a href=href>{crumb.name}</a></li> }.into_any(),
            None => view! { <li aria-current="page">{crumb.name}</li> }.into_any(),
        };
        steps.get().into_iter().map(crumb).collect::<Vec<AnyView>>().into_any()
    });
    view! {
        <nav class="breadcrumb" aria-label=t(Key::Breadcrumb)>
            <ol>{list}</ol>
        </nav>
    }
    .into_any()
}

/// Title of the window, and the heading's focus when the page is new.
pub fn announce_title(title: Signal<String>) {
    Effect::new(move |_| {
        let title = title.get();
        document().set_title(&tp(Key::WindowTitle, &[("page", &title)]));
    });
    thread_local! {
        /// Whether this is the first page of a visit, which leaves the focus where the browser has put it.
        static FIRST: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
    }
    if !FIRST.with(|first| first.replace(false)) {
        browser::soon(|| {
            // If a panel opened with the page, it gets the focus.
            if !browser::focus(".panel [data-first]") {
                browser::focus("h1");
            }
        });
    }
}

/// Head of a page. The figures say whether everything is all right.
pub fn page_head(
    title: Signal<String>,
    steps: Signal<Vec<Crumb>>,
    figures: Signal<Vec<Figure>>,
    actions: AnyView,
) -> AnyView {
    announce_title(title);
    view! {
        {breadcrumb(steps)}
        <header class="page__head">
            <div>
                <div class="page__title">
                    <h1 tabindex="-1">{dynamic(move || title.get().into_any())}</h1>
                </div>
                {glance(figures)}
            </div>
            <div class="page__actions">{actions}</div>
        </header>
    }
    .into_any()
}

/// Shown in place of a page's data when there is none because the request failed.
pub fn failed(failure: RwSignal<Option<Failure>>, nothing_yet: Signal<bool>, again: Callback<()>) -> AnyView {
    maybe(move || {
        let failure = failure.get().filter(|_| nothing_yet.get())?;
        Some(error_block(&failure, Some(again)))
    })
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
fn glance(figures: Signal<Vec<Figure>>) -> AnyView {
    let items = dynamic(move || {
        let item = |figure: Figure| {
            let (class, mark) = match figure.wrong {
                true => ("glance__item glance__item--wrong", icon(Icon::Warning)),
                false => ("glance__item", nothing()),
            };
            view! { <span class=class>{mark} {figure.text}</span> }.into_any()
        };
        figures.get().into_iter().map(item).collect::<Vec<AnyView>>().into_any()
    });
    view! { <p class="glance">{items}</p> }.into_any()
}
