//! How long a round of the host takes, and that it writes nothing when nothing has to change:
//!
//! `cargo run --release -p portolan-agent --example rounds [PODS] [ROUTES]`
//!
//! Needs root and iproute2. Everything happens in a network namespace of its own and goes with the
//! process, but for the pods' namespaces, which are removed at the end. A restart is a kernel, a log
//! and a round, all opened anew, as after kill -9.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use portolan_agent::host::Host;
use portolan_agent::kernel::Netlink;
use portolan_agent::machine::Sources;
use portolan_agent::pods::{AddPod, Pods};
use portolan_plan::{Desired, OwnBlock, RemoteBlock};
use portolan_shared::addr::{Cidr, Family, from_bits, to_bits};
use portolan_shared::ids::BlockId;
use portolan_sources::SystemStopwatch;
use rustix::thread::UnshareFlags;

type Failure = Box<dyn std::error::Error>;

#[expect(
    unsafe_code,
    reason = "the program has one thread, which may leave the network namespace"
)]
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let pods: usize = arguments.next().map_or(Ok(250), |text| text.parse())?;
    let routes: u32 = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    // SAFETY: nothing else runs yet; every thread made later is in the new namespace.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
    for line in [
        "link set lo up",
        "link add eth0 type veth peer name wire",
        "link set wire up",
        "link set eth0 up",
        "addr add 192.168.77.1/24 dev eth0",
    ] {
        ip(line)?;
    }
    let folder = PathBuf::from(format!("rounds-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let names: Vec<String> = (0..pods)
        .map(|n| format!("ptlk-rnd-{}-{n}", std::process::id()))
        .collect();
    let measured = measure(&folder.join("pods.log"), &names, routes);
    for name in &names {
        // What was not made cannot be removed.
        let _gone = Command::new("ip")
            .args(["netns", "del", name])
            .stderr(Stdio::null())
            .status();
    }
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn ip(line: &str) -> Result<(), Failure> {
    let status = Command::new("ip").args(line.split_whitespace()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ip {line} failed: root and iproute2 are needed").into())
    }
}

/// Blocks of 64 addresses from 10.128.0.0 on, all at one neighbour.
fn desired(routes: u32) -> Result<Desired, Failure> {
    let first = to_bits("10.128.0.0".parse()?);
    let remote = |n: u32| -> Option<RemoteBlock> {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let prefix = Cidr::containing(from_bits(Family::V4, first + u128::from(n) * 64), 26)?;
        let via = [IpAddr::from([192, 168, 77, 2])].into_iter().collect();
        Some(RemoteBlock {
            id: BlockId::from_bytes(id),
            prefix,
            via,
        })
    };
    Ok(Desired {
        complete: true,
        node: [IpAddr::from([192, 168, 77, 1])].into_iter().collect(),
        mtu: 1500,
        pod_ranges: vec!["10.0.0.0/8".parse()?],
        own_blocks: vec![OwnBlock {
            id: BlockId::from_bytes([255; 16]),
            prefix: "10.1.0.0/20".parse()?,
        }],
        remote_blocks: (0..routes).filter_map(remote).collect(),
    })
}

fn measure(log: &Path, names: &[String], routes: u32) -> Result<(), Failure> {
    let (wanted, mut out) = (desired(routes)?, io::stdout());
    let start = || -> Result<(Arc<Pods>, Host), Failure> {
        let sources = Sources::system()?;
        let kernel = Arc::new(Netlink::open(Arc::new(SystemStopwatch::default()))?);
        let pods = Arc::new(Pods::open(
            sources.files.open_log(log)?,
            kernel.clone(),
            sources.ids(),
            sources.sync_thread.clone(),
        )?);
        Ok((pods.clone(), Host::new(kernel, pods)))
    };
    let (pods, host) = start()?;
    let mut round = |what: &str, host: &Host, since: Instant| -> Result<(), Failure> {
        let outcome = host.converge(&wanted)?;
        let (took, failed) = (since.elapsed().as_secs_f64() * 1e3, outcome.exceptions.len());
        writeln!(
            out,
            "{what:28} {took:8.2} ms  {:6} writes  {failed} exceptions",
            outcome.writes
        )?;
        Ok(())
    };
    round("first round", &host, Instant::now())?;
    for name in names {
        ip(&format!("netns add {name}"))?;
        pods.add(&AddPod {
            network: "portolan".into(),
            container: name.clone(),
            ifname: "eth0".into(),
            netns: Path::new("/run/netns").join(name),
            pod_namespace: String::new(),
            pod_name: name.clone(),
            pod_uid: String::new(),
        })?;
    }
    for _ in 0..3 {
        round("nothing to change", &host, Instant::now())?;
    }
    drop((pods, host));
    let begin = Instant::now();
    let (_pods, host) = start()?;
    round("restart", &host, begin)
}
