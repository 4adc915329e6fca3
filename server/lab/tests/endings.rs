//! However a lab ends, nothing of it is left. How quickly, `cargo xtask bench` shows.

#![expect(clippy::disallowed_methods, reason = "a test looks at what is left")]
#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use common::{IN_TIME, Lab, PROGRAM, may_run};
use portolan_lab::netns;
use portolan_lab::protocol::Request;
use portolan_lab::rights::EXIT_NO_LAB;
use portolan_lab::wait::until;
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Ends a lab by a signal and holds it to leaving nothing.
fn ends_by(signal: Signal) {
    if !may_run() {
        return;
    }
    let mut lab = Lab::raise(&["--hosts", "2", "--pods", "2"]);
    let processes = lab.processes();
    // Lab, janitor, control plane, two agents, two pods' programs.
    assert_eq!(processes.len(), 7, "{processes:?}");
    // Switch, provider, two hosts with their ends of probes, two pods.
    assert_eq!(netns::list(&lab.prefix()).unwrap().len(), 8);

    lab.signal(signal);
    let mut left = Vec::new();
    let gone = until(IN_TIME, || {
        left = lab.remains(&processes);
        Ok::<_, ()>(left.is_empty().then_some(()))
    });
    assert_eq!(gone, Ok(Some(())), "{left:?}");
}

#[test]
fn asked_to_end_it_leaves_nothing() {
    ends_by(Signal::TERM);
}

#[test]
fn interrupted_it_leaves_nothing() {
    ends_by(Signal::INT);
}

#[test]
fn killed_it_leaves_nothing() {
    ends_by(Signal::KILL);
}

#[test]
fn labs_stand_side_by_side_and_end_alone() {
    if !may_run() {
        return;
    }
    let small = ["--hosts", "1", "--pods", "1"];
    let (stays, mut goes) = (Lab::raise(&small), Lab::raise(&small));
    let processes = goes.processes();
    goes.signal(Signal::TERM);
    let gone = until(IN_TIME, || {
        Ok::<_, ()>(goes.remains(&processes).is_empty().then_some(()))
    });
    assert_eq!(gone, Ok(Some(())));

    let added = stays.ask(&Request::PodAdd {
        cluster: None,
        host: "node-1".into(),
        name: "late".into(),
    });
    assert_eq!(added.pods.len(), 2);
    assert_eq!(netns::list(&stays.prefix()).unwrap().len(), 6);
}

/// As in a container without privileges: root in name only.
#[expect(unsafe_code, reason = "only code between fork and exec takes rights from a child")]
fn without_rights(command: &mut Command) {
    let drop = || {
        for capability in [CapabilitySet::SYS_ADMIN, CapabilitySet::NET_ADMIN] {
            remove_capability_from_bounding_set(capability)?;
        }
        Ok(())
    };
    // SAFETY: system calls only.
    unsafe { command.pre_exec(drop) };
}

#[test]
fn without_rights_it_says_what_is_missing() {
    if !may_run() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .arg("up")
        .arg("--state-dir")
        .arg(state.path())
        .stderr(Stdio::piped());
    without_rights(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(EXIT_NO_LAB)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("may not make network namespaces") && said.contains("CAP_SYS_ADMIN"),
        "{said}"
    );
}

#[test]
fn without_hosts_no_rights_are_needed() {
    if !may_run() {
        return;
    }
    let mut lab = Lab::raise_with(&["--hosts", "0"], without_rights);
    assert_eq!((lab.report.hosts.len(), lab.report.pods.len()), (0, 0));
    assert!(lab.report.users.iter().any(|user| user.name == "demo"));
    let processes = lab.processes();
    lab.signal(Signal::TERM);
    let gone = until(IN_TIME, || {
        Ok::<_, ()>(lab.remains(&processes).is_empty().then_some(()))
    });
    assert_eq!(gone, Ok(Some(())));
}

#[test]
fn an_address_that_is_taken_is_said_and_nobody_there_is_spoken_to() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    taken.set_nonblocking(true).unwrap();
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args([
        "up",
        "--hosts",
        "0",
        "--listen",
        &taken.local_addr().unwrap().to_string(),
    ]);
    let output = command.arg("--state-dir").arg(state.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("listen on 127.0.0.1:") && said.contains("in use"),
        "{said}"
    );
    assert!(taken.accept().is_err(), "somebody called");
}
