//! Networks, ranges and pools of addresses, IPv4 and IPv6 alike.
//!
//! An address is a number of 32 or 128 bits; [`to_bits`] and [`from_bits`] go between the two.
//! Ranges include both ends.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The family of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, 32 bits.
    V4,
    /// IPv6, 128 bits.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address: 32 or 128.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// 4 or 6, as the Networking API's `ip_version` has it.
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// From the Networking API's `ip_version`.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            4 => Some(Self::V4),
            6 => Some(Self::V6),
            _ => None,
        }
    }
}

/// An address as a number: the low 32 bits for IPv4.
pub const fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => a.to_bits() as u128,
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The address of `family` with this number; for IPv4 the low 32 bits count.
pub const fn from_bits(family: Family, bits: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// Why a text is not a [`Cidr`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCidr {
    /// Not `address/length` at all, or the length is missing.
    #[error("not a network in CIDR form, such as 10.0.0.0/24")]
    Syntax,
    /// Bits beyond the prefix are set; the network that was probably meant is offered.
    #[error("bits beyond the prefix are set; the network is {0}")]
    HostBits(Cidr),
}

/// A network in CIDR form with no bits beyond the prefix (RFC 4632).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(IpNetwork);

impl Cidr {
    /// The network of `prefix` bits that holds `address`; `None` if the prefix is too long for it.
    pub fn containing(address: IpAddr, prefix: u8) -> Option<Self> {
        let family = Family::of(address);
        if prefix > family.bits() {
            return None;
        }
        let network = from_bits(family, to_bits(address) & mask(family, prefix));
        IpNetwork::new(network, prefix).ok().map(Self)
    }

    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        Family::of(self.0.ip())
    }

    /// Prefix length in bits.
    pub fn prefix(&self) -> u8 {
        self.0.prefix()
    }

    /// The first address, which names the network.
    pub fn first(&self) -> IpAddr {
        self.0.ip()
    }

    /// The last address: the broadcast address of an IPv4 network shorter than /31.
    pub fn last(&self) -> IpAddr {
        let family = self.family();
        from_bits(
            family,
            to_bits(self.first()) | !mask(family, self.prefix()) & mask_of_family(family),
        )
    }

    /// First to last address, both included.
    pub fn range(&self) -> IpRange {
        IpRange {
            first: self.first(),
            last: self.last(),
        }
    }

    /// Number of addresses; `u128::MAX` stands for all of IPv6.
    pub fn size(&self) -> u128 {
        self.range().size()
    }

    /// Whether `address` is inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.range().contains(address)
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.range().overlaps(&other.range())
    }

    /// What a host may be given: all but the network and broadcast address for IPv4 up to /30, all
    /// but the subnet-router anycast address for IPv6 up to /126 (RFC 4291, 2.6.1), everything for
    /// /31 (RFC 3021), /32, /127 (RFC 6164) and /128.
    pub fn hosts(&self) -> IpRange {
        let family = self.family();
        let (first, last) = (to_bits(self.first()), to_bits(self.last()));
        if family.bits() - self.prefix() <= 1 {
            return self.range();
        }
        let end = match family {
            Family::V4 => last - 1,
            Family::V6 => last,
        };
        IpRange {
            first: from_bits(family, first + 1),
            last: from_bits(family, end),
        }
    }

    /// The gateway a subnet gets when none is named: the first host address.
    pub fn default_gateway(&self) -> IpAddr {
        self.hosts().first
    }

    /// The pools a subnet gets when none are named: every host address but the gateway's.
    pub fn default_pools(&self, gateway: Option<IpAddr>) -> Vec<IpRange> {
        let hosts = self.hosts();
        match gateway {
            Some(gateway) if hosts.contains(gateway) => hosts.without(gateway),
            _ => vec![hosts],
        }
    }
}

/// `prefix` ones from the top of an address of `family`.
const fn mask(family: Family, prefix: u8) -> u128 {
    let all = mask_of_family(family);
    if prefix == 0 {
        0
    } else {
        (all << (family.bits() - prefix)) & all
    }
}

const fn mask_of_family(family: Family) -> u128 {
    match family {
        Family::V4 => u32::MAX as u128,
        Family::V6 => u128::MAX,
    }
}

impl PartialOrd for Cidr {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cidr {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.first(), self.prefix()).cmp(&(other.first(), other.prefix()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix())
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        if !text.contains('/') {
            return Err(BadCidr::Syntax);
        }
        let given: IpNetwork = text.trim().parse().map_err(|_| BadCidr::Syntax)?;
        let network = Self::containing(given.ip(), given.prefix()).ok_or(BadCidr::Syntax)?;
        if network.first() == given.ip() {
            Ok(network)
        } else {
            Err(BadCidr::HostBits(network))
        }
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Addresses from `first` to `last`, both included, of one family; an allocation pool is one.
/// Written as Neutron writes a pool: `{"start": …, "end": …}`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RangeEnds")]
pub struct IpRange {
    #[serde(rename = "start")]
    first: IpAddr,
    #[serde(rename = "end")]
    last: IpAddr,
}

/// An [`IpRange`] as read, before its ends are checked.
#[derive(Deserialize)]
struct RangeEnds {
    start: IpAddr,
    end: IpAddr,
}

impl TryFrom<RangeEnds> for IpRange {
    type Error = BadRange;

    fn try_from(ends: RangeEnds) -> Result<Self, BadRange> {
        Self::new(ends.start, ends.end)
    }
}

/// Why two addresses make no [`IpRange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    /// One is IPv4, the other IPv6.
    #[error("the ends of a range are of one family")]
    Families,
    /// The last comes before the first.
    #[error("the range ends before it starts")]
    Reversed,
}

impl IpRange {
    /// From both ends, included.
    ///
    /// # Errors
    /// If the ends are of two families, or in the wrong order.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, BadRange> {
        if Family::of(first) != Family::of(last) {
            return Err(BadRange::Families);
        }
        if first > last {
            return Err(BadRange::Reversed);
        }
        Ok(Self { first, last })
    }

    /// The first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address, included.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// Number of addresses; `u128::MAX` stands for all of IPv6.
    pub fn size(&self) -> u128 {
        (to_bits(self.last) - to_bits(self.first)).saturating_add(1)
    }

    /// Whether `address` is inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && self.first <= address && address <= self.last
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first <= other.last && other.first <= self.last
    }

    /// The addresses both have, if any.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        self.overlaps(other).then(|| Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        })
    }

    /// What is left when one address is taken out: none, one or two ranges.
    pub fn without(&self, address: IpAddr) -> Vec<Self> {
        if !self.contains(address) {
            return vec![*self];
        }
        let (family, bits) = (self.family(), to_bits(address));
        let mut left = Vec::with_capacity(2);
        if address > self.first {
            left.push(Self {
                first: self.first,
                last: from_bits(family, bits - 1),
            });
        }
        if address < self.last {
            left.push(Self {
                first: from_bits(family, bits + 1),
                last: self.last,
            });
        }
        left
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl fmt::Debug for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first network of `prefix` bits inside `within` that overlaps nothing in `taken`, walking
/// upwards. What the console offers as "next free".
///
/// Cost: sorts `taken`, then one pass over it.
pub fn next_free_block(within: Cidr, prefix: u8, taken: &[Cidr]) -> Option<Cidr> {
    let family = within.family();
    if prefix < within.prefix() || prefix > family.bits() {
        return None;
    }
    let mut taken: Vec<IpRange> = taken
        .iter()
        .map(Cidr::range)
        .filter(|r| r.overlaps(&within.range()))
        .collect();
    taken.sort_unstable();
    let mut candidate = Cidr::containing(within.first(), prefix)?;
    for range in taken {
        if range.overlaps(&candidate.range()) {
            let next = to_bits(range.last()).checked_add(1)?;
            let aligned = next.checked_add(!mask(family, prefix) & mask_of_family(family))? & mask(family, prefix);
            if aligned > to_bits(within.last()) {
                return None;
            }
            candidate = Cidr::containing(from_bits(family, aligned), prefix)?;
        }
    }
    within.contains(candidate.last()).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn hosts(text: &str) -> String {
        cidr(text).hosts().to_string()
    }

    #[test]
    fn host_addresses_follow_the_rfcs() {
        assert_eq!(hosts("10.0.0.0/24"), "10.0.0.1-10.0.0.254");
        assert_eq!(hosts("10.0.0.0/30"), "10.0.0.1-10.0.0.2");
        assert_eq!(hosts("10.0.0.0/31"), "10.0.0.0-10.0.0.1");
        assert_eq!(hosts("10.0.0.7/32"), "10.0.0.7-10.0.0.7");
        assert_eq!(hosts("2001:db8::/64"), "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff");
        assert_eq!(hosts("2001:db8::/127"), "2001:db8::-2001:db8::1");
        assert_eq!(hosts("2001:db8::5/128"), "2001:db8::5-2001:db8::5");
        assert_eq!(hosts("0.0.0.0/0"), "0.0.0.1-255.255.255.254");
    }

    #[test]
    fn set_host_bits_offer_the_network() {
        assert_eq!(
            "10.0.1.7/24".parse::<Cidr>(),
            Err(BadCidr::HostBits(cidr("10.0.1.0/24")))
        );
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/24",
            "x/24",
            "10.0.0.0/-1",
            "::/129",
        ] {
            assert_eq!(bad.parse::<Cidr>(), Err(BadCidr::Syntax), "{bad}");
        }
    }

    #[test]
    fn default_pools_leave_the_gateway_out() {
        let net = cidr("10.0.0.0/29");
        assert_eq!(
            format!("{:?}", net.default_pools(Some(net.default_gateway()))),
            "[10.0.0.2-10.0.0.6]"
        );
        assert_eq!(
            format!("{:?}", net.default_pools("10.0.0.3".parse().ok())),
            "[10.0.0.1-10.0.0.2, 10.0.0.4-10.0.0.6]"
        );
        assert_eq!(
            format!("{:?}", cidr("10.0.0.7/32").default_pools("10.0.0.7".parse().ok())),
            "[]"
        );
    }

    #[test]
    fn next_free_block_skips_what_is_taken() {
        let within = cidr("10.0.0.0/8");
        let taken = [cidr("10.0.0.0/24"), cidr("10.0.2.0/23"), cidr("10.0.1.128/25")];
        assert_eq!(next_free_block(within, 24, &taken), Some(cidr("10.0.4.0/24")));
        assert_eq!(next_free_block(within, 25, &taken), Some(cidr("10.0.1.0/25")));
        assert_eq!(next_free_block(cidr("10.0.0.0/24"), 24, &taken), None);
        assert_eq!(next_free_block(cidr("10.0.0.0/24"), 23, &[]), None);
        assert_eq!(
            next_free_block(cidr("255.255.255.0/24"), 25, &[cidr("255.255.255.128/25")]),
            Some(cidr("255.255.255.0/25"))
        );
        assert_eq!(next_free_block(cidr("::/0"), 128, &[cidr("::/0")]), None);
    }

    fn any_cidr() -> impl Strategy<Value = Cidr> {
        prop_oneof![
            (any::<u32>(), 0..=32_u8).prop_map(|(a, p)| Cidr::containing(IpAddr::V4(a.into()), p).unwrap()),
            (any::<u128>(), 0..=128_u8).prop_map(|(a, p)| Cidr::containing(IpAddr::V6(a.into()), p).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn text_and_back(net in any_cidr()) {
            prop_assert_eq!(net.to_string().parse::<Cidr>(), Ok(net));
        }

        #[test]
        fn hosts_and_ends_are_inside(net in any_cidr()) {
            let range = net.range();
            prop_assert!(range.contains(net.hosts().first()) && range.contains(net.hosts().last()));
            prop_assert!(net.contains(net.first()) && net.contains(net.last()));
        }

        #[test]
        fn overlap_means_one_holds_the_other(a in any_cidr(), b in any_cidr()) {
            let nested = a.contains(b.first()) && a.contains(b.last()) || b.contains(a.first()) && b.contains(a.last());
            prop_assert_eq!(a.overlaps(&b), nested);
            prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
        }

        #[test]
        fn default_pools_hold_all_hosts_but_the_gateway(net in any_cidr()) {
            let gateway = net.default_gateway();
            let given: u128 = net.default_pools(Some(gateway)).iter().map(IpRange::size).fold(0, u128::saturating_add);
            prop_assert!(net.default_pools(Some(gateway)).iter().all(|p| !p.contains(gateway)));
            prop_assert!(net.hosts().size() - given <= 1 || net.hosts().size() == u128::MAX);
        }

        #[test]
        fn an_offered_block_is_free(taken in prop::collection::vec((any::<u16>(), 20..=28_u8), 0..20), prefix in 20..=28_u8) {
            let within = cidr("10.1.0.0/16");
            let taken: Vec<Cidr> = taken
                .into_iter()
                .map(|(low, p)| Cidr::containing(IpAddr::V4((0x0a01_0000 | u32::from(low)).into()), p).unwrap())
                .collect();
            match next_free_block(within, prefix, &taken) {
                Some(block) => {
                    prop_assert_eq!(block.prefix(), prefix);
                    prop_assert!(within.contains(block.first()) && within.contains(block.last()));
                    prop_assert!(taken.iter().all(|t| !t.overlaps(&block)));
                }
                None => {
                    // Every candidate really is taken.
                    for n in 0..(1_u32 << (prefix - 16)) {
                        let first = IpAddr::V4((0x0a01_0000 | n << (32 - prefix)).into());
                        let block = Cidr::containing(first, prefix).unwrap();
                        prop_assert!(taken.iter().any(|t| t.overlaps(&block)), "{} was free", block);
                    }
                }
            }
        }
    }
}
