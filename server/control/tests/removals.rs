//! A delete plan is what the delete does, whoever else uses what a cluster brought.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::clusters::{joined, pod, shop};
use common::{Kit, new_port, port_at, user};
use portolan_core::command::{Command, Delete, FixedIpRequest, NewPort, Request};
use portolan_core::decide::{Goes, Removal};
use portolan_core::model::{Block, Cluster, Key, Network, Node, NodeStatus, Object, Stored, Subnet};
use portolan_core::view::{PortScope, View};
use portolan_shared::cluster::check;
use portolan_shared::ids::{ClusterId, NetworkId, NodeId};
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::CreateCluster;

/// Everything that a delete could take.
fn all(view: &View) -> BTreeSet<Key> {
    fn keys<K: Stored>(view: &View) -> impl Iterator<Item = Key> {
        view.all::<K>().map(|object| K::key(object.id()))
    }
    keys::<Network>(view)
        .chain(keys::<Subnet>(view))
        .chain(keys::<Cluster>(view))
        .chain(keys::<Node>(view))
        .chain(keys::<Block>(view))
        .chain(keys::<NodeStatus>(view))
        .chain(view.ports(PortScope::All, None).map(|port| Key::Port(port.id)))
        .collect()
}

/// What a plan says will go.
fn going(view: &View, removal: &Removal) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for goes in &removal.goes {
        match goes {
            Goes::Object(Object::JoinToken(_)) => {}
            Goes::Object(object) => drop(keys.insert(object.key())),
            Goes::Node(node) => {
                keys.insert(Key::Node(node.id));
                keys.insert(Key::NodeStatus(node.id));
                let ports = view.ports(PortScope::Node(node.id), None);
                keys.extend(ports.map(|port| Key::Port(port.id)));
                keys.extend(view.of::<Block>(node.id).map(|block| Key::Block(block.id)));
            }
        }
    }
    keys
}

fn planned(kit: &Kit, what: Delete) -> Result<Removal, Refusal> {
    let request: Request = user(kit.project, what.into());
    kit.control.read(|view| Removal::planned(view, &request, what, 1))
}

/// Asks for the plan, then for the delete; the plan.
async fn agree(kit: &Kit, what: Delete) -> Removal {
    let plan = planned(kit, what).unwrap();
    let (before, going) = kit.control.read(|view| (all(view), going(view, &plan)));
    kit.ask(what.into()).await.unwrap();
    let after = kit.control.read(all);
    let gone: BTreeSet<Key> = before.difference(&after).copied().collect();
    assert_eq!(gone, going, "{what:?}");
    for (object, because) in &plan.stays {
        let now = kit.control.read(|view| view.object(&object.key()));
        match (object, now) {
            (Object::Subnet(said), Some(Object::Subnet(is))) => assert_eq!(said.purpose, is.purpose, "{because:?}"),
            (Object::Network(said), Some(Object::Network(is))) => assert_eq!(said.owner, is.owner, "{because:?}"),
            other => panic!("{other:?} was to stay"),
        }
    }
    plan
}

async fn report(kit: &Kit, node: NodeId, pods: u64, first: [u8; 2]) {
    let address = |n: u64| format!("10.{}.0.{}", first[0], u64::from(first[1]) + n);
    let mac = u64::from(first[0]) << 16 | u64::from(first[1]) << 8;
    let report = Command::ReportPods {
        node,
        full: true,
        seq: pods,
        allocations: (1..=pods).map(|n| pod(kit, n, &address(n), mac + n)).collect(),
        releases: Vec::new(),
    };
    assert_eq!(kit.ask(report).await.unwrap().objects.len() as u64, pods);
}

/// Who else uses a cluster's private network.
const OTHERS: [(&str, Other); 4] = [
    ("port db", Other::InNodeSubnet),
    ("port free", Other::WithoutAddress),
    ("port elsewhere", Other::InSubnetOfItsOwn),
    ("cluster second", Other::Cluster),
];

#[derive(Clone, Copy)]
enum Other {
    InNodeSubnet,
    WithoutAddress,
    InSubnetOfItsOwn,
    Cluster,
}

impl Other {
    async fn come(self, kit: &Kit, network: NetworkId) {
        let named = |name: &str, fixed_ips| NewPort {
            name: name.into(),
            fixed_ips,
            ..new_port(kit.project, network)
        };
        match self {
            Self::InNodeSubnet => {
                let db = NewPort {
                    name: "db".into(),
                    ..port_at(kit.project, network, "10.0.0.99")
                };
                kit.port(db).await.unwrap();
            }
            Self::WithoutAddress => drop(kit.port(named("free", Some(Vec::new()))).await.unwrap()),
            Self::InSubnetOfItsOwn => {
                let subnet = kit.subnet(network, "10.200.0.0/24").await;
                let there = Some(vec![FixedIpRequest::Subnet(subnet)]);
                kit.port(named("elsewhere", there)).await.unwrap();
            }
            Self::Cluster => {
                let subnet = kit.subnet(network, "10.201.0.0/24").await;
                let asked = CreateCluster {
                    name: "second".to_owned(),
                    network: Some(network),
                    node_subnet: Some(subnet),
                    ..CreateCluster::default()
                };
                let new = portolan_core::command::NewCluster {
                    project: kit.project,
                    spec: check(&asked).unwrap(),
                };
                let made = kit.ask(Command::CreateCluster(new)).await.unwrap();
                let id = common::cluster(&made.objects[0]).id;
                joined(kit, id, "other-1", "10.201.0.11").await;
            }
        }
    }
}

/// A cluster of two nodes with twenty pods each; and its network.
async fn cluster(kit: &Kit) -> (ClusterId, NetworkId, [NodeId; 2]) {
    let id = shop(kit).await;
    let one = joined(kit, id, "node-1", "10.0.0.11").await;
    let two = joined(kit, id, "node-2", "10.0.0.12").await;
    report(kit, one, 20, [1, 0]).await;
    report(kit, two, 20, [1, 64]).await;
    (
        id,
        kit.control.read(|view| view.cluster(id).unwrap().network),
        [one, two],
    )
}

#[tokio::test]
async fn a_plan_is_what_the_delete_does_whoever_else_is_there() {
    for set in 0..1_u8 << OTHERS.len() {
        let kit = Kit::new().await;
        let (id, network, nodes) = cluster(&kit).await;
        let others = OTHERS.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1);
        let others: Vec<&(&str, Other)> = others.map(|(_, other)| other).collect();
        for (_, other) in &others {
            other.come(&kit, network).await;
        }
        let of_node = agree(&kit, Delete::Node(nodes[0])).await;
        assert!(of_node.stays.is_empty());
        let plan = agree(&kit, Delete::Cluster(id)).await;
        let kept = plan
            .stays
            .iter()
            .find(|(object, _)| matches!(object, Object::Network(_)));
        assert_eq!(kept.is_some(), set != 0, "{set:b}");
        if let Some((_, because)) = kept {
            let said = because.reason().sentence;
            // An address is looked for first: who has none is counted where others are named.
            let counted = others.len() > 1 && others.iter().any(|(_, other)| matches!(other, Other::WithoutAddress));
            for (name, other) in &others {
                let named = said.contains(name) || counted && matches!(other, Other::WithoutAddress);
                assert!(named, "{said} does not name {name}");
            }
            assert!(!said.contains("node-1") && !said.contains("node-2"), "{said}");
        }
    }
}

#[tokio::test]
async fn networks_subnets_and_ports_as_well() {
    let kit = Kit::new().await;
    let network = kit.quiet_network().await;
    let one = kit.subnet(network, "10.0.0.0/24").await;
    kit.subnet(network, "10.0.1.0/24").await;
    let port = kit.any_port(network).await.unwrap();
    for what in [Delete::Network(network), Delete::Subnet(one)] {
        let said = planned(&kit, what).unwrap_err().to_string();
        assert_eq!(said, kit.ask(what.into()).await.unwrap_err().to_string());
    }
    agree(&kit, Delete::Port(port.id)).await;
    agree(&kit, Delete::Subnet(one)).await;
    let left = agree(&kit, Delete::Network(network)).await;
    assert_eq!(left.goes.len(), 3, "the other subnet and the shadow port");
}
