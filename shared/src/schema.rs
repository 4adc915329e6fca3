//! JSON Schemas of what is text on the wire (feature `schema`): ids, addresses, networks, times.
//!
//! The server's document of `/portolan/v1` is made of these and of the derived ones. A pattern
//! describes what is read; what is written fits it too. Never in the console: it needs no schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::addr::Cidr;
use crate::mac::MacAddress;
use crate::refusal::Refusal;
use crate::time::Time;

/// An id: a UUID, with hyphens or without.
const ID: &str = "^([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$";

/// An IPv4 or IPv6 network; that no bits are set beyond the prefix cannot be said by a pattern.
const CIDR: &str = "^(((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\
     /(3[0-2]|[12]?[0-9])|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$";

/// A hardware address, with colons or with hyphens.
const MAC: &str = "^([0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}|[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5})$";

/// A moment, UTC; at most microseconds.
const TIME: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\
     (\\.[0-9]{1,6})?Z$";

/// A label of DNS that starts with a letter, as [`crate::check::label`] reads it.
pub const LABEL: &str = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$";

/// The id that stands for all in examples.
pub(crate) const EXAMPLE_ID: u128 = 0x0198_0c6e_5a00_7000_8000_0000_0000_0001;

/// The schema of the id of something, which `thing` says in a sentence.
pub(crate) fn id(thing: &str, example: &str) -> Schema {
    let written = if example.contains('-') { "with" } else { "without" };
    json_schema!({
        "description": format!("{} Its id: a UUID. Read with hyphens or without, written {written}.", thing.trim()),
        "type": "string",
        "pattern": ID,
        "examples": [example],
    })
}

macro_rules! text {
    ($($type:ty as $name:literal: $pattern:expr, $format:expr, $example:literal, $about:literal;)*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!({
                    "description": $about,
                    "type": "string",
                    "pattern": $pattern,
                    "examples": [$example],
                });
                let format: Option<&str> = $format;
                if let Some(format) = format {
                    schema.insert("format".to_owned(), format.into());
                }
                schema
            }
        })*
    };
}

text! {
    Cidr as "Cidr": CIDR, Some("cidr"), "10.0.0.0/24", "A network in CIDR form, IPv4 or IPv6, without bits beyond the prefix.";
    MacAddress as "MacAddress": MAC, None, "fa:16:3e:00:00:01", "A hardware address; written in lower case with colons.";
    Time as "Time": TIME, Some("date-time"), "2026-01-31T12:00:00Z", "A moment, RFC 3339, always UTC (Z).";
}

/// Codes that are no refusal's: the URL or the method is wrong, or the server is.
const OTHER_CODES: [&str; 3] = ["route.unknown", "route.method", "internal"];

/// The code of a [`crate::v1::Problem`]: the closed list.
pub fn code(_: &mut SchemaGenerator) -> Schema {
    let codes: Vec<&str> = Refusal::CODES.iter().copied().chain(OTHER_CODES).collect();
    json_schema!({ "type": "string", "enum": codes })
}

/// Two-letter tags of [`crate::v1::LANGUAGES`], or none.
pub fn language(_: &mut SchemaGenerator) -> Schema {
    let tags: Vec<Option<&str>> = crate::v1::LANGUAGES.iter().copied().map(Some).chain([None]).collect();
    json_schema!({ "type": ["string", "null"], "enum": tags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NetworkId, ProjectId};

    #[test]
    fn examples_are_as_they_are_read_and_written() {
        fn example<T: JsonSchema>() -> String {
            let schema = T::json_schema(&mut SchemaGenerator::default());
            schema.as_value()["examples"][0].as_str().unwrap_or_default().to_owned()
        }
        assert!(example::<NetworkId>().parse::<NetworkId>().is_ok());
        assert!(example::<Cidr>().parse::<Cidr>().is_ok());
        assert!(example::<MacAddress>().parse::<MacAddress>().is_ok());
        let project: ProjectId = example::<ProjectId>().parse().unwrap();
        assert_eq!(project.to_string(), example::<ProjectId>(), "as it is written");
        let time: Time = example::<Time>().parse().unwrap();
        assert_eq!(time.to_string(), example::<Time>());
    }
}
