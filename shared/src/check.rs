//! Validation of what people and programs send: the same for the form while typing and for the API.
//!
//! Inputs hold text as it came; a check gives the checked value, or everything that is wrong with
//! it, in the order of the fields. Pure: whatever depends on other objects (overlap, addresses in
//! use) is decided by the server's writer, and asked here only of what the caller hands in.

use std::net::IpAddr;

use crate::addr::{BadCidr, BadRange, Cidr, Family, IpRange};
use crate::holder::{At, Holder, Named};
use crate::ids::{NetworkId, SubnetId};
use crate::refusal::{Refusal, Unusable};

/// Longest name and description, in characters (Neutron's `NAME_MAX_LEN`).
pub const NAME_MAX: usize = 255;
/// Most DNS servers of a subnet (Neutron's `max_dns_nameservers`).
pub const DNS_MAX: usize = 5;
/// Most host routes of a subnet (Neutron's `max_subnet_host_routes`).
pub const ROUTES_MAX: usize = 20;
/// Most allocation pools of a subnet. Ours: Neutron sets none.
pub const POOLS_MAX: usize = 64;
/// Most fixed IPs of a port (Neutron's `max_fixed_ips_per_port` was 5; ours allows dual-stack sets).
pub const FIXED_IPS_MAX: usize = 16;
/// Smallest MTU of a network in bytes (RFC 791).
pub const MTU_MIN: i64 = 68;
/// Largest MTU of a network in bytes.
pub const MTU_MAX: i64 = 9216;
/// MTU of a network when none is named, in bytes.
pub const MTU_DEFAULT: i64 = 1500;

/// A name or description: at most 255 characters, no control characters; trimmed.
///
/// # Errors
/// The one thing that is wrong with it.
pub fn text(field: &str, value: &str, max: usize) -> Result<String, Refusal> {
    let value = value.trim();
    let length = value.chars().count();
    if length > max {
        return Err(Refusal::TooLong {
            field: field.to_owned(),
            max,
            length,
        });
    }
    if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Refusal::ControlCharacter {
            field: field.to_owned(),
        });
    }
    Ok(value.to_owned())
}

/// A text of several lines: `min` to `max` characters after trimming, no control characters but line
/// breaks and tabs. A browser's line breaks count as one character each.
///
/// # Errors
/// The one thing that is wrong with it.
pub fn paragraphs(field: &str, value: &str, min: usize, max: usize) -> Result<String, Refusal> {
    let value = text(field, &value.replace("\r\n", "\n"), max)?;
    let length = value.chars().count();
    if length < min {
        return Err(Refusal::TooShort {
            field: field.to_owned(),
            min,
            length,
        });
    }
    Ok(value)
}

/// A name that becomes part of DNS names (clusters, nodes): RFC 1123 label that starts with a letter.
///
/// # Errors
/// The one thing that is wrong with it.
pub fn label(field: &str, value: &str) -> Result<String, Refusal> {
    if value.is_empty() {
        return Err(Refusal::Required {
            field: field.to_owned(),
        });
    }
    if value.len() > 63 {
        return Err(Refusal::TooLong {
            field: field.to_owned(),
            max: 63,
            length: value.chars().count(),
        });
    }
    let letters = value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if letters && value.as_bytes()[0].is_ascii_lowercase() && !value.ends_with('-') {
        Ok(value.to_owned())
    } else {
        Err(Refusal::NotALabel {
            field: field.to_owned(),
            given: value.to_owned(),
        })
    }
}

/// An IP address.
///
/// # Errors
/// If it is none.
pub fn address(field: &str, value: &str) -> Result<IpAddr, Refusal> {
    let value = value.trim();
    value.parse().map_err(|_| Refusal::NotAnAddress {
        field: field.to_owned(),
        given: shortened(value),
    })
}

/// A network in CIDR form without host bits.
///
/// # Errors
/// If it is none; with host bits set, the network that was probably meant is offered.
pub fn cidr(field: &str, value: &str) -> Result<Cidr, Refusal> {
    let value = value.trim();
    value.parse().map_err(|bad| match bad {
        BadCidr::Syntax => Refusal::NotACidr {
            field: field.to_owned(),
            given: shortened(value),
        },
        BadCidr::HostBits(offered) => Refusal::HostBits {
            field: field.to_owned(),
            given: shortened(value),
            offered,
        },
    })
}

/// What was given, for an error message: not more than 64 characters of it.
pub fn shortened(value: &str) -> String {
    match value.char_indices().nth(64) {
        Some((cut, _)) => format!("{}…", &value[..cut]),
        None => value.to_owned(),
    }
}

/// What is asked for as a subnet's gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GatewayInput {
    /// Nothing said: the first host address.
    #[default]
    Default,
    /// Explicitly none (`null` in the API).
    None,
    /// This address, as text.
    Address(String),
}

/// A subnet as it was asked for: text, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubnetInput {
    /// May be empty in the API; forms require one themselves.
    pub name: String,
    /// At most 255 characters.
    pub description: String,
    /// CIDR text.
    pub cidr: String,
    /// 4 or 6 if said; must then agree with the CIDR.
    pub ip_version: Option<u8>,
    /// What is asked for as gateway.
    pub gateway: GatewayInput,
    /// `(start, end)` texts; `None`: everything but the gateway.
    pub pools: Option<Vec<(String, String)>>,
    /// Addresses of DNS servers.
    pub dns: Vec<String>,
    /// `(destination, next hop)` texts.
    pub routes: Vec<(String, String)>,
    /// Recorded for clients that ask; Portolan serves no DHCP.
    pub enable_dhcp: bool,
}

/// A static route that hosts of a subnet are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostRoute {
    /// The addresses it leads to: not the subnet itself.
    pub destination: Cidr,
    /// Through which address of the subnet.
    #[serde(rename = "nexthop")]
    pub next_hop: IpAddr,
}

/// A checked subnet: right in itself; whether it fits beside others is the writer's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetSpec {
    /// At most [`NAME_MAX`] characters, trimmed; may be empty.
    pub name: String,
    /// At most [`NAME_MAX`] characters, trimmed; may be empty.
    pub description: String,
    /// Its range of addresses, one that hosts can use.
    pub cidr: Cidr,
    /// Inside the CIDR and in no pool; `None` for no gateway.
    pub gateway: Option<IpAddr>,
    /// Disjoint, inside the host addresses, sorted, without the gateway. May be empty.
    pub pools: Vec<IpRange>,
    /// At most [`DNS_MAX`], without duplicates.
    pub dns: Vec<IpAddr>,
    /// At most [`ROUTES_MAX`], in the order given.
    pub routes: Vec<HostRoute>,
    /// Recorded for clients that ask; Portolan serves no DHCP.
    pub enable_dhcp: bool,
}

/// Checks a subnet in itself.
///
/// # Errors
/// Everything that is wrong, in the order of the fields.
pub fn subnet(input: &SubnetInput) -> Result<SubnetSpec, Vec<Refusal>> {
    let mut wrong = Vec::new();
    let name = text("name", &input.name, NAME_MAX).unwrap_or_else(note(&mut wrong));
    let description = text("description", &input.description, NAME_MAX).unwrap_or_else(note(&mut wrong));
    let cidr = match cidr("cidr", &input.cidr) {
        Ok(cidr) => cidr,
        Err(refusal) => {
            wrong.push(refusal);
            return Err(wrong);
        }
    };
    if let Some(refusal) = usable_as_subnet(cidr, input.ip_version) {
        wrong.push(refusal);
        return Err(wrong);
    }
    let gateway = match gateway(&input.gateway, cidr) {
        Ok(gateway) => gateway,
        Err(refusal) => {
            wrong.push(refusal);
            None
        }
    };
    let pools = match &input.pools {
        None => cidr.default_pools(gateway),
        Some(given) => pools(given, cidr, gateway).unwrap_or_else(|refusals| {
            wrong.extend(refusals);
            Vec::new()
        }),
    };
    let dns = dns(&input.dns).unwrap_or_else(note(&mut wrong));
    let routes = routes(&input.routes, cidr).unwrap_or_else(note(&mut wrong));
    if wrong.is_empty() {
        Ok(SubnetSpec {
            name,
            description,
            cidr,
            gateway,
            pools,
            dns,
            routes,
            enable_dhcp: input.enable_dhcp,
        })
    } else {
        Err(wrong)
    }
}

fn note<T: Default>(wrong: &mut Vec<Refusal>) -> impl FnOnce(Refusal) -> T {
    move |refusal| {
        wrong.push(refusal);
        T::default()
    }
}

/// Whether a range can be a subnet, or a cluster's services.
///
/// # Errors
/// If its addresses are for something else.
pub fn usable_range(cidr: Cidr) -> Result<(), Refusal> {
    usable_as_subnet(cidr, None).map_or(Ok(()), Err)
}

fn usable_as_subnet(cidr: Cidr, ip_version: Option<u8>) -> Option<Refusal> {
    if let Some(ip_version) = ip_version
        && Family::from_number(ip_version) != Some(cidr.family())
    {
        return Some(Refusal::SubnetFamily { cidr, ip_version });
    }
    let reason = match cidr.first() {
        _ if cidr.prefix() == 0 => Unusable::Everything,
        first if first.is_multicast() => Unusable::Multicast,
        first if first.is_loopback() => Unusable::Loopback,
        IpAddr::V4(first) if first.octets()[0] == 0 || first.octets()[0] >= 240 => Unusable::Reserved,
        IpAddr::V4(first) if first.is_link_local() => Unusable::LinkLocal,
        IpAddr::V6(first) if first.segments()[0] & 0xffc0 == 0xfe80 => Unusable::LinkLocal,
        _ => return None,
    };
    Some(Refusal::SubnetNotUsable { cidr, reason })
}

/// The gateway of a subnet of `cidr`, from what is asked for.
///
/// # Errors
/// If it is no address, outside of the CIDR, or the network or broadcast address.
pub fn gateway(input: &GatewayInput, cidr: Cidr) -> Result<Option<IpAddr>, Refusal> {
    let gateway = match input {
        GatewayInput::None => return Ok(None),
        GatewayInput::Default => return Ok(Some(cidr.default_gateway())),
        GatewayInput::Address(given) => address("gateway_ip", given)?,
    };
    if !cidr.contains(gateway) {
        return Err(Refusal::GatewayOutside { gateway, cidr });
    }
    if !cidr.hosts().contains(gateway) {
        return Err(Refusal::GatewayReserved { gateway, cidr });
    }
    Ok(Some(gateway))
}

/// Allocation pools of a subnet of `cidr`, sorted.
///
/// # Errors
/// Everything that is wrong: syntax, order, outside of the CIDR, overlapping, holding the gateway.
pub fn pools(given: &[(String, String)], cidr: Cidr, gateway: Option<IpAddr>) -> Result<Vec<IpRange>, Vec<Refusal>> {
    const FIELD: &str = "allocation_pools";
    if given.len() > POOLS_MAX {
        return Err(vec![Refusal::TooMany {
            field: FIELD.to_owned(),
            max: POOLS_MAX,
            count: given.len(),
        }]);
    }
    let (mut pools, mut wrong) = (Vec::new(), Vec::new());
    for (start, end) in given {
        match (address(FIELD, start), address(FIELD, end)) {
            (Ok(start), Ok(end)) => match IpRange::new(start, end) {
                Ok(pool) if !(cidr.hosts().contains(start) && cidr.hosts().contains(end)) => {
                    wrong.push(Refusal::PoolOutside { pool, cidr });
                }
                Ok(pool) => pools.push(pool),
                Err(BadRange::Reversed | BadRange::Families) => wrong.push(Refusal::PoolReversed { start, end }),
            },
            (start, end) => wrong.extend([start.err(), end.err()].into_iter().flatten()),
        }
    }
    pools.sort_unstable();
    for pair in pools.windows(2) {
        if pair[0].overlaps(&pair[1]) {
            wrong.push(Refusal::PoolsOverlap {
                pool: pair[0],
                other: pair[1],
            });
        }
    }
    if let Some(gateway) = gateway
        && let Some(pool) = pools.iter().find(|pool| pool.contains(gateway))
    {
        wrong.push(Refusal::GatewayInPool { gateway, pool: *pool });
    }
    if wrong.is_empty() { Ok(pools) } else { Err(wrong) }
}

/// DNS servers of a subnet.
///
/// # Errors
/// Too many, not an address, or one twice.
pub fn dns(given: &[String]) -> Result<Vec<IpAddr>, Refusal> {
    const FIELD: &str = "dns_nameservers";
    if given.len() > DNS_MAX {
        return Err(Refusal::TooMany {
            field: FIELD.to_owned(),
            max: DNS_MAX,
            count: given.len(),
        });
    }
    let mut servers = Vec::with_capacity(given.len());
    for text in given {
        let server = address(FIELD, text)?;
        if servers.contains(&server) {
            return Err(Refusal::DnsDuplicate { address: server });
        }
        servers.push(server);
    }
    Ok(servers)
}

/// Static routes of a subnet of `cidr`.
///
/// # Errors
/// Too many, syntax, a next hop outside of the CIDR, or the subnet itself as destination.
pub fn routes(given: &[(String, String)], within: Cidr) -> Result<Vec<HostRoute>, Refusal> {
    const FIELD: &str = "host_routes";
    if given.len() > ROUTES_MAX {
        return Err(Refusal::TooMany {
            field: FIELD.to_owned(),
            max: ROUTES_MAX,
            count: given.len(),
        });
    }
    given
        .iter()
        .map(|(destination, hop)| {
            let destination = cidr(FIELD, destination)?;
            let next_hop = address(FIELD, hop)?;
            if destination == within {
                return Err(Refusal::RouteToItself { destination });
            }
            if !within.contains(next_hop) {
                return Err(Refusal::HopOutside { next_hop, cidr: within });
            }
            Ok(HostRoute { destination, next_hop })
        })
        .collect()
}

/// A range of addresses that something uses, with the names to say so.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsedRange {
    /// The addresses.
    pub cidr: Cidr,
    /// Name of the subnet, or of the cluster for its service range.
    pub name: String,
    /// The network it is in.
    pub network_id: NetworkId,
    /// The network's name.
    pub network: String,
    /// The subnet, where the range is one.
    pub subnet_id: Option<SubnetId>,
}

impl UsedRange {
    /// What uses it: a subnet, or a cluster's services.
    pub fn holder(&self) -> Holder {
        let (kind, at) = match self.subnet_id {
            Some(id) => (Named::Subnet, Some(At::Subnet(id))),
            None => (Named::Services, None),
        };
        Holder::Named(kind, self.name.clone(), at)
    }
}

/// The first range of `network` that `cidr` overlaps, as the refusal that names it.
pub fn overlap(cidr: Cidr, network: NetworkId, used: &[UsedRange]) -> Option<Refusal> {
    used.iter()
        .filter(|range| range.network_id == network)
        .find_map(|range| {
            let shared = cidr.range().intersection(&range.cidr.range())?;
            Some(Refusal::Overlap {
                cidr,
                what: Box::new(range.holder()),
                other_cidr: range.cidr,
                network: range.network.clone(),
                shared,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(cidr: &str) -> SubnetInput {
        SubnetInput {
            name: "web".into(),
            cidr: cidr.into(),
            enable_dhcp: true,
            ..SubnetInput::default()
        }
    }

    fn codes(input: &SubnetInput) -> Vec<&'static str> {
        subnet(input).map_or_else(|wrong| wrong.iter().map(Refusal::code).collect(), |_| Vec::new())
    }

    #[test]
    fn defaults_are_filled_in() {
        let spec = subnet(&input("10.0.0.0/24")).unwrap();
        assert_eq!(spec.gateway, "10.0.0.1".parse().ok());
        assert_eq!(format!("{:?}", spec.pools), "[10.0.0.2-10.0.0.254]");
    }

    #[test]
    fn networks_nobody_can_use_are_refused() {
        for bad in [
            "0.0.0.0/0",
            "224.0.0.0/24",
            "127.0.0.0/24",
            "169.254.1.0/24",
            "240.0.0.0/8",
            "fe80::/64",
            "ff00::/64",
        ] {
            assert_eq!(codes(&input(bad)), ["subnet.not_usable"], "{bad}");
        }
        assert_eq!(
            codes(&SubnetInput {
                ip_version: Some(6),
                ..input("10.0.0.0/24")
            }),
            ["subnet.family"]
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let input = SubnetInput {
            name: "x".repeat(256),
            gateway: GatewayInput::Address("10.0.1.1".into()),
            pools: Some(vec![
                ("10.0.0.9".into(), "10.0.0.3".into()),
                ("10.0.0.0".into(), "10.0.0.3".into()),
            ]),
            dns: vec!["10.0.0.2".into(), "10.0.0.2".into()],
            routes: vec![("10.0.0.0/24".into(), "10.0.0.1".into())],
            ..input("10.0.0.0/24")
        };
        assert_eq!(
            codes(&input),
            [
                "value.too_long",
                "subnet.gateway_outside",
                "subnet.pool_reversed",
                "subnet.pool_outside",
                "subnet.dns_duplicate",
                "subnet.route_to_itself"
            ]
        );
    }

    #[test]
    fn pools_are_disjoint_and_leave_the_gateway_out() {
        let pool = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let with = |pools| SubnetInput {
            pools: Some(pools),
            ..input("10.0.0.0/24")
        };
        assert_eq!(
            codes(&with(vec![pool("10.0.0.2", "10.0.0.9"), pool("10.0.0.9", "10.0.0.12")])),
            ["subnet.pools_overlap"]
        );
        assert_eq!(
            codes(&with(vec![pool("10.0.0.1", "10.0.0.9")])),
            ["subnet.gateway_in_pool"]
        );
        assert_eq!(codes(&with(vec![])), Vec::<&str>::new());
    }

    #[test]
    fn gateway_must_be_a_host_address() {
        let with = |gateway: &str| SubnetInput {
            gateway: GatewayInput::Address(gateway.into()),
            ..input("10.0.0.0/24")
        };
        assert_eq!(codes(&with("10.0.0.255")), ["subnet.gateway_reserved"]);
        assert_eq!(codes(&with("10.0.0.254")), Vec::<&str>::new());
        assert_eq!(codes(&with("nonsense")), ["value.not_an_address"]);
    }

    #[test]
    fn labels_and_texts() {
        assert!(label("name", "shop-1").is_ok());
        for bad in ["", "1shop", "Shop", "shop-", "sh_op"] {
            assert!(label("name", bad).is_err(), "{bad}");
        }
        assert_eq!(text("name", "  web ", 255).as_deref(), Ok("web"));
        assert_eq!(
            text("name", "a\u{7}b", 255).unwrap_err().code(),
            "value.control_character"
        );
        assert_eq!(shortened(&"é".repeat(100)).chars().count(), 65);
    }
}
