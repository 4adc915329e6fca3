//! Tests of lists.

use super::*;
use crate::api::v2::attributes::attributes;

#[derive(Debug, Clone, PartialEq)]
struct Thing {
    id: u128,
    name: &'static str,
    mtu: u64,
}

struct Things;

impl Listed for Things {
    type Item<'a> = Thing;

    const ATTRIBUTES: &'static [Attribute<Self>] = attributes! {
        "id" server => Id |thing| Value::Id(Uuid::from_u128(thing.id));
        "name" client => Text |thing| Value::text(thing.name);
        "mtu" client => Number |thing| Value::Number(thing.mtu);
        "up" client => Flag |_| Value::Flag(true);
        "pool" absent(Null) => Null |_| Value::Null;
    };
    const BY_FIXED_IPS: bool = true;

    fn id(thing: &Thing) -> Uuid {
        Uuid::from_u128(thing.id)
    }
}

fn read(query: &str) -> Result<Query<Things>, &'static str> {
    Query::read(&format!("/x?{query}").parse().unwrap()).map_err(|refusal| refusal.code())
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
    let fits = |query: &Query<Things>, text: &str| query.fixed_ips.fits(Uuid::from_u128(1), text.parse().unwrap());
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
    assert!(matches!(again.sort.as_slice(), [("name", _, false)]));
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
