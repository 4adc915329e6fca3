//! The three ranges of a cluster: disjoint, long enough, and out of the way of others.

use portolan_shared::addr::{Cidr, Family};
use portolan_shared::check::{self, UsedRange};
use portolan_shared::cluster::{block_prefix, blocks};
use portolan_shared::holder::{Holder, Plain};
use portolan_shared::ids::NetworkId;
use portolan_shared::refusal::Refusal;

use super::{Context, Typed, refused};
use crate::api::Failure;
use crate::forms::range::{self, Overlap, Said, next_free};
use crate::i18n::{Key, format, t, tp};

/// Prefix lengths (IPv4, IPv6) of what is offered: 254 nodes; 1,024 blocks; 4,096 services. The server's own.
const NODES: (u8, u8) = (24, 64);
const PODS: (u8, u8) = (16, 112);
const SERVICES: (u8, u8) = (20, 116);
/// Bits of a block of pod addresses: 64.
const BLOCK_BITS: u8 = 6;

/// Which of a cluster's ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Nodes,
    Pods,
    Services,
}

impl Range {
    /// The field's name in the API, what it is called, and the lengths that are offered.
    fn words(self) -> (&'static str, Key, (u8, u8)) {
        match self {
            Range::Nodes => ("node_range", Key::NodeAddresses, NODES),
            Range::Pods => ("pod_range", Key::PodAddresses, PODS),
            Range::Services => ("service_range", Key::ServiceAddresses, SERVICES),
        }
    }

    /// As what is in another range's way.
    fn holder(self) -> Plain {
        match self {
            Range::Nodes => Plain::NodeRange,
            Range::Pods => Plain::PodRange,
            Range::Services => Plain::ServiceRange,
        }
    }

    /// Longest prefix: a node range holds a gateway and a node, a pod range a block.
    fn longest(self, family: Family) -> u8 {
        match self {
            Range::Nodes => family.bits() - 2,
            Range::Pods => block_prefix(family),
            Range::Services => family.bits(),
        }
    }
}

/// The ranges of the form.
pub(super) struct Ranges<'a> {
    all: Vec<(Range, &'a str)>,
}

impl<'a> Ranges<'a> {
    pub(super) fn of(typed: &'a Typed) -> Self {
        let mut all = vec![
            (Range::Pods, typed.pods.as_str()),
            (Range::Services, typed.services.as_str()),
        ];
        if typed.network.is_empty() {
            all.insert(0, (Range::Nodes, typed.nodes.as_str()));
        }
        Self { all }
    }

    /// What is to be said of one of them. An empty one is left to the server.
    pub(super) fn said(&self, which: Range, context: &Context, network: Option<NetworkId>) -> Said {
        let text = self
            .all
            .iter()
            .find(|(range, _)| *range == which)
            .map_or("", |(_, text)| *text);
        let mut said = Said::default();
        if text.trim().is_empty() {
            return said;
        }
        let (field, _, usual) = which.words();
        let others: Vec<(Range, Cidr)> = self
            .all
            .iter()
            .filter(|(range, _)| *range != which)
            .filter_map(|(range, text)| Some((*range, text.trim().parse().ok()?)))
            .collect();
        match check::cidr(field, text) {
            Err(refusal) => said.message = Some(refused(&refusal)),
            Ok(cidr) => {
                said.size = Some(size(which, cidr));
                let longest = which.longest(cidr.family());
                if cidr.prefix() > longest {
                    said.message = Some(refused(&Refusal::OutOfRange {
                        field: field.to_owned(),
                        value: i64::from(cidr.prefix()),
                        min: 1,
                        max: i64::from(longest),
                    }));
                    return said;
                }
                said.overlap = with_another(cidr, &others).or_else(|| range::overlap(cidr, network, &context.space));
                said.message = match &said.overlap {
                    Some(overlap) => Some(overlap.message()),
                    None => range::foreign(cidr),
                };
            }
        }
        let mut taken = range::taken(&context.space);
        taken.extend(others.iter().map(|(_, cidr)| *cidr));
        said.offered = range::offered(text, usual, said.overlap.as_ref(), &taken);
        said
    }
}

/// Another range of this form that overlaps.
fn with_another(mine: Cidr, others: &[(Range, Cidr)]) -> Option<Overlap> {
    let (range, theirs) = others.iter().find(|(_, cidr)| cidr.overlaps(&mine))?;
    let refusal = Refusal::RangesOverlap {
        range: mine,
        other: *theirs,
        what: Holder::The(range.holder()),
    };
    Some(Overlap {
        mine,
        theirs: *theirs,
        name: t(range.words().1).to_owned(),
        forbidden: true,
        said: Failure::from_refusal(&refusal).sentence(),
    })
}

/// `1,024 blocks of 64 addresses`, or how many addresses.
pub(super) fn size(which: Range, cidr: Cidr) -> String {
    match which {
        Range::Pods => tp(
            Key::BlocksOf,
            &[
                ("blocks", &format::big_number(blocks(cidr))),
                ("size", &format::number(1 << BLOCK_BITS)),
            ],
        ),
        Range::Nodes | Range::Services => tp(Key::AddressesOf, &[("all", &format::big_number(cidr.size()))]),
    }
}

/// The ranges offered as the form opens: the next free of each size, in the order in which the server picks.
pub fn fresh(space: &[UsedRange]) -> [String; 3] {
    let mut taken = range::taken(space);
    [NODES, PODS, SERVICES].map(|(prefix, _)| {
        let free = next_free(None, prefix, &taken);
        taken.extend(free);
        free.map(|cidr| cidr.to_string()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::range::tests::{NETWORK, OTHER, used};
    use super::*;
    use crate::components::field::Weight;

    fn context() -> Context {
        Context {
            space: vec![used("10.0.0.0/16", "db", NETWORK), used("10.9.0.0/16", "far", OTHER)],
            ..Context::default()
        }
    }

    fn said(pods: &str, services: &str, network: Option<&str>) -> Said {
        let typed = Typed {
            nodes: "10.5.0.0/24".into(),
            pods: pods.into(),
            services: services.into(),
            ..Typed::default()
        };
        let network = network.and_then(|network| network.parse().ok());
        Ranges::of(&typed).said(Range::Pods, &context(), network)
    }

    #[test]
    fn the_next_free_of_each_size_is_offered() {
        assert_eq!(fresh(&context().space), ["10.1.0.0/24", "10.2.0.0/16", "10.1.16.0/20"]);
        assert_eq!(fresh(&[]), ["10.0.0.0/24", "10.1.0.0/16", "10.0.16.0/20"]);
    }

    #[test]
    fn two_ranges_of_one_cluster_never_overlap() {
        let said = said("10.4.0.0/16", "10.4.0.0/20", None);
        let overlap = said.overlap.unwrap();
        assert!(overlap.forbidden && overlap.name == "Service addresses", "{overlap:?}");
        assert_eq!(said.message.unwrap().weight, Weight::Error);
        assert_eq!(
            said.offered,
            "10.1.0.0/16".parse().ok(),
            "clear of the network's and of its own"
        );
    }

    #[test]
    fn another_range_of_the_network_forbids_and_one_elsewhere_warns() {
        let weight = |pods: &str, network| said(pods, "", network).message.map(|message| message.weight);
        assert_eq!(weight("10.0.0.0/17", Some(NETWORK)), Some(Weight::Error));
        assert_eq!(
            weight("10.0.0.0/17", None),
            Some(Weight::Warning),
            "a network of its own"
        );
        assert_eq!(weight("10.9.0.0/17", Some(NETWORK)), Some(Weight::Warning));
        assert_eq!(weight("10.2.0.0/16", Some(NETWORK)), None);
        let sentence = said("10.0.0.0/17", "", Some(NETWORK)).message.unwrap().text;
        assert!(
            sentence.contains("db") && sentence.contains("10.0.0.0-10.0.127.255"),
            "{sentence}"
        );
    }

    #[test]
    fn pods_are_counted_in_blocks() {
        assert_eq!(
            said("10.2.0.0/16", "", None).size.as_deref(),
            Some("1,024 blocks of 64 addresses")
        );
        let short = said("10.2.0.0/27", "", None);
        assert_eq!(short.message.map(|message| message.weight), Some(Weight::Error));
        assert_eq!(blocks("10.2.0.0/26".parse().unwrap()), 1);
        assert_eq!(blocks("fd00::/112".parse().unwrap()), 1_024);
    }

    #[test]
    fn what_is_no_range_offers_the_one_meant_and_none_is_left_to_the_server() {
        assert_eq!(said("10.2.3.4", "", None).offered, "10.2.0.0/16".parse().ok());
        assert_eq!(said("10.2.3.4/16", "", None).offered, "10.2.0.0/16".parse().ok());
        assert_eq!(said("", "", None), Said::default());
    }
}
