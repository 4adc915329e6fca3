//! A subnet's *Ports*: everything attached to it, with how it is and why.

use std::collections::HashSet;

use leptos::prelude::*;
use portolan_shared::v1::{Kind, List, PortKind, PortRow};

use super::address::address_param;
use super::panels::Panel;
use super::port::{delete_target, port_panel};
use super::subnet::{Page, reasons};
use super::words;
use crate::api::{Interest, url, use_read};
use crate::components::error::notice;
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, format, t, tp};
use crate::paths;
use crate::session::{use_param, use_project};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Fold, Row, TableSpec, table};

/// Changes of these kinds show here.
const KINDS: &[Kind] = &[Kind::Port, Kind::Node, Kind::Block];

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Start),
    Column::new("name", Key::Name, Align::Name),
    Column::new("kind", Key::Kind, Align::Tight),
    Column::new("ip", Key::IpAddresses, Align::Tight),
    Column::spare("mac", Key::Mac, Align::Tight),
    Column::new("attached", Key::AttachedTo, Align::Wide),
    Column::spare("created", Key::Created, Align::Tight),
];

/// What to call a port: its name, its pod's, its node's, else the beginning of its id.
pub fn port_name(port: &PortRow) -> String {
    if !port.name.is_empty() {
        return port.name.clone();
    }
    match (&port.attached.pod, &port.attached.node) {
        (Some((_, name)), _) => name.clone(),
        (None, Some(node)) => node.name.clone(),
        (None, None) => words::name_or_id("", &port.id.to_string()),
    }
}

/// The ports of its node that lead to a pod, each with the pod's where that is another.
pub fn host_ports(port: &PortRow) -> Vec<String> {
    let attached = &port.attached;
    let mut ports: Vec<String> = attached.host_ports.iter().map(|port| port.to_string()).collect();
    for (text, port) in ports.iter_mut().zip(&attached.host_ports) {
        if port.host_port != port.container_port {
            text.push_str(&format!(" → {}", port.container_port));
        }
    }
    if attached.more_host_ports > 0 {
        ports.push(format!("+{}", attached.more_host_ports));
    }
    ports
}

/// What a port is attached to, as a way of links.
pub fn attached(port: &PortRow, project: &str) -> Cell {
    let mut parts: Vec<(String, Option<String>)> = Vec::new();
    if let Some(cluster) = &port.attached.cluster {
        parts.push((
            cluster.name.clone(),
            Some(paths::cluster(project, &cluster.id.to_string())),
        ));
    }
    if let Some(node) = &port.attached.node {
        let href = port
            .attached
            .cluster
            .as_ref()
            .map(|cluster| paths::cluster_nodes(project, &cluster.id.to_string()));
        parts.push((node.name.clone(), href));
    }
    if let Some((namespace, name)) = &port.attached.pod {
        parts.push((format!("{namespace}/{name}"), None));
    }
    match &port.attached.device {
        Some(device) if !device.is_empty() => parts.push((device.clone(), None)),
        _ => {}
    }
    if !parts.is_empty() {
        return Cell::Trail(parts);
    }
    let words = match port.kind {
        PortKind::Gateway => Key::AttachedGateway,
        PortKind::Provider | PortKind::Shadow => Key::AttachedProvider,
        _ => Key::NotAttached,
    };
    Cell::Text(t(words).to_owned())
}

/// What a pod's port is attached to, with the host ports behind the pod's name.
fn with_ports(mut attached: Cell, ports: &[String]) -> Cell {
    if let (Cell::Trail(parts), false) = (&mut attached, ports.is_empty())
        && let Some((pod, _)) = parts.last_mut()
    {
        pod.push_str(&format!(" ({})", ports.join(", ")));
    }
    attached
}

/// The table's rows. Pods are folded under their node.
pub fn rows(ports: &[PortRow], project: &str) -> Vec<Row> {
    ports
        .iter()
        .map(|port| {
            let id = port.id.to_string();
            let (tone, word) = words::port_status(port);
            let cells = vec![
                Cell::Status(tone, word, port.reason.clone()),
                Cell::Open(vec![(port_name(port), "port", id.clone())]),
                Cell::Text(t(words::kind(port.kind)).to_owned()),
                Cell::Codes(port.fixed_ips.iter().map(|fixed| fixed.address.to_string()).collect()),
                Cell::Codes(vec![port.mac.to_string()]),
                with_ports(attached(port, project), &host_ports(port)),
                Cell::Time(port.created_at.clone()),
            ];
            let mut row = Row::new(id, cells);
            match (&port.attached.node, port.kind) {
                (Some(node), PortKind::Pod) => {
                    row.fold = Some(Fold {
                        anchor: node.id.to_string(),
                        label: node.name.clone(),
                        count: Key::CountPods,
                        closed: false,
                    });
                }
                (Some(node), PortKind::Node) => row.anchor = Some(node.id.to_string()),
                _ => {}
            }
            row
        })
        .collect()
}

/// The tab.
#[component]
pub fn Ports() -> impl IntoView {
    let project = use_project();
    let id = use_param("id");
    let page = expect_context::<Page>();
    let read = use_read::<List<PortRow>>(
        Signal::derive(move || {
            url::of_project(
                &project.get(),
                &format!("subnets/{}/ports?limit={}", id.get(), url::PAGE),
            )
        }),
        Interest::within(KINDS, id),
    );
    let ports = Signal::derive(move || {
        read.data
            .with(|data| data.as_ref().map(|list| list.items.clone()).unwrap_or_default())
    });
    let (panel, set_panel) = address_param("panel");
    let (port, set_port) = address_param("port");
    let deleted = RwSignal::new(HashSet::new());
    let open = Callback::new(move |()| set_panel.set(Some("new".to_owned())));
    let may_add = Memo::new(move |_| {
        let free = page
            .subnet
            .with(|subnet| subnet.as_ref().is_some_and(|subnet| reasons(subnet).1.is_none()));
        free && page.may_write.get()
    });
    let close = Callback::new(move |()| set_panel.set(None));
    let close_port = Callback::new(move |()| set_port.set(None));
    let more = maybe(move || {
        let (shown, total) = read
            .data
            .with(|data| data.as_ref().map(|list| (list.items.len() as u64, list.total)))?;
        (total > shown).then(|| {
            let (shown, total) = (format::number(shown), format::number(total));
            notice(tp(Key::FirstOf, &[("shown", &shown), ("total", &total)]))
        })
    });
    let list = dynamic(move || {
        table(TableSpec {
            name: Key::Ports,
            kind: "port",
            columns: COLUMNS,
            rows: Signal::derive(move || {
                read.data
                    .with(|data| data.as_ref().map(|list| rows(&list.items, &project.get())))
            }),
            failure: read.failure.into(),
            fetched: read.fetched.into(),
            again: Callback::new(move |()| read.again()),
            count: Key::CountPorts,
            empty: Key::PortsEmpty,
            empty_action: may_add.get().then_some((Key::AddPort, open)),
            deleted,
            gone: Key::Deleted,
        })
    });
    let adding = maybe(move || {
        (panel.get().as_deref() == Some("new") && may_add.get()).then(|| {
            Panel::AddPort {
                project,
                subnet: page.subnet,
                ports,
                close,
            }
            .view()
        })
    });
    // One panel at a time: the port, or what deletes it and leads back to it. `delete` alone is the subnet's.
    let ask = Callback::new(move |()| set_panel.set(Some("delete-port".to_owned())));
    let looking = maybe(move || {
        let id = port.get()?;
        if panel.get().as_deref() != Some("delete-port") {
            let port = Signal::stored(id);
            return Some(port_panel(project, port, page.may_write, ask, close_port));
        }
        let name = ports.with_untracked(|ports| {
            let found = ports.iter().find(|port| port.id.to_string() == id);
            found.map_or_else(|| words::name_or_id("", &id), port_name)
        });
        let gone = id.clone();
        let done = Callback::new(move |()| {
            deleted.update(|deleted| {
                deleted.insert(gone.clone());
            });
            read.again();
            set_panel.set(None);
            set_port.set(None);
        });
        let may = page.may_write.get();
        may.then(|| {
            Panel::Delete {
                project,
                target: delete_target(&id, name),
                close,
                done,
            }
            .view()
        })
    });
    vec![more, list, adding, looking].into_any()
}

#[cfg(test)]
pub(crate) mod tests {
    use portolan_shared::host_port::{HostPort, Transport};
    use portolan_shared::status::PortStatus;
    use portolan_shared::v1::{Attached, FixedIp, Ref};

    use super::*;

    const ID: &str = "01930000-0000-7000-8000-000000000001";

    /// A reserved port for tests of rows.
    pub(crate) fn port() -> PortRow {
        PortRow {
            id: ID.parse().unwrap(),
            name: String::new(),
            description: String::new(),
            network: Ref {
                id: ID.parse().unwrap(),
                name: "shop".into(),
            },
            kind: PortKind::Reserved,
            status: PortStatus::Active,
            reason: None,
            fixed_ips: vec![FixedIp {
                address: "10.0.0.9".parse().unwrap(),
                subnet: Ref {
                    id: ID.parse().unwrap(),
                    name: "web".into(),
                },
            }],
            mac: "fa:16:3e:00:00:01".parse().unwrap(),
            attached: Attached::default(),
            enabled: true,
            locked: None,
            created_at: "2026-11-21T12:04:31Z".into(),
            updated_at: "2026-11-21T12:04:31Z".into(),
            revision_number: 1,
        }
    }

    fn pod() -> PortRow {
        PortRow {
            kind: PortKind::Pod,
            attached: Attached {
                cluster: Some(Ref {
                    id: ID.parse().unwrap(),
                    name: "shop".into(),
                }),
                node: Some(Ref {
                    id: ID.parse().unwrap(),
                    name: "node-2".into(),
                }),
                pod: Some(("default".into(), "web-1".into())),
                ..Attached::default()
            },
            ..port()
        }
    }

    #[test]
    fn host_ports_stand_behind_the_pods_name() {
        let port = |host: u16, container: u16| HostPort {
            protocol: Transport::Tcp,
            host_ip: None,
            host_port: host.try_into().unwrap(),
            container_port: container.try_into().unwrap(),
        };
        let mut row = pod();
        row.attached.host_ports = vec![port(80, 8080), port(22, 22)];
        row.attached.more_host_ports = 3;
        let Cell::Trail(parts) = with_ports(attached(&row, "p"), &host_ports(&row)) else {
            panic!("no way of links");
        };
        assert_eq!(parts.last().unwrap().0, "default/web-1 (80/tcp → 8080, 22/tcp, +3)");
    }

    #[test]
    fn an_unattached_port_says_so() {
        assert_eq!(attached(&port(), "p"), Cell::Text("Reserved, not attached".into()));
    }

    #[test]
    fn a_pod_is_named_and_stands_under_its_node() {
        let rows = rows(&[pod()], "p");
        assert_eq!(rows[0].cells.len(), COLUMNS.len());
        assert_eq!(rows[0].cells[5].words(), "shop / node-2 / default/web-1");
        assert!(matches!(&rows[0].cells[1], Cell::Open(panels) if panels[0].0 == "web-1"));
        let fold = rows[0].fold.as_ref().unwrap();
        assert_eq!((fold.anchor.as_str(), fold.label.as_str()), (ID, "node-2"));
    }
}
