//! A new cluster, checked in itself: what needs no look at other objects, for the form while typing
//! and for the API.

use crate::addr::{Cidr, Family};
use crate::check::{cidr, label};
use crate::holder::{Holder, Plain};
use crate::ids::{NetworkId, SubnetId};
use crate::refusal::Refusal;
use crate::v1::{CreateCluster, NodesFrom, PathKind};

/// Most nodes that can be expected.
pub const NODES_MAX: u32 = 5_000;
/// Most nodes that a lab makes of a cluster.
pub const LAB_NODES_MAX: u32 = 16;
/// Nodes that a lab makes of a cluster when no number is named.
pub const LAB_NODES: u32 = 3;

/// Prefix length of a node range that is picked: 254 nodes.
pub const NODE_PREFIX: u8 = 24;
/// Prefix length of a pod range that is picked: 1,024 blocks of 64.
pub const POD_PREFIX: u8 = 16;
/// Prefix length of a service range that is picked: 4,094 services.
pub const SERVICE_PREFIX: u8 = 20;

/// Where ranges are picked from when none are named (RFC 1918).
pub fn picked_from() -> Cidr {
    "10.0.0.0/8".parse().expect("a constant in CIDR form")
}

/// Prefix length of a block of pod addresses: 64 addresses.
pub const fn block_prefix(family: Family) -> u8 {
    family.bits() - 6
}

/// Where a cluster's nodes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In a private network made for it, with this node range; `None`: the next free.
    Private(Option<Cidr>),
    /// In a network of the project's, with addresses from this subnet.
    In(NetworkId, SubnetId),
}

/// A checked new cluster: right in itself; whether it fits beside others is the writer's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// A DNS label, as [`label`] reads it.
    pub name: String,
    /// Where its nodes are.
    pub placement: Placement,
    /// `None`: the next free.
    pub pod_range: Option<Cidr>,
    /// `None`: the next free.
    pub service_range: Option<Cidr>,
    /// `None`: as the network allows.
    pub external_ip: Option<bool>,
    /// How pods of two nodes reach each other.
    pub path: PathKind,
    /// Where nodes come from.
    pub nodes_from: NodesFrom,
    /// How many are expected; 0: nobody said.
    pub nodes: u32,
}

/// Blocks of pod addresses that a pod range holds.
pub fn blocks(pods: Cidr) -> u128 {
    let bits = block_prefix(pods.family()).checked_sub(pods.prefix());
    bits.map_or(0, |bits| 1 << bits)
}

/// Checks a new cluster in itself.
///
/// # Errors
/// Everything that is wrong, in the order of the fields.
pub fn check(asked: &CreateCluster) -> Result<ClusterSpec, Vec<Refusal>> {
    let mut wrong = Vec::new();
    let name = note(label("name", &asked.name), &mut wrong).unwrap_or_default();
    let mut range = |field: &str, given: &Option<String>| {
        let given = given.as_deref()?;
        note(cidr(field, given), &mut wrong)
    };
    let node_range = range("node_range", &asked.node_range);
    let pod_range = range("pod_range", &asked.pod_range);
    let service_range = range("service_range", &asked.service_range);
    let placement = note(placement(asked, node_range), &mut wrong);
    let path = note(path(asked.path), &mut wrong).unwrap_or_default();
    let nodes = note(nodes(asked), &mut wrong).unwrap_or_default();
    let shapes = note(overlap(node_range, pod_range, service_range), &mut wrong)
        .and_then(|()| note(usable(pod_range, service_range), &mut wrong))
        .and_then(|()| note(enough_blocks(pod_range, nodes), &mut wrong));
    match (placement, shapes) {
        (Some(placement), Some(())) if wrong.is_empty() => Ok(ClusterSpec {
            name,
            placement,
            pod_range,
            service_range,
            external_ip: asked.external_ip,
            path,
            nodes_from: asked.nodes_from,
            nodes,
        }),
        _ => Err(wrong),
    }
}

fn note<T>(checked: Result<T, Refusal>, wrong: &mut Vec<Refusal>) -> Option<T> {
    checked.map_err(|refusal| wrong.push(refusal)).ok()
}

fn placement(asked: &CreateCluster, node_range: Option<Cidr>) -> Result<Placement, Refusal> {
    let required = |field: &str| Refusal::Required {
        field: field.to_owned(),
    };
    match (asked.network, asked.node_subnet) {
        (None, None) => Ok(Placement::Private(node_range)),
        (None, Some(_)) => Err(required("network")),
        (Some(_), None) => Err(required("node_subnet")),
        // The subnet has a range already.
        (Some(_), Some(_)) if asked.node_range.is_some() => Err(Refusal::ReadOnly {
            field: "node_range".to_owned(),
        }),
        (Some(network), Some(subnet)) => Ok(Placement::In(network, subnet)),
    }
}

fn path(asked: PathKind) -> Result<PathKind, Refusal> {
    if asked.carried() {
        return Ok(asked);
    }
    Err(Refusal::NotOneOf {
        field: "path".to_owned(),
        given: "vxlan".to_owned(),
        allowed: "auto, routes".to_owned(),
    })
}

fn nodes(asked: &CreateCluster) -> Result<u32, Refusal> {
    let (default, least, most) = match asked.nodes_from {
        NodesFrom::Join => (0, 0, NODES_MAX),
        NodesFrom::Lab => (LAB_NODES, 1, LAB_NODES_MAX),
    };
    let nodes = asked.nodes.unwrap_or(default);
    if (least..=most).contains(&nodes) {
        Ok(nodes)
    } else {
        Err(out_of_range("nodes", nodes, least, most))
    }
}

fn out_of_range(field: &str, value: impl Into<i64>, min: impl Into<i64>, max: impl Into<i64>) -> Refusal {
    Refusal::OutOfRange {
        field: field.to_owned(),
        value: value.into(),
        min: min.into(),
        max: max.into(),
    }
}

/// No two of a cluster's ranges share an address.
///
/// # Errors
/// The first pair that does.
pub fn overlap(nodes: Option<Cidr>, pods: Option<Cidr>, services: Option<Cidr>) -> Result<(), Refusal> {
    let pairs = [
        (pods, nodes, Plain::NodeRange),
        (services, nodes, Plain::NodeRange),
        (services, pods, Plain::PodRange),
    ];
    for (range, other, what) in pairs {
        if let (Some(range), Some(other)) = (range, other)
            && range.overlaps(&other)
        {
            return Err(Refusal::RangesOverlap {
                range,
                other,
                what: Holder::The(what),
            });
        }
    }
    Ok(())
}

/// A pod range holds a block at least, a service range is some part of all addresses.
fn usable(pods: Option<Cidr>, services: Option<Cidr>) -> Result<(), Refusal> {
    for (field, range) in [("pod_range", pods), ("service_range", services)] {
        let Some(range) = range else { continue };
        let longest = match field {
            "pod_range" => block_prefix(range.family()),
            _ => range.family().bits(),
        };
        if !(1..=longest).contains(&range.prefix()) {
            return Err(out_of_range(field, range.prefix(), 1, longest));
        }
        crate::check::usable_range(range)?;
    }
    Ok(())
}

/// A pod range has a block for each node.
fn enough_blocks(pods: Option<Cidr>, nodes: u32) -> Result<(), Refusal> {
    match pods {
        Some(pod_range) if blocks(pod_range) < nodes.into() => Err(Refusal::FewBlocks {
            pod_range,
            blocks: u64::try_from(blocks(pod_range)).unwrap_or(u64::MAX),
            nodes,
        }),
        _ => Ok(()),
    }
}

/// The longest prefix of a pod range with a block for each of `nodes` nodes (at least one).
pub fn pod_range_longest(family: Family, nodes: u32) -> u8 {
    let bits = u32::BITS - (nodes.max(1) - 1).leading_zeros();
    block_prefix(family) - u8::try_from(bits).unwrap_or(family.bits())
}

/// The longest prefix of a node range with room for a gateway, `nodes` nodes (at least one) and
/// what the provider takes.
pub fn node_range_longest(family: Family, nodes: u32, provider: u32) -> u8 {
    // The network and broadcast addresses of IPv4; the subnet-router anycast address of IPv6.
    let reserved = match family {
        Family::V4 => 2,
        Family::V6 => 1,
    };
    let wanted = u64::from(nodes.max(1)) + u64::from(provider) + 1 + reserved;
    let bits = u64::BITS - (wanted - 1).leading_zeros();
    family.bits() - u8::try_from(bits).unwrap_or(family.bits())
}

/// Checks the node range of a private network: see [`node_range_longest`].
///
/// # Errors
/// If it is too small, or all there is.
pub fn node_range(range: Cidr, nodes: u32, provider: u32) -> Result<(), Refusal> {
    let longest = node_range_longest(range.family(), nodes, provider);
    if !(1..=longest).contains(&range.prefix()) {
        return Err(out_of_range("node_range", range.prefix(), 1, longest));
    }
    crate::check::usable_range(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> CreateCluster {
        CreateCluster {
            name: "shop".to_owned(),
            ..CreateCluster::default()
        }
    }

    fn codes(asked: &CreateCluster) -> Vec<&'static str> {
        check(asked).map_or_else(|wrong| wrong.iter().map(Refusal::code).collect(), |_| vec![])
    }

    #[test]
    fn the_shape_of_a_cluster() {
        let (network, subnet) = (NetworkId::from_bytes([1; 16]), SubnetId::from_bytes([2; 16]));
        assert_eq!(check(&asked()).unwrap().placement, Placement::Private(None));
        let own = CreateCluster {
            network: Some(network),
            node_subnet: Some(subnet),
            ..asked()
        };
        assert_eq!(check(&own).unwrap().placement, Placement::In(network, subnet));
        let check_codes = |change: &dyn Fn(&mut CreateCluster), expected: &[&str]| {
            let mut asked = asked();
            change(&mut asked);
            assert_eq!(codes(&asked), expected, "{asked:?}");
        };
        check_codes(&|c| c.node_subnet = Some(subnet), &["value.required"]);
        check_codes(&|c| c.network = Some(network), &["value.required"]);
        check_codes(
            &|c| {
                c.network = Some(network);
                c.node_subnet = Some(subnet);
                c.node_range = Some("10.0.0.0/24".into());
            },
            &["body.read_only"],
        );
        check_codes(
            &|c| {
                c.name = "Shop".into();
                c.pod_range = Some("10.0.0.1/16".into());
                c.nodes = Some(5_001);
            },
            &["value.not_a_label", "value.host_bits", "value.out_of_range"],
        );
        check_codes(&|c| c.path = PathKind::Vxlan, &["value.not_one_of"]);
        check_codes(&|c| c.path = PathKind::Routes, &[]);
        check_codes(&|c| c.pod_range = Some("10.0.0.0/27".into()), &["value.out_of_range"]);
        check_codes(&|c| c.service_range = Some("0.0.0.0/0".into()), &["value.out_of_range"]);
        for (pods, nodes, codes) in [
            ("10.0.0.0/26", 1, &[][..]),
            ("10.0.0.0/26", 2, &["cluster.few_blocks"]),
            ("10.0.0.0/24", 4, &[]),
            ("10.0.0.0/24", 5, &["cluster.few_blocks"]),
            ("fd00::/120", 5, &["cluster.few_blocks"]),
            ("fd00::/48", 5_000, &[]),
        ] {
            check_codes(
                &|c| {
                    c.pod_range = Some(pods.into());
                    c.nodes = Some(nodes);
                },
                codes,
            );
        }
        check_codes(&|c| c.pod_range = Some("224.0.0.0/16".into()), &["subnet.not_usable"]);
        for (pods, services) in [("10.0.0.0/16", "10.0.0.0/20"), ("10.0.0.0/16", "10.0.128.0/20")] {
            check_codes(
                &|c| {
                    c.pod_range = Some(pods.into());
                    c.service_range = Some(services.into());
                },
                &["cluster.ranges_overlap"],
            );
        }
    }

    #[test]
    fn nodes_of_a_lab_are_few() {
        let nodes = |nodes_from, nodes| {
            check(&CreateCluster {
                nodes_from,
                nodes,
                ..asked()
            })
            .map(|spec| spec.nodes)
            .map_err(|wrong| wrong[0].code())
        };
        let (join, lab) = (NodesFrom::Join, NodesFrom::Lab);
        assert_eq!(nodes(join, None), Ok(0));
        assert_eq!(nodes(join, Some(5_000)), Ok(5_000));
        assert_eq!(nodes(lab, None), Ok(3));
        assert_eq!(nodes(lab, Some(16)), Ok(16));
        assert_eq!(nodes(lab, Some(0)), Err("value.out_of_range"));
        assert_eq!(nodes(lab, Some(17)), Err("value.out_of_range"));
    }

    #[test]
    fn a_pod_range_that_is_picked_has_a_block_for_each_node() {
        for nodes in [0, 1, 2, 3, 4, 5, 1_024, 1_025, 5_000] {
            for (family, longest) in [(Family::V4, "10.0.0.0"), (Family::V6, "fd00::")] {
                let prefix = pod_range_longest(family, nodes);
                let range = |prefix| blocks(format!("{longest}/{prefix}").parse().unwrap());
                assert!(range(prefix) >= nodes.max(1).into(), "{nodes} {prefix}");
                assert!(range(prefix + 1) < nodes.max(1).into(), "{nodes} {prefix} is longest");
            }
        }
    }

    #[test]
    fn a_node_range_has_room() {
        for (nodes, provider, v4, v6) in [
            (0, 0, 30, 126),
            (1, 0, 30, 126),
            (1, 1, 29, 126),
            (2, 1, 29, 125),
            (254, 0, 23, 120),
            (253, 0, 24, 120),
        ] {
            assert_eq!(
                node_range_longest(Family::V4, nodes, provider),
                v4,
                "{nodes} {provider}"
            );
            assert_eq!(
                node_range_longest(Family::V6, nodes, provider),
                v6,
                "{nodes} {provider}"
            );
        }
        assert!(node_range("10.0.0.0/30".parse().unwrap(), 0, 0).is_ok());
        assert!(node_range("10.0.0.0/30".parse().unwrap(), 0, 1).is_err());
        assert!(node_range("10.0.0.0/31".parse().unwrap(), 0, 0).is_err());
        assert!(node_range("127.0.0.0/24".parse().unwrap(), 0, 0).is_err());
    }
}
