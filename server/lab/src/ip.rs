//! `ip` (iproute2) in batch mode: one process for many changes.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::netns::Namespace;

/// Why `ip` did not do it.
#[derive(Debug, thiserror::Error)]
pub enum IpError {
    /// The program could not be started.
    #[error("cannot run `ip` (package iproute2): {0}")]
    Start(#[source] io::Error),
    /// It ran and refused.
    #[error("`ip` refused{place}: {said}")]
    Refused {
        /// Where it ran, as ` in NAMESPACE`, or nothing.
        place: String,
        /// What it printed.
        said: String,
    },
}

/// Runs lines that take things away inside a namespace; what is not there is what we want.
pub fn undo(namespace: &Namespace, lines: &[String]) -> Result<(), IpError> {
    match run(&["-n", namespace.name(), "-force"], Some(namespace), lines) {
        Err(IpError::Refused { .. }) => Ok(()),
        done => done,
    }
}

/// Runs the lines inside a namespace, or where this process is.
pub fn batch(namespace: Option<&Namespace>, lines: &[String]) -> Result<(), IpError> {
    match namespace {
        Some(inside) => run(&["-n", inside.name()], namespace, lines),
        None => run(&[], None, lines),
    }
}

fn run(options: &[&str], namespace: Option<&Namespace>, lines: &[String]) -> Result<(), IpError> {
    let mut command = Command::new("ip");
    command
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(IpError::Start)?;
    let mut script = lines.join("\n");
    script.push('\n');
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early closes its end; what it said is then more telling than our broken pipe.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(IpError::Start)?;
    if output.status.success() {
        return Ok(());
    }
    let place = namespace.map_or_else(String::new, |namespace| format!(" in {}", namespace.name()));
    Err(IpError::Refused {
        place,
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
