//! *Add subnet*: checked while typing by the same code as on the server.

use std::net::IpAddr;

use portolan_shared::addr::{BadCidr, Cidr, Family};
use portolan_shared::check::{self, GatewayInput, SubnetInput, SubnetSpec, UsedRange};
use portolan_shared::ids::NetworkId;

use super::range::{self, next_free, taken};
use super::{pairs, words};
use crate::api::Failure;
use crate::components::field::Message;
use crate::i18n::{Key, format, t, tp};

/// Prefix length offered first.
pub const FIRST_SIZE: u8 = 24;
/// Prefix length of IPv6 subnets offered (RFC 4291: interfaces have 64 bits).
const FIRST_SIZE_V6: u8 = 64;
/// Sizes the stepper goes through, largest network first.
const SIZES: std::ops::RangeInclusive<u8> = 16..=29;

/// The form as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// As typed; the form requires one.
    pub name: String,
    /// Network in CIDR form.
    pub cidr: String,
    /// Empty: the first address.
    pub gateway: String,
    /// Whether there is to be none.
    pub no_gateway: bool,
    /// Recorded for clients that ask.
    pub dhcp: bool,
    /// `a - b`, one a line; empty: everything but the gateway.
    pub pools: String,
    /// Addresses of DNS servers, apart by blanks, commas or lines.
    pub dns: String,
    /// `CIDR - hop`, one a line.
    pub routes: String,
    /// Free text, as typed; more than [`check::NAME_MAX`] characters are refused.
    pub description: String,
}

/// What is to be said about the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What would be sent; `None` while something is wrong.
    pub spec: Option<SubnetSpec>,
    /// Under the name.
    pub name: Option<Message>,
    /// Under the CIDR.
    pub cidr: range::Said,
    /// Under the gateway.
    pub gateway: Option<Message>,
    /// Under the pools.
    pub pools: Option<Message>,
    /// Under the DNS servers.
    pub dns: Option<Message>,
    /// Under the routes.
    pub routes: Option<Message>,
    /// Under the description.
    pub description: Option<Message>,
    /// The gateway there would be, for the empty field.
    pub default_gateway: Option<IpAddr>,
}

/// Everything there is to say about the form; `space` is everything in the project that uses addresses.
pub fn check(typed: &Typed, network: Option<NetworkId>, space: &[UsedRange], names: &[String]) -> Checked {
    let input = SubnetInput {
        name: typed.name.clone(),
        description: typed.description.clone(),
        cidr: typed.cidr.clone(),
        ip_version: None,
        gateway: match (typed.no_gateway, typed.gateway.trim()) {
            (true, _) => GatewayInput::None,
            (false, "") => GatewayInput::Default,
            (false, address) => GatewayInput::Address(address.to_owned()),
        },
        pools: Some(pairs(&typed.pools)).filter(|pools| !pools.is_empty()),
        dns: words(&typed.dns),
        routes: pairs(&typed.routes),
        enable_dhcp: typed.dhcp,
    };
    let mut checked = Checked::default();
    let mut wrong = match check::subnet(&input) {
        Ok(spec) => {
            checked.spec = Some(spec);
            Vec::new()
        }
        Err(wrong) => wrong,
    };
    if let Ok(cidr) = typed.cidr.trim().parse::<Cidr>() {
        checked.default_gateway = Some(cidr.default_gateway());
        checked.cidr.size = Some(size_text(cidr, checked.spec.as_ref()));
        if let Some(network) = network {
            wrong.extend(check::overlap(cidr, network, space));
        }
        checked.cidr.overlap = range::overlap(cidr, network, space);
        checked.cidr.message = match &checked.cidr.overlap {
            Some(overlap) => Some(overlap.message()),
            None => range::foreign(cidr),
        };
    }
    for refusal in &wrong {
        let place = match refusal.field().as_deref() {
            Some("name") => &mut checked.name,
            Some("gateway_ip") => &mut checked.gateway,
            Some("allocation_pools") => &mut checked.pools,
            Some("dns_nameservers") => &mut checked.dns,
            Some("host_routes") => &mut checked.routes,
            Some("description") => &mut checked.description,
            _ => &mut checked.cidr.message,
        };
        // The first error of a field stands; a warning gives way to it.
        if !place
            .as_ref()
            .is_some_and(|message| message.weight == crate::components::field::Weight::Error)
        {
            *place = Some(Message::error(Failure::from_refusal(refusal).sentence()));
        }
    }
    if !wrong.is_empty() {
        checked.spec = None;
    }
    if typed.name.trim().is_empty() {
        checked.name = Some(Message::error(t(Key::NameNeeded)));
        checked.spec = None;
    } else if checked.name.is_none() && names.iter().any(|name| *name == typed.name.trim()) {
        checked.name = Some(Message::warning(tp(
            Key::NameTakenWarning,
            &[("name", typed.name.trim())],
        )));
    }
    let usual = (FIRST_SIZE, FIRST_SIZE_V6);
    checked.cidr.offered = range::offered(&typed.cidr, usual, checked.cidr.overlap.as_ref(), &taken(space));
    checked
}

/// `256 addresses, 253 to give`; what the pools hold where they are given.
fn size_text(cidr: Cidr, spec: Option<&SubnetSpec>) -> String {
    let to_give = match spec {
        Some(spec) => spec.pools.iter().map(|pool| pool.size()).fold(0, u128::saturating_add),
        None => cidr.hosts().size().saturating_sub(1),
    };
    let (all, to_give) = (format::big_number(cidr.size()), format::big_number(to_give));
    let text = tp(Key::SizeOf, &[("all", &all), ("give", &to_give)]);
    let note = match (cidr.family(), cidr.prefix()) {
        (Family::V4, 31) | (Family::V6, 127) => t(Key::SizePair),
        (Family::V4, 32) | (Family::V6, 128) => t(Key::SizeOne),
        _ => return text,
    };
    format!("{text}. {note}")
}

/// The CIDR the stepper makes of the one there is: `larger` network or smaller, next free of that size.
pub fn stepped(cidr: &str, larger: bool, space: &[UsedRange]) -> Option<Cidr> {
    let meant = match cidr.trim().parse::<Cidr>() {
        Ok(cidr) => Some(cidr),
        Err(BadCidr::HostBits(cidr)) => Some(cidr),
        Err(BadCidr::Syntax) => None,
    };
    let now = meant.map_or(FIRST_SIZE, |cidr| cidr.prefix());
    let next = match (meant.map(|cidr| cidr.family()), larger) {
        (Some(Family::V6), true) => now.checked_sub(4)?.max(48),
        (Some(Family::V6), false) => (now + 4).min(120),
        (_, true) => now.checked_sub(1)?.clamp(*SIZES.start(), *SIZES.end()),
        (_, false) => (now + 1).clamp(*SIZES.start(), *SIZES.end()),
    };
    next_free(meant, next, &taken(space))
}

/// The form as it opens: the next free name and network.
pub fn fresh(space: &[UsedRange], names: &[String]) -> Typed {
    Typed {
        name: super::next_name("subnet", names),
        cidr: next_free(None, FIRST_SIZE, &taken(space))
            .map(|cidr| cidr.to_string())
            .unwrap_or_default(),
        dhcp: true,
        ..Typed::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::tests::{NETWORK, OTHER, used};
    use super::*;
    use crate::components::field::Weight;

    fn space() -> Vec<UsedRange> {
        vec![used("10.0.0.0/23", "db", NETWORK), used("10.9.0.0/24", "other", OTHER)]
    }

    fn typed(cidr: &str) -> Typed {
        Typed {
            name: "web".into(),
            cidr: cidr.into(),
            dhcp: true,
            ..Typed::default()
        }
    }

    fn look(typed: &Typed) -> Checked {
        check(typed, NETWORK.parse().ok(), &space(), &[])
    }

    #[test]
    fn an_overlap_names_the_other_and_offers_the_next_free() {
        let checked = look(&typed("10.0.1.0/24"));
        let message = checked.cidr.message.clone().unwrap();
        assert_eq!(message.weight, Weight::Error);
        for part in ["10.0.1.0/24", "db", "10.0.0.0/23", "shop", "10.0.1.0-10.0.1.255"] {
            assert!(message.text.contains(part), "{part} in {}", message.text);
        }
        assert_eq!(checked.cidr.offered, "10.0.2.0/24".parse().ok());
        assert!(checked.cidr.overlap.is_some_and(|overlap| overlap.forbidden));
        assert_eq!(checked.spec, None);
        assert!(look(&typed("10.0.2.0/24")).spec.is_some());
    }

    #[test]
    fn an_overlap_in_another_network_is_a_warning() {
        let checked = look(&typed("10.9.0.0/25"));
        assert_eq!(checked.cidr.message.clone().unwrap().weight, Weight::Warning);
        assert!(checked.spec.is_some());
        assert!(checked.cidr.overlap.is_some_and(|overlap| !overlap.forbidden));
    }

    #[test]
    fn host_bits_and_lone_addresses_offer_the_network_meant() {
        assert_eq!(look(&typed("10.5.1.7/24")).cidr.offered, "10.5.1.0/24".parse().ok());
        assert_eq!(look(&typed("10.5.1.7")).cidr.offered, "10.5.1.0/24".parse().ok());
        assert_eq!(look(&typed("fd00::7")).cidr.offered, "fd00::/64".parse().ok());
        assert_eq!(look(&typed("nonsense")).cidr.offered, None);
        assert!(look(&typed("")).cidr.message.is_some());
    }

    #[test]
    fn every_field_gets_its_own_message() {
        let form = Typed {
            gateway: "10.6.0.1".into(),
            pools: "10.5.0.9 - 10.5.0.3".into(),
            dns: "10.5.0.2 10.5.0.2".into(),
            routes: "10.5.0.0/24 - 10.5.0.1".into(),
            description: "x".repeat(256),
            ..typed("10.5.0.0/24")
        };
        let checked = look(&form);
        for message in [
            &checked.gateway,
            &checked.pools,
            &checked.dns,
            &checked.routes,
            &checked.description,
        ] {
            assert_eq!(message.as_ref().map(|message| message.weight), Some(Weight::Error));
        }
        assert_eq!(checked.cidr.message, None);
    }

    #[test]
    fn a_name_is_needed_and_twice_is_a_warning() {
        let names = ["web".to_owned()];
        let twice = check(&typed("10.5.0.0/24"), None, &[], &names);
        assert_eq!(twice.name.unwrap().weight, Weight::Warning);
        assert!(twice.spec.is_some());
        let none = check(
            &Typed {
                name: " ".into(),
                ..typed("10.5.0.0/24")
            },
            None,
            &[],
            &names,
        );
        assert_eq!((none.name.unwrap().weight, none.spec), (Weight::Error, None));
    }

    #[test]
    fn the_stepper_offers_the_next_free_of_the_next_size() {
        assert_eq!(stepped("10.0.2.0/24", true, &space()), "10.0.2.0/23".parse().ok());
        assert_eq!(stepped("10.0.2.0/24", false, &space()), "10.0.2.0/25".parse().ok());
        assert_eq!(
            stepped("10.0.2.0/29", false, &space()).map(|cidr| cidr.prefix()),
            Some(29)
        );
        assert_eq!(stepped("192.168.0.0/24", true, &space()), "192.168.0.0/23".parse().ok());
        assert_eq!(stepped("", true, &[]), "10.0.0.0/23".parse().ok());
    }

    #[test]
    fn sizes_are_told_in_words() {
        assert_eq!(
            look(&typed("10.5.0.0/24")).cidr.size.as_deref(),
            Some("256 addresses, 253 to give")
        );
        assert!(
            look(&typed("10.5.0.0/31"))
                .cidr
                .size
                .unwrap()
                .starts_with("2 addresses, 1 to give. ")
        );
        assert_eq!(
            look(&typed("fd00:5::/64")).cidr.size.as_deref(),
            Some("2^64 addresses, 2^64 to give")
        );
    }

    #[test]
    fn it_opens_with_what_is_free() {
        let form = fresh(&space(), &["subnet-1".to_owned()]);
        assert_eq!(
            (form.name.as_str(), form.cidr.as_str(), form.dhcp),
            ("subnet-2", "10.0.2.0/24", true)
        );
        assert!(look(&form).spec.is_some());
    }
}
