//! A log that is damaged while its pods run.

use std::io::{Read as _, Write as _};

use portolan_agent::converge::Subject;

use crate::namespaces::{Namespace, eventually, ip, links, path_of, privileged};
use crate::world::{Cluster, node_id};
use crate::{connect, listen, seen_from};

#[test]
fn pods_whose_records_are_damaged_run_on_and_nobody_gets_their_addresses() {
    if !privileged() {
        return;
    }
    let mut cluster = Cluster::new(2, true);
    let (whole, lost, doomed, other) = (cluster.pod(1), cluster.pod(1), cluster.pod(1), cluster.pod(2));
    let listener = listen(other.name(), other.addresses()[0]);
    let mut stream = connect(lost.name(), listener.local_addr().unwrap()).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    let before = cluster.node(1).our_routes();

    let node = cluster.nodes.remove(0).restart_with(|log| {
        // One character of the second line, and one of the third.
        let second = log.iter().position(|byte| *byte == b'\n').unwrap() + 30;
        let third = second + log[second..].iter().position(|byte| *byte == b'\n').unwrap() + 30;
        log[second] ^= 1;
        log[third] ^= 1;
    });
    cluster.nodes.insert(0, node);
    let kept = cluster.keep(1);
    kept.until_said(Subject::Node(node_id(1)), "2 lines of the log");
    for address in lost.addresses() {
        kept.until_said(Subject::Node(node_id(1)), &format!("{address}"));
    }
    let node = cluster.node(1);
    assert_eq!(node.our_routes(), before);
    assert_eq!(node.pods.list().unwrap().allocations.len(), 1);
    stream.write_all(b"still").unwrap();
    accepted.read_exact(&mut [0; 5]).unwrap();

    // The next ones get other addresses, and all reach each other.
    let next = cluster.pod(1);
    let taken: Vec<_> = [&whole, &lost, &doomed]
        .iter()
        .flat_map(|pod| pod.addresses())
        .collect();
    assert!(next.addresses().iter().all(|address| !taken.contains(address)));
    for address in lost.addresses() {
        let listener = listen(lost.name(), address);
        assert_eq!(
            seen_from(next.name(), &listener).is_ipv4(),
            address.is_ipv4(),
            "{address}"
        );
    }
    // What it loses comes back.
    ip(&format!("-n {} route del {}/32", node.namespace.0, lost.addresses()[0]));
    eventually("the route is back", || node.our_routes().len() == before.len() + 2);

    // A DEL ends the one, the end of its namespace the other.
    node.cni("DEL", &lost, |_| ()).unwrap();
    assert!(!links(&node.namespace.0).iter().any(|link| link == lost.link()));
    let mut doomed = doomed;
    let link = doomed.link().to_owned();
    assert!(path_of(doomed.name()).exists());
    drop(std::mem::replace(&mut doomed.namespace, Namespace(String::new())));
    eventually("the link's end", || !links(&node.namespace.0).contains(&link));
    kept.until_well();
    let (one, two) = (cluster.pod(1), cluster.pod(1));
    assert_ne!(one.addresses(), two.addresses());
}
