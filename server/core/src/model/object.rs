//! Any stored object, by kind, and its key.

use std::sync::Arc;

use portolan_shared::ids::{
    BlockId, ClusterId, JoinTokenId, MessageId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId, UserId,
};
use serde::{Deserialize, Serialize};

use super::kind::{Clusters, Kind, Type, Value};
use super::{
    Assignment, Block, Cluster, Idempotency, JoinToken, Network, Node, NodeStatus, Port, Project, RequestMessage,
    Revision, Session, ShadowRequest, Subnet, User,
};
use crate::audience::Audience;
use crate::change::Op;
use crate::draft::Counted;

/// What a kind's objects are known by.
trait Id {
    /// As it is stored.
    fn key_bytes(&self) -> Vec<u8>;

    /// As a refusal names it.
    fn key_text(&self) -> String;
}

macro_rules! uuids {
    ($($id:ty)*) => {
        $(impl Id for $id {
            fn key_bytes(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn key_text(&self) -> String {
                self.to_string()
            }
        })*
    };
}

uuids! {
    ProjectId UserId NetworkId SubnetId ClusterId NodeId BlockId PortId JoinTokenId ShadowRequestId MessageId
}

/// The hash of a secret, which is not said.
impl Id for [u8; 32] {
    fn key_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn key_text(&self) -> String {
        String::new()
    }
}

impl Id for Assignment {
    fn key_bytes(&self) -> Vec<u8> {
        let mut bytes = self.user.as_bytes().to_vec();
        bytes.extend(self.project.as_bytes());
        bytes.push(self.role.id().as_bytes()[15]);
        bytes
    }

    fn key_text(&self) -> String {
        format!("{} {} {}", self.user, self.project, self.role.name())
    }
}

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

            /// The word refusals use: "Network".
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => <$type as Kind>::WORD,)* }
            }

            /// Names and types of its table's columns besides id, project, revision and body.
            pub fn columns(self) -> Vec<(&'static str, Type)> {
                match self { $(Self::$name => <$type>::COLUMNS.iter().map(|c| (c.name, c.type_)).collect(),)* }
            }

            /// Whether the agents of an object's cluster are sent something of it.
            pub const fn for_agents(self) -> bool {
                match self { $(Self::$name => <$type as Kind>::FOR_AGENTS,)* }
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

            /// Values of its kind's columns, in their order.
            pub fn columns(&self) -> Vec<Value> {
                match self { $(Self::$name(object) => <$type>::COLUMNS.iter().map(|c| (c.value)(object)).collect(),)* }
            }

            /// Whose it is; `None` for users and the like.
            pub fn project(&self) -> Option<ProjectId> {
                match self { $(Self::$name(object) => object.project(),)* }
            }

            /// The cluster it belongs to or is bound in.
            pub fn cluster(&self, clusters: &dyn Clusters) -> Option<ClusterId> {
                match self { $(Self::$name(object) => object.cluster(clusters),)* }
            }

            /// Who may learn of a change of it ([`Kind::audience`]).
            pub fn audience(&self, op: Op, revision: Revision) -> Audience {
                match self { $(Self::$name(object) => object.audience(op, revision),)* }
            }

            /// Whether its changes are kept in the audit ([`Kind::audited`]).
            pub fn audited(&self) -> bool {
                match self { $(Self::$name(object) => object.audited(),)* }
            }

            /// The quota it counts in, and whose.
            pub fn counted(&self) -> Option<(ProjectId, Counted)> {
                match self { $(Self::$name(object) => object.counted(),)* }
            }

            /// The name it is found by, if that is unique in the whole store.
            pub fn unique_name(&self) -> Option<&str> {
                match self { $(Self::$name(object) => object.unique_name(),)* }
            }

            /// Bytes of what may be long in it, about.
            pub fn bytes(&self) -> usize {
                match self { $(Self::$name(object) => object.bytes(),)* }
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
            /// As it is stored.
            pub fn bytes(&self) -> Vec<u8> {
                match self { $(Self::$name(id) => id.key_bytes(),)* }
            }

            /// As a refusal names it.
            pub fn text(&self) -> String {
                match self { $(Self::$name(id) => id.key_text(),)* }
            }

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
