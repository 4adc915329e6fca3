//! Networks of a project.

use std::collections::HashSet;

use leptos::prelude::*;
use portolan_shared::v1::{Kind, List, NetworkRow};

use super::add_network::add_network;
use super::{address_param, words};
use crate::api::{Interest, url, use_read};
use crate::components::button::create_button;
use crate::components::page::{Crumb, Figure, page_head};
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, t, tn, tnp, tp};
use crate::paths;
use crate::session::{use_project, use_session};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// Subnets named in a row before the rest is counted.
const NAMED: usize = 2;

/// What a change must be of to show here.
const KINDS: &[Kind] = &[
    Kind::Network,
    Kind::Subnet,
    Kind::Port,
    Kind::Cluster,
    Kind::Node,
    Kind::Block,
];

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Tight),
    Column::new("name", Key::Name, Align::Name),
    Column::new("subnet", Key::Subnets, Align::Tight),
    Column::new("used", Key::Used, Align::Tight),
    Column::new("ports", Key::Ports, Align::End),
    Column::spare("cluster", Key::Cluster, Align::Start),
    Column::spare("internet", Key::Internet, Align::Start),
    Column::spare("created", Key::Created, Align::Tight),
];

/// The table's rows.
pub fn rows(networks: &[NetworkRow], project: &str) -> Vec<Row> {
    networks
        .iter()
        .map(|network| {
            let id = network.id.to_string();
            let (tone, word) = words::network_status(network.status);
            let mut subnets: Vec<String> = network
                .subnets
                .iter()
                .take(NAMED)
                .map(|subnet| format!("{} {}", subnet.name, subnet.cidr).trim().to_owned())
                .collect();
            if network.subnets.len() > NAMED {
                subnets.push(tp(Key::AndMore, &[("n", &(network.subnets.len() - NAMED).to_string())]));
            }
            let cluster = match &network.cluster {
                Some(cluster) => {
                    let note = if network.cluster_owned {
                        t(Key::MadeByCluster)
                    } else {
                        ""
                    };
                    let href = paths::cluster(project, &cluster.id.to_string());
                    Cell::Link(cluster.name.clone(), href, note.to_owned())
                }
                None => Cell::Empty,
            };
            let cells = vec![
                Cell::Status(tone, word, network.reason.clone()),
                Cell::Link(
                    words::name_or_id(&network.name, &id),
                    paths::network(project, &id),
                    network.description.clone(),
                ),
                if subnets.is_empty() {
                    Cell::Text(t(Key::NoSubnets).to_owned())
                } else {
                    Cell::Lines(subnets)
                },
                if network.subnets.is_empty() {
                    Cell::Empty
                } else {
                    Cell::Bar(network.used, network.capacity)
                },
                Cell::Number(network.ports),
                cluster,
                Cell::Text(t(if network.internet { Key::Yes } else { Key::No }).to_owned()),
                Cell::Time(network.created_at.clone()),
            ];
            Row::new(id, cells)
        })
        .collect()
}

/// First glance: how many, and what is wrong.
pub fn figures(networks: &[NetworkRow]) -> Vec<Figure> {
    let subnets: usize = networks.iter().map(|network| network.subnets.len()).sum();
    let ports: u64 = networks.iter().map(|network| network.ports).sum();
    let wrong: u64 = networks.iter().map(|network| network.ports_not_active).sum();
    let mut figures = vec![
        Figure::plain(tn(Key::CountNetworks, networks.len() as u64)),
        Figure::plain(tn(Key::CountSubnets, subnets as u64)),
        Figure::plain(tn(Key::CountPorts, ports)),
    ];
    if wrong > 0 {
        figures.push(Figure::wrong(tnp(Key::PortsNotActive, wrong, &[])));
    } else if ports > 0 {
        figures.push(Figure::plain(t(Key::AllActive).to_owned()));
    }
    figures
}

/// The page.
#[component]
pub fn Networks() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    Effect::new(move |_| crate::browser::remember("project", Some(&project.get())));
    let read = use_read::<List<NetworkRow>>(
        Signal::derive(move || url::of_project(&project.get(), "networks")),
        Interest::anywhere(KINDS),
    );
    let (panel, set_panel) = address_param("panel");
    let may_write = Signal::derive(move || session.may_write(&project.get()));
    let create = Callback::new(move |()| set_panel.set(Some("new".to_owned())));
    let close = Callback::new(move |()| set_panel.set(None));
    let names = Signal::derive(move || {
        read.data.with(|data| {
            data.iter()
                .flat_map(|list| &list.items)
                .map(|network| network.name.clone())
                .collect::<Vec<_>>()
        })
    });
    let head = page_head(
        Signal::derive(|| t(Key::Networks).to_owned()),
        Signal::derive(|| vec![Crumb::here(t(Key::Networks))]),
        Signal::derive(move || {
            read.data
                .with(|data| data.as_ref().map(|list| figures(&list.items)).unwrap_or_default())
        }),
        maybe(move || may_write.get().then(|| create_button(Key::CreateNetwork, create))),
    );
    let list = dynamic(move || {
        table(TableSpec {
            name: Key::Networks,
            kind: "network",
            columns: COLUMNS,
            rows: Signal::derive(move || {
                read.data
                    .with(|data| data.as_ref().map(|list| rows(&list.items, &project.get())))
            }),
            failure: read.failure.into(),
            fetched: read.fetched.into(),
            again: Callback::new(move |()| read.again()),
            count: Key::CountNetworks,
            empty: Key::NetworksEmpty,
            empty_action: may_write.get().then_some((Key::CreateNetwork, create)),
            deleted: RwSignal::new(HashSet::new()),
        })
    });
    let panel = maybe(move || {
        (panel.get().as_deref() == Some("new") && may_write.get()).then(|| add_network(project, names, close))
    });
    view! {
        {head}
        <div class="page__body">{list}</div>
        {panel}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use portolan_shared::status::PortStatus;
    use portolan_shared::v1::SubnetRef;

    use super::*;

    fn network(subnets: usize) -> NetworkRow {
        let id = "01930000-0000-7000-8000-000000000001";
        NetworkRow {
            id: id.parse().unwrap(),
            name: "shop".into(),
            description: String::new(),
            status: PortStatus::Active,
            reason: None,
            subnets: (0..subnets)
                .map(|n| SubnetRef {
                    id: id.parse().unwrap(),
                    name: format!("s{n}"),
                    cidr: format!("10.0.{n}.0/24").parse().unwrap(),
                })
                .collect(),
            used: 3,
            capacity: 253,
            ports: 3,
            ports_not_active: 0,
            cluster: None,
            cluster_owned: false,
            internet: false,
            shadow_port: false,
            external: false,
            mtu: 1500,
            created_at: "2026-11-21T12:04:31Z".into(),
            revision_number: 1,
        }
    }

    #[test]
    fn a_row_has_a_cell_a_column_and_names_two_subnets() {
        let rows = rows(&[network(5)], "p");
        assert_eq!(rows[0].cells.len(), COLUMNS.len());
        assert_eq!(
            rows[0].cells[2],
            Cell::Lines(vec!["s0 10.0.0.0/24".into(), "s1 10.0.1.0/24".into(), "+3".into()])
        );
    }

    #[test]
    fn the_first_glance_tells_what_is_wrong() {
        let texts = |network| {
            figures(&[network])
                .into_iter()
                .map(|figure| (figure.text, figure.wrong))
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(network(1)).last().unwrap(), &("all active".to_owned(), false));
        let wrong = NetworkRow {
            ports_not_active: 2,
            ..network(1)
        };
        assert_eq!(texts(wrong).last().unwrap(), &("2 ports not active".to_owned(), true));
    }
}
