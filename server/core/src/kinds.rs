//! All kinds of objects there are: the one list of them. What a kind is to store, view, audit, quotas and feeds, it says
//! itself ([`Kind`]); a kind with commands of its own brings them, and how they are decided.

pub mod address_scopes;
pub mod epochs;
pub mod losses;
pub mod quarantined_blocks;
pub mod removed_nodes;

use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, MessageId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use portolan_shared::kinds::address_scopes::AddressScopeId;
use portolan_shared::kinds::epochs::EpochId;
use portolan_shared::refusal::Refusal;

use crate::command::{Command, Request};
use crate::draft::Draft;
use crate::model::kind::Kind;
use crate::model::object::{objects, uuids};
use crate::model::{
    Assignment, Block, Cluster, Idempotency, JoinToken, Network, Node, NodeStatus, Port, Project, RequestMessage,
    Session, ShadowRequest, Subnet, User,
};
use address_scopes::AddressScope;
use epochs::Epoch;
use losses::Losses;
use quarantined_blocks::QuarantinedBlock;
use removed_nodes::RemovedNode;

uuids! {
    ProjectId UserId NetworkId SubnetId ClusterId NodeId BlockId PortId JoinTokenId ShadowRequestId MessageId
    AddressScopeId EpochId
}

// In the order they are loaded: what is referred to comes first.
objects! {
    /// A project.
    Project projects;
    /// A user.
    User users;
    /// A role of a user in a project.
    Assignment assignments;
    /// A session or token.
    Session sessions;
    /// An idempotency record.
    Idempotency idempotency;
    /// A network.
    Network networks;
    /// A subnet.
    Subnet subnets;
    /// A cluster.
    Cluster clusters;
    /// A node.
    Node nodes;
    /// A block.
    Block blocks;
    /// A port.
    Port ports;
    /// How a node is doing.
    NodeStatus node_statuses;
    /// A join token.
    JoinToken join_tokens;
    /// A shadowport request.
    ShadowRequest shadow_requests;
    /// A message of a request's thread.
    RequestMessage request_messages;
    /// An address scope.
    AddressScope address_scopes;
    /// An epoch.
    Epoch epochs;
    /// A node that was removed.
    RemovedNode removed_nodes;
    /// A block in quarantine.
    QuarantinedBlock quarantined_blocks;
    /// What others took away from a node, by cause.
    Losses losses;
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {
        /// A command of a kind that brings its own.
        #[derive(Debug, Clone)]
        pub enum KindCommand {
            $($(#[$doc])* $name($kind::Command),)*
        }

        impl KindCommand {
            /// How many objects it makes or changes, at most.
            pub fn weight(&self) -> usize {
                match self { $(Self::$name(command) => command.weight(),)* }
            }

            /// Decides it.
            ///
            /// # Errors
            /// Why it is refused.
            pub fn decide(&self, draft: &mut Draft<'_>, request: &Request) -> Result<Vec<Object>, Refusal> {
                match self { $(Self::$name(command) => command.decide(draft, request),)* }
            }
        }

        $(impl From<$kind::Command> for Command {
            fn from(command: $kind::Command) -> Self {
                Self::Kind(KindCommand::$name(command))
            }
        })*

        /// What becomes of these kinds' objects when their project is deleted.
        pub(crate) fn project_goes(draft: &mut Draft<'_>, project: ProjectId) {
            $($kind::project_goes(draft, project);)*
        }
    };
}

commands! {
    /// Of an address scope.
    AddressScope address_scopes;
}
