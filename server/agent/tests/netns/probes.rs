//! What probes say of real kernels.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use portolan_agent::desired::State;
use portolan_agent::machine::Sources;
use portolan_agent::probes::Prober;
use portolan_plan::is_probe_link;
use portolan_plan::probes::Report;
use portolan_shared::ids::NodeId;
use portolan_shared::status::Fault;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::filter::{drop_forwarded, stop_dropping};
use crate::namespaces::{PATIENCE, ip, path_of, privileged, soon};
use crate::world::{Cluster, Kept, Node, Sandbox, node_id};

/// Nodes that keep their hosts and probe each other.
struct Probing {
    cluster: Cluster,
    kept: Vec<Kept>,
    told: Vec<watch::Receiver<Option<Report>>>,
    _states: Vec<watch::Sender<Arc<State>>>,
}

impl Probing {
    fn new(hosts: u8) -> Self {
        let cluster = Cluster::new(hosts, false);
        let kept = (1..=hosts).map(|n| cluster.keep(n)).collect();
        let prober = |n: u8| {
            let (node, sources) = (cluster.node(n), Sources::system().unwrap());
            let net = Arc::new(node.kernel.probe_net());
            let prober = Prober::new(node_id(n), net, node.pods.clone(), sources.random, sources.workers);
            let (state, desired) = watch::channel(Arc::new(cluster.state(n)));
            let told = prober.told();
            node.runtime().spawn(prober.run(desired));
            (told, state)
        };
        let (told, states) = (1..=hosts).map(prober).unzip();
        Self {
            cluster,
            kept,
            told,
            _states: states,
        }
    }

    /// Waits until each node says just this of the others.
    fn until(&mut self, what: &str, wanted: &[&[(u8, Fault)]]) {
        for (n, (told, wanted)) in (1..).zip(self.told.iter_mut().zip(wanted)) {
            let wanted: Vec<(NodeId, Fault)> = wanted.iter().map(|(n, fault)| (node_id(*n), *fault)).collect();
            let says = told.wait_for(|told| {
                told.as_ref().is_some_and(|told| {
                    told.named == wanted && told.proven + told.failing == told.peers && told.trouble.is_empty()
                })
            });
            let said = self
                .cluster
                .node(n)
                .runtime()
                .block_on(async { timeout(PATIENCE, says).await.map(drop) });
            assert!(
                said.is_ok(),
                "{what}: node {n} never says {wanted:?}, but {:?}",
                told.borrow()
            );
        }
    }

    fn host(&self, n: u8) -> &str {
        &self.cluster.node(n).namespace.0
    }
}

/// The host's end of the link of a node's end of probes.
fn probe_link(node: &Node) -> String {
    find_probe_link(node).unwrap()
}

fn find_probe_link(node: &Node) -> Option<String> {
    let shown = ip(&format!("-n {} -o link show", node.namespace.0));
    let names = shown.lines().map(|line| line.split([':', '@']).nth(1).unwrap().trim());
    names.into_iter().find(|name| is_probe_link(name)).map(str::to_owned)
}

/// The kernel's number of a namespace.
fn inode_of(namespace: &str) -> Option<u64> {
    std::fs::metadata(path_of(namespace)).ok().map(|file| file.ino())
}

const WELL: [&[(u8, Fault)]; 3] = [&[], &[], &[]];

/// A smaller MTU on one path (case 11), a chain of others that drops what is forwarded (case 8), a filter that drops TCP.
#[test]
fn what_does_not_arrive_is_said_with_the_hop_and_then_no_more() {
    if !privileged() {
        return;
    }
    let mut nodes = Probing::new(3);
    nodes.until("all is well", &WELL);

    // Towards node 2 alone, node 1 passes no packet on that is larger than 1400 bytes.
    let host = nodes.host(1).to_owned();
    ip(&format!(
        "-n {host} route add table 77 10.77.2.0/26 via 192.168.77.2 mtu lock 1400"
    ));
    ip(&format!("-n {host} rule add pref 77 to 10.77.2.0/26 lookup 77"));
    nodes.until("a smaller MTU on a path", &[&[(2, Fault::FullSize)], &[], &[]]);
    ip(&format!("-n {host} rule del pref 77"));
    nodes.until("the MTU is as before", &WELL);

    drop_forwarded(nodes.host(2));
    let wanted: [&[(u8, Fault)]; 3] = [
        &[(2, Fault::Pods)],
        &[(1, Fault::Pods), (3, Fault::Pods)],
        &[(2, Fault::Pods)],
    ];
    nodes.until("a chain that drops", &wanted);
    stop_dropping(nodes.host(2));
    nodes.until("no chain drops", &WELL);

    let host = nodes.host(3).to_owned();
    ip(&format!(
        "-n {host} rule add pref 77 to 10.77.1.0/26 ipproto tcp blackhole"
    ));
    nodes.until("a filter of TCP", &[&[(3, Fault::Tcp)], &[], &[(1, Fault::Tcp)]]);
    ip(&format!("-n {host} rule del pref 77"));
    nodes.until("no filter", &WELL);

    // A node whose pod end is taken away makes it anew.
    let (probes, link) = (
        nodes.cluster.node(2).probes.0.clone(),
        probe_link(nodes.cluster.node(2)),
    );
    ip(&format!("netns del {probes}"));
    soon("the pod end is made anew", || {
        path_of(&probes).exists() && find_probe_link(nodes.cluster.node(2)).as_ref() == Some(&link)
    });
    nodes.kept[1].until_well();
    nodes.until("the pod end is back", &WELL);
}

/// The pod end is no pod: none is given its address, and it stays over a restart, without a write to the kernel.
#[test]
fn the_end_of_probes_outlives_the_agent_and_goes_with_the_node() {
    if !privileged() {
        return;
    }
    let mut cluster = Cluster::new(1, false);
    let (probes, link) = (cluster.node(1).probes.0.clone(), probe_link(cluster.node(1)));
    let before = inode_of(&probes);
    let address = ip(&format!("-n {probes} -o -4 addr show dev eth0"));
    assert!(address.contains("10.77.1.63/32"), "{address}");
    let pods: Vec<Sandbox> = (0..63).map(|_| cluster.pod(1)).collect();
    assert!(pods.iter().all(|pod| pod.addresses()[0].to_string() != "10.77.1.63"));
    let full = cluster.node(1).cni("ADD", &cluster.sandbox(1), |_| ()).unwrap_err();
    assert!(full.to_string().contains("all 63 IPv4 pod addresses"), "{full}");
    drop(pods);

    let node = cluster.nodes.remove(0).restart();
    cluster.nodes.push(node);
    let node = cluster.node(1);
    assert_eq!(node.host.converge(&cluster.desired(1)).unwrap().writes, 0);
    assert_eq!((inode_of(&probes), probe_link(node)), (before, link.clone()));
    node.pods.set_removed(true);
    node.host.converge(&cluster.desired(1)).unwrap();
    assert!(!path_of(&probes).exists());
    assert!(!ip(&format!("-n {} -o link show", node.namespace.0)).contains(&link));
}
