//! The agent's modules and the real plugin on real kernels: hosts are network namespaces.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod world;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use portolan_agent::plan::Object;
use serde_json::json;
use world::{Cluster, Sandbox, eventually, inside, ip, links, node_v4, node_v6, path_of, privileged};

/// A listener in a namespace.
fn listen(namespace: &str, address: IpAddr) -> TcpListener {
    inside(namespace, || TcpListener::bind((address, 8080)).unwrap())
}

/// Connects from a namespace and says who the listener saw.
fn seen_from(namespace: &str, listener: &TcpListener) -> IpAddr {
    let to = listener.local_addr().unwrap();
    let mut stream = connect(namespace, to).unwrap();
    let (mut accepted, peer) = listener.accept().unwrap();
    stream.write_all(b"ahoy").unwrap();
    let mut heard = [0; 4];
    accepted.read_exact(&mut heard).unwrap();
    accepted.write_all(&heard).unwrap();
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ahoy");
    peer.ip()
}

fn connect(namespace: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    inside(namespace, move || {
        TcpStream::connect_timeout(&to, Duration::from_secs(5))
    })
}

#[test]
fn pods_and_nodes_reach_pods_everywhere_with_their_own_addresses() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(3, true);
    let pods: Vec<Sandbox> = [1, 1, 2, 3].into_iter().map(|host| cluster.pod(host)).collect();
    for to in &pods {
        for (family, address) in to.addresses().into_iter().enumerate() {
            let listener = listen(to.name(), address);
            for from in pods.iter().filter(|from| from.name() != to.name()) {
                assert_eq!(
                    seen_from(from.name(), &listener),
                    from.addresses()[family],
                    "{from:?} to {address}",
                    from = from.name()
                );
            }
            // A program on a host's own network, to a pod there and to pods elsewhere.
            for number in 1..=3 {
                let node = if address.is_ipv4() {
                    node_v4(number)
                } else {
                    node_v6(number)
                };
                assert_eq!(
                    seen_from(&cluster.node(number).namespace.0, &listener),
                    node,
                    "host {number} to {address}"
                );
            }
        }
    }
    // And from a pod to a program on a host's network, here and elsewhere.
    for number in [1, 2] {
        let listener = listen(&cluster.node(number).namespace.0, node_v4(number));
        assert_eq!(seen_from(pods[0].name(), &listener), pods[0].addresses()[0]);
    }
}

#[test]
fn an_add_is_answered_as_the_specification_says() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let pod = cluster.pod(1);
    assert_eq!(
        pod.result,
        json!({
            "cniVersion": "1.0.0",
            "interfaces": [
                {"name": pod.link()},
                {"name": "eth0", "mac": "0a:58:0a:4d:01:00", "sandbox": path_of(pod.name())},
            ],
            "ips": [
                {"address": "10.77.1.0/32", "gateway": "169.254.1.1", "interface": 1},
                {"address": "fd77:10:0:1::/128", "gateway": "fe80::1", "interface": 1},
            ],
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}, {"dst": "::/0", "gw": "fe80::1"}],
            "dns": {},
        })
    );
    let shown = ip(&format!("-n {} addr show dev eth0", pod.name()));
    assert!(
        shown.contains("0a:58:0a:4d:01:00") && shown.contains("mtu 1500") && shown.contains("UP"),
        "{shown}"
    );
    let allocation = &cluster.node(1).pods.list().unwrap().allocations[0];
    assert_eq!(
        (allocation.pod_namespace.as_str(), allocation.pod_name.as_str()),
        ("shop", pod.name())
    );
    assert_eq!(allocation.link, pod.link());
    // Of version 1.1.0 the MTU is part.
    let other = cluster.sandbox(1);
    let result = cluster
        .node(1)
        .cni("ADD", &other, |c| c["cniVersion"] = json!("1.1.0"))
        .unwrap();
    assert_eq!(result["interfaces"][1]["mtu"], 1500);
}

#[test]
fn a_del_leaves_nothing_and_comes_twice() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let node = cluster.node(1);
    let before = node.our_routes();
    let pod = cluster.pod(1);
    assert_eq!(node.our_routes().len(), before.len() + 2);
    node.cni("DEL", &pod, |_| ()).unwrap();
    assert_eq!(node.our_routes(), before);
    assert_eq!(links(&node.namespace.0), ["lo", "eth0"]);
    assert_eq!(links(pod.name()), ["lo"]);
    // The second time containerd names no namespace and has no result.
    assert_eq!(node.cni_at("DEL", pod.name(), "", |_| ()), Ok(serde_json::Value::Null));
    assert_eq!(
        node.cni_at("DEL", "never-seen", "/run/netns/gone", |_| ()),
        Ok(serde_json::Value::Null)
    );
    assert_eq!(node.pods.list().unwrap().allocations, []);
    // With the sandbox gone first, the kernel has taken the link and the routes with it.
    let mut gone = cluster.pod(1);
    let name = gone.name().to_owned();
    drop(std::mem::replace(&mut gone.namespace, world::Namespace(String::new())));
    eventually("the link's end", || links(&node.namespace.0) == ["lo", "eth0"]);
    assert_eq!(
        node.cni_at("DEL", &name, path_of(&name).to_str().unwrap(), |_| ()),
        Ok(serde_json::Value::Null)
    );
    assert_eq!(node.our_routes(), before);
}

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
    assert_eq!((outcome.writes, outcome.exceptions), (3, vec![]));
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
    assert_eq!(node.host.converge(&desired).unwrap(), Default::default());
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
fn one_refusal_stops_nothing_else_and_says_why() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (node, host) = (cluster.node(1), &cluster.node(1).namespace.0);
    let mut desired = cluster.desired(1);
    let template = desired.remote_blocks[0];
    let block = |n: u8, prefix: &str, via: IpAddr| portolan_agent::plan::RemoteBlock {
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
        reasons[1].1.contains("File exists") && reasons[1].1.contains("left alone"),
        "{reasons:?}"
    );
    let routes = ip(&format!("-n {host} route show 10.77.4.0/26"));
    assert!(routes.contains("proto static"), "{routes}");
}

#[test]
fn a_check_tells_what_somebody_changed() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let node = cluster.node(1);
    let pod = cluster.pod(1);
    let check = |pod: &Sandbox| {
        let previous = pod.result.clone();
        node.cni("CHECK", pod, |config| config["prevResult"] = previous)
    };
    let complaint = |pod: &Sandbox, says: &str| {
        let error = check(pod).unwrap_err();
        assert_eq!(error["code"], 101, "{error}");
        assert!(error["msg"].as_str().unwrap().contains(says), "{error}");
        // The same ADD again mends it, with the same answer.
        assert_eq!(node.cni("ADD", pod, |_| ()).unwrap(), pod.result);
        check(pod).unwrap();
    };
    check(&pod).unwrap();
    let address = pod.addresses()[0];
    for (damage, says) in [
        (
            format!("-n {} addr del {address}/32 dev eth0", pod.name()),
            "lost the address",
        ),
        (format!("-n {} route del default", pod.name()), "IPv4 default route"),
        (format!("-n {} -6 route del default", pod.name()), "IPv6 default route"),
        (format!("-n {} link set eth0 down", pod.name()), "is down"),
        (format!("-n {} link del eth0", pod.name()), "has no interface"),
        (
            format!("-n {} route del {address}/32", node.namespace.0),
            "the host has lost",
        ),
    ] {
        ip(&damage);
        complaint(&pod, says);
    }
    let mut wrong = pod.result.clone();
    wrong["ips"][0]["address"] = json!("10.77.1.40/32");
    let error = node
        .cni("CHECK", &pod, |config| config["prevResult"] = wrong)
        .unwrap_err();
    assert!(error["msg"].as_str().unwrap().contains("prevResult"), "{error}");
    let stranger = cluster.sandbox(1);
    let error = node
        .cni("CHECK", &stranger, |config| config["prevResult"] = json!({}))
        .unwrap_err();
    assert_eq!(error["code"], 3, "{error}");
}

#[test]
fn refusals_have_the_codes_of_the_specification() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let node = cluster.node(1);
    let code = |answer: Result<serde_json::Value, serde_json::Value>| answer.unwrap_err()["code"].as_u64().unwrap();
    assert_eq!(code(node.cni_at("ADD", "c1", "/run/netns/ptlk-not-there", |_| ())), 4);
    let host = path_of(&node.namespace.0);
    assert_eq!(code(node.cni_at("ADD", "c1", host.to_str().unwrap(), |_| ())), 4);
    let sandbox = cluster.sandbox(1);
    assert_eq!(code(node.cni("ADD", &sandbox, |c| c["cniVersion"] = json!("0.3.1"))), 1);
    assert_eq!(
        code(node.cni("ADD", &sandbox, |c| c["ipam"] = json!({"type": "host-local"}))),
        2
    );
    ip(&format!(
        "-n {} link add eth0 type veth peer name other",
        sandbox.name()
    ));
    assert_eq!(code(node.cni("ADD", &sandbox, |_| ())), 4);
    let mut desired = cluster.desired(1);
    desired.own_blocks.clear();
    node.host.converge(&desired).unwrap();
    let sandbox = cluster.sandbox(1);
    assert_eq!(code(node.cni("ADD", &sandbox, |_| ())), 11);
    assert_eq!(code(node.cni("STATUS", &sandbox, |_| ())), 50);
    assert_eq!(node.pods.list().unwrap().allocations, []);
    assert_eq!(links(&node.namespace.0), ["lo", "eth0"]);
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
fn a_sandbox_that_went_without_a_del_is_freed_at_the_second_look() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let node = cluster.node(1);
    let kept = cluster.pod(1);
    drop(cluster.pod(1));
    assert_eq!(node.pods.reconcile_sandboxes().len(), 0);
    assert_eq!(node.pods.reconcile_sandboxes().len(), 1);
    let alive = node.pods.list().unwrap().allocations;
    assert_eq!(
        alive.iter().map(|a| a.pod_name.as_str()).collect::<Vec<_>>(),
        [kept.name()]
    );
}

#[test]
fn garbage_is_collected_but_for_what_is_named() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let node = cluster.node(1);
    let (kept, stale) = (cluster.pod(1), cluster.pod(1));
    let valid = json!([{"containerID": kept.name(), "ifname": "eth0"}]);
    node.cni("GC", &kept, |config| {
        config["cniVersion"] = json!("1.1.0");
        config["cni.dev/valid-attachments"] = valid;
    })
    .unwrap();
    let alive = node.pods.list().unwrap().allocations;
    assert_eq!(
        alive.iter().map(|a| a.pod_name.as_str()).collect::<Vec<_>>(),
        [kept.name()]
    );
    assert_eq!(links(stale.name()), ["lo"]);
}

#[test]
fn pods_that_start_together_get_addresses_of_their_own() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let sandboxes: Vec<Sandbox> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..24).map(|_| scope.spawn(|| cluster.pod(1))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut addresses: Vec<IpAddr> = sandboxes.iter().flat_map(Sandbox::addresses).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 48);
    let node = cluster.node(1);
    assert_eq!(node.host.converge(&cluster.desired(1)).unwrap(), Default::default());
    std::thread::scope(|scope| {
        for sandbox in &sandboxes {
            scope.spawn(|| node.cni("DEL", sandbox, |_| ()).unwrap());
        }
    });
    assert_eq!(
        node.our_routes().len(),
        2,
        "only the blocks' own: {:?}",
        node.our_routes()
    );
    assert_eq!(links(&node.namespace.0), ["lo", "eth0"]);
}

#[test]
fn an_address_that_no_pod_has_is_told_unreachable_at_once() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let host = &cluster.node(1).namespace.0;
    ip(&format!("-n {host} route add default via 192.168.77.2"));
    let pod = cluster.pod(1);
    for from in [host.as_str(), pod.name(), &cluster.node(2).namespace.0] {
        let error = connect(from, "10.77.1.60:8080".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::HostUnreachable,
            "from {from}: {error}"
        );
    }
}

#[test]
fn a_table_that_changes_while_it_is_read_is_read_whole() {
    use portolan_agent::kernel::{Kernel, RouteChange};
    use portolan_agent::plan::{Route, RouteKey, Target};
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
