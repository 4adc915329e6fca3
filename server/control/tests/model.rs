//! The writer against the same rules said in the simplest way: any sequence of requests, with
//! restarts in between, gets the same answers.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use common::{Kit, addresses, new_port, new_subnet, options, port, subnet, user};
use portolan_control::control::Control;
use portolan_core::command::{Command, Delete, FixedIpRequest, NewPort, PortChange};
use portolan_core::model::Object;
use portolan_core::view::PortScope;
use portolan_shared::ids::{NetworkId, PortId, ProjectId, SubnetId};
use proptest::prelude::*;

/// A subnet 10.0.N.0/29: gateway .1, pool .2 to .6.
struct Naive {
    fresh: BTreeSet<u32>,
    resting: VecDeque<u32>,
    cursor: u32,
}

impl Naive {
    fn next(&self) -> Option<u32> {
        let walked = self
            .fresh
            .range(self.cursor + 1..)
            .next()
            .or_else(|| self.fresh.first());
        walked.or_else(|| self.resting.front()).copied()
    }
}

/// All rules of addresses in one network.
#[derive(Default)]
struct Model {
    subnets: BTreeMap<u32, Naive>,
    /// In the order made.
    order: Vec<u32>,
    ports: BTreeMap<usize, Vec<u32>>,
    made: usize,
}

fn base(n: u32) -> u32 {
    u32::from(Ipv4Addr::new(10, 0, 0, 0)) + n * 8
}

impl Model {
    fn add_subnet(&mut self, n: u32) -> Result<(), &'static str> {
        if self.subnets.contains_key(&n) {
            return Err("subnet.overlap");
        }
        let fresh = (base(n) + 2..base(n) + 7).collect();
        self.subnets.insert(
            n,
            Naive {
                fresh,
                resting: VecDeque::new(),
                cursor: 0,
            },
        );
        self.order.push(n);
        Ok(())
    }

    fn remove_subnet(&mut self, n: u32) -> Result<(), &'static str> {
        if self.ports.values().flatten().any(|a| (a - base(0)) / 8 == n) {
            return Err("subnet.in_use");
        }
        self.subnets.remove(&n);
        self.order.retain(|other| *other != n);
        Ok(())
    }

    fn take(&mut self, address: u32) {
        let Some(subnet) = self.subnets.get_mut(&((address - base(0)) / 8)) else {
            return;
        };
        if !subnet.fresh.remove(&address) {
            subnet.resting.retain(|other| *other != address);
        }
    }

    fn free(&mut self, address: u32) {
        let n = (address - base(0)) / 8;
        if let Some(subnet) = self.subnets.get_mut(&n)
            && (base(n) + 2..base(n) + 7).contains(&address)
        {
            subnet.resting.push_back(address);
        }
    }

    /// Any address of a subnet, which the walk then has passed.
    fn walk(&mut self, n: u32) -> Option<u32> {
        let address = self.subnets[&n].next()?;
        self.take(address);
        if let Some(subnet) = self.subnets.get_mut(&n) {
            subnet.cursor = address;
        }
        Some(address)
    }

    fn default_address(&mut self) -> Result<Vec<u32>, &'static str> {
        for n in self.order.clone() {
            if let Some(address) = self.walk(n) {
                return Ok(vec![address]);
            }
        }
        if self.order.is_empty() {
            Ok(vec![])
        } else {
            Err("port.exhausted")
        }
    }

    fn explicit(&mut self, address: u32) -> Result<Vec<u32>, &'static str> {
        let (n, last) = ((address - base(0)) / 8, (address - base(0)) % 8);
        if !self.subnets.contains_key(&n) {
            return Err("port.address_outside_network");
        }
        if last == 0 || last == 7 {
            return Err("port.address_outside");
        }
        if last == 1 || self.ports.values().flatten().any(|other| *other == address) {
            return Err("port.address_taken");
        }
        self.take(address);
        Ok(vec![address])
    }

    fn add(&mut self, given: Vec<u32>) -> usize {
        self.made += 1;
        self.ports.insert(self.made, given);
        self.made
    }

    /// After a restart, all that is free counts as never used.
    fn restart(&mut self) {
        for subnet in self.subnets.values_mut() {
            subnet.fresh.extend(subnet.resting.drain(..));
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    AddSubnet(u32),
    RemoveSubnet(usize),
    Any,
    At(u32),
    In(usize),
    /// Several in one request: all or none.
    Bulk(usize, Option<u32>),
    Delete(usize),
    Move(usize, u32),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u32).prop_map(Step::AddSubnet),
        1 => any::<usize>().prop_map(Step::RemoveSubnet),
        6 => Just(Step::Any),
        3 => (0..32_u32).prop_map(Step::At),
        2 => any::<usize>().prop_map(Step::In),
        2 => (1..4_usize, prop::option::of(0..32_u32)).prop_map(|(n, at)| Step::Bulk(n, at)),
        5 => any::<usize>().prop_map(Step::Delete),
        2 => (any::<usize>(), 0..32_u32).prop_map(|(n, at)| Step::Move(n, at)),
        1 => Just(Step::Restart),
    ]
}

fn pick<T: Copy>(from: &[T], n: usize) -> Option<T> {
    if from.is_empty() {
        None
    } else {
        Some(from[n % from.len()])
    }
}

fn address(bits: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(bits))
}

/// The real thing, with its ids for the model's.
struct Real {
    control: Control,
    project: ProjectId,
    network: NetworkId,
    database: String,
    subnets: BTreeMap<u32, SubnetId>,
    ports: BTreeMap<usize, PortId>,
}

impl Real {
    fn new_ports(&self, count: usize, fixed: Option<FixedIpRequest>) -> Command {
        let mut new: Vec<NewPort> = (0..count).map(|_| new_port(self.project, self.network)).collect();
        new.extend(fixed.map(|ip| NewPort {
            fixed_ips: Some(vec![ip]),
            ..new_port(self.project, self.network)
        }));
        Command::CreatePorts(new)
    }

    async fn ask(&self, command: Command) -> Result<Vec<Object>, String> {
        let answer = self.control.write(user(self.project, command)).await;
        answer
            .map(|outcome| outcome.objects)
            .map_err(|refusal| refusal.code().to_owned())
    }

    fn listed(&self) -> Vec<Object> {
        self.control
            .read(|view| view.ports(PortScope::All, None).cloned().map(Object::Port).collect())
    }
}

async fn agree(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("m.db").display());
    let kit = Kit::open(options(&database)).await;
    let network = kit.network().await;
    let mut real = Real {
        control: kit.control.clone(),
        project: kit.project,
        network,
        database,
        subnets: BTreeMap::new(),
        ports: BTreeMap::new(),
    };
    drop(kit);
    let mut model = Model::default();
    for step in steps {
        let known: Vec<usize> = model.ports.keys().copied().collect();
        let (expected, command): (Result<Vec<Vec<u32>>, &str>, Command) = match &step {
            Step::AddSubnet(n) => {
                let cidr = format!("{}/29", address(base(*n)));
                let command = Command::CreateSubnets(vec![new_subnet(real.project, network, &cidr)]);
                let answer = real.ask(command).await;
                let expected = model.add_subnet(*n);
                prop_assert_eq!(answer.as_ref().err().map(String::as_str), expected.err());
                if let Ok(made) = answer {
                    real.subnets.insert(*n, subnet(&made[0]).id);
                }
                continue;
            }
            Step::RemoveSubnet(n) => {
                let Some(n) = pick(&model.order, *n) else { continue };
                let answer = real.ask(Command::Delete(Delete::Subnet(real.subnets[&n]))).await;
                let expected = model.remove_subnet(n).err().map(str::to_owned);
                prop_assert_eq!(answer.err(), expected);
                continue;
            }
            Step::Restart => {
                let before = real.listed();
                real.control.close().await;
                real.control = Control::open(options(&real.database)).unwrap();
                prop_assert_eq!(real.listed(), before, "a restart changes nothing");
                model.restart();
                continue;
            }
            Step::Delete(n) => {
                let Some(n) = pick(&known, *n) else { continue };
                prop_assert!(real.ask(Command::Delete(Delete::Port(real.ports[&n]))).await.is_ok());
                for address in model.ports.remove(&n).into_iter().flatten() {
                    model.free(address);
                }
                continue;
            }
            Step::Move(n, at) => {
                let Some(n) = pick(&known, *n) else { continue };
                let fixed_ips = Some(vec![FixedIpRequest::Address(address(base(0) + at))]);
                let change = PortChange {
                    fixed_ips,
                    ..PortChange::default()
                };
                let answer = real.ask(Command::UpdatePort(real.ports[&n], change)).await;
                if model.ports[&n].first() == Some(&(base(0) + at)) {
                    prop_assert!(answer.is_ok(), "it keeps what is listed");
                    continue;
                }
                let expected = model.explicit(base(0) + at);
                prop_assert_eq!(answer.err(), expected.clone().err().map(str::to_owned));
                if let Ok(moved) = expected {
                    for old in model.ports.insert(n, moved).into_iter().flatten() {
                        model.free(old);
                    }
                }
                continue;
            }
            Step::Any => (model.default_address().map(|a| vec![a]), real.new_ports(1, None)),
            Step::At(at) => {
                let asked = FixedIpRequest::Address(address(base(0) + at));
                (
                    model.explicit(base(0) + at).map(|a| vec![a]),
                    real.new_ports(0, Some(asked)),
                )
            }
            Step::In(n) => {
                let Some(n) = pick(&model.order, *n) else { continue };
                let walked = model.walk(n).ok_or("port.exhausted");
                (
                    walked.map(|a| vec![vec![a]]),
                    real.new_ports(0, Some(FixedIpRequest::Subnet(real.subnets[&n]))),
                )
            }
            Step::Bulk(count, at) => {
                let asked = at.map(|at| FixedIpRequest::Address(address(base(0) + at)));
                (bulk(&mut model, *count, *at), real.new_ports(*count, asked))
            }
        };
        let answer = real.ask(command).await;
        match (answer, expected) {
            (Ok(made), Ok(expected)) => {
                let given: Vec<Vec<String>> = made.iter().map(|object| addresses(&port(object))).collect();
                let wanted: Vec<Vec<String>> = expected
                    .iter()
                    .map(|port| port.iter().map(|a| address(*a).to_string()).collect())
                    .collect();
                prop_assert_eq!(given, wanted, "{:?}", step);
                for (object, given) in made.iter().zip(expected) {
                    // A bulk has its ports in the model already.
                    let n = match matches!(step, Step::Bulk(..)) {
                        true => model
                            .ports
                            .iter()
                            .find(|(n, a)| **a == given && !real.ports.contains_key(n))
                            .map(|p| *p.0),
                        false => Some(model.add(given)),
                    };
                    real.ports.insert(n.unwrap(), port(object).id);
                }
            }
            (Err(code), Err(expected)) => prop_assert_eq!(code, expected, "{:?}", step),
            (answer, expected) => prop_assert!(false, "{step:?}: {answer:?}, expected {expected:?}"),
        }
    }
    let stored: BTreeSet<IpAddr> = real.control.read(|view| {
        view.ports(PortScope::All, None)
            .flat_map(|p| p.fixed_ips.iter().map(|ip| ip.address).collect::<Vec<_>>())
            .collect()
    });
    let wanted: BTreeSet<IpAddr> = model.ports.values().flatten().map(|a| address(*a)).collect();
    prop_assert_eq!(stored, wanted);
    real.control.close().await;
    Ok(())
}

/// All or none: a model that refuses is put back as it was.
fn bulk(model: &mut Model, count: usize, at: Option<u32>) -> Result<Vec<Vec<u32>>, &'static str> {
    let before = (
        model
            .subnets
            .iter()
            .map(|(n, s)| (*n, (s.fresh.clone(), s.resting.clone(), s.cursor)))
            .collect::<Vec<_>>(),
        model.ports.clone(),
        model.made,
    );
    let mut run = || {
        let mut given = Vec::new();
        for _ in 0..count {
            let one = model.default_address()?;
            model.add(one.clone());
            given.push(one);
        }
        if let Some(at) = at {
            let one = model.explicit(base(0) + at)?;
            model.add(one.clone());
            given.push(one);
        }
        Ok(given)
    };
    let result = run();
    if result.is_err() {
        for (n, (fresh, resting, cursor)) in before.0 {
            model.subnets.insert(n, Naive { fresh, resting, cursor });
        }
        (model.ports, model.made) = (before.1, before.2);
    }
    result
}

#[test]
fn the_writer_decides_as_the_model_does() {
    common::property::steps_hold(step(), 120, agree);
}
