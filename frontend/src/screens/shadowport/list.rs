//! Shadowport: what it is, where the project stands, what happens next, and all its requests.

use std::collections::HashSet;

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{Kind, ShadowRequest, ShadowportPage, Side};

use super::status;
use crate::api::{Interest, url, use_read};
use crate::components::button::{create_button, head_button};
use crate::components::facts::{card, link};
use crate::components::icon::Icon;
use crate::components::maybe;
use crate::components::menu::{Area, MenuEntry};
use crate::components::page::{Crumb, page_head};
use crate::components::status::status;
use crate::components::time::use_clock;
use crate::components::toast::use_toasts;
use crate::i18n::{Key, t};
use crate::paths;
use crate::screens::Requests;
use crate::screens::words::name_or_id;
use crate::session::{use_project, use_session};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// Its entry in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Project,
    path: "shadowport",
    others: &[],
    title: Key::Shadowport,
    icon: Icon::Anchor,
    key: Some("s"),
    view: || Requests::Shadowport.view(),
};

/// Changes of these kinds show here.
pub const KINDS: &[Kind] = &[Kind::Request];

const COLUMNS: &[Column] = &[
    Column::new("state", Key::State, Align::Tight),
    Column::new("purpose", Key::FieldPurpose, Align::Wide),
    Column::new("nodes", Key::Nodes, Align::End),
    Column::spare("network", Key::Network, Align::Start),
    Column::new("asked", Key::AskedAt, Align::Tight),
    Column::spare("by", Key::AskedBy, Align::Start),
    Column::spare("message", Key::LastMessage, Align::Wide),
];

/// Longest beginning of a purpose that a row shows, in characters.
const SHOWN: usize = 120;

/// The beginning of a text, for a row.
pub fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// The table's rows.
pub fn rows(requests: &[ShadowRequest], project: &str) -> Vec<Row> {
    requests
        .iter()
        .map(|request| {
            let id = request.id.to_string();
            let (tone, word) = status::state(request);
            let network = match &request.network {
                Some(network) => {
                    let id = network.id.to_string();
                    let href = paths::network(project, &id);
                    Cell::Link(name_or_id(&network.name, &id), href, String::new())
                }
                None => Cell::Empty,
            };
            let cells = vec![
                Cell::Status(tone, word, None),
                Cell::Link(
                    beginning(&request.purpose),
                    paths::shadowport_request(project, &id),
                    String::new(),
                ),
                Cell::Number(u64::from(request.nodes)),
                network,
                Cell::Time(request.created_at.clone()),
                Cell::Text(request.asked_by.clone()),
                Cell::Text(request.last_message.clone().unwrap_or_default()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// The page.
#[component]
pub fn Shadowport() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let toasts = use_toasts();
    let navigate = use_navigate();
    let zone = use_clock().zone();
    let read = use_read::<ShadowportPage>(
        Signal::derive(move || url::of_project(&project.get(), "shadowport")),
        Interest::anywhere(KINDS),
    );
    let open = Memo::new(move |_| read.data.with(|page| page.as_ref().and_then(|page| page.open)));
    let granted = Memo::new(move |_| read.data.with(|page| page.as_ref().is_some_and(|page| page.granted)));
    let empty = Memo::new(move |_| {
        read.data
            .with(|page| page.as_ref().is_some_and(|page| page.items.is_empty()))
    });
    let may_write = Memo::new(move |_| session.may_write(&project.get()));
    let request = Callback::new(move |()| {
        let project = project.get_untracked();
        match open.get_untracked() {
            Some(open) => {
                toasts.show(t(Key::RequestOpenAlready).to_owned());
                navigate(
                    &paths::shadowport_request(&project, &open.to_string()),
                    Default::default(),
                );
            }
            None => navigate(&paths::shadowport_new(&project, ""), Default::default()),
        }
    });
    let head = page_head(
        Signal::derive(|| t(Key::Shadowport).to_owned()),
        Signal::derive(|| vec![Crumb::here(t(Key::Shadowport))]),
        Signal::stored(Vec::new()),
        maybe(move || {
            // A project without any has the button where its list would be.
            let wanted = may_write.get() && !empty.get();
            wanted.then(|| match granted.get() && open.get().is_none() {
                true => head_button(
                    Key::RequestShadowport,
                    true,
                    Some(t(Key::RequestHasGrant).to_owned()),
                    request,
                ),
                false => create_button(Key::RequestShadowport, request),
            })
        }),
    );
    let stands = maybe(move || {
        let project = project.get();
        read.data.with(|page| {
            let telling = status::telling(page.as_ref()?);
            let (mark, sentence, next) = match telling {
                Some(request) => {
                    let (tone, word) = status::state(request);
                    let id = request.id.to_string();
                    let more = link(
                        t(Key::RequestSeeOpen).to_owned(),
                        paths::shadowport_request(&project, &id),
                    );
                    let sentence = status::sentence(request, Side::Customer, zone);
                    let line = view! { <p>{sentence} " " {more}</p> }.into_any();
                    (
                        Some(status(tone, word, None)),
                        line,
                        status::next(request, Side::Customer),
                    )
                }
                None => {
                    let line = view! { <p>{t(Key::StandingNone)}</p> }.into_any();
                    (None, line, Key::NextNone)
                }
            };
            let body = view! {
                <div class="standing" data-testid="standing">
                    {mark} {sentence} <h3>{t(Key::WhatNext)}</h3> <p>{t(next)}</p>
                </div>
            }
            .into_any();
            Some(card(Key::State, body))
        })
    });
    let list = maybe(move || {
        let action = may_write.get().then_some((Key::RequestShadowport, request));
        Some(table(TableSpec {
            name: Key::Requests,
            kind: "request",
            columns: COLUMNS,
            rows: Signal::derive(move || {
                read.data
                    .with(|page| page.as_ref().map(|page| rows(&page.items, &project.get())))
            }),
            failure: read.failure.into(),
            fetched: read.fetched.into(),
            again: Callback::new(move |()| read.again()),
            count: Key::CountRequests,
            empty: Key::ShadowportEmpty,
            empty_action: action,
            deleted: RwSignal::new(HashSet::new()),
            gone: Key::Deleted,
        }))
    });
    view! {
        {head}
        <p class="page__lead">{t(Key::ShadowportLead)}</p>
        <div class="page__body">{stands}</div>
        <div class="page__body">{list}</div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use portolan_shared::v1::RequestState;

    use super::*;
    use crate::screens::shadowport::status::tests::request;

    #[test]
    fn a_row_has_a_cell_a_column_and_the_beginning_of_what_for() {
        let mut long = request(RequestState::New);
        long.purpose = "é".repeat(SHOWN + 5);
        let rows = rows(&[long], "p");
        assert_eq!(rows[0].cells.len(), COLUMNS.len());
        assert!(matches!(&rows[0].cells[1], Cell::Link(text, ..) if text.chars().count() == SHOWN + 1));
    }
}
