//! What became of a database that was put back to an older state: the epochs, and the blocks that nobody else is leased
//! before their holder has let go.

use axum::response::Response;
use portolan_core::command::Command;
use portolan_core::fields::moment;
use portolan_core::kinds::epochs::{Dispute, Epoch};
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::view::View;
use portolan_shared::check;
use portolan_shared::kinds::epochs::{EpochRow, ToldEpoch};
use portolan_shared::kinds::quarantined_blocks::{QuarantinedBlockRow, ReleaseBlock};
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::List;
use serde::Serialize;

use super::find;
use crate::api::context::{Call, Desk, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::reply;

/// All that there are, in one answer.
fn whole<T: Serialize>(revision: u64, items: Vec<T>) -> Answer {
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

fn epoch(view: &View, epoch: &Epoch) -> ToldEpoch {
    let found = epoch.nodes_found.iter().filter_map(|id| view.node(*id));
    EpochRow {
        id: epoch.id,
        began_at: moment(epoch.began_at),
        put_back_to: epoch.fork,
        lost_to: epoch.lost_to,
        shown_by: epoch.shown_by.clone(),
        blocks_found: epoch.blocks_found,
        nodes_found: epoch.nodes_found.clone(),
        nodes_waiting: found
            .filter(|node| node.found.is_some())
            .map(|node| node.name.clone())
            .collect(),
        disputes: epoch.disputes.iter().map(Dispute::wire).collect(),
    }
    .told()
}

/// `GET /portolan/v1/epochs`: the newest first.
pub async fn epochs(desk: Desk) -> Answer {
    let (revision, mut items) = desk.control().read(|view| {
        let rows: Vec<ToldEpoch> = view.all::<Epoch>().map(|stored| epoch(view, stored)).collect();
        (view.head(), rows)
    });
    items.reverse();
    whole(revision, items)
}

/// `GET …/clusters/{id}/quarantined-blocks`: by address.
pub async fn quarantined_blocks(call: Call, path: Segments) -> Answer {
    let (revision, mut items) = call.control().read(|view| {
        let cluster = find::cluster(&call, view, &path)?;
        let row = |block: &QuarantinedBlock| {
            let since = moment(block.since);
            let held = block.held(|node| view.node(node).is_some());
            QuarantinedBlockRow {
                id: block.id,
                cidr: held.cidr,
                reason: held.reason(since.clone()),
                node: held.node,
                since,
            }
        };
        let rows: Vec<_> = view
            .of::<QuarantinedBlock>(cluster.id)
            .map(|block| row(block))
            .collect();
        Ok::<_, Failure>((view.head(), rows))
    })?;
    items.sort_by_key(|row| row.cidr);
    whole(revision, items)
}

/// `POST …/clusters/{id}/quarantined-blocks/{block}/release`: for whoever knows that its machine is off.
pub async fn release(call: Call, path: Segments, body: Body) -> Result<Response, Failure> {
    let block = call
        .control()
        .read(|view| find::quarantined_block(&call, view, &path))?;
    call.to_write("release blocks")?;
    let asked: ReleaseBlock = body.read()?;
    if asked.machine_off.trim() != block.node_name {
        return Err(Refusal::OtherName {
            block: block.cidr,
            node: block.node_name.clone(),
            given: check::shortened(&asked.machine_off),
        }
        .into());
    }
    call.write(Command::ReleaseBlock(block.id)).await?;
    Ok(reply::nothing())
}
