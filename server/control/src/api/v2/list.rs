//! What all lists of the Networking API share: filters, order, pages, fields.
//!
//! A query is checked against the attributes of its resource ([`Attributes`]) before anything is
//! read: unknown filters and sort keys are refused. Filters hold typed values, so that comparing
//! costs no text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use axum::extract::Query as Pairs;
use axum::http::{HeaderMap, Uri};
use portolan_shared::addr::Cidr;
use portolan_shared::check::shortened;
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v2::Link;
use uuid::Uuid;

use super::super::Api;
use super::super::fields::flag_text;
use crate::model::Micros;

/// Most different attributes that `fields` names.
const FIELDS_MAX: usize = 64;
/// Most values that all filters of a query ask for together.
const VALUES_MAX: usize = 1_024;
/// Most subnets, and most parts of addresses, that `fixed_ips` asks for: these are looked for one by one.
const FIXED_IPS_MAX: usize = 64;

/// What kind of value an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
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

/// Attributes of a resource that lists can be filtered and sorted by.
pub type Attributes = [(&'static str, Kind)];

/// The value of an attribute of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<'a> {
    /// Nothing; sorts first.
    Null,
    /// Text.
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

/// A value that a filter asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    /// A text that no value of the attribute's kind has.
    Never,
    Text(String),
    /// Times in whole seconds.
    Value(Value<'static>),
}

impl Wanted {
    fn read(name: &str, kind: Kind, text: &str) -> Result<Self, Refusal> {
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
fn moment(text: &str) -> Option<Micros> {
    let text = text.trim();
    text.parse::<Time>()
        .or_else(|_| format!("{text}Z").parse())
        .ok()
        .map(|time| time.0)
}

/// A filter: the attribute's value is one of these, which are in order and different.
#[derive(Debug, Clone)]
struct Filter {
    attribute: &'static str,
    wanted: Vec<Wanted>,
}

impl Filter {
    fn fits(&self, value: &Value<'_>) -> bool {
        self.wanted.binary_search_by(|wanted| wanted.order(value)).is_ok()
    }
}

/// What a fixed IP must be like; see [`Query::fixed_ips`].
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

/// A list request, checked.
#[derive(Debug, Clone, Default)]
pub struct Query {
    filters: Vec<Filter>,
    /// What a port's fixed IPs must be like.
    pub fixed_ips: FixedIps,
    changed_since: Option<Micros>,
    /// Attributes to write; empty: all.
    pub fields: Vec<String>,
    sort: Vec<(&'static str, bool)>,
    /// Most objects of the page.
    pub limit: Option<usize>,
    /// The page comes after (or, reversed, before) the object with this id.
    pub marker: Option<String>,
    /// The page before the marker.
    pub reverse: bool,
}

/// What a list is made of, for [`Query::page`].
pub trait Listed {
    /// The value of an attribute among the resource's [`Attributes`].
    fn value(&self, attribute: &str) -> Value<'_>;
    /// Its id.
    fn id(&self) -> Uuid;
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

impl Query {
    /// Reads the query of a URL. `fixed_ips` is a filter of ports alone.
    ///
    /// # Errors
    /// Unknown filters and sort keys, and values that cannot be read.
    pub fn read(uri: &Uri, attributes: &'static Attributes, fixed_ips: bool) -> Result<Self, Refusal> {
        let pairs = Pairs::<Vec<(String, String)>>::try_from_uri(uri);
        let Pairs(pairs) = pairs.map_err(|_| Refusal::Malformed {
            detail: "its query is no query".to_owned(),
        })?;
        let find = |name: &str| attributes.iter().find(|(known, _)| *known == name);
        let mut query = Self::default();
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
                    let (known, _) = find(&value).filter(|(_, kind)| *kind != Kind::Null).ok_or_else(|| {
                        let allowed: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
                        Refusal::NotOneOf {
                            field: "sort_key".to_owned(),
                            given: shortened(&value),
                            allowed: allowed.join(", "),
                        }
                    })?;
                    keys.push(*known);
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
                    query.changed_since = Some(since);
                }
                "fixed_ips" if fixed_ips => query.fixed_ip(&value)?,
                name => {
                    let (known, kind) =
                        find(name).ok_or_else(|| Refusal::UnknownAttribute { field: shortened(name) })?;
                    let wanted = Wanted::read(name, *kind, &value)?;
                    values += 1;
                    at_most("filters", VALUES_MAX, values)?;
                    match query.filters.iter_mut().find(|filter| filter.attribute == *known) {
                        Some(filter) => filter.wanted.push(wanted),
                        None => query.filters.push(Filter {
                            attribute: known,
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
        for (key, descending) in keys.into_iter().zip(directions) {
            // A key that is named again decides nothing any more.
            if query.sort.iter().all(|(known, _)| *known != key) {
                query.sort.push((key, descending));
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

    fn fixed_ip(&mut self, text: &str) -> Result<(), Refusal> {
        for part in text.split(',') {
            let known = part.split_once('=');
            match known {
                Some(("ip_address", value)) => match value.parse() {
                    Ok(address) => self.fixed_ips.addresses.push(address),
                    Err(_) => self.fixed_ips.never = true,
                },
                Some(("subnet_id", value)) => match Uuid::try_parse(value) {
                    Ok(id) => self.fixed_ips.subnets.push(id),
                    Err(_) => self.fixed_ips.never = true,
                },
                Some(("ip_address_substr", value)) => self.fixed_ips.parts.push(value.to_owned()),
                _ => return Err(wrong("fixed_ips", "ip_address=…, ip_address_substr=… or subnet_id=…")),
            }
        }
        Ok(())
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

    fn filter(&self, attribute: &str) -> Option<&Filter> {
        self.filters.iter().find(|filter| filter.attribute == attribute)
    }

    /// How many objects have to be looked at for a list out of `all`: a page of them in the order of
    /// ids is found at once.
    pub fn looks_at(&self, all: usize) -> usize {
        let at_once = self.in_id_order() && self.filters.is_empty() && self.fixed_ips.is_empty();
        match self.limit {
            Some(limit) if at_once && self.changed_since.is_none() => limit.min(all),
            _ => all,
        }
    }

    /// Whether filters or order go by an attribute.
    pub fn uses(&self, attribute: &str) -> bool {
        self.filter(attribute).is_some() || self.sort.iter().any(|(key, _)| *key == attribute)
    }

    /// Whether the list is in the order of ids, forwards: then a page needs nothing but its own
    /// objects.
    pub fn in_id_order(&self) -> bool {
        !self.reverse && (self.sort.is_empty() || self.sort.first() == Some(&("id", false)))
    }

    /// Whether an object is asked for; fixed IPs and the attribute `but` are not looked at.
    pub fn fits(&self, object: &impl Listed, but: &str) -> bool {
        self.filters
            .iter()
            .filter(|filter| filter.attribute != but)
            .all(|filter| filter.fits(&object.value(filter.attribute)))
            && self.changed_since.is_none_or(|since| match object.value("updated_at") {
                Value::Time(at) => at >= since,
                _ => false,
            })
    }

    /// Puts objects in order and cuts the page out. The marker must be among all objects of the
    /// resource that the caller sees; `marked` is that object.
    pub fn page<T: Listed>(&self, mut objects: Vec<T>, marked: Option<&T>) -> Vec<T> {
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

    fn order<T: Listed>(&self, a: &T, b: &T) -> Ordering {
        self.sort
            .iter()
            .map(|(key, descending)| {
                let order = a.value(key).cmp(&b.value(key));
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.id().cmp(&b.id()))
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

/// The path as the client has it: routers see it without what they are nested below.
fn full_path(uri: &Uri) -> String {
    match uri.path().strip_prefix("/v2.0") {
        Some(_) => uri.path().to_owned(),
        None => format!("/v2.0{}", uri.path()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: &Attributes = &[
        ("id", Kind::Id),
        ("name", Kind::Text),
        ("mtu", Kind::Number),
        ("up", Kind::Flag),
        ("pool", Kind::Null),
    ];

    #[derive(Debug, Clone, PartialEq)]
    struct Thing {
        id: u128,
        name: &'static str,
        mtu: u64,
    }

    impl Listed for Thing {
        fn value(&self, attribute: &str) -> Value<'_> {
            match attribute {
                "id" => Value::Id(Uuid::from_u128(self.id)),
                "name" => Value::text(self.name),
                "mtu" => Value::Number(self.mtu),
                "up" => Value::Flag(true),
                _ => Value::Null,
            }
        }
        fn id(&self) -> Uuid {
            Uuid::from_u128(self.id)
        }
    }

    fn read(query: &str) -> Result<Query, &'static str> {
        Query::read(&format!("/x?{query}").parse().unwrap(), ATTRIBUTES, true).map_err(|refusal| refusal.code())
    }

    fn things() -> Vec<Thing> {
        [(1, "b", 9), (2, "a", 100), (3, "b", 20), (4, "", 20)]
            .map(|(id, name, mtu)| Thing { id, name, mtu })
            .to_vec()
    }

    /// Ids of what a query finds, in its order.
    fn found(query: &str, marker: Option<u128>) -> Vec<u128> {
        let query = read(query).unwrap();
        let marked = marker.and_then(|id| things().into_iter().find(|thing| thing.id == id));
        let objects = things().into_iter().filter(|thing| query.fits(thing, "")).collect();
        query
            .page(objects, marked.as_ref())
            .iter()
            .map(|thing| thing.id)
            .collect()
    }

    #[test]
    fn filters_are_or_within_and_and_between() {
        assert_eq!(found("name=b", None), [1, 3]);
        assert_eq!(found("name=b&name=a", None), [1, 2, 3]);
        assert_eq!(found("name=b&mtu=20", None), [3]);
        assert_eq!(found("name=", None), [4]);
        assert_eq!(found("up=False", None), [0_u128; 0]);
        assert_eq!(found("up=1&pool=", None), [0_u128; 0]);
        assert_eq!(found("id=00000000-0000-0000-0000-000000000002&id=x", None), [2]);
    }

    #[test]
    fn order_and_pages() {
        assert_eq!(found("sort_key=mtu&sort_dir=desc", None), [2, 3, 4, 1]);
        assert_eq!(
            found("sort_key=name&sort_key=mtu&sort_dir=asc&sort_dir=desc", None),
            [4, 2, 3, 1]
        );
        assert_eq!(found("limit=2", None), [1, 2]);
        assert_eq!(found("limit=2", Some(2)), [3, 4]);
        assert_eq!(found("limit=2&page_reverse=True", Some(4)), [2, 3]);
        assert_eq!(found("limit=1&sort_key=name&sort_dir=desc", Some(1)), [3]);
        assert_eq!(found("limit=0", None), [1, 2, 3, 4]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (query, code) in [
            ("nonsense=1", "body.unknown_attribute"),
            ("limit=-1", "value.wrong_type"),
            ("limit=x", "value.wrong_type"),
            ("page_reverse=maybe", "value.wrong_type"),
            ("sort_key=nonsense", "value.not_one_of"),
            ("sort_key=pool", "value.not_one_of"),
            ("sort_key=name&sort_dir=up", "value.not_one_of"),
            ("sort_dir=asc", "value.wrong_type"),
            ("up=maybe", "value.wrong_type"),
            ("fixed_ips=10.0.0.1", "value.wrong_type"),
            ("changed_since=yesterday", "value.wrong_type"),
        ] {
            assert_eq!(read(query).map(|_| ()), Err(code), "{query}");
        }
    }

    #[test]
    fn fixed_ips_go_by_address_subnet_and_part() {
        let query = read("fixed_ips=ip_address=10.0.0.1&fixed_ips=ip_address=10.0.0.2").unwrap();
        let fits = |query: &Query, text: &str| query.fixed_ips.fits(Uuid::from_u128(1), text.parse().unwrap());
        assert!(fits(&query, "10.0.0.2") && !fits(&query, "10.0.0.3"));
        assert!(fits(&read("fixed_ips=ip_address_substr=0.3").unwrap(), "10.0.0.3"));
        assert!(!fits(&read("fixed_ips=ip_address=nonsense").unwrap(), "10.0.0.3"));
        assert!(!fits(
            &read(&format!("fixed_ips=subnet_id={}", Uuid::from_u128(2))).unwrap(),
            "10.0.0.3"
        ));
    }

    #[test]
    fn a_query_asks_for_so_much_and_no_more() {
        let many = |name: &str, count: usize| {
            let pairs: Vec<String> = (0..count).map(|n| format!("{name}={n}")).collect();
            read(&pairs.join("&")).map(|query| (query.fields.len(), query.sort.len()))
        };
        assert_eq!(many("name", VALUES_MAX), Ok((0, 0)));
        assert_eq!(many("name", VALUES_MAX + 1), Err("value.too_many"));
        assert_eq!(many("fields", FIELDS_MAX), Ok((FIELDS_MAX, 0)));
        assert_eq!(many("fields", FIELDS_MAX + 1), Err("value.too_many"));
        let subnets = "fixed_ips=ip_address_substr=1&".repeat(FIXED_IPS_MAX + 1);
        assert_eq!(read(&subnets).map(|_| ()), Err("value.too_many"));
        let again = read(&"sort_key=name&fields=name&name=a&".repeat(300)).unwrap();
        assert_eq!(again.sort, [("name", false)]);
        assert_eq!(again.fields, ["name"]);
        assert_eq!(again.filters[0].wanted.len(), 1);
    }

    #[test]
    fn a_value_is_found_among_many() {
        let wanted: Vec<String> = (0..100).map(|n| format!("mtu={}", n * 10)).collect();
        assert_eq!(found(&wanted.join("&"), None), [2, 3, 4]);
        assert_eq!(found("mtu=x&mtu=9&mtu=", None), [1]);
        assert_eq!(found("name=&name=b", None), [1, 3, 4]);
        assert_eq!(found("pool=&pool=x", None), [0_u128; 0]);
    }

    #[test]
    fn only_a_plain_page_is_found_at_once() {
        let looks = |query: &str| read(query).unwrap().looks_at(9_000);
        assert_eq!(looks("limit=100"), 100);
        assert_eq!(looks("limit=100&sort_key=id"), 100);
        for slow in [
            "",
            "limit=100&name=a",
            "limit=100&sort_key=name",
            "limit=100&page_reverse=true",
        ] {
            assert_eq!(looks(slow), 9_000, "{slow}");
        }
    }
}
