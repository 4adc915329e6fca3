//! One newtype per kind of id, so that a port's id cannot be handed in where a subnet's is asked.
//!
//! All are UUIDs of version 7 when Portolan makes them (random keys cost a large store
//! ten times the writes: ARCHITECTURE.md), 16 bytes in memory and in the store. Networking ids are written with
//! hyphens; identity ids are 32 hex digits, as the Identity API writes them. Both are read in
//! either form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an id: neither a hyphenated UUID nor 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: a UUID is 32 hex digits, with hyphens or without")]
pub struct BadId;

macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident, $style:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// From the 16 bytes of a UUID, as store and wire hold it.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes of the UUID.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The UUID itself.
            pub const fn uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.$style(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                match text.len() {
                    32 | 36 => Uuid::try_parse(text).map(Self).map_err(|_| BadId),
                    _ => Err(BadId),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // Lists hold five ids a port: no formatter in between.
                let mut text = Uuid::encode_buffer();
                serializer.serialize_str(self.0.$style().encode_lower(&mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let example = Self(Uuid::from_u128($crate::schema::EXAMPLE_ID)).to_string();
                $crate::schema::id(concat!($($doc,)*), &example)
            }
        }
    };
}
pub(crate) use id;

id!(
    /// A network.
    NetworkId, hyphenated
);
id!(
    /// A subnet.
    SubnetId, hyphenated
);
id!(
    /// A port.
    PortId, hyphenated
);
id!(
    /// A Kubernetes cluster.
    ClusterId, hyphenated
);
id!(
    /// A node of a cluster.
    NodeId, hyphenated
);
id!(
    /// A block of pod addresses that a node leases.
    BlockId, hyphenated
);
id!(
    /// A join token (the record; the secret is never stored).
    JoinTokenId, hyphenated
);
id!(
    /// A shadowport request.
    ShadowRequestId, hyphenated
);
id!(
    /// A message of a shadowport request's thread.
    MessageId, hyphenated
);
id!(
    /// A project: what networks belong to and quotas count.
    ProjectId, simple
);
id!(
    /// A person or a program that logs in.
    UserId, simple
);
id!(
    /// A role a user holds in a project.
    RoleId, simple
);
id!(
    /// A domain of users and projects. Portolan has one, `default`.
    DomainId, simple
);
