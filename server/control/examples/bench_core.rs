//! How fast the core is without HTTP: durable creations, lists, pages, memory.
//!
//! `cargo run --release -p portolan-control --example bench_core -- [--database URL] [--clients 64] [--ports 100000]
//! [--more 20000]`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use portolan_control::control::{Control, OpenOptions};
use portolan_control::machine::Sources;
use portolan_core::access::Scope;
use portolan_core::command::{Actor, Command, NewNetwork, NewPort, NewSubnet, Request, Via};
use portolan_core::model::{Object, Port};
use portolan_core::quotas::Quotas;
use portolan_core::view::PortScope;
use portolan_shared::check::{self, SubnetInput};
use portolan_shared::ids::{NetworkId, ProjectId};

/// Measures the core.
#[derive(Parser)]
struct Arguments {
    /// `sqlite:PATH` or `postgres://…`; a file in a temporary folder if absent.
    #[arg(long)]
    database: Option<String>,
    /// Tasks that create at once.
    #[arg(long, default_value_t = 64)]
    clients: u64,
    /// Ports made in all, one a request at first, then a hundred.
    #[arg(long, default_value_t = 100_000)]
    ports: u64,
    /// Ports made after those, one a request; then five times as many, a hundred a request.
    #[arg(long, default_value_t = 20_000)]
    more: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite:{}", folder.path().join("bench.db").display());
    let database = arguments.database.clone().unwrap_or(file);
    let options = || OpenOptions {
        quotas: Quotas::NONE,
        ..OpenOptions::new(&database, Sources::system())
    };
    let control = Control::open(options())?;
    let (project, network) = prepare(&control).await?;
    println!("| what | figure |\n|---|---|");
    println!(
        "| database, clients | {}, {} |",
        database.split(':').next().unwrap_or(""),
        arguments.clients
    );
    println!("| memory, empty | {} MiB |", resident()?);

    let mut made = 0;
    for target in [1_000, 10_000, 100_000, 1_000_000]
        .into_iter()
        .take_while(|t| *t <= arguments.ports)
    {
        // The first hundred thousand one by one, the rest in bulk.
        let bulk = if target <= 100_000 { 1 } else { 100 };
        let run = creations(&control, project, network, arguments.clients, target - made, bulk).await?;
        made = target;
        println!("| to {target} ports, {bulk} a request | {run} |");
        println!("| memory at {target} ports | {} MiB |", resident()?);
        reads(&control, network, target);
    }
    for (more, bulk, each) in [(arguments.more, 1, "one"), (arguments.more * 5, 100, "100")] {
        let run = creations(&control, project, network, arguments.clients, more, bulk).await?;
        println!("| {more} more, {each} a request | {run} |");
    }
    control.close().await;
    drop(control);
    let start = Instant::now();
    let control = Control::open(options())?;
    let ports = control.read(|view| view.port_count(PortScope::All));
    println!("| opening with {ports} ports | {} ms |", start.elapsed().as_millis());
    control.close().await;
    Ok(())
}

async fn prepare(control: &Control) -> Result<(ProjectId, NetworkId), Box<dyn std::error::Error>> {
    let nobody = ProjectId::from_bytes([0; 16]);
    let name = control.new_id().to_string();
    let made = control
        .write(request(
            nobody,
            Command::CreateProject {
                name,
                description: String::new(),
            },
        ))
        .await?;
    let Some(Object::Project(project)) = made.objects.first() else {
        return Err("no project".into());
    };
    let project = project.id;
    let network = NewNetwork {
        project,
        name: "bench".into(),
        description: String::new(),
        admin_state_up: true,
        mtu: 1500,
        port_security_enabled: true,
        dns_domain: String::new(),
        internet_access: false,
        external: false,
        shadow_port: false,
    };
    let made = control
        .write(request(project, Command::CreateNetworks(vec![network])))
        .await?;
    let Some(Object::Network(network)) = made.objects.first() else {
        return Err("no network".into());
    };
    let network = network.id;
    let input = SubnetInput {
        cidr: "10.0.0.0/8".into(),
        ..SubnetInput::default()
    };
    let spec = check::subnet(&input).map_err(|wrong| format!("{wrong:?}"))?;
    control
        .write(request(
            project,
            Command::CreateSubnets(vec![NewSubnet { project, network, spec }]),
        ))
        .await?;
    Ok((project, network))
}

fn request(project: ProjectId, command: Command) -> Request {
    Request::new(Actor::System, Via::SYSTEM, Scope::everywhere(project), command)
}

/// Rate and latencies of a run.
struct Run {
    rate: f64,
    latencies: Vec<Duration>,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.latencies[((self.latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        write!(
            f,
            "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            self.rate,
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}

async fn creations(
    control: &Control,
    project: ProjectId,
    network: NetworkId,
    clients: u64,
    ports: u64,
    bulk: u64,
) -> Result<Run, Box<dyn std::error::Error>> {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (control, next) = (control.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let first = next.fetch_add(bulk, Ordering::Relaxed);
                if first >= ports {
                    return Ok::<_, portolan_shared::refusal::Refusal>(latencies);
                }
                let new = (first..(first + bulk).min(ports))
                    .map(|n| new_port(project, network, n))
                    .collect();
                let asked = Instant::now();
                control.write(request(project, Command::CreatePorts(new))).await?;
                latencies.push(asked.elapsed());
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let rate = ports as f64 / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Run { rate, latencies })
}

fn new_port(project: ProjectId, network: NetworkId, n: u64) -> NewPort {
    NewPort {
        project,
        network,
        name: format!("port-{n}").into(),
        description: "".into(),
        mac: None,
        fixed_ips: None,
        admin_state_up: true,
        device_owner: "compute:nova".into(),
        device_id: "".into(),
        host: "".into(),
        port_security_enabled: None,
    }
}

/// A list of 10,000 and a page of 1,000, serialised as stored.
fn reads(control: &Control, network: NetworkId, target: u64) {
    for (what, limit) in [("list", 10_000), ("page", 1_000)] {
        let mut best = Duration::MAX;
        let mut bytes = 0;
        for _ in 0..10 {
            let start = Instant::now();
            let ports: Vec<Arc<Port>> = control.read(|view| {
                view.ports(PortScope::Network(network), None)
                    .take(limit)
                    .cloned()
                    .collect()
            });
            let body = serde_json::to_vec(&ports.iter().map(|port| &**port).collect::<Vec<_>>());
            bytes = body.map_or(0, |body| body.len());
            best = best.min(start.elapsed());
        }
        println!(
            "| {what} of {limit} at {target} ports | {:.2} ms ({} KiB) |",
            best.as_secs_f64() * 1e3,
            bytes / 1024
        );
    }
}

/// Resident memory, MiB.
fn resident() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    Ok(kib / 1024)
}
