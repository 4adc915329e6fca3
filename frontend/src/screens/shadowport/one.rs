//! A request, as the project sees it: how far it is, the thread, what happens next.

use leptos::prelude::*;
use portolan_shared::v1::{One, RequestState, ShadowRequest, Side};

use super::list::KINDS;
use super::parts::{Composer, composer, decisions, way};
use super::status::{self, GrantStatus};
use crate::api::{Act, Interest, url, use_act, use_read};
use crate::components::button::sure_button;
use crate::components::copy::copyable;
use crate::components::error::form_error;
use crate::components::facts::{card, fact, facts, link, words};
use crate::components::page::{Crumb, page_head};
use crate::components::thread::thread;
use crate::components::time::{time, use_clock};
use crate::components::toast::use_toasts;
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, format, t};
use crate::paths;
use crate::screens::not_found::missing;
use crate::screens::object::Reading;
use crate::screens::words::name_or_id;
use crate::session::{use_param, use_project, use_session};

/// The page.
#[component]
pub fn Request() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let id = use_param("id");
    let zone = use_clock().zone();
    let act = use_act();
    let call = move |tail: &'static str| {
        Signal::derive(move || url::of_project(&project.get(), &format!("shadowport/{}{tail}", id.get())))
    };
    let read = use_read::<One<ShadowRequest>>(call(""), Interest::within(KINDS, id));
    let request = Signal::derive(move || read.data.with(|data| data.as_ref().map(|one| one.item.clone())));
    let state = Memo::new(move |_| request.with(|request| request.as_ref().map(|request| request.state)));
    let may_write = Memo::new(move |_| session.may_write(&project.get()));
    let reading = Reading::from(read);
    let gone = reading.gone();

    let crumbs = Signal::derive(move || {
        vec![
            Crumb::link(t(Key::Shadowport), paths::shadowport(&project.get())),
            Crumb::here(t(Key::RequestOne)),
        ]
    });
    let about = move || {
        let request = request.get()?;
        let mut parts = vec![way(&request, Side::Customer, zone)];
        parts.extend(decisions(&request));
        parts.extend(may_write.get().then(|| goes_on(&request, &project.get())).flatten());
        Some(view! { <section class="card">{parts}</section> }.into_any())
    };
    let messages = Signal::derive(move || {
        request.with(|request| {
            request
                .as_ref()
                .map(|request| request.thread.clone())
                .unwrap_or_default()
        })
    });
    let writes =
        Memo::new(move |_| may_write.get() && state.get().is_some_and(|state| state != RequestState::Withdrawn));
    let write = move || {
        let of = Composer {
            project,
            messages: call("/messages"),
            ask: Signal::stored(String::new()),
            notes: false,
        };
        writes.get().then(|| composer(of))
    };
    let me = Signal::derive(move || session.user());
    dynamic(move || {
        if gone.get() {
            let to = paths::shadowport(&project.get_untracked());
            return missing(Key::NoSuchRequest, to, Key::ToShadowport);
        }
        let actions = maybe(move || {
            let open = state.get().is_some_and(RequestState::open);
            (open && may_write.get()).then(|| withdraw_button(act, project, call("/withdraw")))
        });
        let title = Signal::derive(|| t(Key::RequestOne).to_owned());
        let talk = card(
            Key::Thread,
            vec![thread(messages, me, Side::Customer), maybe(write)].into_any(),
        );
        view! {
            {page_head(title, crumbs, Signal::stored(Vec::new()), actions)}
            {reading.failed()}
            {reading.waiting()}
            {form_error(act.failure)}
            <div class="page__body request">
                <div class="request__main">{maybe(about)} {talk}</div>
                <div class="request__side">
                    {maybe(move || Some(card(Key::About, request_facts(&request.get()?, &project.get()))))}
                </div>
            </div>
        }
        .into_any()
    })
}

/// Takes the request back; asks once more.
fn withdraw_button(act: Act, project: Signal<String>, url: Signal<String>) -> AnyView {
    let toasts = use_toasts();
    let press = Callback::new(move |()| {
        let done = move |_| toasts.show(t(Key::RequestWithdrawn).to_owned());
        act.call(project.get_untracked(), url.get_untracked(), done);
    });
    sure_button(Key::Withdraw, Key::WithdrawSure, act.busy, press)
}

/// What one can do once it is decided.
fn goes_on(request: &ShadowRequest, project: &str) -> Option<AnyView> {
    let again = paths::shadowport_new(project, &request.id.to_string());
    let (href, label) = match (request.state, status::grant_status(request)) {
        (RequestState::Declined, _) => (again, Key::AskAgain),
        (RequestState::Withdrawn, _) | (RequestState::Granted, Some(GrantStatus::Revoked | GrantStatus::Ended)) => {
            (paths::shadowport_new(project, ""), Key::RequestShadowport)
        }
        (RequestState::Granted, _) => (paths::clusters(project), Key::ToClustersNow),
        (RequestState::New | RequestState::InReview, _) => return None,
    };
    Some(
        view! {
            <p class="standing__act">
                <a class="button button--primary" href=href>
                    {t(label)}
                </a>
            </p>
        }
        .into_any(),
    )
}

/// What is to be known of a request.
fn request_facts(request: &ShadowRequest, project: &str) -> AnyView {
    let mut lines = vec![
        fact(
            Key::FieldPurpose,
            view! { <p class="message__text">{request.purpose.clone()}</p> }.into_any(),
        ),
        fact(Key::FieldNodes, words(format::number(u64::from(request.nodes)))),
    ];
    if let Some(network) = &request.network {
        let id = network.id.to_string();
        let name = name_or_id(&network.name, &id);
        lines.push(fact(Key::FieldNetwork, link(name, paths::network(project, &id))));
    }
    lines.push(fact(Key::AskedBy, words(request.asked_by.clone())));
    lines.push(fact(Key::AskedAt, time(request.created_at.clone())));
    if let Some(quotes) = request.quotes {
        let href = paths::shadowport_request(project, &quotes.to_string());
        lines.push(fact(Key::AnswersRequest, link(t(Key::EarlierRequest).to_owned(), href)));
    }
    lines.push(fact(Key::FieldProjectId, copyable(project.to_owned())));
    lines.push(fact(
        Key::History,
        link(
            t(Key::AuditAllOf).to_owned(),
            paths::audit_of(project, &request.id.to_string()),
        ),
    ));
    facts(lines)
}
