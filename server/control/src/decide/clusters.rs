//! Clusters, and the private networks made with them.

use portolan_shared::addr::{Cidr, Family, next_free_block};
use portolan_shared::check;
use portolan_shared::ids::{ClusterId, NetworkId, ProjectId, SubnetId};
use portolan_shared::refusal::Refusal;

use super::{check_quota, check_revision, name_ports, networks, nodes, target_project, visible};
use crate::alloc::block_prefix;
use crate::command::{NewCluster, Request};
use crate::model::{Cluster, Key, Network, Object, Purpose, Subnet};
use crate::view::PortScope;
use crate::writer::draft::{Counted, Draft};

/// Where ranges are picked from when none are named (RFC 1918).
const PRIVATE: &str = "10.0.0.0/8";
/// Prefix length of a node range that is picked: 254 nodes.
const NODE_PREFIX: u8 = 24;
/// Prefix length of a pod range that is picked: 1,024 blocks of 64.
const POD_PREFIX: u8 = 16;
/// Prefix length of a service range that is picked: 4,094 services.
const SERVICE_PREFIX: u8 = 20;

pub(super) fn create(draft: &mut Draft<'_>, request: &Request, new: &NewCluster) -> Result<Vec<Object>, Refusal> {
    let project = target_project(draft, request, new.project)?;
    check_quota(draft, &project, Counted::Clusters, 1)?;
    check_quota(draft, &project, Counted::Networks, 1)?;
    check_quota(draft, &project, Counted::Subnets, 2)?;
    if draft
        .clusters_of(project.id)
        .iter()
        .any(|cluster| cluster.name == new.name)
    {
        return Err(Refusal::ClusterNameTaken { name: new.name.clone() });
    }
    let ranges = Ranges::choose(draft, new)?;
    let meta = draft.new_meta(project.id);
    let id: ClusterId = draft.new_id().into();
    let network: NetworkId = draft.new_id().into();
    let node_subnet: SubnetId = draft.new_id().into();
    let pod_subnet: SubnetId = draft.new_id().into();
    let made = Network {
        id: network,
        meta: meta.clone(),
        name: new.name.clone(),
        description: String::new(),
        admin_state_up: true,
        mtu: u32::try_from(check::MTU_DEFAULT).unwrap_or(1500),
        port_security_enabled: true,
        dns_domain: String::new(),
        owner: Some(id),
    };
    let mut objects = vec![draft.put(made)];
    let gateway = ranges.nodes.default_gateway();
    let subnet = |id, name: &str, cidr: Cidr, gateway, purpose| Subnet {
        id,
        meta: meta.clone(),
        network,
        name: format!("{}-{name}", new.name),
        description: String::new(),
        cidr,
        gateway,
        pools: cidr.default_pools(gateway),
        dns: Vec::new(),
        routes: Vec::new(),
        enable_dhcp: false,
        purpose,
        cursor: None,
    };
    objects.push(draft.put(subnet(
        node_subnet,
        "nodes",
        ranges.nodes,
        Some(gateway),
        Purpose::Nodes(id),
    )));
    objects.push(draft.put(subnet(pod_subnet, "pods", ranges.pods, None, Purpose::Pods(id))));
    let cluster = draft.put(Cluster {
        id,
        meta,
        name: new.name.clone(),
        network,
        private_network: true,
        node_subnet,
        pod_subnet,
        service_range: ranges.services,
        path: new.path,
        block_prefix: block_prefix(ranges.pods.family()),
        feed_revision: draft.revision(),
    });
    objects.insert(0, cluster);
    Ok(objects)
}

/// The three ranges of a cluster.
struct Ranges {
    nodes: Cidr,
    pods: Cidr,
    services: Cidr,
}

impl Ranges {
    /// What is named, and for the rest the next that overlaps nothing of the project.
    fn choose(draft: &Draft<'_>, new: &NewCluster) -> Result<Self, Refusal> {
        let named = [new.node_range, new.pod_range, new.service_range];
        let mut taken = used_ranges(draft, new.project);
        taken.extend(named.iter().flatten());
        let mut pick = |asked: Option<Cidr>, prefix: u8| -> Result<Cidr, Refusal> {
            if let Some(asked) = asked {
                return Ok(asked);
            }
            let within: Cidr = PRIVATE.parse().expect("a constant in CIDR form");
            let free = next_free_block(within, prefix, &taken).ok_or_else(|| Refusal::RangesOverlap {
                range: within,
                other: within,
                what: format!("the ranges of this project leave no /{prefix} free; name one outside of {within}"),
            })?;
            taken.push(free);
            Ok(free)
        };
        let ranges = Self {
            nodes: pick(new.node_range, NODE_PREFIX)?,
            pods: pick(new.pod_range, POD_PREFIX)?,
            services: pick(new.service_range, SERVICE_PREFIX)?,
        };
        ranges.check()
    }

    fn check(self) -> Result<Self, Refusal> {
        let clash = |range: Cidr, other: Cidr, what: &str| match range.overlaps(&other) {
            true => Err(Refusal::RangesOverlap {
                range,
                other,
                what: what.to_owned(),
            }),
            false => Ok(()),
        };
        clash(self.pods, self.nodes, "the node range")?;
        clash(self.services, self.nodes, "the node range")?;
        clash(self.services, self.pods, "the pod range")?;
        let longest = block_prefix(self.pods.family());
        if self.pods.prefix() > longest {
            return Err(Refusal::OutOfRange {
                field: "pod_range".to_owned(),
                value: i64::from(self.pods.prefix()),
                min: 1,
                max: i64::from(longest),
            });
        }
        // A node range holds a gateway and at least one node.
        let longest = match self.nodes.family() {
            Family::V4 => 30,
            Family::V6 => 126,
        };
        if self.nodes.prefix() > longest {
            return Err(Refusal::OutOfRange {
                field: "node_range".to_owned(),
                value: i64::from(self.nodes.prefix()),
                min: 1,
                max: i64::from(longest),
            });
        }
        Ok(self)
    }
}

/// Everything of a project that uses addresses.
fn used_ranges(draft: &Draft<'_>, project: ProjectId) -> Vec<Cidr> {
    let subnets = draft.subnets_in_project(project).into_iter().map(|subnet| subnet.cidr);
    subnets
        .chain(
            draft
                .clusters_of(project)
                .into_iter()
                .map(|cluster| cluster.service_range),
        )
        .collect()
}

pub(super) fn delete(draft: &mut Draft<'_>, request: &Request, id: ClusterId) -> Result<Vec<Object>, Refusal> {
    let cluster = visible(request, draft.cluster(id), |c| &c.meta, "Cluster", id)?;
    check_revision(request, &cluster.meta, "Cluster", id)?;
    let mut gone = vec![Object::Cluster(std::sync::Arc::clone(&cluster))];
    for token in draft.join_tokens_of(id) {
        draft.delete(Key::JoinToken(token.id));
    }
    for node in draft.nodes_of(id) {
        gone.extend(nodes::take_away(draft, &node));
    }
    let left = draft.ports(PortScope::Network(cluster.network));
    let in_its_subnets =
        |port: &&std::sync::Arc<crate::model::Port>| port.fixed_ips.iter().any(|ip| ip.subnet == cluster.node_subnet);
    let blocking: Vec<_> = match cluster.private_network {
        true => left,
        false => left.iter().filter(in_its_subnets).cloned().collect(),
    };
    if !blocking.is_empty() {
        return Err(Refusal::ClusterInUse {
            cluster: cluster.name.clone(),
            holders: name_ports(request, &blocking),
        });
    }
    draft.delete(Key::Cluster(id));
    if cluster.private_network {
        gone.extend(networks::take_away(draft, cluster.network)?);
    } else {
        for subnet in [cluster.node_subnet, cluster.pod_subnet] {
            gone.extend(draft.subnet(subnet).map(Object::Subnet));
            draft.delete(Key::Subnet(subnet));
        }
    }
    Ok(gone)
}

/// Stamps the clusters whose agents are sent something because of this command.
pub(super) fn note_feed(draft: &mut Draft<'_>) {
    for id in draft.clusters_concerned() {
        let revision = draft.revision();
        if let Some(cluster) = draft.cluster(id).filter(|cluster| cluster.feed_revision != revision) {
            draft.put_quiet(Cluster {
                feed_revision: revision,
                ..(*cluster).clone()
            });
        }
    }
}
