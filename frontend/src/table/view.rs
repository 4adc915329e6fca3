//! The table on screen: tools above, headings that sort, rows that are patched in place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::query_signal_with_options;
use portolan_shared::v1::List;

use super::arrange::{Arranged, Line, Sort, arrange};
use super::cell::{Cell, Column, Row};
use super::filter::Filter;
use super::patch::patch;
use super::seen::cell_view;
use crate::api::{Failure, Read};
use crate::browser;
use crate::components::button::{Look, button};
use crate::components::error::error_block;
use crate::components::filter_box::filter_box;
use crate::components::icon::{Icon, icon};
use crate::components::rose::rose;
use crate::components::time::use_clock;
use crate::components::{dynamic, maybe, nothing};
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
    /// Ids deleted on this page: their rows go without a word.
    pub deleted: RwSignal<HashSet<String>>,
    /// Said in the row of what is no longer there.
    pub gone: Key,
}

impl TableSpec {
    /// A table of what `read` brings, in `rows`; the rest as most tables have it.
    pub fn of<T: Send + Sync + 'static>(
        read: Read<List<T>>,
        rows: impl Fn(&[T]) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        let rows = move || read.data.with(|data| data.as_ref().map(|list| rows(&list.items)));
        Self {
            name: Key::Networks,
            kind: "",
            columns: &[],
            rows: Signal::derive(rows),
            failure: read.failure.into(),
            fetched: read.fetched.into(),
            again: Callback::new(move |()| read.again()),
            count: Key::CountNetworks,
            empty: Key::NetworksEmpty,
            empty_action: None,
            deleted: RwSignal::new(HashSet::new()),
            gone: Key::Deleted,
        }
    }
}

/// Parameters of the page's address change in place: typing in a filter is no history.
fn in_place() -> NavigateOptions {
    NavigateOptions {
        replace: true,
        scroll: false,
        ..Default::default()
    }
}

/// The table.
pub fn table(spec: TableSpec) -> AnyView {
    let TableSpec {
        name,
        kind,
        columns,
        rows,
        failure,
        fetched,
        again,
        count,
        empty,
        ..
    } = spec;
    let (empty_action, deleted, gone) = (spec.empty_action, spec.deleted, spec.gone);
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
    let total =
        Memo::new(move |_| shown.with(|shown| shown.as_ref().map(|rows| rows.iter().filter(|row| !row.gone).count())));
    let type_filter = Callback::new(move |text: String| {
        typed.set(text.clone());
        window.set(WINDOW);
        set_query.set(Some(text).filter(|text| !text.trim().is_empty()));
    });
    let heading = move |index: usize, column: Column| {
        let direction = move || match sort.get() {
            Sort {
                column: Some(now),
                descending,
            } if now == index => Some(if descending { "descending" } else { "ascending" }),
            _ => None,
        };
        let click = move |_| set_sort_text.set(sort.get_untracked().clicked(index).write(columns));
        let arrow = dynamic(move || {
            icon(if direction() == Some("descending") {
                Icon::Down
            } else {
                Icon::Up
            })
        });
        view! {
            <th scope="col" class=column.class() aria-sort=direction>
                <button type="button" class="table__sort" on:click=click>
                    {t(column.title)}
                    {arrow}
                </button>
            </th>
        }
        .into_any()
    };
    let line = move |line: Line| match line {
        Line::Row(id) => match cells.with_value(|cells| cells.get(&id).cloned()) {
            Some(row) => row_view(kind, &id, columns, row, gone),
            None => nothing(),
        },
        Line::Fold {
            anchor, label, words, ..
        } => fold_view(anchor, (label, words), columns.len(), arranged, toggled),
    };
    let lines = move || arranged.with(|arranged| arranged.lines.iter().take(window.get()).cloned().collect::<Vec<_>>());
    let state = Memo::new(
        move |_| match (shown.with(Option::is_some), failure.with(Option::is_some), total.get()) {
            (false, true, _) => Body::Failed,
            (false, false, _) => Body::Loading,
            (true, _, _) if arranged.with(|arranged| arranged.matching > 0) => Body::Rows,
            (true, _, Some(0)) if filter.with(Filter::is_empty) => Body::Empty,
            _ => Body::NothingMatches,
        },
    );
    let zone = use_clock().zone();

    let counted = dynamic(move || {
        let total = total.get().unwrap_or_default() as u64;
        if filter.with(Filter::is_empty) {
            return nothing();
        }
        let matching = format::number(arranged.with(|arranged| arranged.matching) as u64);
        tp(
            Key::MatchingOf,
            &[("matching", &matching), ("count", &tn(count, total))],
        )
        .into_any()
    });
    let stale = maybe(move || {
        let failure = failure.get().filter(|_| state.get() != Body::Failed)?;
        let since = tp(Key::ShownFrom, &[("time", &format::clock(fetched.get(), zone))]);
        Some(
            view! {
                <div class="error error--inline" role="alert">
                    <p class="error__sentence">{failure.sentence()}</p>
                    <p class="error__details">{since} {button(Look::Link, Key::TryAgain, again)}</p>
                </div>
            }
            .into_any(),
        )
    });
    let clear = Callback::new(move |()| type_filter.run(String::new()));
    let body = dynamic(move || match state.get() {
        Body::Failed => match failure.get_untracked() {
            Some(failure) => error_block(&failure, Some(again)),
            None => nothing(),
        },
        Body::Empty => empty_view(t(empty), empty_action),
        Body::NothingMatches => framed(
            view! {
                <div class="empty empty--small">
                    <p>{t(Key::NothingMatches)}</p>
                    {button(Look::Plain, Key::ClearFilter, clear)}
                </div>
            }
            .into_any(),
        ),
        body => {
            let headings: Vec<AnyView> = columns
                .iter()
                .enumerate()
                .map(|(index, column)| heading(index, *column))
                .collect();
            let rows = if body == Body::Loading {
                skeleton(columns.len())
            } else {
                view! { <For each=lines key=Line::key children=line /> }.into_any()
            };
            let busy = (body == Body::Loading).to_string();
            view! {
                <div class="table-frame" tabindex="0" role="region" aria-label=t(name)>
                    <table class="table table--cards" aria-label=t(name) aria-busy=busy>
                        <thead>
                            <tr>{headings}</tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
            .into_any()
        }
    });
    let more = maybe(move || {
        let hidden = arranged
            .with(|arranged| arranged.lines.len())
            .saturating_sub(window.get());
        (hidden > 0).then(|| {
            view! {
                <p class="page__lead">
                    <button type="button" class="button" on:click=move |_| window.update(|window| *window += WINDOW)>
                        {tn(Key::ShowMore, hidden as u64)}
                    </button>
                </p>
            }
            .into_any()
        })
    });
    view! {
        <div class="table-tools" hidden=move || state.get() == Body::Empty>
            {filter_box("table-tools__filter", None, typed, type_filter)}
            <span class="table-tools__count" role="status">{counted}</span>
        </div>
        {stale}
        {body}
        {more}
    }
    .into_any()
}

/// What a table has around it.
fn framed(inside: AnyView) -> AnyView {
    view! { <div class="table-frame">{inside}</div> }.into_any()
}

/// In place of a table that never had rows: what the thing is for, and the next step.
fn empty_view(text: &'static str, action: Option<(Key, Callback<()>)>) -> AnyView {
    let action = match action {
        Some((label, action)) => button(Look::Primary, label, action),
        None => nothing(),
    };
    framed(view! { <div class="empty">{rose(120, true)} <p>{text}</p> {action}</div> }.into_any())
}

/// The heading of folded rows.
fn fold_view(
    anchor: String,
    (label, words): (String, Key),
    width: usize,
    arranged: Memo<Arranged>,
    toggled: RwSignal<HashSet<String>>,
) -> AnyView {
    let key = anchor.clone();
    // How many rows it holds, and whether they are shown; none once it is gone.
    let state = move || {
        arranged.with(|arranged| {
            let fold = arranged.lines.iter().find_map(|line| match line {
                Line::Fold {
                    anchor, count, open, ..
                } if *anchor == key => Some((*count, *open)),
                _ => None,
            });
            fold.unwrap_or_default()
        })
    };
    let count = state.clone();
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
                <button type="button" class="fold" aria-expanded=move || state().1.to_string() on:click=toggle>
                    {icon(Icon::Chevron)}
                    {dynamic(move || {
                        let count = tn(words, count().0 as u64);
                        tp(Key::FoldedUnder, &[("anchor", &label), ("count", &count)]).into_any()
                    })}
                </button>
            </td>
        </tr>
    }
    .into_any()
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

/// A sheet that keeps the room of what is to come.
pub fn skeleton_sheet(width: usize) -> AnyView {
    framed(
        view! {
            <table class="table" aria-busy="true" aria-label=t(Key::Loading)>
                <tbody>{skeleton(width)}</tbody>
            </table>
        }
        .into_any(),
    )
}

/// Rows that keep the room of what is to come.
fn skeleton(width: usize) -> AnyView {
    let late = RwSignal::new(false);
    browser::after(SKELETON_AFTER, move || {
        late.try_set(true);
    });
    maybe(move || {
        late.get().then(|| {
            let bone = || view! { <td><span class="skeleton"></span></td> }.into_any();
            let row = || {
                let cells: Vec<AnyView> = (0..width).map(|_| bone()).collect();
                view! { <tr aria-hidden="true">{cells}</tr> }.into_any()
            };
            (0..BONES).map(|_| row()).collect::<Vec<AnyView>>().into_any()
        })
    })
}

/// One row; each of its cells is drawn again only when it changes, and flashes then.
fn row_view(
    kind: &'static str,
    id: &str,
    columns: &'static [Column],
    row: ArcRwSignal<Arc<Row>>,
    word: Key,
) -> AnyView {
    let row = RwSignal::from(row);
    let gone = move || row.with(|row| row.gone);
    let cells: Vec<AnyView> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| cell_in_row(row, index, column, word))
        .collect();
    view! {
        <tr class=move || if gone() { "row--gone" } else { "" } data-testid=format!("{kind}-row-{id}")>
            {cells}
        </tr>
    }
    .into_any()
}

/// One cell of a row, as long as the row is there.
fn cell_in_row(row: RwSignal<Arc<Row>>, index: usize, column: &'static Column, word: Key) -> AnyView {
    let cell = Memo::new(move |_| row.with(|row| row.cells.get(index).cloned().unwrap_or(Cell::Empty)));
    let flashes = RwSignal::new(0_u32);
    Effect::new(move |before: Option<Cell>| {
        let now = cell.get();
        if before.is_some_and(|before| now.flashes(&before)) {
            flashes.update(|flashes| *flashes += 1);
        }
        now
    });
    let class = move || {
        // Two names for the same flash: a second change starts it anew.
        let flash = match flashes.get() {
            0 => "",
            odd if odd % 2 == 1 => " flash-a",
            _ => " flash-b",
        };
        format!("{}{flash}", column.class())
    };
    let deleted = match index {
        0 => maybe(move || {
            let gone = row.with(|row| row.gone);
            gone.then(|| view! { <span class="table__note">{t(word)}</span> }.into_any())
        }),
        _ => nothing(),
    };
    view! {
        <td class=class data-column=column.id data-label=t(column.title)>
            {dynamic(move || cell_view(cell.get()))}
            {deleted}
        </td>
    }
    .into_any()
}
