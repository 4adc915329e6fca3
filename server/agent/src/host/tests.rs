//! Rounds on a kernel in memory that can refuse.

use std::collections::BTreeMap;
use std::path::Path;

use portolan_plan::testing::{
    arbitrary_desired, arbitrary_observed, block_id, cidr, desired, drop_link, host, ip, link_name, pod_link, port_id,
};
use portolan_plan::{ForeignRoute, Link, PodRoute, Route, RouteKey, Target};
use portolan_sources::testing::{MemoryFiles, OnTheSpot, SeededRandom, SetClock};
use portolan_sources::{Files as _, Ids};
use proptest::prelude::*;

use super::*;
use crate::kernel::fake::{FakeKernel, State};

fn round(kernel: &FakeKernel, desired: &Desired, pods: &[PodRoute]) -> Outcome {
    let observed = kernel.state.lock().seen.clone();
    let foreign = kernel.state.lock().foreign.clone();
    apply(kernel, &plan(desired, pods, &observed, &foreign), &[]).0
}

#[test]
fn an_empty_host_gets_everything_and_then_nothing() {
    let mut seen = host();
    seen.links.insert(link_name(7), pod_link(9));
    let kernel = FakeKernel::new(State {
        seen,
        ..State::default()
    });
    let pods = [PodRoute {
        id: Some(port_id(7)),
        link: link_name(7),
        addresses: vec![ip("10.1.0.5"), ip("fd01::5")],
        host_ports: Vec::new(),
        settled: true,
        probes: None,
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
fn a_strangers_route_stays_and_the_object_says_why() {
    let key = RouteKey::ours(cidr("10.1.0.64/26"));
    let strangers = BTreeMap::from([(key, "by hand".to_owned())]);
    let kernel = FakeKernel::new(State {
        seen: host(),
        strangers,
        ..State::default()
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

/// Strangers are never in a slot of ours in these worlds; the clash has a test of its own.
fn strangers() -> BTreeMap<RouteKey, String> {
    BTreeMap::from([
        (RouteKey::ours(cidr("0.0.0.0/0")), "default".into()),
        (RouteKey::ours(cidr("10.2.0.0/16")), "by hand".into()),
    ])
}

proptest! {
    #[test]
    fn a_second_round_has_nothing_to_do((wanted, pods) in arbitrary_desired(), seen in arbitrary_observed()) {
        let kernel = FakeKernel::new(State { seen, strangers: strangers(), ..State::default() });
        round(&kernel, &wanted, &pods);
        let again = plan(&wanted, &pods, &kernel.state.lock().seen, &Foreign::default());
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
        // What was refused, and the routes of up to four pods where it was their link.
        let refused = all - outcome.writes;
        prop_assert!(if fail < all { (1..=5).contains(&refused) } else { refused == 0 }, "{refused}");
        round(&rough, &wanted, &pods);
        prop_assert_eq!(&rough.state.lock().seen, &smooth.state.lock().seen);
    }
}

/// An agent's host that begins with this kernel and an empty disk.
fn host_on(kernel: &Arc<FakeKernel>, disk: &MemoryFiles) -> Host {
    disk.make_folder(Path::new("/state")).unwrap();
    let ids = Ids::new(Arc::new(SetClock::at(0)), Arc::new(SeededRandom::new(1)));
    let pods = Pods::open(
        disk,
        Path::new("/state/pods.log"),
        kernel.clone(),
        ids,
        Arc::new(OnTheSpot),
    )
    .unwrap();
    Host::new(kernel.clone(), Arc::new(pods))
}

/// A host that is in memory, without pods, as wanted after a first round.
fn kept() -> (Arc<FakeKernel>, Host) {
    let kernel = Arc::new(FakeKernel::new(State {
        seen: host(),
        ..State::default()
    }));
    let host = host_on(&kernel, &MemoryFiles::default());
    let first = host.converge(&desired()).unwrap();
    assert_eq!(
        (first.writes, first.exceptions, first.losses),
        (7, vec![], BTreeMap::new())
    );
    (kernel, host)
}

#[test]
fn a_pod_whose_record_is_lost_is_kept_and_the_node_says_so() {
    let (kernel, host) = kept();
    let desired = desired();
    drop(host);
    // Its link and one of its routes are there, and somebody has set the link down.
    let down = Link {
        up: false,
        gateway: false,
        ..pod_link(9)
    };
    let key = |text| RouteKey::ours(cidr(text));
    let route = Route {
        target: Target::Link(link_name(7)),
        source: Some(ip("192.168.0.1")),
    };
    {
        let mut state = kernel.state.lock();
        state.seen.links.insert(link_name(7), down);
        state.seen.routes.insert(key("10.1.0.5/32"), route.clone());
    }
    let host = host_on(&kernel, &MemoryFiles::default());
    let outcome = host.converge(&desired).unwrap();
    assert_eq!((outcome.writes, outcome.applied), (1, vec![]), "it is set up again");
    let [(Object::Host, said)] = outcome.exceptions.as_slice() else {
        panic!("{:?}", outcome.exceptions)
    };
    assert!(said.contains("10.1.0.5 is held"), "{said}");
    // What it loses comes back, as any pod's; other reasons of the host are said beside.
    {
        let mut state = kernel.state.lock();
        assert!(state.seen.links[&link_name(7)].up);
        state.seen.routes.remove(&key("10.1.0.5/32"));
        state.seen.sysctls.clear();
    }
    let outcome = host.converge(&desired).unwrap();
    assert_eq!((outcome.writes, outcome.exceptions.len()), (1, 1));
    let said = &outcome.exceptions[0].1;
    assert!(
        said.contains("ip_forward") && said.contains("10.1.0.5 is held"),
        "{said}"
    );
    assert_eq!(kernel.state.lock().seen.routes[&key("10.1.0.5/32")], route);
    // It ends.
    drop_link(&mut kernel.state.lock().seen, &link_name(7));
    let said = host.converge(&desired).unwrap().exceptions[0].1.clone();
    assert!(!said.contains("held"), "{said}");
}

#[test]
fn a_node_whose_disk_is_full_says_so_until_it_is_not() {
    let (kernel, disk) = (Arc::new(FakeKernel::default()), MemoryFiles::default());
    disk.make_folder(Path::new("/state")).unwrap();
    // Torn, it has to be written anew.
    disk.replace(Path::new("/state/pods.log"), b"torn", 0o600).unwrap();
    disk.fail_replaces(2);
    kernel.state.lock().seen = host();
    let host = host_on(&kernel, &disk);
    let said = host.converge(&desired()).unwrap().exceptions;
    let [(Object::Host, said)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(
        said.starts_with("cannot write /state/pods.log: ") && said.contains("Make room"),
        "{said}"
    );
    assert_eq!(host.converge(&desired()).unwrap().exceptions, []);
}

#[test]
fn what_others_have_is_read_again_once_that_is_announced() {
    let (kernel, host) = kept();
    kernel.state.lock().foreign.routes = vec![ForeignRoute {
        key: RouteKey::ours(cidr("10.1.0.70/32")),
        protocol: 4,
        towards: "via 192.168.0.9".into(),
    }];
    let round = |signals: &Signals| host.round(&desired(), signals, None, None).unwrap().exceptions;
    assert_eq!(round(&Signals::default()), [], "it costs a reading of the table");
    let named = round(&Signals::everything());
    assert_eq!(named[0].0, Object::Block(block_id(2)));
    assert_eq!(round(&Signals::default()), named, "it is still there");
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_counted_from_its_first_sign_and_contested_in_the_end() {
    let (kernel, host) = kept();
    let key = RouteKey::ours(cidr("10.1.0.64/26"));
    for nth in 1..=4 {
        kernel.state.lock().seen.routes.remove(&key).unwrap();
        let since = Instant::now();
        tokio::time::advance(Duration::from_millis(2)).await;
        let outcome = host.round(&desired(), &Signals::default(), Some(since), None).unwrap();
        let news = &outcome.losses[&LossKind::Routes];
        assert_eq!(news.lost, 1);
        if nth <= 3 {
            assert_eq!((outcome.writes, news.open, outcome.exceptions.len()), (1, 0, 0));
            assert_eq!(news.away, Duration::from_millis(2));
        } else {
            assert_eq!((outcome.writes, news.open, news.contested), (0, 1, true));
            assert_eq!(outcome.exceptions[0].0, Object::Block(block_id(2)));
            assert!(outcome.again.is_some_and(|again| again <= Duration::from_secs(60)));
        }
    }
}
