//! Networks of a project.

use leptos::prelude::*;
use portolan_shared::v1::{Kind, List, NetworkRow};

use super::list::{Create, list_page};
use super::words;
use crate::api::{Interest, url, use_read};
use crate::components::icon::Icon;
use crate::components::menu::{Area, MenuEntry};
use crate::components::page::Figure;
use crate::components::summary::summary;
use crate::i18n::{Key, t, tn, tp};
use crate::paths;
use crate::session::use_project;
use crate::table::cell::Align;
use crate::table::{Cell, Column, Fold, Row, TableSpec};

/// Its entry in the menu.
pub(crate) const ENTRY: MenuEntry = MenuEntry {
    area: Area::Project,
    path: "networks",
    others: &["subnets", "ports"],
    title: Key::Networks,
    icon: Icon::Network,
    key: Some("n"),
    view: || Networks().into_any(),
};

/// Subnets named in a row before the rest is counted.
const NAMED: usize = 2;

/// Changes of these kinds show here.
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
                Cell::Text(t(internet(network)).to_owned()),
                Cell::Time(network.created_at.clone()),
            ];
            let mut row = Row::new(id, cells);
            if network.external {
                row.fold = Some(Fold {
                    anchor: "provided".to_owned(),
                    label: t(Key::ProvidedNetworks).to_owned(),
                    count: Key::CountNetworks,
                    closed: true,
                });
            }
            row
        })
        .collect()
}

/// The word for where a network's machines may go.
pub fn internet(network: &NetworkRow) -> Key {
    match (network.internet, network.shadow_port) {
        (true, _) => Key::Yes,
        (false, true) => Key::ServicesOnly,
        (false, false) => Key::No,
    }
}

/// First glance: how many, and what is wrong. The provider's networks are not counted.
pub fn figures(networks: &[NetworkRow]) -> Vec<Figure> {
    let own = || networks.iter().filter(|network| !network.external);
    let subnets: usize = own().map(|network| network.subnets.len()).sum();
    let ports: u64 = own().map(|network| network.ports).sum();
    let wrong: u64 = own().map(|network| network.ports_not_active).sum();
    let counts = vec![
        tn(Key::CountNetworks, own().count() as u64),
        tn(Key::CountSubnets, subnets as u64),
        tn(Key::CountPorts, ports),
    ];
    let wrong = (wrong > 0).then(|| tn(Key::PortsNotActive, wrong));
    summary(counts, wrong, (ports > 0).then_some(Key::AllActive))
}

/// The page.
#[component]
pub fn Networks() -> impl IntoView {
    let project = use_project();
    let read = use_read::<List<NetworkRow>>(
        Signal::derive(move || url::of_project(&project.get(), "networks")),
        Interest::anywhere(KINDS),
    );
    let figures = Signal::derive(move || {
        read.data
            .with(|data| data.as_ref().map(|list| figures(&list.items)).unwrap_or_default())
    });
    let create = Create {
        label: Key::CreateNetwork,
        page: paths::network_new,
        needs: vec![("network", 1)],
    };
    list_page(Key::Networks, figures, Some(create), move || TableSpec {
        name: Key::Networks,
        kind: "network",
        columns: COLUMNS,
        count: Key::CountNetworks,
        empty: Key::NetworksEmpty,
        ..TableSpec::of(read, move |items| rows(items, &project.get()))
    })
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
    fn provided_networks_are_folded_and_not_counted() {
        let provided = NetworkRow {
            external: true,
            ..network(1)
        };
        let services = NetworkRow {
            shadow_port: true,
            ..network(1)
        };
        let all = [network(1), services, provided];
        let rows = rows(&all, "p");
        assert_eq!(
            rows.iter().map(|row| row.fold.is_some()).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!(rows[1].cells[6], Cell::Text("Services only".into()));
        assert_eq!(figures(&all)[0].text, "2 networks");
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
