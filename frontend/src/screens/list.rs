//! The page of a list: head with totals, the button that makes one more, the table.

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use super::creating::use_quotas;
use crate::components::button::head_button;
use crate::components::page::{Crumb, Figure, page_head};
use crate::components::{dynamic, maybe};
use crate::forms::quota;
use crate::i18n::{Key, t};
use crate::session::{use_project, use_session};
use crate::table::{TableSpec, table};

/// The button that makes one more.
pub struct Create {
    /// What it says.
    pub label: Key,
    /// The page it opens, in a project.
    pub page: fn(&str) -> String,
    /// What one more takes of the quotas.
    pub needs: Vec<quota::Need>,
}

/// The page. `spec` makes its table, without the button that an empty table shows. `create` is `None` where only
/// automation makes such things.
pub fn list_page(
    title: Key,
    figures: Signal<Vec<Figure>>,
    create: Option<Create>,
    spec: impl Fn() -> TableSpec + Send + 'static,
) -> AnyView {
    let session = use_session();
    let project = use_project();
    let may_write = Memo::new(move |_| session.may_write(&project.get()));
    let offered = create.map(|Create { label, page, needs }| {
        let navigate = use_navigate();
        let quotas = use_quotas(project);
        let open = Callback::new(move |()| navigate(&page(&project.get_untracked()), Default::default()));
        let reached = Memo::new(move |_| {
            let list = quotas.data.read();
            quota::reached(list.as_ref()?.items.as_slice(), &needs)
        });
        (label, open, reached)
    });
    let button = move || {
        let (label, open, reached) = offered.filter(|_| may_write.get())?;
        Some(head_button(label, true, reached.get(), open))
    };
    let head = page_head(
        Signal::derive(move || t(title).to_owned()),
        Signal::derive(move || vec![Crumb::here(t(title))]),
        figures,
        maybe(button),
    );
    let list = dynamic(move || {
        let may =
            |(.., reached): &(Key, Callback<()>, Memo<Option<_>>)| may_write.get() && reached.with(Option::is_none);
        table(TableSpec {
            empty_action: offered.filter(may).map(|(label, open, _)| (label, open)),
            ..spec()
        })
    });
    view! {
        {head}
        <div class="page__body">{list}</div>
    }
    .into_any()
}
