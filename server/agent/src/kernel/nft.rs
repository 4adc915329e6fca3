//! Messages of the packet filter (`nf_tables`), built.
//!
//! Numbers and shapes: `linux/netfilter/nf_tables.h`. Numbers in attributes are big-endian, registers hold what the kernel
//! compares as it is in its own memory or in the packet.

use netlink_packet_core::NLM_F_CREATE;
use portolan_shared::addr::Family;

use super::socket::{Body, Request};

/// `NFNL_SUBSYS_NFTABLES`, in the upper half of a message's type.
const NFTABLES: u16 = 10 << 8;
const NEW_TABLE: u16 = NFTABLES;
const DEL_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;
const NEW_RULE: u16 = NFTABLES | 6;
const GET_RULE: u16 = NFTABLES | 7;
const DEL_RULE: u16 = NFTABLES | 8;
const NEW_SET: u16 = NFTABLES | 9;
const NEW_ELEMENTS: u16 = NFTABLES | 12;
const GET_ELEMENTS: u16 = NFTABLES | 13;
const DEL_ELEMENTS: u16 = NFTABLES | 14;

/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
/// `NFTA_LIST_ELEM`.
pub(super) const LIST_ELEMENT: u16 = 1;
/// `NFTA_DATA_VALUE`.
pub(super) const VALUE: u16 = 1;
/// `NFT_REG32_00`, the first of sixteen registers of four bytes.
pub(super) const FIRST: u32 = 8;

/// Attributes, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes(pub(super) Vec<u8>);

impl Attributes {
    /// With an attribute of these bytes.
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// With a text that ends with a zero.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// With a number.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// With attributes inside of one.
    pub(super) fn nest(self, kind: u16, inside: &Self) -> Self {
        self.bytes(kind | NESTED, &inside.0)
    }
}

/// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
pub(super) const fn of(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// A request of netfilter, with its `struct nfgenmsg`.
pub(super) fn request(kind: u16, family: Family, attributes: &Attributes, what: impl Into<String>) -> Request {
    let mut payload = vec![of(family), 0, 0, 0];
    payload.extend(&attributes.0);
    Request::of(Body::Raw(kind, payload), what)
}

/// What is done with a packet, step by step.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule(Attributes);

/// What a packet is asked.
const META: &str = "meta";
/// `NFT_META_IIFNAME`.
const INTERFACE: u32 = 6;
/// `NFT_META_L4PROTO`.
const PROTOCOL: u32 = 16;
/// `NFT_CT_STATUS`.
const STATUS: u32 = 2;
/// `IPS_DST_NAT`.
const REDIRECTED: u32 = 1 << 5;
/// `NFT_FIB_RESULT_ADDRTYPE`, of the destination (`NFTA_FIB_F_DADDR`), and `RTN_LOCAL`.
const ADDRESS_TYPE: u32 = 3;
const DESTINATION: u32 = 1 << 1;
const LOCAL: u32 = 2;
/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// `NFT_CMP_EQ`, `NFT_CMP_NEQ`.
const EQUAL: u32 = 0;
const OTHER: u32 = 1;

impl Rule {
    fn step(mut self, name: &str, data: &Attributes) -> Self {
        let step = Attributes::default().text(1, name).nest(2, data);
        self.0 = self.0.nest(LIST_ELEMENT, &step);
        self
    }

    fn compare(self, register: u32, how: u32, with: &[u8]) -> Self {
        let value = Attributes::default().bytes(VALUE, with);
        let data = Attributes::default().number(1, register).number(2, how).nest(3, &value);
        self.step("cmp", &data)
    }

    fn payload(self, register: u32, header: u32, offset: u32, length: u32) -> Self {
        let data = Attributes::default()
            .number(1, register)
            .number(2, header)
            .number(3, offset)
            .number(4, length);
        self.step("payload", &data)
    }

    /// If the packet came by an interface whose name begins so.
    pub(super) fn by_interface(self, prefix: &str) -> Self {
        let data = Attributes::default().number(1, FIRST).number(2, INTERFACE);
        self.step(META, &data).compare(FIRST, EQUAL, prefix.as_bytes())
    }

    /// If it is for an address of this host.
    pub(super) fn for_this_host(self) -> Self {
        let data = Attributes::default()
            .number(1, FIRST)
            .number(2, ADDRESS_TYPE)
            .number(3, DESTINATION);
        self.step("fib", &data).compare(FIRST, EQUAL, &LOCAL.to_ne_bytes())
    }

    /// If it was redirected to another destination.
    pub(super) fn redirected(self) -> Self {
        let status = Attributes::default().number(1, FIRST).number(2, STATUS);
        let value = |bytes: u32| Attributes::default().bytes(VALUE, &bytes.to_ne_bytes());
        let mask = Attributes::default()
            .number(1, FIRST)
            .number(2, FIRST)
            .number(3, 4)
            .nest(4, &value(REDIRECTED))
            .nest(5, &value(0));
        self.step("ct", &status)
            .step("bitwise", &mask)
            .compare(FIRST, OTHER, &0u32.to_ne_bytes())
    }

    /// If these are the first bytes of its source address.
    pub(super) fn source_begins(self, family: Family, bytes: &[u8]) -> Self {
        self.address_begins(source(family), bytes)
    }

    /// If these are the first bytes of its destination address.
    pub(super) fn destination_begins(self, family: Family, bytes: &[u8]) -> Self {
        self.address_begins(destination(family), bytes)
    }

    fn address_begins(self, offset: u32, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        self.payload(FIRST, NETWORK, offset, length)
            .compare(FIRST, EQUAL, bytes)
    }

    /// Puts the source address into registers from this one on.
    pub(super) fn load_source(self, family: Family, register: u32) -> Self {
        self.payload(register, NETWORK, source(family), u32::from(family.bits()) / 8)
    }

    /// Puts the destination address into registers from this one on.
    pub(super) fn load_destination(self, family: Family, register: u32) -> Self {
        self.payload(register, NETWORK, destination(family), u32::from(family.bits()) / 8)
    }

    /// Puts the protocol of the ports into a register, and the destination's port into the next.
    pub(super) fn load_port(self, register: u32) -> Self {
        let data = Attributes::default().number(1, register).number(2, PROTOCOL);
        self.step(META, &data).payload(register + 1, TRANSPORT, 2, 2)
    }

    /// If what the registers from the first on hold is in a set.
    pub(super) fn in_set(self, set: &str) -> Self {
        let data = Attributes::default().text(1, set).number(2, FIRST);
        self.step("lookup", &data)
    }

    /// If what the registers from the first on hold is in a map: redirects the packet to the address and port there.
    pub(super) fn redirect_by(self, map: &str, family: Family) -> Self {
        let lookup = Attributes::default().text(1, map).number(2, FIRST).number(3, FIRST);
        let port = FIRST + u32::from(family.bits()) / 32;
        let nat = Attributes::default()
            .number(1, 1)
            .number(2, u32::from(of(family)))
            .number(3, FIRST)
            .number(5, port);
        self.step("lookup", &lookup).step("nat", &nat)
    }

    /// Gives the packet an address of this host as its source.
    pub(super) fn masquerade(self) -> Self {
        self.step("masq", &Attributes::default())
    }

    /// Drops the packet.
    pub(super) fn drop(self) -> Self {
        let verdict = Attributes::default().number(1, 0);
        let data = Attributes::default().nest(2, &verdict);
        self.step("immediate", &Attributes::default().number(1, 0).nest(2, &data))
    }

    /// What tells the rule from others, also from what it was in another version: a hash (FNV-1a) of its bytes.
    pub(super) fn mark(&self) -> String {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        let hash = self.0.0.iter().fold(0xcbf2_9ce4_8422_2325, add);
        format!("portolan {hash:016x}")
    }
}

const fn source(family: Family) -> u32 {
    match family {
        Family::V4 => 12,
        Family::V6 => 8,
    }
}

const fn destination(family: Family) -> u32 {
    match family {
        Family::V4 => 16,
        Family::V6 => 24,
    }
}

/// Where a chain is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    /// `nat` or `filter`.
    pub(super) kind: &'static str,
    /// `NF_INET_*`.
    pub(super) number: u32,
    /// The lower, the earlier.
    pub(super) priority: i32,
}

/// What a set's elements are: see `datatype.h` of nftables for the numbers of types, which only `nft` reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Of a key, in bytes.
    pub(super) key: u32,
    /// What it consists of, six bits each.
    pub(super) key_type: u32,
    /// The same of the value; none: a set and no map.
    pub(super) value: Option<(u32, u32)>,
}

/// `NFT_SET_MAP`.
const MAP: u32 = 8;

/// Makes a table; one that is there stays.
pub(super) fn new_table(family: Family, table: &str) -> Request {
    let attributes = Attributes::default().text(1, table);
    request(NEW_TABLE, family, &attributes, format!("the table {table}")).flags(NLM_F_CREATE)
}

/// Removes a table with all that is in it.
pub(super) fn del_table(family: Family, table: &str) -> Request {
    let attributes = Attributes::default().text(1, table);
    request(DEL_TABLE, family, &attributes, format!("the table {table}"))
}

/// Makes a chain that lets pass what it does not drop; one that is there stays.
pub(super) fn new_chain(family: Family, table: &str, chain: &str, hook: Hook) -> Request {
    let place = Attributes::default()
        .number(1, hook.number)
        .bytes(2, &hook.priority.to_be_bytes());
    let attributes = Attributes::default()
        .text(1, table)
        .text(3, chain)
        .nest(4, &place)
        .number(5, 1)
        .text(7, hook.kind);
    request(NEW_CHAIN, family, &attributes, format!("the chain {chain}")).flags(NLM_F_CREATE)
}

/// Makes a set or map, numbered within its transaction; one that is there stays.
pub(super) fn new_set(family: Family, table: &str, set: &str, number: u32, shape: Shape) -> Request {
    let mut attributes = Attributes::default()
        .text(1, table)
        .text(2, set)
        .number(3, if shape.value.is_some() { MAP } else { 0 })
        .number(4, shape.key_type)
        .number(5, shape.key);
    if let Some((length, kind)) = shape.value {
        attributes = attributes.number(6, kind).number(7, length);
    }
    let attributes = attributes.number(10, number);
    request(NEW_SET, family, &attributes, format!("the set {set}")).flags(NLM_F_CREATE)
}

/// `NLM_F_APPEND`: the rule becomes the chain's last.
const APPEND: u16 = 0x800;

/// Makes a rule.
pub(super) fn new_rule(family: Family, table: &str, chain: &str, rule: &Rule) -> Request {
    let mark = rule.mark();
    // As `nft` keeps comments: type, length, text.
    let mut comment = vec![0, u8::try_from(mark.len() + 1).unwrap_or(u8::MAX)];
    comment.extend(mark.as_bytes());
    comment.push(0);
    let attributes = Attributes::default()
        .text(1, table)
        .text(2, chain)
        .nest(4, &rule.0)
        .bytes(7, &comment);
    request(NEW_RULE, family, &attributes, format!("a rule of the chain {chain}")).flags(NLM_F_CREATE | APPEND)
}

/// Removes all rules of a table.
pub(super) fn del_rules(family: Family, table: &str) -> Request {
    let attributes = Attributes::default().text(1, table);
    request(DEL_RULE, family, &attributes, format!("the rules of the table {table}"))
}

/// The rules of a table.
pub(super) fn dump_rules(family: Family, table: &str) -> Request {
    let attributes = Attributes::default().text(1, table);
    request(GET_RULE, family, &attributes, format!("the rules of the table {table}"))
}

/// The elements of a set.
pub(super) fn dump_elements(family: Family, table: &str, set: &str) -> Request {
    let attributes = Attributes::default().text(1, table).text(2, set);
    request(GET_ELEMENTS, family, &attributes, format!("the elements of {set}"))
}

/// An element: its key, and in a map its value.
pub(super) type Element = (Vec<u8>, Option<Vec<u8>>);

fn elements(table: &str, set: &str, elements: &[Element]) -> Attributes {
    let mut list = Attributes::default();
    for (key, value) in elements {
        let data = |bytes: &[u8]| Attributes::default().bytes(VALUE, bytes);
        let mut element = Attributes::default().nest(1, &data(key));
        if let Some(value) = value {
            element = element.nest(2, &data(value));
        }
        list = list.nest(LIST_ELEMENT, &element);
    }
    Attributes::default().text(1, table).text(2, set).nest(3, &list)
}

/// Adds elements; the same ones that are there are no error, others with their keys are.
pub(super) fn new_elements(family: Family, table: &str, set: &str, of: &[Element], what: String) -> Request {
    request(NEW_ELEMENTS, family, &elements(table, set, of), what).flags(NLM_F_CREATE)
}

/// Removes elements, by their keys.
pub(super) fn del_elements(family: Family, table: &str, set: &str, keys: Vec<Vec<u8>>, what: String) -> Request {
    let of: Vec<Element> = keys.into_iter().map(|key| (key, None)).collect();
    request(DEL_ELEMENTS, family, &elements(table, set, &of), what)
}
