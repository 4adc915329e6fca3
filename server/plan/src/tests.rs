//! Properties of the plan, on a kernel in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::host::{Outcome, apply};
use crate::kernel::fake::{FakeKernel, State};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn block_id(n: u8) -> BlockId {
    BlockId::from_bytes([n; 16])
}

fn port_id(n: u8) -> PortId {
    PortId::from_bytes([n; 16])
}

fn link_name(n: u8) -> String {
    format!("ptl{n:011x}")
}

fn host() -> Observed {
    let link = |index, pod| Link { index, mtu: 1500, pod };
    Observed {
        links: BTreeMap::from([("lo".into(), link(1, false)), ("eth0".into(), link(2, false))]),
        addresses: BTreeMap::from([(ip("192.168.0.1"), 2), (ip("fd00::1"), 2)]),
        sysctls: Sysctl::ALL.into_iter().map(|s| (s, false)).collect(),
        ..Observed::default()
    }
}

fn desired() -> Desired {
    Desired {
        complete: true,
        node: [ip("192.168.0.1"), ip("fd00::1")].into_iter().collect(),
        mtu: 1500,
        pod_ranges: vec![cidr("10.1.0.0/16"), cidr("fd01::/64")],
        own_blocks: vec![OwnBlock {
            id: block_id(1),
            prefix: cidr("10.1.0.0/26"),
        }],
        remote_blocks: vec![
            RemoteBlock {
                id: block_id(2),
                prefix: cidr("10.1.0.64/26"),
                via: [ip("192.168.0.2")].into_iter().collect(),
            },
            RemoteBlock {
                id: block_id(3),
                prefix: cidr("fd01::40/122"),
                via: [ip("fd00::2")].into_iter().collect(),
            },
        ],
    }
}

fn round(kernel: &FakeKernel, desired: &Desired, pods: &[PodRoute]) -> Outcome {
    let observed = kernel.state.lock().seen.clone();
    apply(kernel, &plan(desired, pods, &observed))
}

#[test]
fn an_empty_host_gets_everything_and_then_nothing() {
    let mut seen = host();
    seen.links.insert(
        link_name(7),
        Link {
            index: 9,
            mtu: 1500,
            pod: true,
        },
    );
    let kernel = FakeKernel::new(State {
        seen,
        ..State::default()
    });
    let pods = [PodRoute {
        id: port_id(7),
        link: link_name(7),
        addresses: vec![ip("10.1.0.5"), ip("fd01::5")],
        settled: true,
    }];
    let first = round(&kernel, &desired(), &pods);
    assert_eq!(first.exceptions, []);
    // Two switches, the gateway, a block of ours, two of others, two addresses of the pod.
    assert_eq!(first.writes, 8);
    let routes = kernel.state.lock().seen.routes.clone();
    let route = |text| routes[&RouteKey::ours(cidr(text))].clone();
    assert_eq!(
        route("10.1.0.0/26"),
        Route {
            target: Target::Unreachable,
            source: None
        }
    );
    let to_other = Route {
        target: Target::Via(ip("192.168.0.2")),
        source: Some(ip("192.168.0.1")),
    };
    assert_eq!(route("10.1.0.64/26"), to_other);
    let to_pod = Route {
        target: Target::Link(link_name(7)),
        source: Some(ip("fd00::1")),
    };
    assert_eq!(route("fd01::5/128"), to_pod);
    assert_eq!(round(&kernel, &desired(), &pods), Outcome::default());
}

#[test]
fn a_moved_block_is_replaced_in_place() {
    let kernel = FakeKernel::new(State {
        seen: host(),
        ..State::default()
    });
    round(&kernel, &desired(), &[]);
    let mut moved = desired();
    moved.remote_blocks[0].via = [ip("192.168.0.3")].into_iter().collect();
    let plan = plan(&moved, &[], &kernel.state.lock().seen);
    assert_eq!(plan.drop, []);
    assert_eq!(
        plan.put.iter().map(|p| (p.key.prefix, p.replace)).collect::<Vec<_>>(),
        [(cidr("10.1.0.64/26"), true)]
    );
}

#[test]
fn a_strangers_route_stays_and_the_object_says_why() {
    let key = RouteKey::ours(cidr("10.1.0.64/26"));
    let strangers = BTreeMap::from([(key, "by hand".to_owned())]);
    let kernel = FakeKernel::new(State {
        seen: host(),
        strangers,
        calls: 0,
    });
    let outcome = round(&kernel, &desired(), &[]);
    assert_eq!(outcome.exceptions.len(), 1);
    let (object, reason) = &outcome.exceptions[0];
    assert_eq!(*object, Object::Block(block_id(2)));
    assert!(
        reason.contains("10.1.0.64/26") && reason.contains("File exists"),
        "{reason}"
    );
    assert!(kernel.state.lock().strangers.contains_key(&key));
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

fn arbitrary_route() -> impl Strategy<Value = Route> {
    let target = prop_oneof![
        Just(Target::Unreachable),
        Just(Target::Strange),
        (2u8..6).prop_map(|n| Target::Via(IpAddr::from([192, 168, 0, n]))),
        (0u8..4).prop_map(|n| Target::Link(link_name(n))),
    ];
    (target, prop::option::of(Just(ip("192.168.0.1")))).prop_map(|(target, source)| Route { target, source })
}

/// Prefixes from a small world, so that wanted and found meet often.
fn arbitrary_prefix() -> impl Strategy<Value = Cidr> {
    prop_oneof![
        (0u8..4).prop_map(|n| Cidr::containing(IpAddr::from([10, 1, 0, n * 64]), 26).unwrap()),
        (0u8..4).prop_map(|n| Cidr::containing(IpAddr::from([10, 1, 0, n]), 32).unwrap()),
        (0u16..4).prop_map(|n| Cidr::containing(IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, n * 64]), 122).unwrap()),
    ]
}

prop_compose! {
    fn arbitrary_observed()(
        routes in prop::collection::btree_map(arbitrary_prefix(), arbitrary_route(), 0..6),
        other_table in any::<bool>(),
        links in prop::collection::btree_set(0u8..4, 0..4),
        gateway in any::<bool>(),
        forward in any::<[bool; 2]>(),
        addressed in any::<bool>(),
    ) -> Observed {
        let mut observed = host();
        for n in links {
            observed.links.insert(link_name(n), Link { index: 10 + u32::from(n), mtu: 1500, pod: true });
        }
        for (at, (prefix, route)) in routes.into_iter().enumerate() {
            let mut key = RouteKey::ours(prefix);
            if other_table && at == 0 { key.table = 100; }
            observed.routes.insert(key, route);
        }
        observed.gateway = gateway;
        observed.sysctls = Sysctl::ALL.into_iter().zip(forward).collect();
        if !addressed { observed.addresses.clear(); }
        observed
    }
}

prop_compose! {
    fn arbitrary_desired()(
        owners in prop::collection::vec(0u8..6, 4),
        owners6 in prop::collection::vec(0u8..6, 4),
        pods in prop::collection::btree_map(0u8..4, (0u8..4, prop::bool::weighted(0.8)), 0..4),
        complete in prop::bool::weighted(0.8),
    ) -> (Desired, Vec<PodRoute>) {
        let mut wanted = Desired { complete, own_blocks: vec![], remote_blocks: vec![], ..desired() };
        let v4 = owners.into_iter().enumerate().map(|(n, o)| (n, o, Cidr::containing(IpAddr::from([10, 1, 0, n as u8 * 64]), 26)));
        let v6 = owners6.into_iter().enumerate()
            .map(|(n, o)| (10 + n, o, Cidr::containing(IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, n as u16 * 64]), 122)));
        for (n, owner, prefix) in v4.chain(v6) {
            let (id, prefix) = (block_id(n as u8), prefix.unwrap());
            match owner {
                0 => {}
                1 => wanted.own_blocks.push(OwnBlock { id, prefix }),
                _ => {
                    let via = [IpAddr::from([192, 168, 0, owner]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(owner)])];
                    wanted.remote_blocks.push(RemoteBlock { id, prefix, via: via.into_iter().collect() });
                }
            }
        }
        let pods = pods.into_iter().map(|(n, (link, settled))| PodRoute {
            id: port_id(n), link: link_name(link), addresses: vec![IpAddr::from([10, 1, 0, n])], settled,
        }).collect();
        (wanted, pods)
    }
}

/// Strangers are never in a slot of ours in these worlds; the clash has a test of its own.
fn strangers() -> BTreeMap<RouteKey, String> {
    BTreeMap::from([
        (RouteKey::ours(cidr("0.0.0.0/0")), "default".into()),
        (RouteKey::ours(cidr("10.2.0.0/16")), "by hand".into()),
    ])
}

proptest! {
    #[test]
    fn planning_after_applying_is_empty((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        let kernel = FakeKernel::new(State { seen, strangers: strangers(), calls: 0 });
        round(&kernel, &wanted, &pods);
        let again = plan(&wanted, &pods, &kernel.state.lock().seen);
        prop_assert!(again.is_empty(), "{again:?}");
        prop_assert_eq!(&kernel.state.lock().strangers, &strangers());
    }

    #[test]
    fn one_failure_stops_nothing_else_and_the_next_round_ends_the_same(
        (wanted, pods) in arbitrary_desired(), seen in arbitrary_observed(), fail in 0usize..12,
    ) {
        let smooth = FakeKernel::new(State { seen: seen.clone(), ..State::default() });
        let all = round(&smooth, &wanted, &pods).writes;
        let mut rough = FakeKernel::new(State { seen, ..State::default() });
        rough.fail_at = Some(fail);
        let outcome = round(&rough, &wanted, &pods);
        prop_assert_eq!(outcome.writes, if fail < all { all - 1 } else { all });
        round(&rough, &wanted, &pods);
        prop_assert_eq!(&rough.state.lock().seen, &smooth.state.lock().seen);
    }

    #[test]
    fn a_round_cut_short_converges((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed(), cut in 0usize..12) {
        let smooth = FakeKernel::new(State { seen: seen.clone(), ..State::default() });
        round(&smooth, &wanted, &pods);
        let kernel = FakeKernel::new(State { seen: seen.clone(), ..State::default() });
        let mut half = plan(&wanted, &pods, &seen);
        half.put.truncate(cut);
        half.drop.truncate(cut.saturating_sub(half.put.len()));
        half.drop_links.clear();
        apply(&kernel, &half);
        round(&kernel, &wanted, &pods);
        prop_assert_eq!(&kernel.state.lock().seen, &smooth.state.lock().seen);
    }

    #[test]
    fn only_a_complete_state_takes_away((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        let plan = plan(&wanted, &pods, &seen);
        prop_assert!(wanted.complete || (plan.drop.is_empty() && plan.drop_links.is_empty()));
        for link in &plan.drop_links {
            prop_assert!(seen.links[link].pod && pods.iter().all(|pod| &pod.link != link));
        }
    }
}
