//! What a kind of object is to the layers that treat all kinds alike: store, change table, audit, quotas, feeds.
//!
//! Each kind says it once, beside its struct. There are no defaults: a kind that forgets to say something does not
//! compile, and no layer needs a list of kinds of its own.

use std::net::IpAddr;

use portolan_shared::addr::to_bits;
use portolan_shared::ids::{ClusterId, NetworkId, NodeId, ProjectId};
use portolan_shared::v1::AuditKind;

use super::Revision;
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::Fields;
use crate::quotas::Counted;
use crate::tables::Keep;

/// What a kind's objects are known by.
pub trait Id: Copy + Ord {
    /// As it is stored.
    fn key_bytes(&self) -> Vec<u8>;

    /// As a refusal names it.
    fn key_text(&self) -> String;
}

/// A column of a kind's table besides id, project, revision and body. It changes only by deleting the row and inserting
/// it again, so that a batch may hand a unique value from one object to another.
pub struct Column<K> {
    /// Its name in the store.
    pub name: &'static str,
    /// Its type in the store.
    pub type_: Type,
    /// Its value, of that type.
    pub value: fn(&K) -> Value,
}

/// How the store came to have a kind: what is written out in `store/src/schema.rs` and its tests for the kinds of the
/// first programs.
#[derive(Debug, Clone, Copy)]
pub struct Born {
    /// The version of the store's schema that brought its table. No other step may make it, and none may be left out.
    pub version: usize,
    /// The columns that the table began with, besides those that all tables have. What has shipped never changes: one
    /// that comes later is a step of its own in `store/src/schema.rs`.
    pub columns: &'static [(&'static str, Type)],
    /// Columns that no two objects have alike, taken together. It never changes either.
    pub unique: &'static [&'static [&'static str]],
    /// A whole body, as this program writes it (JSON). A field that is new must be in it, and bodies that were written
    /// without it then need an upgrade (`store/src/upgrade.rs`).
    pub body: &'static str,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Ids, addresses.
    Bytes,
    /// 64 bits, signed.
    Int,
    /// UTF-8.
    Text,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Ids, addresses ([`address_bytes`]).
    Bytes(Vec<u8>),
    /// 64 bits, signed.
    Int(i64),
    /// UTF-8.
    Text(String),
}

/// An address as it is stored, so that it sorts: family (4 or 6), then 16 bytes.
pub fn address_bytes(address: IpAddr) -> Vec<u8> {
    let mut bytes = vec![if address.is_ipv4() { 4 } else { 6 }];
    bytes.extend(to_bits(address).to_be_bytes());
    bytes
}

/// Where an object finds the cluster that another one is in.
pub trait Clusters {
    /// The cluster of a node.
    fn of_node(&self, node: NodeId) -> Option<ClusterId>;

    /// A cluster in a network.
    fn of_network(&self, network: NetworkId) -> Option<ClusterId>;
}

/// No clusters: for objects that are in none.
impl Clusters for () {
    fn of_node(&self, _: NodeId) -> Option<ClusterId> {
        None
    }

    fn of_network(&self, _: NetworkId) -> Option<ClusterId> {
        None
    }
}

/// An object of some kind.
pub trait Kind: Sized + 'static {
    /// The word refusals use: "Network".
    const WORD: &'static str;

    /// What its objects are known by.
    type Id: Id;

    /// Where a view keeps them, and what it finds them by besides.
    type Table: Keep<Self>;

    /// What the store's unique indexes go by.
    const COLUMNS: &'static [Column<Self>];

    /// What the audit calls it; `None` where no change of it is ever kept.
    const AUDIT: Option<AuditKind>;

    /// Whether the agents of an object's cluster are sent something of it.
    const FOR_AGENTS: bool;

    /// How the store came to have it; `None` for the kinds of the first programs.
    const BORN: Option<Born>;

    /// The id that the writer drew for it, or what stands for one (an assignment is its own). It never changes.
    fn id(&self) -> Self::Id;

    /// Whose it is; `None` for users and the like.
    fn project(&self) -> Option<ProjectId>;

    /// The cluster it belongs to or is bound in.
    fn cluster(&self, clusters: &dyn Clusters) -> Option<ClusterId>;

    /// Who may learn of a change of it, of those who may read in its project; `revision` is the change's.
    fn audience(&self, op: Op, revision: Revision) -> Audience;

    /// Whether its changes are kept in the audit: what people change, without what agents report by the second and
    /// without what is of the API alone.
    fn audited(&self) -> bool;

    /// The quota it counts in, and whose.
    fn counted(&self) -> Option<(ProjectId, Counted)>;

    /// The name it is found by, if that is unique in the whole store.
    fn unique_name(&self) -> Option<&str>;

    /// Bytes of what may be long in it (texts, lists), about: feeds keep fewer of large changes.
    fn bytes(&self) -> usize;

    /// The name that the audit shows of it; may be empty.
    fn label(&self) -> String;

    /// What the audit shows of it, to this audience.
    fn fields(&self, audience: Audience) -> Fields;

    /// What the console is told of its change, if anything; `before` is what it was, as far as that is known.
    fn event(&self, op: Op, before: Option<&Self>) -> Option<Event>;
}
