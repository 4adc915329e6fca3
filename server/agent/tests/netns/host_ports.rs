//! Ports of a host that lead to its pods: by which ways, for whom, and until when.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portolan_shared::losses::LossKind;
use serde_json::{Value, json};

use crate::namespaces::{PATIENCE, eventually, inside, ip, path_of, privileged};
use crate::world::{Cluster, Node, Sandbox, node_v4, node_v6};
use crate::{connect, listen, seen_by};

/// Asks for host ports as containerd does.
fn with_ports(ports: Value) -> impl FnOnce(&mut Value) {
    move |config| config["runtimeConfig"] = json!({"portMappings": ports})
}

fn tcp(host: u16) -> Value {
    json!({"HostPort": host, "ContainerPort": 8080, "Protocol": "tcp", "HostIP": ""})
}

fn udp(host: u16) -> Value {
    json!({"HostPort": host, "ContainerPort": 5353, "Protocol": "udp", "HostIP": ""})
}

impl Cluster {
    fn pod_with(&self, number: u8, ports: Value) -> Sandbox {
        let mut sandbox = self.sandbox(number);
        sandbox.result = self.node(number).cni("ADD", &sandbox, with_ports(ports)).unwrap();
        sandbox
    }
}

impl Node {
    /// The packet filter, as `nft` shows it.
    fn filter(&self) -> String {
        let run = || nft().args(["list", "ruleset"]).output().unwrap();
        let output = inside(&self.namespace.0, run);
        String::from_utf8(output.stdout).unwrap()
    }

    fn nft(&self, line: &str) {
        let run = || nft().args(line.split_whitespace()).status().unwrap();
        assert!(inside(&self.namespace.0, run).success(), "nft {line}");
    }
}

/// Root's tools are off an ordinary user's path.
fn nft() -> Command {
    let by_path = Path::new("/usr/sbin/nft");
    Command::new(if by_path.is_file() { by_path } else { Path::new("nft") })
}

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

fn refused(namespace: &str, to: SocketAddr) -> bool {
    inside(namespace, move || {
        std::net::TcpStream::connect_timeout(&to, Duration::from_secs(2)).is_err()
    })
}

#[test]
fn a_host_port_leads_to_its_pod_from_everywhere() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, true);
    let pod = cluster.pod_with(1, json!([tcp(80)]));
    let (neighbour, other) = (cluster.pod(1), cluster.pod(2));
    let [host, outside] = [1, 2].map(|number| cluster.node(number).namespace.0.clone());
    for (family, address) in pod.addresses().into_iter().enumerate() {
        let listener = listen(pod.name(), address);
        let of = |number| match address {
            IpAddr::V4(_) => node_v4(number),
            IpAddr::V6(_) => node_v6(number),
        };
        let to = at(of(1), 80);
        // Everybody is seen with the own address.
        assert_eq!(seen_by(&outside, to, &listener), of(2), "from outside");
        assert_eq!(seen_by(&host, to, &listener), of(1), "from the node by its address");
        for from in [&neighbour, &other] {
            assert_eq!(
                seen_by(from.name(), to, &listener),
                from.addresses()[family],
                "from a pod"
            );
        }
        // The pod itself: the answer has to come back by the host.
        assert_eq!(seen_by(pod.name(), to, &listener), of(1), "from the pod itself");
        if address.is_ipv4() {
            let localhost = at([127, 0, 0, 1].into(), 80);
            assert_eq!(seen_by(&host, localhost, &listener), of(1), "by localhost");
        }
    }
    // What leaves the host for the same port elsewhere is not taken, nor is another port.
    let elsewhere = inside(&outside, || std::net::TcpListener::bind((node_v4(2), 80)).unwrap());
    assert_eq!(seen_by(pod.name(), at(node_v4(2), 80), &elsewhere), pod.addresses()[0]);
    assert!(refused(&outside, at(node_v4(1), 81)));
}

#[test]
fn datagrams_follow_the_pod_that_has_the_port_now() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let node = cluster.node(1);
    let client = inside(&cluster.node(2).namespace.0, || {
        UdpSocket::bind((node_v4(2), 4000)).unwrap()
    });
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let to = at(node_v4(1), 53);
    // Asked before there is anybody: the kernel remembers that this went to the host itself.
    client.send_to(b"early", to).unwrap();
    for _ in 0..2 {
        let pod = cluster.pod_with(1, json!([udp(53)]));
        let address = pod.addresses()[0];
        let server = inside(pod.name(), || UdpSocket::bind((address, 5353)).unwrap());
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        // The first answer may be the refusal of what was sent early.
        while client.send_to(b"now", to).is_err() {}
        let mut heard = [0; 8];
        let (length, from) = server.recv_from(&mut heard).unwrap();
        assert_eq!((&heard[..length], from), (&b"now"[..], at(node_v4(2), 4000)));
        server.send_to(b"answer", from).unwrap();
        let answer = loop {
            if let Ok((length, from)) = client.recv_from(&mut heard) {
                break (heard[..length].to_vec(), from);
            }
        };
        assert_eq!(answer, (b"answer".to_vec(), to), "it comes from where it was asked");
        node.cni("DEL", &pod, |_| ()).unwrap();
    }
    assert!(!node.filter().contains("5353"), "{}", node.filter());
}

#[test]
fn a_port_that_somebody_has_is_refused_by_name_before_the_pod_runs() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(1, false);
    let node = cluster.node(1);
    let first = cluster.pod_with(1, json!([tcp(80), udp(53)]));
    let refusal = |ports: Value| {
        let sandbox = cluster.sandbox(1);
        let error = node.cni("ADD", &sandbox, with_ports(ports)).unwrap_err();
        let left = ip(&format!("-n {} -o link show", sandbox.name()));
        assert!(!left.contains("eth0"), "{left}");
        assert!(!error["details"].as_str().unwrap().is_empty());
        (
            error["code"].as_u64().unwrap(),
            error["msg"].as_str().unwrap().to_owned(),
        )
    };
    let (code, msg) = refusal(json!([tcp(81), tcp(80)]));
    let named = format!(
        "host port 80/tcp of this node is taken by the pod shop/{}",
        first.name()
    );
    assert_eq!((code, msg), (102, named));
    // One address of all, and all of which one is taken, meet as well; another protocol does not.
    let of_one = json!([{"hostPort": 80, "containerPort": 80, "protocol": "tcp", "hostIP": "192.168.77.1"}]);
    assert_eq!(refusal(of_one).0, 102);
    drop(cluster.pod_with(1, json!([udp(80)])));

    // A program of the host.
    let listener = inside(&node.namespace.0, || {
        std::net::TcpListener::bind("127.0.0.1:22").unwrap()
    });
    let (code, msg) = refusal(json!([tcp(22)]));
    let own = format!("(process {})", std::process::id());
    assert!(code == 102 && msg.contains("22/tcp") && msg.ends_with(&own), "{msg}");
    drop(listener);
    let pod = cluster.pod_with(1, json!([tcp(22)]));
    // The same ADD again is answered the same, and CHECK finds all as it was made.
    let again = node.cni("ADD", &pod, with_ports(json!([tcp(22)]))).unwrap();
    assert_eq!(again, pod.result);
    let previous = pod.result.clone();
    node.cni("CHECK", &pod, |config| config["prevResult"] = previous)
        .unwrap();
    // An IPv6 address is of no use to a pod without one.
    let v6 = json!([{"hostPort": 90, "containerPort": 80, "protocol": "tcp", "hostIP": "::1"}]);
    let (code, msg) = refusal(v6);
    assert!(code == 2 && msg.contains("[::1]:90/tcp"), "{msg}");
}

#[test]
fn a_port_of_one_address_is_of_that_alone_and_goes_with_its_pod() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let node = cluster.node(1);
    let (host, outside) = (&node.namespace.0, &cluster.node(2).namespace.0);
    ip(&format!("-n {host} addr add 192.168.77.101/24 dev eth0"));
    let mapped = |address: &str| json!([{"hostPort": 80, "containerPort": 8080, "protocol": "tcp", "hostIP": address}]);
    let one = cluster.pod_with(1, mapped("192.168.77.1"));
    let two = cluster.pod_with(1, mapped("192.168.77.101"));
    let inward = cluster.pod_with(
        1,
        json!([{"hostPort": 81, "containerPort": 8080, "protocol": "tcp", "hostIP": "127.0.0.1"}]),
    );
    let listeners = [&one, &two, &inward].map(|pod| listen(pod.name(), pod.addresses()[0]));
    for (to, listener) in [("192.168.77.1:80", &listeners[0]), ("192.168.77.101:80", &listeners[1])] {
        assert_eq!(seen_by(outside, to.parse().unwrap(), listener), node_v4(2));
    }
    assert_eq!(
        seen_by(host, "127.0.0.1:81".parse().unwrap(), &listeners[2]),
        node_v4(1)
    );
    assert!(refused(outside, at(node_v4(1), 81)));
    // A pod must not reach what the host has for itself alone.
    let private = inside(host, || std::net::TcpListener::bind("127.0.0.1:9999").unwrap());
    ip(&format!(
        "-n {} route add 127.0.0.1 via 169.254.1.1 dev eth0 table 7",
        one.name()
    ));
    ip(&format!("-n {} rule add to 127.0.0.1 priority 0 table 7", one.name()));
    inside(one.name(), || {
        std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap()
    });
    private.set_nonblocking(true).unwrap();
    let from = one.addresses()[0];
    let reached = inside(one.name(), move || {
        let socket = std::net::TcpListener::bind((from, 0)).unwrap();
        drop(socket);
        std::net::TcpStream::connect_timeout(&"127.0.0.1:9999".parse().unwrap(), Duration::from_secs(2)).is_ok()
    });
    assert!(!reached && private.accept().is_err());

    // A flow that goes on when its pod ends does not reach whoever is next.
    let mut stream = connect(outside, at(node_v4(1), 80)).unwrap();
    let (_accepted, _) = listeners[0].accept().unwrap();
    node.cni("DEL", &one, |_| ()).unwrap();
    let flows = std::fs::read_to_string("/proc/self/net/nf_conntrack").unwrap_or_default();
    assert!(!flows.contains(&one.addresses()[0].to_string()));
    assert!(refused(outside, at(node_v4(1), 80)));
    use std::io::Write as _;
    let _sent = stream.write_all(b"still there?");
}

#[test]
fn what_others_take_out_of_the_packet_filter_is_put_back_and_a_restart_keeps_it() {
    if !privileged() {
        return;
    }
    let mut cluster = Cluster::new(2, false);
    let kept = cluster.keep(1);
    let pod = cluster.pod_with(1, json!([tcp(80)]));
    let listener = listen(pod.name(), pod.addresses()[0]);
    let outside = cluster.node(2).namespace.0.clone();
    let to = at(node_v4(1), 80);
    // A round has to have seen it.
    let before = cluster.node(1).filter();
    assert!(
        before.contains("table ip portolan") && before.contains("8080"),
        "{before}"
    );
    cluster.node(1).host.converge(&cluster.desired(1)).unwrap();
    cluster.node(1).nft("flush ruleset");
    kept.until_healed(LossKind::HostPorts, 1);
    assert_eq!(seen_by(&outside, to, &listener), node_v4(2));
    cluster
        .node(1)
        .nft("delete element ip portolan host-ports { tcp . 80 }");
    kept.until_healed(LossKind::HostPorts, 2);
    assert_eq!(seen_by(&outside, to, &listener), node_v4(2));
    drop(kept);

    // The pod ends without a DEL while no agent is there.
    let node = cluster.nodes.remove(0);
    drop(listener);
    drop(pod);
    let node = node.restart();
    cluster.nodes.insert(0, node);
    // The kernel takes a namespace away in its own time.
    eventually("the entry of a pod that ended is gone", || {
        cluster.node(1).host.converge(&cluster.desired(1)).unwrap();
        !cluster.node(1).filter().contains("8080")
    });
    assert!(cluster.node(1).filter().contains("table ip portolan"));
    // The port is free again.
    let next = cluster.pod_with(1, json!([tcp(80)]));
    let listener = listen(next.name(), next.addresses()[0]);
    assert_eq!(seen_by(&outside, to, &listener), node_v4(2));
    assert!(path_of(next.name()).exists());
}
