//! A request, as support sees it: the text, the thread with internal notes, the project beside it, and
//! what can be done.

use leptos::prelude::*;
use portolan_shared::v1::{Kind, ShadowRequest, Side, SupportRequest};

use super::decide::{Verdict, decide_panel};
use super::facts::project_facts;
use super::queue::taker;
use crate::api::{Interest, url, use_act, use_read};
use crate::components::button::{Look, button, sending_button};
use crate::components::error::form_error;
use crate::components::facts::{card, fact, facts, link, words};
use crate::components::page::{Crumb, page_head};
use crate::components::thread::thread;
use crate::components::time::{time, use_clock};
use crate::components::toast::use_toasts;
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, format, t, tp};
use crate::paths;
use crate::screens::address::address_param;
use crate::screens::not_found::missing;
use crate::screens::object::Reading;
use crate::screens::shadowport::parts::{Composer, composer, decisions, way};
use crate::screens::shadowport::status::{self, GrantStatus};
use crate::screens::words::name_or_id;
use crate::session::{use_param, use_session};

/// Changes of these kinds show here.
const KINDS: &[Kind] = &[Kind::Request, Kind::Network, Kind::Subnet, Kind::Cluster];

/// The page.
#[component]
pub fn Request() -> impl IntoView {
    let session = use_session();
    let toasts = use_toasts();
    let id = use_param("id");
    let zone = use_clock().zone();
    let act = use_act();
    let call =
        move |tail: &'static str| Signal::derive(move || url::of_support(&format!("requests/{}{tail}", id.get())));
    // The project is known only with the first answer.
    let project = RwSignal::new(String::new());
    let read = use_read::<SupportRequest>(call(""), Interest::of_project(KINDS, project.into()));
    let request = Memo::new(move |_| read.data.with(|data| data.as_ref().map(|page| page.request.clone())));
    Effect::new(move |_| {
        let of = request.with(|request| request.as_ref().map(|request| request.project.id.to_string()));
        project.set(of.unwrap_or_default());
    });
    let me = Signal::derive(move || session.user());
    let reading = Reading::from(read);
    let gone = reading.gone();
    let title = Signal::derive(move || {
        let name = request.with(|request| request.as_ref().map(|request| request.project.name.clone()));
        match name {
            Some(name) => tp(Key::RequestOf, &[("project", &name)]),
            None => t(Key::RequestOne).to_owned(),
        }
    });
    let crumbs = Signal::derive(move || {
        vec![
            Crumb::link(t(Key::Queue), paths::support_queue()),
            Crumb::here(title.get()),
        ]
    });
    let (panel, set_panel) = address_param("panel");
    let close = Callback::new(move |()| set_panel.set(None));
    let open = move |verdict: Verdict| Callback::new(move |()| set_panel.set(Some(verdict.word().to_owned())));
    let take = Callback::new(move |()| {
        let done = move |_| toasts.announce(t(Key::TakenNow));
        act.call(project.get_untracked(), call("/take").get_untracked(), done);
    });
    let actions = move || {
        let mut parts = Vec::new();
        request.with(|request| {
            let request = request.as_ref()?;
            if request.state.open() {
                match request.taken_by.as_deref() {
                    Some(by) if by == me.get() => {}
                    Some(_) => parts.push(sending_button(Look::Plain, Key::TakeOver, act.busy, take)),
                    None => parts.push(sending_button(Look::Plain, Key::Take, act.busy, take)),
                }
                parts.push(button(Look::Plain, Key::Decline, open(Verdict::Decline)));
                parts.push(button(Look::Primary, Key::Grant, open(Verdict::Grant)));
            } else if status::grant_status(request) == Some(GrantStatus::Holds) {
                parts.push(button(Look::Plain, Key::Revoke, open(Verdict::Revoke)));
            }
            Some(parts.into_any())
        })
    };
    let about = move || {
        let request = request.get()?;
        let mut parts = vec![way(&request, Side::Support, zone)];
        parts.extend(decisions(&request));
        parts.push(request_facts(&request, &me.get()));
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
    let there = Memo::new(move |_| request.with(Option::is_some));
    let asks = call("/ask");
    let ask = Signal::derive(move || {
        let open = request.with(|request| request.as_ref().is_some_and(|request| request.state.open()));
        if open { asks.get() } else { String::new() }
    });
    let write = move || {
        let of = Composer {
            project: project.into(),
            messages: call("/messages"),
            ask,
            notes: true,
        };
        there.get().then(|| composer(of))
    };
    let deciding = move || {
        let verdict = Verdict::of(panel.get()?.as_str())?;
        there.get().then(|| decide_panel(verdict, read.data.into(), id, close))
    };
    dynamic(move || {
        if gone.get() {
            return missing(Key::NoSuchRequest, paths::support_queue(), Key::ToQueue);
        }
        let talk = card(
            Key::Thread,
            vec![thread(messages, me, Side::Support), maybe(write)].into_any(),
        );
        let side = maybe(move || {
            read.data
                .with(|data| data.as_ref().map(|page| project_facts(page).into_any()))
        });
        view! {
            {page_head(title, crumbs, Signal::stored(Vec::new()), maybe(actions))}
            {reading.failed()}
            {reading.waiting()}
            {form_error(act.failure)}
            <div class="page__body request">
                <div class="request__main">{maybe(about)} {talk}</div>
                <div class="request__side">{side}</div>
            </div>
            {maybe(deciding)}
        }
        .into_any()
    })
}

/// What was asked for.
fn request_facts(request: &ShadowRequest, me: &str) -> AnyView {
    let project = request.project.id.to_string();
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
        lines.push(fact(Key::FieldNetwork, link(name, paths::network(&project, &id))));
    }
    lines.push(fact(Key::AskedBy, words(request.asked_by.clone())));
    lines.push(fact(Key::AskedAt, time(request.created_at.clone())));
    lines.push(fact(Key::TakenBy, words(taker(request.taken_by.as_deref(), me))));
    if let Some(quotes) = request.quotes {
        let href = paths::support_request(&quotes.to_string());
        lines.push(fact(Key::AnswersRequest, link(t(Key::EarlierRequest).to_owned(), href)));
    }
    let audit = paths::audit_of("", &request.id.to_string());
    lines.push(fact(Key::History, link(t(Key::AuditAllOf).to_owned(), audit)));
    facts(lines)
}
