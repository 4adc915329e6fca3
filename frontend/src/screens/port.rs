//! A port: as a panel over the *Ports* tab, and as a page of its own.

use std::sync::Arc;

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{FixedIp, Kind, One, PlanKind, PortRow, WhyStep};

use super::delete::DeleteTarget;
use super::object::{Deletion, ObjectPage, Panels, Reading, object_page};
use super::ports::{attached, host_ports, port_name};
use crate::api::bodies::SwitchPort;
use crate::api::{self, Failure, Interest, Read, url, use_read};
use crate::components::button::{Look, button, guarded_button, sending_button};
use crate::components::copy::copyable;
use crate::components::facts::{fact, facts, link, words};
use crate::components::page::Crumb;
use crate::components::panel::{Closing, panel};
use crate::components::status::{reason_text, status};
use crate::components::tabs::Tab;
use crate::components::time::{time, use_clock};
use crate::components::toast::use_toasts;
use crate::components::why::why_chain;
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, t, tp};
use crate::paths;
use crate::screens::audit::kinds::Audited;
use crate::session::{use_param, use_project, use_session};
use crate::table::seen::trail;

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "port",
    title: Key::ObjectPort,
    page: |project, id, _| Some(paths::port(project, id)),
};

/// Changes of these kinds show here.
const KINDS: &[Kind] = &[Kind::Port, Kind::Node, Kind::Subnet, Kind::Block];

/// The port and its chain, live.
#[derive(Clone, Copy)]
struct Reads {
    port: Read<One<PortRow>>,
    why: Read<One<Vec<WhyStep>>>,
}

impl Reads {
    fn of(project: Signal<String>, id: Signal<String>) -> Self {
        let interest = Interest::anywhere(KINDS);
        Self {
            port: use_read(
                Signal::derive(move || url::of_project(&project.get(), &format!("ports/{}", id.get()))),
                interest,
            ),
            why: use_read(
                Signal::derive(move || url::of_project(&project.get(), &format!("ports/{}/why", id.get()))),
                interest,
            ),
        }
    }

    fn port(self) -> Signal<Option<PortRow>> {
        Signal::derive(move || self.port.data.with(|data| data.as_ref().map(|one| one.item.clone())))
    }

    fn gone(self) -> Memo<bool> {
        Reading::from(self.port).gone()
    }
}

/// The port as what is to be deleted.
pub fn delete_target(id: &str, name: String) -> DeleteTarget {
    DeleteTarget {
        kind: PlanKind::Port,
        name,
        url: url::networking_one("ports", id),
        tail: format!("ports/{id}"),
    }
}

/// The panel over the *Ports* tab; `ask` opens the one that deletes it.
pub fn port_panel(
    project: Signal<String>,
    id: Signal<String>,
    may_write: Signal<bool>,
    ask: Callback<()>,
    close: Callback<()>,
) -> AnyView {
    let reads = Reads::of(project, id);
    let port = reads.port();
    let gone = reads.gone();
    let title = Signal::derive(move || match (port.get(), gone.get()) {
        (Some(port), _) => tp(Key::PortNamed, &[("name", &port_name(&port))]),
        (None, true) => t(Key::NotFound).to_owned(),
        (None, false) => t(Key::Port).to_owned(),
    });
    let closing = Closing::new(Signal::stored(false), close);
    let body = dynamic(move || match gone.get() {
        true => view! { <p>{t(Key::NoSuchPort)}</p> }.into_any(),
        false => facts_and_why(project, reads),
    });
    let foot = Box::new(move || {
        let actions = maybe(move || (may_write.get() && !gone.get()).then(|| actions(project, port, ask)));
        vec![
            actions,
            button(Look::Plain, Key::Close, Callback::new(move |()| closing.request())),
        ]
        .into_any()
    });
    panel(title, closing, body, foot)
}

/// What the tabs of the page share.
#[derive(Clone, Copy)]
struct Page {
    reads: Reads,
}

/// The page around its tabs.
#[component]
pub fn Port() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let id = use_param("id");
    let navigate = use_navigate();
    let reads = Reads::of(project, id);
    provide_context(Page { reads });
    let port = reads.port();
    let name = Signal::derive(move || port.with(|port| port.as_ref().map_or_else(String::new, port_name)));
    let subnet = move || port.with(|port| port.as_ref()?.fixed_ips.first().map(|fixed| fixed.subnet.clone()));
    let crumbs = Signal::derive(move || {
        let project = project.get();
        let mut steps = vec![Crumb::link(t(Key::Networks), paths::networks(&project))];
        if let Some(network) = port.with(|port| port.as_ref().map(|port| port.network.clone())) {
            let id = network.id.to_string();
            steps.push(Crumb::link(
                super::words::name_or_id(&network.name, &id),
                paths::network(&project, &id),
            ));
        }
        if let Some(subnet) = subnet() {
            let id = subnet.id.to_string();
            steps.push(Crumb::link(
                super::words::name_or_id(&subnet.name, &id),
                paths::subnet_ports(&project, &id),
            ));
        }
        steps.push(Crumb::here(name.get()));
        steps
    });
    let after = Callback::new(move |()| {
        let project = project.get_untracked();
        let to = match untrack(subnet) {
            Some(subnet) => paths::subnet_ports(&project, &subnet.id.to_string()),
            None => paths::networks(&project),
        };
        navigate(&to, Default::default());
    });
    let panels = Panels::of_page();
    let may_write = Signal::derive(move || session.may_write(&project.get()));
    let tab = |title, href| Tab {
        title,
        href,
        count: Signal::stored(None),
    };
    let page = move || paths::port(&project.get(), &id.get());
    object_page(ObjectPage {
        name,
        crumbs,
        figures: Signal::stored(Vec::new()),
        actions: Arc::new(move || maybe(move || may_write.get().then(|| actions(project, port, panels.delete())))),
        tabs: (
            Key::PortTabs,
            vec![
                tab(Key::Information, Signal::derive(page)),
                tab(Key::History, Signal::derive(move || paths::history(&page()))),
            ],
        ),
        missing: (
            Key::NoSuchPort,
            Signal::derive(move || paths::networks(&project.get())),
            Key::ToNetworks,
        ),
        reading: reads.port.into(),
        panels,
        delete: Deletion {
            target: Arc::new(move || delete_target(&id.get_untracked(), name.get_untracked())),
            may: may_write,
            done: after,
        },
        panel: Callback::new(|_| None),
    })
}

/// *Information*.
#[component]
pub fn PortAbout() -> impl IntoView {
    let page = expect_context::<Page>();
    view! { <section class="card">{facts_and_why(use_project(), page.reads)}</section> }
}

/// What is to be known of it, and why it is as it is.
fn facts_and_why(project: Signal<String>, reads: Reads) -> AnyView {
    let port = reads.port();
    let why = maybe(move || {
        reads
            .why
            .data
            .with(|data| data.as_ref().map(|one| why_chain(&one.item)))
    });
    view! {
        {Reading::from(reads.port).failed()}
        {maybe(move || Some(port_facts(&port.get()?, &project.get())))}
        <section class="panel__section">
            <h3>{t(Key::Why)}</h3>
            {why}
        </section>
    }
    .into_any()
}

/// What is to be known of a port.
fn port_facts(port: &PortRow, project: &str) -> AnyView {
    let (tone, word) = super::words::port_status(port);
    let address = |fixed: &FixedIp| {
        let id = fixed.subnet.id.to_string();
        let subnet = link(
            super::words::name_or_id(&fixed.subnet.name, &id),
            paths::subnet_ports(project, &id),
        );
        view! { <li>{copyable(fixed.address.to_string())} " " {subnet}</li> }.into_any()
    };
    let addresses: Vec<AnyView> = port.fixed_ips.iter().map(address).collect();
    let mut lines = vec![
        fact(Key::Status, status(tone, word, port.reason.clone())),
        fact(Key::Kind, words(t(super::words::kind(port.kind)))),
        fact(
            Key::IpAddresses,
            view! { <ul class="facts__list">{addresses}</ul> }.into_any(),
        ),
        fact(Key::Mac, copyable(port.mac.to_string())),
        fact(Key::AttachedTo, trail(attached(port, project))),
    ];
    let ports = host_ports(port);
    if !ports.is_empty() {
        lines.push(fact(Key::HostPorts, words(ports.join(", "))));
    }
    lines.push(fact(
        Key::Enabled,
        words(t(if port.enabled { Key::Yes } else { Key::No })),
    ));
    if !port.description.is_empty() {
        lines.push(fact(Key::Description, words(port.description.clone())));
    }
    lines.push(fact(Key::Id, copyable(port.id.to_string())));
    lines.push(fact(Key::Created, time(port.created_at.clone())));
    lines.push(fact(Key::Changed, time(port.updated_at.clone())));
    facts(lines)
}

/// The actions on it; one that is not allowed says why.
fn actions(project: Signal<String>, port: Signal<Option<PortRow>>, ask: Callback<()>) -> AnyView {
    let session = use_session();
    let toasts = use_toasts();
    let clock = use_clock();
    let busy = RwSignal::new(false);
    let failed = move |failure: Failure| toasts.show(failure.sentence());
    let switch = move |port: PortRow| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        leptos::task::spawn_local(async move {
            let url = url::networking_one("ports", &port.id.to_string());
            let body = SwitchPort::new(!port.enabled);
            let answer = api::send(session, &project.get_untracked(), Method::PUT, &url, Some(&body)).await;
            busy.try_set(false);
            if let Err(error) = answer {
                failed(error);
            }
        });
    };
    maybe(move || {
        let port = port.get()?;
        let reason = port
            .locked
            .as_ref()
            .map(|locked| reason_text(locked, clock.now(), clock.zone()));
        let barred = Signal::stored(reason.clone());
        let mut parts = Vec::new();
        if let Some(reason) = reason {
            parts.push(view! { <p class="muted panel__note">{reason}</p> }.into_any());
        } else {
            let label = if port.enabled { Key::Disable } else { Key::Enable };
            let press = Callback::new(move |()| switch(port.clone()));
            parts.push(sending_button(Look::Plain, label, busy, press));
        }
        let label = Signal::derive(|| t(Key::Delete).to_owned());
        parts.push(guarded_button(Look::Plain, label, RwSignal::new(false), barred, ask));
        Some(parts.into_any())
    })
}
