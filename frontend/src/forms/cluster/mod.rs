//! *Create cluster*: checked while typing by the same code as on the server.

mod external_ip;
mod ranges;

use portolan_shared::addr::Cidr;
use portolan_shared::check::{self, UsedRange};
use portolan_shared::cluster::blocks;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{CreateCluster, NetworkRow, NodesFrom, PathKind, SubnetPurpose, SubnetRow};

pub use external_ip::{Barred, ExternalIpOptions, GrantState};
pub use ranges::fresh;

use super::quota::Need;
use super::range::Said;
use crate::api::Failure;
use crate::components::field::{Message, Weight};
use crate::i18n::{Key, format, t, tn, tp};

/// Most nodes that can be expected.
const NODES_MAX: i64 = 5_000;
/// Most nodes that the lab makes.
const LAB_MAX: i64 = 16;
/// Nodes of the lab when nobody says.
pub const LAB_NODES: &str = "3";

/// The form as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// As typed; a DNS label, so it cannot be empty.
    pub name: String,
    /// Id of a network of the project's; empty: a private one is made.
    pub network: String,
    /// Id of its subnet that nodes get addresses from.
    pub node_subnet: String,
    /// Node addresses of a private network.
    pub nodes: String,
    /// Pod addresses.
    pub pods: String,
    /// Service addresses.
    pub services: String,
    /// What was chosen; `None`: what the network suggests.
    pub external: Option<bool>,
    /// Path between nodes.
    pub path: PathKind,
    /// Where nodes come from.
    pub from: NodesFrom,
    /// How many, as typed.
    pub count: String,
}

/// What the form is checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Everything in the project that uses addresses.
    pub space: Vec<UsedRange>,
    /// The project's networks.
    pub networks: Vec<NetworkRow>,
    /// Subnets of the chosen network.
    pub subnets: Vec<SubnetRow>,
    /// Names of the project's clusters.
    pub clusters: Vec<String>,
    /// How the project stands with clusters that have no external IP.
    pub grant: GrantState,
}

impl Context {
    /// The network with this id.
    pub fn network(&self, id: &str) -> Option<&NetworkRow> {
        self.networks.iter().find(|network| network.id.to_string() == id)
    }

    /// Networks that clusters can be made in: the project's own, and not those of other clusters.
    pub fn networks_to_choose(&self) -> impl Iterator<Item = &NetworkRow> {
        self.networks
            .iter()
            .filter(|network| !network.external && !network.cluster_owned)
    }

    /// Subnets that can give addresses to nodes.
    pub fn node_subnets(&self) -> impl Iterator<Item = &SubnetRow> {
        self.subnets
            .iter()
            .filter(|subnet| subnet.purpose == SubnetPurpose::General)
    }
}

/// Addresses that a subnet has left.
pub fn room(subnet: &SubnetRow) -> u64 {
    subnet.capacity.saturating_sub(subnet.used)
}

/// What is to be said about the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What would be sent; `None` while something is wrong.
    pub body: Option<CreateCluster>,
    /// Under the name.
    pub name: Option<Message>,
    /// Under the network.
    pub network: Option<Message>,
    /// Under the node subnet.
    pub node_subnet: Option<Message>,
    /// Under the node addresses.
    pub nodes: Said,
    /// Under the pod addresses.
    pub pods: Said,
    /// Under the service addresses.
    pub services: Said,
    /// Under the number of nodes.
    pub count: Option<Message>,
}

fn refused(refusal: &Refusal) -> Message {
    Message::error(Failure::from_refusal(refusal).sentence())
}

/// Everything there is to say about the form.
pub fn check(typed: &Typed, context: &Context) -> Checked {
    let private = typed.network.is_empty();
    let network = context.network(&typed.network);
    let options = ExternalIpOptions::of(network, &context.grant);
    let mut checked = Checked {
        name: name(typed, context),
        network: place(typed, network, &options),
        node_subnet: if private { None } else { node_subnet(typed, context) },
        ..Checked::default()
    };
    let count = count(typed).map_err(|message| checked.count = Some(message));
    let ranges = ranges::Ranges::of(typed);
    let parse = |text: &str| text.trim().parse::<Cidr>().ok();
    if private {
        checked.nodes = ranges.said(ranges::Range::Nodes, context, None);
    }
    let id = network.map(|network| network.id);
    checked.pods = ranges.said(ranges::Range::Pods, context, id);
    checked.services = ranges.said(ranges::Range::Services, context, id);
    if checked.pods.message.is_none()
        && let (Ok(count), Some(pod_range)) = (&count, parse(&typed.pods))
        && let blocks = blocks(pod_range)
        && blocks < u128::from(*count)
    {
        checked.pods.message = Some(refused(&Refusal::FewBlocks {
            pod_range,
            blocks: blocks as u64,
            nodes: *count,
        }));
    }
    let messages = [
        &checked.name,
        &checked.network,
        &checked.node_subnet,
        &checked.nodes.message,
        &checked.pods.message,
        &checked.services.message,
    ];
    let forbidden = messages
        .iter()
        .any(|message| message.as_ref().is_some_and(|message| message.weight == Weight::Error));
    if let (Ok(count), false) = (count, forbidden) {
        let range = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        checked.body = Some(CreateCluster {
            name: typed.name.trim().to_owned(),
            network: id,
            node_subnet: if private { None } else { typed.node_subnet.parse().ok() },
            node_range: if private { range(&typed.nodes) } else { None },
            pod_range: range(&typed.pods),
            service_range: range(&typed.services),
            external_ip: Some(options.settle(typed.external)),
            path: typed.path,
            nodes_from: typed.from,
            nodes: Some(count),
        });
    }
    checked
}

fn name(typed: &Typed, context: &Context) -> Option<Message> {
    match check::label("name", typed.name.trim()) {
        Err(Refusal::Required { .. }) => Some(Message::error(t(Key::NameNeeded))),
        Err(refusal) => Some(refused(&refusal)),
        Ok(name) if context.clusters.contains(&name) => Some(refused(&Refusal::ClusterNameTaken { name })),
        Ok(_) => None,
    }
}

/// What is wrong with the network itself.
fn place(typed: &Typed, network: Option<&NetworkRow>, options: &ExternalIpOptions) -> Option<Message> {
    match network {
        None if typed.network.is_empty() => None,
        // It went while one was typing.
        None => Some(Message::error(t(Key::NetworkGone))),
        Some(network) if options.none() => Some(Message::error(tp(
            Key::NetworkLeadsNowhere,
            &[("network", &network.name)],
        ))),
        Some(_) => None,
    }
}

fn node_subnet(typed: &Typed, context: &Context) -> Option<Message> {
    let chosen = context
        .node_subnets()
        .find(|subnet| subnet.id.to_string() == typed.node_subnet);
    match chosen {
        Some(subnet) if room(subnet) == 0 => Some(Message::error(tp(
            Key::SubnetFull,
            &[("cidr", &subnet.cidr.to_string())],
        ))),
        Some(_) => None,
        None if context.node_subnets().next().is_none() => Some(Message::error(t(Key::NoNodeSubnet))),
        None => Some(Message::error(t(Key::NodeSubnetNeeded))),
    }
}

/// How many nodes are expected.
fn count(typed: &Typed) -> Result<u32, Message> {
    let (min, max) = match typed.from {
        NodesFrom::Join => (0, NODES_MAX),
        NodesFrom::Lab => (1, LAB_MAX),
    };
    let text = typed.count.trim();
    let value = match text.parse::<i64>() {
        Ok(value) => value,
        Err(_) if text.is_empty() && min == 0 => 0,
        Err(_) => {
            return Err(Message::error(tp(
                Key::NodesBetween,
                &[
                    ("min", &format::number(min as u64)),
                    ("max", &format::number(max as u64)),
                ],
            )));
        }
    };
    let field = || "nodes".to_owned();
    match u32::try_from(value) {
        Ok(count) if (min..=max).contains(&value) => Ok(count),
        _ => Err(refused(&Refusal::OutOfRange {
            field: field(),
            value,
            min,
            max,
        })),
    }
}

/// What making it takes of the project's quotas.
pub fn needs(typed: &Typed) -> Vec<Need> {
    if typed.network.is_empty() {
        vec![("cluster", 1), ("network", 1), ("subnet", 2)]
    } else {
        vec![("cluster", 1), ("subnet", 1)]
    }
}

/// What would be made, line by line, while one types.
pub fn preview(typed: &Typed, context: &Context) -> Vec<(Key, String)> {
    let network = context.network(&typed.network);
    let options = ExternalIpOptions::of(network, &context.grant);
    let external = options.settle(typed.external);
    let or_free = |text: &str| match text.trim() {
        "" => t(Key::NextFree).to_owned(),
        text => text.to_owned(),
    };
    let name = match typed.name.trim() {
        "" => t(Key::NotNamedYet).to_owned(),
        name => name.to_owned(),
    };
    let chosen = context
        .node_subnets()
        .find(|subnet| subnet.id.to_string() == typed.node_subnet);
    let nodes = match (typed.network.is_empty(), chosen) {
        (true, _) => or_free(&typed.nodes),
        (false, Some(subnet)) => format!("{} {}", subnet.name, subnet.cidr).trim().to_owned(),
        (false, None) => t(Key::None).to_owned(),
    };
    let pods = match typed.pods.trim().parse::<Cidr>() {
        Ok(cidr) => format!("{cidr}: {}", ranges::size(ranges::Range::Pods, cidr)),
        Err(_) => or_free(&typed.pods),
    };
    let mtu = network.map_or(check::MTU_DEFAULT as u64, |network| u64::from(network.mtu));
    let made = match network {
        Some(network) => network.name.clone(),
        None if external => tp(Key::PrivateWithInternet, &[("name", &name)]),
        None => tp(Key::PrivateWithServices, &[("name", &name)]),
    };
    let from = match (typed.from, count(typed).unwrap_or_default()) {
        (NodesFrom::Join, 0) => t(Key::NodesJoin).to_owned(),
        (NodesFrom::Join, n) => tn(Key::NodesJoinCount, u64::from(n)),
        (NodesFrom::Lab, n) => tn(Key::NodesLabCount, u64::from(n)),
    };
    vec![
        (Key::Cluster, name),
        (Key::Network, made),
        (Key::NodeAddresses, nodes),
        (Key::PodAddresses, pods),
        (Key::ServiceAddresses, or_free(&typed.services)),
        (
            Key::ExternalIp,
            t(match external {
                _ if options.none() => Key::None,
                true => Key::ExternalIpGiven,
                false => Key::ExternalIpNone,
            })
            .to_owned(),
        ),
        (Key::Mtu, tp(Key::Bytes, &[("n", &mtu.to_string())])),
        (Key::Nodes, from),
    ]
}

#[cfg(test)]
mod tests;
