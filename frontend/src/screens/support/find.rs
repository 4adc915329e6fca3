//! *Find*: projects by a part of their name, or by their ID.

use std::collections::HashSet;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use portolan_shared::v1::{Kind, List, ProjectRow};

use crate::api::{Interest, url, use_read};
use crate::browser;
use crate::components::icon::Icon;
use crate::components::menu::{Area, MenuEntry};
use crate::components::nothing;
use crate::components::page::{Crumb, page_head};
use crate::i18n::{Key, t};
use crate::paths;
use crate::screens::Requests;
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// Its entry in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Support,
    path: "find",
    others: &[],
    title: Key::Find,
    icon: Icon::Search,
    key: Some("f"),
    view: || Requests::Find.view(),
};

/// Changes of these kinds show here.
const KINDS: &[Kind] = &[Kind::Request, Kind::Network, Kind::Cluster];
/// How long after the last key the server is asked (milliseconds).
const ASK_AFTER: i32 = 150;

const COLUMNS: &[Column] = &[
    Column::new("name", Key::Name, Align::Name),
    Column::new("id", Key::Id, Align::Tight),
    Column::new("networks", Key::Networks, Align::End),
    Column::new("clusters", Key::Clusters, Align::End),
    Column::new("shadowport", Key::Shadowport, Align::Start),
];

/// The table's rows.
pub fn rows(projects: &[ProjectRow]) -> Vec<Row> {
    projects
        .iter()
        .map(|project| {
            let id = project.id.to_string();
            let cells = vec![
                Cell::Link(project.name.clone(), paths::networks(&id), String::new()),
                Cell::Codes(vec![id.clone()]),
                Cell::Number(project.networks),
                Cell::Number(project.clusters),
                Cell::Text(t(if project.granted { Key::StateGranted } else { Key::No }).to_owned()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// The page.
#[component]
pub fn Find() -> impl IntoView {
    let query = use_query_map();
    let typed = Memo::new(move |_| query.with(|query| query.get("q").unwrap_or_default()));
    let asked = RwSignal::new(typed.get_untracked());
    Effect::new(move |_| {
        let text = typed.get();
        browser::after(ASK_AFTER, move || {
            // More was typed since: the later call asks.
            if typed.try_get_untracked().is_some_and(|now| now == text) {
                asked.try_maybe_update(|asked| (std::mem::replace(asked, text.clone()) != text, ()));
            }
        });
    });
    let read = use_read::<List<ProjectRow>>(
        Signal::derive(move || url::of_support(&format!("projects?q={}", browser::escape(asked.get().trim())))),
        Interest::anywhere(KINDS),
    );
    let head = page_head(
        Signal::derive(|| t(Key::FindTitle).to_owned()),
        Signal::derive(|| vec![Crumb::here(t(Key::Find))]),
        Signal::stored(Vec::new()),
        nothing(),
    );
    // People come here to type: focus the field.
    browser::soon(|| {
        browser::focus("[data-hotkey=filter]");
    });
    let list = table(TableSpec {
        name: Key::Projects,
        kind: "project",
        columns: COLUMNS,
        rows: Signal::derive(move || read.data.with(|data| data.as_ref().map(|list| rows(&list.items)))),
        failure: read.failure.into(),
        fetched: read.fetched.into(),
        again: Callback::new(move |()| read.again()),
        count: Key::CountProjects,
        empty: Key::FindEmpty,
        empty_action: None,
        deleted: RwSignal::new(HashSet::new()),
        gone: Key::Deleted,
    });
    view! {
        {head}
        <p class="page__lead">{t(Key::FindFirst)}</p>
        <div class="page__body">{list}</div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_leads_to_its_networks() {
        let id = "01930000000070008000000000000001";
        let rows = rows(&[ProjectRow {
            id: id.parse().unwrap(),
            name: "demo".into(),
            networks: 2,
            clusters: 1,
            granted: true,
        }]);
        assert_eq!(rows[0].cells.len(), COLUMNS.len());
        assert_eq!(
            rows[0].cells[0],
            Cell::Link("demo".into(), format!("/p/{id}/networks"), String::new())
        );
        assert_eq!(rows[0].cells[4], Cell::Text("Granted".into()));
    }
}
