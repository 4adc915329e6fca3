//! Clusters of a project, to look at.

use std::collections::HashSet;

use leptos::prelude::*;
use portolan_shared::v1::{ClusterRow, ClusterState, Kind, List};

use super::words;
use crate::api::{Interest, url, use_read};
use crate::components::nothing;
use crate::components::page::{Crumb, Figure, page_head};
use crate::i18n::{Key, format, t, tn, tnp, tp};
use crate::paths;
use crate::session::use_project;
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// What a change must be of to show here.
pub const KINDS: &[Kind] = &[Kind::Cluster, Kind::Node, Kind::Block, Kind::Port];

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Tight),
    Column::new("name", Key::Name, Align::Name),
    Column::new("network", Key::Network, Align::Start),
    Column::new("nodes", Key::Nodes, Align::Tight),
    Column::new("pods", Key::Pods, Align::End),
    Column::spare("range", Key::PodAddresses, Align::Tight),
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
                Cell::Status(tone, word, None),
                Cell::Link(cluster.name.clone(), paths::cluster(project, &id), String::new()),
                Cell::Link(
                    words::name_or_id(&cluster.network.name, &network),
                    paths::network(project, &network),
                    note.to_owned(),
                ),
                Cell::Text(ready_of(cluster)),
                Cell::Number(cluster.pods),
                Cell::Codes(vec![cluster.pod_subnet.cidr.to_string()]),
                Cell::Time(cluster.created_at.clone()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// First glance.
pub fn figures(clusters: &[ClusterRow]) -> Vec<Figure> {
    let nodes: u64 = clusters.iter().map(|cluster| cluster.nodes).sum();
    let pods: u64 = clusters.iter().map(|cluster| cluster.pods).sum();
    let away: u64 = clusters
        .iter()
        .map(|cluster| cluster.nodes.saturating_sub(cluster.nodes_ready))
        .sum();
    let mut figures = vec![
        Figure::plain(tn(Key::CountClusters, clusters.len() as u64)),
        Figure::plain(tn(Key::CountNodes, nodes)),
        Figure::plain(tn(Key::CountPods, pods)),
    ];
    let wrong = clusters
        .iter()
        .any(|cluster| matches!(cluster.state, ClusterState::Degraded | ClusterState::Down));
    if wrong && away > 0 {
        figures.push(Figure::wrong(tnp(Key::NodesNotReady, away, &[])));
    } else if nodes > 0 {
        figures.push(Figure::plain(t(Key::AllReady).to_owned()));
    }
    figures
}

/// The page.
#[component]
pub fn Clusters() -> impl IntoView {
    let project = use_project();
    let read = use_read::<List<ClusterRow>>(
        Signal::derive(move || url::of_project(&project.get(), "clusters")),
        Interest::anywhere(KINDS),
    );
    let head = page_head(
        Signal::derive(|| t(Key::Clusters).to_owned()),
        Signal::derive(|| vec![Crumb::here(t(Key::Clusters))]),
        Signal::derive(move || {
            read.data
                .with(|data| data.as_ref().map(|list| figures(&list.items)).unwrap_or_default())
        }),
        nothing(),
    );
    let list = table(TableSpec {
        name: Key::Clusters,
        kind: "cluster",
        columns: COLUMNS,
        rows: Signal::derive(move || {
            read.data
                .with(|data| data.as_ref().map(|list| rows(&list.items, &project.get())))
        }),
        failure: read.failure.into(),
        fetched: read.fetched.into(),
        again: Callback::new(move |()| read.again()),
        count: Key::CountClusters,
        empty: Key::ClustersEmpty,
        empty_action: None,
        deleted: RwSignal::new(HashSet::new()),
    });
    view! {
        {head}
        <div class="page__body">{list}</div>
    }
    .into_any()
}
