//! Nodes that probe each other over a network in memory, in which a test says what arrives.

use std::net::SocketAddr;

use portolan_plan::NodeAddresses;
use portolan_plan::probes::{PROBE_PORT, WHOLE_TURNS};
use portolan_shared::status::Fault;
use portolan_sources::testing::{OnTheSpot, SeededRandom};
use portolan_wire::agent::{Block, Cluster, Node, Prefix, Snapshot};
use portolan_wire::item::Body as _;
use tokio::task::JoinHandle;

use super::net::Side;
use super::testing::{Packet, Wires};
use super::*;
use crate::pods::tests::Rig;

fn id(n: u16) -> NodeId {
    NodeId::from_bytes((u128::from(n) << 64 | 7).to_be_bytes())
}

fn host(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    IpAddr::from([10, 0, high, low])
}

fn pod(n: u16) -> IpAddr {
    let [high, low] = (n * 64 + 63).to_be_bytes();
    IpAddr::from([10, 1, high, low])
}

fn block(n: u16) -> String {
    let [high, low] = (n * 64).to_be_bytes();
    format!("10.1.{high}.{low}/26")
}

/// A cluster with these nodes, each with a block.
fn state(nodes: u16) -> State {
    let cluster = Cluster {
        id: vec![9; 16],
        pod_ranges: vec![Prefix {
            address: vec![10, 1, 0, 0],
            length: 16,
        }],
        probe_key: vec![5; 32],
        ..Cluster::default()
    };
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let node = |n: u16| Node {
        id: id(n).as_bytes().to_vec(),
        name: format!("node-{n}"),
        addresses: vec![bytes(host(n))],
        machine: vec![1; 32],
    };
    let of_node = |n: u16| Block {
        id: id(n).as_bytes().to_vec(),
        node_id: id(n).as_bytes().to_vec(),
        prefix: Some(Prefix {
            address: (n * 64).to_be_bytes().iter().fold(vec![10, 1], |mut all, byte| {
                all.push(*byte);
                all
            }),
            length: 26,
        }),
        ..Block::default()
    };
    let nodes = || 1..=nodes;
    let items = std::iter::once(cluster.item())
        .chain(nodes().map(|n| node(n).item()))
        .chain(nodes().map(|n| of_node(n).item()));
    let snapshot = Snapshot {
        revision: 1,
        items: items.collect(),
        ..Snapshot::default()
    };
    State::of_snapshot([7; 16], Vec::new(), snapshot).unwrap()
}

/// A node that probes.
struct Probing {
    told: watch::Receiver<Option<Report>>,
    pods: Arc<Pods>,
    _state: watch::Sender<Arc<State>>,
    work: JoinHandle<()>,
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Probing {
    fn new(n: u16, wires: &Wires, state: &State) -> Self {
        let pods = Arc::new(Rig::new(&[&block(n)]).pods);
        let prober = Prober::new(
            id(n),
            Arc::new(wires.clone()),
            Arc::clone(&pods),
            Arc::new(SeededRandom::new(n.into())),
            Workers::new(OnTheSpot),
        );
        let told = prober.told();
        let (sender, desired) = watch::channel(Arc::new(state.clone()));
        Self {
            told,
            pods,
            _state: sender,
            work: tokio::spawn(prober.run(desired)),
        }
    }

    /// What it says once that is so.
    async fn says(&mut self, what: impl Fn(&Report) -> bool) -> Report {
        let told = self.told.wait_for(|told| told.as_ref().is_some_and(&what));
        let told = tokio::time::timeout(EVERY * 60, told).await.expect("it never says so");
        told.unwrap().clone().unwrap()
    }

    fn failing(&self) -> Vec<(NodeId, Fault)> {
        self.told.borrow().clone().unwrap_or_default().named
    }
}

/// Whether a packet arrives, by the addresses it is from and to.
type Passes = dyn Fn(IpAddr, IpAddr, Packet) -> bool + Send;

fn cluster(nodes: u16) -> (Wires, Vec<Probing>) {
    let (wires, state) = (Wires::default(), state(nodes));
    let probing = (1..=nodes).map(|n| Probing::new(n, &wires, &state)).collect();
    (wires, probing)
}

#[tokio::test(start_paused = true)]
async fn a_calm_cluster_is_proven_and_a_node_alone_is_not() {
    let (_wires, mut nodes) = cluster(4);
    for node in &mut nodes {
        let report = node.says(|report| report.proven == 3).await;
        assert_eq!((report.peers, report.failing, report.trouble.as_str()), (3, 0, ""));
    }
    let (_wires, mut alone) = cluster(1);
    assert_eq!(alone[0].says(|_| true).await, Report::default());
}

/// What fails between two of three nodes is said by them within two seconds, of TCP or the host alone within five, and that it is well again too.
#[tokio::test(start_paused = true)]
async fn each_fault_is_said_of_its_pair_and_then_no_more() {
    let (wires, mut nodes) = cluster(3);
    for node in &mut nodes {
        node.says(|report| report.proven == 2).await;
    }
    let between = |a: IpAddr, b: IpAddr, these: [IpAddr; 2]| these.contains(&a) && these.contains(&b);
    let hosts = [host(1), host(2)];
    let pods = [pod(1), pod(2)];
    let cases: Vec<(Fault, Box<Passes>)> = vec![
        (
            Fault::Nothing,
            Box::new(move |a, b, _| !between(a, b, hosts) && !between(a, b, pods)),
        ),
        (Fault::Pods, Box::new(move |a, b, _| !between(a, b, pods))),
        (Fault::Address, Box::new(move |a, b, _| !between(a, b, hosts))),
        (
            Fault::Tcp,
            Box::new(move |a, b, packet| packet != Packet::Tcp || !between(a, b, pods)),
        ),
        (
            Fault::Udp,
            Box::new(move |a, b, packet| packet == Packet::Tcp || !between(a, b, pods)),
        ),
        // As large as pods' packets may be, with what IP and UDP put before it.
        (
            Fault::FullSize,
            Box::new(move |a, b, packet| packet != Packet::Udp(1500 - 28) || !between(a, b, pods)),
        ),
    ];
    for (fault, passes) in cases {
        wires.pass(passes);
        let changed = Instant::now();
        let first = nodes[0].says(|report| report.failing > 0).await;
        assert_eq!(first.named, [(id(2), fault)]);
        let second = nodes[1].says(|report| report.failing > 0).await;
        assert_eq!(second.named, [(id(1), fault)]);
        // The clock is the test's: it stands while there is work. Peers that are well are not asked in all ways each time.
        let after = changed.elapsed();
        let rounds = match fault {
            Fault::Tcp | Fault::Address => WHOLE_TURNS,
            _ => 1,
        };
        assert!(after <= EVERY * (rounds + 1), "{fault:?} after {after:?}");
        assert_eq!(nodes[2].failing(), [], "{fault:?}");
        wires.pass(|_, _, _| true);
        for node in &mut nodes[..2] {
            node.says(|report| report.failing == 0).await;
        }
        let after = changed.elapsed();
        assert!(after <= EVERY * (rounds + 3), "{fault:?} is over after {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_loss_is_no_news() {
    let (wires, mut nodes) = cluster(2);
    nodes[0].says(|report| report.proven == 1).await;
    let begin = Instant::now();
    // Each second begins with one, just when both ask.
    wires.pass(move |_, _, _| begin.elapsed().subsec_millis() >= 200);
    for _ in 0..20 {
        tokio::time::sleep(EVERY).await;
        assert_eq!(nodes[0].failing(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_end_that_is_elsewhere_is_found_by_what_its_node_says() {
    let (wires, state) = (Wires::default(), state(2));
    let mut first = Probing::new(1, &wires, &state);
    // Its pod has the address that others look at first.
    let second = Probing::new(2, &wires, &state);
    let taken = second.pods.probe_end().unwrap().addresses[0];
    assert_eq!(taken, pod(2));
    let mut seen = portolan_plan::testing::host();
    let link = portolan_plan::testing::link_name(1);
    seen.links.insert(link.clone(), portolan_plan::testing::pod_link(9));
    let slots = portolan_plan::pod(&link, &[taken], &[], &NodeAddresses::default());
    seen.routes.extend(slots.routes);
    second.pods.hold(&seen);
    assert_ne!(second.pods.probe_end().unwrap().addresses[0], taken);
    first.says(|report| report.proven == 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_removed_falls_silent() {
    let (_wires, mut nodes) = cluster(3);
    nodes[0].says(|report| report.proven == 2).await;
    nodes[2].pods.set_removed(true);
    let report = nodes[0].says(|report| report.failing > 0).await;
    assert_eq!(report.named, [(id(3), Fault::Nothing)]);
    let report = nodes[2].says(|report| !report.trouble.is_empty()).await;
    assert_eq!((report.proven, report.failing), (0, 0));
}

/// Nobody hears anything who does not know the key.
#[tokio::test(start_paused = true)]
async fn strangers_hear_nothing() {
    let (wires, mut nodes) = cluster(2);
    nodes[0].says(|report| report.proven == 1).await;
    let stranger = wires.datagrams(Side::Host, "10.0.9.9:0".parse().unwrap()).unwrap();
    let probe = portolan_plan::probes::Probe {
        nonce: [1; 16],
        from: id(9),
        to: id(1),
    };
    let mut buffer = [0; 200];
    for (key, to, answered) in [([6; 32], id(1), false), ([5; 32], id(2), false), ([5; 32], id(1), true)] {
        let seal = ProbeSeal::new(&ProbeKey::new(key));
        let question = seal.question(&portolan_plan::probes::Probe { to, ..probe }, 0);
        stranger
            .send(&question, SocketAddr::new(host(1), PROBE_PORT))
            .await
            .unwrap();
        let heard = tokio::time::timeout(EVERY * 3, stranger.receive(&mut buffer)).await;
        assert_eq!(heard.is_ok(), answered, "{to}");
    }
}

/// A node sends as many packets a second in a large cluster as in one of seventeen.
#[tokio::test(start_paused = true)]
async fn a_node_costs_the_same_in_any_cluster() {
    let mut costs = Vec::new();
    for nodes in [17, 60] {
        let (wires, mut all) = cluster(nodes);
        for node in &mut all {
            node.says(|report| report.proven == report.peers).await;
        }
        // Between two rounds.
        tokio::time::sleep(EVERY / 2).await;
        wires.sent();
        tokio::time::sleep(EVERY * 12).await;
        costs.push(wires.sent() / 12 / usize::from(nodes));
    }
    // A question with an answer to each of 16; one more and a connection to each fourth; the last turn is of fewer.
    assert_eq!(costs[0], 16 * 2 + 16 / 4 * 3);
    assert!(costs[1] <= costs[0], "{costs:?}");
}
