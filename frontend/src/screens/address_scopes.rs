//! Address scopes of a project, and those that others share.

use leptos::prelude::*;
use portolan_shared::kinds::address_scopes::AddressScopeRow;
use portolan_shared::v1::{Kind, List};

use super::list::list_page;
use super::words;
use crate::api::{Interest, url, use_read};
use crate::components::icon::Icon;
use crate::components::menu::{Area, MenuEntry};
use crate::components::page::Figure;
use crate::components::summary::summary;
use crate::i18n::{Key, t, tn};
use crate::screens::Editing;
use crate::screens::audit::kinds::{Audited, NO_PAGE};
use crate::session::use_project;
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec};

/// Its entry in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Project,
    path: "address-scopes",
    others: &[],
    title: Key::AddressScopes,
    icon: Icon::Copy,
    key: Some("d"),
    view: || Editing::AddressScopes.view(),
};

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "address_scope",
    title: Key::ObjectAddressScope,
    page: NO_PAGE,
};

const COLUMNS: &[Column] = &[
    Column::new("name", Key::Name, Align::Name),
    Column::new("ip_version", Key::IpVersion, Align::Tight),
    Column::new("shared", Key::SharedWith, Align::Start),
    Column::spare("created", Key::Created, Align::Tight),
];

/// The table's rows.
pub fn rows(scopes: &[AddressScopeRow]) -> Vec<Row> {
    scopes
        .iter()
        .map(|scope| {
            let id = scope.id.to_string();
            let name = words::name_or_id(&scope.name, &id);
            let cells = vec![
                match scope.foreign {
                    true => Cell::Noted(name, t(Key::SharedByOther).to_owned()),
                    false => Cell::Text(name),
                },
                Cell::Text(format!("IPv{}", scope.ip_version)),
                Cell::Text(
                    t(if scope.shared {
                        Key::SharedWithAll
                    } else {
                        Key::SharedWithOwn
                    })
                    .to_owned(),
                ),
                Cell::Time(scope.created_at.clone()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// First glance.
fn figures(scopes: &[AddressScopeRow]) -> Vec<Figure> {
    summary(vec![tn(Key::CountAddressScopes, scopes.len() as u64)], None, None)
}

/// The page. Automation makes address scopes; the console shows them.
#[component]
pub fn AddressScopes() -> impl IntoView {
    let project = use_project();
    let read = use_read::<List<AddressScopeRow>>(
        Signal::derive(move || url::of_project(&project.get(), "address-scopes")),
        Interest::anywhere(&[Kind::AddressScope]),
    );
    let figures = Signal::derive(move || {
        read.data
            .with(|data| data.as_ref().map(|list| figures(&list.items)).unwrap_or_default())
    });
    list_page(Key::AddressScopes, figures, None, move || TableSpec {
        name: Key::AddressScopes,
        kind: "address_scope",
        columns: COLUMNS,
        count: Key::CountAddressScopes,
        empty: Key::AddressScopesEmpty,
        ..TableSpec::of(read, rows)
    })
}
