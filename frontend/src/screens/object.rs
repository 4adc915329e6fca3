//! The page of one thing around its tabs: head, tabs, panels; or a page that says that there is no such thing.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::components::Outlet;

use super::address::address_param;
use super::delete::DeleteTarget;
use super::not_found::missing;
use super::panels::Panel;
use crate::api::{Failure, Read};
use crate::components::page::{Crumb, Figure, failed, page_head};
use crate::components::tabs::{Tab, tabs};
use crate::components::{dynamic, maybe};
use crate::i18n::Key;
use crate::session::use_project;
use crate::table::skeleton_sheet;

/// Opens the panel that deletes the thing of the page.
const DELETE: &str = "delete";

/// The panels over a page, one at a time: which one is open is in its address, so *back* closes it.
#[derive(Clone, Copy)]
pub struct Panels {
    open: Memo<Option<String>>,
    set: SignalSetter<Option<String>>,
}

impl Panels {
    /// Those of the page that is being made.
    pub fn of_page() -> Self {
        let (open, set) = address_param("panel");
        Self { open, set }
    }

    /// Opens the one of this name.
    pub fn opener(self, name: &'static str) -> Callback<()> {
        Callback::new(move |()| self.set.set(Some(name.to_owned())))
    }

    /// Opens the one that deletes the thing of the page.
    pub fn delete(self) -> Callback<()> {
        self.opener(DELETE)
    }

    /// Closes the one that is open.
    pub fn close(self) -> Callback<()> {
        Callback::new(move |()| self.set.set(None))
    }
}

/// What *Delete* does on the page of a thing.
pub struct Deletion {
    /// What is deleted.
    pub target: Arc<dyn Fn() -> DeleteTarget + Send + Sync>,
    /// Whether the reader may.
    pub may: Signal<bool>,
    /// Runs once it is gone.
    pub done: Callback<()>,
}

/// The parts.
pub struct ObjectPage {
    /// What it is called.
    pub name: Signal<String>,
    /// Where it is.
    pub crumbs: Signal<Vec<Crumb>>,
    /// Whether everything is all right.
    pub figures: Signal<Vec<Figure>>,
    /// Buttons of its head.
    pub actions: Arc<dyn Fn() -> AnyView + Send + Sync>,
    /// Its tabs, and what they are together.
    pub tabs: (Key, Vec<Tab>),
    /// Said when there is no such thing, and where to go then.
    pub missing: (Key, Signal<String>, Key),
    /// How reading it goes.
    pub reading: Reading,
    /// Its panels.
    pub panels: Panels,
    /// The one that deletes it.
    pub delete: Deletion,
    /// Another one, by its name.
    pub panel: Callback<String, Option<AnyView>>,
}

/// How reading a thing goes.
#[derive(Clone, Copy)]
pub struct Reading {
    failure: RwSignal<Option<Failure>>,
    empty: Signal<bool>,
    again: Callback<()>,
}

impl<T: Send + Sync + 'static> From<Read<T>> for Reading {
    fn from(read: Read<T>) -> Self {
        Self {
            failure: read.failure,
            empty: Signal::derive(move || read.data.with(Option::is_none)),
            again: Callback::new(move |()| read.again()),
        }
    }
}

impl Reading {
    /// There is no such thing, or the reader may not see it.
    pub fn gone(self) -> Memo<bool> {
        Memo::new(move |_| {
            self.failure.with(|failure| {
                failure
                    .as_ref()
                    .is_some_and(|failure| matches!(failure.status, 400 | 404))
            })
        })
    }

    /// What stands in place of data while it is asked for the first time.
    pub fn waiting(self) -> AnyView {
        maybe(move || {
            let waiting = self.empty.get() && self.failure.with(Option::is_none);
            waiting.then(|| skeleton_sheet(2))
        })
    }

    /// What stands in place of data while there is none and the last request failed.
    pub fn failed(self) -> AnyView {
        failed(self.failure, self.empty, self.again)
    }
}

/// The page.
pub fn object_page(page: ObjectPage) -> AnyView {
    let gone = page.reading.gone();
    let project = use_project();
    let (panels, deletion, other) = (page.panels, page.delete, page.panel);
    let empty = page.reading.empty;
    let known = Memo::new(move |_| !empty.get());
    let panel: Arc<dyn Fn() -> Option<AnyView> + Send + Sync> = Arc::new(move || {
        let name = panels.open.get()?;
        if name != DELETE {
            return other.run(name);
        }
        // *Delete* asks about the thing by its name, which is known only once it is loaded.
        (deletion.may.get() && known.get()).then(|| {
            Panel::Delete {
                project,
                target: untrack(|| (deletion.target)()),
                close: panels.close(),
                done: deletion.done,
            }
            .view()
        })
    });
    dynamic(move || {
        if gone.get() {
            let (what, href, to) = page.missing;
            return missing(what, href.get_untracked(), to);
        }
        let (actions, panel) = (Arc::clone(&page.actions), Arc::clone(&panel));
        view! {
            {page_head(page.name, page.crumbs, page.figures, dynamic(move || actions()))}
            {page.reading.failed()}
            {tabs(page.tabs.0, page.tabs.1.clone())}
            <div class="page__body" id="tab-panel" role="tabpanel">
                <Outlet />
            </div>
            {maybe(move || panel())}
        }
        .into_any()
    })
}
