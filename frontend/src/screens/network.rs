//! A network: its subnets, and what is to be known of it.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{AddressSpace, Kind, List, NetworkRow, One, PlanKind, SubnetRow};

use super::delete::DeleteTarget;
use super::object::{Deletion, ObjectPage, Panels, object_page};
use super::panels::Panel;
use crate::api::{Interest, Read, url, use_read};
use crate::components::button::{create_button, head_button};
use crate::components::copy::copyable;
use crate::components::error::notice;
use crate::components::facts::{fact, facts, link, noted, words, words_or_none};
use crate::components::page::{Crumb, Figure};
use crate::components::status::status;
use crate::components::summary::summary;
use crate::components::tabs::Tab;
use crate::components::time::time;
use crate::components::{dynamic, maybe, nothing};
use crate::i18n::{Key, t, tn, tp};
use crate::paths;
use crate::screens::audit::kinds::Audited;
use crate::session::{use_param, use_project, use_session};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "network",
    title: Key::ObjectNetwork,
    page: |project, id, _| Some(paths::network(project, id)),
};

/// Changes of these kinds show on the network's page.
const KINDS: &[Kind] = &[
    Kind::Network,
    Kind::Subnet,
    Kind::Port,
    Kind::Cluster,
    Kind::Node,
    Kind::Block,
];
/// Changes of these kinds change which addresses are used.
const SPACE: &[Kind] = &[Kind::Subnet, Kind::Cluster, Kind::Network];

const COLUMNS: &[Column] = &[
    Column::new("name", Key::Name, Align::Name),
    Column::new("cidr", Key::Cidr, Align::Tight),
    Column::spare("gateway", Key::Gateway, Align::Tight),
    Column::spare("dhcp", Key::Dhcp, Align::Start),
    Column::spare("dns", Key::Dns, Align::Start),
    Column::spare("pools", Key::Pools, Align::Tight),
    Column::new("used", Key::Used, Align::Tight),
    Column::new("ports", Key::Ports, Align::End),
];

/// Opens the panel that adds a subnet.
const NEW: &str = "new";

/// The rows of the subnets' table.
pub fn rows(subnets: &[SubnetRow], project: &str) -> Vec<Row> {
    subnets
        .iter()
        .map(|subnet| {
            let id = subnet.id.to_string();
            let cells = vec![
                Cell::Link(
                    super::words::name_or_id(&subnet.name, &id),
                    paths::subnet(project, &id),
                    t(super::words::purpose(subnet.purpose)).to_owned(),
                ),
                Cell::Codes(vec![subnet.cidr.to_string()]),
                match subnet.gateway {
                    Some(gateway) => Cell::Codes(vec![gateway.to_string()]),
                    None => Cell::Text(t(Key::NoGateway).to_owned()),
                },
                Cell::Text(t(if subnet.dhcp { Key::On } else { Key::Off }).to_owned()),
                if subnet.dns.is_empty() {
                    Cell::Text(t(Key::DnsOfProvider).to_owned())
                } else {
                    Cell::Codes(subnet.dns.iter().map(ToString::to_string).collect())
                },
                Cell::Lines(
                    subnet
                        .pools
                        .iter()
                        .map(|(first, last)| format!("{first} – {last}"))
                        .collect(),
                ),
                Cell::Bar(subnet.used, subnet.capacity),
                Cell::Number(subnet.ports),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// First glance.
pub fn figures(network: &NetworkRow) -> Vec<Figure> {
    let mut counts = vec![
        tn(Key::CountSubnets, network.subnets.len() as u64),
        tn(Key::CountPorts, network.ports),
    ];
    if network.capacity > 0 {
        let used = crate::components::bar::text(network.used, network.capacity);
        counts.push(tp(Key::UsedGlance, &[("used", &used)]));
    }
    let wrong = (network.ports_not_active > 0).then(|| tn(Key::PortsNotActive, network.ports_not_active));
    summary(counts, wrong, (network.ports > 0).then_some(Key::AllActive))
}

/// What the tabs of the page share.
#[derive(Clone, Copy)]
struct Page {
    network: Signal<Option<NetworkRow>>,
    open: Callback<()>,
    may_write: Signal<bool>,
}

/// The page around its tabs.
#[component]
pub fn Network() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let id = use_param("id");
    let navigate = use_navigate();
    let read = use_read::<One<NetworkRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("networks/{}", id.get()))),
        Interest::within(KINDS, id),
    );
    let network = Signal::derive(move || read.data.with(|data| data.as_ref().map(|one| one.item.clone())));
    let panels = Panels::of_page();
    let open = panels.opener(NEW);
    // Only an administrator may change what the provider provides.
    let provided = Memo::new(move |_| network.with(|network| network.as_ref().is_some_and(|network| network.external)));
    let may_write =
        Signal::derive(move || session.may_write(&project.get()) && (!provided.get() || session.is_admin()));
    provide_context(Page {
        network,
        open,
        may_write,
    });
    let name = Signal::derive(move || {
        network.with(|network| {
            network.as_ref().map_or_else(String::new, |network| {
                super::words::name_or_id(&network.name, &network.id.to_string())
            })
        })
    });
    let owner = move || {
        network.with(|network| {
            let network = network.as_ref().filter(|network| network.cluster_owned)?;
            network.cluster.as_ref().map(|cluster| cluster.name.clone())
        })
    };
    let deleted = Callback::new(move |()| navigate(&paths::networks(&project.get_untracked()), Default::default()));
    let target = move || DeleteTarget {
        kind: PlanKind::Network,
        name: name.get_untracked(),
        url: url::networking_one("networks", &id.get_untracked()),
        tail: format!("networks/{}", id.get_untracked()),
    };
    let actions = move || {
        if !may_write.get() {
            return nothing();
        }
        let owned = owner().map(|cluster| tp(Key::OwnedByCluster, &[("cluster", &cluster)]));
        vec![
            head_button(Key::Delete, false, owned, panels.delete()),
            create_button(Key::AddSubnet, open),
        ]
        .into_any()
    };
    let panel = move |name: String| {
        (name == NEW && may_write.get()).then(|| {
            Panel::AddSubnet {
                project,
                network,
                space: space(project),
                close: panels.close(),
            }
            .view()
        })
    };
    let tab = |title, href, count| Tab { title, href, count };
    object_page(ObjectPage {
        name,
        crumbs: Signal::derive(move || {
            vec![
                Crumb::link(t(Key::Networks), paths::networks(&project.get())),
                Crumb::here(name.get()),
            ]
        }),
        figures: Signal::derive(move || network.with(|network| network.as_ref().map(figures).unwrap_or_default())),
        actions: Arc::new(actions),
        tabs: (
            Key::NetworkTabs,
            vec![
                tab(
                    Key::Subnets,
                    Signal::derive(move || paths::network(&project.get(), &id.get())),
                    Signal::derive(move || {
                        network.with(|network| network.as_ref().map(|network| network.subnets.len() as u64))
                    }),
                ),
                tab(
                    Key::Information,
                    Signal::derive(move || paths::network_settings(&project.get(), &id.get())),
                    Signal::stored(None),
                ),
                tab(
                    Key::History,
                    Signal::derive(move || paths::history(&paths::network(&project.get(), &id.get()))),
                    Signal::stored(None),
                ),
            ],
        ),
        missing: (
            Key::NoSuchNetwork,
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
        panel: Callback::new(panel),
    })
}

/// Everything in the project that uses addresses, live while the panel is open.
fn space(project: Signal<String>) -> Signal<Option<AddressSpace>> {
    let read: Read<AddressSpace> = use_read(
        Signal::derive(move || url::of_project(&project.get(), "address-space")),
        Interest::anywhere(SPACE),
    );
    read.data.into()
}

/// *Subnets*.
#[component]
pub fn Subnets() -> impl IntoView {
    let project = use_project();
    let id = use_param("id");
    let page = expect_context::<Page>();
    let read = use_read::<List<SubnetRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("networks/{}/subnets", id.get()))),
        Interest::within(KINDS, id),
    );
    dynamic(move || {
        table(TableSpec {
            name: Key::Subnets,
            kind: "subnet",
            columns: COLUMNS,
            count: Key::CountSubnets,
            empty: Key::SubnetsEmpty,
            empty_action: page.may_write.get().then_some((Key::AddSubnet, page.open)),
            ..TableSpec::of(read, move |items| rows(items, &project.get()))
        })
    })
}

/// *Settings*: what is to be known; nothing to change yet.
#[component]
pub fn Settings() -> impl IntoView {
    let project = use_project();
    let page = expect_context::<Page>();
    maybe(move || {
        let network = page.network.get()?;
        let provided = network.external.then(|| notice(t(Key::ProvidedNotice).to_owned()));
        Some(view! { {provided} {settings(&network, &project.get())} }.into_any())
    })
}

/// What is to be known of a network.
fn settings(network: &NetworkRow, project: &str) -> AnyView {
    let (tone, word) = super::words::network_status(network.status);
    let mut lines = vec![
        fact(Key::Status, status(tone, word, network.reason.clone())),
        fact(Key::Id, copyable(network.id.to_string())),
        fact(Key::Description, words_or_none(&network.description)),
        fact(Key::Internet, words(t(super::networks::internet(network)))),
        fact(Key::Mtu, words(network.mtu.to_string())),
    ];
    if let Some(cluster) = &network.cluster {
        let mut value = link(cluster.name.clone(), paths::cluster(project, &cluster.id.to_string()));
        if network.cluster_owned {
            value = noted(value, words(t(Key::MadeByCluster)));
        }
        lines.push(fact(Key::Cluster, value));
    }
    lines.push(fact(Key::Created, time(network.created_at.clone())));
    view! { <section class="card">{facts(lines)}</section> }.into_any()
}

#[cfg(test)]
mod tests {
    use portolan_shared::v1::SubnetPurpose;

    use super::*;

    /// A subnet for tests of rows.
    pub(crate) fn subnet() -> SubnetRow {
        let id = "01930000-0000-7000-8000-000000000001";
        SubnetRow {
            id: id.parse().unwrap(),
            name: String::new(),
            description: String::new(),
            network: portolan_shared::v1::Ref {
                id: id.parse().unwrap(),
                name: "shop".into(),
            },
            cidr: "10.0.0.0/24".parse().unwrap(),
            gateway: None,
            dhcp: true,
            dns: vec![],
            pools: vec![("10.0.0.2".parse().unwrap(), "10.0.0.9".parse().unwrap())],
            routes: vec![],
            used: 1,
            provider: 0,
            capacity: 8,
            ports: 1,
            used_by: vec![],
            purpose: SubnetPurpose::General,
            reason: None,
            cluster: None,
            created_at: "2026-11-21T12:04:31Z".into(),
            revision_number: 1,
        }
    }

    #[test]
    fn a_row_says_in_words_what_is_not_there() {
        let rows = rows(&[subnet()], "p");
        assert_eq!(rows[0].cells.len(), COLUMNS.len());
        assert_eq!(rows[0].cells[2], Cell::Text("No gateway".into()));
        assert_eq!(rows[0].cells[4], Cell::Text("Provider's".into()));
        assert!(matches!(&rows[0].cells[0], Cell::Link(name, _, _) if name == "01930000"));
    }
}
