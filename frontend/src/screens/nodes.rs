//! A cluster's *Nodes*: which there are and how they are doing; one can be removed.

use std::collections::HashSet;

use leptos::prelude::*;
use portolan_shared::v1::{List, NodeRow, PlanKind};

use super::address::address_param;
use super::cluster::Page;
use super::clusters::KINDS;
use super::delete::DeleteTarget;
use super::panels::Panel;
use crate::api::{Interest, url, use_read};
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, format, t, tp};
use crate::screens::audit::kinds::{Audited, NO_PAGE};
use crate::session::{use_param, use_project};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "node",
    title: Key::ObjectNode,
    page: NO_PAGE,
};

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Start),
    Column::new("name", Key::Name, Align::Name),
    Column::new("ip", Key::IpAddresses, Align::Tight),
    Column::new("blocks", Key::Blocks, Align::Tight),
    Column::new("pods", Key::Pods, Align::End),
    Column::spare("applied", Key::Applied, Align::Tight),
    Column::spare("contact", Key::LastContact, Align::Tight),
    Column::spare("agent", Key::Agent, Align::Tight),
    Column::new("actions", Key::Actions, Align::Tight),
];

/// The rows of the nodes' table; `remove`: whether each can be removed.
pub fn rows(nodes: &[NodeRow], remove: bool) -> Vec<Row> {
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
            let mut cells = vec![
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
            if remove {
                cells.push(Cell::Open(t(Key::Remove).to_owned(), "remove", node.id.to_string()));
            }
            Row::new(node.id.to_string(), cells)
        })
        .collect()
}

/// The tab.
#[component]
pub fn Nodes() -> impl IntoView {
    let project = use_project();
    let id = use_param("id");
    let page = expect_context::<Page>();
    let read = use_read::<List<NodeRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("clusters/{}/nodes", id.get()))),
        Interest::within(KINDS, id),
    );
    let deleted = RwSignal::new(HashSet::new());
    let may_write = page.may_write;
    let list = dynamic(move || {
        let remove = may_write.get();
        // Only readers who may remove nodes need the last column.
        let columns = if remove { COLUMNS } else { &COLUMNS[..COLUMNS.len() - 1] };
        table(TableSpec {
            name: Key::Nodes,
            kind: "node",
            columns,
            count: Key::CountNodes,
            empty: Key::NodesEmpty,
            empty_action: remove.then_some((Key::AddNode, page.add_node)),
            deleted,
            ..TableSpec::of(read, move |items| rows(items, remove))
        })
    });
    let (removed_node, set_removed_node) = address_param("remove");
    let close = Callback::new(move |()| set_removed_node.set(None));
    let removing = maybe(move || {
        let node = removed_node.get().filter(|_| may_write.get())?;
        let name = read.data.with_untracked(|data| {
            let nodes = data.iter().flat_map(|list| &list.items);
            let found = nodes.into_iter().find(|known| known.id.to_string() == node);
            found.map_or_else(|| node.clone(), |node| node.name.clone())
        });
        let tail = format!("clusters/{}/nodes/{node}", id.get_untracked());
        let removed = Callback::new(move |()| {
            deleted.update(|deleted| {
                deleted.insert(node.clone());
            });
            set_removed_node.set(None);
            read.again();
        });
        let target = DeleteTarget {
            kind: PlanKind::Node,
            name,
            url: url::of_project(&project.get_untracked(), &tail),
            tail,
        };
        Some(
            Panel::Delete {
                project,
                target,
                close,
                done: removed,
            }
            .view(),
        )
    });
    vec![list, removing].into_any()
}
