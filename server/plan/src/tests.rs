//! Properties of the plan, on hosts that refuse nothing.

use std::net::IpAddr;

use portolan_shared::addr::Family;
use proptest::prelude::*;

use crate::testing::{
    arbitrary_desired, arbitrary_observed, block_id, carry_out, cidr, desired, host, ip, link_name, port_id,
};
use crate::*;

#[test]
fn a_moved_block_is_replaced_in_place() {
    let mut host = host();
    carry_out(&plan(&desired(), &[], &host), &mut host);
    let mut moved = desired();
    moved.remote_blocks[0].via = [ip("192.168.0.3")].into_iter().collect();
    let plan = plan(&moved, &[], &host);
    assert_eq!(plan.drop, []);
    assert_eq!(
        plan.put.iter().map(|p| (p.key.prefix, p.replace)).collect::<Vec<_>>(),
        [(cidr("10.1.0.64/26"), true)]
    );
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
    seen.links.insert(
        link_name(3),
        Link {
            index: 5,
            mtu: 1500,
            pod: true,
        },
    );
    let incomplete = Desired {
        complete: false,
        ..desired()
    };
    let before = plan(&incomplete, &[], &seen);
    assert!(before.drop.is_empty() && before.drop_links.is_empty());
    let after = plan(&desired(), &[], &seen);
    assert_eq!(after.drop.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [stale]);
    assert_eq!(after.drop_links, [link_name(3)]);
}

#[test]
fn what_cannot_be_is_said_and_does_no_harm() {
    let mut observed = host();
    observed.sysctls.remove(&Sysctl::ForwardV6);
    let mut wanted = desired();
    wanted.remote_blocks[1].via = NodeAddresses::default();
    wanted.remote_blocks[0].via = wanted.node;
    let pods = [PodRoute {
        id: port_id(1),
        link: link_name(1),
        addresses: vec![ip("10.1.0.1")],
        settled: true,
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
    let about: Vec<Object> = plan.unmet.iter().map(|(object, _)| *object).collect();
    assert_eq!(
        about,
        [
            Object::Host,
            Object::Block(block_id(2)),
            Object::Block(block_id(3)),
            Object::Pod(port_id(1))
        ]
    );
    assert!(
        plan.drop.is_empty(),
        "a slot that is wanted is not emptied: {:?}",
        plan.drop
    );
}

#[test]
fn a_node_address_that_is_not_here_is_no_source() {
    let mut observed = host();
    observed.addresses.clear();
    let plan = plan(&desired(), &[], &observed);
    assert!(plan.put.iter().all(|put| put.route.source.is_none()));
}

#[test]
fn a_pod_needs_a_route_to_each_address_from_the_nodes_own() {
    let addresses = [ip("10.1.0.5"), ip("fd01::5")];
    let node = NodeAddresses {
        v6: None,
        ..desired().node
    };
    let PodSlots { routes } = pod("ptl00000000007", &addresses, &node);
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
        PodRoute { id: port_id(n), link: link_name(n), addresses: v4.into_iter().chain(v6).collect(), settled: true }
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
        seen.links.insert(allocation.link.clone(), Link { index: 99, mtu: 1500, pod: true });
        // The ADD: the node's addresses on this host, and the slots of the pod filled.
        let made = pod(&allocation.link, &allocation.addresses, &seen.local(&wanted.node));
        seen.routes.extend(made.routes.iter().cloned());
        let round = plan(&wanted, std::slice::from_ref(&allocation), &seen);
        prop_assert_eq!(&round.put, &[]);
        prop_assert!(made.routes.iter().all(|route| !round.drop.contains(route)));
        // Without it a round makes exactly the same.
        for key in pod_keys(&allocation.addresses) {
            seen.routes.remove(&key);
        }
        let round = plan(&wanted, std::slice::from_ref(&allocation), &seen);
        let put: Vec<_> = round.put.into_iter().map(|put| (put.key, put.route)).collect();
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
        half.put.truncate(cut);
        half.drop.truncate(cut.saturating_sub(half.put.len()));
        half.drop_links.clear();
        carry_out(&half, &mut host);
        let rest = plan(&wanted, &pods, &host);
        carry_out(&rest, &mut host);
        prop_assert_eq!(host, whole);
    }

    #[test]
    fn only_a_complete_state_takes_away((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        let plan = plan(&wanted, &pods, &seen);
        prop_assert!(wanted.complete || (plan.drop.is_empty() && plan.drop_links.is_empty()));
        for link in &plan.drop_links {
            prop_assert!(seen.links[link].pod && pods.iter().all(|pod| &pod.link != link));
        }
    }

    #[test]
    fn a_source_is_an_address_of_this_host((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        for put in plan(&wanted, &pods, &seen).put {
            let family = put.key.prefix.family();
            let usable = |source| Family::of(source) == family && seen.addresses.contains_key(&source);
            prop_assert!(put.route.source.is_none_or(usable));
        }
    }
}
