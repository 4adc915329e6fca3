//! What all lists of the Networking API share: filters, order, pages, fields.
//!
//! A query is checked against the attributes of its resource before anything is read: unknown filters and sort keys are
//! refused. Filters hold typed values, so that comparing needs no conversion to text.

mod filters;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use axum::extract::Query as Pairs;
use axum::http::{HeaderMap, Uri};
use portolan_core::model::Micros;
use portolan_shared::addr::Cidr;
use portolan_shared::check::shortened;
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::v2::Link;
use uuid::Uuid;

use super::attributes::{Attribute, Getter};
use crate::api::Api;
use crate::api::fields::flag_text;

pub use filters::FixedIps;
use filters::{Filter, Wanted, moment};

/// Most different attributes that `fields` names.
const FIELDS_MAX: usize = 64;
/// Most values that all filters of a query ask for together.
const VALUES_MAX: usize = 1_024;
/// Most subnets, and most parts of addresses, that `fixed_ips` asks for: these are looked for one by one.
const FIXED_IPS_MAX: usize = 64;

/// What kind of value an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text, such as a name.
    Text,
    /// True or false.
    Flag,
    /// A number.
    Number,
    /// An id.
    Id,
    /// An IP address.
    Address,
    /// A network in CIDR form.
    Cidr,
    /// A hardware address.
    Mac,
    /// A moment.
    Time,
    /// An attribute of an extension that is not there: null or empty, so no filter finds anything.
    Null,
}

/// The value of an attribute of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<'a> {
    /// Nothing; sorts first.
    Null,
    /// A text, borrowed from the object where it holds it.
    Text(Cow<'a, str>),
    /// True or false.
    Flag(bool),
    /// A number.
    Number(u64),
    /// An id.
    Id(Uuid),
    /// An address.
    Address(IpAddr),
    /// A network.
    Cidr(Cidr),
    /// A hardware address.
    Mac(MacAddress),
    /// A moment.
    Time(Micros),
}

impl<'a> Value<'a> {
    /// A text as the object holds it.
    pub const fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// A list request, checked.
pub struct Query<R: Listed> {
    filters: Vec<Filter<R>>,
    /// What a port's fixed IPs must be like.
    pub fixed_ips: FixedIps,
    changed_since: Option<(Micros, Getter<R>)>,
    /// Attributes to write; empty: all.
    pub fields: Vec<String>,
    /// Attribute, its value, and whether the greatest comes first.
    sort: Vec<(&'static str, Getter<R>, bool)>,
    /// Most objects of the page.
    pub limit: Option<usize>,
    /// The page comes after (or, reversed, before) the object with this id.
    pub marker: Option<String>,
    /// The page before the marker.
    pub reverse: bool,
}

/// What lists are of.
pub trait Listed: Sized + 'static {
    /// An object with what its answer needs.
    type Item<'a>;

    /// All attributes.
    const ATTRIBUTES: &'static [Attribute<Self>];

    /// An object's id.
    fn id(item: &Self::Item<'_>) -> Uuid;

    /// Whether lists are filtered by `fixed_ips`.
    const BY_FIXED_IPS: bool;
}

fn at_most(field: &str, max: usize, count: usize) -> Result<(), Refusal> {
    if count <= max {
        return Ok(());
    }
    Err(Refusal::TooMany {
        field: field.to_owned(),
        max,
        count,
    })
}

fn wrong(field: &str, expected: &str) -> Refusal {
    Refusal::WrongType {
        field: field.to_owned(),
        expected: expected.to_owned(),
    }
}

impl<R: Listed> Query<R> {
    /// Reads the query of a URL.
    ///
    /// # Errors
    /// Unknown filters and sort keys, and values that cannot be read.
    pub fn read(uri: &Uri) -> Result<Self, Refusal> {
        let pairs = Pairs::<Vec<(String, String)>>::try_from_uri(uri);
        let Pairs(pairs) = pairs.map_err(|_| Refusal::Malformed {
            detail: "its query is no query".to_owned(),
        })?;
        let listed = || {
            let attributes = R::ATTRIBUTES.iter();
            attributes.filter_map(|attribute| attribute.value.map(|(kind, value)| (attribute.name, kind, value)))
        };
        let find = |name: &str| listed().find(|(known, ..)| *known == name);
        let mut query = Self {
            filters: Vec::new(),
            fixed_ips: FixedIps::default(),
            changed_since: None,
            fields: Vec::new(),
            sort: Vec::new(),
            limit: None,
            marker: None,
            reverse: false,
        };
        let (mut keys, mut directions) = (Vec::new(), Vec::new());
        let mut values = 0;
        for (name, value) in pairs {
            match name.as_str() {
                "fields" => {
                    for field in value.split(',').filter(|field| !field.is_empty()) {
                        if !query.fields.iter().any(|known| known == field) {
                            at_most("fields", FIELDS_MAX, query.fields.len() + 1)?;
                            query.fields.push(field.to_owned());
                        }
                    }
                }
                "limit" => {
                    let limit: usize = value.parse().map_err(|_| wrong("limit", "a whole number from 0"))?;
                    query.limit = (limit > 0).then_some(limit);
                }
                "marker" => query.marker = Some(value),
                "page_reverse" => {
                    query.reverse = flag_text(&value).ok_or_else(|| wrong("page_reverse", "true or false"))?;
                }
                "sort_key" => {
                    let sortable = |(_, kind, _): &(&str, Kind, Getter<R>)| *kind != Kind::Null;
                    let (known, _, value) = find(&value).filter(sortable).ok_or_else(|| {
                        let allowed: Vec<&str> = listed().filter(sortable).map(|(name, ..)| name).collect();
                        Refusal::NotOneOf {
                            field: "sort_key".to_owned(),
                            given: shortened(&value),
                            allowed: allowed.join(", "),
                        }
                    })?;
                    keys.push((known, value));
                }
                "sort_dir" => directions.push(match value.as_str() {
                    "asc" => false,
                    "desc" => true,
                    _ => {
                        return Err(Refusal::NotOneOf {
                            field: "sort_dir".to_owned(),
                            given: shortened(&value),
                            allowed: "asc, desc".to_owned(),
                        });
                    }
                }),
                "changed_since" => {
                    let since = moment(&value).ok_or_else(|| wrong("changed_since", "a time in UTC"))?;
                    let (.., updated_at) = find("updated_at").ok_or_else(|| Refusal::UnknownAttribute {
                        field: "changed_since".to_owned(),
                    })?;
                    query.changed_since = Some((since, updated_at));
                }
                "fixed_ips" if R::BY_FIXED_IPS => query.fixed_ips.read(&value)?,
                name => {
                    let (known, kind, get) =
                        find(name).ok_or_else(|| Refusal::UnknownAttribute { field: shortened(name) })?;
                    let wanted = Wanted::read(name, kind, &value)?;
                    values += 1;
                    at_most("filters", VALUES_MAX, values)?;
                    match query.filters.iter_mut().find(|filter| filter.attribute == known) {
                        Some(filter) => filter.wanted.push(wanted),
                        None => query.filters.push(Filter {
                            attribute: known,
                            value: get,
                            wanted: vec![wanted],
                        }),
                    }
                }
            }
        }
        if directions.len() > keys.len() {
            return Err(wrong("sort_dir", "given at most as often as sort_key"));
        }
        let directions = directions.into_iter().chain(std::iter::repeat(false));
        for ((key, value), descending) in keys.into_iter().zip(directions) {
            // A key that is named a second time changes nothing.
            if query.sort.iter().all(|(known, ..)| *known != key) {
                query.sort.push((key, value, descending));
            }
        }
        for filter in &mut query.filters {
            filter.wanted.sort_unstable();
            filter.wanted.dedup();
        }
        let ips = &query.fixed_ips;
        at_most("fixed_ips", VALUES_MAX, ips.addresses.len())?;
        at_most("fixed_ips", FIXED_IPS_MAX, ips.subnets.len().max(ips.parts.len()))?;
        Ok(query)
    }

    /// The one id that a filter asks for, to go by an index; `None` if it does not ask for one.
    pub fn one_id(&self, attribute: &str) -> Option<Uuid> {
        match self.filter(attribute)?.wanted.as_slice() {
            [Wanted::Value(Value::Id(id))] => Some(*id),
            _ => None,
        }
    }

    /// All ids that a filter asks for; `None` if there is no such filter.
    pub fn ids(&self, attribute: &str) -> Option<Vec<Uuid>> {
        let ids = self.filter(attribute)?.wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Value(Value::Id(id)) => Some(*id),
            _ => None,
        });
        Some(ids.collect())
    }

    fn filter(&self, attribute: &str) -> Option<&Filter<R>> {
        self.filters.iter().find(|filter| filter.attribute == attribute)
    }

    /// How many of `all` objects a list has to look at. An unfiltered page in the order of ids looks at its own objects
    /// only.
    pub fn looks_at(&self, all: usize) -> usize {
        let at_once = self.in_id_order() && self.filters.is_empty() && self.fixed_ips.is_empty();
        match self.limit {
            Some(limit) if at_once && self.changed_since.is_none() => limit.min(all),
            _ => all,
        }
    }

    /// Whether filters or order go by an attribute.
    pub fn uses(&self, attribute: &str) -> bool {
        self.filter(attribute).is_some() || self.sort.iter().any(|(key, ..)| *key == attribute)
    }

    /// Whether the list is in ascending order of ids; then a page can be found without sorting everything.
    pub fn in_id_order(&self) -> bool {
        !self.reverse && (self.sort.is_empty() || matches!(self.sort.first(), Some(("id", _, false))))
    }

    /// Whether the filters match an object; those by fixed IPs and by the attribute `but` are left out.
    pub fn fits(&self, item: &R::Item<'_>, but: &str) -> bool {
        self.filters
            .iter()
            .filter(|filter| filter.attribute != but)
            .all(|filter| filter.fits(&(filter.value)(item)))
            && self
                .changed_since
                .is_none_or(|(since, updated_at)| matches!(updated_at(item), Value::Time(at) if at >= since))
    }

    /// Sorts the objects and cuts the page out. The marker must be among all objects of the resource that the caller
    /// sees; `marked` is that object.
    pub fn page<'a>(&self, mut objects: Vec<R::Item<'a>>, marked: Option<&R::Item<'a>>) -> Vec<R::Item<'a>> {
        objects.sort_by(|a, b| self.order(a, b));
        let (mut from, mut to) = (0, objects.len());
        if let Some(marked) = marked {
            if self.reverse {
                to = objects.partition_point(|object| self.order(object, marked) == Ordering::Less);
            } else {
                from = objects.partition_point(|object| self.order(object, marked) != Ordering::Greater);
            }
        }
        if let Some(limit) = self.limit
            && to - from > limit
        {
            if self.reverse {
                from = to - limit
            } else {
                to = from + limit
            }
        }
        objects.truncate(to);
        objects.drain(..from);
        objects
    }

    fn order(&self, a: &R::Item<'_>, b: &R::Item<'_>) -> Ordering {
        self.sort
            .iter()
            .map(|(_, value, descending)| {
                let order = value(a).cmp(&value(b));
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or_else(|| R::id(a).cmp(&R::id(b)))
    }

    /// Links to the next and the previous page, as Neutron gives them; empty without a limit.
    pub fn links(&self, api: &Api, headers: &HeaderMap, uri: &Uri, ids: &[Uuid]) -> Vec<Link> {
        let Some(limit) = self.limit else { return Vec::new() };
        let rest = |marker: Option<&Uuid>, reverse: bool| {
            let kept = uri.query().unwrap_or_default().split('&').filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !name.is_empty() && name != "marker" && name != "page_reverse"
            });
            let mut pairs: Vec<String> = kept.map(ToOwned::to_owned).collect();
            pairs.extend(marker.map(|id| format!("marker={id}")));
            pairs.extend(reverse.then(|| "page_reverse=True".to_owned()));
            format!("{}{}?{}", api.base(headers), full_path(uri), pairs.join("&"))
        };
        let short = ids.len() < limit;
        let mut links = Vec::new();
        if !short || self.reverse {
            links.push(Link {
                rel: "next".to_owned(),
                href: rest(ids.last(), false),
            });
        }
        if !short || !self.reverse {
            links.push(Link {
                rel: "previous".to_owned(),
                href: rest(ids.first(), true),
            });
        }
        links
    }
}

/// The path as the client wrote it. A nested router sees it without its prefix.
fn full_path(uri: &Uri) -> String {
    match uri.path().strip_prefix("/v2.0") {
        Some(_) => uri.path().to_owned(),
        None => format!("/v2.0{}", uri.path()),
    }
}

#[cfg(test)]
mod tests;
