//! Chains of other programs that drop what is forwarded (`nf_tables`, which iptables writes too).
//!
//! Numbers and shapes: `linux/netfilter/nf_tables.h`. Numbers in attributes are big-endian.

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use parking_lot::Mutex;
use portolan_plan::{ForwardDrop, LINK_PREFIX};
use portolan_shared::addr::{Cidr, Family};

use super::KernelError;
use super::socket::{Body, Reply, Request, Socket};
use super::sockets::Sockets;

/// `NFNL_SUBSYS_NFTABLES`, in the upper half of a message's type.
const NFTABLES: u16 = 10 << 8;
const GET_CHAIN: u16 = NFTABLES | 4;
const GET_RULE: u16 = NFTABLES | 7;
const GET_GENERATION: u16 = NFTABLES | 16;

const GEN_ID: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const HOOK_NUMBER: u16 = 1;
const RULE_TABLE: u16 = 1;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const COMPARE_DATA: u16 = 3;
const BITWISE_MASK: u16 = 4;
const IMMEDIATE_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;

/// `NF_INET_FORWARD`.
const FORWARD: u32 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;
/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`: the families whose forward hook pods' packets pass.
const FAMILIES: [(u8, &str); 3] = [(1, "inet"), (2, "ip"), (10, "ip6")];

/// Asks the packet filter, by a socket that is opened when it is needed.
#[derive(Default)]
pub(super) struct Filter {
    socket: Mutex<Option<Socket>>,
}

impl Filter {
    /// Which generation the rules are: another number after each change. `None`: this kernel has no
    /// `nf_tables`.
    pub(super) fn generation(&self, sockets: &Sockets) -> Result<Option<u32>, KernelError> {
        let request = || request(GET_GENERATION, 0, &[], "the generation of the packet filter");
        let replies = unless_missing(self.with(sockets, |socket| socket.one(request())))?;
        let id = |reply: &Reply| attribute(reply.payload.get(4..)?, GEN_ID).and_then(number);
        Ok(replies.unwrap_or_default().iter().find_map(id))
    }

    /// Base chains at the forward hook with the policy *drop*, in whose table no rule lets pods of these
    /// ranges pass.
    pub(super) fn drops(&self, sockets: &Sockets, ranges: &[Cidr]) -> Result<Vec<ForwardDrop>, KernelError> {
        let chains = request(GET_CHAIN, 0, &[], "the chains of the packet filter");
        let replies = unless_missing(self.with(sockets, |socket| socket.dump(&chains)))?;
        let mut drops = Vec::new();
        for (number, chain) in replies.unwrap_or_default().iter().filter_map(drop_chain) {
            let wanted = |range: &&Cidr| match chain.family {
                "ip" => range.family() == Family::V4,
                "ip6" => range.family() == Family::V6,
                _ => true,
            };
            let concerned: Vec<&Cidr> = ranges.iter().filter(wanted).collect();
            if concerned.is_empty() {
                continue;
            }
            let mut table = chain.table.clone().into_bytes();
            table.push(0);
            let rules = request(
                GET_RULE,
                number,
                &[(RULE_TABLE, &table)],
                "the rules of the packet filter",
            );
            let rules = unless_missing(self.with(sockets, |socket| socket.dump(&rules)))?.unwrap_or_default();
            let passes = |range: &&Cidr| rules.iter().any(|rule| lets_pass(&rule.payload, range) == Some(true));
            if !concerned.iter().all(passes) {
                drops.push(chain);
            }
        }
        Ok(drops)
    }

    fn with<T>(
        &self,
        sockets: &Sockets,
        work: impl FnOnce(&mut Socket) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let mut kept = self.socket.lock();
        let mut socket = match kept.take() {
            Some(socket) => socket,
            None => open(sockets)?,
        };
        let result = work(&mut socket);
        if !matches!(result, Err(KernelError::Talk { .. })) {
            *kept = Some(socket);
        }
        result
    }
}

fn open(sockets: &Sockets) -> Result<Socket, KernelError> {
    let opened = sockets
        .home()
        .run(|| Socket::open_for(netlink_sys::protocols::NETLINK_NETFILTER));
    opened.and_then(|socket| socket).map_err(|source| {
        let what = "the packet filter".to_owned();
        match source.raw_os_error() {
            Some(errno) => KernelError::Refused {
                what,
                errno,
                message: None,
            },
            None => KernelError::Talk { what, source },
        }
    })
}

/// `None` where the kernel has no such thing: no packet filter, or a table that went meanwhile.
fn unless_missing<T>(result: Result<T, KernelError>) -> Result<Option<T>, KernelError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.errno() {
            Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::ENOENT) => Ok(None),
            _ => Err(error),
        },
    }
}

/// A request with a `struct nfgenmsg` and attributes.
fn request(kind: u16, family: u8, attributes: &[(u16, &[u8])], what: &str) -> Request {
    let mut payload = vec![family, 0, 0, 0];
    for (kind, value) in attributes {
        payload.extend(u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes());
        payload.extend(kind.to_ne_bytes());
        payload.extend(*value);
        payload.resize(payload.len().next_multiple_of(4), 0);
    }
    Request::of(Body::Raw(kind, payload), what)
}

fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let found = NlasIterator::new(bytes).flatten().find(|a| a.kind() == kind)?;
    Some(found.value().to_vec())
}

fn number(bytes: Vec<u8>) -> Option<u32> {
    bytes.first_chunk().map(|b| u32::from_be_bytes(*b))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
}

/// A base chain at the forward hook that drops, with the number of its family.
fn drop_chain(reply: &Reply) -> Option<(u8, ForwardDrop)> {
    let of = *reply.payload.first()?;
    let (number_of_family, family) = FAMILIES.into_iter().find(|(number, _)| *number == of)?;
    let attributes = reply.payload.get(4..)?;
    let hook = attribute(attributes, CHAIN_HOOK)?;
    let at_forward = attribute(&hook, HOOK_NUMBER).and_then(number) == Some(FORWARD);
    let drops = attribute(attributes, CHAIN_POLICY).and_then(number) == Some(DROP);
    let chain = ForwardDrop {
        family,
        table: text(attribute(attributes, CHAIN_TABLE)?),
        chain: text(attribute(attributes, CHAIN_NAME)?),
    };
    (at_forward && drops).then_some((number_of_family, chain))
}

/// Whether a rule accepts packets of the range: it accepts, and it compares with the range or with pods'
/// links, or compares nothing at all. By which way a packet gets to the rule is not looked at, nor what
/// is in sets.
fn lets_pass(payload: &[u8], range: &Cidr) -> Option<bool> {
    let expressions = attribute(payload.get(4..)?, RULE_EXPRESSIONS)?;
    let network = match range.first() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (mut accepts, mut conditions, mut about_pods, mut mask) = (false, false, false, Vec::new());
    for element in NlasIterator::new(&expressions).flatten() {
        let name = text(attribute(element.value(), EXPRESSION_NAME)?);
        let data = attribute(element.value(), EXPRESSION_DATA).unwrap_or_default();
        match name.as_str() {
            "immediate" => {
                let verdict = attribute(&data, IMMEDIATE_DATA).and_then(|data| attribute(&data, DATA_VERDICT));
                accepts |= verdict.and_then(|v| attribute(&v, VERDICT_CODE)).and_then(number) == Some(ACCEPT);
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
                about_pods |= value == LINK_PREFIX.as_bytes();
                about_pods |= !value.is_empty() && value.iter().enumerate().all(same);
                mask.clear();
            }
            "counter" | "payload" | "meta" | "log" => {}
            _ => conditions = true,
        }
    }
    Some(accepts && (about_pods || !conditions))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    const ACCEPTED: &str = "300001000e000100696d6d6564696174650000001c0002000800010000000000100002000c00020008000100\
        00000001";
    const DROPPED: &str = "300001000e000100696d6d6564696174650000001c0002000800010000000000100002000c00020008000100\
        00000000";

    #[test]
    fn a_rule_lets_pods_pass_if_it_accepts_them_or_everybody() {
        let rule = |condition: &str, verdict: &str| {
            let expressions = bytes(&format!("{condition}{verdict}"));
            let request = request(0, 2, &[(RULE_TABLE, b"t\0"), (RULE_EXPRESSIONS, &expressions)], "");
            match request.body {
                Body::Raw(_, payload) => payload,
                Body::Route(_) => unreachable!(),
            }
        };
        let range = |text: &str| text.parse::<Cidr>().unwrap();
        let passes = |condition, verdict, of| lets_pass(&rule(condition, verdict), &range(of)).unwrap();
        for (condition, verdict, of, expected) in [
            (FROM_PODS, ACCEPTED, "10.77.0.0/16", true),
            (FROM_PODS, ACCEPTED, "10.78.0.0/16", false),
            (FROM_PODS, DROPPED, "10.77.0.0/16", false),
            (TO_HALF, ACCEPTED, "10.77.0.0/16", true),
            (TO_HALF, ACCEPTED, "10.77.128.0/17", false),
            (KNOWN, ACCEPTED, "10.77.0.0/16", false),
            (TCP, ACCEPTED, "10.77.0.0/16", false),
            (POD_LINKS, ACCEPTED, "10.77.0.0/16", true),
            ("", ACCEPTED, "10.77.0.0/16", true),
            ("", DROPPED, "10.77.0.0/16", false),
        ] {
            assert_eq!(passes(condition, verdict, of), expected, "{condition} {verdict} {of}");
        }
        assert_eq!(lets_pass(&[2], &range("10.77.0.0/16")), None);
    }

    #[test]
    fn a_chain_drops_at_its_hook_by_its_policy() {
        let chain = |family: &str, hook: &str, policy: &str| {
            let payload = bytes(&format!(
                "{family}0000120b00010066696c74657200000c000300464f5257415244000c0002000000000000000001140004000800\
                 0100000000{hook}080002000000000008000500000000{policy}0b00070066696c74657200"
            ));
            let (kind, port) = (0, 0);
            let chain = drop_chain(&Reply { kind, port, payload });
            chain.map(|(_, chain)| (chain.family, chain.table, chain.chain))
        };
        let named = |family| Some((family, "filter".to_owned(), "FORWARD".to_owned()));
        assert_eq!(chain("02", "02", "00"), named("ip"));
        assert_eq!(chain("0a", "02", "00"), named("ip6"));
        assert_eq!(chain("01", "02", "00"), named("inet"));
        assert_eq!(chain("02", "02", "01"), None, "accepts");
        assert_eq!(chain("02", "01", "00"), None, "of the host's own packets");
        assert_eq!(chain("07", "02", "00"), None, "of a bridge");
    }
}
