//! A cluster: overview and nodes, to look at.

use std::collections::HashSet;
use std::sync::Arc;

use leptos::prelude::*;
use portolan_shared::v1::{ClusterRow, List, NodeRow, One, SubnetRef};

use super::clusters::{KINDS, ready_of};
use super::object::{ObjectPage, object_page};
use crate::api::{Interest, url, use_read};
use crate::components::bar::bar;
use crate::components::copy::copyable;
use crate::components::facts::{card, fact, facts, link, noted, words};
use crate::components::page::{Crumb, Figure};
use crate::components::status::status;
use crate::components::tabs::Tab;
use crate::components::time::time;
use crate::components::{maybe, nothing};
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
            let (tone, word) = super::words::node_state(node.state);
            let applied = if node.applied_revision < node.wanted_revision {
                Cell::Noted(
                    format::number(node.applied_revision),
                    tp(
                        Key::WantedRevision,
                        &[("revision", &format::number(node.wanted_revision))],
                    ),
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
                    tp(
                        Key::BlockUsed,
                        &[("cidr", &block.cidr.to_string()), ("used", &used), ("total", &total)],
                    )
                })
                .collect::<Vec<_>>();
            let cells = vec![
                Cell::Status(tone, word, node.reason.clone()),
                Cell::Text(node.name.clone()),
                Cell::Codes(node.addresses.iter().map(ToString::to_string).collect()),
                if blocks.is_empty() {
                    Cell::Text(t(Key::NoBlocks).to_owned())
                } else {
                    Cell::Lines(blocks)
                },
                Cell::Number(node.pods),
                applied,
                match &node.last_contact {
                    Some(contact) => Cell::Time(contact.clone()),
                    None => Cell::Text(t(Key::Never).to_owned()),
                },
                if node.agent_version.is_empty() {
                    Cell::Empty
                } else {
                    Cell::Text(node.agent_version.clone())
                },
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
        cluster.with(|cluster| {
            cluster
                .as_ref()
                .map_or_else(String::new, |cluster| cluster.name.clone())
        })
    });
    let tab = |title, href, count| Tab { title, href, count };
    object_page(ObjectPage {
        name,
        crumbs: Signal::derive(move || {
            vec![
                Crumb::link(t(Key::Clusters), paths::clusters(&project.get())),
                Crumb::here(name.get()),
            ]
        }),
        figures: Signal::derive(move || cluster.with(|cluster| cluster.as_ref().map(figures).unwrap_or_default())),
        actions: Arc::new(nothing),
        tabs: (
            Key::ClusterTabs,
            vec![
                tab(
                    Key::Overview,
                    Signal::derive(move || paths::cluster(&project.get(), &id.get())),
                    Signal::stored(None),
                ),
                tab(
                    Key::Nodes,
                    Signal::derive(move || paths::cluster_nodes(&project.get(), &id.get())),
                    Signal::derive(move || cluster.with(|cluster| cluster.as_ref().map(|cluster| cluster.nodes))),
                ),
            ],
        ),
        missing: (
            Key::NoSuchCluster,
            Signal::derive(move || paths::clusters(&project.get())),
            Key::ToClusters,
        ),
        reading: read.into(),
        panel: Arc::new(|| None),
    })
}

/// *Overview*.
#[component]
pub fn Overview() -> impl IntoView {
    let project = use_project();
    let page = expect_context::<Page>();
    maybe(move || Some(overview(&page.cluster.get()?, &project.get())))
}

/// What is to be known of a cluster.
fn overview(cluster: &ClusterRow, project: &str) -> AnyView {
    let (tone, word) = super::words::cluster_state(cluster.state);
    let network = cluster.network.id.to_string();
    let subnet = |subnet: &SubnetRef| {
        let href = paths::subnet_ports(project, &subnet.id.to_string());
        let name = if subnet.name.is_empty() {
            t(Key::Subnet).to_owned()
        } else {
            subnet.name.clone()
        };
        noted(copyable(subnet.cidr.to_string()), link(name, href))
    };
    let mut network = link(
        super::words::name_or_id(&cluster.network.name, &network),
        paths::network(project, &network),
    );
    if cluster.private_network {
        network = noted(network, words(t(Key::PrivateNetwork)));
    }
    let about = facts(vec![
        fact(Key::Status, status(tone, word, None)),
        fact(Key::Nodes, words(ready_of(cluster))),
        fact(Key::Pods, words(format::number(cluster.pods))),
        fact(Key::Network, network),
        fact(Key::Id, copyable(cluster.id.to_string())),
        fact(Key::Created, time(cluster.created_at.clone())),
    ]);
    let addressing = facts(vec![
        fact(Key::NodeAddresses, subnet(&cluster.node_subnet)),
        fact(Key::PodAddresses, subnet(&cluster.pod_subnet)),
        fact(Key::Blocks, bar(cluster.blocks, cluster.blocks_total, false)),
        fact(
            Key::ServiceAddresses,
            noted(copyable(cluster.service_range.to_string()), words(t(Key::ServiceHint))),
        ),
        fact(Key::PathBetween, words(t(super::words::path(cluster.path)))),
        fact(Key::Mtu, words(format::number(u64::from(cluster.mtu)))),
    ]);
    view! { <div class="cards">{card(Key::About, about)} {card(Key::Addressing, addressing)}</div> }.into_any()
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
        deleted: RwSignal::new(HashSet::new()),
    })
}
