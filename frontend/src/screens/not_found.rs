//! Pages for what is not there, or not for this reader.

use leptos::prelude::*;

use crate::components::page::announce_title;
use crate::components::rose::rose;
use crate::i18n::{Key, t};

/// Any address that is no page.
#[component]
pub fn NotFound() -> impl IntoView {
    view! { <main class="page">{missing(Key::NoSuchPage, "/".to_owned(), Key::ToStart)}</main> }
}

/// A thing that is not in this project, or may not be seen; with a way on.
pub fn missing(what: Key, href: String, to: Key) -> AnyView {
    announce_title(Signal::derive(|| t(Key::NotFound).to_owned()));
    view! {
        <div class="empty">
            {rose(120, true)} <h1 tabindex="-1">{t(Key::NotFound)}</h1> <p>{t(what)}</p>
            <a class="button" href=href>
                {t(to)}
            </a>
        </div>
    }
    .into_any()
}
