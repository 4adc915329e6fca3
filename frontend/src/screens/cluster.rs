//! A cluster: overview and nodes, to look at.

use std::collections::HashSet;

use leptos::prelude::*;
use leptos_router::components::Outlet;
use portolan_shared::v1::{ClusterRow, List, NodeRow, One};

use super::clusters::{KINDS, ready_of};
use super::not_found::missing;
use super::words;
use crate::api::{Interest, url, use_read};
use crate::components::bar::bar;
use crate::components::copy::copyable;
use crate::components::error::error_block;
use crate::components::page::{Crumb, Figure, glance, page_head};
use crate::components::status::status;
use crate::components::tabs::{Tab, tabs};
use crate::components::time::time;
use crate::i18n::{Key, format, t, tn, tnp, tp};
use crate::paths;
use crate::session::{use_param, use_project};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Start),
    Column::new("name", Key::Name, Align::Name),
    Column::new("ip", Key::IpAddresses, Align::Tight),
    Column::new("blocks", Key::Blocks, Align::Tight),
    Column::new("pods", Key::Pods, Align::End),
    Column::spare("applied", Key::Applied, Align::Tight),
    Column::spare("contact", Key::LastContact, Align::Tight),
    Column::spare("agent", Key::Agent, Align::Tight),
];

/// The rows of the nodes' table.
pub fn rows(nodes: &[NodeRow]) -> Vec<Row> {
    nodes
        .iter()
        .map(|node| {
            let (tone, word) = words::node_state(node.state);
            let applied = if node.applied_revision < node.wanted_revision {
                Cell::Noted(
                    format::number(node.applied_revision),
                    tp(Key::WantedRevision, &[("revision", &format::number(node.wanted_revision))]),
                )
            } else {
                Cell::Text(format::number(node.applied_revision))
            };
            let blocks = node
                .blocks
                .iter()
                .map(|block| {
                    let used = format::number(block.used);
                    let total = format::big_number(block.cidr.size());
                    tp(Key::BlockUsed, &[("cidr", &block.cidr.to_string()), ("used", &used), ("total", &total)])
                })
                .collect::<Vec<_>>();
            let cells = vec![
                Cell::Status(tone, word, node.reason.clone()),
                Cell::Text(node.name.clone()),
                Cell::Codes(node.addresses.iter().map(ToString::to_string).collect()),
                if blocks.is_empty() { Cell::Text(t(Key::NoBlocks).to_owned()) } else { Cell::Lines(blocks) },
                Cell::Number(node.pods),
                applied,
                match &node.last_contact {
                    Some(contact) => Cell::Time(contact.clone()),
                    None => Cell::Text(t(Key::Never).to_owned()),
                },
                if node.agent_version.is_empty() { Cell::Empty } else { Cell::Text(node.agent_version.clone()) },
            ];
            Row::new(node.id.to_string(), cells)
        })
        .collect()
}

/// First glance.
pub fn figures(cluster: &ClusterRow) -> Vec<Figure> {
    let away = cluster.nodes.saturating_sub(cluster.nodes_ready);
    let mut figures = vec![
        Figure::plain(tn(Key::CountNodes, cluster.nodes)),
        Figure::plain(tn(Key::CountPods, cluster.pods)),
    ];
    if away > 0 {
        figures.push(Figure::wrong(tnp(Key::NodesNotReady, away, &[])));
    } else if cluster.nodes > 0 {
        figures.push(Figure::plain(t(Key::AllReady).to_owned()));
    }
    figures
}

/// What the tabs of the page share.
#[derive(Clone, Copy)]
struct Page {
    cluster: Signal<Option<ClusterRow>>,
}

/// The page around its tabs.
#[component]
pub fn Cluster() -> impl IntoView {
    let project = use_project();
    let id = use_param("id");
    let read = use_read::<One<ClusterRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("clusters/{}", id.get()))),
        Interest::within(KINDS, id),
    );
    let cluster = Signal::derive(move || read.data.with(|data| data.as_ref().map(|one| one.item.clone())));
    provide_context(Page { cluster });
    let name = Signal::derive(move || {
        cluster.with(|cluster| cluster.as_ref().map_or_else(String::new, |cluster| cluster.name.clone()))
    });
    let gone = Memo::new(move |_| {
        read.failure.with(|failure| failure.as_ref().is_some_and(|failure| matches!(failure.status, 400 | 404)))
    });
    move || {
        if gone.get() {
            return missing(Key::NoSuchCluster, paths::clusters(&project.get()), Key::ToClusters).into_any();
        }
        view! {
            {page_head(
                name,
                Signal::derive(move || {
                    vec![Crumb::link(t(Key::Clusters), paths::clusters(&project.get())), Crumb::here(name.get())]
                }),
                glance(move || cluster.with(|cluster| cluster.as_ref().map(figures).unwrap_or_default())),
                (),
            )}
            {move || {
                read.failure
                    .get()
                    .filter(|_| read.data.with(Option::is_none))
                    .map(|failure| error_block(&failure, Some(Callback::new(move |()| read.again()))))
            }}
            {tabs(
                Key::ClusterTabs,
                vec![
                    Tab {
                        title: Key::Overview,
                        href: Signal::derive(move || paths::cluster(&project.get(), &id.get())),
                        count: Signal::stored(None),
                    },
                    Tab {
                        title: Key::Nodes,
                        href: Signal::derive(move || paths::cluster_nodes(&project.get(), &id.get())),
                        count: Signal::derive(move || {
                            cluster.with(|cluster| cluster.as_ref().map(|cluster| cluster.nodes))
                        }),
                    },
                ],
            )}
            <div class="page__body" id="tab-panel" role="tabpanel">
                <Outlet />
            </div>
        }
        .into_any()
    }
}

/// *Overview*.
#[component]
pub fn Overview() -> impl IntoView {
    let project = use_project();
    let page = expect_context::<Page>();
    move || {
        let project = project.get();
        page.cluster.get().map(|cluster| {
            let (tone, word) = words::cluster_state(cluster.state);
            let network = cluster.network.id.to_string();
            let subnet = |subnet: &portolan_shared::v1::SubnetRef| {
                let href = paths::subnet_ports(&project, &subnet.id.to_string());
                let name = if subnet.name.is_empty() { t(Key::Subnet).to_owned() } else { subnet.name.clone() };
                view! {
                    {copyable(subnet.cidr.to_string())}
                    <span class="facts__note">
                        <a href=href>{name}</a>
                    </span>
                }
            };
            let private = cluster.private_network.then(|| view! { <span class="facts__note">{t(Key::PrivateNetwork)}</span> });
            view! {
                <div class="cards">
                    <section class="card">
                        <h2 class="card__title">{t(Key::About)}</h2>
                        <dl class="facts">
                            <dt>{t(Key::Status)}</dt>
                            <dd>{status(tone, word, None)}</dd>
                            <dt>{t(Key::Nodes)}</dt>
                            <dd>{ready_of(&cluster)}</dd>
                            <dt>{t(Key::Pods)}</dt>
                            <dd>{format::number(cluster.pods)}</dd>
                            <dt>{t(Key::Network)}</dt>
                            <dd>
                                <a href=paths::network(
                                    &project,
                                    &network,
                                )>{words::name_or_id(&cluster.network.name, &network)}</a> {private}
                            </dd>
                            <dt>{t(Key::Id)}</dt>
                            <dd>{copyable(cluster.id.to_string())}</dd>
                            <dt>{t(Key::Created)}</dt>
                            <dd>{time(cluster.created_at.clone())}</dd>
                        </dl>
                    </section>
                    <section class="card">
                        <h2 class="card__title">{t(Key::Addressing)}</h2>
                        <dl class="facts">
                            <dt>{t(Key::NodeAddresses)}</dt>
                            <dd>{subnet(&cluster.node_subnet)}</dd>
                            <dt>{t(Key::PodAddresses)}</dt>
                            <dd>{subnet(&cluster.pod_subnet)}</dd>
                            <dt>{t(Key::Blocks)}</dt>
                            <dd>{bar(cluster.blocks, cluster.blocks_total, false)}</dd>
                            <dt>{t(Key::ServiceAddresses)}</dt>
                            <dd>
                                {copyable(cluster.service_range.to_string())}
                                <span class="facts__note">{t(Key::ServiceHint)}</span>
                            </dd>
                            <dt>{t(Key::PathBetween)}</dt>
                            <dd>{t(words::path(cluster.path))}</dd>
                            <dt>{t(Key::Mtu)}</dt>
                            <dd>{format::number(u64::from(cluster.mtu))}</dd>
                        </dl>
                    </section>
                </div>
            }
        })
    }
}

/// *Nodes*.
#[component]
pub fn Nodes() -> impl IntoView {
    let project = use_project();
    let id = use_param("id");
    let read = use_read::<List<NodeRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("clusters/{}/nodes", id.get()))),
        Interest::within(KINDS, id),
    );
    table(TableSpec {
        name: Key::Nodes,
        kind: "node",
        columns: COLUMNS,
        rows: Signal::derive(move || read.data.with(|data| data.as_ref().map(|list| rows(&list.items)))),
        failure: read.failure.into(),
        fetched: read.fetched.into(),
        again: Callback::new(move |()| read.again()),
        count: Key::CountNodes,
        empty: Key::NodesEmpty,
        empty_action: None,
        actions: None,
        deleted: RwSignal::new(HashSet::new()),
    })
}
