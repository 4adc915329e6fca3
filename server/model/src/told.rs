//! What agents are sent of the store, as messages of the real protocol. The control plane's own encoding shares them among
//! streams, which is all the difference.

use std::hash::{DefaultHasher, Hash, Hasher};

use portolan_core::history::{Point, Span};
use portolan_core::protocol::leases::Lease;
use portolan_wire::agent::{self, Position, Progress, Snapshot};
use portolan_wire::field::{address_bytes, prefix_message};
use portolan_wire::item::{Body as _, ItemId, Items, read};

use crate::store::{CLUSTER, Rows};

/// The store's id.
pub(crate) const STORE: [u8; 16] = [7; 16];

/// What only the control plane can make: the proof that it has said this.
fn proof(said: impl Hash) -> Vec<u8> {
    let mut hasher = DefaultHasher::new();
    ("secret", said).hash(&mut hasher);
    hasher.finish().to_be_bytes().to_vec()
}

/// The proof of a lease.
pub(crate) fn lease(lease: &Lease) -> Vec<u8> {
    proof(lease)
}

/// A position as it is told.
pub(crate) fn position(point: Point) -> Position {
    Position {
        incarnation: point.incarnation.as_bytes().to_vec(),
        revision: point.revision,
        mark: mark(point),
    }
}

/// The proof that a position was told.
pub(crate) fn mark(point: Point) -> Vec<u8> {
    proof((point.incarnation.as_bytes(), point.revision))
}

/// The cluster's state.
pub(crate) fn items(rows: &Rows) -> Items {
    let cluster = agent::Cluster {
        id: CLUSTER.as_bytes().to_vec(),
        ..agent::Cluster::default()
    };
    let node = |node: &portolan_core::model::Node| agent::Node {
        id: node.id.as_bytes().to_vec(),
        name: node.name.clone(),
        addresses: node.addresses.iter().map(|address| address_bytes(*address)).collect(),
        machine: node.machine().map(|machine| machine.to_vec()).unwrap_or_default(),
    };
    let machine = |id| rows.nodes().find(|node| node.id == id).and_then(|node| node.machine());
    let block = |block: &portolan_core::model::Block| agent::Block {
        id: block.id.as_bytes().to_vec(),
        node_id: block.node.as_bytes().to_vec(),
        prefix: Some(prefix_message(block.cidr)),
        lease: machine(block.node).map_or_else(Vec::new, |machine| {
            lease(&Lease {
                cluster: block.cluster,
                node: block.node,
                machine,
                block: block.id,
                prefix: block.cidr,
                leased_at: block.meta.revision,
            })
        }),
        leased_at: block.meta.revision,
    };
    let nodes = rows.nodes().map(|of| node(&of).item());
    let blocks = rows.blocks().map(|of| block(&of).item());
    let all = std::iter::once(cluster.item()).chain(nodes).chain(blocks);
    all.filter_map(|item| read(item).ok()).collect()
}

/// All of it, as one part.
pub(crate) fn snapshot(rows: &Rows) -> Snapshot {
    Snapshot {
        revision: rows.head,
        items: items(rows).iter().collect(),
        position: Some(position(rows.point())),
        ..Snapshot::default()
    }
}

/// What has changed since `before`, if anything that agents are sent.
pub(crate) fn change(before: &Rows, rows: &Rows) -> Option<agent::Change> {
    let (had, has) = (items(before), items(rows));
    let id = |item: &agent::Item| read(item.clone()).map(|(id, _)| id).ok();
    let put: Vec<_> = has.iter().filter(|item| !had.iter().any(|old| old == *item)).collect();
    let gone = had.iter().filter_map(|item| id(&item)).filter(|id| !has.has(*id));
    let drop: Vec<_> = gone.map(ItemId::key).collect();
    (!put.is_empty() || !drop.is_empty()).then(|| agent::Change {
        revision: rows.head,
        put,
        drop,
        position: Some(position(rows.point())),
        ..agent::Change::default()
    })
}

/// The mark that everything was sent.
pub(crate) fn progress(rows: &Rows) -> Progress {
    Progress {
        head: rows.head,
        position: Some(position(rows.point())),
        ..Progress::default()
    }
}

/// Runs, as they are named on the wire.
pub(crate) fn spans(spans: &[Span]) -> Vec<agent::Span> {
    let span = |span: &Span| agent::Span {
        incarnation: span.incarnation.as_bytes().to_vec(),
        first: span.first,
    };
    spans.iter().map(span).collect()
}
