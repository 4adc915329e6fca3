//! What must hold: at every moment, and once all is calm.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use portolan_control::control::Control;
use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::{Loss, Node, NodeStatus, Paths, owner};
use portolan_core::paths::{Standing, stand};
use portolan_core::tables::PortScope;
use portolan_plan::{Sysctl, Target};
use portolan_shared::losses::LossKind;

use crate::host::Host;
use crate::paths::leads;
use crate::runtime::{PodId, container, netns};
use crate::world::World;

/// What is wrong at any moment: an address given twice, a pod that was cut off, an agent that ended, a machine that is
/// taken for a copy.
pub async fn at_once(world: &mut World) -> Result<(), String> {
    if let Some(wrong) = world.pods.wrong() {
        return Err(wrong);
    }
    for host in &mut world.hosts {
        if let Some(ended) = host.ended().await {
            return Err(ended);
        }
    }
    for (pod, addresses) in world.pods.live() {
        let host = &world.hosts[pod.0];
        if !is_wired(host, pod) {
            return Err(format!("{pod:?} with {addresses:?} runs, and its link was taken away"));
        }
    }
    if !world.put_back {
        covered(world)?;
    }
    world.servers.iter().flatten().try_for_each(|server| {
        if let Some((subnet, has, wanted)) = *server.miscounted.lock() {
            return Err(format!(
                "{has} are free in the pool of subnet {subnet}, and {wanted} by the view"
            ));
        }
        leased_once(world, &server.control)?;
        accuses_copies(world, &server.control)
    })
}

/// As long as nothing that was written is lost, a pod's address is of a block that is leased, or in quarantine: else it is
/// given to others some day.
fn covered(world: &World) -> Result<(), String> {
    let head = world.cloud.database.head();
    let newest = |control: &&Control| control.read(|view| view.head() == head);
    let Some(control) = world
        .servers
        .iter()
        .flatten()
        .map(|server| &server.control)
        .find(newest)
    else {
        return Ok(());
    };
    control.read(|view| {
        let leased = view
            .nodes_of(world.cluster)
            .flat_map(|node| view.blocks_of_node(node.id));
        let held = view.of::<QuarantinedBlock>(world.cluster);
        let blocks: Vec<_> = leased
            .map(|block| block.cidr)
            .chain(held.map(|block| block.cidr))
            .collect();
        for (pod, addresses) in world.pods.live() {
            // As long as nobody knows that there is a copy, its word is the machine's.
            if world.ever_copied.contains(&pod.0) {
                continue;
            }
            let free = |address: &&IpAddr| blocks.iter().all(|block| !block.contains(**address));
            if let Some(address) = addresses.iter().find(free) {
                return Err(format!("{pod:?} runs with {address}, and no block has that"));
            }
        }
        Ok(())
    })
}

/// No block is leased while a machine that is no node any more may still give its addresses.
fn leased_once(world: &World, control: &Control) -> Result<(), String> {
    control.read(|view| {
        let mut held = view.of::<QuarantinedBlock>(world.cluster);
        let blocks = || {
            view.nodes_of(world.cluster)
                .flat_map(|node| view.blocks_of_node(node.id))
        };
        let twice = held.find_map(|held| Some((held, blocks().find(|block| block.cidr.first() == held.cidr.first())?)));
        match twice {
            Some((held, _)) => Err(format!("{} is leased, and {} holds it", held.cidr, held.node_name)),
            None => Ok(()),
        }
    })
}

/// Only of a machine that was copied it is said.
fn accuses_copies(world: &World, control: &Control) -> Result<(), String> {
    let own = world
        .hosts
        .iter()
        .filter(|host| !world.ever_copied.contains(&host.number));
    let own: Vec<_> = own.filter_map(Host::node).collect();
    let accused =
        |node: &&_| control.read(|view| view.node_status(**node).is_some_and(|status| status.copied.is_some()));
    match own.iter().find(accused) {
        Some(node) => Err(format!("node {node} is said to be copied, and was not")),
        None => Ok(()),
    }
}

/// Whether a pod's link is there.
fn is_wired(host: &Host, pod: PodId) -> bool {
    let state = host.kernel.state.lock();
    let netns = netns(pod);
    let link = state.ends.iter().find(|(_, (at, _))| *at == netns);
    link.is_some_and(|(link, _)| state.seen.links.contains_key(link))
}

/// What is not as it should be once nothing goes wrong any more and everybody had time.
///
/// # Errors
/// What is still missing.
pub fn calm(world: &World) -> Result<(), String> {
    if world.pods.busy() {
        return Err("a runtime still waits for an answer".to_owned());
    }
    for server in world.servers.iter().flatten() {
        let nodes = nodes(world, &server.control)?;
        ports(world, &server.control, &nodes)?;
        if world.paths.is_some() {
            proven(world, &server.control)?;
        }
    }
    if world.servers.iter().any(Option::is_none) {
        return Err("a control plane is down".to_owned());
    }
    routes(world)
}

type Nodes = BTreeMap<usize, Arc<Node>>;

/// Every host is a node, online, and has what is wanted of it.
fn nodes(world: &World, control: &Control) -> Result<Nodes, String> {
    let mut nodes = Nodes::new();
    for host in &world.hosts {
        let name = host.name();
        let id = host.node().ok_or_else(|| format!("{name} has not joined"))?;
        let found = control.read(|view| Some((view.node(id)?.clone(), view.node_status(id)?.clone())));
        let (node, status) = found.ok_or_else(|| format!("{name} is a node that the store lacks"))?;
        status_is_well(&name, &node, &status)?;
        let wanted = control.read(|view| view.cluster_revision(node.cluster));
        forwards(host, &status)?;
        if status.applied_revision < wanted {
            return Err(format!("{name} has {} of {wanted}", status.applied_revision));
        }
        nodes.insert(host.number, node);
    }
    let known: BTreeSet<_> = nodes.values().map(|node| node.id).collect();
    let stranger = control.read(|view| {
        view.nodes_of(world.cluster)
            .find(|node| !known.contains(&node.id))
            .cloned()
    });
    match stranger {
        Some(node) => Err(format!("the store has a node {} that no host is", node.name)),
        None => Ok(nodes),
    }
}

fn status_is_well(name: &str, node: &Node, status: &NodeStatus) -> Result<(), String> {
    let wrong = if node.found.is_some() {
        "waits to be admitted"
    } else if !status.online {
        "is not online"
    } else if status.awaited.is_some() {
        "is awaited"
    } else if status.copied.is_some() {
        "is said to be copied"
    } else if !status.exceptions.is_empty() {
        "has exceptions"
    } else {
        return Ok(());
    };
    Err(format!("{name} {wrong}: {:?} {:?}", status.exceptions, status.losses))
}

/// A host forwards, or its node says that it does not.
fn forwards(host: &Host, status: &NodeStatus) -> Result<(), String> {
    let on = host.kernel.state.lock().seen.sysctls.get(&Sysctl::ForwardV4) == Some(&true);
    let open = |loss: &Loss| loss.kind == LossKind::Forwarding && loss.back_after_ms.is_none();
    if on || status.losses.iter().any(open) {
        return Ok(());
    }
    Err(format!("{} does not forward, and nothing says so", host.name()))
}

/// Every pod that runs has a port with its addresses on its node, and there is no other.
fn ports(world: &World, control: &Control, nodes: &Nodes) -> Result<(), String> {
    let mut live: BTreeMap<(usize, String), Vec<IpAddr>> = BTreeMap::new();
    for (pod, addresses) in world.pods.live() {
        live.insert((pod.0, container(pod)), addresses);
    }
    control.read(|view| {
        for (number, node) in nodes {
            for port in view.ports(PortScope::Node(node.id), None) {
                let Some(pod) = port.pod.as_ref().filter(|_| *port.device_owner == *owner::POD) else {
                    continue;
                };
                let said: Vec<IpAddr> = port.fixed_ips.iter().map(|ip| ip.address).collect();
                let runs = live.remove(&(*number, pod.container_id.clone()));
                if runs.as_ref() != Some(&said) {
                    let name = &pod.container_id;
                    return Err(format!("{name} has a port with {said:?}, and runs with {runs:?}"));
                }
            }
        }
        match live.first_key_value() {
            Some(((_, name), addresses)) => Err(format!("{name} runs with {addresses:?}, and has no port")),
            None => Ok(()),
        }
    })
}

/// What packets prove, as a control plane has it: every host that can probe has reached all others that can.
fn proven(world: &World, control: &Control) -> Result<(), String> {
    let said = said(world, control);
    let can = |paths: &&Paths| paths.trouble.is_none();
    for (name, paths) in said.iter().filter(|(_, paths)| can(paths)) {
        if paths.failing > 0 || paths.proven != paths.peers {
            return Err(format!("{name} has not proven its paths: {paths:?}"));
        }
    }
    if said.values().filter(can).count() < 2 {
        return Err(format!("nobody can probe: {said:?}"));
    }
    Ok(())
}

fn said(world: &World, control: &Control) -> BTreeMap<String, Paths> {
    control.read(|view| {
        let nodes = view.nodes_of(world.cluster);
        let said = nodes.filter_map(|node| Some((node.name.clone(), view.node_status(node.id)?.paths.clone()?)));
        said.collect()
    })
}

/// Hosts whose probes say something, by number.
pub fn probing(world: &World) -> Vec<usize> {
    let Some(control) = world.control() else {
        return Vec::new();
    };
    let said = said(world, control);
    let probes = |host: &&Host| said.get(&host.name()).is_some_and(|paths| paths.trouble.is_none());
    world.hosts.iter().filter(probes).map(|host| host.number).collect()
}

/// Whether every control plane says that nothing passes between two hosts, and nothing else: of them as a pair, or of both
/// as cut off where there are no others to prove that they are not.
///
/// # Errors
/// What is said.
pub fn only_a_pair_is_said(world: &World, pair: [usize; 2]) -> Result<(), String> {
    let names = pair.map(|host| world.hosts[host].name());
    for server in world.servers.iter().flatten() {
        let standings: BTreeMap<String, Standing> = server.control.read(|view| {
            let statuses = view
                .nodes_of(world.cluster)
                .filter_map(|node| view.node_status(node.id));
            let said = statuses.filter_map(|status| Some((status.node, status.paths.as_ref()?)));
            let named = |(node, standing)| Some((view.node(node)?.name.clone(), standing));
            stand(&said.collect()).into_iter().filter_map(named).collect()
        });
        let others = probing(world).len() > 2;
        for (name, standing) in &standings {
            let wanted = (names.contains(name), names.contains(name) && !others);
            let said = (
                standing.pair.is_some() || standing.cut_off.is_some(),
                standing.cut_off.is_some(),
            );
            if said != wanted {
                return Err(format!(
                    "of {name} is said {standing:?} while {names:?} do not reach each other"
                ));
            }
        }
    }
    Ok(())
}

/// Every host's kernel leads to every pod.
fn routes(world: &World) -> Result<(), String> {
    for (pod, addresses) in world.pods.live() {
        for host in &world.hosts {
            for address in &addresses {
                let led = leads(&host.kernel.state.lock(), *address);
                let well = match &led {
                    Some(Target::Via(via)) => *via == world.hosts[pod.0].address,
                    Some(Target::Link(_)) => pod.0 == host.number,
                    _ => false,
                };
                if !well {
                    let (name, holder) = (host.name(), world.hosts[pod.0].name());
                    let leased = leased(world, *address);
                    return Err(format!(
                        "{name} leads {address} of {holder} to {led:?}; leased are {leased:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The blocks that have an address, each with its node.
fn leased(world: &World, address: IpAddr) -> Vec<String> {
    let Some(control) = world.control() else {
        return Vec::new();
    };
    control.read(|view| {
        let nodes = view.nodes_of(world.cluster);
        let blocks = nodes.flat_map(|node| view.blocks_of_node(node.id).map(move |block| (node, block)));
        let of_it = blocks.filter(|(_, block)| block.cidr.contains(address));
        of_it
            .map(|(node, block)| format!("{} to {} {:?}", block.cidr, node.name, node.addresses))
            .collect()
    })
}
