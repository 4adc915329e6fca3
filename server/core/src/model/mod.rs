//! What is stored: a file a resource, and [`Object`] over all kinds.
//!
//! These shapes are the store's and the change table's bodies (JSON); they never go on a wire: API
//! answers are made from them. A field that is new needs an upgrade of the bodies that lack it
//! (`store/src/upgrade.rs`). Times are microseconds since the epoch, UTC.

mod clusters;
mod identity;
mod join_tokens;
pub(crate) mod kind;
mod networks;
mod node_status;
pub(crate) mod object;
mod paths;
mod ports;
mod requests;
mod words;

use portolan_shared::ids::ProjectId;
use serde::{Deserialize, Serialize};

pub use crate::kinds::{Key, Object, ObjectKind, Tables};
pub use clusters::{Block, Cluster, ExternalIp, Node};
pub(crate) use identity::SKEW;
pub use identity::{Assignment, Idempotency, KeptAnswer, PROVIDER_PROJECT, Project, Role, Session, User};
pub use join_tokens::JoinToken;
pub use kind::{Born, Clusters, Column, Id, Kind, Type, Value, address_bytes};
pub use networks::{Network, Purpose, Subnet};
pub use node_status::{Awaited, Exception, Loss, NodeStatus, Paused, Tickets};
pub use object::Stored;
pub use paths::Paths;
pub use ports::{FixedIp, HostPorts, Pod, Port, customers_kind, hidden, owner, port_kind};
pub use requests::{Decided, Person, RequestMessage, ShadowRequest, grant_among};

/// Microseconds since the epoch, UTC.
pub type Micros = i64;

/// Numbers commits of the store, from 1, without gaps.
pub type Revision = u64;

/// What every object of a customer's carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The project it is in; never changes.
    pub project: ProjectId,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Counts changes of this object by its users, from 0 (Neutron's `revision_number`).
    pub revision_number: u64,
    /// When it was made.
    pub created_at: Micros,
    /// When it last changed.
    pub updated_at: Micros,
}

/// A name for sentences: the id where there is none.
pub fn display_name(name: &str, id: impl std::fmt::Display) -> String {
    if name.is_empty() {
        id.to_string()
    } else {
        name.to_owned()
    }
}
