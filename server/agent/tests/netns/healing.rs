//! The host is watched: what others take away is put back at once, and said.

use std::net::IpAddr;
use std::sync::Arc;

use portolan_agent::converge::Subject;
use portolan_agent::kernel::{Kernel as _, Netlink, PodNamespace, RouteChange};
use portolan_plan::{Event, Route, RouteKey, Signals, Target};
use portolan_shared::ids::BlockId;
use portolan_shared::losses::LossKind;
use portolan_sources::SystemStopwatch;

use crate::namespaces::{inside, ip, path_of, privileged, soon};
use crate::world::{Cluster, Sandbox, node_id, node_v4, node_v6};
use crate::{listen, seen_from};

/// Everything is as it was before it was damaged.
fn all_back(cluster: &Cluster, before: &[String]) {
    let node = cluster.node(1);
    soon("all routes are back", || node.our_routes() == before);
}

/// Whether two pods reach each other in all families.
fn reach(from: &Sandbox, to: &Sandbox) {
    for (mine, theirs) in from.addresses().into_iter().zip(to.addresses()) {
        let listener = listen(to.name(), theirs);
        assert_eq!(seen_from(from.name(), &listener), mine);
    }
}

#[test]
fn flushed_routes_come_back() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (here, there) = (cluster.pod(1), cluster.pod(2));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    assert_eq!(before.len(), 7);
    ip(&format!("-n {host} -4 route flush proto 157"));
    let loss = kept.until_healed(LossKind::Routes, 1);
    assert_eq!((loss.objects, loss.contested), (4, false), "{loss:?}");
    ip(&format!("-n {host} -6 route flush proto 157"));
    assert_eq!(kept.until_healed(LossKind::Routes, 2).objects, 3);
    all_back(&cluster, &before);
    reach(&here, &there);
    assert_eq!(kept.standing().exceptions, []);
}

#[test]
fn the_gateway_and_forwarding_come_back() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (here, there) = (cluster.pod(1), cluster.pod(2));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    ip(&format!("-n {host} addr del 169.254.1.1/32 dev lo"));
    assert_eq!(kept.until_healed(LossKind::Gateway, 1).objects, 1);
    let off = |path: &str| inside(host, || std::fs::write(path, "0").unwrap());
    off("/proc/sys/net/ipv4/ip_forward");
    assert_eq!(kept.until_healed(LossKind::Forwarding, 1).objects, 1);
    off("/proc/sys/net/ipv6/conf/all/forwarding");
    assert_eq!(kept.until_healed(LossKind::Forwarding, 2).objects, 1);
    reach(&here, &there);
    assert_eq!(kept.standing().exceptions, []);
    // Who turns it off again means it.
    off("/proc/sys/net/ipv4/ip_forward");
    kept.until_said(Subject::Node(node_id(1)), "sysctl -w net.ipv4.ip_forward=1");
    let read = || {
        inside(host, || {
            std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap()
        })
    };
    assert_eq!(read().trim(), "0");
    inside(host, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    kept.until_well();
}

#[test]
fn routes_that_went_with_the_nodes_link_come_back_with_it() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (here, there) = (cluster.pod(1), cluster.pod(2));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    ip(&format!("-n {host} link set eth0 down"));
    let own = Subject::Node(node_id(1));
    kept.until_said(own, "eth0 with the node's address 192.168.77.1 is down");
    ip(&format!("-n {host} link set eth0 up"));
    // A kernel takes IPv6 addresses away with their link, and does not bring them back.
    kept.until_said(own, "no longer has fd77::1; it has no IPv6 address");
    assert_eq!(
        kept.until_healed(LossKind::Uplink, 1).objects,
        2,
        "the link and the IPv4 route"
    );
    ip(&format!("-n {host} addr add {}/64 dev eth0 nodad", node_v6(1)));
    kept.until_well();
    kept.until_healed(LossKind::NodeAddress, 1);
    all_back(&cluster, &before);
    reach(&here, &there);
}

#[test]
fn a_link_that_goes_down_for_a_moment_is_not_missed() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (here, there) = (cluster.pod(1), cluster.pod(2));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(batch.path(), "link set eth0 down\nlink set eth0 up\n").unwrap();
    ip(&format!("-n {host} -batch {}", batch.path().display()));
    kept.until_healed(LossKind::Uplink, 1);
    kept.until_well();
    all_back(&cluster, &before);
    reach(&here, &there);
}

#[test]
fn a_pods_link_is_set_up_again_with_everything_on_it() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let (pod, other) = (cluster.pod(1), cluster.pod(1));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    let link = pod.link();
    ip(&format!("-n {host} link set {link} down"));
    let loss = kept.until_healed(LossKind::PodLink, 1);
    assert_eq!(loss.objects, 3, "the link and two routes");
    all_back(&cluster, &before);
    reach(&other, &pod);
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(batch.path(), format!("link set {link} down\nlink set {link} up\n")).unwrap();
    ip(&format!("-n {host} -batch {}", batch.path().display()));
    kept.until_healed(LossKind::PodLink, 2);
    all_back(&cluster, &before);
    reach(&other, &pod);
    ip(&format!("-n {host} addr del fe80::1/64 dev {link}"));
    assert_eq!(kept.until_healed(LossKind::PodLink, 3).objects, 1);
    reach(&pod, &other);
    assert_eq!(kept.standing().exceptions, []);
}

#[test]
fn a_pods_link_that_is_gone_is_said_until_it_is_made_again() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let (pod, other) = (cluster.pod(1), cluster.pod(1));
    let (node, kept) = (cluster.node(1), cluster.keep(1));
    let before = node.our_routes();
    let allocations = node.pods.list().unwrap().allocations;
    let id = allocations.iter().find(|a| a.link == pod.link()).unwrap().id;
    ip(&format!("-n {} link del {}", node.namespace.0, pod.link()));
    kept.until_said(Subject::Port(id), "is gone");
    assert_eq!(node.cni("ADD", &pod, |_| ()).unwrap(), pod.result);
    kept.until_well();
    kept.until_healed(LossKind::PodLink, 1);
    all_back(&cluster, &before);
    reach(&other, &pod);
}

#[test]
fn without_the_nodes_address_the_node_says_so_and_its_pods_go_on() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (here, neighbour, there) = (cluster.pod(1), cluster.pod(1), cluster.pod(2));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    ip(&format!("-n {host} addr add 192.168.77.55/24 dev eth0"));
    // The subnet's first address takes its others along.
    inside(host, || {
        std::fs::write("/proc/sys/net/ipv4/conf/eth0/promote_secondaries", "1").unwrap()
    });
    ip(&format!("-n {host} addr del {}/24 dev eth0", node_v4(1)));
    kept.until_said(
        Subject::Node(node_id(1)),
        "no longer has 192.168.77.1; it has 192.168.77.55.",
    );
    soon("pods of the node reach each other", || {
        cluster.node(1).our_routes().len() == 4
    });
    reach(&here, &neighbour);
    ip(&format!("-n {host} addr add {}/24 dev eth0", node_v4(1)));
    kept.until_well();
    // The address and four routes: to the block, the pods, and the end of probes.
    assert_eq!(kept.until_healed(LossKind::NodeAddress, 1).objects, 5);
    all_back(&cluster, &before);
    reach(&here, &there);
}

#[test]
fn an_address_that_is_taken_for_a_moment_costs_nothing() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (here, there) = (cluster.pod(1), cluster.pod(2));
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    // As systemd-networkd does at each restart.
    let (v4, v6) = (node_v4(1), node_v6(1));
    let lines = format!(
        "addr del {v4}/24 dev eth0\naddr add {v4}/24 dev eth0\n\
         addr del {v6}/64 dev eth0\naddr add {v6}/64 dev eth0 nodad\n"
    );
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(batch.path(), lines).unwrap();
    ip(&format!("-n {host} -batch {}", batch.path().display()));
    kept.until_healed(LossKind::NodeAddress, 1);
    all_back(&cluster, &before);
    kept.until_well();
    reach(&here, &there);
}

#[test]
fn what_is_taken_away_again_and_again_is_contested_and_the_rest_is_not() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (host, kept) = (&cluster.node(1).namespace.0, cluster.keep(1));
    let before = cluster.node(1).our_routes();
    for nth in 1..=3 {
        ip(&format!("-n {host} route del 10.77.2.0/26"));
        kept.until_healed(LossKind::Routes, nth);
    }
    ip(&format!("-n {host} route del 10.77.2.0/26"));
    let block = Subject::Block(BlockId::from_bytes([4; 16]));
    let standing = kept.until_said(block, "contested: the route 10.77.2.0/26");
    assert!(standing.losses[0].contested && standing.losses[0].back_after_ms.is_none());
    ip(&format!("-n {host} route del unreachable 10.77.1.0/26"));
    soon("the other route is back", || {
        cluster.node(1).our_routes().len() == before.len() - 1
    });
    kept.until_said(block, "contested");
}

#[test]
fn while_healing_is_paused_nothing_is_put_back_and_all_is_said() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (here, there) = (cluster.pod(1), cluster.pod(2));
    let (node, kept) = (cluster.node(1), cluster.keep(1));
    let host = &node.namespace.0;
    let before = node.our_routes();
    let program = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portolan-agent"));
        let done = command.args(words).arg("--state-dir").arg(node.state_dir()).status();
        assert!(done.unwrap().success());
    };
    program(&["pause", "--by", "anna"]);
    kept.until("the pause", |standing| {
        standing.paused.as_ref().is_some_and(|paused| paused.by == "anna")
    });
    // It outlives the agent.
    drop(kept);
    let kept = cluster.keep(1);
    ip(&format!("-n {host} route del 10.77.2.0/26"));
    let block = Subject::Block(BlockId::from_bytes([4; 16]));
    kept.until_said(block, "the route 10.77.2.0/26 is not as it is to be");
    let standing = kept.until_said(block, "is left so: healing is paused by anna");
    assert_eq!(standing.losses[0].back_after_ms, None);
    assert_eq!(standing.exceptions[0].attempts, 0, "nothing is tried");
    assert_eq!(node.our_routes().len(), before.len() - 1);
    // Pods begin all the same.
    let more = cluster.pod(1);
    reach(&here, &more);
    program(&["resume"]);
    kept.until_healed(LossKind::Routes, 1);
    kept.until("the end of the pause", |standing| standing.paused.is_none());
    kept.until_well();
    reach(&here, &there);
}

#[test]
fn what_others_have_in_the_way_is_named_and_left_alone() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let pod = cluster.pod(1);
    let (node, kept) = (cluster.node(1), cluster.keep(1));
    let host = &node.namespace.0;
    let (v4, v6) = (BlockId::from_bytes([4; 16]), BlockId::from_bytes([5; 16]));
    let id = node.pods.list().unwrap().allocations[0].id;
    let address = pod.addresses()[0];
    for (there, gone, subject, words) in [
        (
            "route add 10.77.2.7/32 via 192.168.77.2 proto static".to_owned(),
            "route del 10.77.2.7/32".to_owned(),
            Subject::Block(v4),
            "10.77.2.7/32 takes a part of 10.77.2.0/26",
        ),
        (
            // Bird's metric.
            "-6 route add fd77:10:0:2::/122 via fd77::2 proto bird metric 32".to_owned(),
            "-6 route del fd77:10:0:2::/122 metric 32".to_owned(),
            Subject::Block(v6),
            "has the place",
        ),
        (
            "route replace 10.77.2.0/26 via 192.168.77.2 proto static".to_owned(),
            "route del 10.77.2.0/26 proto static".to_owned(),
            Subject::Block(v4),
            "has the place of the route to 10.77.2.0/26: via 192.168.77.2 (proto static)",
        ),
        (
            format!("addr add {address}/32 dev eth0"),
            format!("addr del {address}/32 dev eth0"),
            Subject::Port(id),
            "is an address of this host too (on eth0)",
        ),
    ] {
        let before = node.our_routes();
        ip(&format!("-n {host} {there}"));
        kept.until_said(subject, words);
        ip(&format!("-n {host} {gone}"));
        kept.until_well();
        all_back(&cluster, &before);
    }
}

/// A kernel of its own on the same host, as another program is.
fn stranger(host: &str) -> Netlink {
    let namespace = PodNamespace::open(&path_of(host)).unwrap();
    Netlink::open_at(namespace, Arc::new(SystemStopwatch::default()))
}

#[test]
fn of_what_the_agent_does_itself_nothing_calls_for_a_round() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (node, desired) = (cluster.node(1), cluster.desired(1));
    let host = &node.namespace.0;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut watch = node.kernel.watch().unwrap();
        // Rounds that write, pods that come and go.
        let mut less = desired.clone();
        less.remote_blocks.clear();
        for wanted in [&less, &desired, &less, &desired] {
            assert!(node.host.converge(wanted).unwrap().writes > 0);
        }
        for _ in 0..3 {
            let pod = cluster.pod(1);
            node.cni("DEL", &pod, |_| ()).unwrap();
        }
        let sentinel: IpAddr = "192.168.99.9".parse().unwrap();
        ip(&format!("-n {host} addr add {sentinel}/32 dev lo"));
        let mut called = Vec::new();
        loop {
            let news = watch.next().await;
            if matches!(news.event, Event::Address { address, .. } if address == sentinel) {
                break;
            }
            if Signals::default().note(news.clone(), &desired) {
                called.push(news);
            }
        }
        assert_eq!(called, []);
    });
}

#[test]
fn news_that_are_lost_are_told_as_such() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let other = stranger(&cluster.node(1).namespace.0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut watch = cluster.node(1).kernel.watch().unwrap();
        let route = Route {
            target: Target::Unreachable,
            source: None,
        };
        let put = |n: u32| RouteChange::Put {
            key: RouteKey::ours_to(IpAddr::from((0x0ac8_0000 + n).to_be_bytes())).unwrap(),
            route: route.clone(),
            replace: false,
        };
        // More than the buffer holds, and nobody reads.
        let puts: Vec<RouteChange> = (0..40_000).map(put).collect();
        assert!(other.change_routes(&puts).iter().all(Result::is_ok));
        while watch.next().await.event != Event::Overrun {}
        // It goes on hearing.
        ip(&format!(
            "-n {} addr add 192.168.99.9/32 dev lo",
            cluster.node(1).namespace.0
        ));
        let sentinel: IpAddr = "192.168.99.9".parse().unwrap();
        let told = Event::Address {
            address: sentinel,
            gone: false,
        };
        while watch.next().await.event != told {}
    });
}
