//! What the rules of a table do with packets: those of pods, or those to a port of the host.
//!
//! Looked at is a packet that begins something (a new connection), of which only addresses or port are known. What a rule asks
//! beside them may hold or not. It counts for an *accept* behind a jump, since such ways are made for somebody, and for
//! nothing else: a chain is said to drop only if it surely does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use portolan_plan::LINK_PREFIX;
use portolan_shared::addr::Cidr;

use super::{attribute, number, text};

const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const META_KEY: u16 = 2;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const COMPARE_HOW: u16 = 2;
const COMPARE_DATA: u16 = 3;
const BITWISE_MASK: u16 = 4;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const TARGET_NAME: u16 = 1;
const MATCH_NAME: u16 = 1;

/// `NF_DROP`, `NF_ACCEPT`; `NFT_JUMP`, `NFT_GOTO` and `NFT_RETURN`, which are negative.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const JUMP: u32 = (-3_i32).cast_unsigned();
const GOTO: u32 = (-4_i32).cast_unsigned();
const RETURN: u32 = (-5_i32).cast_unsigned();

/// `NFT_META_IIFNAME` and `NFT_META_OIFNAME`.
const LINK_NAMES: [u32; 2] = [6, 7];
/// `NFT_PAYLOAD_NETWORK_HEADER`.
const NETWORK_HEADER: u32 = 1;
/// `NFT_PAYLOAD_TRANSPORT_HEADER`.
const TRANSPORT_HEADER: u32 = 2;
/// Where that has the port that a packet is sent to (RFC 768).
const DESTINATION_PORT: u32 = 2;
/// `NFT_CMP_EQ`.
const EQUAL: u32 = 0;

/// How deep chains lead into each other at most: the kernel's own `NFT_JUMP_STACK_SIZE`.
const DEEPEST: usize = 16;

/// Which packets it is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Those of pods of a range, and those to them.
    Pods(Cidr),
    /// Those to a UDP port of the host.
    Udp(u16),
}

/// Which packets a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matches {
    /// All.
    All,
    /// Those asked about, by what they have: range or link of pods, or port; perhaps not all of them.
    Asked,
    /// Some, by something else.
    Some,
}

/// What of a packet a rule has loaded, to compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    /// An address of its, or the beginning of one.
    Address,
    /// The name of the link it comes by or leaves by.
    Link,
    /// The port that it is sent to.
    Port,
    Other,
}

/// What a rule does with them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Does {
    Accept,
    Drop,
    Jump(String),
    Goto(String),
    Return,
    /// Counts, logs or marks.
    Nothing,
}

/// How a way through chains ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Accepted,
    Dropped,
    /// It goes on where it came from.
    Back,
}

/// The rules of a table, by chain, as the packets asked about meet them.
#[derive(Debug, Default)]
pub(super) struct Rules(BTreeMap<String, Vec<(Matches, Does)>>);

/// Reads a table's rules, in the order that the kernel gives them.
pub(super) fn read<'a>(payloads: impl Iterator<Item = &'a [u8]>, asked: &Asked) -> Rules {
    let mut rules = Rules::default();
    for (chain, rule) in payloads.filter_map(|payload| rule(payload, asked)) {
        rules.0.entry(chain).or_default().push(rule);
    }
    rules
}

impl Rules {
    /// Whether the packets that enter the table by this chain are dropped; `policy` says so of those that get to its end.
    pub(super) fn drops(&self, base: &str, policy: bool) -> bool {
        match self.end(base, DEEPEST) {
            End::Accepted => false,
            End::Dropped => true,
            End::Back => policy,
        }
    }

    /// Where the way through a chain ends. More chains below each other than the kernel takes lead back.
    fn end(&self, chain: &str, deepest: usize) -> End {
        let Some(deeper) = deepest.checked_sub(1) else {
            return End::Back;
        };
        for (matches, does) in self.0.get(chain).into_iter().flatten() {
            let all = *matches == Matches::All;
            let end = match does {
                Does::Accept if *matches != Matches::Some => End::Accepted,
                Does::Drop if all => End::Dropped,
                Does::Return if *matches != Matches::Some => return End::Back,
                Does::Jump(to) | Does::Goto(to) => self.end(to, deeper),
                _ => End::Back,
            };
            match end {
                End::Accepted => return End::Accepted,
                End::Dropped if all => return End::Dropped,
                _ if all && matches!(does, Does::Goto(_)) => return End::Back,
                _ => {}
            }
        }
        End::Back
    }
}

/// A rule with its chain. What is in sets is not looked at: one of ports may have that which is asked about.
fn rule(payload: &[u8], asked: &Asked) -> Option<(String, (Matches, Does))> {
    let attributes = payload.get(4..)?;
    let chain = text(attribute(attributes, RULE_CHAIN)?);
    let expressions = attribute(attributes, RULE_EXPRESSIONS).unwrap_or_default();
    // Where the header has both addresses (RFC 791, RFC 8200).
    let (network, offsets) = match asked {
        Asked::Pods(range) => match range.first() {
            IpAddr::V4(address) => (address.octets().to_vec(), [12, 16].as_slice()),
            IpAddr::V6(address) => (address.octets().to_vec(), [8, 24].as_slice()),
        },
        Asked::Udp(_) => (Vec::new(), [].as_slice()),
    };
    let port = match asked {
        Asked::Pods(_) => None,
        Asked::Udp(port) => Some(port.to_be_bytes()),
    };
    let (mut does, mut conditions, mut is_asked) = (Does::Nothing, false, false);
    let (mut loaded, mut mask) = (Loaded::Other, Vec::new());
    for element in NlasIterator::new(&expressions).flatten() {
        let name = text(attribute(element.value(), EXPRESSION_NAME)?);
        let data = attribute(element.value(), EXPRESSION_DATA).unwrap_or_default();
        match name.as_str() {
            "immediate" => {
                let verdict = attribute(&data, IMMEDIATE_DATA).and_then(|data| attribute(&data, DATA_VERDICT));
                does = verdict.and_then(|verdict| verdict_of(&verdict)).unwrap_or(does);
            }
            "reject" => does = Does::Drop,
            // As iptables writes what it has by modules of its own.
            "target" if attribute(&data, TARGET_NAME).map(text).as_deref() == Some("REJECT") => does = Does::Drop,
            "meta" => {
                let key = attribute(&data, META_KEY).and_then(number);
                let link = key.is_some_and(|key| LINK_NAMES.contains(&key));
                loaded = if link { Loaded::Link } else { Loaded::Other };
            }
            "payload" => {
                let header = attribute(&data, PAYLOAD_BASE).and_then(number);
                let offset = attribute(&data, PAYLOAD_OFFSET).and_then(number);
                loaded = match (header, offset) {
                    (Some(NETWORK_HEADER), Some(offset)) if offsets.contains(&offset) => Loaded::Address,
                    (Some(TRANSPORT_HEADER), Some(DESTINATION_PORT)) => Loaded::Port,
                    _ => Loaded::Other,
                };
            }
            "bitwise" => {
                let value = attribute(&data, BITWISE_MASK).and_then(|data| attribute(&data, DATA_VALUE));
                mask = value.unwrap_or_default();
            }
            "cmp" => {
                conditions = true;
                let value = attribute(&data, COMPARE_DATA).and_then(|data| attribute(&data, DATA_VALUE))?;
                let masked = |at: usize, byte: u8| byte & mask.get(at).copied().unwrap_or(0xff);
                let same = |(at, byte): (usize, &u8)| network.get(at).is_some_and(|of| masked(at, *of) == *byte);
                let how = attribute(&data, COMPARE_HOW).and_then(number);
                is_asked |= match loaded {
                    Loaded::Address => !value.is_empty() && value.iter().enumerate().all(same),
                    Loaded::Link => port.is_none() && value == LINK_PREFIX.as_bytes(),
                    Loaded::Port => port.is_some_and(|port| value == port || how != Some(EQUAL)),
                    Loaded::Other => false,
                };
                mask.clear();
            }
            "lookup" | "range" if loaded == Loaded::Port => {
                conditions = true;
                is_asked |= port.is_some();
            }
            // As iptables writes a list of ports, and what nft and iptables ask of a packet for the host itself.
            "fib" => {
                conditions = true;
                loaded = Loaded::Other;
                is_asked |= port.is_some();
            }
            "match" => {
                conditions = true;
                loaded = Loaded::Other;
                let name = attribute(&data, MATCH_NAME).map(text).unwrap_or_default();
                is_asked |= port.is_some() && ["multiport", "addrtype"].contains(&name.as_str());
            }
            "counter" | "log" | "target" => {}
            _ => {
                conditions = true;
                loaded = Loaded::Other;
            }
        }
    }
    let matches = match (is_asked, conditions) {
        (true, _) => Matches::Asked,
        (false, true) => Matches::Some,
        (false, false) => Matches::All,
    };
    Some((chain, (matches, does)))
}

fn verdict_of(verdict: &[u8]) -> Option<Does> {
    let to = || attribute(verdict, VERDICT_CHAIN).map(text);
    match attribute(verdict, VERDICT_CODE).and_then(number)? {
        DROP => Some(Does::Drop),
        ACCEPT => Some(Does::Accept),
        JUMP => to().map(Does::Jump),
        GOTO => to().map(Does::Goto),
        RETURN => Some(Does::Return),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RULE_TABLE, request};
    use super::*;
    use crate::kernel::socket::Body;

    /// Bytes as the kernel gave them.
    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    /// `nft add rule ip t f ip saddr 10.77.0.0/16`, up to the verdict.
    const FROM_PODS: &str = "34000100\
        0c0001007061796c6f6164002400020008000100000000010800020000000001080003000000000c08000400000000022c000100\
        08000100636d700020000200080001000000000108000200000000000c000300060001000a4d0000";
    /// `ip daddr 10.77.0.0/17 counter`
    const TO_HALF: &str = "340001000c0001007061796c6f6164002400020008000100000000010800020000000001080003000000\
        001008000400000000044c0001000c00010062697477697365003c0002000800010000000001080002000000000108000300000000\
        0408000600000000000c00040008000100ffff80000c00050008000100000000002c00010008000100636d70002000020008000100\
        0000000108000200000000000c000300080001000a4d00002c0001000c000100636f756e746572001c0002000c0001000000000000\
        0000000c0002000000000000000000";
    /// `ct state established,related`
    const KNOWN: &str = "20000100070001006374000014000200080002000000000008000100000000014c0001000c0001006269747769\
        7365003c00020008000100000000010800020000000001080003000000000408000600000000000c00040008000100060000000c00\
        050008000100000000002c00010008000100636d700020000200080001000000000108000200000000010c00030008000100000000\
        00";
    /// `tcp`, as `iptables -p tcp` has it.
    const TCP: &str = "24000100090001006d6574610000000014000200080002000000001008000100000000012c00010008000100636d\
        700020000200080001000000000108000200000000000c0003000500010006000000";
    /// `iifname "ptl*"`
    const POD_LINKS: &str = "24000100090001006d6574610000000014000200080002000000000608000100000000012c00010008000100\
        636d700020000200080001000000000108000200000000000c0003000700010070746c00";
    /// `meta nfproto ipv6`, whose number is 10.
    const SIX: &str = "24000100090001006d6574610000000014000200080002000000000f08000100000000012c000100080001\
        00636d700020000200080001000000000108000200000000000c000300050001000a000000";
    /// `udp dport 7157`
    const PROBES: &str = "24000100090001006d6574610000000014000200080002000000001008000100000000012c000100080001\
        00636d700020000200080001000000000108000200000000000c0003000500010011000000340001000c0001007061796c6f6164\
        002400020008000100000000010800020000000002080003000000000208000400000000022c00010008000100636d70002000020008\
        0001000000000108000200000000000c000300060001001bf50000";
    /// `addrtype --dst-type LOCAL`, as iptables has it.
    const TO_HOST: &str = "240001000a0001006d61746368000000140002000d000100616464727479706500000000";
    const ACCEPTED: &str = "300001000e000100696d6d6564696174650000001c0002000800010000000000100002000c00020008000100\
        00000001";
    const DROPPED: &str = "300001000e000100696d6d6564696174650000001c0002000800010000000000100002000c00020008000100\
        00000000";

    /// A rule of the chain `f`, as it meets what is asked about.
    fn read_one(condition: &str, verdict: &str, asked: Asked) -> Option<(String, (Matches, Does))> {
        let expressions = bytes(&format!("{condition}{verdict}"));
        let attributes: &[(u16, &[u8])] = &[
            (RULE_TABLE, b"t\0"),
            (RULE_CHAIN, b"f\0"),
            (RULE_EXPRESSIONS, &expressions),
        ];
        let request = request(0, 2, attributes, "");
        let Body::Raw(_, payload) = request.body else {
            unreachable!()
        };
        rule(&payload, &asked)
    }

    #[test]
    fn a_rule_is_for_pods_or_for_all_or_for_some() {
        for (condition, verdict, of, matches, does) in [
            (FROM_PODS, ACCEPTED, "10.77.0.0/16", Matches::Asked, Does::Accept),
            (FROM_PODS, ACCEPTED, "10.78.0.0/16", Matches::Some, Does::Accept),
            (FROM_PODS, DROPPED, "10.77.0.0/16", Matches::Asked, Does::Drop),
            (TO_HALF, ACCEPTED, "10.77.0.0/16", Matches::Asked, Does::Accept),
            (TO_HALF, ACCEPTED, "10.77.128.0/17", Matches::Some, Does::Accept),
            (KNOWN, ACCEPTED, "10.77.0.0/16", Matches::Some, Does::Accept),
            (TCP, ACCEPTED, "10.77.0.0/16", Matches::Some, Does::Accept),
            (PROBES, ACCEPTED, "10.77.0.0/16", Matches::Some, Does::Accept),
            (POD_LINKS, ACCEPTED, "10.77.0.0/16", Matches::Asked, Does::Accept),
            (SIX, ACCEPTED, "10.77.0.0/16", Matches::Some, Does::Accept),
            ("", ACCEPTED, "10.77.0.0/16", Matches::All, Does::Accept),
            ("", DROPPED, "10.77.0.0/16", Matches::All, Does::Drop),
            ("", "", "10.77.0.0/16", Matches::All, Does::Nothing),
        ] {
            assert_eq!(
                read_one(condition, verdict, Asked::Pods(of.parse().unwrap())),
                Some(("f".to_owned(), (matches, does))),
                "{condition} {verdict} {of}"
            );
        }
        let (kind, value) = (RULE_EXPRESSIONS, bytes(ACCEPTED));
        assert_eq!(verdict_of(&[]), None);
        assert!(attribute(&value, kind).is_none(), "a list of expressions is none");
    }

    #[test]
    fn a_rule_is_for_a_port_or_for_all_or_for_some() {
        for (condition, port, matches) in [
            (PROBES, 7157, Matches::Asked),
            (PROBES, 7158, Matches::Some),
            (FROM_PODS, 7157, Matches::Some),
            (POD_LINKS, 7157, Matches::Some),
            (TCP, 7157, Matches::Some),
            (TO_HOST, 7157, Matches::Asked),
            ("", 7157, Matches::All),
        ] {
            let read = read_one(condition, ACCEPTED, Asked::Udp(port));
            assert_eq!(
                read,
                Some(("f".to_owned(), (matches, Does::Accept))),
                "{condition} {port}"
            );
        }
    }

    fn rules(chains: &[(&str, &[(Matches, Does)])]) -> Rules {
        Rules(
            chains
                .iter()
                .map(|(name, rules)| ((*name).to_owned(), rules.to_vec()))
                .collect(),
        )
    }

    #[test]
    fn a_chain_drops_by_its_policy_or_a_rule_at_the_end_of_every_way() {
        use Matches::{All, Asked, Some};
        let jump = |to: &str| Does::Jump(to.to_owned());
        let goto = |to: &str| Does::Goto(to.to_owned());
        let drops = |rules: &Rules| (rules.drops("f", true), rules.drops("f", false));
        let (always, never, by_policy) = ((true, true), (false, false), (true, false));

        assert_eq!(drops(&rules(&[])), by_policy);
        assert_eq!(drops(&rules(&[("f", &[(Asked, Does::Accept)])])), never);
        assert_eq!(
            drops(&rules(&[("f", &[(Some, Does::Accept), (Some, Does::Drop)])])),
            by_policy
        );
        assert_eq!(drops(&rules(&[("f", &[(All, Does::Drop)])])), always);
        // What other hooks' chains accept does not count (ufw).
        let elsewhere = rules(&[("f", &[(All, jump("before"))]), ("output", &[(All, Does::Accept)])]);
        assert_eq!(drops(&elsewhere), by_policy);
        // What is behind jumps does, and a rule at the end drops whatever the policy says (firewalld).
        let zones = |zone| {
            rules(&[
                ("f", &[(Some, Does::Accept), (All, jump("zones")), (All, Does::Drop)]),
                ("zones", &[(Some, jump("zone"))]),
                ("zone", &[(zone, Does::Accept)]),
            ])
        };
        assert_eq!(drops(&zones(Some)), always);
        assert_eq!(drops(&zones(Asked)), never);
        assert_eq!(drops(&zones(All)), never, "made for somebody");
        // What those asked about return from does not drop them (ufw, of what is sent to the host itself).
        let own = |return_of| {
            rules(&[
                ("f", &[(All, jump("not-own")), (Asked, Does::Accept)]),
                ("not-own", &[(return_of, Does::Return), (All, Does::Drop)]),
            ])
        };
        assert_eq!(drops(&own(Asked)), never);
        assert_eq!(drops(&own(Some)), always);
        // A drop that only some get to is none of all.
        let some = rules(&[("f", &[(Some, jump("d"))]), ("d", &[(All, Does::Drop)])]);
        assert_eq!(drops(&some), by_policy);
        // A return goes on behind the jump, and from a goto at the end of the chain before.
        let back = |way| {
            rules(&[
                ("f", &[(All, way), (All, Does::Drop)]),
                ("b", &[(All, Does::Return), (All, Does::Accept)]),
            ])
        };
        assert_eq!(drops(&back(jump("b"))), always);
        assert_eq!(drops(&back(goto("b"))), by_policy);
        let round = rules(&[("f", &[(All, jump("f"))])]);
        assert_eq!(
            drops(&round),
            by_policy,
            "the kernel takes no ring, and we do not walk for ever"
        );
    }
}
