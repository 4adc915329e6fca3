//! How long it takes to plan the delete of a cluster, how long the writer stands still while it is deleted with its
//! pods, and to say what uses a network.
//!
//! `cargo run --release -p portolan-control --example bench_delete [PODS,…]`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use portolan_control::control::{Control, OpenOptions};
use portolan_control::machine::Sources;
use portolan_core::access::Scope;
use portolan_core::command::{
    Actor, Command, Delete, NewCluster, NewNetwork, NewPort, NewSubnet, PodAllocation, Request, Via,
};
use portolan_core::decide::Removal;
use portolan_core::model::{HostPorts, Object, Pod};
use portolan_core::quotas::Quotas;
use portolan_shared::addr::{from_bits, to_bits};
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::cluster;
use portolan_shared::ids::{ClusterId, NetworkId, NodeId, ProjectId, SubnetId};
use portolan_shared::mac::MacAddress;
use portolan_shared::v1::CreateCluster;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Addresses that a node leases at a time.
const BLOCK: u64 = 64;
/// Pods of a node.
const PER_NODE: u64 = 2_048;

#[tokio::main]
async fn main() -> Outcome<()> {
    let sizes = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "1000,10000,100000".to_owned());
    let sizes: Vec<u64> = sizes.split(',').map(str::parse).collect::<Result<_, _>>()?;
    refused(&sizes).await?;
    println!("| pods | plan, ms | delete, ms | longest wait of another write, ms |\n|---|---|---|---|");
    for pods in sizes {
        let folder = tempfile::tempdir()?;
        let control = Control::open(OpenOptions {
            quotas: Quotas::NONE,
            ..OpenOptions::new(
                format!("sqlite:{}", folder.path().join("bench.db").display()),
                Sources::system(),
            )
        })?;
        let (project, cluster) = filled(&control, pods).await?;
        let plan = planned(&control, project, cluster)?;
        let (other, ended) = (control.clone(), tokio::sync::watch::channel(false));
        let (end, ending) = ended;
        let (writes, begun) = tokio::sync::oneshot::channel();
        let waits = tokio::spawn(async move {
            other.write(request(project, networks(project, "other", false))).await?;
            // Whoever waited for it has given up if it fails.
            let _ = writes.send(());
            let mut longest = Duration::ZERO;
            while !*ending.borrow() {
                let asked = Instant::now();
                other.write(request(project, networks(project, "other", false))).await?;
                longest = longest.max(asked.elapsed());
            }
            Ok::<_, portolan_shared::refusal::Refusal>(longest)
        });
        begun.await?;
        let start = Instant::now();
        control
            .write(request(project, Command::Delete(Delete::Cluster(cluster))))
            .await?;
        let took = start.elapsed();
        end.send_replace(true);
        let longest = waits.await??;
        println!(
            "| {pods} | {:.2} | {} | {} |",
            plan.as_secs_f64() * 1e3,
            took.as_millis(),
            longest.as_millis()
        );
        control.close().await;
    }
    Ok(())
}

/// How long readers take to plan the delete: the best of ten.
fn planned(control: &Control, project: ProjectId, cluster: ClusterId) -> Outcome<Duration> {
    let what = Delete::Cluster(cluster);
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        let plan = control.read(|view| Removal::planned(view, &request(project, what.into()), what, 0))?;
        best = best.min(start.elapsed());
        if plan.goes.is_empty() {
            return Err("the plan is empty".into());
        }
    }
    Ok(best)
}

/// How long it takes to say by what a network and its subnet are used.
async fn refused(sizes: &[u64]) -> Outcome<()> {
    println!("| ports | refused delete of their network, ms | of their subnet, ms |\n|---|---|---|");
    let folder = tempfile::tempdir()?;
    let control = Control::open(OpenOptions {
        quotas: Quotas::NONE,
        ..OpenOptions::new(
            format!("sqlite:{}", folder.path().join("bench.db").display()),
            Sources::system(),
        )
    })?;
    let project = provider(&control).await?;
    let (network, subnet) = in_network(&control, project, "plain", "10.0.0.0/8").await?;
    let mut made = 0;
    for ports in sizes {
        while made < *ports {
            let new = NewPort {
                project,
                network,
                name: "".into(),
                description: "".into(),
                mac: None,
                fixed_ips: None,
                admin_state_up: true,
                device_owner: "".into(),
                device_id: "".into(),
                host: "".into(),
                port_security_enabled: None,
            };
            let count = (ports - made).min(500);
            let many = Command::CreatePorts(vec![new; usize::try_from(count)?]);
            control.write(request(project, many)).await?;
            made += count;
        }
        let mut took = Vec::new();
        for command in [
            Command::Delete(Delete::Network(network)),
            Command::Delete(Delete::Subnet(subnet)),
        ] {
            let mut best = Duration::MAX;
            for _ in 0..10 {
                let start = Instant::now();
                if control.write(request(project, command.clone())).await.is_ok() {
                    return Err("it is in use".into());
                }
                best = best.min(start.elapsed());
            }
            took.push(best.as_secs_f64() * 1e3);
        }
        println!("| {ports} | {:.2} | {:.2} |", took[0], took[1]);
    }
    control.close().await;
    Ok(())
}

fn request(project: ProjectId, command: Command) -> Request {
    Request::new(Actor::System, Via::SYSTEM, Scope::everywhere(project), command)
}

fn networks(project: ProjectId, name: &str, external: bool) -> Command {
    Command::CreateNetworks(vec![NewNetwork {
        project,
        name: name.to_owned(),
        description: String::new(),
        admin_state_up: true,
        mtu: 1500,
        port_security_enabled: true,
        dns_domain: String::new(),
        internet_access: true,
        external,
        shadow_port: false,
    }])
}

/// The project without quotas.
async fn provider(control: &Control) -> Outcome<ProjectId> {
    let command = Command::CreateProject {
        name: "admin".to_owned(),
        description: String::new(),
    };
    let made = control.write(request(ProjectId::from_bytes([0; 16]), command)).await?;
    match made.objects.first() {
        Some(Object::Project(project)) => Ok(project.id),
        _ => Err("no project".into()),
    }
}

/// A network and its subnet.
async fn in_network(control: &Control, project: ProjectId, name: &str, cidr: &str) -> Outcome<(NetworkId, SubnetId)> {
    let made = control
        .write(request(project, networks(project, name, name == "internet")))
        .await?;
    let Some(Object::Network(network)) = made.objects.first() else {
        return Err("no network".into());
    };
    let input = SubnetInput {
        cidr: cidr.to_owned(),
        ..SubnetInput::default()
    };
    let subnet = NewSubnet {
        project,
        network: network.id,
        spec: check::subnet(&input).map_err(|wrong| format!("{wrong:?}"))?,
    };
    let made = control
        .write(request(project, Command::CreateSubnets(vec![subnet])))
        .await?;
    let Some(Object::Subnet(subnet)) = made.objects.first() else {
        return Err("no subnet".into());
    };
    Ok((network.id, subnet.id))
}

/// A cluster with this many pods, and its project.
async fn filled(control: &Control, pods: u64) -> Outcome<(ProjectId, ClusterId)> {
    let project = provider(control).await?;
    let ask = |command| control.write(request(project, command));
    in_network(control, project, "internet", "203.0.113.0/24").await?;
    let (network, subnet) = in_network(control, project, "bench", "10.0.0.0/16").await?;
    let asked = CreateCluster {
        name: "bench".to_owned(),
        network: Some(network),
        node_subnet: Some(subnet),
        pod_range: Some("10.128.0.0/9".to_owned()),
        ..CreateCluster::default()
    };
    let spec = cluster::check(&asked).map_err(|wrong| format!("{wrong:?}"))?;
    let made = ask(Command::CreateCluster(NewCluster { project, spec })).await?;
    let Some(Object::Cluster(cluster)) = made.objects.first() else {
        return Err("no cluster".into());
    };
    let (mut done, mut seq) = (0, 0);
    while done < pods {
        let name = format!("node-{done}");
        let made = ask(Command::CreateNode {
            cluster: cluster.id,
            name,
            address: None,
        })
        .await?;
        let Some(Object::Node(node)) = made.objects.first() else {
            return Err("no node".into());
        };
        let mut of_node = 0;
        while of_node < PER_NODE.min(pods - done) {
            let count = BLOCK.min(pods - done - of_node);
            seq = block_of_pods(control, project, node.id, count, seq).await?;
            of_node += count;
        }
        done += of_node;
    }
    Ok((project, cluster.id))
}

/// Leases a block to a node and fills it; the newest sequence number.
async fn block_of_pods(control: &Control, project: ProjectId, node: NodeId, count: u64, seq: u64) -> Outcome<u64> {
    let have = u32::try_from(control.read(|view| view.blocks_of_node(node).count()))?;
    let leased = control
        .write(request(project, Command::LeaseBlock { node, have }))
        .await?;
    let block = leased.objects.iter().find_map(|object| match object {
        Object::Block(block) => Some(block.cidr),
        _ => None,
    });
    let block = block.ok_or("no block")?;
    let address = |n: u64| -> IpAddr { from_bits(block.family(), to_bits(block.first()) + u128::from(n)) };
    let allocation = |n: u64| PodAllocation {
        id: control.new_id().into(),
        pod: Pod {
            namespace: "default".into(),
            name: format!("web-{}", seq + n),
            container_id: format!("{:064x}", seq + n),
            seq: seq + n + 1,
            host_ports: HostPorts::default(),
        },
        addresses: vec![address(n)],
        mac: MacAddress::from_u64(0x0200_0000_0000 + seq + n),
    };
    let report = Command::ReportPods {
        node,
        full: false,
        seq: seq + count,
        allocations: (0..count).map(allocation).collect(),
        releases: Vec::new(),
    };
    let made = control.write(request(project, report)).await?;
    if made.objects.len() as u64 != count {
        return Err(format!("{:?}", made.declined).into());
    }
    Ok(seq + count)
}
