//! Cells as they are seen.

use leptos::prelude::*;

use super::cell::Cell;
use crate::components::bar::bar;
use crate::components::copy::copyable;
use crate::components::facts::link;
use crate::components::nothing;
use crate::components::status::status;
use crate::components::time::{age, time};
use crate::i18n::format;

/// A second line in a cell.
fn note(text: String) -> AnyView {
    if text.is_empty() {
        nothing()
    } else {
        view! { <span class="table__note">{text}</span> }.into_any()
    }
}

/// A cell as it is seen.
pub(super) fn cell_view(cell: Cell) -> AnyView {
    match cell {
        Cell::Empty => nothing(),
        Cell::Text(text) => text.into_any(),
        Cell::Lines(lines) => {
            let lines: Vec<AnyView> = lines
                .into_iter()
                .map(|line| view! { <div>{line}</div> }.into_any())
                .collect();
            view! { <div class="nowrap">{lines}</div> }.into_any()
        }
        Cell::Noted(text, second) => vec![text.into_any(), note(second)].into_any(),
        Cell::Number(number) => format::number(number).into_any(),
        Cell::Codes(codes) => {
            let line = |code: String| view! { <div>{copyable(code)}</div> }.into_any();
            codes.into_iter().map(line).collect::<Vec<AnyView>>().into_any()
        }
        Cell::Link(text, href, second) => vec![link(text, href), note(second)].into_any(),
        trail_cell @ Cell::Trail(_) => trail(trail_cell),
        Cell::Open(panels) => {
            let panel = |(text, name, value)| [open_view(text, name, value), " ".into_any()];
            panels.into_iter().flat_map(panel).collect::<Vec<AnyView>>().into_any()
        }
        Cell::Status(tone, word, reason) => status(tone, word, reason),
        Cell::Bar(used, total) => bar(used, total, false),
        Cell::Time(rfc3339) => time(rfc3339),
        Cell::Age(rfc3339) => age(rfc3339),
    }
}

/// A way of links, such as `cluster / node / pod`; any other cell as its words.
pub fn trail(cell: Cell) -> AnyView {
    let parts = match cell {
        Cell::Trail(parts) => parts,
        other => vec![(other.words(), None)],
    };
    let mut views: Vec<AnyView> = Vec::new();
    for (text, href) in parts {
        if !views.is_empty() {
            views.push(" / ".into_any());
        }
        views.push(match href {
            Some(href) => link(text, href),
            None => text.into_any(),
        });
    }
    view! { <span>{views}</span> }.into_any()
}

/// A link that opens a panel over the page: the rest of the address stays.
fn open_view(text: String, name: &'static str, value: String) -> AnyView {
    let location = leptos_router::hooks::use_location();
    let href = move || {
        let mut params = location.query.get();
        params.replace(name, value.clone());
        format!("{}{}", location.pathname.get(), params.to_query_string())
    };
    view! { <a href=href data-noscroll="">{text}</a> }.into_any()
}
