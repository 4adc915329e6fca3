//! Clusters of a project.

use leptos::prelude::*;
use portolan_shared::v1::{ClusterRow, ClusterState, Kind, List};

use super::list::{Create, list_page};
use super::words;
use crate::api::{Interest, url, use_read};
use crate::components::icon::Icon;
use crate::components::menu::{Area, MenuEntry};
use crate::components::page::Figure;
use crate::components::summary::summary;
use crate::i18n::{Key, format, t, tn, tp};
use crate::paths;
use crate::screens::Editing;
use crate::session::use_project;
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec};

/// Its entry in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Project,
    path: "clusters",
    others: &[],
    title: Key::Clusters,
    icon: Icon::Cluster,
    key: Some("c"),
    view: || Editing::Clusters.view(),
};

/// Changes of these kinds show here.
pub const KINDS: &[Kind] = &[Kind::Cluster, Kind::Node, Kind::Block, Kind::Port];

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Tight),
    Column::new("name", Key::Name, Align::Name),
    Column::new("network", Key::Network, Align::Start),
    Column::new("nodes", Key::Nodes, Align::Tight),
    Column::new("pods", Key::Pods, Align::End),
    Column::spare("range", Key::PodAddresses, Align::Tight),
    Column::spare("external", Key::ExternalIp, Align::Tight),
    Column::spare("created", Key::Created, Align::Tight),
];

/// `5 ready of 6`.
pub fn ready_of(cluster: &ClusterRow) -> String {
    let (ready, nodes) = (format::number(cluster.nodes_ready), format::number(cluster.nodes));
    tp(Key::ReadyOf, &[("ready", &ready), ("nodes", &nodes)])
}

/// The table's rows.
pub fn rows(clusters: &[ClusterRow], project: &str) -> Vec<Row> {
    clusters
        .iter()
        .map(|cluster| {
            let id = cluster.id.to_string();
            let (tone, word) = words::cluster_state(cluster.state);
            let note = if cluster.private_network {
                t(Key::PrivateNetwork)
            } else {
                ""
            };
            let network = cluster.network.id.to_string();
            let cells = vec![
                Cell::Status(tone, word, cluster.reason.clone()),
                Cell::Link(cluster.name.clone(), paths::cluster(project, &id), String::new()),
                Cell::Link(
                    words::name_or_id(&cluster.network.name, &network),
                    paths::network(project, &network),
                    note.to_owned(),
                ),
                Cell::Text(ready_of(cluster)),
                Cell::Number(cluster.pods),
                Cell::Codes(vec![cluster.pod_subnet.cidr.to_string()]),
                match &cluster.external_ip {
                    Some(external) if external.carried => Cell::Codes(vec![external.address.to_string()]),
                    Some(external) => Cell::Noted(external.address.to_string(), t(Key::NotCarried).to_owned()),
                    None => Cell::Text(t(Key::No).to_owned()),
                },
                Cell::Time(cluster.created_at.clone()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// Nodes that should be ready and are not: those that have not joined yet are on their way.
pub fn away(cluster: &ClusterRow) -> u64 {
    match cluster.state {
        ClusterState::Degraded | ClusterState::Down => cluster.nodes.saturating_sub(cluster.nodes_ready),
        ClusterState::Empty | ClusterState::Creating | ClusterState::Ready => 0,
    }
}

/// First glance.
pub fn figures(clusters: &[ClusterRow]) -> Vec<Figure> {
    let nodes: u64 = clusters.iter().map(|cluster| cluster.nodes).sum();
    let pods: u64 = clusters.iter().map(|cluster| cluster.pods).sum();
    let away: u64 = clusters.iter().map(away).sum();
    let ready: u64 = clusters.iter().map(|cluster| cluster.nodes_ready).sum();
    let counts = vec![
        tn(Key::CountClusters, clusters.len() as u64),
        tn(Key::CountNodes, nodes),
        tn(Key::CountPods, pods),
    ];
    let wrong = (away > 0).then(|| tn(Key::NodesNotReady, away));
    summary(counts, wrong, (nodes > 0 && ready == nodes).then_some(Key::AllReady))
}

/// The page.
#[component]
pub fn Clusters() -> impl IntoView {
    let project = use_project();
    let read = use_read::<List<ClusterRow>>(
        Signal::derive(move || url::of_project(&project.get(), "clusters")),
        Interest::anywhere(KINDS),
    );
    let figures = Signal::derive(move || {
        read.data
            .with(|data| data.as_ref().map(|list| figures(&list.items)).unwrap_or_default())
    });
    let create = Create {
        label: Key::CreateCluster,
        page: paths::cluster_new,
        needs: vec![("cluster", 1)],
    };
    list_page(Key::Clusters, figures, Some(create), move || TableSpec {
        name: Key::Clusters,
        kind: "cluster",
        columns: COLUMNS,
        count: Key::CountClusters,
        empty: Key::ClustersEmpty,
        ..TableSpec::of(read, move |items| rows(items, &project.get()))
    })
}
