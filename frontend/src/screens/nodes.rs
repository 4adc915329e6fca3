//! A cluster's *Nodes*: which there are and how they are doing; one can be removed.

use std::collections::HashSet;

use leptos::prelude::*;
use portolan_shared::status::Reason;
use portolan_shared::v1::{List, NodeRow, NodeState, PlanKind};

use super::address::address_param;
use super::cluster::Page;
use super::clusters::KINDS;
use super::delete::DeleteTarget;
use super::panels::Panel;
use super::stated::Statement;
use crate::api::{Interest, url, use_read};
use crate::components::{dynamic, maybe};
use crate::i18n::{Key, format, t, tp};
use crate::paths;
use crate::screens::audit::kinds::{Audited, NO_PAGE};
use crate::session::{use_param, use_project, use_session};
use crate::table::cell::Align;
use crate::table::{Cell, Column, Row, TableSpec, table};

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "node",
    title: Key::ObjectNode,
    page: NO_PAGE,
};

/// What the audit must know of a loss: its id begins with its node's cluster.
pub(crate) const AUDITED_LOSS: Audited = Audited {
    word: "loss",
    title: Key::ObjectLoss,
    page: |project, id, _| Some(paths::cluster_nodes(project, id.split('/').next()?)),
};

const COLUMNS: &[Column] = &[
    Column::new("status", Key::Status, Align::Start),
    Column::new("name", Key::Name, Align::Start),
    Column::new("ip", Key::IpAddresses, Align::Tight),
    Column::new("blocks", Key::Blocks, Align::Tight),
    Column::new("pods", Key::Pods, Align::End),
    Column::spare("applied", Key::Applied, Align::Tight),
    Column::spare("contact", Key::LastContact, Align::Tight),
    Column::spare("agent", Key::Agent, Align::Tight),
    // Two stand below each other where there is no room beside.
    Column::new("actions", Key::Actions, Align::Start),
];

/// Whether an administrator has to say which machine it is.
fn waits(state: NodeState) -> bool {
    matches!(state, NodeState::Found | NodeState::Copied)
}

/// The loss that was seen last.
fn newest(losses: &[Reason]) -> Option<&Reason> {
    losses.iter().max_by(|one, other| one.since.cmp(&other.since))
}

/// The rows of the nodes' table; `remove`: whether each can be removed, `admit`: whether one that waits for it can be
/// admitted.
pub fn rows(nodes: &[NodeRow], remove: bool, admit: bool) -> Vec<Row> {
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
                Cell::Status(tone, word, node.reason.as_ref().or(newest(&node.losses)).cloned()),
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
                let choice = |key, name| (t(key).to_owned(), name, node.id.to_string());
                let admit = (admit && waits(node.state)).then(|| choice(Key::Admit, "admit"));
                cells.push(Cell::Open(
                    admit.into_iter().chain([choice(Key::Remove, "remove")]).collect(),
                ));
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
    let session = use_session();
    let list = dynamic(move || {
        let (remove, admit) = (may_write.get(), session.is_admin());
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
            ..TableSpec::of(read, move |items| rows(items, remove, admit))
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
    let (admitted, set_admitted) = address_param("admit");
    let close = Callback::new(move |()| set_admitted.set(None));
    let done = Callback::new(move |()| {
        set_admitted.set(None);
        read.again();
    });
    let known = Memo::new(move |_| read.data.with(Option::is_some));
    let admitting = maybe(move || {
        let node = admitted.get().filter(|_| known.get() && session.is_admin())?;
        let list = read.data.get_untracked()?;
        let node = list.items.iter().find(|known| known.id.to_string() == node)?;
        let tail = format!("clusters/{}/nodes", id.get_untracked());
        let statement = Statement::admits(node, &url::of_project(&project.get_untracked(), &tail));
        Some(
            Panel::Stated {
                project,
                statement,
                close,
                done,
            }
            .view(),
        )
    });
    vec![list, removing, admitting].into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_can_admit_a_node_that_waits_for_it() {
        let node = |state: &str| -> NodeRow {
            let id = "04040404-0404-0404-0404-040404040404";
            serde_json::from_value(serde_json::json!({
                "id": id, "name": "node-3", "state": state, "reason": null, "addresses": [], "port": id, "blocks": [],
                "pods": 0, "applied_revision": 0, "wanted_revision": 0, "last_contact": null, "agent_version": "",
                "losses": [], "probes": null, "created_at": "2026-11-21T12:04:31Z",
            }))
            .unwrap()
        };
        let offered = |state: &str, admit| match rows(&[node(state)], true, admit)[0].cells.last() {
            Some(Cell::Open(choices)) => choices.iter().map(|(_, name, _)| *name).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        for state in ["found", "copied"] {
            assert_eq!(offered(state, true), ["admit", "remove"], "{state}");
        }
        assert_eq!(offered("found", false), ["remove"], "only administrators");
        assert_eq!(offered("silent", true), ["remove"]);
        assert_eq!(rows(&[node("found")], false, false)[0].cells.len(), COLUMNS.len() - 1);
    }
}
