//! *Delete*: shows the server's plan: what is deleted with a thing, what stays, and what stops it.

use gloo_net::http::Method;
use leptos::prelude::*;
use portolan_shared::status::Reason;
use portolan_shared::v1::{DeletePlan, Kind, PlanItem, PlanKind};

use crate::api::{self, Failure, Interest, url, use_read};
use crate::components::button::{Look, button, guarded_button};
use crate::components::error::{error_block, form_error};
use crate::components::field::{self, LINE};
use crate::components::holders::holder_links;
use crate::components::icon::{Icon, icon};
use crate::components::panel::{Closing, form, panel};
use crate::components::status::reason_view;
use crate::components::time::use_clock;
use crate::components::toast::use_toasts;
use crate::components::{dynamic, maybe, nothing};
use crate::forms::plan;
use crate::i18n::{Key, t, tp};
use crate::session::use_session;

/// What changes a plan.
const KINDS: &[Kind] = &[
    Kind::Network,
    Kind::Subnet,
    Kind::Port,
    Kind::Cluster,
    Kind::Node,
    Kind::Block,
];

/// What is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTarget {
    /// What kind of thing.
    pub kind: PlanKind,
    /// Its name, as a person knows it.
    pub name: String,
    /// The call that deletes it.
    pub url: String,
    /// Where it is in the project, such as `networks/ID`: its plan is there.
    pub tail: String,
}

impl DeleteTarget {
    /// The question that its panel asks.
    pub fn title(&self) -> String {
        let title = match self.kind {
            PlanKind::Node => Key::RemoveNamed,
            _ => Key::DeleteNamed,
        };
        tp(title, &[("name", &self.name)])
    }
}

/// The panel. `done` runs once it is gone.
pub fn delete_panel(project: Signal<String>, target: DeleteTarget, close: Callback<()>, done: Callback<()>) -> AnyView {
    let session = use_session();
    let toasts = use_toasts();
    let kind = target.kind;
    let deleted = match kind {
        PlanKind::Node => Key::Removed1,
        _ => Key::Deleted1,
    };
    let title = target.title();
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));
    let tail = target.tail.clone();
    // While it is being deleted the plan is not asked for: the answer would only be that it is gone.
    let read = use_read::<DeletePlan>(
        Signal::derive(move || match busy.get() {
            true => String::new(),
            false => url::delete_plan(&project.get(), &tail),
        }),
        Interest::anywhere(KINDS),
    );
    let shown = RwSignal::new(None::<DeletePlan>);
    Effect::new(move |_| {
        if let Some(plan) = read.data.get() {
            shown.maybe_update(|shown| {
                let new = shown.as_ref() != Some(&plan);
                *shown = Some(plan);
                new
            });
        }
    });
    let typed = RwSignal::new(String::new());
    let wants_name = Memo::new(move |_| shown.with(|shown| shown.as_ref().is_some_and(plan::wants_name)));
    let name = target.name.clone();
    let barred = Signal::derive(move || {
        let stopped = shown.with(|shown| shown.as_ref().map(|plan| !plan.stops.is_empty()));
        let key = match stopped {
            None => Key::PlanNotKnown,
            Some(true) => Key::DeleteStopped,
            Some(false) if wants_name.get() && typed.with(|typed| typed.trim() != name) => Key::TypeNameFirst,
            Some(false) => return None,
        };
        Some(t(key).to_owned())
    });
    let closing = Closing::new(Signal::stored(false), close);
    let (name, plan_name) = (target.name.clone(), target.name.clone());
    let press = Callback::new(move |()| {
        if busy.get_untracked() || barred.with_untracked(Option::is_some) {
            return;
        }
        busy.set(true);
        failure.set(None);
        let (url, name) = (target.url.clone(), name.clone());
        leptos::task::spawn_local(async move {
            let project = project.get_untracked();
            let answer = api::send(session, &project, Method::DELETE, &url, None::<&()>).await;
            // The page may be gone by now, and what it was to do with it.
            match answer {
                Ok(_) => {
                    toasts.show(tp(deleted, &[("name", &name)]));
                    done.try_run(());
                }
                // Somebody else has deleted it: done as well.
                Err(error) if error.status == 404 => drop(done.try_run(())),
                Err(error) => {
                    busy.try_set(false);
                    failure.try_set(Some(error));
                }
            }
        });
    });
    let missing = maybe(move || {
        let failure = read.failure.get().filter(|_| shown.with(Option::is_none))?;
        Some(error_block(&failure, Some(Callback::new(move |()| read.again()))))
    });
    let plan = dynamic(move || match shown.get() {
        Some(plan) => plan_view(plan),
        None if read.failure.with(Option::is_some) => nothing(),
        None => waiting(),
    });
    let confirm = maybe(move || {
        (wants_name.get() && shown.with(|shown| shown.as_ref().is_some_and(|plan| plan.stops.is_empty()))).then(|| {
            let label = tp(Key::TypeName, &[("name", &plan_name)]);
            confirm_field(label, typed)
        })
    });
    let body = form(
        vec![
            form_error(failure),
            missing,
            view! { <div aria-live="polite">{plan}</div> }.into_any(),
            confirm,
        ],
        press,
    );
    let label = Signal::derive(move || shown.with(|shown| plan::button(kind, shown.as_ref())));
    let foot = Box::new(move || {
        vec![
            guarded_button(Look::Danger, label, busy, barred, press),
            button(Look::Plain, Key::Cancel, Callback::new(move |()| closing.request())),
        ]
        .into_any()
    });
    panel(Signal::stored(title), closing, body, foot)
}

/// Where the name is typed. Its label is a sentence with the name in it.
pub(super) fn confirm_field(label: String, typed: RwSignal<String>) -> AnyView {
    let plain = field::Look { first: true, ..LINE };
    field::named_text_field("confirm", label, plain, typed, Signal::stored(None), None)
}

/// Lines that keep the room of the plan.
fn waiting() -> AnyView {
    let bone = || view! { <span class="skeleton"></span> }.into_any();
    view! { <div class="plan" aria-busy="true">{vec![bone(), bone(), bone()]}</div> }.into_any()
}

/// The plan, read out.
fn plan_view(plan: DeletePlan) -> AnyView {
    let mut parts = Vec::new();
    if !plan.stops.is_empty() {
        let items = plan.stops.into_iter().map(stop_view).collect();
        parts.push(part("plan plan--stops", Key::WhatStops, items));
    } else {
        // The first is the thing itself, which the title names.
        let first = plan.goes.first().map(|item| PlanItem {
            count: item.count.saturating_sub(1),
            names: item.names.iter().skip(1).cloned().collect(),
            ..item.clone()
        });
        let others = plan.goes.iter().skip(1).cloned();
        let lines: Vec<AnyView> = first
            .into_iter()
            .chain(others)
            .filter(|item| item.count > 0)
            .map(|item| view! { <li>{plan::line(&item)}</li> }.into_any())
            .collect();
        let lines = match lines.is_empty() {
            true => vec![view! { <li class="muted">{t(Key::NothingElseGoes)}</li> }.into_any()],
            false => lines,
        };
        parts.push(part("plan", Key::WhatGoes, lines));
    }
    if !plan.stays.is_empty() {
        let items = plan.stays.into_iter().map(stay_view).collect();
        parts.push(part("plan", Key::WhatStays, items));
    }
    parts.into_any()
}

/// One part of the plan.
fn part(class: &'static str, title: Key, items: Vec<AnyView>) -> AnyView {
    view! {
        <section class=class>
            <h3>{t(title)}</h3>
            <ul class="plan__list">{items}</ul>
        </section>
    }
    .into_any()
}

/// Why it cannot be deleted.
fn stop_view(reason: Reason) -> AnyView {
    let links = holder_links(&reason.params);
    let reason = reason_view("", reason, use_clock());
    view! { <li class="plan__stop">{icon(Icon::Warning)} <div>{reason} {links}</div></li> }.into_any()
}

/// What one might expect to go, and why it stays.
fn stay_view(item: PlanItem) -> AnyView {
    let line = plan::line(&item);
    let links = item.reason.as_ref().and_then(|reason| holder_links(&reason.params));
    let reason = item
        .reason
        .map(|reason| reason_view("plan__reason", reason, use_clock()));
    view! { <li>{line} {reason} {links}</li> }.into_any()
}
