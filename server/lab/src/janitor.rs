//! The child that clears up when the lab itself cannot: killed with SIGKILL, or crashed.
//!
//! It holds the reading end of a pipe whose writing end only the lab has. A byte says "all done, go"; the end of the
//! pipe without a byte says that the lab is dead.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::setsid;

use crate::children::inherit;
use crate::names::LabId;
use crate::runtime::{Runtime, RuntimeError};

/// The lab's end: its janitor, waiting.
#[derive(Debug)]
pub struct Janitor(Child);

impl Janitor {
    /// Starts one for this claim. `program` is this program.
    #[expect(
        unsafe_code,
        reason = "only code between fork and exec gives a child a session of its own"
    )]
    pub fn start(program: &Path, root: &Path, runtime: &Runtime) -> io::Result<Self> {
        let lock: OwnedFd = runtime.lock().as_fd().try_clone_to_owned()?;
        let mut command = Command::new(program);
        command
            .arg("janitor")
            .arg("--root")
            .arg(root)
            .args(["--name", &runtime.id().to_string()]);
        command.args(["--lock-fd", &lock.as_raw_fd().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).current_dir("/");
        inherit(&mut command, lock);
        // SAFETY: one system call. A session of its own keeps what ends the lab's terminal or group from ending this.
        unsafe { command.pre_exec(|| setsid().map(drop).map_err(io::Error::from)) };
        command.spawn().map(Self)
    }

    /// Tells it that nothing is left to do, and waits for it.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b".");
        }
        let _ = self.0.wait();
    }
}

/// What the janitor is told on its command line.
#[derive(Debug, clap::Args)]
pub struct Orders {
    /// Where labs are written down.
    #[arg(long)]
    root: PathBuf,
    /// The lab to watch.
    #[arg(long)]
    name: LabId,
    /// The descriptor that holds the lab's lock.
    #[arg(long)]
    lock_fd: RawFd,
}

/// What the janitor does: waits for the lab's word or end.
#[expect(
    unsafe_code,
    reason = "a descriptor's number is all that a command line can hand over"
)]
pub fn run(orders: Orders) -> Result<(), RuntimeError> {
    // SAFETY: the lab gave us this descriptor for good, and nothing else here knows it.
    let lock = unsafe { File::from_raw_fd(orders.lock_fd) };
    let runtime = Runtime::inherit(&orders.root, orders.name, lock);
    let mut word = [0];
    match io::stdin().read(&mut word) {
        Ok(1..) => Ok(()),
        _ => runtime.clear(),
    }
}
