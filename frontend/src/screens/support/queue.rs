//! *Queue*: requests of all projects, oldest first; taking one shows at once to everybody of support.

use std::collections::HashSet;

use leptos::prelude::*;
use portolan_shared::v1::{List, QueueRow, RequestState};

use crate::api::{Interest, url, use_read};
use crate::browser;
use crate::components::button::{Look, button};
use crate::components::icon::Icon;
use crate::components::menu::{Area, MenuEntry};
use crate::components::page::{Crumb, Figure, page_head};
use crate::components::select::select_field;
use crate::components::{maybe, nothing};
use crate::i18n::{Key, t, tn, tp};
use crate::paths;
use crate::screens::Requests;
use crate::screens::address::address_choice;
use crate::screens::shadowport::list::KINDS;
use crate::screens::shadowport::status;
use crate::session::use_session;
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// Its entry in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Support,
    path: "queue",
    others: &[],
    title: Key::Queue,
    icon: Icon::Inbox,
    key: Some("q"),
    view: || Requests::Queue.view(),
};

const COLUMNS: &[Column] = &[
    Column::new("age", Key::Age, Align::Tight),
    Column::new("state", Key::State, Align::Tight),
    Column::new("project", Key::Project, Align::Start),
    Column::new("by", Key::AskedBy, Align::Start),
    Column::new("nodes", Key::Nodes, Align::End),
    Column::spare("networks", Key::Networks, Align::End),
    Column::spare("clusters", Key::Clusters, Align::End),
    Column::new("taken", Key::TakenBy, Align::Start),
    Column::new("message", Key::LastMessage, Align::Start),
];

/// States one can filter by, as the server names them.
const STATES: &[(&str, Key)] = &[
    ("open", Key::QueueOpen),
    ("all", Key::QueueAll),
    ("new", Key::StateNew),
    ("in_review", Key::StateInReview),
    ("granted", Key::StateGranted),
    ("declined", Key::StateDeclined),
    ("withdrawn", Key::StateWithdrawn),
];

/// Takers one can filter by, as the server names them.
const TAKERS: &[(&str, Key)] = &[
    ("", Key::QueueAnybody),
    ("me", Key::QueueMe),
    ("none", Key::QueueNobody),
];

/// Who has taken it, for the reader `me`.
pub fn taker(taken_by: Option<&str>, me: &str) -> String {
    match taken_by {
        None => t(Key::TakenByNobody).to_owned(),
        Some(name) if name == me => t(Key::TakenByYou).to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// The table's rows.
pub fn rows(queue: &[QueueRow], me: &str) -> Vec<Row> {
    queue
        .iter()
        .map(|row| {
            let request = &row.request;
            let (id, project) = (request.id.to_string(), request.project.id.to_string());
            let (tone, word) = status::state(request);
            let cells = vec![
                Cell::Age(request.created_at.clone()),
                Cell::Status(tone, word, None),
                Cell::Link(request.project.name.clone(), paths::support_request(&id), project),
                Cell::Text(request.asked_by.clone()),
                Cell::Number(u64::from(request.nodes)),
                Cell::Number(row.networks),
                Cell::Number(row.clusters),
                Cell::Text(taker(request.taken_by.as_deref(), me)),
                Cell::Text(request.last_message.clone().unwrap_or_default()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// First glance: how many wait, and for whom.
pub fn figures(queue: &[QueueRow], me: &str) -> Vec<Figure> {
    let count = |test: &dyn Fn(&QueueRow) -> bool| queue.iter().filter(|row| test(row)).count() as u64;
    let new = count(&|row| row.request.state == RequestState::New);
    let mine = count(&|row| row.request.state.open() && row.request.taken_by.as_deref() == Some(me));
    let mut figures = vec![Figure::plain(tn(Key::CountRequests, queue.len() as u64))];
    if new > 0 {
        figures.push(Figure::plain(tn(Key::WaitingNew, new)));
    }
    if mine > 0 {
        figures.push(Figure::plain(tn(Key::WaitingMine, mine)));
    }
    figures
}

/// The page.
#[component]
pub fn Queue() -> impl IntoView {
    let session = use_session();
    let state = address_choice("state", "open");
    let taken = address_choice("taker", "");
    let project = address_choice("project", "");
    let read = use_read::<List<QueueRow>>(
        Signal::derive(move || {
            let [state, taken, project] = [state, taken, project].map(|value| browser::escape(&value.get()));
            let mut tail = format!("requests?state={state}");
            for (name, value) in [("taker", taken), ("project", project)] {
                if !value.is_empty() {
                    tail = format!("{tail}&{name}={value}");
                }
            }
            url::of_support(&tail)
        }),
        Interest::anywhere(KINDS),
    );
    let head = page_head(
        Signal::derive(|| t(Key::Queue).to_owned()),
        Signal::derive(|| vec![Crumb::here(t(Key::Queue))]),
        Signal::derive(move || {
            let me = session.user();
            read.data
                .with(|data| data.as_ref().map(|list| figures(&list.items, &me)).unwrap_or_default())
        }),
        nothing(),
    );
    let choices = |all: &'static [(&'static str, Key)]| {
        Signal::derive(move || {
            let choice = |(value, word): &(&str, Key)| ((*value).to_owned(), t(*word).to_owned());
            all.iter().map(choice).collect::<Vec<_>>()
        })
    };
    let one_project = maybe(move || {
        let id = Some(project.get()).filter(|project| !project.is_empty())?;
        let text = tp(Key::QueueProject, &[("project", &session.project_name(&id))]);
        let all = Callback::new(move |()| project.set(String::new()));
        Some(
            view! { <p class="queue__project">{text} " " {button(Look::Link, Key::QueueAnyProject, all)}</p> }
                .into_any(),
        )
    });
    let list = table(TableSpec {
        name: Key::Requests,
        kind: "request",
        columns: COLUMNS,
        rows: Signal::derive(move || {
            let me = session.user();
            read.data.with(|data| data.as_ref().map(|list| rows(&list.items, &me)))
        }),
        failure: read.failure.into(),
        fetched: read.fetched.into(),
        again: Callback::new(move |()| read.again()),
        count: Key::CountRequests,
        empty: Key::QueueEmpty,
        empty_action: None,
        deleted: RwSignal::new(HashSet::new()),
        gone: Key::QueueLeft,
    });
    view! {
        {head}
        <div class="page__body">
            <div class="queue__filters">
                {select_field("state", Key::State, false, choices(STATES), state, None)}
                {select_field("taker", Key::TakenBy, false, choices(TAKERS), taken, None)}
                {one_project}
            </div>
            {list}
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screens::shadowport::status::tests::request;

    fn row(state: RequestState, taken_by: Option<&str>) -> QueueRow {
        let mut request = request(state);
        request.taken_by = taken_by.map(str::to_owned);
        QueueRow {
            request,
            networks: 2,
            clusters: 1,
        }
    }

    #[test]
    fn a_row_leads_to_the_request_and_says_whose_it_is() {
        let rows = rows(&[row(RequestState::InReview, Some("anna"))], "bert");
        assert_eq!(rows[0].cells.len(), COLUMNS.len());
        assert!(matches!(&rows[0].cells[2], Cell::Link(name, href, id)
            if name == "demo" && href.starts_with("/support/queue/") && id.len() == 32));
        assert_eq!(rows[0].cells[7], Cell::Text("anna".into()));
        assert_eq!(taker(Some("bert"), "bert"), "You");
        assert_eq!(taker(None, "bert"), "Nobody");
    }

    #[test]
    fn the_first_glance_counts_what_is_new_and_what_is_ones_own() {
        let queue = [
            row(RequestState::New, None),
            row(RequestState::InReview, Some("anna")),
            row(RequestState::Granted, Some("anna")),
        ];
        let texts: Vec<String> = figures(&queue, "anna").into_iter().map(|figure| figure.text).collect();
        assert_eq!(texts, ["3 requests", "1 new", "1 taken by you"]);
    }
}
