//! `cargo xtask up`: everything built, then a lab to look at.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;

use crate::binaries::{self, Profile};
use crate::console::Compiler;
use crate::process::{Failed, Steps, program, target_dir, typed};
use crate::tools::{self, Tool};

/// Builds, then becomes the lab: it returns only when something failed.
pub fn up(compiler: Compiler, listen: SocketAddr) -> Result<(), Failed> {
    // Better now than after the build.
    drop(TcpListener::bind(listen).map_err(|error| {
        Failed::Other(format!(
            "{listen} cannot be listened on ({error}): end what is there, or choose another --listen"
        ))
    })?);
    let mut steps = Steps::of(3);
    steps.next("what the machine must have");
    tools::ensure(&[Tool::Iproute2]);
    steps.next("control plane, agent, plugin, lab and console (about 7 minutes the first time, on two cores)");
    let (console, programs) = binaries::beside_console(compiler, binaries::dev)?;
    console.map(drop).and(programs)?;
    steps.next("a lab of three hosts, a cluster and six pods (a few seconds)");

    let bin = Profile::Dev.folder();
    let state = target_dir().join("up").join(listen.port().to_string());
    let lab = || program(bin.join("portolan-lab"));
    // Each `up` begins anew; `portolan-lab up --state-dir DIR` keeps what was made.
    match fs::remove_dir_all(&state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failed::Other(format!("{}: {error}", state.display())));
        }
        _ => {}
    }
    let mut command = lab();
    command
        .args(["up", "--words", "--listen", &listen.to_string()])
        .arg("--state-dir")
        .arg(&state);
    // It says itself what is missing.
    let check = lab()
        .arg("check")
        .status()
        .map_err(|error| Failed::Start("portolan-lab check".into(), error))?;
    if !check.success() {
        eprintln!("so the control plane runs without hosts; everything but the lab is there to try");
        command.args(["--hosts", "0"]);
    }
    let what = typed(&command);
    Err(Failed::Start(what, command.exec()))
}
