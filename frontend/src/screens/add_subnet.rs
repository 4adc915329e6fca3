//! *Add subnet*: a panel that shows, while one types, what the server would answer.

use gloo_net::http::Method;
use leptos::prelude::*;
use portolan_shared::v1::{AddressSpace, NetworkRow};

use crate::api::bodies::CreateSubnet;
use crate::api::{self, Failure, url};
use crate::browser;
use crate::components::button::icon_button;
use crate::components::code::show_as_code;
use crate::components::error::form_error;
use crate::components::field::{LINE, Look, Message, check_field, text_field};
use crate::components::icon::Icon;
use crate::components::panel::{Closing, form, form_foot, panel};
use crate::components::ranges::range_remarks;
use crate::components::toast::use_toasts;
use crate::forms::code;
use crate::forms::subnet::{Checked, Typed, check, fresh, stepped};
use crate::i18n::{Key, t, tp};
use crate::session::use_session;

/// How long after the last key the form is checked (milliseconds).
const CHECK_AFTER: i32 = 50;

/// The form's fields as signals.
#[derive(Clone, Copy)]
struct Fields {
    name: RwSignal<String>,
    cidr: RwSignal<String>,
    gateway: RwSignal<String>,
    no_gateway: RwSignal<bool>,
    dhcp: RwSignal<bool>,
    pools: RwSignal<String>,
    dns: RwSignal<String>,
    routes: RwSignal<String>,
    description: RwSignal<String>,
}

impl Fields {
    fn new() -> Self {
        let text = || RwSignal::new(String::new());
        Self {
            name: text(),
            cidr: text(),
            gateway: text(),
            no_gateway: RwSignal::new(false),
            dhcp: RwSignal::new(true),
            pools: text(),
            dns: text(),
            routes: text(),
            description: text(),
        }
    }

    fn typed(self) -> Typed {
        Typed {
            name: self.name.get(),
            cidr: self.cidr.get(),
            gateway: self.gateway.get(),
            no_gateway: self.no_gateway.get(),
            dhcp: self.dhcp.get(),
            pools: self.pools.get(),
            dns: self.dns.get(),
            routes: self.routes.get(),
            description: self.description.get(),
        }
    }
}

/// The panel, over the page of `network`. `space` is asked for by the page, and live.
pub fn add_subnet(
    project: Signal<String>,
    network: Signal<Option<NetworkRow>>,
    space: Signal<Option<AddressSpace>>,
    close: Callback<()>,
) -> AnyView {
    let session = use_session();
    let toasts = use_toasts();
    let fields = Fields::new();
    let start = RwSignal::new(None::<Typed>);
    let names = move || {
        network.with(|network| {
            network
                .iter()
                .flat_map(|network| &network.subnets)
                .map(|subnet| subnet.name.clone())
                .collect::<Vec<_>>()
        })
    };
    // Filled in once both are known; text that was typed by then is kept.
    Effect::new(move |_| {
        if start.with_untracked(Option::is_some) || network.with(Option::is_none) || space.with(Option::is_none) {
            return;
        }
        let form = space.with_untracked(|space| {
            fresh(
                space.as_ref().map(|space| space.ranges.as_slice()).unwrap_or_default(),
                &names(),
            )
        });
        if fields.name.with_untracked(String::is_empty) {
            fields.name.set(form.name.clone());
        }
        if fields.cidr.with_untracked(String::is_empty) {
            fields.cidr.set(form.cidr.clone());
        }
        start.set(Some(form));
    });

    let look = move |typed: &Typed| {
        let names = network.with_untracked(|network| {
            network
                .iter()
                .flat_map(|network| &network.subnets)
                .map(|subnet| subnet.name.clone())
                .collect::<Vec<_>>()
        });
        let id = network.with_untracked(|network| network.as_ref().map(|network| network.id));
        space.with_untracked(|space| {
            check(
                typed,
                id,
                space.as_ref().map(|space| space.ranges.as_slice()).unwrap_or_default(),
                &names,
            )
        })
    };
    let checked = RwSignal::new(Checked::default());
    let turn = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let typed = fields.typed();
        space.track();
        network.track();
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        browser::after(CHECK_AFTER, move || {
            if turn.try_get_value() == Some(mine) && start.with_untracked(Option::is_some) {
                checked.set(look(&typed));
            }
        });
    });
    let dirty = Signal::derive(move || start.get().is_some_and(|start| start != fields.typed()));
    let closing = Closing::new(dirty, close);
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));

    let submit = Callback::new(move |()| {
        if busy.get_untracked() || start.with_untracked(Option::is_none) {
            return;
        }
        let now = untrack(|| look(&fields.typed()));
        let spec = now.spec.clone();
        checked.set(now);
        let (Some(spec), Some(network)) = (spec, network.get_untracked()) else {
            browser::soon(|| {
                browser::focus(".panel [aria-invalid=true]");
            });
            return;
        };
        busy.set(true);
        failure.set(None);
        leptos::task::spawn_local(async move {
            let id = network.id.to_string();
            let body = CreateSubnet::new(&id, &spec);
            let project = project.get_untracked();
            let answer = api::send(
                session,
                &project,
                Method::POST,
                &url::networking("subnets"),
                Some(&body),
            )
            .await;
            busy.try_set(false);
            match answer {
                Ok(_) => {
                    toasts.show(tp(Key::Created1, &[("name", &spec.name)]));
                    // The panel may be gone by now.
                    close.try_run(());
                }
                Err(error) => {
                    failure.try_set(Some(error));
                    browser::soon(|| {
                        browser::focus(".panel input");
                    });
                }
            }
        });
    });
    let said = move |pick: fn(&Checked) -> &Option<Message>| {
        Signal::derive(move || checked.with(|checked| pick(checked).clone()))
    };
    let step = move |larger: bool| {
        let next = space.with_untracked(|space| {
            let ranges = space.as_ref().map(|space| space.ranges.as_slice()).unwrap_or_default();
            stepped(&fields.cidr.get_untracked(), larger, ranges)
        });
        if let Some(next) = next {
            fields.cidr.set(next.to_string());
        }
    };
    let stepper = view! {
        <div class="field field--narrow">
            <span class="field__label" id="size-label">{t(Key::Size)}</span>
            <div class="stepper" role="group" aria-labelledby="size-label">
                {icon_button("button button--icon", Icon::Minus, Key::Smaller, Callback::new(move |()| step(false)))}
                {icon_button("button button--icon", Icon::Plus, Key::Larger, Callback::new(move |()| step(true)))}
            </div>
        </div>
    };
    let mono = Look {
        mono: true,
        optional: true,
        ..LINE
    };
    let cidr = text_field(
        "cidr",
        Key::Cidr,
        Look { mono: true, ..LINE },
        fields.cidr,
        said(|c| &c.cidr.message),
        None,
    );
    let cidr = view! {
        <div class="field">
            <div class="field-row">{cidr} {stepper}</div>
            {range_remarks(Signal::derive(move || checked.with(|checked| checked.cidr.clone())), fields.cidr, "cidr", Key::ThisSubnet)}
        </div>
    }
    .into_any();
    let code = Signal::derive(move || {
        let network = network.with(|network| network.as_ref().map(|network| network.id.to_string()));
        checked.with(|checked| match (network, &checked.spec) {
            (Some(network), Some(spec)) => code::subnet(&browser::origin(), &network, spec),
            _ => Vec::new(),
        })
    });
    let body = form(
        vec![
            form_error(failure),
            text_field(
                "name",
                Key::Name,
                Look { first: true, ..LINE },
                fields.name,
                said(|c| &c.name),
                None,
            ),
            cidr,
            text_field(
                "gateway_ip",
                Key::Gateway,
                mono,
                fields.gateway,
                said(|c| &c.gateway),
                Some(Key::GatewayHint),
            ),
            check_field(Key::NoGateway, None, fields.no_gateway),
            check_field(Key::Dhcp, Some(Key::DhcpHint), fields.dhcp),
            text_field(
                "allocation_pools",
                Key::Pools,
                Look { lines: 2, ..mono },
                fields.pools,
                said(|c| &c.pools),
                Some(Key::PoolsHint),
            ),
            text_field(
                "dns_nameservers",
                Key::Dns,
                mono,
                fields.dns,
                said(|c| &c.dns),
                Some(Key::DnsHint),
            ),
            text_field(
                "host_routes",
                Key::Routes,
                Look { lines: 2, ..mono },
                fields.routes,
                said(|c| &c.routes),
                Some(Key::RoutesHint),
            ),
            text_field(
                "description",
                Key::Description,
                Look { optional: true, ..LINE },
                fields.description,
                said(|c| &c.description),
                None,
            ),
            show_as_code(code::ALL, code),
        ],
        submit,
    );
    let foot = Box::new(move || form_foot(Key::CreateSubnet, busy, submit, closing));
    panel(Signal::derive(|| t(Key::AddSubnet).to_owned()), closing, body, foot)
}
