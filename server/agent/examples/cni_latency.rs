//! How long ADD and DEL take through the real plugin, as a runtime calls it:
//!
//! `cargo run --release -p portolan-agent --example cni_latency [COUNT] [CONCURRENCY,…]`
//!
//! Needs root and iproute2. The agent's modules run in this process, in a network namespace of its
//! own; the log is on the disk of the working folder. Pods' namespaces are made beforehand and not
//! timed. Prints rate, p50, p90, p99 and maximum in milliseconds; the lines in small letters are the
//! agent's part alone, without the plugin's process and the socket; those with `port` are of pods with a host
//! port each.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time and reads its environment"
)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portolan_agent::cni;
use portolan_agent::host::Host;
use portolan_agent::kernel::Netlink;
use portolan_agent::machine::Sources;
use portolan_agent::pods::Pods;
use portolan_plan::{Desired, OwnBlock};
use portolan_shared::ids::BlockId;
use portolan_sources::SystemStopwatch;
use rustix::mount::UnmountFlags;
use rustix::thread::UnshareFlags;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[expect(
    unsafe_code,
    reason = "the program has one thread, which may leave the network namespace"
)]
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let widths = arguments.next().unwrap_or_else(|| "1,8,32".into());
    // SAFETY: nothing else runs yet; every thread made later is in the new namespace.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    ip("link set lo up")?;
    ip("addr add 192.168.77.1/32 dev lo")?;
    let folder = PathBuf::from(format!("cni-latency-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let measured = measure(&folder, count, &widths);
    rustix::mount::unmount(folder.join("probes"), UnmountFlags::DETACH)?;
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, count: usize, widths: &str) -> Result<(), Failure> {
    let sources = Sources::system()?;
    let kernel = Netlink::open(Arc::new(SystemStopwatch::default()))?;
    let kernel = Arc::new(kernel.with_probes_at(&folder.join("probes")));
    let pods = Arc::new(Pods::open(
        &*sources.files,
        &folder.join("pods.log"),
        kernel.clone(),
        sources.ids(),
        sources.sync_thread.clone(),
    )?);
    let desired = Desired {
        complete: true,
        node: [std::net::IpAddr::from([192, 168, 77, 1])].into_iter().collect(),
        mtu: 1500,
        pod_ranges: vec!["10.77.0.0/16".parse()?],
        own_blocks: vec![OwnBlock {
            id: BlockId::from_bytes([1; 16]),
            prefix: "10.77.0.0/20".parse()?,
        }],
        remote_blocks: Vec::new(),
    };
    Host::new(kernel, pods.clone()).converge(&desired)?;
    let socket = std::fs::canonicalize(folder)?.join("cni.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let listener = runtime.block_on(async { sources.net.listen_local(&socket) })?;
    runtime.spawn(cni::serve(
        listener,
        pods.clone(),
        sources.workers,
        std::future::pending(),
    ));
    let plugin = plugin()?;
    let with = |more: &str| {
        let socket = socket.display();
        format!(r#"{{"cniVersion":"1.0.0","name":"p","type":"portolan-cni","socket":"{socket}"{more}}}"#)
    };
    let config = with("");
    // The name ends with the pod's number.
    let with_port = |name: &str| {
        let number: u16 = name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let port = 20_000 + number;
        with(&format!(
            r#","runtimeConfig":{{"portMappings":[{{"hostPort":{port},"containerPort":80,"protocol":"tcp"}}]}}"#
        ))
    };
    let mut out = io::stdout();
    for width in widths.split(',') {
        let width: usize = width.parse()?;
        let names: Vec<String> = (0..count)
            .map(|n| format!("ptlk-lat-{}-{n}", std::process::id()))
            .collect();
        let timed = make(&names).and_then(|()| {
            for command in ["ADD", "DEL"] {
                let row = phase(command, &names, width, |name| call(&plugin, &config, command, name))?;
                writeln!(out, "{row}")?;
            }
            for command in ["ADD", "DEL"] {
                let row = phase(&command.to_lowercase(), &names, width, |name| {
                    answer(&pods, &config, command, name)
                })?;
                writeln!(out, "{row}")?;
            }
            for command in ["ADD", "DEL"] {
                let row = phase(&format!("{command} port"), &names, width, |name| {
                    call(&plugin, &with_port(name), command, name)
                })?;
                writeln!(out, "{row}")?;
            }
            Ok(())
        });
        for name in &names {
            // What was not made cannot be removed.
            let _gone = Command::new("ip")
                .args(["netns", "del", name])
                .stderr(Stdio::null())
                .status();
        }
        timed?;
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

fn make(names: &[String]) -> Result<(), Failure> {
    names.iter().try_for_each(|name| ip(&format!("netns add {name}")))
}

fn ip(line: &str) -> Result<(), Failure> {
    let status = Command::new("ip").args(line.split_whitespace()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ip {line} failed: root and iproute2 are needed").into())
    }
}

/// Beside the examples' folder, or where `PORTOLAN_BIN_DIR` says.
fn plugin() -> Result<PathBuf, Failure> {
    let folder = match std::env::var_os("PORTOLAN_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe()?
            .ancestors()
            .nth(2)
            .map(Path::to_owned)
            .ok_or("no target folder")?,
    };
    let plugin = folder.join("portolan-cni");
    if plugin.exists() {
        Ok(plugin)
    } else {
        Err(format!("{} is missing: build portolan-cni first", plugin.display()).into())
    }
}

fn call(plugin: &Path, config: &str, command: &str, name: &str) -> Result<(), Failure> {
    let mut child = Command::new(plugin)
        .env_clear()
        .envs([
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", name),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/opt/cni/bin"),
        ])
        .env("CNI_NETNS", format!("/run/netns/{name}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("no standard input")?
        .write_all(config.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stdout).into())
    }
}

fn answer(pods: &Pods, config: &str, command: &str, name: &str) -> Result<(), Failure> {
    let request = format!(
        r#"{{"command":"{command}","container_id":"{name}","ifname":"eth0","netns":"/run/netns/{name}","config":{config}}}"#
    );
    cni::answer(pods, request.as_bytes())?;
    Ok(())
}

fn phase(
    command: &str,
    names: &[String],
    width: usize,
    work: impl Fn(&str) -> Result<(), Failure> + Sync,
) -> Result<String, Failure> {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let worker = || -> Result<Vec<Duration>, Failure> {
        let mut taken = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begin = Instant::now();
            work(name)?;
            taken.push(begin.elapsed());
        }
        Ok(taken)
    };
    let mut all = std::thread::scope(|scope| -> Result<Vec<Duration>, Failure> {
        let workers: Vec<_> = (0..width).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a worker panicked")??);
        }
        Ok(all)
    })?;
    let wall = start.elapsed().as_secs_f64();
    all.sort();
    let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
    Ok(format!(
        "{command:8} x{width:<3} n={} {:7.1}/s  p50 {:6.2}  p90 {:6.2}  p99 {:6.2}  max {:6.2} ms",
        all.len(),
        all.len() as f64 / wall,
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    ))
}
