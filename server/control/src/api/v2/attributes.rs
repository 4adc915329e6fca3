//! What a resource's attributes are, said once: who sets each, and how lists go by it.

use serde_json::{Value as Json, json};

use super::list::{Kind, Listed, Value};
use crate::api::fields::Fields;
use portolan_shared::refusal::Refusal;

/// An attribute of a resource.
pub struct Attribute<R: Listed> {
    /// As on the wire.
    pub name: &'static str,
    /// Who sets it.
    pub set: Set,
    /// What lists are filtered and sorted by; `None`: it is only shown.
    pub value: Option<(Kind, Getter<R>)>,
}

/// The value of an attribute of an object.
pub type Getter<R> = for<'i, 'a> fn(&'i <R as Listed>::Item<'a>) -> Value<'i>;

/// Who sets an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The server alone: a body that has it is refused.
    Server,
    /// The client, when it creates.
    Once,
    /// The client, also later.
    Client,
    /// Nobody: it is only a filter.
    Filter,
    /// Nobody: Portolan does not implement it. A body may only repeat its one value.
    Absent(Absent),
}

/// The one value of an attribute that Portolan does not implement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// `null`.
    Null,
    /// `false`.
    False,
    /// `[]`.
    List,
    /// `{}`.
    Map,
    /// This text.
    Word(&'static str),
}

impl Absent {
    fn json(self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::False => json!(false),
            Self::List => json!([]),
            Self::Map => json!({}),
            Self::Word(word) => json!(word),
        }
    }
}

/// A list of [`Attribute`]s: name, who sets it, and how lists go by it.
macro_rules! attributes {
    (@value) => { None };
    (@value $kind:ident $get:expr) => { Some(($crate::api::v2::list::Kind::$kind, $get)) };
    (@set server) => { $crate::api::v2::attributes::Set::Server };
    (@set once) => { $crate::api::v2::attributes::Set::Once };
    (@set client) => { $crate::api::v2::attributes::Set::Client };
    (@set filter) => { $crate::api::v2::attributes::Set::Filter };
    (@set absent($what:expr)) => {{
        use $crate::api::v2::attributes::Absent::*;
        $crate::api::v2::attributes::Set::Absent($what)
    }};
    ($($name:literal $set:ident $(($what:expr))? $(=> $kind:ident $get:expr)?;)*) => {
        &[$($crate::api::v2::attributes::Attribute {
            name: $name,
            set: attributes!(@set $set $(($what))?),
            value: attributes!(@value $($kind $get)?),
        },)*]
    };
}
pub(crate) use attributes;

/// Refuses attributes that clients may not set when they create an object, or (`later`) change it. Takes attributes out
/// of the body that Portolan does not implement.
///
/// # Errors
/// If the body has an attribute that may not be set, or one that is not implemented with any but its one value.
pub fn check<R: Listed>(fields: &mut Fields, later: bool) -> Result<(), Refusal> {
    for attribute in R::ATTRIBUTES {
        match attribute.set {
            Set::Server => fields.read_only(&[attribute.name])?,
            Set::Once if later => fields.read_only(&[attribute.name])?,
            Set::Once | Set::Client | Set::Filter | Set::Absent(_) => {}
        }
    }
    for attribute in R::ATTRIBUTES {
        if let Set::Absent(absent) = attribute.set {
            fields.only(attribute.name, &absent.json())?;
        }
    }
    Ok(())
}
