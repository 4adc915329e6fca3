//! What agents report, read with care and handed to the writer.

use std::collections::HashSet;

use portolan_shared::ids::{NodeId, PortId};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_wire::agent::{self, BlockRefused, PodAck, to_agent::Message as Out};
use portolan_wire::field::{self, BadField};
use tokio_tungstenite::tungstenite::Bytes;

use super::hub::{Hub, node_request};
use super::state::frame;
use super::stream::{pod_ack, shortened};
use crate::command::{Command, PodAllocation};
use crate::model::{Exception, Pod};

/// Most exceptions kept of a node.
const MOST_EXCEPTIONS: usize = 1000;

/// Most characters of a reason, and of what names a pod.
const MOST_TEXT: usize = 500;

/// A report of pods, read.
#[derive(Debug)]
pub(super) struct Pods {
    full: bool,
    seq: u64,
    allocations: Vec<PodAllocation>,
    releases: Vec<(PortId, u64)>,
}

/// Exceptions as they are stored: in order, so that the same ones are equal.
pub(super) fn exceptions(all: Vec<agent::Exception>) -> Result<Vec<Exception>, BadField> {
    let read = |exception: agent::Exception| {
        if !["port", "block", "node"].contains(&exception.kind.as_str()) {
            return Err(BadField::Other("kind"));
        }
        Ok(Exception {
            kind: exception.kind,
            id: field::id("id", &exception.id)?,
            reason: shortened(&exception.reason, MOST_TEXT),
            attempts: exception.attempts,
        })
    };
    let mut exceptions: Vec<Exception> = all
        .into_iter()
        .take(MOST_EXCEPTIONS)
        .map(read)
        .collect::<Result<_, _>>()?;
    exceptions.sort_by(|a, b| (&a.kind, a.id).cmp(&(&b.kind, b.id)));
    Ok(exceptions)
}

/// A report of pods; that its addresses are the node's is for the writer to decide.
pub(super) fn pods(report: agent::PodReport) -> Result<Pods, BadField> {
    let allocation = |pod: agent::PodAllocation| {
        let mac = <[u8; 6]>::try_from(pod.mac.as_slice()).map_err(|_| BadField::Other("mac"))?;
        Ok(PodAllocation {
            id: PortId::from_bytes(field::id("id", &pod.id)?),
            pod: Pod {
                namespace: shortened(&pod.pod_namespace, MOST_TEXT),
                name: shortened(&pod.pod_name, MOST_TEXT),
                container_id: shortened(&pod.container_id, MOST_TEXT),
                seq: pod.seq,
            },
            addresses: field::addresses("addresses", &pod.addresses)?,
            mac: MacAddress::new(mac),
        })
    };
    let release = |release: agent::PodRelease| {
        Ok((
            PortId::from_bytes(field::id("id", &release.id)?),
            release.allocation_seq,
        ))
    };
    let allocations: Vec<PodAllocation> = report
        .allocations
        .into_iter()
        .map(allocation)
        .collect::<Result<_, _>>()?;
    let mut named = HashSet::with_capacity(allocations.len());
    if !allocations.iter().all(|allocation| named.insert(allocation.id)) {
        return Err(BadField::Other("id"));
    }
    Ok(Pods {
        full: report.full,
        seq: report.seq,
        allocations,
        releases: report.releases.into_iter().map(release).collect::<Result<_, _>>()?,
    })
}

/// Records a report; the answer tells the agent what is durable, or nothing if the store cannot
/// write: the agent then reports again.
pub(super) async fn record_pods(hub: &Hub, node: NodeId, report: Pods) -> Option<Bytes> {
    let Pods {
        full,
        seq,
        allocations,
        releases,
    } = report;
    let reported: Vec<(PortId, Vec<std::net::IpAddr>)> = allocations
        .iter()
        .map(|allocation| (allocation.id, allocation.addresses.clone()))
        .collect();
    let command = Command::ReportPods {
        node,
        full,
        seq,
        allocations,
        releases,
    };
    match hub.control.write(node_request(node, command)).await {
        Ok(_) => {
            let refused = hub.control.read(|view| {
                let name = view
                    .node(node)
                    .map_or_else(|| node.to_string(), |node| node.name.clone());
                let missing = reported.iter().filter(|(id, _)| view.port(*id).is_none());
                missing
                    .filter_map(|(id, addresses)| Some(refused_pod(*id, *addresses.first()?, &name)))
                    .collect()
            });
            Some(pod_ack(PodAck { seq, refused }))
        }
        Err(refusal) => {
            tracing::warn!(%node, %refusal, "cannot record a node's pods");
            None
        }
    }
}

fn refused_pod(id: PortId, address: std::net::IpAddr, node: &str) -> agent::Exception {
    agent::Exception {
        kind: "port".to_owned(),
        id: id.as_bytes().to_vec(),
        reason: Refusal::OutsideLease {
            address,
            node: node.to_owned(),
        }
        .to_string(),
        attempts: 1,
    }
}

/// Leases a block; the block itself comes as a change.
pub(super) async fn lease_block(hub: &Hub, node: NodeId, have: u32) -> Option<Bytes> {
    match hub
        .control
        .write(node_request(node, Command::LeaseBlock { node, have }))
        .await
    {
        Ok(_) => None,
        Err(refusal) => {
            tracing::warn!(%node, %refusal, "cannot lease a block");
            let (code, sentence) = (refusal.code().to_owned(), refusal.to_string());
            Some(frame(Out::BlockRefused(BlockRefused { code, sentence })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(kind: &str, id: u8, reason: &str) -> agent::Exception {
        agent::Exception {
            kind: kind.into(),
            id: vec![id; 16],
            reason: reason.into(),
            attempts: 1,
        }
    }

    #[test]
    fn exceptions_are_ordered_and_bounded() {
        let read = exceptions(vec![exception("port", 2, "b"), exception("block", 9, &"x".repeat(600))]).unwrap();
        assert_eq!(read[0].kind, "block");
        assert_eq!(read[0].reason.len(), MOST_TEXT);
        let many = (0..2000).map(|_| exception("port", 1, "r")).collect();
        assert_eq!(exceptions(many).unwrap().len(), MOST_EXCEPTIONS);
    }

    #[test]
    fn what_is_not_as_the_protocol_says_is_refused() {
        assert_eq!(
            exceptions(vec![exception("network", 1, "")]),
            Err(BadField::Other("kind"))
        );
        let pod = agent::PodAllocation {
            id: vec![1; 16],
            mac: vec![2; 6],
            ..agent::PodAllocation::default()
        };
        let report = |pod| agent::PodReport {
            allocations: vec![pod],
            ..agent::PodReport::default()
        };
        assert!(pods(report(pod.clone())).is_ok());
        let twice = agent::PodReport {
            allocations: vec![pod.clone(), pod.clone()],
            ..agent::PodReport::default()
        };
        assert_eq!(pods(twice).unwrap_err(), BadField::Other("id"), "named twice");
        assert!(
            pods(report(agent::PodAllocation {
                mac: vec![2; 5],
                ..pod.clone()
            }))
            .is_err()
        );
        assert!(
            pods(report(agent::PodAllocation {
                addresses: vec![vec![1; 5]],
                ..pod
            }))
            .is_err()
        );
    }
}
