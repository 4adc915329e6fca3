//! Clusters: in a network of the project's, or with a private network made for them.

use std::collections::HashSet;
use std::sync::Arc;

use portolan_shared::addr::{Cidr, Family, next_free_block};
use portolan_shared::check;
use portolan_shared::cluster::{
    self, ClusterSpec, NODE_PREFIX, POD_PREFIX, Placement, SERVICE_PREFIX, block_prefix, picked_from,
};
use portolan_shared::holder::{At, Holder, Holders, Named};
use portolan_shared::ids::{ClusterId, NetworkId, NodeId, ProjectId, SubnetId};
use portolan_shared::refusal::Refusal;
use portolan_shared::stages::Because;

use super::{
    Goes, LOOKED_AT, Removal, Users, check_quota, check_revision, external, name_clusters, name_ports, networks,
    not_found, shadow, shadow_in, subnets, target_project, visible,
};
use crate::command::{NewCluster, Request};
use crate::draft::Draft;
use crate::model::display_name;
use crate::model::{Cluster, JoinToken, Meta, Network, Node, Object, Port, Project, Purpose, Subnet};
use crate::quotas::Counted;
use crate::view::PortScope;

/// Where a new cluster will be.
enum Place {
    /// In a private network, with an external IP or with a shadow port.
    Private { external_ip: bool },
    /// In a network and a node subnet of the project's.
    Own {
        network: Arc<Network>,
        subnet: Arc<Subnet>,
        external_ip: bool,
    },
}

pub(super) fn create(draft: &mut Draft<'_>, request: &Request, new: &NewCluster) -> Result<Vec<Object>, Refusal> {
    let project = target_project(draft, request, new.project)?;
    let spec = &new.spec;
    check_quota(draft, &project, Counted::Clusters, 1)?;
    let same_name = |cluster: &Arc<Cluster>| cluster.name == spec.name;
    if draft.of::<Cluster>(project.id).iter().any(same_name) {
        return Err(Refusal::ClusterNameTaken {
            name: spec.name.clone(),
        });
    }
    let place = match spec.placement {
        Placement::Private(_) => private(draft, &project, spec)?,
        Placement::In(network, subnet) => own(draft, request, &project, spec, (network, subnet))?,
    };
    let ranges = Ranges::choose(draft, &project, spec, &place)?;
    let meta = draft.new_meta(project.id);
    let id: ClusterId = draft.new_id().into();
    let mut made = Vec::with_capacity(4);
    let (network, node_subnet, external_ip) = match place {
        Place::Private { external_ip } => {
            let (network, subnet) = make_private(draft, id, &meta, spec, (external_ip, ranges.nodes), &mut made)?;
            (network, subnet, external_ip)
        }
        Place::Own {
            network,
            subnet,
            external_ip,
        } => (network.id, subnet.id, external_ip),
    };
    let pods = subnet(draft, &meta, network, &spec.name, ranges.pods, Purpose::Pods(id));
    let pod_subnet = pods.id;
    made.push(draft.put(pods));
    let external_ip = match external_ip {
        true => Some(external::allocate(draft, id, &spec.name)?),
        false => None,
    };
    let cluster = draft.put(Cluster {
        id,
        meta,
        name: spec.name.clone(),
        network,
        private_network: matches!(spec.placement, Placement::Private(_)),
        node_subnet,
        pod_subnet,
        service_range: ranges.services,
        path: spec.path,
        block_prefix: block_prefix(ranges.pods.family()),
        feed_revision: draft.revision(),
        external_ip,
        nodes_from: spec.nodes_from,
        nodes_wanted: spec.nodes,
    });
    made.insert(0, cluster);
    Ok(made)
}

fn private(draft: &Draft<'_>, project: &Project, spec: &ClusterSpec) -> Result<Place, Refusal> {
    check_quota(draft, project, Counted::Networks, 1)?;
    check_quota(draft, project, Counted::Subnets, 2)?;
    let external_ip = spec.external_ip.unwrap_or(true);
    if !external_ip {
        shadow::check_grant(draft, project)?;
    }
    Ok(Place::Private { external_ip })
}

fn own(
    draft: &Draft<'_>,
    request: &Request,
    project: &Project,
    spec: &ClusterSpec,
    (network, subnet): (NetworkId, SubnetId),
) -> Result<Place, Refusal> {
    check_quota(draft, project, Counted::Subnets, 1)?;
    let network = networks::to_change(draft, request, network, "make clusters in")?;
    if network.external || network.meta.project != project.id {
        return Err(Refusal::NotOneOf {
            field: "network".to_owned(),
            given: network.id.to_string(),
            allowed: "networks of the project's own that are not external".to_owned(),
        });
    }
    let subnet = subnets::in_network(draft, request, subnet, network.id)?;
    check_node_subnet(draft, &subnet, spec.nodes)?;
    let name = || display_name(&network.name, network.id);
    let external_ip = spec.external_ip.unwrap_or(network.internet_access);
    if external_ip && !network.internet_access {
        return Err(Refusal::ClusterNoInternet { network: name() });
    }
    if !external_ip && network.shadow_port.is_none() {
        return Err(Refusal::ClusterNoServices { network: name() });
    }
    Ok(Place::Own {
        network,
        subnet,
        external_ip,
    })
}

/// Whether a subnet can give addresses to so many nodes; 0: nobody said, so to one.
fn check_node_subnet(draft: &Draft<'_>, subnet: &Subnet, nodes: u32) -> Result<(), Refusal> {
    let name = || display_name(&subnet.name, subnet.id);
    if let Purpose::Pods(id) | Purpose::Nodes(id) = subnet.purpose {
        return Err(Refusal::NodeSubnetOwned {
            subnet: name(),
            cluster: draft.cluster(id).map_or_else(|| id.to_string(), |c| c.name.clone()),
        });
    }
    let (room, nodes) = (draft.room(subnet.id), nodes.max(1));
    if room < u128::from(nodes) {
        return Err(Refusal::NodeSubnetFull {
            subnet: name(),
            free: u64::try_from(room).unwrap_or(u64::MAX),
            nodes,
        });
    }
    Ok(())
}

/// Makes a private network with its node subnet; their ids.
fn make_private(
    draft: &mut Draft<'_>,
    id: ClusterId,
    meta: &Meta,
    spec: &ClusterSpec,
    (external_ip, node_range): (bool, Cidr),
    made: &mut Vec<Object>,
) -> Result<(NetworkId, SubnetId), Refusal> {
    let mut network = Network {
        id: draft.new_id().into(),
        meta: meta.clone(),
        name: spec.name.clone(),
        description: String::new(),
        admin_state_up: true,
        mtu: u32::try_from(check::MTU_DEFAULT).unwrap_or(1500),
        port_security_enabled: true,
        dns_domain: String::new(),
        owner: Some(id),
        internet_access: external_ip,
        external: false,
        shadow_port: None,
    };
    let nodes = subnet(draft, meta, network.id, &spec.name, node_range, Purpose::Nodes(id));
    let ids = (network.id, nodes.id);
    let nodes = draft.put(nodes);
    if !external_ip {
        network.shadow_port = Some(shadow::make(draft, &network)?);
    }
    made.push(draft.put(network));
    made.push(nodes);
    Ok(ids)
}

/// A subnet for a cluster's nodes or pods, not yet put.
fn subnet(draft: &Draft<'_>, meta: &Meta, network: NetworkId, name: &str, cidr: Cidr, purpose: Purpose) -> Subnet {
    let (word, gateway) = match purpose {
        Purpose::Pods(_) => ("pods", None),
        Purpose::Nodes(_) | Purpose::General => ("nodes", Some(cidr.default_gateway())),
    };
    Subnet {
        id: draft.new_id().into(),
        meta: meta.clone(),
        network,
        name: format!("{name}-{word}"),
        description: String::new(),
        cidr,
        gateway,
        pools: cidr.default_pools(gateway),
        dns: Vec::new(),
        routes: Vec::new(),
        enable_dhcp: false,
        purpose,
        cursor: None,
    }
}

/// The three ranges of a cluster.
struct Ranges {
    nodes: Cidr,
    pods: Cidr,
    services: Cidr,
}

impl Ranges {
    /// What is named, and for the rest the next that overlaps nothing of the project.
    fn choose(draft: &Draft<'_>, project: &Project, spec: &ClusterSpec, place: &Place) -> Result<Self, Refusal> {
        let nodes = match (place, spec.placement) {
            (Place::Own { subnet, .. }, _) => Some(subnet.cidr),
            (Place::Private { .. }, Placement::Private(asked)) => asked,
            (Place::Private { .. }, Placement::In(..)) => None,
        };
        let mut taken = used_ranges(draft, project.id);
        taken.extend([nodes, spec.pod_range, spec.service_range].into_iter().flatten());
        let mut pick = |asked: Option<Cidr>, prefix: u8| -> Result<Cidr, Refusal> {
            if let Some(asked) = asked {
                return Ok(asked);
            }
            let within = picked_from();
            let free = next_free_block(within, prefix, &taken).ok_or(Refusal::NoFreeRange { within, prefix })?;
            taken.push(free);
            Ok(free)
        };
        let mut nodes_prefix = NODE_PREFIX;
        if let Place::Private { external_ip } = place {
            let provider = |family| u32::from(!external_ip && family == Family::V4);
            nodes_prefix = nodes_prefix.min(cluster::node_range_longest(
                Family::V4,
                spec.nodes,
                provider(Family::V4),
            ));
            if let Some(asked) = nodes {
                cluster::node_range(asked, spec.nodes, provider(asked.family()))?;
            }
        }
        let ranges = Self {
            nodes: pick(nodes, nodes_prefix)?,
            pods: pick(
                spec.pod_range,
                POD_PREFIX.min(cluster::pod_range_longest(Family::V4, spec.nodes)),
            )?,
            services: pick(spec.service_range, SERVICE_PREFIX)?,
        };
        cluster::overlap(Some(ranges.nodes), Some(ranges.pods), Some(ranges.services))?;
        if let Place::Own { network, .. } = place {
            ranges.check_beside(draft, network.id)?;
        }
        Ok(ranges)
    }

    /// Nothing in the network shares an address with the new ranges.
    fn check_beside(&self, draft: &Draft<'_>, network: NetworkId) -> Result<(), Refusal> {
        for range in [self.pods, self.services] {
            let subnet = draft.overlapping(network, range).map(|subnet| {
                (
                    subnet.cidr,
                    Holder::Named(
                        Named::Subnet,
                        display_name(&subnet.name, subnet.id),
                        Some(At::Subnet(subnet.id)),
                    ),
                )
            });
            let services = || {
                let clusters = draft.of::<Cluster>(network);
                let other = clusters.iter().find(|other| other.service_range.overlaps(&range))?;
                Some((
                    other.service_range,
                    Holder::Named(Named::Services, other.name.clone(), Some(At::Cluster(other.id))),
                ))
            };
            if let Some((other, what)) = subnet.or_else(services) {
                return Err(Refusal::RangesOverlap { range, other, what });
            }
        }
        Ok(())
    }
}

/// Everything of a project that uses addresses.
fn used_ranges(draft: &Draft<'_>, project: ProjectId) -> Vec<Cidr> {
    let subnets = draft.of::<Subnet>(project).into_iter().map(|subnet| subnet.cidr);
    let clusters = draft.of::<Cluster>(project).into_iter();
    subnets.chain(clusters.map(|cluster| cluster.service_range)).collect()
}

pub(super) fn removal(draft: &Draft<'_>, request: &Request, id: ClusterId) -> Result<Removal, Refusal> {
    let cluster = visible(request, draft.cluster(id), "Cluster", id)?;
    check_revision(request, &cluster.meta, "Cluster", id)?;
    let network = draft
        .network(cluster.network)
        .ok_or_else(|| not_found("Network", cluster.network))?;
    let mut removal = Removal::default();
    removal.take(Arc::clone(&cluster));
    removal.goes.extend(draft.of::<Node>(id).into_iter().map(Goes::Node));
    if let Some(port) = cluster.external_ip.and_then(|ip| draft.port(ip.port)) {
        removal.take(port);
    }
    if network.owner == Some(id) {
        leave_private(draft, request, &cluster, &network, &mut removal);
    } else {
        let because = || Because::NetworkCustomers(display_name(&network.name, network.id));
        if let Some(pods) = draft.subnet(cluster.pod_subnet) {
            subnets::alone(draft, pods, &mut removal);
        }
        if let Some(subnet) = draft.subnet(cluster.node_subnet) {
            removal.stays.push((Object::Subnet(subnet), because()));
        }
        removal.stays.push((Object::Network(Arc::clone(&network)), because()));
    }
    for token in draft.of::<JoinToken>(id) {
        removal.take(token);
    }
    Ok(removal)
}

/// A private network goes with its cluster, or becomes the project's if others use it.
fn leave_private(
    draft: &Draft<'_>,
    request: &Request,
    cluster: &Cluster,
    network: &Arc<Network>,
    removal: &mut Removal,
) {
    let of_network = holders(draft, request, cluster, PortScope::Network(network.id), |_| true);
    let Some(of_network) = of_network else {
        return networks::whole(draft, network, removal);
    };
    if let Some(pods) = draft.subnet(cluster.pod_subnet) {
        subnets::alone(draft, pods, removal);
    }
    let id = cluster.node_subnet;
    if let Some(subnet) = draft.subnet(id) {
        let of_subnet = holders(draft, request, cluster, PortScope::Subnet(id), |other| {
            other.node_subnet == id
        });
        match of_subnet {
            None => subnets::alone(draft, subnet, removal),
            Some(holders) => {
                let kept = Object::from(Subnet {
                    meta: draft.changed(&subnet.meta),
                    purpose: Purpose::General,
                    ..(*subnet).clone()
                });
                removal.becomes.push(kept.clone());
                removal.stays.push((kept, Because::SubnetStillUsed(holders)));
            }
        }
    }
    let kept = Object::from(Network {
        meta: draft.changed(&network.meta),
        owner: None,
        ..(**network).clone()
    });
    removal.becomes.push(kept.clone());
    removal.stays.push((kept, Because::NetworkStillUsed(of_network)));
}

/// Who uses a cluster's private network, or a subnet of it, besides that cluster: other clusters, and ports.
fn holders(
    draft: &Draft<'_>,
    request: &Request,
    cluster: &Cluster,
    scope: PortScope,
    uses: impl Fn(&Cluster) -> bool,
) -> Option<Holders> {
    let clusters = draft.of::<Cluster>(cluster.network);
    let others = clusters.iter().filter(|other| other.id != cluster.id && uses(other));
    let mut found = name_clusters(others);
    found
        .0
        .extend(name_ports(request, &other_users(draft, cluster, scope)).0);
    (!found.0.is_empty()).then_some(found)
}

/// Whose ports are in a cluster's private network, or in a subnet of it, besides that cluster's nodes and pods.
fn other_users(draft: &Draft<'_>, cluster: &Cluster, scope: PortScope) -> Users {
    let nodes = draft.of::<Node>(cluster.id);
    let own = match scope {
        // Its pods have addresses of its pod subnet alone.
        PortScope::Subnet(id) => {
            let ports = nodes.iter().filter_map(|node| draft.port(node.port));
            ports.filter(|port| port.is_in(id)).count() as u64
        }
        _ => draft.port_count(PortScope::Cluster(cluster.id)),
    };
    let shadow = shadow_in(draft, scope).map(|port| port.id);
    let count = draft
        .port_count(scope)
        .saturating_sub(own + u64::from(shadow.is_some()));
    if count == 0 {
        return Users {
            some: Vec::new(),
            count,
        };
    }
    let ids: HashSet<NodeId> = nodes.iter().map(|node| node.id).collect();
    let other = |port: &Port| Some(port.id) != shadow && port.node.is_none_or(|node| !ids.contains(&node));
    // By the addresses outside of the pod subnet, which may hold very many: few others are soon found.
    let mut some = match scope {
        PortScope::Network(id) => {
            let mut subnets = draft.of::<Subnet>(id);
            subnets.retain(|subnet| subnet.id != cluster.pod_subnet);
            let some = subnets.iter();
            some.flat_map(|subnet| draft.first_ports(PortScope::Subnet(subnet.id), LOOKED_AT, other))
                .collect()
        }
        _ => Vec::new(),
    };
    if some.is_empty() {
        some = draft.first_ports(scope, LOOKED_AT, other);
    }
    some.sort_unstable_by_key(|port| port.id);
    some.dedup_by_key(|port| port.id);
    some.truncate(LOOKED_AT);
    Users { some, count }
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
