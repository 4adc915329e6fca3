//! Pods that run and whose records are lost: what the kernel still tells of them. Pure.
//!
//! A damaged line of the log may have been a pod that runs: a line that was answered and then damaged cannot be told from
//! one that was torn before. So the first observed kernel counts. A pod's link that no record knows, and whose end is not
//! written down either, is held: it stays as it is, and its addresses are nobody else's until it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use portolan_plan::{Observed, RouteKey, Target};

/// Addresses named in a sentence at most.
const NAMED: usize = 8;

/// Pods' links that have no record, by name, with the addresses that routes of ours lead to out of them. `known` are the
/// links of all pods that are written down, those that have ended included.
pub(super) fn unrecorded(observed: &Observed, known: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let links = observed.links.iter().filter(|(_, link)| link.pod);
    let mut found: BTreeMap<String, BTreeSet<IpAddr>> = links
        .filter(|(name, _)| !known.contains(*name))
        .map(|(name, _)| (name.clone(), BTreeSet::new()))
        .collect();
    for (key, route) in &observed.routes {
        let address = key.prefix.first();
        if let Target::Link(name) = &route.target
            && RouteKey::ours_to(address) == Some(*key)
            && let Some(addresses) = found.get_mut(name)
        {
            addresses.insert(address);
        }
    }
    found
}

/// What is told of held pods. `damaged` is how many lines of the log were; none where it was emptied, or removed.
pub(super) fn sentence(held: &BTreeMap<String, BTreeSet<IpAddr>>, damaged: u64) -> Option<String> {
    if held.is_empty() {
        return None;
    }
    let log = match damaged {
        0 => "the log of pod addresses (pods.log) was emptied or removed".to_owned(),
        1 => "1 line of the log of pod addresses (pods.log) was damaged".to_owned(),
        _ => format!("{damaged} lines of the log of pod addresses (pods.log) were damaged"),
    };
    let of = match held.len() {
        1 => "a pod that runs".to_owned(),
        pods => format!("{pods} pods that run"),
    };
    let addresses: Vec<String> = held.values().flatten().map(IpAddr::to_string).collect();
    let named = addresses.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let given = match addresses.len() {
        0 => "the kernel has no route to them any more, so their addresses are not known".to_owned(),
        1..=NAMED => format!("{named} is held for them and given to no other pod"),
        more => format!(
            "{named} and {} more are held for them and given to no other pod",
            more - NAMED
        ),
    };
    let links: Vec<&str> = held.keys().map(String::as_str).take(NAMED).collect();
    Some(format!(
        "{log}, and with it the record of {of} (behind {}): {given}. Nothing of them was cut off, but they have no ports; \
         make them anew when it suits, and look for errors of the disk",
        links.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use portolan_plan::Route;
    use portolan_plan::testing::{cidr, host, ip, link_name, pod_link};

    use super::*;

    #[test]
    fn links_without_a_record_are_found_with_the_addresses_behind_them() {
        let mut seen = host();
        for n in 1..=3 {
            seen.links.insert(link_name(n), pod_link(10 + u32::from(n)));
        }
        let mut route = |prefix: &str, metric: Option<u32>, link: &str| {
            let mut key = RouteKey::ours(cidr(prefix));
            key.metric = metric.unwrap_or(key.metric);
            let target = Target::Link(link.to_owned());
            seen.routes.insert(key, Route { target, source: None });
        };
        route("10.1.0.1/32", None, &link_name(1));
        route("10.1.0.2/32", None, &link_name(2));
        route("fd01::2/128", None, &link_name(2));
        // None that ADD makes.
        route("10.1.0.8/30", None, &link_name(2));
        route("10.1.0.3/32", Some(7), &link_name(2));
        route("10.1.0.4/32", None, "eth0");
        let found = unrecorded(&seen, &BTreeSet::from([link_name(1)]));
        let two = BTreeSet::from([ip("10.1.0.2"), ip("fd01::2")]);
        assert_eq!(
            found,
            BTreeMap::from([(link_name(2), two), (link_name(3), BTreeSet::new())])
        );
    }

    #[test]
    fn the_sentence_says_how_much_is_lost_and_held() {
        assert_eq!(sentence(&BTreeMap::new(), 3), None);
        let held = |n: u8| {
            let addresses = (1..=n).map(|n| IpAddr::from([10, 1, 0, n])).collect();
            BTreeMap::from([(link_name(1), addresses)])
        };
        let said = |n, damaged| sentence(&held(n), damaged).unwrap();
        assert!(said(1, 1).starts_with("1 line of the log"), "{}", said(1, 1));
        assert!(said(1, 1).contains("a pod that runs (behind ptl00000000001): 10.1.0.1 is held"));
        assert!(said(0, 2).starts_with("2 lines") && said(0, 2).contains("are not known"));
        assert!(said(9, 0).contains("emptied") && said(9, 0).contains("10.1.0.8 and 1 more are held"));
    }
}
