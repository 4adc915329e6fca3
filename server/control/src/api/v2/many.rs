//! Bodies of one object and of many, written straight from what they are made of.

use portolan_shared::v2::Link;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::select::Selected;

/// `{"port": {…}}`.
pub struct One<'a, W> {
    /// Such as `port`.
    pub key: &'static str,
    /// As on the wire.
    pub value: W,
    /// Attributes to write; empty: all.
    pub fields: &'a [String],
}

impl<W: Serialize> Serialize for One<'_, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(
            self.key,
            &Selected {
                value: &self.value,
                fields: self.fields,
            },
        )?;
        map.end()
    }
}

/// `{"ports": [{…}, …], "ports_links": […]}`.
pub struct Many<'a, T, F> {
    /// Such as `ports`.
    key: &'static str,
    /// Such as `ports_links`.
    links_key: &'static str,
    /// What is listed.
    items: &'a [T],
    /// Turns each into what goes on the wire, while it is written.
    wire: F,
    /// Attributes to write; empty: all.
    fields: &'a [String],
    /// Other pages.
    links: &'a [Link],
}

impl<'a, T, F, W> Many<'a, T, F>
where
    F: Fn(&'a T) -> W,
    W: Serialize,
{
    /// All of `items`, as an answer to a bulk create.
    pub fn made(key: &'static str, items: &'a [T], wire: F) -> Self {
        Self {
            key,
            links_key: "",
            items,
            wire,
            fields: &[],
            links: &[],
        }
    }

    /// A list or a page of one.
    pub fn listed(
        (key, links_key): (&'static str, &'static str),
        items: &'a [T],
        wire: F,
        fields: &'a [String],
        links: &'a [Link],
    ) -> Self {
        Self {
            key,
            links_key,
            items,
            wire,
            fields,
            links,
        }
    }
}

impl<'a, T, F, W> Serialize for Many<'a, T, F>
where
    F: Fn(&'a T) -> W,
    W: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.key, &Each(self))?;
        if !self.links.is_empty() {
            map.serialize_entry(self.links_key, self.links)?;
        }
        map.end()
    }
}

struct Each<'b, 'a, T, F>(&'b Many<'a, T, F>);

impl<'a, T, F, W> Serialize for Each<'_, 'a, T, F>
where
    F: Fn(&'a T) -> W,
    W: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let many = self.0;
        serializer.collect_seq(many.items.iter().map(|item| Selected {
            value: (many.wire)(item),
            fields: many.fields,
        }))
    }
}
