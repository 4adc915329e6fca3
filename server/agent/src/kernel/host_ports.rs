//! Host ports in the packet filter: a table a family with maps that lead from a port of the host to a pod's.
//!
//! The rules are the same whatever the pods are; a pod that comes or goes changes entries only. So a packet costs two
//! look-ups, however many host ports there are. The client's address is kept, but for a program of the host that asks by
//! 127.0.0.1 and for a pod that asks itself: their answers would not come back by the host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use portolan_plan::{LINK_PREFIX, PortSlot};
use portolan_shared::addr::Family;
use portolan_shared::host_port::Transport;

use super::filter::{attribute, text, unless_missing};
use super::nft::{self, Element, FIRST, Hook, Rule, Shape, VALUE};
use super::socket::{Reply, Request};
use super::{KernelError, Netlink};

/// The name of the tables.
const TABLE: &str = "portolan";
/// Entries in one message: a message has at most 64 KiB.
const CHUNK: usize = 256;

/// `NF_INET_PRE_ROUTING`, `NF_INET_LOCAL_OUT`, `NF_INET_POST_ROUTING`.
const ARRIVING: u32 = 0;
const SENT: u32 = 3;
const LEAVING: u32 = 4;

/// A set or map of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// Ports of one address.
    At,
    /// Ports of all addresses.
    All,
    /// Pairs of a pod's address with itself.
    Own,
}

impl Set {
    const ALL: [Self; 3] = [Self::At, Self::All, Self::Own];

    fn of(slot: &PortSlot) -> Self {
        match slot {
            PortSlot::At(..) => Self::At,
            PortSlot::All(..) => Self::All,
            PortSlot::Own(_) => Self::Own,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::At => "host-ports-of-address",
            Self::All => "host-ports",
            Self::Own => "pods-to-themselves",
        }
    }

    /// See [`Shape`]: an address is type 7 or 8, a protocol 12, a port 13.
    const fn shape(self, family: Family) -> Shape {
        let (address, length) = match family {
            Family::V4 => (7, 4),
            Family::V6 => (8, 16),
        };
        let port = (12 << 6) | 13;
        let value = Some((length + 4, (address << 6) | 13));
        match self {
            Self::At => Shape {
                key: length + 8,
                key_type: (address << 12) | port,
                value,
            },
            Self::All => Shape {
                key: 8,
                key_type: port,
                value,
            },
            Self::Own => Shape {
                key: 2 * length,
                key_type: (address << 6) | address,
                value: None,
            },
        }
    }
}

/// A chain, where it is called, and its rules.
type Chain = (&'static str, Hook, Vec<Rule>);

fn chains(family: Family) -> Vec<Chain> {
    let words = u32::from(family.bits()) / 32;
    let lead = || {
        let here = || Rule::default().for_this_host();
        vec![
            here()
                .load_destination(family, FIRST)
                .load_port(FIRST + words)
                .redirect_by(Set::At.name(), family),
            here().load_port(FIRST).redirect_by(Set::All.name(), family),
        ]
    };
    let nat = |number, priority| Hook {
        kind: "nat",
        number,
        priority,
    };
    let to_itself = Rule::default()
        .redirected()
        .load_source(family, FIRST)
        .load_destination(family, FIRST + words)
        .in_set(Set::Own.name())
        .masquerade();
    let mut leaving = vec![to_itself];
    let mut chains = vec![
        ("prerouting", nat(ARRIVING, -100), lead()),
        ("output", nat(SENT, -100), lead()),
    ];
    if family == Family::V4 {
        leaving.push(Rule::default().redirected().source_begins(family, &[127]).masquerade());
        // Pods' links let 127.0.0.1 through for these answers. A pod itself must not reach the host's by it.
        let loopback = Rule::default()
            .by_interface(LINK_PREFIX)
            .destination_begins(family, &[127])
            .drop();
        let early = Hook {
            kind: "filter",
            number: ARRIVING,
            priority: -300,
        };
        chains.push(("loopback", early, vec![loopback]));
    }
    chains.push(("postrouting", nat(LEAVING, 100), leaving));
    chains
}

/// All that makes a table as it is to be, but for its entries.
fn table(family: Family) -> Vec<Request> {
    let mut requests = vec![nft::new_table(family, TABLE)];
    for (number, set) in (1..).zip(Set::ALL) {
        requests.push(nft::new_set(family, TABLE, set.name(), number, set.shape(family)));
    }
    let chains = chains(family);
    requests.extend(
        chains
            .iter()
            .map(|(name, hook, _)| nft::new_chain(family, TABLE, name, *hook)),
    );
    requests.push(nft::del_rules(family, TABLE));
    for (name, _, rules) in &chains {
        requests.extend(rules.iter().map(|rule| nft::new_rule(family, TABLE, name, rule)));
    }
    requests
}

/// What tells rules from others: the chain and the mark of each, in order.
fn marks(family: Family) -> BTreeSet<(String, String)> {
    let of_chain = |(name, _, rules): Chain| rules.into_iter().map(move |rule| (name.to_owned(), rule.mark()));
    chains(family).into_iter().flat_map(of_chain).collect()
}

/// The chain and the mark of a rule, as the kernel has it.
fn mark(reply: &Reply) -> Option<(String, String)> {
    let attributes = reply.payload.get(4..)?;
    let comment = attribute(attributes, 7)?;
    Some((text(attribute(attributes, 2)?), text(comment.get(2..)?.to_vec())))
}

/// Padded to registers of four bytes.
fn port_bytes(protocol: Transport, port: u16) -> [u8; 8] {
    let [high, low] = port.to_be_bytes();
    [protocol.number(), 0, 0, 0, high, low, 0, 0]
}

fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn key(slot: &PortSlot) -> Vec<u8> {
    match slot {
        PortSlot::At(address, protocol, port) => {
            let mut key = address_bytes(*address);
            key.extend(port_bytes(*protocol, *port));
            key
        }
        PortSlot::All(_, protocol, port) => port_bytes(*protocol, *port).to_vec(),
        PortSlot::Own(address) => address_bytes(*address).repeat(2),
    }
}

fn element(slot: &PortSlot, to: Option<SocketAddr>) -> Element {
    let value = to.map(|to| {
        let [high, low] = to.port().to_be_bytes();
        let mut value = address_bytes(to.ip());
        value.extend([high, low, 0, 0]);
        value
    });
    (key(slot), value)
}

fn read_address(family: Family, bytes: &[u8]) -> Option<IpAddr> {
    Some(match family {
        Family::V4 => IpAddr::from(*bytes.first_chunk::<4>()?),
        Family::V6 => IpAddr::from(*bytes.first_chunk::<16>()?),
    })
}

fn read_port(bytes: &[u8]) -> Option<(Transport, u16)> {
    let [protocol, _, _, _, high, low, ..] = *bytes.first_chunk::<8>()?;
    let protocol = Transport::ALL.into_iter().find(|of| of.number() == protocol)?;
    Some((protocol, u16::from_be_bytes([high, low])))
}

/// An entry as the kernel has it.
fn read(family: Family, set: Set, element: &[u8]) -> Option<(PortSlot, Option<SocketAddr>)> {
    let value = |kind| attribute(&attribute(element, kind)?, VALUE);
    let key = value(1)?;
    let length = usize::from(family.bits()) / 8;
    let slot = match set {
        Set::At => {
            let (protocol, port) = read_port(key.get(length..)?)?;
            PortSlot::At(read_address(family, &key)?, protocol, port)
        }
        Set::All => {
            let (protocol, port) = read_port(&key)?;
            PortSlot::All(family, protocol, port)
        }
        Set::Own => return Some((PortSlot::Own(read_address(family, &key)?), None)),
    };
    let to = value(2)?;
    let port = u16::from_be_bytes(*to.get(length..)?.first_chunk()?);
    Some((slot, Some(SocketAddr::new(read_address(family, &to)?, port))))
}

/// A host port's slot, and where it leads.
type Entry = (PortSlot, Option<SocketAddr>);

/// What the packet filter has of host ports.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The families whose rules are there, all of them.
    pub(super) rules: BTreeSet<Family>,
    /// Entries, each with where it leads.
    pub(super) entries: BTreeMap<PortSlot, Option<SocketAddr>>,
}

impl Netlink {
    /// Reads it, unless the filter is as it was when it was read last.
    pub(super) fn see_host_ports(&self) -> Result<Seen, KernelError> {
        let generation = self.filter.generation(&self.sockets)?;
        let mut known = self.host_ports.lock();
        if let Some((at, seen)) = known.as_ref()
            && *at == generation
        {
            return Ok(seen.clone());
        }
        let mut seen = Seen::default();
        for family in [Family::V4, Family::V6] {
            self.read_table(family, &mut seen)?;
        }
        *known = Some((generation, seen.clone()));
        Ok(seen)
    }

    fn read_table(&self, family: Family, seen: &mut Seen) -> Result<(), KernelError> {
        let dump = |request: Request| self.filter.with(&self.sockets, |socket| socket.dump(&request));
        let Some(rules) = unless_missing(dump(nft::dump_rules(family, TABLE)))? else {
            return Ok(());
        };
        let there: Vec<_> = rules.iter().filter_map(mark).collect();
        let wanted = marks(family);
        if there.len() == wanted.len()
            && there.len() == rules.len()
            && there.into_iter().collect::<BTreeSet<_>>() == wanted
        {
            seen.rules.insert(family);
        }
        for set in Set::ALL {
            let replies = unless_missing(dump(nft::dump_elements(family, TABLE, set.name())))?.unwrap_or_default();
            for reply in &replies {
                let list = reply.payload.get(4..).and_then(|attributes| attribute(attributes, 3));
                let elements = list
                    .iter()
                    .flat_map(|list| netlink_packet_core::NlasIterator::new(list).flatten());
                seen.entries
                    .extend(elements.filter_map(|element| read(family, set, element.value())));
            }
        }
        Ok(())
    }

    pub(super) fn make_port_rules(&self, family: Family) -> Result<(), KernelError> {
        let what = format!("the rules for host ports of IPv{}", family.number());
        let batch = |requests: &[Request]| self.filter.with(&self.sockets, |socket| socket.batch(requests, &what));
        batch(&table(family)).or_else(|_| {
            // What is there may be of another shape: it is made anew, without entries.
            let mut anew = vec![nft::new_table(family, TABLE), nft::del_table(family, TABLE)];
            anew.extend(table(family));
            batch(&anew)
        })
    }

    /// Puts entries; makes the tables first where there are none.
    pub(super) fn make_host_ports(&self, slots: &[Entry]) -> Result<(), KernelError> {
        if slots.is_empty() {
            return Ok(());
        }
        let made = match self.change(slots, false) {
            Err(error) if error.errno() == Some(libc::ENOENT) => {
                let families: BTreeSet<Family> = slots.iter().map(|(slot, _)| slot.family()).collect();
                families
                    .into_iter()
                    .try_for_each(|family| self.make_port_rules(family))?;
                self.change(slots, false)
            }
            other => other,
        };
        match made {
            // Entries that lead elsewhere are in the place of some.
            Err(error) if matches!(error.errno(), Some(libc::EEXIST | libc::EBUSY)) => {
                self.remove_host_ports(slots)?;
                self.change(slots, false)?;
            }
            other => other?,
        }
        self.forget_stale_flows(slots)
    }

    /// Removes entries, and the flows that go by them.
    pub(super) fn remove_host_ports(&self, slots: &[Entry]) -> Result<(), KernelError> {
        if slots.is_empty() {
            return Ok(());
        }
        match self.change(slots, true) {
            // Some are not there: one by one, then.
            Err(error) if error.is_absent() => {
                for slot in slots {
                    match self.change(std::slice::from_ref(slot), true) {
                        Err(error) if !error.is_absent() => return Err(error),
                        _ => {}
                    }
                }
            }
            other => other?,
        }
        self.forget_flows(slots)
    }

    /// Adds or removes entries in one transaction.
    fn change(&self, slots: &[Entry], remove: bool) -> Result<(), KernelError> {
        let mut groups: BTreeMap<(Family, &str), Vec<&Entry>> = BTreeMap::new();
        for entry in slots {
            let group = (entry.0.family(), Set::of(&entry.0).name());
            groups.entry(group).or_default().push(entry);
        }
        let mut requests = Vec::new();
        for ((family, set), entries) in groups {
            for chunk in entries.chunks(CHUNK) {
                let what = match chunk {
                    [(slot, _)] => slot.to_string(),
                    _ => format!("{} entries of {set}", chunk.len()),
                };
                let elements: Vec<Element> = chunk.iter().map(|(slot, to)| element(slot, *to)).collect();
                requests.push(match remove {
                    false => nft::new_elements(family, TABLE, set, &elements, what),
                    true => {
                        let keys = elements.into_iter().map(|(key, _)| key).collect();
                        nft::del_elements(family, TABLE, set, keys, what)
                    }
                });
            }
        }
        self.filter.with(&self.sockets, |socket| {
            socket.batch(&requests, "the entries of host ports")
        })
    }
}
