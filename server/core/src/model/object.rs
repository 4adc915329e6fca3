//! Any stored object, by kind, and its key.

use std::sync::Arc;

use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, MessageId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use serde::{Deserialize, Serialize};

use super::{
    Assignment, Block, Cluster, Idempotency, JoinToken, Network, Node, NodeStatus, Port, Project, RequestMessage,
    Session, ShadowRequest, Subnet, User,
};

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident($type:ty, $key:ty, $table:literal, $id:expr);)*) => {
        /// Any stored object.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Object {
            $($(#[$doc])* $name(Arc<$type>),)*
        }

        /// Which object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Key {
            $($(#[$doc])* $name($key),)*
        }

        /// Which kind of object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ObjectKind {
            $($(#[$doc])* $name,)*
        }

        impl ObjectKind {
            /// All kinds, in the order they are loaded (what is referred to comes first).
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Name of its table, and of the kind in the change table.
            pub const fn table(self) -> &'static str {
                match self { $(Self::$name => $table,)* }
            }

            /// The kind with this table name.
            pub fn of_table(table: &str) -> Option<Self> {
                match table { $($table => Some(Self::$name),)* _ => None }
            }
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> ObjectKind {
                match self { $(Self::$name(_) => ObjectKind::$name,)* }
            }

            /// Its key.
            pub fn key(&self) -> Key {
                match self { $(Self::$name(object) => Key::$name($id(object)),)* }
            }

            /// Its body, as store and change table hold it (JSON).
            ///
            /// # Errors
            /// Never for shapes of this module; the signature is serde's.
            pub fn body(&self) -> serde_json::Result<Vec<u8>> {
                match self { $(Self::$name(object) => serde_json::to_vec(&**object),)* }
            }

            /// From a stored body.
            ///
            /// # Errors
            /// If the body is not this kind's.
            pub fn from_body(kind: ObjectKind, body: &[u8]) -> serde_json::Result<Self> {
                Ok(match kind { $(ObjectKind::$name => Self::$name(Arc::new(serde_json::from_slice(body)?)),)* })
            }
        }

        impl Key {
            /// Its kind.
            pub fn kind(&self) -> ObjectKind {
                match self { $(Self::$name(_) => ObjectKind::$name,)* }
            }
        }

        $(impl From<$type> for Object {
            fn from(object: $type) -> Self {
                Self::$name(Arc::new(object))
            }
        })*
    };
}

objects! {
    /// A project.
    Project(Project, ProjectId, "projects", |o: &Project| o.id);
    /// A user.
    User(User, UserId, "users", |o: &User| o.id);
    /// A role of a user in a project.
    Assignment(Assignment, Assignment, "assignments", |o: &Assignment| *o);
    /// A session or token.
    Session(Session, [u8; 32], "sessions", |o: &Session| o.hash);
    /// An idempotency record.
    Idempotency(Idempotency, [u8; 32], "idempotency", |o: &Idempotency| o.hash);
    /// A network.
    Network(Network, NetworkId, "networks", |o: &Network| o.id);
    /// A subnet.
    Subnet(Subnet, SubnetId, "subnets", |o: &Subnet| o.id);
    /// A cluster.
    Cluster(Cluster, ClusterId, "clusters", |o: &Cluster| o.id);
    /// A node.
    Node(Node, NodeId, "nodes", |o: &Node| o.id);
    /// A block.
    Block(Block, BlockId, "blocks", |o: &Block| o.id);
    /// A port.
    Port(Port, PortId, "ports", |o: &Port| o.id);
    /// How a node is doing.
    NodeStatus(NodeStatus, NodeId, "node_statuses", |o: &NodeStatus| o.node);
    /// A join token.
    JoinToken(JoinToken, JoinTokenId, "join_tokens", |o: &JoinToken| o.id);
    /// A shadowport request.
    ShadowRequest(ShadowRequest, ShadowRequestId, "shadow_requests", |o: &ShadowRequest| o.id);
    /// A message of a request's thread.
    RequestMessage(RequestMessage, MessageId, "request_messages", |o: &RequestMessage| o.id);
}
