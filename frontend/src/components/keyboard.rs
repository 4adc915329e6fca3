//! Single keys: `/` filters, `n` creates, `g` and a letter opens an entry of the menu. None while typing.

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use super::menu::{Area, Menu, MenuEntry};
use crate::browser;
use crate::session::use_session;

/// What a key asks for.
#[derive(Clone, Copy)]
pub enum Shortcut {
    /// Into the filter box.
    Filter,
    /// Press the page's main button.
    Create,
    /// To a page of the menu.
    Open(&'static MenuEntry),
    /// A `g` waits for its second key.
    Go,
}

/// What `key` means after `g` or by itself.
pub fn shortcut(menu: Menu, key: &str, after_go: bool) -> Option<Shortcut> {
    let entry = menu.iter().find(|entry| after_go && entry.key == Some(key));
    match (entry, key) {
        (Some(entry), _) => Some(Shortcut::Open(entry)),
        (None, "/") => Some(Shortcut::Filter),
        (None, "n") => Some(Shortcut::Create),
        (None, "g") => Some(Shortcut::Go),
        (None, _) => None,
    }
}

/// Listens for keys while the caller's owner lives; `project` is the one whose lists the menu shows.
pub fn listen(menu: Menu, project: Signal<String>) {
    let session = use_session();
    let navigate = use_navigate();
    let go = StoredValue::new(false);
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() || browser::typing() {
            return;
        }
        let shortcut = shortcut(menu, &event.key(), go.get_value());
        go.set_value(matches!(shortcut, Some(Shortcut::Go)));
        // While a panel is open, the page's own keys do nothing.
        if document().query_selector(".panel").is_ok_and(|panel| panel.is_some()) {
            return;
        }
        let done = match shortcut {
            Some(Shortcut::Filter) => browser::focus("[data-hotkey=filter]"),
            Some(Shortcut::Create) => browser::click("[data-hotkey=create]"),
            Some(Shortcut::Open(entry)) if entry.area == Area::Support && !untrack(|| session.is_support()) => false,
            Some(Shortcut::Open(entry)) => {
                navigate(&entry.href(&project.get_untracked()), Default::default());
                true
            }
            Some(Shortcut::Go) | None => false,
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
    use crate::i18n::Key;
    use crate::screens::MENU;

    fn opened(key: &str) -> Option<Key> {
        match shortcut(MENU, key, true) {
            Some(Shortcut::Open(entry)) => Some(entry.title),
            _ => None,
        }
    }

    #[test]
    fn n_creates_or_after_g_goes_to_networks() {
        assert!(matches!(shortcut(MENU, "n", false), Some(Shortcut::Create)));
        assert_eq!(opened("n"), Some(Key::Networks));
        assert_eq!(opened("a"), Some(Key::Audit));
        assert!(shortcut(MENU, "a", false).is_none());
        assert!(matches!(shortcut(MENU, "g", true), Some(Shortcut::Go)));
        assert!(shortcut(MENU, "x", true).is_none());
    }
}
