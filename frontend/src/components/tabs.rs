//! Tabs that are addresses: each is a link, so that it can be sent to somebody.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_location, use_navigate};

use super::maybe;
use crate::browser;
use crate::i18n::{Key, format, t};

/// One tab.
#[derive(Clone)]
pub struct Tab {
    /// Its title.
    pub title: Key,
    /// Its page.
    pub href: Signal<String>,
    /// A number beside the title.
    pub count: Signal<Option<u64>>,
}

/// The list of tabs (ARIA tabs with automatic activation: arrows move and open).
pub fn tabs(label: Key, all: Vec<Tab>) -> AnyView {
    let location = use_location();
    let path = location.pathname;
    let addresses: Vec<Signal<String>> = all.iter().map(|tab| tab.href).collect();
    let navigate = use_navigate();
    let keys = move |event: leptos::ev::KeyboardEvent| {
        let here = path.get_untracked();
        let at = addresses
            .iter()
            .position(|href| href.get_untracked() == here)
            .unwrap_or(0);
        let to = match event.key().as_str() {
            "ArrowRight" => (at + 1) % addresses.len(),
            "ArrowLeft" => (at + addresses.len() - 1) % addresses.len(),
            "Home" => 0,
            "End" => addresses.len() - 1,
            _ => return,
        };
        event.prevent_default();
        let options = NavigateOptions {
            replace: true,
            scroll: false,
            ..Default::default()
        };
        navigate(&addresses[to].get_untracked(), options);
        browser::soon(|| {
            browser::focus("[role=tab][aria-selected=true]");
        });
    };
    let links = all
        .into_iter()
        .map(|tab| {
            let selected = move || path.get() == tab.href.get();
            view! {
                <a
                    class="tab"
                    role="tab"
                    href=tab.href
                    aria-selected=move || selected().to_string()
                    tabindex=move || if selected() { "0" } else { "-1" }
                    aria-controls="tab-panel"
                >
                    {t(tab.title)}
                    {maybe(move || {
                        let count = format::number(tab.count.get()?);
                        Some(view! { <span class="tab__count">{count}</span> }.into_any())
                    })}
                </a>
            }
            .into_any()
        })
        .collect::<Vec<AnyView>>();
    view! {
        <div class="tabs" role="tablist" aria-label=t(label) on:keydown=keys>
            {links}
        </div>
    }
    .into_any()
}
