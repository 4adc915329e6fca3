//! The table on screen: tools above, headings that sort, rows that are patched in place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::query_signal_with_options;

use super::arrange::{Arranged, Line, Sort, arrange};
use super::cell::{Cell, Column, Row};
use super::filter::Filter;
use super::patch::patch;
use crate::api::Failure;
use crate::browser;
use crate::components::bar::bar;
use crate::components::copy::copyable;
use crate::components::error::error_block;
use crate::components::icon::{Icon, icon};
use crate::components::rose::rose;
use crate::components::status::status;
use crate::components::time::{time, use_clock};
use crate::i18n::{Key, format, t, tn, tp};

/// Rows drawn before one asks for more.
const WINDOW: usize = 300;
/// Rows of the skeleton.
const BONES: usize = 5;
/// How long nothing is shown before the skeleton is (milliseconds): most answers come sooner.
const SKELETON_AFTER: i32 = 150;

/// What a table is made of.
pub struct TableSpec {
    /// Its accessible name.
    pub name: Key,
    /// Begins the test ids of its rows: `port` makes `port-row-{id}`.
    pub kind: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// Its rows; `None` while nothing is known.
    pub rows: Signal<Option<Vec<Row>>>,
    /// Why the newest data could not be had.
    pub failure: Signal<Option<Failure>>,
    /// When the data on screen was had.
    pub fetched: Signal<i64>,
    /// Asks again.
    pub again: Callback<()>,
    /// Counts rows in words.
    pub count: Key,
    /// Shown when there is nothing at all.
    pub empty: Key,
    /// The button under it, which also stands in the page's head.
    pub empty_action: Option<(Key, Callback<()>)>,
    /// What stands at the end of a row.
    pub actions: Option<Arc<dyn Fn(Signal<Row>) -> AnyView + Send + Sync>>,
    /// Ids deleted on this page: their rows go without a word.
    pub deleted: RwSignal<HashSet<String>>,
}

/// Parameters of the page's address change in place: typing in a filter is no history.
fn in_place() -> NavigateOptions {
    NavigateOptions { replace: true, scroll: false, ..Default::default() }
}

/// The table.
pub fn table(spec: TableSpec) -> impl IntoView {
    let TableSpec { name, kind, columns, rows, failure, fetched, again, count, empty, .. } = spec;
    let (empty_action, actions, deleted) = (spec.empty_action, spec.actions, spec.deleted);
    let (query, set_query) = query_signal_with_options::<String>("q", in_place());
    let (sort_text, set_sort_text) = query_signal_with_options::<String>("sort", in_place());
    let typed = RwSignal::new(query.get_untracked().unwrap_or_default());
    let toggled = RwSignal::new(HashSet::<String>::new());
    let window = RwSignal::new(WINDOW);

    // Rows on screen: patched, so that what did not change is not drawn again.
    let shown = RwSignal::new(None::<Vec<Arc<Row>>>);
    let cells = StoredValue::new(HashMap::<String, ArcRwSignal<Arc<Row>>>::new());
    Effect::new(move |_| {
        let Some(new) = rows.get() else {
            shown.set(None);
            return;
        };
        let before = shown.get_untracked().unwrap_or_default();
        let after = patch(&before, new, &deleted.get_untracked());
        cells.update_value(|cells| {
            cells.retain(|id, _| after.iter().any(|row| row.id == *id));
            for row in &after {
                match cells.get(&row.id) {
                    Some(signal) => {
                        if !Arc::ptr_eq(&signal.get_untracked(), row) {
                            signal.set(Arc::clone(row));
                        }
                    }
                    None => {
                        cells.insert(row.id.clone(), ArcRwSignal::new(Arc::clone(row)));
                    }
                }
            }
        });
        shown.set(Some(after));
    });

    let filter = Memo::new(move |_| Filter::parse(&query.get().unwrap_or_default(), columns));
    let sort = Memo::new(move |_| Sort::parse(&sort_text.get().unwrap_or_default(), columns));
    let arranged = Memo::new(move |_| {
        shown.with(|shown| match shown {
            Some(rows) => toggled.with(|toggled| arrange(rows, &filter.get(), sort.get(), toggled)),
            None => Arranged::default(),
        })
    });
    let total = Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|rows| rows.iter().filter(|row| !row.gone).count())));
    let has_actions = actions.is_some();
    let width = columns.len() + usize::from(has_actions);

    let type_filter = move |text: String| {
        typed.set(text.clone());
        window.set(WINDOW);
        set_query.set(Some(text).filter(|text| !text.trim().is_empty()));
    };
    let heading = move |index: usize, column: Column| {
        let direction = move || match sort.get() {
            Sort { column: Some(now), descending } if now == index => {
                Some(if descending { "descending" } else { "ascending" })
            }
            _ => None,
        };
        view! {
            <th scope="col" class=column.align.class() class:col--spare=column.spare aria-sort=direction>
                <button
                    type="button"
                    class="table__sort"
                    on:click=move |_| set_sort_text.set(sort.get_untracked().clicked(index).write(columns))
                >
                    {t(column.title)}
                    {move || if direction() == Some("descending") { icon(Icon::Down) } else { icon(Icon::Up) }}
                </button>
            </th>
        }
    };
    let line = move |line: Line| match line {
        Line::Row(id) => {
            let Some(row) = cells.with_value(|cells| cells.get(&id).cloned()) else { return ().into_any() };
            row_view(kind, &id, columns, row, actions.clone()).into_any()
        }
        Line::Fold { anchor, label, .. } => {
            let key = anchor.clone();
            let state = Memo::new(move |_| {
                arranged.with(|arranged| {
                    arranged.lines.iter().find_map(|line| match line {
                        Line::Fold { anchor, count, open, .. } if *anchor == key => Some((*count, *open)),
                        _ => None,
                    })
                })
                .unwrap_or_default()
            });
            let toggle = move |_| {
                toggled.update(|toggled| {
                    if !toggled.remove(&anchor) {
                        toggled.insert(anchor.clone());
                    }
                });
            };
            view! {
                <tr class="row--fold">
                    <td colspan=width>
                        <button
                            type="button"
                            class="fold"
                            aria-expanded=move || state.get().1.to_string()
                            on:click=toggle
                        >
                            {icon(Icon::Chevron)}
                            {move || {
                                let count = tn(Key::CountPods, state.get().0 as u64);
                                tp(Key::FoldedUnder, &[("anchor", &label), ("count", &count)])
                            }}
                        </button>
                    </td>
                </tr>
            }
            .into_any()
        }
    };
    let lines = move || {
        arranged.with(|arranged| arranged.lines.iter().take(window.get()).cloned().collect::<Vec<_>>())
    };
    let state = Memo::new(move |_| match (shown.with(Option::is_some), failure.with(Option::is_some), total.get()) {
        (false, true, _) => Body::Failed,
        (false, false, _) => Body::Loading,
        (true, _, _) if arranged.with(|arranged| arranged.matching > 0) => Body::Rows,
        (true, _, Some(0)) if filter.with(Filter::is_empty) => Body::Empty,
        _ => Body::NothingMatches,
    });
    let clock = use_clock();

    view! {
        <div class="table-tools" hidden=move || state.get() == Body::Empty>
            <div class="table-tools__filter">
                {icon(Icon::Search)}
                <input
                    class="input"
                    type="text"
                    role="searchbox"
                    aria-label=t(Key::Filter)
                    placeholder=t(Key::Filter)
                    autocomplete="off"
                    spellcheck="false"
                    data-hotkey="filter"
                    prop:value=typed
                    on:input:target=move |event| type_filter(event.target().value())
                    on:keydown=move |event| {
                        if event.key() == "Escape" {
                            event.stop_propagation();
                            type_filter(String::new());
                        }
                    }
                />
                <kbd class="table-tools__key" aria-hidden="true">"/"</kbd>
            </div>
            <span class="table-tools__count" role="status">
                {move || {
                    total
                        .get()
                        .map(|total| {
                            let matching = arranged.with(|arranged| arranged.matching);
                            if filter.with(Filter::is_empty) {
                                String::new()
                            } else {
                                let matching = format::number(matching as u64);
                                tp(Key::MatchingOf, &[("matching", &matching), ("count", &tn(count, total as u64))])
                            }
                        })
                }}
            </span>
        </div>
        {move || {
            (state.get() != Body::Failed)
                .then(|| failure.get())
                .flatten()
                .map(|failure| {
                    let since = format::clock(fetched.get(), clock.zone());
                    view! {
                        <div class="error error--inline" role="alert">
                            <p class="error__sentence">{failure.sentence()}</p>
                            <p class="error__details">
                                {tp(Key::ShownFrom, &[("time", &since)])}
                                <button
                                    type="button"
                                    class="button button--link"
                                    on:click=move |_| again.run(())
                                >
                                    {t(Key::TryAgain)}
                                </button>
                            </p>
                        </div>
                    }
                })
        }}
        {move || match state.get() {
            Body::Failed => {
                failure.get().map(|failure| error_block(&failure, Some(again))).into_any()
            }
            Body::Empty => {
                view! {
                    <div class="table-frame">
                        <div class="empty">
                            {rose(120, true)} <p>{t(empty)}</p>
                            {empty_action
                                .map(|(label, action)| {
                                    view! {
                                        <button
                                            type="button"
                                            class="button button--primary"
                                            on:click=move |_| action.run(())
                                        >
                                            {icon(Icon::Plus)}
                                            {t(label)}
                                        </button>
                                    }
                                })}
                        </div>
                    </div>
                }
                    .into_any()
            }
            Body::NothingMatches => {
                view! {
                    <div class="table-frame">
                        <div class="empty empty--small">
                            <p>{t(Key::NothingMatches)}</p>
                            <button
                                type="button"
                                class="button"
                                on:click=move |_| type_filter(String::new())
                            >
                                {t(Key::ClearFilter)}
                            </button>
                        </div>
                    </div>
                }
                    .into_any()
            }
            body => {
                let line = line.clone();
                let headings = columns
                    .iter()
                    .enumerate()
                    .map(|(index, column)| heading(index, *column))
                    .collect_view();
                view! {
                    <div class="table-frame" tabindex="0" role="region" aria-label=t(name)>
                        <table class="table" aria-label=t(name) aria-busy=(body == Body::Loading).to_string()>
                            <thead>
                                <tr>
                                    {headings}
                                    {has_actions
                                        .then(|| {
                                            view! {
                                                <th scope="col" class="cell--actions">
                                                    <span class="visually-hidden">{t(Key::Actions)}</span>
                                                </th>
                                            }
                                        })}
                                </tr>
                            </thead>
                            <tbody>
                                {if body == Body::Loading {
                                    skeleton(width).into_any()
                                } else {
                                    view! { <For each=lines key=Line::key children=line /> }.into_any()
                                }}
                            </tbody>
                        </table>
                    </div>
                    {move || {
                        let hidden = arranged.with(|arranged| arranged.lines.len()).saturating_sub(window.get());
                        (hidden > 0)
                            .then(|| {
                                view! {
                                    <p class="page__lead">
                                        <button
                                            type="button"
                                            class="button"
                                            on:click=move |_| window.update(|window| *window += WINDOW)
                                        >
                                            {tn(Key::ShowMore, hidden as u64)}
                                        </button>
                                    </p>
                                }
                            })
                    }}
                }
                    .into_any()
            }
        }}
    }
}

/// What stands in place of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Loading,
    Failed,
    Empty,
    NothingMatches,
    Rows,
}

/// Rows that keep the room of what is to come.
fn skeleton(width: usize) -> impl IntoView {
    let late = RwSignal::new(false);
    browser::after(SKELETON_AFTER, move || {
        late.try_set(true);
    });
    move || {
        late.get().then(|| {
            (0..BONES)
                .map(|_| {
                    let cells = (0..width).map(|_| view! { <td><span class="skeleton"></span></td> }).collect_view();
                    view! { <tr aria-hidden="true">{cells}</tr> }
                })
                .collect_view()
        })
    }
}

/// One row; each of its cells is drawn again only when it changes, and flashes then.
fn row_view(
    kind: &'static str,
    id: &str,
    columns: &'static [Column],
    row: ArcRwSignal<Arc<Row>>,
    actions: Option<Arc<dyn Fn(Signal<Row>) -> AnyView + Send + Sync>>,
) -> impl IntoView + use<> {
    let row = RwSignal::from(row);
    let gone = Memo::new(move |_| row.with(|row| row.gone));
    let cells = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cell = Memo::new(move |_| row.with(|row| row.cells.get(index).cloned().unwrap_or(Cell::Empty)));
            let flashes = RwSignal::new(0_u32);
            let flash_b = move || flashes.get() > 0 && flashes.get() % 2 == 0;
            Effect::new(move |before: Option<Cell>| {
                let now = cell.get();
                if before.is_some_and(|before| now.flashes(&before)) {
                    flashes.update(|flashes| *flashes += 1);
                }
                now
            });
            view! {
                <td
                    class=column.align.class()
                    class:col--spare=column.spare
                    class:flash-a=move || flashes.get() % 2 == 1
                    class:flash-b=flash_b
                    data-column=column.id
                >
                    {move || cell_view(cell.get())}
                    {(index == 0)
                        .then(|| {
                            move || {
                                gone.get().then(|| view! { <span class="table__note">{t(Key::Deleted)}</span> })
                            }
                        })}
                </td>
            }
        })
        .collect_view();
    let actions = actions.map(|actions| {
        let row = Signal::derive(move || (*row.get()).clone());
        view! {
            <td class="cell--actions">{move || (!gone.get()).then(|| actions(row))}</td>
        }
    });
    view! {
        <tr class:row--gone=gone data-testid=format!("{kind}-row-{id}")>
            {cells} {actions}
        </tr>
    }
}

/// A cell as it is seen.
fn cell_view(cell: Cell) -> AnyView {
    match cell {
        Cell::Empty => ().into_any(),
        Cell::Text(text) => text.into_any(),
        Cell::Lines(lines) => {
            let lines = lines.into_iter().map(|line| view! { <div>{line}</div> }).collect_view();
            view! { <div class="nowrap">{lines}</div> }.into_any()
        }
        Cell::Noted(text, note) => {
            view! { {text} <span class="table__note">{note}</span> }.into_any()
        }
        Cell::Number(number) => format::number(number).into_any(),
        Cell::Codes(codes) => {
            let lines = codes.into_iter().map(|code| view! { <div>{copyable(code)}</div> }).collect_view();
            lines.into_any()
        }
        Cell::Link(text, href, note) => {
            let note = (!note.is_empty()).then(|| view! { <span class="table__note">{note}</span> });
            view! { <a href=href>{text}</a> {note} }.into_any()
        }
        trail_cell @ Cell::Trail(_) => trail(trail_cell).into_any(),
        Cell::Open(text, name, value) => open_view(text, name, value).into_any(),
        Cell::Status(tone, word, reason) => status(tone, word, reason).into_any(),
        Cell::Bar(used, total) => bar(used, total, false).into_any(),
        Cell::Time(rfc3339) => time(rfc3339).into_any(),
    }
}

/// A way of links, such as `cluster / node / pod`; any other cell as its words.
pub fn trail(cell: Cell) -> impl IntoView {
    let parts = match cell {
        Cell::Trail(parts) => parts,
        other => vec![(other.words(), None)],
    };
    parts
        .into_iter()
        .enumerate()
        .map(|(index, (text, href))| {
            let before = if index > 0 { " / " } else { "" };
            match href {
                Some(href) => view! { {before} <a href=href>{text}</a> }.into_any(),
                None => view! { {before} {text} }.into_any(),
            }
        })
        .collect_view()
}

/// A link that opens a panel over the page: the rest of the address stays.
fn open_view(text: String, name: &'static str, value: String) -> impl IntoView {
    let location = leptos_router::hooks::use_location();
    let href = move || {
        let mut params = location.query.get();
        params.replace(name, value.clone());
        format!("{}{}", location.pathname.get(), params.to_query_string())
    };
    view! { <a href=href data-noscroll="">{text}</a> }
}
