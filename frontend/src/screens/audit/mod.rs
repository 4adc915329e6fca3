//! The audit: who did what, when, through what; of a project, of an object, or of everything.

pub mod entries;
mod epochs;
pub mod kinds;
mod lines;

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::query_signal_with_options;
use portolan_shared::v1::{AuditEntry, List};

use crate::api::read::ALL_KINDS;
use crate::api::{self, Failure, Interest, url, use_read};
use crate::browser;
use crate::components::button::sending_button;
use crate::components::button::{Look, button};
use crate::components::error::error_block;
use crate::components::field::{Message, message_view};
use crate::components::filter_box::filter_box;
use crate::components::icon::Icon;
use crate::components::menu::{Area, MenuEntry};
use crate::components::page::{Crumb, page_head};
use crate::components::rose::rose;
use crate::components::{maybe, nothing};
use crate::i18n::{Key, t, tn};
use crate::screens::Requests;
use crate::session::{use_param, use_project};
use crate::table::skeleton_sheet;
use entries::{AuditFilter, Pages};
use lines::{LineContext, headings, line};

/// The project's, in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Project,
    path: "audit",
    others: &[],
    title: Key::Audit,
    icon: Icon::List,
    key: Some("a"),
    view: || Requests::Audit.view(),
};

/// Support's, in the menu.
pub(crate) const EVERYWHERE: MenuEntry = MenuEntry {
    area: Area::Support,
    path: "audit",
    others: &[],
    title: Key::AuditAll,
    icon: Icon::List,
    key: None,
    view: || Requests::SupportAudit.view(),
};

/// Entries asked for at once.
const PAGE: usize = 50;

/// Whose audit.
#[derive(Clone, Copy)]
struct Scope {
    /// The project; empty: all projects.
    project: Signal<String>,
    /// The object; empty: any.
    object: Signal<String>,
}

/// The project's audit.
#[component]
pub fn Audit() -> impl IntoView {
    page(
        Key::Audit,
        Scope {
            project: use_project(),
            object: Signal::stored(String::new()),
        },
        nothing(),
    )
}

/// The audit of all projects.
#[component]
pub fn SupportAudit() -> impl IntoView {
    let none = Signal::stored(String::new());
    page(
        Key::AuditAll,
        Scope {
            project: none,
            object: none,
        },
        epochs::epochs(),
    )
}

/// *History*: what happened to the one thing of the page.
#[component]
pub fn History() -> impl IntoView {
    audit(Scope {
        project: use_project(),
        object: use_param("id"),
    })
}

/// `above` stands above the list.
fn page(title: Key, scope: Scope, above: AnyView) -> AnyView {
    let head = page_head(
        Signal::derive(move || t(title).to_owned()),
        Signal::derive(move || vec![Crumb::here(t(title))]),
        Signal::stored(Vec::new()),
        nothing(),
    );
    view! {
        {head}
        <div class="page__body">{above} {audit(scope)}</div>
    }
    .into_any()
}

/// The list, newest first: filter above, older ones below.
fn audit(scope: Scope) -> AnyView {
    let everywhere = move || scope.project.with(String::is_empty);
    let in_place = NavigateOptions {
        replace: true,
        scroll: false,
        ..Default::default()
    };
    let (query, set_query) = query_signal_with_options::<String>("q", in_place);
    let typed = RwSignal::new(query.get_untracked().unwrap_or_default());
    // A link to another object's entries changes the address under the box.
    Effect::new(move |_| {
        let text = query.get().unwrap_or_default();
        if typed.with_untracked(|typed| typed.trim() != text.trim()) {
            typed.set(text);
        }
    });
    let filter = Memo::new(move |_| AuditFilter::parse(&query.get().unwrap_or_default(), everywhere()));
    let address = Memo::new(move |_| {
        let object = scope.object.get();
        let object = if object.is_empty() {
            object
        } else {
            format!("&object={object}")
        };
        let tail = format!(
            "audit?limit={PAGE}{object}{}",
            filter.with(|filter| filter.query(browser::escape))
        );
        match everywhere() {
            true => url::of_support(&tail),
            false => url::of_project(&scope.project.get(), &tail),
        }
    });
    // Changes of all kinds may be in the audit.
    let read = use_read::<List<AuditEntry>>(address.into(), Interest::within(ALL_KINDS, scope.object));

    let pages = RwSignal::new(None::<Pages>);
    // The newest entry on screen. While the pointer is on the list, newer entries wait.
    let (head, held) = (RwSignal::new(0_u64), RwSignal::new(false));
    Effect::new(move |_| match read.data.get() {
        Some(list) => {
            let newest = list.items.first().map_or(0, |entry| entry.revision);
            let first = pages.with_untracked(Option::is_none);
            pages.update(|pages| pages.get_or_insert_default().newest(list));
            if first || !held.get_untracked() {
                head.set(newest);
            }
        }
        None => pages.set(None),
    });
    let show = Callback::new(move |()| {
        let newest = pages.with_untracked(|pages| pages.as_ref()?.entries.first().map(|entry| entry.revision));
        head.set(newest.unwrap_or_default());
    });
    let release = move || {
        held.set(false);
        show.run(());
    };
    let matching = Memo::new(move |_| {
        filter.with(|filter| {
            pages.with(|pages| {
                let all = pages.iter().flat_map(|pages| &pages.entries);
                all.filter(|entry| filter.matches(entry)).cloned().collect::<Vec<_>>()
            })
        })
    });
    let shown = move || {
        let head = head.get();
        matching.with(|all| {
            all.iter()
                .filter(|entry| entry.revision <= head)
                .cloned()
                .collect::<Vec<_>>()
        })
    };
    let waiting = Memo::new(move |_| {
        let head = head.get();
        matching.with(|all| all.iter().filter(|entry| entry.revision > head).count())
    });

    let (busy, failed) = (RwSignal::new(false), RwSignal::new(None::<Failure>));
    let older = Callback::new(move |()| {
        let next = pages.with_untracked(|pages| pages.as_ref()?.next.clone());
        let (Some(next), false) = (next, busy.get_untracked()) else {
            return;
        };
        busy.set(true);
        failed.set(None);
        let asked = address.get_untracked();
        leptos::task::spawn_local(async move {
            let answer = api::client::get(&format!("{asked}&marker={next}"), None).await;
            busy.try_set(false);
            // The filter has changed since: these entries are of the old one.
            if address.try_get_untracked() != Some(asked) {
                return;
            }
            let failure = match answer.map(|text| serde_json::from_str(&text)) {
                Ok(Ok(list)) => {
                    pages.try_update(|pages| pages.get_or_insert_default().older(list));
                    return;
                }
                Ok(Err(error)) => Failure::unreadable(&error.to_string()),
                Err(failure) => failure,
            };
            failed.try_set(Some(failure));
        });
    });

    let type_filter = Callback::new(move |text: String| {
        typed.set(text.clone());
        set_query.set(Some(text).filter(|text| !text.trim().is_empty()));
    });
    let clear = Callback::new(move |()| type_filter.run(String::new()));
    let complaint = maybe(move || {
        let complaint = filter.with(AuditFilter::complaint)?;
        Some(message_view(&Message::error(complaint)))
    });
    let again = Callback::new(move |()| read.again());
    let trouble = maybe(move || {
        let failure = read.failure.get().or_else(|| failed.get())?;
        Some(error_block(&failure, Some(again)))
    });
    let state = Memo::new(move |_| {
        let known = pages.with(|pages| pages.as_ref().map(|pages| pages.next.is_some()));
        let empty = matching.with(Vec::is_empty);
        match (known, empty) {
            (None, _) => Body::Nothing,
            (Some(_), false) => Body::Lines,
            (Some(false), true) if filter.with(AuditFilter::is_empty) => Body::Empty,
            (Some(_), true) => Body::NoMatch,
        }
    });
    let context = LineContext {
        project: scope.project,
        one: Memo::new(move |_| scope.object.with(|object| !object.is_empty())).into(),
    };
    let body = maybe(move || {
        Some(match state.get() {
            Body::Nothing if read.failure.with(Option::is_some) => return None,
            Body::Nothing => skeleton_sheet(5),
            Body::Empty => view! {
                <div class="table-frame">
                    <div class="empty">{rose(120, true)} <p>{t(Key::AuditEmpty)}</p></div>
                </div>
            }
            .into_any(),
            Body::NoMatch => view! {
                <div class="table-frame">
                    <div class="empty empty--small">
                        <p>{t(Key::NothingMatches)}</p>
                        {button(Look::Plain, Key::ClearFilter, clear)}
                    </div>
                </div>
            }
            .into_any(),
            Body::Lines => view! {
                <div
                    class="table-frame"
                    tabindex="0"
                    role="region"
                    aria-label=t(Key::Audit)
                    on:mouseenter=move |_| held.set(true)
                    on:mouseleave=move |_| release()
                >
                    <table class="table table--cards audit" aria-label=t(Key::Audit)>
                        <thead>{headings(context)}</thead>
                        <For
                            each=shown
                            key=revision
                            children=move |entry| line(entry, context)
                        />
                    </table>
                </div>
            }
            .into_any(),
        })
    });
    let fresh = maybe(move || {
        let waiting = waiting.get() as u64;
        (waiting > 0).then(|| {
            view! {
                <p class="audit__new">
                    <button type="button" class="button button--small" on:click=move |_| show.run(())>
                        {tn(Key::AuditNew, waiting)}
                    </button>
                </p>
            }
            .into_any()
        })
    });
    let more = maybe(move || {
        let more = pages.with(|pages| pages.as_ref().map(|pages| pages.next.is_some()))?;
        let more = match more {
            true => sending_button(Look::Plain, Key::AuditMore, busy, older),
            false if state.get() == Body::Lines => view! { <span class="muted">{t(Key::AuditEnd)}</span> }.into_any(),
            false => return None,
        };
        Some(view! { <div class="audit__more">{more}</div> }.into_any())
    });
    view! {
        <div class="table-tools">
            {filter_box("table-tools__filter audit__filter", Some("audit-hint"), typed, type_filter)}
            <p class="field__hint" id="audit-hint">{t(Key::AuditFilterHint)}</p>
        </div>
        <div class="audit__complaint" aria-live="polite">{complaint}</div>
        {trouble}
        <div role="status">{fresh}</div>
        {body}
        {more}
    }
    .into_any()
}

/// What stays the same while it is the same entry.
fn revision(entry: &Arc<AuditEntry>) -> u64 {
    entry.revision
}

/// What stands in place of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Nothing is known yet.
    Nothing,
    /// Nothing ever happened.
    Empty,
    /// Nothing that matches, so far.
    NoMatch,
    /// Entries.
    Lines,
}
