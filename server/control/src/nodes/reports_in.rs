//! Checks what agents report and hands it to the writer.

use std::collections::HashSet;

use portolan_core::command::{ClaimedBlock, Command, PodAllocation, Request};
use portolan_core::history::Point;
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::{Block, Exception, HostPorts, Loss, NodeStatus, Paths, Paused, Pod, Tickets};
use portolan_core::protocol::leases::Lease;
use portolan_core::view::View;
use portolan_shared::ids::{BlockId, NodeId, PortId};
use portolan_shared::losses::LossKind;
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::{Class, Refusal};
use portolan_shared::status::Fault;
use portolan_wire::HOST_PORTS_TOLD;
use portolan_wire::agent::{self, BlockRefused, PodAck, to_agent::Message as Out};
use portolan_wire::field::{self, BadField};
use tokio_tungstenite::tungstenite::Bytes;

use super::hub::Hub;
use super::pki::Identity;
use super::state::frame;

/// Most exceptions kept of a node. One more says how many were left out.
const MOST_EXCEPTIONS: usize = 50;

/// Most characters of a reason.
const MOST_REASON: usize = 200;

/// Most characters of what names a pod.
const MOST_TEXT: usize = 500;

/// Most failing paths kept of a node.
const MOST_PATHS: usize = 16;

/// Most pods that a full report may name: more than a node's blocks have addresses.
const MOST_PODS: usize = 8192;

/// Most blocks that are let go of at once: more than a node has.
const MOST_BLOCKS: usize = 256;

/// A full report that comes in parts.
#[derive(Debug, Default)]
pub(super) struct Parts(Option<agent::PodReport>);

impl Parts {
    /// Takes a report or a part of one; returns the whole report once its last part has come.
    pub(super) fn take(&mut self, part: agent::PodReport) -> Result<Option<agent::PodReport>, BadField> {
        let whole = match self.0.take() {
            None => part,
            Some(mut whole) if part.full && part.seq == whole.seq => {
                whole.allocations.extend(part.allocations);
                whole.more = part.more;
                whole
            }
            Some(_) => return Err(BadField::Other("more")),
        };
        if whole.allocations.len() > MOST_PODS || (whole.more && !whole.full) {
            return Err(BadField::Other("more"));
        }
        if whole.more {
            self.0 = Some(whole);
            return Ok(None);
        }
        Ok(Some(whole))
    }
}

/// A report of pods, parsed and checked.
#[derive(Debug)]
pub(super) struct Pods {
    full: bool,
    seq: u64,
    allocations: Vec<PodAllocation>,
    releases: Vec<(PortId, u64)>,
}

/// Exceptions of a node as they are stored: in order, so that the same ones are equal, and few.
pub(super) fn exceptions(node: NodeId, all: Vec<agent::Exception>) -> Result<Vec<Exception>, BadField> {
    let read = |exception: agent::Exception| {
        if !["port", "block", "node"].contains(&exception.kind.as_str()) {
            return Err(BadField::Other("kind"));
        }
        Ok(Exception {
            kind: exception.kind,
            id: field::id("id", &exception.id)?,
            reason: shortened(&exception.reason, MOST_REASON),
            attempts: exception.attempts,
        })
    };
    let mut exceptions: Vec<Exception> = all.into_iter().map(read).collect::<Result<_, _>>()?;
    // The node's own things come first; routes to others' blocks are the most, and fail together.
    let place = |exception: &Exception| (exception.kind == "block", exception.kind.clone(), exception.id);
    exceptions.sort_by_cached_key(place);
    let beyond = exceptions.split_off(exceptions.len().min(MOST_EXCEPTIONS));
    if let Some(first) = beyond.first() {
        let kind = if first.kind == "block" { "block" } else { "node" };
        exceptions.push(Exception {
            kind: kind.to_owned(),
            id: *node.as_bytes(),
            reason: format!(
                "{} more are not listed, such as: {}",
                beyond.len(),
                shortened(&first.reason, MOST_REASON / 2)
            ),
            attempts: first.attempts,
        });
    }
    Ok(exceptions)
}

/// Losses of a node as they are stored: in order, and one of a kind. Kinds that only a newer agent knows are left out.
pub(super) fn losses(all: Vec<agent::Loss>) -> Vec<Loss> {
    let read = |loss: agent::Loss| {
        Some(Loss {
            kind: LossKind::of_word(&loss.kind)?,
            objects: loss.objects,
            first_seen: loss.first_seen,
            back_after_ms: loss.back_after_ms,
            today: loss.today,
            contested: loss.contested,
            by: Some(shortened(&loss.by, MOST_REASON)).filter(|by| !by.is_empty()),
        })
    };
    let mut losses: Vec<Loss> = all.into_iter().filter_map(read).collect();
    losses.sort_by_key(|loss| loss.kind);
    losses.dedup_by_key(|loss| loss.kind);
    losses
}

/// Who has paused healing on a node, as it is stored.
pub(super) fn paused(paused: Option<agent::Paused>) -> Option<Paused> {
    paused.map(|agent::Paused { by, since }| Paused {
        by: shortened(&by, MOST_REASON),
        since,
    })
}

/// What a node's probes say, as it is stored. Faults that only a newer agent knows are left out.
pub(super) fn paths(paths: agent::Paths) -> Result<Paths, BadField> {
    let read = |named: agent::PathFault| {
        let node = NodeId::from_bytes(field::id("node_id", &named.node_id)?);
        Ok(Fault::of_word(&named.fault).map(|fault| (node, fault)))
    };
    let named = paths.named.into_iter().take(MOST_PATHS).map(read);
    let mut named: Vec<(NodeId, Fault)> = named.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    named.sort_unstable();
    named.dedup_by_key(|(node, _)| *node);
    Ok(Paths {
        peers: paths.peers,
        proven: paths.proven.min(paths.peers),
        failing: paths.failing.min(paths.peers),
        named,
        trouble: Some(shortened(&paths.trouble, MOST_REASON)).filter(|words| !words.is_empty()),
    })
}

fn host_ports(told: &[agent::HostPort], more: u32) -> Result<HostPorts, BadField> {
    let read = told.iter().map(|port| field::host_port("host_ports", port));
    match told.len() {
        0..=HOST_PORTS_TOLD => Ok(HostPorts {
            told: read.collect::<Result<_, _>>()?,
            more,
        }),
        _ => Err(BadField::Other("host_ports")),
    }
}

/// Parses a report of pods. Whether its addresses are the node's is decided by the writer.
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
                host_ports: host_ports(&pod.host_ports, pod.more_host_ports)?,
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

/// The stream that something is asked by.
#[derive(Clone, Copy)]
pub(super) struct By {
    pub(super) node: NodeId,
    /// A point of the history that its agent was told.
    pub(super) within: Point,
    /// SHA-256 of its machine's public key.
    pub(super) machine: [u8; 32],
    /// The ticket that it was given.
    pub(super) tickets: Tickets,
}

impl By {
    /// What its agent asks: decided in that history, while no newer ticket counts, or not at all.
    pub(super) fn asks(self, command: Command) -> Request {
        let request = Request::agent(self.node, command).within(self.within);
        request.shown(self.machine, self.tickets)
    }
}

/// Records a report; the answer tells the agent what is durable, or nothing if the store cannot
/// write: the agent then reports again.
pub(super) async fn record_pods(hub: &Hub, by: By, report: Pods) -> Option<Bytes> {
    let Pods {
        full,
        seq,
        allocations,
        releases,
    } = report;
    let node = by.node;
    let command = Command::ReportPods {
        node,
        full,
        seq,
        allocations,
        releases,
    };
    match hub.control.write(by.asks(command)).await {
        Ok(outcome) => {
            let refused = outcome.declined.iter().map(|(id, because)| refused_pod(*id, because));
            Some(frame(Out::PodAck(PodAck {
                seq,
                refused: refused.collect(),
            })))
        }
        Err(refusal) => {
            not_done(node, &refusal, "cannot record a node's pods");
            None
        }
    }
}

fn refused_pod(id: PortId, because: &Refusal) -> agent::Exception {
    agent::Exception {
        kind: "port".to_owned(),
        id: id.as_bytes().to_vec(),
        reason: because.to_string(),
        attempts: 1,
    }
}

/// The ids of blocks that an agent has let go of.
pub(super) fn blocks(let_go: &agent::LetGo) -> Result<Vec<BlockId>, BadField> {
    let ids = let_go.blocks.iter().take(MOST_BLOCKS);
    ids.map(|id| Ok(BlockId::from_bytes(field::id("blocks", id)?)))
        .collect()
}

/// The blocks that a machine keeps, of those that the control plane has signed a lease of.
pub(super) fn kept(hub: &Hub, identity: &Identity, kept: Vec<agent::Block>) -> Vec<ClaimedBlock> {
    let lease = |block: &agent::Block| {
        Some(Lease {
            cluster: identity.cluster,
            node: identity.node,
            machine: identity.key_hash,
            block: BlockId::from_bytes(field::id("block.id", &block.id).ok()?),
            prefix: field::prefix("prefix", block.prefix.as_ref()?).ok()?,
            leased_at: block.leased_at,
        })
    };
    let signed = |block: agent::Block| lease(&block).filter(|lease| hub.seal.leased(lease, &block.lease));
    kept.into_iter()
        .take(MOST_BLOCKS)
        .filter_map(signed)
        .map(Lease::claimed)
        .collect()
}

/// A machine that is no node any more has let go of these blocks, and keeps others.
pub(super) async fn let_go(
    hub: &Hub,
    identity: &Identity,
    blocks: Vec<BlockId>,
    kept: Vec<ClaimedBlock>,
) -> Result<(), Refusal> {
    let command = Command::LetGo {
        cluster: identity.cluster,
        node: identity.node,
        machine: identity.key_hash,
        blocks,
        kept,
    };
    let node = identity.node;
    hub.control.write(Request::agent(node, command)).await.map(drop)
}

/// A node gives these blocks back. They are gone from it once the change comes.
pub(super) async fn give_back(hub: &Hub, by: By, blocks: Vec<BlockId>) -> Option<Bytes> {
    let node = by.node;
    if let Err(refusal) = hub.control.write(by.asks(Command::ReturnBlocks { node, blocks })).await {
        not_done(node, &refusal, "cannot take blocks back");
    }
    None
}

/// Leases a block; the block itself comes as a change. Nothing is said while the cluster's nodes have not all shown what
/// they hold: the agent asks again. If none is free, the node's status says so from then on, and others are asked to
/// give back what they do not need.
pub(super) async fn lease_block(hub: &Hub, by: By, have: u32) -> Option<Bytes> {
    let node = by.node;
    let cluster = hub.control.read(|view| view.node(node).map(|node| node.cluster))?;
    let waits = hub.lease_waits_for(cluster, Some(node));
    if let Some(first) = waits.first() {
        tracing::info!(%node, %cluster, nodes = waits.len(), %first, "a lease waits for nodes to show what they hold");
        return None;
    }
    match hub.control.write(by.asks(Command::LeaseBlock { node, have })).await {
        Ok(outcome) => {
            outcome.made::<NodeStatus>()?;
            hub.want_blocks(cluster, Some(node));
            Some(no_block(node, &hub.control.read(|view| none_free(view, node))?))
        }
        Err(refusal) => Some(no_block(node, &refusal)),
    }
}

/// Says why something was not done for a node. That the store takes nothing is said by the writer, once a minute for all.
fn not_done(node: NodeId, refusal: &Refusal, what: &str) {
    match refusal.class() {
        Class::Unavailable => tracing::debug!(%node, %refusal, "{what}"),
        _ => tracing::warn!(%node, %refusal, "{what}"),
    }
}

fn no_block(node: NodeId, refusal: &Refusal) -> Bytes {
    not_done(node, refusal, "cannot lease a block");
    let (code, sentence) = (refusal.code().to_owned(), refusal.to_string());
    frame(Out::BlockRefused(BlockRefused { code, sentence }))
}

/// That no block is free in a node's cluster; `None` if the node is gone meanwhile.
fn none_free(view: &View, node: NodeId) -> Option<Refusal> {
    let cluster = view.cluster(view.node(node)?.cluster)?;
    Some(Refusal::NoFreeBlock {
        cluster: cluster.name.clone(),
        pod_range: view.subnet(cluster.pod_subnet)?.cidr,
        blocks: view.count_of::<Block>(cluster.id),
        held: QuarantinedBlock::all_held(view.of(cluster.id), |node| view.node(node).is_some()),
    })
}

/// At most `most` characters of what an agent says.
pub(super) fn shortened(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::from_bytes([7; 16]);

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
        let read = exceptions(
            NODE,
            vec![exception("block", 9, "b"), exception("port", 2, &"x".repeat(600))],
        )
        .unwrap();
        assert_eq!(read[0].kind, "port");
        assert_eq!(read[0].reason.len(), MOST_REASON);
        let many = (0..200).map(|n| exception("block", n, &"r".repeat(600))).collect();
        let few = exceptions(NODE, many).unwrap();
        assert_eq!(few.len(), MOST_EXCEPTIONS + 1);
        assert!(few.iter().map(|e| e.reason.len()).sum::<usize>() <= (MOST_EXCEPTIONS + 1) * MOST_REASON);
        let last = &few[MOST_EXCEPTIONS];
        assert_eq!((last.kind.as_str(), last.id), ("block", *NODE.as_bytes()));
        assert!(last.reason.starts_with("150 more"), "{}", last.reason);
        let ports = (0..200).map(|n| exception("port", n, "r")).collect();
        assert_eq!(
            exceptions(NODE, ports).unwrap()[MOST_EXCEPTIONS].kind,
            "node",
            "some of its own are not listed"
        );
    }

    #[test]
    fn what_probes_say_is_ordered_and_bounded() {
        let named = |n: u8, fault: &str| agent::PathFault {
            node_id: vec![n; 16],
            fault: fault.to_owned(),
        };
        let mut told = agent::Paths {
            peers: 40,
            proven: 50,
            failing: 3,
            named: vec![
                named(9, "tcp"),
                named(2, "pods"),
                named(3, "of_a_newer_agent"),
                named(9, "udp"),
            ],
            trouble: "x".repeat(600),
        };
        let read = paths(told.clone()).unwrap();
        let id = |n: u8| NodeId::from_bytes([n; 16]);
        assert_eq!(read.named, [(id(2), Fault::Pods), (id(9), Fault::Udp)]);
        assert_eq!((read.peers, read.proven, read.failing), (40, 40, 3));
        assert_eq!(read.trouble.map(|words| words.len()), Some(MOST_REASON));
        told.named = (0..40).map(|n| named(n, "tcp")).collect();
        assert_eq!(paths(told.clone()).unwrap().named.len(), MOST_PATHS);
        told.named = vec![agent::PathFault::default()];
        assert!(paths(told).is_err());
    }

    #[test]
    fn a_report_in_parts_counts_once_it_is_whole() {
        let part = |seq, n, more| agent::PodReport {
            full: true,
            seq,
            allocations: vec![agent::PodAllocation::default(); n],
            more,
            ..agent::PodReport::default()
        };
        let mut parts = Parts::default();
        assert_eq!(parts.take(part(5, 2, true)), Ok(None));
        assert_eq!(parts.take(part(5, 2, true)), Ok(None));
        let whole = parts.take(part(5, 1, false)).unwrap().unwrap();
        assert_eq!((whole.allocations.len(), whole.full, whole.more), (5, true, false));
        assert_eq!(parts.take(part(6, 1, false)).unwrap().unwrap().allocations.len(), 1);
        parts.take(part(7, 1, true)).unwrap();
        assert!(parts.take(part(8, 1, false)).is_err(), "of another report");
        parts.take(part(9, MOST_PODS, true)).unwrap();
        assert!(parts.take(part(9, 1, false)).is_err(), "without end");
        let batch = agent::PodReport {
            full: false,
            ..part(9, 1, true)
        };
        assert!(parts.take(batch).is_err(), "only full ones come in parts");
    }

    #[test]
    fn what_is_not_as_the_protocol_says_is_refused() {
        assert_eq!(
            exceptions(NODE, vec![exception("network", 1, "")]),
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
