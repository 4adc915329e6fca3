//! Packets: who reaches whom, and with which source.

use std::net::{IpAddr, UdpSocket};

use crate::namespaces::{PATIENCE, inside, ip, privileged};
use crate::world::{Cluster, Sandbox, node_v4, node_v6};
use crate::{connect, listen, seen_from};

#[test]
fn a_pod_cannot_send_with_anothers_address() {
    if !privileged() {
        return;
    }
    let cluster = Cluster::new(2, false);
    let (liar, victim, other) = (cluster.pod(1), cluster.pod(1), cluster.pod(2));
    let stolen = victim.addresses()[0];
    ip(&format!("-n {} addr add {stolen}/32 dev eth0", liar.name()));
    let socket =
        |address: IpAddr, namespace: &str| inside(namespace, move || UdpSocket::bind((address, 9000)).unwrap());
    let listener = socket(other.addresses()[0], other.name());
    let to = listener.local_addr().unwrap();
    socket(stolen, liar.name()).send_to(b"stolen", to).unwrap();
    // What is sent honestly afterwards arrives, and nothing before it.
    socket(liar.addresses()[0], liar.name()).send_to(b"honest", to).unwrap();
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = [0; 16];
    let (length, from) = listener.recv_from(&mut heard).unwrap();
    assert_eq!((&heard[..length], from.ip()), (&b"honest"[..], liar.addresses()[0]));
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
