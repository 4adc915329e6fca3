//! A port: as a panel over the *Ports* tab, and as a page of its own.

use std::collections::HashSet;

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{Kind, One, PortRow, WhyStep};

use super::not_found::missing;
use super::ports::{attached, port_name};
use super::words;
use crate::api::bodies::SwitchPort;
use crate::api::{self, Failure, Interest, Read, url, use_read};
use crate::components::copy::copyable;
use crate::components::error::error_block;
use crate::components::page::{Crumb, glance, page_head};
use crate::components::panel::{Closing, panel};
use crate::components::status::{reason_text, status};
use crate::components::time::{time, use_clock};
use crate::components::toast::use_toasts;
use crate::components::why::why_chain;
use crate::i18n::{Key, t, tp};
use crate::paths;
use crate::session::{use_param, use_project, use_session};
use crate::table::view::trail;

/// What a change must be of to show here.
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
        Memo::new(move |_| {
            self.port.failure.with(|failure| failure.as_ref().is_some_and(|failure| matches!(failure.status, 400 | 404)))
        })
    }
}

/// The panel over the *Ports* tab. What is deleted in it is told to the table by `deleted`.
pub fn port_panel(
    project: Signal<String>,
    id: Signal<String>,
    may_write: Signal<bool>,
    deleted: RwSignal<HashSet<String>>,
    close: Callback<()>,
) -> impl IntoView {
    let reads = Reads::of(project, id);
    let port = reads.port();
    let gone = reads.gone();
    let title = Signal::derive(move || match (port.get(), gone.get()) {
        (Some(port), _) => tp(Key::PortNamed, &[("name", &port_name(&port))]),
        (None, true) => t(Key::NotFound).to_owned(),
        (None, false) => t(Key::Port).to_owned(),
    });
    let after = Callback::new(move |id: String| {
        deleted.update(|deleted| {
            deleted.insert(id);
        });
        close.run(());
    });
    let closing = Closing::new(Signal::stored(false), close);
    let body = move || {
        if gone.get() {
            return view! { <p>{t(Key::NoSuchPort)}</p> }.into_any();
        }
        facts(project, reads).into_any()
    };
    let foot = move || {
        view! {
            {move || (may_write.get() && !gone.get()).then(|| actions(project, port, after))}
            <button type="button" class="button" on:click=move |_| closing.request()>
                {t(Key::Close)}
            </button>
        }
        .into_any()
    };
    panel(title, closing, body, foot)
}

/// The page.
#[component]
pub fn Port() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let navigate = use_navigate();
    let reads = Reads::of(project, use_param("id"));
    let port = reads.port();
    let gone = reads.gone();
    let name = Signal::derive(move || port.with(|port| port.as_ref().map_or_else(String::new, port_name)));
    let subnet = Memo::new(move |_| {
        port.with(|port| port.as_ref()?.fixed_ips.first().map(|fixed| fixed.subnet.clone()))
    });
    let crumbs = Signal::derive(move || {
        let project = project.get();
        let mut steps = vec![Crumb::link(t(Key::Networks), paths::networks(&project))];
        if let Some(network) = port.with(|port| port.as_ref().map(|port| port.network.clone())) {
            let id = network.id.to_string();
            steps.push(Crumb::link(words::name_or_id(&network.name, &id), paths::network(&project, &id)));
        }
        if let Some(subnet) = subnet.get() {
            let id = subnet.id.to_string();
            steps.push(Crumb::link(words::name_or_id(&subnet.name, &id), paths::subnet_ports(&project, &id)));
        }
        steps.push(Crumb::here(name.get()));
        steps
    });
    let after = Callback::new(move |_| {
        let project = project.get_untracked();
        let to = match subnet.get_untracked() {
            Some(subnet) => paths::subnet_ports(&project, &subnet.id.to_string()),
            None => paths::networks(&project),
        };
        navigate(&to, Default::default());
    });
    move || {
        if gone.get() {
            return missing(Key::NoSuchPort, paths::networks(&project.get()), Key::ToNetworks).into_any();
        }
        view! {
            {page_head(
                name,
                crumbs,
                glance(Vec::new),
                move || session.may_write(&project.get()).then(|| actions(project, port, after)),
            )}
            <div class="page__body">
                <section class="card">{facts(project, reads)}</section>
            </div>
        }
        .into_any()
    }
}

/// What is to be known of it, and why it is as it is.
fn facts(project: Signal<String>, reads: Reads) -> impl IntoView {
    let port = reads.port();
    let list = move || {
        let project = project.get();
        port.get().map(|port| {
            let (tone, word) = words::port_status(&port);
            let addresses = port
                .fixed_ips
                .iter()
                .map(|fixed| {
                    let id = fixed.subnet.id.to_string();
                    view! {
                        <li>
                            {copyable(fixed.address.to_string())} " "
                            <a href=paths::subnet_ports(&project, &id)>{words::name_or_id(&fixed.subnet.name, &id)}</a>
                        </li>
                    }
                })
                .collect_view();
            let description = (!port.description.is_empty()).then(|| {
                view! {
                    <dt>{t(Key::Description)}</dt>
                    <dd>{port.description.clone()}</dd>
                }
            });
            view! {
                <dl class="facts">
                    <dt>{t(Key::Status)}</dt>
                    <dd>{status(tone, word, port.reason.clone())}</dd>
                    <dt>{t(Key::Kind)}</dt>
                    <dd>{t(words::kind(port.kind))}</dd>
                    <dt>{t(Key::IpAddresses)}</dt>
                    <dd>
                        <ul class="facts__list">{addresses}</ul>
                    </dd>
                    <dt>{t(Key::Mac)}</dt>
                    <dd>{copyable(port.mac.to_string())}</dd>
                    <dt>{t(Key::AttachedTo)}</dt>
                    <dd>{trail(attached(&port, &project))}</dd>
                    <dt>{t(Key::Enabled)}</dt>
                    <dd>{t(if port.enabled { Key::Yes } else { Key::No })}</dd>
                    {description}
                    <dt>{t(Key::Id)}</dt>
                    <dd>{copyable(port.id.to_string())}</dd>
                    <dt>{t(Key::Created)}</dt>
                    <dd>{time(port.created_at.clone())}</dd>
                    <dt>{t(Key::Changed)}</dt>
                    <dd>{time(port.updated_at.clone())}</dd>
                </dl>
            }
        })
    };
    let failure = move || {
        reads
            .port
            .failure
            .get()
            .filter(|_| reads.port.data.with(Option::is_none))
            .map(|failure| error_block(&failure, Some(Callback::new(move |()| reads.port.again()))))
    };
    view! {
        {failure}
        {list}
        <section class="panel__section">
            <h3>{t(Key::Why)}</h3>
            {move || reads.why.data.with(|data| data.as_ref().map(|one| why_chain(&one.item)))}
        </section>
    }
}

/// What one may do with it. What one may not says why.
fn actions(project: Signal<String>, port: Signal<Option<PortRow>>, after: Callback<String>) -> impl IntoView {
    let session = use_session();
    let toasts = use_toasts();
    let clock = use_clock();
    let (busy, sure) = (RwSignal::new(false), RwSignal::new(false));
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
    let delete = move |port: PortRow| {
        if busy.get_untracked() {
            return;
        }
        if !sure.get_untracked() {
            sure.set(true);
            return;
        }
        busy.set(true);
        leptos::task::spawn_local(async move {
            let id = port.id.to_string();
            let url = url::networking_one("ports", &id);
            let answer = api::send(session, &project.get_untracked(), Method::DELETE, &url, None::<&()>).await;
            busy.try_set(false);
            match answer {
                Ok(_) => {
                    toasts.show(tp(Key::Deleted1, &[("name", &port_name(&port))]));
                    after.run(id);
                }
                Err(error) if error.status == 404 => after.run(id),
                Err(error) => {
                    sure.try_set(false);
                    failed(error);
                }
            }
        });
    };
    move || {
        let port = port.get()?;
        let reason = port.locked.as_ref().map(|locked| reason_text(locked, clock.now(), clock.zone()));
        let (to_switch, to_delete) = (port.clone(), port.clone());
        let locked = reason.is_some();
        Some(view! {
            {reason.map(|reason| view! { <p class="muted panel__note" id="port-locked">{reason}</p> })}
            {(!locked)
                .then(|| {
                    view! {
                        <button
                            type="button"
                            class="button"
                            aria-disabled=move || busy.get().then_some("true")
                            on:click=move |_| switch(to_switch.clone())
                        >
                            {t(if port.enabled { Key::Disable } else { Key::Enable })}
                        </button>
                    }
                })}
            <button
                type="button"
                class="button"
                class:button--danger=sure
                disabled=locked
                aria-describedby=locked.then_some("port-locked")
                aria-disabled=move || busy.get().then_some("true")
                on:click=move |_| delete(to_delete.clone())
                on:blur=move |_| sure.set(false)
            >
                {move || t(if sure.get() { Key::DeleteSure } else { Key::Delete })}
            </button>
        })
    }
}
