//! Shadow ports under any commands: exactly one address in each subnet of IPv4 that needs one, none
//! elsewhere, and nothing left after deletes.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::{Kit, cluster, ip, new_network, new_port, new_subnet, options, port, port_at, subnet, user};
use portolan_control::control::Control;
use portolan_core::command::{Command, Delete, NetworkChange, NewCluster, NewNetwork};
use portolan_core::model::{Object, Purpose, Subnet, owner};
use portolan_core::view::{PortScope, View};
use portolan_shared::addr::Family;
use portolan_shared::cluster::check;
use portolan_shared::ids::{ClusterId, NetworkId, PortId, ProjectId, SubnetId};
use portolan_shared::v1::CreateCluster;
use proptest::prelude::*;

/// Subnets that a network may get; one is too small for a shadow port, one is not of IPv4.
const CIDRS: [&str; 6] = [
    "10.0.0.0/29",
    "10.0.1.0/29",
    "10.0.2.0/30",
    "10.0.3.0/31",
    "10.0.4.1/32",
    "2001:db8::/64",
];

#[derive(Debug, Clone)]
enum Step {
    Network(bool),
    SwitchOn(usize),
    AddSubnet(usize, usize),
    RemoveSubnet(usize),
    Port(usize),
    PortAt(usize, u8),
    DeletePort(usize),
    DeleteNetwork(usize),
    /// In the network of a subnet, without external IP.
    Cluster(usize),
    PrivateCluster,
    DeleteCluster(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Network),
        2 => any::<usize>().prop_map(Step::SwitchOn),
        6 => (any::<usize>(), 0..CIDRS.len()).prop_map(|(n, cidr)| Step::AddSubnet(n, cidr)),
        3 => any::<usize>().prop_map(Step::RemoveSubnet),
        6 => any::<usize>().prop_map(Step::Port),
        2 => (any::<usize>(), 1..7_u8).prop_map(|(n, at)| Step::PortAt(n, at)),
        4 => any::<usize>().prop_map(Step::DeletePort),
        1 => any::<usize>().prop_map(Step::DeleteNetwork),
        1 => any::<usize>().prop_map(Step::Cluster),
        1 => Just(Step::PrivateCluster),
        1 => any::<usize>().prop_map(Step::DeleteCluster),
        1 => Just(Step::Restart),
    ]
}

/// The n-th of what there is, round and round.
fn pick<T: Copy>(from: &[T], n: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[n % from.len()])
}

struct World {
    control: Control,
    project: ProjectId,
    database: String,
    clusters: u8,
}

impl World {
    async fn ask(&self, command: Command) -> Result<Vec<Object>, &'static str> {
        let answer = self.control.write(user(self.project, command)).await;
        answer.map(|outcome| outcome.objects).map_err(|refusal| refusal.code())
    }

    fn networks(&self) -> Vec<NetworkId> {
        self.control
            .read(|view| view.networks(Some(self.project)).map(|network| network.id).collect())
    }

    fn subnets(&self) -> Vec<(SubnetId, NetworkId)> {
        self.control
            .read(|view| view.subnets(Some(self.project)).map(|s| (s.id, s.network)).collect())
    }

    fn ports(&self) -> Vec<PortId> {
        let scope = PortScope::Project(self.project);
        self.control
            .read(|view| view.ports(scope, None).map(|port| port.id).collect())
    }

    fn clusters(&self) -> Vec<ClusterId> {
        self.control
            .read(|view| view.clusters(Some(self.project)).map(|cluster| cluster.id).collect())
    }

    fn new_cluster(&mut self, place: Option<(SubnetId, NetworkId)>) -> Command {
        self.clusters += 1;
        let n = self.clusters;
        let asked = CreateCluster {
            name: format!("c{n}"),
            network: place.map(|(_, network)| network),
            node_subnet: place.map(|(subnet, _)| subnet),
            pod_range: Some(format!("172.16.{n}.0/24")),
            service_range: Some(format!("172.17.{n}.0/24")),
            external_ip: Some(false),
            ..CreateCluster::default()
        };
        Command::CreateCluster(NewCluster {
            project: self.project,
            spec: check(&asked).unwrap(),
        })
    }

    /// Does a step; what may be refused, and by what.
    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let project = self.project;
        let (command, allowed): (Command, &[&str]) = match step {
            Step::Network(shadow_port) => {
                let new = NewNetwork {
                    shadow_port: *shadow_port,
                    ..new_network(project, "")
                };
                (Command::CreateNetworks(vec![new]), &[])
            }
            Step::SwitchOn(n) => {
                let Some(id) = pick(&self.networks(), *n) else {
                    return Ok(());
                };
                let change = NetworkChange {
                    shadow_port: Some(true),
                    ..NetworkChange::default()
                };
                (Command::UpdateNetwork(id, change), &["network.no_room_for_shadow_port"])
            }
            Step::AddSubnet(n, cidr) => {
                let Some(id) = pick(&self.networks(), *n) else {
                    return Ok(());
                };
                let new = new_subnet(project, id, CIDRS[*cidr]);
                let allowed = ["subnet.overlap", "network.no_room_for_shadow_port"];
                let answer = self.ask(Command::CreateSubnets(vec![new])).await;
                let single = CIDRS[*cidr].ends_with("/32");
                match answer {
                    Ok(made) => {
                        let made = subnet(&made[0]);
                        let on = self
                            .control
                            .read(|view| view.network(id).unwrap().shadow_port.is_some());
                        prop_assert!(!(single && on), "{made:?}");
                    }
                    Err(code) => {
                        prop_assert!(allowed.contains(&code), "{step:?}: {code}");
                        prop_assert!(code != allowed[1] || single, "{step:?} had room");
                    }
                }
                return Ok(());
            }
            Step::RemoveSubnet(n) => {
                let Some((id, _)) = pick(&self.subnets(), *n) else {
                    return Ok(());
                };
                (
                    Command::Delete(Delete::Subnet(id)),
                    &["subnet.in_use", "subnet.owned", "in_use"],
                )
            }
            Step::Port(n) => {
                let Some(id) = pick(&self.networks(), *n) else {
                    return Ok(());
                };
                (Command::CreatePorts(vec![new_port(project, id)]), &["port.exhausted"])
            }
            Step::PortAt(n, at) => {
                let Some(id) = pick(&self.networks(), *n) else {
                    return Ok(());
                };
                let new = port_at(project, id, &format!("10.0.0.{at}"));
                let allowed = &[
                    "port.address_taken",
                    "port.address_outside_network",
                    "port.address_in_block",
                ];
                (Command::CreatePorts(vec![new]), allowed)
            }
            Step::DeletePort(n) => {
                let Some(id) = pick(&self.ports(), *n) else {
                    return Ok(());
                };
                (Command::Delete(Delete::Port(id)), &[])
            }
            Step::DeleteNetwork(n) => {
                let Some(id) = pick(&self.networks(), *n) else {
                    return Ok(());
                };
                (
                    Command::Delete(Delete::Network(id)),
                    &["network.in_use", "network.owned"],
                )
            }
            Step::Cluster(n) => {
                let Some(place) = pick(&self.subnets(), *n) else {
                    return Ok(());
                };
                let command = self.new_cluster(Some(place));
                (
                    command,
                    &["cluster.no_services", "cluster.node_subnet", "cluster.node_subnet_full"],
                )
            }
            Step::PrivateCluster => (self.new_cluster(None), &[]),
            Step::DeleteCluster(n) => {
                let Some(id) = pick(&self.clusters(), *n) else {
                    return Ok(());
                };
                (Command::Delete(Delete::Cluster(id)), &[])
            }
            Step::Restart => {
                self.control.close().await;
                self.control = Control::open(options(&self.database)).unwrap();
                return Ok(());
            }
        };
        if let Err(code) = self.ask(command).await {
            prop_assert!(allowed.contains(&code), "{step:?}: {code}");
        }
        Ok(())
    }

    /// Deletes everything of the project's.
    async fn clear(&self) -> Result<(), TestCaseError> {
        for id in self.clusters() {
            prop_assert!(self.ask(Command::Delete(Delete::Cluster(id))).await.is_ok());
        }
        for id in self.ports() {
            prop_assert!(self.ask(Command::Delete(Delete::Port(id))).await.is_ok());
        }
        for id in self.networks() {
            prop_assert!(self.ask(Command::Delete(Delete::Network(id))).await.is_ok());
        }
        Ok(())
    }
}

/// Whether a shadow port needs an address in a subnet.
fn needs(subnet: &Subnet) -> bool {
    !matches!(subnet.purpose, Purpose::Pods(_)) && subnet.cidr.family() == Family::V4
}

/// What holds at any time.
fn check_view(view: &View) -> Result<(), TestCaseError> {
    let mut known = BTreeSet::new();
    for network in view.networks(None) {
        let wanted: BTreeSet<SubnetId> = match network.shadow_port {
            None => BTreeSet::new(),
            Some(_) => view.subnets_of(network.id).filter(|s| needs(s)).map(|s| s.id).collect(),
        };
        prop_assert_eq!(
            view.hidden_count(PortScope::Network(network.id)),
            u64::from(network.shadow_port.is_some())
        );
        for subnet in view.subnets_of(network.id) {
            let hidden = view.hidden_count(PortScope::Subnet(subnet.id));
            prop_assert_eq!(hidden, u64::from(wanted.contains(&subnet.id)), "{:?}", subnet);
        }
        let Some(id) = network.shadow_port else { continue };
        let port = view.port(id).unwrap();
        known.insert(id);
        prop_assert!(port.network == network.id && &*port.device_owner == owner::SHADOW);
        let subnets: BTreeSet<SubnetId> = port.fixed_ips.iter().map(|ip| ip.subnet).collect();
        prop_assert_eq!(port.fixed_ips.len(), wanted.len());
        prop_assert_eq!(subnets, wanted);
        for ip in &port.fixed_ips {
            let subnet = view.subnet(ip.subnet).unwrap();
            prop_assert!(subnet.cidr.hosts().contains(ip.address) && subnet.gateway != Some(ip.address));
        }
    }
    let mut addresses = BTreeSet::new();
    for port in view.ports(PortScope::All, None) {
        prop_assert_eq!(
            &*port.device_owner == owner::SHADOW,
            known.contains(&port.id),
            "{:?}",
            port
        );
        for ip in &port.fixed_ips {
            prop_assert!(
                addresses.insert((ip.subnet, ip.address)),
                "{} is given twice",
                ip.address
            );
            prop_assert_eq!(view.port_at(ip.subnet, ip.address).map(|port| port.id), Some(port.id));
        }
    }
    prop_assert_eq!(view.hidden_count(PortScope::All), known.len() as u64);
    Ok(())
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("s.db").display());
    let kit = Kit::open(options(&database)).await;
    kit.provider().await;
    kit.grant().await;
    let mut world = World {
        control: kit.control.clone(),
        project: kit.project,
        database,
        clusters: 0,
    };
    drop(kit);
    for step in steps {
        world.take(&step).await?;
        world.control.read(check_view)?;
    }
    world.clear().await?;
    let left = |control: &Control| {
        control.read(|view| {
            (
                view.port_count(PortScope::All),
                view.networks(None).count(),
                view.subnets(None).count(),
            )
        })
    };
    prop_assert_eq!(left(&world.control), (0, 0, 0), "in the view");
    world.control.close().await;
    let stored = Control::open(options(&world.database)).unwrap();
    prop_assert_eq!(left(&stored), (0, 0, 0), "in the store");
    stored.close().await;
    Ok(())
}

#[test]
fn a_shadow_port_is_where_it_is_needed_and_nowhere_else() {
    common::property::steps_hold(step(), 80, run);
}

#[tokio::test]
async fn an_address_that_a_shadow_port_leaves_is_given_again() {
    let kit = Kit::new().await;
    let quiet = kit.quiet_network().await;
    let first = kit.subnet(quiet, "10.0.0.0/30").await;
    kit.ask(Command::Delete(Delete::Subnet(first))).await.unwrap();
    let again = kit.subnet(quiet, "10.0.0.0/30").await;
    let held = kit
        .control
        .read(|view| view.port_at(again, ip("10.0.0.2")).map(|port| port.network));
    assert_eq!(held, Some(quiet));
    // A private cluster takes its own along, also when its network stays.
    let asked = CreateCluster {
        name: "own".to_owned(),
        external_ip: Some(false),
        node_range: Some("10.0.0.0/29".to_owned()),
        ..CreateCluster::default()
    };
    let new = NewCluster {
        project: kit.project,
        spec: check(&asked).unwrap(),
    };
    let own = cluster(&kit.ask(Command::CreateCluster(new)).await.unwrap().objects[0]);
    let extra = kit.subnet(own.network, "10.9.0.0/29").await;
    let made = kit.ask(Command::CreatePorts(vec![port_at(
        kit.project,
        own.network,
        "10.9.0.5",
    )]));
    let made = port(&made.await.unwrap().objects[0]).id;
    kit.ask(Command::Delete(Delete::Cluster(own.id))).await.unwrap();
    kit.control.read(|view| {
        assert!(view.subnet(own.node_subnet).is_none() && view.subnet(extra).is_some());
        check_view(view).unwrap();
    });
    kit.ask(Command::Delete(Delete::Port(made))).await.unwrap();
    kit.ask(Command::Delete(Delete::Network(own.network))).await.unwrap();
    assert_eq!(kit.control.read(|view| view.hidden_count(PortScope::All)), 1);
}
