//! What the page of one thing has around its tabs: head, tabs, panels; or that there is no such thing.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::components::Outlet;

use super::not_found::missing;
use crate::api::{Failure, Read};
use crate::components::page::{Crumb, Figure, failed, page_head};
use crate::components::tabs::{Tab, tabs};
use crate::components::{dynamic, maybe};
use crate::i18n::Key;
use crate::table::skeleton_sheet;

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
    /// The panel that is open over it, if one is.
    pub panel: Arc<dyn Fn() -> Option<AnyView> + Send + Sync>,
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
    dynamic(move || {
        if gone.get() {
            let (what, href, to) = page.missing;
            return missing(what, href.get_untracked(), to);
        }
        let (actions, panel) = (Arc::clone(&page.actions), Arc::clone(&page.panel));
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
