//! Single keys: `/` filters, `n` creates, `g` and a letter goes to a section. None while typing.

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use crate::browser;
use crate::paths::{self, Section};
use crate::session::use_session;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Into the filter box.
    Filter,
    /// Press the page's main button.
    Create,
    /// To a section.
    Open(Section),
    /// A `g` waits for its second key.
    Go,
}

/// What `key` means after `g` or by itself.
pub fn wish(key: &str, after_go: bool) -> Option<Wish> {
    match (key, after_go) {
        ("n", true) => Some(Wish::Open(Section::Networks)),
        ("c", true) => Some(Wish::Open(Section::Clusters)),
        ("s", true) => Some(Wish::Open(Section::Shadowport)),
        ("a", true) => Some(Wish::Open(Section::Audit)),
        ("q", true) => Some(Wish::Open(Section::Queue)),
        ("f", true) => Some(Wish::Open(Section::Find)),
        ("/", _) => Some(Wish::Filter),
        ("n", false) => Some(Wish::Create),
        ("g", _) => Some(Wish::Go),
        _ => None,
    }
}

/// Listens for keys while the caller's owner lives; `project` is the one whose sections are shown.
pub fn listen(project: Signal<String>) {
    let session = use_session();
    let navigate = use_navigate();
    let go = StoredValue::new(false);
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() || browser::typing() {
            return;
        }
        let wish = wish(&event.key(), go.get_value());
        go.set_value(wish == Some(Wish::Go));
        // Over a panel the page's own keys rest.
        if document().query_selector(".panel").is_ok_and(|panel| panel.is_some()) {
            return;
        }
        let done = match wish {
            Some(Wish::Filter) => browser::focus("[data-hotkey=filter]"),
            Some(Wish::Create) => browser::click("[data-hotkey=create]"),
            Some(Wish::Open(Section::Queue | Section::Find)) if !untrack(|| session.is_support()) => false,
            Some(Wish::Open(section)) => {
                let to = paths::of_section(section, &project.get_untracked());
                navigate(&to, Default::default());
                true
            }
            Some(Wish::Go) | None => false,
        };
        if done {
            event.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_creates_or_after_g_goes_to_networks() {
        assert_eq!(wish("n", false), Some(Wish::Create));
        assert_eq!(wish("n", true), Some(Wish::Open(Section::Networks)));
        assert_eq!(wish("a", true), Some(Wish::Open(Section::Audit)));
        assert_eq!(wish("a", false), None);
        assert_eq!(wish("g", true), Some(Wish::Go));
        assert_eq!(wish("x", true), None);
    }
}
