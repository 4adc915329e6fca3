//! Properties of the plan, on hosts that refuse nothing.

use std::net::IpAddr;

use portolan_shared::addr::Family;
use proptest::prelude::*;

use crate::testing::{
    arbitrary_desired, arbitrary_observed, block_id, carry_out, cidr, desired, host, ip, link_name, pod_link, port_id,
};
use crate::*;

/// The plan of a host where others have nothing.
fn plan(desired: &Desired, pods: &[PodRoute], observed: &Observed) -> Plan {
    crate::plan(desired, pods, observed, &Foreign::default())
}

/// The slots that a plan fills, with what is put there and what of ours was found.
fn puts(plan: &Plan) -> Vec<(RouteKey, Route, Option<Route>)> {
    let put = |step: &Step| match &step.change {
        Change::PutRoute { key, route, found } => Some((*key, route.clone(), found.clone())),
        _ => None,
    };
    plan.steps.iter().filter_map(put).collect()
}

/// The routes that a plan removes.
fn drops(plan: &Plan) -> Vec<(RouteKey, Route)> {
    let drop = |step: &Step| match &step.change {
        Change::DropRoute { key, route } => Some((*key, route.clone())),
        _ => None,
    };
    plan.steps.iter().filter_map(drop).collect()
}

/// The links that a plan removes.
fn link_drops(plan: &Plan) -> Vec<String> {
    let drop = |step: &Step| match &step.change {
        Change::DropLink(name) => Some(name.clone()),
        _ => None,
    };
    plan.steps.iter().filter_map(drop).collect()
}

/// Whom what is unmet is told of.
fn about(plan: &Plan) -> Vec<Object> {
    plan.unmet.iter().map(|(object, _)| *object).collect()
}

#[test]
fn a_moved_block_is_replaced_in_place() {
    let mut host = host();
    carry_out(&plan(&desired(), &[], &host), &mut host);
    let mut moved = desired();
    moved.remote_blocks[0].via = [ip("192.168.0.3")].into_iter().collect();
    let plan = plan(&moved, &[], &host);
    assert_eq!(drops(&plan), []);
    let slots: Vec<_> = puts(&plan)
        .into_iter()
        .map(|(key, _, found)| (key.prefix, found.is_some()))
        .collect();
    assert_eq!(slots, [(cidr("10.1.0.64/26"), true)]);
}

#[test]
fn nothing_goes_before_everything_is_known() {
    let mut seen = host();
    let stale = RouteKey::ours(cidr("10.9.0.0/26"));
    seen.routes.insert(
        stale,
        Route {
            target: Target::Via(ip("192.168.0.9")),
            source: None,
        },
    );
    seen.links.insert(link_name(3), pod_link(5));
    let incomplete = Desired {
        complete: false,
        ..desired()
    };
    let before = plan(&incomplete, &[], &seen);
    assert!(drops(&before).is_empty() && link_drops(&before).is_empty());
    let after = plan(&desired(), &[], &seen);
    assert_eq!(drops(&after).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [stale]);
    assert_eq!(link_drops(&after), [link_name(3)]);
}

#[test]
fn what_cannot_be_is_said_and_does_no_harm() {
    let mut observed = host();
    observed.sysctls.remove(&Sysctl::ForwardV6);
    let mut wanted = desired();
    wanted.remote_blocks[1].via = NodeAddresses::default();
    wanted.remote_blocks[0].via = wanted.node;
    let pods = [PodRoute {
        id: Some(port_id(1)),
        link: link_name(1),
        addresses: vec![ip("10.1.0.1")],
        host_ports: Vec::new(),
        settled: true,
        probes: None,
    }];
    let key = RouteKey::ours(cidr("10.1.0.1/32"));
    observed.routes.insert(
        key,
        Route {
            target: Target::Strange,
            source: None,
        },
    );
    let plan = plan(&wanted, &pods, &observed);
    assert_eq!(
        about(&plan),
        [
            // IPv6 is not there; the node of the block is this host.
            Object::Host,
            Object::Pod(port_id(1)),
            Object::Block(block_id(2)),
            Object::Block(block_id(3)),
        ]
    );
    assert_eq!(drops(&plan), [], "a slot that is wanted is not emptied");
}

#[test]
fn without_the_nodes_address_other_nodes_wait_and_pods_here_do_not() {
    let pods = [PodRoute {
        id: Some(port_id(7)),
        link: link_name(7),
        addresses: vec![ip("10.1.0.5"), ip("fd01::5")],
        host_ports: Vec::new(),
        settled: true,
        probes: None,
    }];
    let mut seen = host();
    seen.links.insert(link_name(7), pod_link(9));
    carry_out(&plan(&desired(), &pods, &seen), &mut seen);
    let whole = seen.clone();
    // As a kernel does it: IPv4 routes with that source go, wherever they lead; IPv6 routes lose it.
    seen.addresses = [(ip("192.168.0.55"), 2), (ip("fe80::2"), 2), (ip("127.0.0.1"), 1)].into();
    seen.routes
        .retain(|key, route| key.prefix.family() == Family::V6 || route.source.is_none());
    for route in seen.routes.values_mut() {
        route.source = None;
    }
    let lost = plan(&desired(), &pods, &seen);
    assert_eq!(about(&lost), [Object::Host, Object::Host]);
    let said = &lost.unmet[0].1;
    assert!(
        said.contains("no longer has 192.168.0.1; it has 192.168.0.55."),
        "{said}"
    );
    assert!(
        lost.unmet[1]
            .1
            .contains("no longer has fd00::1; it has no IPv6 address"),
        "{lost:?}"
    );
    let to_pod = Route {
        target: Target::Link(link_name(7)),
        source: None,
    };
    assert_eq!(puts(&lost), [(RouteKey::ours(cidr("10.1.0.5/32")), to_pod, None)]);
    assert_eq!(drops(&lost), []);
    let route = |prefix| Item::Route(RouteKey::ours(cidr(prefix)));
    assert_eq!(
        lost.missing,
        [
            Item::NodeAddress(ip("192.168.0.1")),
            Item::NodeAddress(ip("fd00::1")),
            route("10.1.0.64/26"),
            route("fd01::40/122"),
        ]
    );
    // And with the addresses everything comes back.
    carry_out(&lost, &mut seen);
    seen.addresses = whole.addresses.clone();
    carry_out(&plan(&desired(), &pods, &seen), &mut seen);
    assert_eq!(seen, whole);
}

#[test]
fn with_its_link_down_the_node_waits_and_says_so_once() {
    let mut seen = host();
    seen.links.get_mut("eth0").unwrap().up = false;
    let mut wanted = desired();
    wanted.pod_ranges.pop();
    let plan = plan(&wanted, &[], &seen);
    assert_eq!(about(&plan), [Object::Host]);
    assert!(plan.unmet[0].1.contains("ip link set eth0 up"), "{plan:?}");
    let slots: Vec<_> = puts(&plan).into_iter().map(|(key, ..)| key.prefix).collect();
    assert_eq!(slots, [cidr("10.1.0.0/26")], "only what leads nowhere");
}

#[test]
fn a_pods_link_is_set_up_with_the_gateway_of_its_families() {
    for (addresses, up, gateway, mend) in [
        (vec![ip("10.1.0.5")], false, false, Some(false)),
        (vec![ip("10.1.0.5")], true, false, None),
        (vec![ip("fd01::5")], true, false, Some(true)),
        (vec![ip("fd01::5")], false, true, Some(true)),
        (vec![ip("10.1.0.5"), ip("fd01::5")], true, true, None),
    ] {
        let mut seen = host();
        let link = Link {
            up,
            gateway,
            ..pod_link(9)
        };
        seen.links.insert(link_name(7), link);
        let mut pod = PodRoute {
            id: Some(port_id(7)),
            link: link_name(7),
            addresses,
            host_ports: Vec::new(),
            settled: true,
            probes: None,
        };
        let mends = |plan: &Plan| {
            let at = plan
                .steps
                .iter()
                .position(|step| matches!(step.change, Change::MendLink { .. }))?;
            let first_route = plan
                .steps
                .iter()
                .position(|step| matches!(step.change, Change::PutRoute { .. }));
            assert!(
                first_route.is_none_or(|route| at < route),
                "a link takes no route before it is up"
            );
            match &plan.steps[at].change {
                Change::MendLink { gateway, .. } => Some(*gateway),
                _ => None,
            }
        };
        assert_eq!(
            mends(&plan(&desired(), std::slice::from_ref(&pod), &seen)),
            mend,
            "{pod:?}"
        );
        // Whoever makes the link sets it up.
        pod.settled = false;
        assert_eq!(mends(&plan(&desired(), &[pod], &seen)), None);
    }
}

#[test]
fn what_others_have_in_the_way_is_named_where_it_hurts() {
    let foreign = |prefix: &str, metric| ForeignRoute {
        key: RouteKey {
            metric,
            ..RouteKey::ours(cidr(prefix))
        },
        protocol: 4,
        towards: "via 192.168.0.9".to_owned(),
    };
    let pods = [PodRoute {
        id: Some(port_id(7)),
        link: link_name(7),
        addresses: vec![ip("10.1.0.5"), ip("fd01::5")],
        host_ports: Vec::new(),
        settled: true,
        probes: None,
    }];
    let mut seen = host();
    seen.links.insert(link_name(7), pod_link(9));
    let named = |routes: Vec<ForeignRoute>, seen: &Observed| {
        let foreign = Foreign { routes, drops: vec![] };
        crate::plan(&desired(), &pods, seen, &foreign).unmet
    };
    for (route, object) in [
        (foreign("10.1.0.64/26", 0), Some(Object::Block(block_id(2)))),
        (foreign("10.1.0.64/26", 32), None),
        (foreign("fd01::40/122", 32), Some(Object::Block(block_id(3)))),
        (foreign("fd01::40/122", V6_METRIC), Some(Object::Block(block_id(3)))),
        (foreign("fd01::40/122", V6_METRIC + 1), None),
        (foreign("10.1.0.70/32", 100), Some(Object::Block(block_id(2)))),
        (foreign("10.1.0.5/32", 0), Some(Object::Pod(port_id(7)))),
        (foreign("10.1.0.6/32", 0), Some(Object::Block(block_id(1)))),
        (foreign("10.1.0.0/16", 0), None),
        (foreign("10.1.1.0/26", 0), None),
    ] {
        let unmet = named(vec![route.clone()], &seen);
        assert_eq!(unmet.first().map(|(object, _)| *object), object, "{route:?}");
        assert!(
            unmet
                .iter()
                .all(|(_, said)| said.contains("via 192.168.0.9") && said.contains("left alone")),
            "{unmet:?}"
        );
    }
    seen.addresses.insert(ip("10.1.0.5"), 2);
    seen.addresses.insert(ip("10.1.0.80"), 2);
    let unmet = named(vec![], &seen);
    let objects: Vec<_> = unmet.iter().map(|(object, _)| *object).collect();
    assert_eq!(objects, [Object::Pod(port_id(7)), Object::Block(block_id(2))]);
    assert!(unmet[0].1.contains("on eth0"), "{unmet:?}");
}

#[test]
fn a_chain_that_drops_is_the_nodes_reason() {
    for (family, table, words) in [
        ("ip", "filter", "FORWARD of table ip filter drops"),
        (
            "ip",
            "filter",
            "accept 10.1.0.0/16, from and to (iptables -I FORWARD -s 10.1.0.0/16 -j ACCEPT,",
        ),
        ("ip6", "filter", "accept fd01::/64, from and to (ip6tables -I FORWARD"),
        ("inet", "firewall", "accept 10.1.0.0/16 and fd01::/64, from and to"),
    ] {
        let drop = DroppingChain {
            family,
            table: table.into(),
            chain: "FORWARD".into(),
        };
        let (routes, drops) = (vec![], vec![drop]);
        let plan = crate::plan(&desired(), &[], &host(), &Foreign { routes, drops });
        assert_eq!(about(&plan), [Object::Host]);
        assert!(plan.unmet[0].1.contains(words), "{:?}", plan.unmet);
    }
}

#[test]
fn a_pod_needs_a_route_to_each_address_from_the_nodes_own() {
    let addresses = [ip("10.1.0.5"), ip("fd01::5")];
    let node = NodeAddresses {
        v6: None,
        ..desired().node
    };
    let PodSlots { routes, ports } = pod("ptl00000000007", &addresses, &[], &node);
    assert!(ports.is_empty());
    let target = Target::Link("ptl00000000007".to_owned());
    let wanted = [("10.1.0.5/32", Some(ip("192.168.0.1"))), ("fd01::5/128", None)];
    let wanted = wanted.map(|(prefix, source)| {
        let target = target.clone();
        (RouteKey::ours(cidr(prefix)), Route { target, source })
    });
    assert_eq!(routes, wanted);
    assert_eq!(pod_keys(&addresses).collect::<Vec<_>>(), wanted.map(|(key, _)| key));
}

prop_compose! {
    /// A pod whose link is there, with one address of a family or of both.
    fn arbitrary_pod()(n in 0u8..4, v4 in any::<bool>(), v6 in any::<bool>()) -> PodRoute {
        let v4 = (v4 || !v6).then(|| IpAddr::from([10, 1, 0, n]));
        let v6 = v6.then(|| IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, u16::from(n)]));
        PodRoute { id: Some(port_id(n)), link: link_name(n), addresses: v4.into_iter().chain(v6).collect(), host_ports: Vec::new(), settled: true, probes: None }
    }
}

proptest! {
    #[test]
    fn what_an_add_makes_is_what_a_round_wants(
        allocation in arbitrary_pod(), (mut wanted, _) in arbitrary_desired(), mut seen in arbitrary_observed(),
    ) {
        // Only the pod's own slots are looked at.
        wanted.own_blocks.clear();
        wanted.remote_blocks.clear();
        seen.links.insert(allocation.link.clone(), pod_link(99));
        // The ADD: the node's addresses on this host, and the slots of the pod filled.
        let made = pod(&allocation.link, &allocation.addresses, &allocation.host_ports, &seen.local(&wanted.node));
        seen.routes.extend(made.routes.iter().cloned());
        let round = plan(&wanted, std::slice::from_ref(&allocation), &seen);
        prop_assert_eq!(puts(&round), []);
        prop_assert!(made.routes.iter().all(|route| !drops(&round).contains(route)));
        // Without it a round makes exactly the same.
        for key in pod_keys(&allocation.addresses) {
            seen.routes.remove(&key);
        }
        let round = plan(&wanted, std::slice::from_ref(&allocation), &seen);
        let put: Vec<_> = puts(&round).into_iter().map(|(key, route, _)| (key, route)).collect();
        let mut made = made.routes;
        made.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(put, made);
    }

    #[test]
    fn planning_after_carrying_out_is_empty((wanted, pods) in arbitrary_desired(), mut host in arbitrary_observed()) {
        carry_out(&plan(&wanted, &pods, &host), &mut host);
        let again = plan(&wanted, &pods, &host);
        prop_assert!(again.is_empty(), "{again:?}");
    }

    #[test]
    fn a_plan_cut_short_leads_to_the_same_end(
        (wanted, pods) in arbitrary_desired(), seen in arbitrary_observed(), cut in 0usize..12,
    ) {
        let mut whole = seen.clone();
        carry_out(&plan(&wanted, &pods, &seen), &mut whole);
        let mut host = seen.clone();
        let mut half = plan(&wanted, &pods, &seen);
        half.steps.truncate(cut);
        carry_out(&half, &mut host);
        let rest = plan(&wanted, &pods, &host);
        carry_out(&rest, &mut host);
        prop_assert_eq!(host, whole);
    }

    #[test]
    fn only_a_complete_state_takes_away((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        let plan = plan(&wanted, &pods, &seen);
        prop_assert!(wanted.complete || plan.steps.iter().all(|step| !step.change.removes()));
        for link in link_drops(&plan) {
            prop_assert!(seen.links[&link].pod && pods.iter().all(|pod| pod.link != link));
        }
    }

    #[test]
    fn a_source_is_an_address_of_this_host((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        for (key, route, _) in puts(&plan(&wanted, &pods, &seen)) {
            let usable = |source| Family::of(source) == key.prefix.family() && seen.addresses.contains_key(&source);
            prop_assert!(route.source.is_none_or(usable));
        }
    }
}
