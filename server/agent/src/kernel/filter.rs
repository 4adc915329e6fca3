//! Chains of other programs that drop what is forwarded, or what is sent to a port of the host (`nf_tables`, which
//! iptables writes too).
//!
//! Numbers and shapes: `linux/netfilter/nf_tables.h`. Numbers in attributes are big-endian.

mod rules;

use netlink_packet_core::NlasIterator;
use parking_lot::Mutex;
use portolan_plan::DroppingChain;
use portolan_shared::addr::{Cidr, Family};

use super::KernelError;
use super::socket::{Body, Reply, Request, Socket};
use super::sockets::Sockets;
use rules::Asked;

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

/// `NF_INET_LOCAL_IN`.
const INPUT: u32 = 1;
/// `NF_INET_FORWARD`.
const FORWARD: u32 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;
/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`: the families whose hooks pods' packets pass.
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

    /// Base chains at the forward hook that drop what pods of these ranges send, or what is sent to them.
    pub(super) fn drops(&self, sockets: &Sockets, ranges: &[Cidr]) -> Result<Vec<DroppingChain>, KernelError> {
        self.dropping(sockets, FORWARD, |family| {
            let wanted = |range: &&Cidr| of(family).is_none_or(|of| of == range.family());
            ranges.iter().filter(wanted).copied().map(Asked::Pods).collect()
        })
    }

    /// Base chains at the input hook that drop what is sent to this UDP port of the host.
    pub(super) fn closed(&self, sockets: &Sockets, port: u16) -> Result<Vec<DroppingChain>, KernelError> {
        self.dropping(sockets, INPUT, |_| vec![Asked::Udp(port)])
    }

    /// Base chains at a hook that drop anything of what is asked of tables of their family.
    fn dropping(
        &self,
        sockets: &Sockets,
        hook: u32,
        asked: impl Fn(&str) -> Vec<Asked>,
    ) -> Result<Vec<DroppingChain>, KernelError> {
        let chains = request(GET_CHAIN, 0, &[], "the chains of the packet filter");
        let replies = unless_missing(self.with(sockets, |socket| socket.dump(&chains)))?;
        let mut drops = Vec::new();
        let replies = replies.unwrap_or_default();
        for (number, policy, chain) in replies.iter().filter_map(|reply| base_chain(reply, hook)) {
            let asked = asked(chain.family);
            if asked.is_empty() {
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
            let payloads = || rules.iter().map(|rule| rule.payload.as_slice());
            let drops_it = |asked: &Asked| rules::read(payloads(), asked).drops(&chain.chain, policy);
            if asked.iter().any(drops_it) {
                drops.push(chain);
            }
        }
        Ok(drops)
    }

    pub(super) fn with<T>(
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
pub(super) fn unless_missing<T>(result: Result<T, KernelError>) -> Result<Option<T>, KernelError> {
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

pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let found = NlasIterator::new(bytes).flatten().find(|a| a.kind() == kind)?;
    Some(found.value().to_vec())
}

fn number(bytes: Vec<u8>) -> Option<u32> {
    bytes.first_chunk().map(|b| u32::from_be_bytes(*b))
}

pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
}

/// The family of addresses that tables of a family are for; `None`: both.
fn of(family: &str) -> Option<Family> {
    match family {
        "ip" => Some(Family::V4),
        "ip6" => Some(Family::V6),
        _ => None,
    }
}

/// A base chain at this hook, with the number of its family, and whether it drops what gets to its end.
fn base_chain(reply: &Reply, hook: u32) -> Option<(u8, bool, DroppingChain)> {
    let of = *reply.payload.first()?;
    let (number_of_family, family) = FAMILIES.into_iter().find(|(number, _)| *number == of)?;
    let attributes = reply.payload.get(4..)?;
    let of_chain = attribute(attributes, CHAIN_HOOK)?;
    let is_there = attribute(&of_chain, HOOK_NUMBER).and_then(number) == Some(hook);
    let drops = attribute(attributes, CHAIN_POLICY).and_then(number) == Some(DROP);
    let chain = DroppingChain {
        family,
        table: text(attribute(attributes, CHAIN_TABLE)?),
        chain: text(attribute(attributes, CHAIN_NAME)?),
    };
    is_there.then_some((number_of_family, drops, chain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as the kernel gave them.
    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn a_chain_is_at_its_hook_and_has_its_policy() {
        let chain = |family: &str, hook: &str, policy: &str| {
            let payload = bytes(&format!(
                "{family}0000120b00010066696c74657200000c000300464f5257415244000c0002000000000000000001140004000800\
                 0100000000{hook}080002000000000008000500000000{policy}0b00070066696c74657200"
            ));
            let (kind, port) = (0, 0);
            let chain = base_chain(&Reply { kind, port, payload }, FORWARD);
            chain.map(|(_, drops, chain)| (chain.family, chain.table, chain.chain, drops))
        };
        let named = |family, drops| Some((family, "filter".to_owned(), "FORWARD".to_owned(), drops));
        assert_eq!(chain("02", "02", "00"), named("ip", true));
        assert_eq!(chain("0a", "02", "00"), named("ip6", true));
        assert_eq!(chain("01", "02", "00"), named("inet", true));
        assert_eq!(chain("02", "02", "01"), named("ip", false));
        assert_eq!(chain("02", "01", "00"), None, "of the host's own packets");
        assert_eq!(chain("07", "02", "00"), None, "of a bridge");
    }
}
