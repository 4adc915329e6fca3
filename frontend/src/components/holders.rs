//! Links to the things that a refusal names as being in the way.

use leptos::prelude::*;

use crate::i18n::params::pages;
use crate::i18n::{Key, t};
use crate::paths;
use crate::session::use_project;

/// The links, where a refusal's params name something that has a page.
pub fn holder_links(params: &[(String, String)]) -> Option<AnyView> {
    let pages = pages(params);
    if pages.is_empty() {
        return None;
    }
    let project = use_project();
    let link = |(name, tail): (String, String)| {
        let href = move || paths::below(&project.get(), &tail);
        view! { <li><a href=href>{name}</a></li> }
    };
    let links: Vec<_> = pages.into_iter().map(link).collect();
    Some(view! { <ul class="error__holders" aria-label=t(Key::OpenHolders)>{links}</ul> }.into_any())
}
