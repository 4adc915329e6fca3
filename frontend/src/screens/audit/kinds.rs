//! What the audit's pages must know of a kind of object. Each kind says it in its own page's file, those without a page
//! here; the list of them is in `screens/mod.rs`.

use crate::i18n::Key;
use crate::paths;

/// Where an object's own page is, if it has one: in a project, by its id; the last says whether the audit is of all
/// projects.
type PageOf = fn(&str, &str, bool) -> Option<String>;

/// What has no page of its own.
pub const NO_PAGE: PageOf = |_, _, _| None;

/// A kind in the audit.
pub struct Audited {
    /// As filter and API write it.
    pub word: &'static str,
    /// What it is called.
    pub title: Key,
    /// Where its objects' pages are.
    pub page: PageOf,
}

/// A project; its page is its list of networks.
pub const PROJECT: Audited = Audited {
    word: "project",
    title: Key::ObjectProject,
    page: |_, id, _| Some(paths::networks(id)),
};

/// A user.
pub const USER: Audited = Audited {
    word: "user",
    title: Key::ObjectUser,
    page: NO_PAGE,
};

/// A role of a user in a project.
pub const ROLE: Audited = Audited {
    word: "role",
    title: Key::ObjectRole,
    page: NO_PAGE,
};

/// An epoch.
pub const EPOCH: Audited = Audited {
    word: "epoch",
    title: Key::ObjectEpoch,
    page: NO_PAGE,
};
