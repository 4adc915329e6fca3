//! What of a change the console is told, as it changes.

use std::fmt::Display;

use portolan_shared::ids::{NetworkId, SubnetId};
use portolan_shared::v1::Kind;

/// A thing that changed, and where: a page looks again if that concerns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What kind of thing.
    pub kind: Kind,
    /// The id of the thing, as the API writes it; a node's, where it tells how the node is doing.
    pub id: String,
    /// The network it is in.
    pub network: Option<NetworkId>,
    /// The subnets it has or had addresses in.
    pub subnets: Vec<SubnetId>,
}

impl Event {
    /// Of a thing that is nowhere.
    pub fn new(kind: Kind, id: impl Display) -> Self {
        Self {
            kind,
            id: id.to_string(),
            network: None,
            subnets: Vec::new(),
        }
    }

    /// In a network.
    #[must_use]
    pub fn network(self, network: NetworkId) -> Self {
        Self {
            network: Some(network),
            ..self
        }
    }

    /// With addresses in these subnets.
    #[must_use]
    pub fn subnets(self, subnets: impl Into<Vec<SubnetId>>) -> Self {
        Self {
            subnets: subnets.into(),
            ..self
        }
    }
}
