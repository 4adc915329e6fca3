//! A subnet's card: *Information* and *Ports*.

use leptos::prelude::*;
use leptos_router::components::Outlet;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{Kind, One, SubnetPurpose, SubnetRow};

use super::delete::{Doomed, delete_panel};
use super::not_found::missing;
use super::{address_param, words};
use crate::api::{Interest, url, use_read};
use crate::components::bar::{self, bar};
use crate::components::copy::copyable;
use crate::components::error::error_block;
use crate::components::page::{Crumb, Figure, glance, head_button, page_head};
use crate::components::tabs::{Tab, tabs};
use crate::components::time::time;
use crate::i18n::{Key, format, t, tn, tp};
use crate::paths;
use crate::session::{use_param, use_project, use_session};

/// What a change must be of to show on the card.
const KINDS: &[Kind] = &[Kind::Subnet, Kind::Port, Kind::Network, Kind::Block];

/// What the tabs of the card share.
#[derive(Clone, Copy)]
pub struct Card {
    /// The subnet.
    pub subnet: Signal<Option<SubnetRow>>,
    /// Opens *Add port*.
    pub open: Callback<()>,
    /// Whether the reader may change things.
    pub may_write: Signal<bool>,
}

/// What to call it.
pub fn name_of(subnet: &SubnetRow) -> String {
    if subnet.name.is_empty() { subnet.cidr.to_string() } else { subnet.name.clone() }
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
        Figure::plain(t(words::purpose(subnet.purpose)).to_owned()),
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
    let (panel, set_panel) = address_param("panel");
    let to_ports = navigate.clone();
    let open = Callback::new(move |()| {
        let ports = paths::subnet_ports(&project.get_untracked(), &id.get_untracked());
        to_ports(&format!("{ports}?panel=new"), Default::default());
    });
    let may_write = Signal::derive(move || session.may_write(&project.get()));
    provide_context(Card { subnet, open, may_write });
    let name = Signal::derive(move || subnet.with(|subnet| subnet.as_ref().map_or_else(String::new, name_of)));
    let gone = Memo::new(move |_| {
        read.failure.with(|failure| failure.as_ref().is_some_and(|failure| matches!(failure.status, 400 | 404)))
    });
    let network = Memo::new(move |_| subnet.with(|subnet| subnet.as_ref().map(|subnet| subnet.network.clone())));
    let crumbs = Signal::derive(move || {
        let project = project.get();
        let mut steps = vec![Crumb::link(t(Key::Networks), paths::networks(&project))];
        if let Some(network) = network.get() {
            let id = network.id.to_string();
            steps.push(Crumb::link(words::name_or_id(&network.name, &id), paths::network(&project, &id)));
        }
        steps.push(Crumb::here(name.get()));
        steps
    });
    let reasons = Memo::new(move |_| subnet.with(|subnet| subnet.as_ref().map(reasons).unwrap_or_default()));
    let close = Callback::new(move |()| set_panel.set(None));
    let deleted = Callback::new(move |()| {
        let project = project.get_untracked();
        let to = match network.get_untracked() {
            Some(network) => paths::network(&project, &network.id.to_string()),
            None => paths::networks(&project),
        };
        navigate(&to, Default::default());
    });
    let doomed = move || Doomed {
        name: name.get_untracked(),
        url: url::networking_one("subnets", &id.get_untracked()),
        consequence: Key::DeleteSubnetText,
    };
    move || {
        if gone.get() {
            return missing(Key::NoSuchSubnet, paths::networks(&project.get()), Key::ToNetworks).into_any();
        }
        view! {
            {page_head(
                name,
                crumbs,
                glance(move || subnet.with(|subnet| subnet.as_ref().map(figures).unwrap_or_default())),
                move || {
                    may_write
                        .get()
                        .then(|| {
                            let (owned, pods_only) = reasons.get();
                            view! {
                                {head_button(
                                    Key::Delete,
                                    false,
                                    owned,
                                    move || set_panel.set(Some("delete".to_owned())),
                                )}
                                {head_button(Key::AddPort, true, pods_only, move || open.run(()))}
                            }
                        })
                },
            )}
            {move || {
                read.failure
                    .get()
                    .filter(|_| read.data.with(Option::is_none))
                    .map(|failure| error_block(&failure, Some(Callback::new(move |()| read.again()))))
            }}
            {tabs(
                Key::SubnetTabs,
                vec![
                    Tab {
                        title: Key::Information,
                        href: Signal::derive(move || paths::subnet(&project.get(), &id.get())),
                        count: Signal::stored(None),
                    },
                    Tab {
                        title: Key::Ports,
                        href: Signal::derive(move || paths::subnet_ports(&project.get(), &id.get())),
                        count: Signal::derive(move || {
                            subnet.with(|subnet| subnet.as_ref().map(|subnet| subnet.ports))
                        }),
                    },
                ],
            )}
            <div class="page__body" id="tab-panel" role="tabpanel">
                <Outlet />
            </div>
            {move || {
                (panel.get().as_deref() == Some("delete") && may_write.get())
                    .then(|| delete_panel(project, doomed(), close, deleted))
            }}
        }
        .into_any()
    }
}

/// *Information*.
#[component]
pub fn Information() -> impl IntoView {
    let project = use_project();
    let card = expect_context::<Card>();
    move || {
        let project = project.get();
        card.subnet.get().map(|subnet| {
            view! { <div class="cards">{addresses(&subnet)} {about(&subnet, &project)} {used_by(&subnet)}</div> }
        })
    }
}

/// Its addresses.
fn addresses(subnet: &SubnetRow) -> impl IntoView + use<> {
    let codes = |all: Vec<String>, none: Key| {
        if all.is_empty() {
            t(none).into_any()
        } else {
            let items = all.into_iter().map(|code| view! { <li>{copyable(code)}</li> }).collect_view();
            view! { <ul class="facts__list">{items}</ul> }.into_any()
        }
    };
    let gateway = subnet.gateway.map(|gateway| gateway.to_string()).into_iter().collect();
    let pools = subnet.pools.iter().map(|(first, last)| format!("{first} - {last}")).collect();
    let dns = subnet.dns.iter().map(ToString::to_string).collect();
    let routes = subnet.routes.iter().map(|route| format!("{} - {}", route.destination, route.next_hop)).collect();
    view! {
        <section class="card">
            <h2 class="card__title">{t(Key::Addressing)}</h2>
            <dl class="facts">
                <dt>{t(Key::Cidr)}</dt>
                <dd>
                    {copyable(subnet.cidr.to_string())}
                    <span class="facts__note">
                        {tp(Key::AddressesOf, &[("all", &format::big_number(subnet.cidr.size()))])}
                    </span>
                </dd>
                <dt>{t(Key::Gateway)}</dt>
                <dd>{codes(gateway, Key::NoGateway)}</dd>
                <dt>{t(Key::Pools)}</dt>
                <dd>{codes(pools, Key::None)}</dd>
                <dt>{t(Key::Dhcp)}</dt>
                <dd>
                    {t(if subnet.dhcp { Key::On } else { Key::Off })}
                    <span class="facts__note">{t(Key::DhcpHint)}</span>
                </dd>
                <dt>{t(Key::Dns)}</dt>
                <dd>{codes(dns, Key::DnsOfProvider)}</dd>
                <dt>{t(Key::Routes)}</dt>
                <dd>{codes(routes, Key::None)}</dd>
            </dl>
        </section>
    }
}

/// What else is to be known.
fn about(subnet: &SubnetRow, project: &str) -> impl IntoView + use<> {
    let network = subnet.network.id.to_string();
    let cluster = subnet.cluster.clone().map(|cluster| {
        view! {
            <dt>{t(Key::Cluster)}</dt>
            <dd>
                <a href=paths::cluster(project, &cluster.id.to_string())>{cluster.name}</a>
            </dd>
        }
    });
    view! {
        <section class="card">
            <h2 class="card__title">{t(Key::About)}</h2>
            <dl class="facts">
                <dt>{t(Key::Name)}</dt>
                <dd>{if subnet.name.is_empty() { t(Key::None).to_owned() } else { subnet.name.clone() }}</dd>
                <dt>{t(Key::Id)}</dt>
                <dd>{copyable(subnet.id.to_string())}</dd>
                <dt>{t(Key::Description)}</dt>
                <dd>
                    {if subnet.description.is_empty() { t(Key::None).to_owned() } else { subnet.description.clone() }}
                </dd>
                <dt>{t(Key::Network)}</dt>
                <dd>
                    <a href=paths::network(project, &network)>{words::name_or_id(&subnet.network.name, &network)}</a>
                </dd>
                <dt>{t(Key::Purpose)}</dt>
                <dd>{t(words::purpose(subnet.purpose))}</dd>
                {cluster}
                <dt>{t(Key::Created)}</dt>
                <dd>{time(subnet.created_at.clone())}</dd>
            </dl>
        </section>
    }
}

/// Who uses how many of its addresses.
fn used_by(subnet: &SubnetRow) -> impl IntoView + use<> {
    let mut kinds: Vec<(String, u64)> = subnet
        .used_by
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (t(words::kind(*kind)).to_owned(), *count))
        .collect();
    let known = subnet.used_by.iter().any(|(kind, _)| *kind == portolan_shared::v1::PortKind::Provider);
    if subnet.provider > 0 && !known {
        kinds.push((t(Key::KindProvider).to_owned(), subnet.provider));
    }
    let rows = kinds
        .into_iter()
        .map(|(kind, count)| view! { <dt>{kind}</dt> <dd>{format::number(count)}</dd> })
        .collect_view();
    view! {
        <section class="card">
            <h2 class="card__title">{t(Key::Used)}</h2>
            <p class="card__lead">{bar(subnet.used, subnet.capacity, true)}</p>
            <dl class="facts">{rows}</dl>
        </section>
    }
}
