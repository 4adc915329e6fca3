//! *Create cluster*: a page that shows, while one types, what the server would answer.

mod form;

use form::{Fields, Form, OWN, Refused};
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{AddressSpace, ClusterRow, Kind, List, NetworkRow, One, SubnetRow};

use super::creating::{creating, use_quotas, use_shadowport};
use crate::api::{Failure, Interest, url, use_act, use_read};
use crate::browser;
use crate::components::field::Message;
use crate::components::making::{Making, making};
use crate::components::toast::use_toasts;
use crate::forms::cluster::{Checked, Context, GrantState, Typed, check, fresh, needs, preview, room};
use crate::forms::{code, quota};
use crate::i18n::{Key, tp};
use crate::paths;
use crate::session::use_project;

/// How long after the last key the form is checked (milliseconds).
const CHECK_AFTER: i32 = 50;

/// Changes of these kinds change what the form is checked against.
const KINDS: &[Kind] = &[Kind::Network, Kind::Subnet, Kind::Port, Kind::Cluster];

/// The page.
#[component]
pub fn CreateCluster() -> impl IntoView {
    let project = use_project();
    let back = Signal::derive(move || paths::clusters(&project.get()));
    creating(Key::CreateCluster, Key::Clusters, back, body)
}

/// What the form is checked against, live.
fn use_form_context(project: Signal<String>, network: RwSignal<String>) -> Memo<Option<Context>> {
    let of = move |tail: &'static str| Signal::derive(move || url::of_project(&project.get(), tail));
    let anywhere = Interest::anywhere(KINDS);
    let networks = use_read::<List<NetworkRow>>(of("networks"), anywhere);
    let clusters = use_read::<List<ClusterRow>>(of("clusters"), anywhere);
    let space = use_read::<AddressSpace>(of("address-space"), anywhere);
    let subnets = use_read::<List<SubnetRow>>(
        Signal::derive(move || match network.get() {
            id if id.is_empty() => String::new(),
            id => url::of_project(&project.get(), &format!("networks/{id}/subnets")),
        }),
        anywhere,
    );
    let shadowport = use_shadowport(project);
    Memo::new(move |_| {
        Some(Context {
            space: space.data.get()?.ranges,
            networks: networks.data.get()?.items,
            subnets: subnets.data.get().map(|list| list.items).unwrap_or_default(),
            clusters: clusters
                .data
                .get()?
                .items
                .into_iter()
                .map(|cluster| cluster.name)
                .collect(),
            grant: shadowport
                .data
                .with(|page| page.as_ref().map(GrantState::of).unwrap_or_default()),
        })
    })
}

fn body() -> AnyView {
    let project = use_project();
    let toasts = use_toasts();
    let navigate = use_navigate();
    let act = use_act();
    let fields = Fields::new();
    let context = use_form_context(project, fields.network);
    let quotas = use_quotas(project);
    // Filled in once it is known what is free; text that was typed by then is kept.
    let started = RwSignal::new(false);
    Effect::new(move |_| {
        if started.get_untracked() || context.with(Option::is_none) {
            return;
        }
        started.set(true);
        let free = context.with_untracked(|context| context.as_ref().map(|context| fresh(&context.space)));
        let places = [fields.nodes, fields.pods, fields.services];
        for (place, free) in places.into_iter().zip(free.unwrap_or_default()) {
            if place.with_untracked(String::is_empty) {
                place.set(free);
            }
        }
    });
    suggest_subnet(fields, context);
    let tried = RwSignal::new(false);
    let checked = checked(fields, context);
    let needed = Memo::new(move |_| needs(&fields.typed()));
    let reached = Signal::derive(move || {
        let list = quotas.data.read();
        needed.with(|needs| quota::reached(&list.as_ref()?.items, needs))
    });
    // The server's message about a field is shown there until the form changes.
    let refused = refusals(fields, act.failure);
    let made = Callback::new(move |text: String| {
        toasts.show(tp(Key::Created1, &[("name", fields.name.get_untracked().trim())]));
        let project = project.get_untracked();
        let to = match serde_json::from_str::<One<ClusterRow>>(&text) {
            Ok(made) => paths::cluster(&project, &made.item.id.to_string()),
            Err(_) => paths::clusters(&project),
        };
        navigate(&to, Default::default());
    });
    let submit = Callback::new(move |()| {
        tried.set(true);
        let now = untrack(|| context.with(|context| context.as_ref().map(|context| check(&fields.typed(), context))));
        let body = now.as_ref().and_then(|checked| checked.body.clone());
        checked.set(now.unwrap_or_default());
        match body {
            _ if reached.with_untracked(Option::is_some) => {}
            Some(body) => {
                let project = project.get_untracked();
                let url = url::of_project(&project, "clusters");
                act.post(project, url, &body, move |text| made.run(text));
            }
            None => focus_first(),
        }
    });
    let view = Form {
        fields,
        context,
        checked,
        refused,
        tried,
    };
    let parts = vec![
        view.name(),
        view.network(),
        view.external(project),
        view.ranges(),
        view.path(),
        view.nodes(),
    ];
    making(Making {
        fields: parts,
        send: Key::CreateCluster,
        submit,
        busy: act.busy,
        failure: Signal::derive(move || act.failure.get().filter(|_| refused.with(Option::is_none))),
        barred: reached,
        back: Signal::derive(move || paths::clusters(&project.get())),
        preview: Signal::derive(move || {
            context.with(|context| {
                let context = context.as_ref();
                context
                    .map(|context| preview(&fields.typed(), context))
                    .unwrap_or_default()
            })
        }),
        quotas: Signal::derive(move || {
            let list = quotas.data.read();
            let items = list.as_ref().map(|list| list.items.as_slice()).unwrap_or_default();
            needed.with(|needs| quota::lines(items, needs))
        }),
        tools: code::OWN,
        code: Signal::derive(move || {
            checked.with(|checked| {
                let body = checked.body.as_ref();
                body.map(|body| code::cluster(&browser::origin(), &project.get(), body))
                    .unwrap_or_default()
            })
        }),
    })
}

/// Gives the first field that is wrong the focus, once it says so.
fn focus_first() {
    browser::soon(|| {
        browser::focus("main [aria-invalid=true]");
    });
}

/// The form, checked a moment after the last key.
fn checked(fields: Fields, context: Memo<Option<Context>>) -> RwSignal<Checked> {
    let checked = RwSignal::new(Checked::default());
    let turn = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let typed = fields.typed();
        context.track();
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        browser::after(CHECK_AFTER, move || {
            if turn.try_get_value() == Some(mine) {
                context.with_untracked(|context| {
                    if let Some(context) = context {
                        checked.set(check(&typed, context));
                    }
                });
            }
        });
    });
    checked
}

/// If only one subnet can be chosen, chooses it; unsets a subnet of another network.
fn suggest_subnet(fields: Fields, context: Memo<Option<Context>>) {
    Effect::new(move |_| {
        let chosen = fields.node_subnet.get_untracked();
        let ids: Vec<String> = context.with(|context| {
            let subnets = context.iter().flat_map(Context::node_subnets);
            subnets
                .filter(|subnet| room(subnet) > 0)
                .map(|subnet| subnet.id.to_string())
                .collect()
        });
        if !ids.contains(&chosen) {
            let only = Some(ids).filter(|ids| ids.len() == 1).and_then(|mut ids| ids.pop());
            fields.node_subnet.set(only.unwrap_or_default());
        }
    });
}

fn refusals(fields: Fields, failure: RwSignal<Option<Failure>>) -> Refused {
    let refused: Refused = RwSignal::new(None);
    Effect::new(move |_| {
        let failure = failure.get();
        let of_field = failure.as_ref().and_then(|failure| {
            let field = failure.field.clone().filter(|field| OWN.contains(&field.as_str()))?;
            Some((field, Message::error(failure.sentence())))
        });
        let found = of_field.is_some();
        refused.set(of_field);
        if found {
            focus_first();
        }
    });
    Effect::new(move |before: Option<Typed>| {
        let now = fields.typed();
        if before.is_some_and(|before| before != now) && refused.with_untracked(Option::is_some) {
            refused.set(None);
            failure.set(None);
        }
        now
    });
    refused
}
