//! Light, dark, or as the system has it; kept in this browser.

use leptos::prelude::*;

use super::dynamic;
use super::icon::{Icon, icon};
use crate::browser;
use crate::i18n::{Key, t, tp};

/// Which colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    System,
    /// Paper.
    Light,
    /// Night.
    Dark,
}

impl Theme {
    /// From what was kept.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::System,
        }
    }

    /// The word that is stored and set as the root's attribute; `None` for the system's theme.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Theme::System => None,
            Theme::Light => Some("light"),
            Theme::Dark => Some("dark"),
        }
    }

    /// The next theme in the order of the switch.
    pub fn next(self) -> Self {
        match self {
            Theme::System => Theme::Light,
            Theme::Light => Theme::Dark,
            Theme::Dark => Theme::System,
        }
    }

    fn name(self) -> Key {
        match self {
            Theme::System => Key::ThemeSystem,
            Theme::Light => Key::ThemeLight,
            Theme::Dark => Key::ThemeDark,
        }
    }

    fn icon(self) -> Icon {
        match self {
            Theme::System => Icon::Screen,
            Theme::Light => Icon::Sun,
            Theme::Dark => Icon::Moon,
        }
    }
}

/// The switch: one press goes to the next theme.
pub fn theme_switch() -> AnyView {
    let theme = RwSignal::new(Theme::parse(browser::remembered("theme").as_deref()));
    let press = move |_| {
        let next = theme.get_untracked().next();
        theme.set(next);
        browser::remember("theme", next.as_str());
        browser::set_root_attribute("data-theme", next.as_str());
    };
    let label = move || tp(Key::ThemeIs, &[("theme", t(theme.get().name()))]);
    view! {
        <button
            type="button"
            class="button button--quiet button--icon"
            aria-label=label
            title=label
            on:click=press
        >
            {dynamic(move || icon(theme.get().icon()))}
        </button>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        for theme in [Theme::System, Theme::Light, Theme::Dark] {
            assert_eq!(Theme::parse(theme.as_str()), theme);
            assert_eq!(theme.next().next().next(), theme);
        }
        assert_eq!(Theme::parse(Some("sepia")), Theme::System);
    }
}
