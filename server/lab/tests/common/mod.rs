//! A lab of the test's own: the real program, as a person would start it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may, and each uses its part"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portolan_lab::protocol::{self, Report, Request};
use portolan_lab::wait::until;
use portolan_lab::{netns, rights};
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
    pub state: TempDir,
}

impl Lab {
    /// Raises one and waits until it is ready.
    pub fn raise(options: &[&str]) -> Self {
        Self::raise_with(options, |_| ())
    }

    /// The same, with something done to the command first.
    pub fn raise_with(options: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(PROGRAM);
        command
            .args(["up", "--listen", &format!("127.0.0.1:{port}"), "--state-dir"])
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
        let _ = until(Duration::from_secs(5), || {
            Ok::<_, ()>(netns::list(&self.prefix()).unwrap().is_empty().then_some(()))
        });
    }
}

/// All processes with their parents.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?.1))).collect()
}

/// Whether the process runs: one that has ended and waits for its parent to look does not.
fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name before may hold anything, a parenthesis too.
    let mut words = text.rsplit_once(") ")?.1.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}
