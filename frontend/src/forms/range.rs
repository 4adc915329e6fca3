//! Ranges of addresses while one types them: what is in their way, and what would do instead.

use std::net::IpAddr;

use portolan_shared::addr::{BadCidr, Cidr, Family, next_free_block};
use portolan_shared::check::{self, UsedRange};
use portolan_shared::holder::{Holder, Named};
use portolan_shared::ids::NetworkId;
use portolan_shared::refusal::{Param, Refusal};

use crate::api::Failure;
use crate::components::field::Message;
use crate::i18n::{Key, params, tp};

/// Another range that is in the way, or that one should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The range being typed.
    pub mine: Cidr,
    /// The one that is there.
    pub theirs: Cidr,
    /// What that one is called.
    pub name: String,
    /// It cannot be made beside the other; else one should know.
    pub forbidden: bool,
    /// The sentence that says so.
    pub said: String,
}

impl Overlap {
    /// What stands under the field.
    pub fn message(&self) -> Message {
        match self.forbidden {
            true => Message::error(self.said.as_str()),
            false => Message::warning(self.said.as_str()),
        }
    }
}

/// What is to be said of a range being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Under the field.
    pub message: Option<Message>,
    /// To be drawn.
    pub overlap: Option<Overlap>,
    /// A range that would do instead, one click away.
    pub offered: Option<Cidr>,
    /// How large it is, in words.
    pub size: Option<String>,
}

/// What a range is called where there is little room: a subnet by its name alone.
fn label(holder: &Holder) -> String {
    match holder {
        Holder::Named(Named::Subnet, name, _) => name.clone(),
        other => params::holder(&other.param()),
    }
}

/// What overlaps first: in the same network it forbids, elsewhere in the project one should know.
pub fn overlap(mine: Cidr, network: Option<NetworkId>, space: &[UsedRange]) -> Option<Overlap> {
    if let Some(refusal) = network.and_then(|network| check::overlap(mine, network, space))
        && let Refusal::Overlap { what, other_cidr, .. } = &refusal
    {
        return Some(Overlap {
            mine,
            theirs: *other_cidr,
            name: label(what),
            forbidden: true,
            said: Failure::from_refusal(&refusal).sentence(),
        });
    }
    let elsewhere = |range: &&UsedRange| Some(range.network_id) != network && range.cidr.overlaps(&mine);
    let theirs = space.iter().find(elsewhere)?;
    let shared = mine.range().intersection(&theirs.cidr.range())?;
    Some(Overlap {
        mine,
        theirs: theirs.cidr,
        name: label(&theirs.holder()),
        forbidden: false,
        said: tp(
            Key::OverlapElsewhere,
            &[
                ("cidr", &mine.to_string()),
                ("name", &params::holder(&theirs.holder().param())),
                ("other", &theirs.cidr.to_string()),
                ("network", &theirs.network),
                ("shared", &shared.to_string()),
            ],
        ),
    })
}

/// A warning for a range that is allowed but whose addresses belong to others.
pub fn foreign(cidr: Cidr) -> Option<Message> {
    let key = match cidr.first() {
        IpAddr::V4(_) => {
            let within = |network: &str| network.parse::<Cidr>().is_ok_and(|network| network.overlaps(&cidr));
            if within("100.64.0.0/10") {
                Key::WarnCarrier
            } else if within("198.18.0.0/15") {
                Key::WarnProvider
            } else if PRIVATE.iter().any(|private| holds(private, cidr)) {
                return None;
            } else {
                Key::WarnPublic
            }
        }
        // Unique local addresses are fc00::/7 (RFC 4193), documentation 2001:db8::/32 (RFC 3849).
        IpAddr::V6(first) if first.segments()[0] & 0xfe00 == 0xfc00 => return None,
        IpAddr::V6(first) if first.segments()[..2] == [0x2001, 0xdb8] => return None,
        IpAddr::V6(_) => Key::WarnPublic,
    };
    Some(Message::warning(tp(key, &[("cidr", &cidr.to_string())])))
}

/// Private ranges (RFC 1918), the one that is offered from by itself last.
const PRIVATE: [&str; 3] = ["192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8"];

/// Whether all of `inner` lies in `outer`.
fn holds(outer: &str, inner: Cidr) -> bool {
    outer
        .parse::<Cidr>()
        .is_ok_and(|outer| outer.contains(inner.first()) && outer.contains(inner.last()))
}

/// A range to take instead of what was typed: the one meant where host bits are set or the length is
/// missing (then of the `usual` length for IPv4 and IPv6), the next free where it overlaps.
pub fn offered(text: &str, usual: (u8, u8), overlap: Option<&Overlap>, taken: &[Cidr]) -> Option<Cidr> {
    let text = text.trim();
    match text.parse::<Cidr>() {
        Ok(_) => overlap.and_then(|overlap| next_free(Some(overlap.mine), overlap.mine.prefix(), taken)),
        Err(BadCidr::HostBits(meant)) => Some(meant),
        Err(BadCidr::Syntax) => {
            let address = text.parse::<IpAddr>().ok()?;
            Cidr::containing(address, if address.is_ipv4() { usual.0 } else { usual.1 })
        }
    }
}

/// The next free range of that size, near `meant` first: in the same private range.
pub fn next_free(meant: Option<Cidr>, prefix: u8, taken: &[Cidr]) -> Option<Cidr> {
    let mut within: Vec<Cidr> = Vec::new();
    match meant {
        Some(meant) if meant.family() == Family::V6 => {
            within.extend(Cidr::containing(meant.first(), prefix.saturating_sub(16).max(1)));
            within.extend("fd00::/8".parse::<Cidr>());
        }
        _ => {
            let same = PRIVATE
                .iter()
                .find(|range| meant.is_some_and(|meant| holds(range, meant)));
            within.extend(same.and_then(|range| range.parse::<Cidr>().ok()));
            within.extend("10.0.0.0/8".parse::<Cidr>());
        }
    }
    within
        .into_iter()
        .find_map(|within| next_free_block(within, prefix, taken))
}

/// The ranges alone.
pub fn taken(space: &[UsedRange]) -> Vec<Cidr> {
    space.iter().map(|range| range.cidr).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::components::field::Weight;

    /// The network one is in.
    pub(crate) const NETWORK: &str = "01930000-0000-7000-8000-000000000001";
    /// Another one of the project's.
    pub(crate) const OTHER: &str = "01930000-0000-7000-8000-000000000002";

    /// A range in use.
    pub(crate) fn used(cidr: &str, name: &str, network: &str) -> UsedRange {
        UsedRange {
            cidr: cidr.parse().unwrap(),
            name: name.into(),
            network_id: network.parse().unwrap(),
            network: if network == NETWORK { "shop" } else { "lab" }.into(),
            subnet_id: OTHER.parse().ok(),
        }
    }

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn the_same_network_forbids_and_comes_first() {
        let space = [used("10.0.0.0/16", "far", OTHER), used("10.0.0.0/23", "db", NETWORK)];
        let found = overlap(cidr("10.0.1.0/24"), NETWORK.parse().ok(), &space).unwrap();
        assert_eq!((found.name.as_str(), found.theirs), ("db", cidr("10.0.0.0/23")));
        assert_eq!(found.message().weight, Weight::Error);
        let found = overlap(cidr("10.0.1.0/24"), None, &space).unwrap();
        assert_eq!((found.name.as_str(), found.message().weight), ("far", Weight::Warning));
        for part in ["10.0.1.0/24", "far", "lab", "10.0.1.0-10.0.1.255"] {
            assert!(found.said.contains(part), "{part} in {}", found.said);
        }
        assert_eq!(overlap(cidr("10.5.0.0/24"), None, &space), None);
    }

    #[test]
    fn what_was_meant_is_offered_before_what_is_free() {
        let offered = |text: &str| offered(text, (24, 64), None, &[]).map(|cidr| cidr.to_string());
        assert_eq!(offered("10.5.1.7/24").as_deref(), Some("10.5.1.0/24"));
        assert_eq!(offered(" 10.5.1.7 ").as_deref(), Some("10.5.1.0/24"));
        assert_eq!(offered("fd00::7").as_deref(), Some("fd00::/64"));
        assert_eq!(offered("10.5.1.0/24"), None, "nothing is wrong with it");
        assert_eq!(offered("nonsense"), None);
    }

    #[test]
    fn the_next_free_is_of_the_same_private_range() {
        let taken = [cidr("192.168.0.0/24"), cidr("10.0.0.0/16")];
        assert_eq!(
            next_free(Some(cidr("192.168.0.0/24")), 24, &taken),
            Some(cidr("192.168.1.0/24"))
        );
        assert_eq!(next_free(None, 16, &taken), Some(cidr("10.1.0.0/16")));
    }

    #[test]
    fn ranges_that_are_not_ones_own_are_warned_of() {
        for (text, warned) in [
            ("8.8.8.0/24", true),
            ("100.64.0.0/24", true),
            ("198.18.0.0/24", true),
            ("192.168.0.0/24", false),
            ("fd00::/64", false),
            ("2a00::/64", true),
        ] {
            let message = foreign(cidr(text));
            assert_eq!(message.is_some(), warned, "{text}");
            assert!(
                message.is_none_or(|message| message.weight == Weight::Warning),
                "{text}"
            );
        }
    }
}
