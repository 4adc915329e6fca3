//! Bodies of one object and of many, written straight from what they are made of.

use axum::http::{HeaderMap, Uri};
use portolan_shared::v2::Link;
use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use super::list::{Listed, Query};
use super::resource::Resource;
use super::select::Selected;
use crate::api::Api;
use crate::api::error::Failure;
use crate::api::reply;
use crate::identity::rights::Rights;

/// Bytes that an object takes in a list, about.
const ITEM_BYTES: usize = 768;

/// What a page is written for.
pub struct Asked<'a, R: Listed> {
    /// Knows the server's address.
    pub api: &'a Api,
    /// The request's: links in the answer have its host.
    pub headers: &'a HeaderMap,
    /// The request's: links to other pages repeat its query.
    pub uri: &'a Uri,
    /// What is asked for.
    pub query: &'a Query<R>,
}

impl<R: Resource> Asked<'_, R> {
    /// The text of a page, with links to other pages, for a reader with these rights.
    ///
    /// # Errors
    /// If a type of ours does not serialise: a defect.
    pub fn page(&self, items: &[R::Item<'_>], rights: Rights) -> Result<Vec<u8>, Failure> {
        let ids: Vec<Uuid> = items.iter().map(R::id).collect();
        let links = self.query.links(self.api, self.headers, self.uri, &ids);
        let many = Many {
            key: R::NAMES.many,
            links_key: R::NAMES.links,
            items,
            wire: |item| R::wire(item, rights),
            fields: &self.query.fields,
            links: &links,
        };
        reply::write_long(&many, items.len(), ITEM_BYTES)
    }
}

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
pub struct Many<'a, 'q, T, F> {
    /// Such as `ports`.
    key: &'static str,
    /// Such as `ports_links`.
    links_key: &'static str,
    /// The objects of the page, in order.
    items: &'a [T],
    /// Turns each into what goes on the wire, while it is written.
    wire: F,
    /// Attributes to write; empty: all.
    fields: &'q [String],
    /// Other pages.
    links: &'q [Link],
}

impl<'a, T, F, W> Many<'a, '_, T, F>
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
}

impl<'a, T, F, W> Serialize for Many<'a, '_, T, F>
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

struct Each<'b, 'a, 'q, T, F>(&'b Many<'a, 'q, T, F>);

impl<'a, T, F, W> Serialize for Each<'_, 'a, '_, T, F>
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
