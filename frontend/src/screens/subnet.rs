//! A subnet's card: *Information* and *Ports*.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{Kind, One, PlanKind, PortKind, SubnetPurpose, SubnetRow};

use super::delete::DeleteTarget;
use super::object::{Deletion, ObjectPage, Panels, object_page};
use crate::api::{Interest, url, use_read};
use crate::components::bar::{self, bar};
use crate::components::button::head_button;
use crate::components::copy::copyable;
use crate::components::facts::{card, codes, fact, facts, link, noted, words, words_or_none};
use crate::components::page::{Crumb, Figure};
use crate::components::status::reason_view;
use crate::components::tabs::Tab;
use crate::components::time::{time, use_clock};
use crate::components::{maybe, nothing};
use crate::i18n::{Key, format, t, tn, tp};
use crate::paths;
use crate::screens::audit::kinds::Audited;
use crate::session::{use_param, use_project, use_session};

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "subnet",
    title: Key::ObjectSubnet,
    page: |project, id, _| Some(paths::subnet(project, id)),
};

/// Changes of these kinds show on the card.
const KINDS: &[Kind] = &[Kind::Subnet, Kind::Port, Kind::Network, Kind::Block, Kind::Node];

/// What the tabs of the card share.
#[derive(Clone, Copy)]
pub struct Page {
    /// The subnet.
    pub subnet: Signal<Option<SubnetRow>>,
    /// Opens *Add port*.
    pub open: Callback<()>,
    /// Whether the reader may change things.
    pub may_write: Signal<bool>,
}

/// First glance.
pub fn figures(subnet: &SubnetRow) -> Vec<Figure> {
    let used = bar::text(subnet.used, subnet.capacity);
    let used = tp(Key::UsedGlance, &[("used", &used)]);
    let room = match bar::fill(subnet.used, subnet.capacity) {
        bar::Fill::Fine => Figure::plain(used),
        _ => Figure::wrong(used),
    };
    vec![
        Figure::plain(subnet.cidr.to_string()),
        Figure::plain(t(super::words::purpose(subnet.purpose)).to_owned()),
        room,
        Figure::plain(tn(Key::CountPorts, subnet.ports)),
    ]
}

/// Why it cannot be deleted here, and why no port can be added by hand.
pub fn reasons(subnet: &SubnetRow) -> (Option<String>, Option<String>) {
    let cluster = subnet.cluster.as_ref().map_or("", |cluster| cluster.name.as_str());
    let owned = || tp(Key::OwnedByCluster, &[("cluster", cluster)]);
    match subnet.purpose {
        SubnetPurpose::General => (None, None),
        SubnetPurpose::Nodes => (Some(owned()), None),
        SubnetPurpose::Pods => (Some(owned()), Some(tp(Key::PodsOnly, &[("cluster", cluster)]))),
    }
}

/// The card around its tabs.
#[component]
pub fn Subnet() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let id = use_param("id");
    let navigate = use_navigate();
    let read = use_read::<One<SubnetRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("subnets/{}", id.get()))),
        Interest::within(KINDS, id),
    );
    let subnet = Signal::derive(move || read.data.with(|data| data.as_ref().map(|one| one.item.clone())));
    let panels = Panels::of_page();
    let to_ports = navigate.clone();
    let open = Callback::new(move |()| {
        let ports = paths::subnet_ports(&project.get_untracked(), &id.get_untracked());
        to_ports(&format!("{ports}?panel=new"), Default::default());
    });
    let may_write = Signal::derive(move || session.may_write(&project.get()));
    provide_context(Page {
        subnet,
        open,
        may_write,
    });
    let name = Signal::derive(move || {
        subnet.with(|subnet| subnet.as_ref().map_or_else(String::new, super::words::subnet_name))
    });
    let network = move || subnet.with(|subnet| subnet.as_ref().map(|subnet| subnet.network.clone()));
    let crumbs = Signal::derive(move || {
        let project = project.get();
        let mut steps = vec![Crumb::link(t(Key::Networks), paths::networks(&project))];
        if let Some(network) = network() {
            let id = network.id.to_string();
            steps.push(Crumb::link(
                super::words::name_or_id(&network.name, &id),
                paths::network(&project, &id),
            ));
        }
        steps.push(Crumb::here(name.get()));
        steps
    });
    let reasons = move || subnet.with(|subnet| subnet.as_ref().map(reasons).unwrap_or_default());
    let deleted = Callback::new(move |()| {
        let project = project.get_untracked();
        let to = match untrack(network) {
            Some(network) => paths::network(&project, &network.id.to_string()),
            None => paths::networks(&project),
        };
        navigate(&to, Default::default());
    });
    let target = move || DeleteTarget {
        kind: PlanKind::Subnet,
        name: name.get_untracked(),
        url: url::networking_one("subnets", &id.get_untracked()),
        tail: format!("subnets/{}", id.get_untracked()),
    };
    let actions = move || {
        if !may_write.get() {
            return nothing();
        }
        let (owned, pods_only) = reasons();
        vec![
            head_button(Key::Delete, false, owned, panels.delete()),
            head_button(Key::AddPort, true, pods_only, open),
        ]
        .into_any()
    };
    let tab = |title, href, count| Tab { title, href, count };
    object_page(ObjectPage {
        name,
        crumbs,
        figures: Signal::derive(move || subnet.with(|subnet| subnet.as_ref().map(figures).unwrap_or_default())),
        actions: Arc::new(actions),
        tabs: (
            Key::SubnetTabs,
            vec![
                tab(
                    Key::Information,
                    Signal::derive(move || paths::subnet(&project.get(), &id.get())),
                    Signal::stored(None),
                ),
                tab(
                    Key::Ports,
                    Signal::derive(move || paths::subnet_ports(&project.get(), &id.get())),
                    Signal::derive(move || subnet.with(|subnet| subnet.as_ref().map(|subnet| subnet.ports))),
                ),
                tab(
                    Key::History,
                    Signal::derive(move || paths::history(&paths::subnet(&project.get(), &id.get()))),
                    Signal::stored(None),
                ),
            ],
        ),
        missing: (
            Key::NoSuchSubnet,
            Signal::derive(move || paths::networks(&project.get())),
            Key::ToNetworks,
        ),
        reading: read.into(),
        panels,
        delete: Deletion {
            target: Arc::new(target),
            may: may_write,
            done: deleted,
        },
        // What adds a port is the tab's.
        panel: Callback::new(|_| None),
    })
}

/// *Information*.
#[component]
pub fn Information() -> impl IntoView {
    let project = use_project();
    let page = expect_context::<Page>();
    maybe(move || {
        let (subnet, project) = (page.subnet.get()?, project.get());
        let cards = vec![addresses(&subnet), about(&subnet, &project), used_by(&subnet)];
        Some(view! { <div class="cards">{cards}</div> }.into_any())
    })
}

/// Its addresses.
fn addresses(subnet: &SubnetRow) -> AnyView {
    let gateway = subnet.gateway.map(|gateway| gateway.to_string()).into_iter().collect();
    let pools = subnet
        .pools
        .iter()
        .map(|(first, last)| format!("{first} - {last}"))
        .collect();
    let dns = subnet.dns.iter().map(ToString::to_string).collect();
    let routes = subnet
        .routes
        .iter()
        .map(|route| format!("{} - {}", route.destination, route.next_hop))
        .collect();
    let size = tp(Key::AddressesOf, &[("all", &format::big_number(subnet.cidr.size()))]);
    let dhcp = words(t(if subnet.dhcp { Key::On } else { Key::Off }));
    let lines = vec![
        fact(Key::Cidr, noted(copyable(subnet.cidr.to_string()), words(size))),
        fact(Key::Gateway, codes(gateway, Key::NoGateway)),
        fact(Key::Pools, codes(pools, Key::None)),
        fact(Key::Dhcp, noted(dhcp, words(t(Key::DhcpHint)))),
        fact(Key::Dns, codes(dns, Key::DnsOfProvider)),
        fact(Key::Routes, codes(routes, Key::None)),
    ];
    card(Key::Addressing, facts(lines))
}

/// What else is to be known.
fn about(subnet: &SubnetRow, project: &str) -> AnyView {
    let network = subnet.network.id.to_string();
    let name = super::words::name_or_id(&subnet.network.name, &network);
    let mut lines = vec![
        fact(Key::Name, words_or_none(&subnet.name)),
        fact(Key::Id, copyable(subnet.id.to_string())),
        fact(Key::Description, words_or_none(&subnet.description)),
        fact(Key::Network, link(name, paths::network(project, &network))),
        fact(Key::Purpose, words(t(super::words::purpose(subnet.purpose)))),
    ];
    if let Some(cluster) = &subnet.cluster {
        let href = paths::cluster(project, &cluster.id.to_string());
        lines.push(fact(Key::Cluster, link(cluster.name.clone(), href)));
    }
    lines.push(fact(Key::Created, time(subnet.created_at.clone())));
    card(Key::About, facts(lines))
}

/// Who uses how many of its addresses.
fn used_by(subnet: &SubnetRow) -> AnyView {
    let mut lines: Vec<AnyView> = subnet
        .used_by
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| fact(super::words::kind(*kind), words(format::number(*count))))
        .collect();
    let known = subnet.used_by.iter().any(|(kind, _)| *kind == PortKind::Provider);
    if subnet.provider > 0 && !known {
        lines.push(fact(Key::KindProvider, words(format::number(subnet.provider))));
    }
    let bar = view! { <p class="card__lead">{bar(subnet.used, subnet.capacity, true)}</p> }.into_any();
    let reason = subnet.reason.clone();
    let reason = reason.map(|reason| reason_view("facts__warning", reason, use_clock()));
    card(
        Key::Used,
        vec![bar, reason.unwrap_or_else(nothing), facts(lines)].into_any(),
    )
}
