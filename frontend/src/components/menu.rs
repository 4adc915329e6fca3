//! The menu as data: which pages have an entry in it, and where they are. The list itself is in `screens/mod.rs`.

use leptos::prelude::AnyView;

use super::icon::Icon;
use crate::i18n::Key;
use crate::paths;

/// Whose page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// A project's.
    Project,
    /// Support's, of no project.
    Support,
}

/// A page with an entry in the menu.
pub struct MenuEntry {
    /// Whose page it is.
    pub area: Area,
    /// Where it is in its area: one part of the address.
    pub path: &'static str,
    /// Where else pages are that belong to it, such as those of its objects' parts.
    pub others: &'static [&'static str],
    /// Its name in the menu.
    pub title: Key,
    /// The drawing beside its name.
    pub icon: Icon,
    /// Opens it, after `g`.
    pub key: Option<&'static str>,
    /// Draws it.
    pub view: fn() -> AnyView,
}

impl MenuEntry {
    /// Its address; one of a project in `project`.
    pub fn href(&self, project: &str) -> String {
        match self.area {
            Area::Project => paths::below(project, self.path),
            Area::Support => paths::below_support(self.path),
        }
    }
}

/// All pages with an entry, in the menu's order.
pub type Menu = &'static [MenuEntry];

/// The entry that the page at `path` belongs to.
pub fn entry_of(menu: Menu, path: &str) -> Option<&'static MenuEntry> {
    let (area, at) = match paths::of_support(path) {
        true => (Area::Support, 2),
        false => (Area::Project, 3),
    };
    let part = path.split('/').nth(at)?;
    menu.iter()
        .find(|entry| entry.area == area && (entry.path == part || entry.others.contains(&part)))
}

/// The same list in another project: ids do not carry over.
pub fn in_project(menu: Menu, path: &str, project: &str) -> String {
    match entry_of(menu, path) {
        Some(entry) if entry.area == Area::Project => entry.href(project),
        _ => paths::networks(project),
    }
}
