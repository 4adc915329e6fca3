//! Rounds of the host: what they write, what they leave alone, what they say.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use portolan_agent::kernel::{Kernel as _, Netlink, PodNamespace, RouteChange};
use portolan_plan::Object;
use portolan_sources::SystemStopwatch;

use crate::namespaces::{inside, ip, links, path_of, privileged};
use crate::world::{Cluster, node_v4};
use crate::{connect, listen};

#[test]
fn planning_again_writes_nothing_and_strangers_survive() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (node, host) = (cluster.node(1), &cluster.node(1).namespace.0);
    let _pods = [cluster.pod(1), cluster.pod(1)];
    let desired = cluster.desired(1);
    assert_eq!(node.host.converge(&desired).unwrap(), Default::default());
    // Strangers' routes, one of them inside of a block; a stranger's link; leftovers of ours.
    ip(&format!("-n {host} route add 10.99.0.0/16 via 192.168.77.2"));
    ip(&format!(
        "-n {host} route add 10.77.2.7/32 via 192.168.77.2 proto static"
    ));
    ip(&format!("-n {host} link add ptlother type veth peer name ptlpeer"));
    ip(&format!(
        "-n {host} link add ptl00000000abc type veth peer name strange"
    ));
    ip(&format!("-n {host} route add 10.77.9.0/26 via 192.168.77.2 proto 157"));
    ip(&format!(
        "-n {host} -6 route add fd77:10:0:9::/122 via fd77::2 proto 157 metric 50"
    ));
    let mut incomplete = desired.clone();
    incomplete.complete = false;
    assert_eq!(node.host.converge(&incomplete).unwrap().writes, 0);
    let outcome = node.host.converge(&desired).unwrap();
    assert_eq!(outcome.writes, 3);
    // What is inside of a block is named.
    let inside = portolan_shared::ids::BlockId::from_bytes([4; 16]);
    let objects: Vec<_> = outcome.exceptions.iter().map(|(object, _)| *object).collect();
    assert_eq!(objects, [Object::Block(inside)]);
    let routes = ip(&format!("-n {host} route show"));
    assert!(
        routes.contains("10.99.0.0/16") && routes.contains("10.77.2.7") && !routes.contains("10.77.9.0"),
        "{routes}"
    );
    let links = links(host);
    assert!(
        links.contains(&"ptlother".into()) && !links.contains(&"ptl00000000abc".into()),
        "{links:?}"
    );
    assert_eq!(node.host.converge(&desired).unwrap().writes, 0);
}

#[test]
fn what_is_lost_comes_back_and_what_moves_is_replaced() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let (node, host) = (cluster.node(1), &cluster.node(1).namespace.0);
    let pod = cluster.pod(1);
    let mut desired = cluster.desired(1);
    let routes = node.our_routes();
    ip(&format!("-n {host} addr del 169.254.1.1/32 dev lo"));
    ip(&format!("-n {host} route del 10.77.2.0/26"));
    ip(&format!("-n {host} route del {}/32", pod.addresses()[0]));
    ip(&format!("-n {host} -6 route del unreachable fd77:10:0:1::/122"));
    inside(host, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap());
    let outcome = node.host.converge(&desired).unwrap();
    assert_eq!((outcome.writes, outcome.exceptions), (5, vec![]));
    assert_eq!(node.our_routes(), routes);
    let moved = desired
        .remote_blocks
        .iter_mut()
        .find(|block| block.prefix.to_string() == "10.77.2.0/26")
        .unwrap();
    moved.via = [node_v4(9)].into_iter().collect();
    assert_eq!(node.host.converge(&desired).unwrap().writes, 1);
    assert!(
        node.our_routes()
            .iter()
            .any(|r| r.starts_with("10.77.2.0/26 via 192.168.77.9")),
        "{:?}",
        node.our_routes()
    );
}

#[test]
fn a_route_is_removed_only_where_it_leads_as_it_was_seen_to() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let host = &cluster.node(1).namespace.0;
    let kernel = Netlink::open_at(
        PodNamespace::open(&path_of(host)).unwrap(),
        Arc::new(SystemStopwatch::default()),
    );
    ip(&format!("-n {host} link add ptlabc type veth peer name ptlpeer"));
    ip(&format!("-n {host} link set ptlpeer up"));
    ip(&format!("-n {host} link set ptlabc up"));
    // Seen one way; then somebody puts another route into the slot, as a pod with the same address.
    let slots = [
        ("", "10.77.9.1/32", "dev ptlabc", "dev lo"),
        ("", "10.77.9.64/26", "via 192.168.77.2", "via 192.168.77.3"),
        ("-6 ", "fd77:10:0:9::1/128", "dev ptlabc", "dev lo"),
        ("-6 ", "fd77:10:0:9::40/122", "via fd77::2", "via fd77::3"),
    ];
    for (family, prefix, before, _) in slots {
        ip(&format!("-n {host} {family}route add {prefix} {before} proto 157"));
    }
    let drops = |kernel: &Netlink| -> Vec<RouteChange> {
        let routes = kernel.observe().unwrap().routes.into_iter();
        let of_the_test = routes.filter(|(key, _)| slots.iter().any(|slot| slot.1 == key.prefix.to_string()));
        of_the_test
            .map(|(key, route)| RouteChange::Drop { key, route })
            .collect()
    };
    let stale = drops(&kernel);
    assert_eq!(stale.len(), slots.len());
    for (family, prefix, _, after) in slots {
        ip(&format!("-n {host} {family}route del {prefix} proto 157"));
        ip(&format!("-n {host} {family}route add {prefix} {after} proto 157"));
    }
    assert!(kernel.change_routes(&stale).iter().all(Result::is_ok));
    let fresh = drops(&kernel);
    assert_eq!(fresh.len(), slots.len(), "the successors stay: {fresh:?}");
    assert!(kernel.change_routes(&fresh).iter().all(Result::is_ok));
    assert_eq!(drops(&kernel), []);
}

#[test]
fn one_refusal_stops_nothing_else_and_says_why() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (node, host) = (cluster.node(1), &cluster.node(1).namespace.0);
    let mut desired = cluster.desired(1);
    let template = desired.remote_blocks[0];
    let block = |n: u8, prefix: &str, via: IpAddr| portolan_plan::RemoteBlock {
        id: portolan_shared::ids::BlockId::from_bytes([n; 16]),
        prefix: prefix.parse().unwrap(),
        via: [via].into_iter().collect(),
    };
    ip(&format!(
        "-n {host} route add 10.77.4.0/26 via 192.168.77.2 proto static"
    ));
    desired.remote_blocks = vec![
        block(3, "10.77.3.0/26", "10.250.0.1".parse().unwrap()),
        block(4, "10.77.4.0/26", node_v4(2)),
        block(5, "10.77.5.0/26", node_v4(2)),
        template,
    ];
    let outcome = node.host.converge(&desired).unwrap();
    assert_eq!(outcome.writes, 1);
    let reasons: Vec<_> = outcome
        .exceptions
        .iter()
        .map(|(object, reason)| (*object, reason.as_str()))
        .collect();
    let about = |n: u8| Object::Block(portolan_shared::ids::BlockId::from_bytes([n; 16]));
    assert_eq!(
        reasons.iter().map(|(object, _)| *object).collect::<Vec<_>>(),
        [about(3), about(4)]
    );
    assert!(
        reasons[0].1.contains("10.77.3.0/26") && reasons[0].1.contains("overlay"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].1.contains("10.77.4.0/26: via 192.168.77.2 (proto static)") && reasons[1].1.contains("left alone"),
        "{reasons:?}"
    );
    let routes = ip(&format!("-n {host} route show 10.77.4.0/26"));
    assert!(routes.contains("proto static"), "{routes}");
}

#[test]
fn a_restarted_agent_writes_nothing_and_connections_live_on() {
    if !privileged() {
        return;
    }
    let mut cluster = Cluster::new(2, true);
    let (pod, other) = (cluster.pod(1), cluster.pod(2));
    let listener = listen(other.name(), other.addresses()[0]);
    let mut stream = connect(pod.name(), listener.local_addr().unwrap()).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    let before = cluster.node(1).our_routes();
    let node = cluster.nodes.remove(0).restart();
    cluster.nodes.insert(0, node);
    let node = cluster.node(1);
    assert_eq!(node.host.converge(&cluster.desired(1)).unwrap(), Default::default());
    assert_eq!(node.our_routes(), before);
    stream.write_all(b"still").unwrap();
    let mut heard = [0; 5];
    accepted.read_exact(&mut heard).unwrap();
    assert_eq!(node.cni("ADD", &pod, |_| ()).unwrap(), pod.result);
    let third = cluster.pod(1);
    assert!(
        third
            .addresses()
            .iter()
            .all(|address| !pod.addresses().contains(address))
    );
}

#[test]
fn a_table_that_changes_while_it_is_read_is_read_whole() {
    use portolan_agent::kernel::{Kernel, RouteChange};
    use portolan_plan::{Route, RouteKey, Target};
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let kernel = &cluster.node(1).kernel;
    let key = |third: u8, fourth: u8| RouteKey::ours_to(IpAddr::from([10, 200, third, fourth])).unwrap();
    let route = Route {
        target: Target::Unreachable,
        source: None,
    };
    let put = |key| RouteChange::Put {
        key,
        route: route.clone(),
        replace: false,
    };
    let stable: Vec<RouteKey> = (0..8)
        .flat_map(|third| (0..250).map(move |fourth| key(third, fourth)))
        .collect();
    let puts: Vec<RouteChange> = stable.iter().copied().map(put).collect();
    assert!(kernel.change_routes(&puts).iter().all(Result::is_ok));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flicker: Vec<RouteKey> = (100..110)
                .flat_map(|third| (0..20).map(move |fourth| key(third, fourth)))
                .collect();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let puts: Vec<RouteChange> = flicker.iter().copied().map(put).collect();
                kernel.change_routes(&puts);
                let drops: Vec<_> = flicker
                    .iter()
                    .map(|key| RouteChange::Drop {
                        key: *key,
                        route: route.clone(),
                    })
                    .collect();
                kernel.change_routes(&drops);
            }
        });
        let mut torn = 0;
        for _ in 0..50 {
            match kernel.observe() {
                Ok(observed) => assert!(
                    stable.iter().all(|key| observed.routes.contains_key(key)),
                    "a route was not seen"
                ),
                Err(_) => torn += 1,
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(torn < 50, "no round got through");
    });
}
