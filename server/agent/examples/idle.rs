//! What an agent costs that has nothing to do but to watch and to probe: resident memory and processor time of the program
//! that ships.
//!
//! `cargo run --release -p portolan-agent --example idle [PODS] [ROUTES] [PEERS] [SECONDS]`
//!
//! Needs root and iproute2, and leaves nothing behind. The peers are agents as well, each in a network namespace of its
//! own, so the one that is measured asks them and answers them. None has a control plane: each asks for it every few
//! seconds in vain, and has what it was told last on its disk.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use portolan_agent::desired::State;
use portolan_agent::desired::disk::DesiredFile;
use portolan_agent::host::Host;
use portolan_agent::machine::Sources;
use portolan_shared::ids::{ClusterId, NodeId};
use rcgen::{CertificateParams, KeyPair};
use support::{Failure, OWN, Scratch, ip};

/// How long all may take to prove their paths.
const PATIENCE: Duration = Duration::from_secs(60);

/// Datagrams a second and peer, at the least: each fourth second there are two at the node's address, a question and an
/// answer.
const LEAST_OF_A_PEER: f64 = 0.25;

/// Ticks of `/proc/PID/stat` a second, on every Linux (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

fn main() -> Result<(), Failure> {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let number = |at: usize, usual: u32| numbers.get(at).copied().unwrap_or(usual);
    let (pods, routes, peers) = (number(0, 250), number(1, 2000), number(2, 16));
    let rest = Duration::from_secs(number(3, 60).into());
    support::leave()?;
    let scratch = Scratch::new("idle", pods as usize)?;
    let state = support::state(routes, true, u8::try_from(peers)?)?;
    {
        let (kernel, pods) = support::open(&scratch.log())?;
        Host::new(kernel, pods.clone()).converge(&state.desired(OWN))?;
        scratch.fill(&pods)?;
    }

    let switch = Namespace::new()?;
    ip(&format!("link set wire netns {}", switch.pid()))?;
    switch.ip("link add switch type bridge")?;
    for line in ["link set switch up", "link set wire master switch", "link set wire up"] {
        switch.ip(line)?;
    }
    let mut others = Vec::new();
    for number in 2..2 + u8::try_from(peers)? {
        let namespace = Namespace::new()?;
        let (pid, link) = (namespace.pid(), format!("peer-{number}"));
        switch.ip(&format!("link add {link} type veth peer name eth0 netns {pid}"))?;
        switch.ip(&format!("link set {link} master switch"))?;
        switch.ip(&format!("link set {link} up"))?;
        namespace.ip("link set lo up")?;
        namespace.ip(&format!("addr add 192.168.77.{number}/24 dev eth0"))?;
        namespace.ip("link set eth0 up")?;
        let folder = scratch.folder.join(&link);
        std::fs::create_dir(&folder)?;
        let agent = agent(namespace.within("unshare"), &folder, support::node(number), &state)?;
        others.push((namespace, agent));
    }
    let agent = agent(Command::new("unshare"), &scratch.folder, OWN, &state)?;

    let least = LEAST_OF_A_PEER * f64::from(peers);
    let by = Instant::now() + PATIENCE;
    while datagrams(&agent, Duration::from_secs(1))? < least {
        if Instant::now() >= by {
            return Err("the peers do not answer".into());
        }
    }
    let before = processor(&agent)?;
    let begin = Instant::now();
    let datagrams = datagrams(&agent, rest)?;
    let busy = (processor(&agent)? - before) / begin.elapsed().as_secs_f64();
    if datagrams < least {
        return Err(format!("only {datagrams} datagrams a second have come").into());
    }
    println!("pods  routes  peers | % of a core  goal | resident MiB  goal | datagrams a second");
    println!(
        "{pods:4}  {routes:6}  {peers:5} | {:11.3}   0.3 | {:12.1}    12 | {datagrams:18.0}",
        busy * 100.0,
        f64::from(resident(&agent)?) / 1024.0
    );
    Ok(())
}

/// Starts a node's agent with what it was told last, and no control plane. `unshare` is that program, to be run where the
/// node is: it gives the agent mounts of its own, which end with the agent.
fn agent(mut unshare: Command, folder: &Path, node: NodeId, state: &State) -> Result<Ends, Failure> {
    DesiredFile::new(Sources::system()?.files, folder).save(state)?;
    let identity = folder.join("identity");
    std::fs::create_dir(&identity)?;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = CertificateParams::default().self_signed(&key)?.pem();
    std::fs::write(identity.join("key.pem"), key.serialize_pem())?;
    std::fs::write(identity.join("cert.pem"), &certificate)?;
    std::fs::write(identity.join("ca.pem"), &certificate)?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let facts = serde_json::json!({
        "node": node,
        "cluster": ClusterId::from_bytes([9; 16]),
        // Nobody listens there.
        "endpoint": "127.0.0.1:7443",
        "certified_at": now,
    });
    std::fs::write(identity.join("node.json"), facts.to_string())?;
    unshare
        .arg("--mount")
        .arg(program()?)
        .args(["run", "--state-dir"])
        .arg(folder);
    unshare.arg("--cni-socket").arg(folder.join("cni.sock"));
    unshare.arg("--probe-netns").arg(folder.join("probes"));
    Ok(Ends(unshare.env("RUST_LOG", "off").spawn()?))
}

/// Examples are built into a folder beside the programs.
fn program() -> Result<PathBuf, Failure> {
    let example = std::env::current_exe()?;
    Ok(example.ancestors().nth(2).ok_or("no folder")?.join("portolan-agent"))
}

/// A process that ends with what holds it.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network namespace, which lives as long as a process in it.
struct Namespace(Ends);

impl Namespace {
    fn new() -> Result<Self, Failure> {
        let keeper = Ends(Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn()?);
        let namespace = Self(keeper);
        let own = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(namespace.path())? == own {
            thread::yield_now();
        }
        Ok(namespace)
    }

    fn pid(&self) -> u32 {
        self.0.0.id()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }

    /// A program there.
    fn within(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg(program);
        command
    }

    fn ip(&self, line: &str) -> Result<(), Failure> {
        let status = self.within("ip").args(line.split_whitespace()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("ip {line} failed").into())
        }
    }
}

/// A file of an agent's in `/proc`.
fn of(agent: &Ends, file: &str) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(format!("/proc/{}/{file}", agent.0.id()))?)
}

/// Seconds of processor time that it has taken, of its own and in the kernel.
fn processor(agent: &Ends) -> Result<f64, Failure> {
    let stat = of(agent, "stat")?;
    // The name, in brackets, may have spaces.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no bracket")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
    Ok(f64::from(ticks.sum::<Result<u32, _>>()?) / TICKS)
}

/// Its resident memory, in KiB.
fn resident(agent: &Ends) -> Result<u32, Failure> {
    let status = of(agent, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// Datagrams a second that come to the node's address, in the time to come.
fn datagrams(agent: &Ends, time: Duration) -> Result<f64, Failure> {
    let count = || -> Result<f64, Failure> {
        let snmp = of(agent, "net/snmp")?;
        let numbers = snmp.lines().filter(|line| line.starts_with("Udp: ")).nth(1);
        let number = numbers.and_then(|line| line.split(' ').nth(1));
        Ok(number.ok_or("no count of datagrams")?.parse()?)
    };
    let (begin, before) = (Instant::now(), count()?);
    thread::sleep(time);
    Ok((count()? - before) / begin.elapsed().as_secs_f64())
}
