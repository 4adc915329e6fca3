//! A host whose kernel others write to, round by round.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{carry_out, cidr, desired, host, ip, link_name, pod_link, port_id};
use crate::{Desired, Foreign, Loss, Losses, Observed, PodRoute, RouteKey, Sysctl, plan};

/// A host that is kept, and the time there.
struct Kept {
    healing: Healing,
    losses: Losses,
    host: Observed,
    wanted: Desired,
    pods: Vec<PodRoute>,
    now: Duration,
    signals: Signals,
    /// By whom healing is paused.
    paused: Option<&'static str>,
}

/// What a round did.
struct Done {
    steps: usize,
    withheld: Vec<(Object, String)>,
    again: Option<Duration>,
    news: BTreeMap<LossKind, LossNews>,
    told: Vec<Loss>,
}

impl Kept {
    /// Everything is as wanted.
    fn new() -> Self {
        let pods = vec![PodRoute {
            id: Some(port_id(7)),
            link: link_name(7),
            addresses: vec![ip("10.1.0.5"), ip("fd01::5")],
            host_ports: Vec::new(),
            settled: true,
            probes: None,
        }];
        let mut host = host();
        host.links.insert(link_name(7), pod_link(9));
        let mut kept = Self {
            healing: Healing::default(),
            losses: Losses::default(),
            host,
            wanted: desired(),
            pods,
            now: Duration::from_secs(1000),
            signals: Signals::default(),
            paused: None,
        };
        let first = kept.round();
        assert!(first.steps > 0);
        assert_eq!(
            (first.news, first.told),
            (BTreeMap::new(), vec![]),
            "nothing is lost at the start"
        );
        kept
    }

    /// A round that the kernel refuses nothing in, and which takes a millisecond.
    fn round(&mut self) -> Done {
        self.round_with(|_| true)
    }

    fn round_with(&mut self, makes: impl Fn(&Change) -> bool) -> Done {
        let mut plan = plan(&self.wanted, &self.pods, &self.host, &Foreign::default());
        let signals = std::mem::take(&mut self.signals);
        let admitted = self.healing.admit(&mut plan, &signals, self.paused, self.now, self.now);
        self.now += Duration::from_millis(1);
        let (withheld, again) = (admitted.withheld.clone(), admitted.again);
        plan.steps.retain(|step| makes(&step.change) || !step.change.removes());
        let made: Vec<bool> = plan.steps.iter().map(|step| makes(&step.change)).collect();
        let mut carried = plan.clone();
        carried.steps.retain(|step| makes(&step.change));
        carry_out(&carried, &mut self.host);
        let steps = carried.steps.len();
        let excepted = !plan.unmet.is_empty() || !withheld.is_empty() || made.contains(&false);
        let news = self.healing.finish(plan, made, admitted, self.now);
        let open = news.values().any(|news| news.open > 0);
        assert!(
            excepted || !open,
            "what is not back is an exception, so that its ports say it: {news:?}"
        );
        let told = self.losses.round(&news, self.now.as_micros() as i64);
        Done {
            steps,
            withheld,
            again,
            news,
            told,
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn drop_route(&mut self, prefix: &str) {
        self.host.routes.remove(&RouteKey::ours(cidr(prefix))).unwrap();
    }
}

#[test]
fn a_loss_is_healed_at_once_and_told_once() {
    let mut kept = Kept::new();
    kept.drop_route("10.1.0.64/26");
    kept.drop_route("10.1.0.5/32");
    let round = kept.round();
    assert_eq!((round.steps, round.withheld.len()), (2, 0));
    let [loss] = round.told.as_slice() else {
        panic!("{:?}", round.told)
    };
    assert_eq!(
        (loss.kind, loss.objects, loss.back_after_ms),
        (LossKind::Routes, 2, Some(1))
    );
    assert_eq!((loss.today, loss.contested), (1, false));
    let quiet = kept.round();
    assert_eq!((quiet.steps, quiet.told.len()), (0, 0));
    kept.wait(600);
    kept.drop_route("10.1.0.64/26");
    assert_eq!(kept.round().told[0].today, 2);
    kept.wait(24 * 60 * 60);
    kept.drop_route("10.1.0.64/26");
    assert_eq!(kept.round().told[0].today, 1, "another day");
}

#[test]
fn what_is_wanted_otherwise_is_not_lost() {
    let mut kept = Kept::new();
    kept.wanted.remote_blocks[0].via = [ip("192.168.0.3")].into_iter().collect();
    let moved = kept.round();
    assert_eq!((moved.steps, moved.news), (1, BTreeMap::new()));
    kept.wanted.remote_blocks.clear();
    let dropped = kept.round();
    assert_eq!((dropped.steps, dropped.news), (2, BTreeMap::new()));
    // Lost and wanted otherwise at the same time is lost.
    let mut kept = Kept::new();
    kept.wanted.remote_blocks[0].via = [ip("192.168.0.3")].into_iter().collect();
    kept.drop_route("10.1.0.64/26");
    assert_eq!(kept.round().told.len(), 1);
}

#[test]
fn the_fourth_time_within_a_minute_is_contested_until_it_holds() {
    let mut kept = Kept::new();
    for _ in 0..3 {
        kept.drop_route("10.1.0.64/26");
        assert_eq!(kept.round().steps, 1);
        kept.wait(1);
    }
    kept.drop_route("10.1.0.64/26");
    kept.drop_route("10.1.0.5/32");
    let route = Item::Route(RouteKey::ours(cidr("10.1.0.64/26")));
    kept.signals.by.insert(route, "tool, process 7".to_owned());
    let fourth = kept.round();
    assert_eq!(fourth.steps, 1, "what nobody fights for is healed all the same");
    let [(object, said)] = fourth.withheld.as_slice() else {
        panic!("{:?}", fourth.withheld)
    };
    assert!(
        matches!(object, Object::Block(_))
            && said.contains("contested: the route 10.1.0.64/26")
            && said.contains("(tool, process 7)"),
        "{said}"
    );
    assert!(fourth.told[0].contested && fourth.told[0].back_after_ms.is_none());
    assert_eq!(fourth.told[0].by.as_deref(), Some("tool, process 7"));
    let again = fourth.again.unwrap();
    assert!(
        again < Duration::from_secs(60) && again > Duration::from_secs(55),
        "{again:?}"
    );
    kept.now += again;
    let due = kept.round();
    assert_eq!((due.steps, due.withheld.len()), (1, 0));
    assert!(due.told[0].contested && due.told[0].back_after_ms.unwrap() > 55_000);
    // Taken away again at once: still only once a minute.
    kept.drop_route("10.1.0.64/26");
    assert_eq!(kept.round().steps, 0);
    kept.wait(60);
    assert_eq!(kept.round().steps, 1);
    // It has held for a minute: it is like any other.
    kept.wait(61);
    kept.round();
    kept.drop_route("10.1.0.64/26");
    let healed = kept.round();
    assert_eq!((healed.steps, healed.told[0].contested), (1, false));
}

#[test]
fn forwarding_is_turned_on_again_once_a_day_then_only_named() {
    let mut kept = Kept::new();
    let off = |kept: &mut Kept| kept.host.sysctls.insert(Sysctl::ForwardV4, false);
    off(&mut kept);
    let once = kept.round();
    assert_eq!((once.steps, once.told[0].kind), (1, LossKind::Forwarding));
    kept.wait(3600);
    off(&mut kept);
    for _ in 0..3 {
        let named = kept.round();
        assert_eq!((named.steps, named.withheld.len()), (0, 1));
        assert!(
            named.withheld[0].1.contains("sysctl -w net.ipv4.ip_forward=1"),
            "{named:?}",
            named = named.withheld
        );
        kept.wait(3600);
    }
    // Somebody else turns it on: there is nothing to say, and the loss is over.
    kept.host.sysctls.insert(Sysctl::ForwardV4, true);
    let on = kept.round();
    assert_eq!((on.steps, on.withheld.len()), (0, 0));
    assert!(on.told[0].back_after_ms.is_some());
    kept.wait(24 * 3600);
    off(&mut kept);
    assert_eq!(kept.round().steps, 1);
}

#[test]
fn a_cause_is_seen_by_its_signs() {
    let kinds = |spoil: &dyn Fn(&mut Kept)| {
        let mut kept = Kept::new();
        spoil(&mut kept);
        let told = kept.round().told;
        told.into_iter()
            .map(|loss| (loss.kind, loss.objects))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&|kept| kept.host.gateway = false), [(LossKind::Gateway, 1)]);
    let uplink = |up| {
        move |kept: &mut Kept| {
            kept.host
                .routes
                .retain(|_, route| !matches!(route.target, Target::Via(_)));
            kept.host.links.get_mut("eth0").unwrap().up = up;
            kept.signals.links_down.insert("eth0".into());
        }
    };
    // Two routes; while it is down two addresses of the node have no link either.
    assert_eq!(kinds(&uplink(true)), [(LossKind::Uplink, 2)]);
    assert_eq!(kinds(&uplink(false)), [(LossKind::Uplink, 4)]);
    let pod = |kept: &mut Kept| {
        kept.host
            .routes
            .retain(|_, route| !matches!(route.target, Target::Link(_)));
        kept.host.links.get_mut(&link_name(7)).unwrap().up = false;
        kept.signals.links_down.insert(link_name(7));
    };
    assert_eq!(kinds(&pod), [(LossKind::PodLink, 3)]);
    let address = |kept: &mut Kept| {
        kept.host
            .routes
            .retain(|_, route| route.source != Some(ip("192.168.0.1")));
        kept.host.addresses.remove(&ip("192.168.0.1"));
    };
    // The address, the block of another node, the pod. With it back in no time the routes alone.
    assert_eq!(kinds(&address), [(LossKind::NodeAddress, 3)]);
    let flicker = |kept: &mut Kept| {
        address(kept);
        kept.host.addresses.insert(ip("192.168.0.1"), 2);
        kept.signals.addresses_gone.insert(ip("192.168.0.1"));
    };
    assert_eq!(kinds(&flicker), [(LossKind::NodeAddress, 2)]);
}

#[test]
fn a_loss_that_has_to_wait_ends_when_it_can() {
    let mut kept = Kept::new();
    kept.host
        .routes
        .retain(|_, route| !matches!(route.target, Target::Via(_)));
    kept.host.links.get_mut("eth0").unwrap().up = false;
    let down = kept.round();
    assert_eq!((down.steps, down.told[0].back_after_ms), (0, None));
    kept.wait(5);
    assert_eq!(kept.round().told, [], "told once");
    kept.host.links.get_mut("eth0").unwrap().up = true;
    let up = kept.round();
    assert_eq!((up.steps, up.told.len()), (2, 1));
    assert!(up.told[0].back_after_ms.unwrap() >= 5000);
}

#[test]
fn what_the_kernel_refuses_stays_lost() {
    let mut kept = Kept::new();
    kept.drop_route("10.1.0.64/26");
    let refused = kept.round_with(|change| !matches!(change, Change::PutRoute { .. }));
    assert_eq!((refused.told[0].objects, refused.told[0].back_after_ms), (1, None));
    let later = kept.round();
    assert_eq!((later.steps, later.told[0].objects), (1, 1));
    assert!(later.told[0].back_after_ms.is_some());
    // And what is not wanted any more is not lost any more either.
    kept.drop_route("10.1.0.64/26");
    kept.round_with(|change| !matches!(change, Change::PutRoute { .. }));
    kept.wanted.remote_blocks.remove(0);
    assert_eq!(kept.round().news.values().map(|news| news.open).sum::<usize>(), 0);
    assert!(kept.losses.list()[0].back_after_ms.is_some());
}

#[test]
fn what_others_make_with_our_mark_is_removed_as_seldom() {
    let mut kept = Kept::new();
    let stray = RouteKey::ours(cidr("10.9.0.0/26"));
    let route = Route {
        target: Target::Unreachable,
        source: None,
    };
    let removed: Vec<usize> = (0..5)
        .map(|_| {
            kept.host.routes.insert(stray, route.clone());
            kept.round().steps
        })
        .collect();
    assert_eq!(removed, [1, 1, 1, 0, 0]);
    let said = &kept.round().withheld[0];
    assert!(said.0 == Object::Leftover && said.1.contains("10.9.0.0/26"), "{said:?}");
}

proptest! {
    /// Whoever removes what, and when: each thing is put back at most three times in a minute, and what
    /// was not put back three times is there after every round.
    #[test]
    fn healing_is_prompt_and_does_not_fight(
        blows in prop::collection::vec((0u64..30, prop::collection::vec(0usize..4, 0..4)), 1..40),
    ) {
        let routes = ["10.1.0.0/26", "10.1.0.64/26", "fd01::40/122", "10.1.0.5/32"].map(cidr).map(RouteKey::ours);
        let mut kept = Kept::new();
        let mut heals: BTreeMap<RouteKey, Vec<Duration>> = BTreeMap::new();
        for (pause, targets) in blows {
            kept.wait(pause);
            for target in targets {
                kept.host.routes.remove(&routes[target]);
            }
            let gone: Vec<_> = routes.iter().filter(|key| !kept.host.routes.contains_key(key)).collect();
            let begin = kept.now;
            kept.round();
            for key in gone {
                let before = heals.entry(*key).or_default();
                let lately = before.iter().filter(|at| begin.saturating_sub(**at) < Duration::from_secs(60)).count();
                if kept.host.routes.contains_key(key) {
                    prop_assert!(lately < 3, "{key} was put back {lately} times within a minute");
                    before.push(kept.now);
                } else {
                    prop_assert!(lately > 0, "{key} was left although nobody contests it");
                }
            }
        }
        // Left in peace, everything is there.
        kept.wait(61);
        kept.round();
        prop_assert!(routes.iter().all(|key| kept.host.routes.contains_key(key)));
    }
}

#[test]
fn while_healing_is_paused_nothing_is_put_back_and_all_that_differs_is_said() {
    let mut kept = Kept::new();
    kept.paused = Some("is paused by anna");
    assert_eq!(kept.round().withheld, [], "nothing differs");
    let key = *kept.host.routes.keys().next().unwrap();
    kept.host.routes.remove(&key);
    for _ in 0..2 {
        let round = kept.round();
        assert_eq!((round.steps, round.again), (0, None));
        let [(_, words)] = &round.withheld[..] else {
            panic!("{:?}", round.withheld)
        };
        assert_eq!(
            *words,
            format!(
                "{key} is not as it is to be, and is left so: healing is paused by anna; portolan-agent resume ends that"
            )
        );
    }
    assert_eq!(kept.losses.list()[0].back_after_ms, None, "it is a loss all the same");
    kept.paused = None;
    let resumed = kept.round();
    assert_eq!((resumed.steps, resumed.withheld), (1, vec![]));
    assert!(kept.losses.list()[0].back_after_ms.is_some());
}
