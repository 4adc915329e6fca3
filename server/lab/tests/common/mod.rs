//! A lab of the test's own: the real program, as a person would start it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may, and each uses its part"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portolan_lab::netns::Namespace;
use portolan_lab::protocol::{self, Report, Request};
use portolan_lab::wait::until;
use portolan_lab::{binaries, echo, netns, rights};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_portolan-lab");

/// Whether labs may be made here; if not, says so in the way the test runner counts.
pub fn may_run() -> bool {
    rights::check().map_err(|missing| println!("SKIP: {missing}")).is_ok()
}

/// A running lab. Dropping it kills it without mercy: its janitor clears up.
pub struct Lab {
    pub report: Report,
    pub child: Child,
    pub state: Arc<TempDir>,
}

/// An address that nobody listens on, of the ports that no connection takes by itself.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = 20_000..30_000_u32;
    let begin = std::process::id().wrapping_mul(37) + NEXT.fetch_add(1, Ordering::Relaxed);
    let numbers = (0..1_000).map(|more| ports.start + (begin + more) % (ports.end - ports.start));
    let mut addresses = numbers.map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())));
    addresses.find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

impl Lab {
    /// Raises one and waits until it is ready.
    pub fn raise(options: &[&str]) -> Self {
        Self::raise_with(options, |_| ())
    }

    /// The same, with something done to the command first.
    pub fn raise_with(options: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        Self::raise_in(Arc::new(tempfile::tempdir().unwrap()), options, prepare)
    }

    /// The same, on what an earlier lab has left.
    pub fn raise_in(state: Arc<TempDir>, options: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(["up", "--listen", &free_address().to_string(), "--state-dir"])
            .arg(state.path())
            .args(options);
        command.stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        let report = ready.map(|json| serde_json::from_str(&json).unwrap());
        Self {
            report: report.expect("the lab ends before it is ready; its stderr says why"),
            child,
            state,
        }
    }

    /// Asks it something.
    pub fn ask(&self, request: &Request) -> Report {
        protocol::ask(self.state.path(), request).unwrap()
    }

    /// What its namespaces' names begin with.
    pub fn prefix(&self) -> String {
        format!("ptl-{}-", self.report.name)
    }

    /// Its processes, itself included.
    pub fn processes(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let parents = parents();
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        family
    }

    /// Kills it as a crash would, and waits until nothing is left. Returns what the next one goes on with.
    pub fn crash(mut self) -> Arc<TempDir> {
        let processes = self.processes();
        self.signal(Signal::KILL);
        let gone = until(IN_TIME, || {
            Ok::<_, ()>(self.remains(&processes).is_empty().then_some(()))
        });
        assert_eq!(gone, Ok(Some(())), "{:?}", self.remains(&processes));
        Arc::clone(&self.state)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// What is left of it: names of namespaces, processes (of those given) that live, its directory.
    pub fn remains(&mut self, processes: &[u32]) -> Vec<String> {
        let _ = self.child.try_wait();
        let mut left: Vec<String> = netns::list(&self.prefix())
            .unwrap()
            .iter()
            .map(|ns| ns.name().to_owned())
            .collect();
        left.extend(
            processes
                .iter()
                .filter(|pid| lives(**pid))
                .map(|pid| format!("process {pid}")),
        );
        let dir = portolan_lab::runtime::root().join(&self.report.name);
        left.extend(dir.exists().then(|| dir.display().to_string()));
        left
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The janitor goes on when its lab is gone; what it leaves, the next lab's start would sweep.
        let _ = until(IN_TIME, || {
            Ok::<_, ()>(netns::list(&self.prefix()).unwrap().is_empty().then_some(()))
        });
    }
}

/// How long anything here may take on a busy machine. How long it takes on an idle one, `cargo xtask bench` shows.
pub const IN_TIME: Duration = Duration::from_secs(60);

/// Asks from inside a namespace: the address that was seen, and who answered.
pub fn ask_from(namespace: &str, to: SocketAddr) -> (IpAddr, String) {
    let asked = Namespace::named(namespace).within(|| echo::ask(to, IN_TIME)).unwrap();
    asked.unwrap_or_else(|error| panic!("from {namespace} to {to}: {error}"))
}

/// Another program of Portolan's: where the lab finds them.
pub fn beside(name: &str) -> PathBuf {
    let folder = std::env::var_os(binaries::VARIABLE).map(PathBuf::from);
    folder
        .unwrap_or_else(|| Path::new(PROGRAM).with_file_name(""))
        .join(name)
}

/// In each cluster everything reaches every pod, and is seen with its own address.
pub fn all_reach_all(report: &Report) {
    for to in &report.pods {
        let pods = report.pods.iter().filter(|from| from.cluster == to.cluster);
        for from in pods.filter(|from| from.name != to.name) {
            assert_eq!(
                ask_from(&from.namespace, to.echo),
                (from.address, to.name.clone()),
                "pod {}",
                from.name
            );
        }
        // A host's own program stands for the kubelet (pods on its node) and for a host-network pod (all others).
        for from in report.hosts.iter().filter(|from| from.cluster.id == to.cluster) {
            assert_eq!(
                ask_from(&from.namespace, to.echo),
                (from.address, to.name.clone()),
                "node {}",
                from.name
            );
        }
    }
}

/// All processes with their parents.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?.1))).collect()
}

/// Whether the process runs: one that has ended and waits for its parent to look does not, but for threads that have not
/// ended yet and hold its files open.
fn lives(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat(pid).is_some_and(|(state, _)| threads > 1 || (state != 'Z' && state != 'X'))
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name before may hold anything, a parenthesis too.
    let mut words = text.rsplit_once(") ")?.1.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}
