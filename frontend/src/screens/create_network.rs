//! *Create network*: a page with what it will make beside it.

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{Kind, List, NetworkRow};

use super::creating::{creating, use_quotas, use_shadowport};
use crate::api::bodies::{CreateNetwork as Body, Made};
use crate::api::{Interest, url, use_act, use_read};
use crate::browser;
use crate::components::choice::{Choice, Note, box_field};
use crate::components::field::{LINE, Look, check_field, text_field};
use crate::components::making::{Making, making};
use crate::components::maybe;
use crate::components::toast::use_toasts;
use crate::forms::network::{Checked, Typed, check};
use crate::forms::{code, next_name, quota};
use crate::i18n::{Key, t, tp};
use crate::paths;
use crate::session::use_project;

/// What a network takes of the quotas.
const NEEDS: &[quota::Need] = &[("network", 1)];

/// The page.
#[component]
pub fn CreateNetwork() -> impl IntoView {
    let project = use_project();
    let back = Signal::derive(move || paths::networks(&project.get()));
    creating(Key::CreateNetwork, Key::Networks, back, body)
}

fn body() -> AnyView {
    let project = use_project();
    let toasts = use_toasts();
    let navigate = use_navigate();
    let act = use_act();
    let networks = use_read::<List<NetworkRow>>(
        Signal::derive(move || url::of_project(&project.get(), "networks")),
        Interest::anywhere(&[Kind::Network]),
    );
    let (quotas, shadowport) = (use_quotas(project), use_shadowport(project));
    let (name, description) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (internet, services) = (RwSignal::new(true), RwSignal::new(false));
    // The error of an empty name is shown only after it was filled in once, or after the first try to send.
    let started = RwSignal::new(false);
    let names = Memo::new(move |_| {
        let list = networks.data.read();
        let items = list.iter().flat_map(|list| &list.items);
        items.map(|network| network.name.clone()).collect::<Vec<_>>()
    });
    Effect::new(move |_| {
        if networks.data.with(Option::is_some) && !started.get_untracked() {
            started.set(true);
            if name.with_untracked(String::is_empty) {
                name.set(next_name("network", &names.get_untracked()));
            }
        }
    });
    let granted = Memo::new(move |_| {
        shadowport
            .data
            .with(|page| page.as_ref().is_some_and(|page| page.granted))
    });
    let checked = Memo::new(move |_| {
        let typed = Typed {
            name: name.get(),
            description: description.get(),
            internet: internet.get(),
            services: services.get(),
        };
        names.with(|names| check(&typed, names, granted.get()))
    });
    let reached = Signal::derive(move || {
        let list = quotas.data.read();
        quota::reached(&list.as_ref()?.items, NEEDS)
    });
    let made = Callback::new(move |text: String| {
        toasts.show(tp(Key::Created1, &[("name", name.get_untracked().trim())]));
        let project = project.get_untracked();
        let to = match serde_json::from_str::<Made>(&text) {
            Ok(made) => paths::network(&project, &made.object.id),
            Err(_) => paths::networks(&project),
        };
        navigate(&to, Default::default());
    });
    let submit = Callback::new(move |()| {
        started.set(true);
        let spec = checked.with_untracked(|checked| checked.spec.clone());
        match spec {
            _ if reached.with_untracked(Option::is_some) => {}
            Some(spec) => act.post(
                project.get_untracked(),
                url::networking("networks"),
                &Body::new(&spec),
                move |text| made.run(text),
            ),
            None => browser::soon(|| {
                browser::focus("main [aria-invalid=true]");
            }),
        }
    });
    let said = move |pick: fn(&Checked) -> &Option<_>| {
        Signal::derive(move || checked.with(|checked| pick(checked).clone()).filter(|_| started.get()))
    };
    let off = Signal::derive(move || internet.get());
    let note: Note = std::sync::Arc::new(move || {
        let why = off.get().then_some(Key::ProviderServicesOff);
        t(why.unwrap_or(Key::ProviderServicesHint)).into_any()
    });
    let fields = vec![
        text_field(
            "name",
            Key::Name,
            Look { first: true, ..LINE },
            name,
            said(|checked| &checked.name),
            None,
        ),
        text_field(
            "description",
            Key::Description,
            Look {
                optional: true,
                lines: 3,
                ..LINE
            },
            description,
            said(|checked| &checked.description),
            None,
        ),
        check_field(Key::InternetAccess, Some(Key::InternetHint), internet),
        maybe(move || {
            granted.get().then(|| {
                let choice = Choice {
                    note: Some(note.clone()),
                    off,
                    ..Choice::plain(Key::ProviderServices)
                };
                box_field(choice, services)
            })
        }),
    ];
    let preview = Signal::derive(move || {
        checked.with(|checked| {
            let yes = |on| t(if on { Key::Yes } else { Key::No }).to_owned();
            let services = checked.spec.as_ref().is_some_and(|spec| spec.services);
            let name = match name.get().trim() {
                "" => t(Key::NotNamedYet).to_owned(),
                name => name.to_owned(),
            };
            let mut lines = vec![(Key::Network, name), (Key::InternetAccess, yes(internet.get()))];
            if granted.get() {
                lines.push((Key::ProviderServices, yes(services)));
            }
            lines.push((Key::Subnets, t(Key::NoSubnets).to_owned()));
            lines
        })
    });
    making(Making {
        fields,
        send: Key::CreateNetwork,
        submit,
        busy: act.busy,
        failure: act.failure.into(),
        barred: reached,
        back: Signal::derive(move || paths::networks(&project.get())),
        preview,
        quotas: Signal::derive(move || {
            let list = quotas.data.read();
            list.as_ref()
                .map(|list| quota::lines(&list.items, NEEDS))
                .unwrap_or_default()
        }),
        tools: code::ALL,
        code: Signal::derive(move || {
            checked.with(|checked| {
                let spec = checked.spec.as_ref();
                spec.map(|spec| code::network(&browser::origin(), spec))
                    .unwrap_or_default()
            })
        }),
    })
}
