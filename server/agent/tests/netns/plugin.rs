//! Calls of the real plugin, as a runtime makes them.

use std::net::IpAddr;

use serde_json::json;

use crate::namespaces::{Namespace, eventually, ip, links, path_of, privileged, soon};
use crate::world::{Cluster, Sandbox};

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
fn older_versions_are_spoken_and_name_servers_passed_on() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let node = cluster.node(1);
    for version in ["0.3.0", "0.3.1", "0.4.0"] {
        let pod = cluster.sandbox(1);
        let result = node.cni("ADD", &pod, |config| {
            config["cniVersion"] = json!(version);
            config["runtimeConfig"] = json!({"dns": {"Servers": ["10.96.0.10"], "Searches": null}});
        });
        let result = result.unwrap();
        assert_eq!(
            (&result["cniVersion"], &result["interfaces"][1]["mtu"]),
            (&json!(version), &json!(null))
        );
        assert_eq!(
            (&result["ips"][0]["version"], &result["ips"][1]["version"]),
            (&json!("4"), &json!("6"))
        );
        assert_eq!(result["dns"], json!({"nameservers": ["10.96.0.10"]}));
        node.cni("CHECK", &pod, |config| {
            config["cniVersion"] = json!(version);
            config["prevResult"] = result.clone();
        })
        .unwrap();
        node.cni("DEL", &pod, |config| config["cniVersion"] = json!(version))
            .unwrap();
        assert_eq!(links(pod.name()), ["lo"]);
    }
    let pod = cluster.sandbox(1);
    let refused = node.cni("ADD", &pod, |config| {
        config["runtimeConfig"] = json!({"bandwidth": {"IngressRate": 10_000_000, "IngressBurst": 4_294_967_295_u32}});
    });
    assert_eq!(refused.unwrap_err()["code"], 2);
    assert_eq!(links(pod.name()), ["lo"]);
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
    drop(std::mem::replace(&mut gone.namespace, Namespace(String::new())));
    eventually("the link's end", || links(&node.namespace.0) == ["lo", "eth0"]);
    assert_eq!(
        node.cni_at("DEL", &name, path_of(&name).to_str().unwrap(), |_| ()),
        Ok(serde_json::Value::Null)
    );
    assert_eq!(node.our_routes(), before);
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
        (
            format!("-n {} link set {} down", node.namespace.0, pod.link()),
            "is down",
        ),
        (
            format!("-n {} addr del fe80::1/64 dev {}", node.namespace.0, pod.link()),
            "has lost the gateway fe80::1",
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
    assert_eq!(code(node.cni("ADD", &sandbox, |c| c["cniVersion"] = json!("0.2.0"))), 1);
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
fn what_a_pod_had_is_free_as_soon_as_its_namespace_ends_and_nobody_is_blamed() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, true);
    let (node, kept) = (cluster.node(1), cluster.keep(1));
    let (stays, ends) = (cluster.pod(1), cluster.pod(1));
    kept.until_well();
    drop(ends);
    soon("its addresses are free", || {
        let alive = node.pods.list().unwrap().allocations;
        alive.iter().map(|a| a.pod_name.as_str()).eq([stays.name()])
    });
    assert_eq!(kept.standing().losses, []);
    kept.until_well();
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
        3,
        "only the blocks' own, and that to the end of probes: {:?}",
        node.our_routes()
    );
    assert_eq!(links(&node.namespace.0), ["lo", "eth0"]);
}
