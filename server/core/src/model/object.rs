//! Any stored object, by kind, and its key: what is made of the list of kinds ([`crate::kinds`]).

use std::sync::Arc;

use super::Assignment;
use super::kind::{Id, Kind};
use crate::kinds::{Key, Object, ObjectKind, Tables};

macro_rules! uuids {
    ($($id:ty)*) => {
        $(impl $crate::model::kind::Id for $id {
            fn key_bytes(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn key_text(&self) -> String {
                self.to_string()
            }
        })*
    };
}

pub(crate) use uuids;

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
        format!("{}/{}/{}", self.project, self.user, self.role.name())
    }
}

/// A kind that is among [`Object`]s.
pub trait Stored: Kind {
    /// Which.
    const KIND: ObjectKind;

    /// The key of the object with this id.
    fn key(id: Self::Id) -> Key;

    /// The object, if it is of this kind.
    fn of(object: Object) -> Option<Arc<Self>>;

    /// Where its objects are.
    fn table(tables: &Tables) -> &Self::Table;
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident $table:ident;)*) => {
        use std::sync::Arc;

        use portolan_shared::v1::AuditKind;
        use serde::{Deserialize, Serialize};

        use crate::audience::Audience;
        use crate::change::Op;
        use crate::event::Event;
        use crate::fields::Fields;
        use crate::model::kind::{Born, Clusters, Id, Type, Value};
        use crate::model::object::Stored;
        use crate::model::Revision;
        use crate::quotas::Counted;
        use crate::tables::Keep;

        /// Any stored object.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Object {
            $($(#[$doc])* $name(Arc<$name>),)*
        }

        /// Which object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Key {
            $($(#[$doc])* $name(<$name as Kind>::Id),)*
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
                match self { $(Self::$name => stringify!($table),)* }
            }

            /// The word refusals use: "Network".
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => <$name as Kind>::WORD,)* }
            }

            /// Names and types of its table's columns besides id, project, revision and body.
            pub fn columns(self) -> Vec<(&'static str, Type)> {
                match self { $(Self::$name => <$name>::COLUMNS.iter().map(|c| (c.name, c.type_)).collect(),)* }
            }

            /// How the store came to have it; `None` for the kinds of the first programs.
            pub const fn born(self) -> Option<Born> {
                match self { $(Self::$name => <$name as Kind>::BORN,)* }
            }

            /// Whether the agents of an object's cluster are sent something of it.
            pub const fn for_agents(self) -> bool {
                match self { $(Self::$name => <$name as Kind>::FOR_AGENTS,)* }
            }

            /// What the audit calls it; `None` where no change of it is ever kept.
            pub const fn audit(self) -> Option<AuditKind> {
                match self { $(Self::$name => <$name as Kind>::AUDIT,)* }
            }

            /// The kind with this table name.
            pub fn of_table(table: &str) -> Option<Self> {
                $(if table == stringify!($table) {
                    return Some(Self::$name);
                })*
                None
            }
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> ObjectKind {
                match self { $(Self::$name(_) => ObjectKind::$name,)* }
            }

            /// Its key.
            pub fn key(&self) -> Key {
                match self { $(Self::$name(object) => Key::$name(object.id()),)* }
            }

            /// Values of its kind's columns, in their order.
            pub fn columns(&self) -> Vec<Value> {
                match self { $(Self::$name(object) => <$name>::COLUMNS.iter().map(|c| (c.value)(object)).collect(),)* }
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

            /// The name that the audit shows of it; may be empty.
            pub fn label(&self) -> String {
                match self { $(Self::$name(object) => object.label(),)* }
            }

            /// What the audit shows of it, to this audience.
            pub fn fields(&self, audience: Audience) -> Fields {
                match self { $(Self::$name(object) => object.fields(audience),)* }
            }

            /// What the console is told of its change, if anything ([`Kind::event`]).
            pub fn event(&self, op: Op, before: Option<&Self>) -> Option<Event> {
                match self {
                    $(Self::$name(object) => {
                        let before = match before {
                            Some(Self::$name(before)) => Some(&**before),
                            _ => None,
                        };
                        object.event(op, before)
                    })*
                }
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

        /// A table a kind.
        #[derive(Default)]
        pub struct Tables {
            $($table: <$name as Kind>::Table,)*
        }

        impl Tables {
            /// The object with this key.
            pub(crate) fn get(&self, key: &Key) -> Option<Object> {
                match key { $(Key::$name(id) => self.$table.get(*id).cloned().map(Object::$name),)* }
            }

            /// Puts an object in; gives back the one that had its key.
            pub(crate) fn put(&mut self, object: Object) -> Option<Object> {
                match object { $(Object::$name(object) => self.$table.put(object).map(Object::$name),)* }
            }

            /// Takes an object out.
            pub(crate) fn take(&mut self, key: &Key) -> Option<Object> {
                match key { $(Key::$name(id) => self.$table.take(*id).map(Object::$name),)* }
            }
        }

        $(impl Stored for $name {
            const KIND: ObjectKind = ObjectKind::$name;

            fn key(id: Self::Id) -> Key {
                Key::$name(id)
            }

            fn of(object: Object) -> Option<Arc<Self>> {
                match object {
                    Object::$name(object) => Some(object),
                    _ => None,
                }
            }

            fn table(tables: &Tables) -> &Self::Table {
                &tables.$table
            }
        })*

        $(impl From<Arc<$name>> for Object {
            fn from(object: Arc<$name>) -> Self {
                Self::$name(object)
            }
        }

        impl From<$name> for Object {
            fn from(object: $name) -> Self {
                Self::$name(Arc::new(object))
            }
        })*
    };
}
pub(crate) use objects;
