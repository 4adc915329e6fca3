//! When the database was put back, as agents have shown: a line each.

use leptos::prelude::*;
use portolan_shared::v1::List;

use crate::api::read::ALL_KINDS;
use crate::api::told::Told;
use crate::api::{Interest, url, use_read};
use crate::components::icon::{Icon, icon};
use crate::components::maybe;
use crate::components::status::reason_view;
use crate::components::time::use_clock;

/// Most lines: earlier epochs are in the audit.
const MOST: usize = 3;

/// The newest epochs, if there are any.
pub(super) fn epochs() -> AnyView {
    let read = use_read::<List<Told>>(Signal::stored(url::EPOCHS.to_owned()), Interest::anywhere(ALL_KINDS));
    maybe(move || {
        let list = read.data.get()?;
        let line = |epoch: Told| {
            let said = reason_view("", epoch.reason, use_clock());
            view! { <p class="notice notice--apart">{icon(Icon::Warning)} {said}</p> }.into_any()
        };
        let lines: Vec<AnyView> = list.items.into_iter().take(MOST).map(line).collect();
        Some(lines.into_any())
    })
}
