//! Filters of a list: what a query asks of each object.

use std::cmp::Ordering;
use std::net::IpAddr;

use portolan_core::model::Micros;
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use uuid::Uuid;

use super::{Kind, Listed, Value, wrong};
use crate::api::fields::flag_text;
use crate::api::v2::attributes::Getter;

/// A value that a filter asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// A text that no value of the attribute's kind has.
    Never,
    Text(String),
    /// Times in whole seconds.
    Value(Value<'static>),
}

impl Wanted {
    pub(super) fn read(name: &str, kind: Kind, text: &str) -> Result<Self, Refusal> {
        let value = match kind {
            Kind::Text => return Ok(Self::Text(text.to_owned())),
            Kind::Flag => match flag_text(text) {
                Some(flag) => Some(Value::Flag(flag)),
                None => {
                    return Err(Refusal::WrongType {
                        field: name.to_owned(),
                        expected: "true or false".to_owned(),
                    });
                }
            },
            Kind::Number => text.parse().ok().map(Value::Number),
            Kind::Id if matches!(text.len(), 32 | 36) => Uuid::try_parse(text).ok().map(Value::Id),
            Kind::Id => None,
            Kind::Address => text.parse().ok().map(Value::Address),
            Kind::Cidr => text.parse().ok().map(Value::Cidr),
            Kind::Mac => text.parse().ok().map(Value::Mac),
            Kind::Time => moment(text).map(|at| Value::Time(whole_second(at))),
            Kind::Null => None,
        };
        Ok(value.map_or(Self::Never, Self::Value))
    }

    /// How it stands to a value, in the order that wanted values are kept in.
    fn order(&self, value: &Value<'_>) -> Ordering {
        match (self, value) {
            (Self::Text(wanted), Value::Text(text)) => wanted.as_str().cmp(text),
            (Self::Never | Self::Text(_), _) => Ordering::Less,
            (Self::Value(_), Value::Text(_)) => Ordering::Greater,
            (Self::Value(wanted), Value::Time(at)) => wanted.cmp(&Value::Time(whole_second(*at))),
            (Self::Value(wanted), value) => wanted.cmp(value),
        }
    }
}

/// The second that a moment is in.
fn whole_second(at: Micros) -> Micros {
    at - at.rem_euclid(1_000_000)
}

/// A moment as clients write it: with or without `Z` and fraction.
pub(super) fn moment(text: &str) -> Option<Micros> {
    let text = text.trim();
    text.parse::<Time>()
        .or_else(|_| format!("{text}Z").parse())
        .ok()
        .map(|time| time.0)
}

/// A filter: the attribute's value is one of these, which are in order and different.
pub(super) struct Filter<R: Listed> {
    pub(super) attribute: &'static str,
    pub(super) value: Getter<R>,
    pub(super) wanted: Vec<Wanted>,
}

impl<R: Listed> Filter<R> {
    pub(super) fn fits(&self, value: &Value<'_>) -> bool {
        self.wanted.binary_search_by(|wanted| wanted.order(value)).is_ok()
    }
}

/// What a fixed IP must be like; see [`super::Query::fixed_ips`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FixedIps {
    /// One of these addresses.
    pub addresses: Vec<IpAddr>,
    /// In one of these subnets.
    pub subnets: Vec<Uuid>,
    /// With one of these in its text.
    pub parts: Vec<String>,
    /// Something was asked for that nothing has.
    pub never: bool,
}

impl FixedIps {
    /// Reads one more `fixed_ips` of a query.
    pub(super) fn read(&mut self, text: &str) -> Result<(), Refusal> {
        for part in text.split(',') {
            let known = part.split_once('=');
            match known {
                Some(("ip_address", value)) => match value.parse() {
                    Ok(address) => self.addresses.push(address),
                    Err(_) => self.never = true,
                },
                Some(("subnet_id", value)) => match Uuid::try_parse(value) {
                    Ok(id) => self.subnets.push(id),
                    Err(_) => self.never = true,
                },
                Some(("ip_address_substr", value)) => self.parts.push(value.to_owned()),
                _ => return Err(wrong("fixed_ips", "ip_address=…, ip_address_substr=… or subnet_id=…")),
            }
        }
        Ok(())
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one fixed IP is what is asked for.
    pub fn fits(&self, subnet: Uuid, address: IpAddr) -> bool {
        !self.never
            && (self.addresses.is_empty() || self.addresses.contains(&address))
            && (self.subnets.is_empty() || self.subnets.contains(&subnet))
            && (self.parts.is_empty() || {
                let text = address.to_string();
                self.parts.iter().any(|part| text.contains(part))
            })
    }
}
