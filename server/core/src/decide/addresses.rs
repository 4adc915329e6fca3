//! Fixed IPs and MAC addresses of ports.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_shared::addr::Family;
use portolan_shared::holder::{Holder, Holders, Plain, Several};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::PortKind;

use super::{holder, subnets};
use crate::command::{FixedIpRequest, Request};
use crate::draft::Draft;
use crate::model::{FixedIp, Network, Port, Purpose, Subnet};
use crate::model::{customers_kind, display_name, port_kind};
use crate::view::PortScope;

/// Device owners of Neutron's that may hold a subnet's gateway address.
const ROUTER_OWNER: &str = "network:router_";

/// What a choice of addresses goes by.
pub(super) struct Chooser<'c> {
    pub(super) request: &'c Request,
    pub(super) network: &'c Network,
    /// The port's `device_owner`.
    pub(super) device_owner: &'c str,
    /// What the port has now, when it changes.
    pub(super) port: Option<&'c Port>,
    /// Chosen so far, in the order asked for.
    chosen: Vec<FixedIp>,
}

impl<'c> Chooser<'c> {
    pub(super) fn new(
        request: &'c Request,
        network: &'c Network,
        device_owner: &'c str,
        port: Option<&'c Port>,
    ) -> Self {
        Self {
            request,
            network,
            device_owner,
            port,
            chosen: Vec::new(),
        }
    }

    /// Nothing said: one address of each family the network has subnets of, from the first subnet
    /// with room, in the order they were made.
    pub(super) fn by_default(mut self, draft: &mut Draft<'_>) -> Result<Box<[FixedIp]>, Refusal> {
        let subnets = draft.of::<Subnet>(self.network.id);
        for family in [Family::V4, Family::V6] {
            let of_family = || {
                let open = |s: &&Arc<Subnet>| s.cidr.family() == family && !matches!(s.purpose, Purpose::Pods(_));
                subnets.iter().filter(open)
            };
            let room = of_family().find_map(|subnet| Some((subnet, draft.next_address(subnet.id)?)));
            match (room, of_family().next()) {
                (Some((subnet, address)), _) => {
                    draft.walked_to(subnet.id, address);
                    self.chosen.push(FixedIp {
                        subnet: subnet.id,
                        address,
                    });
                }
                (None, Some(full)) => return Err(self.exhausted(draft, full)),
                (None, None) => {}
            }
        }
        Ok(self.chosen.into())
    }

    /// What is asked for: explicit addresses first, so that the walk does not take them.
    pub(super) fn asked(mut self, draft: &mut Draft<'_>, asked: &[FixedIpRequest]) -> Result<Box<[FixedIp]>, Refusal> {
        let mut fixed: Vec<Option<FixedIp>> = Vec::with_capacity(asked.len());
        for request in asked {
            let ip = match request {
                FixedIpRequest::Subnet(_) => None,
                FixedIpRequest::Address(address) => {
                    let subnet = self.subnet_of(draft, *address)?;
                    Some(self.explicit(draft, &subnet, *address)?)
                }
                FixedIpRequest::Both(subnet, address) => {
                    let subnet = subnets::in_network(draft, self.request, *subnet, self.network.id)?;
                    Some(self.explicit(draft, &subnet, *address)?)
                }
            };
            self.chosen.extend(ip);
            fixed.push(ip);
        }
        let mut result = Vec::with_capacity(asked.len());
        for (request, fixed) in asked.iter().zip(fixed) {
            result.push(match (fixed, request) {
                (Some(ip), _) => ip,
                (None, FixedIpRequest::Subnet(id)) => {
                    let ip = self.any_of(draft, *id)?;
                    self.chosen.push(ip);
                    ip
                }
                (None, FixedIpRequest::Address(_) | FixedIpRequest::Both(..)) => continue,
            });
        }
        Ok(result.into())
    }

    fn subnet_of(&self, draft: &Draft<'_>, address: IpAddr) -> Result<Arc<Subnet>, Refusal> {
        let subnets = draft.of::<Subnet>(self.network.id);
        subnets
            .into_iter()
            .find(|subnet| subnet.cidr.contains(address))
            .ok_or_else(|| Refusal::AddressOutsideNetwork {
                address,
                network: display_name(&self.network.name, self.network.id),
            })
    }

    /// One address, asked for: it may be outside of the pools, and does not move the walk.
    fn explicit(&self, draft: &Draft<'_>, subnet: &Subnet, address: IpAddr) -> Result<FixedIp, Refusal> {
        let ip = FixedIp {
            subnet: subnet.id,
            address,
        };
        if self.chosen.contains(&ip) {
            return Err(Refusal::AddressTwice { address });
        }
        if self.port.is_some_and(|port| port.fixed_ips.contains(&ip)) {
            return Ok(ip);
        }
        let name = || display_name(&subnet.name, subnet.id);
        if !subnet.cidr.hosts().contains(address) {
            return Err(Refusal::AddressOutside {
                address,
                subnet: name(),
                cidr: subnet.cidr,
            });
        }
        if let Purpose::Pods(_) = subnet.purpose {
            return Err(
                match draft
                    .block_at(subnet.id, address)
                    .and_then(|block| draft.node(block.node))
                {
                    Some(node) => Refusal::AddressInBlock {
                        address,
                        subnet: name(),
                        node: node.name.clone(),
                    },
                    None => pod_range(draft, subnet),
                },
            );
        }
        if subnet.gateway == Some(address) && !self.device_owner.starts_with(ROUTER_OWNER) {
            return Err(Refusal::AddressTaken {
                address,
                subnet: name(),
                holder: Holder::The(Plain::Gateway),
            });
        }
        match draft.port_at(subnet.id, address) {
            Some(port) => Err(Refusal::AddressTaken {
                address,
                subnet: name(),
                holder: holder(self.request, &port),
            }),
            None => Ok(ip),
        }
    }

    /// Any address of a subnet: one the port has there already, else the next of the walk.
    fn any_of(&self, draft: &mut Draft<'_>, id: portolan_shared::ids::SubnetId) -> Result<FixedIp, Refusal> {
        let subnet = subnets::in_network(draft, self.request, id, self.network.id)?;
        let kept = self.port.and_then(|port| {
            port.fixed_ips
                .iter()
                .find(|ip| ip.subnet == id && !self.chosen.contains(ip))
                .copied()
        });
        if let Some(kept) = kept {
            return Ok(kept);
        }
        if let Purpose::Pods(_) = subnet.purpose {
            return Err(pod_range(draft, &subnet));
        }
        let address = self.walk(draft, &subnet)?;
        Ok(FixedIp { subnet: id, address })
    }

    /// The walk's next address that this request has not asked for itself.
    fn walk(&self, draft: &mut Draft<'_>, subnet: &Subnet) -> Result<IpAddr, Refusal> {
        // What was chosen so far is taken out of the pool while looking, and put back by the port.
        let mine: Vec<IpAddr> = self
            .chosen
            .iter()
            .filter(|ip| ip.subnet == subnet.id)
            .map(|ip| ip.address)
            .collect();
        let address = draft
            .next_address_but(subnet.id, &mine)
            .ok_or_else(|| self.exhausted(draft, subnet))?;
        draft.walked_to(subnet.id, address);
        Ok(address)
    }

    fn exhausted(&self, draft: &Draft<'_>, subnet: &Subnet) -> Refusal {
        exhausted(draft, subnet)
    }
}

fn pod_range(draft: &Draft<'_>, subnet: &Subnet) -> Refusal {
    let cluster = match subnet.purpose {
        Purpose::Pods(id) => draft
            .cluster(id)
            .map_or_else(|| id.to_string(), |cluster| cluster.name.clone()),
        Purpose::General | Purpose::Nodes(_) => String::new(),
    };
    Refusal::PodRange {
        subnet: display_name(&subnet.name, subnet.id),
        cluster,
    }
}

/// A subnet without a free address: its pools, and what fills them.
pub(super) fn exhausted(draft: &Draft<'_>, subnet: &Subnet) -> Refusal {
    let ports = draft.port_count(PortScope::Subnet(subnet.id));
    // What fills a subnet is counted on the view; this batch's own ports are few beside it.
    let mut by_kind = draft.view().subnet_use(subnet.id).by_kind;
    if by_kind.is_empty() {
        by_kind = count_kinds(&draft.ports(PortScope::Subnet(subnet.id)));
    }
    let used: u64 = by_kind.iter().map(|(_, n)| n).sum::<u64>().max(ports);
    let count = |(kind, n): &(PortKind, u64)| Holder::Count(counted(customers_kind(*kind)), *n);
    Refusal::Exhausted {
        subnet: display_name(&subnet.name, subnet.id),
        cidr: subnet.cidr,
        pools: subnet
            .pools
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        used,
        used_by: Holders(by_kind.iter().map(count).collect()),
    }
}

fn count_kinds(ports: &[Arc<Port>]) -> Vec<(PortKind, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for port in ports {
        *counts.entry(port_kind(port)).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// How holders of a kind are counted.
fn counted(kind: PortKind) -> Several {
    match kind {
        PortKind::Node => Several::Node,
        PortKind::Pod => Several::Pod,
        PortKind::Gateway => Several::Gateway,
        PortKind::ClusterAddress => Several::ClusterAddress,
        PortKind::Reserved => Several::Reserved,
        PortKind::Device => Several::Device,
        PortKind::Provider | PortKind::Shadow => Several::Provider,
    }
}

/// The MAC address asked for, or the next of the project's walk.
pub(super) fn mac(
    draft: &mut Draft<'_>,
    request: &Request,
    project: &crate::model::Project,
    network: &Network,
    asked: Option<MacAddress>,
) -> Result<MacAddress, Refusal> {
    match asked {
        None => Ok(draft.next_mac(project, network.id)),
        Some(mac) => match draft.port_with_mac(network.id, mac) {
            None => Ok(mac),
            Some(port) => Err(Refusal::MacTaken {
                mac,
                network: display_name(&network.name, network.id),
                holder: holder(request, &port),
            }),
        },
    }
}
