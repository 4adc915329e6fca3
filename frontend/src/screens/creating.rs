//! What pages that make something share: the head, and what they ask about the project.

use leptos::prelude::*;
use portolan_shared::v1::{Kind, List, Quota, ShadowportPage};

use crate::api::{Failure, Interest, Read, url, use_read};
use crate::components::error::error_block;
use crate::components::page::{Crumb, page_head};
use crate::components::{dynamic, nothing};
use crate::i18n::{Key, t};
use crate::session::{use_project, use_session};

/// Changes of these kinds change how much of the quotas is used.
const QUOTAS: &[Kind] = &[Kind::Network, Kind::Subnet, Kind::Port, Kind::Cluster];

/// What the project has and may have.
pub fn use_quotas(project: Signal<String>) -> Read<List<Quota>> {
    use_read(
        Signal::derive(move || url::of_project(&project.get(), "quotas")),
        Interest::anywhere(QUOTAS),
    )
}

/// The project's shadowport requests and grant, live.
pub fn use_shadowport(project: Signal<String>) -> Read<ShadowportPage> {
    use_read(
        Signal::derive(move || url::of_project(&project.get(), "shadowport")),
        Interest::anywhere(&[Kind::Request]),
    )
}

/// Head of a page that makes something for the list at `back`, and its `body` for those who may.
pub fn creating(title: Key, list: Key, back: Signal<String>, body: fn() -> AnyView) -> AnyView {
    let session = use_session();
    let project = use_project();
    let head = page_head(
        Signal::derive(move || t(title).to_owned()),
        Signal::derive(move || vec![Crumb::link(t(list), back.get()), Crumb::here(t(title))]),
        Signal::stored(Vec::new()),
        nothing(),
    );
    let may_write = Memo::new(move |_| session.may_write(&project.get()));
    let body = dynamic(move || match may_write.get() {
        true => body(),
        false => error_block(&Failure::from_answer(403, "", ""), None),
    });
    view! {
        {head}
        <div class="page__body">{body}</div>
    }
    .into_any()
}
