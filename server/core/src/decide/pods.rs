//! Pods' ports, as the agents report them.

use std::collections::HashSet;
use std::sync::Arc;

use portolan_shared::holder::{Holder, Plain};
use portolan_shared::ids::{NodeId, PortId};
use portolan_shared::refusal::Refusal;

use super::{blocks, check_quota, describe, not_found};
use crate::command::PodAllocation;
use crate::draft::Draft;
use crate::model::display_name;
use crate::model::{Cluster, FixedIp, Key, Node, NodeStatus, Object, Port, Project, owner};
use crate::quotas::Counted;
use crate::view::PortScope;

/// What an agent reports. `in_order`: no report of another stream of the node counts any more, so that sequence numbers in
/// the store which this one has not reached are of a copy of the machine.
pub(super) fn report(
    draft: &mut Draft<'_>,
    node: NodeId,
    full: bool,
    in_order: bool,
    seq: u64,
    allocations: &[PodAllocation],
    releases: &[(PortId, u64)],
) -> Result<Vec<Object>, Refusal> {
    let node = draft.node(node).ok_or(Refusal::NodeRemoved {})?;
    let cluster = draft.cluster(node.cluster).ok_or(Refusal::NodeRemoved {})?;
    let project = draft
        .project(node.meta.project)
        .ok_or_else(|| not_found("Project", node.meta.project))?;
    let reporter = Reporter { node, cluster, project };
    let stored_seq = draft.node_status(reporter.node.id).map_or(0, |status| status.pod_seq);
    if full {
        let alive: HashSet<PortId> = allocations.iter().map(|a| a.id).collect();
        for port in draft.ports(PortScope::Node(reporter.node.id)) {
            let covered = port.pod.as_ref().is_some_and(|pod| in_order || pod.seq <= seq);
            if covered && !alive.contains(&port.id) {
                draft.delete(Key::Port(port.id));
            }
        }
    }
    let mut accepted = Vec::with_capacity(allocations.len());
    for allocation in allocations {
        let known = draft.port(allocation.id);
        // What was reported before and is gone was released since: a repeated report does not bring it back.
        let repeated = !full && known.is_none() && allocation.pod.seq <= stored_seq;
        if repeated {
            continue;
        }
        match reporter.allocate(draft, allocation, known) {
            Ok(port) => accepted.push(port),
            Err(because) => draft.declines(allocation.id, because),
        }
    }
    for (id, released) in releases {
        let mine = draft.port(*id).filter(|port| port.node == Some(reporter.node.id));
        if mine.is_some_and(|port| port.pod.as_ref().is_some_and(|pod| pod.seq <= *released)) {
            draft.delete(Key::Port(*id));
        }
    }
    if let Some(status) = draft.node_status(reporter.node.id) {
        let pod_seq = match full && in_order {
            true => seq,
            false => status.pod_seq.max(seq),
        };
        let new = NodeStatus {
            pod_seq,
            ..(*status).clone()
        };
        if status.wants_block.is_some() && blocks::has_room(draft, &reporter.node) {
            draft.put(NodeStatus {
                revision: draft.revision(),
                wants_block: None,
                ..new
            });
        } else if new != *status {
            draft.put_quiet(new);
        }
    }
    Ok(accepted)
}

/// Who reports.
struct Reporter {
    node: Arc<Node>,
    cluster: Arc<Cluster>,
    project: Arc<Project>,
}

impl Reporter {
    /// The pod's port, or why there is none; then nothing is touched.
    fn allocate(
        &self,
        draft: &mut Draft<'_>,
        allocation: &PodAllocation,
        known: Option<Arc<Port>>,
    ) -> Result<Object, Refusal> {
        let node = self.node.id;
        if let Some(port) = &known {
            let same = port.node == Some(node) && port.pod.is_some();
            let stands = port.pod.as_ref().is_some_and(|pod| **pod == allocation.pod)
                && port
                    .fixed_ips
                    .iter()
                    .map(|ip| ip.address)
                    .eq(allocation.addresses.iter().copied())
                && port.mac == allocation.mac;
            match (same, stands) {
                (false, _) => {
                    return Err(Refusal::Malformed {
                        detail: format!("the id {} is another port's", allocation.id),
                    });
                }
                (true, true) => return Ok(Object::Port(Arc::clone(port))),
                (true, false) => {}
            }
        } else {
            check_quota(draft, &self.project, Counted::Pods, 1)?;
        }
        let mut fixed_ips = Vec::with_capacity(allocation.addresses.len());
        for address in &allocation.addresses {
            let block = draft
                .block_at(self.cluster.pod_subnet, *address)
                .filter(|block| block.node == node);
            let block = block.ok_or_else(|| Refusal::OutsideLease {
                address: *address,
                node: self.node.name.clone(),
            })?;
            if fixed_ips.iter().any(|ip: &FixedIp| ip.address == *address) {
                return Err(Refusal::AddressTwice { address: *address });
            }
            fixed_ips.push(FixedIp {
                subnet: block.subnet,
                address: *address,
            });
        }
        // An older pod of this node that still has the address or MAC is gone: its release is late.
        let mut late = Vec::new();
        let with_mac = draft
            .port_with_mac(self.cluster.network, allocation.mac)
            .map(|holder| (holder, None));
        let holders = fixed_ips
            .iter()
            .filter_map(|ip| Some((draft.port_at(ip.subnet, ip.address)?, Some(ip))))
            .chain(with_mac);
        for (holder, with) in holders.filter(|(holder, _)| holder.id != allocation.id) {
            let older =
                holder.node == Some(node) && holder.pod.as_ref().is_some_and(|pod| pod.seq < allocation.pod.seq);
            if !older {
                return Err(self.taken(draft, allocation, &holder, with));
            }
            late.push(holder.id);
        }
        for id in late {
            if draft.port(id).is_some() {
                draft.delete(Key::Port(id));
            }
        }
        let meta = match &known {
            Some(port) => draft.changed(&port.meta),
            None => draft.new_meta(self.project.id),
        };
        Ok(draft.put(Port {
            id: allocation.id,
            meta,
            network: self.cluster.network,
            name: allocation.pod.name.clone().into(),
            description: known.map_or_else(|| "".into(), |port| port.description.clone()),
            mac: allocation.mac,
            fixed_ips: fixed_ips.into(),
            admin_state_up: true,
            device_owner: owner::POD.into(),
            device_id: allocation.pod.container_id.clone().into(),
            node: Some(node),
            host: "".into(),
            pod: Some(Box::new(allocation.pod.clone())),
            port_security_enabled: true,
        }))
    }

    /// Somebody else has the address, or else the MAC.
    fn taken(&self, draft: &Draft<'_>, allocation: &PodAllocation, holder: &Port, with: Option<&FixedIp>) -> Refusal {
        let holder = match holder.meta.project == self.project.id {
            true => describe(holder, Some(self.project.id)),
            false => Holder::The(Plain::ForeignPort),
        };
        match with {
            Some(ip) => Refusal::AddressTaken {
                address: ip.address,
                subnet: draft
                    .subnet(ip.subnet)
                    .map_or_else(String::new, |subnet| display_name(&subnet.name, subnet.id)),
                holder,
            },
            None => Refusal::MacTaken {
                mac: allocation.mac,
                network: draft
                    .network(self.cluster.network)
                    .map_or_else(String::new, |network| display_name(&network.name, network.id)),
                holder,
            },
        }
    }
}
